/* One ONNX backend test: the model, compiled, on the test's inputs, against the test's outputs.
   Inputs that decide a shape are made constants first. See conform.h. */
#define _GNU_SOURCE
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../ir/interpret.h"
#include "../ir/op.h"
#include "../onnx/onnx.h"
#include "../passes/front.h"
#include "../tuning/trial.h"
#include "conform.h"

typedef struct data_set { /* one run of one test */
    arena *arena;
    const conform_options *options;
    outcome *result;
    const char *directory, *scratch;
    graph *graph;
    tensor **inputs, **expected;
    const char **paths; /* of the inputs */
} data_set;

bool conform_fail(outcome *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    r->verdict = VERDICT_FAIL;
    vsnprintf(r->reason, sizeof r->reason, format, args);
    va_end(args);
    return false;
}

static bool unsupported(outcome *r, const diag *d) {
    const diag_item *item = d->first;
    while (item && item->warning) item = item->next;
    r->verdict = VERDICT_NONE;
    if (item && item->node)
        snprintf(r->reason, sizeof r->reason, "%s: %s", item->node->op_type, item->message);
    else
        snprintf(r->reason, sizeof r->reason, "%s", item ? item->message : "import failed");
    return false;
}

/* ---- inputs that decide a shape ---- */

/* Shape and Size need no data: what they are given may stay an input. */
static bool needs_data(const node *n) { return n->opcode != ONNX_Shape && n->opcode != ONNX_Size; }

void conform_shape_inputs(const graph *g, bool *decides) {
    bool *wanted = calloc(g->n_values + 1, sizeof *wanted);
    for (size_t k = g->n_nodes; wanted && k-- > 0;) { /* nodes are sorted, so every use comes after
                                                         what it uses */
        const node *n = g->nodes[k];
        const op_row *row = op_find(n->domain, n->op_type, n->opset, NULL);
        bool all = false;
        for (size_t i = 0; i < n->n_out; i++) all |= n->out[i] && wanted[n->out[i]->id];
        for (size_t i = 0; i < n->n_in; i++)
            if (n->in[i] &&
                ((all && needs_data(n)) || (row && i < 32 && (row->shape_inputs >> i & 1))))
                wanted[n->in[i]->id] = true;
    }
    for (size_t i = 0; i < g->n_inputs; i++) decides[i] = wanted && wanted[g->inputs[i]->id];
    free(wanted);
}

static void freeze(value *v, tensor *t) {
    v->constant = t;
    v->is_input = false;
    v->shape = t->shape;
    v->shaped = true;
}

/* Symbolic extents of an input are those of its data. */
static void take_shape(value *v, const tensor *t) {
    if (v->shaped && (v->shape.rank != t->shape.rank || shape_known(&v->shape))) return;
    v->shape = t->shape;
    v->shaped = true;
}

static void prepare_inputs(data_set *s) {
    graph *g = s->graph;
    bool *decides = ARENA_ARRAY(s->arena, bool, g->n_inputs + 1);
    size_t kept = 0;
    conform_shape_inputs(g, decides);
    for (size_t i = 0; i < g->n_inputs; i++) {
        value *v = g->inputs[i];
        tensor *t = s->inputs[i];
        if (t && decides[i] && t->type == v->type) {
            freeze(v, t);
            s->result->frozen++;
            continue;
        }
        if (t) take_shape(v, t);
        s->paths[kept] = s->paths[i];
        s->inputs[kept] = t;
        g->inputs[kept++] = v;
    }
    g->n_inputs = kept;
}

/* ---- data ---- */

/* NULL with a message where the file is absent or of another kind. */
static tensor *read_one(const data_set *s, const char *kind, size_t i, const char **path,
                        const char **why) {
    const char *name = NULL, *problem = "unreadable";
    *path = arena_printf(s->arena, "%s/%s_%zu.pb", s->directory, kind, i);
    if (access(*path, R_OK)) problem = "not there";
    tensor *t = access(*path, R_OK) ? NULL : onnx_read_tensor(s->arena, *path, &name, &problem);
    if (!t && !*why) *why = arena_printf(s->arena, "%s_%zu.pb: %s", kind, i, problem);
    return t;
}

static const char *read_data(data_set *s) {
    const char *why = NULL, *path;
    for (size_t i = 0; i < s->graph->n_inputs; i++)
        s->inputs[i] = read_one(s, "input", i, &s->paths[i], &why);
    for (size_t i = 0; i < s->graph->n_outputs; i++)
        s->expected[i] = read_one(s, "output", i, &path, &why);
    return why;
}

static bool inputs_fit(const data_set *s) {
    for (size_t i = 0; i < s->graph->n_inputs; i++) {
        const value *v = s->graph->inputs[i];
        const tensor *t = s->inputs[i];
        if (t->type != v->type || !shape_equal(&t->shape, &v->shape))
            return conform_fail(
                s->result, "the test's data is not of the type and shape of input \"%s\"", v->name);
    }
    return true;
}

/* ---- comparing ---- */

