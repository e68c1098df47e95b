/* What the rows of the backward pass emit, and what kernels are chosen for them: one program with
   many such nodes, compiled, run, and compared with their references. Images come in as NCHW and
   are NHWC inside, ranks 3 and 5 stay as they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../compiler/base/temporary.h"
#include "../../compiler/compile.h"
#include "../../compiler/ir/grad.h"
#include "../../compiler/passes/front.h"
#include "../../compiler/tuning/trial.h"
#include "compiler/ir/interpret.h"

enum { MOST = 128 };

typedef struct fixture {
    arena *a;
    diag d;
    graph *g;
    node origin;
    tensor *data[MOST];
    uint64_t seed;
} fixture;

static double number(fixture *f) {
    f->seed = f->seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(f->seed >> 33) / 1073741824.0 - 1;
}

static void begin(fixture *f) {
    *f = (fixture){
        .a = arena_create(), .seed = 1, .origin = {.name = "", .op_type = "Test", .domain = ""}};
    f->d = (diag){.arena = f->a, .file = "test"};
    f->g = graph_create(f->a, &f->d);
    f->g->name = "test";
    f->g->batch = 1;
    f->g->inputs = ARENA_ARRAY(f->a, value *, MOST);
    f->g->outputs = ARENA_ARRAY(f->a, value *, MOST);
}

/* A graph input with numbers in -1..1, or the positive ones that standard deviations are. */
static value *input(fixture *f, dtype type, const shape *s, bool positive) {
    tensor *t = tensor_new(f->a, type, s);
    for (int64_t i = 0; i < shape_count(s); i++) {
        const double v = number(f);
        tensor_set(t, i, type == DT_INT64 ? 7 : positive ? 0.5 + fabs(v) : v);
    }
    value *v = graph_add_value(f->g, "in");
    v->type = type, v->shape = *s, v->shaped = v->is_input = true;
    f->data[f->g->n_inputs] = t;
    return f->g->inputs[f->g->n_inputs++] = v;
}

static value *image(fixture *f, const shape *s) { return input(f, DT_FLOAT, s, false); }

static value *vector(fixture *f, int64_t n, bool positive) {
    return input(f, DT_FLOAT, &(shape){.rank = 1, .dim = {n}}, positive);
}

static node *begin_node(fixture *f, const char *op, value *const *in, size_t n_in, size_t n_out) {
    return grad_node(f->g, &f->origin, opcode_find("cameo", op), in, n_in, n_out);
}

static void end_node(fixture *f, node *n) {
    if (!grad_infer(f->g, n)) fail_msg("%s: %s", n->op_type, f->d.first->message);
    for (size_t i = 0; i < n->n_out; i++) {
        n->out[i]->is_output = true;
        f->g->outputs[f->g->n_outputs++] = n->out[i];
    }
}

/* ---- the nodes ---- */

typedef struct geometry {
    shape x, w, y;
    int64_t stride[3], dilation[3], pad[6], group;
} geometry;

