/* Pictures into the network: decoding, alignment and preprocessing, then batches; each with one
   picture or batch a thread, which beats sharing the work of one among threads: nobody waits for
   the others but at the end of a chunk. */
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

/* CHUNK: pictures at once, as long as their inputs fit INPUTS bytes. ARENAS: bytes of all threads'
   arenas. */
enum { CHUNK = 128, INPUTS = 64 << 20, ARENAS = 1 << 30, UINT8 = 2 /* of ONNX */ };

static int no_preprocess(const cameo_model *model) {
    fprintf(stderr,
            "%s: the model does not say how pictures become its input; a wrong guess costs "
            "accuracy silently, so none is made.\n"
            "    hint: compile it with --preprocess SPEC, or give one here. Usual forms:\n%s",
            model->name,
            model->n_inputs && model->inputs[0].dtype == UINT8
                ? "  --preprocess \"color=rgb\"   or color=bgr: the network takes 8-bit pixels as "
                  "they are\n"
                : cameo_preprocess_forms);
    return CAMEO_USAGE;
}

static void close_detector(void *item) { cameo_detector_close(item); }
static void close_context(void *item) { cameo_destroy(item); }
static void close_contexts(cameo_pictures *p) { cameo_lanes_free(&p->contexts, close_context); }

static bool open_detectors(cameo_pictures *p, cameo_error *error) {
    p->detectors = cameo_lanes_make((size_t)p->threads);
    bool good = true;
    for (size_t i = 0; i < p->detectors.count && good; i++)
        good = (p->detectors.item[i] = cameo_detector_open(p->model->detector, 1, error)) != NULL;
    return good;
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
    snprintf(p->alignment, sizeof p->alignment, "detector %.64s, model %.64s", detector->name,
             detector->hash);
    return open_detectors(p, error);
}

/* Not for XNNPACK's operators, which each pack the weights anew; and a machine short of memory
   does without. */
static void open_contexts(cameo_pictures *p) {
    const cameo_model *m = p->context->model;
    const size_t threads = (size_t)p->threads;
    if (threads < 2 || (m->backend && !m->backend->shares_weights) ||
        m->arena_bytes > ARENAS / threads)
        return;
    p->contexts = cameo_lanes_make(threads);
    for (size_t i = 0; i < threads; i++)
        if (!(p->contexts.item[i] = cameo_create_beside(p->context, NULL))) {
            close_contexts(p);
            return;
        }
}

int cameo_pictures_open(cameo_pictures *p, const cameo_model *model, const cameo_args *a) {
    const char *spec = cameo_args_get(a, "preprocess");
    cameo_error error = {0};
    int code;
    *p = (cameo_pictures){.model = model, .spec = spec ? spec : model->preprocess};
    if (!p->spec) return no_preprocess(model);
    if (model->n_inputs != 1) {
        cameo_reject(&error, "%s: has %zu inputs; pictures go into networks with one", model->name,
                     model->n_inputs);
        return cameo_report_error(&error);
    }
    if (!cameo_preprocess_parse(p->spec, &model->inputs[0], &p->preprocess, &error))
        return cameo_report_error(&error);
    p->context = cameo_verb_context(model, a, &p->threads, &code);
    if (!code) open_contexts(p);
    if (code || open_alignment(p, a, &error)) return code;
    cameo_pictures_close(p);
    return cameo_report_error(&error);
}

void cameo_pictures_close(cameo_pictures *p) {
    cameo_landmarks_free(&p->landmarks);
    cameo_lanes_free(&p->detectors, close_detector);
    close_contexts(p);
    cameo_destroy(p->context);
}

size_t cameo_pictures_stride(const cameo_pictures *p) {
    return cameo_preprocess_bytes(&p->preprocess);
}

size_t cameo_pictures_batch(const cameo_pictures *p) {
    return p->model->inputs[0].batched ? (size_t)p->model->batch : 1;
}

