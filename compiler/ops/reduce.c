/* Reductions. Axes are an attribute, or from opset 18 (ReduceSum: 13) an optional input that must
   be a constant. ArgMax, ArgMin. */
#include "lanes.h"
#include "pointwise.h"
#include "rules.h"

#include <math.h>

/* One reduction: start value, step, end. In emitted text v is the sum, x the element, "#" the
   lane's length. */
typedef struct reduction {
    opcode op;
    double start;
    double (*step)(double v, double x);
    double (*end)(double v, double length);
    const char *step_text, *end_text;
    bool integers; /* also computed exactly in int64 */
} reduction;

static double add(double v, double x) { return v + x; }
static double add_abs(double v, double x) { return v + fabs(x); }
static double add_square(double v, double x) { return v + x * x; }
static double multiply(double v, double x) { return v * x; }
static double larger(double v, double x) { return x > v || isnan(x) ? x : v; }
static double smaller(double v, double x) { return x < v || isnan(x) ? x : v; }
static double same(double v, double length) { return (void)length, v; }
static double mean(double v, double length) { return v / length; }
static double root(double v, double length) { return (void)length, sqrt(v); }
static double logarithm(double v, double length) { return (void)length, log(v); }

static const reduction reductions[] = {
    {ONNX_ReduceSum, 0, add, same, "v + x", "v", true},
    {ONNX_ReduceMean, 0, add, mean, "v + x", "v / #", true},
    {ONNX_ReduceL1, 0, add_abs, same, "v + (x < 0 ? -x : x)", "v", true},
    {ONNX_ReduceL2, 0, add_square, root, "v + x * x", "sqrt(v)", false},
    {ONNX_ReduceSumSquare, 0, add_square, same, "v + x * x", "v", true},
    {ONNX_ReduceProd, 1, multiply, same, "v * x", "v", true},
    {ONNX_ReduceMax, -(double)INFINITY, larger, same, "x > v || x != x ? x : v", "v", true},
    {ONNX_ReduceMin, (double)INFINITY, smaller, same, "x < v || x != x ? x : v", "v", true},
    {ONNX_ReduceLogSum, 0, add, logarithm, "v + x", "log(v)", false},
    {ONNX_ReduceLogSumExp, 0, add, same, "v + exp(x - top)", "top + log(v)", false},
};

static const reduction *reduction_of(const node *n) {
    for (size_t i = 0; i < sizeof reductions / sizeof *reductions; i++)
        if (reductions[i].op == n->opcode) return &reductions[i];
    BUG("%s is no reduction", n->op_type);
}

/* ---- infer ---- */

static bool has_axes_input(const node *n) { return n->op && n->op->max_in == 2; }

/* The reduced axes as a mask. */
static bool axes_mask(graph *g, const node *n, unsigned *mask) {
    const int rank = n->in[0]->shape.rank;
    const int64_t *axes = NULL;
    size_t count = 0;
    if (has_axes_input(n)) {
        if (n->n_in > 1 && n->in[1] && !op_const_ints(g, n, 1, &axes, &count))
            return diag_error(g->diag, n, DIAG_UNSUPPORTED, "axes (input 1) must be a constant");
    } else {
        const attr *a = node_ints(n, "axes");
        if (a) axes = a->ints, count = a->count;
    }
    *mask = count || (has_axes_input(n) && node_int(n, "noop_with_empty_axes", 0))
                ? 0
                : (1u << rank) - 1;
    for (size_t i = 0; i < count; i++) {
        int axis;
        if (!op_axis(g, n, axes[i], rank, &axis)) return false;
        *mask |= 1u << axis;
    }
    return true;
}

