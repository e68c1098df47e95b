/* Gradients of a depthwise convolution, NHWC. Of its input, stride 1: the convolution itself with
   its taps reversed (depthwise_conv.h); greater strides: below, each output column takes the taps
   of its own phase. Of its weights: a sum over all pixels for each tap and channel vector, bands
   of rows at a time so that what several taps read stays in the cache. Weights [kh][kw][c rounded
   up to CAMEO_VF]. */
#ifndef CAMEO_KERNELS_DEPTHWISE_GRAD_H
#define CAMEO_KERNELS_DEPTHWISE_GRAD_H
#include "depthwise_conv.h"
#include "weight_gradient.h"

/* ---- input, strides above 1 ---- */

/* Sizes as of the forward convolution: x is h x w, dy is oh x ow. rows: of x, in a task. No
   dilation. */
typedef struct cameo_depthwise_spread_args {
    const float *dy, *w;
    float *dx;
} cameo_depthwise_spread_args;

/* Columns of one phase: x column f + m * sw takes tap f0 + t * sw from dy column m + shift - t, t
   < taps. */
typedef struct cameo_depthwise_phase {
    ptrdiff_t f0, taps, shift;
} cameo_depthwise_phase;

CAMEO_INLINE cameo_depthwise_phase cameo_depthwise_phase_at(const cameo_depthwise *s, ptrdiff_t f) {
    const ptrdiff_t f0 = (f + s->pl) % s->sw;
    return (cameo_depthwise_phase){f0, f0 < s->kw ? cameo_ceil(s->kw - f0, s->sw) : 0,
                                   (f + s->pl - f0) / s->sw};
}

/* `pixels` columns of a phase from column m on, with its taps [t0, t1). dy, w: the image and the
   weights at this channel. */
CAMEO_INLINE void cameo_depthwise_spread_pixels(const cameo_depthwise *s,
                                                const cameo_depthwise_phase *f, const float *dy,
                                                const float *w, float *dx, ptrdiff_t h, ptrdiff_t m,
                                                ptrdiff_t t0, ptrdiff_t t1, ptrdiff_t pixels,
                                                ptrdiff_t lanes) {
    cameo_v acc[4] = {{0}, {0}, {0}, {0}};
    for (ptrdiff_t i = (h + s->pt) % s->sh; i < s->kh; i += s->sh) {
        const ptrdiff_t o = (h + s->pt - i) / s->sh;
        if (o < 0 || o >= s->oh) continue;
        for (ptrdiff_t t = t0; t < t1; t++) {
            const cameo_v k = cameo_load(w + (i * s->kw + f->f0 + t * s->sw) *
                                                 cameo_depthwise_padded(s));
            const float *p = dy + (o * s->ow + m + f->shift - t) * s->y_pixel;
            CAMEO_UNROLL
            for (ptrdiff_t q = 0; q < pixels; q++)
                acc[q] += k * cameo_load_part(p + q * s->y_pixel, lanes);
        }
    }
    CAMEO_UNROLL
    for (ptrdiff_t q = 0; q < pixels; q++)
        cameo_store_part(dx + (m + q) * s->sw * s->x_pixel, acc[q], lanes);
}

/* dx: row h of the image at column f. */
CAMEO_INLINE void cameo_depthwise_spread_phase(const cameo_depthwise *s, ptrdiff_t column,
                                               const float *dy, const float *w, float *dx,
                                               ptrdiff_t h, ptrdiff_t lanes) {
    const cameo_depthwise_phase f = cameo_depthwise_phase_at(s, column);
    const ptrdiff_t columns = cameo_ceil(s->w - column, s->sw);
    for (ptrdiff_t m = 0; m < columns;) {
        if (m + f.shift - f.taps + 1 >= 0 && m + 4 <= columns && m + 3 + f.shift < s->ow) {
            cameo_depthwise_spread_pixels(s, &f, dy, w, dx, h, m, 0, f.taps, 4, lanes);
            m += 4;
        } else {
            const ptrdiff_t t0 = cameo_most(0, m + f.shift - s->ow + 1),
                            t1 = cameo_least(f.taps, m + f.shift + 1);
            cameo_depthwise_spread_pixels(s, &f, dy, w, dx, h, m, t0, t1, 1, lanes);
            m++;
        }
    }
}

CAMEO_INLINE void cameo_depthwise_spread_band(const cameo_depthwise *s, const float *dy,
                                              const float *w, float *dx, ptrdiff_t first,
                                              ptrdiff_t rows, ptrdiff_t lanes) {
    for (ptrdiff_t h = first; h < first + rows; h++)
        for (ptrdiff_t f = 0; f < s->sw; f++)
            cameo_depthwise_spread_phase(s, f, dy, w, dx + (h * s->w + f) * s->x_pixel, h, lanes);
}

