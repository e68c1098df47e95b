/* Depthwise convolution (runtime/kernels/depthwise_conv.h). */
#include "kernels.h"

enum { BAND_FLOATS = 32 * 1024 }; /* about 128 KiB of output a task */

static bool applies(const graph *g, const node *n, const options *o) {
    (void)g, (void)o;
    window k;
    if (!is_internal(n) || !is_nhwc(n->in[0]) || !is_nhwc(n->out[0]) || !is_constant(n->in[1])) return false;
    const int64_t *w = n->in[1]->shape.dim;
    if (n->in[1]->shape.rank != 4 || !window_of(n, w + 2, &k)) return false;
    const int64_t c = n->in[0]->shape.dim[1];
    if (k.group != c || w[1] != 1 || w[0] != c || n->out[0]->shape.dim[1] != c) return false;
    return (!input_at(n, 2) || is_constant(n->in[2])) && residual_fits(n, 3) && act_known(n);
}

static double cost(const node *n, const options *o) {
    const int64_t *w = n->in[1]->shape.dim;
    const double macs = (double)value_count(n->out[0]) * (double)(w[2] * w[3]);
    return 1 + macs / speed(o, 0.35);
}

/* [kh][kw][c rounded up] */
static void emit_packed(emitter *e, const node *n) {
    const int64_t *d = n->in[1]->shape.dim, taps = d[2] * d[3], padded = round_up(d[0], emit_options(e)->target.vector_floats);
    const float *from = n->in[1]->constant->data;
    const size_t count = (size_t)(taps * padded);
    float *to = ARENA_ARRAY(emit_arena(e), float, count);
    for (int64_t t = 0; t < taps; t++)
        for (int64_t c = 0; c < d[0]; c++) to[t * padded + c] = from[c * taps + t];
    emit_param(e, "const float *w", "%s", emit_weights(e, to, count * sizeof *to, n->in[1]->name));
}

static void print_shape(emitter *e, const node *n, const window *k, int64_t rows) {
    const image x = image_of(n->in[0]), y = image_of(n->out[0]);
    const value *r = input_at(n, 3);
    text *t = emit_helpers(e);
    text_append(t, "static const cameo_depthwise $F_shape = {\n");
    text_printf(t, "    .h = %lld, .w = %lld, .c = %lld, .oh = %lld, .ow = %lld, .kh = %lld, .kw = %lld,\n", (long long)x.h,
                (long long)x.w, (long long)x.c, (long long)y.h, (long long)y.w, (long long)k->kh, (long long)k->kw);
    text_printf(t, "    .sh = %lld, .sw = %lld, .dh = %lld, .dw = %lld, .pt = %lld, .pl = %lld,\n", (long long)k->sh,
                (long long)k->sw, (long long)k->dh, (long long)k->dw, (long long)k->pt, (long long)k->pl);
    text_printf(t, "    .x_pixel = %lld, .y_pixel = %lld, .r_pixel = %lld, .rows = %lld, .act = %s};\n", (long long)x.pixel,
                (long long)y.pixel, (long long)(r ? image_of(r).pixel : 0), (long long)rows, act_literal(e, n));
}

static void emit(emitter *e, const node *n) {
    window k;
    if (!window_of(n, n->in[1]->shape.dim + 2, &k)) BUG("depthwise convolution without a window");
    const image y = image_of(n->out[0]);
    const int64_t vf = emit_options(e)->target.vector_floats, fit = BAND_FLOATS / (y.w * y.c),
                  rows = fit < 1     ? 1
                         : fit > y.h ? y.h
                                     : fit;
    const value *slope = input_at(n, 4), *r = input_at(n, 3);
    emit_value(e, "x", n->in[0], false);
    emit_packed(e, n);
    emit_channels(e, "b", input_at(n, 2), 0, 1, y.c, vf);
    if (slope) emit_channels(e, "slope", slope, 0, 1, y.c, vf);
    if (r) emit_value(e, "r", r, false);
    emit_value(e, "y", n->out[0], true);
    emit_vector_check(e);
    print_shape(e, n, &k, rows);
    text_append(emit_helpers(e), "static void $F_task(void *p, size_t i) { cameo_depthwise_task(&$F_shape, p, i); }\n");
    text_printf(emit_body(e), "    cameo_depthwise_args a = {x, w, b, %s, %s, y};\n", slope ? "slope" : "NULL",
                r ? "r" : "NULL");
    text_printf(emit_body(e), "    cameo_parallel(c, (size_t)%s * %lld, $F_task, &a); /* images x bands of rows */\n",
                images_of(e, n), (long long)((y.h + rows - 1) / rows));
}

const implementation depthwise_conv = {
    .name = "depthwise-conv", .op = "Conv", .applies = applies, .cost = cost, .emit = emit, .inplace = 1u << 3, .slices = true};
