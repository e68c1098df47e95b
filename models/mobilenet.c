/* MobileNet V1 (Howard et al. 2017) and V2 (Sandler et al. 2018; as torchvision has it), both with
   a width factor. */
#include "models.h"

static void init(builder *b) {
    builder_init(b, (init_policy){.conv = SCHEME_KAIMING_OUT,
                                  .linear = SCHEME_NORMAL,
                                  .linear_deviation = 0.01});
}

/* ---- V1: depthwise 3x3 and pointwise 1x1, each followed by BatchNormalization and ReLU ---- */

static feature v1_unit(builder *b, int *index, feature x, conv_shape c) {
    x = nn_conv_bn(b, nn_path(b, "%d", *index), nn_path(b, "%d", *index + 1), x, c);
    x = nn_relu(b, nn_path(b, "%d", *index + 2), x);
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
    nn_scope(b, "features");
    feature x = v1_unit(b, &index, nn_input(b), conv3x3(nn_scaled(b, 32), 2));
    for (int k = 0; k < 13; k++) {
        x = v1_unit(b, &index, x, depthwise3x3(x.channels, layers[k].stride));
        x = v1_unit(b, &index, x, conv1x1(nn_scaled(b, layers[k].channels)));
    }
    nn_scope(b, "");
    x = nn_global_avg_pool(b, "pool", x);
    mark_embedding(b, x);
    nn_classifier(b, "fc", x);
}

/* ---- V2: inverted residuals ---- */

static feature v2_unit(builder *b, const char *path, feature x, conv_shape c) {
    x = nn_conv_bn(b, nn_path(b, "%s.0", path), nn_path(b, "%s.1", path), x, c);
    return nn_relu6(b, nn_path(b, "%s.2", path), x);
}

static feature inverted_residual(builder *b, feature x, int expand, int64_t out, int64_t stride) {
    int64_t hidden = x.channels * expand;
    int k = 0;
    feature y = x;
    if (expand != 1) y = v2_unit(b, nn_path(b, "conv.%d", k++), y, conv1x1(hidden));
    y = v2_unit(b, nn_path(b, "conv.%d", k++), y, depthwise3x3(hidden, stride));
    y = nn_conv_bn(b, nn_path(b, "conv.%d", k), nn_path(b, "conv.%d", k + 1), y, conv1x1(out));
    return stride == 1 && x.channels == out ? nn_add(b, "", x, y) : y;
}

void build_mobilenet_v2(builder *b, const architecture *self) {
    static const struct {
        int expand, channels, repeat, stride;
    } stages[7] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                   {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    (void)self;
    init(b);
    feature x = v2_unit(b, "features.0", nn_input(b), conv3x3(nn_scaled(b, 32), 2));
    int index = 1;
    for (int s = 0; s < 7; s++)
        for (int k = 0; k < stages[s].repeat; k++) {
            nn_scope(b, nn_path(b, "features.%d", index++));
            x = inverted_residual(b, x, stages[s].expand, nn_scaled(b, stages[s].channels),
                                  k == 0 ? stages[s].stride : 1);
        }
    nn_scope(b, "");
    /* the last layer never shrinks */
    int64_t last = builder_request(b)->width_factor < 1 ? 1280 : nn_scaled(b, 1280);
    x = v2_unit(b, nn_path(b, "features.%d", index), x, conv1x1(last));
    x = nn_global_avg_pool(b, "", x);
    mark_embedding(b, x);
    nn_classifier(b, "classifier.1", nn_dropout(b, "classifier.0", x, 0.2f));
}
