/* XNNPACK layers (runtime/kernels/xnn.h). Operators are made in create(), where XNNPACK packs its
   own copy of the weights; a residual or an activation that is no clamp follows as an elementwise
   pass over the output. */
#include "kernels.h"

#include <math.h>

/* XNNPACK reads up to 16 bytes past an input. The arena has a tail there, the caller's arrays need
   not. */
static bool has_tail(const value *v) {
    while (v->base) v = v->base;
    return !v->is_input && !v->is_output && !v->constant;
}

static bool images_ready(const node *n) {
    return is_nhwc(n->in[0]) && is_nhwc(n->out[0]) && has_tail(n->in[0]);
}

/* ---- shared printing ---- */

/* Of n's images; least, most: its clamp. */
static cameo_xnn_window window_shape_of(const node *n, const window *k, int64_t ci, int64_t co,
                                        float least, float most) {
    const image x = image_of(n->in[0]), y = image_of(n->out[0]);
    return (cameo_xnn_window){OF_WINDOW(*k),      .h = x.h,        .w = x.w,
                              .pb = k->end[1],    .pr = k->end[2], .groups = k->group,
                              .ci = ci,           .co = co,        .x_pixel = x.pixel,
                              .y_pixel = y.pixel, .least = least,  .most = most};
}

/* The window of one pixel, all ones. */
static const window pixel = {
    .k = {1, 1, 1}, .stride = {1, 1, 1}, .dilation = {1, 1, 1}, .group = 1};

/* A fully connected layer, which is a 1x1 convolution of one pixel. */
static cameo_xnn_window pixel_shape(int64_t ci, int64_t co, float least, float most) {
    return (cameo_xnn_window){OF_WINDOW(pixel), .h = 1,      .w = 1,        .groups = 1,
                              .ci = ci,         .co = co,    .x_pixel = ci, .y_pixel = co,
                              .least = least,   .most = most};
}

static const char *window_text(emitter *e, const cameo_xnn_window *s) {
    return emit_text(e, "&(const cameo_xnn_window)$0", cameo_xnn_window_literal(emit_arena(e), s));
}

/* The creation statement; returns the operator's slot, passed to the function as `state`. */
static void print_create(emitter *e, const char *call, const char *literal, const char *w,
                         const char *b) {
    const size_t slot = emit_state(e);
    emit_param(e, "void *state", emit_text(e, "c->state[$0]", slot));
    text_put(emit_create(e),
             "    c->state[$0] = $1(c, $2$3$4$3$5);\n    if (!c->state[$0]) return false;\n", slot,
             call, literal, w ? ", " : "", w ? w : "", w ? (b ? b : "NULL") : "");
}

static const char *print_bias(emitter *e, const value *b, int64_t count) {
    if (!b) return NULL;
    const int64_t have = value_count(b);
    float *p = new_floats(e, count);
    for (int64_t i = 0; i < count; i++) p[i] = (float)tensor_get(b->constant, have == 1 ? 0 : i);
    return emit_weights(e, p, (size_t)count * sizeof *p, b->name);
}

/* The pass behind the operator: residual and activation, in place. pixels, c, stride: of one image
   of the output. */
static void print_after(emitter *e, const node *n, int64_t pixels, int64_t c, int64_t stride) {
    const value *r = input_at(n, 3), *slope = input_at(n, 4);
    const cameo_elementwise s = {.pixels = most(1, 16384 / c),
                                 .c = c,
                                 .x_pixel = stride,
                                 .y_pixel = stride,
                                 .r_pixel = !r                   ? 0
                                            : r->shape.rank == 4 ? image_of(r).pixel
                                                                 : c,
                                 .act = act_of(n)};
    if (r) emit_value(e, "r", r, false);
    if (slope) emit_channels(e, "slope", slope, 0, 1, c, vector_of(e));
    emit_pixels(
        e, n, &s, pixels,
        emit_text(e, "y, NULL, NULL, $0, $1, y", slope ? "slope" : "NULL", r ? "r" : "NULL"));
}

