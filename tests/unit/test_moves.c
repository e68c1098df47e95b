/* Operators that only move elements, in random graphs: simplified, shuffled, planned as slices,
   copied by kernels, the values are those of the rows' references, bit for bit. And Concats in the
   form that exporters write: one memory plan with the short form. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../compiler/base/temporary.h"
#include "../../compiler/emit/emit.h"
#include "../../compiler/emit/program.h"
#include "../../compiler/ir/op.h"
#include "../../compiler/passes/front.h"
#include "../../compiler/passes/plan.h"
#include "../../compiler/tuning/trial.h"
#include "compiler/ir/interpret.h"
#include "scratch.h"

enum { N = 3, H = 5, W = 7, POOL = 64, OUTPUTS = 64 };

typedef struct fixture {
    arena *arena;
    diag diag;
    graph *g;
    uint64_t seed;
    value *pool[POOL]; /* all N x c x H x W */
    int64_t channels[POOL];
    size_t count;
} fixture;

static int64_t below(fixture *f, int64_t n) {
    f->seed = f->seed * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(f->seed >> 33) % n;
}

static void begin(fixture *f, uint64_t seed) {
    *f = (fixture){.arena = arena_create(), .seed = seed};
    f->diag = (diag){.arena = f->arena, .file = "test"};
    f->g = graph_create(f->arena, &f->diag);
    f->g->name = "moves";
    f->g->opsets = ARENA_ARRAY(f->arena, opset_import, 1);
    f->g->opsets[0] = (opset_import){"", 13}, f->g->n_opsets = 1;
    f->g->inputs = ARENA_ARRAY(f->arena, value *, OUTPUTS),
    f->g->outputs = ARENA_ARRAY(f->arena, value *, OUTPUTS);
}

static value *input(fixture *f, int64_t c, int64_t h, int64_t w) {
    value *v = f->g->inputs[f->g->n_inputs++] = graph_add_value(f->g, "input");
    v->type = DT_FLOAT, v->shape = (shape){4, {N, c, h, w}}, v->shaped = v->is_input = true;
    return v;
}

static value *int_constant(fixture *f, size_t n, const int64_t *v) {
    tensor *t = tensor_new(f->arena, DT_INT64, &(shape){1, {(int64_t)n}});
    memcpy(t->data, v, n * sizeof *v);
    return graph_add_constant(f->g, NULL, t);
}
#define INTS(f, n, ...) int_constant(f, n, (const int64_t[]){__VA_ARGS__})

static value *numbers(fixture *f, int64_t n, float v) {
    tensor *t = tensor_new(f->arena, DT_FLOAT, &(shape){n > 1 ? 1 : 0, {n}});
    for (int64_t i = 0; i < n; i++) ((float *)t->data)[i] = v;
    return graph_add_constant(f->g, NULL, t);
}

static value *apply(fixture *f, const char *op, value *const *in, size_t n_in) {
    value *y = graph_add_value(f->g, NULL);
    node *n = graph_add_node(f->g, op, "", in, n_in, &y, 1);
    n->opset = 13, n->name = y->name, n->index = (int)f->g->n_nodes - 1;
    return y;
}
static value *one(fixture *f, const char *op, value *x) { return apply(f, op, &x, 1); }
static value *two(fixture *f, const char *op, value *x, value *y) {
    return apply(f, op, (value *[]){x, y}, 2);
}

static value *concat(fixture *f, value *const *in, size_t n, int64_t axis) {
    value *y = apply(f, "Concat", in, n);
    node_set_int(f->g, y->producer, "axis", axis);
    return y;
}

static value *slice(fixture *f, value *x, int64_t from, int64_t to, int64_t axis, int64_t step) {
    return apply(
        f, "Slice",
        (value *[]){x, INTS(f, 1, from), INTS(f, 1, to), INTS(f, 1, axis), INTS(f, 1, step)}, 5);
}

static value *transpose(fixture *f, value *x, size_t rank, const int64_t *perm) {
    value *y = one(f, "Transpose", x);
    node_set_ints(f->g, y->producer, "perm", perm, rank);
    return y;
}

