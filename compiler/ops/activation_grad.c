/* Gradient rules of the activations: most are one pointwise operator (gradient.c) of dy and what it needs, x or y. */
#include <string.h>

#include "rules.h"

typedef struct derivative {
    const char *name, *op; /* of the activation, of its gradient */
    bool of_y;
} derivative;

static const derivative derivatives[] = {
    {"Relu", "ReluGrad", true},
};

bool activation_grad(graph *g, node *n, value *const *dout, value **din) {
    static const char *const attributes[] = {"alpha", "beta", "gamma", NULL};
    const derivative *d = derivatives;
    while (strcmp(d->name, n->op_type)) d++;
    node *back = grad_node(g, n, d->op, "cameo", (value *const[]){dout[0], d->of_y ? n->out[0] : n->in[0]}, 2, 1);
    grad_copy_attributes(g, n, back, attributes);
    return (din[0] = grad_infer(g, back)) != NULL;
}
