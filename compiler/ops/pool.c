/* Pools: MaxPool (with Indices, ceil_mode, dilations, storage_order), AveragePool,
   GlobalAveragePool, GlobalMaxPool, on 1 to 3 spatial axes. Padding never takes part in a maximum;
   the divisor of an average counts cells inside the input, and inside the pads with
   count_include_pad, never cells past the end pad that ceil_mode reaches. */
#include <math.h>

#include "pool.h"

static bool is_float(dtype t) { return t == DT_FLOAT || t == DT_DOUBLE; }

static bool pool_infer(graph *g, node *n, bool maximum) {
    const value *x = n->in[0];
    window w;
    if (!is_float(x->type) && !(maximum && (x->type == DT_INT8 || x->type == DT_UINT8)))
        return diag_error(g->diag, n, "convert the model to float32", "type %s is not supported",
                          dtype_name(x->type));
    if (!window_read(g->diag, n, &x->shape, NULL, &w)) return false;
    shape y = window_shape(&w, x->shape.dim[0], x->shape.dim[1]);
    return op_set_output(g, n, 0, x->type, &y) &&
           (n->n_out < 2 || op_set_output(g, n, 1, DT_INT64, &y));
}

static bool max_infer(graph *g, node *n) { return pool_infer(g, n, true); }
static bool average_infer(graph *g, node *n) { return pool_infer(g, n, false); }

bool pool_global_window(const shape *x, window *w) {
    *w = (window){.rank = x->rank - 2};
    for (int i = 0; i < 3; i++) w->in[i] = w->out[i] = w->k[i] = w->stride[i] = w->dilation[i] = 1;
    for (int i = 0; i < w->rank && w->rank <= 3; i++)
        w->in[3 - w->rank + i] = w->k[3 - w->rank + i] = x->dim[2 + i];
    return w->rank >= 1 && w->rank <= 3;
}

static bool global_infer(graph *g, node *n) {
    const value *x = n->in[0];
    window w;
    if (!is_float(x->type))
        return diag_error(g->diag, n, "convert the model to float32", "type %s is not supported",
                          dtype_name(x->type));
    if (!pool_global_window(&x->shape, &w))
        return diag_error(g->diag, n, DIAG_UNSUPPORTED,
                          "an input of rank %d is not supported (3 to 5 are)", x->shape.rank);
    shape y = window_shape(&w, x->shape.dim[0], x->shape.dim[1]);
    return op_set_output(g, n, 0, x->type, &y);
}

/* ---- reference ---- */

void pool_inside(const window *w, int a, int64_t o, int64_t *first, int64_t *last) {
    int64_t at = o * w->stride[a] - w->begin[a];
    *first = *last = 0;
    while (*first < w->k[a] && at + *first * w->dilation[a] < 0) ++*first;
    *last = *first;
    while (*last < w->k[a] && at + *last * w->dilation[a] < w->in[a]) ++*last;
}

/* Cells that count for the divisor along one axis. */
static int64_t counted(const window *w, int a, int64_t o, bool pads) {
    int64_t count = 0, low = pads ? -w->begin[a] : 0, high = w->in[a] + (pads ? w->end[a] : 0);
    for (int64_t k = 0; k < w->k[a]; k++) {
        int64_t at = o * w->stride[a] - w->begin[a] + k * w->dilation[a];
        count += at >= low && at < high;
    }
    return count;
}

double pool_cells(const window *w, const int64_t o[3], bool pads) {
    return (double)(counted(w, 0, o[0], pads) * counted(w, 1, o[1], pads) *
                    counted(w, 2, o[2], pads));
}