/* Task i: [image][band of rows of x]. */
CAMEO_INLINE void cameo_depthwise_spread_task(const cameo_depthwise *s,
                                              const cameo_depthwise_spread_args *a, size_t i) {
    const ptrdiff_t bands = cameo_ceil(s->h, s->rows), image = (ptrdiff_t)i / bands,
                    first = (ptrdiff_t)i % bands * s->rows;
    const ptrdiff_t rows = cameo_least(s->rows, s->h - first), whole = s->c / CAMEO_VF * CAMEO_VF;
    const float *dy = a->dy + image * s->oh * s->ow * s->y_pixel;
    float *dx = a->dx + image * s->h * s->w * s->x_pixel;
    for (ptrdiff_t c = 0; c < whole; c += CAMEO_VF)
        cameo_depthwise_spread_band(s, dy + c, a->w + c, dx + c, first, rows, CAMEO_VF);
    if (whole < s->c)
        cameo_depthwise_spread_band(s, dy + whole, a->w + whole, dx + whole, first, rows,
                                    s->c - whole);
}

/* ---- weights ---- */

/* s->rows: output rows of a band; bands are cut into `parts`, each with sums of its own in
   partial[part][kh][kw][c]. */
typedef struct cameo_depthwise_wgrad_args {
    const float *x, *dy;
    float *partial, *dw;
} cameo_depthwise_wgrad_args;

enum { CAMEO_DEPTHWISE_KW = 16 };
/* Rows of taps whose sums and window are in registers at a time. */
#if CAMEO_VF == 16 || defined(__aarch64__)
enum { CAMEO_DEPTHWISE_TAP_ROWS = 3 };
#else
enum { CAMEO_DEPTHWISE_TAP_ROWS = 1 };
#endif

/* Three columns of taps, `n` rows of them from row i on, over output rows [o0, o1), which all have
   these taps inside. */
CAMEO_INLINE void cameo_depthwise_wgrad3(const cameo_depthwise *s, const float *x, const float *dy,
                                         float *sum, ptrdiff_t i, ptrdiff_t n, ptrdiff_t o0,
                                         ptrdiff_t o1, ptrdiff_t lanes) {
    const cameo_v zero = {0};
    const ptrdiff_t padded = cameo_depthwise_padded(s), line = s->w * s->x_pixel;
    cameo_v acc[3][3], p[3][3]; /* [row][column] */
    sum += i * 3 * padded;
    CAMEO_UNROLL
    for (ptrdiff_t r = 0; r < 3 * n; r++) acc[r / 3][r % 3] = zero;
    for (ptrdiff_t o = o0; o < o1; o++) {
        const float *row = x + (o * s->sh - s->pt + i) * line, *y = dy + o * s->ow * s->y_pixel;
        CAMEO_UNROLL
        for (ptrdiff_t r = 0; r < n; r++) {
            p[r][0] = s->pl ? zero : cameo_load_part(row + r * line, lanes);
            if (s->sw == 1)
                p[r][1] = s->w > 1 - s->pl
                              ? cameo_load_part(row + r * line + (1 - s->pl) * s->x_pixel, lanes)
                              : zero;
        }
        for (ptrdiff_t j = 0; j < s->ow; j++, y += s->y_pixel) {
            const ptrdiff_t at = j * s->sw - s->pl;
            const cameo_v g = cameo_load_part(y, lanes);
            CAMEO_UNROLL
            for (ptrdiff_t r = 0; r < n; r++) {
                const float *q = row + r * line + at * s->x_pixel;
                if (s->sw == 2)
                    p[r][1] = at + 1 < s->w ? cameo_load_part(q + s->x_pixel, lanes) : zero;
                p[r][2] = at + 2 < s->w ? cameo_load_part(q + 2 * s->x_pixel, lanes) : zero;
                acc[r][0] += p[r][0] * g, acc[r][1] += p[r][1] * g, acc[r][2] += p[r][2] * g;
                p[r][0] = s->sw == 1 ? p[r][1] : p[r][2];
                if (s->sw == 1) p[r][1] = p[r][2];
            }
        }
    }
    CAMEO_UNROLL
    for (ptrdiff_t r = 0; r < 3 * n; r++)
        cameo_store(sum + r * padded, cameo_load(sum + r * padded) + acc[r / 3][r % 3]);
}

