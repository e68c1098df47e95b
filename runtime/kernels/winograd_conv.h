/* Winograd convolution, stride 1, no groups, NHWC (Lavin and Gray 2016, "Fast Algorithms for
   Convolutional Neural Networks"): F(m x m, r x r) of 3x3 (m = 4 or 2) and 5x5 (m = 2), and F(m, r)
   along a row or a column for kernels of one row or column. Along an axis a tile of m outputs needs
   n = m + r - 1 multiplications instead of r m:

       V = B' x B   per tile and input channel        cameo_winograd_input
       M = V U      per element of the tile a matrix  cameo_winograd_product
       y = A' M A   per tile and output channel       cameo_winograd_output, which also
                                                      adds bias and residual, and activates

   U = G w G' is transformed when compiling, or by the program when the weights are live. Of a row
   or column, the matrices of the other axis (m = r = n = 1) are 1.

   Tiles are counted through all images. V and M of a block of tiles are as large as the
   second-level cache bears: V is [element][tile][ci], M [element][tile][co], with steps that keep
   elements off each other's cache sets; U is [element][co / block][ci][block], block = vectors *
   CAMEO_VF. Where blocks are many, a task computes whole ones, V and M in memory of its own
   (lanes); where they are few, the three stages are divided (stages). Each output is the same sum
   in any case. docs/internals/winograd.md has a worked example. */
#ifndef CAMEO_KERNELS_WINOGRAD_CONV_H
#define CAMEO_KERNELS_WINOGRAD_CONV_H
#include <stdatomic.h>

#include "conv_pack.h"
#include "winograd_points.h"

/* x, r, y: of the first of the images. */
typedef struct cameo_winograd_args {
    const float *x, *u, *b, *slope, *r; /* slope: prelu only; r: residual or NULL */
    float *y;
} cameo_winograd_args;

typedef struct cameo_winograd_run {
    cameo_winograd_args a;
    float *work;      /* V and M, as often as there are lanes */
    ptrdiff_t blocks; /* lanes: how many, of all rounds of s->images */
    ptrdiff_t block;  /* stages: which */
    atomic_long next; /* lanes: the next block */
} cameo_winograd_run;

enum { CAMEO_WINOGRAD_ELEMENTS = 36 };

CAMEO_INLINE ptrdiff_t cameo_winograd_edge_h(const cameo_winograd *s) { return s->mh + s->rh - 1; }
CAMEO_INLINE ptrdiff_t cameo_winograd_edge_w(const cameo_winograd *s) { return s->mw + s->rw - 1; }
CAMEO_INLINE ptrdiff_t cameo_winograd_elements(const cameo_winograd *s) {
    return cameo_winograd_edge_h(s) * cameo_winograd_edge_w(s);
}
CAMEO_INLINE ptrdiff_t cameo_winograd_columns(const cameo_winograd *s) {
    return cameo_ceil(s->ow, s->mw);
}
CAMEO_INLINE ptrdiff_t cameo_winograd_tiles(const cameo_winograd *s) { /* of an image */
    return cameo_ceil(s->oh, s->mh) * cameo_winograd_columns(s);
}
CAMEO_INLINE ptrdiff_t cameo_winograd_blocks(const cameo_winograd *s) {
    return cameo_ceil(s->images * cameo_winograd_tiles(s), s->block);
}
CAMEO_INLINE ptrdiff_t cameo_winograd_channels(const cameo_winograd *s) { /* blocks of output
                                                                             channels */
    return cameo_ceil(s->co, s->vectors * CAMEO_VF);
}
CAMEO_INLINE float *cameo_winograd_m(const cameo_winograd *s, float *work) {
    return work + cameo_winograd_elements(s) * s->v_step;
}

/* ---- one-dimensional transforms ---- */

/* B' d: d[0 .. n - 1] at steps of ds to o at steps of os, whatever m and r. */
CAMEO_INLINE void cameo_winograd_b(ptrdiff_t n, const cameo_v *d, ptrdiff_t ds, cameo_v *o,
                                   ptrdiff_t os) {
    o[0] = d[0];
    if (n == 1) return;
    const cameo_winograd_points *at = cameo_winograd_points_of(n);
    const ptrdiff_t pairs = n / 2 - 1;
    cameo_v zero = d[2 * pairs * ds], infinity = d[(2 * pairs + 1) * ds];
    CAMEO_UNROLL
    for (ptrdiff_t k = pairs - 1; k >= 0; k--)
        zero += d[2 * k * ds] * at->all[k], infinity += d[(2 * k + 1) * ds] * at->all[k];
    o[0] = zero, o[(n - 1) * os] = infinity;
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < pairs; i++) {
        cameo_v even = d[2 * pairs * ds], odd = d[(2 * pairs - 1) * ds];
        CAMEO_UNROLL
        for (ptrdiff_t k = pairs - 2; k >= 0; k--)
            even += d[(2 * k + 2) * ds] * at->but[i][k], odd += d[(2 * k + 1) * ds] * at->but[i][k];
        o[(2 * i + 1) * os] = even + odd * at->p[i], o[(2 * i + 2) * os] = even - odd * at->p[i];
    }
}