static bool same_kind(const data_set *s, size_t i, const tensor *got) {
    const tensor *want = s->expected[i];
    if (got->type == want->type && shape_equal(&got->shape, &want->shape)) return true;
    text t = {0};
    text_printf(&t, "output %zu is %s ", i, dtype_name(got->type));
    shape_print(&t, &got->shape);
    text_printf(&t, ", not %s ", dtype_name(want->type));
    shape_print(&t, &want->shape);
    conform_fail(s->result, "%s", text_str(&t));
    text_free(&t);
    return false;
}

static void compare(const data_set *s, tensor *const *got, size_t n) {
    difference d = {.ok = true, .max_abs = s->result->max_abs, .max_rel = s->result->max_rel};
    for (size_t i = 0; i < n; i++) {
        if (!same_kind(s, i, got[i])) return;
        tensor_compare(got[i], s->expected[i], s->options->rtol, s->options->atol, &d);
        if (!d.ok && s->result->verdict != VERDICT_FAIL)
            conform_fail(s->result, "output %zu differs", i);
    }
    s->result->compared = true;
    s->result->max_abs = d.max_abs;
    s->result->max_rel = d.max_rel;
}

/* The interpreter's problems are a column of their own, so the list of problems is left as it
   was. */
static void judge_reference(data_set *s) {
    graph *g = s->graph;
    diag *list = g->diag, own = {.arena = s->arena, .file = "reference"};
    tensor **all = ARENA_ARRAY(s->arena, tensor *, g->n_values + 1);
    g->diag = &own;
    difference d = {.ok = interpret(g, s->inputs, all)};
    g->diag = list;
    for (size_t i = 0; d.ok && i < g->n_outputs; i++) {
        const value *v = g->outputs[i];
        tensor_compare(v->constant ? v->constant : all[v->id], s->expected[i], s->options->rtol,
                       s->options->atol, &d);
    }
    if (s->result->reference != VERDICT_FAIL)
        s->result->reference = d.ok ? VERDICT_PASS : VERDICT_FAIL;
    if (own.first && !s->result->reason[0])
        snprintf(s->result->reason, sizeof s->result->reason, "reference: %s", own.first->message);
}

/* ---- one run ---- */

static bool run_program(data_set *s, const char *program, size_t n_inputs, size_t n_outputs) {
    tensor **got = ARENA_ARRAY(s->arena, tensor *, n_outputs + 1);
    const char *why = trial_run(s->arena, program, s->paths, n_inputs, s->scratch, got, n_outputs,
                                s->options->seconds);
    int code = 0;
    if (!why) return compare(s, got, n_outputs), s->result->verdict != VERDICT_FAIL;
    const bool ended = sscanf(why, "the program ended with %d", &code) == 1;
    if (ended && code == 124) return conform_fail(s->result, "timed out");
    if (ended && code > 128) return conform_fail(s->result, "crashed: signal %d", code - 128);
    return conform_fail(s->result, "%s", why);
}

static bool compile_and_run(data_set *s) {
    graph *g = s->graph;
    options o = s->options->compile;
    size_t live = 0;
    for (size_t i = 0; i < g->n_nodes; i++) live += !g->nodes[i]->dead;
    s->result->folded = live == 0;
    judge_reference(s);
    o.emit = EMIT_EXE;
    o.name = "model";
    o.output = arena_printf(s->arena, "%s/program", s->scratch);
    const size_t n_inputs = g->n_inputs, n_outputs = g->n_outputs; /* as the front half left them */
    if (compile_rest(g, &o)) {
        if (g->diag->errors) return unsupported(s->result, g->diag);
        s->result->see_log = true;
        return conform_fail(s->result, "compiling failed");
    }
    return run_program(s, o.output, n_inputs, n_outputs);
}

static bool run_data_set(data_set *s, const char *model) {
    diag d = {.arena = s->arena, .file = model};
    graph *g = s->graph = onnx_import(s->arena, &d, model, false);
    if (!g || d.errors) return unsupported(s->result, &d);
    s->inputs = ARENA_ARRAY(s->arena, tensor *, g->n_inputs + 1);
    s->expected = ARENA_ARRAY(s->arena, tensor *, g->n_outputs + 1);
    s->paths = ARENA_ARRAY(s->arena, const char *, g->n_inputs + 1);
    const char *why = read_data(s);
    s->result->frozen = 0;
    prepare_inputs(s);
    options o = s->options->compile;
    o.input = model;
    if (!compile_check(g, &o)) return unsupported(s->result, &d);
    if (why) return conform_fail(s->result, "%s", why);
    return inputs_fit(s) && compile_and_run(s);
}

void conform_test(const char *directory, const char *scratch, const conform_options *o,
                  outcome *result) {
    arena *a = arena_create();
    const char *model = arena_printf(a, "%s/model.onnx", directory);
    struct dirent **entries;
    const int n = scandir(directory, &entries, NULL, alphasort);
    bool ok = true, any = false;
    for (int i = 0; i < n; i++) {
        if (ok && strncmp(entries[i]->d_name, "test_data_set_", 14) == 0) {
            data_set s = {.arena = a, .options = o, .result = result, .scratch = scratch};
            s.directory = arena_printf(a, "%s/%s", directory, entries[i]->d_name);
            any = true;
            ok = run_data_set(&s, model);
        }
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    if (!any) conform_fail(result, "no test_data_set_* beside the model");
    if (any && ok) result->verdict = VERDICT_PASS;
    arena_destroy(a);
}
