/* The layout pass decides the order of memory. Rows that want NHWC (convolutions, pools ...) get it
   for rank-4 float values; elementwise rows and others that work from strides follow their inputs;
   everything else, and whatever leaves the graph, is in ONNX order. Where the two meet stands a
   cameo.Reorder, one for each value. Three cases need none: one channel or one pixel (both orders
   are the same memory: the plan makes it a view), a Flatten that feeds only Gemms (their weights'
   columns are permuted instead), and a Transpose that only restates the order. The last two are
   marked `relabel`: input and output are the same memory. */
#include "plan.h"

#include "../ir/graph_query.h"

typedef struct twins {
    graph *g;
    value **nhwc, **onnx; /* by value id: the same value in the other layout, or NULL */
    size_t known;         /* of these lists: there are more values later */
} twins;

static bool is_image(const value *v) {
    return v && v->shape.rank == 4 && v->type == DT_FLOAT && v->role == ROLE_NONE;
}

static value *derived(graph *g, const value *v, layout l) {
    value *d = graph_add_value(
        g, arena_printf(g->arena, "%s.%s", v->name, l == LAYOUT_NHWC ? "nhwc" : "onnx"));
    d->type = v->type;
    d->shaped = true;
    d->shape = v->shape;
    d->batched = v->batched;
    d->layout = l;
    return d;
}

/* Before `origin`. */
static node *add_reorder(graph *g, value *from, value *to, const node *origin) {
    node *r = graph_add_before(g, origin, CAMEO_Reorder, 1, &from, 1, &to, 1);
    r->name = arena_printf(g->arena, "%s.reorder", from->name);
    return r;
}

/* v in layout l, through a Reorder before `where` when it is in the other one. */
static value *converted(twins *t, value *v, layout l, node *where) {
    if (!is_image(v) || v->constant || v->layout == l) return v;
    value **cache = l == LAYOUT_NHWC ? t->nhwc : t->onnx;
    if ((size_t)v->id < t->known && cache[v->id]) return cache[v->id];
    value *d = derived(t->g, v, l);
    add_reorder(t->g, v, d, where);
    if ((size_t)v->id < t->known) cache[v->id] = d;
    return d;
}

static void convert(twins *t, node *n, size_t i, layout l) {
    node_set_input(t->g, n, i, converted(t, n->in[i], l, n));
}

static void convert_all(twins *t, node *n, layout l) {
    for (size_t i = 0; i < n->n_in; i++) convert(t, n, i, l);
}

/* ---- cases that need no Reorder ---- */

static bool permutes(const node *n, int64_t a, int64_t b, int64_t c) {
    const attr *p = node_ints(n, "perm");
    return p && p->count == 4 && p->ints[0] == 0 && p->ints[1] == a && p->ints[2] == b &&
           p->ints[3] == c;
}

static bool relabel_transpose(graph *g, node *n) {
    if (!node_is(n, ONNX_Transpose) || !is_image(n->in[0]) || n->in[0]->constant) return false;
    if (permutes(n, 3, 1, 2) && n->in[0]->layout == LAYOUT_ONNX)
        n->out[0]->layout = LAYOUT_NHWC;
    else if (!(permutes(n, 2, 3, 1) && n->in[0]->layout == LAYOUT_NHWC))
        return false;
    node_set_int(g, n, "relabel", 1);
    return true;
}

static bool only_gemms_read(const graph *g, const value *v) {
    if (value_is_kept(g, v)) return false;
    for (const value_use *u = v->uses; u; u = u->next)
        if (!node_is(u->user, CAMEO_Gemm) || u->input || !u->user->in[1]->constant ||
            u->user->in[1]->type != DT_FLOAT)
            return false;
    return v->n_uses > 0;
}

/* W[n][c,h,w] -> W[n][h,w,c]; a new constant, because others may share the old one. */
static value *permute_columns(graph *g, const value *w, const shape *s) {
    const int64_t rows = w->shape.dim[0], channels = s->dim[1], pixels = s->dim[2] * s->dim[3];
    tensor *t = tensor_new(g->arena, DT_FLOAT, &w->shape);
    if (!t) BUG("weights are too big");
    const float *from = w->constant->data;
    float *to = t->data;
    for (int64_t r = 0; r < rows; r++, from += channels * pixels)
        for (int64_t p = 0; p < pixels; p++)
            for (int64_t c = 0; c < channels; c++) *to++ = from[c * pixels + p];
    return graph_add_constant(g, w->name, t);
}

