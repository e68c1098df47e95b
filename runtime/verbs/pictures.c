/* Pictures into the network: decoding on all threads, alignment, preprocessing, batches. */
#include "verbs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64, CHUNK_RAW = 16 }; /* pictures decoded at once; whole photographs wait in memory for the detector */

static int no_preprocess(const cameo_model *model) {
    fprintf(
        stderr,
        "%s: the model does not say how pictures become its input; a wrong guess costs accuracy silently, so none is made.\n"
        "    hint: compile it with --preprocess SPEC, or give one here. Usual forms:\n%s",
        model->name, cameo_preprocess_forms);
    return CAMEO_USAGE;
}

static bool open_alignment(cameo_pictures *p, const cameo_args *a, cameo_error *error) {
    const char *landmarks = cameo_args_get(a, "landmarks");
    const cameo_model *detector = p->model->detector;
    snprintf(p->alignment, sizeof p->alignment, "none");
    if (landmarks) {
        snprintf(p->alignment, sizeof p->alignment, "landmarks %.200s", landmarks);
        return cameo_landmarks_read(landmarks, &p->landmarks, error);
    }
    if (!detector || cameo_args_get(a, "aligned")) return true;
    snprintf(p->alignment, sizeof p->alignment, "detector %.64s, model %.64s", detector->name, detector->hash);
    p->detector = cameo_detector_open(detector, p->threads, error);
    return p->detector != NULL;
}

int cameo_pictures_open(cameo_pictures *p, const cameo_model *model, const cameo_args *a) {
    const char *spec = cameo_args_get(a, "preprocess");
    cameo_error error = {0};
    int code;
    *p = (cameo_pictures){.model = model, .spec = spec ? spec : model->preprocess};
    if (!p->spec) return no_preprocess(model);
    if (model->n_inputs != 1) {
        cameo_fail(&error, CAMEO_BAD_INPUT, "%s: has %zu inputs; pictures go into networks with one", model->name,
                   model->n_inputs);
        return cameo_report_error(&error);
    }
    if (!cameo_preprocess_parse(p->spec, &model->inputs[0], &p->preprocess, &error)) return cameo_report_error(&error);
    p->context = cameo_verb_context(model, a, &p->threads, &code);
    if (code || open_alignment(p, a, &error)) return code;
    cameo_pictures_close(p);
    return cameo_report_error(&error);
}

void cameo_pictures_close(cameo_pictures *p) {
    cameo_landmarks_free(&p->landmarks);
    cameo_detector_close(p->detector);
    cameo_destroy(p->context);
}

size_t cameo_pictures_stride(const cameo_pictures *p) {
    return (size_t)p->preprocess.width * (size_t)p->preprocess.height * (size_t)p->preprocess.channels;
}

static size_t batch_of(const cameo_pictures *p) { return p->model->inputs[0].batched ? (size_t)p->model->batch : 1; }

size_t cameo_pictures_chunk(const cameo_pictures *p) {
    size_t size = batch_of(p), chunk = p->detector ? CHUNK_RAW : CHUNK; /* whole batches: only the last one is partial */
    return (chunk + size - 1) / size * size;
}

/* Task i works on picture i alone. */
typedef struct decoding {
    cameo_pictures *p;
    char *const *paths, *const *names;
    size_t views, stride;
    float *input;
    cameo_image *images;     /* between the halves */
    cameo_landmarks *points; /* found by the detector */
    cameo_error *errors;
} decoding;

static void read_task(void *argument, size_t i) {
    const decoding *d = argument;
    cameo_image_read(d->paths[i], &d->images[i], &d->errors[i]);
}

static bool look_up(const decoding *d, size_t i, const cameo_landmarks **points, cameo_error *error) {
    *points = d->p->detector ? &d->points[i] : NULL;
    if (!d->p->landmarks.count) return true;
    *points = cameo_landmarks_find(&d->p->landmarks, d->names ? d->names[i] : d->paths[i]);
    return *points || cameo_fail(error, CAMEO_BAD_INPUT, "no landmarks are given for it (or for several of that name)");
}

/* A decoded picture becomes what the network sees. */
static bool fit_picture(const decoding *d, size_t i, cameo_error *error) {
    const cameo_preprocess *p = &d->p->preprocess;
    const cameo_landmarks *points;
    if (!look_up(d, i, &points, error)) return false;
    if (!points) return cameo_preprocess_fit(p, &d->images[i], error);
    if (!cameo_image_align(&d->images[i], points, p->width, p->height, error)) return false;
    cameo_preprocess_gray(p, &d->images[i]);
    return true;
}

static void mirror(cameo_image *image) {
    for (int y = 0; y < image->height; y++) {
        unsigned char *row = image->pixels + (size_t)y * (size_t)image->width * 3, pixel[3];
        for (int x = 0, end = image->width - 1; x < end; x++, end--) {
            memcpy(pixel, row + 3 * x, 3);
            memcpy(row + 3 * x, row + 3 * end, 3);
            memcpy(row + 3 * end, pixel, 3);
        }
    }
}

static void finish_task(void *argument, size_t i) {
    const decoding *d = argument;
    cameo_error why = {0};
    if (d->errors[i].code) return;
    if (fit_picture(d, i, &why)) {
        float *to = d->input + i * d->views * d->stride;
        cameo_preprocess_values(&d->p->preprocess, d->images[i].pixels, to);
        if (d->views == 2)
            mirror(&d->images[i]), cameo_preprocess_values(&d->p->preprocess, d->images[i].pixels, to + d->stride);
    } else {
        cameo_fail(&d->errors[i], why.code, "%s: %.400s", d->paths[i], why.message);
    }
    cameo_image_free(&d->images[i]);
}

