/* classify: the most likely classes of pictures. The first output counts; values that are no
   probabilities go through a softmax. */
#include "../base/class_names.h"
#include "../verification/submission.h"
#include "verbs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct classifying {
    cameo_pictures pictures;
    cameo_class_names labels; /* of --labels, or the model's */
    char *const *paths;
    void **outputs;
    double *probability; /* [classes] of one picture */
    size_t classes, top;
    cameo_json *json;
    const cameo_submission *form; /* --submission: rows of a file instead of a listing */
    bool names;
    FILE *rows;
} classifying;

static bool read_labels(const cameo_model *model, const char *file, cameo_class_names *l,
                        cameo_error *error) {
    const size_t classes = cameo_image_elements(&model->outputs[0]);
    if (!file) {
        l->count = model->classes ? model->n_classes : 0;
        l->name = cameo_allocate(l->count, sizeof *l->name);
        for (size_t i = 0; i < l->count; i++) l->name[i] = model->classes[i];
        return true;
    }
    if (!cameo_class_names_read(file, l, error)) return false;
    return l->count == classes ||
           cameo_reject(error, "%s: names %zu classes, but the network has %zu", file, l->count,
                        classes);
}

static void put_class(const classifying *c, size_t k, double p) {
    const char *name = k < c->labels.count ? c->labels.name[k] : NULL;
    if (!c->json) {
        printf("  %6.2f %%  %zu%s%s\n", 100 * p, k, name ? "  " : "", name ? name : "");
        return;
    }
    cameo_json_open(c->json, NULL, '{');
    cameo_json_count(c->json, "class", k);
    cameo_json_text(c->json, "name", name);
    cameo_json_number(c->json, "probability", p);
    cameo_json_close(c->json, '}');
}

/* A submission's row: the file's name, the likeliest class. */
static void put_row(classifying *c, const char *path) {
    size_t best = 0;
    for (size_t k = 1; k < c->classes; k++)
        if (c->probability[k] > c->probability[best]) best = k;
    cameo_csv_text(c->rows, cameo_last_part(path), ',');
    if (c->names)
        cameo_csv_text(c->rows, c->labels.name[best], '\n');
    else
        fprintf(c->rows, "%zu\n", best);
}

/* The `top` largest, equal ones in class order. Each is taken out once printed. */
static void put_picture(classifying *c, const char *path) {
    if (c->json) {
        cameo_json_open(c->json, NULL, '{');
        cameo_json_text(c->json, "image", path);
        cameo_json_open(c->json, "top", '[');
    } else {
        printf("%s\n", path);
    }
    for (size_t t = 0; t < c->top && t < c->classes; t++) {
        size_t best = 0;
        for (size_t k = 1; k < c->classes; k++)
            if (c->probability[k] > c->probability[best]) best = k;
        put_class(c, best, c->probability[best]);
        c->probability[best] = -1;
    }
    if (!c->json) return;
    cameo_json_close(c->json, ']');
    cameo_json_close(c->json, '}');
}

static bool classify_batch(classifying *c, size_t first, size_t count, const unsigned char *input,
                           cameo_error *error) {
    const void *inputs[1] = {input};
    int code = cameo_run(c->pictures.context, count, inputs, c->outputs);
    if (code != CAMEO_OK) return cameo_fail(error, code, "the network refused %zu pictures", count);
    for (size_t i = 0; i < count; i++) {
        const float *logits = (const float *)c->outputs[0] + i * c->classes;
        for (size_t k = 0; k < c->classes; k++)
            if (!isfinite(logits[k]))
                return cameo_reject(error, "%s: an output is not finite", c->paths[first + i]);
        cameo_probabilities(logits, c->classes, c->probability);
        (c->rows ? put_row : put_picture)(c, c->paths[first + i]);
    }
    return true;
}

static bool classify_chunk(void *data, size_t first, size_t count, const unsigned char *input,
                           cameo_error *error) {
    classifying *c = data;
    size_t largest = cameo_pictures_batch(&c->pictures),
           stride = cameo_pictures_stride(&c->pictures);
    for (size_t i = 0, n; i < count; i += n) {
        n = count - i < largest ? count - i : largest;
        if (!classify_batch(c, first + i, n, input + i * stride, error)) return false;
    }
    return true;
}

