/* What pools share with their gradients: which cells an output sees, as numbers and as C. */
#ifndef CAMEO_OPS_POOL_H
#define CAMEO_OPS_POOL_H
#include "../emit/emit.h"
#include "window.h"

typedef struct cell { /* what the window of one output finds: at is the offset of the first maximum
                         in the plane, -1 for none */
    double best, sum;
    int64_t at;
} cell;

/* A global pool is a pool whose window is the whole input. False when the rank is not supported. */
bool pool_global_window(const shape *x, window *w);
/* Taps [*first, *last) along axis a of output o that lie inside the input. */
void pool_inside(const window *w, int a, int64_t o, int64_t *first, int64_t *last);
cell pool_visit(const window *w, const double *plane, const int64_t o[3]);
/* The divisor of an average; pads: cells in the padding count. */
double pool_cells(const window *w, const int64_t o[3], bool pads);

/* Index text of v at image, ch and PREFIX0 .. PREFIX2. */
const char *pool_index(emitter *e, const value *v, const window *w, const char *prefix);
/* Opens the loops over the taps of output o0 .. o2: i0 .. i2 is the input's cell. Taps outside the
   input are skipped; unless `maximum`, `cells` counts what the average is divided by.
   pool_emit_close closes them. */
void pool_emit_window(text *t, const window *w, bool maximum, bool pads);
void pool_emit_close(text *t, const window *w);

/* Rules (pool_grad.c); ir/grad.h. */
bool max_pool_grad(graph *g, node *n, value *const *dout, value **din);
bool average_pool_grad(graph *g, node *n, value *const *dout, value **din);
bool global_max_pool_grad(graph *g, node *n, value *const *dout, value **din);
bool global_average_pool_grad(graph *g, node *n, value *const *dout, value **din);
#endif
