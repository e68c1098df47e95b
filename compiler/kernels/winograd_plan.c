/* Chooses the blocks of a Winograd convolution and how they are cut into tasks, from the shape
   alone. docs/internals/winograd.md works through an example. */
#include "winograd_plan.h"

#include "../../runtime/kernels/winograd_points.h"

#include <math.h>
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

static int64_t edge_h(const winograd_plan *p) { return p->mh + p->rh - 1; }
static int64_t edge_w(const winograd_plan *p) { return p->mw + p->rw - 1; }
static int64_t elements(const winograd_plan *p) { return edge_h(p) * edge_w(p); }
static int64_t channel_blocks(const winograd_plan *p, const target *t) {
    return ceil_div(p->y.c, p->vectors * t->vector_floats);
}

int64_t winograd_plan_tiles(const winograd_plan *p) {
    return (p->counted ? p->y.n : 1) * ceil_div(p->y.h, p->mh) * ceil_div(p->y.w, p->mw);
}

int64_t winograd_plan_weights(const winograd_plan *p, const target *t) {
    return elements(p) * channel_blocks(p, t) * p->vectors * t->vector_floats * p->x.c;
}

int64_t winograd_plan_work(const winograd_plan *p) {
    return most(p->lanes, 1) * elements(p) * (p->v_step + p->m_step);
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
    p->rows = 1;
    for (int64_t r = 2; r <= least(conv_tile_pixels(t, p->vectors), p->block); r++)
        if (product_cycles(p->block, r, p->vectors) <=
            product_cycles(p->block, p->rows, p->vectors))
            p->rows = r;
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
    const int64_t tiles = winograd_plan_tiles(p), weights = winograd_plan_weights(p, t) * 4;
    const int64_t bytes = weights <= CONV_STREAMED ? BLOCK_BYTES
                                                   : least(most(weights, BLOCK_BYTES), BLOCK_MOST);
    const int64_t each = elements(p) * (p->v_row + p->m_row) * 4,
                  fit = most(conv_tile_pixels(t, p->vectors), bytes / each);
    int64_t blocks = ceil_div(tiles, fit);
    if (weights <= CONV_STREAMED) blocks = most(blocks, least(4, tiles / BLOCK_TILES));
    if (blocks > 1) blocks = round_up(blocks, blocks > 4 ? 4 : 2);
    p->block = ceil_div(tiles, most(1, blocks));
}

void winograd_plan_choose(winograd_plan *p, const target *t, int64_t vectors) {
    p->vectors = vectors ? vectors : p->y.c > t->vector_floats ? 2 : 1;
    p->v_row = row_floats(p->x.c, t->vector_floats);
    p->m_row = row_floats(p->y.c, p->vectors * t->vector_floats);
    choose_block(p, t);
    choose_rows(p, t);
    p->v_step = step_floats(p->block * p->v_row), p->m_step = step_floats(p->block * p->m_row);
    const int64_t blocks = ceil_div(winograd_plan_tiles(p), p->block),
                  bytes = elements(p) * (p->v_step + p->m_step) * 4;
    const bool few = winograd_plan_weights(p, t) * 4 <= CONV_STREAMED;
    p->lanes = blocks >= (few ? 2 : LANES_LEAST) && bytes <= LANE_BYTES ? least(blocks, LANES) : 0;
    p->group = ceil_div(p->block, TASKS);
    p->chunk = ceil_div(channel_blocks(p, t), elements(p) == 36 ? 2 : 4);
}

/* ---- cost ---- */

/* Returns the cycles of a transform for one tile and one vector of channels, there or back. */
static double transform_cycles(const winograd_plan *p) {
    if (p->rh > 1 && p->rw > 1) return elements(p) == 36 ? 180 : 75;
    return 5 * (double)elements(p);
}

double winograd_plan_cycles(const winograd_plan *p, const target *t) {
    const int64_t tiles = winograd_plan_tiles(p), in = ceil_div(p->x.c, t->vector_floats),
                  out = ceil_div(p->y.c, t->vector_floats);
    const int64_t whole = tiles / p->block, rest = tiles % p->block;
    const double each = product_cycles(p->block, p->rows, p->vectors) * (double)whole +
                        (rest ? product_cycles(rest, p->rows, p->vectors) : 0);
    const double product = each * (double)(elements(p) * channel_blocks(p, t) * p->x.c);
    const double transforms = (double)(tiles * (in + out)) * transform_cycles(p);
    return (product + transforms) * (double)(p->counted ? 1 : p->y.n);
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
            for (int64_t l = 0; l < p->rw; l++) {
                double sum = 0;
                for (int64_t k = 0; k < p->rh; k++) sum += gh[i][k] * (double)w[k * p->rw + l];
                *u += sum * gw[j][l];
            }
        }
}

