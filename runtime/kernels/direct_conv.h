/* Dense and grouped convolution, NHWC, any kernel, stride, dilation and padding, computed
   directly: a register tile of tile_h x tile_w pixels (of tile_n images where maps are tiny) times
   `vectors` vectors of output channels accumulates over all taps and input channels.

   Every number in cameo_conv is a literal of the instantiation: the compiler unrolls the tile,
   addresses pixels with immediate displacements and drops what does not apply. Weights are packed
   as [group][co / block][kh][kw][ci][block] with zeros behind the last channel, bias and slope as
   [group][co rounded up to block], where block = vectors * CAMEO_VF. Padding: a task copies the
   input rows of its band into a line buffer with zeros around; without padding it reads in place.
   The buffer's pixels may be further apart than their channels, so that those of a tile do not
   meet in a few lines of the first-level cache.

   Of a 1x1 convolution all pixels are one column (w = 1), whatever the map; those of a stride that
   meet in the cache are gathered into the line buffer first.

   scaled: what is copied into the line buffer is scaled, shifted and activated on its way, so that
   the BatchNormalization and activation before a convolution (DenseNet) need no pass of their own;
   the zeros around stay zeros.

   gated: every input channel has a factor of its own in each image (squeeze and excitation).
   Instead of the pixels a task multiplies its weights by them, a block at a time, which is less
   work where pixels are many: room for one block's weights lies behind the line buffer.

   A task is a band of rows of one image, or several whole images, times some blocks of channels:
   within a block all its pixels are computed before the next block's weights are touched. An
   output may be spread (y_row, y_image): each phase of the input gradient of a strided convolution
   is such a convolution. */
#ifndef CAMEO_KERNELS_DIRECT_CONV_H
#define CAMEO_KERNELS_DIRECT_CONV_H
#include "elementwise.h"
#include "vector.h"

typedef struct cameo_conv_args {
    const float *x, *w, *b, *slope, *r; /* slope: prelu only; r: residual or NULL */
    float *y;
    const float *scale, *shift; /* scaled: one a channel of x, padded to whole vectors */
    const float *gate;          /* gated: one a channel of each image */
} cameo_conv_args;

enum { CAMEO_TILE_PIXELS = 28, CAMEO_TILE_VECTORS = 4 };

/* Where a task reads: one group's first channel of the band's first pixel, and the steps from
   there. */
typedef struct cameo_conv_source {
    const float *x;
    ptrdiff_t image, row, pixel;
} cameo_conv_source;

/* What is fetched ahead: while the tiles of one block of channels are computed, the weights of the
   next block come, `step` floats with every input channel, so that neither memory nor
   multiply-adds wait. A task's first block is fetched CAMEO_CONV_AHEAD floats before its use.
   Behind a layer's last weights usually lie the next layer's. Or: while the first block of
   channels is computed, the next tile's pixels come. */
typedef struct cameo_conv_ahead {
    const float *at, *end;
    ptrdiff_t step;
} cameo_conv_ahead;

enum { CAMEO_CONV_AHEAD = 1024 };

/* A block of output channels: its weights, where it is written and where its residual is. */
typedef struct cameo_conv_target {
    const float *w, *b, *slope;
    float *y;
    const float *r;
    ptrdiff_t lanes; /* channels of the block */
} cameo_conv_target;

CAMEO_INLINE ptrdiff_t cameo_conv_block(const cameo_conv *s) { return s->vectors * CAMEO_VF; }
CAMEO_INLINE ptrdiff_t cameo_conv_group_blocks(const cameo_conv *s) {
    return cameo_ceil(s->co, cameo_conv_block(s));
}

/* bias + residual + activation, then the first `lanes` channels of the block. y and r may be the
   same memory. */
