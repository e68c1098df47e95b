/* cameo compare: the compiled program against the reference interpreter (doubles) on one input,
   every output. Inner layers become outputs on request, so that the first one that differs can be
   found. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../base/temporary.h"
#include "../ir/interpret.h"
#include "../onnx/onnx.h"
#include "../passes/front.h"
#include "../tuning/trial.h"
#include "cli.h"

static const cameo_option table[] = {
    {"input", "FILE.pb", "an input, in the model's order (default: random numbers)"},
    {"layers", NULL, "compare the outputs of all layers (nothing is fused away then)"},
    {"rtol", "R", "relative to an output's range; default 1e-4"},
    {"timeout", "SECONDS", "for the program; default 600"},
    {0},
};

/* xorshift64*, uniform in -1..1: the same numbers on every machine. */
static void fill_random(tensor *t) {
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (int64_t i = 0, n = shape_count(&t->shape); i < n; i++) {
        state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
        double unit = (double)((state * 0x2545f4914f6cdd1du) >> 11) * 0x1p-53;
        tensor_set(t, i,
                   t->type == DT_FLOAT || t->type == DT_DOUBLE ? 2 * unit - 1
                   : unit < 0.5                                ? 0
                                                               : 1);
    }
}

static tensor *given_input(arena *a, const cameo_args *c, size_t index, const value *v) {
    size_t seen = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (!c->list[i].option || strcmp(c->list[i].option->name, "input") != 0 || seen++ != index)
            continue;
        const char *name = NULL, *why = "unreadable";
        tensor *t = onnx_read_tensor(a, c->list[i].value, &name, &why);
        if (t && t->type == v->type && shape_equal(&t->shape, &v->shape)) return t;
        complain(0, "%s: %s", c->list[i].value, t ? "not of the input's type and shape" : why);
        return NULL;
    }
    tensor *t = tensor_new(a, v->type, &v->shape);
    if (t) fill_random(t);
    return t;
}

static void all_layers_are_outputs(graph *g) {
    value **list = ARENA_ARRAY(g->arena, value *, g->n_outputs + g->n_values);
    size_t n = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t k = 0; k < g->nodes[i]->n_out; k++)
            if (g->nodes[i]->out[k] && !g->nodes[i]->out[k]->is_output)
                list[n++] = g->nodes[i]->out[k];
    for (size_t i = 0; i < n; i++) list[i]->is_output = true;
    for (size_t i = 0; i < g->n_outputs; i++) list[n++] = g->outputs[i];
    g->outputs = list;
    g->n_outputs = n;
}

/* Of the finite elements; 0 when there are none. */
static double range(const tensor *t) {
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0, n = shape_count(&t->shape); i < n; i++) {
        const double v = tensor_get(t, i);
        if (isfinite(v)) low = fmin(low, v), high = fmax(high, v);
    }
    if (high < low) return 0;
    return high > low ? fmax(high - low, fabs(high)) : fabs(high);
}

static bool report(const char *name, const tensor *got, const tensor *expected, double rtol) {
    difference d = {.ok = true};
    const double size = range(expected);
    tensor_compare(got, expected, 0, rtol * size + 1e-6, &d);
    text t = {0};
    text_escape(&t, name);
    if (d.odd)
        text_printf(&t, ": NaN or infinity on one side only in %zu of %lld elements", d.odd,
                    (long long)shape_count(&expected->shape));
    printf("%-6s max |difference| %-11.3g of range %-11.3g %s\n", d.ok ? "ok" : "DIFFER", d.max_abs,
           size, text_str(&t));
    text_free(&t);
    return d.ok;
}

/* The reference is evaluated before the back half changes the graph; the tensors stay. */
static int compare_graph(graph *g, const cameo_args *c, options *o, const char *directory) {
    arena *a = g->arena;
    tensor **in = ARENA_ARRAY(a, tensor *, g->n_inputs + 1),
           **all = ARENA_ARRAY(a, tensor *, g->n_values + 1);
    tensor **expected = ARENA_ARRAY(a, tensor *, g->n_outputs + 1),
           **got = ARENA_ARRAY(a, tensor *, g->n_outputs + 1);
    const char **paths = ARENA_ARRAY(a, const char *, g->n_inputs + 1),
               **names = ARENA_ARRAY(a, const char *, g->n_outputs + 1);
    int64_t seconds = 600;
    double rtol = 1e-4;
    if (!cli_tolerance(c, "rtol", &rtol) || !cameo_args_integer(c, "timeout", 1, 1000000, &seconds))
        return CAMEO_USAGE;
    for (size_t i = 0; i < g->n_inputs; i++) {
        if (!(in[i] = given_input(a, c, i, g->inputs[i]))) return CAMEO_BAD_INPUT;
        paths[i] = arena_printf(a, "%s/input_%zu.npy", directory, i);
        if (!trial_write_npy(paths[i], in[i]))
            return complain(CAMEO_ENVIRONMENT, "can not write %s", paths[i]);
    }
    if (!interpret(g, in, all)) return CAMEO_BAD_INPUT;
    size_t n = g->n_outputs;
    for (size_t i = 0; i < n; i++) {
        names[i] = g->outputs[i]->name;
        expected[i] = g->outputs[i]->constant ? g->outputs[i]->constant : all[g->outputs[i]->id];
    }
    o->output = arena_printf(a, "%s/prog", directory);
    o->emit = EMIT_EXE;
    size_t n_inputs = g->n_inputs;
    int code = compile_rest(g, o);
    if (code) return code;
    const char *why = trial_run(a, o->output, paths, n_inputs, directory, got, n,
                                (unsigned)seconds);
    if (why) return complain(CAMEO_DEFECT, "%s", why);
    for (size_t i = 0; i < n; i++)
        if (!report(names[i], got[i], expected[i], rtol)) code = 1;
    return code;
}

static int compare(arena *a, const cameo_args *c, options *o) {
    diag d = {.arena = a, .file = o->input};
    graph *g = compile_front(a, &d, o);
    char *directory = g ? temporary_directory(a) : NULL;
    int code = !g ? CAMEO_BAD_INPUT : !directory ? CAMEO_ENVIRONMENT : CAMEO_OK;
    if (!code) {
        if (cameo_args_get(c, "layers")) all_layers_are_outputs(g);
        code = compare_graph(g, c, o, directory);
        temporary_remove(directory);
    }
    cli_print_diag(&d);
    return code;
}

const cli_verb cli_compare = {.name = "compare",
                              .about = "compiled program against the reference interpreter",
                              .usage = "compare MODEL.onnx [--input FILE.pb]... [options]",
                              .help = "Compares a compiled network with the reference interpreter.",
                              .options = table,
                              .takes = CLI_MODEL | CLI_BUILD,
                              .least = 1,
                              .most = 1,
                              .run = compare};
