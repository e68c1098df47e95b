/* Batch normalisation of NHWC pixels (Ioffe and Szegedy 2015): statistics, application with
   residual and activation, gradients.

   Each is two passes over memory: a reduction, cut into tasks whose partial sums are joined in
   double in the order of tasks, and an elementwise pass. Sums of squares are taken about the
   task's first pixel and joined as in Chan, Golub and LeVeque (1979): no cancellation when the
   mean is large.

   `fold` neighbouring pixels count as one of c * fold channels, so that few or odd channels fill
   whole vectors: "row" below. */
#ifndef CAMEO_KERNELS_BATCHNORM_H
#define CAMEO_KERNELS_BATCHNORM_H
#include "vector.h"

typedef struct cameo_batchnorm_args {
    const float *x, *scale, *shift, *r;
    const float *old_mean, *old_var; /* running */
    float *y, *mean, *inv_std, *new_mean, *new_var;
    float *partial;  /* [tasks][CAMEO_BATCHNORM_SUMS][c * fold] */
    float *table;    /* [CAMEO_BATCHNORM_TABLE][c * fold rounded up to vectors] */
    ptrdiff_t total; /* rows */
} cameo_batchnorm_args;

typedef struct cameo_batchnorm_grad_args {
    const float *dy, *x, *scale, *mean, *inv_std, *y; /* y: only with an activation */
    float *dx, *dscale, *dshift, *dr; /* may be NULL: dscale, dshift. dr may be dy; dx may be x, or
                                         dy if dr is not */
    float *partial, *table;
    ptrdiff_t total;
} cameo_batchnorm_grad_args;

enum { CAMEO_BATCHNORM_SUMS = 3, CAMEO_BATCHNORM_TABLE = 4 };

CAMEO_INLINE ptrdiff_t cameo_batchnorm_tasks(const cameo_batchnorm *s, ptrdiff_t total) {
    return cameo_ceil(total, s->rows);
}
CAMEO_INLINE ptrdiff_t cameo_batchnorm_width(const cameo_batchnorm *s) { return s->c * s->fold; }
CAMEO_INLINE ptrdiff_t cameo_batchnorm_padded(const cameo_batchnorm *s) {
    return cameo_ceil(s->c * s->fold, CAMEO_VF) * CAMEO_VF;
}
/* Rows of task i. */
CAMEO_INLINE ptrdiff_t cameo_batchnorm_count(const cameo_batchnorm *s, ptrdiff_t total,
                                             ptrdiff_t i) {
    return cameo_least(s->rows, total - i * s->rows);
}

/* Sums of part i: of each task there are `fold`. */
CAMEO_INLINE const float *cameo_batchnorm_part(const cameo_batchnorm *s, const float *partial,
                                               ptrdiff_t i) {
    return partial + i / s->fold * CAMEO_BATCHNORM_SUMS * cameo_batchnorm_width(s) +
           i % s->fold * s->c;
}

/* ---- statistics ---- */

/* Of `vectors` neighbouring vectors: the first row, sums of and squares of differences from it. */
CAMEO_INLINE void cameo_batchnorm_moments(const cameo_batchnorm *s, const float *x, ptrdiff_t rows,
                                          float *partial, ptrdiff_t vectors, ptrdiff_t lanes) {
    cameo_v about[4], sum[4], square[4];
    const ptrdiff_t width = cameo_batchnorm_width(s);
    CAMEO_UNROLL
    for (ptrdiff_t v = 0; v < vectors; v++)
        about[v] = cameo_load_part(x + v * CAMEO_VF, lanes), sum[v] = square[v] = (cameo_v){0};
    for (ptrdiff_t p = 1; p < rows; p++) {
        CAMEO_UNROLL
        for (ptrdiff_t v = 0; v < vectors; v++) {
            const cameo_v d = cameo_load_part(x + p * s->x_row + v * CAMEO_VF, lanes) - about[v];
            sum[v] += d, square[v] += d * d;
        }
    }
    CAMEO_UNROLL
    for (ptrdiff_t v = 0; v < vectors; v++) {
        cameo_store_part(partial + v * CAMEO_VF, about[v], lanes);
        cameo_store_part(partial + width + v * CAMEO_VF, sum[v], lanes);
        cameo_store_part(partial + 2 * width + v * CAMEO_VF, square[v], lanes);
    }
}