/* Whether the layers that made v have looked for NaN themselves (cameo_xnn_mend). */
static bool is_looked_at(const value *v) {
    while (v->producer && v->producer->impl && v->producer->impl->xnnpack) {
        if (!input_at(v->producer, 3)) return true;
        v = v->producer->in[3];
    }
    return false;
}

static void print_doubt(emitter *e, const node *n, const cameo_xnn_window *s,
                        enum cameo_xnn_kind kind) {
    cameo_xnn_doubt d = {*s, kind, .batched = node_is_batched(n)};
    for (size_t i = 0; i < n->n_in && i < 2; i++)
        d.entering |= n->in[i] && !n->in[i]->constant && !is_looked_at(n->in[i]);
    emit_cameo_xnn_doubt(e, "_doubt", &d);
}

/* w, b: what the operator was created with, or NULL. */
static void print_run(emitter *e, const node *n, const cameo_xnn_window *s,
                      enum cameo_xnn_kind kind, const char *w, const char *b) {
    emit_value(e, "x", n->in[0], false);
    if (w) emit_param(e, "const float *w", w);
    if (b) emit_param(e, "const float *b", b);
    emit_value(e, "y", n->out[0], true);
    print_doubt(e, n, s, kind);
    body_put(e,
             "    cameo_xnn_run(c, state, (size_t)$0, x, NULL, y);\n"
             "    cameo_xnn_mend(c, &$F_doubt, (size_t)$0, x, $1, $2, y);\n",
             images_of(e, n), w ? "w" : "NULL", b ? "b" : "NULL");
}

/* ---- convolution ---- */

static bool conv_window(const node *n, window *k) {
    if (!is_internal(n) || !images_ready(n) || !is_finite(n->in[1])) return false;
    if (input_at(n, 2) && !is_finite(n->in[2])) return false;
    const int64_t *w = n->in[1]->shape.dim;
    if (!ending_fits(n) || !window_of(n, n->in[0], n->in[1], k)) return false;
    return k->group >= 1 && w[0] % k->group == 0 && w[1] * k->group == n->in[0]->shape.dim[1] &&
           w[0] == n->out[0]->shape.dim[1];
}

static bool is_depthwise(const node *n, const window *k) {
    return k->group > 1 && k->group == n->in[0]->shape.dim[1] && n->in[1]->shape.dim[0] == k->group;
}

static bool applies_conv(const node *n, const options *o) {
    (void)o;
    window k;
    return conv_window(n, &k) && !is_depthwise(n, &k);
}

static bool applies_depthwise(const node *n, const options *o) {
    (void)o;
    window k;
    return conv_window(n, &k) && is_depthwise(n, &k);
}

static double after_cost(const node *n) {
    float least, most;
    return act_is_clamp(n, &least, &most) && !input_at(n, 3)
               ? 0
               : (double)value_count(n->out[0]) / 6000;
}

static double conv_macs(const node *n) {
    const int64_t *w = n->in[1]->shape.dim;
    return (double)value_count(n->out[0]) * (double)(w[1] * w[2] * w[3]);
}

static double cost_conv(const node *n, const options *o) {
    return 3 + conv_macs(n) / speed(o, 0.78) + stream_time(4 * (double)value_count(n->in[1])) +
           after_cost(n);
}

static double cost_depthwise(const node *n, const options *o) {
    const bool large = n->in[1]->shape.dim[2] * n->in[1]->shape.dim[3] > 25;
    return 3 + conv_macs(n) / speed(o, large ? 0.02 : 0.2) + after_cost(n);
}

/* ONNX [co][ci][kh][kw] -> [co][kh][kw][ci] */
static const char *pack_conv(emitter *e, const value *v) {
    const int64_t *d = v->shape.dim, taps = d[2] * d[3];
    const float *from = v->constant->data;
    float *to = new_floats(e, value_count(v));
    for (int64_t co = 0; co < d[0]; co++)
        for (int64_t ci = 0; ci < d[1]; ci++)
            for (int64_t t = 0; t < taps; t++)
                to[(co * taps + t) * d[1] + ci] = from[(co * d[1] + ci) * taps + t];
    return emit_weights(e, to, (size_t)value_count(v) * sizeof *to, v->name);
}

