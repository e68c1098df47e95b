/* After an epoch: validation accuracy and loss, AUC and EER on pairs. The graph `infer` runs on
   the live weights, or on their average; its context lives only as long as an evaluation, so that
   its memory is free during training. */
#include "../base/files.h"
#include "../base/outputs.h"
#include "../base/progress.h"
#include "../verification/verification.h"
#include "train_run.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct forward {
    cameo_train *train;
    const cameo_picture_set *gallery;
    cameo_context *context;
    size_t elements, first; /* of a picture; of the batch */
    float *input;
    bool *good;
} forward;

/* A picture that can't be decoded leaves its place zero and isn't counted. */
static void load_task(void *argument, size_t i) {
    const forward *f = argument;
    const cameo_image *image;
    cameo_image scratch = {0};
    float *out = f->input + i * f->elements;
    f->good[i] = cameo_store_get(f->gallery->store, f->first + i, &image, &scratch);
    if (f->good[i])
        cameo_preprocess_values(&f->train->preprocess, image->pixels, out);
    else
        memset(out, 0, f->elements * sizeof *out);
    cameo_image_free(&scratch);
}

/* Called with `count` inputs loaded, pictures f->first ... */
typedef bool forward_batch(const forward *f, size_t count, void *data, cameo_error *error);

static bool run_gallery(cameo_train *t, const cameo_picture_set *g, const char *what,
                        forward_batch *batch, void *data, cameo_error *error) {
    const cameo_model *m = t->trainer->infer;
    const size_t most = m->inputs[0].batched && m->batch > 0 ? (size_t)m->batch : 1;
    forward f = {.train = t, .gallery = g, .elements = cameo_image_elements(&m->inputs[0])};
    f.context = cameo_create(m, &(cameo_options){t->threads}, error);
    if (!f.context) return false;
    f.context->parameters = t->average ? t->average : t->parameters;
    f.input = cameo_allocate(most * f.elements, sizeof *f.input);
    f.good = cameo_allocate(most, sizeof *f.good);
    cameo_progress bar;
    bool good = true;
    cameo_progress_start(&bar, what, g->count);
    for (size_t n; f.first < g->count && good; f.first += n) {
        n = g->count - f.first < most ? g->count - f.first : most;
        cameo_parallel(f.context, n, load_task, &f);
        good = !cameo_train_stopping() && batch(&f, n, data, error);
        cameo_progress_step(&bar, f.first + n);
    }
    cameo_progress_end(&bar);
    free(f.input);
    free(f.good);
    cameo_destroy(f.context);
    return good;
}

/* ---- validation ---- */

typedef struct validation {
    void **outputs;
    size_t classes, count, correct;
    double loss;
    double *probability;
} validation;

static void judge(validation *v, const float *scores, int64_t label) {
    size_t best = 0;
    for (size_t k = 1; k < v->classes; k++)
        if (scores[k] > scores[best]) best = k;
    cameo_probabilities(scores, v->classes, v->probability);
    v->loss -= log(fmax(v->probability[label], 1e-300));
    v->correct += best == (size_t)label;
    v->count++;
}

static bool validate_batch(const forward *f, size_t count, void *data, cameo_error *error) {
    validation *v = data;
    const void *inputs[1] = {f->input};
    const int code = cameo_run(f->context, count, inputs, v->outputs);
    if (code != CAMEO_OK)
        return cameo_fail(error, CAMEO_DEFECT, "validation: the network refused %zu pictures",
                          count);
    const float *scores = v->outputs[f->train->trainer->logits];
    for (size_t i = 0; i < count; i++)
        if (f->good[i]) judge(v, scores + i * v->classes, f->train->val.label[f->first + i]);
    return true;
}

static bool validate(cameo_train *t, cameo_evaluation *e, cameo_error *error) {
    const cameo_model *m = t->trainer->infer;
    validation v = {.classes = (size_t)t->trainer->classes};
    if (cameo_image_elements(&m->outputs[t->trainer->logits]) != v.classes)
        return cameo_fail(error, CAMEO_DEFECT, "the network's class scores are not %zu numbers",
                          v.classes);
    v.outputs = cameo_allocate_buffers(m->outputs, m->n_outputs);
    v.probability = cameo_allocate(v.classes, sizeof *v.probability);
    const bool good = run_gallery(t, &t->val_pictures, "validation", validate_batch, &v, error);
    if (v.count) {
        e->val_accuracy = (double)v.correct / (double)v.count;
        e->val_loss = v.loss / (double)v.count;
    }
    cameo_free_buffers(v.outputs, m->n_outputs);
    free(v.probability);
    return good;
}

/* ---- verification ---- */

typedef struct embedding_rows {
    float *rows;
    size_t dimension;
} embedding_rows;

static bool embed_batch(const forward *f, size_t count, void *data, cameo_error *error) {
    const embedding_rows *r = data;
    const int code = cameo_embed(f->context, count, f->input, r->rows + f->first * r->dimension);
    return code == CAMEO_OK ||
           cameo_fail(error, CAMEO_DEFECT, "verification: the network refused %zu pictures", count);
}

/* Embeddings that can't be compared (zero, not finite) are a state of the net, not an end of the
   run. */
static bool verify(cameo_train *t, cameo_evaluation *e, cameo_error *error) {
    embedding_rows r = {.dimension = cameo_image_elements(t->trainer->infer->embedding)};
    r.rows = cameo_allocate(t->pairs.images * r.dimension, sizeof *r.rows);
    const bool good = run_gallery(t, &t->pair_pictures, "verification", embed_batch, &r, error);
    cameo_metrics m = {0};
    cameo_error why = {0};
    if (good && cameo_verification_quick(r.rows, r.dimension, &t->pairs, &m, &why)) {
        e->auc = m.auc;
        e->eer = m.eer;
    } else if (good) {
        fprintf(stderr, "verification after epoch %lld: %s\n", (long long)t->at.epoch + 1,
                why.message);
    }
    cameo_metrics_free(&m);
    free(r.rows);
    return good;
}

bool cameo_train_evaluate(cameo_train *t, cameo_evaluation *e, cameo_error *error) {
    *e = (cameo_evaluation){NAN, NAN, NAN, NAN};
    return (!t->val.images || validate(t, e, error)) && (!t->pairs.count || verify(t, e, error));
}