void winograd_plan_transform(const winograd_plan *p, const target *t, const float *w, float *u) {
    g_matrix gh, gw;
    double one[36];
    g_of(edge_h(p), p->rh, gh), g_of(edge_w(p), p->rw, gw);
    const int64_t block = p->vectors * t->vector_floats, blocks = channel_blocks(p, t);
    memset(u, 0, (size_t)winograd_plan_weights(p, t) * sizeof *u);
    for (int64_t o = 0; o < p->y.c; o++)
        for (int64_t c = 0; c < p->x.c; c++) {
            transform_one(p, gh, gw, w + (o * p->x.c + c) * p->rh * p->rw, one);
            for (int64_t i = 0; i < elements(p); i++)
                u[((i * blocks + o / block) * p->x.c + c) * block + o % block] = (float)one[i];
        }
}

/* ---- printing ---- */

static void print_shape(emitter *e, const winograd_plan *p, const char *act) {
    text *t = emit_helpers(e);
    text_append(t, "static const cameo_winograd $F_shape = {\n");
    text_printf(t,
                "    .h = %lld, .w = %lld, .ci = %lld, .oh = %lld, .ow = %lld, .co = %lld, .pt = "
                "%lld, .pl = %lld,\n",
                (long long)p->x.h, (long long)p->x.w, (long long)p->x.c, (long long)p->y.h,
                (long long)p->y.w, (long long)p->y.c, (long long)p->pt, (long long)p->pl);
    text_printf(t, "    .x_pixel = %lld, .y_pixel = %lld, .r_pixel = %lld, .images = %lld,\n",
                (long long)p->x.pixel, (long long)p->y.pixel, (long long)p->r_pixel,
                (long long)(p->counted ? p->y.n : 1));
    text_printf(t, "    .mh = %lld, .mw = %lld, .rh = %lld, .rw = %lld,\n", (long long)p->mh,
                (long long)p->mw, (long long)p->rh, (long long)p->rw);
    text_printf(t,
                "    .vectors = %lld, .tile = %lld, .block = %lld, .v_row = %lld, .v_step = %lld, "
                ".m_row = %lld, .m_step = %lld,\n",
                (long long)p->vectors, (long long)p->rows, (long long)p->block, (long long)p->v_row,
                (long long)p->v_step, (long long)p->m_row, (long long)p->m_step);
    const bool fetch = winograd_plan_weights(p, &emit_options(e)->target) * 4 > FETCHED;
    text_printf(t, "    .group = %lld, .chunk = %lld, .fetch = %s, .act = %s};\n",
                (long long)p->group, (long long)p->chunk, fetch ? "true" : "false", act);
}

void winograd_plan_print(emitter *e, const winograd_plan *p, const char *act) {
    static const char *const stages[] = {"input", "product", "output"};
    print_shape(e, p, act);
    text *t = emit_helpers(e);
    if (p->lanes)
        text_append(
            t,
            "static void $F_lane(void *p, size_t i) { cameo_winograd_lane(&$F_shape, p, i); }\n");
    for (int i = 0; i < 3 && !p->lanes; i++)
        text_printf(
            t,
            "static void $F_%s(void *p, size_t i) { cameo_winograd_%s_task(&$F_shape, p, i); }\n",
            stages[i], stages[i]);
}

void winograd_plan_run(emitter *e, const winograd_plan *p, const char *arguments,
                       const char *images) {
    text *t = emit_body(e);
    const int64_t channels = channel_blocks(p, &emit_options(e)->target);
    const int64_t tiles = winograd_plan_tiles(p), blocks = ceil_div(tiles, p->block);
    const char *rounds = p->counted ? "1" : images;
    if (p->lanes) {
        text_printf(t,
                    "    cameo_winograd_run run = {.a = {%s}, .work = work, .blocks = "
                    "(ptrdiff_t)%s * %lld};\n",
                    arguments, rounds, (long long)blocks);
        text_printf(t, "    cameo_parallel(c, %lld, $F_lane, &run); /* blocks of %lld tiles */\n",
                    (long long)p->lanes, (long long)p->block);
        return;
    }
    const int64_t products = elements(p) * ceil_div(channels, p->chunk);
    text_printf(t, "    const cameo_winograd_args all = {%s};\n", arguments);
    text_printf(t, "    for (ptrdiff_t round = 0; round < (ptrdiff_t)%s; round++)\n", rounds);
    text_printf(t, "        for (ptrdiff_t block = 0; block < %lld; block++) {\n",
                (long long)blocks);
    text_append(t, "            cameo_winograd_run run = {cameo_winograd_round(&$F_shape, all, "
                   "round), work, 0, block, 0};\n");
    text_printf(t, "            cameo_parallel(c, %lld, $F_input, &run); /* tiles */\n",
                (long long)ceil_div(p->block, p->group));
    text_printf(
        t, "            cameo_parallel(c, %lld, $F_product, &run); /* elements x channels */\n",
        (long long)products);
    text_printf(t, "            cameo_parallel(c, %lld, $F_output, &run);\n        }\n",
                (long long)ceil_div(p->block, p->group));
}