/* ONNX [c][1][kh][kw] -> [kh][kw][c] */
static const char *pack_depthwise(emitter *e, const value *v) {
    const int64_t *d = v->shape.dim, taps = d[2] * d[3];
    const float *from = v->constant->data;
    float *to = new_floats(e, value_count(v));
    for (int64_t c = 0; c < d[0]; c++)
        for (int64_t t = 0; t < taps; t++) to[t * d[0] + c] = from[c * taps + t];
    return emit_weights(e, to, (size_t)value_count(v) * sizeof *to, v->name);
}

static void emit_conv(emitter *e, const node *n) {
    window k;
    if (!conv_window(n, &k)) BUG("XNNPACK convolution without a window");
    const bool depthwise = is_depthwise(n, &k);
    float least, most;
    const bool after = !act_is_clamp(n, &least, &most) || input_at(n, 3);
    if (after) least = -INFINITY, most = INFINITY;
    const image y = image_of(n->out[0]);
    const cameo_xnn_window s = window_shape_of(n, &k, n->in[1]->shape.dim[1], y.c / k.group, least,
                                               most);
    const char *w = depthwise ? pack_depthwise(e, n->in[1]) : pack_conv(e, n->in[1]);
    const char *b = print_bias(e, input_at(n, 2), y.c);
    print_create(e, depthwise ? "cameo_xnn_depthwise" : "cameo_xnn_conv", window_text(e, &s), w, b);
    print_run(e, n, &s, depthwise ? CAMEO_XNN_DEPTHWISE : CAMEO_XNN_CONV, w, b);
    if (after) print_after(e, n, y.h * y.w, y.c, y.pixel);
}

/* ---- deconvolution ---- */

/* The output_padding of an axis. */
static int64_t adjust_of(const window *k, int i) {
    return k->out[i] + k->begin[i] + k->end[i] - (k->in[i] - 1) * k->stride[i] -
           (k->k[i] - 1) * k->dilation[i] - 1;
}

/* XNNPACK before 2026 underflows where an output is smaller than a stride. */
static bool deconv_window(const node *n, window *k) {
    if (n->domain[0] || !images_ready(n) || !is_finite(n->in[1]) || node_ints(n, "output_shape"))
        return false;
    if ((input_at(n, 2) && !is_finite(n->in[2])) || !window_of(n, n->in[0], n->in[1], k))
        return false;
    const int64_t *w = n->in[1]->shape.dim;
    if (k->group < 1 || w[0] % k->group || w[0] != n->in[0]->shape.dim[1] ||
        w[1] * k->group != n->out[0]->shape.dim[1])
        return false;
    for (int i = 1; i < 3; i++)
        if (adjust_of(k, i) >= k->stride[i] || k->out[i] < k->stride[i]) return false;
    return true;
}

static bool applies_deconv(const node *n, const options *o) {
    (void)o;
    window k;
    return deconv_window(n, &k);
}

static double cost_deconv(const node *n, const options *o) {
    const int64_t *w = n->in[1]->shape.dim;
    return 3 + (double)value_count(n->in[0]) * (double)(w[1] * w[2] * w[3]) / speed(o, 0.5);
}

static void emit_deconv(emitter *e, const node *n) {
    window k;
    if (!deconv_window(n, &k)) BUG("XNNPACK deconvolution without a window");
    const value *v = n->in[1];
    const int64_t *d = v->shape.dim, taps = d[2] * d[3], ci = d[0] / k.group, co = d[1];
    const float *from = v->constant->data;
    float *to = new_floats(e, value_count(v)); /* [group][co][kh][kw][ci] */
    for (int64_t g = 0; g < k.group; g++)
        for (int64_t i = 0; i < ci; i++)
            for (int64_t q = 0; q < co * taps; q++)
                to[((g * co + q / taps) * taps + q % taps) * ci + i] =
                    from[(g * ci + i) * co * taps + q];
    const char *w = emit_weights(e, to, (size_t)value_count(v) * sizeof *to, v->name);
    cameo_xnn_window s = window_shape_of(n, &k, ci, co, -INFINITY, INFINITY);
    s.adjust_h = adjust_of(&k, 1), s.adjust_w = adjust_of(&k, 2);
    const char *b = print_bias(e, input_at(n, 2), co * k.group);
    print_create(e, "cameo_xnn_deconv", window_text(e, &s), w, b);
    print_run(e, n, &s, CAMEO_XNN_DECONV, w, b);
}

