/* YuNet: the photograph is letterboxed (scaled to fit, black to the right and below), and every
   cell of three grids says how likely a face is, where its box is and where its landmarks are,
   relative to the cell. */
#include "detector.h"
#include "../base/files.h"
#include "../base/outputs.h"
#include "../cameo_abi.h"
#include "preprocess.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEVELS = 3, KINDS = 4, CANDIDATES = 256 };
static const int strides[LEVELS] = {8, 16, 32};
static const char *const kinds[KINDS] = {"cls", "obj", "bbox", "kps"};
static const int64_t widths[KINDS] = {1, 1, 4, 10};

struct cameo_detector {
    const cameo_model *model;
    cameo_context *context;
    cameo_preprocess preprocess;
    size_t output[KINDS][LEVELS]; /* which of the network's outputs */
    void **outputs;
    float *input;
};

static size_t cells(const cameo_detector *d, int level) {
    return (size_t)(d->preprocess.width / strides[level]) *
           (size_t)(d->preprocess.height / strides[level]);
}

static bool find_output(cameo_detector *d, int kind, int level) {
    char name[32];
    snprintf(name, sizeof name, "%s_%d", kinds[kind], strides[level]);
    size_t wanted = cells(d, level) * (size_t)widths[kind];
    for (size_t i = 0; i < d->model->n_outputs; i++) {
        const cameo_tensor_info *t = &d->model->outputs[i];
        if (strcmp(t->name, name) != 0 || t->dtype != 1 ||
            cameo_tensor_elements(t) != wanted * (t->batched ? (size_t)t->dim[0] : 1))
            continue;
        d->output[kind][level] = i;
        return true;
    }
    return false;
}

static bool is_yunet(cameo_detector *d, cameo_error *error) {
    const char *spec = d->model->preprocess ? d->model->preprocess : "color=bgr mean=0 scale=1";
    if (d->model->n_inputs != 1)
        return cameo_reject(error, "the detector has %zu inputs", d->model->n_inputs);
    if (!cameo_preprocess_parse(spec, &d->model->inputs[0], &d->preprocess, error)) return false;
    for (int kind = 0; kind < KINDS; kind++)
        for (int level = 0; level < LEVELS; level++)
            if (!find_output(d, kind, level))
                return cameo_reject(error,
                                    "the detector %s has no output %s_%d of the size YuNet's would "
                                    "have; only YuNet is understood",
                                    d->model->name, kinds[kind], strides[level]);
    return true;
}

cameo_detector *cameo_detector_open(const cameo_model *model, int threads, cameo_error *error) {
    cameo_detector *d = cameo_allocate(1, sizeof *d);
    d->model = model;
    if (is_yunet(d, error)) d->context = cameo_create(model, &(cameo_options){threads}, error);
    if (!d->context) return cameo_detector_close(d), NULL;
    d->outputs = cameo_allocate_buffers(model->outputs, model->n_outputs);
    d->input = cameo_allocate(cameo_tensor_elements(&model->inputs[0]), sizeof(float));
    return d;
}

void cameo_detector_close(cameo_detector *d) {
    if (!d) return;
    if (d->outputs) cameo_free_buffers(d->outputs, d->model->n_outputs);
    free(d->input);
    cameo_destroy(d->context);
    free(d);
}

/* Fills the network's input; returns the scale from photograph to it, 0 with *error. */
static double letterbox(cameo_detector *d, const cameo_image *image, cameo_error *error) {
    const cameo_preprocess *p = &d->preprocess;
    double scale = fmin((double)p->width / image->width, (double)p->height / image->height);
    int width = (int)fmax(1, fmin(p->width, floor(image->width * scale + 0.5)));
    int height = (int)fmax(1, fmin(p->height, floor(image->height * scale + 0.5)));
    cameo_image small = {0}, box = {0};
    if (!cameo_image_allocate(&small, image->width, image->height, "photograph", error)) return 0;
    memcpy(small.pixels, image->pixels, 3 * cameo_image_size(image));
    bool good = cameo_image_resize(&small, width, height, p->filter, error) &&
                cameo_image_allocate(&box, p->width, p->height, "photograph", error);
    if (good) {
        memset(box.pixels, 0, 3 * cameo_image_size(&box));
        for (int y = 0; y < height; y++)
            memcpy(cameo_image_at(&box, 0, y), cameo_image_at(&small, 0, y), (size_t)width * 3);
        cameo_preprocess_values(p, box.pixels, d->input);
    }
    cameo_image_free(&small);
    cameo_image_free(&box);
    return good ? scale : 0;
}

