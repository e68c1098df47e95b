/* SphereFace-20 (Liu et al. 2017): stages of a strided convolution and residual pairs, PReLU, no
   normalisation. Weights as in its published definition: Caffe's "xavier" where the stride is 2
   and in the last layer, N(0, 0.01^2) inside the residual pairs; only convolutions outside the
   pairs have biases. plan: pairs in each of the four stages. */
#include "models.h"

static feature unit(builder *b, const char *stage, int k, feature x, int64_t stride, int64_t out) {
    conv_shape c = conv3x3(out, stride);
    c.bias = stride == 2;
    x = nn_conv(b, nn_path(b, "conv%s_%d", stage, k), x, c);
    return nn_prelu(b, nn_path(b, "relu%s_%d", stage, k), x);
}

static feature pair(builder *b, const char *stage, int k, feature x) {
    builder_init(
        b, (init_policy){.conv = SCHEME_NORMAL, .conv_deviation = 0.01, .linear = SCHEME_XAVIER});
    feature y = unit(b, stage, k, x, 1, x.channels);
    y = unit(b, stage, k + 1, y, 1, x.channels);
    return nn_add(b, nn_path(b, "res%s_%d", stage, k + 1), x, y);
}

void build_sphereface(builder *b, const architecture *self) {
    feature x = nn_input(b);
    for (int s = 0; s < 4; s++) {
        const char *stage = nn_path(b, "%d", s + 1);
        builder_init(b, (init_policy){.conv = SCHEME_XAVIER, .linear = SCHEME_XAVIER});
        x = unit(b, stage, 1, x, 2, (int64_t)64 << s);
        for (int k = 0; k < self->plan[s]; k++) x = pair(b, stage, 2 + 2 * k, x);
    }
    x = nn_gemm(b, "fc5", nn_flatten(b, "", x), builder_request(b)->embedding_size, true);
    nn_face(b, x);
}
