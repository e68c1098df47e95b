/* Pooling over windows and over whole images, NHWC, a few channel vectors at a time. Of averages
   over windows the input may be scaled, shifted and activated on its way, so that the
   BatchNormalization and activation before one (DenseNet's transitions) need no pass of their
   own. */
#ifndef CAMEO_KERNELS_POOL_H
#define CAMEO_KERNELS_POOL_H
#include "depthwise_conv.h"

typedef struct cameo_pool_args {
    const float *x;
    float *y;
    const float *scale, *shift; /* scaled: one a channel, padded to whole vectors */
} cameo_pool_args;

typedef struct cameo_window { /* taps inside the image */
    ptrdiff_t h0, h1, w0, w1;
} cameo_window;

/* Of the window whose first tap is at h, w. */
CAMEO_INLINE cameo_window cameo_window_at(const cameo_pooling *s, ptrdiff_t h, ptrdiff_t w) {
    return (cameo_window){cameo_tap_first(h, s->dh), cameo_tap_end(h, s->dh, s->kh, s->h),
                          cameo_tap_first(w, s->dw), cameo_tap_end(w, s->dw, s->kw, s->w)};
}

CAMEO_INLINE cameo_v cameo_pool_join(const cameo_pooling *s, cameo_v a, cameo_v b) {
    if (s->maximum) return cameo_max(a, b);
    return a + b;
}

/* A maximum of vectors passes a NaN over in one order of its operands and forgets it in the other,
   so a maximum also adds up what it sees, of a whole output row. The sum of what holds a NaN is a
   NaN; where it is (infinities of both signs do that as well), cameo_pool_exact looks at the
   windows again. */

/* Maxima of `channels` channels over rows x columns pixels, where a NaN exceeds every number. */
CAMEO_RARE void cameo_pool_exact(const float *x, float *y, ptrdiff_t rows, ptrdiff_t columns,
                                 ptrdiff_t x_row, ptrdiff_t x_column, ptrdiff_t channels) {
    for (ptrdiff_t c = 0; c < channels; c++) {
        float best = -INFINITY;
        for (ptrdiff_t i = 0; i < rows; i++)
            for (ptrdiff_t j = 0; j < columns; j++) {
                const float v = x[i * x_row + j * x_column + c];
                if (v > best || isnan(v)) best = v;
                if (isnan(best)) i = rows, j = columns;
            }
        y[c] = best;
    }
}

/* What is pooled of v; factor, shift: its channels' of a scaled one. */
CAMEO_INLINE cameo_v cameo_pool_element(const cameo_pooling *s, cameo_v v, cameo_v factor,
                                        cameo_v shift) {
    return s->scaled ? cameo_activate(&s->before, (cameo_v)(v * factor + shift), shift) : v;
}

/* c: the first of the vectors' channels, at which x and y are. sum: of all that is seen. */
CAMEO_INLINE void cameo_pool_vectors(const cameo_pooling *s, const cameo_pool_args *a,
                                     const float *x, float *y, ptrdiff_t c, cameo_window k,
                                     float scale, ptrdiff_t vectors, ptrdiff_t lanes,
                                     cameo_v *sum) {
    cameo_v acc[4], seen[4], factor[4] = {{0}}, shift[4] = {{0}};
    CAMEO_UNROLL
    for (ptrdiff_t v = 0; v < vectors; v++) {
        acc[v] = cameo_splat(s->maximum ? -INFINITY : 0.0f), seen[v] = (cameo_v){0};
        if (s->scaled)
            factor[v] = cameo_load(a->scale + c + v * CAMEO_VF),
            shift[v] = cameo_load(a->shift + c + v * CAMEO_VF);
    }
    for (ptrdiff_t i = k.h0; i < k.h1; i++)
        for (ptrdiff_t j = k.w0; j < k.w1; j++) {
            const float *p = x + (i * s->dh * s->w + j * s->dw) * s->x_pixel;
            CAMEO_UNROLL
            for (ptrdiff_t v = 0; v < vectors; v++) {
                const cameo_v e = cameo_pool_element(s, cameo_load_part(p + v * CAMEO_VF, lanes),
                                                     factor[v], shift[v]);
                acc[v] = cameo_pool_join(s, acc[v], e), seen[v] += e;
            }
        }
    CAMEO_UNROLL
    for (ptrdiff_t v = 0; v < vectors; v++) {
        cameo_store_part(y + v * CAMEO_VF, s->maximum ? acc[v] : (cameo_v)(acc[v] * scale), lanes);
        *sum += seen[v];
    }
}

/* What an average divides by, for the window whose first tap is at h, w. */
CAMEO_INLINE ptrdiff_t cameo_pool_cells(const cameo_pooling *s, ptrdiff_t h, ptrdiff_t w) {
    if (s->count_pad)
        return cameo_tap_end(h, s->dh, s->kh, s->h + s->pb) *
               cameo_tap_end(w, s->dw, s->kw, s->w + s->pr);
    const ptrdiff_t rows = cameo_tap_end(h, s->dh, s->kh, s->h) - cameo_tap_first(h, s->dh);
    return cameo_most(1, rows * (cameo_tap_end(w, s->dw, s->kw, s->w) - cameo_tap_first(w, s->dw)));
}

