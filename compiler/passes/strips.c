/* Strips of rows: a depthwise convolution with the 1x1 convolution behind it, and often the one before it, becomes one
   cameo.ConvChain, which does all of them a strip of rows at a time (kernels/strip_conv.c). Behind select, since it keeps the
   kernels that were chosen; layers that --tune is timing stay apart. */
#include "../kernels/kernels.h"
#include "../tuning.h"
#include "fuse.h"

#include <string.h>

enum { PARTS_MOST = 3 };

/* The convolution that makes n's input for n alone. */
static node *conv_before(const graph *g, const node *n) {
    node *p = n->in[0]->producer;
    return fuse_is(p, "cameo", "Conv") && emit_batched(p) && fuse_consumer(g, n->in[0]) == n ? p : NULL;
}

/* Of a 1x1 convolution: what is done with it, in order; 0: nothing. */
static size_t find_parts(const graph *g, node *project, node **parts) {
    node *depthwise = emit_batched(project) ? conv_before(g, project) : NULL;
    if (!depthwise) return 0;
    node *expand = conv_before(g, depthwise);
    const bool three = expand && strip_conv_worthwhile(expand, depthwise, project);
    if (!three && !strip_conv_worthwhile(NULL, depthwise, project)) return 0;
    size_t n = 0;
    if (three) parts[n++] = expand;
    parts[n++] = depthwise, parts[n++] = project;
    return n;
}

static bool is_inside(node *const *parts, size_t n, const value *v) {
    for (size_t i = 0; i < n; i++)
        if (parts[i]->out[0] == v) return true;
    return false;
}

/* The parts' inputs, in order, but for what passes between them. */
static size_t outer_inputs(node *const *parts, size_t n, value **in) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < parts[i]->n_in; k++)
            if (parts[i]->in[k] && !is_inside(parts, n, parts[i]->in[k])) in[count++] = parts[i]->in[k];
    return count;
}

static void join(graph *g, node *const *parts, size_t n) {
    node *last = parts[n - 1], *kept = ARENA_NEW(g->arena, node), **list = ARENA_ARRAY(g->arena, node *, n);
    value **in = ARENA_ARRAY(g->arena, value *, 8 * PARTS_MOST);
    const size_t n_in = outer_inputs(parts, n, in);
    double macs = 0;
    for (size_t i = 0; i < n; i++) list[i] = parts[i], macs += parts[i]->macs;
    *kept = *last; /* `last` itself becomes the chain, in its place */
    list[n - 1] = kept;
    for (size_t i = 0; i + 1 < n; i++) parts[i]->dead = true, parts[i]->out[0]->producer = NULL;
    last->op_type = "ConvChain", last->op = op_find("cameo", "ConvChain", 1, NULL);
    last->in = in, last->n_in = n_in, last->attrs = NULL, last->n_attrs = 0;
    last->parts = list, last->n_parts = n, last->impl = &strip_conv, last->macs = macs;
    if (!last->op) BUG("no row for cameo.ConvChain");
}

bool pass_strips(graph *g, const options *o) {
    node *parts[PARTS_MOST];
    if (o->tuning && tuning_is_trial(o->tuning)) return true;
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (!fuse_is(g->nodes[i], "cameo", "Conv")) continue;
        const size_t n = find_parts(g, g->nodes[i], parts);
        if (n) join(g, parts, n);
    }
    graph_sweep(g);
    return true;
}
