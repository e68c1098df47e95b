/* Activation functions: act.def's operators, and those whose attributes choose the function (Gelu)
   or that take their numbers from inputs: PRelu, and Clip in the later versions. */
#include "act.h"
#include "pointwise.h"
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
            return diag_error(g->diag, n, NULL, "input %zu has another type than input 0", i);
        if (value_count(bound) != 1)
            return diag_error(g->diag, n, NULL, "bound %zu must be one number", i);
    }
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

/* Opset 1 has no default bounds; with 6 they are the largest floats, which infinities exceed. */
static double bound_attr(const node *n, const char *name, int sign) {
    if (node_attr(n, name)) return node_float(n, name, 0);
    return n->opset < 6 ? sign * (double)INFINITY : sign * (double)FLT_MAX;
}

static bool has_bound(const node *n, size_t i) { return i < n->n_in && n->in[i]; }

static void clip_integers(const node *n, const tensor *const *in, tensor *out) {
    const int64_t count = shape_count(&out->shape);
    for (int64_t i = 0; i < count; i++) {
        int64_t v = tensor_get_int(in[0], i);
        if (has_bound(n, 1) && v < tensor_get_int(in[1], 0)) v = tensor_get_int(in[1], 0);
        if (has_bound(n, 2) && v > tensor_get_int(in[2], 0)) v = tensor_get_int(in[2], 0);
        store_int(out, i, v);
    }
}

static bool clip_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                           const char **why) {
    (void)a, (void)why;
    if (!type_is(out[0]->type, TYPES_FLOAT)) {
        clip_integers(n, in, out[0]);
        return true;
    }
    double low = -(double)INFINITY, high = (double)INFINITY;
    if (n->opset < 11) low = bound_attr(n, "min", -1), high = bound_attr(n, "max", 1);
    if (has_bound(n, 1)) low = tensor_get(in[1], 0);
    if (has_bound(n, 2)) high = tensor_get(in[2], 0);
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
    return n->opset >= 11 && !has_bound(n, 1) && !has_bound(n, 2) ? 0 : -1;
}

static void clip_emit(struct emitter *e, const node *n) {
    arena *a = emit_arena(e);
    const char *low = has_bound(n, 1) ? "x1" : NULL, *high = has_bound(n, 2) ? "x2" : NULL,
               *v = "x0";
    if (n->opset < 11) {
        low = emit_float(e, bound_attr(n, "min", -1));
        high = emit_float(e, bound_attr(n, "max", 1));
    }
    if (low) v = arena_printf(a, "(x0 < %s ? %s : x0)", low, low);
    if (high) v = arena_printf(a, "%s > %s ? %s : %s", v, high, high, v);
    emit_elementwise(e, n, v);
}

/* ---- rows ---- */

#define PLAIN (OP_ELEMENTWISE | OP_INPLACE | OP_ANY_LAYOUT | OP_BATCH_AXIS0)
#define FUNCTIONS(rule) pointwise_infer, pointwise_reference, rule, pointwise_emit
#define UNARY(name, since, rule, attrs, tested_by) \
    { name, "", since, 0, 1, 1, 1, 1, attrs, PLAIN, 0, FUNCTIONS(rule), .test = tested_by }
#define NUMBER(attribute, value) \
    { .name = attribute, .kind = ATTR_FLOAT, .number = (value), .has_default = true }
#define LEGACY \
    { .name = "consumed_inputs", .kind = ATTR_INTS }

#define ACT_OPERATOR(flags, function, since, test, first, value, second, value2, ...) \
    static const op_attr attrs_##function[] = {                                       \
        LEGACY, NUMBER(first, value), NUMBER(second, value2), {.name = NULL}};
#include "../../runtime/kernels/act.def"
static const op_attr none[] = {LEGACY, {.name = NULL}};
static const op_attr selu_old_attrs[] = {
    NUMBER("alpha", 1.6732), NUMBER("gamma", 1.0507), LEGACY, {.name = NULL}};
static const op_attr gelu_attrs[] = {
    {.name = "approximate", .kind = ATTR_STRING, .string = "none", .has_default = true},
    {.name = NULL}};
static const op_attr clip_1_attrs[] = {{.name = "min", .kind = ATTR_FLOAT},
                                       {.name = "max", .kind = ATTR_FLOAT},
                                       LEGACY,
                                       {.name = NULL}};
static const op_attr clip_6_attrs[] = {
    NUMBER("min", -(double)FLT_MAX), NUMBER("max", (double)FLT_MAX), {.name = NULL}};

const op_row ops_activation[] = {
#define ACT_OPERATOR(flags, function, since, test, ...) \
    UNARY(#function, since, pointwise_grad, attrs_##function, test),
#include "../../runtime/kernels/act.def"
    {"PRelu", "", 1, 6, 2, 2, 1, 1, none, PLAIN, 0, FUNCTIONS(prelu_grad), .test = "test_PReLU_2d",
     .weights = 2},
    {"PRelu", "", 7, 0, 2, 2, 1, 1, none, PLAIN, 0, FUNCTIONS(prelu_grad),
     .test = "test_prelu_broadcast", .weights = 2},
    {"Clip", "", 1, 5, 1, 1, 1, 1, clip_1_attrs, PLAIN, 0, clip_infer, clip_reference, clip_grad,
     clip_emit, .test = "test_ops_math clip"},
    {"Clip", "", 6, 10, 1, 1, 1, 1, clip_6_attrs, PLAIN, 0, clip_infer, clip_reference, clip_grad,
     clip_emit, .test = "test_operator_clip"},
    {"Clip", "", 11, 0, 1, 3, 1, 1, none, PLAIN, 0, clip_infer, clip_reference, clip_grad,
     clip_emit, .test = "test_clip", .same = clip_same},
    {"Selu", "", 1, 5, 1, 1, 1, 1, selu_old_attrs, PLAIN, 0, FUNCTIONS(pointwise_grad),
     .test = "test_ops_math selu"},
    UNARY("Gelu", 20, pointwise_grad, gelu_attrs, "test_gelu_default_1"),
    {.name = NULL}};
