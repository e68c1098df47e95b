/* Gradient rules of reductions, and of what is built on them: Softmax, LogSoftmax,
   LpNormalization. A result lacks the reduced axes, or has them with extent 1: here it always has
   them. */

#include "rules.h"

/* v stretched to shape s. */
static value *expand(graph *g, const node *n, value *v, const shape *s) {
    if (!v || shape_equal(&v->shape, s)) return v;
    return grad_call(g, n, ONNX_Expand,
                     OPERANDS(v, graph_add_ints(g, "shape", s->dim, (size_t)s->rank)));
}

static value *mul(graph *g, const node *n, value *a, value *b) {
    return grad_binary(g, n, ONNX_Mul, a, b);
}

/* The shape of in 0 with extent 1 on the axes of the mask. */
static shape kept_shape(const node *n, unsigned mask) {
    shape s = n->in[0]->shape;
    for (int k = 0; k < s.rank; k++)
        if (mask >> k & 1) s.dim[k] = 1;
    return s;
}

/* ReduceX of v over the axes of a mask, which stay. */
static value *reduce(graph *g, const node *n, opcode op, value *v, unsigned mask) {
    int64_t axes[MAX_RANK];
    size_t count = 0;
    if (!v || !mask) return v;
    for (int k = 0; k < v->shape.rank; k++)
        if (mask >> k & 1) axes[count++] = k;
    const bool input = op == ONNX_ReduceSum; /* in opset 17 the others take an attribute */
    value *in[] = {v, input ? graph_add_ints(g, "axes", axes, count) : NULL};
    node *r = grad_node(g, n, op, in, input ? 2 : 1, 1);
    if (!input) node_set_ints(g, r, "axes", axes, count);
    return grad_infer(g, r);
}

/* ---- reductions ---- */

typedef struct reduced {
    unsigned mask;
    value *x, *y, *dy; /* y and dy broadcast against x */
} reduced;

static reduced reduced_open(graph *g, const node *n, value *dout) {
    const unsigned mask = reduce_mask(g->arena, n);
    const shape kept = kept_shape(n, mask);
    value *y = grad_reshape(g, n, n->out[0], &kept);
    return (reduced){mask, n->in[0], y, grad_reshape(g, n, dout, &kept)};
}

static bool sum_grad(graph *g, node *n, value *dout, double factor, value **din) {
    const shape kept = kept_shape(n, reduce_mask(g->arena, n));
    value *dy = rule_scale(g, n, grad_reshape(g, n, dout, &kept), factor);
    return (din[0] = expand(g, n, dy, &n->in[0]->shape));
}

GRADIENT(reduce_sum_grad) { return sum_grad(g, n, dout[0], 1, din); }

GRADIENT(reduce_mean_grad) {
    return sum_grad(g, n, dout[0], (double)value_count(n->out[0]) / (double)value_count(n->in[0]),
                    din);
}

GRADIENT(reduce_l1_grad) {
    const reduced r = reduced_open(g, n, dout[0]);
    return (din[0] = mul(g, n, r.dy, rule_unary(g, n, ONNX_Sign, r.x)));
}

/* x dy / y; 0 where all is 0. */
GRADIENT(reduce_l2_grad) {
    const reduced r = reduced_open(g, n, dout[0]);
    return (din[0] = mul(g, n, r.x, grad_binary(g, n, CAMEO_SafeDiv, r.dy, r.y)));
}

GRADIENT(reduce_square_grad) {
    const reduced r = reduced_open(g, n, dout[0]);
    return (din[0] = mul(g, n, r.x, rule_scale(g, n, r.dy, 2)));
}

/* To the extreme; equal ones share. */
GRADIENT(reduce_extreme_grad) {
    const reduced r = reduced_open(g, n, dout[0]);
    value *mask = grad_binary(g, n, CAMEO_EqualMask, r.x, r.y);
    value *share = grad_binary(g, n, ONNX_Div, r.dy, reduce(g, n, ONNX_ReduceSum, mask, r.mask));
    return (din[0] = mul(g, n, mask, share));
}

/* dy times the product of the others. It is y / x where nothing is 0; with the zeros replaced by
   ones it is right for the only zero of a lane too, and nothing flows to x where another element
   is 0. */
GRADIENT(reduce_prod_grad) {
    const reduced r = reduced_open(g, n, dout[0]);
    value *none = grad_scalar(g, r.x, 0), *zero = grad_binary(g, n, CAMEO_EqualMask, r.x, none);
    value *filled = grad_binary(g, n, ONNX_Add, r.x, zero),
          *others = grad_binary(g, n, ONNX_Sub, reduce(g, n, ONNX_ReduceSum, zero, r.mask), zero);
    value *product = grad_binary(
        g, n, ONNX_Div, mul(g, n, r.dy, reduce(g, n, ONNX_ReduceProd, filled, r.mask)), filled);
    return (din[0] = mul(g, n, product, grad_binary(g, n, CAMEO_EqualMask, others, none)));
}

GRADIENT(reduce_log_sum_grad) {
    const reduced r = reduced_open(g, n, dout[0]);
    value *each = grad_binary(g, n, ONNX_Div, r.dy, rule_unary(g, n, ONNX_Exp, r.y));
    return (din[0] = expand(g, n, each, &r.x->shape));
}

GRADIENT(reduce_log_sum_exp_grad) {
    const reduced r = reduced_open(g, n, dout[0]);
    value *share = rule_unary(g, n, ONNX_Exp, grad_binary(g, n, ONNX_Sub, r.x, r.y));
    return (din[0] = mul(g, n, r.dy, share));
}

/* ---- along an axis ---- */

/* The axes of one lane: before opset 13 Softmax takes all from `axis` on. */
static unsigned lane_mask(const node *n, bool whole) {
    const int rank = n->in[0]->shape.rank;
    const int axis = node_axis(n, rank, whole ? 1 : -1);
    return whole ? (1u << rank) - (1u << axis) : 1u << axis;
}

/* y (dy - sum(dy y)) */
GRADIENT(softmax_grad) {
    value *y = n->out[0],
          *sum = reduce(g, n, ONNX_ReduceSum, mul(g, n, dout[0], y), lane_mask(n, n->opset < 13));
    return (din[0] = mul(g, n, y, grad_binary(g, n, ONNX_Sub, dout[0], sum)));
}

/* dy - exp(y) sum(dy) */
GRADIENT(log_softmax_grad) {
    value *sum = reduce(g, n, ONNX_ReduceSum, dout[0], lane_mask(n, n->opset < 13));
    return (din[0] = grad_binary(g, n, ONNX_Sub, dout[0],
                                 mul(g, n, rule_unary(g, n, ONNX_Exp, n->out[0]), sum)));
}

/* (dy - y sum(dy y)) / |x|, with the signs of x for y outside the sum when p is 1; 0 where all is
   0. */
GRADIENT(lp_grad) {
    const unsigned mask = lane_mask(n, false);
    const bool squares = node_int(n, "p", 2) == 2;
    value *x = n->in[0], *y = n->out[0],
          *sum = reduce(g, n, ONNX_ReduceSum, mul(g, n, dout[0], y), mask);
    value *along = mul(g, n, squares ? y : rule_unary(g, n, ONNX_Sign, x), sum);
    value *norm = reduce(g, n, squares ? ONNX_ReduceL2 : ONNX_ReduceL1, x, mask);
    return (din[0] = grad_binary(g, n, CAMEO_SafeDiv, grad_binary(g, n, ONNX_Sub, dout[0], along),
                                 norm));
}