cell pool_visit(const window *w, const double *x, const int64_t o[3]) {
    cell r = {-INFINITY, 0, -1};
    int64_t f[3], l[3];
    for (int a = 0; a < 3; a++) pool_inside(w, a, o[a], &f[a], &l[a]);
    for (int64_t k0 = f[0]; k0 < l[0]; k0++)
        for (int64_t k1 = f[1]; k1 < l[1]; k1++)
            for (int64_t k2 = f[2]; k2 < l[2]; k2++) {
                int64_t i0 = o[0] * w->stride[0] - w->begin[0] + k0 * w->dilation[0],
                        i1 = o[1] * w->stride[1] - w->begin[1] + k1 * w->dilation[1];
                int64_t at = (i0 * w->in[1] + i1) * w->in[2] + o[2] * w->stride[2] - w->begin[2] +
                             k2 * w->dilation[2];
                r.sum += x[at];
                if (r.at < 0 || x[at] > r.best || (isnan(x[at]) && !isnan(r.best)))
                    r.best = x[at], r.at = at;
            }
    return r;
}

static int64_t column_major(const window *w, int64_t at) {
    int64_t i2 = at % w->in[2], i1 = at / w->in[2] % w->in[1], i0 = at / w->in[2] / w->in[1];
    if (w->rank == 1) return at;
    return w->rank == 2 ? i2 * w->in[1] + i1 : (i2 * w->in[1] + i1) * w->in[0] + i0;
}

static void run_pool(const node *n, const window *w, const double *x, int64_t planes,
                     tensor *const *out, bool maximum) {
    const bool pads = node_int(n, "count_include_pad", 0) != 0,
               columns = node_int(n, "storage_order", 0) != 0;
    const int64_t plane = w->in[0] * w->in[1] * w->in[2];
    int64_t at = 0, o[3];
    for (int64_t p = 0; p < planes; p++)
        for (o[0] = 0; o[0] < w->out[0]; o[0]++)
            for (o[1] = 0; o[1] < w->out[1]; o[1]++)
                for (o[2] = 0; o[2] < w->out[2]; o[2]++, at++) {
                    cell r = pool_visit(w, x + p * plane, o);
                    if (out[0])
                        tensor_set(out[0], at, maximum ? r.best : r.sum / pool_cells(w, o, pads));
                    if (maximum && n->n_out > 1 && out[1])
                        ((int64_t *)out[1]->data)[at] =
                            r.at < 0 ? 0 : p * plane + (columns ? column_major(w, r.at) : r.at);
                }
}

static bool pool_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                           const char **why, bool maximum, bool global) {
    const shape *x = &in[0]->shape;
    window w;
    if (!(global ? pool_global_window(x, &w) : window_read(NULL, n, x, NULL, &w))) {
        *why = "the attributes contradict the shapes";
        return false;
    }
    run_pool(n, &w, ref_doubles(a, in[0]), x->dim[0] * x->dim[1], out, maximum);
    return true;
}

#define REFERENCE(name, maximum, global)                                                   \
    static bool name(arena *a, const node *n, const tensor *const *in, tensor *const *out, \
                     const char **why) {                                                   \
        return pool_reference(a, n, in, out, why, maximum, global);                        \
    }
REFERENCE(max_reference, true, false)
REFERENCE(average_reference, false, false)
REFERENCE(global_max_reference, true, true)
REFERENCE(global_average_reference, false, true)

/* ---- emit ---- */

const char *pool_index(emitter *e, const value *v, const window *w, const char *prefix) {
    arena *a = emit_arena(e);
    const char *names[MAX_RANK] = {"image", "ch"};
    int64_t stride[MAX_RANK];
    value_strides(v, stride);
    for (int i = 0; i < w->rank; i++)
        names[2 + i] = arena_printf(a, "%s%d", prefix, 3 - w->rank + i);
    return emit_index(e, stride, w->rank + 2, names);
}

/* Taps outside the input are skipped after the divisor has counted them where it must. */
void pool_emit_window(text *b, const window *w, bool maximum, bool pads) {
    for (int a = 3 - w->rank; a < 3; a++) {
        text_printf(b, "        for (ptrdiff_t k%d = 0; k%d < %lld; k%d++) {\n", a, a,
                    (long long)w->k[a], a);
        text_printf(b, "            const ptrdiff_t i%d = o%d * %lld - %lld + k%d * %lld;\n", a, a,
                    (long long)w->stride[a], (long long)w->begin[a], a, (long long)w->dilation[a]);
        if (maximum || !pads)
            text_printf(b, "            if (i%d < 0 || i%d >= %lld) continue;\n", a, a,
                        (long long)w->in[a]);
        else
            text_printf(b, "            if (i%d >= %lld) continue;\n", a,
                        (long long)(w->in[a] + w->end[a]));
    }
    if (maximum) return;
    text_append(b, "            cells++;\n");
    for (int a = 3 - w->rank; pads && a < 3; a++)
        text_printf(b, "            if (i%d < 0 || i%d >= %lld) continue;\n", a, a,
                    (long long)w->in[a]);
}

