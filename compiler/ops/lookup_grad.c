/* AxisSum, a sparse linear map along one axis: the backward pass of what looks elements up (Pad,
   Gather, Slice with steps, Resize). */
#include "../emit/loops.h"
#include "pointwise.h"
#include "row.h"
#include "rules.h"

/* ---- AxisSum: X, first [extent + 1], index [], weight [] -> Y[.. i ..] = sum of weight[k] X[..
   index[k] ..] over k = first[i] .. first[i + 1] - 1 ---- */

static int axis_of(const node *n) { return (int)node_int(n, "axis", 0); }

static bool list_error(graph *g, const node *n) {
    return node_error(g, n, "first, index and weight do not fit");
}

static bool axis_sum_infer(graph *g, node *n) {
    ints first, index;
    shape y = n->in[0]->shape;
    int axis;
    if (!type_check(g, n, 0, TYPES_FLOAT) || !type_check(g, n, 3, 1u << n->in[0]->type) ||
        !op_axis(g, n, node_int(n, "axis", 0), y.rank, &axis) ||
        !op_need_ints(g, n, 1, "first", &first) || !op_need_ints(g, n, 2, "index", &index))
        return false;
    const int64_t count = (int64_t)index.count;
    if (first.count < 1 || first.v[0] != 0 || first.v[first.count - 1] != count ||
        value_count(n->in[3]) != count)
        return list_error(g, n);
    for (size_t i = 1; i < first.count; i++)
        if (first.v[i] < first.v[i - 1]) return list_error(g, n);
    for (size_t k = 0; k < index.count; k++)
        if (index.v[k] < 0 || index.v[k] >= y.dim[axis]) return list_error(g, n);
    y.dim[axis] = (int64_t)first.count - 1;
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static OP_REFERENCE(axis_sum_reference) {
    const shape *x = &in[0]->shape, *y = &out[0]->shape;
    const int axis = axis_of(n);
    int64_t inner = 1;
    for (int k = axis + 1; k < x->rank; k++) inner *= x->dim[k];
    for (int64_t at = 0; at < shape_count(y); at++) {
        const int64_t i = at / inner % y->dim[axis], outer = at / inner / y->dim[axis];
        double sum = 0;
        for (int64_t k = tensor_get_int(in[1], i); k < tensor_get_int(in[1], i + 1); k++)
            sum += tensor_get(in[3], k) *
                   tensor_get(in[0], (outer * x->dim[axis] + tensor_get_int(in[2], k)) * inner +
                                         at % inner);
        tensor_set(out[0], at, sum);
    }
    return true;
}

static void axis_sum_emit(emitter *e, const node *n) {
    const shape *y = &n->out[0]->shape;
    const int axis = axis_of(n), tasks = y->rank < 2 ? y->rank : 2;
    int64_t xs[MAX_RANK], ys[MAX_RANK];
    const char *names[MAX_RANK];
    text *t = emit_helpers(e);
    emit_strides(n, n->in[0], xs);
    emit_strides(n, n->out[0], ys);
    for (int k = 0; k < y->rank; k++)
        names[k] = k == axis ? "(size_t)in2[k]" : arena_put(emit_arena(e), "i$0", k);
    emit_task_open(e, n);
    emit_task_indices(e, y->dim, tasks);
    for (int k = tasks; k < y->rank; k++) emit_axis_loop(t, k, y->dim[k]);
    text_put(t,
             "    double sum = 0;\n"
             "    for (int64_t k = in1[i$0]; k < in1[i$0 + 1]; k++)\n"
             "        sum += (double)in3[k] * (double)in0[$1];\n"
             "    out0[$2] = ($3)sum;\n",
             axis, emit_index(e, xs, y->rank, names), emit_index(e, ys, y->rank, NULL),
             dtype_c(n->out[0]->type));
    for (int k = tasks; k < y->rank; k++) text_append(t, "    }\n");
    emit_task_close(e, n, emit_task_count(e, n, y->dim, tasks), 2 * (double)value_count(n->in[0]));
}

value *axis_scatter(graph *g, const node *n, value *v, int axis, int64_t extent,
                    const int32_t *index, const double *weight, int taps) {
    if (!v) return NULL;
    const int64_t length = v->shape.dim[axis] * taps;
    int64_t *first = ARENA_ARRAY(g->arena, int64_t, (size_t)extent + 1),
            *from = ARENA_ARRAY(g->arena, int64_t, (size_t)length);
    tensor *w = tensor_new(g->arena, v->type, &(shape){.rank = 1, .dim = {length}});
    int64_t count = 0;
    for (int64_t i = 0; i < extent; i++) {
        for (int64_t k = 0; k < length; k++) {
            if (index[k] != i || index[k / taps * taps] < 0 || (weight && weight[k] == 0)) continue;
            from[count] = k / taps;
            tensor_set(w, count++, weight ? weight[k] : 1);
        }
        first[i + 1] = count;
    }
    w->shape.dim[0] = count;
    value *in[] = {v, graph_add_ints(g, "first", first, (size_t)extent + 1),
                   graph_add_ints(g, "index", from, (size_t)count),
                   graph_add_constant(g, "weight", w)};
    node *sum = grad_node(g, n, CAMEO_AxisSum, in, 4, 1);
    node_set_int(g, sum, "axis", axis);
    return grad_infer(g, sum);
}

/* clang-format off */
const op_row ops_lookup_grad[] = {
    {OP_INTERNAL("AxisSum", 4, 4, 1, 1, axis_sum, "test_gradients lookup"),
     ATTRIBUTES(ATTR(INT, "axis")), .flags = OP_ANY_LAYOUT},
    {.name = NULL}};
/* clang-format on */
