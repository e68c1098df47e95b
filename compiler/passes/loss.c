/* The loss of the step graph: where the class scores are, and the nodes from there to one number. */
#include <stdlib.h>
#include <string.h>

#include "../grad.h"
#include "front.h"

static bool is_op(const node *n, const char *name) { return n && n->domain[0] == 0 && strcmp(n->op_type, name) == 0; }

/* The class scores: the first output, or what a final Softmax is applied to. */
value *loss_logits(const graph *g) {
    value *v = g->outputs[0];
    while (is_op(v->producer, "Softmax") || is_op(v->producer, "LogSoftmax") || is_op(v->producer, "Identity"))
        v = v->producer->in[0];
    return v;
}

static bool takes_rest(const shape *s) {
    for (int i = 2; i < s->rank; i++)
        if (s->dim[i] != 1) return false;
    return s->rank >= 2;
}

static value *input_named(const graph *g, const char *name) {
    for (size_t i = 1; i < g->n_inputs; i++)
        if (!strcmp(g->inputs[i]->name, name)) return g->inputs[i];
    BUG("the step graph has no input \"%s\"", name);
}

static value *graph_add_result(graph *g, value *v, const char *name) {
    v->name = arena_strdup(g->arena, name);
    v->is_output = true;
    return v;
}

static bool cross_entropy(graph *g, const node *origin, value *logits) {
    value *in[] = {logits, input_named(g, "labels"), input_named(g, "labels_b"), input_named(g, "mix"),
                   input_named(g, "smoothing")};
    node *n = grad_node(g, origin, "SoftmaxCrossEntropy", "cameo", in, 5, 4);
    n->name = "loss";
    if (!grad_infer(g, n)) return false;
    for (size_t i = 0; i < g->n_outputs; i++) g->outputs[i]->is_output = false;
    g->outputs = ARENA_ARRAY(g->arena, value *, 2);
    g->n_outputs = 2;
    g->outputs[0] = g->loss = graph_add_result(g, n->out[0], "loss");
    g->outputs[1] = graph_add_result(g, n->out[2], "correct");
    return true;
}

bool pass_loss(graph *g, const options *o) {
    (void)o;
    value *logits = loss_logits(g);
    const node *origin = logits->producer;
    if (!origin || logits->type != DT_FLOAT || !takes_rest(&logits->shape))
        return diag_error(g->diag, origin, "give --classes K to add a classifier",
                          "output \"%s\" is not a batch of class scores", g->outputs[0]->name);
    g->embedding = NULL;
    const shape flat = {.rank = 2, .dim = {logits->shape.dim[0], logits->shape.dim[1]}};
    logits = grad_reshape(g, origin, logits, &flat);
    return logits && cross_entropy(g, origin, logits);
}
