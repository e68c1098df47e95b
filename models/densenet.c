/* DenseNet-BC (Huang et al. 2016), as torchvision has it: growth 32, compression 1/2. plan: layers
   in each of the four blocks. */
#include "models.h"

enum { GROWTH = 32, STEM = 64, BOTTLENECK = 4 /* times the growth */ };

static feature norm_relu(builder *b, const char *norm, const char *relu, feature x) {
    return nn_relu(b, relu, nn_batch_norm(b, norm, x));
}

/* New features only: the caller joins them to what came before. */
static feature dense_layer(builder *b, feature x) {
    int64_t growth = nn_scaled(b, GROWTH);
    x = norm_relu(b, "norm1", "relu1", x);
    x = nn_conv(b, "conv1", x, conv1x1(BOTTLENECK * growth));
    x = norm_relu(b, "norm2", "relu2", x);
    return nn_conv(b, "conv2", x, conv3x3(growth, 1));
}

static feature dense_block(builder *b, int block, int layers, feature x) {
    for (int k = 1; k <= layers; k++) {
        nn_scope(b, nn_path(b, "features.denseblock%d.denselayer%d", block, k));
        x = nn_concat(b, "", (feature[]){x, dense_layer(b, x)}, 2);
    }
    return x;
}

static feature transition(builder *b, int block, feature x) {
    nn_scope(b, nn_path(b, "features.transition%d", block));
    x = norm_relu(b, "norm", "relu", x);
    x = nn_conv(b, "conv", x, conv1x1(x.channels / 2));
    return nn_avg_pool(b, "pool", x, 2, 2);
}

void build_densenet(builder *b, const architecture *self) {
    builder_init(b, (init_policy){.conv = SCHEME_KAIMING_IN, .linear = SCHEME_TORCH_ZERO_BIAS});
    conv_shape stem = {.out = nn_scaled(b, STEM), .kernel = 7, .stride = 2, .pad = 3};
    nn_scope(b, "features");
    feature x = norm_relu(b, "norm0", "relu0", nn_conv(b, "conv0", nn_input(b), stem));
    x = nn_max_pool(b, "pool0", x, 3, 2, 1);
    for (int block = 1; block <= 4; block++) {
        x = dense_block(b, block, self->plan[block - 1], x);
        if (block < 4) x = transition(b, block, x);
    }
    nn_scope(b, "");
    x = nn_global_avg_pool(b, "avgpool", norm_relu(b, "features.norm5", "relu", x));
    mark_embedding(b, x);
    nn_classifier(b, "classifier", x);
}
