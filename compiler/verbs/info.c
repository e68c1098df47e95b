/* cameo info: what a model is, as text or JSON. */
#include <stdio.h>

#include "../../runtime/base/json.h"
#include "../ir/graph_query.h"
#include "cli.h"

static const cameo_option table[] = {{"json", NULL, "one object"}, {0}};

static double count_macs(const graph *g) {
    double sum = 0;
    for (size_t i = 0; i < g->n_nodes; i++) sum += g->nodes[i]->macs;
    return sum / (double)g->batch;
}

/* An extent without a value is its name, or null; so is a shape of unknown rank. */
static void json_shape(cameo_json *j, const value *v) {
    if (!v->shaped) {
        cameo_json_text(j, "shape", NULL);
        return;
    }
    cameo_json_open(j, "shape", '[');
    for (int k = 0; k < v->shape.rank; k++)
        if (v->shape.dim[k] >= 0)
            cameo_json_integer(j, NULL, v->shape.dim[k]);
        else
            cameo_json_text(j, NULL, v->symbol[k]);
    cameo_json_close(j, ']');
}

static void json_values(cameo_json *j, const char *key, value *const *list, size_t count) {
    cameo_json_open(j, key, '[');
    for (size_t i = 0; i < count; i++) {
        cameo_json_open(j, NULL, '{');
        cameo_json_field(j, list[i], name);
        cameo_json_text(j, "type", dtype_name(list[i]->type));
        json_shape(j, list[i]);
        cameo_json_close(j, '}');
    }
    cameo_json_close(j, ']');
}

static void print_json(const graph *g, const options *o, bool whole) {
    cameo_json j = {.stream = stdout, .compact = true};
    cameo_json_open(&j, NULL, '{');
    cameo_json_integer(&j, "parameters", g->weights);
    if (whole) {
        cameo_json_integer(&j, "macs", (int64_t)count_macs(g));
        cameo_json_field(&j, g, batch);
    } else {
        cameo_json_text(&j, "macs", NULL);
        cameo_json_text(&j, "batch", NULL);
    }
    cameo_json_integer(&j, "opset", graph_opset(g, ""));
    cameo_json_count(&j, "nodes", g->n_nodes);
    json_values(&j, "inputs", g->inputs, g->n_inputs);
    json_values(&j, "outputs", g->outputs, g->n_outputs);
    cameo_json_text(&j, "preprocess", options_preprocess(o, g));
    cameo_json_text(&j, "embedding", g->embedding ? g->embedding->name : NULL);
    cameo_json_field(&j, g, producer);
    cameo_json_field(&j, g, hash);
    cameo_json_text(&j, "version", CAMEO_VERSION);
    cameo_json_end(&j);
}

static void text_shape(text *t, const value *v) {
    if (!v->shaped)
        text_append(t, "of any shape");
    else if (v->shape.rank == 0)
        text_append(t, "scalar");
    else
        value_print_shape(t, v, "x");
}

static void text_values(text *t, const char *what, value *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        text_printf(t, "%-12s", what);
        text_escape(t, list[i]->name);
        text_printf(t, "  %s ", dtype_name(list[i]->type));
        text_shape(t, list[i]);
        text_append(t, "\n");
    }
}

static void text_macs(text *t, const graph *g, bool whole) {
    text_printf(t, "%-12s", "mult-adds");
    if (whole)
        text_printf(t, "%.4g million, one image\n", count_macs(g) / 1e6);
    else
        text_append(t, "unknown: --dim NAME=N gives a symbol its value, --shape NAME=AxBxC an "
                       "input its shape\n");
}

static void print_text(text *t, const graph *g, const options *o, bool whole) {
    const char *preprocess = options_preprocess(o, g);
    text_values(t, "input", g->inputs, g->n_inputs);
    text_values(t, "output", g->outputs, g->n_outputs);
    if (g->embedding) text_values(t, "embedding", &g->embedding, 1);
    text_printf(t, "%-12s%lld\n", "parameters", (long long)g->weights);
    text_macs(t, g, whole);
    text_printf(t, "%-12s%zu\n%-12s%lld\n", "nodes", g->n_nodes, "opset",
                (long long)graph_opset(g, ""));
    if (whole) text_printf(t, "%-12s%lld\n", "batch", (long long)g->batch);
    text_printf(t, "%-12s", "preprocess");
    text_escape(t, preprocess ? preprocess : "unknown (--preprocess)");
    text_printf(t, "\n%-12s%s\n%-12s%s\n", "hash", g->hash, "cameo", CAMEO_VERSION);
}

static int info(arena *a, const cameo_args *given, options *o) {
    const bool json = cameo_args_get(given, "json") != NULL;
    diag d = {.arena = a, .file = o->input};
    bool whole = true;
    const graph *g = compile_outline(a, &d, o, &whole);
    cli_print_diag(&d);
    if (!g) return 1;
    if (json) {
        print_json(g, o, whole);
        return 0;
    }
    text t = {0};
    print_text(&t, g, o, whole);
    fputs(text_str(&t), stdout);
    text_free(&t);
    return 0;
}

const cli_verb cli_info = {.name = "info",
                           .about = "graph, shapes, parameters, multiply-adds of a model",
                           .usage = "info MODEL.onnx [--json] [options]",
                           .help = "Prints shapes, parameters and multiply-adds.",
                           .options = table,
                           .takes = CLI_MODEL,
                           .least = 1,
                           .most = 1,
                           .run = info};
