/* A ring of batches. Tickets, one a picture, are drawn under a lock in the sampler's order; what a
   ticket makes depends only on its batch, slot and the seed. The thread that finishes a batch's
   last picture mixes it. */
#include "loader.h"
#include "../base/files.h"
#include <pthread.h>
#include <stdlib.h>

enum { STREAM_MIX = 0x4D49 }; /* tells a batch's random stream from its pictures' */

typedef struct slot {
    cameo_batch batch;
    size_t *index; /* pictures */
    size_t drawn, finished;
    bool ready;
} slot;

struct cameo_loader {
    cameo_loader_options o;
    size_t elements; /* of one picture */
    slot *ring;
    uint64_t opened, given, released; /* batches so far; a slot is number % ahead */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    bool stop, failed;
    cameo_error error;
    int threads;
    pthread_t thread[];
};

typedef struct ticket {
    slot *slot;
    size_t i;
} ticket;

static size_t picture_elements(const cameo_preprocess *p) {
    return (size_t)p->width * (size_t)p->height * (size_t)p->channels;
}

size_t cameo_loader_bytes(const cameo_loader_options *o) {
    return o->ahead * o->batch * (picture_elements(o->preprocess) * sizeof(float) + 64);
}

/* ---- making ---- */

/* Finds the picture, or the next one of its class that can be decoded. */
static bool find_picture(cameo_loader *l, size_t i, const cameo_image **image, cameo_image *scratch,
                         cameo_error *error) {
    const cameo_dataset *d = l->o.dataset;
    const size_t k = (size_t)d->label[i], first = d->first[k], n = d->first[k + 1] - first;
    for (size_t j = 0; j < n; j++) {
        if (cameo_store_get(l->o.store, first + (i - first + j) % n, image, scratch)) return true;
        if (cameo_store_spoilt(l->o.store, error)) return false;
    }
    return cameo_reject(error, "class \"%s\" has no picture that can be decoded", d->class_name[k]);
}

static bool make_picture(cameo_loader *l, const ticket *t, cameo_error *error) {
    cameo_batch *b = &t->slot->batch;
    const cameo_image *image;
    cameo_image scratch = {0};
    if (!find_picture(l, t->slot->index[t->i], &image, &scratch, error)) return false;
    cameo_random r = cameo_random_stream(l->o.seed, b->epoch, b->number * l->o.batch + t->i);
    b->labels[t->i] = l->o.dataset->label[t->slot->index[t->i]];
    const bool good = cameo_augment_apply(l->o.augment, l->o.preprocess, image, &r,
                                          b->images + t->i * l->elements, error);
    cameo_image_free(&scratch);
    return good;
}

static void mix_batch(const cameo_loader *l, cameo_batch *b) {
    cameo_random r = cameo_random_stream(l->o.seed, b->epoch,
                                         (uint64_t)STREAM_MIX << 32 | b->number);
    cameo_augment_mix(l->o.augment, l->o.preprocess, &r, l->o.batch, b->images, b->labels,
                      b->labels_b, b->mix);
}

/* ---- threads ---- */

/* Opens the next batch when its place in the ring is free. */
static bool open_batch(cameo_loader *l) {
    if (l->opened == l->o.total || l->opened == l->released + l->o.ahead) return false;
    slot *s = &l->ring[l->opened++ % l->o.ahead];
    cameo_sampler_next(l->o.sampler, s->index, &s->batch.epoch, &s->batch.number);
    s->drawn = s->finished = 0;
    s->ready = false;
    return true;
}

/* Only the batch opened last can have pictures that nobody has drawn. */
static bool draw(cameo_loader *l, ticket *t) {
    for (;;) {
        slot *s = l->opened ? &l->ring[(l->opened - 1) % l->o.ahead] : NULL;
        if (s && s->drawn < l->o.batch) return *t = (ticket){s, s->drawn++}, true;
        if (!open_batch(l)) return false;
    }
}

static void finish(cameo_loader *l, const ticket *t, bool good, const cameo_error *error) {
    if (!good && !l->failed) {
        l->failed = true;
        l->error = *error;
    }
    if (++t->slot->finished < l->o.batch && good) return;
    if (good && !l->failed) {
        pthread_mutex_unlock(&l->lock);
        mix_batch(l, &t->slot->batch);
        pthread_mutex_lock(&l->lock);
        t->slot->ready = true;
    }
    pthread_cond_broadcast(&l->done);
}

static void *worker(void *argument) {
    cameo_loader *l = argument;
    pthread_mutex_lock(&l->lock);
    while (!l->stop && !l->failed) {
        ticket t;
        if (!draw(l, &t)) {
            pthread_cond_wait(&l->work, &l->lock);
            continue;
        }
        pthread_mutex_unlock(&l->lock);
        cameo_error error = {0};
        const bool good = make_picture(l, &t, &error);
        pthread_mutex_lock(&l->lock);
        finish(l, &t, good, &error);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- the caller's side ---- */

static void make_ring(cameo_loader *l) {
    const size_t n = l->o.batch;
    l->ring = cameo_allocate(l->o.ahead, sizeof *l->ring);
    for (size_t i = 0; i < l->o.ahead; i++) {
        slot *s = &l->ring[i];
        s->batch.images = cameo_allocate(n * l->elements, sizeof(float));
        s->batch.labels = cameo_allocate(n, sizeof(int64_t));
        s->batch.labels_b = cameo_allocate(n, sizeof(int64_t));
        s->batch.mix = cameo_allocate(n, sizeof(float));
        s->index = cameo_allocate(n, sizeof *s->index);
    }
}

cameo_loader *cameo_loader_create(const cameo_loader_options *o, cameo_error *error) {
    cameo_loader *l = cameo_allocate(1, sizeof *l + (size_t)o->threads * sizeof *l->thread);
    l->o = *o;
    l->elements = picture_elements(o->preprocess);
    make_ring(l);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->done, NULL);
    for (; l->threads < o->threads; l->threads++)
        if (pthread_create(&l->thread[l->threads], NULL, worker, l)) break;
    if (l->threads) return l;
    cameo_loader_destroy(l);
    cameo_fail(error, CAMEO_ENVIRONMENT, "failed to start a thread for loading pictures");
    return NULL;
}

void cameo_loader_destroy(cameo_loader *l) {
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->threads; i++) pthread_join(l->thread[i], NULL);
    for (size_t i = 0; i < l->o.ahead; i++) {
        cameo_batch *b = &l->ring[i].batch;
        free(b->images);
        free(b->labels);
        free(b->labels_b);
        free(b->mix);
        free(l->ring[i].index);
    }
    free(l->ring);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->done);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

const cameo_batch *cameo_loader_next(cameo_loader *l, cameo_error *error) {
    if (l->given == l->o.total)
        return cameo_fail(error, CAMEO_DEFECT, "more batches were asked for than there are"), NULL;
    pthread_mutex_lock(&l->lock);
    slot *s = &l->ring[l->given % l->o.ahead];
    while (!l->failed && !(s->ready && l->given < l->opened)) pthread_cond_wait(&l->done, &l->lock);
    const bool good = !l->failed;
    if (good)
        l->given++;
    else if (error)
        *error = l->error;
    pthread_mutex_unlock(&l->lock);
    return good ? &s->batch : NULL;
}

void cameo_loader_release(cameo_loader *l) {
    pthread_mutex_lock(&l->lock);
    l->ring[l->released % l->o.ahead].ready = false;
    l->released++;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
}
