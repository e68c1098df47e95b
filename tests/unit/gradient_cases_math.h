/* Gradient cases of arithmetic, activations, reductions and products. See gradient_case.h. */
#ifndef CAMEO_TESTS_GRADIENT_CASES_MATH_H
#define CAMEO_TESTS_GRADIENT_CASES_MATH_H
#include "gradient_case.h"

#define AXIS_1 .attrs = {I("broadcast", 1), I("axis", 1)}
#define ABOVE(r, ...) WANTED_IN(0.3, 1.9, r, __VA_ARGS__) /* positive, where a logarithm or a root is taken */

static const gradient_case gradients_arithmetic[] = {
    {"Add", "Add", 14, .in = {WANTED(3, D(2, 3, 5)), WANTED(3, D(2, 3, 5))}},
    {"Add both stretched", "Add", 14, .in = {WANTED(3, D(3, 1, 5)), WANTED(2, D(7, 1))}},
    {"Add scalar", "Add", 14, .in = {WANTED(2, D(3, 5)), WANTED(0, D(0))}},
    {"Add twice the same", "Add", 14, .in = {WANTED(2, D(3, 5)), SAME(0)}},
    {"Add-6 axis", "Add", 6, .in = {WANTED(3, D(2, 3, 5)), WANTED(1, D(3))}, AXIS_1},
    {"Add images", "Add", 14, .in = {WANTED(4, D(2, 3, 5, 7)), WANTED(4, D(1, 3, 1, 1))}},
    {"Sub", "Sub", 14, .in = {WANTED(2, D(3, 5)), WANTED(2, D(3, 5))}},
    {"Sub stretched", "Sub", 14, .in = {WANTED(1, D(5)), WANTED(3, D(2, 3, 1))}},
    {"Sub-6 axis", "Sub", 6, .in = {WANTED(3, D(2, 3, 5)), WANTED(1, D(3))}, AXIS_1},
    {"Mul", "Mul", 14, .in = {WANTED(2, D(3, 5)), WANTED(2, D(3, 5))}},
    {"Mul stretched", "Mul", 14, .in = {WANTED(1, D(5)), WANTED(4, D(2, 3, 1, 1))}},
    {"Mul squares", "Mul", 14, .in = {WANTED(2, D(3, 5)), SAME(0)}},
    {"Mul one wanted", "Mul", 14, .in = {FREE(2, D(3, 5)), WANTED(2, D(1, 5))}},
    {"Mul-6 axis", "Mul", 6, .in = {WANTED(3, D(2, 3, 5)), WANTED(1, D(3))}, AXIS_1},
    {"Mul squeeze and excite", "Mul", 14, .in = {WANTED(4, D(2, 3, 5, 3)), WANTED(4, D(2, 3, 1, 1))}},
    {"Div", "Div", 14, .in = {WANTED(2, D(3, 5)), ABOVE(2, D(3, 5))}},
    {"Div stretched", "Div", 14, .in = {WANTED(2, D(3, 1)), ABOVE(3, D(2, 1, 5))}},
    {"Div-6 axis", "Div", 6, .in = {WANTED(3, D(2, 3, 5)), ABOVE(1, D(3))}, AXIS_1},
    {"Pow", "Pow", 15, .in = {ABOVE(2, D(3, 5)), WANTED(2, D(3, 5))}},
    {"Pow stretched", "Pow", 15, .in = {ABOVE(2, D(3, 1)), WANTED(1, D(5))}},
    {"Pow square", "Pow", 15, .in = {WANTED(2, D(3, 5)), CONST(DT_INT64, 0, D(0), 2)}},
    {"Pow-6 axis", "Pow", 6, .in = {ABOVE(3, D(2, 3, 5)), WANTED(1, D(3))}, AXIS_1},
    {"Sum", "Sum", 13, .in = {WANTED(2, D(3, 5)), WANTED(1, D(5)), WANTED(2, D(3, 1))}},
    {"Sum-6", "Sum", 6, .in = {WANTED(2, D(3, 5)), WANTED(2, D(3, 5))}},
    {"Mean", "Mean", 13, .in = {WANTED(2, D(3, 5)), WANTED(1, D(5)), WANTED(2, D(3, 1))}},
    {"Mean-6", "Mean", 6, .in = {WANTED(2, D(3, 5))}},
    {"Max", "Max", 13, .in = {WANTED(2, D(3, 5)), WANTED_IN(-1.4, 1.6, 1, D(5)), WANTED_IN(-1.3, 1.5, 2, D(3, 1))}},
    {"Max-6", "Max", 6, .in = {WANTED(2, D(3, 5)), WANTED_IN(-1.4, 1.6, 2, D(3, 5))}},
    {"Max of equal ones", "Max", 13, .in = {WANTED(2, D(3, 5)), SAME(0)}},
    {"Min", "Min", 13, .in = {WANTED(2, D(3, 5)), WANTED_IN(-1.4, 1.6, 1, D(5)), FREE_IN(-1.3, 1.5, 2, D(3, 1))}},
    {"Min-6", "Min", 6, .in = {WANTED(2, D(3, 5)), WANTED_IN(-1.4, 1.6, 2, D(3, 5))}},
    {"Where", "Where", 16, .in = {GIVEN(DT_BOOL, 1, D(5), 1, 0, 0, 1, 1), WANTED(2, D(3, 5)), WANTED(2, D(3, 1))}},
    {"Where stretched", "Where", 16, .in = {GIVEN(DT_BOOL, 2, D(3, 1), 1, 0, 1), WANTED(1, D(5)), WANTED(0, D(0))}},
    {"Cast", "Cast", 13, .in = {WANTED(2, D(3, 5))}, .attrs = {I("to", DT_DOUBLE)}},
    {"Cast-1", "Cast", 1, .in = {WANTED(2, D(3, 5))}, .attrs = {S("to", "DOUBLE")}},
    {"Abs", "Abs", 13, .in = {WANTED(2, D(3, 5))}},
    {"Neg", "Neg", 13, .in = {WANTED(2, D(3, 5))}},
    {"Exp", "Exp", 13, .in = {WANTED(2, D(3, 5))}},
    {"Log", "Log", 13, .in = {ABOVE(2, D(3, 5))}},
    {"Sqrt", "Sqrt", 13, .in = {ABOVE(2, D(3, 5))}},
    {"Reciprocal", "Reciprocal", 13, .in = {ABOVE(2, D(3, 5))}},
    {"Erf", "Erf", 13, .in = {WANTED(2, D(3, 5))}},
    {"Sin", "Sin", 7, .in = {WANTED(2, D(3, 5))}},
    {"Cos", "Cos", 7, .in = {WANTED(2, D(3, 5))}},
};

