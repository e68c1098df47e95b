/* Pools backward: MaxPoolGrad, AveragePoolGrad, GlobalAveragePoolGrad, and the rules of the pools.
   A task is one plane, in which windows that overlap add up in row-major order. */
#include "pool.h"

#include <string.h>

#include "../emit/loops.h"
#include "../ir/grad.h"
#include "pointwise.h"

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
        return diag_error(g->diag, n, NULL, "dY does not have the shape of the pool's output");
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
        return diag_error(g->diag, n, DIAG_UNSUPPORTED, "x_shape of rank %d is not supported",
                          x.rank);
    const shape y = window_shape(&w, x.dim[0], x.dim[1]);
    for (int k = 0; k < y.rank; k++)
        if (y.rank != n->in[0]->shape.rank || n->in[0]->shape.dim[k] != (k < 2 ? y.dim[k] : 1))
            return diag_error(g->diag, n, NULL, "dY does not have the shape of the pool's output");
    return op_set_output(g, n, 0, n->in[0]->type, &x);
}

static window window_of(const node *n) {
    const shape *x = &n->out[0]->shape;
    window w;
    const bool global = !node_ints(n, "kernel_shape");
    if (!(global ? pool_global_window(x, &w) : window_read(NULL, n, x, NULL, &w)))
        BUG("a gradient that infer accepted is inconsistent");
    return w;
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

static bool pool_grad_reference(arena *a, const node *n, const tensor *const *in,
                                tensor *const *out, const char **why) {
    (void)why;
    const window w = window_of(n);
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

static void emit_axes(text *t, const window *w, const char *name, const int64_t *extent) {
    for (int a = 3 - w->rank; a < 3; a++)
        text_printf(t, "    for (ptrdiff_t %s%d = 0; %s%d < %lld; %s%d++)\n", name, a, name, a,
                    (long long)extent[a], name, a);
}

static void max_body(emitter *e, const node *n, const window *w) {
    text *t = emit_helpers(e);
    const char *type = dtype_c(n->in[0]->type);
    text_printf(t, "        %s best = 0;\n        ptrdiff_t at = -1;\n", type);
    pool_emit_window(t, w, true, false);
    text_printf(t, "            const %s v = in1[%s];\n", type, pool_index(e, n->in[1], w, "i"));
    text_append(t,
                "            if (at >= 0 && !(v > best) && !(v != v && best == best)) continue;\n");
    text_printf(t, "            best = v;\n            at = %s;\n",
                pool_index(e, n->out[0], w, "i"));
    pool_emit_close(t, w);
    text_printf(t, "        if (at >= 0) out0[at] += in0[%s];\n", pool_index(e, n->in[0], w, "o"));
}

static void average_body(emitter *e, const node *n, const window *w) {
    text *t = emit_helpers(e);
    const char *type = dtype_c(n->in[0]->type);
    text_append(t, "        ptrdiff_t cells = 0;\n");
    pool_emit_window(t, w, false, node_int(n, "count_include_pad", 0) != 0);
    pool_emit_close(t, w);
    text_printf(t, "        const %s v = (%s)((double)in0[%s] / (double)cells);\n", type, type,
                pool_index(e, n->in[0], w, "o"));
    pool_emit_window(t, w, true, false);
    text_printf(t, "            out0[%s] += v;\n", pool_index(e, n->out[0], w, "i"));
    pool_emit_close(t, w);
}

static void pool_grad_emit(emitter *e, const node *n) {
    const window w = window_of(n);
    const shape *x = &n->out[0]->shape;
    text *t = emit_helpers(e);
    emit_task_open(e, n);
    text_printf(t,
                "    const ptrdiff_t image = (ptrdiff_t)(i / %lld), ch = (ptrdiff_t)(i %% %lld);\n",
                (long long)x->dim[1], (long long)x->dim[1]);
    emit_axes(t, &w, "i", w.in);
    text_printf(t, "        out0[%s] = 0;\n", pool_index(e, n->out[0], &w, "i"));
    emit_axes(t, &w, "o", w.out);
    text_append(t, "    {\n");
    (n->n_in > 1 ? max_body : average_body)(e, n, &w);
    text_append(t, "    }\n");
    emit_task_close(e, n, arena_printf(emit_arena(e), "%lld", (long long)(x->dim[0] * x->dim[1])),
                    (double)shape_count(x));
}

/* ---- rules ---- */

/* SAME pads are explicit here, so that ceil_mode, which has no say beside them, must not have
   one. */
static node *window_node(graph *g, const node *n, opcode op, value *const *in, size_t n_in,
                         const window *w) {
    node *back = grad_node(g, n, op, in, n_in, 1);
    const bool same = !strncmp(node_string(n, "auto_pad", "NOTSET"), "SAME_", 5);
    window_write(g, back, w);
    node_set_int(g, back, "ceil_mode", same ? 0 : node_int(n, "ceil_mode", 0));
    node_set_int(g, back, "count_include_pad", node_int(n, "count_include_pad", 0));
    return back;
}

bool max_pool_grad(graph *g, node *n, value *const *dout, value **din) {
    window w;
    if (!window_read(g->diag, n, &n->in[0]->shape, NULL, &w)) return false;
    return (din[0] = grad_infer(g, window_node(g, n, CAMEO_MaxPoolGrad,
                                               (value *[]){dout[0], n->in[0]}, 2, &w))) != NULL;
}

bool average_pool_grad(graph *g, node *n, value *const *dout, value **din) {
    const shape *x = &n->in[0]->shape;
    window w;
    if (!window_read(g->diag, n, x, NULL, &w)) return false;
    node *back = window_node(g, n, CAMEO_AveragePoolGrad, dout, 1, &w);
    node_set_ints(g, back, "x_shape", x->dim, (size_t)x->rank);
    return (din[0] = grad_infer(g, back)) != NULL;
}

bool global_max_pool_grad(graph *g, node *n, value *const *dout, value **din) {
    window w;
    if (!pool_global_window(&n->in[0]->shape, &w))
        BUG("a pool that infer accepted is inconsistent");
    return (din[0] = grad_infer(g, window_node(g, n, CAMEO_MaxPoolGrad,
                                               (value *[]){dout[0], n->in[0]}, 2, &w))) != NULL;
}

bool global_average_pool_grad(graph *g, node *n, value *const *dout, value **din) {
    const shape *x = &n->in[0]->shape;
    node *back = grad_node(g, n, CAMEO_GlobalAveragePoolGrad, dout, 1, 1);
    node_set_ints(g, back, "x_shape", x->dim, (size_t)x->rank);
    return (din[0] = grad_infer(g, back)) != NULL;
}

static const op_attr grad_attrs[] = {
    {.name = "ceil_mode", .kind = ATTR_INT},  {.name = "count_include_pad", .kind = ATTR_INT},
    {.name = "dilations", .kind = ATTR_INTS}, {.name = "kernel_shape", .kind = ATTR_INTS},
    {.name = "pads", .kind = ATTR_INTS},      {.name = "strides", .kind = ATTR_INTS},
    {.name = "x_shape", .kind = ATTR_INTS},   {.name = NULL}};

#define POOL_GRAD(row, operands, inferred, tested)                                            \
    {                                                                                         \
        .name = row, .domain = "cameo", .since = 1, .min_in = operands, .max_in = operands,   \
        .min_out = 1, .max_out = 1, .attrs = grad_attrs, .flags = OP_NHWC_IN | OP_ANY_LAYOUT, \
        .infer = inferred, .reference = pool_grad_reference, .emit = pool_grad_emit,          \
        .test = "test_ops_backward " tested                                                   \
    }

const op_row ops_pool_grad[] = {
    POOL_GRAD("MaxPoolGrad", 2, max_infer, "max_pool_grad"),
    POOL_GRAD("AveragePoolGrad", 1, average_infer, "average_pool_grad"),
    POOL_GRAD("GlobalAveragePoolGrad", 1, global_infer, "global_average_pool_grad"),
    {.name = NULL}};
