/* The builder: layers in, an onnx_model description out. See models.h.

   Names follow PyTorch's: a module at layer1.0.conv1 owns the parameters layer1.0.conv1.weight
   ..., its node is /layer1/0/conv1/Conv and its value /layer1/0/conv1/Conv_output_0. A name met
   again gets the suffix _1, _2 ... */
#include "models.h"

#include "../runtime/cameo.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct list { /* growing array in the arena */
    void *items;
    size_t count, capacity;
} list;

struct builder {
    arena *arena;
    model_request request;
    init_policy init;
    list nodes, initializers, properties;
    onnx_value input, output;
    onnx_model model;
    uint64_t parameters;
    const char *problem;
    const char *scope;
    const char *clip_low, *clip_high; /* the two constants every Clip of a model shares */
};

typedef struct weight_source { /* what fill_weights needs to know of a parameter */
    init_rule rule;
    uint64_t seed, stream;
} weight_source;

static void *list_add(builder *b, list *l, size_t size) {
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 64;
        l->items = arena_copy(b->arena, l->items, l->count, l->capacity, size);
    }
    return (char *)l->items + size * l->count++;
}

/* ---- life ---- */

builder *builder_create(const model_request *request) {
    arena *a = arena_create();
    builder *b = ARENA_NEW(a, builder);
    b->arena = a;
    b->request = *request;
    b->scope = "";
    return b;
}

void builder_destroy(builder *b) {
    if (b) arena_destroy(b->arena);
}

const model_request *builder_request(const builder *b) { return &b->request; }
void builder_init(builder *b, init_policy policy) { b->init = policy; }
const char *builder_problem(const builder *b) { return b->problem; }
uint64_t builder_parameters(const builder *b) { return b->parameters; }

const char *nn_path(builder *b, const char *format, ...) {
    char path[128];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(path, sizeof path, format, args);
    va_end(args);
    return arena_strndup(b->arena, path, n < (int)sizeof path ? (size_t)n : sizeof path - 1);
}

void nn_scope(builder *b, const char *path) { b->scope = path; }

static const char *whole_path(builder *b, const char *path) {
    if (!*b->scope || !*path) return *path ? path : b->scope;
    return arena_printf(b->arena, "%s.%s", b->scope, path);
}

/* ---- parameters and constants ---- */

static void fill_weights(const onnx_tensor *t, size_t count, unsigned char *out) {
    const weight_source *s = t->source;
    init_fill(s->rule, s->seed, s->stream, count, out);
}

static const char *state(builder *b, const char *path, const char *suffix, init_rule rule,
                         size_t rank, const int64_t *dims) {
    weight_source *s = ARENA_NEW(b->arena, weight_source);
    *s = (weight_source){rule, b->request.seed, b->initializers.count};
    onnx_tensor *t = list_add(b, &b->initializers, sizeof *t);
    *t = (onnx_tensor){.name = arena_printf(b->arena, "%s.%s", whole_path(b, path), suffix),
                       .dtype = ONNX_FLOAT32,
                       .rank = rank,
                       .dims = ARENA_COPY(b->arena, dims, rank, rank),
                       .fill = fill_weights,
                       .source = s};
    return t->name;
}

static const char *parameter(builder *b, const char *path, const char *suffix, init_rule rule,
                             size_t rank, const int64_t *dims) {
    uint64_t count = 1;
    for (size_t i = 0; i < rank; i++) count *= (uint64_t)dims[i];
    b->parameters += count;
    return state(b, path, suffix, rule, rank, dims);
}

static init_rule weight_rule(init_scheme scheme, double deviation, int64_t fan_in,
                             int64_t fan_out) {
    switch (scheme) {
    case SCHEME_KAIMING_OUT: return init_normal(sqrt(2.0 / (double)fan_out));
    case SCHEME_KAIMING_IN: return init_normal(sqrt(2.0 / (double)fan_in));
    case SCHEME_NORMAL: return init_normal(deviation);
    case SCHEME_XAVIER: return init_uniform(sqrt(3.0 / (double)fan_in));
    case SCHEME_TORCH:
    case SCHEME_TORCH_ZERO_BIAS: break;
    }
    return init_uniform(1.0 / sqrt((double)fan_in));
}

/* Variance of what a rule draws. */
static double rule_variance(init_rule r) {
    return r.kind == INIT_UNIFORM ? r.value * r.value / 3 : r.value * r.value;
}

static init_rule shifted(init_rule r, double offset) {
    r.offset = offset;
    return r;
}

