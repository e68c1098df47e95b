/* Depthwise convolution (one input and one output channel a group), NHWC. 3x3 keeps its nine weights and a sliding window in
   registers; other sizes accumulate four pixels at a time. Weights [kh][kw][c rounded up to CAMEO_VF], bias and slope likewise.
 */
#ifndef CAMEO_KERNELS_DEPTHWISE_CONV_H
#define CAMEO_KERNELS_DEPTHWISE_CONV_H
#include "vector.h"

typedef struct cameo_depthwise {
    ptrdiff_t h, w, c, oh, ow, kh, kw, sh, sw, dh, dw, pt, pl;
    ptrdiff_t x_pixel, y_pixel, r_pixel; /* r_pixel 0: no residual */
    ptrdiff_t rows;                      /* output rows of a task */
    bool flip;                           /* taps in reverse order: the input gradient of a convolution of stride 1 */
    cameo_act act;
} cameo_depthwise;

typedef struct cameo_depthwise_args {
    const float *x, *w, *b, *slope, *r;
    float *y;
} cameo_depthwise_args;

CAMEO_INLINE ptrdiff_t cameo_depthwise_padded(const cameo_depthwise *s) { return (s->c + CAMEO_VF - 1) / CAMEO_VF * CAMEO_VF; }

/* The weights of tap (i, j). */
CAMEO_INLINE const float *cameo_depthwise_tap(const cameo_depthwise *s, const float *w, ptrdiff_t i, ptrdiff_t j) {
    const ptrdiff_t t = i * s->kw + j;
    return w + (s->flip ? s->kh * s->kw - 1 - t : t) * cameo_depthwise_padded(s);
}

CAMEO_INLINE void cameo_depthwise_store(const cameo_depthwise *s, cameo_v v, cameo_v slope, const float *r, float *y,
                                        ptrdiff_t lanes) {
    if (s->r_pixel) v += cameo_load_part(r, lanes);
    cameo_store_part(y, cameo_activate(&s->act, v, slope), lanes);
}

/* One output row of one channel vector, 3x3, pads 0 or 1. x: the three input rows at this channel; a row outside the image has
   zero weights in k and any valid address. */
CAMEO_INLINE void cameo_depthwise_row3(const cameo_depthwise *s, const float *const x[3], const cameo_v k[9], cameo_v bias,
                                       cameo_v slope, const float *r, float *y, ptrdiff_t lanes) {
    const cameo_v zero = {0};
    cameo_v p[3][3]; /* [row][column] */
    CAMEO_UNROLL
    for (int i = 0; i < 3; i++) {
        p[i][0] = s->pl ? zero : cameo_load_part(x[i], lanes);
        if (s->sw == 1) p[i][1] = s->w > 1 - s->pl ? cameo_load_part(x[i] + (1 - s->pl) * s->x_pixel, lanes) : zero;
    }
    for (ptrdiff_t j = 0; j < s->ow; j++) {
        const ptrdiff_t at = j * s->sw - s->pl;
        CAMEO_UNROLL
        for (int i = 0; i < 3; i++) {
            if (s->sw == 2) p[i][1] = at + 1 < s->w ? cameo_load_part(x[i] + (at + 1) * s->x_pixel, lanes) : zero;
            p[i][2] = at + 2 < s->w ? cameo_load_part(x[i] + (at + 2) * s->x_pixel, lanes) : zero;
        }
        cameo_v a = bias + p[0][0] * k[0], b = p[0][1] * k[1], c = p[0][2] * k[2];
        a += p[1][0] * k[3], b += p[1][1] * k[4], c += p[1][2] * k[5];
        a += p[2][0] * k[6], b += p[2][1] * k[7], c += p[2][2] * k[8];
        cameo_depthwise_store(s, a + (b + c), slope, r + j * s->r_pixel, y + j * s->y_pixel, lanes);
        CAMEO_UNROLL
        for (int i = 0; i < 3; i++) {
            p[i][0] = s->sw == 1 ? p[i][1] : p[i][2];
            if (s->sw == 1) p[i][1] = p[i][2];
        }
    }
}

CAMEO_INLINE void cameo_depthwise_band3(const cameo_depthwise *s, const cameo_depthwise_args *a, const float *x, const float *r,
                                        float *y, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t c, ptrdiff_t lanes) {
    const cameo_v zero = {0}, bias = cameo_load(a->b + c), slope = s->act.kind == CAMEO_PRELU ? cameo_load(a->slope + c) : zero;
    for (ptrdiff_t o = first; o < first + rows; o++) {
        const float *row[3];
        cameo_v k[9];
        for (int i = 0; i < 3; i++) {
            const ptrdiff_t h = o * s->sh - s->pt + i;
            const bool inside = h >= 0 && h < s->h;
            row[i] = x + (inside ? h : 0) * s->w * s->x_pixel + c;
            for (int j = 0; j < 3; j++) k[3 * i + j] = inside ? cameo_load(cameo_depthwise_tap(s, a->w, i, j) + c) : zero;
        }
        cameo_depthwise_row3(s, row, k, bias, slope, r + o * s->ow * s->r_pixel + c, y + o * s->ow * s->y_pixel + c, lanes);
    }
}