static const gradient_case gradients_activation[] = {
    {"Relu", "Relu", 14, .in = {WANTED(3, D(2, 3, 5))}},
    {"Relu images", "Relu", 14, .in = {WANTED(4, D(2, 3, 5, 3))}},
    {"LeakyRelu", "LeakyRelu", 6, .in = {WANTED(2, D(3, 5))}, .attrs = {F("alpha", 0.25)}},
    {"LeakyRelu default", "LeakyRelu", 16, .in = {WANTED(2, D(3, 5))}},
    {"PRelu", "PRelu", 16, .in = {WANTED(4, D(2, 3, 5, 3)), WANTED(3, D(3, 1, 1))}},
    {"PRelu one slope", "PRelu", 9, .in = {WANTED(3, D(2, 3, 5)), WANTED(1, D(1))}},
    {"PRelu each", "PRelu", 9, .in = {WANTED(2, D(3, 5)), WANTED(2, D(3, 5))}},
    {"PRelu-6 channels", "PRelu", 6, .in = {WANTED(4, D(2, 3, 5, 3)), WANTED(1, D(3))}},
    {"PRelu-6 one slope", "PRelu", 1, .in = {WANTED(3, D(2, 3, 5)), WANTED(1, D(1))}},
    {"PRelu slope only", "PRelu", 16, .in = {FREE(4, D(2, 3, 5, 3)), WANTED(3, D(3, 1, 1))}},
    {"Sigmoid", "Sigmoid", 13, .in = {WANTED(2, D(3, 5))}},
    {"Tanh", "Tanh", 13, .in = {WANTED(2, D(3, 5))}},
    {"Clip-1", "Clip", 1, .in = {WANTED(2, D(3, 5))}, .attrs = {F("max", 0.5)}},
    {"Clip-6", "Clip", 6, .in = {WANTED(2, D(3, 5))}, .attrs = {F("min", -0.5), F("max", 0.75)}},
    {"Clip-6 default", "Clip", 6, .in = {WANTED(2, D(3, 5))}},
    {"Clip-11", "Clip", 13, .in = {WANTED(2, D(3, 5)), CONST(DT_NONE, 0, D(0), -0.5), CONST(DT_NONE, 0, D(0), 0.75)}},
    {"Clip-11 high", "Clip", 11, .in = {WANTED(2, D(3, 5)), NONE, CONST(DT_NONE, 0, D(0), 0.75)}},
    {"Clip-11 computed", "Clip", 13, .in = {WANTED(2, D(3, 5)), GIVEN(DT_NONE, 0, D(0), -0.5)}},
    {"Clip-11 wanted bounds", "Clip", 13,
     .in = {WANTED(2, D(3, 5)), WANTED_IN(-0.6, -0.5, 0, D(0)), WANTED_IN(0.5, 0.6, 0, D(0))}},
    {"Clip-11 wanted bound", "Clip", 12, .in = {FREE(2, D(3, 5)), NONE, WANTED_IN(0.2, 0.3, 0, D(0))}},
    {"HardSigmoid", "HardSigmoid", 6, .in = {WANTED_IN(-3.3, 3.6, 2, D(3, 5))}},
    {"HardSigmoid alpha", "HardSigmoid", 6, .in = {WANTED(2, D(3, 5))}, .attrs = {F("alpha", 0.7), F("beta", 0.4)}},
    {"HardSwish", "HardSwish", 14, .in = {WANTED_IN(-4.3, 4.6, 2, D(3, 5))}},
    {"Swish", "Swish", 24, .in = {WANTED(2, D(3, 5))}, .attrs = {F("alpha", 1.5)}},
    {"Elu", "Elu", 6, .in = {WANTED(2, D(3, 5))}, .attrs = {F("alpha", 1.5)}},
    {"Celu", "Celu", 12, .in = {WANTED(2, D(3, 5))}, .attrs = {F("alpha", 1.5)}},
    {"Selu", "Selu", 6, .in = {WANTED(2, D(3, 5))}},
    {"Selu-1", "Selu", 1, .in = {WANTED(2, D(3, 5))}},
    {"Softplus", "Softplus", 1, .in = {WANTED(2, D(3, 5))}},
    {"Softsign", "Softsign", 1, .in = {WANTED(2, D(3, 5))}},
    {"Gelu", "Gelu", 20, .in = {WANTED(2, D(3, 5))}},
    {"Gelu tanh", "Gelu", 20, .in = {WANTED(2, D(3, 5))}, .attrs = {S("approximate", "tanh")}},
    {"Mish", "Mish", 18, .in = {WANTED(2, D(3, 5))}},
    {"ThresholdedRelu", "ThresholdedRelu", 10, .in = {WANTED(2, D(3, 5))}, .attrs = {F("alpha", 0.4)}},
};