static init_rule bias_rule(init_scheme scheme, int64_t fan_in) {
    return scheme == SCHEME_TORCH ? init_uniform(1.0 / sqrt((double)fan_in)) : init_constant(0);
}

/* ---- nodes ---- */

static bool name_taken(const builder *b, const char *name) {
    const onnx_node *nodes = b->nodes.items;
    for (size_t i = 0; i < b->nodes.count; i++)
        if (strcmp(nodes[i].name, name) == 0) return true;
    return false;
}

static const char *node_name(builder *b, const char *path, const char *op) {
    path = whole_path(b, path);
    char *base = arena_printf(b->arena, "/%s%s%s", path, *path ? "/" : "", op);
    for (char *p = base; *p; p++)
        if (*p == '.') *p = '/';
    const char *name = base;
    for (int i = 1; name_taken(b, name); i++) name = arena_printf(b->arena, "%s_%d", base, i);
    return name;
}

/* inputs end with NULL, attributes with one that has no name; no attributes: NULL. */
static const char *node(builder *b, const char *op, const char *path, const char *const *inputs,
                        const onnx_attribute *attributes) {
    size_t n_inputs = 0, n_attributes = 0;
    while (inputs[n_inputs]) n_inputs++;
    while (attributes && attributes[n_attributes].name) n_attributes++;
    const char *name = node_name(b, path, op);
    const char **names = ARENA_COPY(b->arena, inputs, n_inputs, n_inputs + 1);
    names[n_inputs] = arena_printf(b->arena, "%s_output_0", name);
    onnx_node *n = list_add(b, &b->nodes, sizeof *n);
    *n = (onnx_node){.op = op,
                     .name = name,
                     .inputs = names,
                     .n_inputs = n_inputs,
                     .outputs = names + n_inputs,
                     .n_outputs = 1,
                     .attributes = ARENA_COPY(b->arena, attributes, n_attributes, n_attributes),
                     .n_attributes = n_attributes};
    return n->outputs[0];
}

#define INPUTS(...) \
    (const char *[]) { __VA_ARGS__, NULL }
#define ATTRIBUTES(...)    \
    (onnx_attribute[]) {   \
        __VA_ARGS__, { 0 } \
    }

static onnx_attribute attribute_int(const char *name, int64_t i) {
    return (onnx_attribute){.name = name, .type = ONNX_ATTR_INT, .i = i};
}

static onnx_attribute attribute_float(const char *name, float f) {
    return (onnx_attribute){.name = name, .type = ONNX_ATTR_FLOAT, .f = f};
}

static onnx_attribute attribute_ints(builder *b, const char *name, size_t n, const int64_t *ints) {
    return (onnx_attribute){.name = name,
                            .type = ONNX_ATTR_INTS,
                            .ints = ARENA_COPY(b->arena, ints, n, n),
                            .n_ints = n};
}

/* A Constant node rather than an initializer: an initializer would be taken for a parameter when
   training. */
static const char *constant(builder *b, const char *path, size_t rank, const int64_t *dims,
                            const float *values) {
    size_t count = 1;
    for (size_t i = 0; i < rank; i++) count *= (size_t)dims[i];
    onnx_tensor *t = ARENA_NEW(b->arena, onnx_tensor);
    *t = (onnx_tensor){.dtype = ONNX_FLOAT32,
                       .rank = rank,
                       .dims = ARENA_COPY(b->arena, dims, rank, rank),
                       .data = ARENA_COPY(b->arena, values, count, count)};
    return node(b, "Constant", path, INPUTS(NULL),
                ATTRIBUTES({.name = "value", .type = ONNX_ATTR_TENSOR, .t = t}));
}

static int64_t window_size(builder *b, const char *path, int64_t size, int64_t kernel,
                           int64_t stride, int64_t pad) {
    int64_t room = size + 2 * pad - kernel;
    if (room >= 0) return room / stride + 1;
    if (!b->problem)
        b->problem = arena_printf(
            b->arena,
            "input %lldx%lld is too small: a side of %lld reaches %s, whose window is %lld",
            (long long)b->request.height, (long long)b->request.width, (long long)size,
            whole_path(b, path), (long long)kernel);
    return 1;
}

/* ---- layers ---- */

int64_t nn_scaled(const builder *b, int64_t channels) {
    double wanted = (double)channels * b->request.width_factor;
    int64_t n = (int64_t)(wanted + 4) / 8 * 8;
    if (n < 8) n = 8;
    return (double)n < 0.9 * wanted ? n + 8 : n;
}

