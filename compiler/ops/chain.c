/* cameo.ConvChain: convolutions one after the other as one node (passes/chains.c). Its inputs are
   the parts', in order, without what passes between them. */
#include "chain.h"

bool chain_infer(graph *g, node *n) {
    const node *last = n->parts[n->n_parts - 1];
    return op_set_output(g, n, 0, DT_FLOAT, &last->out[0]->shape);
}

/* The operand's tensor: what an earlier part made, or the next of the node's own. */
static const tensor *operand(const node *n, size_t part, const value *v, tensor *const *made,
                             const tensor *const *in, size_t *next) {
    for (size_t i = 0; i < part; i++)
        if (n->parts[i]->out[0] == v) return made[i];
    return v ? in[(*next)++] : NULL;
}

OP_REFERENCE(chain_reference) {
    tensor **made = ARENA_ARRAY(a, tensor *, n->n_parts);
    size_t next = 0;
    for (size_t i = 0; i < n->n_parts; i++) {
        const node *part = n->parts[i];
        const tensor **of = ARENA_ARRAY(a, const tensor *, part->n_in + 1);
        for (size_t k = 0; k < part->n_in; k++) of[k] = operand(n, i, part->in[k], made, in, &next);
        made[i] = i + 1 == n->n_parts ? out[0] : tensor_new(a, DT_FLOAT, &part->out[0]->shape);
        if (!made[i]) return *why = "what passes between its parts is too large", false;
        if (!part->op->reference(a, part, of, &made[i], why)) return false;
    }
    return true;
}
