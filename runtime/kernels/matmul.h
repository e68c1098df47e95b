/* Matrix products of operands that only the run knows: fully connected layers in training.
   Row-major, as ONNX has them.

   a b^T (forward): a, the few rows of the batch, is packed once as [panel of 2 vectors of
   rows][k][2 vectors]; the product is then made transposed, register tiles of rows of b by panels,
   so that b, the big operand, is read along its rows as it is. a b (the input's gradient): a strip
   of b, CAMEO_MATMUL_STRIP columns, is packed block by block of k as [pair of vectors][k] and
   multiplied by tiles of rows of a. a^T b (the weights' gradient): k is the batch; the strip of b
   is packed, and a by tiles. Tiles have few rows: rows a power of two apart share a set of the
   first-level cache. What comes next of the big operand is fetched ahead. Each element adds its
   products in the same order whatever the number of rows and tasks. */
#ifndef CAMEO_KERNELS_MATMUL_H
#define CAMEO_KERNELS_MATMUL_H
#include "vector.h"

typedef struct cameo_matmul_args {
    const float *a, *b, *bias; /* bias: n numbers or NULL */
    float *y;
    ptrdiff_t rows;
    float *packed; /* a b^T: the panels of a */
} cameo_matmul_args;

#if CAMEO_VF == 16 || defined(__aarch64__)
enum { CAMEO_MATMUL_TILE = 8, CAMEO_MATMUL_TALL = 14 }; /* rows: read as they are, packed */
#else
enum { CAMEO_MATMUL_TILE = 5, CAMEO_MATMUL_TALL = 6 };
#endif
enum {
    CAMEO_MATMUL_BLOCK = 256,
    CAMEO_MATMUL_STRIP = 16 * CAMEO_VF,
    CAMEO_MATMUL_PAIR = 2 * CAMEO_VF
};
enum {
    CAMEO_MATMUL_DEPTH = 512,
    CAMEO_MATMUL_COLUMNS = 8 * CAMEO_MATMUL_TILE
};                               /* of a b^T: of a block, of a task */
enum { CAMEO_MATMUL_LINE = 16 }; /* floats of a line of the cache */

/* A register tile: rows of p[i * row + k * step] by a pair of vectors at q, q + 2 vectors ...;
   ahead: `fetch` lines a row, rows `next` apart, one line with each k. */
typedef struct cameo_matmul_ahead {
    const float *at;
    ptrdiff_t next, lines;
} cameo_matmul_ahead;

CAMEO_INLINE void cameo_matmul_product(cameo_v acc[][2], const float *p, ptrdiff_t row,
                                       ptrdiff_t step, const float *q, cameo_matmul_ahead f,
                                       ptrdiff_t depth, ptrdiff_t rows) {
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < rows; i++) acc[i][0] = acc[i][1] = (cameo_v){0};
    for (ptrdiff_t k = 0; k < depth; k++, q += CAMEO_MATMUL_PAIR) {
        const cameo_v b0 = cameo_load(q), b1 = cameo_load(q + CAMEO_VF);
        if (f.at)
            __builtin_prefetch(f.at + k / f.lines * f.next + k % f.lines * CAMEO_MATMUL_LINE, 0, 2);
        CAMEO_UNROLL
        for (ptrdiff_t i = 0; i < rows; i++) {
            const float x = p[i * row + k * step];
            acc[i][0] += x * b0, acc[i][1] += x * b1;
        }
    }
}

/* ---- a b^T ---- */

/* Rows of a in whole panels, and what packing them takes. */
CAMEO_INLINE ptrdiff_t cameo_matmul_panels(ptrdiff_t rows) {
    return cameo_ceil(rows, CAMEO_MATMUL_PAIR);
}