static void read_and_finish(void *argument, size_t i) {
    read_task(argument, i);
    finish_task(argument, i);
}

static void detect(const decoding *d, size_t i) {
    cameo_error why = {0};
    if (d->errors[i].code || cameo_detector_find(d->p->detector, &d->images[i], &d->points[i], &why)) return;
    cameo_fail(&d->errors[i], why.code, "%s: %.400s", d->paths[i], why.message);
    cameo_image_free(&d->images[i]);
}

void cameo_pictures_decode(cameo_pictures *p, char *const *paths, char *const *names, size_t count, size_t views, float *input,
                           cameo_error *errors) {
    decoding d = {p, paths, names, views, cameo_pictures_stride(p), input, NULL, NULL, errors};
    d.images = cameo_allocate(count, sizeof *d.images);
    d.points = cameo_allocate(count, sizeof *d.points);
    memset(errors, 0, count * sizeof *errors);
    if (p->detector) {
        cameo_parallel(p->context, count, read_task, &d);
        for (size_t i = 0; i < count; i++) detect(&d, i);
        cameo_parallel(p->context, count, finish_task, &d);
    } else {
        cameo_parallel(p->context, count, read_and_finish, &d);
    }
    free(d.images);
    free(d.points);
}

bool cameo_pictures_view(cameo_pictures *p, const char *path, const char *name, cameo_image *image, cameo_error *error) {
    cameo_landmarks points;
    char *paths[1] = {cameo_join(NULL, path)}, *names[1] = {cameo_join(NULL, name)};
    decoding d = {.p = p, .paths = paths, .names = names, .images = image, .points = &points};
    bool good = cameo_image_read(path, image, error) &&
                (!p->detector || cameo_detector_find(p->detector, image, &points, error)) && fit_picture(&d, 0, error);
    if (!good) cameo_image_free(image);
    free(paths[0]);
    free(names[0]);
    return good;
}

static bool run_batches(const cameo_pictures *p, const float *input, size_t first, size_t count, cameo_picture_batch *batch,
                        void *data, cameo_error *error) {
    size_t largest = batch_of(p), stride = cameo_pictures_stride(p);
    for (size_t i = 0, n; i < count; i += n) {
        n = count - i < largest ? count - i : largest;
        if (!batch(data, first + i, n, input + i * stride, error)) return false;
    }
    return true;
}

bool cameo_pictures_each(cameo_pictures *p, char *const *paths, size_t count, const char *what, cameo_picture_batch *batch,
                         void *data, cameo_error *error) {
    size_t chunk = cameo_pictures_chunk(p);
    if (chunk > count) chunk = count;
    float *input = cameo_allocate(chunk * cameo_pictures_stride(p), sizeof *input);
    cameo_error *errors = cameo_allocate(chunk, sizeof *errors);
    cameo_progress progress;
    bool good = true;
    cameo_progress_start(&progress, what, count);
    for (size_t first = 0; first < count && good; first += chunk) {
        size_t n = count - first < chunk ? count - first : chunk;
        cameo_pictures_decode(p, paths + first, NULL, n, 1, input, errors);
        for (size_t i = 0; i < n && good; i++)
            if (errors[i].code) *error = errors[i], good = false;
        good = good && run_batches(p, input, first, n, batch, data, error);
        cameo_progress_step(&progress, first + n);
    }
    cameo_progress_end(&progress);
    free(input);
    free(errors);
    return good;
}

size_t cameo_pictures_dimension(const cameo_pictures *p, cameo_error *error) {
    const cameo_tensor_info *e = p->model->embedding;
    if (e && e->dtype == 1) return cameo_image_elements(e);
    cameo_fail(error, CAMEO_BAD_INPUT, "%s: has no float32 embedding\n    hint: compile it with --embedding TENSOR",
               p->model->name);
    return 0;
}

typedef struct embedding_job {
    cameo_pictures *pictures;
    char *const *paths;
    float *out;
    size_t dimension;
} embedding_job;

static bool embed_batch(void *data, size_t first, size_t count, const float *input, cameo_error *error) {
    embedding_job *job = data;
    float *out = job->out + first * job->dimension;
    int code = cameo_embed(job->pictures->context, count, input, out);
    if (code != CAMEO_OK)
        return cameo_fail(error, code, "%s: the network refused %zu pictures", job->pictures->model->name, count);
    for (size_t i = 0; i < count; i++) {
        const char *why = cameo_embedding_fault(out + i * job->dimension, job->dimension);
        if (why) return cameo_fail(error, CAMEO_BAD_INPUT, "%s: its embedding %s", job->paths[first + i], why);
    }
    return true;
}

float *cameo_pictures_embed(cameo_pictures *p, char *const *paths, size_t count, size_t *dimension, cameo_error *error) {
    embedding_job job = {p, paths, NULL, cameo_pictures_dimension(p, error)};
    if (!job.dimension) return NULL;
    job.out = cameo_allocate(count * job.dimension, sizeof(float));
    *dimension = job.dimension;
    if (cameo_pictures_each(p, paths, count, "embedding", embed_batch, &job, error)) return job.out;
    free(job.out);
    return NULL;
}
