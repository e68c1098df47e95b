/* ResNet (He et al. 2015), as torchvision has it: the stride of a bottleneck sits on its 3x3
   convolution. plan: blocks in each of the four stages; option: 1 for bottleneck blocks. */
#include "models.h"

enum { EXPANSION = 4 };

static feature shortcut(builder *b, feature x, int64_t out, int64_t stride) {
    if (stride == 1 && x.channels == out) return x;
    conv_shape c = {.out = out, .kernel = 1, .stride = stride};
    return nn_conv_bn(b, "downsample.0", "downsample.1", x, c);
}

static feature basic(builder *b, feature x, int64_t width, int64_t stride) {
    feature y = nn_relu(b, "relu", nn_conv_bn(b, "conv1", "bn1", x, conv3x3(width, stride)));
    y = nn_residual_bn(b, "bn2", nn_conv(b, "conv2", y, conv3x3(width, 1)));
    return nn_relu(b, "relu", nn_add(b, "", y, shortcut(b, x, width, stride)));
}

static feature bottleneck(builder *b, feature x, int64_t width, int64_t stride) {
    feature y = nn_relu(b, "relu", nn_conv_bn(b, "conv1", "bn1", x, conv1x1(width)));
    y = nn_relu(b, "relu", nn_conv_bn(b, "conv2", "bn2", y, conv3x3(width, stride)));
    y = nn_residual_bn(b, "bn3", nn_conv(b, "conv3", y, conv1x1(width * EXPANSION)));
    return nn_relu(b, "relu", nn_add(b, "", y, shortcut(b, x, width * EXPANSION, stride)));
}

void build_resnet(builder *b, const architecture *self) {
    builder_init(b, (init_policy){.conv = SCHEME_KAIMING_OUT, .linear = SCHEME_TORCH});
    conv_shape stem = {.out = nn_scaled(b, 64), .kernel = 7, .stride = 2, .pad = 3};
    feature x = nn_relu(b, "relu", nn_conv_bn(b, "conv1", "bn1", nn_input(b), stem));
    x = nn_max_pool(b, "maxpool", x, 3, 2, 1);
    for (int stage = 0; stage < 4; stage++)
        for (int k = 0; k < self->plan[stage]; k++) {
            nn_scope(b, nn_path(b, "layer%d.%d", stage + 1, k));
            x = (self->option ? bottleneck : basic)(b, x, nn_scaled(b, (int64_t)64 << stage),
                                                    stage > 0 && k == 0 ? 2 : 1);
        }
    nn_scope(b, "");
    x = nn_global_avg_pool(b, "avgpool", x);
    mark_embedding(b, x);
    nn_classifier(b, "fc", x);
}
