/* The fuse pass makes fewer, bigger nodes. Conv, Gemm and BatchNormalization become cameo.Conv,
   cameo.Gemm and cameo.ScaleShift, and these take in what stands behind them: scales and shifts
   with constants (into the weights, in double arithmetic), the residual addition, and the
   activation (activation.c). Nothing that is a graph output or the embedding disappears. */
#include "fuse.h"

#include <math.h>
#include <string.h>

bool fuse_scalar(const value *v, double *out) {
    if (!v || !v->constant || value_count(v) != 1 || !value_is_real(v)) return false;
    *out = tensor_get(v->constant, 0);
    return true;
}

value *fuse_constant(graph *g, const char *name, const int64_t *dim, int rank, const double *data) {
    shape s = {.rank = rank};
    for (int i = 0; i < rank; i++) s.dim[i] = dim[i];
    tensor *t = tensor_new(g->arena, DT_FLOAT, &s);
    if (!t) BUG("constant \"%s\" is too big", name);
    const int64_t count = shape_count(&s);
    for (int64_t i = 0; i < count; i++) ((float *)t->data)[i] = (float)data[i];
    return graph_add_constant(g, name, t);
}

static void become(graph *g, node *n, opcode op) {
    node_become(n, op, 1);
    node_set_string(g, n, "act", "none");
}

static bool is_float_output(const node *n) {
    return n->n_out && n->out[0] && n->out[0]->type == DT_FLOAT;
}

/* ---- Conv ---- */

static void set_default_ints(graph *g, node *n, const char *name, int rank, int64_t v) {
    int64_t all[MAX_RANK];
    for (int i = 0; i < rank; i++) all[i] = v;
    const attr *a = node_ints(n, name);
    if (!a || a->count != (size_t)rank) node_set_ints(g, n, name, all, (size_t)rank);
}

/* SAME: the total is what the output size needs; the odd pixel goes to the end (UPPER) or the
   beginning (LOWER). */
static void resolve_pads(graph *g, node *n, int rank) {
    const char *mode = node_string(n, "auto_pad", "NOTSET");
    const bool upper = !strcmp(mode, "SAME_UPPER"), lower = !strcmp(mode, "SAME_LOWER");
    int64_t pads[2 * MAX_RANK] = {0};
    for (int i = 0; (upper || lower) && i < rank; i++) {
        const int64_t in = n->in[0]->shape.dim[i + 2], out = n->out[0]->shape.dim[i + 2],
                      k = n->in[1]->shape.dim[i + 2];
        int64_t total = (out - 1) * node_ints(n, "strides")->ints[i] +
                        (k - 1) * node_ints(n, "dilations")->ints[i] + 1 - in;
        if (total < 0) total = 0;
        pads[i] = upper ? total / 2 : total - total / 2;
        pads[rank + i] = total - pads[i];
    }
    const attr *given = node_ints(n, "pads");
    if (!strcmp(mode, "NOTSET") && given && given->count == 2 * (size_t)rank)
        for (int i = 0; i < 2 * rank; i++) pads[i] = given->ints[i];
    node_set_ints(g, n, "pads", pads, 2 * (size_t)rank);
    node_set_string(g, n, "auto_pad", "NOTSET");
}

void fuse_make_conv(graph *g, node *n) {
    if (!is_float_output(n) || n->in[0]->shape.rank < 3) return;
    const int rank = n->in[0]->shape.rank - 2;
    set_default_ints(g, n, "strides", rank, 1);
    set_default_ints(g, n, "dilations", rank, 1);
    node_set_ints(g, n, "kernel_shape", n->in[1]->shape.dim + 2, (size_t)rank);
    node_set_int(g, n, "group", node_int(n, "group", 1));
    resolve_pads(g, n, rank);
    become(g, n, CAMEO_Conv);
}

/* ---- Gemm and MatMul ---- */

static bool gemm_bias(const node *n, int64_t columns, double *bias) {
    const value *c = n->n_in > 2 ? n->in[2] : NULL;
    const double beta = node_float(n, "beta", 1);
    for (int64_t i = 0; i < columns; i++) bias[i] = 0;
    if (!c) return true;
    const int64_t count = c->constant ? value_count(c) : -1;
    if (count != 1 && (count != columns || c->shape.dim[c->shape.rank - 1] != columns))
        return false;
    for (int64_t i = 0; i < columns; i++)
        bias[i] = beta * tensor_get(c->constant, count == 1 ? 0 : i);
    return true;
}

