/* Weight gradient of a dense or grouped convolution, NHWC: dw[co][kh][kw][ci] = sum over images and
   pixels of x dy. A register tile of `tile` input channels x `vectors` of output channels
   accumulates over the pixels of a band, for each tap.

   A task packs a band of x once as [tile of channels][row][column][tile], padding as zeros, and of
   dy one block of channels at a time as [pixel][block], so that every tap reads the same two panels
   at literal distances and nothing branches. Few channels (first layers): `flat`, the kw * ci
   elements under a row of taps are neighbours and are tiled as one run.

   Output order: [group][co / block][kh][kw][ci][block], zeros behind the last channel, block =
   vectors * CAMEO_VF. The bands are cut into `parts` that are summed apart, each into an output of
   its own, and added in their order afterwards; within a part each band's sum is added whole, which
   keeps the rounding error small. All cuts follow from the shape, so that the threads do not change
   a bit: docs/internals/deterministic-sums.md. */
#ifndef CAMEO_KERNELS_WEIGHT_GRADIENT_H
#define CAMEO_KERNELS_WEIGHT_GRADIENT_H
#include "vector.h"

typedef struct cameo_wgrad_args {
    const float *x, *dy;
    float *partial; /* [part] in the order above; of one part: dw itself, unless its order is
                       another */
    float *dw;
} cameo_wgrad_args;

enum { CAMEO_WGRAD_TILE = 28, CAMEO_WGRAD_SUM = 4096 };

CAMEO_INLINE ptrdiff_t cameo_wgrad_block(const cameo_wgrad *s) { return s->vectors * CAMEO_VF; }
CAMEO_INLINE ptrdiff_t cameo_wgrad_group_blocks(const cameo_wgrad *s) {
    return cameo_ceil(s->co, cameo_wgrad_block(s));
}
/* Elements of a tap row that are tiled as one, and the width of a panel of x. */
CAMEO_INLINE ptrdiff_t cameo_wgrad_run(const cameo_wgrad *s) {
    return s->flat ? s->kw * s->ci : s->ci;
}
CAMEO_INLINE ptrdiff_t cameo_wgrad_step(const cameo_wgrad *s) { return s->flat ? s->ci : s->tile; }
/* Floats of one part. */
CAMEO_INLINE ptrdiff_t cameo_wgrad_floats(const cameo_wgrad *s) {
    return s->groups * cameo_wgrad_group_blocks(s) * s->kh * s->kw * s->ci * cameo_wgrad_block(s);
}
/* One tap row or column needs only the rows or columns it reads. */
CAMEO_INLINE ptrdiff_t cameo_wgrad_packed(ptrdiff_t out, ptrdiff_t taps, ptrdiff_t stride,
                                          ptrdiff_t dilation) {
    return taps == 1 ? out : (out - 1) * stride + (taps - 1) * dilation + 1;
}
CAMEO_INLINE ptrdiff_t cameo_wgrad_panel(const cameo_wgrad *s) {
    return s->band_images * cameo_wgrad_packed(s->band_rows, s->kh, s->sh, s->dh) *
           cameo_wgrad_packed(s->ow, s->kw, s->sw, s->dw) * cameo_wgrad_step(s);
}
/* Tasks of the first phase. */
CAMEO_INLINE ptrdiff_t cameo_wgrad_tasks(const cameo_wgrad *s) {
    return s->parts * s->groups * cameo_ceil(s->ci, s->channels) *
           cameo_ceil(cameo_wgrad_group_blocks(s), s->blocks);
}

typedef struct cameo_wgrad_band {
    ptrdiff_t image, images, row, rows;
} cameo_wgrad_band;

CAMEO_INLINE ptrdiff_t cameo_wgrad_bands(const cameo_wgrad *s) {
    return cameo_ceil(s->images, s->band_images) * cameo_ceil(s->oh, s->band_rows);
}

CAMEO_INLINE cameo_wgrad_band cameo_wgrad_band_at(const cameo_wgrad *s, ptrdiff_t i) {
    const ptrdiff_t each = cameo_ceil(s->oh, s->band_rows), image = i / each * s->band_images,
                    row = i % each * s->band_rows;
    return (cameo_wgrad_band){image, cameo_least(s->band_images, s->images - image), row,
                              cameo_least(s->band_rows, s->oh - row)};
}

/* ---- packing ---- */

/* Packs columns [from, to) of one input row into panels; p is the place of column `from` in the
   first panel. */
