/* Convolution of narrow groups, NHWC: as many input as output channels a group, a power of two
   that a vector holds. The lanes of a vector run over several groups' channels. Output lane l
   wants every input channel of its group; the input vector, its lanes exchanged l <-> l ^ k for k
   = 0 .. width - 1, brings them one after the other:

       y[l] += x[l ^ k] * w[l][l ^ k]     k = 0 .. width - 1

   So each exchanged vector serves all taps of a row of the kernel, whose weights stay in
   registers, no product is computed in vain, and what one group holds (a NaN) never meets another.
   A group that fills a vector takes x[k] in all lanes, and w[l][k]: loads are cheaper than
   exchanges; small tiles take two groups at a time, whose sums do not wait for each other.

   A tile of neighbouring pixels of a row accumulates; columns outside of the image are left out
   when compiled, rows when run. Channels are the innermost loop, in chunks of which the rows that
   are read again stay in the first-level cache. Where the weights are many, those of the next
   chunk are fetched meanwhile, a part with each row; behind the last are usually the next layer's.
   Weights: [vector of channels][kh][kw][k][CAMEO_VF], bias and slope padded to whole vectors. */
#ifndef CAMEO_KERNELS_GROUPED_CONV_H
#define CAMEO_KERNELS_GROUPED_CONV_H
#include "depthwise_conv.h"

typedef struct cameo_grouped_args {
    const float *x, *w, *b, *slope, *r; /* slope: prelu only; r: residual or NULL */
    float *y;
} cameo_grouped_args;

enum {
    CAMEO_GROUPED_MOST = 14,
    CAMEO_GROUPED_QUAD = 4
}; /* pixels of a tile; lanes that are exchanged cheaply */

/* v[l ^ k] in lane l; k is a literal below CAMEO_VF. */
#if CAMEO_VF == 16
#define CAMEO_EXCHANGED(K)                                                                    \
    K, 1 ^ K, 2 ^ K, 3 ^ K, 4 ^ K, 5 ^ K, 6 ^ K, 7 ^ K, 8 ^ K, 9 ^ K, 10 ^ K, 11 ^ K, 12 ^ K, \
        13 ^ K, 14 ^ K, 15 ^ K
#elif CAMEO_VF == 8
#define CAMEO_EXCHANGED(K) K, 1 ^ K, 2 ^ K, 3 ^ K, 4 ^ K, 5 ^ K, 6 ^ K, 7 ^ K
#else
#define CAMEO_EXCHANGED(K) K, 1 ^ K, 2 ^ K, 3 ^ K
#endif
CAMEO_INLINE cameo_v cameo_exchange(cameo_v v, ptrdiff_t k) {
    switch (k) {
    case 1: return __builtin_shufflevector(v, v, CAMEO_EXCHANGED(1));
    case 2: return __builtin_shufflevector(v, v, CAMEO_EXCHANGED(2));
    case 3: return __builtin_shufflevector(v, v, CAMEO_EXCHANGED(3));
#if CAMEO_VF >= 8
    case 4: return __builtin_shufflevector(v, v, CAMEO_EXCHANGED(4));
#endif
#if CAMEO_VF >= 16
    case 8: return __builtin_shufflevector(v, v, CAMEO_EXCHANGED(8));
    case 12: return __builtin_shufflevector(v, v, CAMEO_EXCHANGED(12));
#endif
    default: return v;
    }
}

CAMEO_INLINE bool cameo_grouped_fills(const cameo_grouped *s) {
    return s->width == CAMEO_VF;
} /* a group a vector */
CAMEO_INLINE ptrdiff_t cameo_grouped_taps(const cameo_grouped *s) {
    return s->kh * s->kw * s->width * CAMEO_VF;
} /* floats */

/* What is fetched with each row of the kernel, in vectors: of a tile's share of the next chunk's
   weights, half as much again, since rows of the kernel are missing at the image's edges. */
CAMEO_INLINE ptrdiff_t cameo_grouped_share(const cameo_grouped *s) {
    const ptrdiff_t tiles = s->rows * cameo_ceil(s->ow, s->tile), taps = s->kh * s->kw * s->width;
    return s->prefetch ? cameo_ceil(taps, tiles) : 0;
}
CAMEO_INLINE ptrdiff_t cameo_grouped_step(const cameo_grouped *s) {
    const ptrdiff_t rows = cameo_most(1, s->kh - 1);
    return cameo_ceil(cameo_grouped_share(s), rows);
}

/* Columns beyond the image that the row's last window reads. */
CAMEO_INLINE ptrdiff_t cameo_grouped_beyond(const cameo_grouped *s) {
    return cameo_most(0, (s->ow - 1) * s->sw - s->pl + (s->kw - 1) * s->dw + 1 - s->w);
}

/* Accumulates one row of the kernel and input channels [k, k + quad) of each group. Input columns
   [left, end) of the tile exist; x: the first one, w: the row's weights. */