/* Axes as an attribute, as an input, and none; with and without the reduced axes. */
#define REDUCE(op, operand)                                                                                     \
    {op " axes", op, 13 - 2, .in = {operand(3, D(2, 3, 5))}, .attrs = {L("axes", 2, 0, -1), I("keepdims", 0)}}, \
        {op " axis input", op, 18, .in = {operand(4, D(2, 3, 5, 2)), INT_LIST(1, 1)}}, {                        \
        op " all", op, 18, .in = {operand(2, D(3, 5))}, .attrs = { I("keepdims", 0) }                           \
    }

static const gradient_case gradients_reduce[] = {
    {"ReduceSum none", "ReduceSum", 13, .in = {WANTED(3, D(2, 3, 5))}, .attrs = {I("noop_with_empty_axes", 1)}},
    REDUCE("ReduceSum", WANTED),
    REDUCE("ReduceMean", WANTED),
    REDUCE("ReduceL1", WANTED),
    REDUCE("ReduceL2", WANTED),
    REDUCE("ReduceSumSquare", WANTED),
    REDUCE("ReduceProd", WANTED),
    REDUCE("ReduceMax", WANTED),
    REDUCE("ReduceMin", WANTED),
    REDUCE("ReduceLogSum", ABOVE),
    REDUCE("ReduceLogSumExp", WANTED),
};

