/* VGG (Simonyan and Zisserman 2014), with and without BatchNormalization, as torchvision has it.
   plan: convolutions in each of the five stages; option: 1 with BatchNormalization. */
#include "models.h"

static feature features(builder *b, feature x, const int *plan, bool bn) {
    static const int64_t channels[5] = {64, 128, 256, 512, 512};
    int index = 0; /* position in torchvision's Sequential, which names the parameters */
    for (int stage = 0; stage < 5; stage++) {
        for (int k = 0; k < plan[stage]; k++) {
            conv_shape c = {.out = nn_scaled(b, channels[stage]),
                            .kernel = 3,
                            .stride = 1,
                            .pad = 1,
                            .bias = true};
            x = nn_conv(b, nn_path(b, "features.%d", index++), x, c);
            if (bn) x = nn_batch_norm(b, nn_path(b, "features.%d", index++), x);
            x = nn_relu(b, nn_path(b, "features.%d", index++), x);
        }
        x = nn_max_pool(b, nn_path(b, "features.%d", index++), x, 2, 2, 0);
    }
    return x;
}

void build_vgg(builder *b, const architecture *self) {
    int64_t hidden = nn_scaled(b, 4096);
    builder_init(b, (init_policy){.conv = SCHEME_KAIMING_OUT,
                                  .linear = SCHEME_NORMAL,
                                  .linear_deviation = 0.01});
    feature x = nn_adaptive_avg_pool(b, "avgpool",
                                     features(b, nn_input(b), self->plan, self->option), 7);
    x = nn_relu(b, "classifier.1", nn_gemm(b, "classifier.0", nn_flatten(b, "", x), hidden, true));
    x = nn_dropout(b, "classifier.2", x, 0.5f);
    x = nn_relu(b, "classifier.4", nn_gemm(b, "classifier.3", x, hidden, true));
    mark_embedding(b, x);
    mark_preprocess_imagenet(b);
    x = nn_dropout(b, "classifier.5", x, 0.5f);
    nn_output(b, nn_gemm(b, "classifier.6", x, builder_request(b)->classes, true), "logits");
}
