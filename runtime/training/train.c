/* The training loop.

   A step is one update of the weights, from `accumulate` batches. What it does depends on the
   position (epoch, update) and the state of blocks only: random streams are seeded by (seed, epoch,
   batch), so a run that goes on from a checkpoint makes the same numbers as one that was never
   stopped (docs/internals/exact-resume.md). */
#include "../base/files.h"
#include "../base/memory.h"
#include "../base/progress.h"
#include "../kernels/random.h"
#include "train_run.h"
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_DROPOUT = 0x4452, OVERFIT_STEPS = 500, DRY_STEPS = 20 };

/* ---- signals ---- */

static volatile sig_atomic_t stopping;

static void on_signal(int number) {
    (void)number;
    stopping = 1;
}

bool cameo_train_stopping(void) { return stopping; }

/* The handler serves once: the second signal meets the default action, which ends the process. */
void cameo_train_catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    stopping = 0;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* ---- one batch ---- */

static int run_batch(cameo_train *t, const cameo_batch *b, cameo_step_result *r) {
    cameo_random stream = cameo_random_stream((uint64_t)t->options.seed, b->epoch,
                                              (uint64_t)STREAM_DROPOUT << 32 | b->number);
    const int64_t seed = (int64_t)(cameo_random_next(&stream) >> 1);
    const float smoothing = (float)t->options.label_smoothing;
    const void *in[1 + CAMEO_STEP_EXTRA] = {b->images};
    in[1 + CAMEO_STEP_LABELS] = b->labels;
    in[1 + CAMEO_STEP_LABELS_B] = b->labels_b;
    in[1 + CAMEO_STEP_MIX] = b->mix;
    in[1 + CAMEO_STEP_SEED] = &seed;
    in[1 + CAMEO_STEP_SMOOTHING] = &smoothing;
    void *out[2] = {&r->loss, &r->correct};
    return cameo_run(t->step, 1, in, out);
}

static size_t rest_bytes(const cameo_train *t) {
    return (t->trainer->floats - t->trainer->learnt_floats) * sizeof(float);
}

bool cameo_train_step(cameo_train *t, const cameo_batch *b, cameo_step_result *r,
                      cameo_error *error) {
    float *running = t->parameters + t->trainer->learnt_floats;
    if (t->kept) memcpy(t->kept, running, rest_bytes(t));
    const int code = run_batch(t, b, r);
    if (code != CAMEO_OK)
        return cameo_fail(error, CAMEO_DEFECT, "the training step refused to run (%d)", code);
    if (t->kept && !isfinite(r->loss)) memcpy(running, t->kept, rest_bytes(t));
    return true;
}

/* ---- what isn't finite ---- */

typedef struct search {
    const cameo_context *context;
    size_t layer; /* the first whose output isn't finite; n_layers = none */
} search;

/* Called before a layer runs: looks at what the layer before has made. */
static void look(void *data, size_t layer) {
    search *s = data;
    const cameo_model *m = s->context->model;
    if (layer == 0 || s->layer < m->n_layers) return;
    const cameo_layer_info *l = &m->layers[layer - 1];
    const float *x = (const float *)(const void *)(s->context->arena + l->offset);
    for (size_t i = 0; i < l->floats; i++)
        if (!isfinite(x[i])) {
            s->layer = layer - 1;
            return;
        }
}

static bool not_finite(const cameo_train *t, const char *what, const char *remedy,
                       cameo_error *error) {
    return cameo_reject(
        error,
        "step %" PRId64 " (epoch %" PRId64
        "): %s\n    hint: a smaller --lr, %s; --on-nonfinite skip leaves such steps "
        "out",
        t->at.step + 1, t->at.epoch + 1, what, remedy);
}

