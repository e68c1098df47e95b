/* Vectors and activations: what every kernel template is written with. GCC/Clang vector extensions
   only, so one source serves AVX-512 (16 floats), AVX (8) and NEON or SSE (4). */
#ifndef CAMEO_KERNELS_VECTOR_H
#define CAMEO_KERNELS_VECTOR_H
#include "shapes.h"

#include <math.h>
#include <string.h>

#ifndef CAMEO_VF /* floats in a vector; the generated file defines it when the target is known */
#if defined(__AVX512F__)
#define CAMEO_VF 16
#elif defined(__AVX__)
#define CAMEO_VF 8
#else
#define CAMEO_VF 4
#endif
#endif

#define CAMEO_INLINE static inline __attribute__((always_inline, unused))
#define CAMEO_RARE                                                                               \
    static __attribute__((noinline, cold, unused)) /* what happens to numbers that are none, say \
                                                    */
#ifdef CAMEO_UNROLL /* a test whose shapes are no literals has nothing to unroll */
#elif defined(__clang__)
#define CAMEO_UNROLL _Pragma("clang loop unroll(full)")
#define CAMEO_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define CAMEO_UNROLL _Pragma("GCC unroll 32")
#define CAMEO_INDEPENDENT _Pragma("GCC ivdep") /* iterations of a loop that may work in place */
#endif

/* A vector type aligned to one element, since tensors with odd channel counts are read at any. In
   two steps: GCC 14 for AArch64 ends with an internal error over a function that takes a vector
   whose type was never without that alignment. */
#define CAMEO_VECTOR(name, element, size)                                       \
    typedef element name##_whole __attribute__((vector_size(size), may_alias)); \
    typedef name##_whole name __attribute__((aligned(4)));
CAMEO_VECTOR(cameo_v, float, CAMEO_VF * 4)
CAMEO_VECTOR(cameo_vi, int32_t, CAMEO_VF * 4)
CAMEO_VECTOR(cameo_vu, uint32_t, CAMEO_VF * 4)

CAMEO_INLINE cameo_v cameo_splat(float a) { return a - (cameo_v){0}; }
CAMEO_INLINE cameo_v cameo_load(const float *p) { return *(const cameo_v *)p; }
CAMEO_INLINE void cameo_store(float *p, cameo_v v) { *(cameo_v *)p = v; }

/* Half a vector, as numbers of channels often leave it: one instruction, where memcpy goes through
   the stack. */
#if CAMEO_VF == 16
#define CAMEO_HALF 0, 1, 2, 3, 4, 5, 6, 7
#define CAMEO_WHOLE CAMEO_HALF, 8, 9, 10, 11, 12, 13, 14, 15
#elif CAMEO_VF == 8
#define CAMEO_HALF 0, 1, 2, 3
#define CAMEO_WHOLE CAMEO_HALF, 4, 5, 6, 7
#else
#define CAMEO_HALF 0, 1
#define CAMEO_WHOLE CAMEO_HALF, 2, 3
#endif
CAMEO_VECTOR(cameo_half, float, CAMEO_VF * 2)
CAMEO_INLINE cameo_v cameo_widen(cameo_half h) {
    return __builtin_shufflevector(h, (cameo_half){0}, CAMEO_WHOLE);
}
#if CAMEO_VF == 16
#define CAMEO_PAIRED 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15
#define CAMEO_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define CAMEO_ODD 1, 3, 5, 7, 9, 11, 13, 15
#elif CAMEO_VF == 8
#define CAMEO_PAIRED 0, 4, 1, 5, 2, 6, 3, 7
#define CAMEO_EVEN 0, 2, 4, 6
#define CAMEO_ODD 1, 3, 5, 7
#else
#define CAMEO_PAIRED 0, 2, 1, 3
#define CAMEO_EVEN 0, 2
#define CAMEO_ODD 1, 3
#endif
/* a0 b0 a1 b1 ...; p[0] p[1] p[0] p[1] ...; and the sums of such pairs. */
CAMEO_INLINE cameo_v cameo_pair(cameo_half a, cameo_half b) {
    return __builtin_shufflevector(a, b, CAMEO_PAIRED);
}
CAMEO_INLINE cameo_v cameo_splat_pair(const float *p) {
    typedef int64_t words __attribute__((vector_size(CAMEO_VF * 4)));
    int64_t both;
    memcpy(&both, p, sizeof both);
    return (cameo_v)(both - (words){0});
}
CAMEO_INLINE cameo_half cameo_pair_sums(cameo_v v) {
    return __builtin_shufflevector(v, v, CAMEO_EVEN) + __builtin_shufflevector(v, v, CAMEO_ODD);
}
CAMEO_INLINE cameo_half cameo_narrow(cameo_v v) {
    return __builtin_shufflevector(v, v, CAMEO_HALF);
}

/* The first `lanes` floats (a literal, so that whole vectors cost nothing extra); the rest are
   zero. */
