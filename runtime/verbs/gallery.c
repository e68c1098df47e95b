/* Embeddings of many pictures, through the cache. Every file is read once: hashed and, where the
   cache does not know its content, kept until enough such wait, then decoded, embedded and added.
   What was embedded is therefore what was hashed, though a file may change meanwhile. Last the
   cache is mapped and rows are looked up. Memory is bounded by the pictures that wait, or WAITING
   bytes of them, and some hundred bytes a picture. */
#include "../base/hash.h"
#include "../core/sha256.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

/* NAMED: pictures at fault that are named. READ: files read together. WAITING: bytes of pictures
   that wait to be embedded. */
enum { NAMED = 10, READ = 16, WAITING = 64 << 20, FILE_MOST = 512 << 20 };

typedef struct hashing {
    char *const *paths;
    char (*hash)[65];
    cameo_bytes *files; /* gets what was read; NULL: nobody wants it */
} hashing;

static void hash_task(void *argument, size_t i) {
    const hashing *h = argument;
    cameo_bytes file = {0};
    if (h->paths[i]) file.data = cameo_read_file(h->paths[i], FILE_MOST, &file.size, NULL);
    if (file.data)
        cameo_sha256(file.data, file.size, h->hash[i]);
    else
        h->hash[i][0] = 0;
    if (h->files)
        h->files[i] = file;
    else
        free(file.data);
}

void cameo_hash_files(cameo_context *c, char *const *paths, size_t count, char (*hash)[65]) {
    hashing h = {paths, hash, NULL};
    cameo_parallel(c, count, hash_task, &h);
}

/* Pictures that wait to be embedded, up to `chunk`. */
typedef struct work {
    cameo_gallery *g;
    cameo_pictures *p;
    size_t dimension, chunk;
    size_t *image, count, bytes; /* which they are, and how many bytes wait */
    cameo_bytes *file;
    char **path, **name;
    size_t *met, met_size; /* pictures to embed by content: number + 1, open addressing; 0 = free */
    unsigned char *input;  /* [chunk][views][stride] */
    float *output;         /* [chunk * views][dimension] */
    cameo_error *errors;
    size_t named;
} work;

static void fault(work *w, const char *message) {
    w->g->failed++;
    if (w->named++ < NAMED) fprintf(stderr, "%s\n", message);
}

