/* What the normalisations (normalize.c) share with training (normalize_grad.c). */
#ifndef CAMEO_OPS_NORMALIZE_H
#define CAMEO_OPS_NORMALIZE_H
#include "lanes.h"
#include "rules.h"

typedef struct moments {
    double mean, variance, factor; /* variance is the biased one; factor = 1 / sqrt(variance +
                                      epsilon) */
} moments;

/* Mean and variance of a lane in two passes; epsilon is n's attribute. */
moments lane_moments(const node *n, const tensor *x, const lanes *l, int64_t lane);
/* The same in C (lanes_emit), of in0: variables mean, squares (sum of squared deviations) and
   factor. */
const char *lane_moments_text(emitter *e, const node *n);

typedef struct lrn {
    double bias, factor, beta; /* factor: alpha / size */
    int64_t before, after;     /* channels of the window */
} lrn;
lrn lrn_of(const node *n);

gradient_rule batchnorm_eval_grad, instance_norm_grad, layer_norm_grad, lrn_grad;
#endif
