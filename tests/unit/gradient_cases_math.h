/* Gradient cases of arithmetic, activations, reductions and products. See gradient_case.h. */
#ifndef CAMEO_TESTS_GRADIENT_CASES_MATH_H
#define CAMEO_TESTS_GRADIENT_CASES_MATH_H
#include "gradient_case.h"

static const gradient_case gradients_arithmetic[] = {
    {"Add", "Add", 14, .in = {WANTED(3, D(2, 3, 5)), WANTED(3, D(2, 3, 5))}},
    {"Add both stretched", "Add", 14, .in = {WANTED(3, D(3, 1, 5)), WANTED(2, D(7, 1))}},
    {"Add scalar", "Add", 14, .in = {WANTED(2, D(3, 5)), WANTED(0, D(0))}},
    {"Add twice the same", "Add", 14, .in = {WANTED(2, D(3, 5)), SAME(0)}},
    {"Add-6 axis", "Add", 6, .in = {WANTED(3, D(2, 3, 5)), WANTED(1, D(3))}, .attrs = {I("broadcast", 1), I("axis", 1)}},
    {"Mul", "Mul", 14, .in = {WANTED(2, D(3, 5)), WANTED(2, D(3, 5))}},
    {"Mul stretched", "Mul", 14, .in = {WANTED(1, D(5)), WANTED(4, D(2, 3, 1, 1))}},
    {"Mul squares", "Mul", 14, .in = {WANTED(2, D(3, 5)), SAME(0)}},
    {"Mul one wanted", "Mul", 14, .in = {FREE(2, D(3, 5)), WANTED(2, D(1, 5))}},
    {"Mul-6 axis", "Mul", 6, .in = {WANTED(3, D(2, 3, 5)), WANTED(1, D(3))}, .attrs = {I("broadcast", 1), I("axis", 1)}},
};

static const gradient_case gradients_activation[] = {
    {"Relu", "Relu", 14, .in = {WANTED(3, D(2, 3, 5))}},
};

static const gradient_case gradients_reduce[] = {
    {"ReduceSum all", "ReduceSum", 13, .in = {WANTED(3, D(2, 3, 5))}},
    {"ReduceSum axes", "ReduceSum", 13, .in = {WANTED(3, D(2, 3, 5)), INT_LIST(2, 0, -1)}, .attrs = {I("keepdims", 0)}},
    {"ReduceSum none", "ReduceSum", 13, .in = {WANTED(3, D(2, 3, 5))}, .attrs = {I("noop_with_empty_axes", 1)}},
    {"ReduceSum-11", "ReduceSum", 11, .in = {WANTED(3, D(2, 3, 5))}, .attrs = {L("axes", 1, 1)}},
};
#endif
