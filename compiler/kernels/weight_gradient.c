/* Weight gradient of convolutions (runtime/kernels/weight_gradient.h): chooses the register tile,
   the bands and the cut into tasks. Written straight into the block of gradients where its order
   allows. */
#include "kernels.h"

typedef struct plan {
    window k;
    int64_t images, h, w, ci, oh, ow, co; /* ci, co: of one group */
    int64_t x_pixel, y_pixel;
    int64_t vectors, block, tile, run;
    bool flat;
    int64_t band_images, band_rows, parts, channels, blocks;
    int64_t per_group, floats; /* blocks of a group; floats of one part */
    int64_t panels;            /* floats of the packed x */
    bool onnx;                 /* order of the output */
} plan;

/* Half of the second-level cache holds a band of x, the rest one block of dy and what is fetched
   ahead. */
enum {
    PANEL_FLOATS = 72 * 1024,
    PANEL_MOST = 256 * 1024,
    PIXELS = 448,
    PIXELS_LEAST = 128,
    DEPTH = 512
};
enum { TASKS = 16, PARTIAL_FLOATS = 1024 * 1024, FEW_CHANNELS = 8 };

static void choose_tile(plan *p, const target *t) {
    p->vectors = p->co > t->vector_floats ? 2 : 1;
    p->block = p->vectors * t->vector_floats;
    p->flat = p->k.kw > 1 && p->k.dw == 1 && p->ci < FEW_CHANNELS;
    p->run = p->flat ? p->k.kw * p->ci : p->ci;
    const int64_t largest = (t->vector_registers - p->vectors - 1) / 2; /* 14 of 32 registers, 6 of
                                                                           16 */
    p->tile = ceil_div(p->run, ceil_div(p->run, largest));
    p->per_group = ceil_div(p->co, p->block);
    p->floats = p->k.group * p->per_group * p->k.kh * p->k.kw * p->ci * p->block;
}

static int64_t packed(int64_t out, int64_t taps, int64_t stride, int64_t dilation) {
    return taps == 1 ? out : (out - 1) * stride + (taps - 1) * dilation + 1;
}

/* Without padding and neighbours the images are one run of pixels: rows of a length that makes a
   good band. */
static void merge_pixels(plan *p) {
    const bool pointwise = p->k.kh == 1 && p->k.kw == 1 && p->k.sh == 1 && p->k.sw == 1 &&
                           p->oh == p->h && p->ow == p->w;
    if (!pointwise || p->k.pt || p->k.pl) return;
    const int64_t pixels = p->images * p->h * p->w;
    int64_t row = most(1, least(PIXELS, PANEL_FLOATS / p->channels));
    while (pixels % row) row--;
    if (row < PIXELS_LEAST / 2) row = p->w;
    p->images = 1, p->h = p->oh = pixels / row, p->w = p->ow = row;
}

static int64_t panel_floats(const plan *p, int64_t rows) {
    const int64_t width = p->flat ? p->ci : round_up(p->channels, p->tile);
    return packed(rows, p->k.kh, p->k.sh, p->k.dh) * packed(p->ow, p->k.kw, p->k.sw, p->k.dw) *
           width;
}

static void choose_bands(plan *p) {
    const int64_t depth = ceil_div(DEPTH, p->k.kh * p->k.kw);
    p->channels = p->flat || p->ci <= depth
                      ? p->ci
                      : round_up(ceil_div(p->ci, ceil_div(p->ci, depth)), p->tile);
    merge_pixels(p);
    int64_t rows = most(1, least(p->oh, PIXELS / p->ow));
    while (rows > 1 && panel_floats(p, rows) > PANEL_FLOATS && (rows - 1) * p->ow >= PIXELS_LEAST)
        rows--;
    p->band_rows = ceil_div(p->oh, ceil_div(p->oh, rows)); /* bands of like size */
    p->band_images = 1;
    if (p->band_rows == p->oh)
        p->band_images = least(p->images, most(1, least(PIXELS / (p->oh * p->ow),
                                                        PANEL_FLOATS / panel_floats(p, p->oh))));
    p->panels = p->band_images * panel_floats(p, p->band_rows);
}

/* Parts first, since they repeat no packing, while the partial sums stay small; then blocks. */
static void choose_tasks(plan *p) {
    const int64_t bands = ceil_div(p->images, p->band_images) * ceil_div(p->oh, p->band_rows);
    const int64_t chunks = p->k.group * ceil_div(p->ci, p->channels),
                  wanted = ceil_div(TASKS, chunks);
    p->parts = most(1, least(least(bands, wanted), PARTIAL_FLOATS / p->floats));
    p->blocks = ceil_div(p->per_group, least(p->per_group, ceil_div(wanted, p->parts)));
}

static parameter_layout order_of(const node *n) {
    return n->out[0]->role == ROLE_GRADIENT ? n->out[0]->param->layout : PARAMETER_ONNX;
}

static bool make_plan(const node *n, const options *o, parameter_layout order, plan *p) {
    if (!is_internal(n) || !is_nhwc(n->in[0]) || !is_nhwc(n->in[1]) || !window_of(n, NULL, &p->k))
        return false;
    const image x = image_of(n->in[0]), y = image_of(n->in[1]);
    if (p->k.group < 1 || x.c % p->k.group || y.c % p->k.group || order == PARAMETER_DEPTHWISE)
        return false;
    p->images = x.n, p->h = x.h, p->w = x.w, p->ci = x.c / p->k.group, p->x_pixel = x.pixel;
    p->oh = y.h, p->ow = y.w, p->co = y.c / p->k.group, p->y_pixel = y.pixel;
    if (p->ci == 1 && p->co == 1 && p->k.group > 1) return false; /* depthwise */
    choose_tile(p, &o->target);
    p->onnx = order == PARAMETER_ONNX;
    if (!p->onnx && p->k.group > 1 && p->co % p->block) return false;
    choose_bands(p);
    choose_tasks(p);
    return p->panels <= PANEL_MOST && p->band_images * p->band_rows * p->ow <= 8 * PIXELS;
}

