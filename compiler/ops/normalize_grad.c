/* Normalisation in training: BatchNormTrain (batch statistics, running ones beside, residual and activation fused) and its
   gradient BatchNormGrad (Ioffe & Szegedy, Batch Normalization, section 3), and DropoutTrain, which is its own gradient. */
#include "normalize.h"

#include <math.h>
#include <string.h>

#include "../../runtime/kernels/dropout.h"
#include "../grad.h"
#include "internal.h"
#include "pointwise.h"

/* ---- BatchNormTrain: X, scale, B, running mean, running variance, R? -> Y, mean, inv_std, new mean, new variance ---- */

static bool channel_vectors(graph *g, const node *n, size_t first, size_t last) {
    const shape *x = &n->in[0]->shape;
    if (x->rank < 2) return diag_error(g->diag, n, NULL, "the input has no channels");
    for (size_t i = first; i <= last; i++) {
        if (!type_check(g, n, i, 1u << n->in[0]->type)) return false;
        if (value_count(n->in[i]) != x->dim[1])
            return diag_error(g->diag, n, NULL, "input %zu has %lld elements, not one for each of %lld channels", i,
                              (long long)value_count(n->in[i]), (long long)x->dim[1]);
    }
    return true;
}

static bool like_input_0(graph *g, const node *n, size_t i) {
    if (!op_present(n, i)) return true;
    if (!type_check(g, n, i, 1u << n->in[0]->type)) return false;
    return shape_equal(&n->in[i]->shape, &n->in[0]->shape) ||
           diag_error(g->diag, n, NULL, "input %zu has another shape than input 0", i);
}

static bool batchnorm_train_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape;
    if (!type_check(g, n, 0, TYPES_FLOAT) || !channel_vectors(g, n, 1, 4) || !like_input_0(g, n, 5)) return false;
    const shape channels = {.rank = 1, .dim = {x->dim[1]}};
    if (shape_count(x) < 2 * x->dim[1])
        return diag_error(g->diag, n, "train with a larger --batch", "one value a channel has no variance");
    if (!op_set_output(g, n, 0, n->in[0]->type, x)) return false;
    for (size_t i = 1; i < 5; i++)
        if (!op_set_output(g, n, i, n->in[0]->type, &channels)) return false;
    return true;
}

static double momentum_of(const node *n) { return (double)node_float(n, "momentum", 0.9f); }

static bool batchnorm_train_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out, const char **why) {
    (void)why;
    const lanes l = lanes_of(a, &in[0]->shape, lanes_channel_mask(&in[0]->shape));
    const double length = (double)l.length, old = momentum_of(n);
    int64_t *base, *step, count;
    lanes_offsets(a, &l, &base, &count, &step);
    for (int64_t c = 0; c < count; c++) {
        const moments m = lane_moments(n, in[0], base[c], step, l.length);
        for (int64_t i = 0; i < l.length; i++) {
            const int64_t at = base[c] + step[i];
            double v = (tensor_get(in[0], at) - m.mean) * m.factor * tensor_get(in[1], c) + tensor_get(in[2], c);
            if (op_present(n, 5)) v += tensor_get(in[5], at);
            tensor_set(out[0], at, act_apply(n, v, 0));
        }
        tensor_set(out[1], c, m.mean);
        tensor_set(out[2], c, m.factor);
        tensor_set(out[3], c, old * tensor_get(in[3], c) + (1 - old) * m.mean);
        tensor_set(out[4], c, old * tensor_get(in[4], c) + (1 - old) * m.variance * length / (length - 1));
    }
    return true;
}

/* The new statistics may lie where the old ones do. */
static void emit_running(emitter *e, const node *n, const lanes *l, const char *type) {
    const double old = momentum_of(n);
    text *t = emit_helpers(e);
    text_printf(t, "    out1[i1] = (%s)mean;\n    out2[i1] = (%s)factor;\n", type, type);
    text_printf(t, "    out3[i1] = (%s)(%a * (double)in3[i1] + %a * mean);\n", type, old, 1 - old);
    text_printf(t, "    out4[i1] = (%s)(%a * (double)in4[i1] + %a * squares / %lld);\n", type, old, 1 - old,
                (long long)(l->length - 1));
}

