/* Strided copies of elements of 4 bytes, at memory speed: rows, transposed tiles, single elements;
   and channels of several images interleaved. Elements are moved as integers, so that any bits
   survive. */
#ifndef CAMEO_KERNELS_COPY_H
#define CAMEO_KERNELS_COPY_H
#include "transpose.h"

typedef uint32_t __attribute__((may_alias)) cameo_word;

typedef struct cameo_copy_args {
    const void *x;
    void *y;
    size_t end; /* of its tasks, among those of several copies */
} cameo_copy_args;

CAMEO_INLINE size_t cameo_copy_tasks(const cameo_copy *s) {
    const ptrdiff_t blocks = cameo_ceil(s->extent[s->tiled ? 2 : 0], s->step);
    return (size_t)(s->tiled ? s->extent[0] * blocks : blocks);
}

CAMEO_INLINE void cameo_copy_row(cameo_word *y, const cameo_word *x, ptrdiff_t n) {
    ptrdiff_t i = 0;
    for (; i + CAMEO_VF <= n; i += CAMEO_VF) *(cameo_vi *)(y + i) = *(const cameo_vi *)(x + i);
    memcpy(y + i, x + i, (size_t)(n % CAMEO_VF) * sizeof *y);
}

/* y[i][j] = x[j][i] of a square as wide as a vector. */
CAMEO_INLINE void cameo_copy_tile(cameo_word *y, ptrdiff_t y_row, const cameo_word *x,
                                  ptrdiff_t x_row) {
    cameo_v r[CAMEO_VF];
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < CAMEO_VF; i++) r[i] = *(const cameo_v *)(x + i * x_row);
    cameo_transpose(r);
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < CAMEO_VF; i++) *(cameo_v *)(y + i * y_row) = r[i];
}

CAMEO_INLINE void cameo_copy_elements(const cameo_copy *s, cameo_word *y, const cameo_word *x,
                                      ptrdiff_t first, ptrdiff_t end, ptrdiff_t from) {
    for (ptrdiff_t i = first; i < end; i++)
        for (ptrdiff_t j = from; j < s->extent[3]; j++)
            y[i * s->to[2] + j * s->to[3]] = x[i * s->from[2] + j * s->from[3]];
}

/* Axes 2 and 3, indices first to end of axis 2, which is contiguous in x; axis 3 is contiguous in
   y. */
CAMEO_INLINE void cameo_copy_transposed(const cameo_copy *s, cameo_word *y, const cameo_word *x,
                                        ptrdiff_t first, ptrdiff_t end) {
    const ptrdiff_t tiles = s->extent[3] / CAMEO_VF * CAMEO_VF;
    ptrdiff_t i = first;
    for (; i + CAMEO_VF <= end && tiles; i += CAMEO_VF) {
        for (ptrdiff_t j = 0; j < tiles; j += CAMEO_VF)
            cameo_copy_tile(y + i * s->to[2] + j, s->to[2], x + i + j * s->from[3], s->from[3]);
        cameo_copy_elements(s, y, x, i, i + CAMEO_VF, tiles);
    }
    cameo_copy_elements(s, y, x, i, end, 0);
}

CAMEO_INLINE void cameo_copy_plane(const cameo_copy *s, cameo_word *y, const cameo_word *x) {
    for (ptrdiff_t i = 0; i < s->extent[2]; i++) {
        if (s->from[3] == 1 && s->to[3] == 1)
            cameo_copy_row(y + i * s->to[2], x + i * s->from[2], s->extent[3]);
        else
            cameo_copy_elements(s, y, x, i, i + 1, 0);
    }
}

