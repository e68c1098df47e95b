/* bench --train and profile --train: a training step on made-up data. Without --train they are the
   ordinary verbs. */
#include "../kernels/random.h"
#include "../training/optim.h"
#include "../training/parameters.h"
#include "live.h"
#include <math.h>

typedef struct made_up { /* a step and its inputs */
    const cameo_trainer *trainer;
    cameo_context *step;
    float *gradients;
    cameo_optim optim;
    void **in;
    float loss, correct;
    int threads;
} made_up;

/* Pictures from a normal distribution, random classes; where the loss compares pictures, `same` of
   each. */
static void fill(made_up *m) {
    const cameo_trainer *t = m->trainer;
    const int64_t classes = t->classes ? t->classes : t->batch / (t->same ? t->same : 1);
    cameo_random r = cameo_random_stream(1, 0, 0);
    float *x = m->in[0];
    for (size_t i = 0, n = cameo_tensor_elements(&t->step->inputs[0]); i < n; i++)
        x[i] = (float)cameo_random_normal(&r);
    for (int64_t i = 0; i < t->batch; i++) {
        const int64_t label = t->same ? i / t->same % classes
                                      : (int64_t)cameo_random_below(&r, (size_t)classes);
        ((int64_t *)m->in[1 + CAMEO_STEP_LABELS])[i] =
            ((int64_t *)m->in[1 + CAMEO_STEP_LABELS_B])[i] = label;
        ((float *)m->in[1 + CAMEO_STEP_MIX])[i] = 1;
    }
}

static int open_step(made_up *m, const cameo_live *live, const cameo_args *a) {
    const cameo_trainer *t = live->trainer;
    const cameo_optim_options options = {.kind = CAMEO_SGD, .momentum = 0.9, .weight_decay = 5e-4};
    cameo_error error = {0};
    int code;
    *m = (made_up){.trainer = t};
    m->step = cameo_verb_context(t->step, a, &m->threads, &code);
    if (!m->step) return code;
    m->gradients = cameo_block_create(t->learnt_floats, "gradients", &error);
    if (!m->gradients || !cameo_optim_create(&m->optim, t, &options, &error))
        return cameo_report_error(&error);
    m->step->parameters = live->parameters;
    m->step->gradients = m->gradients;
    m->in = cameo_allocate_buffers(t->step->inputs, t->step->n_inputs);
    fill(m);
    return CAMEO_OK;
}

static void close_step(made_up *m) {
    if (m->in) cameo_free_buffers(m->in, m->trainer->step->n_inputs);
    cameo_optim_destroy(&m->optim);
    cameo_block_free(m->gradients, m->trainer->learnt_floats);
    cameo_destroy(m->step);
}

/* Forward, backward, SGD with momentum and weight decay: at a rate that leaves the weights as they
   are, nearly. */
static int one_step(made_up *m, int64_t number) {
    void *out[2] = {&m->loss, &m->correct};
    const int code = cameo_run(m->step, 1, (const void *const *)m->in, out);
    const cameo_optim_update u = {.parameters = m->step->parameters,
                                  .gradients = m->gradients,
                                  .rate = 1e-6,
                                  .gradient_scale = 1,
                                  .step = number};
    if (code == CAMEO_OK) cameo_optim_step(&m->optim, m->step, &u);
    return code;
}

static void print(const made_up *m, const cameo_args *a, double least, double mean, int64_t runs) {
    const double images = (double)m->trainer->batch;
    if (!cameo_args_get(a, "json")) {
        printf("%s: training step of %.0f images, %d threads, %ld runs\n  minimum %.3f ms, mean "
               "%.3f ms\n"
               "  %.1f images/s, peak memory %.1f MB\n",
               m->trainer->infer->name, images, m->threads, runs, 1e3 * least, 1e3 * mean,
               images / mean, cameo_peak_mb());
        return;
    }
    cameo_json j = cameo_json_begin(stdout);
    cameo_json_number(&j, "images_per_s", images / mean);
    cameo_json_number(&j, "min_ms", 1e3 * least);
    cameo_json_number(&j, "mean_ms", 1e3 * mean);
    cameo_json_number(&j, "peak_rss_mb", cameo_peak_mb());
    cameo_json_field(&j, m, threads);
    cameo_json_field(&j, m->trainer, batch);
    cameo_json_integer(&j, "runs", runs);
    cameo_json_end(&j);
}

/* runs = 0: as many as fit in three seconds, at least 3. The first, cold one doesn't count. */
static int bench(made_up *m, const cameo_args *a) {
    int64_t runs = 0, done = 0;
    if (!cameo_args_integer(a, "runs", 1, 1000000, &runs)) return CAMEO_USAGE;
    double least = INFINITY;
    int code = one_step(m, 1);
    const double begin = cameo_now();
    while (code == CAMEO_OK && (runs ? done < runs : done < 3 || cameo_now() - begin < 3)) {
        const double start = cameo_now();
        code = one_step(m, ++done + 1);
        least = fmin(least, cameo_now() - start);
    }
    if (code != CAMEO_OK)
        return fprintf(stderr, "%s: the training step failed\n", m->trainer->infer->name), code;
    print(m, a, least, (cameo_now() - begin) / (double)done, done);
    return CAMEO_OK;
}

static int profile(made_up *m, const cameo_args *a) { return cameo_profile_context(m->step, a); }

static int of_step(const cameo_live *live, const cameo_args *a,
                   int (*run)(made_up *, const cameo_args *)) {
    made_up m;
    int code = open_step(&m, live, a);
    if (code == CAMEO_OK) code = run(&m, a);
    close_step(&m);
    return code;
}

static int bench_any(const cameo_model *model, const cameo_args *a) {
    return cameo_args_get(a, "train") ? of_step(cameo_live_of(model), a, bench)
                                      : cameo_bench(model, a);
}

static const cameo_option bench_options[] = {
    {"train", NULL, "a training step, on made-up data"},
    {"runs", "R", "timed runs (default: two seconds' worth)"},
    OPTION_THREADS,
    OPTION_JSON,
    {0}};

const cameo_verb cameo_verb_train_bench = {"bench", "time the network, or a training step",
                                           "bench [--train] [--threads T] [--runs R] [--json]",
                                           bench_options, .run = bench_any};

static int profile_any(const cameo_model *model, const cameo_args *a) {
    return cameo_args_get(a, "train") ? of_step(cameo_live_of(model), a, profile)
                                      : cameo_profile(model, a);
}

static const cameo_option profile_options[] = {
    {"train", NULL, "the layers of a training step"},
    {"runs", "R", "runs; the least time of each layer counts (default 10)"},
    OPTION_THREADS,
    OPTION_JSON,
    {0}};

const cameo_verb cameo_verb_train_profile = {"profile", "time every layer, of a training step too",
                                             "profile [--train] [--runs R] [--threads T] [--json]",
                                             profile_options, .run = profile_any};
