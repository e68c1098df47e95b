/* Rows of the internal domain "cameo", made by the fuse and layout passes: Conv and Gemm with
   bias, residual and activation in one node, ScaleShift (a BatchNormalization that stays), Reorder
   (NCHW <-> NHWC). */
#include "act.h"

#include <math.h>
#include <string.h>

#include "../emit/emit.h"
#include "chain.h"
#include "conv.h"
#include "row.h"

static const value *input(const node *n, size_t i) { return i < n->n_in ? n->in[i] : NULL; }

/* ---- Gemm ---- */

static bool gemm_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape, *w = &n->in[1]->shape;
    if (x->rank != 2 || w->rank != 2 || x->dim[1] != w->dim[1])
        return node_error(g, n, "operands X[M,K] and W[N,K] do not fit");
    shape y = {.rank = 2, .dim = {x->dim[0], w->dim[0]}};
    n->macs = (double)x->dim[0] * (double)w->dim[0] * (double)w->dim[1];
    return op_set_output(g, n, 0, DT_FLOAT, &y);
}

static OP_REFERENCE(gemm_reference) {
    const double *x = ref_doubles(a, in[0]), *w = ref_doubles(a, in[1]);
    const int64_t rows = in[0]->shape.dim[0], depth = in[0]->shape.dim[1],
                  columns = in[1]->shape.dim[0];
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            double sum = 0;
            for (int64_t k = 0; k < depth; k++) sum += x[i * depth + k] * w[j * depth + k];
            tensor_set(out[0], i * columns + j, conv_finish(n, in, sum, j, i * columns + j));
        }
    return true;
}

/* Slope and residual of the tail `y = act(v + r)`; v is the variable. */
static const char *slope_text(const node *n, size_t i, const char *channel, arena *a) {
    if (!input(n, i)) return "0.0f";
    return value_count(n->in[i]) == 1 ? "s[0]" : arena_printf(a, "s[%s]", channel);
}

static void gemm_emit(emitter *e, const node *n) {
    static const char *const names[] = {"x", "w", "b", "r", "s"};
    const long long columns = (long long)n->in[1]->shape.dim[0],
                    depth = (long long)n->in[1]->shape.dim[1];
    for (size_t i = 0; i < 5; i++)
        if (input(n, i)) emit_value(e, names[i], n->in[i], false);
    emit_value(e, "y", n->out[0], true);
    text *b = emit_body(e);
    if (node_is_batched(n))
        text_append(b, "    (void)c;\n    for (size_t i = 0; i < n; i++)\n");
    else
        text_printf(b, "    (void)c, (void)n;\n    for (size_t i = 0; i < %lld; i++)\n",
                    (long long)n->in[0]->shape.dim[0]);
    text_printf(b, "        for (size_t j = 0; j < %lld; j++) {\n            double sum = %s;\n",
                columns, input(n, 2) ? "(double)b[j]" : "0");
    text_printf(b,
                "            for (size_t k = 0; k < %lld; k++) sum += (double)x[i * %lld + k] * "
                "(double)w[j * %lld + k];\n",
                depth, depth, depth);
    if (input(n, 3)) text_printf(b, "            sum += (double)r[i * %lld + j];\n", columns);
    text_printf(
        b,
        "            const float v = (float)sum;\n            y[i * %lld + j] = %s;\n        }\n",
        columns, act_expression(emit_arena(e), n, "v", slope_text(n, 4, "j", emit_arena(e))));
}

/* ---- ScaleShift: X, scale, shift, R?, S? ---- */

static bool scale_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape;
    if (x->rank < 2) return node_error(g, n, "the input has no channels");
    for (size_t i = 1; i < 3; i++)
        if (value_count(n->in[i]) != x->dim[1])
            return node_error(g, n, "scale and shift need one value a channel");
    return op_set_output(g, n, 0, n->in[0]->type, x);
}

static OP_REFERENCE(scale_reference) {
    int64_t channels = in[0]->shape.dim[1], inner = 1, count = shape_count(&in[0]->shape);
    for (int i = 2; i < in[0]->shape.rank; i++) inner *= in[0]->shape.dim[i];
    for (int64_t i = 0; i < count; i++) {
        int64_t c = i / inner % channels;
        double v = tensor_get(in[0], i) * tensor_get(in[1], c) + tensor_get(in[2], c), slope = 0;
        if (n->n_in > 3 && in[3]) v += tensor_get(in[3], i);
        if (n->n_in > 4 && in[4])
            slope = tensor_get(in[4], shape_count(&in[4]->shape) == 1 ? 0 : c);
        tensor_set(out[0], i, act_apply(n, v, slope));
    }
    return true;
}

static const char *index_of(emitter *e, const value *v) {
    int64_t stride[MAX_RANK];
    value_strides(v, stride);
    return emit_index(e, stride, v->shape.rank, NULL);
}