/* empty: whether a reduction of no elements has a value. */
static bool reduced_shape(graph *g, node *n, unsigned mask, dtype type, bool empty) {
    const shape *x = &n->in[0]->shape;
    shape y = {.rank = 0};
    for (int k = 0; k < x->rank; k++) {
        const bool reduced = mask >> k & 1;
        if (reduced && x->dim[k] == 0 && !empty)
            return diag_error(g->diag, n, NULL, "axis %d is empty", k);
        if (!reduced || node_int(n, "keepdims", 1)) y.dim[y.rank++] = reduced ? 1 : x->dim[k];
    }
    return op_set_output(g, n, 0, type, &y);
}

static bool reduce_infer(graph *g, node *n) {
    unsigned mask;
    const reduction *r = reduction_of(n);
    if (!type_check(g, n, 0, r->integers ? TYPES_NUMBER : TYPES_FLOAT)) return false;
    const bool empty = type_is(n->in[0]->type, TYPES_FLOAT) || (!isinf(r->start) && r->end != mean);
    return axes_mask(g, n, &mask) && reduced_shape(g, n, mask, n->in[0]->type, empty);
}

/* Infer has checked the axes; this reads them again. */
unsigned reduce_mask(arena *a, const node *n) {
    diag d = {.arena = a};
    graph g = {.arena = a, .diag = &d};
    unsigned mask = 0;
    axes_mask(&g, n, &mask);
    return mask;
}

/* ---- reference ---- */

static double reduce_lane(const reduction *r, const tensor *x, int64_t base, const int64_t *step,
                          int64_t length) {
    double top = -(double)INFINITY, v = r->start;
    const bool exps = r->op == ONNX_ReduceLogSumExp;
    for (int64_t i = 0; exps && i < length; i++) top = larger(top, tensor_get(x, base + step[i]));
    if (isinf(top) && exps) return top;
    for (int64_t i = 0; i < length; i++) {
        const double element = tensor_get(x, base + step[i]);
        v = r->step(v, exps ? exp(element - top) : element);
    }
    return exps ? top + log(v) : r->end(v, (double)length);
}

static bool is_mean(const reduction *r) { return r->end == mean; }
static bool is_extreme(const reduction *r) { return isinf(r->start); }

/* Exact comparison, whatever the type. */
static bool exceeds(const tensor *t, int64_t i, int64_t j) {
    if (type_is(t->type, TYPES_FLOAT)) return tensor_get(t, i) > tensor_get(t, j);
    const int64_t a = tensor_get_int(t, i), b = tensor_get_int(t, j);
    return t->type == DT_UINT64 ? (uint64_t)a > (uint64_t)b : a > b;
}

static bool is_nan(const tensor *t, int64_t i) {
    return type_is(t->type, TYPES_FLOAT) && isnan(tensor_get(t, i));
}

static int64_t extreme_int(const reduction *r, const tensor *x, int64_t base, const int64_t *step,
                           int64_t length) {
    int64_t best = base;
    for (int64_t i = 1; i < length; i++) {
        const int64_t at = base + step[i];
        if (r->start < 0 ? exceeds(x, at, best) : exceeds(x, best, at)) best = at;
    }
    return tensor_get_int(x, best);
}

static int64_t reduce_lane_int(const reduction *r, const tensor *x, int64_t base,
                               const int64_t *step, int64_t length) {
    if (is_extreme(r)) return extreme_int(r, x, base, step, length);
    uint64_t sum = r->start != 0;
    for (int64_t i = 0; i < length; i++) {
        const uint64_t y = (uint64_t)tensor_get_int(x, base + step[i]);
        const bool negative = x->type != DT_UINT64 && (int64_t)y < 0;
        if (r->step == multiply)
            sum *= y;
        else
            sum += r->step == add_square ? y * y : r->step == add_abs && negative ? 0 - y : y;
    }
    if (!is_mean(r)) return (int64_t)sum;
    return type_is(x->type, TYPES_UNSIGNED) ? (int64_t)(sum / (uint64_t)length)
                                            : (int64_t)sum / length;
}