/* A' p: p[0 .. n - 1] at steps of ps to o[0 .. m - 1] at steps of os. */
CAMEO_INLINE void cameo_winograd_a(ptrdiff_t m, ptrdiff_t n, const cameo_v *p, ptrdiff_t ps,
                                   cameo_v *o, ptrdiff_t os) {
    o[0] = p[0];
    if (n == 1) return;
    const cameo_winograd_points *at = cameo_winograd_points_of(n);
    const ptrdiff_t pairs = n / 2 - 1;
    cameo_v both[2][CAMEO_WINOGRAD_PAIRS]; /* sums of a pair for even powers, differences for odd
                                              ones */
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < pairs; i++) {
        const cameo_v plus = p[(2 * i + 1) * ps], minus = p[(2 * i + 2) * ps];
        both[0][i] = plus + minus, both[1][i] = plus - minus;
    }
    CAMEO_UNROLL
    for (ptrdiff_t k = 0; k < m; k++) {
        cameo_v sum = both[k % 2][0] * at->power[0][k];
        CAMEO_UNROLL
        for (ptrdiff_t i = 1; i < pairs; i++) sum += both[k % 2][i] * at->power[i][k];
        if (k == 0) sum += p[0];
        if (k == m - 1) sum += p[(n - 1) * ps];
        o[k * os] = sum;
    }
}

/* ---- input ---- */

/* Where a tile begins, in floats from x; its pixels outside of [i0, i1) x [j0, j1) are zeros and
   are not read. */
typedef struct cameo_winograd_tile {
    const float *x;
    ptrdiff_t at, i0, i1, j0, j1;
} cameo_winograd_tile;

/* One vector of channels, c and the next, of one tile. */
CAMEO_INLINE void cameo_winograd_input_vector(const cameo_winograd *s,
                                              const cameo_winograd_tile *tile, ptrdiff_t c,
                                              float *v, ptrdiff_t lanes, bool inside) {
    const ptrdiff_t nh = cameo_winograd_edge_h(s), nw = cameo_winograd_edge_w(s);
    cameo_v t[CAMEO_WINOGRAD_ELEMENTS];
    CAMEO_UNROLL
    for (ptrdiff_t j = 0; j < nw; j++) {
        cameo_v d[CAMEO_WINOGRAD_EDGE];
        CAMEO_UNROLL
        for (ptrdiff_t i = 0; i < nh; i++) {
            if (inside || (i >= tile->i0 && i < tile->i1 && j >= tile->j0 && j < tile->j1))
                d[i] = cameo_load_part(tile->x + (tile->at + (i * s->w + j) * s->x_pixel + c),
                                       lanes);
            else
                d[i] = (cameo_v){0};
        }
        cameo_winograd_b(nh, d, 1, t + j, nw);
    }
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < nh; i++) {
        cameo_v o[CAMEO_WINOGRAD_EDGE];
        cameo_winograd_b(nw, t + i * nw, 1, o, 1);
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < nw; j++) cameo_store(v + ((i * nw + j) * s->v_step + c), o[j]);
    }
}

CAMEO_INLINE void cameo_winograd_input_tile(const cameo_winograd *s,
                                            const cameo_winograd_tile *tile, float *v,
                                            bool inside) {
    const ptrdiff_t rest = s->ci % CAMEO_VF, whole = s->ci - rest;
    for (ptrdiff_t c = 0; c < whole; c += CAMEO_VF)
        cameo_winograd_input_vector(s, tile, c, v, CAMEO_VF, inside);
    if (rest) cameo_winograd_input_vector(s, tile, whole, v, rest, inside);
}

