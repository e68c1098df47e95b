/* DenseNet-BC (Huang et al. 2016), as torchvision has it: growth 32, compression 1/2. plan: layers
   in each of the four blocks. */
#include "models.h"

enum { GROWTH = 32, STEM = 64, BOTTLENECK = 4 /* times the growth */ };

static feature norm_relu(builder *b, const char *norm, const char *relu, feature x) {
    return nn_relu(b, relu, nn_batch_norm(b, norm, x));
}

/* New features only: the caller joins them to what came before. */
static feature dense_layer(builder *b, const char *path, feature x) {
    int64_t growth = nn_scaled(b, GROWTH);
    x = norm_relu(b, nn_path(b, "%s.norm1", path), nn_path(b, "%s.relu1", path), x);
    x = nn_conv(b, nn_path(b, "%s.conv1", path), x,
                (conv_shape){.out = BOTTLENECK * growth, .kernel = 1, .stride = 1});
    x = norm_relu(b, nn_path(b, "%s.norm2", path), nn_path(b, "%s.relu2", path), x);
    return nn_conv(b, nn_path(b, "%s.conv2", path), x,
                   (conv_shape){.out = growth, .kernel = 3, .stride = 1, .pad = 1});
}

static feature dense_block(builder *b, int block, int layers, feature x) {
    for (int k = 1; k <= layers; k++) {
        const char *path = nn_path(b, "features.denseblock%d.denselayer%d", block, k);
        feature parts[2] = {x, dense_layer(b, path, x)};
        x = nn_concat(b, path, parts, 2);
    }
    return x;
}

static feature transition(builder *b, int block, feature x) {
    const char *path = nn_path(b, "features.transition%d", block);
    x = norm_relu(b, nn_path(b, "%s.norm", path), nn_path(b, "%s.relu", path), x);
    x = nn_conv(b, nn_path(b, "%s.conv", path), x,
                (conv_shape){.out = x.channels / 2, .kernel = 1, .stride = 1});
    return nn_avg_pool(b, nn_path(b, "%s.pool", path), x, 2, 2);
}

void build_densenet(builder *b, const architecture *self) {
    builder_init(b, (init_policy){.conv = SCHEME_KAIMING_IN, .linear = SCHEME_TORCH_ZERO_BIAS});
    feature x = nn_conv(
        b, "features.conv0", nn_input(b),
        (conv_shape){.out = nn_scaled(b, STEM), .kernel = 7, .stride = 2, .pad = 3});
    x = norm_relu(b, "features.norm0", "features.relu0", x);
    x = nn_max_pool(b, "features.pool0", x, 3, 2, 1);
    for (int block = 1; block <= 4; block++) {
        x = dense_block(b, block, self->plan[block - 1], x);
        if (block < 4) x = transition(b, block, x);
    }
    x = norm_relu(b, "features.norm5", "relu", x);
    x = nn_flatten(b, "", nn_global_avg_pool(b, "avgpool", x));
    mark_embedding(b, x);
    mark_preprocess_imagenet(b);
    nn_output(b, nn_gemm(b, "classifier", x, builder_request(b)->classes, true), "logits");
}
