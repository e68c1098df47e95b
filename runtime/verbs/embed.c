/* embed: embeddings of pictures, as rows of one .npy. */
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

typedef struct path_list {
    char **path;
    size_t count, capacity;
} path_list;

static void add_path(path_list *l, const char *path) {
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 64;
        char **larger = cameo_allocate(l->capacity, sizeof *larger);
        if (l->count) memcpy(larger, l->path, l->count * sizeof *larger);
        free(l->path);
        l->path = larger;
    }
    l->path[l->count++] = cameo_join(NULL, path);
}

static bool add_file(path_list *l, const char *file, cameo_error *error) {
    size_t size;
    char *text = (char *)cameo_read_file(file, (size_t)1 << 30, &size, error), *rest = NULL;
    if (!text) return false;
    for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
        if (*line) add_path(l, line);
    free(text);
    return true;
}

static void free_paths(path_list *l) {
    for (size_t i = 0; i < l->count; i++) free(l->path[i]);
    free(l->path);
}

static int embed_paths(const cameo_model *model, const cameo_args *a, const path_list *l, const char *output) {
    cameo_pictures p;
    cameo_error error = {0};
    int code = cameo_pictures_open(&p, model, a);
    if (code) return code;
    size_t dimension;
    float *data = cameo_pictures_embed(&p, l->path, l->count, &dimension, &error);
    cameo_array out = {.dtype = 1, .rank = 2, .dim = {(int64_t)l->count, 0}, .data = data};
    if (data) out.dim[1] = (int64_t)dimension, out.count = l->count * dimension;
    bool good = data && cameo_npy_write(output, &out, &error);
    free(data);
    cameo_pictures_close(&p);
    return good ? CAMEO_OK : cameo_report_error(&error);
}

static int embed(const cameo_model *model, const cameo_args *a) {
    path_list l = {0};
    cameo_error error = {0};
    const char *list = cameo_args_get(a, "list"), *output = cameo_args_get(a, "output");
    int code = 0;
    for (size_t i = 0; i < a->positionals; i++) add_path(&l, cameo_args_positional(a, i));
    if (list && !add_file(&l, list, &error)) code = cameo_report_error(&error);
    if (!code && !output) code = cameo_usage_error(a, "-o FILE.npy is missing");
    if (!code && !l.count) code = cameo_usage_error(a, "no pictures given");
    if (!code) code = embed_paths(model, a, &l, output);
    free_paths(&l);
    return code;
}

int cameo_verb_embed(const cameo_model *model, const char *program, int argc, char **argv) {
    static const cameo_option options[] = {{"list", "FILE", "a file with one picture's path a line"},
                                           {"output", "FILE", "the .npy to write, [pictures][dimension] (also -o)"},
                                           OPTION_LANDMARKS,
                                           OPTION_ALIGNED,
                                           OPTION_PREPROCESS,
                                           OPTION_THREADS,
                                           {0}};
    cameo_args a = {.options = options, .usage = "embed IMAGE... [--list FILE] -o out.npy", .program = program};
    int code = cameo_args_parse(&a, argc, argv);
    if (code == 0) code = embed(model, &a);
    cameo_args_free(&a);
    return code < 0 ? CAMEO_OK : code;
}
