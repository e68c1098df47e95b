/* Copies between NCHW and NHWC, in blocks that keep both sides in cache. */
#ifndef CAMEO_KERNELS_REORDER_H
#define CAMEO_KERNELS_REORDER_H
#include "vector.h"

enum { CAMEO_REORDER_PIXELS = 64, CAMEO_REORDER_CHANNELS = 16 };

typedef struct cameo_reorder_args {
    const float *x;
    float *y;
} cameo_reorder_args;

CAMEO_INLINE ptrdiff_t cameo_reorder_tasks(const cameo_reorder *s) {
    return cameo_ceil(s->pixels, CAMEO_REORDER_PIXELS);
}

/* Task i: 64 pixels of one image, all channels. */
CAMEO_INLINE void cameo_to_nhwc_task(const cameo_reorder *s, const cameo_reorder_args *a,
                                     size_t i) {
    const ptrdiff_t tasks = cameo_reorder_tasks(s), image = (ptrdiff_t)i / tasks;
    const ptrdiff_t first = (ptrdiff_t)i % tasks * CAMEO_REORDER_PIXELS,
                    end = cameo_least(s->pixels, first + CAMEO_REORDER_PIXELS);
    const float *x = a->x + image * s->c * s->pixels;
    float *y = a->y + image * s->pixels * s->y_pixel;
    for (ptrdiff_t c = 0; c < s->c; c += CAMEO_REORDER_CHANNELS) {
        const ptrdiff_t last = cameo_least(s->c, c + CAMEO_REORDER_CHANNELS);
        for (ptrdiff_t p = first; p < end; p++)
            for (ptrdiff_t j = c; j < last; j++) y[p * s->y_pixel + j] = x[j * s->pixels + p];
    }
}

CAMEO_INLINE void cameo_to_nchw_task(const cameo_reorder *s, const cameo_reorder_args *a,
                                     size_t i) {
    const ptrdiff_t tasks = cameo_reorder_tasks(s), image = (ptrdiff_t)i / tasks;
    const ptrdiff_t first = (ptrdiff_t)i % tasks * CAMEO_REORDER_PIXELS,
                    end = cameo_least(s->pixels, first + CAMEO_REORDER_PIXELS);
    const float *x = a->x + image * s->pixels * s->x_pixel;
    float *y = a->y + image * s->c * s->pixels;
    for (ptrdiff_t c = 0; c < s->c; c += CAMEO_REORDER_CHANNELS) {
        const ptrdiff_t last = cameo_least(s->c, c + CAMEO_REORDER_CHANNELS);
        for (ptrdiff_t j = c; j < last; j++)
            for (ptrdiff_t p = first; p < end; p++) y[j * s->pixels + p] = x[p * s->x_pixel + j];
    }
}
#endif