static const geometry geometries[] = {
    {{3, {2, 4, 9}}, {3, {6, 2, 3}}, {3, {2, 6, 4}}, {2}, {2}, {1, 1}, 2},
    {{4, {2, 4, 7, 6}}, {4, {6, 4, 3, 2}}, {4, {2, 6, 4, 4}}, {2, 1}, {1, 2}, {1, 0, 1, 0}, 1},
    {{4, {2, 6, 7, 5}}, {4, {6, 1, 3, 3}}, {4, {2, 6, 4, 3}}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 6},
    {{4, {2, 19, 8, 9}}, {4, {19, 1, 3, 3}}, {4, {2, 19, 8, 9}}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 19},
    {{4, {3, 16, 6, 5}}, {4, {16, 1, 5, 5}}, {4, {3, 16, 6, 5}}, {1, 1}, {1, 1}, {2, 2, 2, 2}, 16},
    {{4, {2, 3, 21, 19}},
     {4, {24, 3, 7, 7}},
     {4, {2, 24, 11, 10}},
     {2, 2},
     {1, 1},
     {3, 3, 3, 3},
     1},
    {{4, {2, 20, 9, 9}}, {4, {36, 5, 3, 3}}, {4, {2, 36, 9, 9}}, {1, 1}, {2, 2}, {2, 2, 2, 2}, 4},
    {{4, {2, 16, 5, 6}}, {4, {16, 16, 3, 3}}, {4, {2, 16, 5, 6}}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    {{4, {3, 16, 4, 5}}, {4, {32, 16, 1, 1}}, {4, {3, 32, 4, 5}}, {1, 1}, {1, 1}, {0}, 1},
    {{5, {1, 2, 3, 4, 5}},
     {5, {4, 2, 2, 2, 3}},
     {5, {1, 4, 2, 3, 5}},
     {1, 1, 1},
     {1, 1, 1},
     {0, 0, 1, 0, 0, 1},
     1},
};

static void window_attributes(fixture *f, node *n, const geometry *q) {
    const size_t rank = (size_t)q->x.rank - 2;
    node_set_ints(f->g, n, "kernel_shape", q->w.dim + 2, rank);
    node_set_ints(f->g, n, "strides", q->stride, rank);
    node_set_ints(f->g, n, "dilations", q->dilation, rank);
    node_set_ints(f->g, n, "pads", q->pad, 2 * rank);
}

static value *constant(fixture *f, const shape *s) {
    tensor *t = tensor_new(f->a, DT_FLOAT, s);
    for (int64_t i = 0; i < shape_count(s); i++) tensor_set(t, i, number(f));
    return graph_add_constant(f->g, NULL, t);
}

/* fixed: the weights are known when compiling, as frozen ones are. */
static void input_grad(fixture *f, const geometry *q, value *dy, bool fixed) {
    value *w = fixed ? constant(f, &q->w) : image(f, &q->w);
    node *dx = begin_node(f, "ConvInputGrad", (value *const[]){dy, w}, 2, 1);
    node_set_ints(f->g, dx, "x_shape", q->x.dim, (size_t)q->x.rank);
    node_set_int(f->g, dx, "group", q->group);
    window_attributes(f, dx, q);
    end_node(f, dx);
}

static void convolutions(fixture *f, const geometry *q) {
    value *x = image(f, &q->x), *dy = image(f, &q->y);
    input_grad(f, q, dy, false), input_grad(f, q, dy, true);
    node *dw = begin_node(f, "ConvWeightGrad", (value *const[]){x, dy}, 2, 1),
         *db = begin_node(f, "ChannelSum", &dy, 1, 1);
    node_set_int(f->g, dw, "group", q->group);
    window_attributes(f, dw, q);
    end_node(f, dw), end_node(f, db);
}

/* y = a b (+ c), either operand transposed. */
static void product(fixture *f, int64_t m, int64_t n, int64_t k, bool ta, bool tb, bool bias) {
    value *a = image(f, &(shape){2, {ta ? k : m, ta ? m : k}}),
          *b = image(f, &(shape){2, {tb ? n : k, tb ? k : n}});
    node *y = grad_node(f->g, &f->origin, ONNX_Gemm,
                        (value *const[]){a, b, bias ? vector(f, n, false) : NULL}, bias ? 3 : 2, 1);
    node_set_int(f->g, y, "transA", ta), node_set_int(f->g, y, "transB", tb);
    end_node(f, y);
}

static void pools(fixture *f, const geometry *q) {
    const shape y = {.rank = q->y.rank,
                     .dim = {q->y.dim[0], q->x.dim[1], q->y.dim[2], q->y.dim[3], q->y.dim[4]}};
    shape one = y;
    for (int k = 2; k < one.rank; k++) one.dim[k] = 1;
    value *x = image(f, &q->x), *dy = image(f, &y), *dg = image(f, &one);
    node *max = begin_node(f, "MaxPoolGrad", (value *const[]){dy, x}, 2, 1),
         *global = begin_node(f, "GlobalAveragePoolGrad", &dg, 1, 1);
    window_attributes(f, max, q);
    node_set_ints(f->g, global, "x_shape", q->x.dim, (size_t)q->x.rank);
    end_node(f, max), end_node(f, global);
    for (int pads = 0; pads < 2; pads++) {
        node *average = begin_node(f, "AveragePoolGrad", &dy, 1, 1);
        window_attributes(f, average, q);
        node_set_ints(f->g, average, "x_shape", q->x.dim, (size_t)q->x.rank);
        node_set_int(f->g, average, "count_include_pad", pads);
        end_node(f, average);
    }
}

static void activate(fixture *f, node *n, const char *act) {
    node_set_string(f->g, n, "act", act);
    if (strcmp(act, "clip")) return;
    node_set_float(f->g, n, "act_min", -0.25f);
    node_set_float(f->g, n, "act_max", 0.5f);
}

static void batchnorms(fixture *f, const shape *x, const char *act, bool residual) {
    const int64_t c = x->dim[1];
    const bool active = strcmp(act, "none") != 0;
    value *in[] = {image(f, x),         vector(f, c, false), vector(f, c, false),
                   vector(f, c, false), vector(f, c, true),  NULL};
    if (residual) in[5] = image(f, x);
    node *forward = begin_node(f, "BatchNormTrain", in, residual ? 6 : 5, 5);
    activate(f, forward, act);
    end_node(f, forward);
    value *back[] = {image(f, x), in[0], in[1], in[3], in[4], active ? image(f, x) : NULL};
    node *backward = begin_node(f, "BatchNormGrad", back, active ? 6 : 5, residual ? 4 : 3);
    activate(f, backward, act);
    end_node(f, backward);
}

static void others(fixture *f, const shape *x) {
    value *a = image(f, x), *b = image(f, x),
          *seed = input(f, DT_INT64, &(shape){.rank = 1, .dim = {1}}, false);
    node *dropout = begin_node(f, "DropoutTrain", (value *const[]){a, seed}, 2, 1),
         *standard = begin_node(f, "Standardize", &a, 1, 1),
         *back = begin_node(f, "StandardizeGrad", (value *const[]){a, b}, 2, 1),
         *lrn = begin_node(f, "LRNGrad", (value *const[]){a, b}, 2, 1);
    node_set_float(f->g, dropout, "ratio", 0.3f), node_set_int(f->g, dropout, "id", 5);
    node_set_int(f->g, standard, "first", 2), node_set_int(f->g, back, "first", 2);
    node_set_float(f->g, lrn, "alpha", 0.9f), node_set_int(f->g, lrn, "size", 4);
    end_node(f, dropout), end_node(f, standard), end_node(f, back), end_node(f, lrn);
}

static value *labels_of(fixture *f, int64_t n) {
    value *v = input(f, DT_INT64, &(shape){.rank = 1, .dim = {n}}, false);
    for (int64_t i = 0; i < n; i++) tensor_set(f->data[f->g->n_inputs - 1], i, (double)(i % 3));
    return v;
}

static void classified(fixture *f, const shape *s) {
    const int64_t n = s->dim[0];
    value *z = image(f, s), *a = labels_of(f, n), *b = labels_of(f, n), *mix = vector(f, n, false),
          *one = vector(f, 1, false);
    value *loss = input(f, DT_FLOAT, &(shape){.rank = 0}, false);
    end_node(f, begin_node(f, "SoftmaxCrossEntropy", (value *const[]){z, a, b, mix, one}, 5, 4));
    end_node(f, begin_node(f, "SoftmaxCrossEntropyGrad", (value *const[]){loss, z, a, b, mix, one},
                           6, 1));
    node *margin = begin_node(f, "Margin", (value *const[]){z, a}, 2, 4);
    node_set_float(f->g, margin, "scale", 1.5f), node_set_float(f->g, margin, "m2", 0.5f);
    end_node(f, margin);
    end_node(f, begin_node(f, "MarginGrad", (value *const[]){z, mix, a}, 3, 1));
}

static void compared(fixture *f, const shape *s) {
    static const char *const kinds[] = {"hard", "semi", "contrastive"};
    value *x = image(f, s), *a = labels_of(f, s->dim[0]),
          *c = image(f, &(shape){.rank = 2, .dim = {3, s->dim[1]}});
    for (size_t i = 0; i < 3; i++) {
        node *n = begin_node(f, "MetricLoss", (value *const[]){x, a}, 2, 5);
        node_set_string(f->g, n, "kind", kinds[i]), node_set_float(f->g, n, "margin", 1);
        end_node(f, n);
    }
    node *center = begin_node(f, "CenterLoss", (value *const[]){x, c, a}, 3, 3);
    node_set_float(f->g, center, "rate", 0.5f);
    end_node(f, center);
}

/* ---- running them ---- */

static void compile_and_compare(fixture *f, kernel_choice kernels) {
    tensor **results = ARENA_ARRAY(f->a, tensor *, f->g->n_values + 1), *want[MOST],
           *got[MOST] = {NULL};
    const char *paths[MOST], *folder = temporary_directory(f->a);
    const size_t n_in = f->g->n_inputs, n_out = f->g->n_outputs;
    assert_non_null(folder);
    assert_true(interpret(f->g, f->data, results));
    for (size_t i = 0; i < n_out; i++) want[i] = results[f->g->outputs[i]->id];
    for (size_t i = 0; i < n_in; i++) {
        paths[i] = arena_printf(f->a, "%s/in%zu.npy", folder, i);
        assert_true(trial_write_npy(paths[i], f->data[i]));
    }
    options o = {.name = "net",
                 .kernels = kernels,
                 .emit = EMIT_EXE,
                 .output = arena_printf(f->a, "%s/net", folder)};
    assert_true(target_resolve("native", &o.target));
    assert_int_equal(compile_rest(f->g, &o), 0);
    const char *why = trial_run(f->a, o.output, paths, n_in, folder, got, n_out, 60);
    if (why) fail_msg("%s", why);
    for (size_t i = 0; i < n_out; i++) {
        difference d = {.ok = true};
        tensor_compare(got[i], want[i], 1e-4, 2e-5, &d);
        if (!d.ok) fail_msg("output %zu, %s, differs by %g", i, f->g->outputs[i]->name, d.max_abs);
    }
    temporary_remove(folder);
    arena_destroy(f->a);
}

static void run_all(kernel_choice kernels) {
    static const shape vectors = {2, {5, 3}}, lines = {3, {2, 3, 5}}, images = {4, {3, 16, 5, 4}},
                       odd = {4, {2, 7, 3, 5}};
    fixture f;
    begin(&f);
    for (size_t i = 0; i < sizeof geometries / sizeof *geometries; i++)
        convolutions(&f, &geometries[i]);
    for (size_t i = 0; i < 3; i++) pools(&f, &geometries[i]);
    pools(&f, &geometries[9]);
    product(&f, 7, 45, 30, false, false, false), product(&f, 35, 70, 33, false, true, true);
    product(&f, 40, 270, 9, true, false, false);
    compile_and_compare(&f, kernels);
    begin(&f);
    batchnorms(&f, &vectors, "none", false);
    batchnorms(&f, &lines, "relu", false);
    batchnorms(&f, &images, "relu", true);
    batchnorms(&f, &odd, "clip", true);
    batchnorms(&f, &odd, "none", true);
    others(&f, &lines);
    others(&f, &odd);
    classified(&f, &vectors);
    classified(&f, &(shape){2, {70, 150}}); /* enough for parallel tasks */
    compared(&f, &(shape){2, {9, 21}});
    compile_and_compare(&f, kernels);
}

static void test_plain(void **state) {
    (void)state;
    run_all(KERNELS_PLAIN);
}

static void test_native(void **state) {
    (void)state;
    run_all(KERNELS_NATIVE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain), cmocka_unit_test(test_native)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
