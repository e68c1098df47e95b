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
    cameo_strassen s;
    int64_t images;
} plan;

static int64_t pairs(const plan *p) { return ceil_div(p->s.oh * p->s.ow, 2); }
static int64_t line_floats(const plan *p, int64_t rows, int64_t block) {
    return CAMEO_STRASSEN_LINE(rows, p->s.line_pixel, block);
}

static bool window_fits(const window *k, const cameo_strassen *s, const value *w) {
    const int64_t *d = w->shape.dim;
    if (k->k[1] != 1 || k->k[2] != 1 || k->group != 1 || k->begin[1] || k->begin[2]) return false;
    if ((s->oh - 1) * s->sh >= s->h || (s->ow - 1) * s->sw >= s->w) return false;
    return d[0] == s->co && d[1] == s->ci && d[1] % 2 == 0 && d[1] > 0;
}

/* The most vectors, of those that half of the channels are whole blocks of; five rather than one,
   where registers are many. */
static bool choose_tile(plan *p, const target *t) {
    const int64_t vf = t->vector_floats;
    p->s.vectors = t->vector_registers > 16 ? 4 : 2;
    if (p->s.co % (2 * vf)) return false;
    while (p->s.co % (2 * vf * p->s.vectors)) p->s.vectors--;
    if (p->s.vectors == 1 && t->vector_registers > 16 &&
        p->s.co % (2 * vf * CAMEO_STRASSEN_VECTORS) == 0)
        p->s.vectors = CAMEO_STRASSEN_VECTORS;
    p->s.tile = conv_tile_pixels(t, p->s.vectors);
    return true;
}

static bool choose_tasks(plan *p, int64_t vf) {
    const int64_t block = p->s.vectors * vf, all = p->s.co / 2 / block;
    /* Lines of a tile that do not meet in the cache. */
    p->s.line_pixel = round_up(p->s.ci / 2, vf) + vf;
    const int64_t fit = LINE_MOST / 4 / line_floats(p, 1, block) / p->s.tile * p->s.tile;
    if (!fit) return false;
    /* Two threads share the bands evenly. */
    const int64_t need = ceil_div(pairs(p), fit), bands = need > 1 ? round_up(need, 2) : 1;
    const int64_t chunks = bands < FEW_BANDS ? least(2, all) : 1;
    p->s.rows = round_up(ceil_div(pairs(p), bands), p->s.tile);
    p->s.blocks = ceil_div(all, chunks);
    return true;
}

static bool make_plan(const node *n, const options *o, plan *p) {
    const image x = image_of(n->in[0]), y = image_of(n->out[0]);
    window k;
    if (!window_of(n, n->in[0], n->in[1], &k)) return false;
    *p = (plan){{OF_IMAGES(x, y), .ci = x.c, .co = y.c, .sh = k.stride[1], .sw = k.stride[2]}, y.n};
    p->s.r_pixel = residual_pixel(n), p->s.act = act_of(n);
    return window_fits(&k, &p->s, n->in[1]) && choose_tile(p, &o->target) &&
           choose_tasks(p, o->target.vector_floats);
}

/* A BatchNormalization and activation before it go into a direct convolution's load (chains.c). */
static bool is_behind_scale(const node *n) {
    const node *before = n->in[0]->producer;
    return before && before->op && before->opcode == CAMEO_ScaleShift;
}

static bool applies(const node *n, const options *o) {
    plan p;
    const value *b = input_at(n, 2);
    if (!is_image_layer(n) || !is_finite(n->in[1]) || (b && !is_constant(b))) return false;
    return ending_fits(n) && !is_behind_scale(n) && make_plan(n, o, &p);
}

static double cost(const node *n, const options *o) {
    plan p;
    if (!make_plan(n, o, &p)) return 1e30;
    const int64_t vf = o->target.vector_floats, all = p.s.co / 2 / (p.s.vectors * vf),
                  rest = pairs(&p) % p.s.rows % p.s.tile;
    const double half = (double)(p.s.ci / 2), count = (double)(pairs(&p) - rest) / (double)p.s.tile;
    const double more = p.s.vectors < 3 ? NARROW : 1;
    double tiles = count * (half * conv_tile_cycles(p.s.tile, p.s.vectors) + SUM_CYCLES * more);
    if (rest) tiles += half * conv_tile_cycles(rest, p.s.vectors) + SUM_CYCLES * more;
    const double factors = (double)(pairs(&p) * ceil_div(p.s.ci / 2, vf) *
                                    ceil_div(all, p.s.blocks)) *
                           FACTOR_CYCLES * more;
    const double cycles = (double)p.images * (PRODUCTS * (double)all * tiles + factors);
    return 1 + conv_time(o, cycles, (double)(PRODUCTS * p.s.ci * p.s.co));
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

static void emit_weight_param(emitter *e, const plan *p, const value *w) {
    const int64_t block = p->s.vectors * vector_of(e), panel = p->s.ci / 2 * block;
    const int64_t floats = PRODUCTS * p->s.ci / 2 * (p->s.co / 2);
    float *to = new_floats(e, floats);
    for (int64_t o = 0; o < p->s.co / 2; o++)
        for (int64_t c = 0; c < p->s.ci / 2; c++)
            pack_one(w->constant->data, p->s.ci, p->s.co, c, o,
                     to + o / block * PRODUCTS * panel + c * block + o % block, panel);
    emit_packed(e, "const float *w", to, floats, w->name);
}

/* ---- emission ---- */

static void emit(emitter *e, const node *n) {
    plan p;
    if (!make_plan(n, emit_options(e), &p)) BUG("Strassen convolution without a plan");
    const int64_t block = p.s.vectors * vector_of(e);
    emit_value(e, "x", n->in[0], false);
    emit_weight_param(e, &p, n->in[1]);
    const char *ending = emit_ending(e, n, 1, p.s.co, block);
    emit_cameo_strassen(e, "_shape", &p.s);
    helpers_put(e,
                "static void $F_task(void *p, size_t i) {\n"
                "    float line[$0] __attribute__((aligned(64)));\n"
                "    cameo_strassen_task(&$F_shape, p, i, line);\n"
                "}\n",
                line_floats(&p, p.s.rows, block));
    body_put(e, "    cameo_strassen_args a = {x, w, $0};\n", ending);
    emit_parallel(e, n, ceil_div(pairs(&p), p.s.rows) * ceil_div(p.s.co / 2 / block, p.s.blocks),
                  "task, &a", "images x bands x channels");
}

const implementation strassen_conv = {
    .name = "strassen-conv", .op = CAMEO_Conv, OF_FILE, .inplace = 1u << 3};
