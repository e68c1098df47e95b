/* Convolution of narrow groups, and depthwise convolution of kernels that the depthwise kernel has
   no tiles for, say 5x5 (runtime/kernels/grouped_conv.h). Of weights that are known when
   compiling. */
#include "kernels.h"

#include "conv_plan.h"

/* TASK_FLOATS: about 128 KiB of output a task. CHUNK_FLOATS: of the input rows of a window and the
   weights of a chunk, which stay in a first-level cache of 32 KiB with the output. Of strided rows
   few are read again: there it counts more that pixels are read whole, CHUNK_STRIDED. FETCHED:
   bytes of weights that do not wait in a cache from one run to the next. TILE_*: output pixels
   whose accumulators fit the registers beside the weights of a row of the kernel, or beside what
   goes through. */
enum {
    TASK_FLOATS = 32 * 1024,
    CHUNK_FLOATS = 6 * 1024,
    CHUNK_STRIDED = 20 * 1024,
    FETCHED = 1 << 16
};
enum { TILE_MANY = 14, TILE_FEW = 10 };
/* ROW_CYCLES: to begin a row of the kernel of a tile. Vectors are exchanged one a cycle, beside
   the multiply-adds. The other kernels' estimates, which are compared, are of tiles that fill the
   registers: with a single vector they lose a sixth. */
static const double ROW_CYCLES = 12, SINGLE_VECTOR = 0.85;

typedef struct plan {
    window k;
    image x, y;
    int64_t width, tile, chunk, rows;
    bool prefetch;
    bool fills; /* a group a vector, whose lanes are not exchanged */
} plan;

static int64_t span(int64_t taps, int64_t dilation) { return (taps - 1) * dilation + 1; }

/* The depthwise kernel has register tiles of its own for these. */
static bool is_depthwise_tiled(const plan *p) {
    return p->width == 1 && p->k.kh == 3 && p->k.kw == 3 && p->k.dh == 1 && p->k.dw == 1 &&
           p->k.sw <= 2;
}

static bool window_fits(const plan *p, const value *w, int64_t vector) {
    const int64_t *d = w->shape.dim;
    const bool power = p->width > 0 && !(p->width & (p->width - 1));
    return p->k.group > 1 && power && p->width <= vector && d[0] == p->y.c && p->y.c == p->x.c &&
           d[1] == p->width && !is_depthwise_tiled(p);
}

/* Only the first and the last tile of a row reach out of the image. */
static bool reach_fits(const plan *p, int64_t tile) {
    const int64_t rest = (p->y.w - 1) % tile + 1,
                  last = (rest - 1) * p->k.sw + span(p->k.kw, p->k.dw);
    const int64_t beyond = most(0,
                                (p->y.w - 1) * p->k.sw - p->k.pl + span(p->k.kw, p->k.dw) - p->x.w);
    const int64_t first = p->y.w <= tile ? last - beyond : tile * p->k.sw;
    return p->k.pl < first && (p->y.w <= tile || beyond <= rest * p->k.sw) && beyond < last;
}

/* Of one vector of channels and one row of the kernel, for `pixels` outputs. */
static double tile_cycles(const plan *p, int64_t pixels) {
    if (!pixels) return 0;
    const int64_t columns = (pixels - 1) * p->k.sw + span(p->k.kw, p->k.dw);
    const double products = (double)(pixels * p->k.kw * p->width) / 2,
                 exchanges = p->width > 1 && !p->fills ? (double)(columns * p->width) : 0;
    return (products > exchanges ? products : exchanges) + ROW_CYCLES;
}

static double row_cycles(const plan *p, int64_t tile) {
    return (double)(p->y.w / tile) * tile_cycles(p, tile) + tile_cycles(p, p->y.w % tile);
}

static void choose_tile(plan *p, const target *t) {
    p->tile = 0;
    for (int64_t tile = 1; tile <= least(p->y.w, t->vector_registers > 16 ? TILE_MANY : TILE_FEW);
         tile++)
        if (reach_fits(p, tile) && (!p->tile || row_cycles(p, tile) <= row_cycles(p, p->tile)))
            p->tile = tile;
}

static void choose_tasks(plan *p, int64_t vector) {
    const int64_t each = vector * (p->x.w * span(p->k.kh, p->k.dh) + p->k.kh * p->k.kw * p->width),
                  all = p->fills && p->k.sh > 1 ? CHUNK_STRIDED : CHUNK_FLOATS;
    p->chunk = vector * least(ceil_div(p->x.c, vector), most(1, all / each));
    p->rows = most(1, least(p->y.h, TASK_FLOATS / (p->y.w * p->y.c)));
}

static bool make_plan(const node *n, const options *o, plan *p) {
    const value *w = n->in[1];
    if (w->shape.rank != 4 || !is_constant(w) || !window_of(n, w->shape.dim + 2, &p->k))
        return false;
    p->x = image_of(n->in[0]), p->y = image_of(n->out[0]);
    if (p->k.group < 1 || p->x.c % p->k.group) return false;
    p->width = p->x.c / p->k.group;
    if (!window_fits(p, w, o->target.vector_floats)) return false;
    p->fills = p->width > 1 && p->width == o->target.vector_floats;
    choose_tile(p, &o->target);
    p->prefetch = p->x.c * p->k.kh * p->k.kw * p->width * 4 > FETCHED;
    choose_tasks(p, o->target.vector_floats);
    return p->tile > 0;
}