static const gradient_case gradients_along_axis[] = {
    {"Softmax", "Softmax", 13, .in = {WANTED(2, D(3, 5))}},
    {"Softmax axis", "Softmax", 13, .in = {WANTED(4, D(2, 3, 5, 2))}, .attrs = {I("axis", 1)}},
    {"Softmax-11 matrix", "Softmax", 11, .in = {WANTED(4, D(3, 2, 3, 2))}},
    {"Softmax-11 axis", "Softmax", 11, .in = {WANTED(4, D(3, 2, 3, 2))}, .attrs = {I("axis", -2)}},
    {"LogSoftmax", "LogSoftmax", 13, .in = {WANTED(2, D(3, 5))}},
    {"LogSoftmax axis", "LogSoftmax", 13, .in = {WANTED(3, D(3, 5, 2))}, .attrs = {I("axis", 0)}},
    {"LogSoftmax-11 matrix", "LogSoftmax", 11, .in = {WANTED(3, D(3, 2, 5))}},
    {"LpNormalization", "LpNormalization", 1, .in = {WANTED(2, D(3, 5))}},
    {"LpNormalization axis", "LpNormalization", 1, .in = {WANTED(3, D(3, 5, 2))}, .attrs = {I("axis", 1)}},
    {"LpNormalization 1", "LpNormalization", 1, .in = {WANTED(3, D(3, 5, 2))}, .attrs = {I("axis", 1), I("p", 1)}},
};

static const gradient_case gradients_matrix[] = {
    {"Gemm", "Gemm", 13, .in = {WANTED(2, D(3, 5)), WANTED(2, D(5, 7)), WANTED(1, D(7))}},
    {"Gemm transB", "Gemm", 13, .in = {WANTED(2, D(3, 5)), WANTED(2, D(7, 5)), WANTED(1, D(7))}, .attrs = {I("transB", 1)}},
    {"Gemm transA", "Gemm", 11, .in = {WANTED(2, D(5, 3)), WANTED(2, D(5, 7)), WANTED(2, D(3, 1))},
     .attrs = {I("transA", 1), F("alpha", 0.5), F("beta", 1.5)}},
    {"Gemm both", "Gemm", 13, .in = {WANTED(2, D(5, 3)), WANTED(2, D(7, 5)), WANTED(0, D(0))},
     .attrs = {I("transA", 1), I("transB", 1), F("alpha", 0.5), F("beta", 1.5)}},
    {"Gemm without C", "Gemm", 13, .in = {WANTED(2, D(3, 5)), WANTED(2, D(5, 7))}, .attrs = {F("alpha", 0.5)}},
    {"Gemm-7", "Gemm", 7, .in = {WANTED(2, D(3, 5)), WANTED(2, D(5, 7)), WANTED(2, D(3, 7))}, .attrs = {F("beta", 1.5)}},
    {"Gemm of itself", "Gemm", 13, .in = {WANTED(2, D(3, 5)), SAME(0)}, .attrs = {I("transB", 1)}},
    {"MatMul", "MatMul", 13, .in = {WANTED(2, D(3, 5)), WANTED(2, D(5, 7))}},
    {"MatMul batches", "MatMul", 13, .in = {WANTED(3, D(2, 3, 5)), WANTED(3, D(2, 5, 4))}},
    {"MatMul rows", "MatMul", 13, .in = {WANTED(4, D(2, 3, 2, 5)), WANTED(2, D(5, 4))}},
    {"MatMul stretched", "MatMul", 13, .in = {WANTED(4, D(2, 1, 3, 5)), WANTED(3, D(3, 5, 2))}},
    {"MatMul matrix by batches", "MatMul", 13, .in = {WANTED(2, D(3, 5)), WANTED(3, D(2, 5, 4))}},
    {"MatMul vectors", "MatMul", 13, .in = {WANTED(1, D(5)), WANTED(1, D(5))}},
    {"MatMul vector by matrix", "MatMul", 13, .in = {WANTED(1, D(5)), WANTED(2, D(5, 3))}},
    {"MatMul vector by batches", "MatMul", 13, .in = {WANTED(1, D(5)), WANTED(3, D(2, 5, 3))}},
    {"MatMul batches by vector", "MatMul", 13, .in = {WANTED(3, D(2, 3, 5)), WANTED(1, D(5))}},
};
#endif
