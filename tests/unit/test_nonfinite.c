/* NaN and infinities through everything: each elementwise row, rows whose other tests are ONNX's,
   and networks of one or a few layers through native kernels, plain loops and XNNPACK. (Kernels at
   every vector width: test_kernels*.c.) A NaN that goes in must come out where the reference has
   one, and nowhere else; infinities likewise. */
#define _GNU_SOURCE
#include "op_case.h"

#include "poison_case.h"

#include "../../compiler/ops/pointwise.h"

/* ---- rows ---- */

static void every_elementwise_row(void **state) {
    static row_case cases[CASES_SEEN];
    const operand numbers = V(12, -3, -2, -1, -0.5, -0.1, 0, 0.1, 0.5, 1, 2, 3, 4),
                  slopes = V(12, 2, 1, 3, 2, 1, 2, 3, 1, 2, 1, 2, 1);
    case_seen_count = 0;
    for (size_t i = 0; op_at(i); i++) {
        const op_row *r = op_at(i);
        if (r->infer != pointwise_infer || r->until) continue;
        row_case *c = &cases[case_seen_count];
        *c = (row_case){.name = "row", .op = r->name, .opset = r->since, .domain = r->domain};
        c->n_in = (size_t)(r->max_in < 0 ? 3 : r->min_in);
        for (size_t k = 0; k < c->n_in; k++) c->in[k] = k ? slopes : numbers;
        case_seen[case_seen_count++] = c;
    }
    assert_true(case_seen_count > 60);
    poisoned(state);
}

#define IMAGE                                                                                      \
    X(4, D(1, 2, 4, 4), 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, -1, -2, -3, -4, -5, -6, 1, \
      2, 3, 4, 5, 6, 7, 8, 9, 1)
#define LINE X(3, D(1, 2, 9), 1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -2, -3, -4, -5, 4, 3, 2, 1)
#define ROW(type, version, inputs, outputs, operands, ...)                             \
    {                                                                                  \
        .name = "row", .op = type, .opset = version, .n_in = inputs, .n_out = outputs, \
        .in = operands, .attrs = {                                                     \
            __VA_ARGS__                                                                \
        }                                                                              \
    }
#define KERNEL L("kernel_shape", 2, 2, 2)

