/* The improved ResNet of ArcFace (Deng et al. 2018; the layout of insightface's arcface_torch):
   BatchNormalization before the first convolution of a block, PReLU, no pooling. plan: blocks in
   each of the four stages. */
#include "models.h"

static feature block(builder *b, const char *path, feature x, int64_t out, int64_t stride) {
    feature y = nn_batch_norm(b, nn_path(b, "%s.bn1", path), x);
    conv_shape first = {.out = out, .kernel = 3, .stride = 1, .pad = 1}, second = first;
    second.stride = stride;
    y = nn_conv_bn(b, nn_path(b, "%s.conv1", path), nn_path(b, "%s.bn2", path), y, first);
    y = nn_prelu(b, nn_path(b, "%s.prelu", path), y);
    y = nn_residual_bn(b, nn_path(b, "%s.bn3", path),
                       nn_conv(b, nn_path(b, "%s.conv2", path), y, second));
    if (stride != 1 || x.channels != out) {
        conv_shape c = {.out = out, .kernel = 1, .stride = stride};
        x = nn_conv_bn(b, nn_path(b, "%s.downsample.0", path), nn_path(b, "%s.downsample.1", path),
                       x, c);
    }
    return nn_add(b, path, y, x);
}

void build_iresnet(builder *b, const architecture *self) {
    builder_init(
        b, (init_policy){.conv = SCHEME_NORMAL, .conv_deviation = 0.1, .linear = SCHEME_TORCH});
    feature x = nn_conv_bn(b, "conv1", "bn1", nn_input(b),
                           (conv_shape){.out = 64, .kernel = 3, .stride = 1, .pad = 1});
    x = nn_prelu(b, "prelu", x);
    for (int stage = 0; stage < 4; stage++)
        for (int k = 0; k < self->plan[stage]; k++)
            x = block(b, nn_path(b, "layer%d.%d", stage + 1, k), x, (int64_t)64 << stage,
                      k == 0 ? 2 : 1);
    x = nn_flatten(b, "", nn_batch_norm(b, "bn2", x));
    x = nn_gemm(b, "fc", x, builder_request(b)->embedding_size, true);
    mark_embedding(b, nn_output(b, nn_batch_norm(b, "features", x), "embedding"));
    mark_preprocess_face(b);
}
