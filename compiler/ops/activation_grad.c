/* Gradient rules of the activations: most are one pointwise operator (gradient.c) of dy and what
   it needs, x or y. */
#include "pointwise.h"
#include "rules.h"

GRADIENT(pointwise_grad) {
    static const char *const attributes[] = {"alpha", "beta", "gamma", NULL};
    const pointwise *k = pointwise_of(n);
    node *back = grad_node(g, n, k->grad, OPERANDS(dout[0], k->of_y ? n->out[0] : n->in[0]), 1);
    grad_copy_attributes(g, n, back, attributes);
    return (din[0] = grad_infer(g, back));
}

GRADIENT(prelu_grad) {
    value *x = n->in[0], *in[] = {dout[0], x, rule_operand(g, n, 1)};
    if (rule_wants(n, 0)) din[0] = grad_call(g, n, CAMEO_PReluGrad, in, 3);
    if (rule_wants(n, 1))
        rule_settle(g, n, 1, grad_binary(g, n, CAMEO_PReluSlopeGrad, dout[0], x), din);
    return rule_done(n, din);
}

/* Bounds that are computed. x gets dy where it is y; elsewhere it went to max if y is max, else to
   min. */
static bool clip_computed_grad(graph *g, node *n, value *dy, value **din) {
    value *inside = grad_binary(g, n, CAMEO_EqualMask, n->in[0], n->out[0]), *high = NULL;
    if (rule_wants(n, 0)) din[0] = grad_binary(g, n, ONNX_Mul, dy, inside);
    value *cut = grad_binary(g, n, ONNX_Mul, dy,
                             grad_binary(g, n, ONNX_Sub, grad_scalar(g, dy, 1), inside));
    if (op_present(n, 2))
        high = grad_binary(g, n, ONNX_Mul, cut,
                           grad_binary(g, n, CAMEO_EqualMask, n->out[0], n->in[2]));
    if (rule_wants(n, 1))
        din[1] = grad_sum_to(g, n, high ? grad_binary(g, n, ONNX_Sub, cut, high) : cut,
                             &n->in[1]->shape);
    if (rule_wants(n, 2)) din[2] = grad_sum_to(g, n, high, &n->in[2]->shape);
    return rule_done(n, din);
}

static bool clip_is_computed(const node *n) {
    return (op_present(n, 1) && !n->in[1]->constant) || (op_present(n, 2) && !n->in[2]->constant);
}

GRADIENT(clip_grad) {
    static const char *const attributes[] = {"min", "max", NULL};
    if (clip_is_computed(n)) return clip_computed_grad(g, n, dout[0], din);
    node *back = grad_node(g, n, CAMEO_ClipGrad, OPERANDS(dout[0], n->in[0]), 1);
    grad_copy_attributes(g, n, back, attributes);
    for (size_t i = 1; i <= 2; i++) /* inputs from opset 11 on */
        if (op_present(n, i))
            node_set_float(g, back, attributes[i - 1], (float)tensor_get(n->in[i]->constant, 0));
    return (din[0] = grad_infer(g, back));
}
