/* Operators that look source indices up: Pad in tables made at compile time, Gather in its
   indices. */
#include <string.h>

#include "../emit/loops.h"
#include "copy.h"
#include "rules.h"

static int64_t clamp(int64_t v, int64_t low, int64_t high) {
    return v < low ? low : v > high ? high : v;
}

/* ---- Pad ---- */

static bool pad_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape;
    const char *mode = node_string(n, "mode", "constant");
    ints given, axes = {0};
    int64_t pads[2 * MAX_RANK] = {0};
    shape y = *x;
    if (strcmp(mode, "constant") && strcmp(mode, "reflect") && strcmp(mode, "edge") &&
        strcmp(mode, "wrap"))
        return diag_error(g->diag, n, "use constant, reflect, edge or wrap",
                          "this mode is not supported");
    if (n->opset >= 11) {
        if (!op_need_ints(g, n, 1, "pads", &given) || !op_ints(g, n, 3, 0, "axes", &axes))
            return false;
        if (op_present(n, 2) && (n->in[2]->type != n->in[0]->type || value_count(n->in[2]) != 1))
            return node_error(g, n, "constant_value must be one element of the input's type");
    } else
        op_ints(g, n, 1, 11, n->opset >= 2 ? "pads" : "paddings", &given);
    if (!axes.v) axes.count = (size_t)x->rank;
    if (given.count != 2 * axes.count)
        return node_error(g, n, "%zu pads for %zu axes", given.count, axes.count);
    for (size_t i = 0; i < axes.count; i++) {
        const int64_t begin = given.v[i], end = given.v[axes.count + i];
        int k = (int)i;
        if (axes.v && !op_axis(g, n, axes.v[i], x->rank, &k)) return false;
        pads[k] = begin;
        pads[x->rank + k] = end;
        if (__builtin_add_overflow(x->dim[k], begin, &y.dim[k]) ||
            __builtin_add_overflow(y.dim[k], end, &y.dim[k]) || y.dim[k] < 0 ||
            y.dim[k] > INT32_MAX)
            return node_error(g, n, "the pads of axis %d are out of range", k);
        if (x->dim[k] == 0 && y.dim[k] > 0 && strcmp(mode, "constant"))
            return node_error(g, n, "axis %d is empty", k);
    }
    node_set_ints(g, n, "resolved_pads", pads, 2 * (size_t)x->rank);
    return copy_type(g, n) && op_set_output(g, n, 0, n->in[0]->type, &y);
}

/* The source index of output index o on an axis of extent d; -1 = the fill value. */
static int64_t pad_source(const char *mode, int64_t i, int64_t d) {
    if (i >= 0 && i < d) return i;
    if (mode[0] == 'c' || d == 0) return -1;
    if (mode[0] == 'e') return clamp(i, 0, d - 1);
    if (mode[0] == 'w') return (i % d + d) % d;
    if (d == 1) return 0;
    const int64_t period = 2 * (d - 1);
    i = (i % period + period) % period;
    return i < d ? i : period - i;
}

static int32_t *pad_table(arena *a, const node *n, const shape *x, const shape *y, int axis) {
    const char *mode = node_string(n, "mode", "constant");
    int32_t *t = ARENA_ARRAY(a, int32_t, (size_t)y->dim[axis]);
    for (int64_t o = 0; o < y->dim[axis]; o++)
        t[o] = (int32_t)pad_source(mode, o - node_ints(n, "resolved_pads")->ints[axis],
                                   x->dim[axis]);
    return t;
}

static int pad_same(const graph *g, const node *n) {
    (void)g;
    const attr *pads = node_ints(n, "resolved_pads");
    for (size_t i = 0; i < pads->count; i++)
        if (pads->ints[i]) return -1;
    return 0;
}

static void fill_element(const node *n, const tensor *const *in, tensor *element) {
    if (op_present(n, 2))
        memcpy(element->data, in[2]->data, dtype_size(element->type));
    else if (n->opset < 11)
        tensor_set(element, 0, node_float(n, "value", 0));
}

static OP_REFERENCE(pad_reference) {
    const shape *x = &in[0]->shape, *y = &out[0]->shape;
    const size_t size = dtype_size(in[0]->type);
    int32_t *table[MAX_RANK];
    int64_t xs[MAX_RANK];
    tensor *fill = tensor_new(a, in[0]->type, &(shape){0});
    fill_element(n, in, fill);
    copy_dense(x, xs);
    for (int i = 0; i < x->rank; i++) table[i] = pad_table(a, n, x, y, i);
    for (int64_t o = 0; o < shape_count(y); o++) {
        int64_t rest = o, at = 0;
        for (int i = x->rank - 1; i >= 0; i--) {
            int64_t s = table[i][rest % y->dim[i]];
            rest /= y->dim[i];
            at = s < 0 || at < 0 ? -1 : at + s * xs[i];
        }
        memcpy((char *)out[0]->data + (size_t)o * size,
               at < 0 ? fill->data : (char *)in[0]->data + (size_t)at * size, size);
    }
    return true;
}