CAMEO_INLINE void cameo_batchnorm_moments_task(const cameo_batchnorm *s,
                                               const cameo_batchnorm_args *a, size_t i) {
    const ptrdiff_t width = cameo_batchnorm_width(s),
                    rows = cameo_batchnorm_count(s, a->total, (ptrdiff_t)i);
    const float *x = a->x + (ptrdiff_t)i * s->rows * s->x_row;
    float *partial = a->partial + (ptrdiff_t)i * CAMEO_BATCHNORM_SUMS * width;
    ptrdiff_t c = 0;
    for (; c + 4 * CAMEO_VF <= width; c += 4 * CAMEO_VF)
        cameo_batchnorm_moments(s, x + c, rows, partial + c, 4, CAMEO_VF);
    for (; c + CAMEO_VF <= width; c += CAMEO_VF)
        cameo_batchnorm_moments(s, x + c, rows, partial + c, 1, CAMEO_VF);
    if (c < width) cameo_batchnorm_moments(s, x + c, rows, partial + c, 1, width % CAMEO_VF);
}

enum { CAMEO_BATCHNORM_CHANNELS = 64 }; /* of one task of joining */

/* Means and sums of squared differences from them, of `channels` channels from c on, over all
   tasks. */
CAMEO_INLINE void cameo_batchnorm_join(const cameo_batchnorm *s, const cameo_batchnorm_args *a,
                                       ptrdiff_t c, ptrdiff_t channels, double *mean,
                                       double *squares) {
    const ptrdiff_t width = cameo_batchnorm_width(s),
                    parts = cameo_batchnorm_tasks(s, a->total) * s->fold;
    for (ptrdiff_t i = 0; i < parts; i++) {
        const float *p = cameo_batchnorm_part(s, a->partial, i) + c;
        const double n = (double)cameo_batchnorm_count(s, a->total, i / s->fold);
        for (ptrdiff_t j = 0; j < channels; j++) mean[j] += (double)p[j] * n + (double)p[width + j];
    }
    for (ptrdiff_t j = 0; j < channels; j++) mean[j] /= (double)(a->total * s->fold);
    for (ptrdiff_t i = 0; i < parts; i++) {
        const float *p = cameo_batchnorm_part(s, a->partial, i) + c;
        const double n = (double)cameo_batchnorm_count(s, a->total, i / s->fold);
        for (ptrdiff_t j = 0; j < channels; j++) {
            const double off = (double)p[width + j] / n, from = (double)p[j] + off - mean[j];
            squares[j] += (double)p[2 * width + j] - off * (double)p[width + j] + n * from * from;
        }
    }
}

/* What the second pass reads, once a vector lane: mean, factor, shift. */
CAMEO_INLINE void cameo_batchnorm_fill(const cameo_batchnorm *s, float *table, ptrdiff_t c,
                                       float mean, float factor, float shift) {
    const ptrdiff_t width = cameo_batchnorm_width(s), padded = cameo_batchnorm_padded(s);
    for (ptrdiff_t j = c; j < width; j += s->c)
        table[j] = mean, table[padded + j] = factor, table[2 * padded + j] = shift;
}

/* Task i: statistics of 64 channels, from all partial sums. The running variance is the unbiased
   one, as PyTorch has it. */
CAMEO_INLINE void cameo_batchnorm_join_task(const cameo_batchnorm *s, const cameo_batchnorm_args *a,
                                            size_t i) {
    const ptrdiff_t first = (ptrdiff_t)i * CAMEO_BATCHNORM_CHANNELS,
                    end = cameo_least(s->c, first + CAMEO_BATCHNORM_CHANNELS);
    const double count = (double)(a->total * s->fold), keep = (double)s->momentum;
    double means[CAMEO_BATCHNORM_CHANNELS] = {0}, sums[CAMEO_BATCHNORM_CHANNELS] = {0};
    cameo_batchnorm_join(s, a, first, end - first, means, sums);
    for (ptrdiff_t c = first; c < end; c++) {
        const double mean = means[c - first], squares = sums[c - first] < 0 ? 0 : sums[c - first];
        const double inv_std = 1 / sqrt(squares / count + (double)s->epsilon);
        const double unbiased = squares / (count > 1 ? count - 1 : 1);
        a->mean[c] = (float)mean, a->inv_std[c] = (float)inv_std;
        a->new_mean[c] = (float)(keep * (double)a->old_mean[c] + (1 - keep) * mean);
        a->new_var[c] = (float)(keep * (double)a->old_var[c] + (1 - keep) * unbiased);
        cameo_batchnorm_fill(s, a->table, c, a->mean[c], (float)(inv_std * (double)a->scale[c]),
                             a->shift[c]);
    }
}

/* ---- application ---- */

