/* Pools backward: MaxPoolGrad, AveragePoolGrad, GlobalAveragePoolGrad, and the rules of the pools.
   A task is one plane, in which windows that overlap add up in row-major order. */
#include "pool.h"

#include <string.h>

#include "../emit/loops.h"
#include "pointwise.h"
#include "row.h"

/* ---- infer ---- */

static bool types_fit(graph *g, const node *n) {
    if (!type_check(g, n, 0, TYPES_FLOAT)) return false;
    return n->n_in < 2 || type_check(g, n, 1, 1u << n->in[0]->type);
}

static bool window_infer(graph *g, node *n, const shape *x) {
    window w;
    if (!types_fit(g, n) || !window_read(g->diag, n, x, NULL, &w)) return false;
    const shape y = window_shape(&w, x->dim[0], x->dim[1]);
    if (!shape_equal(&n->in[0]->shape, &y))
        return node_error(g, n, "dY does not have the shape of the pool's output");
    return op_set_output(g, n, 0, n->in[0]->type, x);
}

static bool max_infer(graph *g, node *n) { return window_infer(g, n, &n->in[1]->shape); }

static bool average_infer(graph *g, node *n) {
    const shape x = window_x_shape(n);
    return window_infer(g, n, &x);
}

static bool global_infer(graph *g, node *n) {
    const shape x = window_x_shape(n);
    window w;
    if (!types_fit(g, n)) return false;
    if (!pool_global_window(&x, &w))
        return node_unsupported(g, n, "x_shape of rank %d is not supported", x.rank);
    const shape y = window_shape(&w, x.dim[0], x.dim[1]);
    for (int k = 0; k < y.rank; k++)
        if (y.rank != n->in[0]->shape.rank || n->in[0]->shape.dim[k] != (k < 2 ? y.dim[k] : 1))
            return node_error(g, n, "dY does not have the shape of the pool's output");
    return op_set_output(g, n, 0, n->in[0]->type, &x);
}

/* ---- reference ---- */

static void spread(const window *w, const int64_t o[3], double v, double *plane) {
    int64_t f[3], l[3];
    for (int a = 0; a < 3; a++) pool_inside(w, a, o[a], &f[a], &l[a]);
    for (int64_t k0 = f[0]; k0 < l[0]; k0++)
        for (int64_t k1 = f[1]; k1 < l[1]; k1++)
            for (int64_t k2 = f[2]; k2 < l[2]; k2++) {
                const int64_t i0 = o[0] * w->stride[0] - w->begin[0] + k0 * w->dilation[0],
                              i1 = o[1] * w->stride[1] - w->begin[1] + k1 * w->dilation[1];
                plane[(i0 * w->in[1] + i1) * w->in[2] + o[2] * w->stride[2] - w->begin[2] +
                      k2 * w->dilation[2]] += v;
            }
}

/* x NULL: an average. */
static void plane_grad(const window *w, const double *dy, const double *x, bool pads, double *dx) {
    int64_t o[3];
    for (o[0] = 0; o[0] < w->out[0]; o[0]++)
        for (o[1] = 0; o[1] < w->out[1]; o[1]++)
            for (o[2] = 0; o[2] < w->out[2]; o[2]++, dy++) {
                const int64_t at = x ? pool_visit(w, x, o).at : -1;
                if (at >= 0) dx[at] += *dy;
                if (!x) spread(w, o, *dy / pool_cells(w, o, pads), dx);
            }
}

static OP_REFERENCE(pool_grad_reference) {
    const window w = pool_window(n, &n->out[0]->shape);
    const bool pads = node_int(n, "count_include_pad", 0) != 0;
    const int64_t plane = w.in[0] * w.in[1] * w.in[2], out_plane = w.out[0] * w.out[1] * w.out[2],
                  count = value_count(n->out[0]);
    const double *dy = ref_doubles(a, in[0]), *x = n->n_in > 1 ? ref_doubles(a, in[1]) : NULL;
    double *dx = ARENA_ARRAY(a, double, (size_t)count);
    for (int64_t p = 0; plane && p < count / plane; p++)
        plane_grad(&w, dy + p * out_plane, x ? x + p * plane : NULL, pads, dx + p * plane);
    ref_store(out[0], dx);
    return true;
}

/* ---- emit ---- */

