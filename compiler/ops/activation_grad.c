/* Gradient rules of the activations: most are one pointwise operator (gradient.c) of dy and what it needs, x or y. */
#include <string.h>

#include "rules.h"

typedef struct derivative {
    const char *name, *op; /* of the function, of its gradient */
    bool of_y;
} derivative;

static const derivative derivatives[] = {
    {"Relu", "ReluGrad", true},
    {"LeakyRelu", "LeakyReluGrad", false},
    {"Sigmoid", "SigmoidGrad", true},
    {"Tanh", "TanhGrad", true},
    {"HardSigmoid", "HardSigmoidGrad", false},
    {"HardSwish", "HardSwishGrad", false},
    {"Swish", "SwishGrad", false},
    {"Elu", "EluGrad", false},
    {"Celu", "CeluGrad", false},
    {"Selu", "SeluGrad", false},
    {"Softplus", "SoftplusGrad", false},
    {"Softsign", "SoftsignGrad", false},
    {"Gelu", "GeluGrad", false},
    {"Mish", "MishGrad", false},
    {"ThresholdedRelu", "ThresholdedReluGrad", false},
    {"Erf", "ErfGrad", false},
    {"Abs", "AbsGrad", false},
    {"Sqrt", "SqrtGrad", true},
    {"Reciprocal", "ReciprocalGrad", true},
};

static const derivative *derivative_of(const node *n) {
    for (size_t i = 0; i < sizeof derivatives / sizeof *derivatives; i++)
        if (!strcmp(derivatives[i].name, n->op_type)) return &derivatives[i];
    BUG("%s has no derivative", n->op_type);
}

bool pointwise_grad(graph *g, node *n, value *const *dout, value **din) {
    static const char *const attributes[] = {"alpha", "beta", "gamma", NULL};
    const derivative *d = derivative_of(n);
    const char *op = !strcmp(node_string(n, "approximate", "none"), "tanh") ? "GeluTanhGrad" : d->op;
    node *back = grad_node(g, n, op, "cameo", (value *const[]){dout[0], d->of_y ? n->out[0] : n->in[0]}, 2, 1);
    grad_copy_attributes(g, n, back, attributes);
    return (din[0] = grad_infer(g, back)) != NULL;
}

bool prelu_grad(graph *g, node *n, value *const *dout, value **din) {
    value *x = n->in[0], *slope = rule_operand(g, n, 1);
    if (rule_wants(n, 0) && !(din[0] = grad_call(g, n, "PReluGrad", "cameo", (value *const[]){dout[0], x, slope}, 3)))
        return false;
    if (!rule_wants(n, 1)) return true;
    return rule_settle(g, n, 1, rule_internal(g, n, "PReluSlopeGrad", dout[0], x), din);
}

/* Bound i of Clip, an input from opset 11 on, as an attribute. */
static bool clip_bound(graph *g, node *n, size_t i, node *back, const char *name) {
    if (!op_present(n, i)) return true;
    if (rule_wants(n, i) || !n->in[i]->constant)
        return diag_error(g->diag, n, "make it a constant in the model", "bound %zu is computed, which has no gradient", i);
    node_set_float(g, back, name, (float)tensor_get(n->in[i]->constant, 0));
    return true;
}

bool clip_grad(graph *g, node *n, value *const *dout, value **din) {
    static const char *const attributes[] = {"min", "max", NULL};
    node *back = grad_node(g, n, "ClipGrad", "cameo", (value *const[]){dout[0], n->in[0]}, 2, 1);
    grad_copy_attributes(g, n, back, attributes);
    if (!clip_bound(g, n, 1, back, "min") || !clip_bound(g, n, 2, back, "max")) return false;
    return (din[0] = grad_infer(g, back)) != NULL;
}