/* Task i of the first phase: columns of a, CAMEO_MATMUL_DEPTH of them, into panels. */
CAMEO_INLINE void cameo_matmul_panel_task(const cameo_matmul *s, const cameo_matmul_args *a,
                                          size_t i) {
    const ptrdiff_t first = (ptrdiff_t)i * CAMEO_MATMUL_DEPTH,
                    end = cameo_least(s->k, first + CAMEO_MATMUL_DEPTH);
    for (ptrdiff_t panel = 0; panel < cameo_matmul_panels(a->rows); panel++) {
        float *to = a->packed + panel * s->k * CAMEO_MATMUL_PAIR;
        for (ptrdiff_t r = 0; r < CAMEO_MATMUL_PAIR; r++) {
            const ptrdiff_t m = panel * CAMEO_MATMUL_PAIR + r;
            for (ptrdiff_t k = first; k < end; k++)
                to[k * CAMEO_MATMUL_PAIR + r] = m < a->rows ? a->a[m * s->k + k] : 0.0f;
        }
    }
}

/* Adds rows of b by one panel to y^T, rows of CAMEO_MATMUL_PAIR. */
CAMEO_INLINE void cameo_matmul_abt_tile(const cameo_matmul *s, const float *b, const float *panel,
                                        float *yt, cameo_matmul_ahead f, ptrdiff_t depth,
                                        ptrdiff_t rows) {
    cameo_v acc[CAMEO_MATMUL_TILE][2];
    cameo_matmul_product(acc, b, s->k, 1, panel, f, depth, rows);
    CAMEO_UNROLL
    for (ptrdiff_t i = 0; i < rows; i++, yt += CAMEO_MATMUL_PAIR) {
        cameo_store(yt, cameo_load(yt) + acc[i][0]);
        cameo_store(yt + CAMEO_VF, cameo_load(yt + CAMEO_VF) + acc[i][1]);
    }
}

/* One panel of rows of y for columns [first, end). */
CAMEO_INLINE void cameo_matmul_abt_store(const cameo_matmul *s, const cameo_matmul_args *a,
                                         const float *yt, ptrdiff_t panel, ptrdiff_t first,
                                         ptrdiff_t end) {
    const ptrdiff_t m0 = panel * CAMEO_MATMUL_PAIR,
                    rows = cameo_least(CAMEO_MATMUL_PAIR, a->rows - m0);
    for (ptrdiff_t m = 0; m < rows; m++)
        for (ptrdiff_t j = first; j < end; j++)
            a->y[(m0 + m) * s->n + j] = yt[(j - first) * CAMEO_MATMUL_PAIR + m] +
                                        (a->bias ? a->bias[j] : 0.0f);
}

/* Task i of the second: CAMEO_MATMUL_COLUMNS columns of y, i.e. rows of b; yt: as many floats for
   every row of whole panels. */
CAMEO_INLINE void cameo_matmul_abt_task(const cameo_matmul *s, const cameo_matmul_args *a, size_t i,
                                        float *yt) {
    const ptrdiff_t first = (ptrdiff_t)i * CAMEO_MATMUL_COLUMNS,
                    end = cameo_least(s->n, first + CAMEO_MATMUL_COLUMNS);
    const ptrdiff_t panels = cameo_matmul_panels(a->rows),
                    size = CAMEO_MATMUL_COLUMNS * CAMEO_MATMUL_PAIR;
    memset(yt, 0, (size_t)(panels * size) * sizeof *yt);
    for (ptrdiff_t k = 0; k < s->k; k += CAMEO_MATMUL_DEPTH) {
        const ptrdiff_t depth = cameo_least(CAMEO_MATMUL_DEPTH, s->k - k);
        for (ptrdiff_t j = first; j < end; j += CAMEO_MATMUL_TILE)
            for (ptrdiff_t panel = 0; panel < panels; panel++) {
                const float *b = a->b + j * s->k + k,
                            *x = a->packed + (panel * s->k + k) * CAMEO_MATMUL_PAIR;
                float *to = yt + panel * size + (j - first) * CAMEO_MATMUL_PAIR;
                cameo_matmul_ahead f = {NULL, s->k, CAMEO_MATMUL_DEPTH / CAMEO_MATMUL_LINE};
                if (panel == 0 && j + 2 * CAMEO_MATMUL_TILE <= end)
                    f.at = b + CAMEO_MATMUL_TILE * s->k;
                if (panel == 0 && !f.at && k + depth < s->k) f.at = a->b + first * s->k + k + depth;
                if (j + CAMEO_MATMUL_TILE <= end)
                    cameo_matmul_abt_tile(s, b, x, to, f, depth, CAMEO_MATMUL_TILE);
                else
                    cameo_matmul_abt_tile(s, b, x, to, f, depth, s->n % CAMEO_MATMUL_TILE);
            }
    }
    for (ptrdiff_t panel = 0; panel < panels; panel++)
        cameo_matmul_abt_store(s, a, yt + panel * size, panel, first, end);
}

