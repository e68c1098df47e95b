/* Activation functions: act.def's operators, and those whose attributes choose the function (Gelu)
   or that take their numbers from inputs: PRelu, and Clip in the later versions. */
#include "act.h"
#include "pointwise.h"
#include "row.h"
#include "rules.h"

#include "../emit/emit.h"

#include <float.h>

#define ACT_OPERATOR(flags, function, since, test, first, value, second, value2, text, reference, \
                     ...)                                                                         \
    REAL(function, reference)
#include "../../runtime/kernels/act.def"
REAL(prelu, x[0] < 0 ? x[0] * x[1] : x[0])
REAL(gelu, 0.5 * x[0] * (1 + erf(x[0] * M_SQRT1_2)))
REAL(gelu_tanh, 0.5 * x[0] * (1 + tanh(sqrt(2 / M_PI) * (x[0] + 0.044715 * x[0] * x[0] * x[0]))))
static int64_t int_relu(const int64_t *x) { return x[0] < 0 ? 0 : x[0]; }
static int64_t int_prelu(const int64_t *x) {
    return x[0] < 0 ? (int64_t)((uint64_t)x[0] * (uint64_t)x[1]) : x[0];
}

static int64_t natural_prelu(const int64_t *x) { return x[0]; }

const pointwise pointwise_activation[] = {
#define ACT_OPERATOR(flags, function, since, test, first, value, second, value2, text, ...) \
    {.op = ONNX_##function,                                                                 \
     TYPES_FLOAT | ((flags)&ACT_SIGNED ? TYPES_SIGNED : 0),                                 \
     real_##function,                                                                       \
     text,                                                                                  \
     (flags)&ACT_SIGNED ? int_relu : NULL,                                                  \
     .parameter = {first, second},                                                          \
     .otherwise = {value, value2},                                                          \
     .grad = CAMEO_##function##Grad,                                                        \
     .of_y = ((flags)&ACT_OF_Y) != 0},
#include "../../runtime/kernels/act.def"
    {.op = ONNX_PRelu,
     TYPES_NUMBER,
     real_prelu,
     "x0 < 0 ? x0 * x1 : x0",
     int_prelu,
     "x0 > 0 ? (uint64_t)x0 : (uint64_t)x0 * (uint64_t)x1",
     .natural = natural_prelu},
    {.op = ONNX_Gelu,
     TYPES_FLOAT,
     real_gelu,
     "0.5@ * x0 * (1.0@ + erf@(x0 * 0.70710678118654752@))",
     .grad = CAMEO_GeluGrad},
    {.op = ONNX_Gelu,
     TYPES_FLOAT,
     real_gelu_tanh,
     "0.5@ * x0 * (1.0@ + tanh@(0.79788456080286536@ * (x0 + 0.044715@ * x0 * x0 * x0)))",
     .variant = true,
     .grad = CAMEO_GeluTanhGrad},
    {.op = OPCODE_NONE}};

/* ---- Clip: bounds as attributes (1, 6) or as inputs (11) ---- */

