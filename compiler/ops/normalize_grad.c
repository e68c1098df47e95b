/* Normalisation in training: BatchNormTrain (batch statistics, running ones beside, residual and
   activation fused) and its gradient BatchNormGrad (Ioffe & Szegedy, Batch Normalization, section
   3); DropoutTrain, which is its own gradient; the rules of normalisations that are the same in
   training and evaluation, and their rows Standardize, StandardizeGrad and LRNGrad. */
#include "normalize.h"

#include <math.h>

#include "../../runtime/kernels/dropout.h"
#include "act.h"
#include "pointwise.h"
#include "row.h"

enum { LRN_CHANNELS = 16384 }; /* two arrays of so many numbers on a thread's stack */

/* ---- BatchNormTrain: X, scale, B, running mean, running variance, R? -> Y, mean, inv_std, new
   mean, new variance ---- */

static bool channel_vectors(graph *g, const node *n, size_t first, size_t last) {
    const shape *x = &n->in[0]->shape;
    if (x->rank < 2) return node_error(g, n, "the input has no channels");
    for (size_t i = first; i <= last; i++) {
        if (!type_check(g, n, i, 1u << n->in[0]->type)) return false;
        if (value_count(n->in[i]) != x->dim[1])
            return node_error(g, n,
                              "input %zu has %lld elements, not one for each of %lld channels", i,
                              (long long)value_count(n->in[i]), (long long)x->dim[1]);
    }
    return true;
}