static bool reduce_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                             const char **why) {
    (void)why;
    const reduction *r = reduction_of(n);
    const lanes l = lanes_of(a, &in[0]->shape, reduce_mask(a, n));
    int64_t *base, *step, count;
    lanes_offsets(a, &l, &base, &count, &step);
    for (int64_t i = 0; i < count; i++) {
        if (type_is(in[0]->type, TYPES_FLOAT))
            tensor_set(out[0], i, reduce_lane(r, in[0], base[i], step, l.length));
        else
            store_int(out[0], i, reduce_lane_int(r, in[0], base[i], step, l.length));
    }
    return true;
}

/* ---- emission ---- */

/* Where a lane's result goes: strides of out 0 by the axes of in 0. */
static const char *result_index(emitter *e, const node *n, const lanes *l) {
    int64_t s[MAX_RANK], y[MAX_RANK] = {0};
    emit_strides(n, n->out[0], s);
    const bool kept = n->out[0]->shape.rank == l->shape.rank;
    for (int k = 0, at = 0; k < l->shape.rank; k++) {
        const bool reduced = l->mask >> k & 1;
        if (!reduced) y[k] = s[kept ? k : at];
        if (!reduced || kept) at++;
    }
    return emit_index(e, y, l->shape.rank, l->names);
}

static const char *element_index(emitter *e, const node *n, const lanes *l) {
    int64_t s[MAX_RANK];
    emit_strides(n, n->in[0], s);
    return emit_index(e, s, l->shape.rank, l->names);
}

static void emit_top(emitter *e, const lanes *l, const char *at) {
    text *t = emit_helpers(e);
    text_append(t, "    double top = -INFINITY;\n");
    lanes_loop(e, l);
    text_printf(
        t,
        "        const double x = (double)in0[%s];\n        top = x > top || x != x ? x : top;\n",
        at);
    lanes_end(e, l);
    text_append(t, "    if (isinf(top)) { v = top > 0 ? INFINITY : 0; top = 0; } else {\n");
}

/* What the emitted loop counts in. Integers: max and min compare in their own kind, all else
   counts modulo 2^64. */
typedef struct accumulator {
    const char *type, *start, *step, *end;
} accumulator;

static accumulator real_accumulator(emitter *e, const reduction *r) {
    return (accumulator){"double", emit_float(e, r->start), r->step_text, r->end_text};
}

static accumulator integer_accumulator(emitter *e, const reduction *r, const node *n,
                                       const lanes *l) {
    const bool natural = type_is(n->in[0]->type, TYPES_UNSIGNED);
    if (is_extreme(r)) {
        int64_t s[MAX_RANK];
        const char *type = natural ? "uint64_t" : "int64_t";
        emit_strides(n, n->in[0], s);
        for (int k = 0; k < l->shape.rank; k++)
            if (l->mask >> k & 1) s[k] = 0;
        const char *first = arena_printf(emit_arena(e), "(%s)in0[%s]", type,
                                         emit_index(e, s, l->shape.rank, l->names));
        return (accumulator){type, first, r->start < 0 ? "x > v ? x : v" : "x < v ? x : v", "v"};
    }
    const bool abs = r->step == add_abs && !natural;
    return (accumulator){"uint64_t", r->start != 0 ? "1" : "0",
                         abs                  ? "v + (x >> 63 ? 0 - x : x)"
                         : r->step == add_abs ? "v + x"
                                              : r->step_text,
                         is_mean(r) && !natural ? "(int64_t)v / #" : r->end_text};
}