CAMEO_INLINE void cameo_conv_store(const cameo_conv *s, const cameo_v *acc, const float *slope,
                                   const float *r, float *y, ptrdiff_t lanes) {
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

CAMEO_INLINE ptrdiff_t cameo_conv_tile_n(const cameo_conv *s) { return s->tile_n ? s->tile_n : 1; }
CAMEO_INLINE ptrdiff_t cameo_conv_y_row(const cameo_conv *s) {
    return s->y_row ? s->y_row : s->ow * s->y_pixel;
}
CAMEO_INLINE ptrdiff_t cameo_conv_y_image(const cameo_conv *s) {
    return s->y_image ? s->y_image : s->oh * s->ow * s->y_pixel;
}

CAMEO_INLINE cameo_conv_source cameo_conv_from(const cameo_conv *s, cameo_conv_source in,
                                               ptrdiff_t n, ptrdiff_t h, ptrdiff_t w) {
    in.x += n * in.image + h * s->sh * in.row + w * s->sw * in.pixel;
    return in;
}

CAMEO_INLINE cameo_conv_target cameo_conv_at(const cameo_conv *s, cameo_conv_target to, ptrdiff_t n,
                                             ptrdiff_t h, ptrdiff_t w) {
    to.y += n * cameo_conv_y_image(s) + h * cameo_conv_y_row(s) + w * s->y_pixel;
    to.r += ((n * s->oh + h) * s->ow + w) * s->r_pixel;
    return to;
}

/* Floats of a block's weights, and what a tile fetches with every channel when all tiles of a task
   share the next block. */
CAMEO_INLINE ptrdiff_t cameo_conv_block_weights(const cameo_conv *s) {
    return s->kh * s->kw * s->ci * cameo_conv_block(s);
}
CAMEO_INLINE ptrdiff_t cameo_conv_share(const cameo_conv *s) {
    const ptrdiff_t images = s->count ? s->images / cameo_conv_tile_n(s) : 1;
    const ptrdiff_t tiles = images * cameo_ceil(s->rows, s->tile_h) * cameo_ceil(s->ow, s->tile_w);
    return cameo_ceil(cameo_conv_block(s), tiles);
}

/* Before a block whose weights are w in memory: fetch the next; a task's first block has to be
   fetched itself first. */
CAMEO_INLINE cameo_conv_ahead cameo_conv_fetch(const cameo_conv *s, const float *x, const float *w,
                                               bool first) {
    const ptrdiff_t pixels = cameo_conv_tile_n(s) * s->tile_h * s->tile_w;
    if (s->prefetch == CAMEO_FETCH_INPUT)
        return (cameo_conv_ahead){x + pixels * s->ci, x, first ? pixels : 0};
    const float *next = w + cameo_conv_block_weights(s);
    if (first) return (cameo_conv_ahead){w + CAMEO_CONV_AHEAD, next, cameo_conv_block(s)};
    return (cameo_conv_ahead){next, next + cameo_conv_block_weights(s), cameo_conv_share(s)};
}

/* Behind a tile, which fetched up to `at`. */
CAMEO_INLINE void cameo_conv_advance(const cameo_conv *s, cameo_conv_ahead *ahead, const float *at,
                                     const float *block_end) {
    ahead->at = at;
    if (at < ahead->end || s->prefetch == CAMEO_FETCH_INPUT) return;
    *ahead = ahead->end == block_end
                 ? cameo_conv_fetch(s, NULL, block_end - cameo_conv_block_weights(s), false)
                 : (cameo_conv_ahead){ahead->end, ahead->end, 0};
}

/* Vectors that a block of `lanes` channels fills more than half; and whether half a vector holds
   the rest. What the block's vectors have beyond those is not computed. Of an even number of input
   channels a whole vector holds the half for two of them (cameo_pair), so that no lane multiplies
   in vain. */
CAMEO_INLINE ptrdiff_t cameo_conv_whole(ptrdiff_t lanes) {
    return CAMEO_VF == 16 ? (lanes + CAMEO_VF / 2 - 1) / CAMEO_VF : cameo_ceil(lanes, CAMEO_VF);
}
CAMEO_INLINE bool cameo_conv_half(ptrdiff_t lanes) {
    return lanes > cameo_conv_whole(lanes) * CAMEO_VF;
}

/* Pixel i of a tile of images of th x tw. x: the first. */
CAMEO_INLINE const float *cameo_conv_pixel(const cameo_conv *s, cameo_conv_source in,
                                           const float *x, ptrdiff_t th, ptrdiff_t tw,
                                           ptrdiff_t i) {
    return x + i / (th * tw) * in.image + i / tw % th * s->sh * in.row +
           (i % tw) * s->sw * in.pixel;
}

/* One tile of tn images of th x tw output pixels. */
CAMEO_INLINE void cameo_conv_tile(const cameo_conv *s, cameo_conv_source in, cameo_conv_target to,
                                  cameo_conv_ahead *ahead, ptrdiff_t tn, ptrdiff_t th,
                                  ptrdiff_t tw) {
    cameo_v acc[CAMEO_TILE_PIXELS][CAMEO_TILE_VECTORS], k[CAMEO_TILE_VECTORS] = {{0}};
    cameo_half half[CAMEO_TILE_PIXELS] = {{0}}, half_k = {0};
    cameo_v pair[CAMEO_TILE_PIXELS] = {{0}};
    const ptrdiff_t whole = cameo_conv_whole(to.lanes);
    const bool rest = cameo_conv_half(to.lanes), pairs = rest && s->ci % 2 == 0;
    const ptrdiff_t each = pairs ? 2 : 1;
    const bool flat = s->dw == 1 && in.pixel == s->ci; /* taps of a row are then contiguous */
    const ptrdiff_t taps = flat ? 1 : s->kw, run = flat ? s->kw * s->ci : s->ci;
    const float *next = ahead->at, *w = to.w;
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < tn * th * tw; i++) {
        CAMEO_UNROLL
        for (ptrdiff_t j = 0; j < whole; j++) acc[i][j] = cameo_load(to.b + j * CAMEO_VF);
        if (rest) half[i] = *(const cameo_half *)(to.b + whole * CAMEO_VF);
        if (pairs) pair[i] = cameo_pair(half[i], (cameo_half){0});
    }
    for (ptrdiff_t kh = 0; kh < s->kh; kh++)
        for (ptrdiff_t kw = 0; kw < taps; kw++) {
            const float *x = in.x + kh * s->dh * in.row + kw * s->dw * in.pixel;
            for (ptrdiff_t c = 0; c < run; c += each, w += each * cameo_conv_block(s)) {
                CAMEO_UNROLL
                for (ptrdiff_t q = 0; q < each; q++) {
                    const float *row = w + q * cameo_conv_block(s);
                    CAMEO_UNROLL
                    for (ptrdiff_t j = 0; j < s->vectors; j++) {
                        if (j < whole) k[j] = cameo_load(row + j * CAMEO_VF);
                        if (s->prefetch == CAMEO_FETCH_WEIGHTS)
                            __builtin_prefetch(next + j * CAMEO_VF, 0, 2);
                    }
                    if (rest && !pairs) half_k = *(const cameo_half *)(row + whole * CAMEO_VF);
                    if (s->prefetch == CAMEO_FETCH_INPUT) __builtin_prefetch(next, 0, 2);
                    next += ahead->step;
                    CAMEO_UNROLL
                    for (ptrdiff_t i = 0; i < tn * th * tw; i++) {
                        const float a = cameo_conv_pixel(s, in, x, th, tw, i)[c + q];
                        CAMEO_UNROLL
                        for (ptrdiff_t j = 0; j < whole; j++) acc[i][j] += a * k[j];
                        if (rest && !pairs) half[i] += a * half_k;
                    }
                }
                if (!pairs) continue;
                const float *row = w + whole * CAMEO_VF;
                const cameo_v both = cameo_pair(*(const cameo_half *)row,
                                                *(const cameo_half *)(row + cameo_conv_block(s)));
                CAMEO_UNROLL
                for (ptrdiff_t i = 0; i < tn * th * tw; i++)
                    pair[i] += cameo_splat_pair(cameo_conv_pixel(s, in, x, th, tw, i) + c) * both;
            }
        }
    if (s->prefetch) cameo_conv_advance(s, ahead, next, w);
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < tn * th * tw; i++) {
        const cameo_conv_target at = cameo_conv_at(s, to, i / (th * tw), i / tw % th, i % tw);
        if (rest) acc[i][whole] = cameo_widen(pairs ? cameo_pair_sums(pair[i]) : half[i]);
        cameo_conv_store(s, acc[i], to.slope, at.r, at.y, to.lanes);
    }
}

