/* Operators about shapes: views (Reshape, Flatten, Squeeze, Unsqueeze), copies (Identity, Dropout)
   and makers of constants (Shape, Size, Constant, ConstantOfShape, Range). Everything that decides
   a shape is a constant when infer runs. */
#include <math.h>
#include <string.h>

#include "../emit/loops.h"
#include "row.h"
#include "rules.h"

/* ---- views ---- */

static OP_REFERENCE(view_reference) {
    memcpy(out[0]->data, in[0]->data, tensor_bytes(out[0]));
    return true;
}

static bool is_dense(const value *v) {
    int64_t stride[MAX_RANK], expected = 1;
    value_strides(v, stride);
    for (int i = v->shape.rank - 1; i >= 0; i--) {
        if (v->shape.dim[i] != 1 && stride[i] != expected) return false;
        expected *= v->shape.dim[i];
    }
    return true;
}

static void view_emit(emitter *e, const node *n) {
    const value *x = n->in[0], *y = n->out[0];
    arena *a = emit_arena(e);
    emit_value(e, "x", x, false);
    emit_value(e, "y", y, true);
    text_append(emit_body(e), "    (void)c, (void)n;\n");
    if (is_dense(x) && is_dense(y)) {
        const bool batched = node_is_batched(n);
        text_put(emit_body(e), "    memcpy(y, x, $0$1);\n", batched ? "n * " : "",
                 (batched ? image_elements(y) : value_count(y)) * (int64_t)dtype_size(y->type));
    } else if (shape_equal(&x->shape, &y->shape)) {
        emit_each(
            e, n, y,
            arena_put(a, "        y[$0] = x[$1];\n", emit_index_of(e, y), emit_index_of(e, x)));
    } else {
        /* Walk x in logical order; y takes elements densely (views are written in ONNX layout). */
        text_append(emit_body(e), "    size_t at = 0;\n");
        emit_each(e, n, x, arena_put(a, "        y[at++] = x[$0];\n", emit_index_of(e, x)));
    }
}

/* The dimensions of Reshape: 0 copies (unless allowzero), one -1 takes what is left. */
static bool resolve_reshape(graph *g, const node *n, const ints *wanted, shape *y) {
    const shape *x = &n->in[0]->shape;
    const bool zero = n->opset >= 14 && node_int(n, "allowzero", 0) != 0;
    int64_t known = 1, total = shape_count(x);
    int unknown = -1;
    if (wanted->count > MAX_RANK)
        return node_unsupported(g, n, "rank %zu is too high (8 at most)", wanted->count);
    y->rank = (int)wanted->count;
    for (int i = 0; i < y->rank; i++) {
        const int64_t d = y->dim[i] = wanted->v[i];
        if (d == 0 && !zero) {
            if (i >= x->rank)
                return node_error(g, n, "shape[%d] = 0 copies an axis that the input does not have",
                                  i);
            y->dim[i] = x->dim[i];
        }
        if (d < -1) return node_error(g, n, "shape[%d] = %lld is no extent", i, (long long)d);
        if (d == -1 && unknown >= 0)
            return node_error(g, n, "the shape has more than one unknown extent");
        if (d == -1)
            unknown = i;
        else if (__builtin_mul_overflow(known, y->dim[i], &known))
            return node_unsupported(g, n, "the shape is too large");
    }
    if (unknown >= 0) {
        if (known == 0 || total % known)
            return node_error(g, n, "%lld elements do not divide by %lld", (long long)total,
                              (long long)known);
        y->dim[unknown] = total / known;
        known = total;
    }
    return known == total || node_error(g, n, "%lld elements cannot take a shape of %lld",
                                        (long long)total, (long long)known);
}

static bool reshape_infer(graph *g, node *n) {
    ints wanted;
    shape y = {0};
    if (n->opset >= 5 && !op_present(n, 1)) return node_error(g, n, "the shape input is missing");
    return op_ints(g, n, 1, 5, "shape", &wanted) && resolve_reshape(g, n, &wanted, &y) &&
           op_set_output(g, n, 0, n->in[0]->type, &y);
}

static bool flatten_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape;
    int64_t axis = node_int(n, "axis", 1);
    if (axis < -x->rank || axis > x->rank)
        return node_error(g, n, "axis %lld is out of range", (long long)axis);
    if (axis < 0) axis += x->rank;
    shape y = {.rank = 2, .dim = {1, 1}};
    for (int i = 0; i < x->rank; i++) y.dim[i >= axis] *= x->dim[i];
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static bool mark_axes(graph *g, const node *n, const ints *axes, int rank, bool *marked) {
    for (size_t i = 0; i < axes->count; i++) {
        int axis;
        if (!op_axis(g, n, axes->v[i], rank, &axis)) return false;
        if (marked[axis]) return node_error(g, n, "axis %d occurs twice", axis);
        marked[axis] = true;
    }
    return true;
}

