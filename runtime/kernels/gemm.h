/* y = act(x w^T + b + r): the fully connected layer. Weights [n / block][k][block], block = 4
   vectors, zeros behind the last; one row streams them once; several rows share them in register
   tiles. Each output adds its products in the order of k whatever the number of rows, so an
   image's result does not depend on the batch.

   Weights may be rounded to bfloat16, the upper half of a float: half as much to read, where
   reading is all that takes time. A word holds those of an even k (lower half) and the k behind
   it: [n / block][k / 2][block], zero behind an odd last k. */
#ifndef CAMEO_KERNELS_GEMM_H
#define CAMEO_KERNELS_GEMM_H
#include "vector.h"

typedef struct cameo_gemm_args {
    const float *x;
    const void *w; /* float, or uint32_t pairs of bfloat16 */
    const float *b, *slope, *r;
    float *y;
    ptrdiff_t rows;
} cameo_gemm_args;

#if CAMEO_VF == 16 || defined(__aarch64__)
enum { CAMEO_GEMM_ROWS = 6 };
#else
enum { CAMEO_GEMM_ROWS = 2 };
#endif
enum { CAMEO_GEMM_BLOCK = 4 * CAMEO_VF };

/* A vector of weights of one k, from the block at w. */
CAMEO_INLINE cameo_v cameo_gemm_weights(const cameo_gemm *s, const void *w, ptrdiff_t k,
                                        ptrdiff_t j) {
    if (!s->bfloat16) return cameo_load((const float *)w + k * CAMEO_GEMM_BLOCK + j * CAMEO_VF);
    const cameo_vu pair = *(const cameo_vu *)((const uint32_t *)w + k / 2 * CAMEO_GEMM_BLOCK +
                                              j * CAMEO_VF);
    if (k % 2) return (cameo_v)(pair & 0xffff0000u);
    return (cameo_v)(pair << 16);
}

CAMEO_INLINE void cameo_gemm_step(const cameo_gemm *s, cameo_v acc[CAMEO_GEMM_ROWS][4],
                                  const float *x, const void *w, ptrdiff_t k, ptrdiff_t rows) {
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < rows; i++) {
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < 4; j++)
            acc[i][j] += x[i * s->k + k] * cameo_gemm_weights(s, w, k, j);
    }
}

CAMEO_INLINE void cameo_gemm_tile(const cameo_gemm *s, const cameo_gemm_args *a, ptrdiff_t m,
                                  ptrdiff_t rows, ptrdiff_t first, ptrdiff_t lanes) {
    cameo_v acc[CAMEO_GEMM_ROWS][4];
    const void *w = (const float *)a->w + first * (s->bfloat16 ? (s->k + 1) / 2 : s->k);
    const float *x = a->x + m * s->k;
    ptrdiff_t k = 0;
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < 4; j++) acc[i][j] = cameo_load(a->b + first + j * CAMEO_VF);
    for (; s->bfloat16 && k + 2 <= s->k; k += 2) {
        cameo_gemm_step(s, acc, x, w, k, rows);
        cameo_gemm_step(s, acc, x, w, k + 1, rows);
    }
    for (; k < s->k; k++) cameo_gemm_step(s, acc, x, w, k, rows);
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < 4; j++) {
            const ptrdiff_t left = lanes - j * CAMEO_VF, c = first + j * CAMEO_VF,
                            at = (m + i) * s->n + c;
            if (left <= 0) continue;
            cameo_v v = acc[i][j];
            if (s->residual) v += cameo_load_part(a->r + at, left);
            const cameo_v slope = s->act.kind == CAMEO_PRELU ? cameo_load(a->slope + c) : v;
            cameo_store_part(a->y + at, cameo_activate(&s->act, v, slope), left);
        }
}

CAMEO_INLINE void cameo_gemm_rows(const cameo_gemm *s, const cameo_gemm_args *a, ptrdiff_t first,
                                  ptrdiff_t lanes) {
    ptrdiff_t m = 0;
    for (; m + CAMEO_GEMM_ROWS <= a->rows; m += CAMEO_GEMM_ROWS)
        cameo_gemm_tile(s, a, m, CAMEO_GEMM_ROWS, first, lanes);
    if (CAMEO_GEMM_ROWS > 2)
        for (; m + 2 <= a->rows; m += 2) cameo_gemm_tile(s, a, m, 2, first, lanes);
    for (; m < a->rows; m++) cameo_gemm_tile(s, a, m, 1, first, lanes);
}

/* Task i: one block of outputs, for all rows. */
CAMEO_INLINE void cameo_gemm_task(const cameo_gemm *s, const cameo_gemm_args *a, size_t i) {
    const ptrdiff_t first = (ptrdiff_t)i * CAMEO_GEMM_BLOCK;
    if (first + CAMEO_GEMM_BLOCK <= s->n)
        cameo_gemm_rows(s, a, first, CAMEO_GEMM_BLOCK);
    else
        cameo_gemm_rows(s, a, first, s->n % CAMEO_GEMM_BLOCK);
}
#endif