static void every_other_row(void **state) {
    static const row_case cases[] = {
        ROW("MaxPool", 12, 1, 1, D(IMAGE), KERNEL, L("pads", 4, 1, 0, 0, 1), L("strides", 2, 2, 1)),
        ROW("MaxPool", 12, 1, 2, D(IMAGE), KERNEL, L("dilations", 2, 2, 2)),
        ROW("MaxPool", 12, 1, 1, D(LINE), L("kernel_shape", 1, 3), I("ceil_mode", 1),
            L("strides", 1, 2)),
        ROW("AveragePool", 11, 1, 1, D(IMAGE), KERNEL, L("pads", 4, 1, 0, 0, 1),
            I("count_include_pad", 1)),
        ROW("AveragePool", 11, 1, 1, D(LINE), L("kernel_shape", 1, 3)),
        ROW("GlobalAveragePool", 1, 1, 1, D(IMAGE), {0}),
        ROW("GlobalMaxPool", 1, 1, 1, D(IMAGE), {0}),
        ROW("Conv", 11, 2, 1, D(LINE, X(3, D(2, 2, 3), 1, -1, 2, 3, 1, -2, 1, 1, 1, 2, 2, 2)),
            L("pads", 2, 1, 1)),
        ROW("Conv", 11, 3, 1, D(IMAGE, X(4, D(1, 2, 2, 2), 1, -1, 2, 3, 1, -2, 1, 1), V(1, 2)),
            L("strides", 2, 2, 1)),
        ROW("ConvTranspose", 11, 2, 1, D(IMAGE, X(4, D(2, 1, 2, 2), 1, -1, 2, 3, 1, -2, 1, 1)),
            L("strides", 2, 2, 2)),
        ROW("ReduceMax", 13, 1, 1, D(IMAGE), L("axes", 2, 2, 3)),
        ROW("ReduceMin", 13, 1, 1, D(IMAGE), L("axes", 1, 1)),
        ROW("ReduceL1", 13, 1, 1, D(IMAGE), L("axes", 1, 3)),
        ROW("ReduceL2", 13, 1, 1, D(IMAGE), L("axes", 1, 3)),
        ROW("ArgMax", 13, 1, 1, D(IMAGE), I("axis", 3)),
        ROW("ArgMax", 13, 1, 1, D(IMAGE), I("axis", 2), I("select_last_index", 1)),
        ROW("ArgMin", 13, 1, 1, D(IMAGE), I("axis", 3)),
        ROW("ArgMin", 13, 1, 1, D(IMAGE), I("axis", 1), I("select_last_index", 1)),
        ROW("Resize", 13, 3, 1, D(IMAGE, ABSENT, V(4, 1, 1, 2, 2)), S("mode", "linear")),
        ROW("Resize", 13, 3, 1, D(IMAGE, ABSENT, V(4, 1, 1, 0.5, 2)), S("mode", "nearest")),
        ROW("Clip", 13, 3, 1, D(IMAGE, SCALAR(0), SCALAR(6)), {0}),
        ROW("Cast", 13, 1, 1, D(IMAGE), I("to", DT_INT64)),
        ROW("Cast", 13, 1, 1, D(IMAGE), I("to", DT_UINT8)),
        ROW("Softmax", 13, 1, 1, D(IMAGE), {0}),
        ROW("Softmax", 13, 1, 1, D(IMAGE), I("axis", 1)),
    };
    case_seen_count = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        case_seen[case_seen_count++] = &cases[i];
    poisoned(state);
}

/* ---- kernels ---- */

typedef struct net {  /* one layer, or the few a chain is made of */
    const char *what; /* c convolution, r of a row, l of a column, d depthwise, t transposed, m max,
                         a average, G global average, M global max, g Gemm, b BatchNormalization, +
                         sum, * product; of each layer one */
    int64_t c, h, w, k, kernel, stride, group, pad, dilation;
    const char *act;
    bool residual; /* of layers that keep height and width */
} net;