static void keep(fixture *f, value *v, int64_t c) {
    if (f->count == POOL) return;
    f->pool[f->count] = v, f->channels[f->count++] = c;
}

/* ---- what a random graph is made of ---- */

static void add_concat(fixture *f) {
    value *in[5];
    int64_t c = 0;
    const size_t n = (size_t)below(f, 4) + 1;
    for (size_t i = 0; i < n; i++) {
        const size_t k = (size_t)below(f, (int64_t)f->count);
        in[i] = f->pool[k], c += f->channels[k];
    }
    if (c < 90) keep(f, concat(f, in, n, below(f, 2) ? 1 : -3), c);
}

/* Too many where it is no value of the pool. */
static int64_t channels_of(const fixture *f, const value *v) {
    for (size_t i = 0; i < f->count; i++)
        if (f->pool[i] == v) return f->channels[i];
    return 1000;
}

/* The operands of a Concat that is there, and one or two more. */
static void continue_concat(fixture *f) {
    for (size_t i = f->g->n_nodes; i-- > 0;) {
        const node *n = f->g->nodes[i];
        if (strcmp(n->op_type, "Concat") || below(f, 2) || n->n_in > 8) continue;
        value *in[10];
        int64_t axis = node_int(n, "axis", 1), c = 0;
        size_t n_in = n->n_in;
        if (axis != 1 && axis != -3) continue;
        memcpy(in, n->in, n_in * sizeof *in);
        for (int64_t k = below(f, 3); k > 0; k--) in[n_in++] = f->pool[below(f, (int64_t)f->count)];
        for (size_t k = 0; k < n_in; k++) c += channels_of(f, in[k]);
        if (c < 90) keep(f, concat(f, in, n_in, axis), c);
        return;
    }
}

static void add_cut(fixture *f, value *x, int64_t c) {
    const int64_t from = below(f, c), to = from + 1 + below(f, c - from);
    if (c < 2 || below(f, 2)) {
        keep(f, slice(f, x, from, to, 1, 1), to - from);
        return;
    }
    const int64_t first = 1 + below(f, c - 1), parts[] = {first, c - first};
    value *out[] = {graph_add_value(f->g, NULL), graph_add_value(f->g, NULL)};
    node *n = graph_add_node(f->g, "Split", "", (value *[]){x, int_constant(f, 2, parts)}, 2, out,
                             2);
    n->opset = 13, n->index = (int)f->g->n_nodes - 1;
    node_set_int(f->g, n, "axis", 1);
    keep(f, out[0], parts[0]), keep(f, out[1], parts[1]);
}

static void add_shuffle(fixture *f, value *x, int64_t c) {
    const int64_t perm[] = {0, 2, 1, 3, 4};
    for (int64_t g = 2 + below(f, 3); g < c; g++) {
        if (c % g) continue;
        value *split = two(f, "Reshape", x, INTS(f, 5, N, g, c / g, H, W));
        keep(f, two(f, "Reshape", transpose(f, split, 5, perm), INTS(f, 4, N, c, H, W)), c);
        return;
    }
}

static void add_identity(fixture *f, value *x, int64_t c) {
    static const int64_t same[] = {0, 1, 2, 3};
    value *y;
    switch (below(f, 11)) {
    case 0: y = two(f, "Pad", x, INTS(f, 8, 0, 0, 0, 0, 0, 0, 0, 0)); break;
    case 1: y = slice(f, x, 0, INT64_MAX, below(f, 4), 1); break;
    case 2: y = two(f, "Expand", x, INTS(f, 4, 1, c, 1, W)); break;
    case 3: y = two(f, "Mul", numbers(f, below(f, 2) ? 1 : W, 1), x); break;
    case 4: y = two(f, "Sub", x, numbers(f, 1, 0)); break;
    case 5: y = transpose(f, x, 4, same); break;
    case 6: y = two(f, "Tile", x, INTS(f, 4, 1, 1, 1, 1)); break;
    case 7: y = one(f, "Clip", x); break;
    case 8: y = one(f, "Sum", x); break;
    case 9: y = two(f, "Add", x, numbers(f, 1, -0.0f)); break;
    default:
        y = one(f, "AveragePool", x);
        node_set_ints(f->g, y->producer, "kernel_shape", (int64_t[]){1, 1}, 2);
    }
    keep(f, y, c);
}