/* ---- a b and a^T b ---- */

/* Floats of a packed pair: a little more than its rows, so that pairs do not share a set of the
   cache. */
enum { CAMEO_MATMUL_PAIR_FLOATS = (CAMEO_MATMUL_BLOCK + 1) * CAMEO_MATMUL_PAIR };
enum {
    CAMEO_MATMUL_STRIP_FLOATS = CAMEO_MATMUL_STRIP / CAMEO_MATMUL_PAIR * CAMEO_MATMUL_PAIR_FLOATS
};

/* Rows of a strip of b as [pair][row][2 vectors], zeros behind the last column. */
CAMEO_INLINE void cameo_matmul_pack(const cameo_matmul *s, const float *b, float *p,
                                    ptrdiff_t depth, ptrdiff_t columns) {
    for (ptrdiff_t k = 0; k < depth; k++, b += s->n, p += CAMEO_MATMUL_PAIR)
        for (ptrdiff_t c = 0; c < columns; c += CAMEO_VF) {
            float *to = p + c / CAMEO_MATMUL_PAIR * CAMEO_MATMUL_PAIR_FLOATS +
                        c % CAMEO_MATMUL_PAIR;
            if (c + CAMEO_VF <= columns)
                cameo_store(to, cameo_load(b + c));
            else
                cameo_store(to, cameo_load_part(b + c, s->n % CAMEO_VF));
        }
}

/* y = bias + v when first, else y += v; of one vector with `lanes` columns. */
CAMEO_INLINE void cameo_matmul_store(float *y, cameo_v v, const float *bias, ptrdiff_t lanes,
                                     bool first) {
    if (!first)
        v += cameo_load_part(y, lanes);
    else if (bias)
        v += cameo_load_part(bias, lanes);
    cameo_store_part(y, v, lanes);
}

/* `rows` rows of one pair: a[i * row + k * step]. */
CAMEO_INLINE void cameo_matmul_tile(const cameo_matmul *s, const float *a, ptrdiff_t row,
                                    ptrdiff_t step, const float *p, const float *bias, float *y,
                                    cameo_matmul_ahead f, ptrdiff_t depth, ptrdiff_t rows,
                                    ptrdiff_t columns, bool first) {
    cameo_v acc[CAMEO_MATMUL_TALL][2];
    cameo_matmul_product(acc, a, row, step, p, f, depth, rows);
    for (ptrdiff_t j = 0; j < 2; j++, bias += bias ? CAMEO_VF : 0) {
        const ptrdiff_t lanes = columns - j * CAMEO_VF;
        if (lanes <= 0) continue;
        CAMEO_UNROLL
        for (ptrdiff_t i = 0; i < rows; i++) {
            float *to = y + i * s->n + j * CAMEO_VF;
            if (lanes >= CAMEO_VF)
                cameo_matmul_store(to, acc[i][j], bias, CAMEO_VF, first);
            else
                cameo_matmul_store(to, acc[i][j], bias, s->n % CAMEO_VF, first);
        }
    }
}

/* Rows of y [m, m + rows) of a packed strip; ahead: the strip's next rows in memory, of which tile
   t fetches its share. */