/* All channels of an output pixel. x: under tap (0, 0). */
CAMEO_INLINE void cameo_pool_channels(const cameo_pooling *s, const cameo_pool_args *a,
                                      const float *x, float *y, cameo_window k, float scale,
                                      cameo_v *sum) {
    ptrdiff_t c = 0;
    for (; c + 4 * CAMEO_VF <= s->c; c += 4 * CAMEO_VF)
        cameo_pool_vectors(s, a, x + c, y + c, c, k, scale, 4, CAMEO_VF, sum);
    for (; c + CAMEO_VF <= s->c; c += CAMEO_VF)
        cameo_pool_vectors(s, a, x + c, y + c, c, k, scale, 1, CAMEO_VF, sum);
    if (c < s->c) cameo_pool_vectors(s, a, x + c, y + c, c, k, scale, 1, s->c % CAMEO_VF, sum);
}

/* Windows that are unrolled where they lie inside the image. */
enum { CAMEO_POOL_UNROLLED = 9 };

CAMEO_INLINE void cameo_pool_pixel(const cameo_pooling *s, const cameo_pool_args *a, const float *x,
                                   float *y, ptrdiff_t h, ptrdiff_t w, cameo_v *sum) {
    const float *p = x + (h * s->w + w) * s->x_pixel;
    const bool inside = h >= 0 && w >= 0 && h + (s->kh - 1) * s->dh < s->h &&
                        w + (s->kw - 1) * s->dw < s->w;
    if (s->kh * s->kw <= CAMEO_POOL_UNROLLED && inside) {
        const cameo_window all = {0, s->kh, 0, s->kw};
        cameo_pool_channels(s, a, p, y, all, 1.0f / (float)(s->kh * s->kw), sum);
        return;
    }
    cameo_pool_channels(s, a, p, y, cameo_window_at(s, h, w),
                        1.0f / (float)cameo_pool_cells(s, h, w), sum);
}

/* The same of a maximum, NaN and all. */
CAMEO_INLINE void cameo_pool_pixel_exact(const cameo_pooling *s, const float *x, float *y,
                                         ptrdiff_t h, ptrdiff_t w) {
    const cameo_window k = cameo_window_at(s, h, w);
    const float *first = x + ((h + k.h0 * s->dh) * s->w + w + k.w0 * s->dw) * s->x_pixel;
    cameo_pool_exact(first, y, k.h1 - k.h0, k.w1 - k.w0, s->dh * s->w * s->x_pixel,
                     s->dw * s->x_pixel, s->c);
}

/* Task i: one output row of one image. */
CAMEO_INLINE void cameo_pool_task(const cameo_pooling *s, const cameo_pool_args *a, size_t i) {
    const ptrdiff_t image = (ptrdiff_t)i / s->oh, o = (ptrdiff_t)i % s->oh;
    const float *x = a->x + image * s->h * s->w * s->x_pixel;
    float *y = a->y + (image * s->oh + o) * s->ow * s->y_pixel;
    cameo_v sum = {0};
    for (ptrdiff_t j = 0; j < s->ow; j++)
        cameo_pool_pixel(s, a, x, y + j * s->y_pixel, o * s->sh - s->pt, j * s->sw - s->pl, &sum);
    if (!s->maximum || !cameo_any_nan(sum)) return;
    for (ptrdiff_t j = 0; j < s->ow; j++)
        cameo_pool_pixel_exact(s, x, y + j * s->y_pixel, o * s->sh - s->pt, j * s->sw - s->pl);
}

/* One vector of a whole image: rows are summed first, then their sums, which keeps the rounding
   error small. */
CAMEO_INLINE void cameo_pool_whole(const cameo_pooling *s, const float *x, float *y,
                                   ptrdiff_t lanes) {
    cameo_v total = cameo_splat(s->maximum ? -INFINITY : 0.0f), sum = {0};
    for (ptrdiff_t i = 0; i < s->h; i++) {
        cameo_v row = cameo_load_part(x + i * s->w * s->x_pixel, lanes);
        sum += row;
        for (ptrdiff_t j = 1; j < s->w; j++) {
            const cameo_v v = cameo_load_part(x + (i * s->w + j) * s->x_pixel, lanes);
            row = cameo_pool_join(s, row, v), sum += v;
        }
        total = cameo_pool_join(s, total, row);
    }
    if (s->maximum && cameo_any_nan(sum)) {
        cameo_pool_exact(x, y, s->h, s->w, s->w * s->x_pixel, s->x_pixel, lanes);
        return;
    }
    cameo_store_part(y, s->maximum ? total : (cameo_v)(total / (float)(s->h * s->w)), lanes);
}

/* Task i: one image, pooled to one pixel. */
CAMEO_INLINE void cameo_global_pool_task(const cameo_pooling *s, const cameo_pool_args *a,
                                         size_t i) {
    const float *x = a->x + (ptrdiff_t)i * s->h * s->w * s->x_pixel;
    float *y = a->y + (ptrdiff_t)i * s->y_pixel;
    ptrdiff_t c = 0;
    for (; c + CAMEO_VF <= s->c; c += CAMEO_VF) cameo_pool_whole(s, x + c, y + c, CAMEO_VF);
    if (c < s->c) cameo_pool_whole(s, x + c, y + c, s->c % CAMEO_VF);
}
#endif