/* One row of taps, any width and dilation, over output rows [o0, o1). */
CAMEO_INLINE void cameo_depthwise_wgrad_row(const cameo_depthwise *s, const float *x,
                                            const float *dy, float *sum, ptrdiff_t i, ptrdiff_t o0,
                                            ptrdiff_t o1, ptrdiff_t lanes) {
    cameo_v acc[CAMEO_DEPTHWISE_KW];
    const ptrdiff_t padded = cameo_depthwise_padded(s), span = (s->kw - 1) * s->dw;
    CAMEO_UNROLL
    for (ptrdiff_t t = 0; t < s->kw; t++) acc[t] = (cameo_v){0};
    for (ptrdiff_t o = o0; o < o1; o++)
        for (ptrdiff_t j = 0; j < s->ow; j++) {
            const ptrdiff_t at = j * s->sw - s->pl;
            const cameo_v g = cameo_load_part(dy + (o * s->ow + j) * s->y_pixel, lanes);
            const float *p = x + ((o * s->sh - s->pt + i * s->dh) * s->w + at) * s->x_pixel;
            const bool inside = at >= 0 && at + span < s->w;
            CAMEO_UNROLL
            for (ptrdiff_t t = 0; t < s->kw; t++)
                if (inside || (at + t * s->dw >= 0 && at + t * s->dw < s->w))
                    acc[t] += g * cameo_load_part(p + t * s->dw * s->x_pixel, lanes);
        }
    CAMEO_UNROLL
    for (ptrdiff_t t = 0; t < s->kw; t++) {
        float *to = sum + (i * s->kw + t) * padded;
        cameo_store(to, cameo_load(to) + acc[t]);
    }
}

/* Output rows of [first, first + rows) under which row i of the taps lies inside the image: [*o0,
 *o1). */
CAMEO_INLINE void cameo_depthwise_wgrad_rows(const cameo_depthwise *s, ptrdiff_t i, ptrdiff_t first,
                                             ptrdiff_t rows, ptrdiff_t *o0, ptrdiff_t *o1) {
    const ptrdiff_t above = s->pt - i * s->dh, below = s->h - 1 + s->pt - i * s->dh;
    *o0 = cameo_most(first, above > 0 ? cameo_ceil(above, s->sh) : 0);
    *o1 = cameo_most(*o0, below < 0 ? 0 : cameo_least(first + rows, below / s->sh + 1));
}

CAMEO_INLINE void cameo_depthwise_wgrad_band(const cameo_depthwise *s, const float *x,
                                             const float *dy, float *sum, ptrdiff_t first,
                                             ptrdiff_t rows, ptrdiff_t lanes) {
    const bool sliding = s->kw == 3 && s->dw == 1 && s->dh == 1 && s->pl >= 0 && s->pl <= 1 &&
                         s->sw <= 2;
    ptrdiff_t all0 = 0, all1 = 0, last0, last1, o0, o1; /* [all0, all1): rows done for all taps at
                                                           once */
    if (sliding && s->kh == 3 && CAMEO_DEPTHWISE_TAP_ROWS == 3) {
        cameo_depthwise_wgrad_rows(s, 0, first, rows, &all0, &all1);
        cameo_depthwise_wgrad_rows(s, 2, first, rows, &last0, &last1);
        all0 = cameo_most(all0, last0), all1 = cameo_most(all0, cameo_least(all1, last1));
        if (all0 < all1) cameo_depthwise_wgrad3(s, x, dy, sum, 0, 3, all0, all1, lanes);
    }
    for (ptrdiff_t i = 0; i < s->kh; i++) {
        cameo_depthwise_wgrad_rows(s, i, first, rows, &o0, &o1);
        if (all0 >= all1) all0 = all1 = o1;
        const ptrdiff_t piece[2][2] = {{o0, cameo_least(o1, all0)}, {cameo_most(o0, all1), o1}};
        for (int k = 0; k < 2; k++) {
            if (piece[k][0] >= piece[k][1]) continue;
            if (sliding)
                cameo_depthwise_wgrad3(s, x, dy, sum, i, 1, piece[k][0], piece[k][1], lanes);
            else
                cameo_depthwise_wgrad_row(s, x, dy, sum, i, piece[k][0], piece[k][1], lanes);
        }
    }
}

CAMEO_INLINE ptrdiff_t cameo_depthwise_floats(const cameo_depthwise *s) {
    return s->kh * s->kw * cameo_depthwise_padded(s);
}