static void add_rows(fixture *f, value *x, int64_t c) {
    value *in[] = {x, one(f, "Neg", x)}, *both = concat(f, in, 2, 2);
    keep(f, slice(f, one(f, "Relu", both), 2, 2 + H, 2, 1), c);
}

static void add_turned(fixture *f, value *x, int64_t c) {
    static const int64_t turn[] = {0, 3, 1, 2}, back[] = {0, 2, 3, 1}, swap[] = {0, 1, 3, 2};
    if (below(f, 2))
        keep(f, transpose(f, one(f, "Relu", transpose(f, x, 4, turn)), 4, back), c);
    else
        keep(f, transpose(f, one(f, "Neg", transpose(f, x, 4, swap)), 4, swap), c);
}

/* Zeros around what is not negative are what a maximum ignores. */
static void add_padded_pool(fixture *f, value *x, int64_t c) {
    value *y = one(f, "MaxPool",
                   two(f, "Pad", one(f, "Relu", x), INTS(f, 8, 0, 0, 1, 1, 0, 0, 1, 1)));
    node_set_ints(f->g, y->producer, "kernel_shape", (int64_t[]){3, 3}, 2);
    keep(f, y, c);
}

static void add_backwards(fixture *f, value *x, int64_t c) {
    keep(f, slice(f, x, -1, INT64_MIN, below(f, 2) + 1, -1), c);
}

static void add_blocks(fixture *f, value *x, int64_t c) {
    value *wide = concat(f, (value *[]){x, x, one(f, "Neg", x), x}, 4, 1),
          *space = one(f, "DepthToSpace", wide);
    node_set_int(f->g, space->producer, "blocksize", 2);
    value *deep = one(f, "SpaceToDepth", one(f, "Relu", space));
    node_set_int(f->g, deep->producer, "blocksize", 2);
    keep(f, slice(f, deep, c, 3 * c, 1, 2), c);
}

static void add_random(fixture *f) {
    const size_t k = (size_t)below(f, (int64_t)f->count);
    value *x = f->pool[k];
    const int64_t c = f->channels[k];
    switch (below(f, 13)) {
    case 0: keep(f, one(f, "Relu", x), c); break;
    case 1: keep(f, one(f, "Neg", x), c); break;
    case 2:
    case 3: add_concat(f); break;
    case 4:
    case 5: continue_concat(f); break;
    case 6: add_cut(f, x, c); break;
    case 7: add_shuffle(f, x, c); break;
    case 8: add_identity(f, x, c); break;
    case 9: add_rows(f, x, c); break;
    case 10: below(f, 2) ? add_turned(f, x, c) : add_blocks(f, x, c); break;
    case 11: add_padded_pool(f, x, c); break;
    default: add_backwards(f, x, c);
    }
}

static void output(fixture *f, value *v) {
    if (v->is_output || v->is_input) return;
    v->is_output = true;
    f->g->outputs[f->g->n_outputs++] = v;
}

