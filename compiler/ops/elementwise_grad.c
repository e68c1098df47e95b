/* Gradient rules of arithmetic with broadcasting: numpy's, and the attributes of opset 6 and
   before. */
#include "pointwise.h"
#include "rules.h"

/* The shape of operand i with an axis for each of out 0. */
static shape aligned_shape(const node *n, size_t i) {
    const shape *s = &n->in[i]->shape;
    const int offset = broadcast_offset(n, i);
    shape wide = {.rank = n->out[0]->shape.rank};
    for (int k = 0; k < wide.rank; k++)
        wide.dim[k] = k < offset || k >= offset + s->rank ? 1 : s->dim[k - offset];
    return wide;
}

value *rule_operand(graph *g, const node *n, size_t i) {
    if (broadcast_offset(n, i) + n->in[i]->shape.rank == n->out[0]->shape.rank) return n->in[i];
    const shape wide = aligned_shape(n, i);
    return grad_reshape(g, n, n->in[i], &wide);
}

void rule_settle(graph *g, const node *n, size_t i, value *v, value **din) {
    const shape wide = aligned_shape(n, i);
    din[i] = grad_reshape(g, n, grad_sum_to(g, n, v, &wide), &n->in[i]->shape);
}

value *rule_scale(graph *g, const node *n, value *v, double factor) {
    return !v || factor == 1 ? v : grad_binary(g, n, ONNX_Mul, v, grad_scalar(g, v, factor));
}

value *rule_unary(graph *g, const node *n, opcode op, value *v) {
    return grad_call(g, n, op, &v, 1);
}

static value *cast(graph *g, const node *n, value *v, dtype type) {
    if (!v || v->type == type) return v;
    node *c = grad_node(g, n, ONNX_Cast, &v, 1, 1);
    node_set_int(g, c, "to", type);
    return grad_infer(g, c);
}

/* Sum as well. */
GRADIENT(add_grad) {
    for (size_t i = 0; i < n->n_in; i++)
        if (rule_wants(n, i)) rule_settle(g, n, i, dout[0], din);
    return rule_done(n, din);
}

GRADIENT(mean_grad) {
    value *share = rule_scale(g, n, dout[0], 1 / (double)n->n_in);
    return add_grad(g, n, &share, din);
}

GRADIENT(sub_grad) {
    add_grad(g, n, dout, din);
    if (rule_wants(n, 1)) din[1] = rule_unary(g, n, ONNX_Neg, din[1]);
    return rule_done(n, din);
}

GRADIENT(mul_grad) {
    for (size_t i = 0; i < 2; i++)
        if (rule_wants(n, i))
            rule_settle(g, n, i, grad_binary(g, n, ONNX_Mul, dout[0], rule_operand(g, n, 1 - i)),
                        din);
    return rule_done(n, din);
}

GRADIENT(div_grad) {
    value *each = grad_binary(g, n, ONNX_Div, dout[0], rule_operand(g, n, 1)); /* dy / b */
    if (rule_wants(n, 0)) rule_settle(g, n, 0, each, din);
    if (rule_wants(n, 1)) {
        rule_settle(g, n, 1, grad_binary(g, n, ONNX_Mul, each, n->out[0]), din);
        din[1] = rule_unary(g, n, ONNX_Neg, din[1]);
    }
    return rule_done(n, din);
}

/* Also 0 where b is 0, and for the exponent where a is, as in PyTorch. */
GRADIENT(pow_grad) {
    value *a = rule_operand(g, n, 0), *b = cast(g, n, rule_operand(g, n, 1), n->in[0]->type);
    if (rule_wants(n, 0))
        rule_settle(g, n, 0, grad_call(g, n, CAMEO_PowBaseGrad, OPERANDS(dout[0], a, b)), din);
    if (rule_wants(n, 1)) {
        value *in[] = {dout[0], n->out[0], a}, *db = grad_call(g, n, CAMEO_PowExponentGrad, in, 3);
        rule_settle(g, n, 1, cast(g, n, db, n->in[1]->type), din);
    }
    return rule_done(n, din);
}

/* Max and Min: to whoever is the extreme; equal ones share. */
GRADIENT(extreme_grad) {
    value **mask = ARENA_ARRAY(g->arena, value *, n->n_in), *count = NULL;
    for (size_t i = 0; i < n->n_in; i++) {
        mask[i] = grad_binary(g, n, CAMEO_EqualMask, n->out[0], rule_operand(g, n, i));
        count = i ? grad_binary(g, n, ONNX_Add, count, mask[i]) : mask[i];
    }
    value *share = grad_binary(g, n, ONNX_Div, dout[0], count);
    for (size_t i = 0; i < n->n_in; i++)
        if (rule_wants(n, i))
            rule_settle(g, n, i, grad_binary(g, n, ONNX_Mul, share, mask[i]), din);
    return rule_done(n, din);
}

GRADIENT(where_grad) {
    value *zero = grad_scalar(g, dout[0], 0);
    for (size_t i = 1; i < 3; i++) {
        value *in[] = {n->in[0], i == 1 ? dout[0] : zero, i == 1 ? zero : dout[0]};
        if (rule_wants(n, i)) rule_settle(g, n, i, grad_call(g, n, ONNX_Where, in, 3), din);
    }
    return rule_done(n, din);
}

GRADIENT(cast_grad) { return (din[0] = cast(g, n, dout[0], n->in[0]->type)); }

GRADIENT(neg_grad) { return (din[0] = rule_unary(g, n, ONNX_Neg, dout[0])); }

GRADIENT(exp_grad) { return (din[0] = grad_binary(g, n, ONNX_Mul, dout[0], n->out[0])); }

GRADIENT(log_grad) { return (din[0] = grad_binary(g, n, ONNX_Div, dout[0], n->in[0])); }

GRADIENT(sin_grad) {
    return (din[0] = grad_binary(g, n, ONNX_Mul, dout[0], rule_unary(g, n, ONNX_Cos, n->in[0])));
}

GRADIENT(cos_grad) {
    return (din[0] = rule_unary(
                g, n, ONNX_Neg,
                grad_binary(g, n, ONNX_Mul, dout[0], rule_unary(g, n, ONNX_Sin, n->in[0]))));
}