/* One row of tiles, th pixels high, with a narrower tile at its end where the width leaves a
   remainder. */
CAMEO_INLINE void cameo_conv_tiles(const cameo_conv *s, cameo_conv_source in, cameo_conv_target to,
                                   cameo_conv_ahead *ahead, ptrdiff_t tn, ptrdiff_t th) {
    const ptrdiff_t rest = s->ow % s->tile_w, full = s->ow - rest;
    for (ptrdiff_t t = 0; t < full; t += s->tile_w)
        cameo_conv_tile(s, cameo_conv_from(s, in, 0, 0, t), cameo_conv_at(s, to, 0, 0, t), ahead,
                        tn, th, s->tile_w);
    if (rest)
        cameo_conv_tile(s, cameo_conv_from(s, in, 0, 0, full), cameo_conv_at(s, to, 0, 0, full),
                        ahead, tn, th, rest);
}

/* All pixels of a band of tn images for one block of output channels. */
CAMEO_INLINE void cameo_conv_band(const cameo_conv *s, cameo_conv_source in, cameo_conv_target to,
                                  cameo_conv_ahead *ahead, ptrdiff_t tn, ptrdiff_t rows) {
    ptrdiff_t h = 0;
    for (; h + s->tile_h <= rows; h += s->tile_h)
        cameo_conv_tiles(s, cameo_conv_from(s, in, 0, h, 0), cameo_conv_at(s, to, 0, h, 0), ahead,
                         tn, s->tile_h);
    /* Bands but the last are whole tiles, so what remains is a literal: one flatter tile, which
       reads the weights once more. */
    const ptrdiff_t rest = s->oh % s->rows % s->tile_h;
    if (rest && h < rows)
        cameo_conv_tiles(s, cameo_conv_from(s, in, 0, h, 0), cameo_conv_at(s, to, 0, h, 0), ahead,
                         tn, rest);
}

