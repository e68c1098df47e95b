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

/* A batched node and its batched neighbours as of `images`; returns what they were. */
static int64_t set_images(const node *n, int64_t images) {
    const int64_t before = n->out[0]->shape.dim[0];
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] && n->in[i]->batched) n->in[i]->shape.dim[0] = images;
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i] && n->out[i]->batched) n->out[i]->shape.dim[0] = images;
    return before;
}

/* Of one image where images stay apart: the choice, and with it the bits of an image's result, must not depend on the batch. */
static double cost_of(const implementation *k, const node *n, const options *o) {
    if (!k->cost) return 0;
    if (!emit_batched(n)) return k->cost(n, o);
    const int64_t images = set_images(n, 1);
    const double cost = k->cost(n, o);
    set_images(n, images);
    return cost;
}

static const implementation *choose(const graph *g, const node *n, const options *o) {
    const implementation *best = NULL;
    double best_cost = 0;
    for (const implementation *const *k = implementations; *k; k++) {
        if (strcmp((*k)->op, n->op->name) || !allowed(*k, o) || !(*k)->applies(g, n, o)) continue;
        const double cost = cost_of(*k, n, o);
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
