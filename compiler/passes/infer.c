/* Static shapes and types. Symbolic dimensions of the inputs are bound first (--shape, --dim,
   --batch), then each row infers its node. Small constant results are computed at once, because
   shape arithmetic (Shape, Gather, Concat, Reshape) decides later shapes. */
#include <string.h>
#include <strings.h>

#include "../ir/op.h"
#include "front.h"

enum { FOLD_DURING_INFER = 1 << 20 };

static bool names_batch(const char *symbol) {
    return strcasecmp(symbol, "n") == 0 || strcasecmp(symbol, "bs") == 0 ||
           strcasecmp(symbol, "b") == 0 || strncasecmp(symbol, "batch", 5) == 0;
}

static const dim_binding *find_dim(const options *o, const value *v, int axis) {
    for (size_t i = 0; v->symbol[axis] && i < o->n_dims; i++)
        if (strcmp(o->dims[i].name, v->symbol[axis]) == 0) return &o->dims[i];
    return NULL;
}

static bool unknown_dim(graph *g, const value *v, int axis) {
    const char *name = arena_escape(g->arena, v->name), *symbol = v->symbol[axis];
    if (!symbol)
        return diag_error(g->diag, NULL, arena_put(g->arena, "--shape $0=AxBxC", name),
                          "input \"%s\": dimension %d is not known", name, axis);
    const char *hint = arena_put(g->arena, "--dim $0=N", arena_escape(g->arena, symbol));
    return diag_error(g->diag, NULL, hint, "input \"%s\": dimension %d (%s) is not known", name,
                      axis, hint + 6);
}

static bool is_batch_axis(const value *v, int axis) {
    return axis == 0 || (v->symbol[axis] && names_batch(v->symbol[axis]));
}

static bool bind_dim(graph *g, const options *o, value *v, int axis) {
    int64_t *dim = &v->shape.dim[axis];
    const dim_binding *bound = find_dim(o, v, axis);
    if (*dim >= 0) return true;
    if (bound)
        *dim = bound->value;
    else if (is_batch_axis(v, axis))
        *dim = o->batch > 0 ? o->batch : 1;
    else
        return unknown_dim(g, v, axis);
    return true;
}

static const shape *find_shape(const options *o, const char *input) {
    const shape *found = NULL;
    for (size_t i = 0; i < o->n_shapes; i++)
        if (!strcmp(o->shapes[i].name, input)) found = &o->shapes[i].shape;
    return found;
}

static bool is_told(const options *o, const value *v, int axis) {
    return v->shape.dim[axis] >= 0 || is_batch_axis(v, axis) || find_dim(o, v, axis);
}

bool infer_has_shapes(const graph *g, const options *o) {
    for (size_t i = 0; i < g->n_inputs; i++) {
        const value *v = g->inputs[i];
        if (find_shape(o, v->name)) continue;
        if (!v->shaped) return false;
        for (int k = 0; k < v->shape.rank; k++)
            if (!is_told(o, v, k)) return false;
    }
    return true;
}

/* A literal first axis under --batch: 1 may grow (the batch pass proves it later), anything else
   must agree. */
static bool bind_batch(graph *g, const options *o, value *v) {
    if (o->batch <= 0 || v->shape.rank < 2 || v->shape.dim[0] == o->batch) return true;
    if (v->shape.dim[0] == 1) {
        v->shape.dim[0] = o->batch;
        return true;
    }
    return diag_error(g->diag, NULL, "leave --batch away or pass the model's own",
                      "input \"%s\" fixes the batch at %lld, not %lld", v->name,
                      (long long)v->shape.dim[0], (long long)o->batch);
}

static bool bind_shape(graph *g, const options *o, value *v, bool *explicit_shape) {
    for (size_t i = 0; i < o->n_shapes; i++) {
        if (strcmp(o->shapes[i].name, v->name) != 0) continue;
        const shape *s = &o->shapes[i].shape;
        if (v->shaped && v->shape.rank != s->rank)
            return node_error(g, NULL, "input \"%s\" has rank %d, --shape gives %d", v->name,
                              v->shape.rank, s->rank);
        for (int k = 0; v->shaped && k < s->rank; k++)
            if (v->shape.dim[k] >= 0 && v->shape.dim[k] != s->dim[k] && k > 0)
                diag_warn(g->diag, NULL, NULL, "input \"%s\": --shape changes literal dimension %d",
                          v->name, k);
        v->shape = *s;
        v->shaped = *explicit_shape = true;
    }
    return true;
}

