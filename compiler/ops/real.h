/* What the references of elementwise functions are written with, in double. */
#ifndef CAMEO_OPS_REAL_H
#define CAMEO_OPS_REAL_H
#include <math.h>

/* Of operands x and parameters p. */
#define REAL(name, expression)                                    \
    static double real_##name(const double *x, const double *p) { \
        (void)p;                                                  \
        return (expression);                                      \
    }

static inline double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static inline double square(double x) { return x * x; }
static inline double within(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}
/* log(1 + exp(x)) without overflow */
static inline double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
#endif
