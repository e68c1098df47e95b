/* Normalisation in training: BatchNormTrain (batch statistics, running ones beside, residual and
   activation fused) and its gradient BatchNormGrad (Ioffe & Szegedy, Batch Normalization, section
   3); DropoutTrain, which is its own gradient; the rules of normalisations that are the same in
   training and evaluation, and their rows Standardize, StandardizeGrad and LRNGrad. */
#include "normalize.h"

#include <math.h>
#include <string.h>

#include "../../runtime/kernels/dropout.h"
#include "../ir/grad.h"
#include "act.h"
#include "internal_row.h"
#include "pointwise.h"

enum { LRN_CHANNELS = 16384 }; /* two arrays of so many numbers on a thread's stack */

/* ---- BatchNormTrain: X, scale, B, running mean, running variance, R? -> Y, mean, inv_std, new
   mean, new variance ---- */

static bool channel_vectors(graph *g, const node *n, size_t first, size_t last) {
    const shape *x = &n->in[0]->shape;
    if (x->rank < 2) return diag_error(g->diag, n, NULL, "the input has no channels");
    for (size_t i = first; i <= last; i++) {
        if (!type_check(g, n, i, 1u << n->in[0]->type)) return false;
        if (value_count(n->in[i]) != x->dim[1])
            return diag_error(g->diag, n, NULL,
                              "input %zu has %lld elements, not one for each of %lld channels", i,
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
    if (!type_check(g, n, 0, TYPES_FLOAT) || !channel_vectors(g, n, 1, 4) || !like_input_0(g, n, 5))
        return false;
    const shape channels = {.rank = 1, .dim = {x->dim[1]}};
    if (shape_count(x) < 2 * x->dim[1])
        return diag_error(g->diag, n, "train with a larger --batch",
                          "one value a channel has no variance");
    if (!op_set_output(g, n, 0, n->in[0]->type, x)) return false;
    for (size_t i = 1; i < 5; i++)
        if (!op_set_output(g, n, i, n->in[0]->type, &channels)) return false;
    return true;
}

static double momentum_of(const node *n) { return (double)node_float(n, "momentum", 0.9f); }

static bool batchnorm_train_reference(arena *a, const node *n, const tensor *const *in,
                                      tensor *const *out, const char **why) {
    (void)why;
    const lanes l = lanes_of(a, &in[0]->shape, lanes_channel_mask(&in[0]->shape));
    const double length = (double)l.length, old = momentum_of(n);
    int64_t *base, *step, count;
    lanes_offsets(a, &l, &base, &count, &step);
    for (int64_t c = 0; c < count; c++) {
        const moments m = lane_moments(n, in[0], base[c], step, l.length);
        for (int64_t i = 0; i < l.length; i++) {
            const int64_t at = base[c] + step[i];
            double v = (tensor_get(in[0], at) - m.mean) * m.factor * tensor_get(in[1], c) +
                       tensor_get(in[2], c);
            if (op_present(n, 5)) v += tensor_get(in[5], at);
            tensor_set(out[0], at, act_apply(n, v, 0));
        }
        tensor_set(out[1], c, m.mean);
        tensor_set(out[2], c, m.factor);
        tensor_set(out[3], c, old * tensor_get(in[3], c) + (1 - old) * m.mean);
        tensor_set(out[4], c,
                   old * tensor_get(in[4], c) + (1 - old) * m.variance * length / (length - 1));
    }
    return true;
}

/* The new statistics may lie where the old ones do. */
static void emit_running(emitter *e, const node *n, const lanes *l, const char *type) {
    const double old = momentum_of(n);
    text *t = emit_helpers(e);
    text_printf(t, "    out1[i1] = (%s)mean;\n    out2[i1] = (%s)factor;\n", type, type);
    text_printf(t, "    out3[i1] = (%s)(%a * (double)in3[i1] + %a * mean);\n", type, old, 1 - old);
    text_printf(t, "    out4[i1] = (%s)(%a * (double)in4[i1] + %a * squares / %lld);\n", type, old,
                1 - old, (long long)(l->length - 1));
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
    const bool active = has_act(n), residual = op_present(n, 5);
    value *in[] = {dout[0], n->in[0], n->in[1], n->out[1], n->out[2], n->out[0]};
    if (!dout[0])
        return diag_error(g->diag, n, DIAG_UNSUPPORTED,
                          "gradients of batch statistics are not supported");
    node *back = grad_node(g, n, CAMEO_BatchNormGrad, in, active ? 6 : 5, residual ? 4 : 3);
    grad_copy_attributes(g, n, back, activation);
    if (!grad_infer(g, back)) return false;
    for (size_t i = 0; i < 3; i++) din[i] = back->out[i];
    if (residual) din[5] = back->out[3];
    return true;
}

/* ---- BatchNormGrad: dY, X, scale, mean, inv_std, Y? -> dX, dscale, dB, dR? ---- */

static bool batchnorm_grad_infer(graph *g, node *n) {
    const bool active = has_act(n);
    if (!type_check(g, n, 0, TYPES_FLOAT) || !channel_vectors(g, n, 2, 4) ||
        !like_input_0(g, n, 1) || !like_input_0(g, n, 5))
        return false;
    if (active != op_present(n, 5))
        return diag_error(g->diag, n, NULL, "Y is given exactly where there is an activation");
    const shape channels = {.rank = 1, .dim = {n->in[0]->shape.dim[1]}};
    const shape *like[] = {&n->in[0]->shape, &channels, &channels, &n->in[0]->shape};
    for (size_t i = 0; i < n->n_out; i++)
        if (!op_set_output(g, n, i, n->in[0]->type, like[i])) return false;
    return true;
}

/* Where the activation, a clamp, passes a gradient on, seen from its result: strictly between its
   bounds. Where that is NaN, too: a zero would hide it. */
static bool passes(const node *n, double y) {
    float least, most;
    act_is_clamp(n, &least, &most);
    return !(y <= (double)least || (y >= (double)most && isfinite(most)));
}

static double masked(const node *n, const tensor *const *in, int64_t at) {
    return !op_present(n, 5) || passes(n, tensor_get(in[5], at)) ? tensor_get(in[0], at) : 0;
}

static bool batchnorm_grad_reference(arena *a, const node *n, const tensor *const *in,
                                     tensor *const *out, const char **why) {
    (void)why;
    const lanes l = lanes_of(a, &in[0]->shape, lanes_channel_mask(&in[0]->shape));
    int64_t *base, *step, count;
    lanes_offsets(a, &l, &base, &count, &step);
    for (int64_t c = 0; c < count; c++) {
        const double mean = tensor_get(in[3], c), factor = tensor_get(in[4], c),
                     length = (double)l.length;
        double sum = 0, product = 0;
        for (int64_t i = 0; i < l.length; i++) {
            const double dy = masked(n, in, base[c] + step[i]);
            sum += dy;
            product += dy * (tensor_get(in[1], base[c] + step[i]) - mean) * factor;
        }
        for (int64_t i = 0; i < l.length; i++) {
            const int64_t at = base[c] + step[i];
            const double dy = masked(n, in, at), x = (tensor_get(in[1], at) - mean) * factor;
            tensor_set(out[0], at,
                       tensor_get(in[2], c) * factor * (dy - sum / length - x * product / length));
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
    const char *y = arena_printf(a, "in5[%s]", lanes_index(e, n, n->in[5], l)), *low = NULL,
               *high = NULL;
    float least, most;
    act_is_clamp(n, &least, &most);
    if (isfinite(least)) low = arena_printf(a, "%s <= %s", y, emit_float(e, (double)least));
    if (isfinite(most)) high = arena_printf(a, "%s >= %s", y, emit_float(e, (double)most));
    if (low && high) return arena_printf(a, "%s || %s ? 0 : %s", low, high, dy);
    return arena_printf(a, "%s ? 0 : %s", low ? low : high ? high : "0", dy);
}

/* Element i of dX and dR is written after dY and X were read there: both may be overwritten. */
static void batchnorm_grad_emit(emitter *e, const node *n) {
    const lanes l = lanes_of(emit_arena(e), &n->in[0]->shape, lanes_channel_mask(&n->in[0]->shape));
    const char *dy = masked_text(e, n, &l), *x = lanes_index(e, n, n->in[1], &l),
               *type = dtype_c(n->in[0]->type);
    text *t = emit_helpers(e);
    lanes_open(e, n, &l);
    text_append(t, "    const double mean = (double)in3[i1], factor = (double)in4[i1];\n    double "
                   "sum = 0, product = 0;\n");
    lanes_loop(e, &l);
    text_printf(t, "        const double dy = %s;\n        sum += dy;\n", dy);
    text_printf(t, "        product += dy * (((double)in1[%s] - mean) * factor);\n", x);
    lanes_end(e, &l);
    if (n->out[1]) text_printf(t, "    out1[i1] = (%s)product;\n", type);
    if (n->out[2]) text_printf(t, "    out2[i1] = (%s)sum;\n", type);
    text_printf(t,
                "    const double scale = (double)in2[i1] * factor;\n    sum /= %lld, product *= "
                "factor / %lld;\n",
                (long long)l.length, (long long)l.length);
    lanes_loop(e, &l);
    text_printf(t, "        const double dy = %s, x = (double)in1[%s] - mean;\n", dy, x);
    text_printf(t, "        out0[%s] = (%s)(scale * (dy - sum - x * product));\n",
                lanes_index(e, n, n->out[0], &l), type);
    if (n->n_out > 3 && n->out[3])
        text_printf(t, "        out3[%s] = (%s)dy;\n", lanes_index(e, n, n->out[3], &l), type);
    lanes_end(e, &l);
    lanes_close(e, n, &l);
}

/* ---- DropoutTrain: X, seed -> Y ---- */

static bool dropout_infer(graph *g, node *n) {
    const double ratio = (double)node_float(n, "ratio", 0.5f);
    if (!type_check(g, n, 0, TYPES_FLOAT) || !type_check(g, n, 1, 1u << DT_INT64)) return false;
    if (!(ratio >= 0 && ratio < 1))
        return diag_error(g->diag, n, NULL, "ratio %g is outside 0..1", ratio);
    if (value_count(n->in[1]) != 1)
        return diag_error(g->diag, n, NULL, "the seed is not one number");
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

static uint64_t threshold_of(const node *n) {
    return (uint64_t)llround((double)node_float(n, "ratio", 0.5f) * 0x1p32);
}
static double kept_scale(const node *n) { return 1 / (1 - (double)node_float(n, "ratio", 0.5f)); }

static bool dropout_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                              const char **why) {
    (void)a, (void)why;
    const uint64_t stream = cameo_dropout_stream(tensor_get_int(in[1], 0),
                                                 (uint64_t)node_int(n, "id", 0));
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
    text_printf(t, "    const bool kept = cameo_dropout_keeps(stream, %s, %lluu);\n",
                emit_index(e, element, rank, NULL), (unsigned long long)threshold_of(n));
    text_printf(t, "    out0[%s] = kept ? (%s)((double)in0[%s] * %a) : 0;\n",
                emit_index(e, to, rank, NULL), type, emit_index(e, from, rank, NULL),
                kept_scale(n));
    for (int k = outer; k < rank; k++) text_append(t, "    }\n");
    emit_task_close(e, n, emit_task_count(e, n, x->shape.dim, outer), (double)value_count(x));
}

static bool dropout_grad(graph *g, node *n, value *const *dout, value **din) {
    node *back = grad_node(g, n, CAMEO_DropoutTrain, (value *const[]){dout[0], n->in[1]}, 2, 1);
    grad_copy_attributes(g, n, back, (const char *const[]){"ratio", "id", NULL});
    return (din[0] = grad_infer(g, back)) != NULL;
}

/* ---- BatchNormalization with statistics that stay as they are ---- */

static value *channel_constant(graph *g, const value *x, double v) {
    tensor *t = tensor_new(g->arena, x->type, &(shape){.rank = 1, .dim = {x->shape.dim[1]}});
    for (int64_t i = 0; i < x->shape.dim[1]; i++) tensor_set(t, i, v);
    return graph_add_constant(g, "channels", t);
}

/* (x - mean) / sqrt(variance + epsilon) * scale: the operator itself with another input, scale and
   mean, and without B. */
static value *batchnorm_of(graph *g, const node *n, value *x, value *scale, value *mean) {
    node *b = grad_node(g, n, ONNX_BatchNormalization,
                        (value *const[]){x, scale, channel_constant(g, x, 0), mean, n->in[4]}, 5,
                        1);
    node_set_float(g, b, "epsilon", node_float(n, "epsilon", 1e-5f));
    return grad_infer(g, b);
}

static value *channel_sum_of_product(graph *g, const node *n, value *a, value *b) {
    value *product = a && b ? grad_binary(g, n, ONNX_Mul, a, b) : NULL;
    return product ? grad_call(g, n, CAMEO_ChannelSum, &product, 1) : NULL;
}

bool batchnorm_eval_grad(graph *g, node *n, value *const *dout, value **din) {
    value *x = n->in[0], *dy = dout[0];
    if (value_count(n->in[1]) != x->shape.dim[1])
        return diag_error(g->diag, n, DIAG_UNSUPPORTED, "has no gradient with spatial=0");
    if (n->in[3]->wants_grad || n->in[4]->wants_grad)
        return diag_error(g->diag, n, DIAG_UNSUPPORTED,
                          "has no gradient for a mean and a variance that are computed");
    if (x->wants_grad && !(din[0] = batchnorm_of(g, n, dy, n->in[1], channel_constant(g, x, 0))))
        return false;
    if (n->in[1]->wants_grad) {
        value *standard = batchnorm_of(g, n, x, channel_constant(g, x, 1), n->in[3]);
        if (!(din[1] = channel_sum_of_product(g, n, dy, standard))) return false;
    }
    return !n->in[2]->wants_grad || (din[2] = grad_call(g, n, CAMEO_ChannelSum, &dy, 1)) != NULL;
}

/* ---- Standardize: X -> (X - mean) / sqrt(variance + epsilon) over axes first.., and
   StandardizeGrad: X, dY -> dX ---- */

static unsigned last_axes(const node *n, const shape *s) {
    return (1u << s->rank) - (1u << node_int(n, "first", 1));
}

static bool standardize_infer(graph *g, node *n) {
    const int64_t first = node_int(n, "first", 1);
    if (!type_check(g, n, 0, TYPES_FLOAT) || (n->n_in > 1 && !like_input_0(g, n, 1))) return false;
    if (first < 0 || first >= n->in[0]->shape.rank)
        return diag_error(g->diag, n, NULL, "first is out of range");
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

static bool standardize_reference(arena *a, const node *n, const tensor *const *in,
                                  tensor *const *out, const char **why) {
    (void)why;
    const bool back = n->n_in > 1;
    const tensor *x = in[0];
    const lanes l = lanes_of(a, &x->shape, last_axes(n, &x->shape));
    int64_t *base, *step, count;
    lanes_offsets(a, &l, &base, &count, &step);
    for (int64_t k = 0; k < count; k++) {
        const moments m = lane_moments(n, x, base[k], step, l.length);
        double sum = 0, product = 0;
        for (int64_t i = 0; back && i < l.length; i++) {
            const double dy = tensor_get(in[1], base[k] + step[i]);
            sum += dy / (double)l.length;
            product += dy * (tensor_get(x, base[k] + step[i]) - m.mean) * m.factor /
                       (double)l.length;
        }
        for (int64_t i = 0; i < l.length; i++) {
            const int64_t at = base[k] + step[i];
            const double standard = (tensor_get(x, at) - m.mean) * m.factor;
            tensor_set(out[0], at,
                       back ? m.factor * (tensor_get(in[1], at) - sum - standard * product)
                            : standard);
        }
    }
    return true;
}

static void emit_products(emitter *e, const lanes *l, const char *x, const char *dy) {
    text *t = emit_helpers(e);
    text_append(t, "    double sum = 0, product = 0;\n");
    lanes_loop(e, l);
    text_printf(t,
                "        sum += (double)in1[%s];\n        product += (double)in1[%s] * "
                "((double)in0[%s] - mean);\n",
                dy, dy, x);
    lanes_end(e, l);
    text_printf(t, "    sum /= %lld, product *= factor * factor / %lld;\n", (long long)l->length,
                (long long)l->length);
}

static void standardize_emit(emitter *e, const node *n) {
    const lanes l = lanes_of(emit_arena(e), &n->in[0]->shape, last_axes(n, &n->in[0]->shape));
    const char *x = lanes_index(e, n, n->in[0], &l),
               *dy = n->n_in > 1 ? lanes_index(e, n, n->in[1], &l) : NULL;
    text *t = emit_helpers(e);
    lanes_open(e, n, &l);
    lane_emit_moments(e, n, &l);
    if (dy) emit_products(e, &l, x, dy);
    lanes_loop(e, &l);
    text_printf(
        t, "        const double v = (double)in0[%s] - mean;\n        out0[%s] = (%s)(factor * ", x,
        lanes_index(e, n, n->out[0], &l), dtype_c(n->in[0]->type));
    if (dy)
        text_printf(t, "((double)in1[%s] - sum - v * product));\n", dy);
    else
        text_append(t, "v);\n");
    lanes_end(e, &l);
    lanes_close(e, n, &l);
}

/* Of x over its axes from `first` on; dy NULL: x itself standardised. */
static value *standardize(graph *g, const node *n, value *x, value *dy, int first) {
    node *s = grad_node(g, n, dy ? CAMEO_StandardizeGrad : CAMEO_Standardize,
                        (value *const[]){x, dy}, dy ? 2 : 1, 1);
    node_set_int(g, s, "first", first);
    node_set_float(g, s, "epsilon", node_float(n, "epsilon", 1e-5f));
    return grad_infer(g, s);
}

/* y = standard(x) * scale + B; scale and B broadcast to x once they are reshaped to spread[0] and
   spread[1]. */
static bool standard_affine_grad(graph *g, node *n, value *dy, value **din, int first,
                                 const shape *const spread[2]) {
    value *x = n->in[0], *made;
    if (x->wants_grad) {
        value *scale = grad_reshape(g, n, n->in[1], spread[0]);
        if (!scale || !(made = grad_binary(g, n, ONNX_Mul, dy, scale)) ||
            !(din[0] = standardize(g, n, x, made, first)))
            return false;
    }
    if (n->in[1]->wants_grad) {
        if (!(made = standardize(g, n, x, NULL, first)) ||
            !(made = grad_binary(g, n, ONNX_Mul, dy, made)))
            return false;
        if (!(made = grad_sum_to(g, n, made, spread[0])) ||
            !(din[1] = grad_reshape(g, n, made, &n->in[1]->shape)))
            return false;
    }
    if (!op_present(n, 2) || !n->in[2]->wants_grad) return true;
    return (made = grad_sum_to(g, n, dy, spread[1])) &&
           (din[2] = grad_reshape(g, n, made, &n->in[2]->shape));
}

bool instance_norm_grad(graph *g, node *n, value *const *dout, value **din) {
    const shape *x = &n->in[0]->shape;
    shape spread = {.rank = x->rank - 1, .dim = {x->dim[1]}};
    for (int k = 1; k < spread.rank; k++) spread.dim[k] = 1;
    return standard_affine_grad(g, n, dout[0], din, 2, (const shape *const[]){&spread, &spread});
}

bool layer_norm_grad(graph *g, node *n, value *const *dout, value **din) {
    const int64_t axis = node_int(n, "axis", -1);
    const int first = (int)(axis < 0 ? axis + n->in[0]->shape.rank : axis);
    const shape *const spread[] = {&n->in[1]->shape,
                                   n->n_in > 2 && n->in[2] ? &n->in[2]->shape : NULL};
    if (!dout[0] || (n->n_out > 1 && dout[1]) || (n->n_out > 2 && dout[2]))
        return diag_error(g->diag, n, DIAG_UNSUPPORTED,
                          "has no gradient of its mean and deviation");
    return standard_affine_grad(g, n, dout[0], din, first, spread);
}

/* ---- LRNGrad: dY, X -> dX. With s = bias + alpha / size * sum of x^2 over the window and t = dy
   x s^(-beta - 1): dx = dy s^-beta - 2 alpha beta / size * x * sum of t over the channels whose
   windows x is in. ---- */

static bool lrn_grad_infer(graph *g, node *n) {
    if (!type_check(g, n, 0, TYPES_FLOAT) || !like_input_0(g, n, 1)) return false;
    if (n->in[0]->shape.rank < 2 || n->in[0]->shape.dim[1] > LRN_CHANNELS)
        return diag_error(g->diag, n, DIAG_UNSUPPORTED, "has no gradient for more than %d channels",
                          LRN_CHANNELS);
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* One position: channel c is at base + c * inner. */
static void lrn_position(const lrn *r, const tensor *dy, const tensor *x, tensor *dx, int64_t base,
                         int64_t inner, double *t) {
    const int64_t channels = x->shape.dim[1];
    double *power = t + channels;
    for (int64_t c = 0; c < channels; c++) {
        double s = 0;
        for (int64_t k = most(0, c - r->before); k <= least(channels - 1, c + r->after); k++)
            s += tensor_get(x, base + k * inner) * tensor_get(x, base + k * inner);
        s = r->bias + r->factor * s;
        power[c] = pow(s, -r->beta);
        t[c] = tensor_get(dy, base + c * inner) * tensor_get(x, base + c * inner) * power[c] / s;
    }
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0;
        for (int64_t k = most(0, c - r->after); k <= least(channels - 1, c + r->before); k++)
            sum += t[k];
        tensor_set(dx, base + c * inner,
                   tensor_get(dy, base + c * inner) * power[c] -
                       2 * r->factor * r->beta * tensor_get(x, base + c * inner) * sum);
    }
}

static bool lrn_grad_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                               const char **why) {
    (void)why;
    const lrn r = lrn_of(n);
    const shape *s = &in[0]->shape;
    const lanes l = lanes_of(a, s, 2u);
    int64_t *base, *step, count;
    double *t = ARENA_ARRAY(a, double, 2 * (size_t)s->dim[1]);
    lanes_offsets(a, &l, &base, &count, &step);
    for (int64_t i = 0; i < count; i++)
        lrn_position(&r, in[0], in[1], out[0], base[i], s->dim[1] > 1 ? step[1] : 0, t);
    return true;
}

/* Index of v at channel k. */
static const char *at_channel(emitter *e, const node *n, const value *v, const lanes *l) {
    lanes other = *l;
    other.names[1] = "k";
    return lanes_index(e, n, v, &other);
}

static void lrn_loop(text *t, int64_t channels, int64_t before, int64_t after, const char *sum) {
    const long long last = (long long)channels - 1;
    text_printf(t,
                "        const size_t from = r1 > %lld ? r1 - %lld : 0, to = r1 + %lld > %lld ? "
                "%lld : r1 + %lld;\n",
                (long long)before, (long long)before, (long long)after, last, last,
                (long long)after);
    text_printf(t,
                "        double sum = 0;\n        for (size_t k = from; k <= to; k++) sum += %s;\n",
                sum);
}

static void lrn_grad_emit(emitter *e, const node *n) {
    const lrn r = lrn_of(n);
    const int64_t channels = n->in[0]->shape.dim[1];
    const lanes l = lanes_of(emit_arena(e), &n->in[0]->shape, 2u);
    const char *dy = lanes_index(e, n, n->in[0], &l), *x = lanes_index(e, n, n->in[1], &l),
               *xk = at_channel(e, n, n->in[1], &l);
    text *t = emit_helpers(e);
    lanes_open(e, n, &l);
    text_printf(t, "    double t[%lld], power[%lld];\n", (long long)channels, (long long)channels);
    lanes_loop(e, &l);
    lrn_loop(t, channels, r.before, r.after,
             arena_printf(emit_arena(e), "(double)in1[%s] * (double)in1[%s]", xk, xk));
    text_printf(t, "        sum = %a + %a * sum;\n        power[r1] = pow(sum, %a);\n", r.bias,
                r.factor, -r.beta);
    text_printf(t, "        t[r1] = (double)in0[%s] * (double)in1[%s] * power[r1] / sum;\n", dy, x);
    lanes_end(e, &l);
    lanes_loop(e, &l);
    lrn_loop(t, channels, r.after, r.before, "t[k]");
    text_printf(
        t, "        out0[%s] = (%s)((double)in0[%s] * power[r1] - %a * (double)in1[%s] * sum);\n",
        lanes_index(e, n, n->out[0], &l), dtype_c(n->in[0]->type), dy, 2 * r.factor * r.beta, x);
    lanes_end(e, &l);
    lanes_close(e, n, &l);
}

bool lrn_grad(graph *g, node *n, value *const *dout, value **din) {
    node *back = grad_node(g, n, CAMEO_LRNGrad, (value *const[]){dout[0], n->in[0]}, 2, 1);
    grad_copy_attributes(g, n, back, (const char *const[]){"alpha", "beta", "bias", "size", NULL});
    return (din[0] = grad_infer(g, back)) != NULL;
}

#define ACTIVATION                                                                   \
    {.name = "act", .kind = ATTR_STRING}, {.name = "act_min", .kind = ATTR_FLOAT}, { \
        .name = "act_max", .kind = ATTR_FLOAT                                        \
    }

static const op_attr train_attrs[] = {{.name = "epsilon", .kind = ATTR_FLOAT},
                                      {.name = "momentum", .kind = ATTR_FLOAT},
                                      ACTIVATION,
                                      {.name = NULL}};
static const op_attr grad_attrs[] = {ACTIVATION, {.name = NULL}};
static const op_attr standardize_attrs[] = {
    {.name = "epsilon", .kind = ATTR_FLOAT}, {.name = "first", .kind = ATTR_INT}, {.name = NULL}};
static const op_attr lrn_attrs[] = {{.name = "alpha", .kind = ATTR_FLOAT},
                                    {.name = "beta", .kind = ATTR_FLOAT},
                                    {.name = "bias", .kind = ATTR_FLOAT},
                                    {.name = "size", .kind = ATTR_INT},
                                    {.name = NULL}};
static const op_attr dropout_attrs[] = {
    {.name = "ratio", .kind = ATTR_FLOAT}, {.name = "id", .kind = ATTR_INT}, {.name = NULL}};

const op_row ops_normalize_grad[] = {
    {OP_INTERNAL("BatchNormTrain", 5, 6, 5, 5, batchnorm_train,
                 "test_ops_backward batchnorm_train"),
     .attrs = train_attrs, .flags = OP_NHWC | OP_ANY_LAYOUT, .grad = batchnorm_train_grad},
    {OP_INTERNAL("BatchNormGrad", 5, 6, 3, 4, batchnorm_grad, "test_ops_backward batchnorm_grad"),
     .attrs = grad_attrs, .flags = OP_NHWC | OP_ANY_LAYOUT | OP_INPLACE},
    {OP_INTERNAL("DropoutTrain", 2, 2, 1, 1, dropout, "test_ops_backward dropout_train"),
     .attrs = dropout_attrs, .flags = OP_ELEMENTWISE | OP_ANY_LAYOUT | OP_INPLACE,
     .grad = dropout_grad},
    {OP_INTERNAL("Standardize", 1, 1, 1, 1, standardize, "test_ops_backward standardize"),
     .attrs = standardize_attrs, .flags = OP_ANY_LAYOUT | OP_INPLACE},
    {OP_INTERNAL("StandardizeGrad", 2, 2, 1, 1, standardize, "test_ops_backward standardize_grad"),
     .attrs = standardize_attrs, .flags = OP_ANY_LAYOUT | OP_INPLACE},
    {OP_INTERNAL("LRNGrad", 2, 2, 1, 1, lrn_grad, "test_ops_backward lrn_grad"), .attrs = lrn_attrs,
     .flags = OP_ANY_LAYOUT},
    {.name = NULL},
};
