/* Square transposition in registers: halves change places at distances 1, 2, 4 ... */
#ifndef CAMEO_KERNELS_TRANSPOSE_H
#define CAMEO_KERNELS_TRANSPOSE_H
#include "vector.h"

#define CAMEO_LOW(L, S) ((L) & (S) ? CAMEO_VF + (L) - (S) : (L))
#define CAMEO_HIGH(L, S) ((L) & (S) ? CAMEO_VF + (L) : (L) + (S))
#define CAMEO_LANES_4(F, L, S) F(L, S), F((L) + 1, S), F((L) + 2, S), F((L) + 3, S)
#if CAMEO_VF == 16
#define CAMEO_LANES(F, S) \
    CAMEO_LANES_4(F, 0, S), CAMEO_LANES_4(F, 4, S), CAMEO_LANES_4(F, 8, S), CAMEO_LANES_4(F, 12, S)
#elif CAMEO_VF == 8
#define CAMEO_LANES(F, S) CAMEO_LANES_4(F, 0, S), CAMEO_LANES_4(F, 4, S)
#else
#define CAMEO_LANES(F, S) CAMEO_LANES_4(F, 0, S)
#endif
#define CAMEO_EXCHANGE(V, S)                                                           \
    CAMEO_UNROLL                                                                       \
    for (ptrdiff_t i = 0; i < CAMEO_VF; i++) {                                         \
        if (i & (S)) continue;                                                         \
        const cameo_v low = (V)[i], high = (V)[i + (S)];                               \
        (V)[i] = __builtin_shufflevector(low, high, CAMEO_LANES(CAMEO_LOW, S));        \
        (V)[i + (S)] = __builtin_shufflevector(low, high, CAMEO_LANES(CAMEO_HIGH, S)); \
    }

CAMEO_INLINE void cameo_transpose(cameo_v *v) {
    CAMEO_EXCHANGE(v, 1)
    CAMEO_EXCHANGE(v, 2)
#if CAMEO_VF > 4
    CAMEO_EXCHANGE(v, 4)
#endif
#if CAMEO_VF > 8
    CAMEO_EXCHANGE(v, 8)
#endif
}
#endif