/* Runs the batch once more and watches the layers. */
static bool explain_loss(cameo_train *t, const cameo_batch *b, cameo_error *error) {
    const cameo_model *m = t->step->model;
    const cameo_parameter *p = cameo_find_not_finite(t->trainer, t->parameters);
    search s = {t->step, m->n_layers};
    cameo_step_result again;
    char what[400] = "the loss is not finite";
    if (p) {
        snprintf(what, sizeof what, "the weights \"%.120s\" are not finite any more", p->name);
    } else {
        t->step->tick = look;
        t->step->tick_data = &s;
        run_batch(t, b, &again);
        t->step->tick = NULL;
    }
    if (s.layer < m->n_layers)
        snprintf(what, sizeof what,
                 "the loss is not finite; the first value that is not comes from layer \"%.120s\" "
                 "(%.60s)",
                 m->layers[s.layer].name, m->layers[s.layer].op);
    return not_finite(t, what, "--warmup-steps or --clip-norm", error);
}

static bool explain_gradient(const cameo_train *t, const float *gradients, cameo_error *error) {
    const cameo_parameter *p = cameo_find_not_finite(t->trainer, gradients);
    char what[240];
    snprintf(what, sizeof what, "the gradient of \"%.160s\" is not finite",
             p ? p->name : "the weights");
    return not_finite(t, what, "or --clip-norm", error);
}

/* ---- an update ---- */

double cameo_train_rate(const cameo_train *t) {
    return cameo_schedule_rate(&t->options.schedule, &t->at.plateau, t->at.step);
}

/* The average's decay rises with the steps, or the first weights would stay in it for long. */
static double average_decay(const cameo_train *t) {
    const double n = (double)t->at.step + 1;
    return fmin(t->options.ema, n / (n + 9));
}

static double update_weights(cameo_train *t, const float *gradients, double scale) {
    const cameo_optim_update u = {.parameters = t->parameters,
                                  .gradients = gradients,
                                  .rate = cameo_train_rate(t),
                                  .gradient_scale = scale,
                                  .step = t->at.step + 1 - t->at.skipped,
                                  .average = t->average,
                                  .average_decay = average_decay(t)};
    return cameo_optim_step(&t->optim, t->step, &u);
}

/* The norm is known beforehand only where it's needed beforehand; else an update that went wrong
   ends the run unsaved. */
static bool apply(cameo_train *t, bool finite, cameo_error *error) {
    const cameo_train_options *o = &t->options;
    const float *gradients = t->sum ? t->sum : t->gradients;
    double scale = 1 / (double)o->accumulate;
    if (finite && (o->clip_norm > 0 || o->skip_not_finite)) {
        const double norm2 = cameo_optim_norm2(&t->optim, t->step, gradients) * scale * scale;
        finite = isfinite(norm2);
        if (finite) scale *= cameo_clip_factor(norm2, o->clip_norm);
        if (!finite && !o->skip_not_finite) return explain_gradient(t, gradients, error);
    }
    if (!finite) return t->at.skipped++, true;
    return isfinite(update_weights(t, gradients, scale)) || explain_gradient(t, gradients, error);
}

static bool one_batch(cameo_train *t, const cameo_batch *b, bool *finite, double *loss,
                      cameo_error *error) {
    cameo_step_result r;
    if (!cameo_train_step(t, b, &r, error)) return false;
    if (!isfinite(r.loss)) {
        *finite = false;
        return t->options.skip_not_finite || explain_loss(t, b, error);
    }
    if (t->sum) cameo_optim_accumulate(&t->optim, t->step, t->sum, t->gradients);
    *loss += (double)r.loss / (double)t->options.accumulate;
    t->at.loss_sum += (double)r.loss;
    t->at.correct += (int64_t)r.correct;
    t->at.batches++;
    return true;
}

/* *loss: the mean of its batches; not finite when the step was skipped. */
static bool one_update(cameo_train *t, double *loss, cameo_error *error) {
    bool finite = true;
    *loss = 0;
    if (t->sum) memset(t->sum, 0, t->trainer->learnt_floats * sizeof *t->sum);
    for (int64_t i = 0; i < t->options.accumulate; i++) {
        const cameo_batch *b = cameo_loader_next(t->loader, error);
        if (!b || !one_batch(t, b, &finite, loss, error)) return false;
        cameo_loader_release(t->loader);
    }
    if (!apply(t, finite, error)) return false;
    if (!finite) *loss = NAN;
    t->at.update++;
    t->at.step++;
    return true;
}

/* ---- saving ---- */

