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
    cameo_grouped s;
    int64_t images;
    bool fills; /* a group a vector, whose lanes are not exchanged */
} plan;

static int64_t span(int64_t taps, int64_t dilation) { return (taps - 1) * dilation + 1; }

/* The depthwise kernel has register tiles of its own for these. */
static bool is_depthwise_tiled(const cameo_grouped *s) {
    return s->width == 1 && s->kh == 3 && s->kw == 3 && s->dh == 1 && s->dw == 1 && s->sw <= 2;
}

static bool window_fits(const cameo_grouped *s, const value *w, int64_t vector) {
    const int64_t *d = w->shape.dim;
    const bool power = s->width > 0 && !(s->width & (s->width - 1));
    return s->width < s->c && power && s->width <= vector && d[0] == s->c && d[1] == s->width &&
           !is_depthwise_tiled(s);
}

/* Only the first and the last tile of a row reach out of the image. */
static bool reach_fits(const cameo_grouped *s, int64_t tile) {
    const int64_t rest = (s->ow - 1) % tile + 1, last = (rest - 1) * s->sw + span(s->kw, s->dw);
    const int64_t beyond = most(0, (s->ow - 1) * s->sw - s->pl + span(s->kw, s->dw) - s->w);
    const int64_t first = s->ow <= tile ? last - beyond : tile * s->sw;
    return s->pl < first && (s->ow <= tile || beyond <= rest * s->sw) && beyond < last;
}

/* Of one vector of channels and one row of the kernel, for `pixels` outputs. */
static double tile_cycles(const plan *p, int64_t pixels) {
    if (!pixels) return 0;
    const int64_t columns = (pixels - 1) * p->s.sw + span(p->s.kw, p->s.dw);
    const double products = (double)(pixels * p->s.kw * p->s.width) / 2,
                 exchanges = p->s.width > 1 && !p->fills ? (double)(columns * p->s.width) : 0;
    return (products > exchanges ? products : exchanges) + ROW_CYCLES;
}

static double row_cycles(const plan *p, int64_t tile) {
    return (double)(p->s.ow / tile) * tile_cycles(p, tile) + tile_cycles(p, p->s.ow % tile);
}

static void choose_tile(plan *p, const target *t) {
    p->s.tile = 0;
    for (int64_t tile = 1; tile <= least(p->s.ow, t->vector_registers > 16 ? TILE_MANY : TILE_FEW);
         tile++)
        if (reach_fits(&p->s, tile) &&
            (!p->s.tile || row_cycles(p, tile) <= row_cycles(p, p->s.tile)))
            p->s.tile = tile;
}

static void choose_tasks(plan *p, int64_t vector) {
    cameo_grouped *s = &p->s;
    const int64_t each = vector * (s->w * span(s->kh, s->dh) + s->kh * s->kw * s->width),
                  all = p->fills && s->sh > 1 ? CHUNK_STRIDED : CHUNK_FLOATS;
    s->chunk = vector * least(ceil_div(s->c, vector), most(1, all / each));
    s->rows = most(1, least(s->oh, TASK_FLOATS / (s->ow * s->c)));
}

static bool make_plan(const node *n, const options *o, plan *p) {
    const value *w = n->in[1];
    const image x = image_of(n->in[0]), y = image_of(n->out[0]);
    window k;
    if (!is_constant(w) || !window_of(n, n->in[0], w, &k) || k.group < 1 || x.c % k.group ||
        x.c != y.c)
        return false;
    *p = (plan){{OF_IMAGES(x, y), OF_WINDOW(k), .c = x.c, .width = x.c / k.group}, .images = y.n};
    if (!window_fits(&p->s, w, o->target.vector_floats)) return false;
    p->fills = p->s.width > 1 && p->s.width == o->target.vector_floats;
    choose_tile(p, &o->target);
    p->s.prefetch = x.c * p->s.kh * p->s.kw * p->s.width * 4 > FETCHED;
    choose_tasks(p, o->target.vector_floats);
    p->s.r_pixel = residual_pixel(n), p->s.act = act_of(n);
    return p->s.tile > 0;
}

static bool applies(const node *n, const options *o) {
    plan p;
    const value *b = input_at(n, 2);
    if (!is_image_layer(n) || (b && !is_constant(b))) return false;
    return ending_fits(n) && make_plan(n, o, &p);
}

static double cost(const node *n, const options *o) {
    plan p;
    if (!make_plan(n, o, &p)) return 1e30;
    const double vectors = (double)ceil_div(p.s.c, o->target.vector_floats),
                 rows = (double)(p.images * p.s.oh * p.s.kh),
                 bytes = (double)(p.images * p.s.h * p.s.w * p.s.c) * 4;
    /* An input that comes from the third-level cache streams better into the direct kernel's line
       buffer. */
    const double far = p.fills && p.s.sh > 1 && bytes > CONV_STREAMED * (double)p.images
                           ? stream_time(bytes)
                           : 0;
    return 1 + far +
           conv_time(o, vectors * rows * row_cycles(&p, p.s.tile) * SINGLE_VECTOR,
                     (double)value_count(n->in[1]) * 4);
}

/* [vector][kh][kw][k][lane]: of output channel o the weight of input channel o ^ k, or k, within
   its group. */
static void emit_weight_param(emitter *e, const plan *p, const value *w) {
    const int64_t vector = vector_of(e), taps = p->s.kh * p->s.kw;
    const float *from = w->constant->data;
    const int64_t floats = round_up(p->s.c, vector) * taps * p->s.width;
    float *to = new_floats(e, floats);
    for (int64_t o = 0; o < p->s.c; o++)
        for (int64_t t = 0; t < taps; t++)
            for (int64_t k = 0; k < p->s.width; k++)
                to[((o / vector * taps + t) * p->s.width + k) * vector + o % vector] =
                    from[(o * p->s.width + (p->fills ? k : o % p->s.width ^ k)) * taps + t];
    emit_packed(e, "const float *w", to, floats, w->name);
}

static void emit(emitter *e, const node *n) {
    plan p;
    if (!make_plan(n, emit_options(e), &p)) BUG("grouped convolution without a plan");
    emit_value(e, "x", n->in[0], false);
    emit_weight_param(e, &p, n->in[1]);
    const char *ending = emit_ending(e, n, 1, p.s.c, vector_of(e));
    emit_cameo_grouped(e, "_shape", &p.s);
    emit_task(e, "task", "cameo_grouped_task");
    body_put(e, "    cameo_grouped_args a = {x, w, $0};\n", ending);
    emit_parallel(e, n, ceil_div(p.s.oh, p.s.rows), "task, &a", "images x bands of rows");
}

const implementation grouped_conv = {
    .name = "grouped-conv", .op = CAMEO_Conv, OF_FILE, .inplace = 1u << 3};