CAMEO_INLINE void cameo_batchnorm_vector(const cameo_batchnorm *s, const cameo_batchnorm_args *a,
                                         ptrdiff_t p, ptrdiff_t c, ptrdiff_t lanes) {
    const ptrdiff_t padded = cameo_batchnorm_padded(s);
    cameo_v v = cameo_load_part(a->x + p * s->x_row + c, lanes) - cameo_load(a->table + c);
    v = v * cameo_load(a->table + padded + c) + cameo_load(a->table + 2 * padded + c);
    if (s->r_row) v += cameo_load_part(a->r + p * s->r_row + c, lanes);
    cameo_store_part(a->y + p * s->y_row + c, cameo_activate(&s->act, v, v), lanes);
}

/* Task i: y = act((x - mean) * factor + shift + r). y may be x or r. */
CAMEO_INLINE void cameo_batchnorm_apply_task(const cameo_batchnorm *s,
                                             const cameo_batchnorm_args *a, size_t i) {
    const cameo_batchnorm_args k = *a; /* which stores don't change */
    const ptrdiff_t width = cameo_batchnorm_width(s), first = (ptrdiff_t)i * s->rows;
    const ptrdiff_t end = first + cameo_batchnorm_count(s, k.total, (ptrdiff_t)i);
    for (ptrdiff_t p = first; p < end; p++) {
        ptrdiff_t c = 0;
        for (; c + CAMEO_VF <= width; c += CAMEO_VF) cameo_batchnorm_vector(s, &k, p, c, CAMEO_VF);
        if (width % CAMEO_VF) cameo_batchnorm_vector(s, &k, p, c, width % CAMEO_VF);
    }
}

/* ---- gradients ---- */

/* dy where the activation let the value through, or a NaN. */
CAMEO_INLINE cameo_v cameo_batchnorm_masked(const cameo_batchnorm *s,
                                            const cameo_batchnorm_grad_args *a, ptrdiff_t p,
                                            ptrdiff_t c, ptrdiff_t lanes) {
    const cameo_v zero = {0}, dy = cameo_load_part(a->dy + p * s->dy_row + c, lanes);
    if (s->act.kind == CAMEO_NONE) return dy;
    const cameo_v y = cameo_load_part(a->y + p * s->y_row + c, lanes);
    if (s->act.kind == CAMEO_RELU) return cameo_select((cameo_vi)(y <= zero), zero, dy);
    return cameo_select((cameo_vi)(y <= s->act.a) | (cameo_vi)(y >= s->act.b), zero, dy);
}

CAMEO_INLINE void cameo_batchnorm_sums(const cameo_batchnorm *s, const cameo_batchnorm_grad_args *a,
                                       ptrdiff_t first, ptrdiff_t end, ptrdiff_t c, float *partial,
                                       ptrdiff_t vectors, ptrdiff_t lanes) {
    cameo_v mean[4], sum[4], product[4];
    const ptrdiff_t width = cameo_batchnorm_width(s);
    CAMEO_UNROLL
    for (ptrdiff_t v = 0; v < vectors; v++)
        mean[v] = cameo_load(a->table + c + v * CAMEO_VF), sum[v] = product[v] = (cameo_v){0};
    for (ptrdiff_t p = first; p < end; p++) {
        CAMEO_UNROLL
        for (ptrdiff_t v = 0; v < vectors; v++) {
            const cameo_v g = cameo_batchnorm_masked(s, a, p, c + v * CAMEO_VF, lanes);
            const cameo_v x = cameo_load_part(a->x + p * s->x_row + c + v * CAMEO_VF, lanes);
            if (s->dr_row) cameo_store_part(a->dr + p * s->dr_row + c + v * CAMEO_VF, g, lanes);
            sum[v] += g, product[v] += g * (x - mean[v]);
        }
    }
    CAMEO_UNROLL
    for (ptrdiff_t v = 0; v < vectors; v++) {
        cameo_store_part(partial + c + v * CAMEO_VF, sum[v], lanes);
        cameo_store_part(partial + width + c + v * CAMEO_VF, product[v], lanes);
    }
}

/* Before all tasks: means, once a lane. */
CAMEO_INLINE void cameo_batchnorm_means(const cameo_batchnorm *s,
                                        const cameo_batchnorm_grad_args *a) {
    for (ptrdiff_t c = 0; c < s->c; c++) cameo_batchnorm_fill(s, a->table, c, a->mean[c], 0, 0);
}

