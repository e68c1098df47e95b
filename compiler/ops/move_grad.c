/* Gradient rules of operators that move elements: views, Transpose, Expand, Tile, DepthToSpace and
   SpaceToDepth; Concat, Split and Slice. */
#include <string.h>

#include "copy.h"
#include "rules.h"

GRADIENT(view_grad) { return (din[0] = grad_reshape(g, n, dout[0], &n->in[0]->shape)); }

value *rule_transpose(graph *g, const node *n, value *v, const int64_t *perm) {
    node *t = grad_node(g, n, ONNX_Transpose, &v, 1, 1);
    if (v) node_set_ints(g, t, "perm", perm, (size_t)v->shape.rank);
    return grad_infer(g, t);
}

GRADIENT(transpose_grad) {
    const attr *perm = node_ints(n, "perm");
    const int rank = n->in[0]->shape.rank;
    int64_t inverse[MAX_RANK];
    for (int k = 0; k < rank; k++) inverse[perm && perm->count ? perm->ints[k] : rank - 1 - k] = k;
    return (din[0] = rule_transpose(g, n, dout[0], inverse));
}

GRADIENT(expand_grad) { return (din[0] = grad_sum_to(g, n, dout[0], &n->in[0]->shape)); }

/* The sum over the copies, an axis at a time. */
GRADIENT(tile_grad) {
    const shape *x = &n->in[0]->shape;
    value *v = dout[0];
    for (int i = 0; i < x->rank; i++) {
        const int64_t times = x->dim[i] ? v->shape.dim[i] / x->dim[i] : 1;
        if (times == 1) continue;
        if (x->rank == MAX_RANK)
            return node_unsupported(g, n, "the gradient of rank %d is not supported", x->rank);
        shape split = {.rank = x->rank + 1}, one;
        for (int k = 0; k < split.rank; k++)
            split.dim[k] = k < i        ? x->dim[k]
                           : k == i     ? times
                           : k == i + 1 ? x->dim[i]
                                        : v->shape.dim[k - 1];
        one = split, one.dim[i] = 1;
        v = grad_sum_to(g, n, grad_reshape(g, n, v, &split), &one);
        memmove(one.dim + i, one.dim + i + 1, (size_t)(x->rank - i) * sizeof *one.dim);
        one.rank--;
        if (!(v = grad_reshape(g, n, v, &one))) return false;
    }
    din[0] = v;
    return true;
}

static value *blocks(graph *g, const node *n, opcode op, value *v) {
    node *b = grad_node(g, n, op, &v, 1, 1);
    node_set_int(g, b, "blocksize", node_int(n, "blocksize", 1));
    return grad_infer(g, b);
}

GRADIENT(to_depth_grad) { return (din[0] = blocks(g, n, ONNX_DepthToSpace, dout[0])); }

GRADIENT(to_space_grad) {
    static const int64_t channels_first[] = {0, 1, 3, 5, 2, 4};
    if (strcmp(node_string(n, "mode", "DCR"), "CRD"))
        return (din[0] = blocks(g, n, ONNX_SpaceToDepth, dout[0]));
    const shape *y = &n->out[0]->shape, *x = &n->in[0]->shape;
    const int64_t b = node_int(n, "blocksize", 1);
    const shape wide = {.rank = 6, .dim = {y->dim[0], y->dim[1], x->dim[2], b, x->dim[3], b}};
    value *v = rule_transpose(g, n, grad_reshape(g, n, dout[0], &wide), channels_first);
    return (din[0] = grad_reshape(g, n, v, x));
}

/* ---- Concat, Split, Slice ---- */

static value *part(graph *g, const node *n, value *v, int axis, int64_t from, int64_t to) {
    const int64_t where = axis;
    value *in[] = {v, graph_add_ints(g, "starts", &from, 1), graph_add_ints(g, "ends", &to, 1),
                   graph_add_ints(g, "axes", &where, 1)};
    return grad_call(g, n, ONNX_Slice, in, 4);
}

GRADIENT(concat_grad) {
    const int axis = node_axis(n, n->out[0]->shape.rank, 1);
    int64_t from = 0;
    for (size_t i = 0; i < n->n_in; i++) {
        const int64_t to = from + n->in[i]->shape.dim[axis];
        if (rule_wants(n, i)) din[i] = part(g, n, dout[0], axis, from, to);
        from = to;
    }
    return rule_done(n, din);
}

/* Parts that nothing flows from are zero. */
GRADIENT(split_grad) {
    const attr *parts = node_ints(n, "parts");
    const int axis = node_axis(n, n->in[0]->shape.rank, 0);
    value **in = ARENA_ARRAY(g->arena, value *, n->n_out);
    for (size_t i = 0; i < n->n_out; i++) {
        shape s = n->in[0]->shape;
        s.dim[axis] = parts->ints[i];
        in[i] = dout[i] ? dout[i]
                        : graph_add_constant(g, "zero", tensor_new(g->arena, n->in[0]->type, &s));
    }
    node *whole = grad_node(g, n, ONNX_Concat, in, n->n_out, 1);
    node_set_int(g, whole, "axis", axis);
    return (din[0] = grad_infer(g, whole));
}

/* Zeros around dy where the step is 1; else, between its elements, an axis at a time. */
GRADIENT(slice_grad) {
    const attr *cuts = node_ints(n, "cuts");
    const shape *x = &n->in[0]->shape, *y = &n->out[0]->shape;
    int64_t pads[2 * MAX_RANK] = {0};
    bool padded = false;
    value *v = dout[0];
    for (int k = 0; k < x->rank && v; k++) {
        const int64_t start = cuts->ints[2 * k], step = cuts->ints[2 * k + 1];
        if (step == 1) {
            pads[k] = start;
            pads[x->rank + k] = x->dim[k] - y->dim[k] - start;
            padded |= x->dim[k] != y->dim[k];
            continue;
        }
        int32_t *at = ARENA_ARRAY(g->arena, int32_t, (size_t)y->dim[k]);
        for (int64_t o = 0; o < y->dim[k]; o++) at[o] = (int32_t)(start + o * step);
        v = axis_scatter(g, n, v, k, x->dim[k], at, NULL, 1);
    }
    if (padded)
        v = grad_call(g, n, ONNX_Pad,
                      OPERANDS(v, graph_add_ints(g, "pads", pads, 2 * (size_t)x->rank)));
    return (din[0] = v);
}
