/* Arithmetic, comparison and logic, element by element: one kernel and one or a few rows an
   operator. The rows before opset 7 broadcast by attributes (broadcast, axis); pointwise.c tells
   them apart by the node's opset. */
#include "pointwise.h"
#include "row.h"
#include "rules.h"

#include "../emit/emit.h"
#include "../ir/copy.h"

#include <math.h>
#include <string.h>

/* ---- kernels ---- */

#define INTEGER(name, expression) \
    static int64_t int_##name(const int64_t *x) { return (expression); }
/* The same for uint64, where u0 and u1 are the operands. */
#define NATURAL(name, expression)                                \
    static int64_t natural_##name(const int64_t *x) {            \
        const uint64_t u0 = (uint64_t)x[0], u1 = (uint64_t)x[1]; \
        return (int64_t)(expression);                            \
    }
#define BOTH(name, expression) REAL(name, expression) INTEGER(name, expression)

/* Sums and products wrap: in unsigned arithmetic, since signed overflow is undefined. */
#define WRAP(operator) ((int64_t)((uint64_t)x[0] operator(uint64_t) x[1]))

REAL(add, x[0] + x[1])
INTEGER(add, WRAP(+))
REAL(sub, x[0] - x[1])
INTEGER(sub, WRAP(-))
REAL(mul, x[0] * x[1])
INTEGER(mul, WRAP(*))
REAL(div, x[0] / x[1])
INTEGER(div, x[1] == 0 ? 0 : x[1] == -1 ? (int64_t)(0 - (uint64_t)x[0]) : x[0] / x[1])
NATURAL(div, u1 == 0 ? 0 : u0 / u1)
REAL(pow, pow(x[0], x[1]))
REAL(max, x[1] > x[0] || isnan(x[1]) ? x[1] : x[0])
NATURAL(max, u1 > u0 ? u1 : u0)
INTEGER(max, x[1] > x[0] ? x[1] : x[0])
REAL(min, x[1] < x[0] || isnan(x[1]) ? x[1] : x[0])
NATURAL(min, u1 < u0 ? u1 : u0)
INTEGER(min, x[1] < x[0] ? x[1] : x[0])
REAL(abs, fabs(x[0]))
INTEGER(abs, x[0] < 0 ? (int64_t)(0 - (uint64_t)x[0]) : x[0])
REAL(neg, -x[0])
INTEGER(neg, (int64_t)(0 - (uint64_t)x[0]))
REAL(exp, exp(x[0]))
REAL(log, log(x[0]))
REAL(sqrt, sqrt(x[0]))
REAL(reciprocal, 1 / x[0])
REAL(floor, floor(x[0]))
REAL(ceil, ceil(x[0]))
REAL(nearbyint, nearbyint(x[0]))
REAL(erf, erf(x[0]))
REAL(sin, sin(x[0]))
REAL(cos, cos(x[0]))
REAL(sign, isnan(x[0]) ? x[0] : (x[0] > 0) - (x[0] < 0))
INTEGER(sign, (x[0] > 0) - (x[0] < 0))
INTEGER(not, !x[0])
INTEGER(and, x[0] && x[1])
INTEGER(or, x[0] || x[1])
INTEGER(xor, !x[0] != !x[1])
BOTH(equal, x[0] == x[1])
BOTH(less, x[0] < x[1])
BOTH(greater, x[0] > x[1])
BOTH(less_equal, x[0] <= x[1])
BOTH(greater_equal, x[0] >= x[1])
NATURAL(less, u0 < u1)
NATURAL(greater, u0 > u1)
NATURAL(less_equal, u0 <= u1)
NATURAL(greater_equal, u0 >= u1)
NATURAL(mod, u1 == 0 ? 0 : u0 % u1)
static int64_t natural_same(const int64_t *x) { return x[0]; }
static int64_t natural_sign(const int64_t *x) { return x[0] != 0; }
REAL(isnan, isnan(x[0]))
REAL(fmod, fmod(x[0], x[1]))
INTEGER(fmod, x[1] == 0 || x[1] == -1 ? 0 : x[0] % x[1])

