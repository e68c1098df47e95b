/* Batches made ahead of the training step by threads of their own: decode, augment, normalise,
   mix. They come in the sampler's order and hold the same numbers whatever the number of threads.

   The loader owns its threads and batches; a batch is the caller's until it is released, which
   makes room for another. */
#ifndef CAMEO_LOADER_H
#define CAMEO_LOADER_H
#include "../image/store.h"
#include "augment.h"
#include "sampler.h"

typedef struct cameo_batch {
    float *images; /* [size][...] as the network's input */
    int64_t *labels, *labels_b;
    float *mix; /* see training.h */
    uint64_t epoch;
    size_t number; /* within the epoch */
} cameo_batch;

typedef struct cameo_loader cameo_loader;

typedef struct cameo_loader_options {
    const cameo_dataset *dataset; /* these outlive the loader */
    cameo_store *store;
    cameo_sampler *sampler; /* used by the loader alone from now on, from where it stands */
    const cameo_preprocess *preprocess;
    const cameo_augment *augment;
    uint64_t seed;
    size_t batch, ahead; /* ahead: batches in memory, at least 2 */
    uint64_t total;      /* batches to make */
    int threads;
} cameo_loader_options;

cameo_loader *cameo_loader_create(const cameo_loader_options *o, cameo_error *error);
void cameo_loader_destroy(cameo_loader *l); /* stops the threads; NULL is fine */
/* Waits for the next batch. NULL with *error when pictures fail (more than 1 %, or a whole
   class). */
const cameo_batch *cameo_loader_next(cameo_loader *l, cameo_error *error);
void cameo_loader_release(cameo_loader *l);               /* the batch given last */
size_t cameo_loader_bytes(const cameo_loader_options *o); /* memory of its batches */
#endif
