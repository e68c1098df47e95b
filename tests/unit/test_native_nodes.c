/* Internal rows of the backward pass as they are emitted with native kernels: many nodes in one
   program, whose outputs are compared with the rows' references. Images pass through a Neg first,
   so that kernels find them in the arena and may overwrite them. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../compiler/base/temporary.h"
#include "../../compiler/emit/emit.h"
#include "../../compiler/ir/implementation.h"
#include "../../compiler/ir/op.h"
#include "../../compiler/passes/front.h"
#include "../../compiler/tuning/trial.h"
#include "compiler/ir/interpret.h"
#include "scratch.h"

enum { MAX_IN = 6, MAX_OUT = 5, MAX_INPUTS = 256 };

typedef struct node_case {
    const char *op, *kernel; /* kernel: the implementation that must have been chosen or "plain" */
    int64_t n, c, h, w;      /* of every image; h = 0: rank 2 */
    const char *in; /* one letter an input: x, y images, q one of few values, c numbers of channels,
                       p the same and positive, a computed ones, - absent */
    size_t n_out;
    const char *act;
    int64_t oh, ow, kernel_size, stride, pad; /* of pools; y: an image of oh x ow */
    bool ceil, count;
} node_case;

typedef struct fixture {
    arena *arena;
    diag diag;
    graph *g;
    tensor *data[MAX_INPUTS];
    const char *paths[MAX_INPUTS];
    char *directory;
    uint64_t seed;
    bool is_image[MAX_INPUTS], odd; /* odd: images hold a few NaN */
} fixture;

static double number(fixture *f) {
    f->seed = f->seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(f->seed >> 33) / 1073741824.0 - 1;
}

static value *new_input(fixture *f, const shape *s, char kind) {
    const size_t i = f->g->n_inputs++;
    value *v = f->g->inputs[i] = graph_add_value(f->g, arena_printf(f->arena, "in%zu", i));
    assert_true(i < MAX_INPUTS);
    v->type = DT_FLOAT, v->shape = *s, v->shaped = v->is_input = true;
    f->data[i] = tensor_new(f->arena, DT_FLOAT, s);
    for (int64_t k = 0; k < shape_count(s); k++) {
        const double r = number(f);
        tensor_set(f->data[i], k, kind == 'p' ? 0.5 + fabs(r) : kind == 'q' ? round(2 * r) : r);
    }
    f->is_image[i] = kind == 'x' || kind == 'y' || kind == 'q';
    f->paths[i] = arena_printf(f->arena, "%s/in%zu.npy", f->directory, i);
    assert_true(trial_write_npy(f->paths[i], f->data[i]));
    return v;
}

static value *computed(fixture *f, const shape *s, char kind) {
    value *x = new_input(f, s, kind), *y = graph_add_value(f->g, NULL);
    graph_add_node(f->g, "Neg", "", &x, 1, &y, 1)->opset = 13;
    return y;
}

static value *operand_of(fixture *f, const node_case *k, char kind) {
    const shape image = {k->h ? 4 : 2, {k->n, k->c, k->h, k->w}}, channels = {1, {k->c}};
    const shape pooled = {4, {k->n, k->c, k->oh, k->ow}};
    if (kind == '-') return NULL;
    if (kind == 'y') return computed(f, &pooled, kind);
    if (kind == 'x' || kind == 'q' || kind == 'a')
        return computed(f, kind == 'a' ? &channels : &image, kind);
    return new_input(f, &channels, kind);
}

static void add_output(fixture *f, value *v) {
    v->is_output = true;
    f->g->outputs[f->g->n_outputs++] = v;
}

static void add_window(fixture *f, node *n, const node_case *k) {
    const int64_t p = k->pad;
    node_set_ints(f->g, n, "x_shape", (int64_t[]){k->n, k->c, k->h, k->w}, 4);
    if (!k->kernel_size) return;
    node_set_ints(f->g, n, "kernel_shape", (int64_t[]){k->kernel_size, k->kernel_size}, 2);
    node_set_ints(f->g, n, "strides", (int64_t[]){k->stride, k->stride}, 2);
    node_set_ints(f->g, n, "pads", (int64_t[]){p, p, p, p}, 4);
    node_set_int(f->g, n, "ceil_mode", k->ceil);
    node_set_int(f->g, n, "count_include_pad", k->count);
}