CAMEO_INLINE cameo_v cameo_load_part(const float *p, ptrdiff_t lanes) {
    if (lanes >= CAMEO_VF) return cameo_load(p);
    if (lanes == CAMEO_VF / 2) return cameo_widen(*(const cameo_half *)p);
    cameo_v v = {0};
    memcpy(&v, p, (size_t)lanes * sizeof(float));
    return v;
}

CAMEO_INLINE void cameo_store_part(float *p, cameo_v v, ptrdiff_t lanes) {
    if (lanes >= CAMEO_VF)
        cameo_store(p, v);
    else if (lanes == CAMEO_VF / 2)
        *(cameo_half *)p = cameo_narrow(v);
    else
        memcpy(p, &v, (size_t)lanes * sizeof(float));
}

/* mask ? a : b, lane by lane. */
CAMEO_INLINE cameo_v cameo_select(cameo_vi mask, cameo_v a, cameo_v b) {
    return (cameo_v)(((cameo_vi)a & mask) | ((cameo_vi)b & ~mask));
}
/* A NaN in `a` comes out of these two, one in `b` does not: clamps put the value first. */
CAMEO_INLINE cameo_v cameo_max(cameo_v a, cameo_v b) {
    return cameo_select((cameo_vi)(a < b), b, a);
}
CAMEO_INLINE cameo_v cameo_min(cameo_v a, cameo_v b) {
    return cameo_select((cameo_vi)(a > b), b, a);
}

/* Whether any lane is no number. */
CAMEO_INLINE bool cameo_any_nan(cameo_v v) {
    const cameo_vi odd = (cameo_vi)(v != v);
    int64_t words[CAMEO_VF / 2], any = 0;
    memcpy(words, &odd, sizeof words);
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < CAMEO_VF / 2; i++) any |= words[i];
    return any != 0;
}

/* exp to 2 ulp: 2^n times a polynomial on [-ln2/2, ln2/2] (coefficients of Cephes' expf). Infinity
   above 88.37, 1.2e-38 below -87.3. */
CAMEO_INLINE cameo_v cameo_exp(cameo_v x) {
    x = cameo_min(cameo_max(x, cameo_splat(-87.3f)), cameo_splat(89.0f));
    const cameo_v shifted = x * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f; /* rounds to
                                                                                         nearest */
    const cameo_v r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    cameo_v p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const cameo_vu bits = ((cameo_vu)shifted - 0x4b400000 + 127) << 23;
    return p * (cameo_v)bits;
}

/* e^-x = 2^(-x log2 e) for |x| <= 87: 2^n goes into the exponent of a polynomial on [-1/2, 1/2],
   which is fitted to 9e-8. Beyond, the exponent wraps, as unsigned numbers may, and the callers
   mask the result. */
CAMEO_INLINE cameo_vi cameo_exp_minus(cameo_v x) {
    const cameo_v shifted = 12582912.0f - x * 1.44269504f, n = shifted - 12582912.0f; /* rounds to
                                                                                         nearest */
    const cameo_v r = -1.44269504f * x - n;
    cameo_v p = r * 1.326472731e-3f + 9.671512991e-3f;
    p = p * r + 5.550733581e-2f;
    p = p * r + 2.402224243e-1f;
    p = p * r + 6.931470037e-1f;
    p = p * r + 1.0f;
    return (cameo_vi)((cameo_vu)p + ((cameo_vu)shifted << 23));
}

/* 1 / (1 + e^-x) to 4e-6 of it, 5e-7 where it is above 1e-3. Where 2^n would leave the range of
   exponents, the result is 1 or 0. */
CAMEO_INLINE cameo_v cameo_sigmoid(cameo_v x) {
    const cameo_vi bits = cameo_exp_minus(x) | (cameo_vi)(x != x); /* a NaN's sum may be any number
                                                                    */
    const cameo_v e = (cameo_v)(bits & ~(cameo_vi)(x > 87.0f));
    return (cameo_v)((cameo_vi)(1.0f / (1.0f + e)) & ~(cameo_vi)(x < -87.0f));
}

/* x times that. The product brings back a NaN, so comparisons may be the ones that a mask takes in
   without further instructions: this is a sixth faster than the product of x and cameo_sigmoid. */
CAMEO_INLINE cameo_v cameo_silu(cameo_v x) {
    const cameo_v e = (cameo_v)(cameo_exp_minus(x) & (cameo_vi)(x < 87.0f));
    return x * (cameo_v)((cameo_vi)(1.0f / (1.0f + e)) & (cameo_vi)(x > -87.0f));
}

/* slope is used by CAMEO_PRELU only. */
CAMEO_INLINE cameo_v cameo_activate(const cameo_act *act, cameo_v v, cameo_v slope) {
    const cameo_v zero = {0}, one = cameo_splat(1.0f);
    switch (act->kind) {
// clang-format off
#define ACT_FUSED(kind, name, flags, function, first, value, second, value2, text, real, vector) \
    case CAMEO_##kind: return vector;
#include "act.def"
        // clang-format on
    default: return v;
    }
}

CAMEO_INLINE ptrdiff_t cameo_least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
CAMEO_INLINE ptrdiff_t cameo_most(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
CAMEO_INLINE ptrdiff_t cameo_ceil(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }
#endif
