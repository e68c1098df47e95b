/* Contexts: creation, destruction and runs of a compiled model. Everything that can fail happens
   in cameo_create. */
#define _GNU_SOURCE
#include "processor.h"
#include "sha256.h"
#include "threads.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAIL = 128, PAGE = 4096 };

typedef struct context { /* what the public structure does not show */
    cameo_context base;
    size_t arena_size, mapped;
    cameo_error error;
} context;

static bool fail(cameo_context *c, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool fail(cameo_context *c, int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(c->error->message, sizeof c->error->message, format, args);
    va_end(args);
    c->error->code = code;
    return false;
}

static bool create_arena(context *k) {
    cameo_context *c = &k->base;
    if (c->model->arena_bytes > SIZE_MAX - TAIL - PAGE)
        return fail(c, CAMEO_ENVIRONMENT, "arena too big");
    k->arena_size = (c->model->arena_bytes + TAIL + PAGE - 1) / PAGE * PAGE;
    void *p = mmap(NULL, k->arena_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return fail(c, CAMEO_ENVIRONMENT, "out of memory: %zu bytes for activations",
                    k->arena_size);
#ifdef MADV_HUGEPAGE
    (void)madvise(p, k->arena_size, MADV_HUGEPAGE);
#endif
    c->arena = p;
    return true;
}

/* Maps the file; the tail behind it is readable because the mapping is followed by an anonymous
   page. */
static void *map_weights(int fd, size_t bytes, size_t mapped) {
    unsigned char *p = mmap(NULL, mapped, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    if (bytes && mmap(p, bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
        munmap(p, mapped);
        return NULL;
    }
    return p;
}

static const char remedy[] = "put the file that `cameo compile` wrote with the program beside it";

static bool load_weights(context *k, const char *path) {
    cameo_context *c = &k->base;
    const cameo_model *m = c->model;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info)) {
        fail(c, CAMEO_ENVIRONMENT, "failed to open weights \"%s\": %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return false;
    }
    if ((uint64_t)info.st_size != m->weights_bytes) {
        close(fd);
        return fail(c, CAMEO_BAD_INPUT,
                    "weights \"%s\" do not belong to this program (%lld bytes, not %zu); %s", path,
                    (long long)info.st_size, m->weights_bytes, remedy);
    }
    k->mapped = (m->weights_bytes + PAGE - 1) / PAGE * PAGE + PAGE;
    void *p = map_weights(fd, m->weights_bytes, k->mapped);
    close(fd);
    if (!p) return k->mapped = 0, fail(c, CAMEO_ENVIRONMENT, "failed to map weights \"%s\"", path);
    c->weights = p;
    char hash[65];
    cameo_sha256(p, m->weights_bytes, hash);
    if (!m->weights_hash || !strcmp(hash, m->weights_hash)) return true;
    return fail(c, CAMEO_BAD_INPUT,
                "weights \"%s\" do not belong to this program (SHA-256 differs); %s", path, remedy);
}

/* path = where `of` is, with its last part replaced by name; false when that can't be, or there is
   no such file. */
static bool beside(const char *of, const char *name, char path[4096]) {
    const char *slash = strrchr(of, '/');
    if (!slash) return false;
    const int n = snprintf(path, 4096, "%.*s/%s", (int)(slash - of), of, name);
    return n > 0 && n < 4096 && !access(path, R_OK);
}

/* A sidecar lies beside the program or the shared library that holds the model; the current folder
   comes last. */
static bool find_weights(context *k) {
    const cameo_model *m = k->base.model;
    if (m->weights) return k->base.weights = m->weights, true;
    if (!m->weights_file) return true; /* a model without any */
    char path[4096], self[4096] = "";
    Dl_info object;
    if (dladdr(m, &object) && object.dli_fname && beside(object.dli_fname, m->weights_file, path))
        return load_weights(k, path);
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0 && beside(self, m->weights_file, path)) return load_weights(k, path);
    if (!access(m->weights_file, R_OK)) return load_weights(k, m->weights_file);
    return fail(&k->base, CAMEO_ENVIRONMENT, "weights \"%s\" are not beside the program %.300s; %s",
                m->weights_file, self, remedy);
}

static bool create_pool(cameo_context *c, const cameo_options *options) {
    const int asked = options ? options->threads : 0;
    if (asked < 0 || asked > 1024)
        return fail(c, CAMEO_USAGE, "failed to start %d threads: 0 to 1024 are possible", asked);
    const int threads = asked ? asked : cameo_processors();
    c->threads = threads;
    if (threads == 1) return true;
    const cameo_backend *backend = c->model->backend;
    c->pool = backend ? backend->pool_create(threads) : cameo_pool_create(threads);
    return c->pool ? true : fail(c, CAMEO_ENVIRONMENT, "failed to start %d threads", threads);
}

static bool build(context *k, const cameo_options *options, const cameo_context *first) {
    cameo_context *c = &k->base;
    const cameo_model *m = c->model;
    if (m->abi != CAMEO_ABI)
        return fail(c, CAMEO_DEFECT, "the model was compiled for another libcameo (ABI %u, not %d)",
                    m->abi, CAMEO_ABI);
    const char *lacks = "";
    if (!cameo_target_runs(m->target, &lacks))
        return fail(
            c, CAMEO_ENVIRONMENT,
            "the model was compiled for %s, but this processor has no %s; compile it with --target",
            m->target, lacks);
    if (first) c->weights = first->weights, c->parameters = first->parameters;
    if (!create_arena(k) || !(first || find_weights(k)) || !create_pool(c, options)) return false;
    c->state = calloc(m->n_states + 1, sizeof *c->state);
    c->odd = m->backend ? calloc(m->batch > 0 ? (size_t)m->batch : 1, 1) : NULL;
    if (!c->state || (m->backend && !c->odd)) return fail(c, CAMEO_ENVIRONMENT, "out of memory");
    if (!m->create || m->create(c)) return true;
    return c->error->code ? false : fail(c, CAMEO_ENVIRONMENT, "failed to prepare the model");
}

static cameo_context *create(const cameo_model *model, const cameo_options *options,
                             const cameo_context *first, cameo_error *error) {
    context *k = calloc(1, sizeof *k);
    if (!k) {
        if (error) *error = (cameo_error){CAMEO_ENVIRONMENT, "out of memory"};
        return NULL;
    }
    k->base.model = model;
    k->base.parameters = model->live;
    k->base.error = &k->error;
    if (build(k, options, first)) return &k->base;
    if (error) *error = k->error;
    cameo_destroy(&k->base);
    return NULL;
}

cameo_context *cameo_create(const cameo_model *model, const cameo_options *options,
                            cameo_error *error) {
    return create(cameo_model_here(model), options, NULL, error);
}

cameo_context *cameo_create_beside(const cameo_context *first, cameo_error *error) {
    return create(first->model, &(cameo_options){1}, first, error);
}

void cameo_destroy(cameo_context *c) {
    context *k = (context *)c;
    if (!c) return;
    for (size_t i = 0; c->state && i < c->model->n_states; i++)
        if (c->state[i]) c->model->backend->state_delete(c->state[i]);
    free(c->state), free(c->odd);
    if (c->pool) c->pool->destroy(c->pool);
    if (k->mapped) munmap((void *)(uintptr_t)c->weights, k->mapped);
    if (c->arena) munmap(c->arena, k->arena_size);
    free(k);
}

static bool count_fits(const cameo_context *c, size_t count) {
    const int64_t most = c->model->batch > 0 ? c->model->batch : 1;
    if (count >= 1 && count <= (uint64_t)most) return true;
    c->error->code = CAMEO_USAGE;
    snprintf(c->error->message, sizeof c->error->message,
             "failed to run %zu images: 1 to %lld are possible", count, (long long)most);
    return false;
}

/* Bytes from image `first` on, of a tensor whose images lie one behind the other. */
static size_t image_offset(const cameo_tensor_info *t, size_t first) {
    return t->batched ? first * cameo_image_elements(t) * cameo_dtype_size(t->dtype) : 0;
}

/* One call's arrays, of its first image. */
typedef struct arrays {
    const void *const *inputs;
    void *const *outputs;
    void *embedding;
} arrays;

/* Layers of `count` images from image `first` on. */
static void run_images(cameo_context *c, const arrays *a, size_t first, size_t count, size_t last,
                       void (*layers)(cameo_context *, size_t)) {
    const cameo_model *m = c->model;
    const void *in[m->n_inputs + 1];
    void *out[m->n_outputs + 1];
    for (size_t i = 0; i < m->n_inputs; i++)
        in[i] = (const char *)a->inputs[i] + image_offset(&m->inputs[i], first);
    for (size_t i = 0; a->outputs && i < m->n_outputs; i++)
        out[i] = a->outputs[i] ? (char *)a->outputs[i] + image_offset(&m->outputs[i], first) : NULL;
    c->count = count;
    c->in = in, c->out = a->outputs ? out : NULL;
    c->embedding = a->embedding ? (char *)a->embedding + image_offset(m->embedding, first) : NULL;
    layers(c, last);
    c->in = NULL, c->out = NULL, c->embedding = NULL;
}

static size_t at_most(size_t a, size_t b) { return a < b ? a : b; }

/* Goes through a batch group by group, and with late layers by groups of groups:
   docs/internals/groups.md says why. */
static int run(cameo_context *c, size_t count, const arrays *a, size_t last) {
    const cameo_model *m = c->model;
    const int64_t chosen = c->threads == 1 && m->group_alone > 0 ? m->group_alone : m->group;
    const size_t group = chosen > 0 ? (size_t)chosen : count,
                 late = m->run_late ? (size_t)m->late_group : group;
    c->error->code = CAMEO_OK;
    for (size_t begin = 0; begin < count; begin += late) {
        const size_t end = at_most(count, begin + late);
        if (c->odd) memset(c->odd, 0, end - begin);
        for (size_t first = begin; first < end; first += group) {
            c->first = first - begin;
            run_images(c, a, first, at_most(group, end - first), last, m->run);
        }
        c->first = 0;
        if (m->run_late && last > m->late_layer)
            run_images(c, a, begin, end - begin, last, m->run_late);
    }
    return c->error->code;
}

int cameo_run(cameo_context *c, size_t count, const void *const *inputs, void *const *outputs) {
    if (!count_fits(c, count)) return CAMEO_USAGE;
    return run(c, count, &(arrays){inputs, outputs, NULL}, c->model->n_layers);
}

int cameo_embed(cameo_context *c, size_t count, const void *input, float *embedding) {
    if (!count_fits(c, count)) return CAMEO_USAGE;
    if (!c->model->embedding || c->model->n_inputs != 1)
        return fail(c, CAMEO_USAGE, "the model has no embedding of one input"), CAMEO_USAGE;
    const void *inputs[1] = {input};
    return run(c, count, &(arrays){inputs, NULL, embedding}, c->model->embedding_layers);
}
