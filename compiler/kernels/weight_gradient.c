/* Weight gradient of convolutions (runtime/kernels/weight_gradient.h): chooses the register tile,
   the bands and the cut into tasks. Written straight into the block of gradients where its order
   allows. */
#include "kernels.h"

typedef struct plan {
    cameo_wgrad s;
    int64_t block, run;
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
    cameo_wgrad *s = &p->s;
    s->vectors = s->co > t->vector_floats ? 2 : 1;
    p->block = s->vectors * t->vector_floats;
    s->flat = s->kw > 1 && s->dw == 1 && s->ci < FEW_CHANNELS;
    p->run = s->flat ? s->kw * s->ci : s->ci;
    const int64_t largest = (t->vector_registers - s->vectors - 1) / 2; /* 14 of 32 registers, 6
                                                                           of 16 */
    s->tile = ceil_div(p->run, ceil_div(p->run, largest));
    p->per_group = ceil_div(s->co, p->block);
    p->floats = s->groups * p->per_group * s->kh * s->kw * s->ci * p->block;
}

static int64_t packed(int64_t out, int64_t taps, int64_t stride, int64_t dilation) {
    return taps == 1 ? out : (out - 1) * stride + (taps - 1) * dilation + 1;
}

/* Without padding and neighbours the images are one run of pixels: rows of a length that makes a
   good band. */
static void merge_pixels(cameo_wgrad *s) {
    const bool pointwise = s->kh == 1 && s->kw == 1 && s->sh == 1 && s->sw == 1 && s->oh == s->h &&
                           s->ow == s->w;
    if (!pointwise || s->pt || s->pl) return;
    const int64_t pixels = s->images * s->h * s->w;
    int64_t row = most(1, least(PIXELS, PANEL_FLOATS / s->channels));
    while (pixels % row) row--;
    if (row < PIXELS_LEAST / 2) row = s->w;
    s->images = 1, s->h = s->oh = pixels / row, s->w = s->ow = row;
}

static int64_t panel_floats(const cameo_wgrad *s, int64_t rows) {
    const int64_t width = s->flat ? s->ci : round_up(s->channels, s->tile);
    return packed(rows, s->kh, s->sh, s->dh) * packed(s->ow, s->kw, s->sw, s->dw) * width;
}

static void choose_bands(plan *p) {
    cameo_wgrad *s = &p->s;
    const int64_t depth = ceil_div(DEPTH, s->kh * s->kw);
    s->channels = s->flat || s->ci <= depth
                      ? s->ci
                      : round_up(ceil_div(s->ci, ceil_div(s->ci, depth)), s->tile);
    merge_pixels(s);
    int64_t rows = most(1, least(s->oh, PIXELS / s->ow));
    while (rows > 1 && panel_floats(s, rows) > PANEL_FLOATS && (rows - 1) * s->ow >= PIXELS_LEAST)
        rows--;
    s->band_rows = ceil_div(s->oh, ceil_div(s->oh, rows)); /* bands of like size */
    s->band_images = 1;
    if (s->band_rows == s->oh)
        s->band_images = least(s->images, most(1, least(PIXELS / (s->oh * s->ow),
                                                        PANEL_FLOATS / panel_floats(s, s->oh))));
    p->panels = s->band_images * panel_floats(s, s->band_rows);
}

/* Parts first, since they repeat no packing, while the partial sums stay small; then blocks. */
static void choose_tasks(plan *p) {
    const int64_t bands = ceil_div(p->s.images, p->s.band_images) *
                          ceil_div(p->s.oh, p->s.band_rows);
    const int64_t chunks = p->s.groups * ceil_div(p->s.ci, p->s.channels),
                  wanted = ceil_div(TASKS, chunks);
    p->s.parts = most(1, least(least(bands, wanted), PARTIAL_FLOATS / p->floats));
    p->s.blocks = ceil_div(p->per_group, least(p->per_group, ceil_div(wanted, p->s.parts)));
}

static parameter_layout order_of(const node *n) {
    return n->out[0]->role == ROLE_GRADIENT ? n->out[0]->param->layout : PARAMETER_ONNX;
}

