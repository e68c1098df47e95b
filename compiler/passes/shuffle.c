/* A channel shuffle, which exporters write as Reshape, Transpose, Reshape, is one cameo.Interleave
   of the groups: of the operands where a Concat has just joined them, else of the parts that a
   Split finds. Both are slices to the memory plan, so one pass over the image is left, in whatever
   order its channels lie. */
#include "fuse.h"

#include <string.h>

typedef struct shuffle {
    value *x;
    node *last; /* the second Reshape */
    int64_t groups;
} shuffle;

/* [N, groups * c, ...] -> [N, groups, c, ...] -> [N, c, groups, ...] -> [N, c * groups, ...] */
static bool find_shuffle(const graph *g, node *n, shuffle *out) {
    static const int64_t swap[] = {0, 2, 1, 3, 4};
    if (!node_is(n, ONNX_Transpose) || n->in[0]->type != DT_FLOAT) return false;
    const attr *perm = node_ints(n, "perm");
    node *before = n->in[0]->producer, *after = value_consumer(g, n->out[0]);
    if (!node_is(before, ONNX_Reshape) || !node_is(after, ONNX_Reshape) ||
        value_consumer(g, n->in[0]) != n)
        return false;
    const shape *x = &before->in[0]->shape, *split = &n->in[0]->shape;
    if (!perm || (perm->count != 4 && perm->count != 5) ||
        memcmp(perm->ints, swap, perm->count * sizeof *swap))
        return false;
    if (x->rank != 4 || !shape_equal(x, &after->out[0]->shape) || split->dim[0] != x->dim[0])
        return false;
    if (split->dim[1] < 2 || split->dim[2] < 2 || split->dim[1] * split->dim[2] != x->dim[1])
        return false;
    *out = (shuffle){before->in[0], after, split->dim[1]};
    return before->in[0]->type == DT_FLOAT && !before->in[0]->constant;
}

static bool joins_groups(const shuffle *s) {
    const node *n = s->x->producer;
    if (!node_is(n, ONNX_Concat) || n->n_in != (size_t)s->groups) return false;
    const int64_t axis = node_int(n, "axis", 1);
    if (axis != 1 && axis != -3) return false;
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i]->shape.dim[1] != s->x->shape.dim[1] / s->groups || n->in[i]->constant)
            return false;
    return true;
}

/* The Split takes the first Reshape's place, or stands before the Interleave. */
static value **split(graph *g, const shuffle *s) {
    value **parts = ARENA_ARRAY(g->arena, value *, (size_t)s->groups);
    int64_t *extent = ARENA_ARRAY(g->arena, int64_t, (size_t)s->groups);
    for (int64_t i = 0; i < s->groups; i++) {
        parts[i] = graph_add_value(
            g, arena_printf(g->arena, "%s.group%lld", s->x->name, (long long)i));
        parts[i]->batched = s->x->batched;
        extent[i] = s->x->shape.dim[1] / s->groups;
    }
    node *n = graph_add_before(g, s->last, ONNX_Split, 11, &s->x, 1, parts, (size_t)s->groups);
    node_set_int(g, n, "axis", 1);
    node_set_ints(g, n, "split", extent, (size_t)s->groups);
    op_settle(g, n);
    return parts;
}

static void interleave(graph *g, const shuffle *s) {
    value *const *parts = joins_groups(s) ? s->x->producer->in : split(g, s);
    value *y = s->last->out[0];
    node *n = graph_add_before(g, s->last, CAMEO_Interleave, 1, parts, (size_t)s->groups, &y, 1);
    n->name = s->last->name;
    node_limit_outputs(s->last, 0), node_kill(s->last);
}

void fuse_shuffles(graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        shuffle s;
        if (find_shuffle(g, g->nodes[i], &s)) interleave(g, &s);
    }
    graph_sweep(g);
}