static const net nets[] = {
    {"c", 32, 14, 14, 64, 1, 1, 1, 0, 1, "Relu", false},
    {"c", 19, 7, 9, 33, 1, 1, 1, 0, 1, "LeakyRelu", true},
    {"c", 64, 7, 7, 128, 1, 2, 1, 0, 1, "Clip", false},
    {"c", 64, 14, 14, 64, 3, 1, 1, 1, 1, "Relu", true},
    {"c", 32, 28, 28, 48, 3, 1, 1, 1, 1, "none", false},
    {"c", 48, 29, 31, 40, 3, 1, 1, 1, 1, "PRelu", false},
    {"c", 64, 13, 15, 64, 3, 1, 1, 0, 1, "Tanh", false},
    {"c", 32, 20, 20, 32, 5, 1, 1, 2, 1, "Sigmoid", false},
    {"c", 3, 33, 35, 16, 7, 2, 1, 3, 1, "Relu", false},
    {"c", 16, 15, 17, 24, 3, 2, 1, 1, 1, "HardSwish", false},
    {"c", 8, 15, 17, 9, 3, 1, 1, 2, 2, "HardSigmoid", false},
    {"c", 32, 14, 14, 32, 3, 1, 4, 1, 1, "Relu", false},
    {"d", 32, 14, 14, 32, 3, 1, 32, 1, 1, "Clip", false},
    {"d", 21, 15, 13, 21, 3, 2, 21, 1, 1, "Relu", false},
    {"d", 16, 14, 14, 16, 5, 1, 16, 2, 1, "Swish", true},
    {"t", 8, 7, 6, 12, 3, 2, 1, 1, 1, "none", false},
    {"m", 19, 15, 13, 0, 3, 2, 1, 1, 1, "none", false},
    {"m", 80, 14, 14, 0, 2, 2, 1, 0, 1, "none", false},
    {"m", 5, 11, 12, 0, 3, 1, 1, 1, 1, "none", false},
    {"a", 19, 15, 13, 0, 3, 2, 1, 1, 1, "none", false},
    {"a", 33, 8, 8, 0, 2, 2, 1, 0, 1, "none", false},
    {"G", 37, 7, 7, 0, 0, 0, 0, 0, 0, "none", false},
    {"M", 37, 7, 7, 0, 0, 0, 0, 0, 0, "none", false},
    {"g", 70, 0, 0, 33, 0, 0, 0, 0, 0, "Relu", false},
    {"g", 64, 0, 0, 10, 0, 0, 0, 0, 0, "none", false},
    {"b", 35, 9, 8, 0, 0, 0, 0, 0, 0, "Relu", true},
    {"m+", 35, 9, 8, 0, 3, 1, 1, 1, 1, "Relu", false},
    {"*", 20, 9, 8, 0, 0, 0, 0, 0, 0, "HardSigmoid", false},
    {"cm", 24, 16, 16, 32, 3, 1, 1, 1, 1, "Relu", false},
    {"cdc", 32, 28, 28, 32, 3, 1, 32, 1, 1, "Clip", true},
    {"r", 64, 17, 15, 80, 7, 1, 1, 3, 1, "Relu", true},
    {"l", 48, 17, 15, 64, 7, 1, 1, 3, 1, "PRelu", false},
    {"r", 64, 9, 14, 64, 5, 1, 1, 2, 1, "Clip", false},
    {"l", 64, 15, 13, 64, 3, 1, 1, 1, 1, "none", false},
};
enum { NETS = sizeof nets / sizeof *nets, COUNT = 2 };

static tensor *random_tensor(poison *p, const shape *s, double low, double high) {
    tensor *t = tensor_new(p->arena, DT_FLOAT, s);
    for (int64_t i = 0; i < shape_count(s); i++)
        tensor_set(t, i, low + (high - low) * poison_number(p));
    return t;
}

static value *weights(poison *p, const shape *s) {
    return graph_add_constant(p->g, NULL, random_tensor(p, s, -1, 1));
}
static value *each_channel(poison *p, int64_t c, double low) {
    return graph_add_constant(p->g, NULL, random_tensor(p, &(shape){1, {c}}, low, 1));
}
static value *number_of(poison *p, double v) {
    tensor *t = tensor_new(p->arena, DT_FLOAT, &(shape){0});
    tensor_set(t, 0, v);
    return graph_add_constant(p->g, NULL, t);
}

static value *new_input(poison *p, const shape *s) {
    value *v = graph_add_value(p->g, arena_printf(p->arena, "in%zu", p->n_inputs));
    v->type = DT_FLOAT, v->shape = *s, v->shaped = v->is_input = true;
    p->clean[p->n_inputs] = random_tensor(p, s, -1, 1);
    return p->inputs[p->n_inputs++] = v;
}

static node *add(poison *p, const char *op, value *const *in, size_t n_in) {
    value *y = graph_add_value(p->g, NULL);
    node *n = graph_add_node(p->g, op, "", in, n_in, &y, 1);
    n->opset = 17;
    return n;
}
static value *apply(poison *p, const char *op, value *a, value *b) {
    return add(p, op, (value *[]){a, b}, b ? 2 : 1)->out[0];
}