static void scale_emit(emitter *e, const node *n) {
    static const char *const names[] = {"x", "scale", "shift", "r", "s"};
    const shape *y = &n->out[0]->shape;
    for (size_t i = 0; i < 5; i++)
        if (input(n, i)) emit_value(e, names[i], n->in[i], false);
    emit_value(e, "y", n->out[0], true);
    text *b = emit_body(e);
    text_append(b, "    (void)c, (void)n;\n");
    emit_loops_open(e, y->dim, y->rank, node_is_batched(n));
    text_printf(b, "        double sum = (double)x[%s] * (double)scale[i1] + (double)shift[i1];\n",
                index_of(e, n->in[0]));
    if (input(n, 3)) text_printf(b, "        sum += (double)r[%s];\n", index_of(e, n->in[3]));
    text_printf(b, "        const float v = (float)sum;\n        y[%s] = %s;\n",
                index_of(e, n->out[0]),
                act_expression(emit_arena(e), n, "v", slope_text(n, 4, "i1", emit_arena(e))));
    emit_loops_close(e, y->rank);
}

/* ---- BatchNormAffine: scale, B, mean, variance -> what ScaleShift takes. Of parameters that
   training changes ---- */

static bool affine_infer(graph *g, node *n) {
    for (size_t i = 1; i < 4; i++)
        if (value_count(n->in[i]) != value_count(n->in[0]))
            return node_error(g, n, "input %zu has another number of channels than input 0", i);
    const shape s = {.rank = 1, .dim = {value_count(n->in[0])}};
    return op_set_output(g, n, 0, DT_FLOAT, &s) && op_set_output(g, n, 1, DT_FLOAT, &s);
}

static OP_REFERENCE(affine_reference) {
    for (int64_t c = 0; c < shape_count(&in[0]->shape); c++) {
        const double scale = tensor_get(in[0], c) /
                             sqrt(tensor_get(in[3], c) + node_float(n, "epsilon", 1e-5f));
        tensor_set(out[0], c, scale);
        tensor_set(out[1], c, tensor_get(in[1], c) - tensor_get(in[2], c) * scale);
    }
    return true;
}

static void affine_emit(emitter *e, const node *n) {
    static const char *const names[] = {"scale", "b", "mean", "variance"};
    for (size_t i = 0; i < 4; i++) emit_value(e, names[i], n->in[i], false);
    emit_value(e, "factor", n->out[0], true);
    emit_value(e, "shift", n->out[1], true);
    text *b = emit_body(e);
    text_printf(b, "    (void)c, (void)n;\n    for (size_t i = 0; i < %lld; i++) {\n",
                (long long)value_count(n->in[0]));
    text_printf(b, "        const double k = (double)scale[i] / sqrt((double)variance[i] + %a);\n",
                node_float(n, "epsilon", 1e-5f));
    text_append(b, "        factor[i] = (float)k, shift[i] = (float)((double)b[i] - "
                   "(double)mean[i] * k);\n    }\n");
}

/* ---- Reorder ---- */

static bool reorder_infer(graph *g, node *n) {
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

static OP_REFERENCE(reorder_reference) {
    memcpy(out[0]->data, in[0]->data, tensor_bytes(in[0]));
    return true;
}

static void reorder_emit(emitter *e, const node *n) {
    const shape *y = &n->out[0]->shape;
    emit_value(e, "x", n->in[0], false);
    emit_value(e, "y", n->out[0], true);
    text *b = emit_body(e);
    text_append(b, "    (void)c, (void)n;\n");
    emit_loops_open(e, y->dim, y->rank, node_is_batched(n));
    text_printf(b, "        y[%s] = x[%s];\n", index_of(e, n->out[0]), index_of(e, n->in[0]));
    emit_loops_close(e, y->rank);
}

static const op_attr affine_attrs[] = {
    {.name = "epsilon", .kind = ATTR_FLOAT, .number = 1e-5, .has_default = true}, {.name = NULL}};

const op_row ops_internal[] = {
    {OP_INTERNAL("Conv", 2, 5, 1, 1, conv, "test_ops_shape internal_conv"),
     .flags = OP_NHWC | OP_ANY_LAYOUT | OP_BATCH_AXIS0},
    {OP_INTERNAL("Gemm", 2, 5, 1, 1, gemm, "test_ops_shape internal_gemm"),
     .flags = OP_BATCH_AXIS0},
    {OP_INTERNAL("ScaleShift", 3, 5, 1, 1, scale, "test_ops_shape internal_scale_shift"),
     .flags = OP_NHWC | OP_ANY_LAYOUT | OP_BATCH_AXIS0 | OP_INPLACE},
    {OP_INTERNAL("BatchNormAffine", 4, 4, 2, 2, affine, "test_native_nodes affine"),
     .attrs = affine_attrs},
    {OP_INTERNAL("Reorder", 1, 1, 1, 1, reorder, "test_ops_shape internal_reorder"),
     .flags = OP_ANY_LAYOUT | OP_BATCH_AXIS0},
    /* made with its kernel, so there are no plain loops */
    {.name = "ConvChain",
     .domain = "cameo",
     .since = 1,
     .min_in = 3,
     .max_in = -1,
     .min_out = 1,
     .max_out = 1,
     .infer = chain_infer,
     .reference = chain_reference,
     .test = "test_back chains",
     .flags = OP_BATCH_AXIS0},
    {.name = NULL},
};
