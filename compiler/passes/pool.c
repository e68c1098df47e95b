/* Windows in other words, as exporters write them: a Pad before a convolution or a pool is the
   window's own padding where that is exact, a mean or a maximum over all pixels and a window over
   all of the image are global pools. */
#include <math.h>
#include <string.h>

#include "../ir/graph_query.h"
#include "../ops/act.h"
#include "../ops/rules.h"
#include "../ops/window.h"
#include "front.h"

/* ---- global pools ---- */

static opcode global_of(const node *n) {
    if (node_is(n, ONNX_ReduceMean) || node_is(n, ONNX_AveragePool)) return ONNX_GlobalAveragePool;
    return node_is(n, ONNX_ReduceMax) || node_is(n, ONNX_MaxPool) ? ONNX_GlobalMaxPool
                                                                  : OPCODE_NONE;
}

static bool reduces_pixels(const graph *g, const node *n) {
    const int rank = n->in[0]->shape.rank;
    return reduce_mask(g->arena, n) == ((1u << rank) - 1 - 3);
}

static bool window_is_whole(const node *n) {
    window w;
    if (!window_read(NULL, n, &n->in[0]->shape, NULL, &w) || (n->n_out > 1 && n->out[1]))
        return false;
    for (int i = 3 - w.rank; i < 3; i++)
        if (w.k[i] != w.in[i] || w.dilation[i] != 1 || w.begin[i] || w.end[i]) return false;
    return true;
}

/* The pool writes a value of its own, and n, a Reshape now, takes the axes of extent 1 away. */
static void drop_axes(graph *g, node *n, opcode pool) {
    value *x = n->in[0], *y = graph_add_value(g, NULL);
    node *p = graph_add_before(g, n, pool, n->opset, &x, 1, &y, 1);
    p->name = n->name;
    op_settle(g, p);
    node_limit_inputs(n, 1), node_set_input(g, n, 0, y);
    node_set_input(g, n, 1, graph_add_ints(g, NULL, n->out[0]->shape.dim, 2));
    n->n_attrs = 0;
    node_become(n, ONNX_Reshape, n->opset < 5 ? 5 : n->opset);
}

static bool make_global(graph *g, node *n) {
    const opcode pool = global_of(n);
    if (!pool || n->in[0]->constant || n->in[0]->type != DT_FLOAT || n->in[0]->shape.rank != 4)
        return false;
    if (value_count(n->in[0]) == 0) return false;
    const bool reduction = node_is(n, ONNX_ReduceMean) || node_is(n, ONNX_ReduceMax);
    if (!(reduction ? reduces_pixels(g, n) : window_is_whole(n))) return false;
    if (reduction && !node_int(n, "keepdims", 1)) return drop_axes(g, n, pool), true;
    node_limit_inputs(n, 1);
    n->n_attrs = 0;
    node_become(n, pool, n->opset);
    return true;
}

/* ---- Pads ---- */

/* What a Pad fills with; false when it is no constant. */
static bool fill_of(const node *p, double *fill) {
    const value *v = p->n_in > 2 ? p->in[2] : NULL;
    if (strcmp(node_string(p, "mode", "constant"), "constant")) return false;
    *fill = p->opset < 11 ? node_float(p, "value", 0) : 0;
    if (!v) return true;
    if (!v->constant || value_count(v) != 1) return false;
    *fill = tensor_get(v->constant, 0);
    return true;
}

/* No element is below zero, whatever the input. */
static bool is_never_negative(const value *v) {
    const node *n = v->producer;
    if (!n) return false;
    const act_row *act = act_of_op(n->opcode);
    if (act && act->flags & ACT_POSITIVE) return true;
    if (!node_is(n, ONNX_Clip)) return false;
    if (n->opset < 11) return node_float(n, "min", -INFINITY) >= 0;
    return op_present(n, 1) && n->in[1]->constant && tensor_get(n->in[1]->constant, 0) >= 0;
}

static bool has_pads(const window *w) {
    for (int i = 0; i < 3; i++)
        if (w->begin[i] || w->end[i]) return true;
    return false;
}

/* Whether n's own padding does what elements of p's value did. */
static bool fill_fits(const node *n, const node *p, const window *w) {
    double fill;
    if (!fill_of(p, &fill)) return false;
    if (node_is(n, ONNX_Conv)) return fill == 0;
    if (node_int(n, "ceil_mode", 0)) return false;
    if (node_is(n, ONNX_AveragePool))
        return fill == 0 && (!has_pads(w) || node_int(n, "count_include_pad", 0));
    return (isinf(fill) && fill < 0) || (fill == 0 && is_never_negative(p->in[0]));
}

/* Adds p's pixels to the window's padding; false where they are no pixels, or a window might see
   nothing else. */
static bool add_pads(const node *p, bool pool, window *w) {
    const attr *pads = node_ints(p, "resolved_pads");
    const int rank = w->rank + 2;
    for (int i = 0; i < 2 * rank; i++)
        if (pads->ints[i] < 0 || (i % rank < 2 && pads->ints[i])) return false;
    for (int i = 0; i < w->rank; i++) {
        const int k = 3 - w->rank + i;
        w->begin[k] += pads->ints[i + 2];
        w->end[k] += pads->ints[rank + i + 2];
        const int64_t reach = (w->k[k] - 1) * w->dilation[k];
        if (pool && (w->begin[k] > reach || w->end[k] > reach)) return false;
    }
    return true;
}

static bool take_pad(graph *g, node *n) {
    const bool conv = node_is(n, ONNX_Conv);
    const node *p = n->in[0]->producer;
    window w;
    if (!(conv || node_is(n, ONNX_AveragePool) || node_is(n, ONNX_MaxPool)) ||
        !node_is(p, ONNX_Pad) || (n->n_out > 1 && n->out[1]))
        return false;
    if (!window_read(NULL, n, &n->in[0]->shape, conv ? n->in[1]->shape.dim + 2 : NULL, &w))
        return false;
    if (!fill_fits(n, p, &w) || !add_pads(p, !conv, &w)) return false;
    window_write(g, n, &w);
    node_set_string(g, n, "auto_pad", "NOTSET");
    if (node_is(n, ONNX_AveragePool)) node_set_int(g, n, "count_include_pad", 1);
    node_set_input(g, n, 0, p->in[0]);
    return true;
}

bool pool_simplify(graph *g, node *n) {
    if (n->n_in == 0 || !n->in[0] || n->n_out == 0 || !n->out[0]) return false;
    return take_pad(g, n) || make_global(g, n);
}
