/* Answers about a graph; see graph_query.h. */
#include "graph_query.h"
#include "options.h"

#include <string.h>

bool node_is(const node *n, opcode op) { return n && !n->dead && n->opcode == op; }

bool node_is_softmax(const node *n) {
    return node_is(n, ONNX_Softmax) || node_is(n, ONNX_LogSoftmax);
}

bool graph_has(const graph *g, const node *n) {
    return n->position < g->n_nodes && g->nodes[n->position] == n;
}

bool value_is_read(const value *v) { return v->n_uses || v->is_output || value_is_stored(v); }

bool value_is_kept(const graph *g, const value *v) {
    return v->is_output || v == g->embedding || value_is_stored(v);
}

node *value_consumer(const graph *g, const value *v) {
    return v->n_uses == 1 && !value_is_kept(g, v) ? v->uses->user : NULL;
}

/* ---- images ---- */

/* Computed from parameters alone, once a run: the same for all images. */
static bool is_of_parameters(const value *v) {
    const node *p = v->producer;
    if (!p || v->batched) return value_is_external(v);
    for (size_t i = 0; i < p->n_in; i++)
        if (p->in[i] && !value_is_external(p->in[i])) return false;
    return true;
}

bool node_is_batched(const node *n) {
    bool any = false;
    for (size_t i = 0; i < n->n_in; i++) {
        if (!n->in[i] || is_of_parameters(n->in[i])) continue;
        if (!n->in[i]->batched) return false;
        any = true;
    }
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i] && !n->out[i]->batched) return false;
    return any;
}

int64_t image_elements(const value *v) {
    while (v->base) v = v->base;
    const int64_t count = shape_count(&v->shape);
    return v->batched && v->shape.rank > 0 && v->shape.dim[0] > 0 ? count / v->shape.dim[0] : count;
}

bool node_is_relabel(const node *n) { return node_int(n, "relabel", 0) != 0; }

bool node_is_view(const node *n) {
    return node_has(n, OP_VIEW | OP_IDENTITY) || node_is_relabel(n);
}

bool value_is_in_any_order(const value *v) {
    const int64_t *d = v->shape.dim;
    return v->shape.rank == 4 && (d[1] == 1 || (d[2] == 1 && d[3] == 1));
}

int64_t value_planned_count(const graph *g, const value *v) {
    const int64_t group = v->is_late ? g->late_group : g->group;
    const bool grouped = v->batched && group > 0 && v->shape.rank > 0 && v->shape.dim[0] > group;
    return grouped ? value_count(v) / v->shape.dim[0] * group : value_count(v);
}

/* ---- the rest ---- */

bool node_has_one_output(const node *n) {
    for (size_t i = 1; i < n->n_out; i++)
        if (n->out[i] && value_is_read(n->out[i])) return false;
    return true;
}

bool parameter_is_read(const graph *g, const parameter *p) {
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->param == p && g->values[i]->n_uses) return true;
    return false;
}

int64_t graph_opset(const graph *g, const char *domain) {
    for (size_t i = 0; i < g->n_opsets; i++)
        if (strcmp(g->opsets[i].domain, domain) == 0) return g->opsets[i].version;
    return 0;
}

const char *graph_metadata(const graph *g, const char *key) {
    for (size_t i = 0; i < g->n_meta; i++)
        if (strcmp(g->meta[i].key, key) == 0) return g->meta[i].value;
    return NULL;
}

const char *options_preprocess(const options *o, const graph *g) {
    return o->preprocess ? o->preprocess : graph_metadata(g, "cameo.preprocess");
}

value *graph_logits(const graph *g) {
    value *v = g->outputs[0];
    const node *n;
    while (n = v->producer, node_is_softmax(n) || node_is(n, ONNX_Identity)) v = n->in[0];
    return v;
}
