/* A Concat that begins with the operands of an earlier one continues it: concat(a, b, c) and later
   concat(a, b, c, d) become p = concat(a, b, c) and concat(p, d). Exporters write a DenseNet's
   features in the long form, where every operand is copied into every Concat; in the short form
   the plan nests them, and each value lives in one place.

   Operands are looked up in a tree: a path from the root spells a list of operands, and a state at
   its end knows the Concat, if any, that joins them. A first operand that is itself such a Concat
   begins at its state, so the short form is found as well. Time and memory grow with the number of
   operands. Joining is associative, so values stay the same, bit for bit. */
#include <string.h>

#include "../ir/graph_query.h"
#include "front.h"

typedef struct state {
    const struct state *before; /* NULL for what begins a list along `axis` */
    const value *operand;
    int axis;
    value *joined; /* by the Concat of the operands up to here */
} state;

typedef struct tree {
    arena *arena;
    state **slot; /* hash table, at most half full */
    size_t slots;
    state **of; /* by value id: where the Concat that made it ends */
} tree;

static size_t hash_of(const state *before, const value *operand, int axis) {
    const size_t key = (size_t)(uintptr_t)before / sizeof(state) * 31 + (size_t)operand->id;
    return (key * 8 + (size_t)axis) * (size_t)0x9e3779b97f4a7c15u >> 20;
}

static state *step(tree *t, const state *before, const value *operand, int axis) {
    size_t h = hash_of(before, operand, axis) & (t->slots - 1);
    for (; t->slot[h]; h = (h + 1) & (t->slots - 1))
        if (t->slot[h]->before == before && t->slot[h]->operand == operand &&
            t->slot[h]->axis == axis)
            return t->slot[h];
    t->slot[h] = ARENA_NEW(t->arena, state);
    *t->slot[h] = (state){before, operand, axis, NULL};
    return t->slot[h];
}

static tree plant(const graph *g) {
    size_t operands = 0, slots = 64;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (node_is(g->nodes[i], ONNX_Concat)) operands += g->nodes[i]->n_in;
    while (slots < 2 * operands) slots *= 2;
    return (tree){g->arena, ARENA_ARRAY(g->arena, state *, slots), slots,
                  ARENA_ARRAY(g->arena, state *, g->n_values)};
}

/* The longest list of operands that an earlier Concat joins; `length` of them, 0 when there is
   none. */
static value *longest_joined(tree *t, const node *n, int axis, size_t *length, state **end) {
    state *s = t->of[n->in[0]->id];
    value *longest = NULL;
    if (!s || s->axis != axis) s = step(t, NULL, n->in[0], axis);
    for (size_t i = 1; i < n->n_in; i++) {
        s = step(t, s, n->in[i], axis);
        if (s->joined) longest = s->joined, *length = i + 1;
    }
    *end = s;
    return longest;
}

static void replace_front(graph *g, node *n, value *joined, size_t length) {
    value **in = ARENA_ARRAY(g->arena, value *, n->n_in - length + 1);
    in[0] = joined;
    memcpy(in + 1, n->in + length, (n->n_in - length) * sizeof *in);
    node_set_inputs(g, n, in, n->n_in - length + 1);
}

static bool visit(graph *g, tree *t, node *n) {
    value *y = n->out[0];
    const int axis = node_axis(n, y->shape.rank, 1);
    size_t length = 0;
    state *end;
    for (size_t i = 0; i < n->n_in; i++)
        if (!n->in[i]) return false;
    value *joined = longest_joined(t, n, axis, &length, &end);
    if (!end->joined) end->joined = y;
    t->of[y->id] = end;
    if (!joined || (length == n->n_in && y->is_output)) return false;
    if (length < n->n_in) return replace_front(g, n, joined, length), true;
    graph_replace_uses(g, y, joined); /* the same Concat again */
    if (g->embedding == y) g->embedding = joined;
    node_kill(n);
    return true;
}

bool concats_continue(graph *g) {
    tree t = plant(g);
    bool changed = false;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (node_is(g->nodes[i], ONNX_Concat) && g->nodes[i]->n_in > 1)
            changed |= visit(g, &t, g->nodes[i]);
    return changed;
}