/* Task i of `parts`, for so many images. */
CAMEO_INLINE void cameo_depthwise_wgrad_task(const cameo_depthwise *s,
                                             const cameo_depthwise_wgrad_args *a, ptrdiff_t images,
                                             ptrdiff_t parts, size_t i) {
    const ptrdiff_t each = cameo_ceil(s->oh, s->rows), bands = images * each,
                    whole = s->c / CAMEO_VF * CAMEO_VF;
    float *sum = a->partial + (ptrdiff_t)i * cameo_depthwise_floats(s);
    memset(sum, 0, (size_t)cameo_depthwise_floats(s) * sizeof *sum);
    for (ptrdiff_t b = bands * (ptrdiff_t)i / parts; b < bands * ((ptrdiff_t)i + 1) / parts; b++) {
        const ptrdiff_t image = b / each, first = b % each * s->rows,
                        rows = cameo_least(s->rows, s->oh - first);
        const float *x = a->x + image * s->h * s->w * s->x_pixel,
                    *dy = a->dy + image * s->oh * s->ow * s->y_pixel;
        for (ptrdiff_t c = 0; c < whole; c += CAMEO_VF)
            cameo_depthwise_wgrad_band(s, x + c, dy + c, sum + c, first, rows, CAMEO_VF);
        if (whole < s->c)
            cameo_depthwise_wgrad_band(s, x + whole, dy + whole, sum + whole, first, rows,
                                       s->c - whole);
    }
}

/* Adds the parts: in the order of the partial sums, or in ONNX order [c][kh][kw]. */
CAMEO_INLINE void cameo_depthwise_wgrad_sum(const cameo_depthwise *s,
                                            const cameo_depthwise_wgrad_args *a, ptrdiff_t parts,
                                            bool onnx) {
    const ptrdiff_t floats = cameo_depthwise_floats(s), padded = cameo_depthwise_padded(s),
                    taps = s->kh * s->kw;
    if (!onnx) {
        cameo_parts_sum(a->partial, a->dw, floats, parts, 0, floats);
        return;
    }
    for (ptrdiff_t c = 0; c < s->c; c++)
        for (ptrdiff_t t = 0; t < taps; t++) {
            float sum = a->partial[t * padded + c];
            for (ptrdiff_t p = 1; p < parts; p++) sum += a->partial[p * floats + t * padded + c];
            a->dw[c * taps + t] = sum;
        }
}

/* ---- bias of any layer: the sum over pixels ---- */

typedef struct cameo_channel_sum_args {
    const float *x;
    float *partial, *y; /* partial: [part][c rounded up to CAMEO_VF] */
} cameo_channel_sum_args;

enum { CAMEO_SUM_PIXELS = 8 };

/* `n` pixels are added to one another first: one load and store of the sums for all of them. */
CAMEO_INLINE void cameo_channel_sum_pixels(const cameo_channel_sum *s, const float *x, float *sum,
                                           ptrdiff_t n) {
    const ptrdiff_t whole = s->c / CAMEO_VF * CAMEO_VF;
    for (ptrdiff_t c = 0; c < s->c; c += CAMEO_VF) {
        cameo_v v[CAMEO_SUM_PIXELS];
        CAMEO_UNROLL
        for (ptrdiff_t i = 0; i < n; i++)
            v[i] = c < whole ? cameo_load(x + i * s->pixel + c)
                             : cameo_load_part(x + i * s->pixel + c, s->c % CAMEO_VF);
        CAMEO_UNROLL
        for (ptrdiff_t i = n / 2; i > 0; i /= 2) {
            CAMEO_UNROLL
            for (ptrdiff_t j = 0; j < i; j++) v[j] += v[j + i];
        }
        cameo_store(sum + c, cameo_load(sum + c) + v[0]);
    }
}

/* Task i: one part. */
CAMEO_INLINE void cameo_channel_sum_task(const cameo_channel_sum *s,
                                         const cameo_channel_sum_args *a, size_t i) {
    const ptrdiff_t padded = cameo_ceil(s->c, CAMEO_VF) * CAMEO_VF,
                    end = s->pixels * ((ptrdiff_t)i + 1) / s->parts;
    ptrdiff_t p = s->pixels * (ptrdiff_t)i / s->parts;
    float *sum = a->partial + (ptrdiff_t)i * padded;
    memset(sum, 0, (size_t)padded * sizeof *sum);
    for (; p + CAMEO_SUM_PIXELS <= end; p += CAMEO_SUM_PIXELS)
        cameo_channel_sum_pixels(s, a->x + p * s->pixel, sum, CAMEO_SUM_PIXELS);
    for (; p < end; p++) cameo_channel_sum_pixels(s, a->x + p * s->pixel, sum, 1);
}

CAMEO_INLINE void cameo_channel_sum_join(const cameo_channel_sum *s,
                                         const cameo_channel_sum_args *a) {
    cameo_parts_sum(a->partial, a->y, cameo_ceil(s->c, CAMEO_VF) * CAMEO_VF, s->parts, 0, s->c);
}
#endif