static void reduce_emit(struct emitter *e, const node *n) {
    const reduction *r = reduction_of(n);
    const lanes l = lanes_of(emit_arena(e), &n->in[0]->shape, reduce_mask(emit_arena(e), n));
    const char *at = element_index(e, n, &l);
    const bool real = type_is(n->in[0]->type, TYPES_FLOAT), exps = r->op == ONNX_ReduceLogSumExp;
    const accumulator v = real ? real_accumulator(e, r) : integer_accumulator(e, r, n, &l);
    lanes_open(e, n, &l);
    text *t = emit_helpers(e);
    text_printf(t, "    %s v = %s;\n", v.type, v.start);
    if (exps) emit_top(e, &l, at);
    lanes_loop(e, &l);
    text_printf(t, "        const %s x = (%s)in0[%s];\n        v = %s;\n", v.type, v.type, at,
                v.step);
    lanes_end(e, &l);
    if (exps) text_append(t, "    }\n");
    text end = {0};
    text_replace(&end, v.end, "#",
                 arena_printf(emit_arena(e), real ? "%lld.0" : "%lld", (long long)l.length));
    text_printf(t, "    out0[%s] = (%s)(%s);\n", result_index(e, n, &l), dtype_c(n->in[0]->type),
                text_str(&end));
    text_free(&end);
    lanes_close(e, n, &l);
}

/* ---- ArgMax, ArgMin: a NaN is the largest and the smallest, as in NumPy, PyTorch and ONNX
   Runtime ---- */

static bool arg_infer(graph *g, node *n) {
    int axis;
    if (!type_check(g, n, 0, TYPES_NUMBER) ||
        !op_axis(g, n, node_int(n, "axis", 0), n->in[0]->shape.rank, &axis))
        return false;
    return reduced_shape(g, n, 1u << axis, DT_INT64, false);
}

static int arg_axis(const node *n) {
    const int64_t axis = node_int(n, "axis", 0);
    return (int)(axis < 0 ? axis + n->in[0]->shape.rank : axis);
}

static bool arg_max(const node *n) { return n->opcode == ONNX_ArgMax; }

static bool arg_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                          const char **why) {
    (void)why;
    const lanes l = lanes_of(a, &in[0]->shape, 1u << arg_axis(n));
    const bool last = node_int(n, "select_last_index", 0) != 0;
    int64_t *base, *step, count;
    lanes_offsets(a, &l, &base, &count, &step);
    for (int64_t i = 0; i < count; i++) {
        int64_t best = 0;
        for (int64_t k = 1; k < l.length; k++) {
            const int64_t x = base[i] + step[k], b = base[i] + step[best];
            const bool more = arg_max(n) ? exceeds(in[0], x, b) : exceeds(in[0], b, x);
            const bool less = arg_max(n) ? exceeds(in[0], b, x) : exceeds(in[0], x, b);
            if (is_nan(in[0], x) || is_nan(in[0], b)
                    ? is_nan(in[0], x) && (last || !is_nan(in[0], b))
                    : more || (last && !less))
                best = k;
        }
        store_int(out[0], i, best);
    }
    return true;
}

static void arg_emit(struct emitter *e, const node *n) {
    const int axis = arg_axis(n);
    lanes l = lanes_of(emit_arena(e), &n->in[0]->shape, 1u << axis);
    const bool last = node_int(n, "select_last_index", 0) != 0;
    const char *x = arena_printf(emit_arena(e), "in0[%s]", element_index(e, n, &l));
    lanes best = l;
    best.names[axis] = "best";
    const char *b = arena_printf(emit_arena(e), "in0[%s]", element_index(e, n, &best)), *odd = "";
    if (type_is(n->in[0]->type, TYPES_FLOAT))
        odd = last ? arena_printf(emit_arena(e), " || %s != %s", x, x)
                   : arena_printf(emit_arena(e), " || (%s != %s && %s == %s)", x, x, b, b);
    lanes_open(e, n, &l);
    text *t = emit_helpers(e);
    text_append(t, "    size_t best = 0;\n");
    lanes_loop(e, &l);
    text_printf(t, "        if (%s %s%s %s%s) best = r%d;\n", x, arg_max(n) ? ">" : "<",
                last ? "=" : "", b, odd, axis);
    lanes_end(e, &l);
    text_printf(t, "    out0[%s] = (int64_t)best;\n", result_index(e, n, &l));
    lanes_close(e, n, &l);
}

/* ---- rows ---- */

