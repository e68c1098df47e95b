/* Internal elementwise operators of the backward pass: operand 0 is dy, operand 1 what the rule saved (x or y). */
#include "pointwise.h"

#define REAL(name, expression)                                    \
    static double real_##name(const double *x, const double *p) { \
        (void)p;                                                  \
        return (expression);                                      \
    }

REAL(copy, x[0])
REAL(relu_grad, x[1] > 0 ? x[0] : 0)

const pointwise pointwise_gradient[] = {
    {"Copy", TYPES_FLOAT, real_copy, "x0", NULL, NULL, {NULL}, {0}, false, NULL},
    {"ReluGrad", TYPES_FLOAT, real_relu_grad, "x1 > 0 ? x0 : 0", NULL, NULL, {NULL}, {0}, false, NULL},
    {.name = NULL}};

static const op_attr no_attrs[] = {{.name = NULL}};

#define POINTWISE(name, operands, flags)                                                                                       \
    {                                                                                                                          \
        name, "cameo", 1, 0, operands, operands, 1, 1, no_attrs, OP_ELEMENTWISE | OP_ANY_LAYOUT | (flags), 0, pointwise_infer, \
            pointwise_reference, NULL, pointwise_emit, .test = "test_gradients elementwise"                                    \
    }

const op_row ops_gradient[] = {POINTWISE("Copy", 1, 0), POINTWISE("ReluGrad", 2, OP_INPLACE), {.name = NULL}};