static void random_graph(fixture *f, uint64_t seed) {
    begin(f, seed);
    const int64_t c = 3 + below(f, 40);
    value *x = input(f, c, H, W);
    keep(f, x, c);
    value *y = one(f, "MaxPool", x); /* from here on the images are NHWC */
    node_set_ints(f->g, y->producer, "kernel_shape", (int64_t[]){3, 3}, 2);
    node_set_ints(f->g, y->producer, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    keep(f, y, c);
    while (f->count < 30) add_random(f);
    for (size_t i = 2; i < f->count; i++)
        if (i + 4 > f->count || below(f, 4) == 0) output(f, f->pool[i]);
}

/* ---- values ---- */

static tensor *data_of(fixture *f) {
    tensor *t = tensor_new(f->arena, DT_FLOAT, &f->g->inputs[0]->shape);
    for (int64_t i = 0; i < shape_count(&t->shape); i++)
        tensor_set(t, i, (double)below(f, 1 << 24) / (1 << 23) - 1);
    return t;
}

static void evaluate(fixture *f, tensor *x, tensor **out) {
    tensor **all = ARENA_ARRAY(f->arena, tensor *, f->g->n_values + 1);
    assert_true(interpret(f->g, &x, all));
    for (size_t i = 0; i < f->g->n_outputs; i++) out[i] = all[f->g->outputs[i]->id];
}

/* Bit for bit, but that zero has two signs: of equal zeros, a maximum may take either. */
static bool same_bits(const tensor *a, const tensor *b) {
    const float *x = a->data, *y = b->data;
    if (!shape_equal(&a->shape, &b->shape)) return false;
    for (int64_t i = 0; i < shape_count(&a->shape); i++)
        if (memcmp(&x[i], &y[i], sizeof *x) && (x[i] != 0 || y[i] != 0)) return false;
    return true;
}

static void check_bits(fixture *f, uint64_t seed, const char *when, tensor *const *want,
                       tensor *const *got) {
    for (size_t i = 0; i < f->g->n_outputs; i++)
        if (!same_bits(got[i], want[i]))
            fail_msg("graph %d, %s: output %zu, %s, differs", (int)seed, when, i,
                     f->g->outputs[i]->name);
}

static void resolve(fixture *f, const options *o) {
    if (pass_resolve(f->g, o) && pass_infer(f->g, o)) return;
    text t = {0};
    diag_print(&f->diag, &t);
    fail_msg("%s", text_str(&t));
}

static void rewrites_keep_values(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        fixture f;
        tensor *want[OUTPUTS], *got[OUTPUTS];
        const options o = {.name = "net",
                           .output = "net",
                           .kernels = KERNELS_PLAIN,
                           .target = {"x86-64-v3", "", 8, 16}};
        random_graph(&f, seed);
        resolve(&f, &o);
        tensor *x = data_of(&f);
        evaluate(&f, x, want);
        assert_true(pass_fold(f.g, &o) && pass_simplify(f.g, &o) && pass_batch(f.g, &o));
        ir_verify(f.g, "simplify", true);
        assert_int_equal(f.g->batch, N);
        evaluate(&f, x, got);
        check_bits(&f, seed, "simplified", want, got);
        assert_true(pass_fuse(f.g, &o) && pass_layout(f.g, &o));
        ir_verify(f.g, "layout", true);
        evaluate(&f, x, got);
        check_bits(&f, seed, "fused", want, got);
        arena_destroy(f.arena);
    }
}

static void compiled(uint64_t seed, kernel_choice kernels, const char *level) {
    fixture f;
    tensor *want[OUTPUTS], *got[OUTPUTS];
    random_graph(&f, seed);
    const char *directory = temporary_directory(f.arena),
               *path = arena_printf(f.arena, "%s/in.npy", directory);
    options o = {.name = "net",
                 .kernels = kernels,
                 .jobs = 2,
                 .output = arena_printf(f.arena, "%s/net", directory)};
    assert_true(target_resolve(level, &o.target));
    resolve(&f, &o);
    tensor *x = data_of(&f);
    evaluate(&f, x, want);
    assert_true(trial_write_npy(path, x));
    assert_true(pass_fold(f.g, &o) && pass_simplify(f.g, &o) && pass_batch(f.g, &o));
    assert_int_equal(compile_rest(f.g, &o), 0);
    const char *why = trial_run(f.arena, o.output, &path, 1, directory, got, f.g->n_outputs, 120);
    if (why) fail_msg("%s", why);
    check_bits(&f, seed, "compiled", want, got);
    temporary_remove(directory);
    arena_destroy(f.arena);
}

