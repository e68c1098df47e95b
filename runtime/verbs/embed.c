/* embed: embeddings of pictures, as rows of one .npy. */
#include "verbs.h"
#include <stdlib.h>

static int embed_paths(const cameo_model *model, const cameo_args *a, const cameo_paths *l,
                       const char *output) {
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
    cameo_paths l = {0};
    const char *output = cameo_args_get(a, "output");
    int code = cameo_paths_given(&l, a);
    if (!code && !output) code = cameo_usage_error(a, "-o FILE.npy is missing");
    if (!code) code = embed_paths(model, a, &l, output);
    cameo_paths_free(&l);
    return code;
}

static const cameo_option options[] = {
    OPTIONS_PATHS,
    {"output", "FILE", "the .npy to write, [pictures][dimension]"},
    OPTIONS_FACES,
    {0}};

const cameo_verb cameo_verb_embed = {
    "embed",      "embeddings of pictures", "embed IMAGE... [--list FILE] -o out.npy", options,
    .run = embed, .about_weights = true};