/* ---- fully connected ---- */

static bool is_rows(const value *v) {
    return v && v->type == DT_FLOAT && v->shape.rank == 2 && v->layout == LAYOUT_ONNX &&
           !v->pixel_stride && !v->constant;
}

static bool applies_gemm(const node *n, const options *o) {
    (void)o;
    if (!is_internal(n) || !is_rows(n->in[0]) || !is_rows(n->out[0]) || !has_tail(n->in[0]) ||
        !is_finite(n->in[1]))
        return false;
    if (n->in[1]->shape.rank != 2 || (input_at(n, 2) && !is_finite(n->in[2])) ||
        value_count(n->out[0]) < 1)
        return false;
    const value *r = input_at(n, 3);
    return act_known(n) && (!r || (is_rows(r) && shape_equal(&r->shape, &n->out[0]->shape)));
}

static double cost_gemm(const node *n, const options *o) {
    const double weights = (double)value_count(n->in[1]), rows = (double)n->out[0]->shape.dim[0];
    return 3 + weights * rows / speed(o, rows > 1 ? 0.6 : 0.2) + stream_time(4 * weights) +
           after_cost(n);
}

static void emit_gemm(emitter *e, const node *n) {
    const int64_t *d = n->in[1]->shape.dim;
    float least, most;
    const bool after = !act_is_clamp(n, &least, &most) || input_at(n, 3);
    if (after) least = -INFINITY, most = INFINITY;
    const cameo_xnn_matrix matrix = {d[1], d[0], least, most};
    const cameo_xnn_window s = pixel_shape(d[1], d[0], least, most);
    const char *w = emit_weights(e, n->in[1]->constant->data, tensor_bytes(n->in[1]->constant),
                                 n->in[1]->name);
    const char *b = print_bias(e, input_at(n, 2), d[0]);
    print_create(e, "cameo_xnn_gemm",
                 emit_text(e, "&(const cameo_xnn_matrix)$0",
                           cameo_xnn_matrix_literal(emit_arena(e), &matrix)),
                 w, b);
    print_run(e, n, &s, CAMEO_XNN_CONV, w, b);
    if (after) print_after(e, n, 1, d[0], d[0]);
}

/* ---- pools ---- */

static bool applies_pool(const node *n, const options *o) {
    (void)o;
    window k;
    if (n->domain[0] || !images_ready(n) || (n->n_out > 1 && n->out[1]) ||
        !window_of(n, n->in[0], NULL, &k) || k.k[1] * k.k[2] < 2 || node_int(n, "ceil_mode", 0))
        return false;
    if (k.stride[1] > k.k[1] || k.stride[2] > k.k[2])
        return false; /* XNNPACK of 2024 refuses pixels that no window sees */
    const bool average = n->opcode == ONNX_AveragePool,
               padded = k.begin[1] || k.begin[2] || k.end[1] || k.end[2];
    return !average || (k.dilation[1] == 1 && k.dilation[2] == 1 &&
                        !(padded && node_int(n, "count_include_pad", 0)));
}

static bool applies_global(const node *n, const options *o) {
    (void)o;
    return !n->domain[0] && images_ready(n);
}

static double cost_pool(const node *n, const options *o) {
    (void)o;
    return 3 + (double)value_count(n->in[0]) / 4000;
}

