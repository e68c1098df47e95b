/* Topological order. ONNX asks for sorted nodes, but files that aren't exist and other tools load
   them. */
#include "internal.h"

typedef struct sorter {
    graph *g;
    unsigned char *state; /* by position: 0 untouched, 1 on the stack, 2 placed */
    struct frame {
        size_t node, next; /* next input to look at */
    } * stack;
    size_t depth;
    node **order;
    size_t placed;
} sorter;

static bool in_order(const graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t k = 0; k < g->nodes[i]->n_in; k++) {
            const value *v = g->nodes[i]->in[k];
            if (v && v->producer && v->producer->position >= i) return false;
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
    const node *producer = v ? v->producer : NULL;
    if (!producer || s->state[producer->position] == 2) return true;
    if (s->state[producer->position] == 1)
        return node_error(s->g, n,
                          "the graph has a cycle: \"%s\" depends on this node's own output",
                          onnx_shown(s->g->arena, v->name));
    enter(s, producer->position);
    return true;
}

bool onnx_sort(graph *g) {
    sorter s = {.g = g};
    if (in_order(g)) return true;
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
