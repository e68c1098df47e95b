/* Before the first step: the data against the model, the output folder, memory; and the plan,
   printed. Everything that can be found wrong is found here. */
#include "../base/files.h"
#include "../base/memory.h"
#include "parameters.h"
#include "train_run.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AHEAD = 3, MEGABYTE = 1000000 };

/* ---- data ---- */

static bool check_preprocess(cameo_train *t, cameo_error *error) {
    const cameo_model *m = t->trainer->infer;
    t->spec = t->options.preprocess ? t->options.preprocess : m->preprocess;
    if (!t->spec)
        return cameo_fail(error, CAMEO_USAGE,
                          "%s: the model does not say how pictures become its input\n    hint: "
                          "give --preprocess SPEC, or "
                          "compile with it. Usual forms:\n%.300s",
                          m->name, cameo_preprocess_forms);
    if (!cameo_preprocess_parse(t->spec, &m->inputs[0], &t->preprocess, error)) return false;
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            if (!isfinite(t->preprocess.value[c][v]))
                return cameo_reject(
                    error, "preprocessing \"%.200s\" makes pictures that are not finite", t->spec);
    return true;
}

static bool scan_data(cameo_train *t, cameo_error *error) {
    const cameo_train_options *o = &t->options;
    const cameo_trainer *r = t->trainer;
    if (!cameo_dataset_scan(o->data, 2, &t->data, error)) return false;
    if (!cameo_dataset_fits(&t->data, o->data, r->classes, r->classes ? r->infer->classes : NULL,
                            r->batch, error))
        return false;
    t->data_pictures = (cameo_picture_set){t->data.path, t->data.images, NULL};
    if (!o->val) return true;
    if (!r->classes) {
        fprintf(stderr,
                "--val: the loss \"%s\" knows no classes; validation pictures are not used\n",
                r->loss);
        return true;
    }
    if (!cameo_dataset_scan(o->val, 1, &t->val, error) ||
        !cameo_dataset_relabel(&t->val, o->val, &t->data, error))
        return false;
    t->val_pictures = (cameo_picture_set){t->val.path, t->val.images, NULL};
    return true;
}

static bool read_pairs(cameo_train *t, cameo_error *error) {
    const cameo_train_options *o = &t->options;
    if (!o->pairs) return true;
    if (!t->trainer->infer->embedding)
        return cameo_reject(
            error, "--pairs: the model has no embedding\n    hint: compile it with --embedding");
    if (!cameo_pairs_read(o->pairs, o->pairs_root, &t->pairs, error) ||
        !cameo_pairs_locate(&t->pairs, o->pairs_root, error))
        return false;
    size_t same = 0, different = 0;
    for (size_t i = 0; i < t->pairs.count; i++) {
        same += t->pairs.pair[i].label == 1;
        different += t->pairs.pair[i].label == 0;
    }
    if (!same || !different)
        return cameo_reject(error, "%s: %s pairs; both kinds are needed to verify", o->pairs,
                            t->pairs.labelled ? (same ? "has no different" : "has no same")
                                              : "has no labels on its");
    t->pair_pictures = (cameo_picture_set){t->pairs.path, t->pairs.images, NULL};
    return true;
}

static void choose_best(cameo_train *t) {
    cameo_train_options *o = &t->options;
    if (o->best == CAMEO_BEST_ACCURACY && !t->val.images) o->best = CAMEO_BEST_NONE;
    if (o->best == CAMEO_BEST_NONE)
        o->best = t->pairs.count  ? CAMEO_BEST_AUC
                  : t->val.images ? CAMEO_BEST_ACCURACY
                                  : CAMEO_BEST_LOSS;
    o->schedule.rising = cameo_best_rises(o->best);
}

static bool plan_steps(cameo_train *t, cameo_error *error) {
    cameo_train_options *o = &t->options;
    t->sampler = cameo_sampler_create(&t->data, (size_t)t->trainer->batch,
                                      (size_t)o->samples_per_class, (uint64_t)o->seed, error);
    if (!t->sampler) return false;
    t->updates = (int64_t)cameo_sampler_batches(t->sampler) / o->accumulate;
    if (!t->updates)
        return cameo_reject(error,
                            "%zu batches an epoch are fewer than the %" PRId64 " of --accumulate",
                            cameo_sampler_batches(t->sampler), o->accumulate);
    o->schedule.epoch_steps = t->updates;
    o->schedule.steps = t->updates * o->epochs;
    t->at.plateau = cameo_plateau_start(&o->schedule);
    t->at.best = cameo_best_rises(o->best) ? -INFINITY : INFINITY;
    return true;
}