static void emit_pool(emitter *e, const node *n) {
    window k = pixel;
    const bool global = n->opcode == ONNX_GlobalAveragePool, maximum = n->opcode == ONNX_MaxPool;
    if (!global && !window_of(n, n->in[0], NULL, &k)) BUG("XNNPACK pool without a window");
    const int64_t c = n->in[0]->shape.dim[1];
    const cameo_xnn_window s = window_shape_of(n, &k, c, c, -INFINITY, INFINITY);
    print_create(e,
                 global    ? "cameo_xnn_global_average_pool"
                 : maximum ? "cameo_xnn_max_pool"
                           : "cameo_xnn_average_pool",
                 window_text(e, &s), NULL, NULL);
    print_run(e, n, &s,
              global    ? CAMEO_XNN_GLOBAL_AVERAGE
              : maximum ? CAMEO_XNN_MAX
                        : CAMEO_XNN_AVERAGE,
              NULL, NULL);
}

/* ---- sum ---- */

static bool is_dense(const value *v) {
    return !v->pixel_stride || v->pixel_stride == v->shape.dim[1];
}

static bool applies_add(const node *n, const options *o) {
    (void)o;
    if (n->domain[0] || n->n_in != 2 || !images_ready(n) || !is_nhwc(n->in[1]) ||
        !has_tail(n->in[1]))
        return false;
    return shape_equal(&n->in[0]->shape, &n->out[0]->shape) &&
           shape_equal(&n->in[1]->shape, &n->out[0]->shape);
}

static double cost_add(const node *n, const options *o) {
    (void)o;
    return 3 + (double)value_count(n->out[0]) / 5000;
}

static void emit_add(emitter *e, const node *n) {
    const image y = image_of(n->out[0]);
    if (!is_dense(n->in[0]) || !is_dense(n->in[1]) || !is_dense(n->out[0]))
        BUG("XNNPACK sum of slices");
    print_create(e, "cameo_xnn_add", emit_text(e, "$0", y.c * y.h * y.w), NULL, NULL);
    emit_value(e, "x", n->in[0], false);
    emit_value(e, "x2", n->in[1], false);
    emit_value(e, "y", n->out[0], true);
    const cameo_xnn_window s = pixel_shape(y.c * y.h * y.w, 1, -INFINITY, INFINITY);
    print_doubt(e, n, &s, CAMEO_XNN_CONV);
    body_put(e,
             "    cameo_xnn_run(c, state, (size_t)$0, x, x2, y);\n"
             "    cameo_xnn_mend_sum(c, &$F_doubt, (size_t)$0, x, x2, y);\n",
             images_of(e, n));
}

#define XNN(variable, NAME, OP, APPLIES, COST, EMIT, DENSE) \
    const implementation variable = {.name = NAME,          \
                                     .op = OP,              \
                                     .xnnpack = true,       \
                                     .applies = APPLIES,    \
                                     .cost = COST,          \
                                     .emit = EMIT,          \
                                     .dense = DENSE}
XNN(xnn_conv, "xnn-conv", CAMEO_Conv, applies_conv, cost_conv, emit_conv, false);
XNN(xnn_depthwise, "xnn-depthwise", CAMEO_Conv, applies_depthwise, cost_depthwise, emit_conv,
    false);
XNN(xnn_deconv, "xnn-deconv", ONNX_ConvTranspose, applies_deconv, cost_deconv, emit_deconv, false);
XNN(xnn_gemm, "xnn-gemm", CAMEO_Gemm, applies_gemm, cost_gemm, emit_gemm, true);
XNN(xnn_max_pool, "xnn-max-pool", ONNX_MaxPool, applies_pool, cost_pool, emit_pool, false);
XNN(xnn_average_pool, "xnn-average-pool", ONNX_AveragePool, applies_pool, cost_pool, emit_pool,
    false);
XNN(xnn_global_average_pool, "xnn-global-average-pool", ONNX_GlobalAveragePool, applies_global,
    cost_pool, emit_pool, false);
XNN(xnn_add, "xnn-add", ONNX_Add, applies_add, cost_add, emit_add, true);
