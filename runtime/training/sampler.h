/* Which pictures make up each batch. A sampler walks batches in order; the walk of an epoch
   depends on (seed, epoch) only. */
#ifndef CAMEO_SAMPLER_H
#define CAMEO_SAMPLER_H
#include "../image/dataset.h"

typedef struct cameo_sampler cameo_sampler;

/* same = 0: every picture at most once an epoch, shuffled; the last partial batch is dropped. same
   = K > 0: batch / K classes with K pictures each (for losses that compare pictures): classes in
   turn, each epoch in another order, and pictures of a class in turn. The dataset outlives the
   sampler. False with *error: too few pictures, or classes, for a batch. */
cameo_sampler *cameo_sampler_create(const cameo_dataset *d, size_t batch, size_t same,
                                    uint64_t seed, cameo_error *error);
void cameo_sampler_destroy(cameo_sampler *s);
size_t cameo_sampler_batches(const cameo_sampler *s); /* of an epoch: pictures / batch in both cases
                                                       */
/* The next cameo_sampler_next gives batch `batch` of epoch `epoch`. */
void cameo_sampler_seek(cameo_sampler *s, uint64_t epoch, size_t batch);
/* Fills index[batch] with pictures; *epoch and *number say which batch it is. */
void cameo_sampler_next(cameo_sampler *s, size_t *index, uint64_t *epoch, size_t *number);
#endif
