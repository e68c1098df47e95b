/* Depthwise convolution, and the gradient of its input (runtime/kernels/depthwise_conv.h,
   depthwise_grad.h): of stride 1 the convolution of dY with its taps reversed, of greater strides
   a kernel of its own. Weights are packed when compiling, or live in the parameters in the order
   that the kernel reads. */
#include "kernels.h"

enum { BAND_FLOATS = 32 * 1024 }; /* about 128 KiB of output a task */

static bool is_live(const value *v, parameter_layout order) {
    return v->role == ROLE_PARAMETER && v->param->layout == order;
}

/* Weights as the kernel reads them can be had: order is that of live ones. */
static bool weights_fit(const value *w, const image *x, const image *y, const window *k,
                        parameter_layout order) {
    const int64_t *d = w->shape.dim;
    if (w->shape.rank != 4 || w->type != DT_FLOAT || k->group != x->c || d[1] != 1 ||
        d[0] != x->c || y->c != x->c)
        return false;
    return is_constant(w) || (w->role == ROLE_PARAMETER && order == PARAMETER_DEPTHWISE);
}

static parameter_layout order_of(const value *w) {
    return w->role == ROLE_PARAMETER ? w->param->layout : PARAMETER_ONNX;
}

static bool forward_fits(const node *n, parameter_layout order) {
    window k;
    if (!is_internal(n) || !is_nhwc(n->in[0]) || !is_nhwc(n->out[0]) || n->in[1]->shape.rank != 4 ||
        !window_of(n, n->in[1]->shape.dim + 2, &k))
        return false;
    const image x = image_of(n->in[0]), y = image_of(n->out[0]);
    const value *b = input_at(n, 2);
    if (b && !is_constant(b) && !is_live(b, PARAMETER_ONNX)) return false;
    return weights_fit(n->in[1], &x, &y, &k, order) && residual_fits(n, 3) && act_known(n);
}

static bool applies(const graph *g, const node *n, const options *o) {
    (void)g, (void)o;
    return forward_fits(n, order_of(n->in[1]));
}

static bool takes(const graph *g, const node *n, const parameter *p, parameter_layout order,
                  const options *o) {
    (void)g, (void)o;
    return order == PARAMETER_DEPTHWISE && n->in[1]->param == p && forward_fits(n, order);
}

static double cost(const node *n, const options *o) {
    const int64_t *w = n->in[1]->shape.dim;
    const double macs = (double)value_count(n->out[0]) * (double)(w[2] * w[3]);
    return 1 + macs / speed(o, 0.35);
}

void depthwise_emit_weights(emitter *e, const char *name, const value *w) {
    const int64_t *d = w->shape.dim, taps = d[2] * d[3],
                  padded = round_up(d[0], emit_options(e)->target.vector_floats);
    const float *from = w->constant->data;
    const size_t count = (size_t)(taps * padded);
    float *to = ARENA_ARRAY(emit_arena(e), float, count);
    for (int64_t t = 0; t < taps; t++)
        for (int64_t c = 0; c < d[0]; c++) to[t * padded + c] = from[c * taps + t];
    emit_param(e, arena_printf(emit_arena(e), "const float *%s", name), "%s",
               emit_weights(e, to, count * sizeof *to, w->name));
}

static void emit_taps(emitter *e, const value *w) {
    if (w->constant)
        depthwise_emit_weights(e, "w", w);
    else
        emit_value(e, "w", w, false);
}

static int64_t rows_of_task(const image *y) {
    const int64_t fit = BAND_FLOATS / (y->w * y->c);
    return fit < 1 ? 1 : fit > y->h ? y->h : fit;
}

void depthwise_shape(emitter *e, const char *suffix, const image *x, const image *y,
                     const window *k, int64_t r_pixel, int64_t rows, bool flip, const char *act) {
    text *t = emit_helpers(e);
    text_printf(t, "static const cameo_depthwise $F_shape%s = {\n", suffix);
    text_printf(
        t, "    .h = %lld, .w = %lld, .c = %lld, .oh = %lld, .ow = %lld, .kh = %lld, .kw = %lld,\n",
        (long long)x->h, (long long)x->w, (long long)x->c, (long long)y->h, (long long)y->w,
        (long long)k->kh, (long long)k->kw);
    text_printf(t, "    .sh = %lld, .sw = %lld, .dh = %lld, .dw = %lld, .pt = %lld, .pl = %lld,\n",
                (long long)k->sh, (long long)k->sw, (long long)k->dh, (long long)k->dw,
                (long long)k->pt, (long long)k->pl);
    text_printf(t,
                "    .x_pixel = %lld, .y_pixel = %lld, .r_pixel = %lld, .rows = %lld, .flip = %s, "
                ".act = %s};\n",
                (long long)x->pixel, (long long)y->pixel, (long long)r_pixel, (long long)rows,
                flip ? "true" : "false", act);
}

