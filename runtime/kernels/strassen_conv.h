/* 1x1 convolution of even numbers of channels by one level of Strassen's method, in Winograd's
   form, NHWC: of pairs of pixels, halves of the input channels and halves of the output channels,
   7 products of half the size instead of 8.

   With left factors A = [a11 a12; a21 a22], of upper and lower pixels and of halves of the input
   channels, and weights B = [b11 b12; b21 b22], the products in the order they are computed, and
   what becomes of each, p:

       0  a11 b11     u = p
       1  a12 b21     upper pixel, first half of the output channels: u + p
       2  s2 t2       u = u + p
       3  s3 t3       v = u + p
       4  a22 -t4     lower pixel, first half: v + p
       5  s1 t1       lower pixel, second half: v + p; u = u + p
       6  s4 b22      upper pixel, second half: u + p

   s1 = a21 + a22, s2 = s1 - a11, s3 = a11 - a21, s4 = a12 - s2; t1 = b12 - b11, t2 = b22 - t1, t3
   = b22 - b12, t4 = t2 - b21. The right factors are computed when compiling, packed as [half co /
   block][product][half ci][block]; the left ones of a band of pairs are written side by side into
   a line buffer. u and v are of one block of channels, and stay in a near cache.

   A pair's pixels are neighbours in their image (2i, 2i + 1), so each output is the same sum
   however an image is cut into bands. The last pixel of an odd image has a lower one of zeros,
   which is not stored. A NaN or an infinity would be in all outputs of its pair: such pairs are
   computed as plain sums. */
#ifndef CAMEO_KERNELS_STRASSEN_CONV_H
#define CAMEO_KERNELS_STRASSEN_CONV_H
#include "vector.h"

typedef struct cameo_strassen_args {
    const float *x, *w, *b, *slope, *r; /* slope: prelu only; r: residual or NULL */
    float *y;
} cameo_strassen_args;

enum { CAMEO_STRASSEN_PIXELS = 28, CAMEO_STRASSEN_VECTORS = 5 };

/* Floats of a task's memory: the left factors, u and v, and whether a pair has numbers that are
   none. */
#define CAMEO_STRASSEN_LINE(rows, line_pixel, block) ((rows) * (7 * (line_pixel) + 2 * (block) + 1))

CAMEO_INLINE ptrdiff_t cameo_strassen_block(const cameo_strassen *s) {
    return s->vectors * CAMEO_VF;
}
CAMEO_INLINE ptrdiff_t cameo_strassen_pairs(const cameo_strassen *s) {
    return (s->oh * s->ow + 1) / 2;
}

/* What a block of channels of a band is computed in and with. */
typedef struct cameo_strassen_band {
    const float *line, *odd; /* of the band's first pair, as u and v */
    float *u, *v;
    ptrdiff_t first, rows;
    const float *w, *b, *slope, *r; /* of the block; r and y: of the image's first pixel */
    float *y;
    const float *ahead; /* weights to fetch for the next product */
} cameo_strassen_band;

/* ---- left factors ---- */

/* Those of `lanes` channels of a pair to `line`, at steps of `step`; returns s4, which has NaN or
   infinities if the pair has. What is `next` floats further is fetched. */
CAMEO_INLINE cameo_v cameo_strassen_factor(const float *upper, const float *lower, bool alone,
                                           ptrdiff_t half, ptrdiff_t next, ptrdiff_t lanes,
                                           float *line, ptrdiff_t step) {
    const cameo_v zero = {0}, a11 = cameo_load_part(upper, lanes),
                  a12 = cameo_load_part(upper + half, lanes);
    cameo_v a21 = zero, a22 = zero;
    __builtin_prefetch(upper + next, 0, 3), __builtin_prefetch(upper + next + half, 0, 3);
    __builtin_prefetch(lower + next, 0, 3), __builtin_prefetch(lower + next + half, 0, 3);
    if (!alone) a21 = cameo_load_part(lower, lanes), a22 = cameo_load_part(lower + half, lanes);
    const cameo_v s1 = a21 + a22, s2 = s1 - a11, s4 = a12 - s2;
    cameo_store_part(line, a11, lanes);
    cameo_store_part(line + step, a12, lanes);
    cameo_store_part(line + 2 * step, s2, lanes);
    cameo_store_part(line + 3 * step, a11 - a21, lanes);
    cameo_store_part(line + 4 * step, a22, lanes);
    cameo_store_part(line + 5 * step, s1, lanes);
    cameo_store_part(line + 6 * step, s4, lanes);
    return s4;
}