/* Task i: some indices of one image's axis 0. */
CAMEO_INLINE void cameo_copy_task(const cameo_copy *s, const void *from, void *to, size_t i) {
    const ptrdiff_t tasks = (ptrdiff_t)cameo_copy_tasks(s), image = (ptrdiff_t)i / tasks,
                    task = (ptrdiff_t)i % tasks;
    const cameo_word *x = (const cameo_word *)from + image * s->from_image + s->from_offset;
    cameo_word *y = (cameo_word *)to + image * s->to_image + s->to_offset;
    if (s->tiled) {
        const ptrdiff_t blocks = tasks / s->extent[0], first = task % blocks * s->step;
        const ptrdiff_t end = cameo_least(s->extent[2], first + s->step), a = task / blocks;
        for (ptrdiff_t b = 0; b < s->extent[1]; b++)
            cameo_copy_transposed(s, y + a * s->to[0] + b * s->to[1],
                                  x + a * s->from[0] + b * s->from[1], first, end);
        return;
    }
    const ptrdiff_t end = cameo_least(s->extent[0], (task + 1) * s->step);
    for (ptrdiff_t a = task * s->step; a < end; a++)
        for (ptrdiff_t b = 0; b < s->extent[1]; b++)
            cameo_copy_plane(s, y + a * s->to[0] + b * s->to[1],
                             x + a * s->from[0] + b * s->from[1]);
}

/* ---- interleaved channels ---- */

typedef struct cameo_interleave_args {
    const float *x[CAMEO_INTERLEAVE_MOST];
    float *y;
    ptrdiff_t total; /* pixels of this run */
} cameo_interleave_args;

#define CAMEO_ZIP_LOW(l, s) ((l) / 2 + ((l)&1) * CAMEO_VF)
#define CAMEO_ZIP_HIGH(l, s) (CAMEO_VF / 2 + (l) / 2 + ((l)&1) * CAMEO_VF)

CAMEO_INLINE void cameo_zip(cameo_word *y, const cameo_word *a, const cameo_word *b) {
    const cameo_vi u = *(const cameo_vi *)a, v = *(const cameo_vi *)b;
    *(cameo_vi *)y = __builtin_shufflevector(u, v, CAMEO_LANES(CAMEO_ZIP_LOW, 0));
    *(cameo_vi *)(y + CAMEO_VF) = __builtin_shufflevector(u, v, CAMEO_LANES(CAMEO_ZIP_HIGH, 0));
}

/* The last vectors of two parts are taken again from where they are whole. */
CAMEO_INLINE void cameo_interleave_pixel(const cameo_interleave *s, const cameo_interleave_args *a,
                                         ptrdiff_t p) {
    cameo_word *y = (cameo_word *)a->y + p * s->y_pixel;
    const cameo_word *x[CAMEO_INTERLEAVE_MOST];
    CAMEO_UNROLL
    for (ptrdiff_t k = 0; k < s->parts; k++) x[k] = (const cameo_word *)a->x[k] + p * s->x_pixel[k];
    if (s->parts == 2 && s->c >= CAMEO_VF) {
        for (ptrdiff_t j = 0; j + CAMEO_VF <= s->c; j += CAMEO_VF)
            cameo_zip(y + 2 * j, x[0] + j, x[1] + j);
        const ptrdiff_t last = s->c - CAMEO_VF;
        if (s->c % CAMEO_VF) cameo_zip(y + 2 * last, x[0] + last, x[1] + last);
        return;
    }
    for (ptrdiff_t j = 0; j < s->c; j++) {
        CAMEO_UNROLL
        for (ptrdiff_t k = 0; k < s->parts; k++) y[j * s->parts + k] = x[k][j];
    }
}

/* Task i: s->pixels neighbouring pixels. */
CAMEO_INLINE void cameo_interleave_task(const cameo_interleave *s, const cameo_interleave_args *a,
                                        size_t i) {
    const ptrdiff_t first = (ptrdiff_t)i * s->pixels,
                    end = cameo_least(a->total, first + s->pixels);
    for (ptrdiff_t p = first; p < end; p++) cameo_interleave_pixel(s, a, p);
}
#endif
