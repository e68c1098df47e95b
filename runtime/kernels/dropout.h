/* Which elements a Dropout keeps: a number drawn from (seed of the step, id of the layer, element
   in ONNX order), so that the backward pass draws the same again instead of storing a mask, and
   threads and memory order play no part. The compiler's reference uses it as well. */
#ifndef CAMEO_KERNELS_DROPOUT_H
#define CAMEO_KERNELS_DROPOUT_H
#include "random.h"

static inline uint64_t cameo_dropout_stream(int64_t seed, uint64_t id) {
    return cameo_random_stream((uint64_t)seed, id, 0).state;
}

/* threshold = ratio * 2^32: of so many in 2^32 elements nothing is left. */
static inline _Bool cameo_dropout_keeps(uint64_t stream, uint64_t element, uint64_t threshold) {
    return cameo_mix64(stream + (element + 1) * 0x9E3779B97F4A7C15u) >> 32 >= threshold;
}
#endif