/* The same of all images of a task; ahead: what to fetch meanwhile. */
CAMEO_INLINE void cameo_conv_images(const cameo_conv *s, cameo_conv_source in, cameo_conv_target to,
                                    cameo_conv_ahead ahead, ptrdiff_t images, ptrdiff_t rows) {
    const ptrdiff_t each = cameo_conv_tile_n(s), rest = s->count % each; /* tasks but the last have
                                                                            whole tiles of images */
    ptrdiff_t n = 0;
    for (; n + each <= images; n += each)
        cameo_conv_band(s, cameo_conv_from(s, in, n, 0, 0), cameo_conv_at(s, to, n, 0, 0), &ahead,
                        each, rows);
    if (rest && n < images)
        cameo_conv_band(s, cameo_conv_from(s, in, n, 0, 0), cameo_conv_at(s, to, n, 0, 0), &ahead,
                        rest, rows);
}

CAMEO_INLINE ptrdiff_t cameo_conv_line_pixel(const cameo_conv *s) {
    return s->line_pixel ? s->line_pixel : s->ci * s->groups;
}

/* Into the line buffer, scaled and activated. */
CAMEO_INLINE void cameo_conv_scale_pixels(const cameo_conv *s, const cameo_conv_args *a,
                                          const float *x, float *line, ptrdiff_t pixels) {
    const cameo_elementwise scale = {.pixels = pixels,
                                     .c = s->ci * s->groups,
                                     .x_pixel = s->x_pixel,
                                     .y_pixel = cameo_conv_line_pixel(s),
                                     .scale = true,
                                     .shift = true,
                                     .act = s->before};
    const cameo_elementwise_args args = {
        .x = x, .scale = a->scale, .shift = a->shift, .y = line, .total = pixels};
    cameo_elementwise_task(&scale, &args, 0);
}

