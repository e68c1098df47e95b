/* Elementwise passes over NHWC pixels: scale and shift, activation, sum and product of two
   tensors. */
#ifndef CAMEO_KERNELS_ELEMENTWISE_H
#define CAMEO_KERNELS_ELEMENTWISE_H
#include "vector.h"

typedef struct cameo_elementwise_args {
    const float *x, *scale, *shift, *slope, *r;
    float *y;
    ptrdiff_t total; /* pixels of this run */
} cameo_elementwise_args;

CAMEO_INLINE void cameo_elementwise_vector(const cameo_elementwise *s,
                                           const cameo_elementwise_args *a, ptrdiff_t p,
                                           ptrdiff_t c, ptrdiff_t lanes) {
    cameo_v v = cameo_load_part(a->x + p * s->x_pixel + c, lanes);
    if (s->scale) v *= cameo_load(a->scale + c);
    if (s->shift) v += cameo_load(a->shift + c);
    if (s->r_pixel) {
        const cameo_v r = cameo_load_part(a->r + p * s->r_pixel + c, lanes);
        v = s->product ? v * r : v + r;
    }
    const cameo_v slope = s->act.kind == CAMEO_PRELU ? cameo_load(a->slope + c) : v;
    cameo_store_part(a->y + p * s->y_pixel + c, cameo_activate(&s->act, v, slope), lanes);
}

/* Task i: s->pixels neighbouring pixels. scale, shift and slope are padded to whole vectors. y may
   be x or r. */
CAMEO_INLINE void cameo_elementwise_task(const cameo_elementwise *s,
                                         const cameo_elementwise_args *a, size_t i) {
    const ptrdiff_t first = (ptrdiff_t)i * s->pixels,
                    end = cameo_least(a->total, first + s->pixels);
    for (ptrdiff_t p = first; p < end; p++) {
        ptrdiff_t c = 0;
        for (; c + CAMEO_VF <= s->c; c += CAMEO_VF) cameo_elementwise_vector(s, a, p, c, CAMEO_VF);
        if (s->c % CAMEO_VF) cameo_elementwise_vector(s, a, p, c, s->c % CAMEO_VF);
    }
}
#endif