static onnx_dim *dims_of(builder *b, int64_t channels, int64_t height, int64_t width) {
    const onnx_dim d[] = {
        {.symbol = "N"}, {.value = channels}, {.value = height}, {.value = width}};
    return ARENA_COPY(b->arena, d, 4, 4);
}

feature nn_input(builder *b) {
    const model_request *r = &b->request;
    b->input = (onnx_value){"input", ONNX_FLOAT32, 4, dims_of(b, r->channels, r->height, r->width)};
    return (feature){"input", r->channels, r->height, r->width, false, 1, false};
}

/* x, the last layer's value, becomes the graph output and takes that name. */
static feature output(builder *b, feature x, const char *name) {
    onnx_node *nodes = b->nodes.items;
    for (size_t i = 0; i < b->nodes.count; i++)
        if (strcmp(nodes[i].outputs[0], x.name) == 0) nodes[i].outputs[0] = name;
    b->output = (onnx_value){name, ONNX_FLOAT32, x.flat ? 2 : 4,
                             dims_of(b, x.channels, x.height, x.width)};
    x.name = name;
    return x;
}

feature nn_conv(builder *b, const char *path, feature x, conv_shape c) {
    int64_t group = c.group ? c.group : 1, kw = c.kernel_width ? c.kernel_width : c.kernel;
    int64_t stride = c.stride ? c.stride : 1, in = x.channels / group;
    int64_t fan_in = in * c.kernel * kw, fan_out = c.out * c.kernel * kw;
    init_rule rule = weight_rule(b->init.conv, b->init.conv_deviation, fan_in, fan_out);
    const char *w = parameter(b, path, "weight", rule, 4, (int64_t[]){c.out, in, c.kernel, kw});
    const char *bias = c.bias ? parameter(b, path, "bias", bias_rule(b->init.conv, fan_in), 1,
                                          (int64_t[]){c.out})
                              : NULL;
    x.channels = c.out;
    x.height = window_size(b, path, x.height, c.kernel, stride, c.pad);
    x.width = window_size(b, path, x.width, kw, stride, c.pad);
    x.power = x.power * (double)fan_in * rule_variance(rule);
    x.positive = false;
    x.name = node(b, "Conv", path, INPUTS(x.name, w, bias),
                  ATTRIBUTES(attribute_ints(b, "dilations", 2, (int64_t[]){1, 1}),
                             attribute_int("group", group),
                             attribute_ints(b, "kernel_shape", 2, (int64_t[]){c.kernel, kw}),
                             attribute_ints(b, "pads", 4, (int64_t[]){c.pad, c.pad, c.pad, c.pad}),
                             attribute_ints(b, "strides", 2, (int64_t[]){stride, stride})));
    return x;
}

typedef struct norm_rules {
    init_rule scale, shift, mean, variance;
} norm_rules;

static norm_rules norm_rules_of(const builder *b, double power) {
    if (!b->request.random_statistics)
        return (norm_rules){init_constant(1), init_constant(0), init_constant(0), init_constant(1)};
    return (norm_rules){shifted(init_uniform(0.2), 1), init_normal(0.1),
                        init_normal(0.1 * sqrt(power)), shifted(init_uniform(0.2 * power), power)};
}

static feature batch_norm(builder *b, const char *path, feature x, norm_rules rules) {
    int64_t n[1] = {x.channels};
    const char *scale = parameter(b, path, "weight", rules.scale, 1, n),
               *shift = parameter(b, path, "bias", rules.shift, 1, n),
               *mean = state(b, path, "running_mean", rules.mean, 1, n),
               *variance = state(b, path, "running_var", rules.variance, 1, n);
    x.name = node(b, "BatchNormalization", path, INPUTS(x.name, scale, shift, mean, variance),
                  ATTRIBUTES(attribute_float("epsilon", 1e-5f), attribute_float("momentum", 0.9f)));
    if (b->request.random_statistics) x.power = 1;
    x.positive = false;
    return x;
}

feature nn_batch_norm(builder *b, const char *path, feature x) {
    return batch_norm(b, path, x, norm_rules_of(b, x.power));
}

feature nn_residual_bn(builder *b, const char *path, feature x) {
    norm_rules rules = norm_rules_of(b, x.power);
    if (b->request.has_residual_scale) rules.scale = init_constant(b->request.residual_scale);
    return batch_norm(b, path, x, rules);
}

feature nn_conv_bn(builder *b, const char *conv_path, const char *bn_path, feature x,
                   conv_shape c) {
    return nn_batch_norm(b, bn_path, nn_conv(b, conv_path, x, c));
}

