/* Operators that cut tensors apart and join them: Concat, Split and Slice, as strided copies
   (copy.h). */
#include "copy.h"
#include "rules.h"

/* ---- Concat ---- */

static bool concat_infer(graph *g, node *n) {
    shape y = n->in[0]->shape;
    int axis;
    if (n->opset >= 4 && !node_attr(n, "axis"))
        return node_error(g, n, "attribute axis is missing");
    if (!copy_type(g, n) || !op_axis(g, n, node_int(n, "axis", 1), y.rank, &axis)) return false;
    for (size_t i = 1; i < n->n_in; i++) {
        const shape *x = &n->in[i]->shape;
        bool ok = x->rank == y.rank && n->in[i]->type == n->in[0]->type;
        for (int k = 0; ok && k < y.rank; k++) ok = k == axis || x->dim[k] == y.dim[k];
        if (!ok) return node_error(g, n, "input %zu does not fit input 0 outside axis %d", i, axis);
        if (__builtin_add_overflow(y.dim[axis], x->dim[axis], &y.dim[axis]))
            return node_unsupported(g, n, "the result is too large");
    }
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static COPY_PLAN(concat_plan) {
    const int axis = node_axis(n, y->shape->rank, 1);
    for (size_t i = 0; i < part; i++) c->to_offset += n->in[i]->shape.dim[axis] * y->stride[axis];
    for (int i = 0; i < x->shape->rank; i++)
        copy_axis(c, x->shape->dim[i], x->stride[i], y->stride[i]);
}

COPY_FUNCTIONS(concat, true)

/* ---- cameo.Interleave: channel j of part p becomes channel j * parts + p ---- */

static bool interleave_infer(graph *g, node *n) {
    shape y = n->in[0]->shape;
    for (size_t i = 1; i < n->n_in; i++)
        if (!shape_equal(&n->in[i]->shape, &y) || n->in[i]->type != n->in[0]->type)
            return node_error(g, n, "input %zu is not like input 0", i);
    y.dim[1] *= (int64_t)n->n_in;
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static COPY_PLAN(interleave_plan) {
    c->to_offset = (int64_t)part * y->stride[1];
    for (int i = 0; i < x->shape->rank; i++)
        copy_axis(c, x->shape->dim[i], x->stride[i],
                  y->stride[i] * (i == 1 ? (int64_t)n->n_in : 1));
}

COPY_FUNCTIONS(interleave, true)

/* ---- Split ---- */

static bool split_parts(graph *g, node *n, int64_t extent, ints *r) {
    const attr *a = node_ints(n, "split");
    *r = (ints){0};
    if ((n->opset >= 13 || n->opset < 2) && op_present(n, 1))
        return op_need_ints(g, n, 1, "split", r);
    if (a && n->opset < 13) *r = (ints){a->ints, a->count};
    if (r->count) return true;
    int64_t *parts = ARENA_ARRAY(g->arena, int64_t, n->n_out), total = (int64_t)n->n_out;
    int64_t chunk = (extent + total - 1) / total;
    if (n->opset < 18 && extent % total)
        return node_error(g, n, "%lld does not divide into %lld parts", (long long)extent,
                          (long long)total);
    if (n->opset >= 18 && node_int(n, "num_outputs", total) != total)
        return node_error(g, n, "num_outputs is not the number of outputs");
    for (int64_t i = 0, left = extent; i < total; i++) {
        parts[i] = left < chunk ? left : chunk;
        left -= parts[i];
    }
    *r = (ints){parts, n->n_out};
    return true;
}

static bool split_infer(graph *g, node *n) {
    shape y = n->in[0]->shape;
    ints parts;
    int axis;
    int64_t sum = 0;
    if (!copy_type(g, n) || !op_axis(g, n, node_int(n, "axis", 0), y.rank, &axis) ||
        !split_parts(g, n, y.dim[axis], &parts))
        return false;
    if (parts.count != n->n_out)
        return node_error(g, n, "%zu parts for %zu outputs", parts.count, n->n_out);
    for (size_t i = 0; i < parts.count; i++)
        if (parts.v[i] < 0 || __builtin_add_overflow(sum, parts.v[i], &sum))
            return node_error(g, n, "a part is negative");
    if (sum != y.dim[axis])
        return node_error(g, n, "the parts add up to %lld, the axis has %lld", (long long)sum,
                          (long long)y.dim[axis]);
    /* outputs may be absent, offsets must not depend on them */
    node_set_ints(g, n, "parts", parts.v, parts.count);
    for (size_t i = 0; i < parts.count; i++) {
        y.dim[axis] = parts.v[i];
        if (!op_set_output(g, n, i, n->in[0]->type, &y)) return false;
    }
    return true;
}

static COPY_PLAN(split_plan) {
    const int axis = node_axis(n, x->shape->rank, 0);
    const attr *parts = node_ints(n, "parts");
    for (size_t i = 0; i < part; i++) c->from_offset += parts->ints[i] * x->stride[axis];
    for (int i = 0; i < y->shape->rank; i++)
        copy_axis(c, y->shape->dim[i], x->stride[i], y->stride[i]);
}

COPY_FUNCTIONS(split, false)

/* ---- Slice ---- */

typedef struct cut {
    int64_t start, step, count;
} cut;

static int64_t clamp(int64_t v, int64_t low, int64_t high) {
    return v < low ? low : v > high ? high : v;
}

static cut slice_axis(int64_t d, int64_t start, int64_t end, int64_t step) {
    if (start < 0) start += d; /* d >= 0 and start < 0: no overflow */
    if (end < 0) end += d;
    start = step > 0 ? clamp(start, 0, d) : clamp(start, 0, d - 1);
    end = step > 0 ? clamp(end, 0, d) : clamp(end, -1, d - 1);
    cut r = {start, step, 0};
    if (step > 0 && end > start) r.count = (end - start - 1) / step + 1;
    if (step < 0 && start > end) r.count = step == INT64_MIN ? 1 : (start - end - 1) / -step + 1;
    if (r.count <= 1) r.step = 1;
    return r;
}

/* The cuts of all axes, kept as the attribute "cuts" (start, step for each axis) for reference and
   emission. */
static bool slice_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape;
    ints start, end, axes, step;
    int64_t cuts[2 * MAX_RANK];
    bool seen[MAX_RANK] = {false};
    shape y = *x;
    if (!copy_type(g, n) || !op_ints(g, n, 1, 10, "starts", &start) ||
        !op_ints(g, n, 2, 10, "ends", &end) || !op_ints(g, n, 3, 10, "axes", &axes) ||
        !op_ints(g, n, 4, 10, "steps", &step))
        return false;
    if (!start.v || !end.v) return node_error(g, n, "%s is missing", start.v ? "ends" : "starts");
    if (start.count > (size_t)x->rank)
        return node_error(g, n, "%zu starts for rank %d", start.count, x->rank);
    if (start.count != end.count || (axes.v && axes.count != start.count) ||
        (step.v && step.count != start.count))
        return node_error(g, n, "starts, ends, axes and steps differ in length");
    for (int i = 0; i < x->rank; i++) cuts[2 * i] = 0, cuts[2 * i + 1] = 1;
    for (size_t i = 0; i < start.count; i++) {
        int axis;
        if (!op_axis(g, n, axes.v ? axes.v[i] : (int64_t)i, x->rank, &axis)) return false;
        if (seen[axis] || (step.v && step.v[i] == 0))
            return node_error(g, n, "axis %d occurs twice, or its step is 0", axis);
        seen[axis] = true;
        cut r = slice_axis(x->dim[axis], start.v[i], end.v[i], step.v ? step.v[i] : 1);
        cuts[2 * axis] = r.count ? r.start : 0;
        cuts[2 * axis + 1] = r.step;
        y.dim[axis] = r.count;
    }
    node_set_ints(g, n, "cuts", cuts, 2 * (size_t)x->rank);
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static COPY_PLAN(slice_plan) {
    const attr *cuts = node_ints(n, "cuts");
    for (int i = 0; i < y->shape->rank; i++) {
        c->from_offset += cuts->ints[2 * i] * x->stride[i];
        copy_axis(c, y->shape->dim[i], cuts->ints[2 * i + 1] * x->stride[i], y->stride[i]);
    }
}

COPY_FUNCTIONS(slice, false)

/* Of equal shape, but it may run backwards. */
static int slice_same(const graph *g, const node *n) {
    (void)g;
    for (int i = 0; i < n->in[0]->shape.rank; i++)
        if (node_ints(n, "cuts")->ints[2 * i + 1] != 1) return -1;
    return 0;
}

/* ---- rows ---- */

static bool slice_mixes(const node *n, int rank) {
    if (node_ints(n, "axes")) return false;
    if (op_present(n, 3)) return op_axes_first(n, 3, rank);
    return true; /* no axes: all of them, from the first on */
}

/* clang-format off */
const op_row ops_slice[] = {
    {MOVED("Concat", 1, 1, -1, 1, concat, "test_concat_2d_axis_0"),
     ATTRIBUTES(ATTR(INT, "axis")), .same = copy_same},
    {OP_INTERNAL("Interleave", 2, -1, 1, 1, interleave, "test_ops_move interleaved"),
     .flags = OP_ANY_LAYOUT | OP_NHWC_IN | OP_BATCH_AXIS0, .copy = &interleave_copy},
    {MOVED("Split", 1, 1, 2, -1, split, "test_split_equal_parts_1d"), .shape_inputs = 2,
     ATTRIBUTES(DEFAULT(INT, "axis", 0), ATTR(INTS, "split"), ATTR(INT, "num_outputs")),
     .same = copy_same},
    {MOVED("Slice", 1, 1, 5, 1, slice, "test_slice"), .shape_inputs = 30,
     ATTRIBUTES(ATTR(INTS, "starts"), ATTR(INTS, "ends"), ATTR(INTS, "axes")),
     .same = slice_same, .mixes = slice_mixes},
    {.name = NULL}};
/* clang-format on */
