/* Behind fuse: an average over windows and the 1x1 convolution before it change places, where
   fewer pixels are then convolved (DenseNet's transitions: a quarter). Both are linear, and an
   average of equal numbers is that number, so the bias may stay with the convolution. Not so where
   padding counts as zeros or an activation stands between. */
#include "../ops/window.h"
#include "fuse.h"

/* CHANNELS: outputs of a group, from which on what a pixel's convolution costs is worth a pixel's
   average of its inputs. */
enum { CHANNELS = 16 };

/* Whether each output pixel is made of the input pixel at its place. */
static bool is_pointwise(const node *n) {
    window w;
    if (!window_read(NULL, n, &n->in[0]->shape, n->in[1]->shape.dim + 2, &w)) return false;
    for (int i = 3 - w.rank; i < 3; i++)
        if (w.k[i] != 1 || w.stride[i] != 1 || w.begin[i] || w.end[i]) return false;
    return true;
}

static bool is_plain_conv(const node *n) {
    if (!node_is(n, CAMEO_Conv) || op_present(n, 3) || has_act(n)) return false;
    return n->out[0]->type == DT_FLOAT && is_pointwise(n) &&
           n->in[1]->shape.dim[0] / node_int(n, "group", 1) >= CHANNELS;
}

/* Averages of pixels of the image alone, at least one each, and at most half as many. */
static bool is_smaller_average(const node *n) {
    window w;
    if (!node_is(n, ONNX_AveragePool) || !window_read(NULL, n, &n->in[0]->shape, NULL, &w))
        return false;
    int64_t in = 1, out = 1;
    for (int i = 3 - w.rank; i < 3; i++) {
        if (w.begin[i] || w.end[i] || w.out[i] < 1 || (w.out[i] - 1) * w.stride[i] >= w.in[i])
            return false;
        in *= w.in[i], out *= w.out[i];
    }
    return 2 * out <= in;
}

/* What stands between them is read by nobody else, so that the convolution can wait until the
   pool's turn. */
static void swap(graph *g, node *conv, node *pool) {
    const size_t first = conv->position, second = pool->position;
    value *x = conv->in[0], *y = pool->out[0], *between = graph_add_value(g, NULL);
    between->batched = y->batched;
    node_set_input(g, pool, 0, x);
    node_set_output(g, pool, 0, between);
    node_set_input(g, conv, 0, between);
    node_set_output(g, conv, 0, y);
    graph_move(g, pool, first);
    graph_move(g, conv, second);
    op_settle(g, pool), op_settle(g, conv);
}

bool pass_average(graph *g, const options *o) {
    (void)o;
    for (size_t i = 0; i < g->n_nodes; i++) {
        node *n = g->nodes[i];
        if (!is_plain_conv(n)) continue;
        node *next = value_consumer(g, n->out[0]);
        if (next && is_smaller_average(next)) swap(g, n, next);
    }
    return true;
}