static void emit(emitter *e, const node *n) {
    window k;
    if (!window_of(n, n->in[1]->shape.dim + 2, &k)) BUG("depthwise convolution without a window");
    const image x = image_of(n->in[0]), y = image_of(n->out[0]);
    const int64_t vf = emit_options(e)->target.vector_floats, rows = rows_of_task(&y);
    const value *b = input_at(n, 2), *slope = input_at(n, 4), *r = input_at(n, 3);
    emit_value(e, "x", n->in[0], false);
    emit_taps(e, n->in[1]);
    if (b && !b->constant)
        emit_value(e, "b", b, false); /* a parameter has room behind it for whole vectors */
    else
        emit_channels(e, "b", b, 0, 1, y.c, vf);
    if (slope) emit_channels(e, "slope", slope, 0, 1, y.c, vf);
    if (r) emit_value(e, "r", r, false);
    emit_value(e, "y", n->out[0], true);
    emit_vector_check(e);
    depthwise_shape(e, "", &x, &y, &k, r ? image_of(r).pixel : 0, rows, false, act_literal(e, n));
    text_append(
        emit_helpers(e),
        "static void $F_task(void *p, size_t i) { cameo_depthwise_task(&$F_shape, p, i); }\n");
    text_printf(emit_body(e), "    cameo_depthwise_args a = {x, w, b, %s, %s, y};\n",
                slope ? "slope" : "NULL", r ? "r" : "NULL");
    text_printf(
        emit_body(e),
        "    cameo_parallel(c, (size_t)%s * %lld, $F_task, &a); /* images x bands of rows */\n",
        images_of(e, n), (long long)((y.h + rows - 1) / rows));
}

const implementation depthwise_conv = {.name = "depthwise-conv",
                                       .op = CAMEO_Conv,
                                       .applies = applies,
                                       .cost = cost,
                                       .emit = emit,
                                       .inplace = 1u << 3,
                                       .slices = true,
                                       .takes = takes};

/* ---- the gradient of its input ---- */

/* The gradient as a convolution of dY: pads are what the kernel reaches beyond the forward's. */
static window flipped(const window *k) {
    window f = *k;
    f.pt = (k->kh - 1) * k->dh - k->pt, f.pl = (k->kw - 1) * k->dw - k->pl;
    return f;
}

static bool back_fits(const node *n, parameter_layout order) {
    window k;
    if (!is_internal(n) || !is_nhwc(n->in[0]) || !is_nhwc(n->out[0]) || n->in[1]->shape.rank != 4 ||
        !window_of(n, n->in[1]->shape.dim + 2, &k))
        return false;
    const image dy = image_of(n->in[0]), dx = image_of(n->out[0]);
    if (!weights_fit(n->in[1], &dx, &dy, &k, order)) return false;
    const window f = flipped(&k);
    return k.sh == 1 && k.sw == 1 ? f.pt >= 0 && f.pl >= 0 : k.dh == 1 && k.dw == 1;
}

static bool back_applies(const graph *g, const node *n, const options *o) {
    (void)g, (void)o;
    return back_fits(n, order_of(n->in[1]));
}

static bool back_takes(const graph *g, const node *n, const parameter *p, parameter_layout order,
                       const options *o) {
    (void)g, (void)o;
    return order == PARAMETER_DEPTHWISE && n->in[1]->param == p && back_fits(n, order);
}

static double back_cost(const node *n, const options *o) {
    const int64_t *w = n->in[1]->shape.dim;
    return 1 + (double)value_count(n->in[0]) * (double)(w[2] * w[3]) / speed(o, 0.35);
}

static void emit_back(emitter *e, const node *n) {
    window k;
    if (!window_of(n, n->in[1]->shape.dim + 2, &k)) BUG("depthwise gradient without a window");
    const image dy = image_of(n->in[0]), dx = image_of(n->out[0]);
    const bool flip = k.sh == 1 && k.sw == 1;
    const int64_t rows = rows_of_task(&dx);
    const window f = flipped(&k);
    emit_value(e, "dy", n->in[0], false);
    emit_taps(e, n->in[1]);
    if (flip) emit_channels(e, "b", NULL, 0, 1, dx.c, emit_options(e)->target.vector_floats);
    emit_value(e, "dx", n->out[0], true);
    emit_vector_check(e);
    depthwise_shape(e, "", flip ? &dy : &dx, flip ? &dx : &dy, flip ? &f : &k, 0, rows, flip,
                    "{CAMEO_NONE, 0, 0}");
    text_printf(
        emit_helpers(e),
        "static void $F_task(void *p, size_t i) { cameo_depthwise_%stask(&$F_shape, p, i); }\n",
        flip ? "" : "spread_");
    text_append(emit_body(e), flip ? "    cameo_depthwise_args a = {dy, w, b, NULL, NULL, dx};\n"
                                   : "    cameo_depthwise_spread_args a = {dy, w, dx};\n");
    text_printf(emit_body(e),
                "    cameo_parallel(c, %lld, $F_task, &a); /* images x bands of rows */\n",
                (long long)(dx.n * ((dx.h + rows - 1) / rows)));
}

const implementation depthwise_input_gradient = {.name = "depthwise-input-gradient",
                                                 .op = CAMEO_ConvInputGrad,
                                                 .applies = back_applies,
                                                 .cost = back_cost,
                                                 .emit = emit_back,
                                                 .slices = true,
                                                 .takes = back_takes};
