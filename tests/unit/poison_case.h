/* The cases of a test of operator rows once more, with NaN, infinities and -0 at random places of
   their float operands: one program with the plain loops of all of them must give NaN and
   infinities exactly where the references do. Include after op_case.h, and put `poisoned` last in
   the list of tests. */
#ifndef CAMEO_TESTS_POISON_CASE_H
#define CAMEO_TESTS_POISON_CASE_H
#include "compiler/ir/interpret.h"
#include "op_case.h"

#include "../../compiler/base/temporary.h"
#include "../../compiler/kernels/kernels.h"
#include "../../compiler/passes/front.h"
#include "../../compiler/tuning/trial.h"
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { POISONS = 5, POISON_CASES = 400 };

typedef struct poison {
    arena *arena;
    diag diag;
    graph *g;
    value *inputs[CASE_IN * POISON_CASES], *outputs[CASE_OUT * POISON_CASES];
    const tensor *clean[CASE_IN * POISON_CASES]; /* of each input */
    const row_case *of[CASE_OUT * POISON_CASES]; /* of each output */
    size_t n_inputs, n_outputs;
    options options;
    char *directory;
    bool sparse;            /* a few strikes a tensor, and single precision's errors of long sums */
    const char *wanted[16]; /* kernels that must have been chosen */
    size_t n_wanted;
    tensor *data[POISONS][CASE_IN * POISON_CASES], *want[POISONS][CASE_OUT * POISON_CASES];
    uint64_t seed;
} poison;

static inline double poison_number(poison *p) {
    p->seed = p->seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(p->seed >> 33) / 2147483648.0;
}

/* Kind 0: NaN alone; 1: one infinity; 2: infinities of both signs; 3: -0 and a denormal number; 4:
   all. */
static inline tensor *poison_tensor(poison *p, const tensor *clean, int kind) {
    static const double odd[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, -0.0, 1e-41};
    static const int first[POISONS] = {0, 1, 1, 3, 0}, count[POISONS] = {1, 1, 2, 2, 5};
    tensor *t = tensor_new(p->arena, clean->type, &clean->shape);
    const double n = (double)shape_count(&clean->shape),
                 often = poison_number(p) < 0.5 ? 0.15 : 0.5;
    const double rate = p->sparse ? 3 / n : often;
    for (int64_t i = 0; i < shape_count(&clean->shape); i++) {
        const bool strike = poison_number(p) < rate;
        const int which = first[kind] + (int)(poison_number(p) * count[kind]);
        tensor_set(t, i, strike ? odd[which] : tensor_get(clean, i));
    }
    return t;
}

/* The first `most` float operands become graph inputs, as far as they decide no shape. How many. */
static inline size_t poison_open(poison *p, node *n, const tensor *const *in, size_t most) {
    size_t opened = 0;
    for (size_t i = 0; i < n->n_in && opened < most; i++) {
        value *v = n->in[i];
        if (!v || v->type != DT_FLOAT || !value_count(v) || (n->op->shape_inputs >> i & 1))
            continue;
        const size_t k = p->n_inputs + opened++;
        v->constant = NULL, v->is_input = true, v->name = arena_printf(p->arena, "in%zu", k);
        p->inputs[k] = v, p->clean[k] = in[i];
    }
    return opened;
}

static inline bool poison_node(poison *p, const row_case *c, size_t most) {
    row_case known = *c;
    const tensor *in[CASE_IN] = {NULL};
    const size_t before = p->g->n_nodes, values = p->g->n_values;
    known.run_time = false;
    node *n = case_node(p->g, &known, in);
    const size_t opened = n ? poison_open(p, n, in, most) : 0;
    if (!opened || !n->op->infer(p->g, n)) {
        p->g->n_nodes = before, p->g->n_values = values;
        return false;
    }
    p->n_inputs += opened;
    for (size_t i = 0; i < n->n_out; i++) {
        if (!n->out[i]) continue;
        n->out[i]->is_output = true;
        p->of[p->n_outputs] = c;
        p->outputs[p->n_outputs++] = n->out[i];
    }
    return true;
}

/* Rows that take some operand as a constant only are asked again with one operand open. */
static inline void poison_collect(poison *p) {
    size_t nodes = 0;
    for (size_t i = 0; i < case_seen_count && nodes < POISON_CASES; i++)
        if (!case_seen[i]->fails)
            nodes += poison_node(p, case_seen[i], CASE_IN) || poison_node(p, case_seen[i], 1);
    p->g->inputs = p->inputs, p->g->n_inputs = p->n_inputs;
    p->g->outputs = p->outputs, p->g->n_outputs = p->n_outputs;
    p->g->name = "poisoned", p->g->batch = 1;
    p->diag = (diag){.arena = p->arena, .file = "poison"};
    assert_true(nodes > 0);
}

/* ONNX's elementwise operators: a NaN goes in, a NaN comes out. What is computed to a bool or an
   integer has none, and Where chooses. pow(x, 0) and pow(1, y) are 1. */
