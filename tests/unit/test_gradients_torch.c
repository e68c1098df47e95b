/* Gradient rules against PyTorch's numbers (tests/golden/gradients.h, which
   tests/oracle/make_gradients.py makes): what finite differences cannot see, which of several
   maxima gets the gradient, and a second opinion on the rest. Operands follow the formula of the
   script. */
#include "compiler/ir/interpret.h"
#include "op_case.h"

#include "../../compiler/ir/grad.h"
#include "../../compiler/passes/front.h"
#include "../golden/gradients.h"

typedef struct golden_case {
    const char *name, *op;
    int opset;
    const char *domain; /* NULL = "" */
    attribute attrs[8];
    bool ties;
    shape in[6];           /* rank 0: absent */
    const double *want[6]; /* gradients; NULL: not wanted */
} golden_case;

#define STATISTICS \
    {1, {3}}, {    \
        1, { 3 }   \
    }

static const golden_case cases[] = {
    {"Conv",
     "Conv",
     11,
     NULL,
     {I("group", 2), L("strides", 2, 2, 1), L("pads", 4, 1, 0, 1, 0), L("dilations", 2, 1, 2)},
     false,
     {{4, {2, 4, 7, 6}}, {4, {6, 2, 3, 2}}, {1, {6}}},
     {golden_conv_0, golden_conv_1, golden_conv_2}},
    {"Conv 1-D",
     "Conv",
     11,
     NULL,
     {L("strides", 1, 3), L("pads", 2, 2, 2)},
     false,
     {{3, {2, 3, 9}}, {3, {4, 3, 4}}, {1, {4}}},
     {golden_conv1d_0, golden_conv1d_1, golden_conv1d_2}},
    {"Conv 3-D",
     "Conv",
     11,
     NULL,
     {L("strides", 3, 1, 2, 1), L("pads", 6, 1, 0, 1, 1, 0, 1)},
     false,
     {{5, {1, 2, 3, 4, 5}}, {5, {3, 2, 2, 2, 3}}},
     {golden_conv3d_0, golden_conv3d_1}},
    {"depthwise",
     "Conv",
     11,
     NULL,
     {I("group", 5), L("strides", 2, 2, 2), L("pads", 4, 1, 1, 1, 1)},
     false,
     {{4, {2, 5, 5, 6}}, {4, {5, 1, 3, 3}}},
     {golden_depthwise_0, golden_depthwise_1}},
    {"ConvTranspose",
     "ConvTranspose",
     11,
     NULL,
     {I("group", 2), L("strides", 2, 2, 3), L("pads", 4, 1, 0, 1, 0), L("output_padding", 2, 1, 2),
      L("dilations", 2, 1, 2)},
     false,
     {{4, {2, 4, 3, 4}}, {4, {4, 3, 3, 2}}, {1, {6}}},
     {golden_transposed_0, golden_transposed_1, golden_transposed_2}},
    {"MaxPool",
     "MaxPool",
     12,
     NULL,
     {L("kernel_shape", 2, 3, 2), L("strides", 2, 2, 2), L("pads", 4, 1, 1, 1, 1),
      L("dilations", 2, 1, 2), I("ceil_mode", 1)},
     true,
     {{4, {2, 3, 7, 6}}},
     {golden_max_pool_0}},
    {"GlobalMaxPool",
     "GlobalMaxPool",
     1,
     NULL,
     {{0}},
     true,
     {{4, {2, 5, 4, 6}}},
     {golden_global_max_pool_0}},
    {"ReduceProd",
     "ReduceProd",
     13,
     NULL,
     {L("axes", 1, 1), I("keepdims", 0)},
     true,
     {{2, {6, 7}}},
     {golden_reduce_prod_0}},
    {"AveragePool",
     "AveragePool",
     19,
     NULL,
     {L("kernel_shape", 2, 3, 2), L("strides", 2, 2, 3), L("pads", 4, 1, 0, 1, 0),
      I("ceil_mode", 1)},
     false,
     {{4, {2, 3, 7, 6}}},
     {golden_average_pool_0}},
    {"AveragePool, pads counted",
     "AveragePool",
     19,
     NULL,
     {L("kernel_shape", 2, 3, 4), L("strides", 2, 2, 3), L("pads", 4, 1, 2, 1, 2),
      I("ceil_mode", 1), I("count_include_pad", 1)},
     false,
     {{4, {2, 3, 7, 6}}},
     {golden_average_pool_pads_0}},
    {"GlobalAveragePool",
     "GlobalAveragePool",
     1,
     NULL,
     {{0}},
     false,
     {{4, {2, 3, 3, 4}}},
     {golden_global_average_pool_0}},
    {"BatchNormTrain",
     "BatchNormTrain",
     1,
     "cameo",
     {F("epsilon", 1e-3), F("momentum", 0.75), S("act", "relu")},
     false,
     {{4, {4, 3, 3, 2}}, {1, {3}}, {1, {3}}, STATISTICS},
     {golden_batchnorm_train_0, golden_batchnorm_train_1, golden_batchnorm_train_2}},
    {"BatchNormTrain with a residual",
     "BatchNormTrain",
     1,
     "cameo",
     {F("epsilon", 1e-3), S("act", "clip"), F("act_min", 0), F("act_max", 6)},
     false,
     {{4, {4, 3, 3, 2}}, {1, {3}}, {1, {3}}, STATISTICS, {4, {4, 3, 3, 2}}},
     {golden_batchnorm_residual_0, golden_batchnorm_residual_1, golden_batchnorm_residual_2, NULL,
      NULL, golden_batchnorm_residual_5}},
    {"BatchNormalization",
     "BatchNormalization",
     15,
     NULL,
     {F("epsilon", 1e-3)},
     false,
     {{4, {4, 3, 3, 2}}, {1, {3}}, {1, {3}}, STATISTICS},
     {golden_batchnorm_fixed_0, golden_batchnorm_fixed_1, golden_batchnorm_fixed_2}},
    {"InstanceNormalization",
     "InstanceNormalization",
     6,
     NULL,
     {F("epsilon", 1e-3)},
     false,
     {{4, {2, 3, 5, 2}}, {1, {3}}, {1, {3}}},
     {golden_instance_norm_0, golden_instance_norm_1, golden_instance_norm_2}},
    {"LayerNormalization",
     "LayerNormalization",
     17,
     NULL,
     {I("axis", 2), F("epsilon", 1e-3)},
     false,
     {{4, {2, 4, 3, 5}}, {2, {3, 5}}, {2, {3, 5}}},
     {golden_layer_norm_0, golden_layer_norm_1, golden_layer_norm_2}},
    {"LRN",
     "LRN",
     13,
     NULL,
     {I("size", 5), F("alpha", 0.75), F("beta", 0.6), F("bias", 1.5)},
     false,
     {{4, {2, 7, 3, 2}}},
     {golden_lrn_0}},
};