static bool relabel_flatten(graph *g, node *n) {
    const value *x = n->in[0], *y = n->out[0];
    if (!node_has(n, OP_VIEW) || !is_image(x) || x->layout != LAYOUT_NHWC || y->shape.rank != 2)
        return false;
    if (y->shape.dim[0] != x->shape.dim[0] || !only_gemms_read(g, y)) return false;
    for (const value_use *u = y->uses; u; u = u->next)
        node_set_input(g, u->user, 1, permute_columns(g, u->user->in[1], &x->shape));
    node_set_int(g, n, "relabel", 1);
    return true;
}

/* ---- nodes ---- */

static bool any_image_is_nhwc(const node *n) {
    for (size_t i = 0; i < n->n_in; i++)
        if (is_image(n->in[i]) && n->in[i]->layout == LAYOUT_NHWC) return true;
    return false;
}

static void set_outputs(node *n, layout l) {
    for (size_t i = 0; i < n->n_out; i++)
        if (is_image(n->out[i])) n->out[i]->layout = l;
}

/* Inputs of the output's shape are brought into its order, so that fast kernels see one order
   only. */
static void follow(twins *t, node *n, layout l, bool reorder) {
    for (size_t i = 0; reorder && i < n->n_in; i++)
        if (n->in[i] && (i == 0 || shape_equal(&n->in[i]->shape, &n->out[0]->shape)))
            convert(t, n, i, l);
    set_outputs(n, l);
}

/* Gradient operators: everything that is an image is NHWC; what is shaped like a parameter is not
   an image. */
static void all_nhwc(twins *t, node *n) {
    convert_all(t, n, LAYOUT_NHWC);
    if (!node_has(n, OP_PARAM_OUT)) set_outputs(n, LAYOUT_NHWC);
}

static void visit(twins *t, node *n) {
    const unsigned flags = n->op ? n->op->flags : 0;
    if (!n->n_out || !n->out[0]) return;
    if ((flags & OP_NHWC_IN) && n->in[0] && is_image(n->in[0])) {
        all_nhwc(t, n);
    } else if ((flags & OP_NHWC) && is_image(n->out[0]) && n->n_in && is_image(n->in[0]) &&
               !n->in[0]->constant) {
        follow(t, n, LAYOUT_NHWC, true);
    } else if (relabel_transpose(t->g, n) || relabel_flatten(t->g, n)) {
        return;
    } else if ((flags & OP_ANY_LAYOUT) && !(flags & OP_VIEW)) {
        if (is_image(n->out[0]) && any_image_is_nhwc(n))
            follow(t, n, LAYOUT_NHWC, flags & OP_ELEMENTWISE);
    } else if (flags & OP_VIEW) {
        if (n->in[0] && !value_is_in_any_order(n->in[0])) convert(t, n, 0, LAYOUT_ONNX);
    } else {
        convert_all(t, n, LAYOUT_ONNX);
    }
}

/* Graph outputs are in ONNX order: their producer writes a twin, a Reorder makes the output. */
static void restore_output(graph *g, value *y) {
    node *n = y->producer;
    if (!n || y->layout == LAYOUT_ONNX || value_is_in_any_order(y)) return;
    value *inner = derived(g, y, LAYOUT_NHWC);
    graph_replace_uses(g, y, inner);
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i] == y) node_set_output(g, n, i, inner);
    y->layout = LAYOUT_ONNX;
    const node *r = add_reorder(g, inner, y, n);
    graph_move(g, n, r->position); /* n, which makes what it reads, goes before it */
}

bool pass_layout(graph *g, const options *o) {
    (void)o;
    const size_t known = g->n_values, n_nodes = g->n_nodes;
    twins t = {g, ARENA_ARRAY(g->arena, value *, known), ARENA_ARRAY(g->arena, value *, known),
               known};
    node **nodes = ARENA_COPY(g->arena, g->nodes, n_nodes, n_nodes);
    for (size_t i = 0; i < n_nodes; i++) visit(&t, nodes[i]);
    for (size_t i = 0; i < g->n_outputs; i++) restore_output(g, g->outputs[i]);
    graph_sweep(g);
    return true;
}
