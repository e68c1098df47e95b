/* The back half of the pipeline: fusing, layouts, the memory plan, emission. Graphs are built by
   hand; what a rewrite must keep is checked by evaluating the graph before and after with the
   rows' reference functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "../../compiler/compile.h"
#include "../../compiler/emit/emit.h"
#include "../../compiler/ir/implementation.h"
#include "../../compiler/ir/op.h"
#include "../../compiler/ops/act.h"
#include "../../compiler/passes/plan.h"
#include "compiler/ir/interpret.h"

typedef struct fixture {
    arena *arena;
    diag diag;
    graph *g;
    options options;
    uint64_t seed;
} fixture;

static fixture setup(void) {
    fixture f = {.arena = arena_create(), .seed = 1};
    f.diag.arena = f.arena;
    f.diag.file = "test";
    return f;
}

static void begin(fixture *f) {
    f->g = graph_create(f->arena, &f->diag);
    f->g->name = "test";
    f->g->batch = 1;
    f->options = (options){.name = "net", .output = "net", .kernels = KERNELS_PLAIN};
    f->options.target = (target){"x86-64-v3", "-march=x86-64-v3", 8, 16};
}

static uint64_t next(fixture *f) {
    f->seed = f->seed * 6364136223846793005u + 1442695040888963407u;
    return f->seed >> 33;
}

static double number(fixture *f) { return (double)next(f) / 1073741824.0 - 1; }

static value *constant(fixture *f, int rank, const int64_t *dim, double low) {
    shape s = {.rank = rank};
    memcpy(s.dim, dim, (size_t)rank * sizeof *dim);
    tensor *t = tensor_new(f->arena, DT_FLOAT, &s);
    for (int64_t i = 0; i < shape_count(&s); i++) tensor_set(t, i, low + fabs(number(f)));
    return graph_add_constant(f->g, NULL, t);
}

static value *input(fixture *f, int64_t c, int64_t h, int64_t w) {
    value *v = graph_add_value(f->g, "input");
    v->type = DT_FLOAT, v->shaped = true, v->is_input = true;
    v->shape = (shape){4, {1, c, h, w}};
    f->g->inputs = ARENA_ARRAY(f->arena, value *, 1);
    f->g->inputs[0] = v;
    f->g->n_inputs = 1;
    return v;
}

static value *apply(fixture *f, const char *op, value *const *in, size_t n_in) {
    value *y = graph_add_value(f->g, NULL);
    node *n = graph_add_node(f->g, op, "", in, n_in, &y, 1);
    n->opset = 13;
    n->name = y->name;
    return y;
}

static value *conv(fixture *f, value *x, int64_t c_in, int64_t c_out, int64_t k) {
    value *w = constant(f, 4, (int64_t[]){c_out, c_in, k, k}, -0.5),
          *b = constant(f, 1, &c_out, -0.5);
    value *y = apply(f, "Conv", (value *[]){x, w, b}, 3);
    node_set_ints(f->g, y->producer, "pads", (int64_t[]){k / 2, k / 2, k / 2, k / 2}, 4);
    return y;
}

static value *batchnorm(fixture *f, value *x, int64_t c) {
    value *p[4];
    for (int i = 0; i < 4; i++) p[i] = constant(f, 1, &c, 0.5);
    return apply(f, "BatchNormalization", (value *[]){x, p[0], p[1], p[2], p[3]}, 5);
}

static value *relu(fixture *f, value *x) { return apply(f, "Relu", &x, 1); }

static value *add(fixture *f, value *a, value *b) { return apply(f, "Add", (value *[]){a, b}, 2); }

static void finish(fixture *f, value *y) {
    y->is_output = true;
    f->g->outputs = ARENA_ARRAY(f->arena, value *, 1);
    f->g->outputs[0] = y;
    f->g->n_outputs = 1;
    assert_true(pass_resolve(f->g, &f->options));
    assert_true(pass_infer(f->g, &f->options));
}

static tensor *evaluate(fixture *f) {
    tensor *x = tensor_new(f->arena, DT_FLOAT, &f->g->inputs[0]->shape);
    uint64_t seed = 77;
    for (int64_t i = 0; i < shape_count(&x->shape); i++) {
        seed = seed * 6364136223846793005u + 1;
        tensor_set(x, i, (double)(seed >> 40) / 16777216.0 - 0.5);
    }
    tensor **results = ARENA_ARRAY(f->arena, tensor *, f->g->n_values + 1);
    assert_true(interpret(f->g, &x, results));
    return results[f->g->outputs[0]->id];
}

static void assert_close(const tensor *a, const tensor *b) {
    assert_true(shape_equal(&a->shape, &b->shape));
    bool moves = false;
    for (int64_t i = 0; i < shape_count(&a->shape); i++) {
        const double x = tensor_get(a, i), y = tensor_get(b, i);
        assert_true(fabs(x - y) <= 1e-4 * fabs(x) + 1e-5);
        moves |= i && x != tensor_get(a, 0);
    }
    assert_true(moves);
}

static size_t count_nodes(const fixture *f, const char *op) {
    size_t n = 0;
    for (size_t i = 0; i < f->g->n_nodes; i++) n += !strcmp(f->g->nodes[i]->op_type, op);
    return n;
}

/* ---- fuse ---- */

