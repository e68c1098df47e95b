/* Which initializers are weights, and which running statistics; with --train they become
   parameters. Rows say which of their inputs are what. Operands of elementwise rows are weights
   only behind another weight, so that a normalisation of the input (x - mean) / std, which
   exporters write with the same operators, stays as it is; and single numbers there are never
   weights.

   Not all that is stored there is learnt. A framework's constants are Constant nodes: an operand
   of an elementwise row that is one is no weight, unless the file keeps all its weights in such
   nodes. Exporters write GroupNormalization as InstanceNormalization with ones and zeros between
   two Reshapes, or without parameters likewise: those are no weights either.

   A weight that Identity or a view brings to its layer is the tensor that the layer reads. What
   several layers read is one parameter or several by the rule of ties.c. A parameter is no
   constant: from here on nothing may be computed from it at compile time. */
#include <fnmatch.h>
#include <string.h>

#include "../ir/graph_query.h"
#include "front.h"
#include "ties.h"

enum {
    FOLD_CONSTANTS = 1 << 30,
    MOST_BIASES = 16 /* of convolutions in a net that never had BatchNormalization (VGG-19) */
};

typedef struct finding { /* lists by value id */
    weights *w;
    bool *written;        /* out by a Constant node */
    value **view;         /* of a stored tensor: the first view of it */
    bool *depends;        /* computed from a weight */
    bool written_weights; /* filters and matrices are kept in Constant nodes */
} finding;

/* ---- what is stored ---- */

static void pass_on(finding *f, node *n) {
    value *from = n->in[0], *to = n->out[0];
    to->constant = from->constant;
    to->type = from->type, to->shape = from->shape, to->shaped = true;
    node_kill(n);
    f->written[to->id] = f->written[from->id];
    f->w->root[to->id] = f->w->root[from->id];
    f->w->through[to->id] = from;
    f->w->inlined[to->id] = n->inlined;
}

static bool same_data(const value *a, const value *b) {
    return shape_equal(&a->shape, &b->shape) &&
           !memcmp(a->constant->data, b->constant->data, tensor_bytes(a->constant));
}

/* A weight is learnt as its layer reads it: reshaped, or transposed. Equal views of one tensor are
   one stored tensor still. */
static void fold_view(finding *f, node *n) {
    if (!node_has(n, OP_VIEW) && !node_is(n, ONNX_Transpose)) return;
    for (size_t i = 0; i < n->n_in; i++)
        if (!n->in[i] || !n->in[i]->constant) return;
    value *from = n->in[0], *to = n->out[0];
    if (from->type != DT_FLOAT || to->is_output || !n->op->infer(f->w->g, n) ||
        !fold_node(f->w->g, n, 0))
        return;
    f->written[to->id] = f->written[from->id];
    value *source = f->w->root[from->id], *first = f->view[source->id];
    if (!first) f->view[source->id] = first = to;
    f->w->root[to->id] = same_data(first, to) ? first : to;
    f->w->inlined[to->id] = n->inlined;
    file_change_loose(f->w->g, from->name);
}

static void find_stored(finding *f, graph *g) {
    for (size_t i = 0; i < g->n_values; i++) {
        value *v = g->values[i];
        if (v->constant && v->type == DT_FLOAT) f->w->root[i] = v;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        node *n = g->nodes[i];
        if (!n->op || n->n_out != 1 || !n->out[0]) continue;
        value *to = n->out[0];
        if (n->n_in == 0 && n->op->infer(g, n) && fold_node(g, n, FOLD_CONSTANTS)) {
            f->written[to->id] = true;
            f->w->inlined[to->id] = n->inlined;
            f->w->root[to->id] = to->type == DT_FLOAT ? to : NULL;
        } else if (node_is(n, ONNX_Identity) && !to->is_output && f->w->root[n->in[0]->id])
            pass_on(f, n);
        else if (g->training && n->n_in > 0)
            fold_view(f, n);
    }
}

/* ---- what it is for ---- */

