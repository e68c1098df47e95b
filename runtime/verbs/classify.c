/* classify: the most likely classes of pictures. The first output counts; values that are no probabilities go through a
 * softmax. */
#include "verbs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct labels {
    char *text; /* of --labels, cut into lines; NULL when the model's names are used */
    const char **name;
    size_t count;
} labels;

typedef struct classifying {
    cameo_pictures pictures;
    labels labels;
    char *const *paths;
    void **outputs;
    double *probability; /* [classes] of one picture */
    size_t classes, top;
    cameo_json *json;
} classifying;

static bool read_labels(const cameo_model *model, const char *file, labels *l, cameo_error *error) {
    size_t size;
    if (!file) {
        l->count = model->classes ? model->n_classes : 0;
        l->name = cameo_allocate(l->count, sizeof *l->name);
        for (size_t i = 0; i < l->count; i++) l->name[i] = model->classes[i];
        return true;
    }
    l->text = (char *)cameo_read_file(file, 64 << 20, &size, error);
    if (!l->text) return false;
    l->name = cameo_allocate(size + 1, sizeof *l->name);
    char *rest = NULL;
    for (char *line = strtok_r(l->text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) l->name[l->count++] = line;
    return true;
}

static void put_class(const classifying *c, size_t k, double p) {
    const char *name = k < c->labels.count ? c->labels.name[k] : NULL;
    if (!c->json) {
        printf("  %6.2f %%  %zu%s%s\n", 100 * p, k, name ? "  " : "", name ? name : "");
        return;
    }
    cameo_json_open(c->json, NULL, '{');
    cameo_json_integer(c->json, "class", (int64_t)k);
    cameo_json_text(c->json, "name", name);
    cameo_json_number(c->json, "probability", p);
    cameo_json_close(c->json, '}');
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

static bool classify_batch(void *data, size_t first, size_t count, const float *input, cameo_error *error) {
    classifying *c = data;
    const void *inputs[1] = {input};
    int code = cameo_run(c->pictures.context, count, inputs, c->outputs);
    if (code != CAMEO_OK) return cameo_fail(error, code, "the network refused %zu pictures", count);
    for (size_t i = 0; i < count; i++) {
        const float *logits = (const float *)c->outputs[0] + i * c->classes;
        for (size_t k = 0; k < c->classes; k++)
            if (!isfinite(logits[k]))
                return cameo_fail(error, CAMEO_BAD_INPUT, "%s: an output is not finite", c->paths[first + i]);
        cameo_probabilities(logits, c->classes, c->probability);
        put_picture(c, c->paths[first + i]);
    }
    return true;
}

static bool classify_all(classifying *c, const cameo_model *model, const cameo_args *a, cameo_error *error) {
    const cameo_tensor_info *t = &model->outputs[0];
    char **paths = cameo_allocate(a->positionals, sizeof *paths);
    for (size_t i = 0; i < a->positionals; i++) paths[i] = cameo_join(NULL, cameo_args_positional(a, i));
    c->paths = paths;
    c->classes = cameo_image_elements(t);
    c->outputs = cameo_allocate_buffers(model->outputs, model->n_outputs);
    c->probability = cameo_allocate(c->classes, sizeof *c->probability);
    bool good = t->dtype == 1 && c->classes > 0;
    if (!good) cameo_fail(error, CAMEO_BAD_INPUT, "output \"%s\" is no float32 vector of classes", t->name);
    good = good && cameo_pictures_each(&c->pictures, paths, a->positionals, "classifying", classify_batch, c, error);
    cameo_free_buffers(c->outputs, model->n_outputs);
    free(c->probability);
    for (size_t i = 0; i < a->positionals; i++) free(paths[i]);
    free(paths);
    return good;
}

static int classify(const cameo_model *model, const cameo_args *a) {
    long top = 5;
    if (!a->positionals) return cameo_usage_error(a, "no pictures given");
    if (!cameo_args_integer(a, "top", 1, 1000000, &top)) return CAMEO_USAGE;
    cameo_json json = {stdout, false};
    classifying c = {.top = (size_t)top, .json = cameo_args_get(a, "json") ? &json : NULL};
    cameo_error error = {0};
    int code = cameo_pictures_open(&c.pictures, model, a);
    if (code) return code;
    if (c.json) cameo_json_open(&json, NULL, '[');
    bool good = read_labels(model, cameo_args_get(a, "labels"), &c.labels, &error) && classify_all(&c, model, a, &error);
    if (c.json) cameo_json_close(&json, ']'), putchar('\n');
    free(c.labels.name);
    free(c.labels.text);
    cameo_pictures_close(&c.pictures);
    return good ? CAMEO_OK : cameo_report_error(&error);
}

int cameo_verb_classify(const cameo_model *model, const char *program, int argc, char **argv) {
    static const cameo_option options[] = {{"labels", "FILE", "class names, one a line"},
                                           {"top", "K", "classes printed for each picture (default 5)"},
                                           OPTION_PREPROCESS,
                                           OPTION_THREADS,
                                           OPTION_JSON,
                                           {0}};
    cameo_args a = {.options = options, .usage = "classify IMAGE... [--labels FILE] [--top K] [--json]", .program = program};
    int code = cameo_args_parse(&a, argc, argv);
    if (code == 0) code = classify(model, &a);
    cameo_args_free(&a);
    return code < 0 ? CAMEO_OK : code;
}