static bool squeeze_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape;
    ints axes;
    bool drop[MAX_RANK] = {false};
    shape y = {0};
    if (!op_ints(g, n, 1, 13, "axes", &axes) || !mark_axes(g, n, &axes, x->rank, drop))
        return false;
    const bool all = axes.count == 0; /* an empty list too, as ONNX Runtime has it */
    for (int i = 0; i < x->rank; i++) {
        if (drop[i] && x->dim[i] != 1)
            return node_error(g, n, "axis %d has extent %lld, not 1", i, (long long)x->dim[i]);
        if (!(all ? x->dim[i] == 1 : drop[i])) y.dim[y.rank++] = x->dim[i];
    }
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static bool unsqueeze_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape;
    ints axes;
    bool made[MAX_RANK] = {false};
    if (n->opset < 13 ? !node_ints(n, "axes") : !op_present(n, 1))
        return node_error(g, n, "axes is missing");
    if (!op_ints(g, n, 1, 13, "axes", &axes)) return false;
    if (axes.count + (size_t)x->rank > MAX_RANK)
        return node_unsupported(g, n, "the result's rank is too high (8 at most)");
    shape y = {.rank = x->rank + (int)axes.count};
    if (!mark_axes(g, n, &axes, y.rank, made)) return false;
    for (int i = 0, k = 0; i < y.rank; i++) y.dim[i] = made[i] ? 1 : x->dim[k++];
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

/* ---- Identity, Dropout ---- */

static bool identity_infer(graph *g, node *n) {
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

/* At inference nothing is dropped: the mask is known here and now, and what remains of the node is
   an identity. */
static bool dropout_mask(graph *g, node *n, dtype type) {
    value *mask = n->out[1];
    if (!op_set_output(g, n, 1, type, &n->in[0]->shape)) return false;
    mask->constant = tensor_new(g->arena, type, &mask->shape);
    if (!mask->constant) return node_unsupported(g, n, "the mask is too large");
    for (int64_t i = 0; i < shape_count(&mask->shape); i++) tensor_set(mask->constant, i, 1);
    node_set_output(g, n, 1, NULL);
    return true;
}

static bool dropout_infer(graph *g, node *n) {
    const value *x = n->in[0];
    if (n->opset >= 12 && op_present(n, 2)) {
        const tensor *t = n->in[2]->constant;
        if (!t) return op_not_constant(g, n, "training_mode");
        if (shape_count(&t->shape) == 1 && tensor_get_int(t, 0))
            return diag_error(g->diag, n, "export for inference", "training mode is not supported");
    }
    if (n->opset < 7 && !node_int(n, "is_test", 0))
        diag_warn(g->diag, n, NULL,
                  "is_test=0 asks for training; the node is treated as inference");
    if (!op_set_output(g, n, 0, x->type, &x->shape)) return false;
    return n->n_out < 2 || !n->out[1] || dropout_mask(g, n, n->opset >= 10 ? DT_BOOL : x->type);
}

static OP_REFERENCE(dropout_reference) {
    if (out[0]) memcpy(out[0]->data, in[0]->data, tensor_bytes(in[0]));
    return true;
}

/* ---- constants ---- */

/* Values known at compile time go into the weights and are copied out (only when the fold pass
   left them, as for graph outputs). */
static void constant_emit(emitter *e, const node *n) {
    const value *y = n->out[0];
    const tensor *const none[1] = {NULL};
    const tensor **in = ARENA_ARRAY(emit_arena(e), const tensor *, n->n_in + 1);
    tensor *t = y->constant ? y->constant : tensor_new(emit_arena(e), y->type, &y->shape);
    const char *why;
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i])
            in[i] = n->in[i]->constant
                        ? n->in[i]->constant
                        : tensor_new(emit_arena(e), n->in[i]->type, &n->in[i]->shape);
    if (!t || (!y->constant && !n->op->reference(emit_arena(e), n, n->n_in ? in : none, &t, &why)))
        BUG("a constant cannot be computed");
    emit_value(e, "y", y, true);
    text_append(emit_body(e), "    (void)c, (void)n;\n");
    if (tensor_bytes(t) == 0) {
        text_append(emit_body(e), "    (void)y;\n");
        return;
    }
    emit_param(e, "const void *x", emit_weights(e, t->data, tensor_bytes(t), "constant"));
    text_printf(emit_body(e), "    memcpy(y, x, %zu);\n", tensor_bytes(t));
}