static inline void poison_passes(tensor *const *all, const node *n) {
    if (!(n->op->flags & OP_ELEMENTWISE) || n->domain[0] || !strcmp(n->op_type, "Where") ||
        !strcmp(n->op_type, "Pow"))
        return;
    if (n->out[0]->type != DT_FLOAT || !shape_equal(&n->in[0]->shape, &n->out[0]->shape)) return;
    const tensor *x = n->in[0]->constant ? n->in[0]->constant : all[n->in[0]->id],
                 *y = all[n->out[0]->id];
    for (int64_t i = 0; x->type == DT_FLOAT && i < shape_count(&x->shape); i++)
        if (isnan(tensor_get(x, i)) && !isnan(tensor_get(y, i)))
            fail_msg("%s: a NaN is lost", n->op_type);
}

static inline void poison_expect(poison *p, int kind) {
    tensor **all = ARENA_ARRAY(p->arena, tensor *, p->g->n_values + 1);
    for (size_t i = 0; i < p->n_inputs; i++) p->data[kind][i] = poison_tensor(p, p->clean[i], kind);
    if (!interpret(p->g, p->data[kind], all)) {
        text t = {0};
        diag_print(&p->diag, &t);
        fail_msg("%s", text_str(&t));
    }
    for (size_t i = 0; i < p->n_outputs; i++) p->want[kind][i] = all[p->outputs[i]->id];
    for (size_t i = 0; i < p->g->n_nodes; i++) poison_passes(all, p->g->nodes[i]);
}

static inline double poison_tolerance(const poison *p, const tensor *want) {
    double largest = 1;
    for (int64_t i = 0; i < shape_count(&want->shape); i++)
        if (isfinite(tensor_get(want, i))) largest = fmax(largest, fabs(tensor_get(want, i)));
    return p->sparse ? 1e-4 * largest : 1e-5;
}

static inline size_t poison_compare(poison *p, int kind) {
    tensor **got = ARENA_ARRAY(p->arena, tensor *, p->n_outputs);
    const char **paths = ARENA_ARRAY(p->arena, const char *, p->n_inputs);
    size_t wrong = 0;
    for (size_t i = 0; i < p->n_inputs; i++) {
        paths[i] = arena_printf(p->arena, "%s/in%zu.npy", p->directory, i);
        assert_true(trial_write_npy(paths[i], p->data[kind][i]));
    }
    const char *why = trial_run(p->arena, p->options.output, paths, p->n_inputs, p->directory, got,
                                p->n_outputs, 60);
    if (why) fail_msg("%s", why);
    for (size_t i = 0; i < p->n_outputs; i++) {
        difference d = {.ok = true};
        tensor_compare(got[i], p->want[kind][i], 1e-5, poison_tolerance(p, p->want[kind][i]), &d);
        if (d.ok) continue;
        print_error("%s of %s, poison %d: %zu odd, difference %g\n", p->of[i]->name, p->of[i]->op,
                    kind, d.odd, d.max_abs);
        wrong++;
    }
    return wrong;
}

static inline poison *poison_begin(const char *level, kernel_choice kernels) {
    poison *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->arena = arena_create(), p->seed = 3;
    p->diag = (diag){.arena = p->arena, .file = "poison"};
    p->g = graph_create(p->arena, &p->diag);
    p->directory = temporary_directory(p->arena);
    assert_non_null(p->directory);
    scratch_home();
    p->options = (options){.name = "poisoned", .kernels = kernels, .jobs = 2};
    p->options.output = arena_printf(p->arena, "%s/poisoned", p->directory);
    assert_true(target_resolve(level, &p->options.target));
    return p;
}

static inline void poison_end(poison *p) {
    temporary_remove(p->directory);
    arena_destroy(p->arena);
    free(p);
}

static inline size_t poison_kernels(const poison *p) {
    size_t missing = 0;
    for (size_t i = 0; i < p->n_wanted; i++) {
        bool found = false;
        for (size_t k = 0; k < p->g->n_nodes; k++)
            found |= p->g->nodes[k]->impl && !strcmp(p->g->nodes[k]->impl->name, p->wanted[i]);
        if (!found) print_error("no layer was given the kernel %s\n", p->wanted[i]), missing++;
    }
    return missing;
}

/* What the references say, then what the compiled program does. Ends with the fixture. */
static inline void poison_run(poison *p) {
    size_t wrong = 0;
    for (int kind = 0; kind < POISONS; kind++) poison_expect(p, kind);
    assert_int_equal(compile_rest(p->g, &p->options), 0);
    wrong += poison_kernels(p);
    for (int kind = 0; kind < POISONS; kind++) wrong += poison_compare(p, kind);
    poison_end(p);
    assert_int_equal(wrong, 0);
}

static inline void poisoned(void **state) {
    (void)state;
    poison *p = poison_begin("native", KERNELS_PLAIN);
    poison_collect(p);
    poison_run(p);
}
#endif