/* Tiles [first, first + count) to rows 0 .. of V. */
CAMEO_INLINE void cameo_winograd_input(const cameo_winograd *s, const float *x, float *v,
                                       ptrdiff_t first, ptrdiff_t count) {
    const ptrdiff_t columns = cameo_winograd_columns(s), tiles = cameo_winograd_tiles(s);
    const ptrdiff_t nh = cameo_winograd_edge_h(s), nw = cameo_winograd_edge_w(s);
    for (ptrdiff_t t = first; t < first + count; t++, v += s->v_row) {
        const ptrdiff_t h = t % tiles / columns * s->mh - s->pt,
                        w = t % tiles % columns * s->mw - s->pl;
        const ptrdiff_t at = ((t / tiles * s->h + h) * s->w + w) * s->x_pixel;
        const cameo_winograd_tile tile = {x, at, -h, s->h - h, -w, s->w - w};
        if (h >= 0 && h + nh <= s->h && w >= 0 && w + nw <= s->w)
            cameo_winograd_input_tile(s, &tile, v, true);
        else
            cameo_winograd_input_tile(s, &tile, v, false);
    }
}

/* ---- products ---- */

/* `rows` tiles by one block of channels. ahead: of the next block's weights, the part that is
   fetched meanwhile, `step` floats with each input channel; 0: none. */
CAMEO_INLINE void cameo_winograd_multiply(const cameo_winograd *s, const float *v, const float *u,
                                          float *m, ptrdiff_t rows, const float *ahead,
                                          ptrdiff_t step) {
    cameo_v acc[CAMEO_TILE_PIXELS][CAMEO_TILE_VECTORS], k[CAMEO_TILE_VECTORS];
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < rows; i++) {
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < s->vectors; j++) acc[i][j] = (cameo_v){0};
    }
    for (ptrdiff_t c = 0; c < s->ci; c++, u += s->vectors * CAMEO_VF, ahead += step) {
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < s->vectors; j++) k[j] = cameo_load(u + j * CAMEO_VF);
        if (step) __builtin_prefetch(ahead, 0, 2);
        if (step > 16) __builtin_prefetch(ahead + 16, 0, 2);
        CAMEO_UNROLL
        for (ptrdiff_t i = 0; i < rows; i++) {
            const float a = v[i * s->v_row + c];
            CAMEO_UNROLL
            for (ptrdiff_t j = 0; j < s->vectors; j++) acc[i][j] += a * k[j];
        }
    }
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < rows; i++) {
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < s->vectors; j++)
            cameo_store(m + i * s->m_row + j * CAMEO_VF, acc[i][j]);
    }
}

/* Blocks of output channels [from, to) of one element, `count` tiles. */
CAMEO_INLINE void cameo_winograd_product(const cameo_winograd *s, const float *u, float *work,
                                         ptrdiff_t element, ptrdiff_t from, ptrdiff_t to,
                                         ptrdiff_t count) {
    const ptrdiff_t block = s->vectors * CAMEO_VF, panel = s->ci * block,
                    parts = cameo_ceil(s->block, s->tile);
    /* All blocks of tiles but the last are alike, so what remains of either is a literal. */
    const ptrdiff_t rest = s->block % s->tile,
                    last = s->images * cameo_winograd_tiles(s) % s->block % s->tile;
    const ptrdiff_t step = s->fetch ? cameo_ceil(block, parts) : 0;
    const float *v = work + element * s->v_step,
                *w = u + (element * cameo_winograd_channels(s) + from) * panel;
    float *m = cameo_winograd_m(s, work) + element * s->m_step + from * block;
    for (ptrdiff_t q = from; q < to; q++, w += panel, m += block) {
        const float *ahead = w + panel;
        ptrdiff_t t = 0;
        for (; t + s->tile <= count; t += s->tile, ahead += step * s->ci)
            cameo_winograd_multiply(s, v + t * s->v_row, w, m + t * s->m_row, s->tile, ahead, step);
        if (rest && count == s->block)
            cameo_winograd_multiply(s, v + t * s->v_row, w, m + t * s->m_row, rest, ahead, step);
        if (last && count < s->block)
            cameo_winograd_multiply(s, v + t * s->v_row, w, m + t * s->m_row, last, ahead, step);
    }
}

/* ---- output ---- */