/* The remainder with the divisor's sign. */
static int64_t int_mod(const int64_t *x) {
    const int64_t r = x[1] == 0 || x[1] == -1 ? 0 : x[0] % x[1];
    return r && (r < 0) != (x[1] < 0) ? r + x[1] : r;
}

#define REM "(x1 == 0 || ((~)-1 < (~)1 && x1 == (~)-1) ? (~)0 : (~)(x0 % x1))"

/* Rows of a function of the C library, of an order, of logic. */
#define MATH(name, function) \
    { .op = ONNX_##name, TYPES_FLOAT, real_##function, #function "@(x0)" }
#define ORDER(name, function, operator)                                                        \
    {                                                                                          \
        .op = ONNX_##name, TYPES_NUMBER, real_##function, "x0 " operator" x1", int_##function, \
        .to_bool = true, .natural = natural_##function                                         \
    }
#define LOGIC(name, function, text) \
    { .op = ONNX_##name, TYPES_BOOL, NULL, text, int_##function, .to_bool = true }

const pointwise pointwise_elementwise[] = {
    {.op = ONNX_Add,
     TYPES_NUMBER,
     real_add,
     "x0 + x1",
     int_add,
     "(uint64_t)x0 + (uint64_t)x1",
     .neutral = -0.0,
     .neutral_sides = 3},
    {.op = ONNX_Sub,
     TYPES_NUMBER,
     real_sub,
     "x0 - x1",
     int_sub,
     "(uint64_t)x0 - (uint64_t)x1",
     .neutral_sides = 2},
    {.op = ONNX_Mul,
     TYPES_NUMBER,
     real_mul,
     "x0 * x1",
     int_mul,
     "(uint64_t)x0 * (uint64_t)x1",
     .neutral = 1,
     .neutral_sides = 3},
    {.op = ONNX_Div,
     TYPES_NUMBER,
     real_div,
     "x0 / x1",
     int_div,
     "x1 == 0 ? (~)0 : (~)-1 < (~)1 && x1 == (~)-1 ? (~)(0 - (uint64_t)x0) : (~)(x0 / x1)",
     .natural = natural_div,
     .neutral = 1,
     .neutral_sides = 2},
    {.op = ONNX_Pow,
     TYPES_NUMBER,
     real_pow,
     "pow@((~)x0, (~)x1)",
     NULL,
     "pow((double)x0, (double)x1)"},
    {.op = ONNX_Sum, TYPES_FLOAT, real_add, "x0 + x1"},
    {.op = ONNX_Mean, TYPES_FLOAT, real_add, "x0 + x1"},
    {.op = ONNX_Max,
     TYPES_NUMBER,
     real_max,
     "x1 > x0 || x1 != x1 ? x1 : x0",
     int_max,
     "x1 > x0 ? x1 : x0",
     .natural = natural_max},
    {.op = ONNX_Min,
     TYPES_NUMBER,
     real_min,
     "x1 < x0 || x1 != x1 ? x1 : x0",
     int_min,
     "x1 < x0 ? x1 : x0",
     .natural = natural_min},
    {.op = ONNX_Abs,
     TYPES_NUMBER,
     real_abs,
     "fabs@(x0)",
     int_abs,
     "x0 > 0 ? (uint64_t)x0 : 0 - (uint64_t)x0",
     .natural = natural_same,
     .grad = CAMEO_AbsGrad},
    {.op = ONNX_Neg, TYPES_FLOAT | TYPES_SIGNED, real_neg, "-x0", int_neg, "0 - (uint64_t)x0"},
    MATH(Exp, exp),
    MATH(Log, log),
    {.op = ONNX_Sqrt, TYPES_FLOAT, real_sqrt, "sqrt@(x0)", .grad = CAMEO_SqrtGrad, .of_y = true},
    {.op = ONNX_Reciprocal,
     TYPES_FLOAT,
     real_reciprocal,
     "1.0@ / x0",
     .grad = CAMEO_ReciprocalGrad,
     .of_y = true},
    MATH(Floor, floor),
    MATH(Ceil, ceil),
    MATH(Round, nearbyint),
    {.op = ONNX_Erf, TYPES_FLOAT, real_erf, "erf@(x0)", .grad = CAMEO_ErfGrad},
    MATH(Sin, sin),
    MATH(Cos, cos),
    {.op = ONNX_Sign,
     TYPES_NUMBER,
     real_sign,
     "x0 > 0 ? (~)1 : x0 < 0 ? (~)-1 : x0",
     int_sign,
     "x0 == 0 ? (~)0 : x0 > 0 ? (~)1 : (~)-1",
     .natural = natural_sign},
    LOGIC(Not, not, "!x0"),
    LOGIC(And, and, "x0 && x1"),
    LOGIC(Or, or, "x0 || x1"),
    LOGIC(Xor, xor, "!x0 != !x1"),
    {.op = ONNX_Equal, TYPES_ANY, real_equal, "x0 == x1", int_equal, .to_bool = true},
    ORDER(Less, less, "<"),
    ORDER(Greater, greater, ">"),
    ORDER(LessOrEqual, less_equal, "<="),
    ORDER(GreaterOrEqual, greater_equal, ">="),
    {.op = ONNX_IsNaN, TYPES_FLOAT, real_isnan, "x0 != x0", .to_bool = true},
    {.op = ONNX_Mod,
     TYPES_SIGNED | TYPES_UNSIGNED,
     NULL,
     "",
     int_mod,
     REM " != 0 && (" REM " < 1) != (x1 < 1) ? (~)(" REM " + x1) : " REM,
     .natural = natural_mod},
    {.op = ONNX_Mod,
     TYPES_NUMBER,
     real_fmod,
     "fmod@(x0, x1)",
     int_fmod,
     REM,
     .natural = natural_mod,
     .variant = true},
    {.op = OPCODE_NONE}};

/* ---- Where ---- */

static bool where_infer(graph *g, node *n) {
    if (!type_check(g, n, 0, TYPES_BOOL) || !type_check(g, n, 1, TYPES_ANY) ||
        !type_check(g, n, 2, TYPES_ANY))
        return false;
    if (n->in[1]->type != n->in[2]->type)
        return node_error(g, n, "inputs 1 and 2 have different types");
    shape s;
    return broadcast_shape(g, n, &s) && op_set_output(g, n, 0, n->in[1]->type, &s);
}

static OP_REFERENCE(where_reference) {
    const size_t size = dtype_size(out[0]->type);
    const int64_t count = shape_count(&out[0]->shape);
    for (int64_t i = 0; i < count; i++) {
        int64_t at[3];
        broadcast_at(n, &out[0]->shape, in, i, at);
        const int chosen = tensor_get_int(in[0], at[0]) ? 1 : 2;
        memcpy((char *)out[0]->data + (size_t)i * size,
               (const char *)in[chosen]->data + (size_t)at[chosen] * size, size);
    }
    return true;
}

static void where_emit(emitter *e, const node *n) { emit_elementwise(e, n, "x0 ? x1 : x2"); }

/* ---- Cast ---- */

static dtype type_named(const char *name) { /* Cast-1 writes the type as text */
    static const char *const names[] = {
        [DT_FLOAT] = "FLOAT",   [DT_UINT8] = "UINT8",  [DT_INT8] = "INT8",
        [DT_UINT16] = "UINT16", [DT_INT16] = "INT16",  [DT_INT32] = "INT32",
        [DT_INT64] = "INT64",   [DT_BOOL] = "BOOL",    [DT_DOUBLE] = "DOUBLE",
        [DT_UINT32] = "UINT32", [DT_UINT64] = "UINT64"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i] && !strcmp(names[i], name)) return (dtype)i;
    return DT_NONE;
}

static bool cast_infer(graph *g, node *n) {
    const attr *to = node_attr(n, "to");
    if (!to || (to->kind != ATTR_INT && to->kind != ATTR_STRING))
        return node_error(g, n, "attribute to is missing");
    const dtype type = to->kind == ATTR_STRING         ? type_named(to->s)
                       : to->i > 0 && to->i <= DT_LAST ? (dtype)to->i
                                                       : DT_NONE;
    if (!type_is(type, TYPES_ANY))
        return node_unsupported(g, n, "a cast to %s is not supported", dtype_name(type));
    return type_check(g, n, 0, TYPES_ANY) && op_set_output(g, n, 0, type, &n->in[0]->shape);
}

static OP_REFERENCE(cast_reference) {
    const bool real = type_is(in[0]->type, TYPES_FLOAT);
    const int64_t count = shape_count(&out[0]->shape);
    for (int64_t i = 0; i < count; i++) {
        if (!real && in[0]->type != DT_UINT64)
            tensor_set_int(out[0], i, tensor_get_int(in[0], i));
        else
            tensor_set(out[0], i, tensor_get(in[0], i));
    }
    return true;
}

/* A float beyond int64 is undefined in C: it becomes the nearest, NaN 0, as in the reference.
   Narrower integers take the low bits of that. */
static void cast_emit(emitter *e, const node *n) {
    const dtype type = n->out[0]->type;
    const bool real = type_is(n->in[0]->type, TYPES_FLOAT) && !type_is(type, TYPES_FLOAT);
    const char *made = "x0";
    if (type == DT_BOOL)
        made = "x0 != 0";
    else if (real && type == DT_UINT64)
        made = "x0 != x0 ? 0 : x0 >= 0x1p64 ? UINT64_MAX : x0 >= 0x1p63 ? (uint64_t)x0 : x0 <= "
               "-0x1p63 ? 1ull << 63 : "
               "(uint64_t)(int64_t)x0";
    else if (real)
        made = "x0 != x0 ? 0 : x0 >= 0x1p63 ? INT64_MAX : x0 <= -0x1p63 ? INT64_MIN : (int64_t)x0";
    emit_elementwise(e, n, made);
}

/* ---- rows ---- */

/* clang-format off */
/* Rows whose type does not change add OP_INPLACE. */
#define PLAIN (OP_ELEMENTWISE | OP_ANY_LAYOUT | OP_BATCH_AXIS0)
#define LEGACY ATTR(INTS, "consumed_inputs")
#define ARITHMETIC(rule, more) .flags = PLAIN | (more), .grad = rule, .same = pointwise_same
#define UNARY(name, since, rule, more, tested_by)                                              \
    {OP_ONNX(name, since, 0, 1, 1, 1, 1, pointwise, tested_by), ATTRIBUTES(LEGACY),            \
     .flags = PLAIN | (more), .grad = rule}
#define BINARY(name, rule, more, tested_by)                                                    \
    {OP_ONNX(name, 1, 6, 2, 2, 1, 1, pointwise, "test_ops_math legacy"),                       \
     ATTRIBUTES(DEFAULT(INT, "broadcast", 0), ATTR(INT, "axis"), LEGACY),                      \
     ARITHMETIC(rule, more), .weights = 3},                                                    \
    {OP_ONNX(name, 7, 0, 2, 2, 1, 1, pointwise, tested_by),                                    \
     ARITHMETIC(rule, more), .weights = 3}
#define BINARY_SINCE(name, since, tested_by)                                                   \
    {OP_ONNX(name, since, 0, 2, 2, 1, 1, pointwise, tested_by), .flags = PLAIN | OP_NO_GRAD}
#define VARIADIC(name, rule, tested_by)                                                        \
    {OP_ONNX(name, 1, 7, 1, -1, 1, 1, pointwise, "test_ops_math variadic"),                    \
     ATTRIBUTES(LEGACY),                                                                       \
     ARITHMETIC(rule, OP_INPLACE)},                                                            \
    {OP_ONNX(name, 8, 0, 1, -1, 1, 1, pointwise, tested_by),                                   \
     ARITHMETIC(rule, OP_INPLACE)}
#define CAST .flags = PLAIN, .grad = cast_grad, .same = copy_same

const op_row ops_elementwise[] = {
    BINARY("Add", add_grad, OP_INPLACE, "test_add"),
    BINARY("Sub", sub_grad, OP_INPLACE, "test_sub"),
    BINARY("Mul", mul_grad, OP_INPLACE, "test_mul"),
    BINARY("Div", div_grad, OP_INPLACE, "test_div"),
    BINARY("Pow", pow_grad, OP_INPLACE, "test_pow"),
    VARIADIC("Sum", add_grad, "test_sum_example"),
    VARIADIC("Mean", mean_grad, "test_mean_example"),
    VARIADIC("Max", extreme_grad, "test_max_example"),
    VARIADIC("Min", extreme_grad, "test_min_example"),
    UNARY("Abs", 1, pointwise_grad, OP_INPLACE, "test_abs"),
    UNARY("Neg", 1, neg_grad, OP_INPLACE, "test_neg"),
    UNARY("Exp", 1, exp_grad, OP_INPLACE, "test_exp"),
    UNARY("Log", 1, log_grad, OP_INPLACE, "test_log"),
    UNARY("Sqrt", 1, pointwise_grad, OP_INPLACE, "test_sqrt"),
    UNARY("Reciprocal", 1, pointwise_grad, OP_INPLACE, "test_reciprocal"),
    UNARY("Floor", 1, NULL, OP_INPLACE | OP_NO_GRAD, "test_floor"),
    UNARY("Ceil", 1, NULL, OP_INPLACE | OP_NO_GRAD, "test_ceil"),
    UNARY("Round", 11, NULL, OP_INPLACE | OP_NO_GRAD, "test_round"),
    UNARY("Erf", 9, pointwise_grad, OP_INPLACE, "test_erf"),
    UNARY("Sin", 7, sin_grad, OP_INPLACE, "test_sin"),
    UNARY("Cos", 7, cos_grad, OP_INPLACE, "test_cos"),
    UNARY("Sign", 9, NULL, OP_INPLACE | OP_NO_GRAD, "test_sign"),
    UNARY("Not", 1, NULL, OP_INPLACE | OP_NO_GRAD, "test_not_2d"),
    UNARY("IsNaN", 9, NULL, OP_NO_GRAD, "test_isnan"),
    BINARY("And", NULL, OP_NO_GRAD, "test_and2d"),
    BINARY("Or", NULL, OP_NO_GRAD, "test_or2d"),
    BINARY("Xor", NULL, OP_NO_GRAD, "test_xor2d"),
    BINARY("Equal", NULL, OP_NO_GRAD, "test_equal"),
    BINARY("Less", NULL, OP_NO_GRAD, "test_less"),
    BINARY("Greater", NULL, OP_NO_GRAD, "test_greater"),
    BINARY_SINCE("LessOrEqual", 12, "test_less_equal"),
    BINARY_SINCE("GreaterOrEqual", 12, "test_greater_equal"),
    {OP_ONNX("Mod", 10, 0, 2, 2, 1, 1, pointwise, "test_mod_mixed_sign_int32"),
     ATTRIBUTES(DEFAULT(INT, "fmod", 0)), .flags = PLAIN | OP_NO_GRAD},
    {OP_ONNX("Where", 9, 0, 3, 3, 1, 1, where, "test_where_example"),
     .flags = PLAIN, .grad = where_grad},
    {OP_ONNX("Cast", 1, 5, 1, 1, 1, 1, cast, "test_ops_math cast"),
     ATTRIBUTES(NEEDED(STRING, "to")), CAST},
    {OP_ONNX("Cast", 6, 0, 1, 1, 1, 1, cast, "test_cast_FLOAT_to_DOUBLE"),
     ATTRIBUTES(NEEDED(INT, "to"), DEFAULT(INT, "saturate", 1), ATTR(STRING, "round_mode")), CAST},
    {.name = NULL}};
/* clang-format on */
