/* Rewrites that hold in training and evaluation alike: nodes that change nothing, pairs that undo
   each other, several forms of one thing, dead nodes. */

#include "../ir/copy.h"
#include "../ir/graph_query.h"
#include "front.h"

/* Takes n, whose output equals its input, out of the graph. A graph output keeps its name: the
   node before writes it. */
static bool bypass(graph *g, node *n, value *to) {
    value *from = n->out[0];
    if (!from || !to || !node_has_one_output(n)) return false;
    if (from->is_output) {
        node *before = to->producer;
        if (!before || to->is_output)
            return false; /* an input or constant as output: the node is the copy */
        node_kill(n);     /* before the uses change, so that it does not feed itself */
        node_limit_inputs(n, 0), node_limit_outputs(n, 0);
        for (size_t i = 0; i < before->n_out; i++)
            if (before->out[i] == to) node_set_output(g, before, i, from);
        graph_replace_uses(g, to, from);
        if (g->embedding == to) g->embedding = from;
        return true;
    }
    graph_replace_uses(g, from, to);
    if (g->embedding == from) g->embedding = to;
    node_kill(n);
    return true;
}

/* The input that out 0 equals; NULL: none. */
static value *same_input(const graph *g, const node *n) {
    int i = -1;
    if ((g->training && node_has(n, OP_MODE)) || n->n_in == 0 || n->n_out == 0 || !n->in[0] ||
        !n->out[0])
        return NULL;
    if (node_has(n, OP_IDENTITY | OP_VIEW))
        i = 0;
    else if (n->op->same)
        i = n->op->same(g, n);
    if (i < 0) return NULL;
    value *x = n->in[i];
    return x->type == n->out[0]->type && shape_equal(&x->shape, &n->out[0]->shape) ? x : NULL;
}

/* Transpose of a Transpose: y = transpose(x, p[q]). */
static bool merge_transposes(graph *g, node *n) {
    node *before = n->in[0] ? n->in[0]->producer : NULL;
    if (!node_is(n, ONNX_Transpose) || !node_is(before, ONNX_Transpose)) return false;
    const attr *p = node_ints(before, "perm"), *q = node_ints(n, "perm");
    if (!p || !q || p->count != q->count || p->count > MAX_RANK) return false;
    int64_t merged[MAX_RANK];
    for (size_t i = 0; i < q->count; i++) {
        if (q->ints[i] < 0 || (size_t)q->ints[i] >= p->count) return false;
        merged[i] = p->ints[q->ints[i]];
    }
    node_set_ints(g, n, "perm", merged, q->count);
    node_set_input(g, n, 0, before->in[0]);
    return true;
}

static value *shape_constant(graph *g, const shape *s) {
    return graph_add_ints(g, NULL, s->dim, (size_t)s->rank);
}

static bool has_empty_axis(const shape *s) {
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] == 0) return true;
    return false;
}

/* A Transpose that moves only axes of extent 1 is a Reshape: a view. */
static bool view_transpose(graph *g, node *n) {
    if (!node_is(n, ONNX_Transpose) || has_empty_axis(&n->out[0]->shape) ||
        !transpose_keeps_order(n))
        return false;
    node_set_input(g, n, 1, shape_constant(g, &n->out[0]->shape));
    node_become(n, ONNX_Reshape, n->opset < 5 ? 5 : n->opset);
    n->n_attrs = 0;
    return true;
}

/* A Sum of two is an Add, which other nodes take in. */
static bool add_of_sum(node *n) {
    if (!node_is(n, ONNX_Sum) || n->n_in != 2 || n->opset < 8) return false;
    node_become(n, ONNX_Add, n->opset);
    return true;
}

/* A Reshape of any view reads the view's source. Its target is written out in full, since 0 would
   mean other dimensions. */
static bool merge_reshapes(graph *g, node *n) {
    node *before = n->in[0] ? n->in[0]->producer : NULL;
    if (!node_is(n, ONNX_Reshape) || n->n_in < 2 || !node_has(before, OP_VIEW) || !before->in[0])
        return false;
    if (before->in[0]->type != n->in[0]->type) return false;
    if (has_empty_axis(&n->out[0]->shape)) return false;
    node_set_input(g, n, 0, before->in[0]);
    node_set_input(g, n, 1, shape_constant(g, &n->out[0]->shape));
    return true;
}

static bool simplify_node(graph *g, node *n) {
    if (n->dead) return false;
    bool changed = merge_transposes(g, n) || view_transpose(g, n) || merge_reshapes(g, n) ||
                   add_of_sum(n);
    changed |= pool_simplify(g, n);
    value *same = same_input(g, n);
    return (same && bypass(g, n, same)) || changed;
}

bool pass_simplify(graph *g, const options *o) {
    (void)o;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < g->n_nodes; i++) changed |= simplify_node(g, g->nodes[i]);
        changed |= concats_continue(g);
        graph_sweep(g);
    }
    return true;
}
