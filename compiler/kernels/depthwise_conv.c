/* Depthwise convolution, and the gradient of its input (runtime/kernels/depthwise_conv.h,
   depthwise_grad.h): of stride 1 the convolution of dY with its taps reversed, of greater strides
   a kernel of its own. Weights are packed when compiling, or live in the parameters in the order
   that the kernel reads. */
#include "kernels.h"

enum { BAND_FLOATS = 32 * 1024 }; /* about 128 KiB of output a task */

static bool is_live(const value *v, parameter_layout order) {
    return v->role == ROLE_PARAMETER && v->param->layout == order;
}

bool depthwise_shape(const node *n, const value *x, const value *y, const value *w,
                     cameo_depthwise *s) {
    const image from = image_of(x), to = image_of(y);
    window k;
    if (!window_of(n, x, w, &k)) return false;
    *s = (cameo_depthwise){OF_IMAGES(from, to), OF_WINDOW(k), .c = from.c};
    return k.group == from.c && to.c == from.c;
}

/* Weights as the kernel reads them can be had: order is that of live ones. */
static bool weights_fit(const value *w, const cameo_depthwise *s, parameter_layout order) {
    const int64_t *d = w->shape.dim;
    if (w->type != DT_FLOAT || d[1] != 1 || d[0] != s->c) return false;
    return is_constant(w) || (w->role == ROLE_PARAMETER && order == PARAMETER_DEPTHWISE);
}

static parameter_layout order_of(const value *w) {
    return w->role == ROLE_PARAMETER ? w->param->layout : PARAMETER_ONNX;
}

static bool forward_fits(const node *n, parameter_layout order) {
    cameo_depthwise s;
    if (!is_image_layer(n) || !depthwise_shape(n, n->in[0], n->out[0], n->in[1], &s)) return false;
    const value *b = input_at(n, 2);
    if (b && !is_constant(b) && !is_live(b, PARAMETER_ONNX)) return false;
    return weights_fit(n->in[1], &s, order) && ending_fits(n);
}

static bool applies(const node *n, const options *o) {
    (void)o;
    return forward_fits(n, order_of(n->in[1]));
}

static bool takes(const node *n, const parameter *p, parameter_layout order, const options *o) {
    (void)o;
    return order == PARAMETER_DEPTHWISE && n->in[1]->param == p && forward_fits(n, order);
}

static double cost(const node *n, const options *o) {
    const int64_t *w = n->in[1]->shape.dim;
    const double macs = (double)value_count(n->out[0]) * (double)(w[2] * w[3]);
    return 1 + macs / speed(o, 0.35);
}

void depthwise_emit_weights(emitter *e, const char *name, const value *w) {
    const int64_t *d = w->shape.dim, taps = d[2] * d[3], padded = round_up(d[0], vector_of(e));
    const float *from = w->constant->data;
    float *to = new_floats(e, taps * padded);
    for (int64_t t = 0; t < taps; t++)
        for (int64_t c = 0; c < d[0]; c++) to[t * padded + c] = from[c * taps + t];
    emit_packed(e, emit_text(e, "const float *$0", name), to, taps * padded, w->name);
}

static void emit_taps(emitter *e, const value *w) {
    if (w->constant)
        depthwise_emit_weights(e, "w", w);
    else
        emit_value(e, "w", w, false);
}

/* A band of an output so large. */
static int64_t rows_of_task(const image *y) {
    return most(1, least(y->h, BAND_FLOATS / (y->w * y->c)));
}

static void emit(emitter *e, const node *n) {
    const image y = image_of(n->out[0]);
    cameo_depthwise s;
    if (!depthwise_shape(n, n->in[0], n->out[0], n->in[1], &s))
        BUG("depthwise convolution without a window");
    s.rows = rows_of_task(&y), s.r_pixel = residual_pixel(n), s.act = act_of(n);
    emit_value(e, "x", n->in[0], false);
    emit_taps(e, n->in[1]);
    const char *ending = emit_ending(e, n, 1, y.c, vector_of(e));
    emit_cameo_depthwise(e, "_shape", &s);
    emit_task(e, "task", "cameo_depthwise_task");
    body_put(e, "    cameo_depthwise_args a = {x, w, $0};\n", ending);
    emit_parallel(e, n, ceil_div(y.h, s.rows), "task, &a", "images x bands of rows");
}

const implementation depthwise_conv = {
    .name = "depthwise-conv", .op = CAMEO_Conv, OF_FILE, .inplace = 1u << 3, .takes = takes};

/* ---- the gradient of its input ---- */

/* As a convolution of dY: pads are what the kernel reaches beyond the forward's. */
static cameo_depthwise flipped(const cameo_depthwise *s) {
    cameo_depthwise f = *s;
    f.h = s->oh, f.w = s->ow, f.oh = s->h, f.ow = s->w, f.x_pixel = s->y_pixel,
    f.y_pixel = s->x_pixel;
    f.pt = (s->kh - 1) * s->dh - s->pt, f.pl = (s->kw - 1) * s->dw - s->pl;
    f.flip = true;
    return f;
}

/* The forward convolution's. */
static bool back_shape(const node *n, cameo_depthwise *s) {
    return depthwise_shape(n, n->out[0], n->in[0], n->in[1], s);
}

static bool back_fits(const node *n, parameter_layout order) {
    cameo_depthwise s;
    if (!is_image_layer(n) || !back_shape(n, &s) || !weights_fit(n->in[1], &s, order)) return false;
    const cameo_depthwise f = flipped(&s);
    return s.sh == 1 && s.sw == 1 ? f.pt >= 0 && f.pl >= 0 : s.dh == 1 && s.dw == 1;
}

static bool back_applies(const node *n, const options *o) {
    (void)o;
    return back_fits(n, order_of(n->in[1]));
}

static bool back_takes(const node *n, const parameter *p, parameter_layout order,
                       const options *o) {
    (void)o;
    return order == PARAMETER_DEPTHWISE && n->in[1]->param == p && back_fits(n, order);
}

static double back_cost(const node *n, const options *o) {
    const int64_t *w = n->in[1]->shape.dim;
    return 1 + (double)value_count(n->in[0]) * (double)(w[2] * w[3]) / speed(o, 0.35);
}

static void emit_back(emitter *e, const node *n) {
    const image dx = image_of(n->out[0]);
    cameo_depthwise s;
    if (!back_shape(n, &s)) BUG("depthwise gradient without a window");
    if (s.sh == 1 && s.sw == 1) s = flipped(&s);
    s.rows = rows_of_task(&dx);
    emit_value(e, "dy", n->in[0], false);
    emit_taps(e, n->in[1]);
    if (s.flip) emit_channels(e, "b", NULL, 0, 1, dx.c, vector_of(e));
    emit_value(e, "dx", n->out[0], true);
    emit_vector_check(e);
    emit_cameo_depthwise(e, "_shape", &s);
    emit_task(e, "task", s.flip ? "cameo_depthwise_task" : "cameo_depthwise_spread_task");
    text_append(emit_body(e), s.flip ? "    cameo_depthwise_args a = {dy, w, b, NULL, NULL, dx};\n"
                                     : "    cameo_depthwise_spread_args a = {dy, w, dx};\n");
    emit_parallel(e, NULL, dx.n * ceil_div(dx.h, s.rows), "task, &a", "images x bands of rows");
}

const implementation depthwise_input_gradient = {.name = "depthwise-input-gradient",
                                                 .op = CAMEO_ConvInputGrad,
                                                 .applies = back_applies,
                                                 .cost = back_cost,
                                                 .emit = emit_back,
                                                 .takes = back_takes};