static void pad_emit(emitter *e, const node *n) {
    const value *x = n->in[0], *y = n->out[0];
    const int rank = y->shape.rank;
    const char *fill = "0", *outside = "0";
    const attr *pads = node_ints(n, "resolved_pads");
    arena *a = emit_arena(e);
    text *b = emit_body(e);
    const char *names[MAX_RANK] = {NULL};
    int64_t xs[MAX_RANK];
    value_strides(x, xs);
    emit_value(e, "x", x, false);
    emit_value(e, "y", y, true);
    text_append(b, "    (void)c, (void)n, (void)x, (void)y;\n");
    if (op_present(n, 2)) {
        emit_value(e, "fill", n->in[2], false);
        text_append(b, "    (void)fill;\n");
        fill = "fill[0]";
    } else if (n->opset < 11)
        fill = arena_put(a, "($0)$1", dtype_c(y->type), emit_float(e, node_float(n, "value", 0)));
    for (int i = 0; i < rank; i++) {
        names[i] = arena_put(a, "i$0", i);
        if ((!pads->ints[i] && !pads->ints[rank + i]) || y->shape.dim[i] == 0) continue;
        emit_param(e, arena_put(a, "const void *table$0", i),
                   emit_weights(e, pad_table(a, n, &x->shape, &y->shape, i),
                                (size_t)y->shape.dim[i] * 4, "pad indices"));
        text_put(b, "    const int32_t *t$0 = table$0;\n", i);
        names[i] = arena_put(a, "(size_t)t$0[i$0]", i);
        outside = arena_put(a, "$1 || t$0[i$0] < 0", i, outside);
        if (xs[i] == 0) xs[i] = 1; /* extent 1: the index is 0, but an unused table would warn */
    }
    emit_each(e, n, y,
              arena_put(a,
                        "        if ($0) {\n"
                        "            y[$1] = $2;\n"
                        "            continue;\n"
                        "        }\n"
                        "        y[$1] = x[$3];\n",
                        outside, emit_index_of(e, y), fill, emit_index(e, xs, rank, names)));
}

/* Constant padding is cut off again; elsewhere a gradient comes from every copy, an axis at a
   time. */
static GRADIENT(pad_grad) {
    const attr *pads = node_ints(n, "resolved_pads");
    const shape *x = &n->in[0]->shape, *y = &n->out[0]->shape;
    int64_t back[2 * MAX_RANK];
    if (rule_wants(n, 2))
        return diag_error(g->diag, n, "make it a constant in the model",
                          "constant_value has no gradient");
    if (!strcmp(node_string(n, "mode", "constant"), "constant")) {
        for (int k = 0; k < 2 * x->rank; k++) back[k] = -pads->ints[k];
        value *in[] = {dout[0], graph_add_ints(g, "pads", back, 2 * (size_t)x->rank)};
        return (din[0] = grad_call(g, n, ONNX_Pad, in, 2));
    }
    value *v = dout[0];
    for (int k = 0; k < x->rank; k++)
        if (pads->ints[k] || pads->ints[x->rank + k])
            v = axis_scatter(g, n, v, k, x->dim[k], pad_table(g->arena, n, x, y, k), NULL, 1);
    return (din[0] = v);
}

/* ---- Gather ---- */

static bool gather_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape, *q = &n->in[1]->shape;
    int axis;
    shape y = {0};
    if (!copy_type(g, n) || !op_axis(g, n, node_int(n, "axis", 0), x->rank, &axis)) return false;
    if (n->in[1]->type != DT_INT32 && n->in[1]->type != DT_INT64)
        return node_error(g, n, "indices must be int32 or int64");
    if (x->rank + q->rank - 1 > MAX_RANK)
        return node_unsupported(g, n, "the result's rank is too high (8 at most)");
    for (int i = 0; i < axis; i++) y.dim[y.rank++] = x->dim[i];
    for (int i = 0; i < q->rank; i++) y.dim[y.rank++] = q->dim[i];
    for (int i = axis + 1; i < x->rank; i++) y.dim[y.rank++] = x->dim[i];
    const tensor *t = n->in[1]->constant;
    if (x->dim[axis] == 0 && shape_count(q) > 0)
        return node_error(g, n, "the gathered axis is empty");
    for (int64_t i = 0; t && i < shape_count(q); i++)
        if (tensor_get_int(t, i) < -x->dim[axis] || tensor_get_int(t, i) >= x->dim[axis])
            return node_error(g, n, "index %lld is outside the axis of %lld",
                              (long long)tensor_get_int(t, i), (long long)x->dim[axis]);
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static OP_REFERENCE(gather_reference) {
    const shape *x = &in[0]->shape;
    const int axis = node_axis(n, x->rank, 0);
    int64_t outer = 1, inner = (int64_t)dtype_size(in[0]->type), d = x->dim[axis],
            count = shape_count(&in[1]->shape);
    for (int i = 0; i < axis; i++) outer *= x->dim[i];
    for (int i = axis + 1; i < x->rank; i++) inner *= x->dim[i];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < count; i++) {
            int64_t at = tensor_get_int(in[1], i);
            if (at < 0) at += d;
            if (at < 0 || at >= d) {
                *why = "an index is out of range";
                return false;
            }
            memcpy((char *)out[0]->data + (o * count + i) * inner,
                   (char *)in[0]->data + (o * d + at) * inner, (size_t)inner);
        }
    return true;
}

