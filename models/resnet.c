/* ResNet (He et al. 2015), as torchvision has it: the stride of a bottleneck sits on its 3x3
   convolution. plan: blocks in each of the four stages; option: 1 for bottleneck blocks. */
#include "models.h"

enum { EXPANSION = 4 };

static feature shortcut(builder *b, const char *path, feature x, int64_t out, int64_t stride) {
    if (stride == 1 && x.channels == out) return x;
    conv_shape c = {.out = out, .kernel = 1, .stride = stride};
    return nn_conv_bn(b, nn_path(b, "%s.downsample.0", path), nn_path(b, "%s.downsample.1", path),
                      x, c);
}

static feature unit(builder *b, const char *path, int k, feature x, conv_shape c) {
    return nn_conv_bn(b, nn_path(b, "%s.conv%d", path, k), nn_path(b, "%s.bn%d", path, k), x, c);
}

static feature last_unit(builder *b, const char *path, int k, feature x, conv_shape c) {
    return nn_residual_bn(b, nn_path(b, "%s.bn%d", path, k),
                          nn_conv(b, nn_path(b, "%s.conv%d", path, k), x, c));
}

static feature basic(builder *b, const char *path, feature x, int64_t width, int64_t stride) {
    const char *relu = nn_path(b, "%s.relu", path);
    feature y = nn_relu(
        b, relu,
        unit(b, path, 1, x, (conv_shape){.out = width, .kernel = 3, .stride = stride, .pad = 1}));
    y = last_unit(b, path, 2, y, (conv_shape){.out = width, .kernel = 3, .stride = 1, .pad = 1});
    return nn_relu(b, relu, nn_add(b, path, y, shortcut(b, path, x, width, stride)));
}

static feature bottleneck(builder *b, const char *path, feature x, int64_t width, int64_t stride) {
    const char *relu = nn_path(b, "%s.relu", path);
    feature y = nn_relu(b, relu,
                        unit(b, path, 1, x, (conv_shape){.out = width, .kernel = 1, .stride = 1}));
    y = nn_relu(
        b, relu,
        unit(b, path, 2, y, (conv_shape){.out = width, .kernel = 3, .stride = stride, .pad = 1}));
    y = last_unit(b, path, 3, y, (conv_shape){.out = width * EXPANSION, .kernel = 1, .stride = 1});
    return nn_relu(b, relu, nn_add(b, path, y, shortcut(b, path, x, width * EXPANSION, stride)));
}

void build_resnet(builder *b, const architecture *self) {
    builder_init(b, (init_policy){.conv = SCHEME_KAIMING_OUT, .linear = SCHEME_TORCH});
    feature x = nn_conv_bn(
        b, "conv1", "bn1", nn_input(b),
        (conv_shape){.out = nn_scaled(b, 64), .kernel = 7, .stride = 2, .pad = 3});
    x = nn_max_pool(b, "maxpool", nn_relu(b, "relu", x), 3, 2, 1);
    for (int stage = 0; stage < 4; stage++)
        for (int k = 0; k < self->plan[stage]; k++) {
            const char *path = nn_path(b, "layer%d.%d", stage + 1, k);
            int64_t width = nn_scaled(b, (int64_t)64 << stage),
                    stride = stage > 0 && k == 0 ? 2 : 1;
            x = self->option ? bottleneck(b, path, x, width, stride)
                             : basic(b, path, x, width, stride);
        }
    x = nn_flatten(b, "", nn_global_avg_pool(b, "avgpool", x));
    mark_embedding(b, x);
    mark_preprocess_imagenet(b);
    nn_output(b, nn_gemm(b, "fc", x, builder_request(b)->classes, true), "logits");
}