static bool save(cameo_train *t, const char *name, bool state) {
    cameo_error error = {0};
    if (cameo_train_save(t, name, state, &error)) return true;
    fprintf(stderr, "%s; the checkpoint before stays, the run goes on\n", error.message);
    return false;
}

/* False only when the weights are lost: not finite. A disk that is full is said, and the run goes
   on. */
static bool save_last(cameo_train *t, cameo_error *error) {
    const cameo_parameter *p = cameo_find_not_finite(t->trainer, t->parameters);
    if (p)
        return cameo_reject(
            error, "step %" PRId64 ": the weights \"%.120s\" are not finite any more; not saved",
            t->at.step, p->name);
    cameo_runlog_flush(&t->log);
    t->last_failed = !save(t, "last.onnx", true);
    return true;
}

/* ---- an epoch ---- */

static void emit_line(cameo_train *t, cameo_json *j, size_t begin) {
    cameo_json_end(j);
    fflush(t->log.stream);
    if (!t->options.json) return;
    fwrite(t->log.data + begin, 1, t->log.size - begin, stdout);
    fflush(stdout);
}

static size_t log_size(cameo_train *t) {
    fflush(t->log.stream);
    return t->log.size;
}

static void log_step(cameo_train *t, double loss, double rate, double images_per_s) {
    const size_t begin = log_size(t);
    cameo_json j = cameo_runlog_begin(&t->log, "step");
    cameo_json_integer(&j, "epoch", t->at.epoch + 1);
    cameo_json_field(&j, &t->at, step);
    cameo_json_number(&j, "loss", loss);
    cameo_json_number(&j, "lr", rate);
    cameo_json_number(&j, "images_per_s", images_per_s);
    if (t->at.skipped) cameo_json_field(&j, &t->at, skipped);
    emit_line(t, &j, begin);
    cameo_runlog_flush(&t->log);
}

/* False with error->code 0: stopped by a signal. */
static bool train_epoch(cameo_train *t, cameo_error *error) {
    const cameo_train_options *o = &t->options;
    const size_t images = (size_t)t->trainer->batch * (size_t)o->accumulate;
    const int64_t every = o->checkpoint_every, first = t->at.update;
    char what[64];
    cameo_progress bar;
    snprintf(what, sizeof what, "epoch %" PRId64 "/%" PRId64, t->at.epoch + 1, o->epochs);
    cameo_progress_start(&bar, what, images * (size_t)(t->updates - first));
    while (t->at.update < t->updates && !stopping) {
        const double rate = cameo_train_rate(t);
        double loss;
        if (!one_update(t, &loss, error)) return cameo_progress_end(&bar), false;
        const size_t done = images * (size_t)(t->at.update - first);
        t->images_per_s = (double)done / (cameo_now() - bar.started);
        if (t->at.step % o->log_every == 0) log_step(t, loss, rate, t->images_per_s);
        if (every && t->at.step % every == 0 && t->at.update < t->updates && !save_last(t, error))
            return false;
        cameo_progress_step(&bar, done);
    }
    cameo_progress_end(&bar);
    return !stopping;
}

static double metric_of(const cameo_train *t, const cameo_evaluation *e, double loss) {
    switch (t->options.best) {
    case CAMEO_BEST_AUC: return e->auc;
    case CAMEO_BEST_EER: return e->eer;
    case CAMEO_BEST_ACCURACY: return e->val_accuracy;
    default: return loss;
    }
}

typedef struct epoch_result {
    double loss, accuracy, rate, seconds;
    cameo_evaluation e;
    bool best;
} epoch_result;

static void log_epoch(cameo_train *t, const epoch_result *r) {
    const size_t begin = log_size(t);
    cameo_json j = cameo_runlog_begin(&t->log, "epoch");
    cameo_json_field(&j, &t->at, epoch);
    cameo_json_field(&j, &t->at, step);
    cameo_json_field(&j, r, loss);
    cameo_json_number(&j, "lr", r->rate);
    cameo_json_field(&j, t, images_per_s);
    cameo_json_field(&j, r, accuracy);
    cameo_json_field(&j, &r->e, val_accuracy);
    cameo_json_field(&j, &r->e, val_loss);
    cameo_json_field(&j, &r->e, auc);
    cameo_json_field(&j, &r->e, eer);
    cameo_json_text(&j, "best_metric", cameo_best_names[t->options.best]);
    cameo_json_field(&j, &t->at, best);
    cameo_json_field(&j, &t->at, best_epoch);
    cameo_json_field(&j, r, seconds);
    emit_line(t, &j, begin);
}

