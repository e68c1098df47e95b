/* Broadcasting by the operator and its opset; see broadcast.h. */
#include "broadcast.h"

static bool is_variadic(const node *n) { return n->op && n->op->max_in == -1; }
static bool is_prelu(const node *n) { return n->opcode == ONNX_PRelu; }

/* A slope of C elements goes with the channels before opset 7. Since then it would be spread over
   the last axis; MXNet and others went on writing it so, and where the last axis has another
   extent, the channels are all it can mean. */
static bool is_channel_prelu(const node *n) {
    if (!is_prelu(n) || !op_present(n, 1)) return false;
    const shape *x = &n->in[0]->shape, *slope = &n->in[1]->shape;
    if (n->opset <= 6) return true;
    return slope->rank == 1 && x->rank > 2 && slope->dim[0] == x->dim[1] &&
           slope->dim[0] != x->dim[x->rank - 1] && slope->dim[0] != 1;
}

/* Operators with two operands that had broadcast and axis attributes before opset 7. */
static bool is_legacy(const node *n) {
    return n->opset <= 6 && !n->domain[0] && n->n_in == 2 && !is_variadic(n) && !is_prelu(n);
}

static int legacy_axis(const node *n) {
    const int rank = n->in[0]->shape.rank, other = n->in[1]->shape.rank;
    if (!node_attr(n, "axis")) return rank - other;
    int64_t axis = node_int(n, "axis", rank - other);
    if (axis == -1 && other != 1) return rank - other; /* the default that some writers store */
    if (axis < 0) axis += rank;
    return axis < 0 || axis > rank ? rank - other : (int)axis;
}

int broadcast_offset(const node *n, size_t i) {
    const shape *s = &n->in[i]->shape;
    if (i == 1 && is_channel_prelu(n) && s->rank == 1 && s->dim[0] != 1)
        return n->in[0]->shape.rank < 2 ? 0 : 1;
    if (i == 1 && is_legacy(n)) return legacy_axis(n);
    return n->out[0]->shape.rank - s->rank;
}

static bool shapes_error(graph *g, const node *n, size_t i) {
    text t = {0};
    shape_print(&t, &n->in[0]->shape);
    text_append(&t, " and ");
    shape_print(&t, &n->in[i]->shape);
    node_error(g, n, "inputs 0 and %zu can't be broadcast: %s", i, text_str(&t));
    text_free(&t);
    return false;
}

/* One way: input 1 is spread over input 0, its first axis at `offset`. */
static bool spread(graph *g, const node *n, int offset) {
    const shape *a = &n->in[0]->shape, *b = &n->in[1]->shape;
    if (offset < 0 || offset + b->rank > a->rank) return shapes_error(g, n, 1);
    for (int k = 0; k < b->rank; k++)
        if (b->dim[k] != 1 && b->dim[k] != a->dim[k + offset]) return shapes_error(g, n, 1);
    return true;
}

static bool legacy_shape(graph *g, node *n, shape *out) {
    *out = n->in[0]->shape;
    if (is_channel_prelu(n)) {
        const shape *b = &n->in[1]->shape;
        if (b->rank != 1 || b->dim[0] == 1)
            return shape_count(b) == 1 ? true : spread(g, n, out->rank - b->rank);
        return spread(g, n, out->rank < 2 ? 0 : 1);
    }
    if (shape_equal(&n->in[0]->shape, &n->in[1]->shape)) return true;
    if (!node_int(n, "broadcast", 0))
        return diag_error(g->diag, n, "before opset 7 the attribute broadcast=1 allows it",
                          "input shapes differ");
    return spread(g, n, legacy_axis(n));
}

bool broadcast_shape(graph *g, node *n, shape *out) {
    if (is_prelu(n) && !is_channel_prelu(n) &&
        !spread(g, n, n->in[0]->shape.rank - n->in[1]->shape.rank))
        return false;
    if (is_legacy(n) || is_channel_prelu(n)) return legacy_shape(g, n, out);
    *out = n->in[0]->shape;
    for (size_t i = 1; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        if (n->opset < 8 && is_variadic(n) && !shape_equal(out, &n->in[i]->shape))
            return diag_error(g->diag, n, "broadcasting came with opset 8",
                              "input %zu has another shape than input 0", i);
        if (!shape_broadcast(out, &n->in[i]->shape, out)) return shapes_error(g, n, i);
    }
    return true;
}

void broadcast_at(const node *n, const shape *out, const tensor *const *in, int64_t linear,
                  int64_t *at) {
    int64_t index[MAX_RANK];
    for (int k = out->rank - 1; k >= 0; k--) {
        index[k] = linear % out->dim[k];
        linear /= out->dim[k];
    }
    for (size_t i = 0; i < n->n_in; i++) {
        at[i] = 0;
        if (!in[i]) continue;
        const shape *s = &in[i]->shape;
        const int offset = broadcast_offset(n, i);
        for (int k = 0; k < s->rank; k++)
            at[i] = at[i] * s->dim[k] + (s->dim[k] == 1 ? 0 : index[k + offset]);
    }
}