/* Run-time indices out of range are clamped: a run does not fail, and memory outside is never
   read. */
static void gather_emit(emitter *e, const node *n) {
    const value *x = n->in[0], *q = n->in[1], *y = n->out[0];
    const int axis = node_axis(n, x->shape.rank, 0), qr = q->shape.rank;
    arena *a = emit_arena(e);
    const char *xn[MAX_RANK] = {NULL}, *qn[MAX_RANK] = {NULL};
    int64_t xs[MAX_RANK], qs[MAX_RANK];
    value_strides(x, xs);
    value_strides(q, qs);
    for (int i = 0; i < x->shape.rank; i++)
        xn[i] = i == axis ? "(size_t)at" : arena_put(a, "i$0", i < axis ? i : i + qr - 1);
    for (int i = 0; i < qr; i++) qn[i] = arena_put(a, "i$0", axis + i);
    emit_value(e, "x", x, false);
    emit_value(e, "indices", q, false);
    emit_value(e, "y", y, true);
    text_append(emit_body(e), "    (void)c, (void)n, (void)x, (void)y, (void)indices;\n");
    emit_each(e, n, y,
              arena_put(a,
                        "        int64_t at = indices[$0];\n"
                        "        at = at < 0 ? at + $1 : at;\n"
                        "        at = at < 0 ? 0 : at >= $1 ? $2 : at;\n"
                        "        y[$3] = x[$4];\n",
                        emit_index(e, qs, qr, qn), x->shape.dim[axis], x->shape.dim[axis] - 1,
                        emit_index_of(e, y), emit_index(e, xs, x->shape.rank, xn)));
}

static GRADIENT(gather_grad) {
    const shape *x = &n->in[0]->shape;
    const int axis = node_axis(n, x->rank, 0);
    const tensor *t = n->in[1]->constant;
    if (!t)
        return diag_error(g->diag, n, "make the indices a constant in the model",
                          "indices that are computed have no gradient");
    const int64_t count = shape_count(&t->shape), d = x->dim[axis];
    int32_t *at = ARENA_ARRAY(g->arena, int32_t, (size_t)count);
    for (int64_t i = 0; i < count; i++) at[i] = (int32_t)((tensor_get_int(t, i) + d) % d);
    shape line = *x; /* of dy with one axis for all indices */
    line.dim[axis] = count;
    value *dy = grad_reshape(g, n, dout[0], &line);
    return (din[0] = axis_scatter(g, n, dy, axis, d, at, NULL, 1));
}

/* ---- rows ---- */

static bool pad_mixes(const node *n, int rank) {
    const attr *pads = node_ints(n, "pads");
    if (pads) return pads->count != 2 * (size_t)rank || pads->ints[0] != 0 || pads->ints[rank] != 0;
    if (op_present(n, 3)) return op_axes_first(n, 3, rank);
    return !op_constant_is(n, 1, 0, 0) || !op_constant_is(n, 1, rank, 0);
}

/* clang-format off */
#define PLAIN .flags = OP_ANY_LAYOUT | OP_BATCH_AXIS0

const op_row ops_lookup[] = {
    {OP_ONNX("Pad", 1, 0, 1, 4, 1, 1, pad, "test_constant_pad"), PLAIN, .shape_inputs = 10,
     ATTRIBUTES(DEFAULT_WORD("mode", "constant"), ATTR(INTS, "pads"), ATTR(INTS, "paddings"),
                ATTR(FLOAT, "value")),
     .grad = pad_grad, .same = pad_same, .mixes = pad_mixes},
    {OP_ONNX("Gather", 1, 0, 2, 2, 1, 1, gather, "test_gather_0"), PLAIN,
     ATTRIBUTES(DEFAULT(INT, "axis", 0)), .grad = gather_grad},
    {.name = NULL}};
/* clang-format on */