void pool_emit_close(text *t, const window *w) {
    for (int a = 3 - w->rank; a < 3; a++) text_append(t, "        }\n");
}

static const char *indices_text(emitter *e, const node *n, const window *w) {
    arena *a = emit_arena(e);
    const bool columns = node_int(n, "storage_order", 0) != 0;
    const char *s = "0";
    for (int i = 0; i < w->rank; i++) {
        int axis = columns ? 2 - i : 3 - w->rank + i;
        s = arena_printf(a, "(%s) * %lld + i%d", s, (long long)w->in[axis], axis);
    }
    return arena_printf(a, "(image * %lld + ch) * %lld + %s", (long long)n->in[0]->shape.dim[1],
                        (long long)(w->in[0] * w->in[1] * w->in[2]), s);
}

static void emit_maximum(emitter *e, const node *n, const window *w, const char *type) {
    text *b = emit_body(e);
    const value *y = n->out[0], *indices = n->n_out > 1 ? n->out[1] : NULL;
    const char *low = n->in[0]->type == DT_INT8    ? "-128"
                      : n->in[0]->type == DT_UINT8 ? "0"
                                                   : "-INFINITY";
    text_printf(b, "        %s best = %s;\n        bool any = false;\n%s", type, low,
                indices ? "        int64_t at = 0;\n" : "");
    pool_emit_window(b, w, true, false);
    text_printf(b, "            const %s v = x[%s];\n", type, pool_index(e, n->in[0], w, "i"));
    text_printf(b,
                "            if (any && !(v > best)%s) continue;\n            any = true;\n        "
                "    best = v;\n",
                is_float(n->in[0]->type) ? " && !(v != v && best == best)" : "");
    if (indices) text_printf(b, "            at = %s;\n", indices_text(e, n, w));
    pool_emit_close(b, w);
    if (y) text_printf(b, "        y[%s] = best;\n", pool_index(e, y, w, "o"));
    if (indices) text_printf(b, "        at_best[%s] = at;\n", pool_index(e, indices, w, "o"));
}

static void emit_average(emitter *e, const node *n, const window *w, const char *type) {
    text *b = emit_body(e);
    text_append(b, "        double sum = 0;\n        ptrdiff_t cells = 0;\n");
    pool_emit_window(b, w, false, node_int(n, "count_include_pad", 0) != 0);
    text_printf(b, "            sum += (double)x[%s];\n", pool_index(e, n->in[0], w, "i"));
    pool_emit_close(b, w);
    text_printf(b, "        y[%s] = (%s)(sum / (double)cells);\n", pool_index(e, n->out[0], w, "o"),
                type);
}

static void emit_pool(emitter *e, const node *n, bool maximum, bool global) {
    const shape *x = &n->in[0]->shape;
    const char *type = dtype_c(n->in[0]->type);
    text *b = emit_body(e);
    window w;
    if (!(global ? pool_global_window(x, &w) : window_read(NULL, n, x, NULL, &w)))
        BUG("a pool that infer accepted is inconsistent");
    emit_value(e, "x", n->in[0], false);
    if (n->out[0]) emit_value(e, "y", n->out[0], true);
    if (n->n_out > 1 && n->out[1]) emit_value(e, "at_best", n->out[1], true);
    text_append(b, "    (void)c, (void)n;\n");
    if (node_is_batched(n))
        text_append(b, "    for (ptrdiff_t image = 0; image < (ptrdiff_t)n; image++)\n");
    else
        text_printf(b, "    for (ptrdiff_t image = 0; image < %lld; image++)\n",
                    (long long)x->dim[0]);
    text_printf(b, "    for (ptrdiff_t ch = 0; ch < %lld; ch++)\n", (long long)x->dim[1]);
    for (int a = 3 - w.rank; a < 3; a++)
        text_printf(b, "    for (ptrdiff_t o%d = 0; o%d < %lld; o%d++)\n", a, a,
                    (long long)w.out[a], a);
    text_append(b, "    {\n");
    if (maximum)
        emit_maximum(e, n, &w, type);
    else
        emit_average(e, n, &w, type);
    text_append(b, "    }\n");
}