feature nn_relu(builder *b, const char *path, feature x) {
    x.name = node(b, "Relu", path, INPUTS(x.name), NULL);
    if (!x.positive) x.power /= 2; /* symmetric about 0 */
    x.positive = true;
    return x;
}

feature nn_relu6(builder *b, const char *path, feature x) {
    if (!b->clip_low) {
        const char *scope = b->scope;
        b->scope = "relu6";
        b->clip_low = constant(b, "low", 0, NULL, (float[]){0});
        b->clip_high = constant(b, "high", 0, NULL, (float[]){6});
        b->scope = scope;
    }
    x.name = node(b, "Clip", path, INPUTS(x.name, b->clip_low, b->clip_high), NULL);
    x.power /= 2;
    return x;
}

/* One slope a channel, 0.25 at first (He et al. 2015). */
feature nn_prelu(builder *b, const char *path, feature x) {
    init_rule rule = b->request.random_statistics ? shifted(init_uniform(0.1), 0.25)
                                                  : init_constant(0.25);
    const char *slope = parameter(b, path, "weight", rule, x.flat ? 1 : 3,
                                  (int64_t[]){x.channels, 1, 1});
    x.name = node(b, "PRelu", path, INPUTS(x.name, slope), NULL);
    x.power *= (1 + 0.25 * 0.25) / 2;
    return x;
}

feature nn_dropout(builder *b, const char *path, feature x, float ratio) {
    const char *r = constant(b, path, 0, NULL,
                             b->request.has_dropout ? &b->request.dropout : &ratio);
    x.name = node(b, "Dropout", path, INPUTS(x.name, r), NULL);
    return x;
}

static feature pool(builder *b, const char *op, const char *path, feature x,
                    const int64_t kernel[2], const int64_t stride[2], int64_t pad) {
    x.height = window_size(b, path, x.height, kernel[0], stride[0], pad);
    x.width = window_size(b, path, x.width, kernel[1], stride[1], pad);
    x.name = node(b, op, path, INPUTS(x.name),
                  ATTRIBUTES(attribute_ints(b, "kernel_shape", 2, kernel),
                             attribute_ints(b, "pads", 4, (int64_t[]){pad, pad, pad, pad}),
                             attribute_ints(b, "strides", 2, stride)));
    return x;
}

feature nn_max_pool(builder *b, const char *path, feature x, int64_t kernel, int64_t stride,
                    int64_t pad) {
    return pool(b, "MaxPool", path, x, (int64_t[]){kernel, kernel}, (int64_t[]){stride, stride},
                pad);
}

feature nn_avg_pool(builder *b, const char *path, feature x, int64_t kernel, int64_t stride) {
    return pool(b, "AveragePool", path, x, (int64_t[]){kernel, kernel}, (int64_t[]){stride, stride},
                0);
}

feature nn_global_avg_pool(builder *b, const char *path, feature x) {
    x.name = node(b, "GlobalAveragePool", path, INPUTS(x.name), NULL);
    x.height = x.width = 1;
    return nn_flatten(b, "", x);
}

/* The matrix that averages `from` cells into `to`: cell i covers floor(i from / to) .. ceil((i +
   1) from / to), as PyTorch's. transposed: [from][to], else [to][from]. */
static const char *averaging(builder *b, const char *path, int64_t from, int64_t to,
                             bool transposed) {
    float *m = ARENA_ARRAY(b->arena, float, (size_t)(from * to));
    for (int64_t i = 0; i < to; i++) {
        int64_t first = i * from / to, end = ((i + 1) * from + to - 1) / to;
        for (int64_t k = first; k < end; k++)
            m[transposed ? k * to + i : i * from + k] = 1.0f / (float)(end - first);
    }
    return constant(b, path, 2, transposed ? (int64_t[]){from, to} : (int64_t[]){to, from}, m);
}

feature nn_adaptive_avg_pool(builder *b, const char *path, feature x, int64_t size) {
    if (x.height == size && x.width == size) return x;
    if (x.height % size == 0 && x.width % size == 0) {
        int64_t kernel[2] = {x.height / size, x.width / size};
        return pool(b, "AveragePool", path, x, kernel, kernel, 0);
    }
    const char *right = averaging(b, path, x.width, size, true);
    x.name = node(b, "MatMul", path, INPUTS(x.name, right), NULL);
    const char *left = averaging(b, path, x.height, size, false);
    x.name = node(b, "MatMul", path, INPUTS(left, x.name), NULL);
    x.height = x.width = size;
    return x;
}

