/* Gradient rules of Gemm and MatMul. */
#include "rules.h"

/* alpha a b, either transposed first. */
static value *product(graph *g, const node *n, value *a, bool ta, value *b, bool tb, double alpha) {
    node *p = grad_node(g, n, ONNX_Gemm, OPERANDS(a, b), 1);
    node_set_float(g, p, "alpha", alpha);
    node_set_int(g, p, "transA", ta);
    node_set_int(g, p, "transB", tb);
    return grad_infer(g, p);
}

/* Bias vectors are sums over rows, for which there are kernels that write a gradient's place. */
static value *bias_sum(graph *g, const node *n, value *dy, const shape *s) {
    if (s->rank == 1 && s->dim[0] == dy->shape.dim[1])
        return grad_call(g, n, CAMEO_ChannelSum, &dy, 1);
    return grad_sum_to(g, n, dy, s);
}

GRADIENT(gemm_grad) {
    const bool ta = node_int(n, "transA", 0) != 0, tb = node_int(n, "transB", 0) != 0;
    const double alpha = node_float(n, "alpha", 1);
    value *a = n->in[0], *b = n->in[1], *dy = dout[0];
    if (rule_wants(n, 0))
        din[0] = ta ? product(g, n, b, tb, dy, true, alpha)
                    : product(g, n, dy, false, b, !tb, alpha);
    if (rule_wants(n, 1))
        din[1] = tb ? product(g, n, dy, true, a, ta, alpha)
                    : product(g, n, a, !ta, dy, false, alpha);
    if (rule_wants(n, 2))
        din[2] = rule_scale(g, n, bias_sum(g, n, dy, &n->in[2]->shape), node_float(n, "beta", 1));
    return rule_done(n, din);
}

/* ---- MatMul ---- */

/* Vectors are matrices of one row (operand 0) or column (1). */
static shape matrix_shape(const node *n, size_t i) {
    shape s = n->in[i]->shape;
    if (s.rank > 1) return s;
    const int64_t length = s.dim[0];
    return (shape){.rank = 2, .dim = {i == 0 ? 1 : length, i == 0 ? length : 1}};
}

/* The product's shape before the axes of vectors fall away. */
static shape whole_shape(const node *n, const shape *a, const shape *b) {
    const int batch = (a->rank > b->rank ? a : b)->rank - 2;
    shape y = {.rank = batch + 2};
    for (int k = 0; k < batch; k++) y.dim[k] = n->out[0]->shape.dim[k];
    y.dim[batch] = a->dim[a->rank - 2];
    y.dim[batch + 1] = b->dim[b->rank - 1];
    return y;
}

static value *swap_last(graph *g, const node *n, value *v) {
    int64_t perm[MAX_RANK];
    const int rank = v->shape.rank;
    for (int k = 0; k < rank; k++) perm[k] = k < rank - 2 ? k : 2 * rank - 3 - k;
    return rule_transpose(g, n, v, perm);
}

static value *flat_rows(graph *g, const node *n, value *v) {
    const int64_t columns = v->shape.dim[v->shape.rank - 1];
    return grad_reshape(g, n, v, &(shape){.rank = 2, .dim = {value_count(v) / columns, columns}});
}

GRADIENT(matmul_grad) {
    const shape sa = matrix_shape(n, 0), sb = matrix_shape(n, 1), sy = whole_shape(n, &sa, &sb);
    value *a = grad_reshape(g, n, n->in[0], &sa), *b = grad_reshape(g, n, n->in[1], &sb);
    value *dy = grad_reshape(g, n, dout[0], &sy), *d[2] = {NULL};
    if (!a || !b || !dy) return false;
    if (sb.rank == 2) { /* all rows at once */
        value *rows = flat_rows(g, n, dy);
        if (rule_wants(n, 0)) d[0] = product(g, n, rows, false, b, true, 1);
        if (rule_wants(n, 1)) d[1] = product(g, n, flat_rows(g, n, a), true, rows, false, 1);
    } else {
        if (rule_wants(n, 0)) d[0] = grad_binary(g, n, ONNX_MatMul, dy, swap_last(g, n, b));
        if (rule_wants(n, 1)) d[1] = grad_binary(g, n, ONNX_MatMul, swap_last(g, n, a), dy);
    }
    for (size_t i = 0; i < 2; i++) {
        if (sb.rank != 2) d[i] = grad_sum_to(g, n, d[i], i ? &sb : &sa);
        din[i] = grad_reshape(g, n, d[i], &n->in[i]->shape);
    }
    return rule_done(n, din);
}