static bool clip_infer(graph *g, node *n) {
    const unsigned types = n->opset < 12 ? TYPES_FLOAT : TYPES_NUMBER;
    if (!type_check(g, n, 0, types)) return false;
    for (size_t i = 1; i < n->n_in; i++) {
        const value *bound = n->in[i];
        if (!bound) continue;
        if (bound->type != n->in[0]->type)
            return node_error(g, n, "input %zu has another type than input 0", i);
        if (value_count(bound) != 1) return node_error(g, n, "bound %zu must be one number", i);
    }
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

/* Opset 1 has no default bounds; with 6 they are the largest floats, which infinities exceed. */
static double bound_attr(const node *n, const char *name, int sign) {
    if (node_attr(n, name)) return node_float(n, name, 0);
    return n->opset < 6 ? sign * (double)INFINITY : sign * (double)FLT_MAX;
}

static void clip_integers(const node *n, const tensor *const *in, tensor *out) {
    const int64_t count = shape_count(&out->shape);
    for (int64_t i = 0; i < count; i++) {
        int64_t v = tensor_get_int(in[0], i);
        if (op_present(n, 1) && v < tensor_get_int(in[1], 0)) v = tensor_get_int(in[1], 0);
        if (op_present(n, 2) && v > tensor_get_int(in[2], 0)) v = tensor_get_int(in[2], 0);
        tensor_set_int(out, i, v);
    }
}

static OP_REFERENCE(clip_reference) {
    if (!type_is(out[0]->type, TYPES_FLOAT)) {
        clip_integers(n, in, out[0]);
        return true;
    }
    double low = -(double)INFINITY, high = (double)INFINITY;
    if (n->opset < 11) low = bound_attr(n, "min", -1), high = bound_attr(n, "max", 1);
    if (op_present(n, 1)) low = tensor_get(in[1], 0);
    if (op_present(n, 2)) high = tensor_get(in[2], 0);
    const int64_t count = shape_count(&out[0]->shape);
    for (int64_t i = 0; i < count; i++) {
        double v = tensor_get(in[0], i);
        if (v < low) v = low;
        if (v > high) v = high;
        tensor_set(out[0], i, v);
    }
    return true;
}

static int clip_same(const graph *g, const node *n) {
    (void)g;
    return n->opset >= 11 && !op_present(n, 1) && !op_present(n, 2) ? 0 : -1;
}

static void clip_emit(emitter *e, const node *n) {
    arena *a = emit_arena(e);
    const char *low = op_present(n, 1) ? "x1" : NULL, *high = op_present(n, 2) ? "x2" : NULL,
               *v = "x0";
    if (n->opset < 11) {
        low = emit_float(e, bound_attr(n, "min", -1));
        high = emit_float(e, bound_attr(n, "max", 1));
    }
    if (low) v = arena_put(a, "(x0 < $0 ? $0 : x0)", low);
    if (high) v = arena_put(a, "$0 > $1 ? $1 : $0", v, high);
    emit_elementwise(e, n, v);
}

/* ---- rows ---- */

/* clang-format off */
#define LEGACY ATTR(INTS, "consumed_inputs")
#define ACTIVATION(name, since, until, in, most_in, prefix, rule, tested_by)  \
    OP_ONNX(name, since, until, in, most_in, 1, 1, prefix, tested_by),        \
    .flags = OP_ELEMENTWISE | OP_INPLACE | OP_ANY_LAYOUT | OP_BATCH_AXIS0, .grad = rule

const op_row ops_activation[] = {
#define ACT_OPERATOR(flags, function, since, test, first, value, second, value2, ...)       \
    {ACTIVATION(#function, since, 0, 1, 1, pointwise, pointwise_grad, test),                \
     ATTRIBUTES(LEGACY, DEFAULT(FLOAT, first, value), DEFAULT(FLOAT, second, value2))},
#include "../../runtime/kernels/act.def"
    {ACTIVATION("PRelu", 1, 6, 2, 2, pointwise, prelu_grad, "test_PReLU_2d"),
     ATTRIBUTES(LEGACY), .weights = 2},
    {ACTIVATION("PRelu", 7, 0, 2, 2, pointwise, prelu_grad, "test_prelu_broadcast"),
     ATTRIBUTES(LEGACY), .weights = 2},
    {ACTIVATION("Clip", 1, 5, 1, 1, clip, clip_grad, "test_ops_math clip"),
     ATTRIBUTES(ATTR(FLOAT, "min"), ATTR(FLOAT, "max"), LEGACY)},
    {ACTIVATION("Clip", 6, 10, 1, 1, clip, clip_grad, "test_operator_clip"),
     ATTRIBUTES(DEFAULT(FLOAT, "min", -(double)FLT_MAX), DEFAULT(FLOAT, "max", (double)FLT_MAX))},
    {ACTIVATION("Clip", 11, 0, 1, 3, clip, clip_grad, "test_clip"), ATTRIBUTES(LEGACY),
     .same = clip_same},
    {ACTIVATION("Selu", 1, 5, 1, 1, pointwise, pointwise_grad, "test_ops_math selu"),
     ATTRIBUTES(DEFAULT(FLOAT, "alpha", 1.6732), DEFAULT(FLOAT, "gamma", 1.0507), LEGACY)},
    {ACTIVATION("Gelu", 20, 0, 1, 1, pointwise, pointwise_grad, "test_gelu_default_1"),
     ATTRIBUTES(DEFAULT_WORD("approximate", "none"))},
    {.name = NULL}};
/* clang-format on */
