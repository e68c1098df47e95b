/* Depthwise convolution (one input and one output channel a group), NHWC. 3x3 of stride 1 and 2: a
   tile of neighbouring pixels accumulates, every input is loaded once a row; pixels at the edges
   leave out taps when compiled. Channels are the innermost loop, so that memory is read as it
   lies, in chunks of which the rows that the next output row reads again stay in the second-level
   cache. Other sizes accumulate four pixels at a time. Weights [kh][kw][c rounded up to CAMEO_VF],
   bias and slope likewise. */
#ifndef CAMEO_KERNELS_DEPTHWISE_CONV_H
#define CAMEO_KERNELS_DEPTHWISE_CONV_H
#include "vector.h"

typedef struct cameo_depthwise_args {
    const float *x, *w, *b, *slope, *r;
    float *y;
} cameo_depthwise_args;

CAMEO_INLINE ptrdiff_t cameo_depthwise_padded(const cameo_depthwise *s) {
    return cameo_ceil(s->c, CAMEO_VF) * CAMEO_VF;
}

/* The weights of tap (i, j). */
CAMEO_INLINE const float *cameo_depthwise_tap(const cameo_depthwise *s, const float *w, ptrdiff_t i,
                                              ptrdiff_t j) {
    const ptrdiff_t t = i * s->kw + j;
    return w + (s->flip ? s->kh * s->kw - 1 - t : t) * cameo_depthwise_padded(s);
}

CAMEO_INLINE void cameo_depthwise_store(const cameo_depthwise *s, cameo_v v, cameo_v slope,
                                        const float *r, float *y, ptrdiff_t lanes) {
    if (s->r_pixel) v += cameo_load_part(r, lanes);
    cameo_store_part(y, cameo_activate(&s->act, v, slope), lanes);
}

/* ---- 3x3 ---- */

/* Floats of an input row's chunk: all channels of most rows. Chunks so narrow that three rows fit
   the first-level cache read but a line or two of each pixel at a time, which takes up to half as
   long again where the input comes from afar. */
enum { CAMEO_DEPTHWISE_CHUNK = 16384, CAMEO_DEPTHWISE_MOST = 8 };

/* Pixels of a tile: a divisor of the row, else few. */
CAMEO_INLINE ptrdiff_t cameo_depthwise_tile(const cameo_depthwise *s) {
    const ptrdiff_t w = s->ow;
    return w <= 8 ? w : w % 8 == 0 ? 8 : w % 7 == 0 ? 7 : w % 5 == 0 && w % 6 ? 5 : 6;
}

/* Columns that the row's last window reads beyond the image. */
CAMEO_INLINE ptrdiff_t cameo_depthwise_beyond(const cameo_depthwise *s) {
    return cameo_most(0, (s->ow - 1) * s->sw - s->pl + 3 - s->w);
}

CAMEO_INLINE bool cameo_depthwise_tiled(const cameo_depthwise *s) {
    const ptrdiff_t tile = cameo_depthwise_tile(s), rest = s->ow % tile ? s->ow % tile : tile;
    return s->kh == 3 && s->kw == 3 && s->dh == 1 && s->dw == 1 && s->sw <= 2 && s->pl >= 0 &&
           s->pl <= 2 && cameo_depthwise_beyond(s) <= cameo_least(2, rest * s->sw);
}

/* One vector of `pixels` outputs. Rows of taps [h0, h1); of the columns read, `left` and `right`
   lie outside the image. All of them are literals. x: the input under tap (0, 0) of the first
   pixel. */
CAMEO_INLINE void cameo_depthwise_vector3(const cameo_depthwise *s, const cameo_depthwise_args *a,
                                          const float *x, const float *r, float *y, ptrdiff_t c,
                                          int h0, int h1, ptrdiff_t pixels, ptrdiff_t left,
                                          ptrdiff_t right, ptrdiff_t lanes) {
    const cameo_v bias = cameo_load(a->b + c),
                  slope = s->act.kind == CAMEO_PRELU ? cameo_load(a->slope + c) : bias;
    const ptrdiff_t end = (pixels - 1) * s->sw + 3 - right;
    cameo_v acc[CAMEO_DEPTHWISE_MOST], k[3];
    CAMEO_UNROLL
    for (ptrdiff_t p = 0; p < pixels; p++) acc[p] = bias;
    CAMEO_UNROLL
    for (int i = h0; i < h1; i++) {
        CAMEO_UNROLL
        for (int j = 0; j < 3; j++) k[j] = cameo_load(cameo_depthwise_tap(s, a->w, i, j) + c);
        CAMEO_UNROLL
        for (ptrdiff_t q = left; q < end; q++) {
            const cameo_v v = cameo_load_part(x + (i * s->w + q) * s->x_pixel + c, lanes);
            CAMEO_UNROLL
            for (int j = 0; j < 3; j++)
                if (q >= j && (q - j) % s->sw == 0 && (q - j) / s->sw < pixels)
                    acc[(q - j) / s->sw] += v * k[j];
        }
    }
    CAMEO_UNROLL
    for (ptrdiff_t p = 0; p < pixels; p++)
        cameo_depthwise_store(s, acc[p], slope, r + p * s->r_pixel + c, y + p * s->y_pixel + c,
                              lanes);
}

