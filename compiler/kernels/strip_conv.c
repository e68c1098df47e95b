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
    window window;
    image x, y; /* of the depthwise convolution */
    int64_t rows;
} chain;

static bool is_pointwise(const node *n) {
    window k;
    if (!is_constant(n->in[1]) || n->in[1]->shape.rank != 4 ||
        !window_of(n, n->in[1]->shape.dim + 2, &k))
        return false;
    const image x = image_of(n->in[0]), y = image_of(n->out[0]);
    return k.kh == 1 && k.kw == 1 && k.sh == 1 && k.sw == 1 && k.group == 1 && x.h == y.h &&
           x.w == y.w && !k.pt && !k.pl;
}

static int64_t window_rows(const window *k, int64_t rows) {
    return (rows - 1) * k->sh + (k->kh - 1) * k->dh + 1;
}

/* As many rows as keep the strip near, strips of like size. */
static int64_t rows_of_strip(const chain *c) {
    const int64_t row = c->x.w * c->x.c * (int64_t)sizeof(float),
                  most_rows = ceil_div(c->y.h, STRIPS);
    int64_t rows = 1;
    while (rows < most_rows && window_rows(&c->window, rows + 1) * row <= STRIP_BYTES) rows++;
    return ceil_div(c->y.h, ceil_div(c->y.h, rows));
}

static chain chain_of(const node *expand, const node *depthwise, const node *project) {
    chain c = {.expand = expand, .depthwise = depthwise, .project = project};
    if (!window_of(depthwise, depthwise->in[1]->shape.dim + 2, &c.window))
        BUG("a depthwise convolution without a window");
    c.x = image_of(depthwise->in[0]), c.y = image_of(depthwise->out[0]);
    c.rows = rows_of_strip(&c);
    return c;
}

static bool fits_stack(const chain *c) {
    const int64_t wide = c->expand ? window_rows(&c->window, c->rows) * c->x.w * c->x.c : 0,
                  middle = c->rows * c->y.w * c->y.c;
    return (wide + middle) * (int64_t)sizeof(float) <= MOST_BYTES;
}

static double macs_of(const node *n) { return n ? n->macs : 0; }

bool strip_conv_worthwhile(const node *expand, const node *depthwise, const node *project) {
    if (depthwise->impl != &depthwise_conv || project->impl != &direct_conv ||
        (expand && expand->impl != &direct_conv))
        return false;
    if (input_at(depthwise, 3) || !is_constant(depthwise->in[1]) || !is_pointwise(project))
        return false;
    if (expand && (input_at(expand, 3) || !is_pointwise(expand))) return false;
    const chain c = chain_of(expand, depthwise, project);
    const int64_t pixels = (expand ? c.x.h * c.x.w : 0) + c.y.h * c.y.w; /* of one image */
    const double between = (double)(pixels * c.x.c) * sizeof(float),
                 macs = (macs_of(expand) + depthwise->macs + project->macs) / (double)c.y.n;
    return between > NEAR_BYTES && macs <= WORK * between && fits_stack(&c);
}

static bool applies(const graph *g, const node *n, const options *o) {
    (void)g, (void)o;
    return n->n_parts > 1 && n->parts[n->n_parts - 2]->impl == &depthwise_conv;
}

/* ---- emission ---- */

static conv_plan pointwise_plan(emitter *e, const node *n, int64_t rows, int64_t x_pixel,
                                int64_t y_pixel, bool near) {
    conv_plan p = {.near = near, .x = image_of(n->in[0]), .y = image_of(n->out[0])};
    if (!window_of(n, n->in[1]->shape.dim + 2, &p.k)) BUG("a convolution without a window");
    p.ci = p.x.c, p.co = p.y.c;
    p.x.pixel = x_pixel, p.y.pixel = y_pixel;
    p.r_pixel = input_at(n, 3) ? image_of(n->in[3]).pixel : 0;
    conv_plan_choose_rows(&p, &emit_options(e)->target, rows);
    return p;
}

static const char *named(emitter *e, const char *stem, const char *of) {
    return arena_printf(emit_arena(e), "%s%s", stem, of);
}

/* Weights, bias and slope as parameters wS, bS, slopeS; the initialiser of their part of the
   arguments, with `places` (x, y). */