/* Where pixel i of an image is in its input. */
CAMEO_INLINE ptrdiff_t cameo_strassen_pixel(const cameo_strassen *s, ptrdiff_t i) {
    return (i / s->ow * s->sh * s->w + i % s->ow * s->sw) * s->x_pixel;
}

/* Of pairs [first, first + rows) of the image x. */
CAMEO_INLINE void cameo_strassen_factors(const cameo_strassen *s, const float *x, float *line,
                                         float *odd, ptrdiff_t first, ptrdiff_t rows) {
    const ptrdiff_t half = s->ci / 2, rest = half % CAMEO_VF, step = s->rows * s->line_pixel,
                    next = 2 * s->sw * s->x_pixel;
    for (ptrdiff_t q = 0; q < rows; q++, line += s->line_pixel) {
        const ptrdiff_t i = 2 * (first + q);
        const bool alone = i + 1 == s->oh * s->ow;
        const float *upper = x + cameo_strassen_pixel(s, i),
                    *lower = alone ? upper : x + cameo_strassen_pixel(s, i + 1);
        cameo_v all = {0};
        ptrdiff_t c = 0;
        for (; c < half - rest; c += CAMEO_VF)
            all += 0.0f * cameo_strassen_factor(upper + c, lower + c, alone, half, next, CAMEO_VF,
                                                line + c, step);
        if (rest)
            all += 0.0f * cameo_strassen_factor(upper + c, lower + c, alone, half, next, rest,
                                                line + c, step);
        odd[q] = cameo_any_nan(all);
    }
}

/* ---- products ---- */

/* Product p of pair q is of the lower pixel's output, or of the upper one's; of the first half of
   the channels, or the second. Others remain inside. */
CAMEO_INLINE bool cameo_strassen_final(ptrdiff_t p) { return p == 1 || p >= 4; }
CAMEO_INLINE ptrdiff_t cameo_strassen_to(const cameo_strassen_band *a, ptrdiff_t p, ptrdiff_t q) {
    return 2 * (a->first + q) + (p == 4 || p == 5);
}
CAMEO_INLINE ptrdiff_t cameo_strassen_half(const cameo_strassen *s, ptrdiff_t p) {
    return p >= 5 ? s->co / 2 : 0;
}

/* bias + residual + activation of a vector of channels from c on, of a pixel. */
CAMEO_INLINE void cameo_strassen_store(const cameo_strassen *s, const cameo_strassen_band *a,
                                       cameo_v v, ptrdiff_t pixel, ptrdiff_t c) {
    v += cameo_load(a->b + c);
    if (s->r_pixel) v += cameo_load(a->r + pixel * s->r_pixel + c);
    const cameo_v slope = s->act.kind == CAMEO_PRELU ? cameo_load(a->slope + c) : v;
    cameo_store(a->y + pixel * s->y_pixel + c, cameo_activate(&s->act, v, slope));
}

