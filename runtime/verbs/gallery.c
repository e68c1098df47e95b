/* Embeddings of many pictures, through the cache. First every file is hashed; then those whose content the cache does not know
   are decoded, embedded and added, chunk by chunk; last the cache is mapped and rows are looked up. Memory is bounded by the
   chunk and some hundred bytes a picture. */
#include "../core/sha256.h"
#include "../verification/findings.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

enum { NAMED = 10 }; /* pictures at fault that are named */

typedef struct hashing {
    char *const *paths;
    char (*hash)[65];
} hashing;

static void hash_task(void *argument, size_t i) {
    const hashing *h = argument;
    size_t size;
    unsigned char *data = h->paths[i] ? cameo_read_file(h->paths[i], (size_t)512 << 20, &size, NULL) : NULL;
    if (data)
        cameo_sha256(data, size, h->hash[i]);
    else
        h->hash[i][0] = 0;
    free(data);
}

void cameo_hash_files(cameo_context *c, char *const *paths, size_t count, char (*hash)[65]) {
    hashing h = {paths, hash};
    cameo_parallel(c, count, hash_task, &h);
}

/* Chunk at hand of the pictures to embed. */
typedef struct work {
    cameo_gallery *g;
    cameo_pictures *p;
    size_t dimension, *todo, count;
    unsigned char *input; /* [chunk][views][stride] */
    float *output;        /* [chunk * views][dimension] */
    cameo_error *errors;
    size_t named;
} work;

static void fault(work *w, const char *message) {
    w->g->failed++;
    if (w->named++ < NAMED) fprintf(stderr, "%s\n", message);
}

/* Where the face is, as text: part of a record's key. */
static void alignment_of(const cameo_pictures *p, const char *name, char text[256]) {
    const cameo_landmarks *l = p->landmarks.count ? cameo_landmarks_find(&p->landmarks, name) : NULL;
    int at = 0;
    text[0] = 0;
    for (int i = 0; l && i < 5; i++) at += snprintf(text + at, 256 - (size_t)at, "%.9g %.9g ", l->x[i], l->y[i]);
}

static void key_of(const work *w, size_t image, int view, char key[CAMEO_CACHE_KEY]) {
    char where[256];
    alignment_of(w->p, w->g->name[image], where);
    cameo_cache_key(w->g->content[image], view, where, key);
}

static bool is_cached(const work *w, size_t image) {
    char key[CAMEO_CACHE_KEY];
    for (size_t view = 0; view < w->g->views; view++) {
        key_of(w, image, (int)view, key);
        if (!cameo_cache_has(w->g->store, key)) return false;
    }
    return true;
}

/* A view's embedding goes to the cache. */
static bool keep(work *w, size_t picture, int view, const float *row, cameo_error *error) {
    const char *why = cameo_embedding_fault(row, w->dimension);
    char key[CAMEO_CACHE_KEY], message[600];
    if (why) {
        snprintf(message, sizeof message, "%.400s: its embedding %s", w->g->name[picture], why);
        if (view == 0) fault(w, message);
        return true;
    }
    key_of(w, picture, view, key);
    return cameo_cache_has(w->g->store, key) || cameo_cache_add(w->g->store, key, row, error);
}

/* Whether a view still has to go through the network: the unmirrored one may be there from a run without augmentation. */
static bool is_wanted(const work *w, size_t image, size_t view) {
    char key[CAMEO_CACHE_KEY];
    if (view == 0 && w->g->views == 1) return true; /* it was asked before */
    key_of(w, image, (int)view, key);
    return !cameo_cache_has(w->g->store, key);
}

/* Wanted views move together over those at fault or known, so that batches are whole. */
static bool run_chunk(work *w, const size_t *images, size_t n, cameo_error *error) {
    size_t stride = cameo_pictures_stride(w->p), views = w->g->views, used = 0;
    size_t *picture = cameo_allocate(n * views, sizeof *picture);
    int *view = cameo_allocate(n * views, sizeof *view);
    for (size_t i = 0; i < n; i++) {
        if (w->errors[i].code) {
            fault(w, w->errors[i].message);
            continue;
        }
        for (size_t k = 0; k < views; k++) {
            if (!is_wanted(w, images[i], k)) continue;
            size_t from = i * views + k;
            if (used != from) memmove(w->input + used * stride, w->input + from * stride, stride);
            picture[used] = images[i], view[used++] = (int)k;
        }
        w->g->embedded++;
    }
    bool good = cameo_pictures_run(w->p, w->input, used, w->output, error);
    for (size_t i = 0; i < used && good; i++) good = keep(w, picture[i], view[i], w->output + i * w->dimension, error);
    free(picture);
    free(view);
    return good;
}

