/* MobileFaceNet (Chen et al. 2018, table 1): inverted residuals with PReLU, and a depthwise
   convolution over the whole last map in place of average pooling. */
#include "models.h"

static feature linear(builder *b, const char *path, feature x, conv_shape c) {
    return nn_conv_bn(b, nn_path(b, "%s.0", path), nn_path(b, "%s.1", path), x, c);
}

static feature unit(builder *b, const char *path, feature x, conv_shape c) {
    return nn_prelu(b, nn_path(b, "%s.2", path), linear(b, path, x, c));
}

static feature bottleneck(builder *b, feature x, int64_t out, int64_t stride, int expand) {
    int64_t hidden = x.channels * expand;
    feature y = unit(b, "m.0", x, conv1x1(hidden));
    y = unit(b, "m.1", y, depthwise3x3(hidden, stride));
    y = linear(b, "m.2", y, conv1x1(out));
    return stride == 1 && x.channels == out ? nn_add(b, "", x, y) : y;
}

void build_mobilefacenet(builder *b, const architecture *self) {
    static const struct {
        int expand, channels, repeat, stride;
    } stages[5] = {{2, 64, 5, 2}, {4, 128, 1, 2}, {2, 128, 6, 1}, {4, 128, 1, 2}, {2, 128, 2, 1}};
    (void)self;
    builder_init(b, (init_policy){.conv = SCHEME_KAIMING_OUT, .linear = SCHEME_TORCH});
    feature x = unit(b, "m.0", nn_input(b), conv3x3(64, 2));
    x = unit(b, "m.1", x, depthwise3x3(64, 1));
    int index = 2;
    for (int s = 0; s < 5; s++)
        for (int k = 0; k < stages[s].repeat; k++) {
            nn_scope(b, nn_path(b, "m.%d", index++));
            x = bottleneck(b, x, stages[s].channels, k == 0 ? stages[s].stride : 1,
                           stages[s].expand);
        }
    nn_scope(b, "");
    x = unit(b, nn_path(b, "m.%d", index++), x, conv1x1(512));
    conv_shape global = {.out = 512, .kernel = x.height, .kernel_width = x.width, .group = 512};
    x = linear(b, nn_path(b, "m.%d", index++), x, global);
    x = linear(b, nn_path(b, "m.%d", index), x, conv1x1(builder_request(b)->embedding_size));
    nn_face(b, nn_flatten(b, "", x));
}
