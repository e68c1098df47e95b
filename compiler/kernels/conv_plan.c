/* Chooses the register tile of a direct convolution and its cut into tasks, by shape only. */
#include "conv_plan.h"

/* LINE_MOST: a line buffer is on the stack. BAND_BYTES: input of a task, which stays in the
   second-level cache together with one block of weights; more where there are many weights (MANY,
   CONV_STREAMED), which costs more to read again than a tighter fit saves. PREFETCHED: weights
   that are not in the first-level cache anyway. */
enum {
    LINE_MOST = 640 * 1024,
    BAND_BYTES = 160 * 1024,
    BAND_STREAMED = 320 * 1024,
    BAND_MANY = LINE_MOST,
    TASKS = 16
};
enum { MANY = 1 << 19, PREFETCHED = 1 << 16 };
enum {
    TASK_CYCLES = 20000,
    SHARES = 4
}; /* a task below which sharing costs more than it gains; shares worth having */
/* Every chunk of channels copies its band into a line buffer of its own: at most so much of the
   time, at so many floats a cycle. */
static const double COPY_SHARE = 0.06, COPY_FLOATS = 3;
/* A first-level cache has 8 or more lines for addresses that are equal modulo PAGE: tiles of more
   such pixels evict themselves. */
enum { PAGE = 4096, PAGE_PIXELS = 6, VECTORS_MOST = 4, FEW_PRODUCTS = 32 };

/* Of the input, in all groups. */
static int64_t channels(const conv_plan *p) { return p->s.ci * p->s.groups; }

int64_t conv_plan_blocks(const conv_plan *p, const target *t) {
    return ceil_div(p->s.co, p->s.vectors * t->vector_floats) * p->s.groups;
}

static int64_t block_weights(const conv_plan *p, const target *t) {
    return p->s.vectors * t->vector_floats * p->s.kh * p->s.kw * p->s.ci;
}

int64_t conv_plan_weights(const conv_plan *p, const target *t) {
    return conv_plan_blocks(p, t) * block_weights(p, t);
}

/* ---- the register tile ---- */

/* Cycles of one tile and one tap: multiply-adds, at two a cycle; at least the latency of the
   chains; at least the loads. */
double conv_tile_cycles(int64_t pixels, int64_t vectors) {
    const double fma = (double)(pixels * vectors) / 2, loads = (double)(pixels + vectors) / 2;
    const double floor = fma > loads ? fma : loads;
    return (floor > 4 ? floor : 4) + 0.2;
}

double conv_time(const options *o, double cycles, double bytes) {
    const double compute = cycles * 2 * o->target.vector_floats / speed(o, 2),
                 stream = stream_time(bytes);
    return compute > stream ? compute + stream / 3 : stream + compute / 3;
}

/* Of tn images. */
static double map_cycles(const cameo_conv *s, int64_t tn, int64_t th, int64_t tw, int64_t vectors) {
    const int64_t nw = s->ow / tw, rw = s->ow % tw, nh = s->oh / th, rh = s->oh % th;
    double rows = (double)nw * conv_tile_cycles(tn * th * tw, vectors),
           rest = rh ? (double)nw * conv_tile_cycles(tn * rh * tw, vectors) : 0;
    if (rw)
        rows += conv_tile_cycles(tn * th * rw, vectors),
            rest += rh ? conv_tile_cycles(tn * rh * rw, vectors) : 0;
    return (double)nh * rows + rest;
}

/* Of all images. */
static double tiling_cycles(const conv_plan *p, int64_t tn, int64_t th, int64_t tw,
                            int64_t vectors) {
    const double whole = (double)(p->n / tn) * map_cycles(&p->s, tn, th, tw, vectors);
    return whole + (p->n % tn ? map_cycles(&p->s, p->n % tn, th, tw, vectors) : 0);
}

/* The most pixels whose accumulators, with the weights and one broadcast, fit the registers. */
int64_t conv_tile_pixels(const target *t, int64_t vectors) {
    return least(28, (t->vector_registers - vectors - 1) / vectors -
                         (t->vector_registers > 16 && vectors == 1 ? 2 : 0));
}

/* Several images only of whole maps. */
static int64_t tile_images(const conv_plan *p, int64_t pixels, int64_t th, int64_t tw) {
    return p->counted && th == p->s.oh && tw == p->s.ow ? most(1, least(pixels / (th * tw), p->n))
                                                        : 1;
}

