/* A depthwise convolution and the 1x1 convolution behind it (a depthwise-separable pair), and
   often the one before it (an inverted residual), a strip of rows at a time: what stands between
   them is as large as a few rows, is used while it is in a near cache and never reaches memory.
   The three are the same kernels as when they run alone, on fewer rows, so results are the same to
   the bit.

   A task computes a band of output rows of one image. The depthwise window needs rows of the strip
   before: those are kept, and moved to the front of their buffer; only a band's first strip
   computes them again. Of the pointwise convolutions a tile is part of one row (tile_h = 1), so
   that any number of rows is whole tiles. */
#ifndef CAMEO_KERNELS_STRIP_CONV_H
#define CAMEO_KERNELS_STRIP_CONV_H
#include "depthwise_conv.h"
#include "direct_conv.h"

typedef struct cameo_strips {
    const cameo_conv *expand;         /* 1x1 of stride 1, no residual; NULL: x is what the depthwise
                                         convolution reads */
    const cameo_depthwise *depthwise; /* no residual */
    const cameo_conv *project;        /* 1x1 of stride 1 */
    ptrdiff_t rows;                   /* output rows of a strip */
} cameo_strips;

typedef struct cameo_strips_args {
    cameo_conv_args expand; /* expand.x, or depthwise.x without it, is what is read; project.r and
                               project.y what is written */
    cameo_depthwise_args depthwise;
    cameo_conv_args project;
    size_t bands; /* of an image */
} cameo_strips_args;

/* Rows that the depthwise convolution keeps of its input: the buffer's. */
#define CAMEO_STRIP_WINDOW(rows, sh, kh, dh) (((rows)-1) * (sh) + ((kh)-1) * (dh) + 1)

/* Bands of an image: one where there are images enough for all threads, since each costs some rows
   twice. */
CAMEO_INLINE size_t cameo_strip_bands(int threads, size_t images, size_t strips) {
    const size_t all = (size_t)(threads > 1 ? threads : 1), bands = images % all ? all : 1;
    return bands < strips ? bands : strips;
}

/* 1x1: input rows to as many output rows. */
CAMEO_INLINE void cameo_strip_pointwise(const cameo_conv *s, const cameo_conv_args *a,
                                        const float *x, const float *r, float *y, ptrdiff_t rows) {
    const cameo_conv_source in = {x, 0, s->w * s->x_pixel, s->x_pixel};
    const cameo_conv_target out = {.y = y, .r = s->r_pixel ? r : y};
    cameo_conv_blocks(s, a, in, out, 0, cameo_conv_group_blocks(s), 1, rows, NULL, NULL);
}

/* What is there of the expanded rows: [base, end), base at the buffer's start. */
typedef struct cameo_strip_rows {
    ptrdiff_t base, end;
} cameo_strip_rows;

/* Makes the buffer hold the rows [first, last): keeps what it has of them and computes the rest
   from the image x. */
CAMEO_INLINE cameo_strip_rows cameo_strip_expand(const cameo_strips *s, const cameo_conv_args *a,
                                                 const float *x, float *buffer,
                                                 cameo_strip_rows have, ptrdiff_t first,
                                                 ptrdiff_t last) {
    const cameo_conv *e = s->expand;
    const ptrdiff_t row = e->ow * e->y_pixel, kept = cameo_most(0, have.end - first);
    memmove(buffer, buffer + (have.end - kept - have.base) * row,
            (size_t)(kept * row) * sizeof *buffer);
    if (first + kept < last)
        cameo_strip_pointwise(e, a, x + (first + kept) * e->w * e->x_pixel, NULL,
                              buffer + kept * row, last - first - kept);
    return (cameo_strip_rows){first, cameo_most(last, first + kept)};
}

/* Task i: [image][band]. expanded: CAMEO_STRIP_WINDOW rows (none without expand), middle: s->rows
   rows of the depthwise convolution's input and output. */
CAMEO_INLINE void cameo_strips_task(const cameo_strips *s, const cameo_strips_args *a, size_t i,
                                    float *expanded, float *middle) {
    const cameo_depthwise *d = s->depthwise;
    const cameo_conv *p = s->project;
    const ptrdiff_t image = (ptrdiff_t)(i / a->bands), band = (ptrdiff_t)(i % a->bands),
                    bands = (ptrdiff_t)a->bands;
    const ptrdiff_t strips = cameo_ceil(d->oh, s->rows), in_row = d->w * d->x_pixel,
                    row = d->ow * d->y_pixel;
    const ptrdiff_t end = cameo_least(d->oh, strips * (band + 1) / bands * s->rows);
    const float *x = s->expand ? a->expand.x + image * d->h * d->w * s->expand->x_pixel
                               : a->depthwise.x + image * d->h * in_row;
    cameo_strip_rows have = {0, 0};
    for (ptrdiff_t o = strips * band / bands * s->rows; o < end; o += s->rows) {
        const ptrdiff_t rows = cameo_least(s->rows, end - o),
                        first = cameo_most(0, o * d->sh - d->pt);
        const ptrdiff_t last = cameo_least(d->h, o * d->sh - d->pt +
                                                     CAMEO_STRIP_WINDOW(rows, d->sh, d->kh, d->dh));
        if (s->expand)
            have = cameo_strip_expand(s, &a->expand, x, expanded, have, first,
                                      cameo_most(first, last));
        const float *from = s->expand ? expanded - have.base * in_row : x;
        cameo_depthwise_rows(d, &a->depthwise, from, middle, middle - o * row, o, rows);
        const ptrdiff_t at = (image * d->oh + o) * d->ow;
        const float *r = p->r_pixel ? a->project.r + at * p->r_pixel : NULL;
        cameo_strip_pointwise(p, &a->project, middle, r, a->project.y + at * p->y_pixel, rows);
    }
}
#endif