static void batchnorm_train_emit(emitter *e, const node *n) {
    const lanes l = lanes_of(emit_arena(e), &n->in[0]->shape, lanes_channel_mask(&n->in[0]->shape));
    const char *type = dtype_c(n->in[0]->type);
    text *t = emit_helpers(e);
    lanes_open(e, n, &l);
    lane_emit_moments(e, n, &l);
    emit_running(e, n, &l, type);
    text_append(t, "    const double scale = (double)in1[i1] * factor, shift = (double)in2[i1];\n");
    lanes_loop(e, &l);
    text_printf(t, "        const %s v = (%s)(((double)in0[%s] - mean) * scale + shift", type, type,
                lanes_index(e, n, n->in[0], &l));
    if (op_present(n, 5)) text_printf(t, " + (double)in5[%s]", lanes_index(e, n, n->in[5], &l));
    text_printf(t, ");\n        out0[%s] = %s;\n", lanes_index(e, n, n->out[0], &l),
                act_expression(emit_arena(e), n, "v", "0.0f"));
    lanes_end(e, &l);
    lanes_close(e, n, &l);
}

/* The residual's gradient leaves the node where there is a residual. */
static bool batchnorm_train_grad(graph *g, node *n, value *const *dout, value **din) {
    static const char *const activation[] = {"act", "act_min", "act_max", NULL};
    const bool active = strcmp(node_string(n, "act", "none"), "none") != 0, residual = op_present(n, 5);
    value *in[] = {dout[0], n->in[0], n->in[1], n->out[1], n->out[2], n->out[0]};
    if (!dout[0]) return diag_error(g->diag, n, NULL, "gradients of batch statistics are not supported");
    node *back = grad_node(g, n, "BatchNormGrad", "cameo", in, active ? 6 : 5, residual ? 4 : 3);
    grad_copy_attributes(g, n, back, activation);
    if (!grad_infer(g, back)) return false;
    for (size_t i = 0; i < 3; i++) din[i] = back->out[i];
    if (residual) din[5] = back->out[3];
    return true;
}

/* ---- BatchNormGrad: dY, X, scale, mean, inv_std, Y? -> dX, dscale, dB, dR? ---- */

static bool batchnorm_grad_infer(graph *g, node *n) {
    const bool active = strcmp(node_string(n, "act", "none"), "none") != 0;
    if (!type_check(g, n, 0, TYPES_FLOAT) || !channel_vectors(g, n, 2, 4) || !like_input_0(g, n, 1) || !like_input_0(g, n, 5))
        return false;
    if (active != op_present(n, 5)) return diag_error(g->diag, n, NULL, "Y is given exactly where there is an activation");
    const shape channels = {.rank = 1, .dim = {n->in[0]->shape.dim[1]}};
    const shape *like[] = {&n->in[0]->shape, &channels, &channels, &n->in[0]->shape};
    for (size_t i = 0; i < n->n_out; i++)
        if (!op_set_output(g, n, i, n->in[0]->type, like[i])) return false;
    return true;
}

/* Where the activation passes a gradient on, seen from its result: a Relu above 0, a Clip strictly between its bounds. */
static bool passes(const node *n, double y) {
    if (!strcmp(node_string(n, "act", "none"), "relu")) return y > 0;
    return y > (double)node_float(n, "act_min", -INFINITY) && y < (double)node_float(n, "act_max", INFINITY);
}

static double masked(const node *n, const tensor *const *in, int64_t at) {
    return !op_present(n, 5) || passes(n, tensor_get(in[5], at)) ? tensor_get(in[0], at) : 0;
}

static bool batchnorm_grad_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out, const char **why) {
    (void)why;
    const lanes l = lanes_of(a, &in[0]->shape, lanes_channel_mask(&in[0]->shape));
    int64_t *base, *step, count;
    lanes_offsets(a, &l, &base, &count, &step);
    for (int64_t c = 0; c < count; c++) {
        const double mean = tensor_get(in[3], c), factor = tensor_get(in[4], c), length = (double)l.length;
        double sum = 0, product = 0;
        for (int64_t i = 0; i < l.length; i++) {
            const double dy = masked(n, in, base[c] + step[i]);
            sum += dy;
            product += dy * (tensor_get(in[1], base[c] + step[i]) - mean) * factor;
        }
        for (int64_t i = 0; i < l.length; i++) {
            const int64_t at = base[c] + step[i];
            const double dy = masked(n, in, at), x = (tensor_get(in[1], at) - mean) * factor;
            tensor_set(out[0], at, tensor_get(in[2], c) * factor * (dy - sum / length - x * product / length));
            if (n->n_out > 3 && out[3]) tensor_set(out[3], at, dy);
        }
        if (out[1]) tensor_set(out[1], c, product);
        if (out[2]) tensor_set(out[2], c, sum);
    }
    return true;
}