static double element(int64_t i, int64_t k, bool ties) {
    return (double)((7 * i + 3 * i * i + 13 * k) % 23 - 11) / 8 + (ties ? 0 : (double)i / 512);
}

/* A running variance is positive. */
static bool is_variance(const golden_case *c, size_t k) {
    return k == 4 && strstr(c->op, "BatchNorm");
}

typedef struct world {
    arena *a;
    diag d;
    graph *g;
    tensor *data[8]; /* of graph inputs */
} world;

static value *add_input(world *w, tensor *t) {
    value *v = graph_add_value(w->g, NULL);
    v->type = t->type, v->shape = t->shape, v->shaped = v->is_input = true;
    w->data[w->g->n_inputs] = t;
    return w->g->inputs[w->g->n_inputs++] = v;
}

static size_t add_operands(world *w, const golden_case *c, value **in) {
    size_t k = 0;
    for (; k < 6 && c->in[k].rank; k++) {
        tensor *t = tensor_new(w->a, DT_DOUBLE, &c->in[k]);
        for (int64_t i = 0; i < shape_count(&t->shape); i++) {
            const double v = element(i, (int64_t)k, c->ties);
            tensor_set(t, i, is_variance(c, k) ? fabs(v) + 0.5 : v);
        }
        in[k] = add_input(w, t);
        in[k]->wants_grad = c->want[k] != NULL;
    }
    return k;
}

static node *add_node(world *w, const golden_case *c) {
    value *in[6] = {NULL}, *out[5];
    const size_t n_in = add_operands(w, c, in), n_out = !strcmp(c->op, "BatchNormTrain") ? 5 : 1;
    for (size_t i = 0; i < n_out; i++) out[i] = graph_add_value(w->g, NULL);
    node *n = graph_add_node(w->g, c->op, c->domain ? c->domain : "", in, n_in, out, n_out);
    n->opset = c->opset, n->name = c->name;
    case_attributes(w->g, n, c->attrs);
    if (!resolve_node(w->g, n) || !n->op->infer(w->g, n))
        fail_msg("%s: %s", c->name, w->d.first ? w->d.first->message : "?");
    return n;
}

static value *incoming(world *w, const value *y) {
    tensor *dy = tensor_new(w->a, DT_DOUBLE, &y->shape);
    for (int64_t i = 0; i < shape_count(&dy->shape); i++)
        tensor_set(dy, i, (double)((5 * i + 3) % 7 - 3) / 2);
    return add_input(w, dy);
}

static void compare(const golden_case *c, size_t k, const tensor *got) {
    const int64_t n = shape_count(&got->shape), step = (n + 39) / 40;
    assert_true(shape_equal(&got->shape, &c->in[k]));
    for (int64_t i = 0; i < n; i += step) {
        const double x = tensor_get(got, i), want = c->want[k][i / step];
        if (!(fabs(x - want) <= 1e-6 + 1e-6 * fabs(want))) /* attributes are floats: epsilon is not
                                                              exactly 0.001 */
            fail_msg("%s: gradient of input %zu, element %d, is %.9g, not %.9g", c->name, k, (int)i,
                     x, want);
    }
}

static void compare_running(const tensor *mean, const tensor *variance) {
    for (int64_t i = 0; i < 3; i++) {
        assert_true(fabs(tensor_get(mean, i) - golden_running_mean[i]) < 1e-9);
        assert_true(fabs(tensor_get(variance, i) - golden_running_variance[i]) < 1e-9);
    }
}

static void run(const golden_case *c) {
    world w = {.a = arena_create()};
    w.d = (diag){.arena = w.a, .file = "test"};
    w.g = graph_create(w.a, &w.d);
    w.g->inputs = ARENA_ARRAY(w.a, value *, 8);
    node *n = add_node(&w, c);
    value *din[6] = {NULL}, *dout[5] = {incoming(&w, n->out[0])};
    if (!n->op->grad(w.g, n, dout, din)) fail_msg("%s: %s", c->name, w.d.first->message);
    tensor **results = ARENA_ARRAY(w.a, tensor *, w.g->n_values + 1);
    if (!interpret(w.g, w.data, results)) fail_msg("%s: %s", c->name, w.d.first->message);
    for (size_t k = 0; k < n->n_in; k++)
        if (c->want[k]) compare(c, k, results[din[k]->id]);
    if (!strcmp(c->name, "BatchNormTrain"))
        compare_running(results[n->out[3]->id], results[n->out[4]->id]);
    arena_destroy(w.a);
}

static void test_torch(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) run(&cases[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_torch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