static void make_gemm(graph *g, node *n) {
    const bool matmul = n->opcode == ONNX_MatMul;
    const value *w = n->in[1];
    if (!is_float_output(n) || n->in[0]->constant || n->in[0]->shape.rank != 2 || !w->constant ||
        w->shape.rank != 2)
        return;
    if (node_int(n, "transA", 0)) return;
    const bool transposed = !matmul && node_int(n, "transB", 0);
    const int64_t columns = w->shape.dim[transposed ? 0 : 1],
                  depth = w->shape.dim[transposed ? 1 : 0];
    double *bias = ARENA_ARRAY(g->arena, double, (size_t)columns);
    if (!gemm_bias(n, columns, bias)) return;
    const double alpha = matmul ? 1 : node_float(n, "alpha", 1);
    if (!transposed || alpha != 1) {
        double *d = ARENA_ARRAY(g->arena, double, (size_t)value_count(w));
        for (int64_t i = 0; i < columns; i++)
            for (int64_t k = 0; k < depth; k++)
                d[i * depth + k] = alpha * tensor_get(w->constant,
                                                      transposed ? i * depth + k : k * columns + i);
        node_set_input(g, n, 1, fuse_constant(g, w->name, (const int64_t[]){columns, depth}, 2, d));
    }
    if (op_present(n, 2))
        node_set_input(g, n, 2, fuse_constant(g, n->in[2]->name, &columns, 1, bias));
    n->n_attrs = 0;
    become(g, n, CAMEO_Gemm);
}

/* ---- BatchNormalization ---- */

/* y = x * scale[c] + shift[c]; false when it is no such thing (training mode, parameters that are
   no constants). */
static bool batchnorm_affine(const graph *g, const node *n, int64_t channels, double **scale,
                             double **shift) {
    if (!node_is(n, ONNX_BatchNormalization) || n->n_in < 5 || node_int(n, "training_mode", 0) ||
        n->in[0]->shape.rank < 2)
        return false;
    if (!node_has_one_output(n)) return false;
    for (size_t i = 1; i < 5; i++)
        if (!n->in[i] || !n->in[i]->constant || value_count(n->in[i]) != channels) return false;
    *scale = ARENA_ARRAY(g->arena, double, (size_t)channels);
    *shift = ARENA_ARRAY(g->arena, double, (size_t)channels);
    const double epsilon = node_float(n, "epsilon", 1e-5f);
    for (int64_t c = 0; c < channels; c++) {
        (*scale)[c] = tensor_get(n->in[1]->constant, c) /
                      sqrt(tensor_get(n->in[4]->constant, c) + epsilon);
        (*shift)[c] = tensor_get(n->in[2]->constant, c) -
                      tensor_get(n->in[3]->constant, c) * (*scale)[c];
    }
    return true;
}

/* Parameters that training changes: a node of their own makes scale and shift, anew in every
   run. */
static bool live_affine(graph *g, node *n, int64_t channels) {
    if (!node_is(n, ONNX_BatchNormalization) || n->n_in < 5 || !node_has_one_output(n))
        return false;
    for (size_t i = 1; i < 5; i++)
        if (!value_is_external(n->in[i]) || value_count(n->in[i]) != channels) return false;
    value *out[] = {graph_add_value(g, arena_printf(g->arena, "%s.factor", n->in[1]->name)),
                    graph_add_value(g, arena_printf(g->arena, "%s.shift", n->in[2]->name))};
    node *made = graph_add_before(g, n, CAMEO_BatchNormAffine, 1, n->in + 1, 4, out, 2);
    made->name = n->name;
    node_set_float(g, made, "epsilon", node_float(n, "epsilon", 1e-5f));
    op_settle(g, made);
    for (size_t i = 0; i < 2; i++) node_set_input(g, n, i + 1, out[i]);
    return true;
}

static void make_scale_shift(graph *g, node *n) {
    double *scale, *shift;
    const int64_t channels = n->in[0]->shape.rank >= 2 ? n->in[0]->shape.dim[1] : 0;
    if (!is_float_output(n) || n->in[0]->constant) return;
    if (batchnorm_affine(g, n, channels, &scale, &shift)) {
        value *s = fuse_constant(g, n->in[1]->name, &channels, 1, scale),
              *b = fuse_constant(g, n->in[2]->name, &channels, 1, shift);
        node_set_input(g, n, 1, s), node_set_input(g, n, 2, b);
    } else if (!live_affine(g, n, channels)) {
        return;
    }
    node_limit_inputs(n, 3), node_limit_outputs(n, 1);
    n->n_attrs = 0;
    become(g, n, CAMEO_ScaleShift);
}

/* ---- scales and shifts behind a node ---- */

/* Constants that say one number a channel (axis 1), or one for all: [1,C,1,1], [C,1,1], a scalar;
   [C] only for rank 2. */
static bool per_channel(const graph *g, const value *v, const shape *s, double **out) {
    if (!v || !v->constant || v->type != DT_FLOAT || v->shape.rank > s->rank) return false;
    const int64_t channels = s->dim[1], count = value_count(v);
    const int lead = s->rank - v->shape.rank;
    for (int i = 0; i < v->shape.rank; i++)
        if (v->shape.dim[i] != 1 && !(i + lead == 1 && v->shape.dim[i] == channels)) return false;
    *out = ARENA_ARRAY(g->arena, double, (size_t)channels);
    for (int64_t c = 0; c < channels; c++) (*out)[c] = tensor_get(v->constant, count == 1 ? 0 : c);
    return true;
}

value *fuse_other(const node *n, const value *x) { return n->in[0] == x ? n->in[1] : n->in[0]; }