static bool run_all(work *w, cameo_error *error) {
    cameo_gallery *g = w->g;
    size_t chunk = cameo_pictures_chunk(w->p);
    char **paths = cameo_allocate(chunk, sizeof *paths), **names = cameo_allocate(chunk, sizeof *names);
    w->input = cameo_allocate(chunk * g->views, cameo_pictures_stride(w->p));
    w->output = cameo_allocate(chunk * g->views * w->dimension, sizeof(float));
    w->errors = cameo_allocate(chunk, sizeof *w->errors);
    cameo_progress progress;
    cameo_progress_start(&progress, "embedding", w->count);
    bool good = true;
    for (size_t first = 0; first < w->count && good; first += chunk) {
        size_t n = w->count - first < chunk ? w->count - first : chunk;
        for (size_t i = 0; i < n; i++) paths[i] = g->path[w->todo[first + i]], names[i] = g->name[w->todo[first + i]];
        cameo_pictures_decode(w->p, paths, names, n, g->views, w->input, w->errors);
        good = run_chunk(w, w->todo + first, n, error);
        cameo_progress_step(&progress, first + n);
    }
    cameo_progress_end(&progress);
    free(paths);
    free(names);
    free(w->input);
    free(w->output);
    free(w->errors);
    return good;
}

/* What must go through the network, in the order of the list: of pictures with one content only the first, unless landmarks may
   tell them apart. */
static void plan(work *w) {
    cameo_gallery *g = w->g;
    size_t *order = w->p->landmarks.count ? NULL : cameo_sorted_by_content(g->content, g->images);
    bool *again = cameo_allocate(g->images, sizeof *again);
    for (size_t i = 1; i < g->images && order; i++)
        again[order[i]] = *g->content[order[i]] && strcmp(g->content[order[i]], g->content[order[i - 1]]) == 0;
    w->todo = cameo_allocate(g->images, sizeof *w->todo);
    for (size_t i = 0; i < g->images; i++) {
        char message[600];
        if (!*g->content[i]) {
            snprintf(message, sizeof message, g->path[i] ? "%.500s: cannot be read" : "missing: %.500s", g->name[i]);
            fault(w, message);
        } else if (is_cached(w, i)) {
            g->cached++;
        } else if (!again[i]) {
            w->todo[w->count++] = i;
        }
    }
    free(order);
    free(again);
}

static bool open_store(work *w, cameo_error *error) {
    const cameo_model *m = w->p->model;
    char identity[2048];
    snprintf(identity, sizeof identity, "%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n", m->version, m->hash, m->target,
             m->weights_hash ? m->weights_hash : "", m->embedding->name, w->p->spec,
             w->p->landmarks.count ? "landmarks" : w->p->alignment, m->detector ? m->detector->hash : "");
    bool none = w->g->cache && strcmp(w->g->cache, "none") == 0;
    char *directory = none ? NULL : w->g->cache ? cameo_join(NULL, w->g->cache) : cameo_cache_directory();
    w->g->store = cameo_cache_open(directory, identity, w->dimension, w->g->limit, error);
    free(directory);
    return w->g->store != NULL;
}

static bool collect(work *w, cameo_error *error) {
    cameo_gallery *g = w->g;
    if (!cameo_cache_map(g->store, error)) return false;
    for (size_t i = 0; i < g->images; i++) {
        bool whole = *g->content[i];
        for (size_t k = 0; k < g->views && whole; k++) {
            char key[CAMEO_CACHE_KEY];
            key_of(w, i, (int)k, key);
            g->e.row[i * g->views + k] = cameo_cache_row(g->store, key);
            whole = g->e.row[i * g->views + k] != NULL;
        }
        if (!whole) memset(g->e.row + i * g->views, 0, g->views * sizeof *g->e.row);
    }
    return true;
}

static bool judge(const work *w, cameo_error *error) {
    size_t without = 0;
    for (size_t i = 0; i < w->g->images; i++) without += !w->g->e.row[i * w->g->views];
    if (w->named > NAMED) fprintf(stderr, "... and %zu more\n", w->named - NAMED);
    if (!without) return true;
    w->g->failed = without;
    if (w->g->skip && without < w->g->images)
        return fprintf(stderr, "%zu of %zu pictures have no embedding; their pairs get no score\n", without, w->g->images),
               true;
    return cameo_fail(error, CAMEO_BAD_INPUT,
                      "%zu of %zu pictures have no embedding, see above\n    hint: names are relative to --root DIR; "
                      "--skip-missing goes on without them",
                      without, w->g->images);
}

bool cameo_gallery_options(cameo_gallery *g, const cameo_args *a) {
    int64_t mb = 2048;
    if (!cameo_args_integer(a, "cache-mb", 1, 1L << 30, &mb)) return false;
    g->cache = cameo_args_get(a, "cache");
    g->limit = (uint64_t)mb << 20;
    g->skip = cameo_args_get(a, "skip-missing") != NULL;
    return true;
}

bool cameo_gallery_embed(cameo_gallery *g, cameo_pictures *p, cameo_error *error) {
    work w = {.g = g, .p = p, .dimension = cameo_pictures_dimension(p, error)};
    if (!w.dimension || !open_store(&w, error)) return false;
    g->e = (cameo_embeddings){g->images, w.dimension, g->views, cameo_allocate(g->images * g->views, sizeof *g->e.row)};
    g->content = cameo_allocate(g->images, sizeof *g->content);
    cameo_hash_files(p->context, g->path, g->images, g->content);
    plan(&w);
    bool good = run_all(&w, error) && collect(&w, error) && judge(&w, error);
    free(w.todo);
    return good;
}

void cameo_gallery_free(cameo_gallery *g) {
    free(g->e.row);
    free(g->content);
    cameo_cache_close(g->store);
}