static bool applies(const graph *g, const node *n, const options *o) {
    (void)g;
    plan p;
    const value *b = input_at(n, 2);
    if (!is_internal(n) || !is_nhwc(n->in[0]) || !is_nhwc(n->out[0]) || (b && !is_constant(b)))
        return false;
    return residual_fits(n, 3) && act_known(n) && make_plan(n, o, &p);
}

static double cost(const node *n, const options *o) {
    plan p;
    if (!make_plan(n, o, &p)) return 1e30;
    const double vectors = (double)ceil_div(p.x.c, o->target.vector_floats),
                 rows = (double)(p.y.n * p.y.h * p.k.kh),
                 bytes = (double)(p.x.n * p.x.h * p.x.w * p.x.c) * 4;
    /* An input that comes from the third-level cache streams better into the direct kernel's line
       buffer. */
    const double far = p.fills && p.k.sh > 1 && bytes > CONV_STREAMED * (double)p.x.n
                           ? stream_time(bytes)
                           : 0;
    return 1 + far +
           conv_time(o, vectors * rows * row_cycles(&p, p.tile) * SINGLE_VECTOR,
                     (double)value_count(n->in[1]) * 4);
}

/* [vector][kh][kw][k][lane]: of output channel o the weight of input channel o ^ k, or k, within
   its group. */
static const float *pack(emitter *e, const plan *p, const value *w, size_t *bytes) {
    const int64_t vector = emit_options(e)->target.vector_floats, taps = p->k.kh * p->k.kw;
    const float *from = w->constant->data;
    *bytes = (size_t)(round_up(p->x.c, vector) * taps * p->width) * sizeof(float);
    float *to = arena_alloc(emit_arena(e), *bytes);
    for (int64_t o = 0; o < p->x.c; o++)
        for (int64_t t = 0; t < taps; t++)
            for (int64_t k = 0; k < p->width; k++)
                to[((o / vector * taps + t) * p->width + k) * vector + o % vector] =
                    from[(o * p->width + (p->fills ? k : o % p->width ^ k)) * taps + t];
    return to;
}

static void emit_shape(emitter *e, const node *n, const plan *p) {
    text *t = emit_helpers(e);
    const window *k = &p->k;
    text_append(t, "static const cameo_grouped $F_shape = {\n");
    text_printf(t,
                "    .h = %lld, .w = %lld, .c = %lld, .oh = %lld, .ow = %lld, .width = %lld, .kh = "
                "%lld, .kw = %lld,\n",
                (long long)p->x.h, (long long)p->x.w, (long long)p->x.c, (long long)p->y.h,
                (long long)p->y.w, (long long)p->width, (long long)k->kh, (long long)k->kw);
    text_printf(t, "    .sh = %lld, .sw = %lld, .dh = %lld, .dw = %lld, .pt = %lld, .pl = %lld,\n",
                (long long)k->sh, (long long)k->sw, (long long)k->dh, (long long)k->dw,
                (long long)k->pt, (long long)k->pl);
    text_printf(t,
                "    .x_pixel = %lld, .y_pixel = %lld, .r_pixel = %lld, .tile = %lld, .rows = "
                "%lld, .chunk = %lld,\n",
                (long long)p->x.pixel, (long long)p->y.pixel,
                (long long)(input_at(n, 3) ? image_of(n->in[3]).pixel : 0), (long long)p->tile,
                (long long)p->rows, (long long)p->chunk);
    text_printf(t, "    .prefetch = %s, .act = %s};\n", p->prefetch ? "true" : "false",
                act_literal(e, n));
    text_append(
        t, "static void $F_task(void *p, size_t i) { cameo_grouped_task(&$F_shape, p, i); }\n");
}

static void emit(emitter *e, const node *n) {
    plan p;
    size_t bytes;
    if (!make_plan(n, emit_options(e), &p)) BUG("grouped convolution without a plan");
    const int64_t vector = emit_options(e)->target.vector_floats;
    const value *slope = input_at(n, 4), *r = input_at(n, 3);
    const float *w = pack(e, &p, n->in[1], &bytes);
    emit_value(e, "x", n->in[0], false);
    emit_param(e, "const float *w", "%s", emit_weights(e, w, bytes, n->in[1]->name));
    emit_channels(e, "b", input_at(n, 2), 0, 1, p.y.c, vector);
    if (slope) emit_channels(e, "slope", slope, 0, 1, p.y.c, vector);
    if (r) emit_value(e, "r", r, false);
    emit_value(e, "y", n->out[0], true);
    emit_vector_check(e);
    emit_shape(e, n, &p);
    text_printf(emit_body(e), "    cameo_grouped_args a = {x, w, b, %s, %s, y};\n",
                slope ? "slope" : "NULL", r ? "r" : "NULL");
    text_printf(
        emit_body(e),
        "    cameo_parallel(c, (size_t)%s * %lld, $F_task, &a); /* images x bands of rows */\n",
        images_of(e, n), (long long)ceil_div(p.y.h, p.rows));
}

const implementation grouped_conv = {.name = "grouped-conv",
                                     .op = CAMEO_Conv,
                                     .applies = applies,
                                     .cost = cost,
                                     .emit = emit,
                                     .inplace = 1u << 3,
                                     .slices = true};
