/* MobileNet V1 (Howard et al. 2017) and V2 (Sandler et al. 2018; as torchvision has it), both with
   a width factor. */
#include "models.h"

static feature conv_bn_at(builder *b, const char *path, int index, feature x, conv_shape c) {
    return nn_conv_bn(b, nn_path(b, "%s.%d", path, index), nn_path(b, "%s.%d", path, index + 1), x,
                      c);
}

static feature head(builder *b, const char *path, feature x) {
    mark_preprocess_imagenet(b);
    return nn_output(b, nn_gemm(b, path, x, builder_request(b)->classes, true), "logits");
}

static void init(builder *b) {
    builder_init(b, (init_policy){.conv = SCHEME_KAIMING_OUT,
                                  .linear = SCHEME_NORMAL,
                                  .linear_deviation = 0.01});
}

/* ---- V1: depthwise 3x3 and pointwise 1x1, each followed by BatchNormalization and ReLU ---- */

static feature v1_unit(builder *b, int *index, feature x, conv_shape c) {
    x = conv_bn_at(b, "features", *index, x, c);
    x = nn_relu(b, nn_path(b, "features.%d", *index + 2), x);
    *index += 3;
    return x;
}

void build_mobilenet_v1(builder *b, const architecture *self) {
    static const struct {
        int channels, stride;
    } layers[13] = {{64, 1},  {128, 2}, {128, 1}, {256, 2}, {256, 1},  {512, 2}, {512, 1},
                    {512, 1}, {512, 1}, {512, 1}, {512, 1}, {1024, 2}, {1024, 1}};
    (void)self;
    init(b);
    int index = 0;
    feature x = v1_unit(b, &index, nn_input(b),
                        (conv_shape){.out = nn_scaled(b, 32), .kernel = 3, .stride = 2, .pad = 1});
    for (int k = 0; k < 13; k++) {
        conv_shape depthwise = {.out = x.channels,
                                .kernel = 3,
                                .stride = layers[k].stride,
                                .pad = 1,
                                .group = x.channels};
        x = v1_unit(b, &index, x, depthwise);
        x = v1_unit(
            b, &index, x,
            (conv_shape){.out = nn_scaled(b, layers[k].channels), .kernel = 1, .stride = 1});
    }
    x = nn_flatten(b, "", nn_global_avg_pool(b, "pool", x));
    mark_embedding(b, x);
    head(b, "fc", x);
}

/* ---- V2: inverted residuals ---- */

static feature v2_unit(builder *b, const char *path, feature x, conv_shape c) {
    return nn_relu6(b, nn_path(b, "%s.2", path), conv_bn_at(b, path, 0, x, c));
}

static feature inverted_residual(builder *b, const char *path, feature x, int expand, int64_t out,
                                 int64_t stride) {
    int64_t hidden = x.channels * expand;
    int k = 0;
    feature y = x;
    if (expand != 1)
        y = v2_unit(b, nn_path(b, "%s.conv.%d", path, k++), y,
                    (conv_shape){.out = hidden, .kernel = 1, .stride = 1});
    conv_shape depthwise = {
        .out = hidden, .kernel = 3, .stride = stride, .pad = 1, .group = hidden};
    y = v2_unit(b, nn_path(b, "%s.conv.%d", path, k++), y, depthwise);
    conv_shape project = {.out = out, .kernel = 1, .stride = 1};
    y = nn_conv_bn(b, nn_path(b, "%s.conv.%d", path, k), nn_path(b, "%s.conv.%d", path, k + 1), y,
                   project);
    return stride == 1 && x.channels == out ? nn_add(b, path, x, y) : y;
}

void build_mobilenet_v2(builder *b, const architecture *self) {
    static const struct {
        int expand, channels, repeat, stride;
    } stages[7] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                   {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    (void)self;
    init(b);
    double factor = builder_request(b)->width_factor;
    feature x = v2_unit(b, "features.0", nn_input(b),
                        (conv_shape){.out = nn_scaled(b, 32), .kernel = 3, .stride = 2, .pad = 1});
    int index = 1;
    for (int s = 0; s < 7; s++)
        for (int k = 0; k < stages[s].repeat; k++) {
            const char *path = nn_path(b, "features.%d", index++);
            x = inverted_residual(b, path, x, stages[s].expand, nn_scaled(b, stages[s].channels),
                                  k == 0 ? stages[s].stride : 1);
        }
    int64_t last = factor < 1 ? 1280 : nn_scaled(b, 1280); /* the last layer never shrinks */
    x = v2_unit(b, nn_path(b, "features.%d", index), x,
                (conv_shape){.out = last, .kernel = 1, .stride = 1});
    x = nn_flatten(b, "", nn_global_avg_pool(b, "", x));
    mark_embedding(b, x);
    head(b, "classifier.1", nn_dropout(b, "classifier.0", x, 0.2f));
}
