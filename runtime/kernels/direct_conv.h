/* Dense and grouped convolution, NHWC, any kernel, stride, dilation and padding, computed directly: a register tile of
   tile_h x tile_w pixels times `vectors` vectors of output channels accumulates over all taps and input channels.

   Every number in cameo_conv is a literal of the instantiation: the compiler unrolls the tile, addresses pixels with immediate
   displacements and drops what does not apply. Weights are packed as [group][co / block][kh][kw][ci][block] with zeros behind
   the last channel, bias and slope as [group][co rounded up to block], where block = vectors * CAMEO_VF. Padding: a task copies
   the input rows of its band into a line buffer with zeros around; without padding it reads in place. */
#ifndef CAMEO_KERNELS_DIRECT_CONV_H
#define CAMEO_KERNELS_DIRECT_CONV_H
#include "vector.h"

typedef struct cameo_conv {
    ptrdiff_t h, w, ci, oh, ow, co, groups; /* ci, co: of one group */
    ptrdiff_t kh, kw, sh, sw, dh, dw, pt, pl;
    ptrdiff_t x_pixel, y_pixel, r_pixel; /* floats from one pixel to the next; r_pixel 0: no residual */
    ptrdiff_t tile_h, tile_w, vectors;
    ptrdiff_t rows;     /* output rows of a band */
    ptrdiff_t blocks;   /* blocks of output channels of a task */
    ptrdiff_t prefetch; /* floats ahead in the weights, where they come from memory; 0: none */
    bool padded;
    cameo_act act;
} cameo_conv;

typedef struct cameo_conv_args {
    const float *x, *w, *b, *slope, *r; /* slope: prelu only; r: residual or NULL */
    float *y;
} cameo_conv_args;

enum { CAMEO_TILE_PIXELS = 28, CAMEO_TILE_VECTORS = 4 };

/* Where a task reads: one group's first channel of the band's first pixel, and the steps from there. */
typedef struct cameo_conv_source {
    const float *x;
    ptrdiff_t row, pixel;
} cameo_conv_source;

CAMEO_INLINE ptrdiff_t cameo_conv_block(const cameo_conv *s) { return s->vectors * CAMEO_VF; }
CAMEO_INLINE ptrdiff_t cameo_conv_group_blocks(const cameo_conv *s) {
    return (s->co + cameo_conv_block(s) - 1) / cameo_conv_block(s);
}

/* bias + residual + activation, then the first `lanes` channels of the block. y and r may be the same memory. */
CAMEO_INLINE void cameo_conv_store(const cameo_conv *s, const cameo_v *acc, const float *slope, const float *r, float *y,
                                   ptrdiff_t lanes) {
    CAMEO_UNROLL
    for (ptrdiff_t j = 0; j < s->vectors; j++) {
        const ptrdiff_t left = lanes - j * CAMEO_VF;
        if (left <= 0) continue;
        cameo_v v = acc[j];
        if (s->r_pixel) v += cameo_load_part(r + j * CAMEO_VF, left);
        const cameo_v a = s->act.kind == CAMEO_PRELU ? cameo_load(slope + j * CAMEO_VF) : v;
        cameo_store_part(y + j * CAMEO_VF, cameo_activate(&s->act, v, a), left);
    }
}

/* One tile of th x tw output pixels; x is the source of its first pixel, y and r its first channel's place. */
CAMEO_INLINE void cameo_conv_tile(const cameo_conv *s, cameo_conv_source in, const float *w, const float *b, const float *slope,
                                  const float *r, float *y, ptrdiff_t th, ptrdiff_t tw, ptrdiff_t lanes) {
    cameo_v acc[CAMEO_TILE_PIXELS][CAMEO_TILE_VECTORS], k[CAMEO_TILE_VECTORS];
    const bool flat = s->dw == 1 && in.pixel == s->ci; /* taps of a row are then contiguous */
    const ptrdiff_t taps = flat ? 1 : s->kw, run = flat ? s->kw * s->ci : s->ci;
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < th * tw; i++) {
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < s->vectors; j++) acc[i][j] = cameo_load(b + j * CAMEO_VF);
    }
    for (ptrdiff_t kh = 0; kh < s->kh; kh++)
        for (ptrdiff_t kw = 0; kw < taps; kw++) {
            const float *x = in.x + kh * s->dh * in.row + kw * s->dw * in.pixel;
            for (ptrdiff_t c = 0; c < run; c++, w += cameo_conv_block(s)) {
                CAMEO_UNROLL
                for (ptrdiff_t j = 0; j < s->vectors; j++) {
                    k[j] = cameo_load(w + j * CAMEO_VF);
                    if (s->prefetch) __builtin_prefetch(w + j * CAMEO_VF + s->prefetch, 0, 2);
                }
                CAMEO_UNROLL
                for (ptrdiff_t i = 0; i < th * tw; i++) {
                    const float a = x[(i / tw) * s->sh * in.row + (i % tw) * s->sw * in.pixel + c];
                    CAMEO_UNROLL
                    for (ptrdiff_t j = 0; j < s->vectors; j++) acc[i][j] += a * k[j];
                }
            }
        }
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < th * tw; i++) {
        const ptrdiff_t pixel = (i / tw) * s->ow + i % tw;
        cameo_conv_store(s, acc[i], slope, r + pixel * s->r_pixel, y + pixel * s->y_pixel, lanes);
    }
}

