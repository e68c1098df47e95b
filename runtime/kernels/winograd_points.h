/* The points of Winograd's convolutions F(m, r). A tile of n = m + r - 1 numbers is the
   coefficients of a polynomial, which is evaluated at 0, at n / 2 - 1 pairs of points +-p, and at
   infinity. The choice of the points decides the error: they are pairs that are about reciprocal,
   neither near each other nor near 0. Those of n = 8 and 10 and all their products below are floats
   exactly, or nearly. docs/internals/winograd.md has a tile with all its numbers. */
#ifndef CAMEO_KERNELS_WINOGRAD_POINTS_H
#define CAMEO_KERNELS_WINOGRAD_POINTS_H
#include "vector.h"

enum {
    CAMEO_WINOGRAD_EDGE = 10,
    CAMEO_WINOGRAD_PAIRS = 4,
    CAMEO_WINOGRAD_M = 4,
    CAMEO_WINOGRAD_R = 7
}; /* the most */

/* The float nearest to sqrt(1/2), and its double. */
#define CAMEO_WINOGRAD_A 0.70710678f
#define CAMEO_WINOGRAD_B 1.41421356f

typedef struct cameo_winograd_points {
    float p[CAMEO_WINOGRAD_PAIRS];
    float power[CAMEO_WINOGRAD_PAIRS][CAMEO_WINOGRAD_M]; /* p^0 ... of each */
    /* Coefficients, from x^0, of the product of (x^2 - p^2) of all pairs, and of all but one: rows
       of B'. */
    float all[CAMEO_WINOGRAD_PAIRS + 1], but[CAMEO_WINOGRAD_PAIRS][CAMEO_WINOGRAD_PAIRS];
} cameo_winograd_points;

/* s: p^2. */
#define CAMEO_POWERS(p, s) \
    { 1, (float)(p), (float)(s), (float)((p) * (s)) }
#define CAMEO_ROOT(a) -(a), 1
#define CAMEO_ROOTS2(a, b) (a) * (b), -(a) - (b), 1
#define CAMEO_ROOTS3(a, b, c)                                              \
    (float)(-(a) * (b) * (c)), (float)((a) * (b) + (a) * (c) + (b) * (c)), \
        (float)(-(a) - (b) - (c)), 1
#define CAMEO_ROOTS4(a, b, c, d)                                                         \
    (float)((a) * (b) * (c) * (d)),                                                      \
        (float)(-(a) * (b) * (c) - (a) * (b) * (d) - (a) * (c) * (d) - (b) * (c) * (d)), \
        (float)((a) * (b) + (a) * (c) + (a) * (d) + (b) * (c) + (b) * (d) + (c) * (d)),  \
        (float)(-(a) - (b) - (c) - (d)), 1
#define CAMEO_S0 (49. / 256)
#define CAMEO_S1 (9. / 16)
#define CAMEO_S2 (25. / 16)
#define CAMEO_S3 (81. / 16)

/* n: 4, 6, 8 or 10. */
CAMEO_INLINE const cameo_winograd_points *cameo_winograd_points_of(ptrdiff_t n) {
    static const cameo_winograd_points points[] = {
        {.p = {1}, .power = {CAMEO_POWERS(1, 1)}, .all = {CAMEO_ROOT(1)}, .but = {{1}}},
        {.p = {CAMEO_WINOGRAD_A, CAMEO_WINOGRAD_B},
         .power = {CAMEO_POWERS(CAMEO_WINOGRAD_A, 0.5f), CAMEO_POWERS(CAMEO_WINOGRAD_B, 2)},
         .all = {CAMEO_ROOTS2(0.5f, 2)},
         .but = {{CAMEO_ROOT(2)}, {CAMEO_ROOT(0.5f)}}},
        {.p = {0.5f, 1, 2},
         .power = {CAMEO_POWERS(0.5, 0.25), CAMEO_POWERS(1, 1), CAMEO_POWERS(2, 4)},
         .all = {CAMEO_ROOTS3(0.25, 1, 4)},
         .but = {{CAMEO_ROOTS2(1, 4)}, {CAMEO_ROOTS2(0.25f, 4)}, {CAMEO_ROOTS2(0.25f, 1)}}},
        {.p = {7.f / 16, 3.f / 4, 5.f / 4, 9.f / 4},
         .power = {CAMEO_POWERS(7. / 16, CAMEO_S0), CAMEO_POWERS(3. / 4, CAMEO_S1),
                   CAMEO_POWERS(5. / 4, CAMEO_S2), CAMEO_POWERS(9. / 4, CAMEO_S3)},
         .all = {CAMEO_ROOTS4(CAMEO_S0, CAMEO_S1, CAMEO_S2, CAMEO_S3)},
         .but = {{CAMEO_ROOTS3(CAMEO_S1, CAMEO_S2, CAMEO_S3)},
                 {CAMEO_ROOTS3(CAMEO_S0, CAMEO_S2, CAMEO_S3)},
                 {CAMEO_ROOTS3(CAMEO_S0, CAMEO_S1, CAMEO_S3)},
                 {CAMEO_ROOTS3(CAMEO_S0, CAMEO_S1, CAMEO_S2)}}}};
    return &points[n / 2 - 2];
}

/* G, n rows of r columns: powers of each point over the product of its differences from the
   others. */
static inline void cameo_winograd_g_matrix(ptrdiff_t n, ptrdiff_t r,
                                           double g[CAMEO_WINOGRAD_EDGE][CAMEO_WINOGRAD_R]) {
    double p[CAMEO_WINOGRAD_EDGE] = {0};
    for (ptrdiff_t i = 1; i < n - 1; i++) {
        const double pair = (double)cameo_winograd_points_of(n)->p[(i - 1) / 2];
        p[i] = i % 2 ? pair : -pair;
    }
    for (ptrdiff_t i = 0; i < n - 1; i++) {
        g[i][0] = 1;
        for (ptrdiff_t j = 0; j < n - 1; j++)
            if (j != i) g[i][0] /= p[i] - p[j];
        for (ptrdiff_t k = 1; k < r; k++) g[i][k] = g[i][k - 1] * p[i];
    }
    for (ptrdiff_t k = 0; k < r; k++) g[n - 1][k] = k == r - 1;
}
#endif