/* next = x * scale + shift with constants, x = n's output. */
static bool affine_of(const graph *g, const node *n, const node *next, double **scale,
                      double **shift) {
    const value *x = n->out[0];
    const int64_t channels = x->shape.dim[1];
    if (!shape_equal(&x->shape, &next->out[0]->shape)) return false;
    if (next->in[0] == x && batchnorm_affine(g, next, channels, scale, shift)) return true;
    const bool mul = node_is(next, ONNX_Mul), div = node_is(next, ONNX_Div),
               add = node_is(next, ONNX_Add), sub = node_is(next, ONNX_Sub);
    if (!(mul || div || add || sub) || ((div || sub) && next->in[0] != x)) return false;
    double *v;
    if (!per_channel(g, fuse_other(next, x), &x->shape, &v)) return false;
    double *other = ARENA_ARRAY(g->arena, double, (size_t)channels);
    for (int64_t c = 0; c < channels; c++) {
        other[c] = mul || div ? 0 : 1;
        if (div) v[c] = 1 / v[c];
        if (sub) v[c] = -v[c];
    }
    *scale = mul || div ? v : other;
    *shift = mul || div ? other : v;
    return true;
}

static bool all_ones(const double *v, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (v[i] != 1) return false;
    return true;
}

/* Weights are one block a channel: rows of W for Conv and Gemm, the scale for ScaleShift. */
static bool fold_affine(graph *g, node *n, node *next) {
    double *scale, *shift;
    value *w = n->in[1], *b = n->n_in > 2 ? n->in[2] : NULL;
    const int64_t channels = n->out[0]->shape.dim[1];
    if (op_present(n, 3)) return false;
    if (!w->constant || (b && !b->constant) || !affine_of(g, n, next, &scale, &shift)) return false;
    if (!all_ones(scale, channels)) {
        const int64_t count = value_count(w), row = channels ? count / channels : 0;
        double *d = ARENA_ARRAY(g->arena, double, (size_t)count);
        for (int64_t i = 0; i < count; i++) d[i] = tensor_get(w->constant, i) * scale[i / row];
        node_set_input(g, n, 1, fuse_constant(g, w->name, w->shape.dim, w->shape.rank, d));
    }
    double *d = ARENA_ARRAY(g->arena, double, (size_t)channels);
    for (int64_t c = 0; c < channels; c++)
        d[c] = (b ? tensor_get(b->constant, c) * scale[c] : 0) + shift[c];
    node_set_input(g, n, 2,
                   fuse_constant(g, b ? b->name : arena_printf(g->arena, "%s.bias", w->name),
                                 &channels, 1, d));
    graph_absorb(g, n, next);
    return true;
}

/* ---- the residual addition ---- */

static bool has_other_chance(const node *p) {
    return node_is(p, CAMEO_Conv) || node_is(p, ONNX_Conv);
}

value *fuse_addend(const node *n, const node *next) {
    const value *x = n->out[0];
    value *r = node_is(next, ONNX_Add) ? fuse_other(next, x) : NULL;
    return r && !r->constant && r != x && r->type == DT_FLOAT &&
                   shape_equal(&r->shape, &next->out[0]->shape) && shape_equal(&r->shape, &x->shape)
               ? r
               : NULL;
}

static bool fold_residual(graph *g, node *n, node *next) {
    value *r = fuse_addend(n, next);
    if (!r || op_present(n, 3)) return false;
    /* The later of two convolutions takes the addition, so that neither moves. */
    if (r->producer && r->producer->position > n->position && has_other_chance(r->producer) &&
        value_consumer(g, r) == next)
        return false;
    if (n->n_in < 3) node_set_input(g, n, 2, NULL);
    node_set_input(g, n, 3, r);
    graph_absorb(g, n, next);
    return true;
}

static void take_followers(graph *g, node *n) {
    for (;;) {
        if (has_act(n)) return;
        node *next = value_consumer(g, n->out[0]);
        if (next && next->n_out && next->out[0] &&
            (fold_affine(g, n, next) || fold_residual(g, n, next)))
            continue;
        if (!fuse_activation(g, n)) return;
    }
}

static bool convert(graph *g, node *n) {
    if (node_is(n, ONNX_Conv))
        fuse_make_conv(g, n);
    else if (node_is(n, ONNX_Gemm) || node_is(n, ONNX_MatMul))
        make_gemm(g, n);
    else if (node_is(n, ONNX_BatchNormalization))
        make_scale_shift(g, n);
    return node_has(n, OP_TAIL);
}

static void remove_identities(graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        node *n = g->nodes[i];
        if (n->dead || !node_has(n, OP_IDENTITY) || !n->n_out || !n->out[0] || !n->in[0]) continue;
        graph_replace_uses(g, n->out[0], n->in[0]);
        if (!value_is_kept(g, n->out[0]) && node_has_one_output(n)) node_kill(n);
    }
}

bool pass_fuse(graph *g, const options *o) {
    (void)o;
    remove_identities(g);
    fuse_shuffles(g);
    for (size_t i = 0; i < g->n_nodes; i++) {
        node *n = g->nodes[i];
        if (n->dead || !convert(g, n)) continue;
        take_followers(g, n);
        if (g->nodes[i] != n) i--; /* it moved on: look at what came here */
    }
    graph_sweep(g);
    return true;
}
