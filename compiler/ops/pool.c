/* Pools: MaxPool (with Indices, ceil_mode, dilations, storage_order), AveragePool,
   GlobalAveragePool, GlobalMaxPool, on 1 to 3 spatial axes. Padding never takes part in a maximum;
   the divisor of an average counts cells inside the input, and inside the pads with
   count_include_pad, never cells past the end pad that ceil_mode reaches. */
#include <math.h>

#include "pointwise.h"
#include "pool.h"
#include "row.h"

static bool is_maximum(const node *n) {
    return n->opcode == ONNX_MaxPool || n->opcode == ONNX_GlobalMaxPool;
}

static bool is_global(const node *n) {
    return n->opcode == ONNX_GlobalMaxPool || n->opcode == ONNX_GlobalAveragePool ||
           n->opcode == CAMEO_GlobalAveragePoolGrad;
}

static bool pool_infer(graph *g, node *n) {
    const value *x = n->in[0];
    const unsigned more = n->opcode == ONNX_MaxPool ? 1u << DT_INT8 | 1u << DT_UINT8 : 0;
    window w;
    if (!type_is(x->type, TYPES_FLOAT | more))
        return diag_error(g->diag, n, "convert the model to float32", "type %s is not supported",
                          dtype_name(x->type));
    if (!is_global(n) && !window_read(g->diag, n, &x->shape, NULL, &w)) return false;
    if (is_global(n) && !pool_global_window(&x->shape, &w))
        return node_unsupported(g, n, "an input of rank %d is not supported (3 to 5 are)",
                                x->shape.rank);
    const shape y = window_shape(&w, x->shape.dim[0], x->shape.dim[1]);
    return op_set_output(g, n, 0, x->type, &y) && op_set_output(g, n, 1, DT_INT64, &y);
}

bool pool_global_window(const shape *x, window *w) {
    *w = (window){.rank = x->rank - 2};
    for (int i = 0; i < 3; i++) w->in[i] = w->out[i] = w->k[i] = w->stride[i] = w->dilation[i] = 1;
    for (int i = 0; i < w->rank && w->rank <= 3; i++)
        w->in[3 - w->rank + i] = w->k[3 - w->rank + i] = x->dim[2 + i];
    return w->rank >= 1 && w->rank <= 3;
}