static const char *masked_text(emitter *e, const node *n, const lanes *l) {
    arena *a = emit_arena(e);
    const char *dy = arena_printf(a, "(double)in0[%s]", lanes_index(e, n, n->in[0], l));
    if (!op_present(n, 5)) return dy;
    const char *y = arena_printf(a, "in5[%s]", lanes_index(e, n, n->in[5], l)), *low = NULL, *high = NULL;
    if (!strcmp(node_string(n, "act", "none"), "relu")) return arena_printf(a, "%s > 0 ? %s : 0", y, dy);
    if (node_attr(n, "act_min")) low = arena_printf(a, "%s > %s", y, emit_float(e, (double)node_float(n, "act_min", 0)));
    if (node_attr(n, "act_max")) high = arena_printf(a, "%s < %s", y, emit_float(e, (double)node_float(n, "act_max", 0)));
    if (low && high) return arena_printf(a, "%s && %s ? %s : 0", low, high, dy);
    return arena_printf(a, "%s ? %s : 0", low ? low : high ? high : "1", dy);
}

/* Element i of dX and dR is written after dY and X were read there: both may be overwritten. */
static void batchnorm_grad_emit(emitter *e, const node *n) {
    const lanes l = lanes_of(emit_arena(e), &n->in[0]->shape, lanes_channel_mask(&n->in[0]->shape));
    const char *dy = masked_text(e, n, &l), *x = lanes_index(e, n, n->in[1], &l), *type = dtype_c(n->in[0]->type);
    text *t = emit_helpers(e);
    lanes_open(e, n, &l);
    text_append(t, "    const double mean = (double)in3[i1], factor = (double)in4[i1];\n    double sum = 0, product = 0;\n");
    lanes_loop(e, &l);
    text_printf(t, "        const double dy = %s;\n        sum += dy;\n", dy);
    text_printf(t, "        product += dy * (((double)in1[%s] - mean) * factor);\n", x);
    lanes_end(e, &l);
    if (n->out[1]) text_printf(t, "    out1[i1] = (%s)product;\n", type);
    if (n->out[2]) text_printf(t, "    out2[i1] = (%s)sum;\n", type);
    text_printf(t, "    const double scale = (double)in2[i1] * factor;\n    sum /= %lld, product *= factor / %lld;\n",
                (long long)l.length, (long long)l.length);
    lanes_loop(e, &l);
    text_printf(t, "        const double dy = %s, x = (double)in1[%s] - mean;\n", dy, x);
    text_printf(t, "        out0[%s] = (%s)(scale * (dy - sum - x * product));\n", lanes_index(e, n, n->out[0], &l), type);
    if (n->n_out > 3 && n->out[3]) text_printf(t, "        out3[%s] = (%s)dy;\n", lanes_index(e, n, n->out[3], &l), type);
    lanes_end(e, &l);
    lanes_close(e, n, &l);
}

/* ---- DropoutTrain: X, seed -> Y ---- */

static bool dropout_infer(graph *g, node *n) {
    const double ratio = (double)node_float(n, "ratio", 0.5f);
    if (!type_check(g, n, 0, TYPES_FLOAT) || !type_check(g, n, 1, 1u << DT_INT64)) return false;
    if (!(ratio >= 0 && ratio < 1)) return diag_error(g->diag, n, NULL, "ratio %g is outside 0..1", ratio);
    if (value_count(n->in[1]) != 1) return diag_error(g->diag, n, NULL, "the seed is not one number");
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

static uint64_t threshold_of(const node *n) { return (uint64_t)llround((double)node_float(n, "ratio", 0.5f) * 0x1p32); }
static double kept_scale(const node *n) { return 1 / (1 - (double)node_float(n, "ratio", 0.5f)); }

static bool dropout_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out, const char **why) {
    (void)a, (void)why;
    const uint64_t stream = cameo_dropout_stream(tensor_get_int(in[1], 0), (uint64_t)node_int(n, "id", 0));
    for (int64_t i = 0; i < shape_count(&in[0]->shape); i++) {
        const bool kept = cameo_dropout_keeps(stream, (uint64_t)i, threshold_of(n));
        tensor_set(out[0], i, kept ? tensor_get(in[0], i) * kept_scale(n) : 0);
    }
    return true;
}

