/* The loss of the step graph: the terms of --loss, from the class scores and the embedding to one
   number. docs/training.md states them. */
#include <string.h>

#include "../base/loss_spec.h"
#include "../ir/grad.h"
#include "../ir/graph_query.h"
#include "front.h"

/* What the terms are made of, and their sum so far. */
typedef struct terms {
    graph *g;
    loss_spec spec;
    value *embedding, *unit; /* [images, length]; unit: of length 1, made when a term asks for it */
    value *labels;
    value *total, *correct;
    const node *origin;
} terms;

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

static bool add_term(terms *t, value *term, double weight) {
    if (term && weight != 1)
        term = grad_binary(t->g, t->origin, ONNX_Mul, term, grad_scalar(t->g, term, weight));
    if (term && t->total) term = grad_binary(t->g, t->origin, ONNX_Add, t->total, term);
    t->total = term;
    return term != NULL;
}

/* ---- over class scores ---- */

static value *with_margins(terms *t, value *logits) {
    const margin_spec *m = &t->spec.margin;
    node *n = grad_node(t->g, t->origin, CAMEO_Margin, OPERANDS(logits, t->labels), 4);
    node_set_float(t->g, n, "scale", m->scale);
    node_set_float(t->g, n, "m1", m->m1);
    node_set_float(t->g, n, "m2", m->m2);
    node_set_float(t->g, n, "m3", m->m3);
    t->correct = n->out[2];
    return grad_infer(t->g, n);
}

static bool softmax_term(terms *t) {
    graph *g = t->g;
    value *logits = graph_logits(g);
    if (!logits->producer || !takes_rest(&logits->shape))
        return diag_error(g->diag, logits->producer, "give --classes K to add a classifier",
                          "output \"%s\" is not a batch of class scores", g->outputs[0]->name);
    const shape flat = {.rank = 2, .dim = {logits->shape.dim[0], logits->shape.dim[1]}};
    if (!(logits = grad_reshape(g, t->origin, logits, &flat))) return false;
    if (t->spec.margins && !(logits = with_margins(t, logits))) return false;
    value *in[] = {logits, t->labels, input_named(g, "labels_b"), input_named(g, "mix"),
                   input_named(g, "smoothing")};
    node *n = grad_node(g, t->origin, CAMEO_SoftmaxCrossEntropy, in, 5, 4);
    n->name = "loss";
    if (!t->correct) t->correct = n->out[2];
    return add_term(t, grad_infer(g, n), 1);
}

/* ---- over embeddings ---- */

static bool find_embedding(terms *t) {
    value *e = t->g->embedding;
    const shape flat = {.rank = 2, .dim = {e->shape.dim[0], value_count(e) / e->shape.dim[0]}};
    t->embedding = grad_reshape(t->g, t->origin, e, &flat);
    return t->embedding != NULL;
}

static value *unit_length(terms *t) {
    if (t->unit) return t->unit;
    node *n = grad_node(t->g, t->origin, ONNX_LpNormalization, &t->embedding, 1, 1);
    node_set_int(t->g, n, "axis", 1);
    node_set_int(t->g, n, "p", 2);
    return t->unit = grad_infer(t->g, n);
}

static bool comparison_term(terms *t, const compare_spec *c, const char *kind) {
    if (c->weight == 0) return true;
    value *x = c->normalize != 0 ? unit_length(t) : t->embedding;
    if (!x) return false;
    node *n = grad_node(t->g, t->origin, CAMEO_MetricLoss, OPERANDS(x, t->labels), 5);
    node_set_string(t->g, n, "kind", kind);
    node_set_float(t->g, n, "margin", c->margin);
    if (!t->correct) t->correct = n->out[2];
    return add_term(t, grad_infer(t->g, n), c->weight);
}

/* The centers' new values go where the old ones are. */
static bool center_term(terms *t) {
    if (t->spec.center == 0) return true;
    value *centers = graph_find_value(t->g, "head.centers");
    if (!centers || centers->role != ROLE_PARAMETER) BUG("no centers were made");
    node *n = grad_node(t->g, t->origin, CAMEO_CenterLoss,
                        OPERANDS(t->embedding, centers, t->labels), 3);
    node_set_float(t->g, n, "rate", t->spec.center_rate);
    n->out[2]->role = ROLE_UPDATE;
    n->out[2]->param = centers->param;
    return add_term(t, grad_infer(t->g, n), t->spec.center);
}

static bool needs_embedding(const loss_spec *s) {
    return s->center > 0 || s->triplet.weight > 0 || s->contrastive.weight > 0;
}

/* ---- the pass ---- */

static void set_outputs(graph *g, value *loss, value *correct) {
    for (size_t i = 0; i < g->n_outputs; i++) g->outputs[i]->is_output = false;
    g->outputs = ARENA_ARRAY(g->arena, value *, 2);
    g->n_outputs = 2;
    g->outputs[0] = g->loss = graph_add_result(g, loss, "loss");
    g->outputs[1] = graph_add_result(g, correct, "correct");
    g->embedding = NULL;
    graph_sweep(g);
}

/* A classifier that the loss never looks at stays as it is. */
static void freeze_unread(graph *g) {
    for (size_t i = 0; i < g->n_parameters; i++) {
        if (!g->parameters[i]->learnt || parameter_is_read(g, g->parameters[i])) continue;
        g->parameters[i]->learnt = false;
        diag_warn(g->diag, NULL, NULL, "\"%s\" is not trained: the loss does not depend on it",
                  g->parameters[i]->name);
    }
}

bool pass_loss(graph *g, const options *o) {
    terms t = {.g = g, .labels = input_named(g, "labels")};
    const char *why = loss_parse(g->arena, o->loss, &t.spec);
    if (why) return node_error(g, NULL, "--loss %s: %s", o->loss, why);
    t.origin = g->nodes[g->n_nodes - 1];
    if (needs_embedding(&t.spec) && !g->embedding)
        return diag_error(g->diag, NULL, "name it with --embedding", "--loss %s needs an embedding",
                          o->loss);
    const bool ok = (!t.spec.softmax || softmax_term(&t)) &&
                    (!needs_embedding(&t.spec) || find_embedding(&t)) && center_term(&t) &&
                    comparison_term(&t, &t.spec.triplet, t.spec.semi_hard ? "semi" : "hard") &&
                    comparison_term(&t, &t.spec.contrastive, "contrastive");
    if (!ok) return false;
    set_outputs(g, t.total, t.correct);
    freeze_unread(g);
    return true;
}
