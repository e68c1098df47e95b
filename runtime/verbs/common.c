/* What several verbs share: messages, contexts, buffers, and pictures through the network. */
#include "verbs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 }; /* pictures decoded ahead of the network: enough work for all threads, few megabytes */

int cameo_report_error(const cameo_error *error) {
    fprintf(stderr, "%s\n", error->message);
    return error->code ? error->code : CAMEO_DEFECT;
}

int cameo_usage_error(const cameo_args *a, const char *message) {
    fprintf(stderr, "%s\nusage: %s %s\n", message, a->program, a->usage);
    return CAMEO_USAGE;
}

cameo_context *cameo_verb_context(const cameo_model *model, const cameo_args *a, int *threads, int *code) {
    long wanted = 0;
    cameo_error error = {0};
    *code = CAMEO_USAGE;
    if (!cameo_args_integer(a, "threads", 1, 1024, &wanted)) return NULL;
    *threads = wanted ? (int)wanted : cameo_processors();
    cameo_context *context = cameo_create(model, &(cameo_options){*threads}, &error);
    *code = context ? CAMEO_OK : cameo_report_error(&error);
    return context;
}

size_t cameo_tensor_elements(const cameo_tensor_info *t) {
    size_t count = 1;
    for (int i = 0; i < t->rank; i++) count *= (size_t)t->dim[i];
    return count;
}

size_t cameo_image_elements(const cameo_tensor_info *t) {
    size_t count = 1;
    for (int i = t->batched ? 1 : 0; i < t->rank; i++) count *= (size_t)t->dim[i];
    return count;
}

const char *cameo_tensor_shape(const cameo_tensor_info *t, char buffer[200]) {
    return cameo_shape_text(t->dim, t->rank, buffer);
}

void **cameo_allocate_buffers(const cameo_tensor_info *t, size_t n) {
    void **buffers = cameo_allocate(n, sizeof *buffers);
    for (size_t i = 0; i < n; i++) buffers[i] = cameo_allocate(cameo_tensor_elements(&t[i]), cameo_dtype_size(t[i].dtype));
    return buffers;
}

void cameo_free_buffers(void **buffers, size_t n) {
    for (size_t i = 0; i < n; i++) free(buffers[i]);
    free(buffers);
}

static int no_preprocess(const cameo_model *model) {
    fprintf(
        stderr,
        "%s: the model does not say how pictures become its input; a wrong guess costs accuracy silently, so none is made.\n"
        "    hint: compile it with --preprocess SPEC, or give one here. Usual forms:\n%s",
        model->name, cameo_preprocess_forms);
    return CAMEO_USAGE;
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
    return code;
}

void cameo_pictures_close(cameo_pictures *p) { cameo_destroy(p->context); }

/* One chunk being decoded: task i fills slot i. */
typedef struct decoding {
    const cameo_preprocess *preprocess;
    char *const *paths;
    float *input;
    size_t stride;
    cameo_error *errors;
} decoding;

static void decode_task(void *argument, size_t i) {
    const decoding *d = argument;
    cameo_image image;
    cameo_error why = {0};
    if (!cameo_image_read(d->paths[i], &image, &d->errors[i])) return;
    if (!cameo_preprocess_apply(d->preprocess, &image, d->input + i * d->stride, &why))
        cameo_fail(&d->errors[i], why.code, "%s: %.400s", d->paths[i], why.message);
    cameo_image_free(&image);
}

static bool run_batches(const cameo_pictures *p, const decoding *d, size_t first, size_t count, cameo_picture_batch *batch,
                        void *data, cameo_error *error) {
    size_t largest = p->model->inputs[0].batched ? (size_t)p->model->batch : 1;
    for (size_t i = 0, n; i < count; i += n) {
        n = count - i < largest ? count - i : largest;
        if (!batch(data, first + i, n, d->input + i * d->stride, error)) return false;
    }
    return true;
}

bool cameo_pictures_each(cameo_pictures *p, char *const *paths, size_t count, const char *what, cameo_picture_batch *batch,
                         void *data, cameo_error *error) {
    /* whole batches in a chunk, so that only the last batch is partial */
    size_t size = p->model->inputs[0].batched ? (size_t)p->model->batch : 1, chunk = (CHUNK + size - 1) / size * size;
    size_t stride = (size_t)p->preprocess.width * (size_t)p->preprocess.height * (size_t)p->preprocess.channels;
    if (chunk > count) chunk = count;
    decoding d = {&p->preprocess, paths, cameo_allocate(chunk * stride, sizeof(float)), stride,
                  cameo_allocate(chunk, sizeof *d.errors)};
    cameo_progress progress;
    bool good = true;
    cameo_progress_start(&progress, what, count);
    for (size_t first = 0; first < count && good; first += chunk) {
        size_t n = count - first < chunk ? count - first : chunk;
        d.paths = paths + first;
        cameo_parallel(p->context, n, decode_task, &d);
        for (size_t i = 0; i < n && good; i++)
            if (d.errors[i].code) *error = d.errors[i], good = false;
        good = good && run_batches(p, &d, first, n, batch, data, error);
        cameo_progress_step(&progress, first + n);
    }
    cameo_progress_end(&progress);
    free(d.input);
    free(d.errors);
    return good;
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
        double norm = 0;
        for (size_t k = 0; k < job->dimension; k++) norm += (double)out[i * job->dimension + k] * out[i * job->dimension + k];
        if (isfinite(norm) && norm > 0) continue;
        return cameo_fail(error, CAMEO_BAD_INPUT, "%s: its embedding %s", job->paths[first + i],
                          norm == 0 ? "is zero" : "is not finite");
    }
    return true;
}

float *cameo_pictures_embed(cameo_pictures *p, char *const *paths, size_t count, size_t *dimension, cameo_error *error) {
    const cameo_tensor_info *e = p->model->embedding;
    if (!e || e->dtype != 1) {
        cameo_fail(error, CAMEO_BAD_INPUT, "%s: has no float32 embedding\n    hint: compile it with --embedding TENSOR",
                   p->model->name);
        return NULL;
    }
    embedding_job job = {p, paths, NULL, cameo_image_elements(e)};
    job.out = cameo_allocate(count * job.dimension, sizeof(float));
    *dimension = job.dimension;
    if (cameo_pictures_each(p, paths, count, "embedding", embed_batch, &job, error)) return job.out;
    free(job.out);
    return NULL;
}

double cameo_cosine(const float *a, const float *b, size_t n) {
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return dot / (sqrt(aa) * sqrt(bb));
}

double cameo_distance(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(sum);
}