static void dropout_emit(emitter *e, const node *n) {
    const value *x = n->in[0], *y = n->out[0];
    const int rank = x->shape.rank, outer = rank < 2 ? rank : 2;
    const char *type = dtype_c(x->type);
    int64_t element[MAX_RANK], from[MAX_RANK], to[MAX_RANK];
    text *t = emit_helpers(e);
    emit_task_open(e, n);
    emit_task_indices(e, x->shape.dim, outer);
    text_printf(t, "    const uint64_t stream = cameo_dropout_stream(in1[0], %llu);\n",
                (unsigned long long)node_int(n, "id", 0));
    for (int k = outer; k < rank; k++) emit_axis_loop(t, k, x->shape.dim[k]);
    value_strides(&(value){.shape = x->shape}, element);
    emit_strides(n, x, from);
    emit_strides(n, y, to);
    text_printf(t, "    const bool kept = cameo_dropout_keeps(stream, %s, %lluu);\n", emit_index(e, element, rank, NULL),
                (unsigned long long)threshold_of(n));
    text_printf(t, "    out0[%s] = kept ? (%s)((double)in0[%s] * %a) : 0;\n", emit_index(e, to, rank, NULL), type,
                emit_index(e, from, rank, NULL), kept_scale(n));
    for (int k = outer; k < rank; k++) text_append(t, "    }\n");
    emit_task_close(e, n, emit_task_count(e, n, x->shape.dim, outer), (double)value_count(x));
}

static bool dropout_grad(graph *g, node *n, value *const *dout, value **din) {
    node *back = grad_node(g, n, "DropoutTrain", "cameo", (value *const[]){dout[0], n->in[1]}, 2, 1);
    grad_copy_attributes(g, n, back, (const char *const[]){"ratio", "id", NULL});
    return (din[0] = grad_infer(g, back)) != NULL;
}

#define ACTIVATION \
    {.name = "act", .kind = ATTR_STRING}, {.name = "act_min", .kind = ATTR_FLOAT}, { .name = "act_max", .kind = ATTR_FLOAT }

static const op_attr train_attrs[] = {
    {.name = "epsilon", .kind = ATTR_FLOAT}, {.name = "momentum", .kind = ATTR_FLOAT}, ACTIVATION, {.name = NULL}};
static const op_attr grad_attrs[] = {ACTIVATION, {.name = NULL}};
static const op_attr dropout_attrs[] = {
    {.name = "ratio", .kind = ATTR_FLOAT}, {.name = "id", .kind = ATTR_INT}, {.name = NULL}};

const op_row ops_normalize_grad[] = {{.name = "BatchNormTrain",
                                      .domain = "cameo",
                                      .since = 1,
                                      .min_in = 5,
                                      .max_in = 6,
                                      .min_out = 5,
                                      .max_out = 5,
                                      .attrs = train_attrs,
                                      .flags = OP_NHWC | OP_ANY_LAYOUT,
                                      .infer = batchnorm_train_infer,
                                      .reference = batchnorm_train_reference,
                                      .grad = batchnorm_train_grad,
                                      .emit = batchnorm_train_emit,
                                      .test = "test_ops_backward batchnorm_train"},
                                     {.name = "BatchNormGrad",
                                      .domain = "cameo",
                                      .since = 1,
                                      .min_in = 5,
                                      .max_in = 6,
                                      .min_out = 3,
                                      .max_out = 4,
                                      .attrs = grad_attrs,
                                      .flags = OP_NHWC | OP_ANY_LAYOUT,
                                      .infer = batchnorm_grad_infer,
                                      .reference = batchnorm_grad_reference,
                                      .emit = batchnorm_grad_emit,
                                      .test = "test_ops_backward batchnorm_grad"},
                                     {.name = "DropoutTrain",
                                      .domain = "cameo",
                                      .since = 1,
                                      .min_in = 2,
                                      .max_in = 2,
                                      .min_out = 1,
                                      .max_out = 1,
                                      .attrs = dropout_attrs,
                                      .flags = OP_ELEMENTWISE | OP_ANY_LAYOUT | OP_INPLACE,
                                      .infer = dropout_infer,
                                      .reference = dropout_reference,
                                      .grad = dropout_grad,
                                      .emit = dropout_emit,
                                      .test = "test_ops_backward dropout_train"},
                                     {.name = NULL}};
