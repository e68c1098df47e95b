/* The backward pass: reverse-mode differentiation that appends ordinary nodes (Griewank & Walther,
   Evaluating Derivatives, chapter 3). A value used several times gets an explicit sum. */
#include "grad.h"

#include "graph_query.h"

enum { GRAD_OPSET = 17 };

/* ---- what rules are written with ---- */

node *grad_node(graph *g, const node *origin, opcode op, value *const *in, size_t n_in,
                size_t n_out) {
    value **out = ARENA_ARRAY(g->arena, value *, n_out);
    const char *stem = origin->name && origin->name[0] ? origin->name : origin->op_type;
    for (size_t i = 0; i < n_out; i++)
        out[i] = graph_add_value(g, arena_printf(g->arena, "%s.%s.%zu", stem, opcode_name(op), i));
    node *n = graph_add_node(g, opcode_name(op), opcode_domain(op), in, n_in, out, n_out);
    n->name = arena_printf(g->arena, "%s.%s", stem, n->op_type);
    n->index = origin->index;
    n->opset = n->domain[0] ? 1 : GRAD_OPSET;
    return n;
}

value *grad_infer(graph *g, node *n) {
    for (size_t i = 0; i < n->n_in; i++)
        if (!n->in[i]) return NULL;
    return resolve_node(g, n) && n->op->infer(g, n) ? n->out[0] : NULL;
}

value *grad_call(graph *g, const node *origin, opcode op, value *const *in, size_t n_in) {
    return grad_infer(g, grad_node(g, origin, op, in, n_in, 1));
}

value *grad_binary(graph *g, const node *origin, opcode op, value *a, value *b) {
    return grad_call(g, origin, op, OPERANDS(a, b));
}

value *grad_scalar(graph *g, const value *like, double v) {
    tensor *t = tensor_new(g->arena, like->type, &(shape){0});
    tensor_set(t, 0, v);
    return graph_add_constant(g, "number", t);
}

value *grad_reshape(graph *g, const node *origin, value *v, const shape *s) {
    if (!v || shape_equal(&v->shape, s)) return v;
    value *wanted = graph_add_ints(g, "shape", s->dim, (size_t)s->rank);
    return grad_call(g, origin, ONNX_Reshape, OPERANDS(v, wanted));
}

value *grad_sum_to(graph *g, const node *origin, value *v, const shape *s) {
    int64_t axes[MAX_RANK];
    size_t n = 0;
    if (!v) return NULL;
    const int lead = v->shape.rank - s->rank;
    for (int i = 0; i < v->shape.rank; i++)
        if (i < lead || (s->dim[i - lead] == 1 && v->shape.dim[i] != 1)) axes[n++] = i;
    if (n) {
        node *sum = grad_node(g, origin, ONNX_ReduceSum,
                              OPERANDS(v, graph_add_ints(g, "axes", axes, n)), 1);
        node_set_int(g, sum, "keepdims", 1);
        v = grad_infer(g, sum);
    }
    return grad_reshape(g, origin, v, s);
}

void grad_copy_attributes(graph *g, const node *from, node *to, const char *const *names) {
    for (; *names; names++) {
        const attr *a = node_attr(from, *names);
        if (a) ARENA_APPEND(g->arena, to->attrs, to->n_attrs, *a);
    }
}

/* ---- the driver ---- */

static bool node_wants(const node *n) {
    if (n->dead || !n->op || node_has(n, OP_NO_GRAD)) return false;
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] && n->in[i]->wants_grad) return true;
    return false;
}

static void mark_wanted(graph *g, value *const *also) {
    for (size_t i = 0; i < g->n_values; i++) {
        g->values[i]->wants_grad = value_is_learnt(g->values[i]);
    }
    for (; also && *also; also++) (*also)->wants_grad = true;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t k = 0; node_wants(g->nodes[i]) && k < g->nodes[i]->n_out; k++)
            if (g->nodes[i]->out[k] && value_is_real(g->nodes[i]->out[k]))
                g->nodes[i]->out[k]->wants_grad = true;
}

typedef struct tape {
    graph *g;
    value **grad; /* by value id, of the values there were before */
    size_t known;
} tape;

static bool add_gradient(tape *t, const node *origin, value *v, value *dv) {
    if (dv->type != v->type || !shape_equal(&dv->shape, &v->shape))
        BUG("the gradient of \"%s\" by %s has another type or shape", v->name, origin->op_type);
    value **slot = &t->grad[v->id];
    *slot = *slot ? grad_binary(t->g, origin, ONNX_Add, *slot, dv) : dv;
    return *slot != NULL;
}

static bool differentiate(tape *t, node *n) {
    value **dout = ARENA_ARRAY(t->g->arena, value *, n->n_out + 1),
          **din = ARENA_ARRAY(t->g->arena, value *, n->n_in + 1);
    bool flows = false;
    for (size_t i = 0; i < n->n_out; i++) {
        dout[i] = n->out[i] ? t->grad[n->out[i]->id] : NULL;
        flows |= dout[i] != NULL;
    }
    if (!flows || !node_wants(n)) return true;
    if (!n->op->grad)
        return diag_error(t->g->diag, n,
                          "freeze what stands before it (--freeze), or leave it away for training",
                          "has no gradient");
    const size_t errors = t->g->diag->errors;
    if (!n->op->grad(t->g, n, dout, din)) {
        if (t->g->diag->errors == errors)
            BUG("the gradient of %s failed without a message", n->op_type);
        return false;
    }
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] && n->in[i]->wants_grad && din[i] && !add_gradient(t, n, n->in[i], din[i]))
            return false;
    return true;
}

/* A gradient is written by its own node into its own place, so one that is a view, or serves
   twice, is copied there. */
static value *own_copy(graph *g, const node *origin, value *dv) {
    const node *p = dv->producer;
    if (p && !node_has(p, OP_VIEW | OP_IDENTITY) && !value_is_read(dv) && dv->role == ROLE_NONE)
        return dv;
    return grad_call(g, origin, CAMEO_Copy, &dv, 1);
}

static bool store_gradients(tape *t, const node *last) {
    for (size_t i = 0; i < t->known; i++) {
        value *v = t->g->values[i], *dv = t->grad[i];
        if (!value_is_learnt(v)) continue;
        if (!dv) {
            diag_warn(t->g->diag, NULL, "--freeze it",
                      "parameter \"%s\" does not influence the loss", v->param->name);
            continue;
        }
        if (!(dv = own_copy(t->g, last, dv))) return false;
        dv->role = ROLE_GRADIENT;
        dv->param = v->param;
    }
    return true;
}

bool grad_backward(graph *g, value *loss, value *const *also, value **also_grad) {
    mark_wanted(g, also);
    tape t = {g, ARENA_ARRAY(g->arena, value *, g->n_values), g->n_values};
    const size_t n_nodes = g->n_nodes;
    if (!n_nodes || value_count(loss) != 1) BUG("the loss is not one number");
    node *last = g->nodes[n_nodes - 1];
    t.grad[loss->id] = graph_add_constant(g, "one", tensor_new(g->arena, loss->type, &loss->shape));
    tensor_set(t.grad[loss->id]->constant, 0, 1);
    bool ok = true;
    for (size_t i = n_nodes; i-- > 0;) ok &= differentiate(&t, g->nodes[i]);
    for (size_t i = 0; ok && also && also[i]; i++) also_grad[i] = t.grad[also[i]->id];
    return ok && store_gradients(&t, last);
}