/* Pixels that are read in place are a multiple of a page apart. */
static bool pixels_collide(const cameo_conv *s) {
    return !s->line_pixel && s->x_pixel * s->sw * (int64_t)sizeof(float) % PAGE == 0;
}

/* Few products of a large output: what takes time is writing it, and a pixel that is written as a
   whole, by as many vectors as it has, takes a third less than one of several passes. 0: it does
   not matter, or does not fit. */
static int64_t whole_pixels(const conv_plan *p, const target *t) {
    const int64_t vectors = ceil_div(p->s.co, t->vector_floats),
                  bytes = p->s.oh * p->s.ow * p->s.y_pixel * (int64_t)sizeof(float);
    const bool writes = p->s.kh * p->s.kw * p->s.ci <= FEW_PRODUCTS && bytes > CONV_STREAMED &&
                        p->s.groups == 1;
    return writes && vectors <= VECTORS_MOST && conv_tile_pixels(t, vectors) >= PAGE_PIXELS
               ? vectors
               : 0;
}

/* The last vector of channels is half full, and serves two input channels at a time. */
static bool has_half(const conv_plan *p, const target *t) {
    const int64_t lanes = p->s.co % t->vector_floats;
    return t->vector_floats == 16 && lanes && 2 * lanes <= t->vector_floats && p->s.ci % 2 == 0;
}

/* Of all channels of a group: of the last block only the vectors that have channels are
   computed. */
static double channel_cycles(const conv_plan *p, const target *t, int64_t tn, int64_t th,
                             int64_t tw, int64_t vectors) {
    const int64_t used = ceil_div(p->s.co, t->vector_floats), whole = used / vectors,
                  rest = used % vectors;
    const double cycles = (double)whole * tiling_cycles(p, tn, th, tw, vectors);
    /* Vectors of the block with the half. */
    const int64_t halved = has_half(p, t) ? rest ? rest : vectors : 0;
    const double half = halved ? tiling_cycles(p, tn, th, tw, halved) -
                                     tiling_cycles(p, tn, th, tw, halved - 1)
                               : 0;
    return cycles + (rest ? tiling_cycles(p, tn, th, tw, rest) : 0) - half / 2;
}

static void choose_tile(conv_plan *p, const target *t, int64_t bound) {
    double best = 0;
    const int64_t fewest = bound ? bound : most(1, whole_pixels(p, t));
    for (int64_t vectors = fewest; vectors <= (bound ? bound : VECTORS_MOST); vectors++) {
        const int64_t pixels = least(conv_tile_pixels(t, vectors),
                                     !bound && pixels_collide(&p->s) ? PAGE_PIXELS : INT64_MAX);
        for (int64_t tw = 1; tw <= least(pixels, p->s.ow); tw++)
            for (int64_t th = 1; th <= least(pixels / tw, p->s.oh); th++) {
                const int64_t tn = tile_images(p, pixels, th, tw);
                /* Neighbours in a row are nearer in memory. */
                const double flat = p->s.ow > 1 ? 1 + 0.002 * (double)th : 1;
                const double cycles = channel_cycles(p, t, tn, th, tw, vectors) * flat;
                if (best > 0 && cycles >= best) continue;
                best = cycles;
                p->s.vectors = vectors, p->s.tile_n = tn, p->s.tile_h = th, p->s.tile_w = tw;
            }
    }
}

double conv_plan_cycles(const conv_plan *p, const target *t) {
    const double tap = channel_cycles(p, t, p->s.tile_n, p->s.tile_h, p->s.tile_w, p->s.vectors);
    return tap * (double)(p->s.groups * most(1, p->s.kh * p->s.kw * p->s.ci));
}

/* ---- tasks ---- */

static bool reaches_out(const cameo_conv *s) {
    if (!s->kh || !s->kw) return false; /* reads nothing */
    return (s->oh - 1) * s->sh + (s->kh - 1) * s->dh + 1 > s->h + s->pt ||
           (s->ow - 1) * s->sw + (s->kw - 1) * s->dw + 1 > s->w + s->pl;
}

/* Pixels that know no neighbours: those of an image, or of all, are one column, of which a tile
   takes any number. */
