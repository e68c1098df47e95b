/* The pictures' memory. A slot is filled at most once: the thread that comes second throws its
   copy away. */
#include "store.h"
#include "../base/files.h"
#include "../base/progress.h"
#include "../cameo_abi.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { CHECKED_AT_ONCE = 256 };

struct cameo_store {
    cameo_store_options options;
    _Atomic(cameo_image *) *kept; /* NULL: not yet, or no room */
    atomic_uchar *bad;
    atomic_size_t n_bad, bytes;
};

cameo_store *cameo_store_create(const cameo_store_options *options) {
    cameo_store *s = cameo_allocate(1, sizeof *s);
    s->options = *options;
    s->kept = cameo_allocate(options->images, sizeof *s->kept);
    s->bad = cameo_allocate(options->images, sizeof *s->bad);
    return s;
}

void cameo_store_destroy(cameo_store *s) {
    if (!s) return;
    for (size_t i = 0; i < s->options.images; i++) {
        cameo_image *image = atomic_load(&s->kept[i]);
        if (image) cameo_image_free(image);
        free(image);
    }
    free(s->kept);
    free(s->bad);
    free(s);
}

/* Names a picture the first time it is found bad. */
static bool refuse(cameo_store *s, size_t i, const char *why) {
    unsigned char before = 0;
    if (!atomic_compare_exchange_strong(&s->bad[i], &before, 1)) return false;
    atomic_fetch_add(&s->n_bad, 1);
    fprintf(stderr, "skipped: %s\n", why);
    return false;
}

static bool decode(cameo_store *s, size_t i, cameo_image *image) {
    cameo_error error = {0};
    const cameo_preprocess *p = s->options.preprocess;
    const char *path = s->options.paths[i];
    const int least = !s->options.fast       ? 0
                      : p->short_side        ? p->short_side
                      : p->width > p->height ? p->width
                                             : p->height;
    if (!cameo_image_read_scaled(path, s->options.whole ? 2 * least : least, image, &error))
        return refuse(s, i, error.message);
    if (s->options.whole || cameo_preprocess_fit(p, image, &error)) return true;
    char why[640];
    snprintf(why, sizeof why, "%s: %.500s", path, error.message);
    cameo_image_free(image);
    return refuse(s, i, why);
}

static void keep(cameo_store *s, size_t i, cameo_image *scratch, const cameo_image **image) {
    const size_t bytes = 3 * cameo_image_size(scratch);
    if (atomic_fetch_add(&s->bytes, bytes) + bytes > s->options.limit) {
        atomic_fetch_sub(&s->bytes, bytes);
        return;
    }
    cameo_image *copy = cameo_allocate(1, sizeof *copy), *before = NULL;
    *copy = *scratch;
    if (!atomic_compare_exchange_strong(&s->kept[i], &before, copy)) {
        atomic_fetch_sub(&s->bytes, bytes);
        free(copy);
        return;
    }
    *scratch = (cameo_image){0};
    *image = copy;
}

bool cameo_store_get(cameo_store *s, size_t i, const cameo_image **image, cameo_image *scratch) {
    *image = atomic_load(&s->kept[i]);
    if (*image) return true;
    if (atomic_load(&s->bad[i]) || !decode(s, i, scratch)) return false;
    *image = scratch;
    keep(s, i, scratch, image);
    return true;
}

size_t cameo_store_bad(const cameo_store *s) { return atomic_load(&s->n_bad); }
size_t cameo_store_bytes(const cameo_store *s) { return atomic_load(&s->bytes); }

bool cameo_store_spoilt(const cameo_store *s, cameo_error *error) {
    const size_t bad = cameo_store_bad(s);
    if (bad * 100 <= s->options.images) return false;
    cameo_reject(
        error,
        "%zu of %zu pictures cannot be decoded: more than 1 %%; something is wrong with the "
        "data\n    hint: they are named "
        "above; mend or remove them",
        bad, s->options.images);
    return true;
}

bool cameo_store_fits(const cameo_store *s) {
    const cameo_preprocess *p = s->options.preprocess;
    const size_t one = (size_t)p->width * (size_t)p->height * 3;
    return !s->options.whole && s->options.images <= s->options.limit / one;
}

/* ---- checking ---- */

static bool looks_alike(const unsigned char *b, size_t n) {
    return (n >= 2 && b[0] == 0xFF && b[1] == 0xD8) ||
           (n >= 8 && memcmp(b, "\x89PNG\r\n\x1a\n", 8) == 0) ||
           (n >= 2 && b[0] == 'P' && strchr("2356", b[1]) && b[1]);
}

/* The file's first bytes; whoever decodes it later has the better message, so a doubtful one is
   decoded now. */
static void glance(cameo_store *s, size_t i) {
    unsigned char head[8];
    FILE *f = fopen(s->options.paths[i], "rb");
    const size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f) fclose(f);
    cameo_image scratch = {0};
    if (!looks_alike(head, n) && decode(s, i, &scratch)) cameo_image_free(&scratch);
}

typedef struct checking {
    cameo_store *store;
    size_t first;
    bool decodes;
} checking;

static void check_task(void *argument, size_t i) {
    const checking *c = argument;
    const cameo_image *image;
    cameo_image scratch = {0};
    if (!c->decodes) {
        glance(c->store, c->first + i);
        return;
    }
    cameo_store_get(c->store, c->first + i, &image, &scratch);
    cameo_image_free(&scratch);
}

bool cameo_store_check(cameo_store *s, cameo_context *pool, const char *what, cameo_error *error) {
    checking c = {.store = s, .decodes = cameo_store_fits(s)};
    cameo_progress progress;
    bool good = true;
    cameo_progress_start(&progress, what, s->options.images);
    for (size_t n; good && c.first < s->options.images; c.first += n) {
        n = s->options.images - c.first < CHECKED_AT_ONCE ? s->options.images - c.first
                                                          : CHECKED_AT_ONCE;
        cameo_parallel(pool, n, check_task, &c);
        good = !cameo_store_spoilt(s, error);
        cameo_progress_step(&progress, c.first + n);
    }
    cameo_progress_end(&progress);
    return good;
}
