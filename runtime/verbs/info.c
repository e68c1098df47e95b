/* info: what the program holds. */
#include "verbs.h"

static void json_tensors(cameo_json *j, const char *key, const cameo_tensor_info *t, size_t n) {
    cameo_json_open(j, key, '[');
    for (size_t i = 0; i < n; i++) {
        cameo_json_open(j, NULL, '{');
        cameo_json_field(j, &t[i], name);
        cameo_json_text(j, "type", cameo_dtype_name(t[i].dtype));
        cameo_json_open(j, "shape", '[');
        for (int d = 0; d < t[i].rank; d++) cameo_json_integer(j, NULL, t[i].dim[d]);
        cameo_json_close(j, ']');
        cameo_json_close(j, '}');
    }
    cameo_json_close(j, ']');
}

static void print_json(const cameo_model *m) {
    cameo_json j = cameo_json_begin(stdout);
    cameo_json_field(&j, m, name);
    cameo_json_field(&j, m, hash);
    cameo_json_field(&j, m, version);
    cameo_json_field(&j, m, target);
    cameo_json_field(&j, m, producer);
    cameo_json_field(&j, m, parameters);
    cameo_json_field(&j, m, macs);
    cameo_json_field(&j, m, batch);
    cameo_json_count(&j, "layers", m->n_layers);
    cameo_json_field(&j, m, arena_bytes);
    cameo_json_field(&j, m, weights_bytes);
    json_tensors(&j, "inputs", m->inputs, m->n_inputs);
    json_tensors(&j, "outputs", m->outputs, m->n_outputs);
    cameo_json_field(&j, m, preprocess);
    cameo_json_text(&j, "embedding", m->embedding ? m->embedding->name : NULL);
    cameo_json_text(&j, "embedding_rule", m->embedding ? m->embedding_rule : NULL);
    cameo_json_count(&j, "classes", m->n_classes);
    cameo_json_end(&j);
}

static void print_tensors(const char *what, const cameo_tensor_info *t, size_t n) {
    char shape[200];
    for (size_t i = 0; i < n; i++)
        printf("%-14s %s %s%s%s\n", what, t[i].name, cameo_dtype_name(t[i].dtype),
               cameo_tensor_shape(&t[i], shape),
               t[i].batched ? " (any count up to the first)" : "");
}

static void print_text(const cameo_model *m) {
    printf("%-14s %s\n%-14s %s\n", "model", m->name, "SHA-256", m->hash);
    printf("%-14s cameo %s for %s%s%s\n", "compiled by", m->version, m->target,
           m->backend ? ", with " : "", m->backend ? m->backend->name : "");
    if (m->producer && *m->producer) printf("%-14s %s\n", "producer", m->producer);
    printf("%-14s %llu\n%-14s %.4g million an image\n", "parameters",
           (unsigned long long)m->parameters, "multiply-adds", m->macs / 1e6);
    printf("%-14s %zu layers, %.1f MB of weights, %.1f MB of activations, batch %lld\n", "size",
           m->n_layers, (double)m->weights_bytes / 1e6, (double)m->arena_bytes / 1e6,
           (long long)m->batch);
    print_tensors("input", m->inputs, m->n_inputs);
    print_tensors("output", m->outputs, m->n_outputs);
    if (m->embedding) {
        print_tensors("embedding", m->embedding, 1);
        printf("%-14s chosen by: %s\n", "", m->embedding_rule ? m->embedding_rule : "unknown");
    }
    printf("%-14s %s\n", "preprocessing",
           m->preprocess ? m->preprocess : "unknown (give --preprocess)");
    if (m->n_classes) printf("%-14s %zu\n", "classes", m->n_classes);
}

static int info(const cameo_model *model, const cameo_args *a) {
    if (a->positionals) return cameo_usage_error(a, "info takes no arguments");
    (cameo_args_get(a, "json") ? print_json : print_text)(model);
    return CAMEO_OK;
}

static const cameo_option options[] = {OPTION_JSON, OPTION_THREADS, {0}};

const cameo_verb cameo_verb_info = {"info",
                                    "what this program is: model, inputs, outputs, preprocessing",
                                    "info [--json]", options, .run = info};
