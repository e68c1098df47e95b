/* Gradients of pools, NHWC. An image is a task: its windows overlap, and are added in row-major
   order. Rows of dx are cleared just before the first window that reaches them, while they are
   about to be used. */
#ifndef CAMEO_KERNELS_POOL_GRAD_H
#define CAMEO_KERNELS_POOL_GRAD_H
#include "pool.h"

typedef struct cameo_pool_grad_args {
    const float *dy, *x; /* y_pixel and x_pixel of the shape; x: only of a maximum */
    float *dx;           /* dx_pixel */
} cameo_pool_grad_args;

/* Number of the tap with the largest value, lane by lane. The first of equals wins, and the first
   NaN over all. */
CAMEO_INLINE cameo_vi cameo_pool_winner(const cameo_pooling *s, const float *x,
                                        const cameo_window *k, ptrdiff_t lanes) {
    cameo_v best = cameo_load_part(x + (k->h0 * s->dh * s->w + k->w0 * s->dw) * s->x_pixel, lanes);
    cameo_vi at = (cameo_vi){0} + (int32_t)(k->h0 * s->kw + k->w0);
    for (ptrdiff_t i = k->h0; i < k->h1; i++)
        for (ptrdiff_t j = k->w0; j < k->w1; j++) {
            const cameo_v v = cameo_load_part(x + (i * s->dh * s->w + j * s->dw) * s->x_pixel,
                                              lanes);
            const cameo_vi better = ~(cameo_vi)(v <= best) & (cameo_vi)(best == best);
            best = cameo_select(better, v, best);
            at = (better & (int32_t)(i * s->kw + j)) | (~better & at);
        }
    return at;
}

/* Adds dy where `at` says, or everywhere for an average. x and dx: the window's first tap. */
CAMEO_INLINE void cameo_pool_spread(const cameo_pooling *s, cameo_v dy, const float *x, float *dx,
                                    const cameo_window *k, ptrdiff_t lanes) {
    const cameo_v zero = {0};
    cameo_vi at = {0};
    if (s->maximum) at = cameo_pool_winner(s, x, k, lanes);
    for (ptrdiff_t i = k->h0; i < k->h1; i++)
        for (ptrdiff_t j = k->w0; j < k->w1; j++) {
            float *p = dx + (i * s->dh * s->w + j * s->dw) * s->dx_pixel;
            const cameo_v v = s->maximum ? cameo_select((cameo_vi)(at == (int32_t)(i * s->kw + j)),
                                                        dy, zero)
                                         : dy;
            cameo_store_part(p, cameo_load_part(p, lanes) + v, lanes);
        }
}

CAMEO_INLINE void cameo_pool_grad_pixel(const cameo_pooling *s, const float *dy, const float *x,
                                        float *dx, ptrdiff_t h, ptrdiff_t w) {
    const cameo_window k = cameo_window_at(s, h, w);
    const ptrdiff_t first = h * s->w + w;
    if (k.h0 >= k.h1 || k.w0 >= k.w1) return;
    const float scale = s->maximum ? 1.0f : 1.0f / (float)cameo_pool_cells(s, h, w);
    ptrdiff_t c = 0;
    for (; c + CAMEO_VF <= s->c; c += CAMEO_VF)
        cameo_pool_spread(s, cameo_load(dy + c) * scale, x + first * s->x_pixel + c,
                          dx + first * s->dx_pixel + c, &k, CAMEO_VF);
    if (c < s->c)
        cameo_pool_spread(s, cameo_load_part(dy + c, s->c % CAMEO_VF) * scale,
                          x + first * s->x_pixel + c, dx + first * s->dx_pixel + c, &k,
                          s->c % CAMEO_VF);
}

/* Clears rows from..to-1 of an image. */
CAMEO_INLINE void cameo_pool_clear(const cameo_pooling *s, float *dx, ptrdiff_t from,
                                   ptrdiff_t to) {
    for (ptrdiff_t p = from * s->w; p < to * s->w; p++)
        memset(dx + p * s->dx_pixel, 0, (size_t)s->c * sizeof *dx);
}

/* Task i: one image. */
CAMEO_INLINE void cameo_pool_grad_task(const cameo_pooling *s, const cameo_pool_grad_args *a,
                                       size_t i) {
    const ptrdiff_t image = (ptrdiff_t)i, pixels = s->h * s->w;
    const float *dy = a->dy + image * s->oh * s->ow * s->y_pixel;
    float *dx = a->dx + image * pixels * s->dx_pixel;
    /* An average reads no x, but places in it are computed, which C leaves undefined for NULL. */
    const float *x = s->maximum ? a->x + image * pixels * s->x_pixel : dx;
    ptrdiff_t clear = 0; /* rows that are */
    for (ptrdiff_t o = 0; o < s->oh; o++) {
        const ptrdiff_t h = o * s->sh - s->pt, end = cameo_least(s->h, h + (s->kh - 1) * s->dh + 1);
        if (end > clear) cameo_pool_clear(s, dx, clear, end), clear = end;
        for (ptrdiff_t j = 0; j < s->ow; j++, dy += s->y_pixel)
            cameo_pool_grad_pixel(s, dy, x, dx, h, j * s->sw - s->pl);
    }
    cameo_pool_clear(s, dx, clear, s->h);
}

CAMEO_INLINE void cameo_pool_fill(const cameo_pooling *s, const float *dy, float *dx, ptrdiff_t c,
                                  ptrdiff_t lanes) {
    const cameo_v v = cameo_load_part(dy + c, lanes) / (float)(s->h * s->w);
    for (ptrdiff_t p = 0; p < s->h * s->w; p++)
        cameo_store_part(dx + p * s->dx_pixel + c, v, lanes);
}

/* Task i: one image, of a global average. */
CAMEO_INLINE void cameo_global_pool_grad_task(const cameo_pooling *s, const cameo_pool_grad_args *a,
                                              size_t i) {
    const float *dy = a->dy + (ptrdiff_t)i * s->y_pixel;
    float *dx = a->dx + (ptrdiff_t)i * s->h * s->w * s->dx_pixel;
    ptrdiff_t c = 0;
    for (; c + CAMEO_VF <= s->c; c += CAMEO_VF) cameo_pool_fill(s, dy, dx, c, CAMEO_VF);
    if (c < s->c) cameo_pool_fill(s, dy, dx, c, s->c % CAMEO_VF);
}
#endif
