/* Proves for each value that its first axis is the batch and that images do not mix. It is all or
   nothing: either every run-time input and output carries the batch and no node mixes images, or
   the whole graph counts as one image (batch 1). docs/internals/batch-proof.md works through
   examples. */
#include <string.h>

#include "../ir/graph_query.h"
#include "front.h"

int64_t batch_extent(const graph *g) {
    for (size_t i = 0; i < g->n_inputs; i++)
        if (g->inputs[i]->shaped && g->inputs[i]->shape.rank > 0) return g->inputs[i]->shape.dim[0];
    return 0;
}

void batch_mark_inputs(graph *g, int64_t batch) {
    for (size_t i = 0; i < g->n_values; i++) g->values[i]->batched = false;
    for (size_t i = 0; i < g->n_inputs; i++) {
        value *v = g->inputs[i];
        v->batched = batch > 0 && v->shaped && v->shape.rank > 0 && v->shape.dim[0] == batch;
    }
}

static bool any_batched(const node *n) {
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] && n->in[i]->batched) return true;
    return false;
}

static bool list_has_zero(const int64_t *v, size_t count, int rank) {
    for (size_t i = 0; i < count; i++)
        if (v[i] == 0 || v[i] == -rank) return true;
    return false;
}

/* Tells whether the attributes or constants of n make axis 0 something else than an ordinary batch
   axis. */
static bool touches_axis0(const node *n) {
    int rank = n->in[0] ? n->in[0]->shape.rank : 0;
    const attr *axis = node_attr(n, "axis"), *axes = node_ints(n, "axes"),
               *perm = node_ints(n, "perm");
    if (axis && axis->kind == ATTR_INT && (axis->i == 0 || axis->i == -rank)) return true;
    if (axes && list_has_zero(axes->ints, axes->count, rank)) return true;
    if (perm && (perm->count == 0 || perm->ints[0] != 0)) return true;
    if (node_int(n, "transA", 0)) return true;
    return n->op->mixes && n->op->mixes(n, rank);
}

/* Batched operands of an elementwise node must not be shifted by broadcasting; the others must be
   the same for all images. */
static bool elementwise_safe(const node *n, int64_t batch) {
    const shape *out = &n->out[0]->shape;
    for (size_t i = 0; i < n->n_in; i++) {
        const value *v = n->in[i];
        if (!v) continue;
        if (v->batched ? v->shape.rank != out->rank
                       : v->shape.rank == out->rank && v->shape.dim[0] == batch && batch > 1)
            return false;
    }
    return true;
}

/* Weights, indices and the like must not depend on the image; Concat's and MatMul's other operands
   may. */
static bool operands_safe(const node *n, int64_t batch) {
    bool variadic = n->op->max_in < 0, each = node_has(n, OP_BATCH_EACH);
    if (!n->in[0] || (!n->in[0]->batched && !variadic && !each)) return false;
    for (size_t i = 0; i < n->n_in; i++) {
        const value *v = n->in[i];
        if (!v) continue;
        if (v->batched ? i > 0 && !variadic &&
                             !(each && v->shape.rank > 2 && v->shape.rank == n->out[0]->shape.rank)
                       : variadic && batch > 1)
            return false;
        if (each && v->batched && v->shape.rank != n->out[0]->shape.rank) return false;
        if (each && !v->batched && batch > 1 && v->shape.rank == n->out[0]->shape.rank &&
            v->shape.rank > 2 && v->shape.dim[0] != 1)
            return false;
    }
    return true;
}

static bool keeps_images_apart(const node *n, int64_t batch) {
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i] && (n->out[i]->shape.rank < 1 || n->out[i]->shape.dim[0] != batch))
            return false;
    if (node_has(n, OP_VIEW))
        return n->in[0] && n->in[0]->batched; /* images are contiguous in a row-major view */
    if (node_has(n, OP_ELEMENTWISE | OP_IDENTITY)) return elementwise_safe(n, batch);
    return node_has(n, OP_BATCH_AXIS0) && operands_safe(n, batch) && !touches_axis0(n);
}

bool batch_mark(node *n, int64_t batch) {
    if (!any_batched(n) || !n->out[0]) return true;
    bool ok = keeps_images_apart(n, batch);
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i]) n->out[i]->batched = ok;
    return ok;
}

void batch_rewrite(graph *g, node *n, int64_t batch) {
    if (!node_is(n, ONNX_Reshape) || n->n_in < 2 || !n->in[0] || !n->in[0]->batched) return;
    const value *wanted = n->in[1];
    if (!wanted || !wanted->constant || shape_count(&wanted->constant->shape) < 1 ||
        tensor_get_int(wanted->constant, 0) != 1)
        return;
    tensor *t = tensor_new(g->arena, wanted->constant->type, &wanted->constant->shape);
    memcpy(t->data, wanted->constant->data, tensor_bytes(t));
    tensor_set(t, 0, (double)batch);
    node_set_input(g, n, 1, graph_add_constant(g, NULL, t));
}

/* Marks all values and returns the first node that mixes images, or NULL. */
static const node *mark_all(graph *g, int64_t batch) {
    const node *mixing = NULL;
    batch_mark_inputs(g, batch);
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!batch_mark(g->nodes[i], batch) && !mixing) mixing = g->nodes[i];
    return mixing;
}

bool pass_batch(graph *g, const options *o) {
    int64_t batch = batch_extent(g);
    const node *mixing = mark_all(g, batch);
    bool whole = !mixing && batch > 0;
    for (size_t i = 0; i < g->n_outputs; i++) whole &= g->outputs[i]->batched;
    g->batch = whole ? batch : 1;
    if (whole) return true;
    batch_mark_inputs(g, 0);
    if (o->batch <= 1) return true;
    if (mixing)
        return diag_error(g->diag, mixing, "compile with --batch 1",
                          "mixes the images of a batch, so --batch can not be applied");
    return diag_error(g->diag, NULL, "compile with --batch 1",
                      "not every output has the batch as its first axis");
}
