/* What pools share with their gradients: which cells an output sees, as numbers and as C. */
#ifndef CAMEO_OPS_POOL_H
#define CAMEO_OPS_POOL_H
#include "../emit/emit.h"
#include "rules.h"
#include "window.h"

typedef struct cell { /* what the window of one output finds: at is the offset of the first maximum
                         in the plane, -1 for none */
    double best, sum;
    int64_t at;
} cell;

/* The window of a node that infer has accepted, or of its gradient, with an input of this shape. A
   global pool is a pool whose window is the whole input. */
window pool_window(const node *n, const shape *x);
/* False when the rank is not supported. */
bool pool_global_window(const shape *x, window *w);
/* Taps [*first, *last) along axis a of output o that lie inside the input. */
void pool_inside(const window *w, int a, int64_t o, int64_t *first, int64_t *last);
cell pool_visit(const window *w, const double *plane, const int64_t o[3]);
/* The divisor of an average; pads: cells in the padding count. */
double pool_cells(const window *w, const int64_t o[3], bool pads);

/* Index of v at image, ch and the window's counters. */
const char *pool_index(emitter *e, const value *v, const window *w, const char *prefix);
/* What window_taps() opens, and counts in `cells` what an average is divided by. */
void pool_emit_cells(text *t, const window *w, bool pads);

gradient_rule max_pool_grad, average_pool_grad, global_average_pool_grad; /* pool_grad.c */
#endif