size_t cameo_pictures_chunk(const cameo_pictures *p) {
    size_t size = cameo_pictures_batch(p), chunk = INPUTS / cameo_pictures_stride(p);
    if (chunk > CHUNK) chunk = CHUNK;
    if (chunk < 1) chunk = 1;
    /* Whole batches: only the last one is partial. */
    return (chunk + size - 1) / size * size;
}

/* Task i works on picture i alone. */
typedef struct decoding {
    cameo_pictures *p;
    char *const *paths, *const *names;
    const cameo_bytes *files; /* what the paths hold; NULL: they are read here */
    size_t views, stride;
    unsigned char *input;
    cameo_error *errors;
} decoding;

static bool detect(cameo_pictures *p, const cameo_image *image, cameo_landmarks *points,
                   cameo_error *error) {
    size_t lane;
    cameo_detector *d = cameo_lanes_borrow(&p->detectors, &lane);
    bool found = cameo_detector_find(d, image, points, error);
    cameo_lanes_return(&p->detectors, lane);
    return found;
}

/* A decoded picture becomes what the network sees. */
static bool fit_picture(cameo_pictures *p, const char *name, cameo_image *image,
                        cameo_error *error) {
    const cameo_preprocess *spec = &p->preprocess;
    const cameo_landmarks *points;
    cameo_landmarks found;
    if (p->detectors.count) {
        if (!detect(p, image, &found, error)) return false;
        points = &found;
    } else if (p->landmarks.count) {
        points = cameo_landmarks_find(&p->landmarks, name);
        if (!points)
            return cameo_reject(error,
                                "no landmarks are given for it (or for several of that name)");
    } else {
        return cameo_preprocess_fit(spec, image, error);
    }
    if (!cameo_image_align(image, points, spec->width, spec->height, error)) return false;
    cameo_preprocess_gray(spec, image);
    return true;
}

static void mirror(cameo_image *image) {
    for (int y = 0; y < image->height; y++) {
        unsigned char *row = cameo_image_at(image, 0, y), pixel[3];
        for (int x = 0, end = image->width - 1; x < end; x++, end--) {
            memcpy(pixel, row + 3 * x, 3);
            memcpy(row + 3 * x, row + 3 * end, 3);
            memcpy(row + 3 * end, pixel, 3);
        }
    }
}

static void decode_task(void *argument, size_t i) {
    const decoding *d = argument;
    const cameo_preprocess *spec = &d->p->preprocess;
    unsigned char *to = d->input + i * d->views * d->stride;
    cameo_image image = {0};
    cameo_error why = {0};
    const cameo_bytes *file = d->files ? &d->files[i] : NULL;
    if (!(file ? cameo_image_decode(file->data, file->size, d->paths[i], &image, &d->errors[i])
               : cameo_image_read(d->paths[i], &image, &d->errors[i])))
        return;
    if (fit_picture(d->p, d->names ? d->names[i] : d->paths[i], &image, &why)) {
        cameo_preprocess_values(spec, image.pixels, to);
        if (d->views == 2)
            mirror(&image), cameo_preprocess_values(spec, image.pixels, to + d->stride);
    } else {
        cameo_fail(&d->errors[i], why.code, "%s: %.400s", d->paths[i], why.message);
    }
    cameo_image_free(&image);
}

void cameo_pictures_decode(cameo_pictures *p, char *const *paths, char *const *names,
                           const cameo_bytes *files, size_t count, size_t views,
                           unsigned char *input, cameo_error *errors) {
    decoding d = {p, paths, names, files, views, cameo_pictures_stride(p), input, errors};
    memset(errors, 0, count * sizeof *errors);
    cameo_parallel(p->context, count, decode_task, &d);
}

bool cameo_pictures_view(cameo_pictures *p, const char *path, const char *name, cameo_image *image,
                         cameo_error *error) {
    bool good = cameo_image_read(path, image, error) && fit_picture(p, name, image, error);
    if (!good) cameo_image_free(image);
    return good;
}

/* ---- batches ---- */

