/* AlexNet in the one-tower form (Krizhevsky 2014, "One weird trick"), as torchvision has it:
   61,100,840 parameters at 1000 classes. */
#include "models.h"

static feature features(builder *b, feature x) {
    static const conv_shape convs[5] = {{.out = 64, .kernel = 11, .stride = 4, .pad = 2},
                                        {.out = 192, .kernel = 5, .pad = 2},
                                        {.out = 384, .kernel = 3, .pad = 1},
                                        {.out = 256, .kernel = 3, .pad = 1},
                                        {.out = 256, .kernel = 3, .pad = 1}};
    int index = 0; /* position in torchvision's Sequential, which names the parameters */
    nn_scope(b, "features");
    for (int k = 0; k < 5; k++) {
        conv_shape c = convs[k];
        c.bias = true;
        x = nn_conv(b, nn_path(b, "%d", index++), x, c);
        x = nn_relu(b, nn_path(b, "%d", index++), x);
        if (k < 2 || k == 4) x = nn_max_pool(b, nn_path(b, "%d", index++), x, 3, 2, 0);
    }
    nn_scope(b, "");
    return x;
}

void build_alexnet(builder *b, const architecture *self) {
    (void)self;
    builder_init(b, (init_policy){.conv = SCHEME_TORCH, .linear = SCHEME_TORCH});
    feature x = nn_adaptive_avg_pool(b, "avgpool", features(b, nn_input(b)), 6);
    x = nn_flatten(b, "", x);
    nn_scope(b, "classifier");
    x = nn_relu(b, "2", nn_gemm(b, "1", nn_dropout(b, "0", x, 0.5f), 4096, true));
    x = nn_relu(b, "5", nn_gemm(b, "4", nn_dropout(b, "3", x, 0.5f), 4096, true));
    mark_embedding(b, x);
    nn_classifier(b, "6", x);
}