static node *add_case(fixture *f, const node_case *k) {
    value *in[MAX_IN], *out[MAX_OUT];
    const size_t n_in = strlen(k->in);
    for (size_t i = 0; i < n_in; i++) in[i] = operand_of(f, k, k->in[i]);
    for (size_t i = 0; i < k->n_out; i++) out[i] = graph_add_value(f->g, NULL);
    node *n = graph_add_node(f->g, k->op, "cameo", in, n_in, out, k->n_out);
    n->opset = 1;
    if (k->act) node_set_string(f->g, n, "act", k->act);
    if (k->act && !strcmp(k->act, "clip"))
        node_set_float(f->g, n, "act_min", -0.4f), node_set_float(f->g, n, "act_max", 0.6f);
    if (k->oh) add_window(f, n, k);
    for (size_t i = 0; i < k->n_out; i++) add_output(f, out[i]);
    return n;
}

/* ---- convolutions: forward, and the gradient of the input ---- */

typedef struct conv_case { /* of the forward convolution */
    int64_t n, c, h, w, k, kernel, stride, dilation, pad, group;
} conv_case;

static node *add_input_grad(fixture *f, const conv_case *k) {
    const int64_t reach = (k->kernel - 1) * k->dilation + 1,
                  oh = (k->h + 2 * k->pad - reach) / k->stride + 1;
    const int64_t ow = (k->w + 2 * k->pad - reach) / k->stride + 1,
                  pads[] = {k->pad, k->pad, k->pad, k->pad};
    const int64_t kernel[] = {k->kernel, k->kernel}, strides[] = {k->stride, k->stride};
    const int64_t dilations[] = {k->dilation, k->dilation}, x[] = {k->n, k->c, k->h, k->w};
    value *in[] = {computed(f, &(shape){4, {k->n, k->k, oh, ow}}, 'x'),
                   new_input(f, &(shape){4, {k->k, k->c / k->group, k->kernel, k->kernel}}, 'c')};
    value *out = graph_add_value(f->g, NULL);
    node *n = graph_add_node(f->g, "ConvInputGrad", "cameo", in, 2, &out, 1);
    n->opset = 1;
    node_set_ints(f->g, n, "kernel_shape", kernel, 2),
        node_set_ints(f->g, n, "strides", strides, 2);
    node_set_ints(f->g, n, "dilations", dilations, 2), node_set_ints(f->g, n, "pads", pads, 4);
    node_set_ints(f->g, n, "x_shape", x, 4), node_set_int(f->g, n, "group", k->group);
    add_output(f, out);
    return n;
}

static void compare(fixture *f, const char *path, tensor *const *want, const char *const *names,
                    size_t n) {
    tensor **got = ARENA_ARRAY(f->arena, tensor *, n);
    const char *why = trial_run(f->arena, path, f->paths, f->g->n_inputs, f->directory, got, n,
                                120);
    if (why) fail_msg("%s", why);
    for (size_t i = 0; i < n; i++) {
        difference d = {.ok = true};
        double largest = 0;
        for (int64_t k = 0; k < shape_count(&want[i]->shape); k++)
            largest = fmax(largest, fabs(tensor_get(want[i], k)));
        tensor_compare(got[i], want[i], 1e-5, 4e-6 * largest, &d);
        if (!d.ok || (largest == 0 && !d.odd && !f->odd))
            fail_msg("%s%s differs by %g of %g, %zu are NaN on one side only", names[i],
                     f->odd ? " with NaN" : "", d.max_abs, largest, d.odd);
    }
}

static void setup(fixture *f) {
    *f = (fixture){.arena = arena_create(), .seed = 5};
    f->diag = (diag){.arena = f->arena, .file = "test"};
    f->g = graph_create(f->arena, &f->diag);
    f->g->name = "nodes", f->g->batch = 1;
    f->g->inputs = ARENA_ARRAY(f->arena, value *, MAX_INPUTS),
    f->g->outputs = ARENA_ARRAY(f->arena, value *, MAX_INPUTS);
    f->directory = temporary_directory(f->arena);
    assert_non_null(f->directory);
    scratch_home();
}

/* Three NaN into each image, later also where the program reads them. */
static void make_odd(fixture *f) {
    for (size_t i = 0; i < f->g->n_inputs; i++) {
        const tensor *clean = f->data[i];
        const int64_t n = shape_count(&clean->shape);
        f->data[i] = tensor_new(f->arena, DT_FLOAT, &clean->shape);
        memcpy(f->data[i]->data, clean->data, tensor_bytes(clean));
        for (int k = 0; k < 3 && f->is_image[i]; k++)
            tensor_set(f->data[i], (int64_t)(fabs(number(f)) * 1e6) % n, (double)NAN);
    }
}

