/* What tests of kernel templates share: random operands, guarded results, activations in double,
   the comparison. */
#ifndef CAMEO_TESTS_KERNEL_CASE_H
#define CAMEO_TESTS_KERNEL_CASE_H
#include "../../compiler/ops/real.h"
#include "kernels/all.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { GUARD = 64 };
static const float guard_value = 12345.5f;

static uint32_t seed = 1;
static inline float uniform(void) {
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / 8388608.0f - 1;
}

/* Whether inputs hold a few NaN and infinities: results must hold them at the same places as the
   reference's. */
static bool non_finite;
#define WITHOUT_AND_WITH_ODD(call) \
    do {                           \
        call;                      \
        non_finite = true;         \
        call;                      \
        non_finite = false;        \
    } while (0)

/* Without memory behind the last float, so that a sanitizer sees what reads there. */
static inline float *floats(ptrdiff_t n) {
    float *p = malloc((size_t)(n > 0 ? n : 1) * sizeof *p);
    assert_non_null(p);
    for (ptrdiff_t i = 0; i < n; i++) p[i] = uniform();
    return p;
}

/* An input. */
static inline float *inputs(ptrdiff_t n) {
    static const float numbers[] = {NAN, INFINITY, -INFINITY, -0.0f, NAN};
    float *p = floats(n);
    for (int i = 0; non_finite && n > 0 && i < 5; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[(ptrdiff_t)(seed >> 8) % n] = numbers[i];
    }
    return p;
}

static inline float *guarded(ptrdiff_t n) {
    float *p = floats(n + 2 * GUARD);
    for (ptrdiff_t i = 0; i < n + 2 * GUARD; i++) p[i] = guard_value;
    return p + GUARD;
}

static inline void check_guards(const float *y, ptrdiff_t n) {
    for (ptrdiff_t i = 1; i <= GUARD; i++)
        assert_true(y[-i] == guard_value && y[n + i - 1] == guard_value);
}

/* By the references of act.def. */
static inline double activate(const cameo_act *a, double v, double slope) {
    const double x[] = {v, slope}, p[] = {(double)a->a, (double)a->b};
    switch (a->kind) {
// clang-format off
#define ACT_FUSED(kind, name, flags, function, first, value, second, value2, text, real, vector) \
    case CAMEO_##kind: return real;
#include "kernels/act.def"
        // clang-format on
    default: return NAN;
    }
}

static inline void check(double got, double want, double bound) {
    if (got == want || (isnan(got) && isnan(want))) return;
    if (!isfinite(got) || !isfinite(want) || fabs(got - want) > bound + 3e-7 * fabs(want) + 2e-7)
        fail_msg("%.9g instead of %.9g (allowed %.3g)", got, want, bound);
}

enum { IMAGES = 2 };

static inline ptrdiff_t up(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b * b; }
#endif
