/* Architectures behind `cameo new`, and the builder they are written with.

   An architecture is a function that calls the builder layer by layer. The builder tracks shapes,
   names every node and parameter the way PyTorch does, and counts parameters; weights are made
   only when the file is written, so building costs no memory. Everything a builder hands out lives
   in its arena. */
#ifndef CAMEO_MODELS_H
#define CAMEO_MODELS_H
#include "../compiler/onnx/export.h"

/* ---- weight initialisation (init.c) ---- */
typedef enum init_kind { INIT_CONSTANT, INIT_NORMAL, INIT_UNIFORM } init_kind;

/* value: the constant, the standard deviation, or the bound of U(-value, value); offset is added
   to what is drawn. */
typedef struct init_rule {
    init_kind kind;
    double value, offset;
} init_rule;

init_rule init_constant(double value);
init_rule init_normal(double deviation);
init_rule init_uniform(double bound);
/* n values of one parameter. Each parameter has a random stream of its own, named by (seed,
   stream); the same numbers on every machine. Little-endian float32 to out, which may be
   unaligned. */
void init_fill(init_rule rule, uint64_t seed, uint64_t stream, size_t n, unsigned char *out);

/* How the weight and the bias of a convolution or a linear layer are drawn. */
typedef enum init_scheme {
    SCHEME_TORCH,           /* PyTorch's default: weight and bias U(+-1/sqrt(fan_in)) */
    SCHEME_TORCH_ZERO_BIAS, /* the same weight, bias 0 */
    SCHEME_KAIMING_OUT,     /* N(0, 2/fan_out), bias 0 (He et al. 2015, which keeps the gradient's
                               variance) */
    SCHEME_KAIMING_IN,      /* N(0, 2/fan_in), bias 0 */
    SCHEME_NORMAL,          /* N(0, deviation^2), bias 0 */
    SCHEME_XAVIER           /* U(+-sqrt(3/fan_in)), bias 0 (Caffe's "xavier") */
} init_scheme;

typedef struct init_policy {
    init_scheme conv, linear;
    double conv_deviation, linear_deviation; /* for SCHEME_NORMAL */
} init_policy;

/* ---- builder (builder.c) ---- */
/* A value of the graph; the batch axis is implied. flat: [N, channels]. */
typedef struct feature {
    const char *name;
    int64_t channels, height, width;
    bool flat;
    double power;  /* mean square to be expected with the weights as drawn and an input of power 1;
                      used by random_statistics */
    bool positive; /* a ReLU's value, or a sum with one: the next ReLU takes little away from it */
} feature;

typedef struct model_request { /* what the user asked for; 0 = the architecture's default */
    int64_t classes, channels, height, width, embedding_size;
    double width_factor;
    bool has_residual_scale; /* the BatchNormalization that ends a residual branch begins with this
                                scale, not 1 */
    double residual_scale;
    bool has_dropout; /* dropout is what --dropout says, not the paper's */
    float dropout;
    uint64_t seed;
    /* Draw what BatchNormalization and PReLU hold as if the net had been trained (statistics near
       those of the values they meet) instead of 0, 1 and 0.25, with which many mistakes in a
       compiler would not show and deep nets overflow. */
    bool random_statistics;
} model_request;

typedef struct builder builder;

