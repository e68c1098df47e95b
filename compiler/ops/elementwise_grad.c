/* Gradient rules of arithmetic with broadcasting: numpy's, and the attributes of opset 6 and before. */
#include "pointwise.h"
#include "rules.h"

/* The shape of operand i with an axis for each of out 0. */
static shape aligned_shape(const node *n, size_t i) {
    const shape *s = &n->in[i]->shape;
    const int offset = broadcast_offset(n, i);
    shape wide = {.rank = n->out[0]->shape.rank};
    for (int k = 0; k < wide.rank; k++) wide.dim[k] = k < offset || k >= offset + s->rank ? 1 : s->dim[k - offset];
    return wide;
}

/* Operand i as numpy would broadcast it. */
static value *aligned(graph *g, const node *n, size_t i) {
    if (broadcast_offset(n, i) + n->in[i]->shape.rank == n->out[0]->shape.rank) return n->in[i];
    const shape wide = aligned_shape(n, i);
    return grad_reshape(g, n, n->in[i], &wide);
}

/* din[i] of what arrives in the shape of out 0. */
static bool settle(graph *g, const node *n, size_t i, value *dv, value **din) {
    const shape wide = aligned_shape(n, i);
    return dv && (dv = grad_sum_to(g, n, dv, &wide)) && (din[i] = grad_reshape(g, n, dv, &n->in[i]->shape));
}

bool add_grad(graph *g, node *n, value *const *dout, value **din) {
    for (size_t i = 0; i < n->n_in; i++)
        if (rule_wants(n, i) && !settle(g, n, i, dout[0], din)) return false;
    return true;
}

bool mul_grad(graph *g, node *n, value *const *dout, value **din) {
    for (size_t i = 0; i < 2; i++)
        if (rule_wants(n, i) && !settle(g, n, i, grad_binary(g, n, "Mul", dout[0], aligned(g, n, 1 - i)), din)) return false;
    return true;
}