static const char *emit_operands(emitter *e, const node *n, const conv_plan *p, const char *of,
                                 const char *places) {
    const int64_t vf = emit_options(e)->target.vector_floats, block = p ? p->vectors * vf : vf;
    const value *slope = input_at(n, 4);
    if (p) {
        size_t bytes;
        const float *w = conv_plan_pack(e, p, n->in[1], &bytes);
        emit_param(e, named(e, "const float *w", of), "%s",
                   emit_weights(e, w, bytes, n->in[1]->name));
    } else {
        depthwise_emit_weights(e, named(e, "w", of), n->in[1]);
    }
    emit_channels(e, named(e, "b", of), input_at(n, 2), 0, 1, n->out[0]->shape.dim[1], block);
    if (slope) emit_channels(e, named(e, "slope", of), slope, 0, 1, n->out[0]->shape.dim[1], block);
    const char *slopes = slope ? arena_printf(emit_arena(e), ", .slope = slope%s", of) : "";
    return arena_printf(emit_arena(e), "{.w = w%s, .b = b%s%s%s}", of, of, slopes, places);
}

static void emit_task(emitter *e, const chain *c) {
    text *t = emit_helpers(e);
    const long long row = (long long)(c->x.w * c->x.c),
                    middle = (long long)(c->rows * c->y.w * c->y.c);
    text_printf(t,
                "static const cameo_strips $F_strips = {%s, &$F_shape_depthwise, "
                "&$F_shape_project, .rows = %lld};\n",
                c->expand ? "&$F_shape_expand" : "NULL", (long long)c->rows);
    text_append(t, "static void $F_task(void *p, size_t i) {\n");
    if (c->expand)
        text_printf(t, "    float expanded[%lld] __attribute__((aligned(64))); /* %lld rows */\n",
                    (long long)window_rows(&c->window, c->rows) * row,
                    (long long)window_rows(&c->window, c->rows));
    text_printf(t, "    float middle[%lld] __attribute__((aligned(64))); /* %lld rows */\n", middle,
                (long long)c->rows);
    text_printf(t, "    cameo_strips_task(&$F_strips, p, i, %s, middle);\n}\n",
                c->expand ? "expanded" : "NULL");
}

static void emit_shapes(emitter *e, const chain *c, const conv_plan *expand,
                        const conv_plan *project) {
    image x = c->x, y = c->y;
    emit_vector_check(e);
    if (c->expand)
        conv_plan_print_shape(e, expand, "_expand", act_literal(e, c->expand)), x.pixel = x.c;
    y.pixel = y.c;
    depthwise_shape(e, "_depthwise", &x, &y, &c->window, 0, c->rows, false,
                    act_literal(e, c->depthwise));
    conv_plan_print_shape(e, project, "_project", act_literal(e, c->project));
    emit_task(e, c);
}

static void emit(emitter *e, const node *n) {
    node *const *part = n->parts;
    const bool expands = n->n_parts == 3;
    const chain c = chain_of(expands ? part[0] : NULL, part[expands], part[expands + 1]);
    const node *first = expands ? c.expand : c.depthwise;
    const value *r = input_at(c.project, 3);
    const conv_plan project = pointwise_plan(e, c.project, c.rows, c.y.c,
                                             image_of(c.project->out[0]).pixel, true);
    conv_plan expand = {0};
    if (expands)
        expand = pointwise_plan(e, c.expand, c.rows, image_of(c.expand->in[0]).pixel, c.x.c, false);
    emit_value(e, "x", first->in[0], false);
    const char *one = expands ? emit_operands(e, c.expand, &expand, "_expand", ", .x = x") : NULL;
    const char *two = emit_operands(e, c.depthwise, NULL, "_depthwise", expands ? "" : ", .x = x");
    if (r) emit_value(e, "r", r, false);
    emit_value(e, "y", c.project->out[0], true);
    const char *three = emit_operands(e, c.project, &project, "_project",
                                      r ? ", .r = r, .y = y" : ", .y = y");
    emit_shapes(e, &c, &expand, &project);
    text_printf(
        emit_body(e),
        "    const size_t images = %s, bands = cameo_strip_bands(c->threads, images, %lld);\n",
        images_of(e, n), (long long)ceil_div(c.y.h, c.rows));
    text_append(emit_body(e), "    cameo_strips_args a = {\n");
    if (one) text_printf(emit_body(e), "        .expand = %s,\n", one);
    text_printf(emit_body(e),
                "        .depthwise = %s,\n        .project = %s,\n        .bands = bands};\n", two,
                three);
    text_append(emit_body(e),
                "    cameo_parallel(c, images * bands, $F_task, &a); /* bands of rows */\n");
}

const implementation strip_conv = {
    .name = "strip-conv", .op = CAMEO_ConvChain, .applies = applies, .emit = emit, .slices = true};
