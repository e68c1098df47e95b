/* Behind select: nodes that one kernel does together become a cameo.ConvChain, which keeps them as
   its parts. Which operators these are, and when it pays, the kernels say themselves (`pattern` and
   `applies` of an implementation): a depthwise convolution with the 1x1 convolutions around it
   (kernels/strip_conv.c); a ScaleShift, which is a BatchNormalization that stayed, with the
   convolution (kernels/direct_conv.c) or the average (kernels/pool.c) behind it; a Mul by one
   factor for each channel of an image with the convolution behind it (kernels/direct_conv.c).
   Layers that --tune is timing stay apart. */
#include "../ir/implementation.h"
#include "fuse.h"

typedef struct chain {
    node **part; /* in order */
    size_t n;
    const implementation *kernel;
} chain;

/* What makes n's input, for n alone. */
static node *node_before(const graph *g, const node *n, opcode op) {
    node *p = n->in[0]->producer;
    return node_is(p, op) && node_is_batched(p) && value_consumer(g, n->in[0]) == n ? p : NULL;
}

static bool is_inside(const chain *c, const value *v) {
    for (size_t i = 0; i < c->n; i++)
        if (c->part[i]->out[0] == v) return true;
    return false;
}

static size_t all_inputs(const chain *c) {
    size_t count = 0;
    for (size_t i = 0; i < c->n; i++) count += c->part[i]->n_in;
    return count;
}

/* The parts' inputs, in order, but for what passes between them. */
static size_t outer_inputs(const chain *c, value **in) {
    size_t count = 0;
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->part[i]->n_in; k++)
            if (c->part[i]->in[k] && !is_inside(c, c->part[i]->in[k]))
                in[count++] = c->part[i]->in[k];
    return count;
}

/* The last part itself becomes the chain, in its place; a copy of it becomes the part. */
static void join(graph *g, const chain *c) {
    node *last = c->part[c->n - 1], *kept = ARENA_NEW(g->arena, node),
         **parts = ARENA_ARRAY(g->arena, node *, c->n);
    value **in = ARENA_ARRAY(g->arena, value *, all_inputs(c));
    *kept = *last;
    kept->reads = NULL;
    node_set_inputs(g, last, in, outer_inputs(c, in));
    last->macs = 0;
    for (size_t i = 0; i < c->n; i++) {
        parts[i] = i + 1 < c->n ? c->part[i] : kept;
        last->macs += parts[i]->macs;
        if (i + 1 < c->n) node_kill(parts[i]);
    }
    node_become(last, CAMEO_ConvChain, 1);
    last->n_attrs = 0;
    last->parts = parts, last->n_parts = c->n, last->impl = c->kernel;
}

/* Makes a chain of `last` and the nodes before it, as many as the pattern has and k does. */
static void join_behind(graph *g, node *last, const implementation *k, const options *o) {
    node *part[CHAIN_PARTS];
    size_t end = 0;
    while (end < CHAIN_PARTS && k->pattern[end]) end++;
    if (!end || !node_is(last, k->pattern[end - 1]) || !node_is_batched(last)) return;
    size_t first = end - 1;
    part[first] = last;
    while (first && (part[first - 1] = node_before(g, part[first], k->pattern[first - 1]))) first--;
    for (; first + 1 < end; first++) {
        const chain c = {part + first, end - first, k};
        const node asked = {.opcode = k->op, .parts = c.part, .n_parts = c.n};
        if (!k->applies(&asked, o)) continue;
        join(g, &c);
        return;
    }
}

bool pass_chains(graph *g, const options *o) {
    if (o->chooser && o->chooser->is_trial) return true;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (const implementation *const *k = implementations; *k; k++)
            join_behind(g, g->nodes[i], *k, o);
    graph_sweep(g);
    return true;
}
