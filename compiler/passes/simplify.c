/* Rewrites that hold in training and evaluation alike: nodes that change nothing, pairs that undo each other, dead nodes. */
#include <string.h>

#include "../op.h"
#include "front.h"

static bool is_op(const node *n, const char *name) { return n && n->domain[0] == 0 && strcmp(n->op_type, name) == 0; }

static bool extra_outputs_used(const graph *g, const node *n) {
    for (size_t i = 1; i < n->n_out; i++)
        if (n->out[i] && graph_count_uses(g, n->out[i])) return true;
    return false;
}

/* Takes n, whose output equals its input, out of the graph. A graph output keeps its name: the node before writes it. */
static bool bypass(graph *g, node *n) {
    value *from = n->out[0], *to = n->in[0];
    if (!from || !to || extra_outputs_used(g, n)) return false;
    if (from->is_output) {
        node *before = to->producer;
        if (!before || to->is_output) return false; /* an input or constant as output: the node is the copy */
        for (size_t i = 0; i < before->n_out; i++)
            if (before->out[i] == to) before->out[i] = from;
        from->producer = before;
        to->producer = NULL;
        n->dead = true; /* before the uses change, so that it does not feed itself */
        graph_replace_uses(g, to, from);
        if (g->embedding == to) g->embedding = from;
        n->in[0] = NULL;
        n->out[0] = NULL;
        return true;
    }
    graph_replace_uses(g, from, to);
    if (g->embedding == from) g->embedding = to;
    n->dead = true;
    return true;
}

static bool is_identity_perm(const attr *perm) {
    if (!perm) return false;
    for (size_t i = 0; i < perm->count; i++)
        if (perm->ints[i] != (int64_t)i) return false;
    return true;
}

static bool changes_nothing(const graph *g, const node *n) {
    if (g->training && (n->op->flags & OP_MODE)) return false;
    if (n->n_in == 0 || n->n_out == 0 || !n->in[0] || !n->out[0]) return false;
    if (n->in[0]->type != n->out[0]->type || !shape_equal(&n->in[0]->shape, &n->out[0]->shape)) return false;
    return (n->op->flags & (OP_IDENTITY | OP_VIEW)) || is_op(n, "Cast") ||
           (is_op(n, "Transpose") && is_identity_perm(node_ints(n, "perm")));
}

/* Transpose of a Transpose: y = transpose(x, p[q]). */
static bool merge_transposes(graph *g, node *n) {
    node *before = n->in[0] ? n->in[0]->producer : NULL;
    if (!is_op(n, "Transpose") || !is_op(before, "Transpose")) return false;
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

/* A Reshape of any view reads the view's source. Its target is written out in full, since 0 would mean other dimensions. */
static bool merge_reshapes(graph *g, node *n) {
    node *before = n->in[0] ? n->in[0]->producer : NULL;
    if (!is_op(n, "Reshape") || n->n_in < 2 || !before || !(before->op->flags & OP_VIEW) || !before->in[0]) return false;
    if (before->in[0]->type != n->in[0]->type) return false;
    const shape *to = &n->out[0]->shape;
    for (int i = 0; i < to->rank; i++)
        if (to->dim[i] == 0) return false;
    tensor *t = tensor_new(g->arena, DT_INT64, &(shape){.rank = 1, .dim = {to->rank}});
    for (int i = 0; i < to->rank; i++) ((int64_t *)t->data)[i] = to->dim[i];
    node_set_input(g, n, 0, before->in[0]);
    node_set_input(g, n, 1, graph_add_constant(g, NULL, t));
    return true;
}

static bool simplify_node(graph *g, node *n) {
    if (n->dead) return false;
    bool changed = merge_transposes(g, n) || merge_reshapes(g, n);
    return (changes_nothing(g, n) && bypass(g, n)) || changed;
}

bool pass_simplify(graph *g, const options *o) {
    (void)o;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < g->n_nodes; i++) changed |= simplify_node(g, g->nodes[i]);
        graph_sweep(g);
    }
    return true;
}