static bool holds(const value *v, double x) {
    for (int64_t i = 0, count = value_count(v); i < count; i++)
        if (tensor_get(v->constant, i) != x) return false;
    return true;
}

/* Of a normalisation that has no parameters of its own. */
static bool is_dummy(const finding *f, const node *n) {
    const value *scale = n->in[1], *shift = n->in[2];
    if (!node_is(n, ONNX_InstanceNormalization) || !scale->constant || !shift->constant)
        return false;
    const bool reshaped = node_is(n->in[0]->producer, ONNX_Reshape);
    return (reshaped || (f->written[scale->id] && f->written[shift->id])) && holds(scale, 1) &&
           holds(shift, 0);
}

static bool is_symmetric(const node *n) {
    return node_has(n, OP_ELEMENTWISE) && (n->op->weights & 1);
}

static slot slot_of(const finding *f, const node *n, size_t i, bool depends) {
    const value *v = n->in[i];
    if (!v || !v->constant || v->type != DT_FLOAT || i >= 32 || node_has(n, OP_NO_GRAD))
        return SLOT_PLAIN;
    if (n->op->statistics >> i & 1) return SLOT_STATISTIC;
    if (!(n->op->weights >> i & 1) || is_dummy(f, n)) return SLOT_PLAIN;
    if (node_has(n, OP_ELEMENTWISE) && !depends) return SLOT_PLAIN;
    if (is_symmetric(n) && f->written[v->id] && !f->written_weights) return SLOT_PLAIN;
    return is_symmetric(n) && value_count(v) < 2 ? SLOT_PLAIN : SLOT_WEIGHT;
}

/* Whether the first filter or matrix comes from a Constant node. */
static bool keeps_weights_in_nodes(const finding *f, const graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        const node *n = g->nodes[i];
        for (size_t k = 0; k < n->n_in && k < 2; k++)
            if (!n->dead && n->op && !node_has(n, OP_ELEMENTWISE) && (n->op->weights >> k & 1) &&
                n->in[k] && n->in[k]->constant && n->in[k]->shape.rank > 1)
                return f->written[n->in[k]->id];
    }
    return false;
}

static bool depends_on_weights(const finding *f, const node *n) {
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] && f->depends[n->in[i]->id]) return true;
    return false;
}

static bool find_slots(const finding *f, const node *n, bool depends, slot *slots) {
    bool any = false;
    for (size_t k = 0; k < n->n_in; k++)
        any |= (slots[k] = slot_of(f, n, k, depends)) != SLOT_PLAIN;
    return any;
}

static void find_layers(finding *f, graph *g) {
    weights *w = f->w;
    w->layers = ARENA_ARRAY(g->arena, layer, g->n_nodes);
    f->written_weights = keeps_weights_in_nodes(f, g);
    for (size_t i = 0; i < g->n_nodes; i++) {
        node *n = g->nodes[i];
        if (n->dead || !n->op) continue;
        slot *slots = ARENA_ARRAY(g->arena, slot, n->n_in);
        bool depends = depends_on_weights(f, n);
        layer *l = NULL;
        if (find_slots(f, n, depends, slots)) {
            l = &w->layers[w->n_layers++];
            *l = (layer){.n = n, .slots = slots};
        }
        for (size_t k = 0; l && k < n->n_in; k++) depends |= slots[k] == SLOT_WEIGHT;
        for (size_t k = 0; k < n->n_out; k++)
            if (n->out[k]) f->depends[n->out[k]->id] = depends, w->made_by[n->out[k]->id] = l;
    }
}

static weights *find_weights(graph *g) {
    const size_t n = g->n_values;
    weights *w = ARENA_NEW(g->arena, weights);
    *w = (weights){.g = g, .n_values = n};
    w->root = ARENA_ARRAY(g->arena, value *, n);
    w->through = ARENA_ARRAY(g->arena, value *, n);
    w->inlined = ARENA_ARRAY(g->arena, bool, n);
    w->made_by = ARENA_ARRAY(g->arena, layer *, n);
    finding f = {.w = w,
                 .written = ARENA_ARRAY(g->arena, bool, n),
                 .view = ARENA_ARRAY(g->arena, value *, n),
                 .depends = ARENA_ARRAY(g->arena, bool, n)};
    find_stored(&f, g);
    mode_evaluate(g);
    find_layers(&f, g);
    return w;
}