static void print_epoch(const cameo_train *t, const epoch_result *r) {
    if (t->options.json) return;
    printf("epoch %3" PRId64 "/%" PRId64 "  loss %.4f", t->at.epoch, t->options.epochs, r->loss);
    printf("  accuracy %.2f %%", 100 * r->accuracy);
    if (!isnan(r->e.val_accuracy))
        printf("  validation %.2f %% (loss %.4f)", 100 * r->e.val_accuracy, r->e.val_loss);
    if (!isnan(r->e.auc)) printf("  AUC %.4f  EER %.2f %%", r->e.auc, 100 * r->e.eer);
    printf("  lr %.4g  %.1f images/s%s\n", r->rate, t->images_per_s, r->best ? "  best" : "");
    fflush(stdout);
}

/* Batches that don't fill an update are dropped. */
static bool drop_rest(cameo_train *t, cameo_error *error) {
    const int64_t batches = (int64_t)cameo_sampler_batches(t->sampler);
    for (int64_t i = t->updates * t->options.accumulate; i < batches; i++) {
        if (!cameo_loader_next(t->loader, error)) return false;
        cameo_loader_release(t->loader);
    }
    return true;
}

static void close_epoch(cameo_train *t, epoch_result *r) {
    const double n = (double)t->at.batches,
                 metric = metric_of(t, &r->e, r->loss = n > 0 ? t->at.loss_sum / n : NAN);
    r->accuracy = n > 0 ? (double)t->at.correct / n / (double)t->trainer->batch : NAN;
    t->at.epoch++;
    t->at.update = t->at.batches = t->at.correct = 0;
    t->at.loss_sum = 0;
    if (isnan(metric)) return;
    r->best = cameo_best_rises(t->options.best) ? metric > t->at.best : metric < t->at.best;
    if (r->best) t->at.best = metric, t->at.best_epoch = t->at.epoch;
    if (t->options.schedule.kind == CAMEO_SCHEDULE_PLATEAU)
        cameo_plateau_update(&t->options.schedule, &t->at.plateau, metric);
}

static void write_curves(cameo_train *t) {
    cameo_error error = {0};
    log_size(t);
    if (!cameo_curves_write(t->options.output, t->log.data, t->trainer->infer->name, &error))
        cameo_report_error(&error);
}

/* best.onnx comes before last.onnx: a run killed between them does the epoch again and writes
   both. */
static bool finish_epoch(cameo_train *t, double began, cameo_error *error) {
    epoch_result r = {
        .rate = cameo_schedule_rate(&t->options.schedule, &t->at.plateau, t->at.step - 1)};
    if (!drop_rest(t, error) || !cameo_train_evaluate(t, &r.e, error)) return false;
    close_epoch(t, &r);
    r.seconds = cameo_now() - began;
    log_epoch(t, &r);
    if (r.best) t->best_failed = !save(t, "best.onnx", false);
    if (!save_last(t, error)) return false;
    write_curves(t);
    print_epoch(t, &r);
    return true;
}

/* ---- the run ---- */

static int stop(cameo_train *t) {
    cameo_error error = {0};
    if (!save_last(t, &error)) return cameo_report_error(&error);
    if (t->last_failed || t->best_failed) return CAMEO_ENVIRONMENT;
    fprintf(stderr, "stopped after step %" PRId64 ", saved; --resume goes on\n", t->at.step);
    return CAMEO_OK;
}

static int end(const cameo_train *t) {
    if (t->last_failed || t->best_failed) {
        fprintf(stderr,
                "%s: %s.onnx could not be written; what there is of it is of an earlier epoch\n",
                t->options.output, t->last_failed ? "last" : "best");
        return CAMEO_ENVIRONMENT;
    }
    if (!t->options.json && t->at.best_epoch)
        printf("best %s %.4f after epoch %" PRId64 ": %s/best.onnx\n",
               cameo_best_names[t->options.best], t->at.best, t->at.best_epoch, t->options.output);
    return t->log.failing ? CAMEO_ENVIRONMENT : CAMEO_OK;
}