CAMEO_INLINE ptrdiff_t cameo_matmul_rows(const cameo_matmul *s, const cameo_matmul_args *a,
                                         const float *x, ptrdiff_t row, ptrdiff_t step,
                                         const float *p, ptrdiff_t m, ptrdiff_t c,
                                         const float *ahead, ptrdiff_t done, ptrdiff_t depth,
                                         ptrdiff_t rows, ptrdiff_t columns, bool first) {
    enum { LINES = CAMEO_MATMUL_STRIP / CAMEO_MATMUL_LINE };
    for (ptrdiff_t q = 0; q < columns; q += CAMEO_MATMUL_PAIR, done += depth / LINES) {
        const cameo_matmul_ahead f = {ahead && done < depth ? ahead + done * s->n : NULL, s->n,
                                      LINES};
        cameo_matmul_tile(s, x, row, step, p + q / CAMEO_MATMUL_PAIR * CAMEO_MATMUL_PAIR_FLOATS,
                          a->bias ? a->bias + c + q : NULL, a->y + m * s->n + c + q, f, depth, rows,
                          columns - q, first);
    }
    return done;
}

/* Task i: a strip of columns of y = a b. strip: CAMEO_MATMUL_STRIP_FLOATS floats. */
CAMEO_INLINE void cameo_matmul_ab_task(const cameo_matmul *s, const cameo_matmul_args *a, size_t i,
                                       float *strip) {
    const ptrdiff_t c = (ptrdiff_t)i * CAMEO_MATMUL_STRIP,
                    columns = cameo_least(CAMEO_MATMUL_STRIP, s->n - c);
    for (ptrdiff_t k = 0; k < s->k; k += CAMEO_MATMUL_BLOCK) {
        const ptrdiff_t depth = cameo_least(CAMEO_MATMUL_BLOCK, s->k - k);
        const float *b = a->b + k * s->n + c, *x = a->a + k,
                    *ahead = k + depth < s->k ? b + depth * s->n : NULL;
        cameo_matmul_pack(s, b, strip, depth, columns);
        ptrdiff_t m = 0, done = 0;
        for (; m + s->tile <= a->rows; m += s->tile)
            done = cameo_matmul_rows(s, a, x + m * s->k, s->k, 1, strip, m, c, ahead, done, depth,
                                     s->tile, columns, k == 0);
        for (; m + 2 <= a->rows; m += 2)
            done = cameo_matmul_rows(s, a, x + m * s->k, s->k, 1, strip, m, c, ahead, done, depth,
                                     2, columns, k == 0);
        for (; m < a->rows; m++)
            done = cameo_matmul_rows(s, a, x + m * s->k, s->k, 1, strip, m, c, ahead, done, depth,
                                     1, columns, k == 0);
    }
}

/* Task i: a strip of columns of y = a^T b. strip as above. */
CAMEO_INLINE void cameo_matmul_atb_task(const cameo_matmul *s, const cameo_matmul_args *a, size_t i,
                                        float *strip) {
    float tile[CAMEO_MATMUL_TALL * CAMEO_MATMUL_BLOCK];
    const ptrdiff_t c = (ptrdiff_t)i * CAMEO_MATMUL_STRIP,
                    columns = cameo_least(CAMEO_MATMUL_STRIP, s->n - c);
    for (ptrdiff_t k = 0; k < s->k; k += CAMEO_MATMUL_BLOCK) {
        const ptrdiff_t depth = cameo_least(CAMEO_MATMUL_BLOCK, s->k - k),
                        whole = s->m / s->tile * s->tile;
        cameo_matmul_pack(s, a->b + k * s->n + c, strip, depth, columns);
        for (ptrdiff_t m = 0; m < whole; m += s->tile) {
            for (ptrdiff_t j = 0; j < depth; j++)
                memcpy(tile + j * s->tile, a->a + (k + j) * s->m + m,
                       (size_t)s->tile * sizeof *tile);
            cameo_matmul_rows(s, a, tile, 1, s->tile, strip, m, c, NULL, 0, depth, s->tile, columns,
                              k == 0);
        }
        if (whole < s->m)
            cameo_matmul_rows(s, a, a->a + k * s->m + whole, 1, s->m, strip, whole, c, NULL, 0,
                              depth, s->m % s->tile, columns, k == 0);
    }
}
#endif
