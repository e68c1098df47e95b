/* VGG (Simonyan and Zisserman 2014), with and without BatchNormalization, as torchvision has it.
   plan: convolutions in each of the five stages; option: 1 with BatchNormalization. */
#include "models.h"

static feature features(builder *b, feature x, const int *plan, bool bn) {
    static const int64_t channels[5] = {64, 128, 256, 512, 512};
    int index = 0; /* position in torchvision's Sequential, which names the parameters */
    nn_scope(b, "features");
    for (int stage = 0; stage < 5; stage++) {
        for (int k = 0; k < plan[stage]; k++) {
            conv_shape c = conv3x3(nn_scaled(b, channels[stage]), 1);
            c.bias = true;
            x = nn_conv(b, nn_path(b, "%d", index++), x, c);
            if (bn) x = nn_batch_norm(b, nn_path(b, "%d", index++), x);
            x = nn_relu(b, nn_path(b, "%d", index++), x);
        }
        x = nn_max_pool(b, nn_path(b, "%d", index++), x, 2, 2, 0);
    }
    nn_scope(b, "");
    return x;
}

void build_vgg(builder *b, const architecture *self) {
    int64_t hidden = nn_scaled(b, 4096);
    builder_init(b, (init_policy){.conv = SCHEME_KAIMING_OUT,
                                  .linear = SCHEME_NORMAL,
                                  .linear_deviation = 0.01});
    feature x = features(b, nn_input(b), self->plan, self->option);
    x = nn_flatten(b, "", nn_adaptive_avg_pool(b, "avgpool", x, 7));
    nn_scope(b, "classifier");
    x = nn_dropout(b, "2", nn_relu(b, "1", nn_gemm(b, "0", x, hidden, true)), 0.5f);
    x = nn_relu(b, "4", nn_gemm(b, "3", x, hidden, true));
    mark_embedding(b, x);
    nn_classifier(b, "6", nn_dropout(b, "5", x, 0.5f));
}
