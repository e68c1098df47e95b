/* The reference interpreter: evaluates every node by its row's reference, in the graph's order,
   into dense ONNX-layout tensors. */
#include <string.h>

#include "interpret.h"
#include "op.h"

static bool gather_operands(const node *n, tensor *const *results, const tensor **in) {
    for (size_t i = 0; i < n->n_in; i++) {
        const value *v = n->in[i];
        in[i] = !v ? NULL : v->constant ? v->constant : results[v->id];
        if (v && !in[i]) return false;
    }
    return true;
}

static bool allocate_outputs(graph *g, const node *n, tensor **results, tensor **out) {
    for (size_t i = 0; i < n->n_out; i++) {
        const value *v = n->out[i];
        if (!v) continue;
        if (!value_is_static(v)) return node_error(g, n, "the shape of output %zu is not known", i);
        out[i] = tensor_new(g->arena, v->type, &v->shape);
        if (!out[i]) return node_unsupported(g, n, "output %zu is too large", i);
        results[v->id] = out[i];
    }
    return true;
}

static bool evaluate(graph *g, const node *n, tensor **results) {
    if (!n->op || !n->op->reference)
        return node_unsupported(g, n, "the operator has no reference implementation");
    const tensor **in = ARENA_ARRAY(g->arena, const tensor *, n->n_in + 1);
    /* Rows may look at every output they know of, so absent trailing ones are NULL. */
    const size_t slots = n->n_out + 8;
    tensor **out = ARENA_ARRAY(g->arena, tensor *, slots);
    const char *why = "its reference failed";
    if (!gather_operands(n, results, in))
        return node_error(g, n, "an input was not computed before it");
    if (!allocate_outputs(g, n, results, out)) return false;
    return n->op->reference(g->arena, n, in, out, &why) || node_error(g, n, "%s", why);
}

static bool take_inputs(graph *g, tensor *const *inputs, tensor **results) {
    for (size_t i = 0; i < g->n_inputs; i++) {
        const value *v = g->inputs[i];
        const tensor *t = inputs ? inputs[i] : NULL;
        if (v->constant && !t) continue;
        if (!t) return node_error(g, NULL, "graph input %zu is missing", i);
        if (t->type != v->type || !shape_equal(&t->shape, &v->shape))
            return node_error(g, NULL, "graph input %zu has another type or shape than the model's",
                              i);
        results[v->id] = inputs[i];
    }
    return true;
}

bool interpret(graph *g, tensor *const *inputs, tensor **results) {
    memset(results, 0, g->n_values * sizeof *results);
    if (!take_inputs(g, inputs, results)) return false;
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->constant) results[g->values[i]->id] = g->values[i]->constant;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->dead && !evaluate(g, g->nodes[i], results)) return false;
    return true;
}
