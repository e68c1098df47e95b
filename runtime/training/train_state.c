/* Writes checkpoints of a run, with position and options as metadata and blocks as tensors, and
   goes on from one. docs/internals/exact-resume.md says why what is in them is enough. */
#include "../base/files.h"
#include "train_run.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1 };

/* ---- saving ---- */

/* Where a run is, as metadata. */
#define WHOLE(f) \
    { "cameo.train." #f, offsetof(cameo_train_position, f), false }
#define REAL(f) \
    { "cameo.train." #f, offsetof(cameo_train_position, f), true }
static const struct place {
    const char *key;
    size_t offset;
    bool real; /* double; else int64_t, not below 0 */
} places[] = {WHOLE(epoch),   WHOLE(update),      WHOLE(step),          WHOLE(correct),
              WHOLE(batches), WHOLE(skipped),     WHOLE(plateau.bad),   WHOLE(best_epoch),
              REAL(loss_sum), REAL(plateau.best), REAL(plateau.factor), REAL(best)};
enum { PLACES = sizeof places / sizeof *places };

static void store_position(const cameo_train *t, cameo_properties *p) {
    for (const struct place *k = places; k < places + PLACES; k++) {
        const void *at = (const char *)&t->at + k->offset;
        if (k->real)
            cameo_property_set_double(p, k->key, *(const double *)at);
        else
            cameo_property_set_integer(p, k->key, *(const int64_t *)at);
    }
}

static void store_identity(const cameo_train *t, cameo_properties *p) {
    cameo_property_set_integer(p, "cameo.train.format", FORMAT);
    cameo_property_set(p, "cameo.train.architecture", t->architecture);
    cameo_property_set(p, "cameo.train.loss", t->trainer->loss);
    cameo_property_set_integer(p, "cameo.train.batch", t->trainer->batch);
    cameo_property_set(p, "cameo.train.data", t->data.hash);
    cameo_property_set(p, "cameo.train.best_metric", cameo_best_names[t->options.best]);
    cameo_train_options_store(t->args, p);
}

static void store_classes(const cameo_train *t, cameo_properties *p) {
    cameo_output o;
    if (!cameo_output_open(&o, NULL)) return;
    for (size_t i = 0; i < t->data.classes; i++)
        fprintf(o.stream, "%s%s", i ? "\n" : "", t->data.class_name[i]);
    if (fclose(o.stream) == 0) cameo_property_set(p, "cameo.classes", o.data);
    free(o.data);
}

/* Stores what a program compiled from the checkpoint needs. */
static void store_model(const cameo_train *t, cameo_properties *p) {
    cameo_property_set(p, "cameo.preprocess", t->spec);
    if (t->trainer->infer->embedding)
        cameo_property_set(p, "cameo.embedding", t->trainer->infer->embedding->name);
    if (t->trainer->classes) store_classes(t, p);
}

bool cameo_train_save(cameo_train *t, const char *name, bool state, cameo_error *error) {
    cameo_properties p = {0};
    store_model(t, &p);
    store_identity(t, &p);
    store_position(t, &p);
    cameo_checkpoint c = {.trainer = t->trainer,
                          .weights = t->average ? t->average : t->parameters,
                          .properties = &p};
    for (size_t i = 0; state && i < t->optim.n_states; i++)
        c.state[c.n_states++] = (cameo_checkpoint_state){t->optim.state_name[i], t->optim.state[i],
                                                         false};
    if (state && t->average)
        c.state[c.n_states++] = (cameo_checkpoint_state){"live", t->parameters, true};
    char *path = cameo_join(t->options.output, name);
    const bool good = cameo_checkpoint_write(&c, path, error);
    free(path);
    cameo_properties_free(&p);
    return good;
}

/* ---- going on ---- */

static bool same_text(const cameo_properties *p, const char *key, const char *expected) {
    const char *text = cameo_property(p, key);
    return text && strcmp(text, expected) == 0;
}

static bool check_identity(const cameo_train *t, const cameo_properties *p, cameo_error *error) {
    const cameo_trainer *r = t->trainer;
    int64_t number;
    if (!cameo_property_integer(p, "cameo.train.format", FORMAT, FORMAT, &number))
        return cameo_reject(error,
                            "%s/last.onnx holds no training run that this program could go on with",
                            t->options.output);
    if (!same_text(p, "cameo.train.architecture", t->architecture))
        return cameo_reject(
            error,
            "%s/last.onnx is of another architecture than this program\n    hint: go "
            "on with the program that began the run; or begin a new run from what "
            "was learnt, with a program of cameo compile %s/last.onnx --train",
            t->options.output, t->options.output);
    if (!same_text(p, "cameo.train.loss", r->loss))
        return cameo_reject(
            error, "the run in %s was trained with the loss \"%.60s\", this program has \"%.60s\"",
            t->options.output, cameo_property(p, "cameo.train.loss"), r->loss);
    if (!cameo_property_integer(p, "cameo.train.batch", r->batch, r->batch, &number))
        return cameo_reject(error,
                            "the run in %s has batches of %.20s pictures, this program of %" PRId64,
                            t->options.output, cameo_property(p, "cameo.train.batch"), r->batch);
    if (!same_text(p, "cameo.train.data", t->data.hash))
        return cameo_reject(
            error,
            "%s: is not the data set that the run in %s was trained on (names or sizes of its "
            "files differ)\n"
            "    hint: begin a new run: another -o, and --weights %s to keep what was learnt",
            t->options.data, t->options.output, t->options.output);
    const char *clash = cameo_train_options_clash(p, r, &t->options);
    return !clash ||
           cameo_reject(error,
                        "--%s differs from what the run in %s was begun with, and can't change "
                        "within a run\n"
                        "    hint: leave it out to go on; or begin a new run with --weights %s",
                        clash, t->options.output, t->options.output);
}

static bool restore_position(cameo_train *t, const cameo_properties *p) {
    for (const struct place *k = places; k < places + PLACES; k++) {
        void *at = (char *)&t->at + k->offset;
        if (!(k->real ? cameo_property_double(p, k->key, at)
                      : cameo_property_integer(p, k->key, 0, INT64_MAX / 4, at)))
            return false;
    }
    int64_t whole; /* updates of the epochs before */
    return t->at.update <= t->updates && !__builtin_mul_overflow(t->at.epoch, t->updates, &whole) &&
           t->at.step - t->at.update == whole;
}

/* Lets a run that goes on with another metric than before begin without a best. */
static void check_best(cameo_train *t, const cameo_properties *p) {
    if (same_text(p, "cameo.train.best_metric", cameo_best_names[t->options.best])) return;
    t->at.best = cameo_best_rises(t->options.best) ? -INFINITY : INFINITY;
    t->at.best_epoch = 0;
}

static bool restore_blocks(cameo_train *t, const cameo_checkpoint_file *file, cameo_error *error) {
    bool good = cameo_checkpoint_weights(file, t->trainer, t->average ? t->average : t->parameters,
                                         error);
    if (good && t->average)
        good = cameo_checkpoint_state_read(file, t->trainer, "live", true, t->parameters, error);
    for (size_t i = 0; good && i < t->optim.n_states; i++)
        good = cameo_checkpoint_state_read(file, t->trainer, t->optim.state_name[i], false,
                                           t->optim.state[i], error);
    return good;
}

bool cameo_train_restore(cameo_train *t, const cameo_checkpoint_file *file, cameo_error *error) {
    const cameo_properties *p = cameo_checkpoint_properties(file);
    if (!check_identity(t, p, error) || !restore_blocks(t, file, error)) return false;
    if (!restore_position(t, p))
        return cameo_reject(error, "%s/last.onnx: its training state makes no sense",
                            t->options.output);
    check_best(t, p);
    return t->resumed = true;
}