/* conv - bn - relu - conv - bn + shortcut(conv) - relu */
static void residual_net(fixture *f) {
    begin(f);
    value *x = input(f, 3, 6, 5);
    value *a = relu(f, batchnorm(f, conv(f, x, 3, 8, 3), 8));
    value *b = batchnorm(f, conv(f, a, 8, 8, 3), 8);
    value *s = batchnorm(f, conv(f, a, 8, 8, 1), 8);
    finish(f, relu(f, add(f, b, s)));
}

static void fuse_residual(void **state) {
    (void)state;
    fixture f = setup();
    residual_net(&f);
    const tensor *want = evaluate(&f);
    assert_true(pass_fuse(f.g, &f.options));
    ir_verify(f.g, "fuse", true);
    assert_int_equal(f.g->n_nodes, 3);
    assert_int_equal(count_nodes(&f, "Conv"), 3);
    assert_close(want, evaluate(&f));
    arena_destroy(f.arena);
}

/* Parameters of training: scale and shift are computed in the run; residual and activation join as
   ever. */
static void fuse_live_batchnorm(void **state) {
    (void)state;
    fixture f = setup();
    residual_net(&f);
    const tensor *want = evaluate(&f);
    tensor **held = ARENA_ARRAY(f.arena, tensor *, f.g->n_values);
    for (size_t i = 0; i < f.g->n_values; i++) {
        value *v = f.g->values[i];
        if (!v->constant || v->shape.rank != 1) continue;
        held[i] = v->constant;
        v->constant = NULL, v->role = ROLE_PARAMETER;
    }
    assert_true(pass_fuse(f.g, &f.options));
    ir_verify(f.g, "fuse", true);
    assert_int_equal(count_nodes(&f, "ScaleShift"), 3);
    assert_int_equal(count_nodes(&f, "BatchNormAffine"), 3);
    assert_int_equal(f.g->n_nodes, 9);
    for (size_t i = 0; i < f.g->n_values; i++)
        if (f.g->values[i]->role == ROLE_PARAMETER) f.g->values[i]->constant = held[i];
    assert_close(want, evaluate(&f));
    arena_destroy(f.arena);
}

static void fuse_keeps_outputs(void **state) {
    (void)state;
    fixture f = setup();
    begin(&f);
    value *c = conv(&f, input(&f, 3, 4, 4), 3, 4, 3);
    value *r = relu(&f, c);
    finish(&f, c);
    (void)r;
    assert_true(pass_fuse(f.g, &f.options));
    assert_int_equal(f.g->n_nodes, 1);
    assert_string_equal(node_string(f.g->nodes[0], "act", ""), "none");
    arena_destroy(f.arena);
}

/* Of the row's flags, what can be seen: a positive activation is never below zero, a clamp is the
   number itself between its bounds, and nothing else is one. */