static void shape_range(const node *n, int rank, int64_t *start, int64_t *end) {
    *start = n->opset >= 15 ? node_int(n, "start", 0) : 0;
    *end = n->opset >= 15 ? node_int(n, "end", rank) : rank;
    if (*start < 0) *start += rank;
    if (*end < 0) *end += rank;
    *start = *start < 0 ? 0 : *start > rank ? rank : *start;
    *end = *end < 0 ? 0 : *end > rank ? rank : *end;
    if (*end < *start) *end = *start;
}

static bool shape_infer(graph *g, node *n) {
    int64_t start, end;
    shape_range(n, n->in[0]->shape.rank, &start, &end);
    return op_set_output(g, n, 0, DT_INT64, &(shape){.rank = 1, .dim = {end - start}});
}

static OP_REFERENCE(shape_reference) {
    int64_t start, end;
    shape_range(n, in[0]->shape.rank, &start, &end);
    for (int64_t i = start; i < end; i++)
        ((int64_t *)out[0]->data)[i - start] = in[0]->shape.dim[i];
    return true;
}

static bool size_infer(graph *g, node *n) { return op_set_output(g, n, 0, DT_INT64, &(shape){0}); }

static OP_REFERENCE(size_reference) {
    *(int64_t *)out[0]->data = shape_count(&in[0]->shape);
    return true;
}

/* The tensor that a Constant's attributes describe; NULL when they describe none we support. */
static tensor *constant_value(arena *a, const node *n) {
    const attr *v;
    tensor *t = NULL;
    if ((v = node_attr(n, "value")) && v->kind == ATTR_TENSOR) return (tensor *)(uintptr_t)v->t;
    if ((v = node_attr(n, "value_float")) || (v = node_attr(n, "value_int"))) {
        t = tensor_new(a, v->kind == ATTR_FLOAT ? DT_FLOAT : DT_INT64, &(shape){0});
        if (v->kind == ATTR_FLOAT)
            *(float *)t->data = v->f;
        else
            *(int64_t *)t->data = v->i;
    } else if ((v = node_attr(n, "value_floats")) || (v = node_attr(n, "value_ints"))) {
        t = tensor_new(a, v->kind == ATTR_FLOATS ? DT_FLOAT : DT_INT64,
                       &(shape){.rank = 1, .dim = {(int64_t)v->count}});
        if (t && v->count)
            memcpy(t->data, v->kind == ATTR_FLOATS ? (const void *)v->floats : v->ints,
                   tensor_bytes(t));
    }
    return t;
}

static bool constant_infer(graph *g, node *n) {
    const tensor *t = constant_value(g->arena, n);
    if (!t)
        return diag_error(g->diag, n, "re-export with a dense numeric value",
                          "sparse and string constants are not supported");
    return op_set_output(g, n, 0, t->type, &t->shape);
}

static OP_REFERENCE(constant_reference) {
    const tensor *t = constant_value(a, n);
    if (!t || tensor_bytes(t) != tensor_bytes(out[0])) {
        *why = "the value is missing";
        return false;
    }
    memcpy(out[0]->data, t->data, tensor_bytes(t));
    return true;
}

static bool filled_infer(graph *g, node *n) {
    ints wanted;
    const attr *fill = node_attr(n, "value");
    if (!op_need_ints(g, n, 0, "the shape", &wanted)) return false;
    if (wanted.count > MAX_RANK)
        return node_unsupported(g, n, "rank %zu is too high (8 at most)", wanted.count);
    if (fill && (!fill->t || shape_count(&fill->t->shape) != 1))
        return node_error(g, n, "value must hold one element");
    shape y = {.rank = (int)wanted.count};
    int64_t total = 1;
    for (int i = 0; i < y.rank; i++) {
        y.dim[i] = wanted.v[i];
        if (y.dim[i] < 0 || __builtin_mul_overflow(total, y.dim[i], &total))
            return node_error(g, n, "the shape is invalid");
    }
    return op_set_output(g, n, 0, fill ? fill->t->type : DT_FLOAT, &y);
}

static OP_REFERENCE(filled_reference) {
    const attr *fill = node_attr(n, "value");
    const size_t size = dtype_size(out[0]->type);
    for (int64_t i = 0; fill && i < shape_count(&out[0]->shape); i++)
        memcpy((char *)out[0]->data + (size_t)i * size, fill->t->data, size);
    return true;
}

/* ---- Range ---- */