/* Where the face is, as text: part of a record's key. */
static void alignment_of(const cameo_pictures *p, const char *name, char text[256]) {
    const cameo_landmarks *l = p->landmarks.count ? cameo_landmarks_find(&p->landmarks, name)
                                                  : NULL;
    int at = 0;
    text[0] = 0;
    for (int i = 0; l && i < 5; i++)
        at += snprintf(text + at, 256 - (size_t)at, "%.9g %.9g ", l->x[i], l->y[i]);
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

/* Whether a view still has to go through the network: the unmirrored one may be there from a run
   without augmentation. */
static bool is_wanted(const work *w, size_t image, size_t view) {
    char key[CAMEO_CACHE_KEY];
    if (view == 0 && w->g->views == 1) return true; /* it was asked before */
    key_of(w, image, (int)view, key);
    return !cameo_cache_has(w->g->store, key);
}

/* Wanted views move together over those at fault or known, so that batches are whole. */
static bool run_chunk(work *w, cameo_error *error) {
    const size_t *images = w->image, n = w->count;
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
    for (size_t i = 0; i < used && good; i++)
        good = keep(w, picture[i], view[i], w->output + i * w->dimension, error);
    free(picture);
    free(view);
    return good;
}

/* Decodes and embeds those that wait. */
static bool flush(work *w, cameo_error *error) {
    if (!w->count) return true;
    cameo_pictures_decode(w->p, w->path, w->name, w->file, w->count, w->g->views, w->input,
                          w->errors);
    for (size_t i = 0; i < w->count; i++) free(w->file[i].data);
    const bool good = run_chunk(w, error);
    w->count = w->bytes = 0;
    return good;
}

/* The place of a content among those that are embedded in this run. */
static size_t *place_of(const work *w, const char *content) {
    size_t at = cameo_hash_text(content) & (w->met_size - 1);
    while (w->met[at] && strcmp(w->g->content[w->met[at] - 1], content) != 0)
        at = (at + 1) & (w->met_size - 1);
    return &w->met[at];
}

/* A picture that was read: at fault, known, or one more that waits, whose content is then kept. Of
   pictures with one content only the first is embedded, unless landmarks may tell them apart. */
static bool take(work *w, size_t image, cameo_bytes *file, cameo_error *error) {
    const cameo_gallery *g = w->g;
    char message[600];
    if (!*g->content[image]) {
        snprintf(message, sizeof message,
                 g->path[image] ? "%.500s: cannot be read" : "missing: %.500s", g->name[image]);
        fault(w, message);
        return true;
    }
    size_t *place = place_of(w, g->content[image]);
    if (*place && !w->p->landmarks.count) return true;
    if (is_cached(w, image)) {
        w->g->cached++;
        return true;
    }
    *place = image + 1;
    w->image[w->count] = image, w->path[w->count] = g->path[image],
    w->name[w->count] = g->name[image];
    w->file[w->count++] = *file;
    w->bytes += file->size;
    *file = (cameo_bytes){0};
    return (w->count < w->chunk && w->bytes < WAITING) || flush(w, error);
}

static bool run_all(work *w, cameo_error *error) {
    cameo_gallery *g = w->g;
    cameo_bytes files[READ];
    cameo_progress progress;
    cameo_progress_start(&progress, "embedding", g->images);
    bool good = true;
    for (size_t first = 0; first < g->images && good; first += READ) {
        const size_t n = g->images - first < READ ? g->images - first : READ;
        hashing h = {g->path + first, g->content + first, files};
        cameo_parallel(w->p->context, n, hash_task, &h);
        for (size_t i = 0; i < n; i++) {
            good = good && take(w, first + i, &files[i], error);
            free(files[i].data);
        }
        cameo_progress_step(&progress, first + n - w->count);
    }
    good = good && flush(w, error);
    cameo_progress_end(&progress);
    return good;
}

static void make_room(work *w) {
    const cameo_gallery *g = w->g;
    const size_t chunk = w->chunk = cameo_pictures_chunk(w->p);
    w->image = cameo_allocate(chunk, sizeof *w->image);
    w->file = cameo_allocate(chunk, sizeof *w->file);
    w->path = cameo_allocate(chunk, sizeof *w->path);
    w->name = cameo_allocate(chunk, sizeof *w->name);
    w->input = cameo_allocate(chunk * g->views, cameo_pictures_stride(w->p));
    w->output = cameo_allocate(chunk * g->views * w->dimension, sizeof(float));
    w->errors = cameo_allocate(chunk, sizeof *w->errors);
    for (w->met_size = 64; w->met_size < 2 * g->images;) w->met_size *= 2;
    w->met = cameo_allocate(w->met_size, sizeof *w->met);
}

static void free_room(work *w) {
    for (size_t i = 0; i < w->count; i++) free(w->file[i].data);
    free(w->image), free(w->file), free(w->path), free(w->name);
    free(w->input), free(w->output), free(w->errors), free(w->met);
}

static bool open_store(work *w, cameo_error *error) {
    const cameo_model *m = w->p->model;
    char identity[2048];
    snprintf(identity, sizeof identity, "%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n", m->version, m->hash,
             m->target, m->weights_hash ? m->weights_hash : "", m->embedding->name, w->p->spec,
             w->p->landmarks.count ? "landmarks" : w->p->alignment,
             m->detector ? m->detector->hash : "");
    bool none = w->g->cache && strcmp(w->g->cache, "none") == 0;
    char *directory = none          ? NULL
                      : w->g->cache ? cameo_join(NULL, w->g->cache)
                                    : cameo_cache_directory();
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
        return fprintf(stderr, "%zu of %zu pictures have no embedding; their pairs get no score\n",
                       without, w->g->images),
               true;
    return cameo_reject(error,
                        "%zu of %zu pictures have no embedding, see above\n    hint: names are "
                        "relative to --root DIR; "
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
    g->e = (cameo_embeddings){g->images, w.dimension, g->views,
                              cameo_allocate(g->images * g->views, sizeof *g->e.row)};
    g->content = cameo_allocate(g->images, sizeof *g->content);
    make_room(&w);
    const bool good = run_all(&w, error) && collect(&w, error) && judge(&w, error);
    free_room(&w);
    return good;
}

void cameo_gallery_free(cameo_gallery *g) {
    free(g->e.row);
    free(g->content);
    cameo_cache_close(g->store);
}
