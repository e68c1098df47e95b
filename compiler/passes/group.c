/* How many images of a batch run together. All of them share each layer's weights, which are read once; few of them leave the
   next layer its input in a cache near by, and need less memory. The runtime (cameo_run) goes through the batch in groups.

   Time is estimated from what moves: a node's inputs and outputs of one group cost nothing in the second-level cache, something
   in the third, several times that in memory. Weights are divided by the images that share them; those that each image uses
   once are waited for, while those of convolutions arrive during the work of many pixels. The costs were fitted to eight nets
   of 16 images in groups of 1, 2, 4, 8 and 16 (docs/performance.md). */
#include "../compile.h"
#include "../op.h"

enum { NEAR = 1 << 20, FAR = 1 << 24 }; /* bytes: of a core's share of caches */

static const double memory = 5.5, once = 6, often = 1.2; /* relative to a byte from the third-level cache, some 4 us a MB */

/* Relative cost of a byte of something that big. */
static double distance(double bytes) { return bytes <= NEAR ? 0 : bytes <= FAR ? 1 : memory; }

/* Places that use a weight, of one image. */
static int64_t uses(const node *n) {
    const shape *s = &n->out[0]->shape;
    int64_t places = 1;
    for (int i = 2; i < s->rank; i++) places *= s->dim[i];
    return places;
}

static double bytes_of(const value *v) { return (double)value_count(v) * (double)dtype_size(v->type); }

static bool is_moved(const node *n) { return !n->dead && n->op && !(n->op->flags & (OP_VIEW | OP_IDENTITY)); }

/* Of a node: the cost of its weights, and what one image reads and writes. */
static double moved(const node *n, int64_t batch, double *weights) {
    double bytes = 0;
    for (size_t i = 0; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        if (n->in[i]->constant)
            *weights += bytes_of(n->in[i]) * (uses(n) > 1 ? often : once);
        else
            bytes += bytes_of(n->in[i]) / (double)batch;
    }
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i]) bytes += bytes_of(n->out[i]) / (double)batch;
    return bytes;
}

/* Of one image. */
static double estimate(const graph *g, int64_t group) {
    double time = 0, weights = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (!is_moved(g->nodes[i])) continue;
        const double bytes = moved(g->nodes[i], g->batch, &weights);
        time += bytes * distance(bytes * (double)group);
    }
    return time + weights / (double)group;
}

/* Every value of a run belongs to images. */
static bool images_only(const graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t k = 0; k < g->nodes[i]->n_out; k++)
            if (!g->nodes[i]->dead && g->nodes[i]->out[k] && !g->nodes[i]->out[k]->constant && !g->nodes[i]->out[k]->batched)
                return false;
    return true;
}

bool pass_group(graph *g, const options *o) {
    (void)o;
    g->group = g->batch;
    if (g->batch <= 1 || !images_only(g)) return true;
    double best = estimate(g, g->batch);
    for (int64_t group = 1; group < g->batch; group *= 2) {
        const double time = estimate(g, group);
        if (time < best) best = time, g->group = group;
    }
    return true;
}
