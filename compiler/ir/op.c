/* Finds operator rows, and the small helpers rows share. The families are listed here; see op.h. */
#include "op.h"

#include <string.h>

static const op_row *const families[] = {
    ops_elementwise, ops_activation, ops_reduce,    ops_normalize,      ops_matrix,
    ops_conv,        ops_pool,       ops_shape,     ops_move,           ops_slice,
    ops_lookup,      ops_resize,     ops_internal,  ops_gradient,       ops_loss,
    ops_metric,      ops_conv_grad,  ops_pool_grad, ops_normalize_grad, ops_lookup_grad};

const op_row *op_at(size_t i) {
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const op_row *r = families[f]; r->name; r++)
            if (i-- == 0) return r;
    return NULL;
}

static const struct operator_name {
    const char *domain, *name;
} spelled[] = {
    {"", ""},
#define ONNX(name) {"", #name},
#define CAMEO(name) {"cameo", #name},
#define MICROSOFT(name) {"com.microsoft", #name},
#define ACT_OPERATOR(flags, function, ...) {"", #function}, {"cameo", #function "Grad"},
#include "../../runtime/kernels/act.def"
#include "opcode.def"
#undef ONNX
#undef CAMEO
#undef MICROSOFT
};

opcode opcode_find(const char *domain, const char *name) {
    if (strcmp(domain, "ai.onnx") == 0) domain = "";
    opcode op = OPCODES - 1;
    while (op && (strcmp(name, spelled[op].name) || strcmp(domain, spelled[op].domain))) op--;
    return op;
}

const char *opcode_name(opcode op) { return spelled[op].name; }

const char *opcode_domain(opcode op) { return spelled[op].domain; }

bool op_same(const node *a, const node *b) {
    if (a->opcode || b->opcode) return a->opcode == b->opcode;
    return strcmp(a->op_type, b->op_type) == 0 && strcmp(a->domain, b->domain) == 0;
}

const op_row *op_of(opcode op, int opset) {
    return op_find(opcode_domain(op), opcode_name(op), opset, NULL);
}

void node_become(node *n, opcode op, int opset) {
    n->op = op_of(op, opset);
    if (!n->op) BUG("no row for %s at opset %d", opcode_name(op), opset);
    n->opcode = op, n->opset = opset;
    n->op_type = opcode_name(op), n->domain = opcode_domain(op);
}

node *graph_add_op(graph *g, opcode op, int opset, value *const *in, size_t n_in, value *const *out,
                   size_t n_out) {
    node *n = graph_add_node(g, opcode_name(op), opcode_domain(op), in, n_in, out, n_out);
    node_become(n, op, opset);
    return n;
}

node *graph_add_before(graph *g, const node *where, opcode op, int opset, value *const *in,
                       size_t n_in, value *const *out, size_t n_out) {
    node *n = graph_add_op(g, op, opset, in, n_in, out, n_out);
    n->index = where->index;
    graph_move(g, n, where->position);
    return n;
}

void op_settle(graph *g, node *n) {
    if (!n->op->infer(g, n)) BUG("a %s of our own is wrong", n->op_type);
}

const op_row *op_find(const char *domain, const char *name, int opset, bool *known_name) {
    if (known_name) *known_name = false;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const op_row *r = families[f]; r->name; r++) {
            if (strcmp(r->name, name) != 0 || strcmp(r->domain, domain) != 0) continue;
            if (known_name) *known_name = true;
            if (opset >= r->since && (r->until == 0 || opset <= r->until)) return r;
        }
    return NULL;
}

/* ---- operators that have no row ---- */

