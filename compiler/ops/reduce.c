/* Reductions. Axes are an attribute, or from opset 18 (ReduceSum: 13) an optional input that must
   be a constant. ArgMax, ArgMin. */
#include "lanes.h"
#include "pointwise.h"
#include "row.h"
#include "rules.h"

#include <math.h>

/* One reduction: start value, step, end. In emitted text v is the sum, x the element, $N
   the lane's length. */
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
    {ONNX_ReduceMean, 0, add, mean, "v + x", "v / $N", true},
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
    const attr *a = node_ints(n, "axes");
    ints axes = {0};
    if (!has_axes_input(n) && a) axes = (ints){a->ints, a->count};
    if (has_axes_input(n) && op_present(n, 1) && !op_const_ints(g, n, 1, &axes))
        return node_unsupported(g, n, "axes (input 1) must be a constant");
    const bool none = has_axes_input(n) && node_int(n, "noop_with_empty_axes", 0);
    *mask = axes.count || none ? 0 : (1u << rank) - 1;
    for (size_t i = 0; i < axes.count; i++) {
        int axis;
        if (!op_axis(g, n, axes.v[i], rank, &axis)) return false;
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
        if (reduced && x->dim[k] == 0 && !empty) return node_error(g, n, "axis %d is empty", k);
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

static double reduce_lane(const reduction *r, const tensor *x, const lanes *l, int64_t i) {
    double top = -(double)INFINITY, v = r->start;
    const bool exps = r->op == ONNX_ReduceLogSumExp;
    for (int64_t k = 0; exps && k < l->length; k++)
        top = larger(top, tensor_get(x, lane_at(l, i, k)));
    if (isinf(top) && exps) return top;
    for (int64_t k = 0; k < l->length; k++) {
        const double element = tensor_get(x, lane_at(l, i, k));
        v = r->step(v, exps ? exp(element - top) : element);
    }
    return exps ? top + log(v) : r->end(v, (double)l->length);
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

static int64_t extreme_int(const reduction *r, const tensor *x, const lanes *l, int64_t i) {
    int64_t best = l->base[i];
    for (int64_t k = 1; k < l->length; k++) {
        const int64_t at = lane_at(l, i, k);
        if (r->start < 0 ? exceeds(x, at, best) : exceeds(x, best, at)) best = at;
    }
    return tensor_get_int(x, best);
}

static int64_t reduce_lane_int(const reduction *r, const tensor *x, const lanes *l, int64_t i) {
    if (is_extreme(r)) return extreme_int(r, x, l, i);
    uint64_t sum = r->start != 0;
    for (int64_t k = 0; k < l->length; k++) {
        const uint64_t y = (uint64_t)tensor_get_int(x, lane_at(l, i, k));
        const bool negative = x->type != DT_UINT64 && (int64_t)y < 0;
        if (r->step == multiply)
            sum *= y;
        else
            sum += r->step == add_square ? y * y : r->step == add_abs && negative ? 0 - y : y;
    }
    if (!is_mean(r)) return (int64_t)sum;
    return type_is(x->type, TYPES_UNSIGNED) ? (int64_t)(sum / (uint64_t)l->length)
                                            : (int64_t)sum / l->length;
}

static lanes reduced_lanes(arena *a, const node *n) {
    return lanes_of(a, &n->in[0]->shape, reduce_mask(a, n));
}

static OP_REFERENCE(reduce_reference) {
    const reduction *r = reduction_of(n);
    const lanes l = lanes_run(a, reduced_lanes(a, n));
    for (int64_t i = 0; i < l.count; i++) {
        if (type_is(in[0]->type, TYPES_FLOAT))
            tensor_set(out[0], i, reduce_lane(r, in[0], &l, i));
        else
            tensor_set_int(out[0], i, reduce_lane_int(r, in[0], &l, i));
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

static const char top_text[] =
    "    double top = -INFINITY;\n"
    "$lane\n"
    "        const double x = (double)$in0;\n"
    "        top = x > top || x != x ? x : top;\n"
    "$end\n"
    "    if (isinf(top)) { v = top > 0 ? INFINITY : 0; top = 0; } else {\n";

/* What the emitted loop counts in. Integers: max and min compare in their own kind, all else
   counts modulo 2^64. */
typedef struct accumulator {
    const char *type, *start, *step, *end;
} accumulator;

static accumulator accumulator_of(emitter *e, const reduction *r, const node *n, const lanes *l) {
    const bool natural = type_is(n->in[0]->type, TYPES_UNSIGNED);
    if (type_is(n->in[0]->type, TYPES_FLOAT))
        return (accumulator){"double", emit_float(e, r->start), r->step_text, r->end_text};
    if (is_extreme(r)) {
        int64_t s[MAX_RANK];
        const char *type = natural ? "uint64_t" : "int64_t";
        emit_strides(n, n->in[0], s);
        for (int k = 0; k < l->shape.rank; k++)
            if (l->mask >> k & 1) s[k] = 0;
        const char *first = arena_put(emit_arena(e), "($0)in0[$1]", type,
                                      emit_index(e, s, l->shape.rank, l->names));
        return (accumulator){type, first, r->start < 0 ? "x > v ? x : v" : "x < v ? x : v", "v"};
    }
    const bool abs = r->step == add_abs && !natural;
    return (accumulator){"uint64_t", r->start != 0 ? "1" : "0",
                         abs                  ? "v + (x >> 63 ? 0 - x : x)"
                         : r->step == add_abs ? "v + x"
                                              : r->step_text,
                         is_mean(r) && !natural ? "(int64_t)v / $N" : r->end_text};
}

static void reduce_emit(emitter *e, const node *n) {
    const reduction *r = reduction_of(n);
    const lanes l = reduced_lanes(emit_arena(e), n);
    const bool exps = r->op == ONNX_ReduceLogSumExp;
    const accumulator v = accumulator_of(e, r, n, &l);
    lanes_put(e, n, &l,
              "    $0 v = $1;\n"
              "$2"
              "$lane\n"
              "        const $0 x = ($0)$in0;\n"
              "        v = $3;\n"
              "$end\n"
              "$4"
              "    out0[$5] = ($T)($6$7);\n",
              v.type, v.start, exps ? top_text : "", v.step, exps ? "    }\n" : "",
              result_index(e, n, &l), v.end, is_mean(r) && v.type[0] == 'd' ? ".0" : "");
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

static int arg_axis(const node *n) { return node_axis(n, n->in[0]->shape.rank, 0); }

static bool arg_max(const node *n) { return n->opcode == ONNX_ArgMax; }

static lanes arg_lanes(arena *a, const node *n) {
    return lanes_of(a, &n->in[0]->shape, 1u << arg_axis(n));
}

static OP_REFERENCE(arg_reference) {
    const lanes l = lanes_run(a, arg_lanes(a, n));
    const bool last = node_int(n, "select_last_index", 0) != 0;
    for (int64_t i = 0; i < l.count; i++) {
        int64_t best = 0;
        for (int64_t k = 1; k < l.length; k++) {
            const int64_t x = lane_at(&l, i, k), b = lane_at(&l, i, best);
            const bool more = arg_max(n) ? exceeds(in[0], x, b) : exceeds(in[0], b, x);
            const bool less = arg_max(n) ? exceeds(in[0], b, x) : exceeds(in[0], x, b);
            if (is_nan(in[0], x) || is_nan(in[0], b)
                    ? is_nan(in[0], x) && (last || !is_nan(in[0], b))
                    : more || (last && !less))
                best = k;
        }
        tensor_set_int(out[0], i, best);
    }
    return true;
}

static void arg_emit(emitter *e, const node *n) {
    const lanes l = arg_lanes(emit_arena(e), n);
    const bool last = node_int(n, "select_last_index", 0) != 0;
    lanes best = l;
    best.names[arg_axis(n)] = "best";
    const char *b = arena_put(emit_arena(e), "in0[$0]", lanes_index(e, n, n->in[0], &best)),
               *odd = last ? " || $in0 != $in0"
                           : arena_put(emit_arena(e), " || ($in0 != $in0 && $0 == $0)", b);
    lanes_put(e, n, &l,
              "    size_t best = 0;\n"
              "$lane\n"
              "        if ($in0 $0$1 $2$3) best = r$4;\n"
              "$end\n"
              "    out0[$5] = (int64_t)best;\n",
              arg_max(n) ? ">" : "<", last ? "=" : "", b,
              type_is(n->in[0]->type, TYPES_FLOAT) ? odd : "", arg_axis(n), result_index(e, n, &l));
}

/* ---- rows ---- */

static bool reduce_mixes(const node *n, int rank) {
    if (node_ints(n, "axes")) return false; /* the attribute is looked at for every node */
    if (!op_present(n, 1)) return node_int(n, "noop_with_empty_axes", 0) == 0;
    return op_axes_first(n, 1, rank);
}

/* clang-format off */
#define PLAIN (OP_ANY_LAYOUT | OP_BATCH_AXIS0)
#define REDUCE_FROM(name, since, rule, tested_by)                                             \
    {OP_ONNX(name, 1, (since)-1, 1, 1, 1, 1, reduce, "test_ops_math reduce"),                 \
     ATTRIBUTES(ATTR(INTS, "axes"), DEFAULT(INT, "keepdims", 1)),                             \
     .flags = PLAIN, .grad = rule, .mixes = reduce_mixes},                                    \
    {OP_ONNX(name, since, 0, 1, 2, 1, 1, reduce, tested_by),                                  \
     ATTRIBUTES(DEFAULT(INT, "keepdims", 1), DEFAULT(INT, "noop_with_empty_axes", 0)),        \
     .flags = PLAIN, .shape_inputs = 1u << 1, .grad = rule, .mixes = reduce_mixes}
#define REDUCE(name, rule, tested_by) REDUCE_FROM(name, 18, rule, tested_by)
#define ARG(name, tested_by)                                                                  \
    {OP_ONNX(name, 1, 0, 1, 1, 1, 1, arg, tested_by),                                         \
     ATTRIBUTES(DEFAULT(INT, "axis", 0), DEFAULT(INT, "keepdims", 1),                         \
                DEFAULT(INT, "select_last_index", 0)),                                        \
     .flags = PLAIN | OP_NO_GRAD}

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
/* clang-format on */