builder *builder_create(const model_request *request);
void builder_destroy(builder *b);
const model_request *builder_request(const builder *b);
/* For the layers built from here on. */
void builder_init(builder *b, init_policy policy);
/* A path from a format, in the builder's arena: nn_path(b, "layer%d.%d", 1, 0). */
const char *nn_path(builder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The module that the paths of layers are relative to from here on; "": the model. */
void nn_scope(builder *b, const char *path);
/* NULL, or why the requested input does not fit ("too small for ..."). The graph must not be
   written then. */
const char *builder_problem(const builder *b);
/* Trainable parameters so far: weights, biases, scales, slopes; not the running statistics. */
uint64_t builder_parameters(const builder *b);
/* Borrowed from the builder. */
const onnx_model *builder_model(builder *b, const char *architecture);

/* Channels scaled by the width factor, to a multiple of 8 that is not more than 10 % below
   (MobileNet V2's rule). */
int64_t nn_scaled(const builder *b, int64_t channels);
/* The graph input "input" [N, channels, height, width]. */
feature nn_input(builder *b);
/* The tensor that serves as embedding. */
void mark_embedding(builder *b, feature x);
/* What ends a network: class scores of x, the output "logits"; or x itself, the output "embedding".
   Both with the preprocessing that such networks are published with. */
void nn_classifier(builder *b, const char *path, feature x);
void nn_face(builder *b, feature x);

typedef struct conv_shape {
    int64_t out, kernel, pad;
    int64_t stride, group; /* 0 = 1 */
    int64_t kernel_width;  /* 0 = kernel */
    bool bias;
} conv_shape;

static inline conv_shape conv1x1(int64_t out) { return (conv_shape){.out = out, .kernel = 1}; }
static inline conv_shape conv3x3(int64_t out, int64_t stride) {
    return (conv_shape){.out = out, .kernel = 3, .pad = 1, .stride = stride};
}
static inline conv_shape depthwise3x3(int64_t channels, int64_t stride) {
    return (conv_shape){
        .out = channels, .kernel = 3, .pad = 1, .stride = stride, .group = channels};
}

/* Every layer takes the path of its module ("layer1.0.conv1"): parameters are PATH.weight ..., the
   node is /layer1/0/conv1/Conv. */
feature nn_conv(builder *b, const char *path, feature x, conv_shape c);
feature nn_batch_norm(builder *b, const char *path, feature x);
/* The last of a residual branch, whose scale the request may set (Goyal et al. 2017, section 5.1,
   begin with 0). */
feature nn_residual_bn(builder *b, const char *path, feature x);
feature nn_relu(builder *b, const char *path, feature x);
feature nn_relu6(builder *b, const char *path, feature x);
feature nn_prelu(builder *b, const char *path, feature x);
feature nn_dropout(builder *b, const char *path, feature x, float ratio);
feature nn_max_pool(builder *b, const char *path, feature x, int64_t kernel, int64_t stride,
                    int64_t pad);
feature nn_avg_pool(builder *b, const char *path, feature x, int64_t kernel, int64_t stride);
/* The mean of each channel, flat. */
feature nn_global_avg_pool(builder *b, const char *path, feature x);
/* PyTorch's AdaptiveAvgPool2d(size): nothing when x has that size, AveragePool where it divides,
   else two matrix products. */
feature nn_adaptive_avg_pool(builder *b, const char *path, feature x, int64_t size);
feature nn_flatten(builder *b, const char *path, feature x);
feature nn_gemm(builder *b, const char *path, feature x, int64_t out, bool bias);
feature nn_add(builder *b, const char *path, feature x, feature y);
feature nn_concat(builder *b, const char *path, const feature *x, size_t n);
/* conv + BatchNormalization, without a bias in between. */
feature nn_conv_bn(builder *b, const char *conv_path, const char *bn_path, feature x, conv_shape c);

/* ---- architectures (new.c holds the table) ---- */
typedef struct architecture {
    const char *name;
    void (*build)(builder *b, const struct architecture *self);
    const int *plan;    /* depth per stage, or what the family's file says */
    int option;         /* family specific: batch normalisation, bottleneck ... */
    bool face;          /* outputs an embedding instead of logits */
    bool has_width;     /* takes --width */
    int size;           /* published input is 3 x size x size */
    int embedding_size; /* of a face net, as published */
    const char *about;
} architecture;

extern const architecture architectures[];
extern const size_t n_architectures;
const architecture *architecture_find(const char *name);
/* Fills defaults, builds. Never NULL; look at builder_problem(). Destroy with builder_destroy(). */
builder *architecture_build(const architecture *arch, const model_request *request);

void build_alexnet(builder *b, const architecture *self);
void build_vgg(builder *b, const architecture *self);
void build_resnet(builder *b, const architecture *self);
void build_densenet(builder *b, const architecture *self);
void build_mobilenet_v1(builder *b, const architecture *self);
void build_mobilenet_v2(builder *b, const architecture *self);
void build_mobilefacenet(builder *b, const architecture *self);
void build_iresnet(builder *b, const architecture *self);
void build_sphereface(builder *b, const architecture *self);
#endif
