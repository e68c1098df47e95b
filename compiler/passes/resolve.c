/* Binds every node that somebody reads to its operator's row. */
#include "../ir/graph_query.h"
#include "front.h"

bool pass_resolve(graph *g, const options *o) {
    bool ok = true;
    g->embedding = embedding_named(g, o); /* it may be a tensor that nothing else reads */
    graph_sweep(g);                       /* what nobody reads need not be supported */
    for (size_t i = 0; i < g->n_nodes; i++) ok &= resolve_node(g, g->nodes[i]);
    return ok;
}