/* `pixels` neighbouring outputs, any kernel. Taps [h0, h1) x [w0, w1) lie inside the image; x is the input under tap (0, 0). */
CAMEO_INLINE void cameo_depthwise_pixels(const cameo_depthwise *s, const float *x, const float *w, cameo_v bias, cameo_v slope,
                                         const float *r, float *y, ptrdiff_t h0, ptrdiff_t h1, ptrdiff_t w0, ptrdiff_t w1,
                                         ptrdiff_t pixels, ptrdiff_t lanes) {
    cameo_v acc[4] = {bias, bias, bias, bias};
    for (ptrdiff_t i = h0; i < h1; i++)
        for (ptrdiff_t j = w0; j < w1; j++) {
            const cameo_v k = cameo_load(cameo_depthwise_tap(s, w, i, j));
            const float *p = x + (i * s->dh * s->w + j * s->dw) * s->x_pixel;
            CAMEO_UNROLL
            for (ptrdiff_t q = 0; q < pixels; q++) acc[q] += k * cameo_load_part(p + q * s->sw * s->x_pixel, lanes);
        }
    CAMEO_UNROLL
    for (ptrdiff_t q = 0; q < pixels; q++)
        cameo_depthwise_store(s, acc[q], slope, r + q * s->r_pixel, y + q * s->y_pixel, lanes);
}

/* First tap at or after 0 and end of taps before `size`, for a window that begins at `start`. */
CAMEO_INLINE ptrdiff_t cameo_tap_first(ptrdiff_t start, ptrdiff_t dilation) {
    return start >= 0 ? 0 : (-start + dilation - 1) / dilation;
}
CAMEO_INLINE ptrdiff_t cameo_tap_end(ptrdiff_t start, ptrdiff_t dilation, ptrdiff_t taps, ptrdiff_t size) {
    return start >= size ? 0 : cameo_least(taps, (size - start + dilation - 1) / dilation);
}

CAMEO_INLINE void cameo_depthwise_row(const cameo_depthwise *s, const cameo_depthwise_args *a, const float *x, const float *r,
                                      float *y, ptrdiff_t o, ptrdiff_t c, ptrdiff_t lanes) {
    const cameo_v zero = {0}, bias = cameo_load(a->b + c), slope = s->act.kind == CAMEO_PRELU ? cameo_load(a->slope + c) : zero;
    const ptrdiff_t h = o * s->sh - s->pt, h0 = cameo_tap_first(h, s->dh), h1 = cameo_tap_end(h, s->dh, s->kh, s->h);
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
            const ptrdiff_t w0 = cameo_tap_first(at, s->dw), w1 = cameo_tap_end(at, s->dw, s->kw, s->w);
            cameo_depthwise_pixels(s, p, a->w + c, bias, slope, rr, yy, h0, h1, w0, w1, 1, lanes);
            j++;
        }
    }
}

CAMEO_INLINE void cameo_depthwise_band(const cameo_depthwise *s, const cameo_depthwise_args *a, const float *x, const float *r,
                                       float *y, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t c, ptrdiff_t lanes) {
    const bool sliding = s->kh == 3 && s->kw == 3 && s->dh == 1 && s->dw == 1 && s->pl >= 0 && s->pl <= 1 && s->sw <= 2;
    if (sliding)
        cameo_depthwise_band3(s, a, x, r, y, first, rows, c, lanes);
    else
        for (ptrdiff_t o = first; o < first + rows; o++) cameo_depthwise_row(s, a, x, r, y, o, c, lanes);
}

/* Task i: [image][band of rows]. */
CAMEO_INLINE void cameo_depthwise_task(const cameo_depthwise *s, const cameo_depthwise_args *a, size_t i) {
    const ptrdiff_t bands = (s->oh + s->rows - 1) / s->rows, image = (ptrdiff_t)i / bands,
                    first = (ptrdiff_t)i % bands * s->rows;
    const ptrdiff_t rows = cameo_least(s->rows, s->oh - first), whole = s->c / CAMEO_VF * CAMEO_VF;
    const float *x = a->x + image * s->h * s->w * s->x_pixel;
    float *y = a->y + image * s->oh * s->ow * s->y_pixel;
    const float *r = s->r_pixel ? a->r + image * s->oh * s->ow * s->r_pixel : y;
    for (ptrdiff_t c = 0; c < whole; c += CAMEO_VF) cameo_depthwise_band(s, a, x, r, y, first, rows, c, CAMEO_VF);
    if (whole < s->c) cameo_depthwise_band(s, a, x, r, y, first, rows, whole, s->c - whole);
}
#endif