static bool bind_input(graph *g, const options *o, value *v) {
    bool explicit_shape = false;
    if (!bind_shape(g, o, v, &explicit_shape)) return false;
    if (!v->shaped)
        return diag_error(g->diag, NULL, "--shape NAME=AxBxC", "input \"%s\" has no shape",
                          v->name);
    bool ok = true;
    for (int k = 0; k < v->shape.rank; k++) ok &= bind_dim(g, o, v, k);
    if (ok && !explicit_shape) ok = bind_batch(g, o, v);
    if (dtype_size(v->type) == 0)
        return node_error(g, NULL, "input \"%s\": element type %s is not supported", v->name,
                          dtype_name(v->type));
    if (ok && !shape_fits(&v->shape, dtype_size(v->type)))
        return node_error(g, NULL, "input \"%s\" is too large", v->name);
    return ok;
}

static bool check_bindings(graph *g, const options *o) {
    bool ok = true;
    for (size_t i = 0; i < o->n_shapes; i++) {
        const value *v = graph_find_value(g, o->shapes[i].name);
        if (!v || !v->is_input)
            ok = node_error(g, NULL, "--shape: no input is named \"%s\"", o->shapes[i].name);
    }
    for (size_t i = 0; i < o->n_dims; i++) {
        bool used = false;
        for (size_t k = 0; k < g->n_inputs; k++)
            for (int axis = 0; axis < MAX_RANK; axis++)
                used |= g->inputs[k]->symbol[axis] &&
                        strcmp(g->inputs[k]->symbol[axis], o->dims[i].name) == 0;
        if (!used)
            ok = node_error(g, NULL, "--dim: no input has a dimension named \"%s\"",
                            o->dims[i].name);
    }
    return ok;
}

/* Shapes that the file states for its outputs hold for the file's own input shapes only. */
static void forget_declared_shapes(graph *g) {
    for (size_t i = 0; i < g->n_values; i++) {
        value *v = g->values[i];
        if (v->declared) v->shaped = v->declared = false;
    }
}

static bool check_constant_inputs(graph *g, const node *n) {
    for (size_t i = 0; i < n->n_in && i < 32; i++)
        if (n->in[i] && (n->op->shape_inputs >> i & 1) && !n->in[i]->constant) {
            const char *hint = n->in[i]->is_input
                                   ? "give this input a value in the model (an initializer)"
                                   : DIAG_UNSUPPORTED;
            return diag_error(g->diag, n, hint,
                              "input %zu (\"%s\") decides a shape, so it must be a constant", i,
                              n->in[i]->name);
        }
    return true;
}

static bool outputs_typed(graph *g, const node *n) {
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i] && (!value_is_static(n->out[i]) || n->out[i]->type == DT_NONE))
            return node_unsupported(g, n,
                                    "the shape of output \"%s\" can not be told at compile time",
                                    n->out[i]->name);
    return true;
}

/* Inputs without a shape come from a node that failed; one message is enough. */
static bool inputs_known(const node *n) {
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] && !value_is_static(n->in[i])) return false;
    return true;
}

static void forget_outputs(const node *n) {
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i]) n->out[i]->shaped = false;
}

static bool infer_node(graph *g, const options *o, node *n, int64_t batch) {
    bool ok = n->op && inputs_known(n); /* without a row: resolve said so */
    if (ok && o->batch > 1) batch_rewrite(g, n, batch);
    ok = ok && check_constant_inputs(g, n) && n->op->infer(g, n) && outputs_typed(g, n);
    if (!ok) {
        forget_outputs(n);
        return false;
    }
    batch_mark(n, batch);
    fold_node(g, n, FOLD_DURING_INFER);
    return true;
}

bool infer_outline(graph *g, const options *o) {
    for (size_t i = 0; i < g->n_inputs; i++) {
        value *v = g->inputs[i];
        const shape *given = find_shape(o, v->name);
        if (given) v->shape = *given, v->shaped = true;
        for (int k = 0; v->shaped && k < v->shape.rank; k++) {
            const dim_binding *bound = find_dim(o, v, k);
            if (v->shape.dim[k] < 0 && bound) v->shape.dim[k] = bound->value;
        }
    }
    return check_bindings(g, o);
}

bool pass_infer(graph *g, const options *o) {
    bool ok = check_bindings(g, o);
    for (size_t i = 0; i < g->n_inputs; i++) ok &= bind_input(g, o, g->inputs[i]);
    if (!ok) return false;
    if (o->batch > 0 || o->n_shapes || o->n_dims) forget_declared_shapes(g);
    int64_t batch = batch_extent(g);
    batch_mark_inputs(g, batch);
    for (size_t i = 0; i < g->n_nodes; i++) ok &= infer_node(g, o, g->nodes[i], batch);
    if (ok) graph_sweep(g);
    return ok && g->diag->errors == 0;
}