/* One vector of channels of one tile: oh x ow of its outputs exist. */
CAMEO_INLINE void cameo_winograd_output_vector(const cameo_winograd *s, const float *m,
                                               cameo_v bias, cameo_v slope, const float *r,
                                               float *y, ptrdiff_t lanes, ptrdiff_t oh,
                                               ptrdiff_t ow) {
    const ptrdiff_t nh = cameo_winograd_edge_h(s), nw = cameo_winograd_edge_w(s);
    cameo_v t[CAMEO_WINOGRAD_ELEMENTS];
    CAMEO_UNROLL
    for (ptrdiff_t j = 0; j < nw; j++) {
        cameo_v p[CAMEO_WINOGRAD_EDGE] = {{0}};
        CAMEO_UNROLL
        for (ptrdiff_t i = 0; i < nh; i++) p[i] = cameo_load(m + (i * nw + j) * s->m_step);
        cameo_winograd_a(s->mh, nh, p, 1, t + j, nw);
    }
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < s->mh; i++) {
        cameo_v o[CAMEO_WINOGRAD_M];
        if (i >= oh) break;
        cameo_winograd_a(s->mw, nw, t + i * nw, 1, o, 1);
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < s->mw; j++) {
            if (j >= ow) break;
            cameo_v v = o[j] + bias;
            if (s->r_pixel) v += cameo_load_part(r + (i * s->ow + j) * s->r_pixel, lanes);
            const cameo_v a = s->act.kind == CAMEO_PRELU ? slope : v;
            cameo_store_part(y + (i * s->ow + j) * s->y_pixel, cameo_activate(&s->act, v, a),
                             lanes);
        }
    }
}

CAMEO_INLINE void cameo_winograd_output_tile(const cameo_winograd *s, const cameo_winograd_args *a,
                                             const float *m, const float *r, float *y, ptrdiff_t oh,
                                             ptrdiff_t ow) {
    const ptrdiff_t rest = s->co % CAMEO_VF, whole = s->co - rest;
    const float *slope = s->act.kind == CAMEO_PRELU ? a->slope : a->b;
    for (ptrdiff_t c = 0; c < whole; c += CAMEO_VF)
        cameo_winograd_output_vector(s, m + c, cameo_load(a->b + c), cameo_load(slope + c), r + c,
                                     y + c, CAMEO_VF, oh, ow);
    if (rest)
        cameo_winograd_output_vector(s, m + whole, cameo_load(a->b + whole),
                                     cameo_load(slope + whole), r + whole, y + whole, rest, oh, ow);
}

/* A NaN or an infinity in any input of a tile is in one of the four corners of V (of a row or
   column: two ends), since their rows of B' reach the even and the odd inputs; of M then, whatever
   the channel. It would be in all outputs of the tile. */
CAMEO_INLINE bool cameo_winograd_doubtful(const cameo_winograd *s, const float *m) {
    const ptrdiff_t right = (cameo_winograd_edge_w(s) - 1) * s->m_step;
    const ptrdiff_t below = (cameo_winograd_elements(s) - cameo_winograd_edge_w(s)) * s->m_step;
    const float sum = below ? m[0] + m[right] + m[below] + m[below + right] : m[0] + m[right];
    return __builtin_expect(isnan(sum - sum), 0);
}

/* Computes the outputs of one tile as plain sums (nonfinite.c). block: of channels, of the
   weights. */
void cameo_winograd_again(const cameo_winograd *s, ptrdiff_t block, const cameo_winograd_args *a,
                          ptrdiff_t tile);

/* Tiles [first, first + count) from rows 0 .. of M. r and y may be the same memory. */
CAMEO_INLINE void cameo_winograd_output(const cameo_winograd *s, const cameo_winograd_args *a,
                                        const float *m, ptrdiff_t first, ptrdiff_t count) {
    const ptrdiff_t columns = cameo_winograd_columns(s), tiles = cameo_winograd_tiles(s);
    for (ptrdiff_t t = first; t < first + count; t++, m += s->m_row) {
        const ptrdiff_t h = t % tiles / columns * s->mh, w = t % columns * s->mw,
                        pixel = (t / tiles * s->oh + h) * s->ow + w;
        const float *r = s->r_pixel ? a->r + pixel * s->r_pixel : a->y;
        float *y = a->y + pixel * s->y_pixel;
        if (cameo_winograd_doubtful(s, m))
            cameo_winograd_again(s, s->vectors * CAMEO_VF, a, t);
        else if (h + s->mh <= s->oh && w + s->mw <= s->ow)
            cameo_winograd_output_tile(s, a, m, r, y, s->mh, s->mw);
        else
            cameo_winograd_output_tile(s, a, m, r, y, s->oh - h, s->ow - w);
    }
}

/* ---- tasks ---- */

CAMEO_INLINE ptrdiff_t cameo_winograd_count(const cameo_winograd *s, ptrdiff_t block) { /* of its
                                                                                           tiles */
    return cameo_least(s->block, s->images * cameo_winograd_tiles(s) - block * s->block);
}