/* Task i: sums of g = masked dy and of g (x - mean); g itself into dr. */
CAMEO_INLINE void cameo_batchnorm_sums_task(const cameo_batchnorm *s,
                                            const cameo_batchnorm_grad_args *a, size_t i) {
    const cameo_batchnorm_grad_args k = *a; /* which stores don't change */
    const ptrdiff_t width = cameo_batchnorm_width(s), first = (ptrdiff_t)i * s->rows;
    const ptrdiff_t end = first + cameo_batchnorm_count(s, k.total, (ptrdiff_t)i);
    float *partial = k.partial + (ptrdiff_t)i * CAMEO_BATCHNORM_SUMS * width;
    ptrdiff_t c = 0;
    for (; c + 4 * CAMEO_VF <= width; c += 4 * CAMEO_VF)
        cameo_batchnorm_sums(s, &k, first, end, c, partial, 4, CAMEO_VF);
    for (; c + CAMEO_VF <= width; c += CAMEO_VF)
        cameo_batchnorm_sums(s, &k, first, end, c, partial, 1, CAMEO_VF);
    if (c < width) cameo_batchnorm_sums(s, &k, first, end, c, partial, 1, width % CAMEO_VF);
}

/* Task i: gradients of 64 channels, and what the second pass reads: dx = factor * (g - mean g - (x
   - mean) * slope). */
CAMEO_INLINE void cameo_batchnorm_join_sums_task(const cameo_batchnorm *s,
                                                 const cameo_batchnorm_grad_args *a, size_t i) {
    const ptrdiff_t first = (ptrdiff_t)i * CAMEO_BATCHNORM_CHANNELS,
                    end = cameo_least(s->c, first + CAMEO_BATCHNORM_CHANNELS);
    const ptrdiff_t width = cameo_batchnorm_width(s), padded = cameo_batchnorm_padded(s);
    const ptrdiff_t parts = cameo_batchnorm_tasks(s, a->total) * s->fold;
    const double count = (double)(a->total * s->fold);
    double sums[CAMEO_BATCHNORM_CHANNELS] = {0}, products[CAMEO_BATCHNORM_CHANNELS] = {0};
    for (ptrdiff_t t = 0; t < parts; t++) {
        const float *p = cameo_batchnorm_part(s, a->partial, t) + first;
        for (ptrdiff_t j = 0; j < end - first; j++)
            sums[j] += (double)p[j], products[j] += (double)p[width + j];
    }
    for (ptrdiff_t c = first; c < end; c++) {
        const double sum = sums[c - first], product = products[c - first];
        const double inv_std = (double)a->inv_std[c];
        if (a->dshift) a->dshift[c] = (float)sum;
        if (a->dscale) a->dscale[c] = (float)(product * inv_std);
        cameo_batchnorm_fill(s, a->table, c, a->mean[c], (float)(inv_std * (double)a->scale[c]),
                             (float)(sum / count));
        for (ptrdiff_t j = c; j < width; j += s->c)
            a->table[3 * padded + j] = (float)(product / count * inv_std * inv_std);
    }
}

CAMEO_INLINE void cameo_batchnorm_grad_vector(const cameo_batchnorm *s,
                                              const cameo_batchnorm_grad_args *a, ptrdiff_t p,
                                              ptrdiff_t c, ptrdiff_t lanes) {
    const ptrdiff_t padded = cameo_batchnorm_padded(s);
    const cameo_v g = s->dr_row ? cameo_load_part(a->dr + p * s->dr_row + c, lanes)
                                : cameo_batchnorm_masked(s, a, p, c, lanes);
    const cameo_v x = cameo_load_part(a->x + p * s->x_row + c, lanes) - cameo_load(a->table + c);
    const cameo_v v = g - cameo_load(a->table + 2 * padded + c) -
                      x * cameo_load(a->table + 3 * padded + c);
    cameo_store_part(a->dx + p * s->dx_row + c, v * cameo_load(a->table + padded + c), lanes);
}

CAMEO_INLINE void cameo_batchnorm_grad_task(const cameo_batchnorm *s,
                                            const cameo_batchnorm_grad_args *a, size_t i) {
    const cameo_batchnorm_grad_args k = *a; /* which stores don't change */
    const ptrdiff_t width = cameo_batchnorm_width(s), first = (ptrdiff_t)i * s->rows;
    const ptrdiff_t end = first + cameo_batchnorm_count(s, k.total, (ptrdiff_t)i);
    for (ptrdiff_t p = first; p < end; p++) {
        ptrdiff_t c = 0;
        for (; c + CAMEO_VF <= width; c += CAMEO_VF)
            cameo_batchnorm_grad_vector(s, &k, p, c, CAMEO_VF);
        if (width % CAMEO_VF) cameo_batchnorm_grad_vector(s, &k, p, c, width % CAMEO_VF);
    }
}
#endif