static void check_flags(const node *n, const act_row *act) {
    float least, most;
    const bool is_clamp = act_is_clamp(n, &least, &most);
    bool clamps = true;
    for (double x = -8; x <= 8; x += 0.0625) {
        const double y = act_apply(n, x, 0);
        if (act->flags & ACT_POSITIVE) assert_true(y >= 0);
        clamps &= y == fmin(fmax(x, (double)least), (double)most);
    }
    assert_int_equal(is_clamp, clamps);
}

/* Whatever operator act.def names joins the convolution before it. */
static void fuse_activations(void **state) {
    (void)state;
    int found = 0;
    for (opcode op = 1; op < OPCODES; op++) {
        const act_row *act = act_of_op(op);
        if (!act) continue;
        fixture f = setup();
        begin(&f);
        value *c = conv(&f, input(&f, 3, 4, 4), 3, 4, 3), *y = apply(&f, opcode_name(op), &c, 1);
        y->producer->opset = 22;
        finish(&f, y);
        const tensor *want = evaluate(&f);
        assert_true(pass_fuse(f.g, &f.options));
        assert_int_equal(f.g->n_nodes, 1);
        assert_string_equal(node_string(f.g->nodes[0], "act", ""), act->name);
        assert_close(want, evaluate(&f));
        check_flags(f.g->nodes[0], act);
        arena_destroy(f.arena);
        found++;
    }
    assert_true(found >= 7);
}

static void fuse_hardswish(void **state) {
    (void)state;
    fixture f = setup();
    begin(&f);
    value *c = conv(&f, input(&f, 3, 4, 4), 3, 4, 3);
    shape scalar = {0};
    double numbers[4] = {3, 0, 6, 6};
    value *k[4];
    for (int i = 0; i < 4; i++) {
        tensor *t = tensor_new(f.arena, DT_FLOAT, &scalar);
        tensor_set(t, 0, numbers[i]);
        k[i] = graph_add_constant(f.g, NULL, t);
    }
    value *clip = apply(&f, "Clip", (value *[]){add(&f, c, k[0]), k[1], k[2]}, 3);
    value *mul = apply(&f, "Mul", (value *[]){c, clip}, 2);
    finish(&f, apply(&f, "Div", (value *[]){mul, k[3]}, 2));
    const tensor *want = evaluate(&f);
    assert_true(pass_fuse(f.g, &f.options));
    assert_int_equal(f.g->n_nodes, 1);
    assert_string_equal(node_string(f.g->nodes[0], "act", ""), "hardswish");
    assert_close(want, evaluate(&f));
    arena_destroy(f.arena);
}

/* Pad 1 0 1 0 - AveragePool 3x2, with padding of its own or none, counting it or not. */
static void padded_average(fixture *f, int64_t own, int64_t counts) {
    begin(f);
    tensor *pads = tensor_new(f->arena, DT_INT64, &(shape){1, {8}});
    memcpy(pads->data, (int64_t[]){0, 0, 1, 0, 0, 0, 1, 0}, 8 * sizeof(int64_t));
    value *p = apply(f, "Pad", (value *[]){input(f, 3, 6, 5), graph_add_constant(f->g, NULL, pads)},
                     2);
    value *y = apply(f, "AveragePool", &p, 1);
    node_set_ints(f->g, y->producer, "kernel_shape", (int64_t[]){3, 2}, 2);
    if (own) node_set_ints(f->g, y->producer, "pads", (int64_t[]){own, own, own, own}, 4);
    node_set_int(f->g, y->producer, "count_include_pad", counts);
    finish(f, y);
}