static bool make_plan(const node *n, const options *o, parameter_layout order, plan *p) {
    if (!is_internal(n) || !is_nhwc(n->in[0]) || !is_nhwc(n->in[1])) return false;
    const image x = image_of(n->in[0]), y = image_of(n->in[1]);
    window k;
    if (!window_of(n, n->in[0], NULL, &k) || k.group < 1 || x.c % k.group || y.c % k.group)
        return false;
    *p = (plan){.s = {OF_IMAGES(x, y), OF_WINDOW(k), .images = x.n, .groups = k.group}};
    p->s.ci = x.c / k.group, p->s.co = y.c / k.group;
    if (p->s.ci == 1 && p->s.co == 1 && k.group > 1) return false; /* depthwise */
    choose_tile(p, &o->target);
    p->onnx = order == PARAMETER_ONNX;
    if (!p->onnx && p->s.groups > 1 && p->s.co % p->block) return false;
    choose_bands(p);
    choose_tasks(p);
    return p->panels <= PANEL_MOST && p->s.band_images * p->s.band_rows * p->s.ow <= 8 * PIXELS;
}

static bool applies(const node *n, const options *o) {
    plan p;
    return make_plan(n, o, order_of(n), &p) && (p.onnx || n->out[0]->param->block == p.block);
}

static bool takes(const node *n, const parameter *param, parameter_layout order, const options *o) {
    plan p;
    return n->out[0]->param == param && order == PARAMETER_CONV && make_plan(n, o, order, &p) &&
           kernel_parameter_block(param, order, o) == p.block;
}

static double cost(const node *n, const options *o) { return 1 + n->macs / speed(o, 0.8); }

static bool has_partial_sums(const plan *p) { return p->s.parts > 1 || p->onnx; }

static int64_t scratch(const node *n, const options *o) {
    plan p;
    if (!make_plan(n, o, order_of(n), &p) || !has_partial_sums(&p)) return 0;
    return p.s.parts * p.floats;
}

static void print_tasks(emitter *e, const plan *p) {
    text *t = emit_helpers(e);
    text_put(t,
             "static void $F_task(void *p, size_t i) {\n"
             "    float x[$0] __attribute__((aligned(64))), y[$1] __attribute__((aligned(64)));\n"
             "    cameo_wgrad_task(&$F_shape, p, i, x, y);\n"
             "}\n",
             p->panels, p->s.band_images * p->s.band_rows * p->s.ow * p->block);
    if (has_partial_sums(p))
        emit_task(e, "task_sum", p->onnx ? "cameo_wgrad_onnx_task" : "cameo_wgrad_sum_task");
}

static void emit(emitter *e, const node *n) {
    plan p;
    if (!make_plan(n, emit_options(e), order_of(n), &p)) BUG("weight gradient without a plan");
    emit_value(e, "x", n->in[0], false);
    emit_value(e, "dy", n->in[1], false);
    emit_value(e, "dw", n->out[0], true);
    if (has_partial_sums(&p)) emit_param(e, "void *partial", emit_scratch(e));
    emit_vector_check(e);
    emit_cameo_wgrad(e, "_shape", &p.s);
    print_tasks(e, &p);
    text *t = emit_body(e);
    const int64_t tasks = p.s.parts * p.s.groups * ceil_div(p.s.ci, p.s.channels) *
                          ceil_div(p.per_group, p.s.blocks);
    text_put(t, "    cameo_wgrad_args a = {x, dy, $0, dw};\n",
             has_partial_sums(&p) ? "partial" : "dw");
    emit_parallel(e, NULL, tasks, "task, &a", "parts x input channels x output channels");
    if (p.onnx)
        emit_parallel(e, NULL, p.s.groups * p.per_group, "task_sum, &a",
                      "blocks of output channels");
    else if (p.s.parts > 1)
        text_put(t,
                 "    cameo_parallel(c, ($0 + CAMEO_WGRAD_SUM - 1) / CAMEO_WGRAD_SUM, $F_task_sum, "
                 "&a);\n",
                 p.floats);
}

const implementation weight_gradient = {.name = "weight-gradient",
                                        .op = CAMEO_ConvWeightGrad,
                                        OF_FILE,
                                        .scratch = scratch,
                                        .takes = takes};