/* What becomes of product p of pair q. r and y may be the same memory. */
CAMEO_INLINE void cameo_strassen_sum(const cameo_strassen *s, const cameo_strassen_band *a,
                                     const cameo_v *acc, ptrdiff_t p, ptrdiff_t q) {
    const ptrdiff_t pixel = cameo_strassen_to(a, p, q), at = q * cameo_strassen_block(s);
    const float *from = p == 4 || p == 5 ? a->v + at : a->u + at;
    const bool store = cameo_strassen_final(p) && pixel < s->oh * s->ow && a->odd[q] == 0;
    CAMEO_UNROLL
    for (ptrdiff_t j = 0; j < s->vectors; j++) {
        const ptrdiff_t c = j * CAMEO_VF;
        cameo_v sum = acc[j];
        if (p) sum += cameo_load(from + c);
        if (p == 0 || p == 2) cameo_store(a->u + at + c, sum);
        if (p == 3) cameo_store(a->v + at + c, sum);
        if (p == 5) cameo_store(a->u + at + c, acc[j] + cameo_load(a->u + at + c));
        if (store) cameo_strassen_store(s, a, sum, pixel, cameo_strassen_half(s, p) + c);
    }
}

/* Asks for the residual of n pairs while their product is computed. */
CAMEO_INLINE void cameo_strassen_ask(const cameo_strassen *s, const cameo_strassen_band *a,
                                     ptrdiff_t p, ptrdiff_t q, ptrdiff_t n) {
    if (!s->r_pixel || !cameo_strassen_final(p)) return;
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < n; i++) {
        const float *r = a->r + cameo_strassen_to(a, p, q + i) * s->r_pixel +
                         cameo_strassen_half(s, p);
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < s->vectors; j++) __builtin_prefetch(r + j * CAMEO_VF, 0, 3);
    }
}

/* Product p of pairs [q, q + n). step: floats of weights to fetch with every channel. */
CAMEO_INLINE void cameo_strassen_tile(const cameo_strassen *s, cameo_strassen_band *a, ptrdiff_t p,
                                      ptrdiff_t q, ptrdiff_t n, ptrdiff_t step) {
    cameo_v acc[CAMEO_STRASSEN_PIXELS][CAMEO_STRASSEN_VECTORS], k[CAMEO_STRASSEN_VECTORS];
    const float *x = a->line + (p * s->rows + q) * s->line_pixel, *ahead = a->ahead;
    const float *w = a->w + p * (s->ci / 2) * cameo_strassen_block(s);
    cameo_strassen_ask(s, a, p, q, n);
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < n; i++) {
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < s->vectors; j++) acc[i][j] = (cameo_v){0};
    }
    for (ptrdiff_t c = 0; c < s->ci / 2; c++, w += cameo_strassen_block(s), ahead += step) {
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < s->vectors; j++) {
            k[j] = cameo_load(w + j * CAMEO_VF);
            if (j * CAMEO_VF < step) __builtin_prefetch(ahead + j * CAMEO_VF, 0, 2);
        }
        CAMEO_UNROLL
        for (ptrdiff_t i = 0; i < n; i++) {
            const float left = x[i * s->line_pixel + c];
            CAMEO_UNROLL
            for (ptrdiff_t j = 0; j < s->vectors; j++) acc[i][j] += left * k[j];
        }
    }
    a->ahead = ahead;
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < n; i++) cameo_strassen_sum(s, a, acc[i], p, q + i);
}

/* Product p of all pairs of the band, while the weights of the next come. */
CAMEO_INLINE void cameo_strassen_product(const cameo_strassen *s, cameo_strassen_band *a,
                                         ptrdiff_t p) {
    const ptrdiff_t tiles = s->rows / s->tile, step = cameo_ceil(cameo_strassen_block(s), tiles);
    const ptrdiff_t rest = cameo_strassen_pairs(s) % s->rows % s->tile;
    a->ahead = a->w + (p + 1) * (s->ci / 2) * cameo_strassen_block(s);
    ptrdiff_t q = 0;
    for (; q + s->tile <= a->rows; q += s->tile) cameo_strassen_tile(s, a, p, q, s->tile, step);
    /* Bands but the last are whole tiles, so what remains is a literal. */
    if (rest && q < a->rows) cameo_strassen_tile(s, a, p, q, rest, step);
}

/* ---- numbers that are none ---- */

/* The weight of input channel c for channel o of the block, in the first or second half: b12 is t1
   + b11. */