static void max_emit(emitter *e, const node *n) { emit_pool(e, n, true, false); }
static void average_emit(emitter *e, const node *n) { emit_pool(e, n, false, false); }
static void global_max_emit(emitter *e, const node *n) { emit_pool(e, n, true, true); }
static void global_average_emit(emitter *e, const node *n) { emit_pool(e, n, false, true); }

/* A window of one element that steps by one. */
static int pool_same(const graph *g, const node *n) {
    (void)g;
    window w;
    if (!window_read(NULL, n, &n->in[0]->shape, NULL, &w)) return -1;
    for (int a = 3 - w.rank; a < 3; a++)
        if (w.k[a] != 1 || w.stride[a] != 1 || w.begin[a] || w.end[a]) return -1;
    return 0;
}

static const op_attr pool_attrs[] = {{"auto_pad", ATTR_STRING, false, 0, "NOTSET", true},
                                     {"ceil_mode", ATTR_INT, false, 0, NULL, true},
                                     {"count_include_pad", ATTR_INT, false, 0, NULL, true},
                                     {"dilations", ATTR_INTS, false, 0, NULL, false},
                                     {"kernel_shape", ATTR_INTS, true, 0, NULL, false},
                                     {"pads", ATTR_INTS, false, 0, NULL, false},
                                     {"storage_order", ATTR_INT, false, 0, NULL, true},
                                     {"strides", ATTR_INTS, false, 0, NULL, false},
                                     {NULL, ATTR_OTHER, false, 0, NULL, false}};

#define POOL_FLAGS (OP_NHWC | OP_ANY_LAYOUT | OP_BATCH_AXIS0)

const op_row ops_pool[] = {{.name = "MaxPool",
                            .domain = "",
                            .since = 1,
                            .min_in = 1,
                            .max_in = 1,
                            .min_out = 1,
                            .max_out = 2,
                            .attrs = pool_attrs,
                            .flags = POOL_FLAGS,
                            .infer = max_infer,
                            .reference = max_reference,
                            .grad = max_pool_grad,
                            .emit = max_emit,
                            .same = pool_same,
                            .test = "test_maxpool_2d_default"},
                           {.name = "AveragePool",
                            .domain = "",
                            .since = 1,
                            .min_in = 1,
                            .max_in = 1,
                            .min_out = 1,
                            .max_out = 1,
                            .attrs = pool_attrs,
                            .flags = POOL_FLAGS,
                            .infer = average_infer,
                            .reference = average_reference,
                            .grad = average_pool_grad,
                            .emit = average_emit,
                            .same = pool_same,
                            .test = "test_averagepool_2d_default"},
                           {.name = "GlobalAveragePool",
                            .domain = "",
                            .since = 1,
                            .min_in = 1,
                            .max_in = 1,
                            .min_out = 1,
                            .max_out = 1,
                            .flags = POOL_FLAGS,
                            .infer = global_infer,
                            .reference = global_average_reference,
                            .grad = global_average_pool_grad,
                            .emit = global_average_emit,
                            .test = "test_globalaveragepool"},
                           {.name = "GlobalMaxPool",
                            .domain = "",
                            .since = 1,
                            .min_in = 1,
                            .max_in = 1,
                            .min_out = 1,
                            .max_out = 1,
                            .flags = POOL_FLAGS,
                            .infer = global_infer,
                            .reference = global_max_reference,
                            .grad = global_max_pool_grad,
                            .emit = global_max_emit,
                            .test = "test_globalmaxpool"},
                           {.name = NULL}};
