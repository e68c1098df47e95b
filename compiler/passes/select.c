/* Pass 9: an implementation for each node. Of those that apply to the node and that --kernels allows, the cheapest; none: the
   row's plain loops. Under --kernels xnnpack a native kernel serves only where XNNPACK has nothing; under auto with --static
   XNNPACK is left out, since distributions have it as a shared library only. */
#include "../compile.h"
#include "../emit/emit.h"
#include "plan.h"

#include <string.h>

static bool allowed(const implementation *k, const options *o) {
    if (o->kernels == KERNELS_PLAIN) return false;
    return !k->xnnpack || o->kernels == KERNELS_XNNPACK || (o->kernels == KERNELS_AUTO && !o->is_static);
}

static bool better(const implementation *k, double cost, const implementation *best, double best_cost, const options *o) {
    if (!best) return true;
    if (o->kernels == KERNELS_XNNPACK && k->xnnpack != best->xnnpack) return k->xnnpack;
    return cost < best_cost;
}

static const implementation *choose(const graph *g, const node *n, const options *o) {
    const implementation *best = NULL;
    double best_cost = 0;
    for (const implementation *const *k = implementations; *k; k++) {
        if (strcmp((*k)->op, n->op->name) || !allowed(*k, o) || !(*k)->applies(g, n, o)) continue;
        const double cost = (*k)->cost ? (*k)->cost(n, o) : 0;
        if (better(*k, cost, best, best_cost, o)) best = *k, best_cost = cost;
    }
    return best;
}

bool pass_select(graph *g, const options *o) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        node *n = g->nodes[i];
        if (n->dead || !n->op || (n->op->flags & (OP_VIEW | OP_IDENTITY)) || node_is_relabel(n)) continue;
        n->impl = choose(g, n, o);
    }
    return true;
}