CAMEO_INLINE float cameo_strassen_weight(const cameo_strassen *s, const float *w, ptrdiff_t c,
                                         ptrdiff_t o, bool second) {
    const ptrdiff_t half = s->ci / 2, block = cameo_strassen_block(s), panel = half * block,
                    at = c % half * block + o;
    if (c >= half) return w[(second ? 6 : 1) * panel + at];
    return second ? w[5 * panel + at] + w[at] : w[at];
}

/* A vector of outputs of a pixel as plain sums. */
CAMEO_RARE void cameo_strassen_plain(const cameo_strassen *s, const cameo_strassen_band *a,
                                     const float *x, ptrdiff_t pixel, ptrdiff_t o, bool second) {
    cameo_v sum = {0};
    for (ptrdiff_t c = 0; c < s->ci; c++)
        for (ptrdiff_t l = 0; l < CAMEO_VF; l++)
            sum[l] += x[cameo_strassen_pixel(s, pixel) + c] *
                      cameo_strassen_weight(s, a->w, c, o + l, second);
    cameo_strassen_store(s, a, sum, pixel, (second ? s->co / 2 : 0) + o);
}

/* Those pairs of the band, of the image x, which have some. */
CAMEO_INLINE void cameo_strassen_again(const cameo_strassen *s, const cameo_strassen_band *a,
                                       const float *x) {
    for (ptrdiff_t q = 0; q < a->rows; q++) {
        if (__builtin_expect(a->odd[q] == 0, 1)) continue;
        const ptrdiff_t i = 2 * (a->first + q), end = cameo_least(i + 2, s->oh * s->ow);
        for (ptrdiff_t pixel = i; pixel < end; pixel++)
            for (ptrdiff_t o = 0; o < cameo_strassen_block(s); o += CAMEO_VF)
                cameo_strassen_plain(s, a, x, pixel, o, false),
                    cameo_strassen_plain(s, a, x, pixel, o, true);
    }
}

/* ---- tasks ---- */

/* Task i of a grid [image][band][chunk of blocks]. line: CAMEO_STRASSEN_LINE floats. */
CAMEO_INLINE void cameo_strassen_task(const cameo_strassen *s, const cameo_strassen_args *a,
                                      size_t i, float *line) {
    const ptrdiff_t block = cameo_strassen_block(s), all = s->co / 2 / block,
                    chunks = cameo_ceil(all, s->blocks);
    const ptrdiff_t bands = cameo_ceil(cameo_strassen_pairs(s), s->rows), t = (ptrdiff_t)i,
                    chunk = t % chunks;
    const ptrdiff_t image = t / (bands * chunks), first = t / chunks % bands * s->rows,
                    pixels = image * s->oh * s->ow;
    const ptrdiff_t rows = cameo_least(s->rows, cameo_strassen_pairs(s) - first);
    const float *x = a->x + image * s->h * s->w * s->x_pixel;
    float *u = line + 7 * s->rows * s->line_pixel, *v = u + s->rows * block,
          *odd = v + s->rows * block;
    cameo_strassen_factors(s, x, line, odd, first, rows);
    for (ptrdiff_t q = chunk * s->blocks; q < cameo_least(all, (chunk + 1) * s->blocks); q++) {
        cameo_strassen_band band = {
            .line = line, .odd = odd, .u = u, .v = v, .first = first, .rows = rows};
        band.w = a->w + q * 7 * (s->ci / 2) * block, band.b = a->b + q * block;
        band.y = a->y + pixels * s->y_pixel + q * block;
        if (s->r_pixel) band.r = a->r + pixels * s->r_pixel + q * block;
        if (s->act.kind == CAMEO_PRELU) band.slope = a->slope + q * block;
        CAMEO_UNROLL
        for (ptrdiff_t p = 0; p < 7; p++) cameo_strassen_product(s, &band, p);
        cameo_strassen_again(s, &band, x);
    }
}
#endif
