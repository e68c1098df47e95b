/* Every kernel template against a plain reference in double, over literal shapes with odd sizes
   and channels, strides, dilations, pads, slices, residuals and activations; guard floats around
   the output. Allowed: |error| <= c * sum |x||w| + activation's own error, c from the table below.
   Which vector width is tested depends on the flags this file is compiled with. */
#include "kernel_case.h"

/* The table of c. Sums of n products in float grow like sqrt(n) in practice; these hold to n =
   5000. */
static const double c_conv = 1e-6, c_depthwise = 1e-6, c_gemm = 1e-6, c_pool = 1e-6,
                    c_elementwise = 4e-7;

/* ---- convolution ---- */

static void pack_conv(const cameo_conv *s, const float *w, const float *b, const float *slope,
                      float *pw, float *pb, float *ps) {
    const ptrdiff_t block = s->vectors * CAMEO_VF, padded = up(s->co, block), taps = s->kh * s->kw;
    memset(pw, 0, (size_t)(s->groups * padded * taps * s->ci) * sizeof *pw);
    memset(pb, 0, (size_t)(s->groups * padded) * sizeof *pb),
        memset(ps, 0, (size_t)(s->groups * padded) * sizeof *ps);
    for (ptrdiff_t g = 0; g < s->groups; g++)
        for (ptrdiff_t o = 0; o < s->co; o++) {
            pb[g * padded + o] = b[g * s->co + o], ps[g * padded + o] = slope[g * s->co + o];
            for (ptrdiff_t t = 0; t < taps; t++)
                for (ptrdiff_t i = 0; i < s->ci; i++)
                    pw[(((g * (padded / block) + o / block) * taps + t) * s->ci + i) * block +
                       o % block] = w[((g * s->co + o) * s->ci + i) * taps + t];
        }
}

/* One output before bias; *magnitude: sum |x||w|. */
static double conv_at(const cameo_conv *s, const float *x, const float *w, ptrdiff_t n, ptrdiff_t h,
                      ptrdiff_t wo, ptrdiff_t channel, double *magnitude) {
    const ptrdiff_t g = channel / s->co;
    double sum = 0;
    for (ptrdiff_t i = 0; i < s->kh; i++)
        for (ptrdiff_t j = 0; j < s->kw; j++) {
            const ptrdiff_t y = h * s->sh - s->pt + i * s->dh, z = wo * s->sw - s->pl + j * s->dw;
            if (y < 0 || y >= s->h || z < 0 || z >= s->w) continue;
            for (ptrdiff_t c = 0; c < s->ci; c++) {
                const double p = (double)
                                     x[((n * s->h + y) * s->w + z) * s->x_pixel + g * s->ci + c] *
                                 (double)w[((channel * s->ci + c) * s->kh + i) * s->kw + j];
                sum += p, *magnitude += fabs(p);
            }
        }
    return sum;
}

static void check_conv(const cameo_conv *s, const cameo_conv_args *a, const float *w,
                       const float *b, const float *slope) {
    const ptrdiff_t channels = s->co * s->groups;
    for (ptrdiff_t p = 0; p < IMAGES * s->oh * s->ow; p++) {
        for (ptrdiff_t o = 0; o < channels; o++) {
            double magnitude = fabs((double)b[o]);
            double v = conv_at(s, a->x, w, p / (s->oh * s->ow), p / s->ow % s->oh, p % s->ow, o,
                               &magnitude) +
                       (double)b[o];
            if (s->r_pixel)
                v += (double)a->r[p * s->r_pixel + o],
                    magnitude += fabs((double)a->r[p * s->r_pixel + o]);
            check((double)a->y[p * s->y_pixel + o], activate(&s->act, v, (double)slope[o]),
                  c_conv * magnitude);
        }
        for (ptrdiff_t o = channels; o < s->y_pixel; o++)
            assert_true(a->y[p * s->y_pixel + o] == guard_value);
    }
}

/* What a scaled or gated convolution convolves. */
static float *changed_input(const cameo_conv *s, const cameo_conv_args *a) {
    const ptrdiff_t pixels = IMAGES * s->h * s->w, channels = s->ci * s->groups;
    float *x = floats(pixels * s->x_pixel);
    for (ptrdiff_t p = 0; p < pixels; p++)
        for (ptrdiff_t c = 0; c < channels; c++) {
            const double v = (double)a->x[p * s->x_pixel + c];
            const double gate = s->gate ? (double)a->gate[p / (s->h * s->w) * s->gate + c] : 0;
            x[p * s->x_pixel + c] =
                (float)(s->gate ? v * gate
                                : activate(&s->before,
                                           v * (double)a->scale[c] + (double)a->shift[c], 0));
        }
    return x;
}

static void test_one_conv(const cameo_conv *s, void (*task)(void *, size_t)) {
    const ptrdiff_t block = s->vectors * CAMEO_VF, padded = up(s->co, block),
                    channels = s->co * s->groups, taps = s->kh * s->kw;
    const ptrdiff_t yn = IMAGES * s->oh * s->ow * s->y_pixel, all = padded / block * s->groups;
    float *x = inputs(IMAGES * s->h * s->w * s->x_pixel), *w = floats(channels * s->ci * taps),
          *b = floats(channels), *slope = floats(channels);
    float *r = floats(IMAGES * s->oh * s->ow * s->r_pixel), *y = guarded(yn);
    float *pw = floats(s->groups * padded * taps * s->ci), *pb = floats(s->groups * padded),
          *ps = floats(s->groups * padded);
    pack_conv(s, w, b, slope, pw, pb, ps);
    float *scale = floats(up(s->ci * s->groups, CAMEO_VF)),
          *shift = floats(up(s->ci * s->groups, CAMEO_VF));
    float *gate = floats(IMAGES * s->gate);
    cameo_conv_args a = {x, pw, pb, ps, r, y, scale, shift, gate};
    const ptrdiff_t tasks = IMAGES * ((s->oh + s->rows - 1) / s->rows) *
                            ((all + s->blocks - 1) / s->blocks);
    for (ptrdiff_t i = tasks - 1; i >= 0; i--) task(&a, (size_t)i);
    check_guards(y, yn);
    float *seen = s->scaled || s->gate ? changed_input(s, &a) : NULL;
    if (seen) a.x = seen;
    check_conv(s, &a, w, b, slope);
    free(x), free(w), free(b), free(slope), free(r), free(y - GUARD), free(pw), free(pb), free(ps);
    free(scale), free(shift), free(gate), free(seen);
}