static float clamp01(float x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

/* Pixel centres: index i of the photograph is at scale * (i + 1/2) - 1/2 of the network's input. */
static double unscale(double v, double scale) { return (v + 0.5) / scale - 0.5; }

static cameo_face decode_cell(const cameo_detector *d, int level, size_t cell, double score,
                              double scale) {
    const float *box = (const float *)d->outputs[d->output[2][level]] + 4 * cell;
    const float *points = (const float *)d->outputs[d->output[3][level]] + 10 * cell;
    size_t columns = (size_t)(d->preprocess.width / strides[level]);
    double stride = strides[level], column = (double)(cell % columns),
           row = (double)(cell / columns);
    cameo_face f = {.score = score,
                    .width = exp(box[2]) * stride / scale,
                    .height = exp(box[3]) * stride / scale};
    f.x = unscale((column + box[0]) * stride, scale) - f.width / 2;
    f.y = unscale((row + box[1]) * stride, scale) - f.height / 2;
    for (int i = 0; i < 5; i++) {
        f.at.x[i] = unscale((column + points[2 * i]) * stride, scale);
        f.at.y[i] = unscale((row + points[2 * i + 1]) * stride, scale);
    }
    return f;
}

static double overlap(const cameo_face *a, const cameo_face *b) {
    double w = fmin(a->x + a->width, b->x + b->width) - fmax(a->x, b->x);
    double h = fmin(a->y + a->height, b->y + b->height) - fmax(a->y, b->y);
    if (w <= 0 || h <= 0) return 0;
    return w * h / (a->width * a->height + b->width * b->height - w * h);
}

/* Inserts by falling score into at most CANDIDATES. */
static size_t insert(cameo_face *list, size_t n, cameo_face f) {
    if (n == CANDIDATES && f.score <= list[n - 1].score) return n;
    size_t at = n < CANDIDATES ? n++ : n - 1;
    for (; at > 0 && list[at - 1].score < f.score; at--) list[at] = list[at - 1];
    list[at] = f;
    return n;
}

static size_t suppress(const cameo_face *list, size_t n, cameo_face *faces, size_t capacity) {
    size_t kept = 0;
    for (size_t i = 0; i < n && kept < capacity; i++) {
        bool covered = false;
        for (size_t k = 0; k < kept && !covered; k++) covered = overlap(&list[i], &faces[k]) > 0.3;
        if (!covered) faces[kept++] = list[i];
    }
    return kept;
}

/* Each cell near a face has an opinion on its landmarks. Their mean by score (the "blending" of
   BlazeFace, Bazarevsky et al. 2019) trembles less than the best one's. */
static void blend(const cameo_face *list, size_t n, cameo_face *face) {
    cameo_landmarks sum = {{0}, {0}};
    double weight = 0;
    for (size_t i = 0; i < n; i++) {
        double w = overlap(&list[i], face) > 0.6 ? list[i].score : 0;
        for (int k = 0; k < 5; k++)
            sum.x[k] += w * list[i].at.x[k], sum.y[k] += w * list[i].at.y[k];
        weight += w;
    }
    if (weight > 0) /* a box without area overlaps nothing, not even itself */
        for (int k = 0; k < 5; k++)
            face->at.x[k] = sum.x[k] / weight, face->at.y[k] = sum.y[k] / weight;
}

size_t cameo_detector_faces(cameo_detector *d, const cameo_image *image, double least,
                            cameo_face *faces, size_t capacity, cameo_error *error) {
    double scale = letterbox(d, image, error);
    const void *inputs[1] = {d->input};
    if (scale == 0) return 0;
    if (cameo_run(d->context, 1, inputs, d->outputs) != CAMEO_OK)
        return cameo_fail(error, CAMEO_DEFECT, "the detector refused a picture"), 0;
    cameo_face *list = cameo_allocate(CANDIDATES, sizeof *list);
    size_t n = 0;
    for (int level = 0; level < LEVELS; level++) {
        const float *cls = d->outputs[d->output[0][level]], *obj = d->outputs[d->output[1][level]];
        for (size_t i = 0; i < cells(d, level); i++) {
            double score = sqrt((double)clamp01(cls[i]) * clamp01(obj[i]));
            if (score >= least) n = insert(list, n, decode_cell(d, level, i, score, scale));
        }
    }
    size_t kept = suppress(list, n, faces, capacity);
    for (size_t i = 0; i < kept; i++) blend(list, n, &faces[i]);
    free(list);
    return kept;
}

bool cameo_detector_find(cameo_detector *d, const cameo_image *image, cameo_landmarks *at,
                         cameo_error *error) {
    cameo_face faces[16];
    size_t n = cameo_detector_faces(d, image, 0.5, faces, 16, error), best = 0;
    double most = -1;
    for (size_t i = 0; i < n; i++) {
        double dx = (faces[i].x + faces[i].width / 2) / image->width - 0.5;
        double dy = (faces[i].y + faces[i].height / 2) / image->height - 0.5;
        double weight = faces[i].score * faces[i].width * faces[i].height *
                        exp(-8 * (dx * dx + dy * dy));
        if (weight > most) most = weight, best = i;
    }
    if (!n) return cameo_reject(error, "no face was found in it");
    *at = faces[best].at;
    return true;
}