CAMEO_INLINE void cameo_conv_copy_pixels(const cameo_conv *s, const cameo_conv_args *a,
                                         const float *x, float *line, ptrdiff_t pixels) {
    const ptrdiff_t c = s->ci * s->groups, pixel = cameo_conv_line_pixel(s);
    if (s->scaled)
        cameo_conv_scale_pixels(s, a, x, line, pixels);
    else if (s->x_pixel == c && pixel == c)
        memcpy(line, x, (size_t)(pixels * c) * sizeof *line);
    else
        for (ptrdiff_t j = 0; j < pixels; j++)
            memcpy(line + j * pixel, x + j * s->x_pixel, (size_t)c * sizeof *line);
}

/* Pixels [first, first + count) of the column. */
CAMEO_INLINE void cameo_conv_gather(const cameo_conv *s, const float *x, float *line,
                                    ptrdiff_t first, ptrdiff_t count) {
    const cameo_conv_map *m = &s->gather;
    for (ptrdiff_t i = first; i < first + count; i++, line += cameo_conv_line_pixel(s))
        memcpy(line, x + (i / m->ow * m->sh * m->w + i % m->ow * m->sw) * s->x_pixel,
               (size_t)(s->ci * s->groups) * sizeof *line);
}

/* Copies the input rows that output rows [first, first + rows) read into the line buffer, zeros
   around them. */
CAMEO_INLINE void cameo_conv_pad(const cameo_conv *s, const cameo_conv_args *a, const float *x,
                                 float *line, ptrdiff_t first, ptrdiff_t rows) {
    const ptrdiff_t c = cameo_conv_line_pixel(s),
                    pw = (s->ow - 1) * s->sw + (s->kw - 1) * s->dw + 1;
    const ptrdiff_t ph = (rows - 1) * s->sh + (s->kh - 1) * s->dh + 1,
                    inside = cameo_most(0, cameo_least(s->w, pw - s->pl));
    for (ptrdiff_t i = 0; i < ph; i++, line += pw * c) {
        const ptrdiff_t h = first * s->sh - s->pt + i;
        if (h < 0 || h >= s->h) {
            memset(line, 0, (size_t)(pw * c) * sizeof *line);
            continue;
        }
        const float *row = x + h * s->w * s->x_pixel;
        memset(line, 0, (size_t)(s->pl * c) * sizeof *line);
        cameo_conv_copy_pixels(s, a, row, line + s->pl * c, inside);
        const ptrdiff_t done = s->pl + inside;
        memset(line + done * c, 0, (size_t)((pw - done) * c) * sizeof *line);
    }
}

/* Floats of the line buffer that one image's band takes. */
CAMEO_INLINE ptrdiff_t cameo_conv_line(const cameo_conv *s, ptrdiff_t rows) {
    return ((rows - 1) * s->sh + (s->kh - 1) * s->dh + 1) *
           ((s->ow - 1) * s->sw + (s->kw - 1) * s->dw + 1) * cameo_conv_line_pixel(s);
}

/* Where the task's images begin, or their copies in the line buffer. */
CAMEO_INLINE cameo_conv_source cameo_conv_input(const cameo_conv *s, const cameo_conv_args *a,
                                                float *line, ptrdiff_t image, ptrdiff_t images,
                                                ptrdiff_t first, ptrdiff_t rows) {
    const ptrdiff_t stride = s->gather.ow ? s->gather.image : s->h * s->w * s->x_pixel,
                    c = cameo_conv_line_pixel(s);
    const float *x = a->x + image * stride;
    if (!s->padded)
        return (cameo_conv_source){x + first * s->sh * s->w * s->x_pixel, stride, s->w * s->x_pixel,
                                   s->x_pixel};
    const ptrdiff_t copy = cameo_conv_line(s, s->rows);
    for (ptrdiff_t n = 0; n < images; n++)
        if (s->gather.ow)
            cameo_conv_gather(s, x + n * stride, line + n * copy, first, rows);
        else
            cameo_conv_pad(s, a, x + n * stride, line + n * copy, first, rows);
    return (cameo_conv_source){line, copy, ((s->ow - 1) * s->sw + (s->kw - 1) * s->dw + 1) * c, c};
}