CAMEO_INLINE void cameo_wgrad_pack_row(const cameo_wgrad *s, const float *x, float *p,
                                       ptrdiff_t from, ptrdiff_t to, ptrdiff_t channels) {
    const ptrdiff_t step = cameo_wgrad_step(s), panel = cameo_wgrad_panel(s),
                    each = s->kw == 1 ? s->sw : 1;
    const ptrdiff_t whole = channels / step * step, rest = s->ci % step;
    if (s->flat && s->x_pixel == s->ci && each == 1) {
        memcpy(p, x + (from - s->pl) * s->ci, (size_t)((to - from) * s->ci) * sizeof *p);
        return;
    }
    for (ptrdiff_t j = from; j < to; j++, p += step) {
        const float *pixel = x + (j * each - s->pl) * s->x_pixel;
        float *q = p;
        for (ptrdiff_t c = 0; c < whole; c += step, q += panel)
            memcpy(q, pixel + c, (size_t)step * sizeof *q);
        if (rest && whole < channels) memcpy(q, pixel + whole, (size_t)rest * sizeof *q);
    }
}

CAMEO_INLINE void cameo_wgrad_zero(const cameo_wgrad *s, float *p, ptrdiff_t columns,
                                   ptrdiff_t channels) {
    const ptrdiff_t step = cameo_wgrad_step(s), panel = cameo_wgrad_panel(s);
    for (ptrdiff_t c = 0; c < channels; c += step, p += panel)
        memset(p, 0, (size_t)(columns * step) * sizeof *p);
}

/* Packs a band of x, which points at the task's first channel of the batch's first image. */
CAMEO_INLINE void cameo_wgrad_pack_x(const cameo_wgrad *s, const float *x,
                                     const cameo_wgrad_band *b, float *p, ptrdiff_t channels) {
    const ptrdiff_t pw = cameo_wgrad_packed(s->ow, s->kw, s->sw, s->dw), step = cameo_wgrad_step(s);
    const ptrdiff_t ph = cameo_wgrad_packed(b->rows, s->kh, s->sh, s->dh),
                    each = s->kw == 1 ? s->sw : 1;
    const ptrdiff_t left = cameo_least(pw, cameo_ceil(s->pl, each)),
                    right = cameo_most(left, cameo_least(pw, cameo_ceil(s->w + s->pl, each)));
    for (ptrdiff_t n = b->image; n < b->image + b->images; n++)
        for (ptrdiff_t i = 0; i < ph; i++, p += pw * step) {
            const ptrdiff_t h = b->row * s->sh - s->pt + i * (s->kh == 1 ? s->sh : 1);
            if (h < 0 || h >= s->h) {
                cameo_wgrad_zero(s, p, pw, channels);
                continue;
            }
            cameo_wgrad_zero(s, p, left, channels);
            cameo_wgrad_pack_row(s, x + (n * s->h + h) * s->w * s->x_pixel, p + left * step, left,
                                 right, channels);
            cameo_wgrad_zero(s, p + right * step, pw - right, channels);
        }
}

/* Packs a band of dy, which points at the block's first channel of the batch's first image. Of the
   block's channels `lanes` exist. */
CAMEO_INLINE void cameo_wgrad_pack_y(const cameo_wgrad *s, const float *dy,
                                     const cameo_wgrad_band *b, float *p, ptrdiff_t lanes) {
    const ptrdiff_t pixels = ((b->images - 1) * s->oh + b->rows) * s->ow;
    dy += (b->image * s->oh + b->row) * s->ow * s->y_pixel;
    for (ptrdiff_t i = 0; i < pixels; i++, dy += s->y_pixel, p += cameo_wgrad_block(s)) {
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < s->vectors; j++) {
            const ptrdiff_t left = lanes - j * CAMEO_VF;
            cameo_v v = {0};
            if (left > 0) v = cameo_load_part(dy + j * CAMEO_VF, left);
            cameo_store(p + j * CAMEO_VF, v);
        }
    }
}

/* ---- the tile ---- */

/* The next band's memory is fetched into the second-level cache while this one is worked on, a
   line with each pixel of a tile: packing alone would wait for it. */
typedef struct cameo_wgrad_ahead {
    const float *x, *dy;
    ptrdiff_t x_floats, dy_floats, done;
} cameo_wgrad_ahead;

enum { CAMEO_LINE = 16 }; /* floats */

CAMEO_INLINE const float *cameo_wgrad_fetch(cameo_wgrad_ahead *f, ptrdiff_t pixels) {
    const ptrdiff_t at = f->done;
    f->done += pixels * CAMEO_LINE;
    if (at < f->x_floats) return f->x + at;
    return at < f->x_floats + f->dy_floats ? f->dy + (at - f->x_floats) : NULL;
}

/* Computes one tap (flat: one row of taps) for `tile` channels. x is the panel under the tap, d the
   tile's place in the output. */
