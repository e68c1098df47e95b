/* Decides how many images of a batch run together. All of them share each layer's weights, which
   are read once; few of them leave the next layer its input in a cache near by, and need less
   memory. The runtime (cameo_run) goes through the batch in groups. docs/internals/groups.md works
   through an example.

   Time is estimated from what moves: a node's inputs and outputs of one group cost nothing in the
   second-level cache, something in the third, several times that in memory. Weights are divided by
   the images that share them; those that each image uses once are waited for, while those of
   convolutions arrive during the work of many pixels. Where one value alone passes from the nodes
   before to those behind, the two sections may have groups of their own: it waits until as many
   images as the late section takes together have been through the early one. The costs were fitted
   to eight nets of 16 images in groups of 1, 2, 4, 8 and 16 (docs/performance.md). */
#include "../ir/op.h"
#include "passes.h"

enum { NEAR = 1 << 20, FAR = 1 << 24 }; /* bytes: of a core's share of caches */

/* Two sections instead of one must save more than the estimate is wrong. */
static const double WORTH = 0.97;

static const double memory = 5.5, once = 6, often = 1.2; /* relative to a byte from the third-level
                                                            cache, some 4 us a MB */

/* Returns which part of so many bytes a cache of that size does not hold. */
static double beyond(double bytes, double cache) { return bytes > cache ? 1 - cache / bytes : 0; }

/* Returns what a byte of something that big costs, relative to one from the third-level cache. */
static double distance(double bytes) {
    return beyond(bytes, NEAR) + (memory - 1) * beyond(bytes, FAR);
}

/* Counts the places of one image that use a weight. */
static int64_t uses(const node *n) {
    const shape *s = &n->out[0]->shape;
    int64_t places = 1;
    for (int i = 2; i < s->rank; i++) places *= s->dim[i];
    return places;
}

static double bytes_of(const value *v) {
    return (double)value_count(v) * (double)dtype_size(v->type);
}

static bool is_moved(const node *n) {
    return !n->dead && n->op && !node_has(n, OP_VIEW | OP_IDENTITY);
}

/* Adds the cost of a node's weights, and returns the bytes that one image reads and writes. */
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

/* Estimates the time of one image in nodes [begin, end). */
static double estimate(const graph *g, size_t begin, size_t end, int64_t group) {
    double time = 0, weights = 0;
    for (size_t i = begin; i < end; i++) {
        if (!is_moved(g->nodes[i])) continue;
        const double bytes = moved(g->nodes[i], g->batch, &weights);
        time += bytes * distance(bytes * (double)group);
    }
    return time + weights / (double)group;
}

/* Finds the best group for these nodes among the powers of two from `least` on and the whole batch,
   and returns its estimate. */
static double best_group(const graph *g, size_t begin, size_t end, int64_t least, int64_t *group) {
    double best = estimate(g, begin, end, g->batch);
    *group = g->batch;
    for (int64_t k = least; k < g->batch; k *= 2) {
        const double time = estimate(g, begin, end, k);
        if (time < best) best = time, *group = k;
    }
    return best;
}

/* Tells whether every value of a run belongs to images. */
static bool images_only(const graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t k = 0; k < g->nodes[i]->n_out; k++)
            if (!g->nodes[i]->dead && g->nodes[i]->out[k] && !g->nodes[i]->out[k]->constant &&
                !g->nodes[i]->out[k]->batched)
                return false;
    return true;
}

/* ---- early and late nodes ---- */

static bool is_view(const node *n) { return !n->impl || node_has(n, OP_VIEW | OP_IDENTITY); }

/* Tells whether v may wait in memory for all images: it is an image between two kernels, which
   nobody outside sees. */
static bool can_wait(const graph *g, const value *v) {
    return v->producer && !is_view(v->producer) && v->batched && v->shape.rank == 4 &&
           !v->is_output && v != g->embedding;
}

/* Returns the value that nodes before `cut` make for those behind, or NULL if it is not exactly one
   or cannot wait. */
static value *only_crossing(const graph *g, size_t cut) {
    value *found = NULL;
    for (size_t i = cut; i < g->n_nodes; i++)
        for (size_t k = 0; k < g->nodes[i]->n_in; k++) {
            value *v = g->nodes[i]->in[k];
            if (!v || value_is_external(v) || (v->producer && v->producer->position >= cut) ||
                v == found)
                continue;
            if (found || !can_wait(g, v) || is_view(g->nodes[i])) return NULL;
            found = v;
        }
    return found;
}

/* Tells whether the embedding and the outputs are made by late nodes. */
static bool results_are_late(const graph *g, size_t cut) {
    if (g->embedding && (!g->embedding->producer || g->embedding->producer->position < cut))
        return false;
    for (size_t i = 0; i < g->n_outputs; i++)
        if (!g->outputs[i]->producer || g->outputs[i]->producer->position < cut) return false;
    return true;
}

/* Chooses where early nodes, whose activations fill the caches, had better end, and late ones,
   whose weights do, begin. */
static void choose_sections(graph *g, double best) {
    best *= WORTH;
    for (size_t cut = 1; cut < g->n_nodes; cut++) {
        int64_t early, late;
        if (!results_are_late(g, cut)) break;
        if (!only_crossing(g, cut)) continue;
        double time = best_group(g, 0, cut, 1, &early);
        time += best_group(g, cut, g->n_nodes, early, &late);
        if (early < late && time < best)
            best = time, g->late = cut, g->group = early, g->late_group = late;
    }
    if (!g->late) return;
    only_crossing(g, g->late)->is_late = true;
    for (size_t i = g->late; i < g->n_nodes; i++)
        for (size_t k = 0; k < g->nodes[i]->n_out; k++)
            if (g->nodes[i]->out[k]) g->nodes[i]->out[k]->is_late = true;
}

bool pass_group(graph *g, const options *o) {
    (void)o;
    g->group = g->batch;
    if (g->batch <= 1 || !images_only(g)) return true;
    choose_sections(g, best_group(g, 0, g->n_nodes, 1, &g->group));
    if (g->group == 1)
        g->alone = 1, g->group = 2; /* several threads share two images better than one */
    return true;
}