static void merge_pixels(conv_plan *p) {
    cameo_conv *s = &p->s;
    const bool strided = s->sh > 1 || s->sw > 1;
    if (s->kh != 1 || s->kw != 1 || s->pt || s->pl || s->y_row || reaches_out(s)) return;
    if (!strided && (s->h != s->oh || s->w != s->ow)) return;
    if (strided && !pixels_collide(s)) return;
    if (strided) s->gather = (cameo_conv_map){s->w, s->ow, s->sh, s->sw, s->h * s->w * s->x_pixel};
    /* Rows go on from one image to the next. */
    const int64_t images = p->counted && s->h == s->oh * s->sh ? p->n : 1;
    s->h = s->oh = images * s->oh * s->ow;
    if (images > 1) p->n = 1;
    s->w = s->ow = s->sh = s->sw = 1;
}

/* Pixels of a line buffer whose neighbours in a tile would meet in few lines of the cache are
   moved apart. */
static void choose_line(conv_plan *p, const target *t) {
    if (!p->s.pt && !p->s.pl && !p->s.gather.ow && !p->s.scaled && !reaches_out(&p->s)) return;
    const bool meet = channels(p) * p->s.sw * (int64_t)sizeof(float) % (PAGE / 2) == 0;
    p->s.line_pixel = channels(p) + (meet ? t->vector_floats : 0);
}

static int64_t line_floats(const conv_plan *p, int64_t rows) {
    const int64_t pw = (p->s.ow - 1) * p->s.sw + (p->s.kw - 1) * p->s.dw + 1;
    return ((rows - 1) * p->s.sh + (p->s.kh - 1) * p->s.dh + 1) * pw *
           (p->s.line_pixel ? p->s.line_pixel : channels(p));
}

/* Images of a task: whole tiles of them, as many as the cache holds, groups of like size. */
static void choose_images(conv_plan *p, int64_t bytes) {
    p->s.images = 1;
    if (!p->counted || p->s.rows < p->s.oh || p->n == 1) return;
    const int64_t fit = most(1, bytes / most(1, line_floats(p, p->s.oh) * 4));
    const int64_t groups = ceil_div(p->n, round_up(least(fit, p->n), p->s.tile_n));
    p->s.images = round_up(ceil_div(p->n, groups), p->s.tile_n);
}

/* Every band reads all weights again. */
static int64_t band_bytes(const conv_plan *p, int64_t weights) {
    if (p->s.w == 1 && weights > MANY) return BAND_MANY;
    if (weights > CONV_STREAMED) return p->counted ? BAND_STREAMED : BAND_MANY;
    return BAND_BYTES;
}

/* Blocks of channels a task, of `all` in at most `chunks` chunks: what the busiest of two threads
   does counts twice, of four once. */
static int64_t choose_chunks(int64_t all, int64_t cuts, int64_t chunks) {
    int64_t best = all, least_time = INT64_MAX;
    for (int64_t n = 1; n <= chunks; n++) {
        const int64_t blocks = ceil_div(all, n), tasks = cuts * ceil_div(all, blocks);
        const int64_t time = blocks * (2 * ceil_div(tasks, 2) + ceil_div(tasks, 4));
        if (time < least_time) best = blocks, least_time = time;
    }
    return best;
}

/* Chunks of channels, each of which copies its band of so many rows anew; cycles: of the band, all
   channels. */
static int64_t most_chunks(const conv_plan *p, const target *t, int64_t rows, int64_t images,
                           double cycles) {
    const int64_t all = conv_plan_blocks(p, t);
    if (!p->s.line_pixel) return all;
    const double copy = (double)(line_floats(p, rows) * images) / COPY_FLOATS;
    return least(all, most(1, (int64_t)(COPY_SHARE * cycles / copy)));
}

/* Bands of rows whose input stays in the second-level cache, then chunks of channels until there
   are tasks enough. */
