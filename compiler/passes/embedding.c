/* Decides which tensor is the embedding: --embedding, else what the model says, else the input of
   the Gemm before a final Softmax, else the only output. */

#include "../ir/graph_query.h"
#include "front.h"

/* x of Softmax(Gemm(x)) or Softmax(MatMul(x) + b), when v is that. */
static value *classifier_input(const value *v) {
    const node *n = v->producer;
    if (!node_is_softmax(n)) return NULL;
    n = n->in[0]->producer;
    if (node_is(n, ONNX_Add)) n = n->in[0]->producer ? n->in[0]->producer : n->in[1]->producer;
    return node_is(n, ONNX_Gemm) || node_is(n, ONNX_MatMul) ? n->in[0] : NULL;
}

static bool named(graph *g, const char *name, const char *by) {
    g->embedding = graph_find_value(g, name);
    if (g->embedding && !g->embedding->constant) return true;
    g->embedding = NULL;
    return diag_error(g->diag, NULL,
                      "cameo info --json lists the outputs; any tensor of the graph will do",
                      "%s: no computed tensor is named \"%s\"", by, arena_escape(g->arena, name));
}

const char *embedding_name(const graph *g, const options *o) {
    const char *meta = graph_metadata(g, "cameo.embedding");
    return o->embedding ? o->embedding : meta && *meta ? meta : NULL;
}

value *embedding_named(const graph *g, const options *o) {
    const char *name = embedding_name(g, o);
    return name ? graph_find_value(g, name) : NULL;
}

bool pass_embedding(graph *g, const options *o) {
    const char *name = embedding_name(g, o);
    if (name) return named(g, name, o->embedding ? "--embedding" : "metadata cameo.embedding");
    if (g->n_outputs != 1 || g->outputs[0]->type != DT_FLOAT || g->outputs[0]->constant)
        return true;
    value *before = classifier_input(g->outputs[0]);
    g->embedding = before ? before : g->outputs[0];
    return true;
}
