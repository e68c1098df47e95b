/* Answers about a graph; see graph_query.h. */
#include "graph_query.h"

#include <string.h>

bool node_is(const node *n, opcode op) { return n && !n->dead && n->opcode == op; }

bool graph_has(const graph *g, const node *n) { return n->position < g->n_nodes && g->nodes[n->position] == n; }

bool value_is_read(const value *v) { return v->n_uses || v->is_output || value_is_stored(v); }

bool value_is_kept(const graph *g, const value *v) { return v->is_output || v == g->embedding || value_is_stored(v); }

node *value_consumer(const graph *g, const value *v) { return v->n_uses == 1 && !value_is_kept(g, v) ? v->uses->user : NULL; }

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

const char *graph_metadata(const graph *g, const char *key) {
    for (size_t i = 0; i < g->n_meta; i++)
        if (strcmp(g->meta[i].key, key) == 0) return g->meta[i].value;
    return NULL;
}

value *graph_logits(const graph *g) {
    value *v = g->outputs[0];
    const node *n;
    while (n = v->producer, node_is(n, ONNX_Softmax) || node_is(n, ONNX_LogSoftmax) || node_is(n, ONNX_Identity)) v = n->in[0];
    return v;
}