CAMEO_INLINE void cameo_wgrad_tile(const cameo_wgrad *s, const cameo_wgrad_band *b, const float *x,
                                   const float *y, float *d, const float *ahead, ptrdiff_t tile,
                                   bool first) {
    cameo_v acc[CAMEO_WGRAD_TILE][2];
    const ptrdiff_t step = cameo_wgrad_step(s), pw = cameo_wgrad_packed(s->ow, s->kw, s->sw, s->dw);
    const ptrdiff_t column = (s->kw == 1 ? 1 : s->sw) * step,
                    row = (s->kh == 1 ? 1 : s->sh) * pw * step;
    const ptrdiff_t image = cameo_wgrad_packed(b->rows, s->kh, s->sh, s->dh) * pw * step,
                    line = ahead ? CAMEO_LINE : 0;
    if (!ahead) ahead = y;
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < tile; i++) {
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < s->vectors; j++) acc[i][j] = (cameo_v){0};
    }
    for (ptrdiff_t n = 0; n < b->images; n++)
        for (ptrdiff_t h = 0; h < b->rows; h++) {
            const float *p = x + n * image + h * row;
            for (ptrdiff_t w = 0; w < s->ow;
                 w++, p += column, y += cameo_wgrad_block(s), ahead += line) {
                cameo_v k[2];
                __builtin_prefetch(ahead, 0, 2);
                CAMEO_UNROLL
                for (ptrdiff_t j = 0; j < s->vectors; j++) k[j] = cameo_load(y + j * CAMEO_VF);
                CAMEO_UNROLL
                for (ptrdiff_t i = 0; i < tile; i++) {
                    const float a = p[i];
                    CAMEO_UNROLL
                    for (ptrdiff_t j = 0; j < s->vectors; j++) acc[i][j] += a * k[j];
                }
            }
        }
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < tile; i++) {
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < s->vectors; j++) {
            float *to = d + (i * s->vectors + j) * CAMEO_VF;
            if (!first) acc[i][j] += cameo_load(to);
            cameo_store(to, acc[i][j]);
        }
    }
}

/* Computes all taps of one tile; m is its first element of the run within the task's channels. */
CAMEO_INLINE void cameo_wgrad_taps(const cameo_wgrad *s, const cameo_wgrad_band *b, const float *x,
                                   const float *y, float *d, cameo_wgrad_ahead *ahead, ptrdiff_t m,
                                   ptrdiff_t tile, bool first) {
    const ptrdiff_t step = cameo_wgrad_step(s), pw = cameo_wgrad_packed(s->ow, s->kw, s->sw, s->dw);
    const ptrdiff_t run = cameo_wgrad_run(s), columns = s->flat ? 1 : s->kw;
    x += s->flat ? m : m / s->tile * cameo_wgrad_panel(s);
    for (ptrdiff_t i = 0; i < s->kh; i++)
        for (ptrdiff_t j = 0; j < columns; j++)
            cameo_wgrad_tile(s, b, x + (i * s->dh * pw + j * s->dw) * step, y,
                             d + ((i * columns + j) * run + m) * cameo_wgrad_block(s),
                             cameo_wgrad_fetch(ahead, b->images * b->rows * s->ow), tile, first);
}

/* A task of all channels reads memory in one run. */
CAMEO_INLINE cameo_wgrad_ahead cameo_wgrad_next(const cameo_wgrad *s, const cameo_wgrad_args *a,
                                                ptrdiff_t band, ptrdiff_t end) {
    cameo_wgrad_ahead f = {0};
    if (band >= end) return f;
    const cameo_wgrad_band b = cameo_wgrad_band_at(s, band);
    const ptrdiff_t row = cameo_most(0, b.row * s->sh - s->pt), rows = b.images * b.rows;
    f.x = a->x + (b.image * s->h + row) * s->w * s->x_pixel,
    f.dy = a->dy + (b.image * s->oh + b.row) * s->ow * s->y_pixel;
    if (s->groups == 1 && s->channels >= s->ci) f.x_floats = rows * s->sh * s->w * s->x_pixel;
    if (s->groups == 1 && s->blocks >= cameo_wgrad_group_blocks(s))
        f.dy_floats = rows * s->ow * s->y_pixel;
    return f;
}

/* Task i: [part][group][chunk of input channels][chunk of blocks]. px, py: room for the panels of
   a band. */
