/* Makes shuffled and class-balanced batches. Where it stands follows from (seed, epoch, batch)
   alone, so that a resumed run can seek there (docs/internals/exact-resume.md). */
#include "sampler.h"
#include "../base/files.h"
#include "../kernels/random.h"
#include <stdlib.h>

enum {
    STREAM_ORDER = 0x5A4D
}; /* tells the order's random stream from those of pictures, whose index is small */

struct cameo_sampler {
    const cameo_dataset *d;
    size_t size, same, batches; /* size: of a batch */
    uint64_t seed, epoch;
    size_t number;
    cameo_random random;
    size_t *order;   /* [images]: shuffled, or class by class, shuffled within each */
    size_t *next;    /* P x K: [classes] the next picture of each class in order */
    size_t *classes; /* P x K: the classes' turn */
    size_t turn;
    bool *taken; /* P x K: classes of the batch at hand */
};

cameo_sampler *cameo_sampler_create(const cameo_dataset *d, size_t batch, size_t same,
                                    uint64_t seed, cameo_error *error) {
    if (d->images < batch) {
        cameo_reject(
            error,
            "%zu pictures are fewer than one batch of %zu\n    hint: compile with a smaller "
            "--batch, or find more data",
            d->images, batch);
        return NULL;
    }
    if (same && (batch % same || d->classes < batch / same)) {
        cameo_fail(error, batch % same ? CAMEO_USAGE : CAMEO_BAD_INPUT,
                   "a batch of %zu with %zu pictures a class does not work out for %zu classes\n   "
                   " hint: --samples-per-class K must "
                   "divide the batch, and batch / K classes must be there",
                   batch, same, d->classes);
        return NULL;
    }
    cameo_sampler *s = cameo_allocate(1, sizeof *s);
    *s = (cameo_sampler){
        .d = d, .size = batch, .same = same, .batches = d->images / batch, .seed = seed};
    s->order = cameo_allocate(d->images, sizeof *s->order);
    s->next = cameo_allocate(d->classes, sizeof *s->next);
    s->classes = cameo_allocate(d->classes, sizeof *s->classes);
    s->taken = cameo_allocate(d->classes, sizeof *s->taken);
    cameo_sampler_seek(s, 0, 0);
    return s;
}

void cameo_sampler_destroy(cameo_sampler *s) {
    if (!s) return;
    free(s->order);
    free(s->next);
    free(s->classes);
    free(s->taken);
    free(s);
}

size_t cameo_sampler_batches(const cameo_sampler *s) { return s->batches; }

static void begin_epoch(cameo_sampler *s, uint64_t epoch) {
    const cameo_dataset *d = s->d;
    s->epoch = epoch;
    s->number = s->turn = 0;
    s->random = cameo_random_stream(s->seed, epoch, (uint64_t)STREAM_ORDER << 32);
    for (size_t i = 0; i < d->images; i++) s->order[i] = i;
    if (!s->same) {
        cameo_random_shuffle(&s->random, s->order, d->images);
        return;
    }
    for (size_t k = 0; k < d->classes; k++) {
        s->classes[k] = k;
        s->next[k] = 0;
        cameo_random_shuffle(&s->random, s->order + d->first[k], d->first[k + 1] - d->first[k]);
    }
    cameo_random_shuffle(&s->random, s->classes, d->classes);
}

/* The next class in turn that the batch hasn't got; the order is drawn anew when all had their
   turn. */
static size_t next_class(cameo_sampler *s) {
    for (;;) {
        if (s->turn == s->d->classes) {
            cameo_random_shuffle(&s->random, s->classes, s->d->classes);
            s->turn = 0;
        }
        const size_t k = s->classes[s->turn++];
        if (s->taken[k]) continue;
        s->taken[k] = true;
        return k;
    }
}

static void balanced(cameo_sampler *s, size_t *index) {
    const cameo_dataset *d = s->d;
    for (size_t k = 0; k < d->classes; k++) s->taken[k] = false;
    for (size_t i = 0; i < s->size; i += s->same) {
        const size_t k = next_class(s), n = d->first[k + 1] - d->first[k];
        for (size_t j = 0; j < s->same; j++)
            index[i + j] = s->order[d->first[k] + s->next[k]++ % n];
    }
}

void cameo_sampler_next(cameo_sampler *s, size_t *index, uint64_t *epoch, size_t *number) {
    if (s->number == s->batches) begin_epoch(s, s->epoch + 1);
    if (s->same)
        balanced(s, index);
    else
        for (size_t i = 0; i < s->size; i++) index[i] = s->order[s->number * s->size + i];
    *epoch = s->epoch;
    *number = s->number++;
}

void cameo_sampler_seek(cameo_sampler *s, uint64_t epoch, size_t batch) {
    begin_epoch(s, epoch);
    if (!s->same) {
        s->number = batch;
        return;
    }
    size_t *index = cameo_allocate(s->size, sizeof *index), number;
    while (s->number < batch) cameo_sampler_next(s, index, &epoch, &number);
    free(index);
}