static void window_attributes(poison *p, node *n, const net *k, int64_t kernel) {
    const bool row = strchr(k->what, 'r'), column = strchr(k->what, 'l');
    const int64_t pad = kernel == 1 ? 0 : k->pad, ph = row ? 0 : pad, pw = column ? 0 : pad;
    const int64_t pads[] = {ph, pw, ph, pw}, stride = k->what[1] ? 1 : k->stride;
    const int64_t h = row ? 1 : kernel, w = column ? 1 : kernel;
    node_set_ints(p->g, n, "kernel_shape", (int64_t[]){h, w}, 2);
    node_set_ints(p->g, n, "strides", (int64_t[]){stride, stride}, 2);
    node_set_ints(p->g, n, "pads", pads, 4);
}

static value *activated(poison *p, const net *k, value *x, int64_t c) {
    if (!strcmp(k->act, "none")) return x;
    if (!strcmp(k->act, "PRelu"))
        return apply(
            p, "PRelu", x,
            graph_add_constant(p->g, NULL, random_tensor(p, &(shape){3, {c, 1, 1}}, 0, 1)));
    if (!strcmp(k->act, "Swish")) return apply(p, "Mul", x, apply(p, "Sigmoid", x, NULL));
    if (!strcmp(k->act, "Clip"))
        return add(p, "Clip", (value *[]){x, number_of(p, 0), number_of(p, 6)}, 3)->out[0];
    return apply(p, k->act, x, NULL);
}

static value *convolved(poison *p, const net *k, char kind, value *x, int64_t c) {
    const bool deep = kind == 'd', one = k->what[1] == 'd' && kind == 'c';
    const int64_t group = deep  ? c
                          : one ? 1
                                : k->group,
                  size = one ? 1 : k->kernel, out = deep ? c : k->k;
    const int64_t h = kind == 'r' ? 1 : size, v = kind == 'l' ? 1 : size;
    const shape w = {4, {kind == 't' ? c : out, kind == 't' ? out : c / group, h, v}};
    node *n = add(p, kind == 't' ? "ConvTranspose" : "Conv",
                  (value *[]){x, weights(p, &w), each_channel(p, out, -1)}, 3);
    window_attributes(p, n, k, size);
    node_set_int(p->g, n, "group", group);
    node_set_ints(p->g, n, "dilations", (int64_t[]){k->dilation, k->dilation}, 2);
    return n->out[0];
}

static value *layer(poison *p, const net *k, char kind, value *x, int64_t c) {
    node *n = NULL;
    switch (kind) {
    case 'm':
    case 'a':
        window_attributes(p, n = add(p, kind == 'm' ? "MaxPool" : "AveragePool", &x, 1), k,
                          k->kernel);
        return n->out[0];
    case 'G': return apply(p, "GlobalAveragePool", x, NULL);
    case 'M': return apply(p, "GlobalMaxPool", x, NULL);
    case '+':
        return apply(p, "Add", x,
                     apply(p, "Neg", new_input(p, &p->inputs[p->n_inputs - 1]->shape), NULL));
    case '*':
        return apply(p, "Mul", x,
                     apply(p, "Neg", new_input(p, &p->inputs[p->n_inputs - 1]->shape), NULL));
    case 'b':
        return add(p, "BatchNormalization",
                   (value *[]){x, each_channel(p, c, 0.5), each_channel(p, c, -1),
                               each_channel(p, c, -1), each_channel(p, c, 0.5)},
                   5)
            ->out[0];
    case 'g':
        n = add(p, "Gemm",
                (value *[]){x, weights(p, &(shape){2, {k->k, c}}), each_channel(p, k->k, -1)}, 3);
        node_set_int(p->g, n, "transB", 1);
        return n->out[0];
    default: return convolved(p, k, kind, x, c);
    }
}