CAMEO_INLINE void cameo_wgrad_task(const cameo_wgrad *s, const cameo_wgrad_args *a, size_t i,
                                   float *px, float *py) {
    const ptrdiff_t per_group = cameo_wgrad_group_blocks(s), block = cameo_wgrad_block(s);
    const ptrdiff_t in = cameo_ceil(s->ci, s->channels), out = cameo_ceil(per_group, s->blocks),
                    t = (ptrdiff_t)i;
    const ptrdiff_t c = t / out % in * s->channels, q0 = t % out * s->blocks,
                    q1 = cameo_least(per_group, q0 + s->blocks);
    const ptrdiff_t group = t / (out * in) % s->groups, part = t / (out * in * s->groups),
                    bands = cameo_wgrad_bands(s);
    const ptrdiff_t channels = cameo_least(s->channels, s->ci - c),
                    run = s->flat ? cameo_wgrad_run(s) : channels;
    const ptrdiff_t begin = bands * part / s->parts, end = bands * (part + 1) / s->parts;
    float *d = a->partial + part * cameo_wgrad_floats(s) + c * block;
    for (ptrdiff_t at = begin; at < end; at++) {
        const cameo_wgrad_band b = cameo_wgrad_band_at(s, at);
        cameo_wgrad_ahead ahead = cameo_wgrad_next(s, a, at + 1, end);
        cameo_wgrad_pack_x(s, a->x + group * s->ci + c, &b, px, channels);
        for (ptrdiff_t q = q0; q < q1; q++) {
            const float *dy = a->dy + group * s->co + q * block;
            float *to = d + (group * per_group + q) * s->kh * s->kw * s->ci * block;
            if ((q + 1) * block <= s->co)
                cameo_wgrad_pack_y(s, dy, &b, py, block);
            else
                cameo_wgrad_pack_y(s, dy, &b, py, s->co % block);
            ptrdiff_t m = 0;
            for (; m + s->tile <= run; m += s->tile)
                cameo_wgrad_taps(s, &b, px, py, to, &ahead, m, s->tile, at == begin);
            if (m < run)
                cameo_wgrad_taps(s, &b, px, py, to, &ahead, m, cameo_wgrad_run(s) % s->tile,
                                 at == begin);
        }
    }
}

/* ---- the second phase ---- */

/* Floats [first, end) of `to` are the sums of `parts` arrays, each `floats` behind the one before,
   in their order. */
CAMEO_INLINE void cameo_parts_sum(const float *partial, float *to, ptrdiff_t floats,
                                  ptrdiff_t parts, ptrdiff_t first, ptrdiff_t end) {
    const ptrdiff_t whole = first + (end - first) / CAMEO_VF * CAMEO_VF;
    for (ptrdiff_t c = first; c < whole; c += CAMEO_VF) {
        cameo_v sum = cameo_load(partial + c);
        for (ptrdiff_t p = 1; p < parts; p++) sum += cameo_load(partial + p * floats + c);
        cameo_store(to + c, sum);
    }
    for (ptrdiff_t c = whole; c < end; c++) {
        to[c] = partial[c];
        for (ptrdiff_t p = 1; p < parts; p++) to[c] += partial[p * floats + c];
    }
}

/* Task i adds up a run of CAMEO_WGRAD_SUM floats of dw, in the order of the parts. */
CAMEO_INLINE void cameo_wgrad_sum_task(const cameo_wgrad *s, const cameo_wgrad_args *a, size_t i) {
    const ptrdiff_t floats = cameo_wgrad_floats(s), first = (ptrdiff_t)i * CAMEO_WGRAD_SUM;
    cameo_parts_sum(a->partial, a->dw, floats, s->parts, first,
                    cameo_least(floats, first + CAMEO_WGRAD_SUM));
}

/* Task i adds up one block of output channels, for dw in ONNX order [co][ci][kh][kw]. */
CAMEO_INLINE void cameo_wgrad_onnx_task(const cameo_wgrad *s, const cameo_wgrad_args *a, size_t i) {
    const ptrdiff_t block = cameo_wgrad_block(s), taps = s->kh * s->kw,
                    per_group = cameo_wgrad_group_blocks(s);
    const ptrdiff_t group = (ptrdiff_t)i / per_group, co = (ptrdiff_t)i % per_group * block,
                    floats = cameo_wgrad_floats(s);
    const float *from = a->partial + (ptrdiff_t)i * taps * s->ci * block;
    float *to = a->dw + (group * s->co + co) * s->ci * taps;
    for (ptrdiff_t o = 0; o < cameo_least(block, s->co - co); o++)
        for (ptrdiff_t c = 0; c < s->ci; c++)
            for (ptrdiff_t t = 0; t < taps; t++) {
                const float *p = from + (t * s->ci + c) * block + o;
                float sum = *p;
                for (ptrdiff_t k = 1; k < s->parts; k++) sum += p[k * floats];
                to[(o * s->ci + c) * taps + t] = sum;
            }
}
#endif
