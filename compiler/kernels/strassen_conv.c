/* Large 1x1 convolutions by one level of Strassen's method (runtime/kernels/strassen_conv.h). Of
   weights known when compiling: the program has 7/4 of them. */
#include "../../runtime/kernels/strassen_conv.h"
#include "kernels.h"

#include "conv_plan.h"

/* LINE_MOST: bytes of a task's memory, on the stack; left factors of a band, which share the
   second-level cache with the weights of two products. FEW_BANDS: fewer than that share their
   channels too. */
enum { LINE_MOST = 832 * 1024, FEW_BANDS = 3, PRODUCTS = 7 };
/* Cycles beside the products': of a tile's sums, and of a vector of the left factors of a pair.
   Tiles of fewer vectors than three read the factors more often. */
static const double SUM_CYCLES = 60, FACTOR_CYCLES = 16, NARROW = 1.7;
typedef struct plan {
    window k;
    image x, y;
    int64_t vectors, tile, rows, blocks, line_pixel;
} plan;

static int64_t pairs(const plan *p) { return ceil_div(p->y.h * p->y.w, 2); }
static int64_t line_floats(const plan *p, int64_t rows, int64_t block) {
    return CAMEO_STRASSEN_LINE(rows, p->line_pixel, block);
}

static bool window_fits(const plan *p, const value *w) {
    const int64_t *d = w->shape.dim;
    const window *k = &p->k;
    if (k->kh != 1 || k->kw != 1 || k->group != 1 || k->pt || k->pl) return false;
    if ((p->y.h - 1) * k->sh >= p->x.h || (p->y.w - 1) * k->sw >= p->x.w) return false;
    return d[0] == p->y.c && d[1] == p->x.c && d[1] % 2 == 0 && d[1] > 0;
}

/* The most vectors, of those that half of the channels are whole blocks of; five rather than one,
   where registers are many. */
static bool choose_tile(plan *p, const target *t) {
    const int64_t vf = t->vector_floats;
    p->vectors = t->vector_registers > 16 ? 4 : 2;
    if (p->y.c % (2 * vf)) return false;
    while (p->y.c % (2 * vf * p->vectors)) p->vectors--;
    if (p->vectors == 1 && t->vector_registers > 16 &&
        p->y.c % (2 * vf * CAMEO_STRASSEN_VECTORS) == 0)
        p->vectors = CAMEO_STRASSEN_VECTORS;
    p->tile = conv_tile_pixels(t, p->vectors);
    return true;
}

static bool choose_tasks(plan *p, int64_t vf) {
    const int64_t block = p->vectors * vf, all = p->y.c / 2 / block;
    p->line_pixel = round_up(p->x.c / 2, vf) + vf; /* lines of a tile that do not meet in the cache
                                                    */
    const int64_t fit = LINE_MOST / 4 / line_floats(p, 1, block) / p->tile * p->tile;
    if (!fit) return false;
    const int64_t need = ceil_div(pairs(p), fit),
                  bands = need > 1 ? round_up(need, 2) : 1; /* two
                                                               threads
                                                               share
                                                               them
                                                             */
    const int64_t chunks = bands < FEW_BANDS ? least(2, all) : 1;
    p->rows = round_up(ceil_div(pairs(p), bands), p->tile);
    p->blocks = ceil_div(all, chunks);
    return true;
}

static bool make_plan(const node *n, const options *o, plan *p) {
    const value *w = n->in[1];
    if (w->shape.rank != 4 || !window_of(n, w->shape.dim + 2, &p->k)) return false;
    p->x = image_of(n->in[0]), p->y = image_of(n->out[0]);
    return window_fits(p, w) && choose_tile(p, &o->target) &&
           choose_tasks(p, o->target.vector_floats);
}

/* A BatchNormalization and activation before it go into a direct convolution's load (chains.c). */
static bool is_behind_scale(const node *n) {
    const node *before = n->in[0]->producer;
    return before && before->op && before->opcode == CAMEO_ScaleShift;
}

static bool applies(const graph *g, const node *n, const options *o) {
    (void)g;
    plan p;
    const value *b = input_at(n, 2);
    if (!is_internal(n) || !is_nhwc(n->in[0]) || !is_nhwc(n->out[0]) || !is_finite(n->in[1]) ||
        (b && !is_constant(b)))
        return false;
    return residual_fits(n, 3) && act_known(n) && !is_behind_scale(n) && make_plan(n, o, &p);
}

static double cost(const node *n, const options *o) {
    plan p;
    if (!make_plan(n, o, &p)) return 1e30;
    const int64_t vf = o->target.vector_floats, all = p.y.c / 2 / (p.vectors * vf),
                  rest = pairs(&p) % p.rows % p.tile;
    const double half = (double)(p.x.c / 2), count = (double)(pairs(&p) - rest) / (double)p.tile;
    const double more = p.vectors < 3 ? NARROW : 1;
    double tiles = count * (half * conv_tile_cycles(p.tile, p.vectors) + SUM_CYCLES * more);
    if (rest) tiles += half * conv_tile_cycles(rest, p.vectors) + SUM_CYCLES * more;
    const double factors = (double)(pairs(&p) * ceil_div(p.x.c / 2, vf) * ceil_div(all, p.blocks)) *
                           FACTOR_CYCLES * more;
    const double cycles = (double)p.y.n * (PRODUCTS * (double)all * tiles + factors);
    return 1 + conv_time(o, cycles, (double)(PRODUCTS * p.x.c * p.y.c));
}