static bool starts_with(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool is_listed(const char *const *names, const char *name) {
    while (*names && strcmp(*names, name)) names++;
    return *names != NULL;
}

const char *op_unknown_kind(const char *name, const char **hint) {
    static const char *const quantised[] = {"QuantizeLinear",        "DequantizeLinear",
                                            "DynamicQuantizeLinear", "MatMulInteger",
                                            "ConvInteger",           NULL};
    static const char *const control[] = {"If", "Loop", "Scan", "SequenceMap", NULL};
    static const char *const random[] = {"Multinomial", "Bernoulli", NULL};
    *hint = DIAG_UNSUPPORTED;
    if (is_listed(control, name)) return " (control flow)";
    if (is_listed(quantised, name) || starts_with(name, "QLinear")) {
        *hint = "use the float32 model";
        return " (quantised operator)";
    }
    if (starts_with(name, "Sequence") || starts_with(name, "Optional"))
        return " (sequence or optional type)";
    return starts_with(name, "Random") || is_listed(random, name) ? " (random operator)" : "";
}

/* ---- helpers for rows ---- */

static bool shapes_agree(const shape *declared, const shape *found) {
    if (declared->rank != found->rank) return false;
    for (int i = 0; i < found->rank; i++)
        if (declared->dim[i] >= 0 && found->dim[i] >= 0 && declared->dim[i] != found->dim[i])
            return false;
    return true;
}

/* What a file declares of its outputs may be stale, as after a change of the input's size by hand:
   what is computed counts, as everywhere. A shape of our own that comes out otherwise is an
   error. */
static bool shape_contradicts(graph *g, const node *n, size_t i, const shape *s) {
    const value *v = n->out[i];
    text t = {0};
    shape_print(&t, &v->shape);
    text_append(&t, " but computes ");
    shape_print(&t, s);
    if (v->declared)
        diag_warn(g->diag, n, NULL, "output %zu is declared %s; the declaration is ignored", i,
                  text_str(&t));
    else
        diag_error(g->diag, n, "check --shape, --dim and --batch; else the file contradicts itself",
                   "output %zu is declared %s", i, text_str(&t));
    text_free(&t);
    return v->declared;
}

bool op_set_output(graph *g, node *n, size_t i, dtype type, const shape *s) {
    if (i >= n->n_out || !n->out[i]) return true;
    value *v = n->out[i];
    for (int k = 0; k < s->rank; k++)
        if (s->dim[k] < 0)
            return node_error(g, n, "output %zu would have a negative extent on axis %d", i, k);
    if (v->type != DT_NONE && v->type != type)
        return diag_error(g->diag, n, "the file contradicts itself; re-export it",
                          "output %zu is declared %s but computes %s", i, dtype_name(v->type),
                          dtype_name(type));
    if (v->shaped && !shapes_agree(&v->shape, s) && !shape_contradicts(g, n, i, s)) return false;
    v->type = type;
    v->shape = *s;
    v->shaped = true;
    v->declared = false;
    return true;
}

bool op_const_ints(graph *g, const node *n, size_t input, ints *r) {
    const tensor *t = op_present(n, input) ? n->in[input]->constant : NULL;
    if (!t || t->type == DT_STRING || !dtype_c(t->type)) return false;
    r->count = (size_t)shape_count(&t->shape);
    int64_t *copy = ARENA_ARRAY(g->arena, int64_t, r->count);
    for (size_t i = 0; i < r->count; i++) copy[i] = tensor_get_int(t, (int64_t)i);
    r->v = copy;
    return true;
}

bool op_not_constant(graph *g, const node *n, const char *what) {
    return diag_error(
        g->diag, n,
        "pin the input dimensions with --dim or --shape, or re-export with static shapes",
        "%s is not known at compile time", what);
}

bool op_need_ints(graph *g, const node *n, size_t input, const char *what, ints *r) {
    return op_const_ints(g, n, input, r) || op_not_constant(g, n, what);
}

bool op_ints(graph *g, const node *n, size_t input, int since, const char *name, ints *r) {
    const attr *a = n->opset < since ? node_ints(n, name) : NULL;
    *r = a ? (ints){a->ints, a->count} : (ints){0};
    return n->opset < since || !op_present(n, input) || op_need_ints(g, n, input, name, r);
}

bool op_present(const node *n, size_t input) { return input < n->n_in && n->in[input]; }

bool op_axes_first(const node *n, size_t input, int rank) {
    if (!op_present(n, input)) return false;
    const tensor *t = n->in[input]->constant;
    if (!t) return true; /* unknown at compile time */
    for (int64_t i = 0; i < shape_count(&t->shape); i++) {
        int64_t axis = tensor_get_int(t, i);
        if (axis == 0 || axis == -rank) return true;
    }
    return false;
}

bool op_constant_is(const node *n, size_t input, int64_t i, int64_t expected) {
    const tensor *t = op_present(n, input) ? n->in[input]->constant : NULL;
    return t && i < shape_count(&t->shape) && tensor_get_int(t, i) == expected;
}

bool op_axis(graph *g, const node *n, int64_t axis, int rank, int *out) {
    if (axis < -rank || axis >= rank)
        return node_error(g, n, "axis %lld is outside -%d..%d", (long long)axis, rank, rank - 1);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

int64_t op_count_weights(const graph *g) {
    bool *seen = ARENA_ARRAY(g->arena, bool, g->n_values);
    int64_t sum = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const node *n = g->nodes[i];
        for (size_t k = 0; k < n->n_in; k++) {
            const value *v = n->in[k];
            const unsigned others = n->op ? n->op->statistics | n->op->shape_inputs : 0;
            if (!v || !value_is_external(v) || seen[v->id] || v->type != DT_FLOAT) continue;
            if (v->shape.rank == 0 || (k < 32 && (others >> k & 1))) continue;
            seen[v->id] = true;
            sum += value_count(v);
        }
    }
    return sum;
}

double *ref_doubles(arena *a, const tensor *t) {
    int64_t n = shape_count(&t->shape);
    double *v = ARENA_ARRAY(a, double, (size_t)n);
    for (int64_t i = 0; i < n; i++) v[i] = tensor_get(t, i);
    return v;
}

void ref_store(tensor *t, const double *v) {
    int64_t n = shape_count(&t->shape);
    for (int64_t i = 0; i < n; i++) tensor_set(t, i, v[i]);
}