CAMEO_INLINE void cameo_grouped_channels(const cameo_grouped *s, const float *x, const float *w,
                                         cameo_v *acc, ptrdiff_t k, ptrdiff_t quad,
                                         ptrdiff_t pixels, ptrdiff_t left, ptrdiff_t end,
                                         ptrdiff_t lanes) {
    CAMEO_UNROLL
    for (ptrdiff_t q = left; q < end; q++) {
        const float *at = x + q * s->x_pixel;
        const cameo_v v = cameo_grouped_fills(s) ? (cameo_v){0}
                                                 : cameo_exchange(cameo_load_part(at, lanes), k);
        CAMEO_UNROLL
        for (ptrdiff_t i = 0; i < quad; i++) {
            const cameo_v a = cameo_grouped_fills(s) ? cameo_splat(at[k + i])
                                                     : cameo_exchange(v, i);
            CAMEO_UNROLL
            for (ptrdiff_t j = 0; j < s->kw; j++) {
                const ptrdiff_t p = q - j * s->dw; /* begins at the tile's first window */
                if (p >= 0 && p % s->sw == 0 && p / s->sw < pixels)
                    acc[p / s->sw] += a * cameo_load(w + (j * s->width + k + i) * CAMEO_VF);
            }
        }
    }
}

/* The same of all input channels, for neighbouring vectors. ahead: what is fetched. */
CAMEO_INLINE void cameo_grouped_taps_of_row(const cameo_grouped *s, const float *x, const float *w,
                                            const float *ahead, cameo_v (*acc)[CAMEO_GROUPED_MOST],
                                            ptrdiff_t vectors, ptrdiff_t pixels, ptrdiff_t left,
                                            ptrdiff_t end, ptrdiff_t lanes) {
    const ptrdiff_t quad = cameo_grouped_fills(s) ? 1 : cameo_least(s->width, CAMEO_GROUPED_QUAD);
    CAMEO_UNROLL
    for (ptrdiff_t k = 0; k < s->width; k += quad) {
        const ptrdiff_t fetched = s->prefetch ? cameo_least(k + quad, cameo_grouped_step(s)) : k;
        for (ptrdiff_t i = k; i < fetched; i++)
            for (ptrdiff_t v = 0; v < vectors; v++)
                __builtin_prefetch(ahead + v * cameo_grouped_taps(s) + i * CAMEO_VF, 0, 2);
        CAMEO_UNROLL
        for (ptrdiff_t v = 0; v < vectors; v++)
            cameo_grouped_channels(s, x + v * CAMEO_VF, w + v * cameo_grouped_taps(s), acc[v], k,
                                   quad, pixels, left, end, lanes);
    }
}

/* bias is in acc already. */
CAMEO_INLINE void cameo_grouped_store(const cameo_grouped *s, const cameo_grouped_args *a,
                                      const cameo_v *acc, const float *r, float *y, ptrdiff_t c,
                                      ptrdiff_t pixels, ptrdiff_t lanes) {
    const cameo_v slope = s->act.kind == CAMEO_PRELU ? cameo_load(a->slope + c) : acc[0];
    CAMEO_UNROLL
    for (ptrdiff_t p = 0; p < pixels; p++) {
        cameo_v v = acc[p];
        if (s->r_pixel) v += cameo_load_part(r + p * s->r_pixel + c, lanes);
        cameo_store_part(y + p * s->y_pixel + c, cameo_activate(&s->act, v, slope), lanes);
    }
}

/* One vector, or two, of `pixels` outputs. Rows of taps [h0, h1) exist; of the columns read,
   `left` and `right` (literals) do not. x: the input under tap (0, 0) of the first pixel; w: the
   vector's weights; ahead: from there on the tile fetches. */
CAMEO_INLINE void cameo_grouped_vectors(const cameo_grouped *s, const cameo_grouped_args *a,
                                        const float *x, const float *w, const float *ahead,
                                        const float *r, float *y, ptrdiff_t c, ptrdiff_t h0,
                                        ptrdiff_t h1, ptrdiff_t vectors, ptrdiff_t pixels,
                                        ptrdiff_t left, ptrdiff_t right, ptrdiff_t lanes) {
    const ptrdiff_t end = (pixels - 1) * s->sw + (s->kw - 1) * s->dw + 1 - right;
    cameo_v acc[2][CAMEO_GROUPED_MOST];
    CAMEO_UNROLL
    for (ptrdiff_t v = 0; v < vectors; v++) {
        CAMEO_UNROLL
        for (ptrdiff_t p = 0; p < pixels; p++) acc[v][p] = cameo_load(a->b + c + v * CAMEO_VF);
    }
    for (ptrdiff_t i = h0; i < h1; i++)
        cameo_grouped_taps_of_row(s, x + i * s->dh * s->w * s->x_pixel + c,
                                  w + i * s->kw * s->width * CAMEO_VF,
                                  ahead + (i - h0) * cameo_grouped_step(s) * CAMEO_VF, acc, vectors,
                                  pixels, left, end, lanes);
    CAMEO_UNROLL
    for (ptrdiff_t v = 0; v < vectors; v++)
        cameo_grouped_store(s, a, acc[v], r, y, c + v * CAMEO_VF, pixels, lanes);
}

