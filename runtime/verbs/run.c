/* run: tensors from files through the network into files. */
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

typedef struct job {
    const cameo_model *model;
    cameo_array *inputs;
    size_t count; /* images of this run; 0 = not known yet */
    cameo_error error;
} job;

static bool check_input(job *j, size_t k, const char *path) {
    const cameo_tensor_info *t = &j->model->inputs[k];
    const cameo_array *a = &j->inputs[k];
    char got[200], want[200];
    bool fits = a->dtype == t->dtype && a->rank == t->rank;
    for (int i = 0; i < t->rank && fits; i++) {
        bool batch = i == 0 && t->batched;
        fits = batch ? a->dim[0] >= 1 && a->dim[0] <= t->dim[0] : a->dim[i] == t->dim[i];
    }
    if (!fits)
        return cameo_reject(&j->error, "%s: %s%s, but input %zu \"%s\" is %s%s%s", path,
                            cameo_dtype_name(a->dtype), cameo_shape_text(a->dim, a->rank, got), k,
                            t->name, cameo_dtype_name(t->dtype), cameo_tensor_shape(t, want),
                            t->batched ? " (or fewer images)" : "");
    if (!t->batched) return true;
    if (j->count && j->count != (size_t)a->dim[0])
        return cameo_reject(&j->error, "%s: %lld images, but %zu are expected", path,
                            (long long)a->dim[0], j->count);
    j->count = (size_t)a->dim[0];
    return true;
}

/* --input values and bare arguments, in the order given. */
static bool read_inputs(job *j, const cameo_args *a) {
    size_t k = 0;
    for (size_t i = 0; i < a->count; i++) {
        const cameo_argument *g = &a->list[i];
        if (g->option && strcmp(g->option->name, "input") != 0) continue;
        if (k == j->model->n_inputs)
            return cameo_fail(&j->error, CAMEO_USAGE, "%s: more inputs than the network's %zu",
                              g->value, k);
        if (!cameo_array_read(g->value, &j->inputs[k], &j->error) || !check_input(j, k, g->value))
            return false;
        k++;
    }
    if (k < j->model->n_inputs)
        return cameo_fail(
            &j->error, CAMEO_USAGE,
            "input %zu \"%s\" is missing: give --input F %zu times, in the order of `info`", k,
            j->model->inputs[k].name, j->model->n_inputs);
    if (!j->count) j->count = 1;
    return true;
}

static bool write_output(job *j, size_t k, void *data, const char *directory, bool pb) {
    const cameo_tensor_info *t = &j->model->outputs[k];
    cameo_array a = {.dtype = t->dtype, .rank = t->rank, .count = 1, .data = data};
    memcpy(a.dim, t->dim, sizeof a.dim);
    if (t->batched) a.dim[0] = (int64_t)j->count;
    for (int i = 0; i < a.rank; i++) a.count *= (size_t)a.dim[i];
    char name[64];
    snprintf(name, sizeof name, "output_%zu.%s", k, pb ? "pb" : "npy");
    char *path = cameo_join(directory, name);
    bool good = pb ? cameo_pb_write(path, t->name, &a, &j->error)
                   : cameo_npy_write(path, &a, &j->error);
    free(path);
    return good;
}

static int run_network(job *j, const cameo_args *a, const char *directory, bool pb) {
    int threads, code;
    cameo_context *context = cameo_verb_context(j->model, a, &threads, &code);
    if (!context) return code;
    const void **inputs = cameo_allocate(j->model->n_inputs, sizeof *inputs);
    for (size_t i = 0; i < j->model->n_inputs; i++) inputs[i] = j->inputs[i].data;
    void **outputs = cameo_allocate_buffers(j->model->outputs, j->model->n_outputs);
    code = cameo_run(context, j->count, inputs, outputs);
    bool good = code == CAMEO_OK ||
                cameo_fail(&j->error, code, "%s: the network refused a count of %zu",
                           j->model->name, j->count);
    good = good && cameo_make_directories(directory, &j->error);
    for (size_t i = 0; i < j->model->n_outputs && good; i++)
        good = write_output(j, i, outputs[i], directory, pb);
    cameo_free_buffers(outputs, j->model->n_outputs);
    free(inputs);
    cameo_destroy(context);
    return good ? CAMEO_OK : cameo_report_error(&j->error);
}

static int run(const cameo_model *model, const cameo_args *a) {
    const char *directory = cameo_args_get(a, "output"), *format = cameo_args_get(a, "format");
    int64_t count = 0;
    if (!directory) return cameo_usage_error(a, "--output DIR is missing");
    if (format && strcmp(format, "npy") != 0 && strcmp(format, "pb") != 0)
        return cameo_usage_error(a, "--format is npy or pb");
    if (!cameo_args_integer(a, "count", 1, (long)model->batch, &count)) return CAMEO_USAGE;
    job j = {.model = model,
             .inputs = cameo_allocate(model->n_inputs, sizeof *j.inputs),
             .count = (size_t)count};
    int code = read_inputs(&j, a) ? run_network(&j, a, directory, format && *format == 'p')
                                  : cameo_report_error(&j.error);
    for (size_t i = 0; i < model->n_inputs; i++) cameo_array_free(&j.inputs[i]);
    free(j.inputs);
    return code;
}

static const cameo_option options[] = {
    {"input", "F", "a .npy or TensorProto .pb file; once per graph input, in order"},
    {"output", "DIR", "where output_0.npy, output_1.npy, ... go"},
    {"format", "npy|pb", "of the outputs (default npy)"},
    {"count", "N", "images in the inputs (checked; default: as the files have)"},
    OPTION_THREADS,
    {0}};

const cameo_verb cameo_verb_run = {"run", "raw tensors in, raw tensors out",
                                   "run --input F ... --output DIR [--format npy|pb]", options,
                                   .run = run};