/* The same of channels [first, end). */
CAMEO_INLINE void cameo_depthwise_pixels3(const cameo_depthwise *s, const cameo_depthwise_args *a,
                                          const float *x, const float *r, float *y, ptrdiff_t first,
                                          ptrdiff_t end, int h0, int h1, ptrdiff_t pixels,
                                          ptrdiff_t left, ptrdiff_t right) {
    ptrdiff_t c = first;
    for (; c + CAMEO_VF <= end; c += CAMEO_VF)
        cameo_depthwise_vector3(s, a, x, r, y, c, h0, h1, pixels, left, right, CAMEO_VF);
    if (s->c % CAMEO_VF && c < end)
        cameo_depthwise_vector3(s, a, x, r, y, c, h0, h1, pixels, left, right, s->c % CAMEO_VF);
}

/* An output row, tile by tile. x, r, y: its first pixel. */
CAMEO_INLINE void cameo_depthwise_row3(const cameo_depthwise *s, const cameo_depthwise_args *a,
                                       const float *x, const float *r, float *y, ptrdiff_t c,
                                       ptrdiff_t end, int h0, int h1) {
    const ptrdiff_t tile = cameo_depthwise_tile(s), rest = s->ow % tile ? s->ow % tile : tile,
                    last = s->ow - rest;
    const ptrdiff_t beyond = cameo_depthwise_beyond(s), step = tile * s->sw * s->x_pixel;
    if (last == 0) {
        cameo_depthwise_pixels3(s, a, x, r, y, c, end, h0, h1, rest, s->pl, beyond);
        return;
    }
    cameo_depthwise_pixels3(s, a, x, r, y, c, end, h0, h1, tile, s->pl, 0);
    for (ptrdiff_t j = tile; j < last; j += tile) {
        x += step, r += tile * s->r_pixel, y += tile * s->y_pixel;
        cameo_depthwise_pixels3(s, a, x, r, y, c, end, h0, h1, tile, 0, 0);
    }
    cameo_depthwise_pixels3(s, a, x + step, r + tile * s->r_pixel, y + tile * s->y_pixel, c, end,
                            h0, h1, rest, 0, beyond);
}

/* ---- any kernel ---- */

/* `pixels` neighbouring outputs, any kernel. Taps [h0, h1) x [w0, w1) lie inside the image; x is
   the input under tap (0, 0). */
CAMEO_INLINE void cameo_depthwise_pixels(const cameo_depthwise *s, const float *x, const float *w,
                                         cameo_v bias, cameo_v slope, const float *r, float *y,
                                         ptrdiff_t h0, ptrdiff_t h1, ptrdiff_t w0, ptrdiff_t w1,
                                         ptrdiff_t pixels, ptrdiff_t lanes) {
    cameo_v acc[4] = {bias, bias, bias, bias};
    for (ptrdiff_t i = h0; i < h1; i++)
        for (ptrdiff_t j = w0; j < w1; j++) {
            const cameo_v k = cameo_load(cameo_depthwise_tap(s, w, i, j));
            const float *p = x + (i * s->dh * s->w + j * s->dw) * s->x_pixel;
            CAMEO_UNROLL
            for (ptrdiff_t q = 0; q < pixels; q++)
                acc[q] += k * cameo_load_part(p + q * s->sw * s->x_pixel, lanes);
        }
    CAMEO_UNROLL
    for (ptrdiff_t q = 0; q < pixels; q++)
        cameo_depthwise_store(s, acc[q], slope, r + q * s->r_pixel, y + q * s->y_pixel, lanes);
}

/* First tap at or after 0 and end of taps before `size`, for a window that begins at `start`. */
CAMEO_INLINE ptrdiff_t cameo_tap_first(ptrdiff_t start, ptrdiff_t dilation) {
    return start >= 0 ? 0 : cameo_ceil(-start, dilation);
}
CAMEO_INLINE ptrdiff_t cameo_tap_end(ptrdiff_t start, ptrdiff_t dilation, ptrdiff_t taps,
                                     ptrdiff_t size) {
    return start >= size ? 0 : cameo_least(taps, cameo_ceil(size - start, dilation));
}