/* The same of channels [first, end). t: which of the task's tiles it is. */
CAMEO_INLINE void cameo_grouped_pixels(const cameo_grouped *s, const cameo_grouped_args *a,
                                       const float *x, const float *r, float *y, ptrdiff_t t,
                                       ptrdiff_t first, ptrdiff_t last, ptrdiff_t h0, ptrdiff_t h1,
                                       ptrdiff_t pixels, ptrdiff_t left, ptrdiff_t right) {
    ptrdiff_t c = first;
    const ptrdiff_t taps = cameo_grouped_taps(s),
                    next = s->chunk / CAMEO_VF * taps + t * cameo_grouped_share(s) * CAMEO_VF;
    const float *w = a->w + c / CAMEO_VF * taps;
    if (cameo_grouped_fills(s) && 2 * s->tile <= CAMEO_GROUPED_MOST)
        for (; c + 2 * CAMEO_VF <= last; c += 2 * CAMEO_VF, w += 2 * taps)
            cameo_grouped_vectors(s, a, x, w, w + next, r, y, c, h0, h1, 2, pixels, left, right,
                                  CAMEO_VF);
    for (; c + CAMEO_VF <= last; c += CAMEO_VF, w += taps)
        cameo_grouped_vectors(s, a, x, w, w + next, r, y, c, h0, h1, 1, pixels, left, right,
                              CAMEO_VF);
    if (s->c % CAMEO_VF && c < last)
        cameo_grouped_vectors(s, a, x, w, w + next, r, y, c, h0, h1, 1, pixels, left, right,
                              s->c % CAMEO_VF);
}

/* An output row, tile by tile; only its first and its last tile may reach out of the image. x, r,
   y: its first pixel; t: its first tile. */
CAMEO_INLINE void cameo_grouped_row(const cameo_grouped *s, const cameo_grouped_args *a,
                                    const float *x, const float *r, float *y, ptrdiff_t t,
                                    ptrdiff_t c, ptrdiff_t end, ptrdiff_t h0, ptrdiff_t h1) {
    const ptrdiff_t tile = s->tile, rest = (s->ow - 1) % tile + 1, last = s->ow - rest;
    const ptrdiff_t beyond = cameo_grouped_beyond(s), step = tile * s->sw * s->x_pixel;
    if (last == 0) {
        cameo_grouped_pixels(s, a, x, r, y, t, c, end, h0, h1, rest, s->pl, beyond);
        return;
    }
    cameo_grouped_pixels(s, a, x, r, y, t++, c, end, h0, h1, tile, s->pl, 0);
    for (ptrdiff_t j = tile; j < last; j += tile) {
        x += step, r += tile * s->r_pixel, y += tile * s->y_pixel;
        cameo_grouped_pixels(s, a, x, r, y, t++, c, end, h0, h1, tile, 0, 0);
    }
    cameo_grouped_pixels(s, a, x + step, r + tile * s->r_pixel, y + tile * s->y_pixel, t, c, end,
                         h0, h1, rest, 0, beyond);
}

/* Task i: [image][band of rows]. */
CAMEO_INLINE void cameo_grouped_task(const cameo_grouped *s, const cameo_grouped_args *a,
                                     size_t i) {
    const ptrdiff_t bands = cameo_ceil(s->oh, s->rows), image = (ptrdiff_t)i / bands,
                    first = (ptrdiff_t)i % bands * s->rows,
                    end = cameo_least(s->oh, first + s->rows), tiles = cameo_ceil(s->ow, s->tile);
    const float *x = a->x + image * s->h * s->w * s->x_pixel;
    float *y = a->y + image * s->oh * s->ow * s->y_pixel;
    const float *r = s->r_pixel ? a->r + image * s->oh * s->ow * s->r_pixel : y;
    for (ptrdiff_t c = 0; c < s->c; c += s->chunk)
        for (ptrdiff_t o = first; o < end; o++) {
            const ptrdiff_t h = o * s->sh - s->pt, h0 = cameo_tap_first(h, s->dh),
                            h1 = cameo_tap_end(h, s->dh, s->kh, s->h);
            cameo_grouped_row(s, a, x + (h * s->w - s->pl) * s->x_pixel, r + o * s->ow * s->r_pixel,
                              y + o * s->ow * s->y_pixel, (o - first) * tiles, c,
                              cameo_least(s->c, c + s->chunk), h0, h1);
        }
}
#endif