static bool classify_all(classifying *c, const cameo_model *model, const cameo_paths *l,
                         cameo_error *error) {
    const cameo_tensor_info *t = &model->outputs[0];
    c->paths = l->path;
    c->classes = cameo_image_elements(t);
    c->outputs = cameo_allocate_buffers(model->outputs, model->n_outputs);
    c->probability = cameo_allocate(c->classes, sizeof *c->probability);
    bool good = t->dtype == 1 && c->classes > 0;
    if (!good) cameo_reject(error, "output \"%s\" is no float32 vector of classes", t->name);
    if (good && c->rows && c->names && c->labels.count < c->classes)
        good = cameo_reject(error,
                            "names are known for %zu of %zu classes\n    hint: --labels FILE, one "
                            "name a line; or --as index",
                            c->labels.count, c->classes);
    good = good && cameo_pictures_each(&c->pictures, c->paths, l->count, "classifying",
                                       classify_chunk, c, error);
    cameo_free_buffers(c->outputs, model->n_outputs);
    free(c->probability);
    return good;
}

static bool to_listing(classifying *c, const cameo_model *model, const cameo_paths *l,
                       cameo_error *error) {
    if (c->json) cameo_json_open(c->json, NULL, '[');
    bool good = classify_all(c, model, l, error);
    if (c->json) cameo_json_close(c->json, ']'), putchar('\n');
    return good;
}

static bool to_submission(classifying *c, const cameo_model *model, const cameo_paths *l,
                          const char *file, cameo_error *error) {
    cameo_output o;
    if (!cameo_output_open(&o, error)) return false;
    c->rows = o.stream;
    fprintf(o.stream, "%s\n", c->form->heading);
    return classify_all(c, model, l, error) ? cameo_output_save(&o, NULL, file, error)
                                            : cameo_output_drop(&o);
}

/* --submission, --as and -o, which go together. */
static int submission_options(classifying *c, const cameo_args *a) {
    const char *family = cameo_args_get(a, "submission"), *as = cameo_args_get(a, "as");
    cameo_error error = {0};
    if (!family != !cameo_args_get(a, "output"))
        return cameo_usage_error(a, "--submission and -o FILE go together");
    if (as && strcmp(as, "index") != 0 && strcmp(as, "name") != 0)
        return cameo_usage_error(a, "--as is index or name");
    if (!family) return CAMEO_OK;
    c->form = cameo_submission_find(family, CAMEO_TASK_CLASSES, &error);
    if (!c->form) return cameo_report_error(&error);
    c->names = as ? strcmp(as, "name") == 0 : c->form->names;
    return CAMEO_OK;
}

static int classify_paths(const cameo_model *model, const cameo_args *a, const cameo_paths *l) {
    int64_t top = 5;
    if (!cameo_args_integer(a, "top", 1, 1000000, &top)) return CAMEO_USAGE;
    cameo_json json = {.stream = stdout};
    classifying c = {.top = (size_t)top, .json = cameo_args_get(a, "json") ? &json : NULL};
    cameo_error error = {0};
    int code = submission_options(&c, a);
    if (!code) code = cameo_pictures_open(&c.pictures, model, a);
    if (code) return code;
    bool good = read_labels(model, cameo_args_get(a, "labels"), &c.labels, &error) &&
                (c.form ? to_submission(&c, model, l, cameo_args_get(a, "output"), &error)
                        : to_listing(&c, model, l, &error));
    cameo_class_names_free(&c.labels);
    cameo_pictures_close(&c.pictures);
    return good ? CAMEO_OK : cameo_report_error(&error);
}

static int classify(const cameo_model *model, const cameo_args *a) {
    cameo_paths l = {0};
    int code = cameo_paths_given(&l, a);
    if (!code) code = classify_paths(model, a, &l);
    cameo_paths_free(&l);
    return code;
}

static const cameo_option options[] = {
    {"labels", "FILE", "class names, one a line"},
    {"top", "K", "classes printed for each picture (default 5)"},
    OPTIONS_PATHS,
    {"submission", "FAMILY", "write a submission: s19 f19 s20, s22 f22 s23 f23 s24"},
    {"as", "KIND", "its classes by index or name (default: as the family has them)"},
    {"output", "FILE", "the submission"},
    OPTION_PREPROCESS,
    OPTION_THREADS,
    OPTION_JSON,
    {0}};

const cameo_verb cameo_verb_classify = {
    "classify",
    "most likely classes of pictures",
    "classify IMAGE... [--labels FILE] [--top K] [--submission FAMILY -o FILE] [--json]",
    options,
    .run = classify,
    .about_weights = true};
