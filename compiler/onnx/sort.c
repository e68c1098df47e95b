/* Topological order. ONNX asks for sorted nodes, but files that aren't exist and other tools load
   them. */
#include "internal.h"

typedef struct sorter {
    graph *g;
    size_t *node_of;      /* by value id: position of its producer + 1, 0 = none */
    unsigned char *state; /* by position: 0 untouched, 1 on the stack, 2 placed */
    struct frame {
        size_t node, next; /* next input to look at */
    } * stack;
    size_t depth;
    node **order;
    size_t placed;
} sorter;

static bool in_order(const sorter *s) {
    for (size_t i = 0; i < s->g->n_nodes; i++)
        for (size_t k = 0; k < s->g->nodes[i]->n_in; k++) {
            const value *v = s->g->nodes[i]->in[k];
            if (v && s->node_of[v->id] > i) return false;
        }
    return true;
}

static void enter(sorter *s, size_t i) {
    s->state[i] = 1;
    s->stack[s->depth++] = (struct frame){i, 0};
}

/* One step of the depth-first walk; an explicit stack, as a chain of a million nodes is no reason
   to crash. */
static bool step(sorter *s) {
    struct frame *f = &s->stack[s->depth - 1];
    node *n = s->g->nodes[f->node];
    if (f->next == n->n_in) {
        s->state[f->node] = 2;
        s->order[s->placed++] = n;
        s->depth--;
        return true;
    }
    const value *v = n->in[f->next++];
    size_t producer = v ? s->node_of[v->id] : 0;
    if (producer == 0 || s->state[producer - 1] == 2) return true;
    if (s->state[producer - 1] == 1)
        return node_error(s->g, n,
                          "the graph has a cycle: \"%s\" depends on this node's own output",
                          onnx_shown(s->g->arena, v->name));
    enter(s, producer - 1);
    return true;
}

bool onnx_sort(graph *g) {
    sorter s = {.g = g};
    s.node_of = ARENA_ARRAY(g->arena, size_t, g->n_values);
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t k = 0; k < g->nodes[i]->n_out; k++)
            if (g->nodes[i]->out[k]) s.node_of[g->nodes[i]->out[k]->id] = i + 1;
    if (in_order(&s)) return true;
    s.state = ARENA_ARRAY(g->arena, unsigned char, g->n_nodes);
    s.stack = ARENA_ARRAY(g->arena, struct frame, g->n_nodes);
    s.order = ARENA_ARRAY(g->arena, node *, g->n_nodes);
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (s.state[i] == 0) enter(&s, i);
        while (s.depth)
            if (!step(&s)) return false;
    }
    graph_reorder(g, s.order);
    return true;
}