static void programs_keep_values(void **state) {
    (void)state;
    scratch_home();
    for (uint64_t seed = 101; seed <= 104; seed++) compiled(seed, KERNELS_NATIVE, "native");
    compiled(105, KERNELS_PLAIN, "native");
#ifdef __x86_64__
    compiled(106, KERNELS_NATIVE, "x86-64");
#endif
}

/* ---- windows in other words ---- */

typedef struct windows { /* Relu or nothing, a Pad, then a window of 3, or what takes its place */
    const char *op;
    bool relu;
    float fill;
    int64_t pad, own_pad, counts, ceils;
    const char *mode, *auto_pad;
    const char *after; /* the operators that are left */
} windows;

static value *window_net(fixture *f, const windows *k) {
    value *x = input(f, 4, 11, 9), *y;
    if (k->relu) x = one(f, "Relu", x);
    const int64_t p = k->pad;
    x = apply(f, "Pad",
              (value *[]){x, INTS(f, 8, 0, 0, p, 0, 0, 0, p, p + 1), numbers(f, 1, k->fill)}, 3);
    if (k->mode) node_set_string(f->g, x->producer, "mode", k->mode);
    if (!strcmp(k->op, "Conv")) {
        tensor *w = tensor_new(f->arena, DT_FLOAT, &(shape){4, {5, 4, 3, 3}});
        for (int64_t i = 0; i < shape_count(&w->shape); i++)
            tensor_set(w, i, (double)below(f, 2001) / 1000 - 1);
        y = two(f, "Conv", x, graph_add_constant(f->g, NULL, w));
    } else {
        y = one(f, k->op, x);
        node_set_ints(f->g, y->producer, "kernel_shape", (int64_t[]){3, 3}, 2);
        node_set_int(f->g, y->producer, "ceil_mode", k->ceils);
        if (!strcmp(k->op, "AveragePool"))
            node_set_int(f->g, y->producer, "count_include_pad", k->counts);
    }
    node_set_ints(f->g, y->producer, "strides", (int64_t[]){2, 2}, 2);
    if (k->auto_pad)
        node_set_string(f->g, y->producer, "auto_pad", k->auto_pad);
    else if (k->own_pad)
        node_set_ints(f->g, y->producer, "pads",
                      (int64_t[]){k->own_pad, k->own_pad, k->own_pad, k->own_pad}, 4);
    return y;
}

static void check_operators(const graph *g, const char *want) {
    text t = {0};
    for (size_t i = 0; i < g->n_nodes; i++)
        text_printf(&t, "%s%s", i ? " " : "", g->nodes[i]->op_type);
    if (strcmp(text_str(&t), want)) fail_msg("%s instead of %s", text_str(&t), want);
    text_free(&t);
}

static void check_windows(const windows *k) {
    fixture f;
    tensor *want[OUTPUTS], *got[OUTPUTS];
    const options o = {.name = "net"};
    begin(&f, 3);
    output(&f, window_net(&f, k));
    resolve(&f, &o);
    tensor *x = data_of(&f);
    evaluate(&f, x, want);
    assert_true(pass_simplify(f.g, &o));
    ir_verify(f.g, "simplify", true);
    check_operators(f.g, k->after);
    evaluate(&f, x, got);
    check_bits(&f, 0, k->after, want, got);
    arena_destroy(f.arena);
}

