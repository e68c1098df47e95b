/* Metrics against values worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/verification/metrics.h"
#include <math.h>
#include <stdlib.h>

static const cameo_metrics_options two = {.folds = 2};

static void near(double got, double want) { assert_true(fabs(got - want) < 1e-12); }

static void auc_counts_ties_half(void **state) {
    (void)state;
    double scores[] = {0.9, 0.5, 0.5, 0.1};
    unsigned char labels[] = {1, 1, 0, 0};
    cameo_metrics m;
    assert_true(cameo_metrics_compute(scores, labels, 4, NULL, &m, NULL));
    near(m.auc, 3.5 / 4);
    near(m.eer, 0.25); /* the curve's middle piece runs from (0, 1/2) to (1/2, 1) */
    near(m.accuracy_best, 0.75);
    assert_int_equal(m.exact.count, 4);
    assert_int_equal(m.points, 4);
    cameo_metrics_free(&m);
}

static void perfect_and_reversed(void **state) {
    (void)state;
    double scores[] = {4, 3, 2, 1};
    unsigned char right[] = {1, 1, 0, 0}, wrong[] = {0, 0, 1, 1};
    cameo_metrics m;
    assert_true(cameo_metrics_compute(scores, right, 4, &two, &m, NULL));
    near(m.auc, 1), near(m.eer, 0), near(m.accuracy_best, 1), near(m.threshold_best, 3);
    cameo_metrics_free(&m);
    assert_true(cameo_metrics_compute(scores, wrong, 4, &two, &m, NULL));
    near(m.auc, 0), near(m.eer, 1), near(m.accuracy_best, 0.5);
    cameo_metrics_free(&m);
}

static void folds_are_contiguous(void **state) {
    (void)state;
    /* fold 1 learns from fold 2 and the other way round: threshold 0.6 accepts 0.7 and not 0.2;
       threshold 0.7 misses 0.6 */
    double scores[] = {0.7, 0.2, 0.6, 0.3};
    unsigned char labels[] = {1, 0, 1, 0};
    cameo_metrics m;
    assert_true(cameo_metrics_compute(scores, labels, 4, &two, &m, NULL));
    near(m.exact.accuracy[0], 1), near(m.exact.accuracy[1], 0.5), near(m.exact.mean, 0.75),
        near(m.exact.error, 0.25);
    assert_true(isnan(m.tpr[0]));
    cameo_metrics_free(&m);
}

static void one_kind_is_an_error(void **state) {
    (void)state;
    double scores[] = {1, 2};
    unsigned char labels[] = {1, 1};
    cameo_metrics m;
    cameo_error error = {0};
    assert_false(cameo_metrics_compute(scores, labels, 2, NULL, &m, &error));
    assert_int_equal(error.code, CAMEO_BAD_INPUT);
}

static void a_score_that_is_no_number_is_an_error(void **state) {
    (void)state;
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        double scores[] = {1, bad[i], 2};
        unsigned char labels[] = {1, 0, 0};
        cameo_metrics m;
        cameo_error error = {0};
        assert_false(cameo_metrics_compute(scores, labels, 3, NULL, &m, &error));
        assert_int_equal(error.code, CAMEO_BAD_INPUT);
    }
}

/* ---- against scikit-learn and SciPy: tests/oracle/make_metrics.py ---- */

static const struct reference {
    uint64_t seed;
    size_t pairs;
    double levels, share, shift, numbers[10], tpr[CAMEO_FPR_POINTS], strict[CAMEO_FPR_POINTS];
} references[] = {
#include "tests/golden/metrics.h"
};

static double draw(uint64_t *x) {
    *x = *x * 6364136223846793005u + 1442695040888963407u;
    return (double)(*x >> 33) / 2147483648.0;
}

/* The oracle's lists; all values are exact binary fractions. */
static void generate(const struct reference *r, double *scores, unsigned char *labels) {
    uint64_t x = r->seed;
    for (size_t i = 0; i < r->pairs; i++) {
        double a = draw(&x), b = draw(&x);
        labels[i] = r->pairs == 2 ? i == 1 : a < r->share;
        scores[i] = floor((b + r->shift * labels[i]) * r->levels) / r->levels / 2 - 0.25;
    }
}

static void agrees(size_t which, const char *name, double got, double want) {
    if (isnan(want)) return;
    if (!(fabs(got - want) <= 1e-9))
        fail_msg("list %zu: %s is %.17g, the oracle has %.17g", which, name, got, want);
}

static void as_the_oracle(void **state) {
    (void)state;
    static const char *const name[10] = {"auc",         "low",           "high",
                                         "eer",         "best accuracy", "exact",
                                         "exact error", "insightface",   "insightface error",
                                         "d'"};
    for (size_t k = 0; k < sizeof references / sizeof *references; k++) {
        const struct reference *r = &references[k];
        double *scores = malloc(r->pairs * sizeof *scores);
        unsigned char *labels = malloc(r->pairs);
        generate(r, scores, labels);
        cameo_metrics m;
        assert_true(cameo_metrics_compute(scores, labels, r->pairs,
                                          &(cameo_metrics_options){.grid = CAMEO_GRID_COSINE}, &m,
                                          NULL));
        const double got[10] = {m.auc,         m.auc_low,          m.auc_high,
                                m.eer,         m.accuracy_best,    m.exact.mean,
                                m.exact.error, m.insightface.mean, m.insightface.error,
                                m.d_prime};
        for (int i = 0; i < 10; i++) agrees(k, name[i], got[i], r->numbers[i]);
        for (int i = 0; i < CAMEO_FPR_POINTS; i++) {
            assert_int_equal(isnan(m.tpr[i]) != 0, isnan(r->tpr[i]) != 0);
            agrees(k, "TPR", m.tpr[i], r->tpr[i]);
            agrees(k, "strict TPR", m.tpr_strict[i], r->strict[i]);
        }
        cameo_metrics_free(&m);
        free(scores);
        free(labels);
    }
}

static int by_falling_value(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return a < b ? 1 : a > b ? -1 : 0;
}

/* The curve's thresholds are the distinct scores by falling value, whatever their sign and size;
   -0 is 0. */
static void ranks_numbers_of_every_size(void **state) {
    (void)state;
    enum { N = 5000 };
    static double scores[N], sorted[N];
    static unsigned char labels[N];
    uint64_t x = 7;
    for (size_t i = 0; i < N; i++) {
        scores[i] = ldexp(draw(&x) - 0.5, (int)(draw(&x) * 2000) - 1000);
        if (i % 7 == 0) scores[i] = i % 2 ? -0.0 : 0.0;
        if (i % 11 == 5) scores[i] = scores[i / 2];
        sorted[i] = scores[i], labels[i] = i % 3 == 0;
    }
    qsort(sorted, N, sizeof *sorted, by_falling_value);
    cameo_metrics m;
    assert_true(cameo_metrics_compute(scores, labels, N, NULL, &m, NULL));
    size_t at = 1;
    for (size_t i = 0; i < N; i++) {
        if (i && sorted[i] == sorted[i - 1]) continue;
        assert_true(at < m.points && m.roc[at].threshold == sorted[i]);
        at++;
    }
    assert_int_equal(at, m.points);
    cameo_metrics_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranks_numbers_of_every_size),
                                       cmocka_unit_test(a_score_that_is_no_number_is_an_error),
                                       cmocka_unit_test(as_the_oracle),
                                       cmocka_unit_test(auc_counts_ties_half),
                                       cmocka_unit_test(perfect_and_reversed),
                                       cmocka_unit_test(folds_are_contiguous),
                                       cmocka_unit_test(one_kind_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