/* The arguments of another s->images. */
CAMEO_INLINE cameo_winograd_args cameo_winograd_round(const cameo_winograd *s,
                                                      cameo_winograd_args a, ptrdiff_t round) {
    a.x += round * s->images * s->h * s->w * s->x_pixel;
    a.y += round * s->images * s->oh * s->ow * s->y_pixel;
    if (s->r_pixel) a.r += round * s->images * s->oh * s->ow * s->r_pixel;
    return a;
}

/* Stages of one block of tiles. */
CAMEO_INLINE void cameo_winograd_input_task(const cameo_winograd *s, const cameo_winograd_run *run,
                                            size_t i) {
    const ptrdiff_t from = (ptrdiff_t)i * s->group,
                    count = cameo_least(s->group, cameo_winograd_count(s, run->block) - from);
    cameo_winograd_input(s, run->a.x, run->work + from * s->v_row, run->block * s->block + from,
                         count);
}

CAMEO_INLINE void cameo_winograd_product_task(const cameo_winograd *s,
                                              const cameo_winograd_run *run, size_t i) {
    const ptrdiff_t blocks = cameo_winograd_channels(s), chunks = cameo_ceil(blocks, s->chunk),
                    t = (ptrdiff_t)i;
    const ptrdiff_t from = t % chunks * s->chunk, count = cameo_winograd_count(s, run->block);
    cameo_winograd_product(s, run->a.u, run->work, t / chunks, from,
                           cameo_least(blocks, from + s->chunk), count);
}

CAMEO_INLINE void cameo_winograd_output_task(const cameo_winograd *s, const cameo_winograd_run *run,
                                             size_t i) {
    const ptrdiff_t from = (ptrdiff_t)i * s->group,
                    count = cameo_least(s->group, cameo_winograd_count(s, run->block) - from);
    const float *m = cameo_winograd_m(s, run->work) + from * s->m_row;
    cameo_winograd_output(s, &run->a, m, run->block * s->block + from, count);
}

/* Lane i: whole blocks, as long as there are any; with one thread all of them in one lane's
   memory, which stays in the cache. */
CAMEO_INLINE void cameo_winograd_lane(const cameo_winograd *s, cameo_winograd_run *run, size_t i) {
    const ptrdiff_t n = cameo_winograd_elements(s), channels = cameo_winograd_channels(s),
                    each = cameo_winograd_blocks(s);
    float *work = run->work + (ptrdiff_t)i * n * (s->v_step + s->m_step);
    for (ptrdiff_t q;
         (q = atomic_fetch_add_explicit(&run->next, 1, memory_order_relaxed)) < run->blocks;) {
        const cameo_winograd_args a = cameo_winograd_round(s, run->a, q / each);
        const ptrdiff_t first = q % each * s->block, count = cameo_winograd_count(s, q % each);
        cameo_winograd_input(s, a.x, work, first, count);
        for (ptrdiff_t e = 0; e < n; e++)
            cameo_winograd_product(s, a.u, work, e, 0, channels, count);
        cameo_winograd_output(s, &a, cameo_winograd_m(s, work), first, count);
    }
}

/* ---- live weights of 3x3: in the order of direct_conv.h, [co / block][kh][kw][ci][block] ---- */

/* G g: g[0 .. 2] at steps of gs to o[0 .. m + 1] at steps of os. */
CAMEO_INLINE void cameo_winograd_g(ptrdiff_t m, const cameo_v *g, ptrdiff_t gs, cameo_v *o,
                                   ptrdiff_t os) {
    const cameo_v g0 = g[0], g1 = g[gs], g2 = g[2 * gs];
    if (m == 2) {
        const cameo_v even = (g0 + g2) * 0.5f, odd = g1 * 0.5f;
        o[0] = -g0, o[os] = even + odd, o[2 * os] = even - odd, o[3 * os] = g2;
        return;
    }
    const cameo_v even_a = g0 * (-2.0f / 3) - g2 * (1.0f / 3),
                  odd_a = g1 * (CAMEO_WINOGRAD_A * -2 / 3);
    const cameo_v even_b = g0 * (1.0f / 6) + g2 * (1.0f / 3), odd_b = g1 * (CAMEO_WINOGRAD_B / 6);
    o[0] = g0, o[5 * os] = g2;
    o[os] = even_a + odd_a, o[2 * os] = even_a - odd_a;
    o[3 * os] = even_b + odd_b, o[4 * os] = even_b - odd_b;
}