static void pads_join_windows(void **state) {
    (void)state;
    static const windows cases[] = {
        {"Conv", .pad = 1, .after = "Conv"},
        {"Conv", .pad = 4, .own_pad = 2, .after = "Conv"},
        {"Conv", .pad = 1, .auto_pad = "SAME_LOWER", .after = "Conv"},
        {"Conv", .pad = 1, .auto_pad = "VALID", .after = "Conv"},
        {"Conv", .pad = 1, .fill = 0.5f, .after = "Pad Conv"},
        {"Conv", .pad = 1, .mode = "edge", .after = "Pad Conv"},
        {"AveragePool", .pad = 1, .after = "AveragePool"},
        {"AveragePool", .pad = 0, .own_pad = 1, .counts = 1, .after = "AveragePool"},
        {"AveragePool", .pad = 1, .own_pad = 1, .counts = 0, .after = "Pad AveragePool"},
        {"AveragePool", .pad = 1, .ceils = 1, .after = "Pad AveragePool"},
        {"AveragePool", .pad = 2, .after = "Pad AveragePool"}, /* a window might see nothing but
                                                                  padding */
        {"MaxPool", .pad = 1, .after = "Pad MaxPool"},
        {"MaxPool", .pad = 1, .relu = true, .after = "Relu MaxPool"},
        {"MaxPool", .pad = 1, .fill = -INFINITY, .after = "MaxPool"},
        {"MaxPool", .pad = 1, .relu = true, .fill = 1, .after = "Relu Pad MaxPool"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_windows(&cases[i]);
}

/* Means over the pixels and windows over all of the image, and what only looks like them. */
static void global_pools(void **state) {
    (void)state;
    const options o = {.name = "net"};
    for (int i = 0; i < 6; i++) {
        static const char *const after[] = {
            "GlobalAveragePool Reshape", "GlobalAveragePool", "GlobalMaxPool",
            "GlobalAveragePool",         "MaxPool",           "ReduceMean"};
        fixture f;
        tensor *want[OUTPUTS], *got[OUTPUTS];
        begin(&f, 5);
        value *x = input(&f, 6, 5, 3), *y = one(&f,
                                                i == 2   ? "ReduceMax"
                                                : i == 3 ? "AveragePool"
                                                : i == 4 ? "MaxPool"
                                                         : "ReduceMean",
                                                x);
        if (i == 3 || i == 4)
            node_set_ints(f.g, y->producer, "kernel_shape", (int64_t[]){5, 3 - (i == 4)}, 2);
        else
            node_set_ints(f.g, y->producer, "axes", (int64_t[]){i == 5 ? 1 : -1, 2}, 2),
                node_set_int(f.g, y->producer, "keepdims", i > 0);
        output(&f, y);
        resolve(&f, &o);
        tensor *data = data_of(&f);
        evaluate(&f, data, want);
        assert_true(pass_simplify(f.g, &o));
        check_operators(f.g, after[i]);
        evaluate(&f, data, got);
        check_bits(&f, (uint64_t)i, "global", want, got);
        arena_destroy(f.arena);
    }
}

/* ---- Concats that continue each other ---- */

typedef struct block {
    int64_t axis;
    bool output_between, embedding_between, repeated;
} block;

static value *conv(fixture *f, value *x, int64_t c_in, int64_t c_out) {
    tensor *w = tensor_new(f->arena, DT_FLOAT, &(shape){4, {c_out, c_in, 1, 1}});
    for (int64_t i = 0; i < shape_count(&w->shape); i++)
        tensor_set(w, i, (double)below(f, 2001) / 1000 - 1);
    return two(f, "Conv", x, graph_add_constant(f->g, NULL, w));
}

/* A dense block of six layers. long_form: each Concat lists all that came before. */
static void dense_block(fixture *f, const block *k, bool long_form) {
    enum { LAYERS = 6, FIRST = 16, GROWTH = 8 };
    value *part[LAYERS + 2];
    size_t n = 0;
    begin(f, 7);
    value *whole = part[n++] = conv(f, input(f, 3, 14, 14), 3, FIRST);
    if (k->repeated) part[n++] = whole, whole = concat(f, part, 2, k->axis);
    for (int64_t i = 0; i < LAYERS; i++) {
        const int64_t c = (k->repeated ? 2 * FIRST : FIRST) + i * GROWTH;
        part[n++] = conv(f, whole, c, GROWTH);
        whole = long_form ? concat(f, part, n, k->axis)
                          : concat(f, (value *[]){whole, part[n - 1]}, 2, k->axis);
        if (i == 2 && k->output_between) output(f, whole);
        if (i == 2 && k->embedding_between) f->g->embedding = whole;
    }
    output(f, conv(f, whole, (k->repeated ? 2 * FIRST : FIRST) + LAYERS * GROWTH, 4));
}

static int64_t arena_bytes(const graph *g) {
    int64_t end = 0;
    for (size_t i = 0; i < g->n_values; i++) {
        const value *v = g->values[i];
        if (v->arena_offset < 0 || v->base || v->constant) continue;
        const int64_t here = v->arena_offset + value_planned_count(g, v) * 4;
        if (here > end) end = here;
    }
    return end;
}

static size_t copies(const graph *g) {
    size_t n = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        n += !strcmp(g->nodes[i]->op_type, "Concat") && !node_is_silent(g->nodes[i]);
    return n;
}

static void long_concats_plan_as_short(void **state) {
    (void)state;
    static const block blocks[] = {{1, false, false, false},
                                   {-3, false, false, false},
                                   {1, .output_between = true},
                                   {1, .embedding_between = true},
                                   {1, .repeated = true}};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        int64_t bytes[2];
        size_t moved[2], nodes[2];
        tensor *out[2][OUTPUTS];
        for (int form = 0; form < 2; form++) {
            fixture f;
            const options o = {.name = "net",
                               .output = "net",
                               .kernels = KERNELS_NATIVE,
                               .target = {"x86-64-v3", "", 8, 16}};
            dense_block(&f, &blocks[i], form);
            assert_true(compile_check(f.g, &o));
            evaluate(&f, data_of(&f), out[form]);
            assert_true(compile_back(f.g, &o));
            bytes[form] = arena_bytes(f.g), moved[form] = copies(f.g), nodes[form] = f.g->n_nodes;
            for (size_t k = 0; k < f.g->n_outputs; k++) { /* beyond the arena's life */
                tensor *t = malloc(sizeof *t);
                *t = *out[form][k];
                t->data = memcpy(malloc(tensor_bytes(t)), t->data, tensor_bytes(t));
                out[form][k] = t;
            }
            if (form) check_bits(&f, i, "long", out[0], out[1]);
            for (size_t k = 0; form && k < 2 * f.g->n_outputs; k++) {
                tensor *t = out[k % 2][k / 2];
                free(t->data), free(t);
            }
            arena_destroy(f.arena);
        }
        assert_int_equal(bytes[0], bytes[1]);
        assert_int_equal(moved[0], moved[1]);
        assert_int_equal(nodes[0], nodes[1]);
        if (!blocks[i].output_between && !blocks[i].embedding_between && !blocks[i].repeated)
            assert_int_equal(moved[1], 0);
    }
}

/* Concats along other axes, of other operands, or in another order have nothing to do with each
   other. */
static void other_concats_stay(void **state) {
    (void)state;
    fixture f;
    begin(&f, 1);
    value *x = input(&f, 4, 4, 4), *a = one(&f, "Relu", x), *b = one(&f, "Neg", x),
          *c = one(&f, "Abs", x);
    value *ab = concat(&f, (value *[]){a, b}, 2, 1), *ab2 = concat(&f, (value *[]){a, b, c}, 3, 2);
    value *bac = concat(&f, (value *[]){b, a, c}, 3, 1),
          *abc = concat(&f, (value *[]){a, b, c}, 3, -3);
    value *again = concat(&f, (value *[]){a, b, c}, 3, 1);
    output(&f, ab), output(&f, ab2), output(&f, bac), output(&f, one(&f, "Relu", abc)),
        output(&f, one(&f, "Neg", again));
    assert_true(compile_check(f.g, &(options){0}));
    assert_int_equal(ab2->producer->n_in, 3);
    assert_int_equal(bac->producer->n_in, 3);
    assert_int_equal(abc->producer->n_in, 2);
    assert_ptr_equal(abc->producer->in[0], ab);
    assert_ptr_equal(f.g->outputs[4]->producer->in[0], abc); /* the same Concat again */
    arena_destroy(f.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewrites_keep_values), cmocka_unit_test(pads_join_windows),
        cmocka_unit_test(global_pools),         cmocka_unit_test(long_concats_plan_as_short),
        cmocka_unit_test(other_concats_stay),   cmocka_unit_test(programs_keep_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