/* ---- parameters ---- */

static bool is_frozen(const char *name, const options *o) {
    for (size_t i = 0; i < o->n_freeze; i++)
        if (!fnmatch(o->freeze[i], name, 0)) return true;
    return false;
}

void parameter_add(graph *g, const options *o, value *v, bool statistic) {
    parameter *p = ARENA_NEW(g->arena, parameter);
    *p = (parameter){.name = v->name,
                     .tie = v->tie,
                     .initial = v->constant,
                     .learnt = !statistic && !is_frozen(v->name, o)};
    p->decay = v->shape.rank > 1;
    p->block = 1;
    v->role = ROLE_PARAMETER;
    v->param = p;
    v->constant = NULL;
    ARENA_APPEND(g->arena, g->parameters, g->n_parameters, p);
}

bool parameters_check_freeze(graph *g, const options *o) {
    bool ok = true;
    for (size_t i = 0; i < o->n_freeze; i++) {
        bool used = false;
        for (size_t k = 0; k < g->n_parameters; k++)
            used |= !fnmatch(o->freeze[i], g->parameters[k]->name, 0);
        if (!used)
            ok = diag_error(g->diag, NULL, "cameo info lists the parameters",
                            "--freeze %s matches no parameter", o->freeze[i]);
    }
    return ok;
}

/* Exporters may fold BatchNormalization into the convolutions; such a net trains, but not as its
   authors trained it: the user chooses whether it does. */
static bool allow_folded_normalisation(graph *g, const options *o) {
    size_t convolutions = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i]->op->statistics || node_is(g->nodes[i], ONNX_InstanceNormalization))
            return true;
        convolutions += node_is(g->nodes[i], ONNX_Conv) && op_present(g->nodes[i], 2);
    }
    if (convolutions <= MOST_BIASES) return true;
    static const char found[] = "%zu convolutions with biases and no BatchNormalization: an "
                                "exporter seems to have folded it away";
    if (o->stop_if_folded)
        return diag_error(
            g->diag, NULL,
            "export without folding (training mode), or train it as it is: --folded continue",
            found, convolutions);
    diag_warn(g->diag, NULL,
              "export without folding (training mode) to train with normalisation; a low --lr "
              "suits this form",
              found, convolutions);
    return true;
}

/* A checkpoint is the file with other tensors, so each must have a place in the file's graph
   itself. */
static bool add_parameter(graph *g, const options *o, const weights *w, const layer *l, size_t i) {
    value *v = l->n->in[i];
    if (l->slots[i] == SLOT_PLAIN || !v->constant) return true;
    if ((size_t)v->id < w->n_values && w->inlined[v->id])
        return diag_error(g->diag, l->n, "export without functions, or inline them",
                          "input %zu is a weight that a function's body makes", i);
    parameter_add(g, o, v, l->slots[i] == SLOT_STATISTIC);
    return true;
}

static bool add_parameters(graph *g, const options *o, const weights *w) {
    bool ok = true;
    for (size_t i = 0; i < w->n_layers; i++)
        for (size_t k = 0; k < w->layers[i].n->n_in; k++)
            ok &= add_parameter(g, o, w, &w->layers[i], k);
    return ok;
}

bool pass_parameters(graph *g, const options *o) {
    g->training = o->train;
    weights *w = find_weights(g);
    if (!ties_part(w)) return false;
    if (o->train && !add_parameters(g, o, w)) return false;
    graph_sweep(g);
    if (!o->train) return true;
    if (!allow_folded_normalisation(g, o)) return false;
    if (!g->n_parameters) return node_error(g, NULL, "has no float32 weights to train");
    return true;
}