static bool like_input_0(graph *g, const node *n, size_t i) {
    if (!op_present(n, i)) return true;
    if (!type_check(g, n, i, 1u << n->in[0]->type)) return false;
    return shape_equal(&n->in[i]->shape, &n->in[0]->shape) ||
           node_error(g, n, "input %zu has another shape than input 0", i);
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

static OP_REFERENCE(batchnorm_train_reference) {
    const lanes l = lanes_run(a, lanes_of_channels(a, &in[0]->shape));
    const double length = (double)l.length, old = node_float(n, "momentum", 0.9f);
    for (int64_t c = 0; c < l.count; c++) {
        const moments m = lane_moments(n, in[0], &l, c);
        for (int64_t i = 0; i < l.length; i++) {
            const int64_t at = lane_at(&l, c, i);
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
static void batchnorm_train_emit(emitter *e, const node *n) {
    arena *a = emit_arena(e);
    const shape *x = &n->in[0]->shape;
    const lanes l = lanes_of_channels(a, x);
    const double old = node_float(n, "momentum", 0.9f);
    lanes_put(e, n, &l,
              "$0"
              "    out1[i1] = ($T)mean;\n"
              "    out2[i1] = ($T)factor;\n"
              "    out3[i1] = ($T)($1 * (double)in3[i1] + $2 * mean);\n"
              "    out4[i1] = ($T)($1 * (double)in4[i1] + $2 * squares / $3);\n"
              "    const double scale = (double)in1[i1] * factor, shift = "
              "(double)in2[i1];\n"
              "$lane\n"
              "        const $T v = ($T)(((double)$in0 - mean) * scale + shift$4);\n"
              "        $out0 = $5;\n"
              "$end\n",
              lane_moments_text(e, n), old, 1 - old, l.length - 1,
              op_present(n, 5) ? " + (double)$in5" : "", act_expression(a, n, "v", "0.0f"));
}

/* The residual's gradient leaves the node where there is a residual. */
static GRADIENT(batchnorm_train_grad) {
    const bool residual = op_present(n, 5);
    value *in[] = {dout[0], n->in[0], n->in[1], n->out[1], n->out[2], n->out[0]};
    if (!dout[0]) return node_unsupported(g, n, "gradients of batch statistics are not supported");
    node *back = grad_node(g, n, CAMEO_BatchNormGrad, in, has_act(n) ? 6 : 5, residual ? 4 : 3);
    grad_copy_attributes(g, n, back, (const char *const[]){"act", "act_min", "act_max", NULL});
    if (!grad_infer(g, back)) return false;
    for (size_t i = 0; i < 3; i++) din[i] = back->out[i];
    if (residual) din[5] = back->out[3];
    return true;
}

/* ---- BatchNormGrad: dY, X, scale, mean, inv_std, Y? -> dX, dscale, dB, dR? ---- */

static bool batchnorm_grad_infer(graph *g, node *n) {
    if (!type_check(g, n, 0, TYPES_FLOAT) || !channel_vectors(g, n, 2, 4) ||
        !like_input_0(g, n, 1) || !like_input_0(g, n, 5))
        return false;
    if (has_act(n) != op_present(n, 5))
        return node_error(g, n, "Y is given exactly where there is an activation");
    const shape channels = {.rank = 1, .dim = {n->in[0]->shape.dim[1]}};
    for (size_t i = 0; i < n->n_out; i++)
        if (!op_set_output(g, n, i, n->in[0]->type, i % 3 ? &channels : &n->in[0]->shape))
            return false;
    return true;
}

typedef struct clamp { /* the activation's bounds; infinite ones are none */
    float least, most;
} clamp;

static clamp clamp_of(const node *n) {
    clamp c;
    act_is_clamp(n, &c.least, &c.most);
    return c;
}

/* dY where the activation passes a gradient on, seen from its result: strictly between its bounds.
   Where that is NaN, too: a zero would hide it. */
static double masked(const node *n, const clamp *c, const tensor *const *in, int64_t at) {
    const double y = op_present(n, 5) ? tensor_get(in[5], at) : 0;
    const bool stops = (isfinite(c->least) && y <= (double)c->least) ||
                       (isfinite(c->most) && y >= (double)c->most);
    return op_present(n, 5) && stops ? 0 : tensor_get(in[0], at);
}

static OP_REFERENCE(batchnorm_grad_reference) {
    const lanes l = lanes_run(a, lanes_of_channels(a, &in[0]->shape));
    const double length = (double)l.length;
    const clamp bounds = clamp_of(n);
    for (int64_t c = 0; c < l.count; c++) {
        const double mean = tensor_get(in[3], c), factor = tensor_get(in[4], c);
        double sum = 0, product = 0;
        for (int64_t i = 0; i < l.length; i++) {
            const int64_t at = lane_at(&l, c, i);
            const double dy = masked(n, &bounds, in, at);
            sum += dy;
            product += dy * (tensor_get(in[1], at) - mean) * factor;
        }
        for (int64_t i = 0; i < l.length; i++) {
            const int64_t at = lane_at(&l, c, i);
            const double dy = masked(n, &bounds, in, at),
                         x = (tensor_get(in[1], at) - mean) * factor;
            tensor_set(out[0], at,
                       tensor_get(in[2], c) * factor * (dy - sum / length - x * product / length));
            if (n->n_out > 3 && out[3]) tensor_set(out[3], at, dy);
        }
        if (out[1]) tensor_set(out[1], c, product);
        if (out[2]) tensor_set(out[2], c, sum);
    }
    return true;
}

static const char *masked_text(emitter *e, const node *n) {
    arena *a = emit_arena(e);
    const char *outside = "0", *dy = "(double)$in0";
    const clamp c = clamp_of(n);
    if (!op_present(n, 5)) return dy;
    const char *low = emit_float(e, (double)c.least), *high = emit_float(e, (double)c.most);
    if (isfinite(c.least) && isfinite(c.most))
        outside = arena_put(a, "$in5 <= $0 || $in5 >= $1", low, high);
    else if (isfinite(c.least))
        outside = arena_put(a, "$in5 <= $0", low);
    else if (isfinite(c.most))
        outside = arena_put(a, "$in5 >= $0", high);
    return arena_put(a, "$0 ? 0 : $1", outside, dy);
}

/* Element i of dX and dR is written after dY and X were read there: both may be overwritten. */
static void batchnorm_grad_emit(emitter *e, const node *n) {
    const shape *x = &n->in[0]->shape;
    const lanes l = lanes_of_channels(emit_arena(e), x);
    lanes_put(e, n, &l,
              "    const double mean = (double)in3[i1], factor = (double)in4[i1];\n"
              "    double sum = 0, product = 0;\n"
              "$lane\n"
              "        const double dy = $0;\n"
              "        sum += dy;\n"
              "        product += dy * (((double)$in1 - mean) * factor);\n"
              "$end\n"
              "$1$2"
              "    const double scale = (double)in2[i1] * factor;\n"
              "    sum /= $N, product *= factor / $N;\n"
              "$lane\n"
              "        const double dy = $0, x = (double)$in1 - mean;\n"
              "        $out0 = ($T)(scale * (dy - sum - x * product));\n"
              "$3"
              "$end\n",
              masked_text(e, n), n->out[1] ? "    out1[i1] = ($T)product;\n" : "",
              n->out[2] ? "    out2[i1] = ($T)sum;\n" : "",
              n->n_out > 3 && n->out[3] ? "        $out3 = ($T)dy;\n" : "");
}

/* ---- DropoutTrain: X, seed -> Y ---- */

static bool dropout_infer(graph *g, node *n) {
    const double ratio = node_float(n, "ratio", 0.5f);
    if (!type_check(g, n, 0, TYPES_FLOAT) || !type_check(g, n, 1, 1u << DT_INT64)) return false;
    if (!(ratio >= 0 && ratio < 1)) return node_error(g, n, "ratio %g is outside 0..1", ratio);
    if (value_count(n->in[1]) != 1) return node_error(g, n, "the seed is not one number");
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

static uint64_t threshold_of(const node *n) {
    return (uint64_t)llround(node_float(n, "ratio", 0.5f) * 0x1p32);
}
static double kept_scale(const node *n) { return 1 / (1 - node_float(n, "ratio", 0.5f)); }

static OP_REFERENCE(dropout_reference) {
    const uint64_t stream = cameo_dropout_stream(tensor_get_int(in[1], 0),
                                                 (uint64_t)node_int(n, "id", 0));
    for (int64_t i = 0; i < shape_count(&in[0]->shape); i++) {
        const bool kept = cameo_dropout_keeps(stream, (uint64_t)i, threshold_of(n));
        tensor_set(out[0], i, kept ? tensor_get(in[0], i) * kept_scale(n) : 0);
    }
    return true;
}

static void dropout_emit(emitter *e, const node *n) {
    const lanes l = lanes_of(emit_arena(e), &n->in[0]->shape, 0);
    int64_t element[MAX_RANK];
    value_strides(&(value){.shape = l.shape}, element);
    lanes_put(e, n, &l,
              "    const uint64_t stream = cameo_dropout_stream(in1[0], $0);\n"
              "$rest\n"
              "    const bool kept = cameo_dropout_keeps(stream, $1, $2u);\n"
              "    $out0 = kept ? ($T)((double)$in0 * $3) : 0;\n",
              node_int(n, "id", 0), emit_index(e, element, l.shape.rank, NULL), threshold_of(n),
              kept_scale(n));
}

static GRADIENT(dropout_grad) {
    node *back = grad_node(g, n, CAMEO_DropoutTrain, OPERANDS(dout[0], n->in[1]), 1);
    grad_copy_attributes(g, n, back, (const char *const[]){"ratio", "id", NULL});
    return (din[0] = grad_infer(g, back));
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
                        OPERANDS(x, scale, channel_constant(g, x, 0), mean, n->in[4]), 1);
    node_set_float(g, b, "epsilon", node_float(n, "epsilon", 1e-5f));
    return grad_infer(g, b);
}

static value *channel_sum(graph *g, const node *n, value *v) {
    return grad_call(g, n, CAMEO_ChannelSum, &v, 1);
}

GRADIENT(batchnorm_eval_grad) {
    value *x = n->in[0], *dy = dout[0];
    if (value_count(n->in[1]) != x->shape.dim[1])
        return node_unsupported(g, n, "has no gradient with spatial=0");
    if (n->in[3]->wants_grad || n->in[4]->wants_grad)
        return node_unsupported(g, n,
                                "has no gradient for a mean and a variance that are computed");
    if (rule_wants(n, 0)) din[0] = batchnorm_of(g, n, dy, n->in[1], channel_constant(g, x, 0));
    if (rule_wants(n, 1)) {
        value *standard = batchnorm_of(g, n, x, channel_constant(g, x, 1), n->in[3]);
        din[1] = channel_sum(g, n, grad_binary(g, n, ONNX_Mul, dy, standard));
    }
    if (rule_wants(n, 2)) din[2] = channel_sum(g, n, dy);
    return rule_done(n, din);
}

/* ---- Standardize: X -> (X - mean) / sqrt(variance + epsilon) over axes first.., and
   StandardizeGrad: X, dY -> dX ---- */

static lanes last_lanes(arena *a, const node *n, const shape *s) {
    return lanes_from(a, s, node_int(n, "first", 1));
}

static bool standardize_infer(graph *g, node *n) {
    const int64_t first = node_int(n, "first", 1);
    if (!type_check(g, n, 0, TYPES_FLOAT) || (n->n_in > 1 && !like_input_0(g, n, 1))) return false;
    if (first < 0 || first >= n->in[0]->shape.rank)
        return node_error(g, n, "first is out of range");
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

static OP_REFERENCE(standardize_reference) {
    const bool back = n->n_in > 1;
    const tensor *x = in[0];
    const lanes l = lanes_run(a, last_lanes(a, n, &x->shape));
    const double length = (double)l.length;
    for (int64_t k = 0; k < l.count; k++) {
        const moments m = lane_moments(n, x, &l, k);
        double sum = 0, product = 0;
        for (int64_t i = 0; back && i < l.length; i++) {
            const int64_t at = lane_at(&l, k, i);
            const double dy = tensor_get(in[1], at);
            sum += dy / length;
            product += dy * (tensor_get(x, at) - m.mean) * m.factor / length;
        }
        for (int64_t i = 0; i < l.length; i++) {
            const int64_t at = lane_at(&l, k, i);
            const double standard = (tensor_get(x, at) - m.mean) * m.factor;
            tensor_set(out[0], at,
                       back ? m.factor * (tensor_get(in[1], at) - sum - standard * product)
                            : standard);
        }
    }
    return true;
}

static void standardize_emit(emitter *e, const node *n) {
    const lanes l = last_lanes(emit_arena(e), n, &n->in[0]->shape);
    const bool back = n->n_in > 1;
    lanes_put(e, n, &l,
              "$0$1"
              "$lane\n"
              "        const double v = (double)$in0 - mean;\n"
              "        $out0 = ($T)(factor * $2);\n"
              "$end\n",
              lane_moments_text(e, n),
              back ? "    double sum = 0, product = 0;\n"
                     "$lane\n"
                     "        sum += (double)$in1;\n"
                     "        product += (double)$in1 * ((double)$in0 - mean);\n"
                     "$end\n"
                     "    sum /= $N, product *= factor * factor / $N;\n"
                   : "",
              back ? "((double)$in1 - sum - v * product)" : "v");
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
    value *x = n->in[0];
    if (rule_wants(n, 0)) {
        value *scale = grad_reshape(g, n, n->in[1], spread[0]);
        value *scaled = grad_binary(g, n, ONNX_Mul, dy, scale);
        if (scaled) din[0] = standardize(g, n, x, scaled, first);
    }
    if (rule_wants(n, 1)) {
        value *each = grad_binary(g, n, ONNX_Mul, dy, standardize(g, n, x, NULL, first));
        din[1] = grad_reshape(g, n, grad_sum_to(g, n, each, spread[0]), &n->in[1]->shape);
    }
    if (rule_wants(n, 2))
        din[2] = grad_reshape(g, n, grad_sum_to(g, n, dy, spread[1]), &n->in[2]->shape);
    return rule_done(n, din);
}

GRADIENT(instance_norm_grad) {
    const shape *x = &n->in[0]->shape;
    shape spread = {.rank = x->rank - 1, .dim = {x->dim[1]}};
    for (int k = 1; k < spread.rank; k++) spread.dim[k] = 1;
    return standard_affine_grad(g, n, dout[0], din, 2, (const shape *const[]){&spread, &spread});
}

GRADIENT(layer_norm_grad) {
    const shape *const spread[] = {&n->in[1]->shape, op_present(n, 2) ? &n->in[2]->shape : NULL};
    if (!dout[0] || (n->n_out > 1 && dout[1]) || (n->n_out > 2 && dout[2]))
        return node_unsupported(g, n, "has no gradient of its mean and deviation");
    return standard_affine_grad(g, n, dout[0], din, node_axis(n, n->in[0]->shape.rank, -1), spread);
}

/* ---- LRNGrad: dY, X -> dX. With s = bias + alpha / size * sum of x^2 over the window and t = dy
   x s^(-beta - 1): dx = dy s^-beta - 2 alpha beta / size * x * sum of t over the channels whose
   windows x is in. ---- */

static bool lrn_grad_infer(graph *g, node *n) {
    if (!type_check(g, n, 0, TYPES_FLOAT) || !like_input_0(g, n, 1)) return false;
    if (n->in[0]->shape.rank < 2 || n->in[0]->shape.dim[1] > LRN_CHANNELS)
        return node_unsupported(g, n, "has no gradient for more than %d channels", LRN_CHANNELS);
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

static OP_REFERENCE(lrn_grad_reference) {
    const lrn r = lrn_of(n);
    const shape *s = &in[0]->shape;
    const lanes l = lanes_run(a, lanes_of(a, s, 2u));
    double *t = ARENA_ARRAY(a, double, 2 * (size_t)s->dim[1]);
    for (int64_t i = 0; i < l.count; i++)
        lrn_position(&r, in[0], in[1], out[0], l.base[i], s->dim[1] > 1 ? l.step[1] : 0, t);
    return true;
}

/* The sum over the window of `before` channels and `after` ones. */
static const char *lrn_sum(arena *a, const lanes *l, int64_t before, int64_t after,
                           const char *term) {
    return arena_put(a,
                     "        const size_t from = r1 > $0 ? r1 - $0 : 0, to = r1 + $1 > $2 ? $2 : "
                     "r1 + $1;\n"
                     "        double sum = 0;\n"
                     "        for (size_t k = from; k <= to; k++) sum += $3;\n",
                     before, after, l->length - 1, term);
}

static void lrn_grad_emit(emitter *e, const node *n) {
    arena *a = emit_arena(e);
    const lrn r = lrn_of(n);
    const lanes l = lanes_of(a, &n->in[0]->shape, 2u);
    lanes other = l;
    other.names[1] = "k";
    const char *square = arena_put(a, "(double)in1[$0] * (double)in1[$0]",
                                   lanes_index(e, n, n->in[1], &other));
    lanes_put(e, n, &l,
              "    double t[$N], power[$N];\n"
              "$lane\n"
              "$0"
              "        sum = $1 + $2 * sum;\n"
              "        power[r1] = pow(sum, $3);\n"
              "        t[r1] = (double)$in0 * (double)$in1 * power[r1] / sum;\n"
              "$end\n"
              "$lane\n"
              "$4"
              "        $out0 = ($T)((double)$in0 * power[r1] - $5 * (double)$in1 * "
              "sum);\n"
              "$end\n",
              lrn_sum(a, &l, r.before, r.after, square), r.bias, r.factor, -r.beta,
              lrn_sum(a, &l, r.after, r.before, "t[k]"), 2 * r.factor * r.beta);
}

GRADIENT(lrn_grad) {
    node *back = grad_node(g, n, CAMEO_LRNGrad, OPERANDS(dout[0], n->in[0]), 1);
    grad_copy_attributes(g, n, back, (const char *const[]){"alpha", "beta", "bias", "size", NULL});
    return (din[0] = grad_infer(g, back));
}

/* clang-format off */
#define ACTIVATION ATTR(STRING, "act"), ATTR(FLOAT, "act_min"), ATTR(FLOAT, "act_max")

const op_row ops_normalize_grad[] = {
    {OP_INTERNAL("BatchNormTrain", 5, 6, 5, 5, batchnorm_train,
                 "test_ops_backward batchnorm_train"),
     ATTRIBUTES(ATTR(FLOAT, "epsilon"), ATTR(FLOAT, "momentum"), ACTIVATION),
     .flags = OP_NHWC | OP_ANY_LAYOUT, .grad = batchnorm_train_grad},
    {OP_INTERNAL("BatchNormGrad", 5, 6, 3, 4, batchnorm_grad, "test_ops_backward batchnorm_grad"),
     ATTRIBUTES(ACTIVATION), .flags = OP_NHWC | OP_ANY_LAYOUT | OP_INPLACE},
    {OP_INTERNAL("DropoutTrain", 2, 2, 1, 1, dropout, "test_ops_backward dropout_train"),
     ATTRIBUTES(ATTR(FLOAT, "ratio"), ATTR(INT, "id")),
     .flags = OP_ELEMENTWISE | OP_ANY_LAYOUT | OP_INPLACE, .grad = dropout_grad},
    {OP_INTERNAL("Standardize", 1, 1, 1, 1, standardize, "test_ops_backward standardize"),
     ATTRIBUTES(ATTR(FLOAT, "epsilon"), ATTR(INT, "first")), .flags = OP_ANY_LAYOUT | OP_INPLACE},
    {OP_INTERNAL("StandardizeGrad", 2, 2, 1, 1, standardize, "test_ops_backward standardize_grad"),
     ATTRIBUTES(ATTR(FLOAT, "epsilon"), ATTR(INT, "first")), .flags = OP_ANY_LAYOUT | OP_INPLACE},
    {OP_INTERNAL("LRNGrad", 2, 2, 1, 1, lrn_grad, "test_ops_backward lrn_grad"),
     ATTRIBUTES(ATTR(FLOAT, "alpha"), ATTR(FLOAT, "beta"), ATTR(FLOAT, "bias"), ATTR(INT, "size")),
     .flags = OP_ANY_LAYOUT},
    {.name = NULL}};
/* clang-format on */
