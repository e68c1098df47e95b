/* profile: where the time goes. The run calls back before every layer, for each group of images; a
   layer's figure is the least time of a run. */
#include "verbs.h"
#include <math.h>
#include <stdlib.h>

typedef struct stopwatch {
    const cameo_model *model;
    double *least, *run; /* seconds, of each layer: of all runs, of this one so far */
    double started;
    size_t current;
} stopwatch;

static void tick(void *data, size_t layer) {
    stopwatch *w = data;
    double now = cameo_now();
    if (layer > 0 && w->current < w->model->n_layers) w->run[w->current] += now - w->started;
    w->current = layer;
    w->started = cameo_now();
}

static void finish_run(stopwatch *w) {
    for (size_t i = 0; i < w->model->n_layers; i++) {
        if (w->run[i] > 0) w->least[i] = fmin(w->least[i], w->run[i]);
        w->run[i] = 0;
    }
}

/* Multiply-adds of the whole run of `batch` images. */
static double layer_macs(const cameo_model *m, size_t i) {
    return m->layers[i].macs * (double)m->batch;
}

static double gflops(double macs, double seconds) {
    return seconds > 0 ? 2 * macs / seconds / 1e9 : 0;
}

static void print_json(const stopwatch *w) {
    cameo_json j = cameo_json_begin(stdout);
    cameo_json_open(&j, "layers", '[');
    for (size_t i = 0; i < w->model->n_layers; i++) {
        const cameo_layer_info *l = &w->model->layers[i];
        cameo_json_open(&j, NULL, '{');
        cameo_json_field(&j, l, name);
        cameo_json_field(&j, l, op);
        cameo_json_field(&j, l, kernel);
        cameo_json_field(&j, l, shape);
        cameo_json_number(&j, "macs", layer_macs(w->model, i));
        cameo_json_number(&j, "ms", 1e3 * w->least[i]);
        cameo_json_number(&j, "gflops", gflops(layer_macs(w->model, i), w->least[i]));
        cameo_json_close(&j, '}');
    }
    cameo_json_close(&j, ']');
    cameo_json_end(&j);
}

static void print_text(const stopwatch *w) {
    const cameo_model *m = w->model;
    double total = 0, macs = 0;
    for (size_t i = 0; i < m->n_layers; i++) total += w->least[i];
    printf("%9s %6s %10s %9s  %-14s %-16s %-20s %s\n", "ms", "%", "MMACs", "GFLOP/s", "op",
           "kernel", "output", "layer");
    for (size_t i = 0; i < m->n_layers; i++) {
        const cameo_layer_info *l = &m->layers[i];
        double n = layer_macs(m, i), t = w->least[i];
        macs += n;
        printf("%9.4f %6.2f %10.3f %9.2f  %-14s %-16s %-20s %s\n", 1e3 * t,
               total > 0 ? 100 * t / total : 0, n / 1e6, gflops(n, t), l->op,
               l->kernel ? l->kernel : "", l->shape ? l->shape : "", l->name);
    }
    printf("%9.4f %6s %10.3f %9.2f  sum of %zu layers, batch %lld\n", 1e3 * total, "", macs / 1e6,
           gflops(macs, total), m->n_layers, (long long)m->batch);
}

int cameo_profile_context(cameo_context *c, const cameo_args *a) {
    const cameo_model *m = c->model;
    int64_t runs = 10;
    if (!cameo_args_integer(a, "runs", 1, 1000000, &runs)) return CAMEO_USAGE;
    stopwatch w = {.model = m, .current = m->n_layers};
    w.least = cameo_allocate(m->n_layers, sizeof *w.least);
    w.run = cameo_allocate(m->n_layers, sizeof *w.run);
    for (size_t i = 0; i < m->n_layers; i++) w.least[i] = INFINITY;
    void **inputs = cameo_allocate_buffers(m->inputs, m->n_inputs),
         **outputs = cameo_allocate_buffers(m->outputs, m->n_outputs);
    int code = cameo_run(c, (size_t)m->batch, (const void *const *)inputs, outputs); /* warm */
    c->tick = tick;
    c->tick_data = &w;
    for (long r = 0; r < runs && code == CAMEO_OK; r++) {
        code = cameo_run(c, (size_t)m->batch, (const void *const *)inputs, outputs);
        finish_run(&w);
    }
    for (size_t i = 0; i < m->n_layers; i++)
        if (!isfinite(w.least[i])) w.least[i] = 0; /* a layer that never ran took no time */
    if (code == CAMEO_OK) (cameo_args_get(a, "json") ? print_json : print_text)(&w);
    cameo_free_buffers(inputs, m->n_inputs);
    cameo_free_buffers(outputs, m->n_outputs);
    free(w.least);
    free(w.run);
    return code;
}

int cameo_profile(const cameo_model *m, const cameo_args *a) {
    int threads, code;
    cameo_context *c = cameo_verb_context(m, a, &threads, &code);
    if (c) code = cameo_profile_context(c, a);
    cameo_destroy(c);
    return code;
}

static const cameo_option options[] = {
    {"runs", "R", "runs; the least time of each layer counts (default 10)"},
    OPTION_THREADS,
    OPTION_JSON,
    {0}};

const cameo_verb cameo_verb_profile = {"profile", "time every layer",
                                       "profile [--runs R] [--threads T] [--json]", options,
                                       .run = cameo_profile};