/* ---- memory ---- */

typedef struct memory {
    size_t weights, gradients, state, step, infer, batches, total;
} memory;

static memory plan_memory(const cameo_train *t) {
    const cameo_trainer *r = t->trainer;
    const cameo_train_options *o = &t->options;
    const size_t all = 4 * r->floats, learnt = 4 * r->learnt_floats;
    const size_t states = o->optim.kind == CAMEO_SGD ? o->optim.momentum != 0 : 2;
    const cameo_loader_options loader = {
        .preprocess = &t->preprocess, .batch = (size_t)r->batch, .ahead = AHEAD};
    memory m = {.weights = all * (o->ema > 0 ? 2 : 1),
                .gradients = learnt * (o->accumulate > 1 ? 2 : 1),
                .state = learnt * states,
                .step = r->step->arena_bytes,
                .infer = t->val.images || t->pairs.count ? r->infer->arena_bytes : 0,
                .batches = cameo_loader_bytes(&loader)};
    m.total = m.weights + m.gradients + m.state + m.step + m.infer + m.batches;
    return m;
}

size_t cameo_train_bytes(const cameo_train *t) { return plan_memory(t).total; }

static double mb(size_t bytes) { return (double)bytes / MEGABYTE; }

static bool check_memory(const cameo_train *t, cameo_error *error) {
    const memory m = plan_memory(t);
    const size_t there = cameo_memory_available();
    if (m.total <= there) return true;
    return cameo_fail(
        error, CAMEO_ENVIRONMENT,
        "this run needs %.0f MB of memory (activations %.0f, weights, gradients and optimizer "
        "%.0f, batches %.0f), "
        "but %.0f MB are available\n    hint: compile with a smaller --batch, and use --accumulate",
        mb(m.total), mb(m.step + m.infer), mb(m.weights + m.gradients + m.state), mb(m.batches),
        mb(there));
}

static bool allocate(cameo_train *t, cameo_error *error) {
    const cameo_trainer *r = t->trainer;
    const cameo_train_options *o = &t->options;
    if (!(t->gradients = cameo_block_create(r->learnt_floats, "gradients", error))) return false;
    if (o->accumulate > 1 &&
        !(t->sum = cameo_block_create(r->learnt_floats, "sums of gradients", error)))
        return false;
    if (o->ema > 0 && !(t->average = cameo_block_create(r->floats, "averaged weights", error)))
        return false;
    if (o->skip_not_finite) t->kept = cameo_allocate(r->floats - r->learnt_floats, sizeof *t->kept);
    if (!cameo_optim_create(&t->optim, r, &o->optim, error)) return false;
    t->step = cameo_create(r->step, &(cameo_options){t->threads}, error);
    if (!t->step) return false;
    t->step->parameters = t->parameters;
    t->step->gradients = t->gradients;
    if (t->average) memcpy(t->average, t->parameters, r->floats * sizeof *t->average);
    return true;
}

/* ---- pictures ---- */

static bool open_store(cameo_train *t, cameo_picture_set *g, size_t *budget, bool training,
                       const char *what, cameo_error *error) {
    if (!g->count) return true;
    const size_t one = (size_t)t->preprocess.width * (size_t)t->preprocess.height * 3;
    const bool whole = training && t->options.augment.resized > 0;
    const size_t limit = whole || *budget / one < g->count ? *budget : g->count * one;
    *budget -= limit;
    g->store = cameo_store_create(
        &(cameo_store_options){.preprocess = &t->preprocess,
                               .paths = g->path,
                               .images = g->count,
                               .limit = limit,
                               .whole = whole,
                               .fast = training && t->options.fast_decode});
    return cameo_store_check(g->store, t->step, what, error);
}

static bool open_stores(cameo_train *t, cameo_error *error) {
    const size_t there = cameo_memory_available();
    size_t budget = there == SIZE_MAX ? (size_t)1 << 30 : there / 2;
    if (t->options.cache_mb >= 0) budget = (size_t)t->options.cache_mb * MEGABYTE;
    if (!open_store(t, &t->val_pictures, &budget, false, "checking validation pictures", error))
        return false;
    if (!open_store(t, &t->pair_pictures, &budget, false, "checking pictures of pairs", error))
        return false;
    if (t->pairs.count && cameo_store_bad(t->pair_pictures.store))
        return cameo_reject(error, "%s: %zu of its pictures cannot be read (named above)",
                            t->options.pairs, cameo_store_bad(t->pair_pictures.store));
    return open_store(t, &t->data_pictures, &budget, true, "checking training pictures", error);
}

