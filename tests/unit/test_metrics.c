/* Metrics against values worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "metrics.h"
#include <math.h>

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
    /* fold 1 learns from fold 2 and the other way round: threshold 0.6 accepts 0.7 and not 0.2; threshold 0.7 misses 0.6 */
    double scores[] = {0.7, 0.2, 0.6, 0.3};
    unsigned char labels[] = {1, 0, 1, 0};
    cameo_metrics m;
    assert_true(cameo_metrics_compute(scores, labels, 4, &two, &m, NULL));
    near(m.exact.accuracy[0], 1), near(m.exact.accuracy[1], 0.5), near(m.exact.mean, 0.75), near(m.exact.error, 0.25);
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(auc_counts_ties_half), cmocka_unit_test(perfect_and_reversed),
                                       cmocka_unit_test(folds_are_contiguous), cmocka_unit_test(one_kind_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
