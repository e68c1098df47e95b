/* cameo.ConvChain: a depthwise convolution and the 1x1 convolutions around it, a strip of rows at
   a time (runtime/kernels/strip_conv.h). The chains pass makes such nodes of those that have a
   kernel already. */
#include "conv_plan.h"

/* STRIP_BYTES: of the depthwise convolution's input, what a strip keeps. NEAR_BYTES: what passes
   between the convolutions stays in the second-level cache anyway. WORK: multiply-adds for each
   byte of it, which hide its way to the next cache and back; the two limits were measured on the
   blocks of MobileNet V1, V2 and MobileFaceNet (docs/performance.md). STRIPS: of an image, so that
   threads can share them. MOST_BYTES: both buffers are on the stack. */
enum {
    STRIP_BYTES = 384 * 1024,
    MOST_BYTES = 640 * 1024,
    NEAR_BYTES = 3 << 19,
    WORK = 24,
    STRIPS = 8
};

typedef struct chain {
    const node *expand, *depthwise, *project; /* expand may be NULL */
    cameo_depthwise s;                        /* rows: of a strip */
} chain;

static bool is_pointwise(const node *n) {
    window k;
    if (!is_constant(n->in[1]) || !window_of(n, n->in[0], n->in[1], &k) || k.group != 1)
        return false;
    for (int i = 1; i < 3; i++)
        if (k.k[i] != 1 || k.stride[i] != 1 || k.begin[i] || k.in[i] != k.out[i]) return false;
    return true;
}

static int64_t window_rows(const cameo_depthwise *s, int64_t rows) {
    return (rows - 1) * s->sh + (s->kh - 1) * s->dh + 1;
}

/* As many rows as keep the strip near, strips of like size. */
static int64_t rows_of_strip(const cameo_depthwise *s) {
    const int64_t row = s->w * s->c * (int64_t)sizeof(float), most_rows = ceil_div(s->oh, STRIPS);
    int64_t rows = 1;
    while (rows < most_rows && window_rows(s, rows + 1) * row <= STRIP_BYTES) rows++;
    return ceil_div(s->oh, ceil_div(s->oh, rows));
}

static chain chain_of(const node *n) {
    const bool expands = n->n_parts == 3;
    chain c = {expands ? n->parts[0] : NULL, n->parts[expands], n->parts[expands + 1], {0}};
    const node *d = c.depthwise;
    if (!depthwise_shape(d, d->in[0], d->out[0], d->in[1], &c.s))
        BUG("a depthwise convolution without a window");
    c.s.rows = rows_of_strip(&c.s), c.s.act = act_of(d);
    return c;
}

/* Floats of the two buffers. */
static int64_t expanded_floats(const chain *c) {
    return c->expand ? window_rows(&c->s, c->s.rows) * c->s.w * c->s.c : 0;
}
static int64_t middle_floats(const chain *c) { return c->s.rows * c->s.ow * c->s.c; }

static bool fits_stack(const chain *c) {
    return (expanded_floats(c) + middle_floats(c)) * (int64_t)sizeof(float) <= MOST_BYTES;
}

static double macs_of(const node *n) { return n ? n->macs : 0; }

static bool applies(const node *n, const options *o) {
    (void)o;
    const node *project = n->parts[n->n_parts - 1], *depthwise = n->parts[n->n_parts - 2],
               *expand = n->n_parts == 3 ? n->parts[0] : NULL;
    if (depthwise->impl != &depthwise_conv || project->impl != &direct_conv ||
        (expand && expand->impl != &direct_conv))
        return false;
    if (input_at(depthwise, 3) || !is_constant(depthwise->in[1]) || !is_pointwise(project))
        return false;
    if (expand && (input_at(expand, 3) || !is_pointwise(expand))) return false;
    const chain c = chain_of(n);
    const int64_t pixels = (expand ? c.s.h * c.s.w : 0) + c.s.oh * c.s.ow; /* of one image */
    const double between = (double)(pixels * c.s.c) * sizeof(float),
                 macs = (macs_of(expand) + depthwise->macs + project->macs) /
                        (double)project->out[0]->shape.dim[0];
    return between > NEAR_BYTES && macs <= WORK * between && fits_stack(&c);
}

/* ---- emission ---- */

static conv_plan pointwise_plan(emitter *e, const node *n, int64_t rows, int64_t x_pixel,
                                int64_t y_pixel, bool near) {
    const image x = image_of(n->in[0]), y = image_of(n->out[0]);
    window k;
    if (!window_of(n, n->in[0], n->in[1], &k)) BUG("a convolution without a window");
    conv_plan p = {
        {OF_IMAGES(x, y), OF_WINDOW(k), .ci = x.c, .co = y.c, .groups = 1}, .n = y.n, .near = near};
    p.s.x_pixel = x_pixel, p.s.y_pixel = y_pixel, p.s.r_pixel = residual_pixel(n);
    p.s.act = act_of(n);
    conv_plan_choose_rows(&p, target_of(e), rows);
    return p;
}

