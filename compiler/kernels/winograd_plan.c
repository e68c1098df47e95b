/* Chooses the blocks of a Winograd convolution and how they are cut into tasks, from the shape
   alone. docs/internals/winograd.md works through an example. */
#include "winograd_plan.h"

#include "../../runtime/kernels/winograd_points.h"

#include <string.h>

/* BLOCK_BYTES: V and M of a block, beside which the second-level cache (1 to 2 MB) holds other
   things. Weights that do not fit there are read once a block from memory, so that larger blocks
   pay until V and M cost as much: BLOCK_MOST. LANES: with only one block, or with fewer than
   LANES_LEAST that all read many weights, the stages of each block are divided instead.
   BLOCK_TILES: what a block must keep when there could be more of them for other threads. FETCHED:
   weights that do not wait in a cache when a layer begins, whatever block reads them next; to ask
   for them in time costs next to nothing. */
enum {
    BLOCK_BYTES = 512 * 1024,
    BLOCK_MOST = 10 << 20,
    LANE_BYTES = 2 << 20,
    LANES = 8,
    LANES_LEAST = 6,
    TASKS = 16
};
enum { BLOCK_TILES = 8, FETCHED = 1 << 16 };

static int64_t edge_h(const winograd_plan *p) { return p->s.mh + p->s.rh - 1; }
static int64_t edge_w(const winograd_plan *p) { return p->s.mw + p->s.rw - 1; }
static int64_t elements(const winograd_plan *p) { return edge_h(p) * edge_w(p); }
static int64_t channel_blocks(const winograd_plan *p, const target *t) {
    return ceil_div(p->s.co, p->s.vectors * t->vector_floats);
}

/* That are counted together. */
static int64_t all_tiles(const winograd_plan *p) {
    return p->s.images * ceil_div(p->s.oh, p->s.mh) * ceil_div(p->s.ow, p->s.mw);
}

int64_t winograd_plan_weights(const winograd_plan *p, const target *t) {
    return elements(p) * channel_blocks(p, t) * p->s.vectors * t->vector_floats * p->s.ci;
}

int64_t winograd_plan_work(const winograd_plan *p) {
    return most(p->lanes, 1) * elements(p) * (p->s.v_step + p->s.m_step);
}

/* ---- blocks ---- */

/* Returns the cycles that one element's product takes for one vector block and input channel, with
   all tiles. */
static double product_cycles(int64_t tiles, int64_t rows, int64_t vectors) {
    const int64_t rest = tiles % rows;
    return (double)(tiles / rows) * conv_tile_cycles(rows, vectors) +
           (rest ? conv_tile_cycles(rest, vectors) : 0);
}

static void choose_rows(winograd_plan *p, const target *t) {
    p->s.tile = 1;
    for (int64_t r = 2; r <= least(conv_tile_pixels(t, p->s.vectors), p->s.block); r++)
        if (product_cycles(p->s.block, r, p->s.vectors) <=
            product_cycles(p->s.block, p->s.tile, p->s.vectors))
            p->s.tile = r;
}

/* Returns the floats of a row of V or M, which are whole vectors and not a multiple of the distance
   at which rows meet in one cache set. */
static int64_t row_floats(int64_t channels, int64_t vector) {
    const int64_t n = round_up(channels, vector);
    return n % 512 ? n : n + 16;
}

/* Rounds up to an odd number of cache lines, so that the same tile of all elements is spread over
   all sets of the cache. */
static int64_t step_floats(int64_t n) {
    const int64_t lines = ceil_div(n, 16);
    return (lines | 1) * 16;
}

/* Makes blocks of like size, which two or four threads can share evenly. */
static void choose_block(winograd_plan *p, const target *t) {
    const int64_t tiles = all_tiles(p), weights = winograd_plan_weights(p, t) * 4;
    const int64_t bytes = weights <= CONV_STREAMED ? BLOCK_BYTES
                                                   : least(most(weights, BLOCK_BYTES), BLOCK_MOST);
    const int64_t each = elements(p) * (p->s.v_row + p->s.m_row) * 4,
                  fit = most(conv_tile_pixels(t, p->s.vectors), bytes / each);
    int64_t blocks = ceil_div(tiles, fit);
    if (weights <= CONV_STREAMED) blocks = most(blocks, least(4, tiles / BLOCK_TILES));
    if (blocks > 1) blocks = round_up(blocks, blocks > 4 ? 4 : 2);
    p->s.block = ceil_div(tiles, most(1, blocks));
}

void winograd_plan_choose(winograd_plan *p, const target *t, int64_t vectors) {
    cameo_winograd *s = &p->s;
    s->images = p->counted ? p->n : 1;
    s->vectors = vectors ? vectors : s->co > t->vector_floats ? 2 : 1;
    s->v_row = row_floats(s->ci, t->vector_floats);
    s->m_row = row_floats(s->co, s->vectors * t->vector_floats);
    choose_block(p, t);
    choose_rows(p, t);
    s->v_step = step_floats(s->block * s->v_row), s->m_step = step_floats(s->block * s->m_row);
    const int64_t blocks = ceil_div(all_tiles(p), s->block),
                  bytes = elements(p) * (s->v_step + s->m_step) * 4;
    const bool few = winograd_plan_weights(p, t) * 4 <= CONV_STREAMED;
    p->lanes = blocks >= (few ? 2 : LANES_LEAST) && bytes <= LANE_BYTES ? least(blocks, LANES) : 0;
    s->group = ceil_div(s->block, TASKS);
    s->chunk = ceil_div(channel_blocks(p, t), elements(p) == 36 ? 2 : 4);
    s->fetch = winograd_plan_weights(p, t) * 4 > FETCHED;
}