typedef struct running {
    cameo_pictures *p;
    const unsigned char *input;
    float *out;
    size_t count, largest, stride, dimension;
    atomic_int code; /* the first failure's */
} running;

static void embed_batch(running *r, cameo_context *context, size_t batch) {
    size_t first = batch * r->largest,
           n = r->count - first < r->largest ? r->count - first : r->largest;
    int code = cameo_embed(context, n, r->input + first * r->stride, r->out + first * r->dimension),
        none = CAMEO_OK;
    if (code) atomic_compare_exchange_strong(&r->code, &none, code);
}

static void embed_task(void *argument, size_t batch) {
    running *r = argument;
    size_t lane;
    cameo_context *context = cameo_lanes_borrow(&r->p->contexts, &lane);
    embed_batch(r, context, batch);
    cameo_lanes_return(&r->p->contexts, lane);
}

bool cameo_pictures_run(cameo_pictures *p, const unsigned char *input, size_t count, float *out,
                        cameo_error *error) {
    size_t largest = cameo_pictures_batch(p), batches = (count + largest - 1) / largest;
    running r = {p,
                 input,
                 out,
                 count,
                 largest,
                 cameo_pictures_stride(p),
                 cameo_image_elements(p->model->embedding),
                 CAMEO_OK};
    if (p->contexts.count && batches >= p->contexts.count)
        cameo_parallel(p->context, batches, embed_task, &r);
    else
        for (size_t i = 0; i < batches; i++) embed_batch(&r, p->context, i);
    int code = atomic_load(&r.code);
    return !code ||
           cameo_fail(error, code, "%s: the network refused %zu pictures", p->model->name, count);
}

bool cameo_pictures_each(cameo_pictures *p, char *const *paths, size_t count, const char *what,
                         cameo_picture_chunk *each, void *data, cameo_error *error) {
    size_t chunk = cameo_pictures_chunk(p);
    if (chunk > count) chunk = count;
    unsigned char *input = cameo_allocate(chunk, cameo_pictures_stride(p));
    cameo_error *errors = cameo_allocate(chunk, sizeof *errors);
    cameo_progress progress;
    bool good = true;
    cameo_progress_start(&progress, what, count);
    for (size_t first = 0; first < count && good; first += chunk) {
        size_t n = count - first < chunk ? count - first : chunk;
        cameo_pictures_decode(p, paths + first, NULL, NULL, n, 1, input, errors);
        for (size_t i = 0; i < n && good; i++)
            if (errors[i].code) *error = errors[i], good = false;
        good = good && each(data, first, n, input, error);
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
    cameo_reject(error,
                 "%s: has no float32 embedding\n    hint: compile it with --embedding TENSOR",
                 p->model->name);
    return 0;
}

typedef struct embedding_job {
    cameo_pictures *pictures;
    char *const *paths;
    float *out;
    size_t dimension;
} embedding_job;

static bool embed_chunk(void *data, size_t first, size_t count, const unsigned char *input,
                        cameo_error *error) {
    embedding_job *job = data;
    float *out = job->out + first * job->dimension;
    if (!cameo_pictures_run(job->pictures, input, count, out, error)) return false;
    for (size_t i = 0; i < count; i++) {
        const char *why = cameo_embedding_fault(out + i * job->dimension, job->dimension);
        if (why) return cameo_reject(error, "%s: its embedding %s", job->paths[first + i], why);
    }
    return true;
}

float *cameo_pictures_embed(cameo_pictures *p, char *const *paths, size_t count, size_t *dimension,
                            cameo_error *error) {
    embedding_job job = {p, paths, NULL, cameo_pictures_dimension(p, error)};
    if (!job.dimension) return NULL;
    job.out = cameo_allocate(count * job.dimension, sizeof(float));
    *dimension = job.dimension;
    if (cameo_pictures_each(p, paths, count, "embedding", embed_chunk, &job, error)) return job.out;
    free(job.out);
    return NULL;
}