/* One row of tiles, th pixels high, with a narrower tile at its end where the width leaves a remainder. */
CAMEO_INLINE void cameo_conv_tiles(const cameo_conv *s, cameo_conv_source in, const float *w, const float *b,
                                   const float *slope, const float *r, float *y, ptrdiff_t th, ptrdiff_t lanes) {
    const ptrdiff_t rest = s->ow % s->tile_w, full = s->ow - rest;
    for (ptrdiff_t t = 0; t < full; t += s->tile_w) {
        const cameo_conv_source at = {in.x + t * s->sw * in.pixel, in.row, in.pixel};
        cameo_conv_tile(s, at, w, b, slope, r + t * s->r_pixel, y + t * s->y_pixel, th, s->tile_w, lanes);
    }
    if (!rest) return;
    const cameo_conv_source at = {in.x + full * s->sw * in.pixel, in.row, in.pixel};
    cameo_conv_tile(s, at, w, b, slope, r + full * s->r_pixel, y + full * s->y_pixel, th, rest, lanes);
}

/* All pixels of a band for one block of output channels. */
CAMEO_INLINE void cameo_conv_band(const cameo_conv *s, cameo_conv_source in, const float *w, const float *b, const float *slope,
                                  const float *r, float *y, ptrdiff_t rows, ptrdiff_t lanes) {
    ptrdiff_t h = 0;
    for (; h + s->tile_h <= rows; h += s->tile_h) {
        const cameo_conv_source at = {in.x + h * s->sh * in.row, in.row, in.pixel};
        cameo_conv_tiles(s, at, w, b, slope, r + h * s->ow * s->r_pixel, y + h * s->ow * s->y_pixel, s->tile_h, lanes);
    }
    /* Bands but the last are whole tiles, so what remains is a literal: one flatter tile, which reads the weights once more. */
    const ptrdiff_t rest = s->oh % s->rows % s->tile_h;
    if (!rest || h == rows) return;
    const cameo_conv_source at = {in.x + h * s->sh * in.row, in.row, in.pixel};
    cameo_conv_tiles(s, at, w, b, slope, r + h * s->ow * s->r_pixel, y + h * s->ow * s->y_pixel, rest, lanes);
}

/* Copies the input rows that output rows [first, first + rows) read into the line buffer, zeros around them. */
CAMEO_INLINE void cameo_conv_pad(const cameo_conv *s, const float *x, float *line, ptrdiff_t first, ptrdiff_t rows) {
    const ptrdiff_t c = s->ci * s->groups, pw = (s->ow - 1) * s->sw + (s->kw - 1) * s->dw + 1;
    const ptrdiff_t ph = (rows - 1) * s->sh + (s->kh - 1) * s->dh + 1, inside = cameo_most(0, cameo_least(s->w, pw - s->pl));
    for (ptrdiff_t i = 0; i < ph; i++, line += pw * c) {
        const ptrdiff_t h = first * s->sh - s->pt + i;
        if (h < 0 || h >= s->h) {
            memset(line, 0, (size_t)(pw * c) * sizeof *line);
            continue;
        }
        const float *row = x + h * s->w * s->x_pixel;
        memset(line, 0, (size_t)(s->pl * c) * sizeof *line);
        if (s->x_pixel == c)
            memcpy(line + s->pl * c, row, (size_t)(inside * c) * sizeof *line);
        else
            for (ptrdiff_t j = 0; j < inside; j++)
                memcpy(line + (s->pl + j) * c, row + j * s->x_pixel, (size_t)c * sizeof *line);
        const ptrdiff_t done = s->pl + inside;
        memset(line + done * c, 0, (size_t)((pw - done) * c) * sizeof *line);
    }
}

/* Task i of an image-by-image grid: [image][band][chunk of channel blocks]. line: the line buffer when s->padded. */
CAMEO_INLINE void cameo_conv_task(const cameo_conv *s, const cameo_conv_args *a, size_t i, float *line) {
    const ptrdiff_t per_group = cameo_conv_group_blocks(s), all = per_group * s->groups, block = cameo_conv_block(s);
    const ptrdiff_t bands = (s->oh + s->rows - 1) / s->rows, chunks = (all + s->blocks - 1) / s->blocks, t = (ptrdiff_t)i;
    const ptrdiff_t image = t / (bands * chunks), band = t / chunks % bands, chunk = t % chunks;
    const ptrdiff_t first = band * s->rows, rows = cameo_least(s->rows, s->oh - first);
    cameo_conv_source in = {a->x + image * s->h * s->w * s->x_pixel, s->w * s->x_pixel, s->x_pixel};
    if (s->padded) {
        cameo_conv_pad(s, in.x, line, first, rows);
        in.x = line, in.pixel = s->ci * s->groups, in.row = ((s->ow - 1) * s->sw + (s->kw - 1) * s->dw + 1) * in.pixel;
    } else {
        in.x += first * s->sh * in.row;
    }
    const ptrdiff_t pixel = (image * s->oh + first) * s->ow, end = cameo_least(all, (chunk + 1) * s->blocks);
    for (ptrdiff_t q = chunk * s->blocks; q < end; q++) {
        const ptrdiff_t group = q / per_group, co = q % per_group * block, channel = group * s->co + co;
        const cameo_conv_source at = {in.x + group * s->ci, in.row, in.pixel};
        const float *w = a->w + q * s->kh * s->kw * s->ci * block, *b = a->b + q * block, *slope = a->slope;
        if (s->act.kind == CAMEO_PRELU) slope += q * block;
        float *y = a->y + pixel * s->y_pixel + channel;
        const float *r = s->r_pixel ? a->r + pixel * s->r_pixel + channel : y;
        if (co + block <= s->co)
            cameo_conv_band(s, at, w, b, slope, r, y, rows, block);
        else
            cameo_conv_band(s, at, w, b, slope, r, y, rows, s->co % block);
    }
}
#endif