feature nn_flatten(builder *b, const char *path, feature x) {
    const char *y = node(b, "Flatten", path, INPUTS(x.name), ATTRIBUTES(attribute_int("axis", 1)));
    return (feature){y, x.channels * x.height * x.width, 1, 1, true, x.power, x.positive};
}

feature nn_gemm(builder *b, const char *path, feature x, int64_t out, bool bias) {
    int64_t in = x.channels;
    init_rule rule = weight_rule(b->init.linear, b->init.linear_deviation, in, out);
    const char *w = parameter(b, path, "weight", rule, 2, (int64_t[]){out, in});
    const char *shift = bias ? parameter(b, path, "bias", bias_rule(b->init.linear, in), 1,
                                         (int64_t[]){out})
                             : NULL;
    const char *y = node(b, "Gemm", path, INPUTS(x.name, w, shift),
                         ATTRIBUTES(attribute_int("transB", 1)));
    return (feature){y, out, 1, 1, true, x.power * (double)in * rule_variance(rule), false};
}

feature nn_add(builder *b, const char *path, feature x, feature y) {
    if (x.channels != y.channels || x.height != y.height || x.width != y.width) {
        if (!b->problem)
            b->problem = arena_printf(b->arena, "the shapes added at %s differ",
                                      whole_path(b, path));
    }
    x.name = node(b, "Add", path, INPUTS(x.name, y.name), NULL);
    x.power += y.power;
    x.positive |= y.positive;
    return x;
}

feature nn_concat(builder *b, const char *path, const feature *x, size_t n) {
    const char **names = ARENA_ARRAY(b->arena, const char *, n + 1);
    feature y = x[0];
    y.channels = 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        names[i] = x[i].name;
        y.channels += x[i].channels;
        sum += x[i].power * (double)x[i].channels;
    }
    y.power = sum / (double)y.channels;
    y.name = node(b, "Concat", path, names, ATTRIBUTES(attribute_int("axis", 1)));
    return y;
}

/* ---- the finished model ---- */

static void property(builder *b, const char *key, const char *value) {
    cameo_entry *p = list_add(b, &b->properties, sizeof *p);
    *p = (cameo_entry){key, value};
}

void mark_embedding(builder *b, feature x) { property(b, "cameo.embedding", x.name); }

/* The short side to 256 for a 224 crop, in proportion for other sizes; value = (pixel - mean) /
   deviation per channel. */
static void imagenet_pictures(builder *b) {
    const model_request *r = &b->request;
    int64_t side = r->height < r->width ? r->height : r->width, resize = (side * 256 + 112) / 224;
    const char *color =
        "color=rgb mean=123.675,116.28,103.53 scale=0.0171247538,0.0175070028,0.0174291939";
    if (r->channels == 1)
        color = "color=gray mean=127.5 scale=0.00784313725";
    else if (r->channels != 3)
        return;
    property(b, "cameo.preprocess",
             arena_printf(b->arena, "resize=%lld crop=%lldx%lld %s resize=bilinear",
                          (long long)resize, (long long)r->width, (long long)r->height, color));
}

static void face_pictures(builder *b) {
    const model_request *r = &b->request;
    if (r->channels != 1 && r->channels != 3) return;
    property(b, "cameo.preprocess",
             arena_printf(
                 b->arena, "size=%lldx%lld color=%s mean=127.5 scale=0.00784313725 resize=bilinear",
                 (long long)r->width, (long long)r->height, r->channels == 1 ? "gray" : "rgb"));
}

void nn_classifier(builder *b, const char *path, feature x) {
    imagenet_pictures(b);
    output(b, nn_gemm(b, path, x, b->request.classes, true), "logits");
}

void nn_face(builder *b, feature x) {
    mark_embedding(b, output(b, x, "embedding"));
    face_pictures(b);
}

const onnx_model *builder_model(builder *b, const char *architecture_name) {
    if (b->model.nodes) return &b->model;
    property(b, "cameo.architecture", architecture_name);
    b->model = (onnx_model){.producer = "cameo",
                            .producer_version = CAMEO_VERSION,
                            .graph_name = architecture_name,
                            .nodes = b->nodes.items,
                            .n_nodes = b->nodes.count,
                            .initializers = b->initializers.items,
                            .n_initializers = b->initializers.count,
                            .inputs = &b->input,
                            .n_inputs = 1,
                            .outputs = &b->output,
                            .n_outputs = 1,
                            .properties = b->properties.items,
                            .n_properties = b->properties.count};
    return &b->model;
}
