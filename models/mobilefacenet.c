/* MobileFaceNet (Chen et al. 2018, table 1): inverted residuals with PReLU, and a depthwise
   convolution over the whole last map in place of average pooling. */
#include "models.h"

static feature unit(builder *b, const char *path, feature x, conv_shape c, bool activate) {
    x = nn_conv_bn(b, nn_path(b, "%s.0", path), nn_path(b, "%s.1", path), x, c);
    return activate ? nn_prelu(b, nn_path(b, "%s.2", path), x) : x;
}

static feature bottleneck(builder *b, const char *path, feature x, int64_t out, int64_t stride,
                          int expand) {
    int64_t hidden = x.channels * expand;
    feature y = unit(b, nn_path(b, "%s.m.0", path), x,
                     (conv_shape){.out = hidden, .kernel = 1, .stride = 1}, true);
    conv_shape depthwise = {
        .out = hidden, .kernel = 3, .stride = stride, .pad = 1, .group = hidden};
    y = unit(b, nn_path(b, "%s.m.1", path), y, depthwise, true);
    y = unit(b, nn_path(b, "%s.m.2", path), y, (conv_shape){.out = out, .kernel = 1, .stride = 1},
             false);
    return stride == 1 && x.channels == out ? nn_add(b, path, x, y) : y;
}

static feature body(builder *b, feature x, int *index) {
    static const struct {
        int expand, channels, repeat, stride;
    } stages[5] = {{2, 64, 5, 2}, {4, 128, 1, 2}, {2, 128, 6, 1}, {4, 128, 1, 2}, {2, 128, 2, 1}};
    for (int s = 0; s < 5; s++)
        for (int k = 0; k < stages[s].repeat; k++) {
            const char *path = nn_path(b, "m.%d", (*index)++);
            x = bottleneck(b, path, x, stages[s].channels, k == 0 ? stages[s].stride : 1,
                           stages[s].expand);
        }
    return x;
}

void build_mobilefacenet(builder *b, const architecture *self) {
    (void)self;
    builder_init(b, (init_policy){.conv = SCHEME_KAIMING_OUT, .linear = SCHEME_TORCH});
    feature x = unit(b, "m.0", nn_input(b),
                     (conv_shape){.out = 64, .kernel = 3, .stride = 2, .pad = 1}, true);
    x = unit(b, "m.1", x, (conv_shape){.out = 64, .kernel = 3, .stride = 1, .pad = 1, .group = 64},
             true);
    int index = 2;
    x = body(b, x, &index);
    x = unit(b, nn_path(b, "m.%d", index++), x, (conv_shape){.out = 512, .kernel = 1, .stride = 1},
             true);
    conv_shape global = {
        .out = 512, .kernel = x.height, .kernel_width = x.width, .stride = 1, .group = 512};
    x = unit(b, nn_path(b, "m.%d", index++), x, global, false);
    conv_shape last = {.out = builder_request(b)->embedding_size, .kernel = 1, .stride = 1};
    x = unit(b, nn_path(b, "m.%d", index), x, last, false);
    mark_embedding(b, nn_output(b, nn_flatten(b, "", x), "embedding"));
    mark_preprocess_face(b);
}
