/* Internal elementwise operators of the backward pass: operand 0 is dy, operand 1 what the rule
   saved (x or y), further ones are the forward operator's. Where that is NaN, dy passes or NaN
   comes out, as in PyTorch: a zero would hide it. */
#include "pointwise.h"
#include "row.h"

/* d/dx of x (1 + tanh(u)) / 2, u = sqrt(2 / pi) (x + 0.044715 x^3) */
static double gelu_tanh_slope(double x) {
    const double t = tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
}

#define ACT_OPERATOR(flags, function, since, test, first, value, second, value2, text, reference, \
                     slope_text, slope)                                                           \
    REAL(function, slope)
#include "../../runtime/kernels/act.def"
REAL(copy, x[0])
REAL(clip, x[1]<p[0] || x[1]> p[1] ? 0 : x[0])
REAL(prelu, x[1] < 0 ? x[0] * x[2] : x[0])
REAL(prelu_slope, x[1] >= 0 ? 0 : x[0] * x[1])
REAL(gelu,
     x[0] * (0.5 * (1 + erf(x[1] * M_SQRT1_2)) + x[1] * exp(-0.5 * x[1] * x[1]) / sqrt(2 * M_PI)))
REAL(gelu_tanh, x[0] * gelu_tanh_slope(x[1]))
REAL(erf, x[0] * M_2_SQRTPI * exp(-x[1] * x[1]))
REAL(abs, x[1] > 0 ? x[0] : x[1] < 0 ? -x[0] : x[1])
REAL(sqrt, x[0] / (2 * x[1]))
REAL(reciprocal, -x[0] * x[1] * x[1])
REAL(pow_base, x[2] == 0 ? 0 : x[0] * x[2] * pow(x[1], x[2] - 1))
REAL(pow_exponent, x[2] == 0 ? 0 : x[0] * x[1] * log(x[2]))
REAL(equal_mask, x[0] == x[1])
REAL(safe_div, x[1] == 0 ? 0 : x[0] / x[1])

#define GELU "tanh@(0.79788456080286536@ * (x1 + 0.044715@ * x1 * x1 * x1))"

const pointwise pointwise_gradient[] = {
#define ACT_OPERATOR(flags, function, since, test, first, value, second, value2, text, reference, \
                     slope_text, slope)                                                           \
    {.op = CAMEO_##function##Grad,                                                                \
     TYPES_FLOAT,                                                                                 \
     real_##function,                                                                             \
     slope_text,                                                                                  \
     .parameter = {first, second},                                                                \
     .otherwise = {value, value2}},
#include "../../runtime/kernels/act.def"
    {.op = CAMEO_Copy, TYPES_FLOAT, real_copy, "x0"},
    {.op = CAMEO_ClipGrad,
     TYPES_FLOAT,
     real_clip,
     "x1 < $0 || x1 > $1 ? 0 : x0",
     .parameter = {"min", "max"},
     .otherwise = {-(double)INFINITY, (double)INFINITY}},
    {.op = CAMEO_PReluGrad, TYPES_FLOAT, real_prelu, "x1 < 0 ? x0 * x2 : x0"},
    {.op = CAMEO_PReluSlopeGrad, TYPES_FLOAT, real_prelu_slope, "x1 >= 0 ? 0 : x0 * x1"},
    {.op = CAMEO_GeluGrad,
     TYPES_FLOAT,
     real_gelu,
     "x0 * (0.5@ * (1.0@ + erf@(x1 * 0.70710678118654752@)) + x1 * exp@(-0.5@ * x1 * x1) * "
     "0.39894228040143268@)"},
    {.op = CAMEO_GeluTanhGrad,
     TYPES_FLOAT,
     real_gelu_tanh,
     "x0 * (0.5@ * (1.0@ + " GELU ") + 0.5@ * x1 * (1.0@ - " GELU " * " GELU
     ") * 0.79788456080286536@ * (1.0@ + 0.134145@ * x1 * x1))"},
    {.op = CAMEO_ErfGrad, TYPES_FLOAT, real_erf, "x0 * 1.1283791670955126@ * exp@(-x1 * x1)"},
    {.op = CAMEO_AbsGrad, TYPES_FLOAT, real_abs, "x1 > 0 ? x0 : x1 < 0 ? -x0 : x1"},
    {.op = CAMEO_SqrtGrad, TYPES_FLOAT, real_sqrt, "x0 / (2.0@ * x1)"},
    {.op = CAMEO_ReciprocalGrad, TYPES_FLOAT, real_reciprocal, "-x0 * x1 * x1"},
    {.op = CAMEO_PowBaseGrad,
     TYPES_FLOAT,
     real_pow_base,
     "x2 == 0 ? 0 : x0 * x2 * pow@(x1, x2 - 1)"},
    {.op = CAMEO_PowExponentGrad,
     TYPES_FLOAT,
     real_pow_exponent,
     "x2 == 0 ? 0 : x0 * x1 * log@(x2)"},
    {.op = CAMEO_EqualMask, TYPES_FLOAT, real_equal_mask, "x0 == x1"},
    {.op = CAMEO_SafeDiv, TYPES_FLOAT, real_safe_div, "x1 == 0 ? 0 : x0 / x1"},
    {.op = OPCODE_NONE}};

/* clang-format off */
#define ROW(name, operands, more)                                                    \
    OP_INTERNAL(name, operands, operands, 1, 1, pointwise, "test_gradients"),        \
    .flags = OP_ELEMENTWISE | OP_ANY_LAYOUT | (more)
/* The forward operator's attributes, copied; no defaults but pointwise's own, so that an absent
   bound is none. */
#define DERIVATIVE(name)                                                             \
    {ROW(name, 2, OP_INPLACE),                                                       \
     ATTRIBUTES(ATTR(FLOAT, "alpha"), ATTR(FLOAT, "beta"), ATTR(FLOAT, "gamma"),     \
                ATTR(FLOAT, "min"), ATTR(FLOAT, "max"))}

const op_row ops_gradient[] = {
#define ACT_OPERATOR(flags, function, ...) DERIVATIVE(#function "Grad"),
#include "../../runtime/kernels/act.def"
    {ROW("Copy", 1, 0)},
    DERIVATIVE("ClipGrad"),
    {ROW("PReluGrad", 3, OP_INPLACE)},
    DERIVATIVE("PReluSlopeGrad"),
    DERIVATIVE("GeluGrad"),
    DERIVATIVE("GeluTanhGrad"),
    DERIVATIVE("ErfGrad"),
    DERIVATIVE("AbsGrad"),
    DERIVATIVE("SqrtGrad"),
    DERIVATIVE("ReciprocalGrad"),
    {ROW("PowBaseGrad", 3, OP_INPLACE)},
    {ROW("PowExponentGrad", 3, OP_INPLACE)},
    {ROW("EqualMask", 2, 0)},
    {ROW("SafeDiv", 2, 0)},
    {.name = NULL}};
/* clang-format on */