/* ---- weights ---- */

/* The right factors of input channels c and half + c, output channels o and half + o. */
static void pack_one(const float *w, int64_t ci, int64_t co, int64_t c, int64_t o, float *to,
                     int64_t panel) {
    const int64_t lower = c + ci / 2, second = o + co / 2;
    const float b11 = w[o * ci + c], b12 = w[second * ci + c], b21 = w[o * ci + lower],
                b22 = w[second * ci + lower];
    const float t1 = b12 - b11, t2 = b22 - t1;
    const float factors[PRODUCTS] = {b11, b21, t2, b22 - b12, b21 - t2, t1, b22};
    for (int64_t p = 0; p < PRODUCTS; p++) to[p * panel] = factors[p];
}

static const float *pack(emitter *e, const plan *p, const value *w, size_t *bytes) {
    const int64_t block = p->vectors * emit_options(e)->target.vector_floats,
                  panel = p->x.c / 2 * block;
    *bytes = (size_t)(PRODUCTS * p->x.c / 2 * (p->y.c / 2)) * sizeof(float);
    float *to = arena_alloc(emit_arena(e), *bytes);
    for (int64_t o = 0; o < p->y.c / 2; o++)
        for (int64_t c = 0; c < p->x.c / 2; c++)
            pack_one(w->constant->data, p->x.c, p->y.c, c, o,
                     to + o / block * PRODUCTS * panel + c * block + o % block, panel);
    return to;
}

/* ---- emission ---- */

static void emit_shape(emitter *e, const node *n, const plan *p, int64_t block) {
    text *t = emit_helpers(e);
    text_append(t, "static const cameo_strassen $F_shape = {\n");
    text_printf(t,
                "    .h = %lld, .w = %lld, .ci = %lld, .oh = %lld, .ow = %lld, .co = %lld, .sh = "
                "%lld, .sw = %lld,\n",
                (long long)p->x.h, (long long)p->x.w, (long long)p->x.c, (long long)p->y.h,
                (long long)p->y.w, (long long)p->y.c, (long long)p->k.sh, (long long)p->k.sw);
    text_printf(
        t,
        "    .x_pixel = %lld, .y_pixel = %lld, .r_pixel = %lld, .tile = %lld, .vectors = %lld,\n",
        (long long)p->x.pixel, (long long)p->y.pixel,
        (long long)(input_at(n, 3) ? image_of(n->in[3]).pixel : 0), (long long)p->tile,
        (long long)p->vectors);
    text_printf(t, "    .rows = %lld, .blocks = %lld, .line_pixel = %lld, .act = %s};\n",
                (long long)p->rows, (long long)p->blocks, (long long)p->line_pixel,
                act_literal(e, n));
    text_printf(t,
                "static void $F_task(void *p, size_t i) {\n    float line[%lld] "
                "__attribute__((aligned(64)));\n",
                (long long)line_floats(p, p->rows, block));
    text_append(t, "    cameo_strassen_task(&$F_shape, p, i, line);\n}\n");
}

static void emit(emitter *e, const node *n) {
    plan p;
    size_t bytes;
    if (!make_plan(n, emit_options(e), &p)) BUG("Strassen convolution without a plan");
    const int64_t block = p.vectors * emit_options(e)->target.vector_floats;
    const value *slope = input_at(n, 4), *r = input_at(n, 3);
    const float *w = pack(e, &p, n->in[1], &bytes);
    emit_value(e, "x", n->in[0], false);
    emit_param(e, "const float *w", "%s", emit_weights(e, w, bytes, n->in[1]->name));
    emit_channels(e, "b", input_at(n, 2), 0, 1, p.y.c, block);
    if (slope) emit_channels(e, "slope", slope, 0, 1, p.y.c, block);
    if (r) emit_value(e, "r", r, false);
    emit_value(e, "y", n->out[0], true);
    emit_vector_check(e);
    emit_shape(e, n, &p, block);
    text_printf(emit_body(e), "    cameo_strassen_args a = {x, w, b, %s, %s, y};\n",
                slope ? "slope" : "NULL", r ? "r" : "NULL");
    text_printf(
        emit_body(e),
        "    cameo_parallel(c, (size_t)%s * %lld, $F_task, &a); /* images x bands x channels */\n",
        images_of(e, n),
        (long long)(ceil_div(pairs(&p), p.rows) * ceil_div(p.y.c / 2 / block, p.blocks)));
}

const implementation strassen_conv = {.name = "strassen-conv",
                                      .op = CAMEO_Conv,
                                      .applies = applies,
                                      .cost = cost,
                                      .emit = emit,
                                      .inplace = 1u << 3,
                                      .slices = true};
