/* The plan of a Winograd convolution: what compiler/kernels decides about one instantiation of
   runtime/kernels/winograd_conv.h. */
#ifndef CAMEO_COMPILER_WINOGRAD_PLAN_H
#define CAMEO_COMPILER_WINOGRAD_PLAN_H
#include "conv_plan.h"

typedef struct winograd_plan {
    cameo_winograd s; /* given: maps, window, residual, tile's extents and act; the rest is chosen
                         here */
    int64_t n;        /* images */
    bool counted;     /* their number is a literal, so that their tiles are counted together */
    int64_t lanes;    /* 0: stages */
} winograd_plan;

/* vectors: of the block the weights are packed in, 0 = free. */
void winograd_plan_choose(winograd_plan *p, const target *t, int64_t vectors);
double winograd_plan_cycles(const winograd_plan *p, const target *t); /* of all images, one core */
int64_t winograd_plan_weights(const winograd_plan *p, const target *t); /* floats of the transformed
                                                                           weights */
int64_t winograd_plan_work(const winograd_plan *p);           /* floats of scratch memory */
void winograd_plan_print(emitter *e, const winograd_plan *p); /* $F_shape and tasks */
/* The statements that run it; the names of C expressions: weights, bias, slope, residual, output;
   images: how many. */
void winograd_plan_run(emitter *e, const winograd_plan *p, const char *arguments,
                       const char *images);
/* U = G w G' in double, [element][co / block][ci][block]; w: [co][ci][rh][rw]. */
void winograd_plan_transform(const winograd_plan *p, const target *t, const float *w, float *u);
#endif