static void write_odd(fixture *f, size_t n_inputs) {
    for (size_t i = 0; i < n_inputs; i++) assert_true(trial_write_npy(f->paths[i], f->data[i]));
    f->odd = true;
}

/* What the references say about each output. */
static void expect(fixture *f, tensor **want, const char **names) {
    tensor **all = ARENA_ARRAY(f->arena, tensor *, f->g->n_values + 1);
    assert_true(interpret(f->g, f->data, all));
    for (size_t i = 0; i < f->g->n_outputs; i++) {
        const value *v = f->g->outputs[i];
        want[i] = all[v->id];
        names[i] = arena_printf(f->arena, "%s of %s", v->name, v->producer->op_type);
    }
}

/* Compiles the fixture's graph for this level, runs it, compares; afterwards nodes have their
   implementations. */
static void run_graph(fixture *f, const char *level) {
    tensor *want[MAX_INPUTS], *want_odd[MAX_INPUTS];
    const char *names[MAX_INPUTS];
    options o = {.name = "nodes",
                 .kernels = KERNELS_NATIVE,
                 .jobs = 2,
                 .output = arena_printf(f->arena, "%s/nodes", f->directory)};
    assert_true(target_resolve(level, &o.target));
    assert_true(pass_resolve(f->g, &o) && pass_infer(f->g, &o));
    f->g->batch = 1; /* as in a step graph: every count is a literal */
    for (size_t i = 0; i < f->g->n_values; i++) f->g->values[i]->batched = false;
    expect(f, want, names);
    make_odd(f);
    expect(f, want_odd, names);
    const size_t n_outputs = f->g->n_outputs;
    assert_int_equal(compile_rest(f->g, &o), 0);
    compare(f, o.output, want, names, n_outputs);
    write_odd(f, f->g->n_inputs);
    compare(f, o.output, want_odd, names, n_outputs);
    temporary_remove(f->directory);
}

static void run_cases(const node_case *cases, size_t count) {
    fixture f;
    node *nodes[MAX_INPUTS];
    setup(&f);
    for (size_t i = 0; i < count; i++) nodes[i] = add_case(&f, &cases[i]);
    run_graph(&f, "native");
    for (size_t i = 0; i < count; i++)
        if (strcmp(nodes[i]->impl ? nodes[i]->impl->name : "plain", cases[i].kernel))
            fail_msg("case %zu: not %s", i, cases[i].kernel);
    arena_destroy(f.arena);
}

#define NODE(row, implementation, images, channels, height, width, operands, outputs, activation) \
    {                                                                                             \
        .op = row, .kernel = implementation, .n = images, .c = channels, .h = height, .w = width, \
        .in = operands, .n_out = outputs, .act = activation                                       \
    }
static void batchnorm(void **state) {
    (void)state;
    static const node_case cases[] = {
        NODE("BatchNormTrain", "batch-norm-train", 3, 37, 5, 7, "xccpp", 5, NULL),
        NODE("BatchNormTrain", "batch-norm-train", 4, 64, 14, 14, "xccppx", 5, "relu"),
        NODE("BatchNormTrain", "batch-norm-train", 2, 24, 8, 8, "xccppx", 5, "clip"),
        NODE("BatchNormTrain", "batch-norm-train", 9, 130, 0, 0, "xccpp", 5, NULL),
        NODE("BatchNormTrain", "batch-norm-train", 8, 512, 1, 1, "xccpp", 5, "relu"),
        NODE("BatchNormGrad", "batch-norm-grad", 3, 37, 5, 7, "xxccp", 3, NULL),
        NODE("BatchNormGrad", "batch-norm-grad", 4, 64, 14, 14, "xxccpx", 4, "relu"),
        NODE("BatchNormGrad", "batch-norm-grad", 2, 24, 8, 8, "xxccpx", 3, "clip"),
        NODE("BatchNormGrad", "batch-norm-grad", 9, 130, 0, 0, "xxccp", 4, NULL),
        NODE("BatchNormGrad", "batch-norm-grad", 8, 512, 1, 1, "xxccpx", 3, "relu")};
    run_cases(cases, sizeof cases / sizeof *cases);
}

