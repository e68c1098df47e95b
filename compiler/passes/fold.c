/* Constant folding: nodes whose inputs are all known are evaluated by their rows' references.
   Results much larger than what they are made from (a ConstantOfShape, an Expand) stay nodes, so
   that a small file can't demand a large program. */

#include "../ir/op.h"
#include "front.h"

enum { FOLD_LIMIT = 64 << 20 };

static bool asks_only_shape(const node *n) { return node_has(n, OP_SHAPE_ONLY); }

static bool inputs_constant(const node *n) {
    if (asks_only_shape(n)) return op_present(n, 0) && value_is_static(n->in[0]);
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] && !n->in[i]->constant) return false;
    return true;
}

static size_t value_bytes(const value *v) {
    return v ? (size_t)value_count(v) * dtype_size(v->type) : 0;
}

static bool within_limit(const node *n, size_t limit) {
    size_t in = 0, out = 0;
    for (size_t i = 0; i < n->n_in; i++) in += value_bytes(n->in[i]);
    for (size_t i = 0; i < n->n_out; i++) out += value_bytes(n->out[i]);
    return out <= limit || out - limit <= in;
}

static const tensor *operand(graph *g, const node *n, size_t i) {
    if (!n->in[i]) return NULL;
    if (n->in[i]->constant) return n->in[i]->constant;
    tensor *t = ARENA_NEW(g->arena, tensor); /* a shape without data: only for asks_only_shape */
    t->type = n->in[i]->type;
    t->shape = n->in[i]->shape;
    return t;
}

bool fold_node(graph *g, node *n, size_t limit) {
    if (n->dead || !n->op->reference || !inputs_constant(n) || !within_limit(n, limit))
        return false;
    const tensor **in = ARENA_ARRAY(g->arena, const tensor *, n->n_in + 1);
    tensor **out = ARENA_ARRAY(g->arena, tensor *, n->n_out + 8); /* rows may look at every output
                                                                     they know of */
    for (size_t i = 0; i < n->n_in; i++) in[i] = operand(g, n, i);
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i] && !(out[i] = tensor_new(g->arena, n->out[i]->type, &n->out[i]->shape)))
            return false;
    const char *why = "its inputs are out of range";
    if (!n->op->reference(g->arena, n, in, out, &why))
        return node_error(g, n, "can not be evaluated: %s", why);
    for (size_t i = 0; i < n->n_out; i++) {
        if (!n->out[i]) continue;
        n->out[i]->constant = out[i];
        n->out[i]->batched = false;
    }
    node_kill(n);
    return true;
}

bool pass_fold(graph *g, const options *o) {
    (void)o;
    for (size_t i = 0; i < g->n_nodes; i++) fold_node(g, g->nodes[i], FOLD_LIMIT);
    graph_sweep(g);
    return g->diag->errors == 0;
}
