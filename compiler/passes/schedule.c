/* The schedule pass finds an order of the nodes that lowers peak memory. It is list scheduling: of
   the nodes that are ready it takes the one that frees most and makes least, and between equals the
   earlier one of the model, so that the order is a function of the graph. It replaces the model's
   order only when its estimated peak is lower, because a reader expects the model's order. */
#include "../ir/op.h"
#include "passes.h"

typedef struct state {
    graph *g;
    size_t *pending; /* by node: inputs not made yet */
    size_t *uses;    /* by value: nodes that read it still to come */
    bool *done;
} state;

static int64_t bytes(const value *v) {
    return v->constant || v->is_input || v->role != ROLE_NONE
               ? 0
               : value_count(v) * (int64_t)dtype_size(v->type);
}

static bool is_view(const node *n) { return node_has(n, OP_VIEW | OP_IDENTITY); }

static bool seen_before(const node *n, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (n->in[k] == n->in[i]) return true;
    return false;
}

static void count_uses(state *s) {
    graph *g = s->g;
    for (size_t i = 0; i < g->n_values; i++) {
        const value *v = g->values[i];
        s->uses[i] = v->is_output || v == g->embedding;
        for (const value_use *u = v->uses; u; u = u->next) {
            if (seen_before(u->user, u->input)) continue;
            s->uses[i]++;
            s->pending[u->user->position] += v->producer && !v->constant;
        }
    }
}

static state start(graph *g) {
    arena *a = g->arena;
    state s = {g, ARENA_ARRAY(a, size_t, g->n_nodes), ARENA_ARRAY(a, size_t, g->n_values),
               ARENA_ARRAY(a, bool, g->n_nodes)};
    count_uses(&s);
    return s;
}

static int64_t made(const node *n) {
    int64_t sum = 0;
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i] && !is_view(n)) sum += bytes(n->out[i]);
    return sum;
}

static int64_t freed(const state *s, const node *n) {
    int64_t sum = 0;
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] && !seen_before(n, i) && s->uses[n->in[i]->id] == 1) sum += bytes(n->in[i]);
    return is_view(n) ? 0 : sum;
}

/* Runs node i: its inputs lose a use, its consumers may become ready. Returns what stays alive
   more. */
static int64_t execute(state *s, size_t i) {
    const node *n = s->g->nodes[i];
    const int64_t more = made(n) - freed(s, n);
    s->done[i] = true;
    for (size_t k = 0; k < n->n_in; k++)
        if (n->in[k] && !seen_before(n, k)) s->uses[n->in[k]->id]--;
    for (size_t k = 0; k < n->n_out; k++) {
        for (const value_use *u = n->out[k] ? n->out[k]->uses : NULL; u; u = u->next)
            if (!seen_before(u->user, u->input)) s->pending[u->user->position]--;
    }
    return more;
}

/* Peak of an order; made values and dying inputs are alive together while a node runs. */
static int64_t peak_of(graph *g, const size_t *order) {
    state s = start(g);
    int64_t alive = 0, peak = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const int64_t now = alive + made(g->nodes[order[i]]);
        if (now > peak) peak = now;
        alive += execute(&s, order[i]);
    }
    return peak;
}

static bool greedy(graph *g, size_t *order) {
    state s = start(g);
    for (size_t at = 0; at < g->n_nodes; at++) {
        size_t best = g->n_nodes;
        int64_t best_more = 0;
        for (size_t i = 0; i < g->n_nodes; i++) {
            if (s.done[i] || s.pending[i]) continue;
            const int64_t more = made(g->nodes[i]) - freed(&s, g->nodes[i]);
            if (best == g->n_nodes || more < best_more) best = i, best_more = more;
        }
        if (best == g->n_nodes) return false;
        order[at] = best;
        execute(&s, best);
    }
    return true;
}

bool pass_schedule(graph *g, const options *o) {
    (void)o;
    if (g->n_nodes > 20000) return true; /* quadratic: such a graph keeps its order */
    size_t *order = ARENA_ARRAY(g->arena, size_t, g->n_nodes),
           *same = ARENA_ARRAY(g->arena, size_t, g->n_nodes);
    for (size_t i = 0; i < g->n_nodes; i++) same[i] = i;
    if (!greedy(g, order) || peak_of(g, order) >= peak_of(g, same)) return true;
    node **nodes = ARENA_ARRAY(g->arena, node *, g->n_nodes);
    for (size_t i = 0; i < g->n_nodes; i++) nodes[i] = g->nodes[order[i]];
    graph_reorder(g, nodes);
    return true;
}