static void affine(void **state) {
    (void)state;
    static const node_case cases[] = {
        NODE("BatchNormAffine", "plain", 1, 37, 1, 1, "cccp", 2, NULL),
        NODE("ScaleShift", "scale-shift", 3, 37, 5, 7, "xaaxa", 1, "prelu"),
        NODE("ScaleShift", "scale-shift", 3, 20, 6, 6, "xaax", 1, "clip"),
        NODE("ScaleShift", "plain", 3, 9, 4, 4, "xcc", 1, NULL)};
    run_cases(cases, sizeof cases / sizeof *cases);
}

/* Every row of act.def: the vector form and the plain loop. */
static void activations(void **state) {
    (void)state;
    static const node_case cases[] = {
#define ACT_FUSED(kind, name, ...)                                    \
    NODE("ScaleShift", "scale-shift", 2, 21, 5, 7, "xaaxa", 1, name), \
        NODE("ScaleShift", "plain", 2, 5, 3, 4, "xccxc", 1, name),
#include "../../runtime/kernels/act.def"
    };
    run_cases(cases, sizeof cases / sizeof *cases);
}

#define POOL(op, name, n, c, h, w, in, oh, ow, k, s, p, ceil, count) \
    { op, name, n, c, h, w, in, 1, NULL, oh, ow, k, s, p, ceil, count }
static void pools(void **state) {
    (void)state;
    static const node_case cases[] = {
        POOL("MaxPoolGrad", "max-pool-grad", 3, 37, 12, 10, "yq", 6, 5, 3, 2, 1, false, false),
        POOL("MaxPoolGrad", "max-pool-grad", 2, 16, 7, 7, "yx", 4, 4, 2, 2, 0, true, false),
        POOL("MaxPoolGrad", "max-pool-grad", 2, 20, 9, 9, "yq", 3, 3, 2, 4, 0, true, false),
        POOL("AveragePoolGrad", "average-pool-grad", 3, 21, 11, 9, "y", 6, 5, 3, 2, 1, false,
             false),
        POOL("AveragePoolGrad", "average-pool-grad", 2, 32, 12, 12, "y", 6, 6, 3, 2, 1, false,
             true),
        POOL("AveragePoolGrad", "average-pool-grad", 2, 16, 8, 6, "y", 4, 3, 2, 2, 0, false, false),
        POOL("GlobalAveragePoolGrad", "global-average-pool-grad", 3, 45, 7, 9, "y", 1, 1, 0, 0, 0,
             false, false)};
    run_cases(cases, sizeof cases / sizeof *cases);
}

static void input_grads(const conv_case *cases, size_t count, const char *level) {
    fixture f;
    node *nodes[MAX_INPUTS];
    setup(&f);
    for (size_t i = 0; i < count; i++) nodes[i] = add_input_grad(&f, &cases[i]);
    run_graph(&f, level);
    for (size_t i = 0; i < count; i++)
        if (!nodes[i]->impl || strcmp(nodes[i]->impl->name, "direct-input-gradient"))
            fail_msg("case %zu: plain loops", i);
    arena_destroy(f.arena);
}

static void input_gradient(void **state) {
    (void)state;
    static const conv_case cases[] = {
        {16, 32, 4, 4, 48, 3, 1, 1, 1, 1}, {16, 40, 2, 2, 20, 3, 1, 1, 1, 1},
        {5, 18, 1, 1, 33, 3, 1, 1, 1, 1},  {4, 64, 7, 7, 96, 1, 1, 1, 0, 1},
        {3, 32, 8, 8, 64, 1, 2, 1, 0, 1},  {2, 17, 9, 8, 24, 3, 2, 1, 1, 1},
        {2, 16, 11, 9, 24, 3, 1, 2, 2, 1}, {2, 24, 10, 10, 48, 3, 1, 1, 1, 3}};
    input_grads(cases, sizeof cases / sizeof *cases, "native");
}

/* Vectors of 4 on any machine of this kind. */
static void input_gradient_narrow(void **state) {
    (void)state;
#ifdef __x86_64__
    static const conv_case cases[] = {{9, 12, 2, 3, 11, 3, 1, 1, 1, 1},
                                      {3, 20, 10, 9, 12, 3, 2, 1, 1, 4}};
    input_grads(cases, sizeof cases / sizeof *cases, "x86-64");
#else
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batchnorm),      cmocka_unit_test(affine),
        cmocka_unit_test(activations),    cmocka_unit_test(pools),
        cmocka_unit_test(input_gradient), cmocka_unit_test(input_gradient_narrow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
