/* Rows of the internal domain "cameo", made by the fuse and layout passes: Conv and Gemm with
   bias, residual and activation in one node, ScaleShift (a BatchNormalization that stays), Reorder
   (NCHW <-> NHWC). */
#include "act.h"

#include <math.h>
#include <string.h>

#include "../emit/loops.h"
#include "chain.h"
#include "conv.h"
#include "row.h"

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

/* The slope of input 4; v is the variable. */
static const char *finished(emitter *e, const node *n, const char *channel) {
    const char *slope = !op_present(n, 4)            ? "0.0f"
                        : value_count(n->in[4]) == 1 ? "s[0]"
                                                     : arena_put(emit_arena(e), "s[$0]", channel);
    return act_expression(emit_arena(e), n, "v", slope);
}

static void emit_operands(emitter *e, const node *n, const char *const names[5]) {
    for (size_t i = 0; i < 5; i++)
        if (op_present(n, i)) emit_value(e, names[i], n->in[i], false);
    emit_value(e, "y", n->out[0], true);
}

static void gemm_emit(emitter *e, const node *n) {
    text *b = emit_body(e);
    emit_operands(e, n, (const char *const[]){"x", "w", "b", "r", "s"});
    if (node_is_batched(n))
        text_append(b, "    (void)c;\n    for (size_t i = 0; i < n; i++)\n");
    else
        text_put(b, "    (void)c, (void)n;\n    for (size_t i = 0; i < $0; i++)\n",
                 n->in[0]->shape.dim[0]);
    text_put(
        b,
        "        for (size_t j = 0; j < $0; j++) {\n"
        "            double sum = $1;\n"
        "            for (size_t k = 0; k < $2; k++) sum += (double)x[i * $2 + k] * (double)w[j * "
        "$2 + k];\n",
        n->in[1]->shape.dim[0], op_present(n, 2) ? "(double)b[j]" : "0", n->in[1]->shape.dim[1]);
    text_put(b,
             "$0"
             "            const float v = (float)sum;\n"
             "            y[i * $1 + j] = $2;\n"
             "        }\n",
             op_present(n, 3)
                 ? arena_put(emit_arena(e), "            sum += (double)r[i * $0 + j];\n",
                             n->in[1]->shape.dim[0])
                 : "",
             n->in[1]->shape.dim[0], finished(e, n, "j"));
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
        if (op_present(n, 3)) v += tensor_get(in[3], i);
        if (op_present(n, 4)) slope = tensor_get(in[4], shape_count(&in[4]->shape) == 1 ? 0 : c);
        tensor_set(out[0], i, act_apply(n, v, slope));
    }
    return true;
}

static void scale_emit(emitter *e, const node *n) {
    arena *a = emit_arena(e);
    emit_operands(e, n, (const char *const[]){"x", "scale", "shift", "r", "s"});
    text_append(emit_body(e), "    (void)c, (void)n;\n");
    emit_each(
        e, n, n->out[0],
        arena_put(a,
                  "        double sum = (double)x[$0] * (double)scale[i1] + (double)shift[i1];\n"
                  "$1"
                  "        const float v = (float)sum;\n"
                  "        y[$2] = $3;\n",
                  emit_index_of(e, n->in[0]),
                  op_present(n, 3)
                      ? arena_put(a, "        sum += (double)r[$0];\n", emit_index_of(e, n->in[3]))
                      : "",
                  emit_index_of(e, n->out[0]), finished(e, n, "i1")));
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
    text_put(
        emit_body(e),
        "    (void)c, (void)n;\n"
        "    for (size_t i = 0; i < $0; i++) {\n"
        "        const double k = (double)scale[i] / sqrt((double)variance[i] + $1);\n"
        "        factor[i] = (float)k, shift[i] = (float)((double)b[i] - (double)mean[i] * k);\n"
        "    }\n",
        value_count(n->in[0]), node_float(n, "epsilon", 1e-5f));
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
    emit_value(e, "x", n->in[0], false);
    emit_value(e, "y", n->out[0], true);
    text_append(emit_body(e), "    (void)c, (void)n;\n");
    emit_each(e, n, n->out[0],
              arena_put(emit_arena(e), "        y[$0] = x[$1];\n", emit_index_of(e, n->out[0]),
                        emit_index_of(e, n->in[0])));
}

/* clang-format off */
const op_row ops_internal[] = {
    {OP_INTERNAL("Conv", 2, 5, 1, 1, conv, "test_ops_shape internal_conv"),
     .flags = OP_NHWC | OP_ANY_LAYOUT | OP_BATCH_AXIS0 | OP_TAIL},
    {OP_INTERNAL("Gemm", 2, 5, 1, 1, gemm, "test_ops_shape internal_gemm"),
     .flags = OP_BATCH_AXIS0 | OP_TAIL},
    {OP_INTERNAL("ScaleShift", 3, 5, 1, 1, scale, "test_ops_shape internal_scale_shift"),
     .flags = OP_NHWC | OP_ANY_LAYOUT | OP_BATCH_AXIS0 | OP_INPLACE | OP_TAIL},
    {OP_INTERNAL("BatchNormAffine", 4, 4, 2, 2, affine, "test_native_nodes affine"),
     ATTRIBUTES(DEFAULT(FLOAT, "epsilon", 1e-5))},
    {OP_INTERNAL("Reorder", 1, 1, 1, 1, reorder, "test_ops_shape internal_reorder"),
     .flags = OP_ANY_LAYOUT | OP_BATCH_AXIS0},
    /* made with its kernel, so there are no plain loops */
    {OP_HEAD("cameo", "ConvChain", 1, 0, 3, -1, 1, 1, "test_back chains"),
     .infer = chain_infer, .reference = chain_reference, .flags = OP_BATCH_AXIS0},
    {.name = NULL}};
/* clang-format on */
