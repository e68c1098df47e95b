/* The improved ResNet of ArcFace (Deng et al. 2018; the layout of insightface's arcface_torch):
   BatchNormalization before the first convolution of a block, PReLU, no pooling. plan: blocks in
   each of the four stages. */
#include "models.h"

static feature block(builder *b, feature x, int64_t out, int64_t stride) {
    feature y = nn_conv_bn(b, "conv1", "bn2", nn_batch_norm(b, "bn1", x), conv3x3(out, 1));
    y = nn_conv(b, "conv2", nn_prelu(b, "prelu", y), conv3x3(out, stride));
    y = nn_residual_bn(b, "bn3", y);
    conv_shape shortcut = {.out = out, .kernel = 1, .stride = stride};
    if (stride != 1 || x.channels != out)
        x = nn_conv_bn(b, "downsample.0", "downsample.1", x, shortcut);
    return nn_add(b, "", y, x);
}

void build_iresnet(builder *b, const architecture *self) {
    builder_init(
        b, (init_policy){.conv = SCHEME_NORMAL, .conv_deviation = 0.1, .linear = SCHEME_TORCH});
    feature x = nn_prelu(b, "prelu", nn_conv_bn(b, "conv1", "bn1", nn_input(b), conv3x3(64, 1)));
    for (int stage = 0; stage < 4; stage++)
        for (int k = 0; k < self->plan[stage]; k++) {
            nn_scope(b, nn_path(b, "layer%d.%d", stage + 1, k));
            x = block(b, x, (int64_t)64 << stage, k == 0 ? 2 : 1);
        }
    nn_scope(b, "");
    x = nn_flatten(b, "", nn_batch_norm(b, "bn2", x));
    x = nn_gemm(b, "fc", x, builder_request(b)->embedding_size, true);
    nn_face(b, nn_batch_norm(b, "features", x));
}