static void choose_tasks(conv_plan *p, const target *t) {
    cameo_conv *s = &p->s;
    const int64_t all = conv_plan_blocks(p, t);
    const int64_t bytes = band_bytes(p, conv_plan_weights(p, t) * 4);
    s->rows = round_up(s->oh, s->tile_h);
    while (s->rows > s->tile_h && line_floats(p, s->rows) * 4 > bytes) s->rows -= s->tile_h;
    const double all_cycles = conv_plan_cycles(p, t) / (double)(p->counted ? 1 : p->n);
    const int64_t shares = p->counted && p->n > 1
                               ? 1
                               : least(SHARES, (int64_t)(all_cycles / TASK_CYCLES));
    /* Chunks are shares too. */
    const int64_t whole_chunks = most_chunks(p, t, s->oh, 1, all_cycles);
    const int64_t bands = most(ceil_div(s->oh, s->rows), ceil_div(shares, whole_chunks));
    s->rows = round_up(ceil_div(s->oh, bands), s->tile_h); /* bands of like size */
    choose_images(p, bytes);
    const int64_t cuts = ceil_div(s->oh, s->rows) * (p->counted ? ceil_div(p->n, s->images) : 1);
    p->line = s->line_pixel ? line_floats(p, s->rows) * s->images : 0;
    const double cycles = conv_plan_cycles(p, t) / (double)(cuts * (p->counted ? 1 : p->n));
    const int64_t chunks = least(most_chunks(p, t, s->rows, s->images, cycles),
                                 most(1, TASKS / cuts));
    s->blocks = choose_chunks(all, cuts, chunks);
}

bool conv_plan_choose(conv_plan *p, const target *t, int64_t vectors) {
    if (p->s.pt < 0 || p->s.pl < 0 ||
        (p->s.pl && p->s.pl >= (p->s.ow - 1) * p->s.sw + (p->s.kw - 1) * p->s.dw + 1))
        return false;
    merge_pixels(p);
    choose_line(p, t);
    choose_tile(p, t, vectors);
    choose_tasks(p, t);
    return (p->line + (p->s.gate ? block_weights(p, t) : 0)) * 4 <= LINE_MOST;
}

void conv_plan_choose_rows(conv_plan *p, const target *t, int64_t rows) {
    p->s.h = p->s.oh = 1;
    choose_tile(p, t, 0); /* of a map of one row, tiles are parts of rows */
    p->s.h = p->s.oh = p->s.rows = rows;
    p->s.images = 1;
    p->s.blocks = conv_plan_blocks(p, t);
}

/* ---- printing ---- */

/* The next page is not fetched by itself. */
static enum cameo_conv_prefetch prefetch(const conv_plan *p) {
    const cameo_conv *s = &p->s;
    if (s->kh * s->kw * channels(p) * s->co * 4 > PREFETCHED) return CAMEO_FETCH_WEIGHTS;
    /* A tile's pixels lie behind those of the one before. */
    const bool ordered = s->w == 1 || (s->tile_h == 1 && s->sw == 1);
    const bool dense = ordered && s->kh == 1 && s->kw == 1 && s->groups == 1 &&
                       s->x_pixel == s->ci && !p->line && !p->near;
    return dense && s->h * s->w * s->ci * 4 > PREFETCHED ? CAMEO_FETCH_INPUT : CAMEO_FETCH_NOTHING;
}

void conv_plan_print_shape(emitter *e, const conv_plan *p, const char *suffix) {
    cameo_conv s = p->s;
    s.prefetch = prefetch(p);
    s.padded = p->line > 0;
    if (s.images > 1)
        s.count = p->n;
    else
        s.tile_n = s.images = 0;
    if (s.line_pixel <= channels(p)) s.line_pixel = 0;
    emit_cameo_conv(e, emit_text(e, "_shape$0", suffix), &s);
}

void conv_plan_print(emitter *e, const conv_plan *p, const char *suffix) {
    conv_plan_print_shape(e, p, suffix);
    text *t = emit_helpers(e);
    const int64_t floats = p->line + (p->s.gate ? block_weights(p, target_of(e)) : 0);
    text_put(t, "static void $F_task$0(void *p, size_t i) {\n", suffix);
    if (floats) text_put(t, "    float line[$0] __attribute__((aligned(64)));\n", floats);
    text_put(t, "    cameo_conv_task(&$F_shape$0, p, i, $1);\n}\n", suffix,
             floats ? "line" : "NULL");
}

int64_t conv_plan_tasks(const conv_plan *p, const target *t) {
    return ceil_div(p->s.oh, p->s.rows) * ceil_div(conv_plan_blocks(p, t), p->s.blocks) *
           (p->counted ? ceil_div(p->n, p->s.images) : 1);
}