int cameo_train_run(cameo_train *t) {
    cameo_error error = {0};
    while (t->at.epoch < t->options.epochs) {
        const double began = cameo_now();
        if (train_epoch(t, &error) && finish_epoch(t, began, &error)) continue;
        if (!error.code) return stop(t);
        cameo_runlog_flush(&t->log);
        return cameo_report_error(&error);
    }
    return end(t);
}

/* ---- without a run ---- */

static void print_dry(const cameo_train *t, double images_per_s, int64_t steps) {
    const double epoch = (double)t->updates * (double)t->options.accumulate *
                         (double)t->trainer->batch / images_per_s;
    const double peak = cameo_peak_mb();
    if (!t->options.json) {
        printf("speed      %.1f images/s: %.0f s an epoch, %.0f s in all (%" PRId64
               " steps timed, without evaluation)\n"
               "peak       %.0f MB so far\n",
               images_per_s, epoch, epoch * (double)t->options.epochs, steps, peak);
        return;
    }
    cameo_json j = cameo_json_begin(stdout);
    cameo_json_number(&j, "images_per_s", images_per_s);
    cameo_json_number(&j, "epoch_s", epoch);
    cameo_json_number(&j, "memory_mb", (double)cameo_train_bytes(t) / 1e6);
    cameo_json_number(&j, "peak_rss_mb", peak);
    cameo_json_field(&j, &t->options.schedule, steps);
    cameo_json_end(&j);
}

/* Some steps on real pictures, in memory only; the first one is not counted. */
int cameo_train_dry_run(cameo_train *t) {
    cameo_error error = {0};
    double began = 0, loss;
    const int64_t most = t->options.schedule.steps < DRY_STEPS ? t->options.schedule.steps
                                                               : DRY_STEPS;
    int64_t done = 0;
    while (done < most && !stopping && (done < 3 || cameo_now() - began < 5)) {
        if (!one_update(t, &loss, &error)) return cameo_report_error(&error);
        if (done++ == 0 && most > 1) began = cameo_now();
    }
    const double timed = (double)(done > 1 ? done - 1 : 1), seconds = cameo_now() - began;
    print_dry(t, timed * (double)t->options.accumulate * (double)t->trainer->batch / seconds,
              (int64_t)timed);
    return CAMEO_OK;
}

static int judge_overfit(const cameo_train *t, const cameo_step_result *r, double first) {
    const bool learnt = r->correct >= (float)t->trainer->batch || (double)r->loss < 0.1 * first;
    printf("one batch  loss %.4f -> %.4f, %.0f of %" PRId64 " right after %" PRId64 " steps: %s\n",
           first, (double)r->loss, (double)r->correct, t->trainer->batch, t->at.step,
           learnt ? "it learns" : "it does NOT learn");
    if (!learnt)
        fprintf(stderr, "a net that can't learn one batch has a fault, or its --lr is wrong\n");
    return learnt ? CAMEO_OK : CAMEO_BAD_INPUT;
}

int cameo_train_overfit(cameo_train *t) {
    cameo_error error = {0};
    cameo_step_result r = {0};
    double first = 0;
    t->options.schedule.kind = CAMEO_SCHEDULE_CONSTANT;
    const cameo_batch *b = cameo_loader_next(t->loader, &error);
    if (!b) return cameo_report_error(&error);
    for (; t->at.step < OVERFIT_STEPS && !stopping; t->at.step++) {
        if (!cameo_train_step(t, b, &r, &error) ||
            (!isfinite(r.loss) && !explain_loss(t, b, &error)))
            return cameo_report_error(&error);
        if (t->at.step == 0) first = (double)r.loss;
        if (r.correct >= (float)t->trainer->batch && (double)r.loss < 0.5 * first) break;
        if (!isfinite(update_weights(t, t->gradients, 1)))
            return explain_gradient(t, t->gradients, &error), cameo_report_error(&error);
    }
    return judge_overfit(t, &r, first);
}
