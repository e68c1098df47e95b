/* --train: which initializers become parameters. Rows say which of their inputs are weights and which are running statistics.
   Operands of elementwise rows are weights only behind another weight, so that a normalisation of the input (x - mean) / std,
   which exporters write with the same operators, stays as it is; and single numbers there are never weights.

   A parameter is no constant: from here on nothing may be computed from it at compile time. Weights that an exporter put into
   Constant nodes count as initializers. */
#include <fnmatch.h>
#include <string.h>

#include "../op.h"
#include "front.h"

enum { FOLD_CONSTANTS = 1 << 30, MOST_BIASES = 16 /* of convolutions in a net that never had BatchNormalization (VGG-19) */ };

typedef enum slot { SLOT_PLAIN, SLOT_WEIGHT, SLOT_STATISTIC } slot;

/* by value id: computed from a weight */
static bool depends_on_weights(const node *n, const bool *depends) {
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] && (depends[n->in[i]->id] || (n->in[i]->role == ROLE_PARAMETER && n->in[i]->param->learnt))) return true;
    return false;
}

static slot slot_of(const node *n, size_t i, const bool *depends) {
    const value *v = n->in[i];
    if (!v || !v->constant || v->type != DT_FLOAT || i >= 32 || (n->op->flags & OP_NO_GRAD)) return SLOT_PLAIN;
    if (n->op->statistics >> i & 1) return SLOT_STATISTIC;
    if (!(n->op->weights >> i & 1)) return SLOT_PLAIN;
    const bool symmetric = (n->op->flags & OP_ELEMENTWISE) && (n->op->weights & 1);
    if ((n->op->flags & OP_ELEMENTWISE) && !depends_on_weights(n, depends)) return SLOT_PLAIN;
    return symmetric && value_count(v) < 2 ? SLOT_PLAIN : SLOT_WEIGHT;
}

static bool is_frozen(const char *name, const options *o) {
    for (size_t i = 0; i < o->n_freeze; i++)
        if (!fnmatch(o->freeze[i], name, 0)) return true;
    return false;
}

void parameter_add(graph *g, const options *o, value *v, bool statistic) {
    parameter *p = ARENA_NEW(g->arena, parameter);
    *p = (parameter){.name = v->name, .initial = v->constant, .learnt = !statistic && !is_frozen(v->name, o)};
    p->decay = v->shape.rank > 1;
    p->block = 1;
    v->role = ROLE_PARAMETER;
    v->param = p;
    v->constant = NULL;
    parameter **grown = ARENA_ARRAY(g->arena, parameter *, g->n_parameters + 1);
    if (g->n_parameters) memcpy(grown, g->parameters, g->n_parameters * sizeof *grown);
    grown[g->n_parameters++] = p;
    g->parameters = grown;
}

bool parameters_check_freeze(graph *g, const options *o) {
    bool ok = true;
    for (size_t i = 0; i < o->n_freeze; i++) {
        bool used = false;
        for (size_t k = 0; k < g->n_parameters; k++) used |= !fnmatch(o->freeze[i], g->parameters[k]->name, 0);
        if (!used)
            ok = diag_error(g->diag, NULL, "cameo info lists the parameters", "--freeze %s matches no parameter", o->freeze[i]);
    }
    return ok;
}

/* Exporters may fold BatchNormalization into the convolutions; such a net trains, but not as its authors trained it: the user
   chooses whether it does. */
static bool allow_folded_normalisation(graph *g, const options *o) {
    size_t convolutions = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i]->op->statistics || !strcmp(g->nodes[i]->op_type, "InstanceNormalization")) return true;
        convolutions += !strcmp(g->nodes[i]->op_type, "Conv") && g->nodes[i]->n_in > 2 && g->nodes[i]->in[2];
    }
    if (convolutions <= MOST_BIASES) return true;
    static const char found[] =
        "%zu convolutions with biases and no BatchNormalization: an exporter seems to have folded it away";
    if (o->stop_if_folded)
        return diag_error(g->diag, NULL, "export without folding (training mode), or train it as it is: --folded continue",
                          found, convolutions);
    diag_warn(g->diag, NULL, "export without folding (training mode) to train with normalisation; a low --lr suits this form",
              found, convolutions);
    return true;
}

bool pass_parameters(graph *g, const options *o) {
    if (!o->train) return true;
    g->training = true;
    bool *depends = ARENA_ARRAY(g->arena, bool, g->n_values);
    for (size_t i = 0; i < g->n_nodes; i++) {
        node *n = g->nodes[i];
        if (n->n_in == 0 && n->op->infer(g, n) && fold_node(g, n, FOLD_CONSTANTS)) continue;
        for (size_t k = 0; k < n->n_in; k++) {
            const slot kind = slot_of(n, k, depends);
            if (kind != SLOT_PLAIN) parameter_add(g, o, n->in[k], kind == SLOT_STATISTIC);
        }
        const bool any = depends_on_weights(n, depends);
        for (size_t k = 0; k < n->n_out; k++)
            if (n->out[k]) depends[n->out[k]->id] = any;
    }
    graph_sweep(g);
    if (!allow_folded_normalisation(g, o)) return false;
    if (!g->n_parameters) return diag_error(g->diag, NULL, NULL, "has no float32 weights to train");
    return true;
}