static bool open_loader(cameo_train *t, cameo_error *error) {
    const cameo_train_options *o = &t->options;
    const int64_t batches = (int64_t)cameo_sampler_batches(t->sampler),
                  done = t->at.update * o->accumulate;
    const int64_t epochs = o->epochs - t->at.epoch;
    cameo_sampler_seek(t->sampler, (uint64_t)t->at.epoch, (size_t)done);
    const cameo_loader_options options = {.dataset = &t->data,
                                          .store = t->data_pictures.store,
                                          .sampler = t->sampler,
                                          .preprocess = &t->preprocess,
                                          .augment = &o->augment,
                                          .seed = (uint64_t)o->seed,
                                          .batch = (size_t)t->trainer->batch,
                                          .ahead = AHEAD,
                                          .total = epochs > 0 ? (uint64_t)(epochs * batches - done)
                                                              : 0,
                                          .threads = t->threads};
    t->loader = cameo_loader_create(&options, error);
    return t->loader != NULL;
}

/* ---- the folder ---- */

static bool writes(const cameo_train *t) { return !t->options.dry_run && !t->options.overfit; }

static bool check_output(cameo_train *t, bool resuming, cameo_error *error) {
    if (!writes(t)) return true;
    const char *run = t->options.output;
    if (!cameo_make_directories(run, error)) return false;
    char *last = cameo_join(run, "last.onnx");
    bool good = true;
    if (cameo_file_exists(last) && !resuming)
        good = cameo_reject(
            error,
            "%s: holds a run already\n    hint: --resume goes on with it; or choose another -o",
            run);
    else if (access(run, W_OK | X_OK) != 0)
        good = cameo_fail(error, CAMEO_ENVIRONMENT, "%s: the folder can't be written to", run);
    free(last);
    return good;
}

/* The first checkpoint is the test: a run that was killed before its first epoch can be resumed
   too. */
static bool begin_output(cameo_train *t, cameo_error *error) {
    if (!writes(t)) return true;
    return cameo_runlog_open(&t->log, t->options.output, t->resumed, t->at.step, t->at.epoch,
                             error) &&
           cameo_train_save(t, "last.onnx", true, error);
}

/* ---- the plan ---- */

static void print_data(const cameo_train *t) {
    const cameo_trainer *r = t->trainer;
    printf("model      %s: %.3f million parameters, %.3f learnt; loss %s", r->infer->name,
           (double)cameo_parameters_count(r, false) / 1e6,
           (double)cameo_parameters_count(r, true) / 1e6, r->loss);
    printf(r->classes ? ", %" PRId64 " classes\n" : "\n", r->classes);
    if (r->shared) printf("shared     %s\n", r->shared);
    if (r->apart) printf("apart      %s\n", r->apart);
    printf("data       %zu pictures of %zu classes", t->data.images, t->data.classes);
    if (t->val.images) printf("; validation %zu", t->val.images);
    if (t->pairs.count) printf("; %zu pairs of %zu pictures", t->pairs.count, t->pairs.images);
    if (t->data.ignored)
        printf("; %zu files or inner folders are left out, no pictures", t->data.ignored);
    printf("\ninput      %s\n", t->spec);
}

static void print_schedule(const cameo_train *t) {
    const cameo_train_options *o = &t->options;
    printf("run        %" PRId64 " epochs of %" PRId64 " steps of %" PRId64 " pictures: %" PRId64
           " steps\n",
           o->epochs, t->updates, o->accumulate * (int64_t)t->trainer->batch, o->schedule.steps);
    printf("optimizer  %s", cameo_optim_kind_name(o->optim.kind));
    if (o->optim.momentum != 0)
        printf(", %smomentum %g", o->optim.nesterov ? "Nesterov " : "", o->optim.momentum);
    printf(", weight decay %g%s", o->optim.weight_decay,
           o->optim.decay_all ? "" : " (not on biases and normalisation)");
    if (o->clip_norm > 0) printf(", gradients clipped at %g", o->clip_norm);
    if (o->ema > 0) printf(", weights averaged with %g", o->ema);
    printf("\nschedule   %s from %g", cameo_schedule_kind_name(o->schedule.kind), o->rate);
    if (o->schedule.warmup) printf(", warm-up of %" PRId64 " steps", o->schedule.warmup);
    const char *augment = cameo_args_get(t->args, "augment");
    printf("\naugment    %s", augment && *augment ? augment : "none");
    if (o->augment.mixup > 0) printf(", mixup %g", o->augment.mixup);
    if (o->augment.cutmix > 0) printf(", cutmix %g", o->augment.cutmix);
    if (o->label_smoothing > 0) printf("; labels smoothed by %g", o->label_smoothing);
    if (o->samples_per_class > 0)
        printf("; %" PRId64 " pictures a class in a batch", o->samples_per_class);
    putchar('\n');
}