static void fuse_padded_average(void **state) {
    (void)state;
    static const struct {
        int64_t own, counts;
        size_t left;
    } cases[] = {{0, 0, 1}, {0, 1, 1}, {1, 1, 1}, {1, 0, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f = setup();
        padded_average(&f, cases[i].own, cases[i].counts);
        const tensor *want = evaluate(&f);
        assert_true(pass_simplify(f.g, &f.options) && pass_fuse(f.g, &f.options));
        ir_verify(f.g, "fuse", true);
        assert_int_equal(f.g->n_nodes, cases[i].left);
        assert_close(want, evaluate(&f));
        arena_destroy(f.arena);
    }
}

/* ---- averages before 1x1 convolutions ---- */

typedef struct transition { /* BatchNormalization, Relu, convolution of k x k, average of 2x2 */
    int64_t k, stride, pad, counts, ceils, to;
    bool convolved_is_output, activated;
    bool swaps;
} transition;

static void transition_net(fixture *f, const transition *t) {
    begin(f);
    f->options.kernels = KERNELS_NATIVE;
    value *c = conv(f, relu(f, batchnorm(f, input(f, 20, 7, 9), 20)), 20, t->to, t->k),
          *a = t->activated ? relu(f, c) : c;
    value *y = apply(f, "AveragePool", &a, 1);
    node_set_ints(f->g, y->producer, "kernel_shape", (int64_t[]){2, 2}, 2);
    node_set_ints(f->g, y->producer, "strides", (int64_t[]){t->stride, t->stride}, 2);
    node_set_ints(f->g, y->producer, "pads", (int64_t[]){t->pad, t->pad, t->pad, t->pad}, 4);
    node_set_int(f->g, y->producer, "count_include_pad", t->counts);
    node_set_int(f->g, y->producer, "ceil_mode", t->ceils);
    finish(f, apply(f, "Sigmoid", &y, 1));
    c->is_output |= t->convolved_is_output;
    assert_true(pass_batch(f->g, &f->options));
}

static void check_transition(const transition *t) {
    fixture f = setup();
    transition_net(&f, t);
    const tensor *want = evaluate(&f);
    assert_true(pass_fuse(f.g, &f.options) && pass_average(f.g, &f.options));
    ir_verify(f.g, "average", true);
    size_t conv_at = 0, average_at = 0;
    for (size_t i = 0; i < f.g->n_nodes; i++) {
        if (!strcmp(f.g->nodes[i]->op_type, "Conv")) conv_at = i;
        if (!strcmp(f.g->nodes[i]->op_type, "AveragePool")) average_at = i;
    }
    assert_int_equal(average_at < conv_at, t->swaps);
    assert_close(want, evaluate(&f));
    assert_true(pass_layout(f.g, &f.options) && pass_select(f.g, &f.options) &&
                pass_chains(f.g, &f.options));
    ir_verify(f.g, "chains", true);
    const node *first = f.g->nodes[1]; /* behind the Reorder */
    assert_string_equal(first->impl->name, t->swaps ? "scaled-pool" : "scaled-conv");
    assert_close(want, evaluate(&f));
    assert_true(pass_group(f.g, &f.options) && pass_schedule(f.g, &f.options) &&
                pass_plan(f.g, &f.options));
    arena_destroy(f.arena);
}

static void averages_go_first(void **state) {
    (void)state;
    static const transition transitions[] = {{1, 2, .to = 16, .swaps = true},
                                             {1, 2, .ceils = 1, .to = 17, .swaps = true},
                                             {1, 2, .counts = 1, .to = 16, .swaps = true}, /* what
                                                                                              is not
                                                                                              there
                                                                                              does
                                                                                              not
                                                                                              count
                                                                                            */
                                             {1, 2, .counts = 1, .pad = 1, .to = 16},
                                             {1, 1, .to = 16}, /* hardly fewer pixels */
                                             {3, 2, .to = 16},
                                             {1, 2, .to = 3}, /* hardly a convolution */
                                             {1, 2, .to = 16, .activated = true},
                                             {1, 2, .to = 16, .convolved_is_output = true}};
    for (size_t i = 0; i < sizeof transitions / sizeof *transitions; i++)
        check_transition(&transitions[i]);
}

/* ---- layout ---- */

static void layout_permutes_gemm(void **state) {
    (void)state;
    fixture f = setup();
    begin(&f);
    value *c = relu(&f, conv(&f, input(&f, 3, 4, 3), 3, 5, 3));
    value *flat = apply(&f, "Flatten", &c, 1);
    finish(&f, apply(&f, "Gemm",
                     (value *[]){flat, constant(&f, 2, (int64_t[]){60, 7}, -0.5),
                                 constant(&f, 1, (int64_t[]){7}, 0)},
                     3));
    assert_true(pass_fuse(f.g, &f.options));
    value *w = f.g->nodes[f.g->n_nodes - 1]->in[1];
    assert_true(pass_layout(f.g, &f.options));
    ir_verify(f.g, "layout", true);
    const value *permuted = f.g->nodes[f.g->n_nodes - 1]->in[1];
    assert_int_equal(count_nodes(&f, "Reorder"), 1); /* of the input */
    for (int64_t c_ = 0; c_ < 5; c_++)
        for (int64_t p = 0; p < 12; p++)
            assert_true(tensor_get(permuted->constant, 60 + p * 5 + c_) ==
                        tensor_get(w->constant, 60 + c_ * 12 + p));
    arena_destroy(f.arena);
}

static void layout_output_is_onnx(void **state) {
    (void)state;
    fixture f = setup();
    residual_net(&f);
    const tensor *want = evaluate(&f);
    assert_true(pass_fuse(f.g, &f.options) && pass_layout(f.g, &f.options));
    ir_verify(f.g, "layout", true);
    assert_int_equal(f.g->outputs[0]->layout, LAYOUT_ONNX);
    assert_int_equal(count_nodes(&f, "Reorder"), 2);
    assert_close(want, evaluate(&f));
    arena_destroy(f.arena);
}

/* ---- chains ---- */

typedef struct block { /* x expands, depthwise, back to x's channels, or x scaled and to more, or x
                          gated and to less; what else is wanted of it */
    int64_t size;
    bool expands, expanded_is_output, depthwise_used_twice, scales, gates;
    kernel_choice kernels;
    const char *chain; /* the parts that run together, by their first letters */
} block;

static value *depthwise(fixture *f, value *x, int64_t c) {
    value *w = constant(f, 4, (int64_t[]){c, 1, 3, 3}, -0.5), *b = constant(f, 1, &c, -0.5);
    value *y = apply(f, "Conv", (value *[]){x, w, b}, 3);
    node_set_ints(f->g, y->producer, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    node_set_int(f->g, y->producer, "group", c);
    return y;
}

/* x times one number a channel, which depends on the image. */
static value *gated(fixture *f, value *x, int64_t c) {
    value *pooled = apply(f, "GlobalAveragePool", &x, 1), *y = conv(f, pooled, c, c, 1);
    return apply(f, "Mul", (value *[]){apply(f, "Sigmoid", &y, 1), x}, 2);
}

static void block_net(fixture *f, const block *k) {
    enum { NARROW = 8, WIDE = 32 };
    begin(f);
    f->options.kernels = k->kernels;
    value *x = input(f, k->expands ? NARROW : WIDE, k->size, k->size), *wide = x;
    if (k->gates) {
        finish(f, conv(f, gated(f, x, WIDE), WIDE, NARROW, 1));
        assert_true(pass_batch(f->g, &f->options));
        return;
    }
    if (k->scales) {
        finish(f, conv(f, relu(f, batchnorm(f, x, WIDE)), WIDE, NARROW, 3));
        assert_true(pass_batch(f->g, &f->options));
        return;
    }
    if (k->expands) wide = relu(f, conv(f, x, NARROW, WIDE, 1));
    value *d = relu(f, depthwise(f, wide, WIDE)), *y = conv(f, d, WIDE, NARROW, 1);
    if (k->expands) y = add(f, y, x);
    if (k->depthwise_used_twice) y = add(f, y, conv(f, d, WIDE, NARROW, 1));
    finish(f, y);
    wide->is_output |= k->expanded_is_output;
    assert_true(pass_batch(f->g, &f->options));
}

static void check_block(const block *k) {
    fixture f = setup();
    block_net(&f, k);
    const tensor *want = evaluate(&f);
    assert_true(pass_fuse(f.g, &f.options) && pass_layout(f.g, &f.options) &&
                pass_select(f.g, &f.options));
    double before = 0, after = 0;
    for (size_t i = 0; i < f.g->n_nodes; i++) before += f.g->nodes[i]->macs;
    assert_true(pass_chains(f.g, &f.options));
    ir_verify(f.g, "chains", true);
    const node *chain = NULL;
    for (size_t i = 0; i < f.g->n_nodes; i++) {
        after += f.g->nodes[i]->macs;
        if (!strcmp(f.g->nodes[i]->op_type, "ConvChain")) chain = f.g->nodes[i];
    }
    assert_int_equal(chain ? chain->n_parts : 0, strlen(k->chain));
    if (chain)
        assert_string_equal(chain->impl->name, k->scales  ? "scaled-conv"
                                               : k->gates ? "gated-conv"
                                                          : "strip-conv");
    assert_true(before == after && before > 0);
    assert_close(want, evaluate(&f));
    assert_true(pass_group(f.g, &f.options) && pass_schedule(f.g, &f.options) &&
                pass_plan(f.g, &f.options));
    arena_destroy(f.arena);
}

static void chains(void **state) {
    (void)state;
    static const block blocks[] = {
        {120, .expands = true, .kernels = KERNELS_NATIVE, .chain = "edp"},
        {120, .kernels = KERNELS_AUTO, .chain = "dp"},
        {120, .expands = true, .kernels = KERNELS_PLAIN, .chain = ""},
        {120, .expands = true, .kernels = KERNELS_XNNPACK, .chain = ""},
        {30, .expands = true, .kernels = KERNELS_NATIVE, .chain = ""}, /* stays in the cache */
        {120, true, .expanded_is_output = true, .kernels = KERNELS_NATIVE, .chain = "dp"},
        {120, true, .depthwise_used_twice = true, .kernels = KERNELS_NATIVE, .chain = ""},
        {6, .scales = true, .kernels = KERNELS_AUTO, .chain = "sp"},
        {6, .scales = true, .kernels = KERNELS_PLAIN, .chain = ""},
        {20, .gates = true, .kernels = KERNELS_AUTO, .chain = "gp"},
        {20, .gates = true, .kernels = KERNELS_PLAIN, .chain = ""},
        {2, .gates = true, .kernels = KERNELS_AUTO, .chain = ""}}; /* few pixels, more weights */
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) check_block(&blocks[i]);
}

/* ---- early and late nodes of a batch ---- */

static value *strided(fixture *f, value *x, int64_t c_in, int64_t c_out, int64_t stride) {
    value *y = conv(f, x, c_in, c_out, 3);
    node_set_ints(f->g, y->producer, "strides", (int64_t[]){stride, stride}, 2);
    return y;
}

/* Large maps, then large weights; with `shortcut`, two values pass to wherever the weights
   begin. */
static void two_sections_net(fixture *f, bool shortcut) {
    enum { BATCH = 16 };
    begin(f);
    f->options.kernels = KERNELS_NATIVE;
    value *x = input(f, 3, 256, 256);
    x->shape.dim[0] = BATCH;
    value *a = relu(f, conv(f, x, 3, 16, 3)), *b = relu(f, conv(f, a, 16, 16, 3));
    value *narrow = strided(f, b, 16, 64, 16), *y = narrow;
    for (int i = 0; i < 3; i++) y = relu(f, conv(f, y, i ? 512 : 64, 512, 3));
    finish(f, shortcut ? add(f, y, strided(f, a, 16, 512, 16)) : y);
    assert_true(pass_batch(f->g, &f->options));
    assert_int_equal(f->g->batch, BATCH);
    assert_true(compile_back(f->g, &f->options));
    plan_check(f->g);
}

static bool overlap(const graph *g, const value *a, const value *b) {
    const int64_t an = value_planned_count(g, a) * 4, bn = value_planned_count(g, b) * 4;
    return a->arena_offset < b->arena_offset + bn && b->arena_offset < a->arena_offset + an;
}

/* Early values come again with every group: none may lie where the images of the groups before
   wait. */
static void sections(void **state) {
    (void)state;
    fixture f = setup();
    two_sections_net(&f, false);
    const graph *g = f.g;
    assert_true(g->late > 0 && g->late < g->n_nodes && g->group < g->late_group);
    const value *waiting = g->nodes[g->late]->in[0];
    assert_true(waiting->is_late && waiting->arena_offset >= 0);
    assert_int_equal(value_planned_count(g, waiting),
                     value_count(waiting) / g->batch * g->late_group);
    size_t early = 0;
    for (size_t i = 0; i < g->late; i++) {
        const value *v = g->nodes[i]->out[0];
        if (v == waiting || v->arena_offset < 0 || v->base) continue;
        early++;
        assert_int_equal(value_planned_count(g, v), value_count(v) / g->batch * g->group);
        assert_false(overlap(g, v, waiting));
    }
    assert_true(early > 0);
    two_sections_net(&f, true); /* two values pass wherever the weights begin, until the last
                                   addition */
    assert_int_equal(f.g->late, 0);
    arena_destroy(f.arena);
}

/* ---- plan ---- */

static void random_net(fixture *f) {
    begin(f);
    value *pool[24];
    size_t n = 0;
    pool[n++] = conv(f, input(f, 3, 5, 4), 3, 4, 3);
    while (n < 20) {
        value *a = pool[next(f) % n], *b = pool[next(f) % n];
        switch (next(f) % 4) {
        case 0: pool[n++] = relu(f, a); break;
        case 1: pool[n++] = add(f, a, b); break;
        case 2: pool[n++] = conv(f, a, 4, 4, 3); break;
        default: {
            value *y = apply(f, "Concat", (value *[]){a, b}, 2);
            node_set_int(f->g, y->producer, "axis", 1);
            pool[n++] = conv(f, y, 8, 4, 1);
        }
        }
    }
    value *sum = pool[0];
    for (size_t i = 1; i < n; i++) sum = add(f, sum, pool[i]);
    finish(f, sum);
}

static void check_topological(const graph *g) { ir_verify(g, "schedule", true); }

/* plan_check is gate B; in addition every slot lies inside what its owner's slice reaches. */
static void plan_random(void **state) {
    (void)state;
    fixture f = setup();
    for (int i = 0; i < 30; i++) {
        random_net(&f);
        assert_true(compile_back(f.g, &f.options));
        check_topological(f.g);
        plan_check(f.g);
        for (size_t k = 0; k < f.g->n_values; k++) {
            const value *v = f.g->values[k], *root = v;
            int64_t offset = 0;
            for (; root->base; root = root->base) offset += root->view_offset;
            assert_true(offset >= 0);
            if (root != v) assert_true(offset + 1 <= value_count(root));
        }
    }
    arena_destroy(f.arena);
}

/* ---- emission ---- */

static void emit_is_repeatable(void **state) {
    (void)state;
    program made[2];
    emitted *out[2] = {&made[0].units[0], &made[1].units[0]};
    memset(made, 0, sizeof made);
    fixture f[2];
    for (int i = 0; i < 2; i++) {
        f[i] = setup();
        residual_net(&f[i]);
        assert_true(compile_back(f[i].g, &f[i].options));
        assert_true(emit_model(f[i].g, &f[i].options, "", out[i]));
        made[i].n_units = 1;
    }
    assert_string_equal(text_str(&out[0]->model_c), text_str(&out[1]->model_c));
    assert_string_equal(text_str(&out[0]->model_h), text_str(&out[1]->model_h));
    assert_int_equal(out[0]->weights.size, out[1]->weights.size);
    assert_memory_equal(text_str(&out[0]->weights), text_str(&out[1]->weights),
                        out[0]->weights.size);
    for (int i = 0; i < 2; i++) {
        program_free(&made[i]);
        arena_destroy(f[i].arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fuse_residual),
        cmocka_unit_test(fuse_keeps_outputs),
        cmocka_unit_test(fuse_activations),
        cmocka_unit_test(fuse_hardswish),
        cmocka_unit_test(fuse_padded_average),
        cmocka_unit_test(fuse_live_batchnorm),
        cmocka_unit_test(averages_go_first),
        cmocka_unit_test(layout_permutes_gemm),
        cmocka_unit_test(layout_output_is_onnx),
        cmocka_unit_test(chains),
        cmocka_unit_test(sections),
        cmocka_unit_test(plan_random),
        cmocka_unit_test(emit_is_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