static void max_body(emitter *e, const node *n, const window *w) {
    text *t = emit_helpers(e);
    const char *type = dtype_c(n->in[0]->type);
    text_put(t, "        $0 best = 0;\n        ptrdiff_t at = -1;\n", type);
    window_taps(t, w);
    text_put(t,
             "            const $0 v = in1[$1];\n"
             "            if (at >= 0 && !(v > best) && !(v != v && best == best)) continue;\n"
             "            best = v;\n"
             "            at = $2;\n",
             type, pool_index(e, n->in[1], w, "i"), pool_index(e, n->out[0], w, "i"));
    window_end(t, w);
    text_put(t, "        if (at >= 0) out0[at] += in0[$0];\n", pool_index(e, n->in[0], w, "o"));
}

static void average_body(emitter *e, const node *n, const window *w) {
    text *t = emit_helpers(e);
    text_append(t, "        ptrdiff_t cells = 0;\n");
    pool_emit_cells(t, w, node_int(n, "count_include_pad", 0) != 0);
    window_end(t, w);
    text_put(t, "        const $0 v = ($0)((double)in0[$1] / (double)cells);\n",
             dtype_c(n->in[0]->type), pool_index(e, n->in[0], w, "o"));
    window_taps(t, w);
    text_put(t, "            out0[$0] += v;\n", pool_index(e, n->out[0], w, "i"));
    window_end(t, w);
}

static void pool_grad_emit(emitter *e, const node *n) {
    const shape *x = &n->out[0]->shape;
    const window w = pool_window(n, x);
    text *t = emit_helpers(e);
    emit_task_open(e, n);
    text_put(t, "    const ptrdiff_t image = (ptrdiff_t)(i / $0), ch = (ptrdiff_t)(i % $0);\n",
             x->dim[1]);
    window_loops(t, &w, "i", w.in);
    text_put(t, "        out0[$0] = 0;\n", pool_index(e, n->out[0], &w, "i"));
    window_loops(t, &w, "o", w.out);
    text_append(t, "    {\n");
    (n->n_in > 1 ? max_body : average_body)(e, n, &w);
    text_append(t, "    }\n");
    emit_task_close(e, n, arena_put(emit_arena(e), "$0", x->dim[0] * x->dim[1]),
                    (double)shape_count(x));
}

/* ---- rules ---- */

/* SAME pads are explicit here, so that ceil_mode, which has no say beside them, must not have
   one. */
static node *window_node(graph *g, const node *n, opcode op, value *const *in, size_t n_in) {
    node *back = grad_node(g, n, op, in, n_in, 1);
    const bool same = !strncmp(node_string(n, "auto_pad", "NOTSET"), "SAME_", 5);
    const window w = pool_window(n, &n->in[0]->shape);
    window_write(g, back, &w);
    node_set_int(g, back, "ceil_mode", same ? 0 : node_int(n, "ceil_mode", 0));
    node_set_int(g, back, "count_include_pad", node_int(n, "count_include_pad", 0));
    return back;
}

GRADIENT(max_pool_grad) {
    value *in[] = {dout[0], n->in[0]};
    return (din[0] = grad_infer(g, window_node(g, n, CAMEO_MaxPoolGrad, in, 2)));
}

static bool of_shape(graph *g, const node *n, node *back, value **din) {
    const shape *x = &n->in[0]->shape;
    node_set_ints(g, back, "x_shape", x->dim, (size_t)x->rank);
    return (din[0] = grad_infer(g, back));
}

GRADIENT(average_pool_grad) {
    return of_shape(g, n, window_node(g, n, CAMEO_AveragePoolGrad, dout, 1), din);
}

GRADIENT(global_average_pool_grad) {
    return of_shape(g, n, grad_node(g, n, CAMEO_GlobalAveragePoolGrad, dout, 1, 1), din);
}

/* clang-format off */
#define POOL_GRAD(name, operands, prefix, tested)                                              \
    {OP_HEAD("cameo", name, 1, 0, operands, operands, 1, 1, "test_ops_backward " tested),      \
     ATTRIBUTES(ATTR(INT, "ceil_mode"), ATTR(INT, "count_include_pad"),                        \
                ATTR(INTS, "dilations"), ATTR(INTS, "kernel_shape"), ATTR(INTS, "pads"),       \
                ATTR(INTS, "strides"), ATTR(INTS, "x_shape")),                                 \
     .flags = OP_NHWC_IN | OP_ANY_LAYOUT, .infer = prefix##_infer,                             \
     .reference = pool_grad_reference, .emit = pool_grad_emit}

const op_row ops_pool_grad[] = {
    POOL_GRAD("MaxPoolGrad", 2, max, "max_pool_grad"),
    POOL_GRAD("AveragePoolGrad", 1, average, "average_pool_grad"),
    POOL_GRAD("GlobalAveragePoolGrad", 1, global, "global_average_pool_grad"),
    {.name = NULL}};
/* clang-format on */
