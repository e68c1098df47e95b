/* AlexNet in the one-tower form (Krizhevsky 2014, "One weird trick"), as torchvision has it:
   61,100,840 parameters at 1000 classes. */
#include "models.h"

static feature conv_relu(builder *b, int index, feature x, conv_shape c) {
    c.bias = true;
    x = nn_conv(b, nn_path(b, "features.%d", index), x, c);
    return nn_relu(b, nn_path(b, "features.%d", index + 1), x);
}

static feature features(builder *b, feature x) {
    x = conv_relu(b, 0, x, (conv_shape){.out = 64, .kernel = 11, .stride = 4, .pad = 2});
    x = nn_max_pool(b, "features.2", x, 3, 2, 0);
    x = conv_relu(b, 3, x, (conv_shape){.out = 192, .kernel = 5, .stride = 1, .pad = 2});
    x = nn_max_pool(b, "features.5", x, 3, 2, 0);
    x = conv_relu(b, 6, x, (conv_shape){.out = 384, .kernel = 3, .stride = 1, .pad = 1});
    x = conv_relu(b, 8, x, (conv_shape){.out = 256, .kernel = 3, .stride = 1, .pad = 1});
    x = conv_relu(b, 10, x, (conv_shape){.out = 256, .kernel = 3, .stride = 1, .pad = 1});
    return nn_max_pool(b, "features.12", x, 3, 2, 0);
}

void build_alexnet(builder *b, const architecture *self) {
    (void)self;
    builder_init(b, (init_policy){.conv = SCHEME_TORCH, .linear = SCHEME_TORCH});
    feature x = nn_adaptive_avg_pool(b, "avgpool", features(b, nn_input(b)), 6);
    x = nn_dropout(b, "classifier.0", nn_flatten(b, "", x), 0.5f);
    x = nn_relu(b, "classifier.2", nn_gemm(b, "classifier.1", x, 4096, true));
    x = nn_dropout(b, "classifier.3", x, 0.5f);
    x = nn_relu(b, "classifier.5", nn_gemm(b, "classifier.4", x, 4096, true));
    mark_embedding(b, x);
    mark_preprocess_imagenet(b);
    nn_output(b, nn_gemm(b, "classifier.6", x, builder_request(b)->classes, true), "logits");
}