static bool applies(const graph *g, const node *n, const options *o) {
    (void)g;
    plan p;
    return make_plan(n, o, order_of(n), &p) && (p.onnx || n->out[0]->param->block == p.block);
}

static bool takes(const graph *g, const node *n, const parameter *param, parameter_layout order,
                  const options *o) {
    (void)g;
    plan p;
    return n->out[0]->param == param && order != PARAMETER_ONNX && make_plan(n, o, order, &p) &&
           kernel_parameter_block(param, order, o) == p.block;
}

static double cost(const node *n, const options *o) { return 1 + n->macs / speed(o, 0.8); }

static bool has_partial_sums(const plan *p) { return p->parts > 1 || p->onnx; }

static size_t scratch(const node *n, const options *o) {
    plan p;
    if (!make_plan(n, o, order_of(n), &p) || !has_partial_sums(&p)) return 0;
    return (size_t)(p.parts * p.floats) * sizeof(float);
}

static void print_shape(emitter *e, const plan *p) {
    text *t = emit_helpers(e);
    text_append(t, "static const cameo_wgrad $F_shape = {\n");
    text_printf(t,
                "    .images = %lld, .h = %lld, .w = %lld, .ci = %lld, .oh = %lld, .ow = %lld, .co "
                "= %lld,\n",
                (long long)p->images, (long long)p->h, (long long)p->w, (long long)p->ci,
                (long long)p->oh, (long long)p->ow, (long long)p->co);
    text_printf(t,
                "    .groups = %lld, .kh = %lld, .kw = %lld, .sh = %lld, .sw = %lld, .dh = %lld, "
                ".dw = %lld,\n",
                (long long)p->k.group, (long long)p->k.kh, (long long)p->k.kw, (long long)p->k.sh,
                (long long)p->k.sw, (long long)p->k.dh, (long long)p->k.dw);
    text_printf(t, "    .pt = %lld, .pl = %lld, .x_pixel = %lld, .y_pixel = %lld,\n",
                (long long)p->k.pt, (long long)p->k.pl, (long long)p->x_pixel,
                (long long)p->y_pixel);
    text_printf(t,
                "    .tile = %lld, .vectors = %lld, .flat = %s, .band_images = %lld, .band_rows = "
                "%lld, .parts = %lld,\n",
                (long long)p->tile, (long long)p->vectors, p->flat ? "true" : "false",
                (long long)p->band_images, (long long)p->band_rows, (long long)p->parts);
    text_printf(t, "    .channels = %lld, .blocks = %lld};\n", (long long)p->channels,
                (long long)p->blocks);
}

static void print_tasks(emitter *e, const plan *p) {
    text *t = emit_helpers(e);
    text_append(t, "static void $F_task(void *p, size_t i) {\n");
    text_printf(
        t,
        "    float x[%lld] __attribute__((aligned(64))), y[%lld] __attribute__((aligned(64)));\n",
        (long long)p->panels, (long long)(p->band_images * p->band_rows * p->ow * p->block));
    text_append(t, "    cameo_wgrad_task(&$F_shape, p, i, x, y);\n}\n");
    if (has_partial_sums(p))
        text_printf(t,
                    "static void $F_task_sum(void *p, size_t i) { cameo_wgrad_%s_task(&$F_shape, "
                    "p, i); }\n",
                    p->onnx ? "onnx" : "sum");
}

static void emit(emitter *e, const node *n) {
    plan p;
    if (!make_plan(n, emit_options(e), order_of(n), &p)) BUG("weight gradient without a plan");
    emit_value(e, "x", n->in[0], false);
    emit_value(e, "dy", n->in[1], false);
    emit_value(e, "dw", n->out[0], true);
    if (has_partial_sums(&p)) emit_param(e, "void *partial", "%s", emit_scratch(e));
    emit_vector_check(e);
    print_shape(e, &p);
    print_tasks(e, &p);
    text *t = emit_body(e);
    const int64_t tasks = p.parts * p.k.group * ceil_div(p.ci, p.channels) *
                          ceil_div(p.per_group, p.blocks);
    text_printf(t, "    cameo_wgrad_args a = {x, dy, %s, dw};\n",
                has_partial_sums(&p) ? "partial" : "dw");
    text_printf(t,
                "    cameo_parallel(c, %lld, $F_task, &a); /* parts x input channels x output "
                "channels */\n",
                (long long)tasks);
    if (p.onnx)
        text_printf(
            t, "    cameo_parallel(c, %lld, $F_task_sum, &a); /* blocks of output channels */\n",
            (long long)(p.k.group * p.per_group));
    else if (p.parts > 1)
        text_printf(t,
                    "    cameo_parallel(c, (%lld + CAMEO_WGRAD_SUM - 1) / CAMEO_WGRAD_SUM, "
                    "$F_task_sum, &a);\n",
                    (long long)p.floats);
}

const implementation weight_gradient = {.name = "weight-gradient",
                                        .op = CAMEO_ConvWeightGrad,
                                        .applies = applies,
                                        .cost = cost,
                                        .scratch = scratch,
                                        .emit = emit,
                                        .slices = true,
                                        .takes = takes};