/* ---- cost ---- */

/* Returns the cycles of a transform for one tile and one vector of channels, there or back. */
static double transform_cycles(const winograd_plan *p) {
    if (p->s.rh > 1 && p->s.rw > 1) return elements(p) == 36 ? 180 : 75;
    return 5 * (double)elements(p);
}

double winograd_plan_cycles(const winograd_plan *p, const target *t) {
    const int64_t tiles = all_tiles(p), in = ceil_div(p->s.ci, t->vector_floats),
                  out = ceil_div(p->s.co, t->vector_floats);
    const int64_t whole = tiles / p->s.block, rest = tiles % p->s.block;
    const double each = product_cycles(p->s.block, p->s.tile, p->s.vectors) * (double)whole +
                        (rest ? product_cycles(rest, p->s.tile, p->s.vectors) : 0);
    const double product = each * (double)(elements(p) * channel_blocks(p, t) * p->s.ci);
    const double transforms = (double)(tiles * (in + out)) * transform_cycles(p);
    return (product + transforms) * (double)(p->counted ? 1 : p->n);
}

/* ---- weights ---- */

typedef double g_matrix[CAMEO_WINOGRAD_EDGE][CAMEO_WINOGRAD_R];

static void g_of(int64_t n, int64_t r, g_matrix g) {
    g[0][0] = 1;
    if (n > 1) cameo_winograd_g_matrix(n, r, g);
}

/* Transforms the weights of one pair of channels. */
static void transform_one(const winograd_plan *p, g_matrix gh, g_matrix gw, const float *w,
                          double *u) {
    for (int64_t i = 0; i < edge_h(p); i++)
        for (int64_t j = 0; j < edge_w(p); j++, u++) {
            *u = 0;
            for (int64_t l = 0; l < p->s.rw; l++) {
                double sum = 0;
                for (int64_t k = 0; k < p->s.rh; k++) sum += gh[i][k] * (double)w[k * p->s.rw + l];
                *u += sum * gw[j][l];
            }
        }
}

void winograd_plan_transform(const winograd_plan *p, const target *t, const float *w, float *u) {
    g_matrix gh, gw;
    double one[36];
    g_of(edge_h(p), p->s.rh, gh), g_of(edge_w(p), p->s.rw, gw);
    const int64_t block = p->s.vectors * t->vector_floats, blocks = channel_blocks(p, t);
    memset(u, 0, (size_t)winograd_plan_weights(p, t) * sizeof *u);
    for (int64_t o = 0; o < p->s.co; o++)
        for (int64_t c = 0; c < p->s.ci; c++) {
            transform_one(p, gh, gw, w + (o * p->s.ci + c) * p->s.rh * p->s.rw, one);
            for (int64_t i = 0; i < elements(p); i++)
                u[((i * blocks + o / block) * p->s.ci + c) * block + o % block] = (float)one[i];
        }
}

/* ---- printing ---- */

void winograd_plan_print(emitter *e, const winograd_plan *p) {
    static const char *const stages[] = {"input", "product", "output"};
    emit_cameo_winograd(e, "_shape", &p->s);
    if (p->lanes) emit_task(e, "lane", "cameo_winograd_lane");
    for (int i = 0; i < 3 && !p->lanes; i++)
        emit_task(e, stages[i], emit_text(e, "cameo_winograd_$0_task", stages[i]));
}

void winograd_plan_run(emitter *e, const winograd_plan *p, const char *arguments,
                       const char *images) {
    text *t = emit_body(e);
    const int64_t channels = channel_blocks(p, target_of(e));
    const int64_t tiles = all_tiles(p), blocks = ceil_div(tiles, p->s.block);
    const char *rounds = p->counted ? "1" : images;
    if (p->lanes) {
        text_put(t,
                 "    cameo_winograd_run run = {.a = {$0}, .work = work, .blocks = (ptrdiff_t)$1 * "
                 "$2};\n",
                 arguments, rounds, blocks);
        emit_parallel(e, NULL, p->lanes, "lane, &run",
                      emit_text(e, "blocks of $0 tiles", p->s.block));
        return;
    }
    const int64_t products = elements(p) * ceil_div(channels, p->s.chunk);
    text_put(t,
             "    const cameo_winograd_args all = {$0};\n"
             "    for (ptrdiff_t round = 0; round < (ptrdiff_t)$1; round++)\n"
             "        for (ptrdiff_t block = 0; block < $2; block++) {\n"
             "            cameo_winograd_run run = {cameo_winograd_round(&$F_shape, all, round), "
             "work, 0, block, 0};\n"
             "            cameo_parallel(c, $3, $F_input, &run); /* tiles */\n"
             "            cameo_parallel(c, $4, $F_product, &run); /* elements x channels */\n"
             "            cameo_parallel(c, $3, $F_output, &run);\n"
             "        }\n",
             arguments, rounds, blocks, ceil_div(p->s.block, p->s.group), products);
}
