/* bench: the time of a run on made-up inputs. The first run is told apart (page faults, caches),
   the rest give minimum and median. */
#include "verbs.h"
#include <stdlib.h>

typedef struct timing {
    double first, minimum, median; /* seconds */
    int64_t runs;
} timing;

/* Bounded, reproducible values: floats in [0, 1), small integers else. */
static void fill(const cameo_tensor_info *t, void *data) {
    uint32_t state = 1;
    for (size_t i = 0, n = cameo_tensor_elements(t); i < n; i++) {
        state = state * 1664525u + 1013904223u;
        if (t->dtype == 1) ((float *)data)[i] = (float)(state >> 8) / 16777216.0f;
        if (t->dtype == 11) ((double *)data)[i] = (double)(state >> 8) / 16777216.0;
        if (t->dtype == 9) ((unsigned char *)data)[i] = (unsigned char)(state >> 31);
    }
}

/* runs < 0: as many as fit in two seconds, at least 5, at most 1000; 0: the first only, which then
   is the minimum and the median. */
static int measure(cameo_context *c, const cameo_model *m, int64_t runs, timing *t) {
    void **inputs = cameo_allocate_buffers(m->inputs, m->n_inputs),
         **outputs = cameo_allocate_buffers(m->outputs, m->n_outputs);
    for (size_t i = 0; i < m->n_inputs; i++) fill(&m->inputs[i], inputs[i]);
    long limit = runs < 0 ? 1000 : runs;
    double *times = cameo_allocate((size_t)limit + 1, sizeof *times), begin = cameo_now();
    int code = cameo_run(c, (size_t)m->batch, (const void *const *)inputs, outputs);
    t->first = t->minimum = t->median = cameo_now() - begin;
    for (begin = cameo_now(); code == CAMEO_OK && t->runs < limit; t->runs++) {
        if (runs < 0 && t->runs >= 5 && cameo_now() - begin > 2) break;
        double start = cameo_now();
        code = cameo_run(c, (size_t)m->batch, (const void *const *)inputs, outputs);
        times[t->runs] = cameo_now() - start;
    }
    if (t->runs) {
        qsort(times, (size_t)t->runs, sizeof *times, cameo_by_value);
        t->minimum = times[0];
        t->median = t->runs % 2 ? times[t->runs / 2]
                                : (times[t->runs / 2 - 1] + times[t->runs / 2]) / 2;
    }
    free(times);
    cameo_free_buffers(inputs, m->n_inputs);
    cameo_free_buffers(outputs, m->n_outputs);
    return code;
}

static void print_json(const cameo_model *m, const timing *t, double first_ms, double rate,
                       double gflops, int threads) {
    cameo_json j = cameo_json_begin(stdout);
    cameo_json_number(&j, "min_ms", 1e3 * t->minimum);
    cameo_json_number(&j, "median_ms", 1e3 * t->median);
    cameo_json_number(&j, "images_per_s", rate);
    cameo_json_number(&j, "gflops", gflops);
    cameo_json_number(&j, "first_ms", first_ms);
    cameo_json_number(&j, "peak_rss_mb", cameo_peak_mb());
    cameo_json_integer(&j, "threads", threads);
    cameo_json_field(&j, m, batch);
    cameo_json_field(&j, t, runs);
    cameo_json_end(&j);
}

/* first_ms is what a caller waits for the first answer: creation and the first run. images_per_s
   and gflops are of the median. */
int cameo_bench(const cameo_model *m, const cameo_args *a) {
    int64_t runs = -1;
    int threads, code;
    if (!cameo_args_integer(a, "runs", 0, 1000000, &runs)) return CAMEO_USAGE;
    double begin = cameo_now();
    cameo_context *c = cameo_verb_context(m, a, &threads, &code);
    if (!c) return code;
    double create = cameo_now() - begin;
    timing t = {0};
    code = measure(c, m, runs, &t);
    cameo_destroy(c);
    if (code != CAMEO_OK) return fprintf(stderr, "%s: the run failed\n", m->name), code;
    double images = (double)m->batch, rate = images / t.median,
           gflops = 2 * m->macs * images / t.median / 1e9;
    double first_ms = 1e3 * (create + t.first);
    if (cameo_args_get(a, "json"))
        return print_json(m, &t, first_ms, rate, gflops, threads), CAMEO_OK;
    printf("%s: batch %lld, %d threads, %ld runs\n", m->name, (long long)m->batch, threads, t.runs);
    printf("  minimum %.3f ms, median %.3f ms, first %.3f ms (with creation)\n", 1e3 * t.minimum,
           1e3 * t.median, first_ms);
    printf("  %.1f images/s, %.2f GFLOP/s, peak memory %.1f MB\n", rate, gflops, cameo_peak_mb());
    return CAMEO_OK;
}

static const cameo_option options[] = {
    {"runs", "R", "timed runs after the first, 0: only that one (default: two seconds' worth)"},
    OPTION_THREADS,
    OPTION_JSON,
    {0}};

const cameo_verb cameo_verb_bench = {"bench", "time the network",
                                     "bench [--threads T] [--runs R] [--json]", options,
                                     .run = cameo_bench};