static void print_memory(const cameo_train *t) {
    const memory m = plan_memory(t);
    const size_t kept = cameo_store_bytes(t->data_pictures.store);
    printf("memory     %.0f MB: weights %.0f, gradients %.0f, optimizer %.0f, activations %.0f, "
           "evaluation %.0f, batches %.0f\n",
           mb(m.total), mb(m.weights), mb(m.gradients), mb(m.state), mb(m.step), mb(m.infer),
           mb(m.batches));
    printf("pictures   %s\n", kept && cameo_store_fits(t->data_pictures.store)
                                  ? "all kept in memory, decoded"
                              : t->options.cache_mb == 0 ? "decoded each time"
                                                         : "kept in memory as far as they fit");
    printf("threads    %d\n", t->threads);
    if (t->options.output && writes(t))
        printf("output     %s; best.onnx by %s\n", t->options.output,
               cameo_best_names[t->options.best]);
    if (t->resumed && t->at.epoch >= t->options.epochs)
        printf("resumed    after step %" PRId64 ": all %" PRId64
               " epochs are done; a larger --epochs goes on\n",
               t->at.step, t->options.epochs);
    else if (t->resumed)
        printf("resumed    after step %" PRId64 ", epoch %" PRId64 " of %" PRId64 "\n", t->at.step,
               t->at.epoch + 1, t->options.epochs);
}

static void log_plan(cameo_train *t) {
    cameo_json j = cameo_runlog_begin(&t->log, "start");
    cameo_json_field(&j, &t->at, epoch);
    cameo_json_field(&j, &t->at, step);
    cameo_json_text(&j, "model", t->trainer->infer->name);
    cameo_json_text(&j, "model_hash", t->trainer->infer->hash);
    cameo_json_text(&j, "version", CAMEO_VERSION);
    cameo_json_count(&j, "parameters", cameo_parameters_count(t->trainer, false));
    if (t->trainer->shared) cameo_json_field(&j, t->trainer, shared);
    if (t->trainer->apart) cameo_json_field(&j, t->trainer, apart);
    cameo_json_field(&j, &t->options.schedule, steps);
    cameo_json_integer(&j, "steps_per_epoch", t->updates);
    cameo_json_field(&j, t->trainer, batch);
    cameo_json_number(&j, "memory_mb", mb(cameo_train_bytes(t)));
    cameo_json_field(&j, t, threads);
    cameo_runlog_end(&t->log, &j);
    cameo_runlog_flush(&t->log);
}

/* ---- together ---- */

bool cameo_train_open(cameo_train *t, const cameo_checkpoint_file *file, cameo_error *error) {
    t->threads = !t->options.threads ? cameo_processors() : (int)t->options.threads;
    cameo_architecture_hash(t->trainer, t->architecture);
    if (!check_preprocess(t, error) || !scan_data(t, error) || !read_pairs(t, error)) return false;
    choose_best(t);
    if (!plan_steps(t, error) || !check_output(t, file != NULL, error) || !check_memory(t, error))
        return false;
    if (!allocate(t, error) || (file && !cameo_train_restore(t, file, error))) return false;
    if (!open_stores(t, error) || !open_loader(t, error) || !begin_output(t, error)) return false;
    if (!t->options.json) {
        print_data(t);
        print_schedule(t);
        print_memory(t);
        fflush(stdout);
    }
    if (writes(t)) log_plan(t);
    return true;
}

void cameo_train_close(cameo_train *t) {
    const cameo_trainer *r = t->trainer;
    cameo_loader_destroy(t->loader);
    cameo_sampler_destroy(t->sampler);
    cameo_store_destroy(t->data_pictures.store);
    cameo_store_destroy(t->val_pictures.store);
    cameo_store_destroy(t->pair_pictures.store);
    cameo_dataset_free(&t->data);
    cameo_dataset_free(&t->val);
    cameo_pairs_free(&t->pairs);
    cameo_destroy(t->step);
    cameo_optim_destroy(&t->optim);
    cameo_block_free(t->gradients, r->learnt_floats);
    cameo_block_free(t->sum, r->learnt_floats);
    cameo_block_free(t->average, r->floats);
    free(t->kept);
    cameo_runlog_close(&t->log);
}