static bool range_count(const tensor *first, const tensor *limit, const tensor *delta,
                        int64_t *count) {
    double step = tensor_get(delta, 0),
           n = ceil((tensor_get(limit, 0) - tensor_get(first, 0)) / step);
    if (step == 0 || !(n < 1e12)) return false;
    *count = n > 0 ? (int64_t)n : 0;
    return true;
}

static bool range_infer(graph *g, node *n) {
    int64_t count;
    for (size_t i = 0; i < 3; i++)
        if (!n->in[i] || !n->in[i]->constant || value_count(n->in[i]) != 1)
            return op_not_constant(g, n, "an operand");
    if (!range_count(n->in[0]->constant, n->in[1]->constant, n->in[2]->constant, &count))
        return node_error(g, n, "the range is not finite");
    return op_set_output(g, n, 0, n->in[0]->type, &(shape){.rank = 1, .dim = {count}});
}

static OP_REFERENCE(range_reference) {
    const bool whole = out[0]->type != DT_FLOAT && out[0]->type != DT_DOUBLE;
    for (int64_t i = 0; i < out[0]->shape.dim[0]; i++) {
        if (out[0]->type == DT_INT64)
            ((int64_t *)out[0]->data)[i] = tensor_get_int(in[0], 0) + i * tensor_get_int(in[2], 0);
        else
            tensor_set(out[0], i,
                       whole ? (double)(tensor_get_int(in[0], 0) + i * tensor_get_int(in[2], 0))
                             : tensor_get(in[0], 0) + (double)i * tensor_get(in[2], 0));
    }
    return true;
}

/* clang-format off */
#define VIEW(name, most_in, prefix, tested_by)                                                \
    OP_HEAD("", name, 1, 0, 1, most_in, 1, 1, tested_by), .flags = OP_VIEW,                   \
    .infer = prefix##_infer, .reference = view_reference, .grad = view_grad, .emit = view_emit
#define MADE(name, first, operands, prefix, more, tested_by)                                  \
    OP_HEAD("", name, first, 0, operands, operands, 1, 1, tested_by),                         \
    .flags = OP_NO_GRAD | (more), .infer = prefix##_infer,                                    \
    .reference = prefix##_reference, .emit = constant_emit
#define COPIED (OP_IDENTITY | OP_ELEMENTWISE | OP_ANY_LAYOUT | OP_BATCH_AXIS0)
#define VALUES                                                                                \
    ATTRIBUTES(ATTR(TENSOR, "value"), ATTR(FLOAT, "value_float"), ATTR(INT, "value_int"),     \
               ATTR(FLOATS, "value_floats"), ATTR(INTS, "value_ints"))

const op_row ops_shape[] = {
    {VIEW("Reshape", 2, reshape, "test_reshape_negative_dim"), .shape_inputs = 2,
     ATTRIBUTES(DEFAULT(INT, "allowzero", 0), ATTR(INTS, "shape"))},
    {VIEW("Flatten", 1, flatten, "test_flatten_axis1"), ATTRIBUTES(DEFAULT(INT, "axis", 1))},
    {VIEW("Squeeze", 2, squeeze, "test_squeeze"), .shape_inputs = 2,
     ATTRIBUTES(ATTR(INTS, "axes"))},
    {VIEW("Unsqueeze", 2, unsqueeze, "test_unsqueeze_axis_0"), .shape_inputs = 2,
     ATTRIBUTES(ATTR(INTS, "axes"))},
    {OP_HEAD("", "Identity", 1, 0, 1, 1, 1, 1, "test_identity"), .flags = COPIED | OP_INPLACE,
     .infer = identity_infer, .reference = view_reference, .grad = view_grad, .emit = view_emit},
    {OP_HEAD("", "Dropout", 1, 0, 1, 3, 1, 2, "test_dropout_default"), .shape_inputs = 4,
     ATTRIBUTES(DEFAULT(FLOAT, "ratio", 0.5), ATTR(INT, "is_test"), ATTR(INT, "seed")),
     .flags = COPIED | OP_MODE,
     .infer = dropout_infer, .reference = dropout_reference, .emit = view_emit},
    {MADE("Shape", 1, 1, shape, OP_SHAPE_ONLY, "test_shape"),
     ATTRIBUTES(ATTR(INT, "start"), ATTR(INT, "end"))},
    {MADE("Size", 1, 1, size, OP_SHAPE_ONLY, "test_size")},
    {MADE("Constant", 1, 0, constant, 0, "test_constant"), VALUES},
    {MADE("ConstantOfShape", 9, 1, filled, 0, "test_constantofshape_float_ones"), VALUES,
     .shape_inputs = 1},
    {MADE("Range", 11, 3, range, 0, "test_range_float_type_positive_delta"), .shape_inputs = 7},
    {.name = NULL}};
/* clang-format on */
