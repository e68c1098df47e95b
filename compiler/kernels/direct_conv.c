/* Direct convolution (runtime/kernels/direct_conv.h): chooses the register tile and the cut into tasks, packs the weights. */
#include "kernels.h"

typedef struct plan {
    window k;
    image x, y;
    int64_t ci, co;                                      /* of one group */
    int64_t vectors, tile_h, tile_w, rows, blocks, line; /* line: floats of the line buffer, 0 = no padding */
} plan;

enum { LINE_MOST = 512 * 1024, BAND_BYTES = 160 * 1024, TASKS = 16, STREAMED = 1 << 20 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* Cycles of one tile and one tap: multiply-adds, at two a cycle; at least the latency of the chains; at least the loads. */
static double tile_cycles(int64_t pixels, int64_t vectors) {
    const double fma = (double)(pixels * vectors) / 2, loads = (double)(pixels + vectors) / 2;
    const double floor = fma > loads ? fma : loads;
    return (floor > 4 ? floor : 4) + 0.2;
}

static double tiling_cycles(const image *y, int64_t th, int64_t tw, int64_t vectors) {
    const int64_t nw = y->w / tw, rw = y->w % tw, nh = y->h / th, rh = y->h % th;
    double rows = (double)nw * tile_cycles(th * tw, vectors), rest = rh ? (double)nw * tile_cycles(rh * tw, vectors) : 0;
    if (rw) rows += tile_cycles(th * rw, vectors), rest += rh ? tile_cycles(rh * rw, vectors) : 0;
    return (double)nh * rows + rest;
}

/* The most pixels whose accumulators, with the weights and one broadcast, fit the registers. */
static int64_t tile_pixels(const target *t, int64_t vectors) {
    return least(28, (t->vector_registers - vectors - 1) / vectors - (t->vector_registers > 16 && vectors == 1 ? 2 : 0));
}

static void choose_tile(plan *p, const target *t) {
    double best = 0;
    for (int64_t vectors = 1; vectors <= 2; vectors++) {
        const int64_t blocks = round_up(p->co, vectors * t->vector_floats) / (vectors * t->vector_floats);
        const int64_t pixels = tile_pixels(t, vectors);
        for (int64_t tw = 1; tw <= least(pixels, p->y.w); tw++)
            for (int64_t th = 1; th <= least(pixels / tw, p->y.h); th++) {
                const double cycles = (double)blocks * tiling_cycles(&p->y, th, tw, vectors) * (1 + 0.002 * (double)th);
                if (best > 0 && cycles >= best) continue;
                best = cycles;
                p->vectors = vectors, p->tile_h = th, p->tile_w = tw;
            }
    }
}

static int64_t line_floats(const plan *p, int64_t rows) {
    const int64_t pw = (p->y.w - 1) * p->k.sw + (p->k.kw - 1) * p->k.dw + 1;
    return ((rows - 1) * p->k.sh + (p->k.kh - 1) * p->k.dh + 1) * pw * p->x.c;
}

/* Bands of rows whose input stays in the second-level cache, then chunks of channels until there are tasks enough. */
static void choose_tasks(plan *p, const target *t) {
    const int64_t block = p->vectors * t->vector_floats, all = round_up(p->co, block) / block * p->k.group;
    p->rows = round_up(p->y.h, p->tile_h);
    while (p->rows > p->tile_h && line_floats(p, p->rows) * 4 > BAND_BYTES) p->rows -= p->tile_h;
    const int64_t bands = (p->y.h + p->rows - 1) / p->rows;
    p->rows = round_up((p->y.h + bands - 1) / bands, p->tile_h); /* bands of like size */
    const int64_t chunks = least(all, most(1, TASKS / bands));
    p->blocks = (all + chunks - 1) / chunks;
    const bool reaches_out = (p->y.h - 1) * p->k.sh + (p->k.kh - 1) * p->k.dh + 1 > p->x.h + p->k.pt ||
                             (p->y.w - 1) * p->k.sw + (p->k.kw - 1) * p->k.dw + 1 > p->x.w + p->k.pl;
    p->line = p->k.pt || p->k.pl || reaches_out ? line_floats(p, p->rows) : 0;
}

static bool make_plan(const node *n, const options *o, plan *p) {
    const int64_t *w = n->in[1]->shape.dim;
    if (n->in[1]->shape.rank != 4 || !window_of(n, w + 2, &p->k)) return false;
    p->x = image_of(n->in[0]), p->y = image_of(n->out[0]);
    if (p->k.group < 1 || p->x.c % p->k.group || w[0] % p->k.group || w[1] != p->x.c / p->k.group || w[0] != p->y.c)
        return false;
    p->ci = w[1], p->co = w[0] / p->k.group;
    if (p->k.pl >= (p->y.w - 1) * p->k.sw + (p->k.kw - 1) * p->k.dw + 1) return false;
    choose_tile(p, &o->target);
    choose_tasks(p, &o->target);
    return p->line * 4 <= LINE_MOST;
}

static bool applies(const graph *g, const node *n, const options *o) {
    (void)g;
    plan p;
    if (!is_internal(n) || !is_nhwc(n->in[0]) || !is_nhwc(n->out[0]) || !is_constant(n->in[1])) return false;
    if (input_at(n, 2) && !is_constant(n->in[2])) return false;
    return residual_fits(n, 3) && act_known(n) && make_plan(n, o, &p);
}

static double cost(const node *n, const options *o) {
    plan p;
    if (!make_plan(n, o, &p)) return 1e30;
    const int64_t block = p.vectors * o->target.vector_floats, blocks = round_up(p.co, block) / block * p.k.group;
    const double cycles =
        tiling_cycles(&p.y, p.tile_h, p.tile_w, p.vectors) * (double)(blocks * p.k.kh * p.k.kw * p.ci * p.x.n);
    return 1 + cycles * 2 * o->target.vector_floats / speed(o, 2) + stream_time((double)value_count(n->in[1]) * 4);
}

/* [group][co / block][kh][kw][ci][block] */
static const float *pack(emitter *e, const node *n, const plan *p, int64_t block, size_t *bytes) {
    const int64_t blocks = round_up(p->co, block) / block, taps = p->k.kh * p->k.kw;
    const float *from = n->in[1]->constant->data;
    *bytes = (size_t)(p->k.group * blocks * taps * p->ci * block) * sizeof(float);
    float *to = arena_alloc(emit_arena(e), *bytes);
    for (int64_t g = 0; g < p->k.group; g++)
        for (int64_t co = 0; co < p->co; co++)
            for (int64_t ci = 0; ci < p->ci; ci++)
                for (int64_t t = 0; t < taps; t++) {
                    const int64_t at = (((g * blocks + co / block) * taps + t) * p->ci + ci) * block + co % block;
                    to[at] = from[((g * p->co + co) * p->ci + ci) * taps + t];
                }
    return to;
}

static void print_shape(emitter *e, const node *n, const plan *p) {
    text *t = emit_helpers(e);
    const value *r = input_at(n, 3);
    text_append(t, "static const cameo_conv $F_shape = {\n");
    text_printf(t, "    .h = %lld, .w = %lld, .ci = %lld, .oh = %lld, .ow = %lld, .co = %lld, .groups = %lld,\n",
                (long long)p->x.h, (long long)p->x.w, (long long)p->ci, (long long)p->y.h, (long long)p->y.w, (long long)p->co,
                (long long)p->k.group);
    text_printf(t, "    .kh = %lld, .kw = %lld, .sh = %lld, .sw = %lld, .dh = %lld, .dw = %lld, .pt = %lld, .pl = %lld,\n",
                (long long)p->k.kh, (long long)p->k.kw, (long long)p->k.sh, (long long)p->k.sw, (long long)p->k.dh,
                (long long)p->k.dw, (long long)p->k.pt, (long long)p->k.pl);
    text_printf(t, "    .x_pixel = %lld, .y_pixel = %lld, .r_pixel = %lld, .tile_h = %lld, .tile_w = %lld, .vectors = %lld,\n",
                (long long)p->x.pixel, (long long)p->y.pixel, (long long)(r ? image_of(r).pixel : 0), (long long)p->tile_h,
                (long long)p->tile_w, (long long)p->vectors);
    /* Few pixels and many weights: the weights stream from memory, and the next page is not fetched by itself. */
    const int64_t weights = p->k.kh * p->k.kw * p->ci * p->co * p->k.group;
    text_printf(t, "    .prefetch = %d, ", weights * 4 > STREAMED ? 1024 : 0);
    text_printf(t, ".rows = %lld, .blocks = %lld, .padded = %s, .act = %s};\n", (long long)p->rows, (long long)p->blocks,
                p->line ? "true" : "false", act_literal(e, n));
}

static void print_task(emitter *e, const plan *p) {
    text *t = emit_helpers(e);
    text_append(t, "static void $F_task(void *p, size_t i) {\n");
    if (p->line) text_printf(t, "    float line[%lld] __attribute__((aligned(64)));\n", (long long)p->line);
    text_printf(t, "    cameo_conv_task(&$F_shape, p, i, %s);\n}\n", p->line ? "line" : "NULL");
}

static void emit(emitter *e, const node *n) {
    plan p;
    if (!make_plan(n, emit_options(e), &p)) BUG("direct convolution without a plan");
    const int64_t block = p.vectors * emit_options(e)->target.vector_floats, all = round_up(p.co, block) / block * p.k.group;
    size_t bytes;
    const float *w = pack(e, n, &p, block, &bytes);
    emit_value(e, "x", n->in[0], false);
    emit_param(e, "const float *w", "%s", emit_weights(e, w, bytes, n->in[1]->name));
    emit_channels(e, "b", input_at(n, 2), 0, p.k.group, p.co, block);
    const value *slope = input_at(n, 4), *r = input_at(n, 3);
    if (slope) emit_channels(e, "slope", slope, 0, p.k.group, p.co, block);
    if (r) emit_value(e, "r", r, false);
    emit_value(e, "y", n->out[0], true);
    emit_vector_check(e);
    print_shape(e, n, &p);
    print_task(e, &p);
    const int64_t bands = (p.y.h + p.rows - 1) / p.rows, chunks = (all + p.blocks - 1) / p.blocks;
    text_printf(emit_body(e), "    cameo_conv_args a = {x, w, b, %s, %s, y};\n", slope ? "slope" : "NULL", r ? "r" : "NULL");
    text_printf(emit_body(e),
                "    cameo_parallel(c, (size_t)%s * %lld, $F_task, &a); /* images x bands of rows x channels */\n",
                images_of(e, n), (long long)(bands * chunks));
}

const implementation direct_conv = {
    .name = "direct-conv", .op = "Conv", .applies = applies, .cost = cost, .emit = emit, .inplace = 1u << 3, .slices = true};