CAMEO_INLINE void cameo_depthwise_row(const cameo_depthwise *s, const cameo_depthwise_args *a,
                                      const float *x, const float *r, float *y, ptrdiff_t o,
                                      ptrdiff_t c, ptrdiff_t lanes) {
    const cameo_v zero = {0}, bias = cameo_load(a->b + c),
                  slope = s->act.kind == CAMEO_PRELU ? cameo_load(a->slope + c) : zero;
    const ptrdiff_t h = o * s->sh - s->pt, h0 = cameo_tap_first(h, s->dh),
                    h1 = cameo_tap_end(h, s->dh, s->kh, s->h);
    const ptrdiff_t span = (s->kw - 1) * s->dw + 1;
    for (ptrdiff_t j = 0; j < s->ow;) {
        const ptrdiff_t at = j * s->sw - s->pl;
        const float *p = x + (h * s->w + at) * s->x_pixel + c;
        const float *rr = r + (o * s->ow + j) * s->r_pixel + c;
        float *yy = y + (o * s->ow + j) * s->y_pixel + c;
        if (at >= 0 && j + 4 <= s->ow && at + 3 * s->sw + span <= s->w) {
            cameo_depthwise_pixels(s, p, a->w + c, bias, slope, rr, yy, h0, h1, 0, s->kw, 4, lanes);
            j += 4;
        } else {
            const ptrdiff_t w0 = cameo_tap_first(at, s->dw),
                            w1 = cameo_tap_end(at, s->dw, s->kw, s->w);
            cameo_depthwise_pixels(s, p, a->w + c, bias, slope, rr, yy, h0, h1, w0, w1, 1, lanes);
            j++;
        }
    }
}

/* Output row o, any kernel, channels [c, end). */
CAMEO_INLINE void cameo_depthwise_row_any(const cameo_depthwise *s, const cameo_depthwise_args *a,
                                          const float *x, const float *r, float *y, ptrdiff_t o,
                                          ptrdiff_t c, ptrdiff_t end) {
    for (; c + CAMEO_VF <= end; c += CAMEO_VF) cameo_depthwise_row(s, a, x, r, y, o, c, CAMEO_VF);
    if (s->c % CAMEO_VF && c < end) cameo_depthwise_row(s, a, x, r, y, o, c, s->c % CAMEO_VF);
}

/* Rows [first, first + rows) of channels [c, end). Rows at the edges of 3x3 are made without the
   taps that lie outside. */
CAMEO_INLINE void cameo_depthwise_band(const cameo_depthwise *s, const cameo_depthwise_args *a,
                                       const float *x, const float *r, float *y, ptrdiff_t first,
                                       ptrdiff_t rows, ptrdiff_t c, ptrdiff_t end) {
    for (ptrdiff_t o = first; o < first + rows; o++) {
        const ptrdiff_t h = o * s->sh - s->pt;
        const float *xx = x + (h * s->w - s->pl) * s->x_pixel, *rr = r + o * s->ow * s->r_pixel;
        float *yy = y + o * s->ow * s->y_pixel;
        if (!cameo_depthwise_tiled(s))
            cameo_depthwise_row_any(s, a, x, r, y, o, c, end);
        else if (h >= 0 && h + 3 <= s->h)
            cameo_depthwise_row3(s, a, xx, rr, yy, c, end, 0, 3);
        else if (h == -1 && s->h >= 2)
            cameo_depthwise_row3(s, a, xx, rr, yy, c, end, 1, 3);
        else if (h >= 0 && h + 2 == s->h)
            cameo_depthwise_row3(s, a, xx, rr, yy, c, end, 0, 2);
        else
            cameo_depthwise_row_any(s, a, x, r, y, o, c, end);
    }
}

/* Channels of a pass. */
CAMEO_INLINE ptrdiff_t cameo_depthwise_chunk(const cameo_depthwise *s) {
    if (!cameo_depthwise_tiled(s)) return CAMEO_VF;
    return cameo_most(1, CAMEO_DEPTHWISE_CHUNK / (s->w * CAMEO_VF)) * CAMEO_VF;
}

/* The same of all channels, in chunks. */
CAMEO_INLINE void cameo_depthwise_rows(const cameo_depthwise *s, const cameo_depthwise_args *a,
                                       const float *x, const float *r, float *y, ptrdiff_t first,
                                       ptrdiff_t rows) {
    const ptrdiff_t chunk = cameo_depthwise_chunk(s);
    for (ptrdiff_t c = 0; c < s->c; c += chunk)
        cameo_depthwise_band(s, a, x, r, y, first, rows, c, cameo_least(s->c, c + chunk));
}

/* Task i: [image][band of rows]. */
CAMEO_INLINE void cameo_depthwise_task(const cameo_depthwise *s, const cameo_depthwise_args *a,
                                       size_t i) {
    const ptrdiff_t bands = cameo_ceil(s->oh, s->rows), image = (ptrdiff_t)i / bands,
                    first = (ptrdiff_t)i % bands * s->rows;
    const float *x = a->x + image * s->h * s->w * s->x_pixel;
    float *y = a->y + image * s->oh * s->ow * s->y_pixel;
    const float *r = s->r_pixel ? a->r + image * s->oh * s->ow * s->r_pixel : y;
    cameo_depthwise_rows(s, a, x, r, y, first, cameo_least(s->rows, s->oh - first));
}
#endif