window pool_window(const node *n, const shape *x) {
    window w;
    if (!is_global(n)) return window_again(n, x, NULL);
    if (!pool_global_window(x, &w)) BUG("a pool that infer accepted is inconsistent");
    return w;
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

static OP_REFERENCE(pool_reference) {
    const bool pads = node_int(n, "count_include_pad", 0) != 0,
               columns = node_int(n, "storage_order", 0) != 0, maximum = is_maximum(n);
    const shape *s = &in[0]->shape;
    const window w = pool_window(n, s);
    const double *x = ref_doubles(a, in[0]);
    const int64_t plane = w.in[0] * w.in[1] * w.in[2];
    int64_t at = 0, o[3];
    for (int64_t p = 0; p < s->dim[0] * s->dim[1]; p++)
        for (o[0] = 0; o[0] < w.out[0]; o[0]++)
            for (o[1] = 0; o[1] < w.out[1]; o[1]++)
                for (o[2] = 0; o[2] < w.out[2]; o[2]++, at++) {
                    const cell r = pool_visit(&w, x + p * plane, o);
                    if (out[0])
                        tensor_set(out[0], at, maximum ? r.best : r.sum / pool_cells(&w, o, pads));
                    if (n->n_out > 1 && out[1])
                        ((int64_t *)out[1]->data)[at] =
                            r.at < 0 ? 0 : p * plane + (columns ? column_major(&w, r.at) : r.at);
                }
    return true;
}

/* ---- emit ---- */

/* Cells in the pads are skipped after the divisor has counted them. */
void pool_emit_cells(text *t, const window *w, bool pads) {
    if (!pads) window_taps(t, w);
    for (int a = 3 - w->rank; pads && a < 3; a++)
        text_put(t,
                 "        for (ptrdiff_t k$0 = 0; k$0 < $1; k$0++) {\n"
                 "            const ptrdiff_t i$0 = o$0 * $2 - $3 + k$0 * $4;\n"
                 "            if (i$0 >= $5) continue;\n",
                 a, w->k[a], w->stride[a], w->begin[a], w->dilation[a], w->in[a] + w->end[a]);
    text_append(t, "            cells++;\n");
    for (int a = 3 - w->rank; pads && a < 3; a++)
        text_put(t, "            if (i$0 < 0 || i$0 >= $1) continue;\n", a, w->in[a]);
}

static const char *indices_text(emitter *e, const node *n, const window *w) {
    const bool columns = node_int(n, "storage_order", 0) != 0;
    const char *s = "0";
    for (int i = 0; i < w->rank; i++) {
        int axis = columns ? 2 - i : 3 - w->rank + i;
        s = arena_put(emit_arena(e), "($0) * $1 + i$2", s, w->in[axis], axis);
    }
    return arena_put(emit_arena(e), "(image * $0 + ch) * $1 + $2", n->in[0]->shape.dim[1],
                     w->in[0] * w->in[1] * w->in[2], s);
}

const char *pool_index(emitter *e, const value *v, const window *w, const char *prefix) {
    return window_index(e, v, w, "image", "ch", prefix);
}

static void emit_maximum(emitter *e, const node *n, const window *w) {
    text *b = emit_body(e);
    const value *x = n->in[0], *y = n->out[0], *indices = n->n_out > 1 ? n->out[1] : NULL;
    text_put(b, "        $0 best = $1;\n        bool any = false;\n$2", dtype_c(x->type),
             x->type == DT_INT8    ? "-128"
             : x->type == DT_UINT8 ? "0"
                                   : "-INFINITY",
             indices ? "        int64_t at = 0;\n" : "");
    window_taps(b, w);
    text_put(b,
             "            const $0 v = x[$1];\n"
             "            if (any && !(v > best)$2) continue;\n"
             "            any = true;\n"
             "            best = v;\n",
             dtype_c(x->type), pool_index(e, x, w, "i"),
             type_is(x->type, TYPES_FLOAT) ? " && !(v != v && best == best)" : "");
    if (indices) text_put(b, "            at = $0;\n", indices_text(e, n, w));
    window_end(b, w);
    if (y) text_put(b, "        y[$0] = best;\n", pool_index(e, y, w, "o"));
    if (indices) text_put(b, "        at_best[$0] = at;\n", pool_index(e, indices, w, "o"));
}

static void emit_average(emitter *e, const node *n, const window *w) {
    text *b = emit_body(e);
    text_append(b, "        double sum = 0;\n        ptrdiff_t cells = 0;\n");
    pool_emit_cells(b, w, node_int(n, "count_include_pad", 0) != 0);
    text_put(b, "            sum += (double)x[$0];\n", pool_index(e, n->in[0], w, "i"));
    window_end(b, w);
    text_put(b, "        y[$0] = ($1)(sum / (double)cells);\n", pool_index(e, n->out[0], w, "o"),
             dtype_c(n->in[0]->type));
}

static void pool_emit(emitter *e, const node *n) {
    const shape *x = &n->in[0]->shape;
    const window w = pool_window(n, x);
    text *b = emit_body(e);
    emit_value(e, "x", n->in[0], false);
    if (n->out[0]) emit_value(e, "y", n->out[0], true);
    if (n->n_out > 1 && n->out[1]) emit_value(e, "at_best", n->out[1], true);
    text_put(b,
             "    (void)c, (void)n;\n"
             "    for (ptrdiff_t image = 0; image < $0; image++)\n"
             "    for (ptrdiff_t ch = 0; ch < $1; ch++)\n",
             node_is_batched(n) ? "(ptrdiff_t)n" : arena_put(emit_arena(e), "$0", x->dim[0]),
             x->dim[1]);
    window_loops(b, &w, "o", w.out);
    text_append(b, "    {\n");
    (is_maximum(n) ? emit_maximum : emit_average)(e, n, &w);
    text_append(b, "    }\n");
}

/* A window of one element that steps by one. */
static int pool_same(const graph *g, const node *n) {
    (void)g;
    window w;
    if (!window_read(NULL, n, &n->in[0]->shape, NULL, &w)) return -1;
    for (int a = 3 - w.rank; a < 3; a++)
        if (w.k[a] != 1 || w.stride[a] != 1 || w.begin[a] || w.end[a]) return -1;
    return 0;
}

/* clang-format off */
#define POOL(name, outputs, tested_by, rule)                                            \
    OP_ONNX(name, 1, 0, 1, 1, 1, outputs, pool, tested_by),                             \
    .flags = OP_NHWC | OP_ANY_LAYOUT | OP_BATCH_AXIS0, .grad = rule
#define WINDOWED                                                                        \
    ATTRIBUTES(DEFAULT_WORD("auto_pad", "NOTSET"), DEFAULT(INT, "ceil_mode", 0),        \
               DEFAULT(INT, "count_include_pad", 0), ATTR(INTS, "dilations"),           \
               NEEDED(INTS, "kernel_shape"), ATTR(INTS, "pads"),                        \
               DEFAULT(INT, "storage_order", 0), ATTR(INTS, "strides")),                \
    .same = pool_same

const op_row ops_pool[] = {
    {POOL("MaxPool", 2, "test_maxpool_2d_default", max_pool_grad), WINDOWED},
    {POOL("AveragePool", 1, "test_averagepool_2d_default", average_pool_grad), WINDOWED},
    {POOL("GlobalAveragePool", 1, "test_globalaveragepool", global_average_pool_grad)},
    {POOL("GlobalMaxPool", 1, "test_globalmaxpool", max_pool_grad)},
    {.name = NULL}};
/* clang-format on */
