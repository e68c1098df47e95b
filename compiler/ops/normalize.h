/* What the normalisations (normalize.c) share with training (normalize_grad.c). */
#ifndef CAMEO_OPS_NORMALIZE_H
#define CAMEO_OPS_NORMALIZE_H
#include "lanes.h"

typedef struct moments {
    double mean, variance, factor; /* variance is the biased one; factor = 1 / sqrt(variance +
                                      epsilon) */
} moments;

/* Mean and variance in two passes, of length elements x[base + step[i]]; epsilon is n's
   attribute. */
moments lane_moments(const node *n, const tensor *x, int64_t base, const int64_t *step,
                     int64_t length);
/* The same in C, of in0: variables mean, squares (sum of squared deviations) and factor. Between
   lanes_open and lanes_close. */
void lane_emit_moments(struct emitter *e, const node *n, const lanes *l);

typedef struct lrn {
    double bias, factor, beta; /* factor: alpha / size */
    int64_t before, after;     /* channels of the window */
} lrn;
lrn lrn_of(const node *n);

/* Rules (normalize_grad.c); ir/grad.h. */
bool batchnorm_eval_grad(graph *g, node *n, value *const *dout, value **din);
bool instance_norm_grad(graph *g, node *n, value *const *dout, value **din);
bool layer_norm_grad(graph *g, node *n, value *const *dout, value **din);
bool lrn_grad(graph *g, node *n, value *const *dout, value **din);
#endif
