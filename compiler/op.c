/* Finds operator rows, and the small helpers rows share. The families are listed here; see op.h. */
#include "op.h"

#include <string.h>

static const op_row *const families[] = {ops_elementwise, ops_activation, ops_reduce,    ops_normalize,      ops_matrix,
                                         ops_conv,        ops_pool,       ops_shape,     ops_move,           ops_slice,
                                         ops_lookup,      ops_resize,     ops_internal,  ops_gradient,       ops_loss,
                                         ops_metric,      ops_conv_grad,  ops_pool_grad, ops_normalize_grad, ops_lookup_grad};

const op_row *op_at(size_t i) {
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const op_row *r = families[f]; r->name; r++)
            if (i-- == 0) return r;
    return NULL;
}

const op_row *op_find(const char *domain, const char *name, int opset, bool *known_name) {
    if (strcmp(domain, "ai.onnx") == 0) domain = "";
    if (known_name) *known_name = false;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const op_row *r = families[f]; r->name; r++) {
            if (strcmp(r->name, name) != 0 || strcmp(r->domain, domain) != 0) continue;
            if (known_name) *known_name = true;
            if (opset >= r->since && (r->until == 0 || opset <= r->until)) return r;
        }
    return NULL;
}

static bool shapes_agree(const shape *declared, const shape *found) {
    if (declared->rank != found->rank) return false;
    for (int i = 0; i < found->rank; i++)
        if (declared->dim[i] >= 0 && found->dim[i] >= 0 && declared->dim[i] != found->dim[i]) return false;
    return true;
}

/* What a file declares of its outputs may be stale, as after a change of the input's size by hand: what is computed counts, as
   everywhere. A shape of our own that comes out otherwise is an error. */
static bool shape_contradicts(graph *g, const node *n, size_t i, const shape *s) {
    const value *v = n->out[i];
    text t = {0};
    shape_print(&t, &v->shape);
    text_append(&t, " but computes ");
    shape_print(&t, s);
    if (v->declared)
        diag_warn(g->diag, n, NULL, "output %zu is declared %s; the declaration is ignored", i, text_str(&t));
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
        if (s->dim[k] < 0) return diag_error(g->diag, n, NULL, "output %zu would have a negative extent on axis %d", i, k);
    if (v->type != DT_NONE && v->type != type)
        return diag_error(g->diag, n, "the file contradicts itself; re-export it", "output %zu is declared %s but computes %s",
                          i, dtype_name(v->type), dtype_name(type));
    if (v->shaped && !shapes_agree(&v->shape, s) && !shape_contradicts(g, n, i, s)) return false;
    v->type = type;
    v->shape = *s;
    v->shaped = true;
    v->declared = false;
    return true;
}

bool op_const_ints(graph *g, const node *n, size_t input, const int64_t **v, size_t *count) {
    if (input >= n->n_in || !n->in[input] || !n->in[input]->constant) return false;
    const tensor *t = n->in[input]->constant;
    if (t->type == DT_STRING || !dtype_c(t->type)) return false;
    size_t size = (size_t)shape_count(&t->shape);
    int64_t *copy = ARENA_ARRAY(g->arena, int64_t, size);
    for (size_t i = 0; i < size; i++) copy[i] = tensor_get_int(t, (int64_t)i);
    *v = copy;
    *count = size;
    return true;
}

bool op_not_constant(graph *g, const node *n, const char *what) {
    return diag_error(g->diag, n, "pin the input dimensions with --dim or --shape, or re-export with static shapes",
                      "%s is not known at compile time", what);
}

bool op_need_ints(graph *g, const node *n, size_t input, const char *what, const int64_t **v, size_t *count) {
    return op_const_ints(g, n, input, v, count) || op_not_constant(g, n, what);
}

bool op_present(const node *n, size_t input) { return input < n->n_in && n->in[input]; }

bool op_axis(graph *g, const node *n, int64_t axis, int rank, int *out) {
    if (axis < -rank || axis >= rank)
        return diag_error(g->diag, n, NULL, "axis %lld is outside -%d..%d", (long long)axis, rank, rank - 1);
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
