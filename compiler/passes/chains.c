/* Behind select: nodes that one kernel does together become a cameo.ConvChain, which keeps them as
   its parts.
   - A depthwise convolution with the 1x1 convolution behind it, and often the one before it
   (kernels/strip_conv.c).
   - A ScaleShift, which is a BatchNormalization that stayed, with the convolution
   (kernels/direct_conv.c) or the average (kernels/pool.c) behind it.
   - A Mul by one factor for each channel of an image, with the convolution behind it
   (kernels/direct_conv.c). Layers that --tune is timing stay apart. */
#include "../kernels/conv_plan.h"
#include "fuse.h"

enum { PARTS_MOST = 3 };

typedef struct chain {
    node *part[PARTS_MOST]; /* in order */
    size_t n;               /* 0: nothing is done with that node */
    const implementation *kernel;
} chain;

/* What makes n's input, for n alone. */
static node *node_before(const graph *g, const node *n, opcode op) {
    node *p = n->in[0]->producer;
    return node_is(p, op) && node_is_batched(p) && value_consumer(g, n->in[0]) == n ? p : NULL;
}

/* The chain that ends with an average. */
static chain find_pool(const graph *g, node *pool) {
    node *scale = node_is_batched(pool) ? node_before(g, pool, CAMEO_ScaleShift) : NULL;
    return scale && scaled_pool_worthwhile(scale, pool) ? (chain){{scale, pool}, 2, &scaled_pool}
                                                        : (chain){.n = 0};
}

/* The chain that ends with a convolution. */
static chain find_chain(const graph *g, node *conv, const options *o) {
    if (!node_is_batched(conv)) return (chain){.n = 0};
    node *scale = node_before(g, conv, CAMEO_ScaleShift), *mul = node_before(g, conv, ONNX_Mul),
         *depthwise = node_before(g, conv, CAMEO_Conv);
    if (scale && scaled_conv_worthwhile(scale, conv, o))
        return (chain){{scale, conv}, 2, &scaled_conv};
    if (mul && gated_conv_worthwhile(mul, conv, o)) return (chain){{mul, conv}, 2, &gated_conv};
    if (!depthwise) return (chain){.n = 0};
    node *expand = node_before(g, depthwise, CAMEO_Conv);
    if (expand && strip_conv_worthwhile(expand, depthwise, conv))
        return (chain){{expand, depthwise, conv}, 3, &strip_conv};
    if (strip_conv_worthwhile(NULL, depthwise, conv))
        return (chain){{depthwise, conv}, 2, &strip_conv};
    return (chain){.n = 0};
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
    last->attrs = NULL, last->n_attrs = 0;
    last->parts = parts, last->n_parts = c->n, last->impl = c->kernel;
}

bool pass_chains(graph *g, const options *o) {
    if (o->chooser && o->chooser->is_trial) return true;
    for (size_t i = 0; i < g->n_nodes; i++) {
        node *n = g->nodes[i];
        const bool conv = node_is(n, CAMEO_Conv);
        if (!conv && !node_is(n, ONNX_AveragePool)) continue;
        const chain c = conv ? find_chain(g, n, o) : find_pool(g, n);
        if (c.n) join(g, &c);
    }
    graph_sweep(g);
    return true;
}