static void add_net(poison *p, const net *k) {
    static row_case names[NETS]; /* for messages */
    row_case *name = &names[k - nets];
    const shape map = {4, {COUNT, k->c, k->h, k->w}}, row = {2, {COUNT, k->c}};
    value *x = apply(p, "Neg", new_input(p, k->h ? &map : &row), NULL);
    int64_t c = k->c;
    for (const char *s = k->what; *s; s++) {
        x = layer(p, k, *s, x, c);
        if (strchr("crltg", *s)) c = k->k;
        if (k->residual && !s[1])
            x = apply(p, "Add", x,
                      apply(p, "Neg", new_input(p, &(shape){4, {COUNT, c, k->h, k->w}}), NULL));
        if (*s != 'm' || s == k->what) x = activated(p, k, x, c);
    }
    *name = (row_case){
        .name = k->act,
        .op = arena_printf(p->arena, "%s %dx%d", k->what, (int)k->c, (int)k->kernel)};
    x->is_output = true;
    p->of[p->n_outputs] = name;
    p->outputs[p->n_outputs++] = x;
}

static void add_nets(poison *p) {
    p->g->inputs = p->inputs, p->g->outputs = p->outputs, p->g->name = "nets", p->g->batch = 1;
    for (size_t i = 0; i < NETS; i++) add_net(p, &nets[i]);
    p->g->n_inputs = p->n_inputs, p->g->n_outputs = p->n_outputs;
}

static void run_nets(kernel_choice kernels, const char *const *wanted) {
    poison *p = poison_begin("native", kernels);
    const options o = p->options;
    add_nets(p);
    assert_true(pass_resolve(p->g, &o) && pass_infer(p->g, &o));
    for (size_t i = 0; i < p->g->n_values; i++) p->g->values[i]->batched = false;
    p->g->batch = 1, p->sparse = true;
    for (; wanted && *wanted; wanted++) p->wanted[p->n_wanted++] = *wanted;
    poison_run(p);
}

static void native_kernels(void **state) {
    (void)state;
    static const char *const wanted[] = {
        "direct-conv",     "winograd-4x4",    "depthwise-conv",      "gemm",
        "max-pool",        "average-pool",    "global-average-pool", "global-max-pool",
        "winograd-line-3", "winograd-line-5", "winograd-line-7",     NULL};
    run_nets(KERNELS_NATIVE, wanted);
}
static void plain_loops(void **state) { (void)state, run_nets(KERNELS_PLAIN, NULL); }
static void xnnpack_kernels(void **state) {
    (void)state;
    static const char *const wanted[] = {
        "xnn-conv",         "xnn-depthwise",           "xnn-deconv", "xnn-gemm", "xnn-max-pool",
        "xnn-average-pool", "xnn-global-average-pool", "xnn-add",    NULL};
    run_nets(KERNELS_XNNPACK, wanted);
}

/* ---- comparing ---- */

static void only_like_is_like(void **state) {
    (void)state;
    static const struct {
        double got, want;
        bool ok;
    } cases[] = {
        {(double)NAN, (double)NAN, true},
        {(double)NAN, 1, false},
        {1, (double)NAN, false},
        {(double)NAN, (double)INFINITY, false},
        {(double)INFINITY, (double)INFINITY, true},
        {(double)INFINITY, -(double)INFINITY, false},
        {5, (double)INFINITY, false},
        {(double)INFINITY, 5, false},
        {-0.0, 0, true},
        {1.000001, 1, true},
        {1.1, 1, false},
    };
    arena *a = arena_create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const shape s = {1, {1}};
        tensor *got = tensor_new(a, DT_FLOAT, &s), *want = tensor_new(a, DT_FLOAT, &s);
        difference d = {.ok = true};
        tensor_set(got, 0, cases[i].got), tensor_set(want, 0, cases[i].want);
        tensor_compare(got, want, 1e-4, 1e-6, &d);
        if (d.ok != cases[i].ok) fail_msg("%g for %g", cases[i].got, cases[i].want);
        assert_true(isfinite(d.max_abs) && isfinite(d.max_rel));
    }
    arena_destroy(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_like_is_like), cmocka_unit_test(xnnpack_kernels),
        cmocka_unit_test(native_kernels),    cmocka_unit_test(plain_loops),
        cmocka_unit_test(every_other_row),   cmocka_unit_test(every_elementwise_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