CAMEO_INLINE ptrdiff_t cameo_conv_task_images(const cameo_conv *s) {
    return s->count ? s->images : 1;
}
/* Tasks of n images. */
CAMEO_INLINE ptrdiff_t cameo_conv_tasks(const cameo_conv *s, ptrdiff_t n) {
    const ptrdiff_t each = cameo_conv_task_images(s), all = cameo_conv_group_blocks(s) * s->groups;
    return cameo_ceil(n, each) * cameo_ceil(s->oh, s->rows) * cameo_ceil(all, s->blocks);
}

/* A block's weights times the image's gate. */
CAMEO_INLINE const float *cameo_conv_gate(const cameo_conv *s, const float *w, const float *gate,
                                          float *to) {
    const float *made = to;
    for (ptrdiff_t tap = 0; tap < s->kh * s->kw; tap++)
        for (ptrdiff_t c = 0; c < s->ci; c++) {
            CAMEO_UNROLL
            for (ptrdiff_t j = 0; j < s->vectors; j++, w += CAMEO_VF, to += CAMEO_VF)
                cameo_store(to, cameo_load(w) * gate[c]);
        }
    return made;
}

/* Blocks [q, end) of output channels of a band of `rows` rows; in, out: the first channel of the
   band's first pixel. gate: of the image; room: for its weights. */
CAMEO_INLINE void cameo_conv_blocks(const cameo_conv *s, const cameo_conv_args *a,
                                    cameo_conv_source in, cameo_conv_target out, ptrdiff_t q,
                                    ptrdiff_t end, ptrdiff_t images, ptrdiff_t rows,
                                    const float *gate, float *room) {
    const ptrdiff_t per_group = cameo_conv_group_blocks(s), block = cameo_conv_block(s);
    for (ptrdiff_t first = q; q < end; q++) {
        const ptrdiff_t group = q / per_group, co = q % per_group * block,
                        channel = group * s->co + co;
        const cameo_conv_source from = {in.x + group * s->ci, in.image, in.row, in.pixel};
        const float *w = a->w + q * s->kh * s->kw * s->ci * block;
        cameo_conv_target to = {w,    a->b + q * block, a->slope, out.y + channel, out.r + channel,
                                block};
        if (s->act.kind == CAMEO_PRELU) to.slope += q * block;
        const cameo_conv_ahead ahead = cameo_conv_fetch(s, from.x, w, q == first && !s->gate);
        if (s->gate) to.w = cameo_conv_gate(s, w, gate, room);
        if (co + block <= s->co) {
            cameo_conv_images(s, from, to, ahead, images, rows);
        } else {
            to.lanes = s->co % block;
            cameo_conv_images(s, from, to, ahead, images, rows);
        }
    }
}

/* Task i of a grid [images][band][chunk of channel blocks]. line: the line buffer when s->padded,
   and the room when s->gate. */
CAMEO_INLINE void cameo_conv_task(const cameo_conv *s, const cameo_conv_args *a, size_t i,
                                  float *line) {
    const ptrdiff_t all = cameo_conv_group_blocks(s) * s->groups;
    const ptrdiff_t bands = cameo_ceil(s->oh, s->rows), chunks = cameo_ceil(all, s->blocks),
                    t = (ptrdiff_t)i;
    const ptrdiff_t image = t / (bands * chunks) * cameo_conv_task_images(s),
                    band = t / chunks % bands, chunk = t % chunks;
    const ptrdiff_t first = band * s->rows, rows = cameo_least(s->rows, s->oh - first);
    const ptrdiff_t images = s->count ? cameo_least(s->images, s->count - image) : 1;
    const cameo_conv_source in = cameo_conv_input(s, a, line, image, images, first, rows);
    const cameo_conv_target begin = {.y = a->y, .r = s->r_pixel ? a->r : a->y};
    const ptrdiff_t end = cameo_least(all, (chunk + 1) * s->blocks);
    cameo_conv_blocks(s, a, in, cameo_conv_at(s, begin, image, first, 0), chunk * s->blocks, end,
                      images, rows, s->gate ? a->gate + image * s->gate : NULL,
                      s->padded ? line + cameo_conv_line(s, s->rows) : line);
}
#endif
