/* Uses what `cameo compile --emit so` made as a plug-in would: dlopen_user FILE.so PREFIX prints
   the example's line. */
#include "cameo.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct library {
    const cameo_model *model;
    cameo_context *(*create)(const cameo_model *, const cameo_options *, cameo_error *);
    int (*embed)(cameo_context *, size_t, const float *, float *);
    void (*destroy)(cameo_context *);
    const cameo_tensor_info *(*input)(const cameo_model *, size_t i);
    const cameo_tensor_info *(*embedding)(const cameo_model *);
} library;

/* A pointer to an object becomes one to a function by its bytes: C has no cast for it. */
static void load(void *handle, const char *name, void *to) {
    void *symbol = dlsym(handle, name);
    if (!symbol) fprintf(stderr, "%s\n", dlerror()), exit(CAMEO_BAD_INPUT);
    memcpy(to, &symbol, sizeof symbol);
}

static size_t one_image(const cameo_tensor_info *t) {
    size_t n = 1;
    for (int i = 1; i < t->rank; i++) n *= (size_t)t->dim[i];
    return n;
}

static int embed_two(const library *l) {
    cameo_error error = {0};
    cameo_context *c = l->create(l->model, NULL, &error);
    if (!c) return fprintf(stderr, "%s\n", error.message), error.code;
    const size_t pixels = one_image(l->input(l->model, 0)),
                 length = one_image(l->embedding(l->model));
    float *image = malloc(pixels * sizeof *image), *e = malloc(2 * length * sizeof *e);
    double dot = 0, aa = 0, bb = 0;
    for (size_t k = 0; image && e && k < 2; k++) {
        for (size_t i = 0; i < pixels; i++) image[i] = sinf((k ? 0.37f : 0.11f) * (float)i);
        const int code = l->embed(c, 1, image, e + k * length);
        if (code) return code;
    }
    for (size_t i = 0; e && i < length; i++) {
        dot += (double)e[i] * (double)e[length + i];
        aa += (double)e[i] * (double)e[i];
        bb += (double)e[length + i] * (double)e[length + i];
    }
    printf("%zu-dimensional embeddings, cosine %.6f\n", length, dot / sqrt(aa * bb));
    free(image);
    free(e);
    l->destroy(c);
    return CAMEO_OK;
}

int main(int argc, char **argv) {
    if (argc != 3) return CAMEO_USAGE;
    void *handle = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!handle) return fprintf(stderr, "%s\n", dlerror()), CAMEO_BAD_INPUT;
    char name[256];
    library l;
    snprintf(name, sizeof name, "%s_model", argv[2]);
    load(handle, name, &l.model);
    load(handle, "cameo_create", &l.create);
    load(handle, "cameo_embed", &l.embed);
    load(handle, "cameo_destroy", &l.destroy);
    load(handle, "cameo_model_input", &l.input);
    load(handle, "cameo_model_embedding", &l.embedding);
    const int code = embed_two(&l);
    dlclose(handle);
    return code;
}