/* G w G' of one vector of output channels to u at steps of `step`. */
CAMEO_INLINE void cameo_winograd_weights(ptrdiff_t m, const cameo_v *w, float *u, ptrdiff_t step) {
    cameo_v t[18];
    CAMEO_UNROLL
    for (ptrdiff_t j = 0; j < 3; j++) cameo_winograd_g(m, w + j, 3, t + j, 3);
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < m + 2; i++) {
        cameo_v o[6];
        cameo_winograd_g(m, t + i * 3, 1, o, 1);
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < m + 2; j++) cameo_store(u + (i * (m + 2) + j) * step, o[j]);
    }
}

enum { CAMEO_WINOGRAD_PACK = 64 }; /* input channels of a task */

CAMEO_INLINE ptrdiff_t cameo_winograd_pack_tasks(const cameo_winograd *s) {
    return cameo_winograd_channels(s) * cameo_ceil(s->ci, CAMEO_WINOGRAD_PACK);
}

/* Task i: some input channels of one block of output channels; the weights have the same blocks. */
CAMEO_INLINE void cameo_winograd_pack_task(const cameo_winograd *s, const cameo_conv_pack *a,
                                           size_t i) {
    const ptrdiff_t block = s->vectors * CAMEO_VF, parts = cameo_ceil(s->ci, CAMEO_WINOGRAD_PACK);
    const ptrdiff_t q = (ptrdiff_t)i / parts, first = (ptrdiff_t)i % parts * CAMEO_WINOGRAD_PACK;
    const ptrdiff_t last = cameo_least(s->ci, first + CAMEO_WINOGRAD_PACK),
                    step = cameo_winograd_channels(s) * s->ci * block;
    for (ptrdiff_t c = first; c < last; c++)
        for (ptrdiff_t j = 0; j < block; j += CAMEO_VF) {
            const float *from = a->from + (q * 9 * s->ci + c) * block + j;
            cameo_v w[9];
            CAMEO_UNROLL
            for (ptrdiff_t t = 0; t < 9; t++) w[t] = cameo_load(from + t * s->ci * block);
            cameo_winograd_weights(s->mh, w, a->to + (q * s->ci + c) * block + j, step);
        }
}

/* For the gradient of the input, whose convolution s is: its output channels are the forward's
   input channels. One vector of them from c on, one of the forward's outputs from o on; taps in
   reverse. */
CAMEO_INLINE void cameo_winograd_flip(const cameo_winograd *s, ptrdiff_t source, const float *from,
                                      float *to, ptrdiff_t c, ptrdiff_t o) {
    const ptrdiff_t block = s->vectors * CAMEO_VF,
                    step = cameo_winograd_channels(s) * s->ci * block;
    cameo_v v[9][CAMEO_VF];
    for (ptrdiff_t t = 0; t < 9; t++) {
        const float *x = from + ((o / source * 9 + t) * s->co + c) * source + o % source;
        CAMEO_UNROLL
        for (ptrdiff_t i = 0; i < CAMEO_VF; i++)
            v[8 - t][i] = c + i < s->co ? cameo_load(x + i * source) : (cameo_v){0};
        cameo_transpose(v[8 - t]);
    }
    for (ptrdiff_t i = 0; i < CAMEO_VF && o + i < s->ci; i++) {
        cameo_v w[9];
        CAMEO_UNROLL
        for (ptrdiff_t t = 0; t < 9; t++) w[t] = v[t][i];
        cameo_winograd_weights(s->mh, w, to + (c / block * s->ci + o + i) * block + c % block,
                               step);
    }
}

/* source: the block of the weights. */
CAMEO_INLINE void cameo_winograd_flip_task(const cameo_winograd *s, ptrdiff_t source,
                                           const cameo_conv_pack *a, size_t i) {
    const ptrdiff_t block = s->vectors * CAMEO_VF, parts = cameo_ceil(s->ci, CAMEO_WINOGRAD_PACK);
    const ptrdiff_t q = (ptrdiff_t)i / parts, first = (ptrdiff_t)i % parts * CAMEO_WINOGRAD_PACK;
    const ptrdiff_t last = cameo_least(s->ci, first + CAMEO_WINOGRAD_PACK);
    for (ptrdiff_t o = first; o < last; o += CAMEO_VF)
        for (ptrdiff_t j = 0; j < block; j += CAMEO_VF)
            cameo_winograd_flip(s, source, a->from, a->to, q * block + j, o);
}
#endif
