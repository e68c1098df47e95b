/* Gradient rules of reductions. A result lacks the reduced axes, or has them with extent 1: here it always has them. */
#include "rules.h"

/* v stretched to shape s. */
static value *expand(graph *g, const node *n, value *v, const shape *s) {
    if (!v || shape_equal(&v->shape, s)) return v;
    return grad_call(g, n, "Expand", "", (value *const[]){v, grad_ints(g, "shape", s->dim, (size_t)s->rank)}, 2);
}

/* The shape of in 0 with extent 1 on reduced axes. */
static shape kept_shape(graph *g, const node *n) {
    const unsigned mask = reduce_mask(g->arena, n);
    shape s = n->in[0]->shape;
    for (int k = 0; k < s.rank; k++)
        if (mask >> k & 1) s.dim[k] = 1;
    return s;
}

bool reduce_sum_grad(graph *g, node *n, value *const *dout, value **din) {
    const shape kept = kept_shape(g, n);
    value *dy = grad_reshape(g, n, dout[0], &kept);
    return dy && (din[0] = expand(g, n, dy, &n->in[0]->shape));
}