static const char *named(emitter *e, const char *stem, const char *of) {
    return emit_text(e, "$0$1", stem, of);
}

/* Weights, bias and slope as parameters wS, bS, slopeS; the initialiser of their part of the
   arguments, with `places` (x, y). */
static const char *emit_operands(emitter *e, const node *n, const conv_plan *p, const char *of,
                                 const char *places) {
    const int64_t vf = vector_of(e), block = p ? p->s.vectors * vf : vf;
    const value *slope = input_at(n, 4);
    if (p)
        conv_plan_emit_weights(e, named(e, "const float *w", of), p, n->in[1]);
    else
        depthwise_emit_weights(e, named(e, "w", of), n->in[1]);
    emit_channels(e, named(e, "b", of), input_at(n, 2), 0, 1, n->out[0]->shape.dim[1], block);
    if (slope) emit_channels(e, named(e, "slope", of), slope, 0, 1, n->out[0]->shape.dim[1], block);
    const char *slopes = slope ? emit_text(e, ", .slope = slope$0", of) : "";
    return emit_text(e, "{.w = w$0, .b = b$0$1$2}", of, slopes, places);
}

static void emit_strips(emitter *e, const chain *c) {
    text *t = emit_helpers(e);
    text_put(t,
             "static const cameo_strips $F_strips = {$0, &$F_shape_depthwise, &$F_shape_project, "
             ".rows = $1};\n"
             "static void $F_task(void *p, size_t i) {\n",
             c->expand ? "&$F_shape_expand" : "NULL", c->s.rows);
    if (c->expand)
        text_put(t, "    float expanded[$0] __attribute__((aligned(64))); /* $1 rows */\n",
                 expanded_floats(c), window_rows(&c->s, c->s.rows));
    text_put(t,
             "    float middle[$0] __attribute__((aligned(64))); /* $1 rows */\n"
             "    cameo_strips_task(&$F_strips, p, i, $2, middle);\n"
             "}\n",
             middle_floats(c), c->s.rows, c->expand ? "expanded" : "NULL");
}

static void emit_shapes(emitter *e, const chain *c, const conv_plan *expand,
                        const conv_plan *project) {
    cameo_depthwise s = c->s;
    emit_vector_check(e);
    if (c->expand) conv_plan_print_shape(e, expand, "_expand"), s.x_pixel = s.c;
    s.y_pixel = s.c;
    emit_cameo_depthwise(e, "_shape_depthwise", &s);
    conv_plan_print_shape(e, project, "_project");
    emit_strips(e, c);
}

static void emit(emitter *e, const node *n) {
    const chain c = chain_of(n);
    const bool expands = c.expand != NULL;
    const value *r = input_at(c.project, 3);
    const conv_plan project = pointwise_plan(e, c.project, c.s.rows, c.s.c,
                                             image_of(c.project->out[0]).pixel, true);
    conv_plan expand = {0};
    if (expands)
        expand = pointwise_plan(e, c.expand, c.s.rows, image_of(c.expand->in[0]).pixel, c.s.c,
                                false);
    emit_value(e, "x", n->parts[0]->in[0], false);
    const char *one = expands ? emit_operands(e, c.expand, &expand, "_expand", ", .x = x") : NULL;
    const char *two = emit_operands(e, c.depthwise, NULL, "_depthwise", expands ? "" : ", .x = x");
    if (r) emit_value(e, "r", r, false);
    emit_value(e, "y", c.project->out[0], true);
    const char *three = emit_operands(e, c.project, &project, "_project",
                                      r ? ", .r = r, .y = y" : ", .y = y");
    emit_shapes(e, &c, &expand, &project);
    body_put(e,
             "    const size_t images = $0, bands = cameo_strip_bands(c->threads, images, $1);\n"
             "    cameo_strips_args a = {\n",
             images_of(e, n), ceil_div(c.s.oh, c.s.rows));
    if (one) body_put(e, "        .expand = $0,\n", one);
    body_put(e,
             "        .depthwise = $0,\n"
             "        .project = $1,\n"
             "        .bands = bands};\n"
             "    cameo_parallel(c, images * bands, $F_task, &a); /* bands of rows */\n",
             two, three);
}

const implementation strip_conv = {.name = "strip-conv",
                                   .op = CAMEO_ConvChain,
                                   .pattern = {CAMEO_Conv, CAMEO_Conv, CAMEO_Conv},
                                   .applies = applies,
                                   .emit = emit};