static const op_attr attribute_attrs[] = {
    {.name = "axes", .kind = ATTR_INTS},
    {.name = "keepdims", .kind = ATTR_INT, .number = 1, .has_default = true},
    {.name = NULL}};
static const op_attr input_attrs[] = {
    {.name = "keepdims", .kind = ATTR_INT, .number = 1, .has_default = true},
    {.name = "noop_with_empty_axes", .kind = ATTR_INT, .has_default = true},
    {.name = NULL}};
static const op_attr arg_attrs[] = {
    {.name = "axis", .kind = ATTR_INT, .has_default = true},
    {.name = "keepdims", .kind = ATTR_INT, .number = 1, .has_default = true},
    {.name = "select_last_index", .kind = ATTR_INT, .has_default = true},
    {.name = NULL}};

static bool reduce_mixes(const node *n, int rank) {
    if (node_ints(n, "axes")) return false; /* the attribute is looked at for every node */
    if (n->n_in < 2 || !n->in[1]) return node_int(n, "noop_with_empty_axes", 0) == 0;
    return op_axes_first(n, 1, rank);
}

#define PLAIN (OP_ANY_LAYOUT | OP_BATCH_AXIS0)
#define FUNCTIONS(rule) reduce_infer, reduce_reference, rule, reduce_emit
#define REDUCE_FROM(name, since, rule, tested_by)                                     \
    {name,                                                                            \
     "",                                                                              \
     1,                                                                               \
     (since)-1,                                                                       \
     1,                                                                               \
     1,                                                                               \
     1,                                                                               \
     1,                                                                               \
     attribute_attrs,                                                                 \
     PLAIN,                                                                           \
     0,                                                                               \
     FUNCTIONS(rule),                                                                 \
     .mixes = reduce_mixes,                                                           \
     .test = "test_ops_math reduce"},                                                 \
    {                                                                                 \
        name, "", since, 0, 1, 2, 1, 1, input_attrs, PLAIN, 1u << 1, FUNCTIONS(rule), \
            .mixes = reduce_mixes, .test = tested_by                                  \
    }
#define REDUCE(name, rule, tested_by) REDUCE_FROM(name, 18, rule, tested_by)
#define ARG(name, tested_by)                                                                    \
    {                                                                                           \
        name, "", 1, 0, 1, 1, 1, 1, arg_attrs, PLAIN | OP_NO_GRAD, 0, arg_infer, arg_reference, \
            NULL, arg_emit, .test = tested_by                                                   \
    }

const op_row ops_reduce[] = {
    REDUCE_FROM("ReduceSum", 13, reduce_sum_grad, "test_reduce_sum_default_axes_keepdims_example"),
    REDUCE("ReduceMean", reduce_mean_grad, "test_reduce_mean_default_axes_keepdims_example"),
    REDUCE("ReduceL1", reduce_l1_grad, "test_reduce_l1_default_axes_keepdims_example"),
    REDUCE("ReduceL2", reduce_l2_grad, "test_reduce_l2_default_axes_keepdims_example"),
    REDUCE("ReduceSumSquare", reduce_square_grad,
           "test_reduce_sum_square_default_axes_keepdims_example"),
    REDUCE("ReduceProd", reduce_prod_grad, "test_reduce_prod_default_axes_keepdims_example"),
    REDUCE("ReduceMax", reduce_extreme_grad, "test_reduce_max_default_axes_keepdim_example"),
    REDUCE("ReduceMin", reduce_extreme_grad, "test_reduce_min_default_axes_keepdims_example"),
    REDUCE("ReduceLogSum", reduce_log_sum_grad, "test_reduce_log_sum"),
    REDUCE("ReduceLogSumExp", reduce_log_sum_exp_grad,
           "test_reduce_log_sum_exp_default_axes_keepdims_example"),
    ARG("ArgMax", "test_argmax_default_axis_example"),
    ARG("ArgMin", "test_argmin_default_axis_example"),
    {.name = NULL}};