#define OUT(H, K, S, D, P0, P1) (((H) + (P0) + (P1) - ((K)-1) * (D)-1) / (S) + 1)
#define CONV(NAME, H, W, CI, CO, G, KH, KW, S, D, P, EXTRA, R, TH, TW, V, ROWS, BLOCKS, ...) \
    static void NAME(void **state) {                                                         \
        (void)state;                                                                         \
        WITHOUT_AND_WITH_ODD(test_one_conv(&NAME##_shape, NAME##_task));                     \
    }
#define SHAPE(NAME, H, W, CI, CO, G, KH, KW, S, D, P, EXTRA, R, TH, TW, V, ROWS, BLOCKS, ...) \
    static const cameo_conv NAME##_shape = {.h = H,                                           \
                                            .w = W,                                           \
                                            .ci = CI,                                         \
                                            .oh = OUT(H, KH, S, D, P, P),                     \
                                            .ow = OUT(W, KW, S, D, P, P),                     \
                                            .co = CO,                                         \
                                            .groups = G,                                      \
                                            .kh = KH,                                         \
                                            .kw = KW,                                         \
                                            .sh = S,                                          \
                                            .sw = S,                                          \
                                            .dh = D,                                          \
                                            .dw = D,                                          \
                                            .pt = P,                                          \
                                            .pl = P,                                          \
                                            .x_pixel = CI * G + EXTRA,                        \
                                            .y_pixel = CO * G + EXTRA,                        \
                                            .r_pixel = R ? CO * G : 0,                        \
                                            .tile_h = TH,                                     \
                                            .tile_w = TW,                                     \
                                            .vectors = V,                                     \
                                            .rows = ROWS,                                     \
                                            .blocks = BLOCKS,                                 \
                                            .prefetch = CI % 3, /* every kind */              \
                                            .padded = P > 0,                                  \
                                            .act = __VA_ARGS__};                              \
    static void NAME##_task(void *a, size_t i) {                                              \
        float line[((ROWS - 1) * S + (KH - 1) * D + 1) *                                      \
                   ((OUT(W, KW, S, D, P, P) - 1) * S + (KW - 1) * D + 1) * CI * G];           \
        cameo_conv_task(&NAME##_shape, a, i, line);                                           \
    }
#define CONVS(X)                                                                                   \
    X(conv_3x3, 14, 14, 16, 33, 1, 3, 3, 1, 1, 1, 0, 0, 1, 14, 2, 4, 1, {CAMEO_RELU, 0, 0})        \
    X(conv_3x3_tile_2x7, 7, 7, 12, 64, 1, 3, 3, 1, 1, 1, 0, 1, 2, 7, 2, 8, 2, {CAMEO_PRELU, 0, 0}) \
    X(conv_stem, 23, 21, 3, 24, 1, 7, 7, 2, 1, 3, 0, 0, 1, 4, 2, 5, 1, {CAMEO_CLIP, 0, 6})         \
    X(conv_1x1, 13, 11, 37, 50, 1, 1, 1, 1, 1, 0, 0, 1, 1, 6, 2, 3, 9, {CAMEO_NONE, 0, 0})         \
    X(conv_1x1_column, 49, 1, 38, 100, 1, 1, 1, 1, 1, 0, 0, 1, 6, 1, 4, 18, 2, {CAMEO_RELU, 0, 0}) \
    X(conv_1x1_weights, 31, 1, 37, 88, 1, 1, 1, 1, 1, 0, 0, 0, 4, 1, 3, 32, 9,                     \
      {CAMEO_PRELU, 0, 0})                                                                         \
    X(conv_1x1_slices, 5, 9, 19, 8, 1, 1, 1, 1, 1, 0, 5, 0, 2, 3, 1, 4, 1, {CAMEO_LEAKY, 0.1f, 0}) \
    X(conv_1x1_stride_2, 9, 9, 20, 40, 1, 1, 1, 2, 1, 0, 0, 0, 1, 5, 1, 5, 2,                      \
      {CAMEO_SIGMOID, 0, 0})                                                                       \
    X(conv_pairs, 9, 8, 22, 40, 1, 3, 3, 1, 1, 1, 0, 1, 1, 4, 3, 4, 1, {CAMEO_RELU, 0, 0})         \
    X(conv_pairs_2, 9, 7, 14, 8, 2, 3, 1, 2, 1, 0, 3, 0, 2, 2, 1, 3, 1, {CAMEO_RELU, 0, 0})        \
    X(conv_dilated, 15, 13, 6, 17, 1, 3, 3, 1, 2, 2, 3, 0, 1, 13, 1, 3, 1,                         \
      {CAMEO_HARDSWISH, 0, 0})                                                                     \
    X(conv_5x3, 10, 12, 7, 5, 1, 5, 3, 2, 1, 1, 0, 0, 1, 4, 1, 2, 1, {CAMEO_SILU, 0, 0})           \
    X(conv_grouped, 8, 8, 5, 18, 3, 3, 3, 1, 1, 1, 2, 1, 1, 4, 2, 3, 1, {CAMEO_TANH, 0, 0})        \
    X(conv_no_pad, 6, 7, 9, 16, 2, 3, 3, 1, 1, 0, 0, 0, 1, 5, 1, 2, 3,                             \
      {CAMEO_HARDSIGMOID, 0.2f, 0.5f})
CONVS(SHAPE)
CONVS(CONV)

/* The same convolution as one that reads in place, by another way, must give the same bits: a line
   buffer with room between its pixels, and the pixels of a stride gathered into a column. */
static void same_conv(const cameo_conv *a, void (*task_a)(void *, size_t), const cameo_conv *b,
                      void (*task_b)(void *, size_t), ptrdiff_t pixels) {
    const ptrdiff_t block = a->vectors * CAMEO_VF, padded = up(a->co, block),
                    yn = IMAGES * pixels * a->y_pixel;
    float *x = floats(IMAGES * a->h * a->w * a->x_pixel),
          *w = floats(padded * a->kh * a->kw * a->ci), *bias = floats(padded);
    float *y = guarded(yn), *z = guarded(yn);
    cameo_conv_args args = {.x = x, .w = w, .b = bias, .y = y};
    for (ptrdiff_t i = 0; i < cameo_conv_tasks(a, IMAGES); i++) task_a(&args, (size_t)i);
    args.y = z;
    for (ptrdiff_t i = cameo_conv_tasks(b, IMAGES) - 1; i >= 0; i--) task_b(&args, (size_t)i);
    check_guards(z, yn);
    assert_memory_equal(y, z, (size_t)yn * sizeof *y);
    free(x), free(w), free(bias), free(y - GUARD), free(z - GUARD);
}

#define TASK(NAME, FLOATS)                          \
    static void NAME##_task(void *a, size_t i) {    \
        float line[FLOATS];                         \
        cameo_conv_task(&NAME##_shape, a, i, line); \
    }
#define SPREAD(...)                                                                           \
    {                                                                                         \
        .h = 11, .w = 9, .ci = 21, .oh = 6, .ow = 5, .co = 40, .groups = 1, .kh = 3, .kw = 3, \
        .sh = 2, .sw = 2, .dh = 1, .dw = 1, .pt = 1, .pl = 1, .x_pixel = 24, .y_pixel = 41,   \
        .tile_h = 1, .tile_w = 4, .vectors = 2, .padded = true, .act = {CAMEO_RELU, 0, 0},    \
        __VA_ARGS__                                                                           \
    }
#define POINTWISE(...)                                                                      \
    {                                                                                       \
        .ci = 21, .co = 40, .groups = 1, .kh = 1, .kw = 1, .dh = 1, .dw = 1, .x_pixel = 24, \
        .y_pixel = 41, .vectors = 2, .act = {CAMEO_RELU, 0, 0}, __VA_ARGS__                 \
    }
static const cameo_conv
    dense_shape = SPREAD(.rows = 2, .blocks = 1, .prefetch = CAMEO_FETCH_WEIGHTS),
    spread_shape = SPREAD(.rows = 3, .blocks = 2, .line_pixel = 37),
    strided_shape = POINTWISE(.h = 11, .w = 9, .oh = 4, .ow = 5, .sh = 3, .sw = 2, .tile_h = 1,
                              .tile_w = 3, .rows = 2, .blocks = 1),
    gathered_shape = POINTWISE(.h = 20, .w = 1, .oh = 20, .ow = 1, .sh = 1, .sw = 1, .tile_h = 6,
                               .tile_w = 1, .rows = 12, .blocks = 2, .padded = true,
                               .line_pixel = 37,
                               .gather = {.w = 9, .ow = 5, .sh = 3, .sw = 2, .image = 11 * 9 * 24});
TASK(dense, 5 * 11 * 21)
TASK(spread, 7 * 11 * 37)
TASK(strided, 1)
TASK(gathered, 12 * 37)

static void conv_spread_line(void **state) {
    (void)state;
    same_conv(&dense_shape, dense_task, &spread_shape, spread_task, 6 * 5);
}

static void conv_gathered(void **state) {
    (void)state;
    same_conv(&strided_shape, strided_task, &gathered_shape, gathered_task, 4 * 5);
}

/* Scaled and activated on the way into the line buffer: 1x1 of a slice as one column, 3x3 whose
   pads stay zeros, groups. */
static const cameo_conv scaled_column_shape = {.h = 35,
                                               .w = 1,
                                               .ci = 37,
                                               .oh = 35,
                                               .ow = 1,
                                               .co = 50,
                                               .groups = 1,
                                               .kh = 1,
                                               .kw = 1,
                                               .sh = 1,
                                               .sw = 1,
                                               .dh = 1,
                                               .dw = 1,
                                               .x_pixel = 61,
                                               .y_pixel = 50,
                                               .tile_h = 6,
                                               .tile_w = 1,
                                               .vectors = 2,
                                               .rows = 12,
                                               .blocks = 1,
                                               .line_pixel = 41,
                                               .padded = true,
                                               .scaled = true,
                                               .before = {CAMEO_RELU, 0, 0},
                                               .act = {CAMEO_CLIP, -1, 2}},
                        scaled_3x3_shape = {.h = 9,
                                            .w = 8,
                                            .ci = 21,
                                            .oh = 9,
                                            .ow = 8,
                                            .co = 24,
                                            .groups = 1,
                                            .kh = 3,
                                            .kw = 3,
                                            .sh = 1,
                                            .sw = 1,
                                            .dh = 1,
                                            .dw = 1,
                                            .pt = 1,
                                            .pl = 1,
                                            .x_pixel = 21,
                                            .y_pixel = 27,
                                            .r_pixel = 24,
                                            .tile_h = 1,
                                            .tile_w = 4,
                                            .vectors = 2,
                                            .rows = 4,
                                            .blocks = 2,
                                            .padded = true,
                                            .scaled = true,
                                            .before = {CAMEO_NONE, 0, 0},
                                            .act = {CAMEO_RELU, 0, 0}},
                        scaled_grouped_shape = {.h = 11,
                                                .w = 7,
                                                .ci = 8,
                                                .oh = 5,
                                                .ow = 3,
                                                .co = 5,
                                                .groups = 3,
                                                .kh = 3,
                                                .kw = 3,
                                                .sh = 2,
                                                .sw = 2,
                                                .dh = 1,
                                                .dw = 1,
                                                .x_pixel = 24,
                                                .y_pixel = 15,
                                                .tile_h = 1,
                                                .tile_w = 3,
                                                .vectors = 1,
                                                .rows = 2,
                                                .blocks = 1,
                                                .padded = true,
                                                .scaled = true,
                                                .before = {CAMEO_CLIP, 0, 0.5f},
                                                .act = {CAMEO_PRELU, 0, 0}};
TASK(scaled_column, 12 * 41)
TASK(scaled_3x3, 6 * 10 * 21)
TASK(scaled_grouped, 5 * 7 * 24)

static void conv_scaled(void **state) {
    (void)state;
    test_one_conv(&scaled_column_shape, scaled_column_task);
    test_one_conv(&scaled_3x3_shape, scaled_3x3_task);
    test_one_conv(&scaled_grouped_shape, scaled_grouped_task);
}

/* Weights times a factor for each input channel of an image: one column, whose factors are a
   slice; and a line buffer. */
static const cameo_conv gated_column_shape = {.h = 35,
                                              .w = 1,
                                              .ci = 37,
                                              .oh = 35,
                                              .ow = 1,
                                              .co = 50,
                                              .groups = 1,
                                              .kh = 1,
                                              .kw = 1,
                                              .sh = 1,
                                              .sw = 1,
                                              .dh = 1,
                                              .dw = 1,
                                              .x_pixel = 61,
                                              .y_pixel = 50,
                                              .tile_h = 6,
                                              .tile_w = 1,
                                              .vectors = 2,
                                              .rows = 12,
                                              .blocks = 2,
                                              .gate = 41,
                                              .prefetch = CAMEO_FETCH_WEIGHTS,
                                              .act = {CAMEO_CLIP, -1, 2}},
                        gated_3x3_shape = {.h = 9,
                                           .w = 8,
                                           .ci = 21,
                                           .oh = 9,
                                           .ow = 8,
                                           .co = 24,
                                           .groups = 1,
                                           .kh = 3,
                                           .kw = 3,
                                           .sh = 1,
                                           .sw = 1,
                                           .dh = 1,
                                           .dw = 1,
                                           .pt = 1,
                                           .pl = 1,
                                           .x_pixel = 21,
                                           .y_pixel = 27,
                                           .r_pixel = 24,
                                           .tile_h = 1,
                                           .tile_w = 4,
                                           .vectors = 1,
                                           .rows = 4,
                                           .blocks = 2,
                                           .padded = true,
                                           .gate = 21,
                                           .act = {CAMEO_RELU, 0, 0}};
TASK(gated_column, 2 * CAMEO_VF * 37)
TASK(gated_3x3, 6 * 10 * 21 + CAMEO_VF * 9 * 21)

static void conv_gated(void **state) {
    (void)state;
    WITHOUT_AND_WITH_ODD(test_one_conv(&gated_column_shape, gated_column_task));
    WITHOUT_AND_WITH_ODD(test_one_conv(&gated_3x3_shape, gated_3x3_task));
}

/* ---- depthwise ---- */

static void check_depthwise(const cameo_depthwise *s, const cameo_depthwise_args *a,
                            const float *w) {
    const cameo_conv as = {.h = s->h,
                           .w = s->w,
                           .ci = 1,
                           .oh = s->oh,
                           .ow = s->ow,
                           .co = 1,
                           .groups = s->c,
                           .kh = s->kh,
                           .kw = s->kw,
                           .sh = s->sh,
                           .sw = s->sw,
                           .dh = s->dh,
                           .dw = s->dw,
                           .pt = s->pt,
                           .pl = s->pl,
                           .x_pixel = s->x_pixel};
    for (ptrdiff_t p = 0; p < IMAGES * s->oh * s->ow; p++)
        for (ptrdiff_t c = 0; c < s->y_pixel; c++) {
            if (c >= s->c) {
                assert_true(a->y[p * s->y_pixel + c] == guard_value);
                continue;
            }
            double m = fabs((double)a->b[c]), v = conv_at(&as, a->x, w, p / (s->oh * s->ow),
                                                          p / s->ow % s->oh, p % s->ow, c, &m) +
                                                  (double)a->b[c];
            if (s->r_pixel)
                v += (double)a->r[p * s->r_pixel + c], m += fabs((double)a->r[p * s->r_pixel + c]);
            check((double)a->y[p * s->y_pixel + c], activate(&s->act, v, (double)a->slope[c]),
                  c_depthwise * m);
        }
}

static void test_one_depthwise(const cameo_depthwise *s, void (*task)(void *, size_t)) {
    const ptrdiff_t padded = up(s->c, CAMEO_VF), taps = s->kh * s->kw,
                    yn = IMAGES * s->oh * s->ow * s->y_pixel;
    float *x = inputs(IMAGES * s->h * s->w * s->x_pixel), *w = floats(s->c * taps),
          *b = floats(padded), *slope = floats(padded);
    float *r = floats(IMAGES * s->oh * s->ow * s->r_pixel), *y = guarded(yn),
          *pw = floats(padded * taps);
    for (ptrdiff_t c = 0; c < s->c; c++)
        for (ptrdiff_t t = 0; t < taps; t++) pw[t * padded + c] = w[c * taps + t];
    cameo_depthwise_args a = {x, pw, b, slope, r, y};
    for (ptrdiff_t i = 0; i < IMAGES * ((s->oh + s->rows - 1) / s->rows); i++) task(&a, (size_t)i);
    check_guards(y, yn);
    check_depthwise(s, &a, w);
    free(x), free(w), free(b), free(slope), free(r), free(y - GUARD), free(pw);
}

#define DEPTHWISE(NAME, H, W, C, K, S, D, P, EXTRA, R, ROWS, ...)                             \
    static const cameo_depthwise NAME##_shape = {.h = H,                                      \
                                                 .w = W,                                      \
                                                 .c = C,                                      \
                                                 .oh = OUT(H, K, S, D, P, P),                 \
                                                 .ow = OUT(W, K, S, D, P, P),                 \
                                                 .kh = K,                                     \
                                                 .kw = K,                                     \
                                                 .sh = S,                                     \
                                                 .sw = S,                                     \
                                                 .dh = D,                                     \
                                                 .dw = D,                                     \
                                                 .pt = P,                                     \
                                                 .pl = P,                                     \
                                                 .x_pixel = C + EXTRA,                        \
                                                 .y_pixel = C + EXTRA,                        \
                                                 .r_pixel = R ? C : 0,                        \
                                                 .rows = ROWS,                                \
                                                 .act = __VA_ARGS__};                         \
    static void NAME##_task(void *a, size_t i) { cameo_depthwise_task(&NAME##_shape, a, i); } \
    static void NAME(void **state) {                                                          \
        (void)state;                                                                          \
        WITHOUT_AND_WITH_ODD(test_one_depthwise(&NAME##_shape, NAME##_task));                 \
    }
DEPTHWISE(depthwise_3x3, 11, 14, 37, 3, 1, 1, 1, 0, 1, 3, {CAMEO_PRELU, 0, 0})
DEPTHWISE(depthwise_3x3_stride_2, 13, 12, 32, 3, 2, 1, 1, 3, 0, 2, {CAMEO_CLIP, 0, 6})
DEPTHWISE(depthwise_3x3_even, 14, 14, 16, 3, 2, 1, 0, 0, 0, 7, {CAMEO_RELU, 0, 0})
DEPTHWISE(depthwise_3x3_tiny, 1, 1, 5, 3, 1, 1, 1, 0, 0, 1, {CAMEO_NONE, 0, 0})
DEPTHWISE(depthwise_3x3_pair, 2, 2, 20, 3, 2, 1, 1, 0, 0, 1, {CAMEO_NONE, 0, 0})
DEPTHWISE(depthwise_3x3_wide, 9, 28, 40, 3, 1, 1, 1, 0, 1, 4, {CAMEO_RELU, 0, 0})
DEPTHWISE(depthwise_3x3_eights, 5, 16, 24, 3, 1, 1, 1, 4, 0, 5, {CAMEO_CLIP, 0, 6})
DEPTHWISE(depthwise_3x3_rest, 5, 13, 50, 3, 1, 1, 1, 0, 0, 2, {CAMEO_NONE, 0, 0})
DEPTHWISE(depthwise_3x3_wide_stride_2, 7, 33, 24, 3, 2, 1, 1, 0, 0, 2, {CAMEO_PRELU, 0, 0})
DEPTHWISE(depthwise_3x3_chunks, 7, 112, 70, 3, 1, 1, 1, 0, 0, 3, {CAMEO_RELU, 0, 0})
DEPTHWISE(depthwise_3x3_far_pads, 8, 9, 17, 3, 1, 1, 2, 0, 0, 3, {CAMEO_NONE, 0, 0})
DEPTHWISE(depthwise_3x3_no_pads, 6, 9, 33, 3, 1, 1, 0, 0, 0, 2, {CAMEO_NONE, 0, 0})
DEPTHWISE(depthwise_5x5, 12, 10, 21, 5, 1, 1, 2, 0, 0, 4, {CAMEO_HARDSWISH, 0, 0})
DEPTHWISE(depthwise_dilated, 12, 13, 9, 3, 1, 2, 2, 0, 1, 5, {CAMEO_NONE, 0, 0})
DEPTHWISE(depthwise_stride_3, 17, 19, 18, 3, 3, 1, 1, 0, 0, 5, {CAMEO_NONE, 0, 0})
DEPTHWISE(depthwise_7x7_global, 7, 7, 50, 7, 1, 1, 0, 0, 0, 1, {CAMEO_NONE, 0, 0})

/* ---- gemm ---- */

static void check_gemm(const cameo_gemm *s, const cameo_gemm_args *a, const float *w) {
    for (ptrdiff_t m = 0; m < a->rows; m++)
        for (ptrdiff_t o = 0; o < s->n; o++) {
            double v = (double)a->b[o], magnitude = fabs(v);
            for (ptrdiff_t k = 0; k < s->k; k++) {
                const double p = (double)a->x[m * s->k + k] * (double)w[o * s->k + k];
                v += p, magnitude += fabs(p);
            }
            if (s->residual)
                v += (double)a->r[m * s->n + o], magnitude += fabs((double)a->r[m * s->n + o]);
            check((double)a->y[m * s->n + o], activate(&s->act, v, (double)a->slope[o]),
                  c_gemm * magnitude);
        }
}

/* Eleven rows at once must give the bits that each gives alone. */
static void check_gemm_rows(const cameo_gemm *s, cameo_gemm_args a, void (*task)(void *, size_t),
                            ptrdiff_t tasks) {
    float *y = guarded(s->n);
    for (ptrdiff_t m = 0; m < a.rows; m++) {
        cameo_gemm_args one = {a.x + m * s->k, a.w, a.b, a.slope, a.r + m * s->n, y, 1};
        for (ptrdiff_t i = 0; i < tasks; i++) task(&one, (size_t)i);
        assert_memory_equal(y, a.y + m * s->n, (size_t)s->n * sizeof *y);
    }
    check_guards(y, s->n);
    free(y - GUARD);
}

/* Those of an even k and of the next in one word; w is rounded along. */
static void pack_bfloat16(const cameo_gemm *s, float *w, uint32_t *to) {
    const ptrdiff_t block = CAMEO_GEMM_BLOCK, pairs = (s->k + 1) / 2;
    for (ptrdiff_t o = 0; o < s->n; o++)
        for (ptrdiff_t k = 0; k < s->k; k++) {
            uint32_t bits;
            memcpy(&bits, &w[o * s->k + k], sizeof bits);
            bits &= 0xffff0000u;
            memcpy(&w[o * s->k + k], &bits, sizeof bits);
            to[(o / block * pairs + k / 2) * block + o % block] |= k % 2 ? bits : bits >> 16;
        }
}

static void test_one_gemm(const cameo_gemm *s, void (*task)(void *, size_t)) {
    enum { ROWS = 11 };
    const ptrdiff_t block = CAMEO_GEMM_BLOCK, padded = up(s->n, block);
    float *x = inputs(ROWS * s->k), *w = floats(s->n * s->k), *b = floats(padded),
          *slope = floats(padded), *r = floats(ROWS * s->n);
    float *y = guarded(ROWS * s->n), *pw = floats(padded * s->k);
    uint32_t *words = calloc((size_t)(padded * (s->k + 1) / 2), sizeof *words);
    assert_non_null(words);
    if (s->bfloat16) pack_bfloat16(s, w, words);
    for (ptrdiff_t o = 0; o < s->n; o++)
        for (ptrdiff_t k = 0; k < s->k; k++)
            pw[(o / block * s->k + k) * block + o % block] = w[o * s->k + k];
    cameo_gemm_args a = {x, s->bfloat16 ? (const void *)words : pw, b, slope, r, y, ROWS};
    for (ptrdiff_t i = 0; i < padded / block; i++) task(&a, (size_t)i);
    check_guards(y, ROWS * s->n);
    check_gemm(s, &a, w);
    check_gemm_rows(s, a, task, padded / block);
    free(x), free(w), free(b), free(slope), free(r), free(y - GUARD), free(pw), free(words);
}

#define GEMM(NAME, K, N, R, BF, ...)                                                     \
    static const cameo_gemm NAME##_shape = {                                             \
        .k = K, .n = N, .residual = R, .bfloat16 = BF, .act = __VA_ARGS__};              \
    static void NAME##_task(void *a, size_t i) { cameo_gemm_task(&NAME##_shape, a, i); } \
    static void NAME(void **state) {                                                     \
        (void)state;                                                                     \
        WITHOUT_AND_WITH_ODD(test_one_gemm(&NAME##_shape, NAME##_task));                 \
    }
GEMM(gemm_odd, 131, 77, true, false, {CAMEO_RELU, 0, 0})
GEMM(gemm_blocks, 300, 128, false, false, {CAMEO_PRELU, 0, 0})
GEMM(gemm_small, 1, 3, false, false, {CAMEO_TANH, 0, 0})
GEMM(gemm_bfloat16_odd, 131, 77, true, true, {CAMEO_RELU, 0, 0})
GEMM(gemm_bfloat16_blocks, 300, 128, false, true, {CAMEO_PRELU, 0, 0})
GEMM(gemm_bfloat16_small, 1, 3, false, true, {CAMEO_TANH, 0, 0})

/* ---- pools ---- */

static double pool_at(const cameo_pooling *s, const float *x, ptrdiff_t n, ptrdiff_t h, ptrdiff_t w,
                      ptrdiff_t c) {
    double sum = 0, high = -INFINITY;
    ptrdiff_t count = 0, padded = 0;
    for (ptrdiff_t i = 0; i < s->kh; i++)
        for (ptrdiff_t j = 0; j < s->kw; j++) {
            const ptrdiff_t y = h * s->sh - s->pt + i * s->dh, z = w * s->sw - s->pl + j * s->dw;
            padded += y < s->h + s->pb && z < s->w + s->pr;
            if (y < 0 || y >= s->h || z < 0 || z >= s->w) continue;
            const double v = (double)x[((n * s->h + y) * s->w + z) * s->x_pixel + c];
            sum += v, count++, high = v > high || isnan(v) ? v : high;
        }
    return s->maximum ? high : sum / (double)(s->count_pad ? padded : count);
}

/* What a scaled average averages. */
static float *pooled_input(const cameo_pooling *s, const cameo_pool_args *a) {
    const ptrdiff_t pixels = IMAGES * s->h * s->w;
    float *x = floats(pixels * s->x_pixel);
    for (ptrdiff_t i = 0; i < pixels * s->x_pixel; i++) {
        const ptrdiff_t c = i % s->x_pixel;
        if (c >= s->c) continue;
        x[i] = s->scaled
                   ? (float)activate(&s->before,
                                     (double)a->x[i] * (double)a->scale[c] + (double)a->shift[c], 0)
                   : a->x[i];
    }
    return x;
}

static void test_one_pool(const cameo_pooling *s, void (*task)(void *, size_t), ptrdiff_t tasks) {
    const ptrdiff_t yn = IMAGES * s->oh * s->ow * s->y_pixel;
    float *x = inputs(IMAGES * s->h * s->w * s->x_pixel), *y = guarded(yn);
    float *scale = floats(up(s->c, CAMEO_VF)), *shift = floats(up(s->c, CAMEO_VF));
    cameo_pool_args a = {x, y, scale, shift};
    float *seen = pooled_input(s, &a);
    for (ptrdiff_t i = 0; i < tasks; i++) task(&a, (size_t)i);
    check_guards(y, yn);
    for (ptrdiff_t p = 0; p < IMAGES * s->oh * s->ow; p++)
        for (ptrdiff_t c = 0; c < s->c; c++)
            check((double)y[p * s->y_pixel + c],
                  pool_at(s, seen, p / (s->oh * s->ow), p / s->ow % s->oh, p % s->ow, c), c_pool);
    free(x), free(seen), free(scale), free(shift), free(y - GUARD);
}

#define POOL(NAME, TASK, TASKS, H, W, C, OH, OW, KH, KW, S, D, P, E, EXTRA, MAX, COUNT, ...) \
    static const cameo_pooling NAME##_shape = {.h = H,                                       \
                                               .w = W,                                       \
                                               .c = C,                                       \
                                               .oh = OH,                                     \
                                               .ow = OW,                                     \
                                               .kh = KH,                                     \
                                               .kw = KW,                                     \
                                               .sh = S,                                      \
                                               .sw = S,                                      \
                                               .dh = D,                                      \
                                               .dw = D,                                      \
                                               .pt = P,                                      \
                                               .pl = P,                                      \
                                               .pb = E,                                      \
                                               .pr = E,                                      \
                                               .x_pixel = C + EXTRA,                         \
                                               .y_pixel = C + EXTRA,                         \
                                               .maximum = MAX,                               \
                                               .count_pad = COUNT,                           \
                                               __VA_ARGS__};                                 \
    static void NAME##_task(void *a, size_t i) { TASK(&NAME##_shape, a, i); }                \
    static void NAME(void **state) {                                                         \
        (void)state;                                                                         \
        WITHOUT_AND_WITH_ODD(test_one_pool(&NAME##_shape, NAME##_task, IMAGES *(TASKS)));    \
    }
POOL(max_pool, cameo_pool_task, 6, 12, 12, 67, 6, 6, 3, 3, 2, 1, 1, 1, 0, true, false,
     .dx_pixel = 0)
POOL(max_pool_ceil, cameo_pool_task, 4, 7, 7, 16, 4, 4, 2, 2, 2, 1, 0, 0, 3, true, false,
     .dx_pixel = 0)
POOL(max_pool_dilated, cameo_pool_task, 6, 10, 10, 5, 6, 6, 3, 3, 1, 2, 0, 0, 0, true, false,
     .dx_pixel = 0)
POOL(average_pool, cameo_pool_task, 6, 11, 11, 33, 6, 6, 3, 3, 2, 1, 1, 1, 0, false, false,
     .dx_pixel = 0)
POOL(average_pool_counting, cameo_pool_task, 6, 12, 12, 70, 6, 6, 3, 3, 2, 1, 1, 0, 0, false, true,
     .dx_pixel = 0)
#define SCALED .scaled = true, .before
POOL(average_pool_scaled, cameo_pool_task, 4, 9, 10, 85, 4, 5, 2, 2, 2, 1, 0, 0, 3, false, false,
     SCALED = {CAMEO_RELU, 0, 0})
POOL(average_pool_scaled_pads, cameo_pool_task, 5, 9, 9, 21, 5, 5, 3, 3, 2, 1, 1, 1, 0, false,
     false, SCALED = {CAMEO_CLIP, -0.2f, 0.4f})
POOL(global_average, cameo_global_pool_task, 1, 7, 9, 45, 1, 1, 7, 9, 1, 1, 0, 0, 0, false, false,
     .dx_pixel = 0)
POOL(global_max, cameo_global_pool_task, 1, 5, 3, 18, 1, 1, 5, 3, 1, 1, 0, 0, 2, true, false,
     .dx_pixel = 0)

/* ---- elementwise and reorder ---- */

static const cameo_elementwise scale_shape = {.pixels = 7,
                                              .c = 37,
                                              .x_pixel = 40,
                                              .y_pixel = 39,
                                              .r_pixel = 37,
                                              .scale = true,
                                              .shift = true,
                                              .act = {CAMEO_PRELU, 0, 0}};
static const cameo_elementwise product_shape = {
    .pixels = 7, .c = 37, .x_pixel = 40, .y_pixel = 39, .r_pixel = 37, .product = true};

static void check_elementwise(const cameo_elementwise *s, const cameo_elementwise_args *a) {
    for (ptrdiff_t p = 0; p < a->total; p++)
        for (ptrdiff_t c = 0; c < s->c; c++) {
            const double r = (double)a->r[p * s->r_pixel + c];
            double v = (double)a->x[p * s->x_pixel + c];
            if (s->scale) v = v * (double)a->scale[c] + (double)a->shift[c];
            v = s->product ? v * r : v + r;
            check((double)a->y[p * s->y_pixel + c], activate(&s->act, v, (double)a->slope[c]),
                  c_elementwise * 3);
        }
}

static void elementwise(void **state) {
    (void)state;
    enum { PIXELS = 40 };
    float *x = floats(PIXELS * 40), *k = floats(64), *b = floats(64), *slope = floats(64),
          *r = floats(PIXELS * 37), *y = guarded(PIXELS * 39);
    cameo_elementwise_args a = {x, k, b, slope, r, y, PIXELS};
    for (size_t i = 0; i < 6; i++) cameo_elementwise_task(&scale_shape, &a, i);
    check_elementwise(&scale_shape, &a);
    for (size_t i = 0; i < 6; i++) cameo_elementwise_task(&product_shape, &a, i);
    check_elementwise(&product_shape, &a);
    check_guards(y, PIXELS * 39);
    for (ptrdiff_t p = 0; p < PIXELS; p++)
        assert_true(y[p * 39 + 37] == guard_value && y[p * 39 + 38] == guard_value);
    free(x), free(k), free(b), free(slope), free(r), free(y - GUARD);
}

static void reorder(void **state) {
    (void)state;
    enum { C = 19, P = 150, PIXEL = 22 };
    static const cameo_reorder there = {.c = C, .pixels = P, .x_pixel = C, .y_pixel = PIXEL},
                               back = {.c = C, .pixels = P, .x_pixel = PIXEL};
    float *x = floats(IMAGES * C * P), *y = guarded(IMAGES * P * PIXEL),
          *z = guarded(IMAGES * C * P);
    for (size_t i = 0; i < IMAGES * 3; i++)
        cameo_to_nhwc_task(&there, &(cameo_reorder_args){x, y}, i);
    for (size_t i = 0; i < IMAGES * 3; i++)
        cameo_to_nchw_task(&back, &(cameo_reorder_args){y, z}, i);
    assert_memory_equal(x, z, IMAGES * C * P * sizeof *x);
    assert_true(y[5 * PIXEL + 3] == x[3 * P + 5]);
    check_guards(y, IMAGES * P * PIXEL), check_guards(z, IMAGES * C * P);
    free(x), free(y - GUARD), free(z - GUARD);
}

/* ---- activations ---- */

static void check_sigmoid(float x) {
    const double want = 1 / (1 + exp(-(double)x));
    const cameo_act silu = {CAMEO_SILU, 0, 0};
    check((double)cameo_sigmoid(cameo_splat(x))[CAMEO_VF - 1], want, x > -87 ? 4e-6 * want : 0);
    check((double)cameo_activate(&silu, cameo_splat(x), cameo_splat(0))[0], (double)x * want, 0);
}

/* Through all that floats tell apart, and beyond the range of exponents. */
static void sigmoids(void **state) {
    (void)state;
    for (int i = -130000; i <= 130000; i++) check_sigmoid((float)i * 1.0009765625e-3f);
    check_sigmoid(3e38f), check_sigmoid(-3e38f), check_sigmoid(1e-38f);
    const cameo_v endless = cameo_splat(INFINITY);
    const cameo_act silu = {CAMEO_SILU, 0, 0};
    assert_true(cameo_sigmoid(endless)[0] == 1 && cameo_sigmoid(-endless)[0] == 0);
    assert_true(isnan(cameo_activate(&silu, -endless, endless)[0])); /* 0 times infinity, as the two
                                                                        operators have it */
    for (int32_t payload = 0; payload < 1024; payload++) {
        const cameo_v nan = (cameo_v)((cameo_vi){0} + (0x7fc00000 | payload));
        assert_true(isnan(cameo_sigmoid(nan)[0]) && isnan(cameo_sigmoid(-nan)[0]));
    }
}

#define TEST_CONV(NAME, ...) cmocka_unit_test(NAME),
int main(void) {
    const struct CMUnitTest tests[] = {CONVS(TEST_CONV) cmocka_unit_test(conv_scaled),
                                       cmocka_unit_test(conv_gated),
                                       cmocka_unit_test(depthwise_3x3),
                                       cmocka_unit_test(depthwise_3x3_stride_2),
                                       cmocka_unit_test(depthwise_3x3_even),
                                       cmocka_unit_test(depthwise_3x3_tiny),
                                       cmocka_unit_test(depthwise_3x3_pair),
                                       cmocka_unit_test(depthwise_3x3_wide),
                                       cmocka_unit_test(depthwise_3x3_eights),
                                       cmocka_unit_test(depthwise_3x3_rest),
                                       cmocka_unit_test(depthwise_3x3_wide_stride_2),
                                       cmocka_unit_test(depthwise_3x3_chunks),
                                       cmocka_unit_test(depthwise_3x3_far_pads),
                                       cmocka_unit_test(depthwise_3x3_no_pads),
                                       cmocka_unit_test(depthwise_5x5),
                                       cmocka_unit_test(depthwise_dilated),
                                       cmocka_unit_test(depthwise_stride_3),
                                       cmocka_unit_test(depthwise_7x7_global),
                                       cmocka_unit_test(conv_spread_line),
                                       cmocka_unit_test(conv_gathered),
                                       cmocka_unit_test(gemm_odd),
                                       cmocka_unit_test(gemm_blocks),
                                       cmocka_unit_test(gemm_small),
                                       cmocka_unit_test(gemm_bfloat16_odd),
                                       cmocka_unit_test(gemm_bfloat16_blocks),
                                       cmocka_unit_test(gemm_bfloat16_small),
                                       cmocka_unit_test(max_pool),
                                       cmocka_unit_test(max_pool_ceil),
                                       cmocka_unit_test(max_pool_dilated),
                                       cmocka_unit_test(average_pool),
                                       cmocka_unit_test(average_pool_counting),
                                       cmocka_unit_test(average_pool_scaled),
                                       cmocka_unit_test(average_pool_scaled_pads),
                                       cmocka_unit_test(global_average),
                                       cmocka_unit_test(global_max),
                                       cmocka_unit_test(elementwise),
                                       cmocka_unit_test(reorder),
                                       cmocka_unit_test(sigmoids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
