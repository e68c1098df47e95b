/* Kernels of the backward pass that make gradients of weights, and what depthwise and fully
   connected layers need in training, against plain references in double: odd sizes and channels,
   strides, dilations, pads, slices, several cuts into bands, parts and tasks; guard floats around
   the outputs. Allowed: |error| <= c * sum |x||dy|. Which vector width is tested depends on the
   flags this file is compiled with. */
#include "kernel_case.h"

static const double c_sum = 1e-6;

static void check_sum(double got, double want, double magnitude) {
    if (!(fabs(got - want) <= c_sum * magnitude))
        fail_msg("%.9g instead of %.9g (of %.3g)", got, want, magnitude);
}

#define OUT(H, K, S, D, P) (((H) + 2 * (P) - ((K)-1) * (D)-1) / (S) + 1)

/* ---- weight gradient of convolutions ---- */

/* dw of output channel o, its group's input channel c and one tap; *magnitude: sum |x||dy|. */
static double weight_at(const cameo_wgrad *s, const cameo_wgrad_args *a, ptrdiff_t o, ptrdiff_t c,
                        ptrdiff_t kh, ptrdiff_t kw, double *magnitude) {
    double sum = 0;
    *magnitude = 0;
    for (ptrdiff_t p = 0; p < s->images * s->oh * s->ow; p++) {
        const ptrdiff_t h = p / s->ow % s->oh * s->sh - s->pt + kh * s->dh,
                        w = p % s->ow * s->sw - s->pl + kw * s->dw;
        if (h < 0 || h >= s->h || w < 0 || w >= s->w) continue;
        const double v = (double)a->x[((p / s->ow / s->oh * s->h + h) * s->w + w) * s->x_pixel +
                                      o / s->co * s->ci + c] *
                         (double)a->dy[p * s->y_pixel + o];
        sum += v, *magnitude += fabs(v);
    }
    return sum;
}

/* Where that weight is; onnx: [co][ci][kh][kw]. */
static ptrdiff_t weight_place(const cameo_wgrad *s, bool onnx, ptrdiff_t o, ptrdiff_t c,
                              ptrdiff_t t) {
    if (onnx) return (o * s->ci + c) * s->kh * s->kw + t;
    const ptrdiff_t block = cameo_wgrad_block(s),
                    q = o / s->co * cameo_wgrad_group_blocks(s) + o % s->co / block;
    return ((q * s->kh * s->kw + t) * s->ci + c) * block + o % s->co % block;
}

static void check_weights(const cameo_wgrad *s, const cameo_wgrad_args *a, bool onnx) {
    const ptrdiff_t padded = cameo_wgrad_group_blocks(s) * cameo_wgrad_block(s);
    for (ptrdiff_t o = 0; o < s->groups * s->co; o++)
        for (ptrdiff_t c = 0; c < s->ci; c++)
            for (ptrdiff_t t = 0; t < s->kh * s->kw; t++) {
                double m;
                const double want = weight_at(s, a, o, c, t / s->kw, t % s->kw, &m);
                check_sum((double)a->dw[weight_place(s, onnx, o, c, t)], want, m);
            }
    if (onnx || s->groups > 1) return;
    cameo_wgrad whole = *s;
    whole.co = padded; /* the lanes behind the last channel are zeros, or training would move them
                        */
    for (ptrdiff_t o = s->co; o < padded; o++)
        for (ptrdiff_t c = 0; c < s->ci; c++)
            for (ptrdiff_t t = 0; t < s->kh * s->kw; t++)
                assert_true(a->dw[weight_place(&whole, false, o, c, t)] == 0);
}

static void test_one_wgrad(const cameo_wgrad *s, void (*task)(const cameo_wgrad_args *, size_t),
                           bool onnx) {
    const ptrdiff_t floats_of_part = cameo_wgrad_floats(s),
                    outputs = onnx ? s->groups * s->co * s->ci * s->kh * s->kw : floats_of_part;
    float *x = floats(s->images * s->h * s->w * s->x_pixel),
          *dy = floats(s->images * s->oh * s->ow * s->y_pixel);
    float *partial = guarded(s->parts * floats_of_part), *dw = guarded(outputs);
    const bool direct = s->parts == 1 && !onnx;
    cameo_wgrad_args a = {x, dy, direct ? dw : partial, dw};
    for (ptrdiff_t i = cameo_wgrad_tasks(s) - 1; i >= 0; i--) task(&a, (size_t)i);
    const ptrdiff_t blocks = s->groups * cameo_wgrad_group_blocks(s),
                    runs = cameo_ceil(floats_of_part, CAMEO_WGRAD_SUM);
    for (ptrdiff_t i = 0; i < (onnx ? blocks : runs) && !direct; i++)
        onnx ? cameo_wgrad_onnx_task(s, &a, (size_t)i) : cameo_wgrad_sum_task(s, &a, (size_t)i);
    check_guards(partial, s->parts * floats_of_part), check_guards(dw, outputs);
    check_weights(s, &a, onnx);
    free(x), free(dy), free(partial - GUARD), free(dw - GUARD);
}

/* Images, height, width, input and output channels of a group, groups, kernel, stride, dilation,
   pad, floats between pixels' ends; tile, vectors, flat; images and rows of a band, parts,
   channels and blocks of a task; ONNX order. */
#define WGRADS(X)                                                                                  \
    X(wgrad_3x3, 2, 14, 13, 17, 35, 1, 3, 3, 1, 1, 1, 0, 5, 2, false, 1, 4, 1, 17, 1, false)       \
    X(wgrad_3x3_parts, 3, 9, 9, 24, 70, 1, 3, 3, 1, 1, 1, 3, 6, 2, false, 1, 2, 4, 12, 2, false)   \
    X(wgrad_3x3_tiny, 5, 2, 2, 13, 33, 1, 3, 3, 1, 1, 1, 0, 4, 2, false, 2, 2, 2, 13, 9, false)    \
    X(wgrad_3x3_pixel, 7, 1, 1, 9, 16, 1, 3, 3, 1, 1, 1, 0, 9, 1, false, 4, 1, 1, 9, 1, false)     \
    X(wgrad_1x1, 2, 11, 7, 37, 50, 1, 1, 1, 1, 1, 0, 0, 14, 2, false, 1, 3, 3, 28, 1, false)       \
    X(wgrad_1x1_stride_2, 2, 9, 7, 20, 40, 1, 1, 1, 2, 1, 0, 2, 5, 2, false, 2, 5, 1, 20, 3,       \
      false)                                                                                       \
    X(wgrad_stem, 2, 23, 21, 3, 24, 1, 7, 7, 2, 1, 3, 0, 11, 2, true, 1, 3, 2, 3, 1, false)        \
    X(wgrad_stem_11, 1, 35, 39, 3, 40, 1, 11, 11, 4, 1, 2, 1, 11, 2, true, 1, 4, 1, 3, 2, false)   \
    X(wgrad_dilated, 2, 15, 13, 6, 17, 1, 3, 3, 1, 2, 2, 0, 6, 2, false, 1, 13, 1, 6, 1, false)    \
    X(wgrad_5x3_stride_2, 2, 10, 12, 7, 5, 1, 5, 3, 2, 1, 1, 0, 4, 1, false, 2, 4, 1, 8, 1, false) \
    X(wgrad_grouped, 2, 8, 8, 5, 18, 3, 3, 3, 1, 1, 1, 2, 5, 2, false, 2, 8, 1, 5, 1, true)        \
    X(wgrad_grouped_flat, 2, 8, 9, 4, 4, 5, 3, 3, 1, 1, 1, 0, 6, 1, true, 1, 3, 3, 4, 1, true)     \
    X(wgrad_3x3_onnx, 2, 6, 7, 9, 16, 1, 3, 3, 1, 1, 0, 0, 9, 1, false, 1, 2, 2, 9, 3, true)

#define WGRAD(NAME, N, H, W, CI, CO, G, KH, KW, S, D, P, EXTRA, TILE, V, FLAT, BI, BR, PARTS, \
              CHANNELS, BLOCKS, ONNX)                                                         \
    static const cameo_wgrad NAME##_shape = {.images = N,                                     \
                                             .h = H,                                          \
                                             .w = W,                                          \
                                             .ci = CI,                                        \
                                             .oh = OUT(H, KH, S, D, P),                       \
                                             .ow = OUT(W, KW, S, D, P),                       \
                                             .co = CO,                                        \
                                             .groups = G,                                     \
                                             .kh = KH,                                        \
                                             .kw = KW,                                        \
                                             .sh = S,                                         \
                                             .sw = S,                                         \
                                             .dh = D,                                         \
                                             .dw = D,                                         \
                                             .pt = P,                                         \
                                             .pl = P,                                         \
                                             .x_pixel = CI * G + EXTRA,                       \
                                             .y_pixel = CO * G + EXTRA,                       \
                                             .tile = TILE,                                    \
                                             .vectors = V,                                    \
                                             .flat = FLAT,                                    \
                                             .band_images = BI,                               \
                                             .band_rows = BR,                                 \
                                             .parts = PARTS,                                  \
                                             .channels = CHANNELS,                            \
                                             .blocks = BLOCKS};                               \
    static void NAME##_task(const cameo_wgrad_args *a, size_t i) {                            \
        static float x[64 * 1024], y[64 * 1024];                                              \
        cameo_wgrad_task(&NAME##_shape, a, i, x, y);                                          \
    }                                                                                         \
    static void NAME(void **state) {                                                          \
        (void)state;                                                                          \
        test_one_wgrad(&NAME##_shape, NAME##_task, ONNX);                                     \
    }
WGRADS(WGRAD)

/* ---- depthwise ---- */

enum { BATCH = 3 };

/* [kh][kw][c rounded up] */
static ptrdiff_t tap_place(const cameo_depthwise *s, ptrdiff_t c, ptrdiff_t t) {
    return t * cameo_depthwise_padded(s) + c;
}

/* s: the forward convolution. */
static double depthwise_input_at(const cameo_depthwise *s, const float *dy, const float *w,
                                 ptrdiff_t pixel, ptrdiff_t c, double *magnitude) {
    const ptrdiff_t image = pixel / (s->h * s->w), h = pixel / s->w % s->h, x = pixel % s->w;
    double sum = 0;
    *magnitude = 0;
    for (ptrdiff_t o = 0; o < s->oh * s->ow; o++)
        for (ptrdiff_t t = 0; t < s->kh * s->kw; t++) {
            if (o / s->ow * s->sh - s->pt + t / s->kw * s->dh != h ||
                o % s->ow * s->sw - s->pl + t % s->kw * s->dw != x)
                continue;
            const double v = (double)dy[(image * s->oh * s->ow + o) * s->y_pixel + c] *
                             (double)w[tap_place(s, c, t)];
            sum += v, *magnitude += fabs(v);
        }
    return sum;
}

static void test_depthwise_input(const cameo_depthwise *s,
                                 void (*task)(const float *, const float *, float *)) {
    const ptrdiff_t xn = BATCH * s->h * s->w * s->x_pixel;
    float *dy = floats(BATCH * s->oh * s->ow * s->y_pixel), *w = floats(cameo_depthwise_floats(s)),
          *dx = guarded(xn);
    task(dy, w, dx);
    check_guards(dx, xn);
    for (ptrdiff_t p = 0; p < BATCH * s->h * s->w; p++)
        for (ptrdiff_t c = 0; c < s->x_pixel; c++) {
            if (c >= s->c) {
                assert_true(dx[p * s->x_pixel + c] == guard_value);
                continue;
            }
            double m;
            const double want = depthwise_input_at(s, dy, w, p, c, &m);
            check_sum((double)dx[p * s->x_pixel + c], want, m);
        }
    free(dy), free(w), free(dx - GUARD);
}

static void check_depthwise_weights(const cameo_depthwise *s, const cameo_depthwise_wgrad_args *a,
                                    bool onnx) {
    const ptrdiff_t taps = s->kh * s->kw;
    const cameo_wgrad as = {.images = BATCH,
                            .h = s->h,
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
                            .x_pixel = s->x_pixel,
                            .y_pixel = s->y_pixel};
    for (ptrdiff_t c = 0; c < (onnx ? s->c : cameo_depthwise_padded(s)); c++)
        for (ptrdiff_t t = 0; t < taps; t++) {
            const double got = (double)a->dw[onnx ? c * taps + t : tap_place(s, c, t)];
            if (c >= s->c) {
                assert_true(got == 0);
                continue;
            }
            double m;
            const double want = weight_at(&as, &(cameo_wgrad_args){.x = a->x, .dy = a->dy}, c, 0,
                                          t / s->kw, t % s->kw, &m);
            check_sum(got, want, m);
        }
}

static void test_depthwise_weights(const cameo_depthwise *s,
                                   void (*task)(const cameo_depthwise_wgrad_args *, ptrdiff_t)) {
    for (ptrdiff_t parts = 1; parts <= 4; parts += 3)
        for (int onnx = 0; onnx <= 1; onnx++) {
            const ptrdiff_t outputs = onnx ? s->c * s->kh * s->kw : cameo_depthwise_floats(s);
            float *x = floats(BATCH * s->h * s->w * s->x_pixel),
                  *dy = floats(BATCH * s->oh * s->ow * s->y_pixel);
            float *partial = guarded(parts * cameo_depthwise_floats(s)), *dw = guarded(outputs);
            const cameo_depthwise_wgrad_args a = {x, dy, partial, dw};
            task(&a, parts);
            cameo_depthwise_wgrad_sum(s, &a, parts, onnx);
            check_guards(partial, parts * cameo_depthwise_floats(s)), check_guards(dw, outputs);
            check_depthwise_weights(s, &a, onnx);
            free(x), free(dy), free(partial - GUARD), free(dw - GUARD);
        }
}

/* Height, width, channels, kernel, stride, dilation, pad, floats between pixels' ends, rows of a
   band. */
#define DEPTHWISES(X)                                           \
    X(depthwise_3x3, 13, 11, 37, 3, 1, 1, 1, 0, 4)              \
    X(depthwise_3x3_no_pad, 9, 12, 16, 3, 1, 1, 0, 3, 3)        \
    X(depthwise_3x3_stride_2, 14, 13, 21, 3, 2, 1, 1, 0, 3)     \
    X(depthwise_3x3_stride_2_even, 8, 10, 32, 3, 2, 1, 0, 2, 5) \
    X(depthwise_3x3_tiny, 2, 2, 19, 3, 1, 1, 1, 0, 2)           \
    X(depthwise_3x3_pixel, 1, 1, 9, 3, 2, 1, 1, 0, 1)           \
    X(depthwise_5x5, 12, 9, 18, 5, 1, 1, 2, 1, 4)               \
    X(depthwise_5x5_stride_2, 11, 14, 40, 5, 2, 1, 2, 0, 2)     \
    X(depthwise_stride_3, 13, 16, 8, 3, 3, 1, 1, 0, 5)          \
    X(depthwise_1x1_stride_2, 7, 9, 12, 1, 2, 1, 0, 0, 4)       \
    X(depthwise_dilated, 11, 12, 17, 3, 1, 2, 2, 0, 3)          \
    X(depthwise_7x7_global, 7, 7, 50, 7, 1, 1, 0, 0, 7)

/* The stride 1 gradient is a convolution of dy whose pads are what the kernel reaches beyond the
   forward's. */
#define DEPTHWISE(NAME, H, W, C, K, S, D, P, EXTRA, ROWS)                              \
    static const cameo_depthwise NAME##_shape = {.h = H,                               \
                                                 .w = W,                               \
                                                 .c = C,                               \
                                                 .oh = OUT(H, K, S, D, P),             \
                                                 .ow = OUT(W, K, S, D, P),             \
                                                 .kh = K,                              \
                                                 .kw = K,                              \
                                                 .sh = S,                              \
                                                 .sw = S,                              \
                                                 .dh = D,                              \
                                                 .dw = D,                              \
                                                 .pt = P,                              \
                                                 .pl = P,                              \
                                                 .x_pixel = C + EXTRA,                 \
                                                 .y_pixel = C + 2 * EXTRA,             \
                                                 .rows = ROWS};                        \
    static const cameo_depthwise NAME##_back = {.h = OUT(H, K, S, D, P),               \
                                                .w = OUT(W, K, S, D, P),               \
                                                .c = C,                                \
                                                .oh = H,                               \
                                                .ow = W,                               \
                                                .kh = K,                               \
                                                .kw = K,                               \
                                                .sh = 1,                               \
                                                .sw = 1,                               \
                                                .dh = D,                               \
                                                .dw = D,                               \
                                                .pt = (K - 1) * D - P,                 \
                                                .pl = (K - 1) * D - P,                 \
                                                .x_pixel = C + 2 * EXTRA,              \
                                                .y_pixel = C + EXTRA,                  \
                                                .rows = ROWS,                          \
                                                .flip = true};                         \
    static void NAME##_input(const float *dy, const float *w, float *dx) {             \
        static const float zeros[256];                                                 \
        cameo_depthwise_spread_args a = {dy, w, dx};                                   \
        cameo_depthwise_args flipped = {dy, w, zeros, NULL, NULL, dx};                 \
        for (size_t i = 0; i < BATCH * ((H + ROWS - 1) / ROWS); i++)                   \
            S == 1 ? cameo_depthwise_task(&NAME##_back, &flipped, i)                   \
                   : cameo_depthwise_spread_task(&NAME##_shape, &a, i);                \
    }                                                                                  \
    static void NAME##_weights(const cameo_depthwise_wgrad_args *a, ptrdiff_t parts) { \
        for (ptrdiff_t i = parts - 1; i >= 0; i--)                                     \
            cameo_depthwise_wgrad_task(&NAME##_shape, a, BATCH, parts, (size_t)i);     \
    }                                                                                  \
    static void NAME(void **state) {                                                   \
        (void)state;                                                                   \
        test_depthwise_input(&NAME##_shape, NAME##_input);                             \
        test_depthwise_weights(&NAME##_shape, NAME##_weights);                         \
    }
DEPTHWISES(DEPTHWISE)

/* ---- channel sum ---- */

static void test_one_channel_sum(const cameo_channel_sum *s) {
    const ptrdiff_t padded = cameo_ceil(s->c, CAMEO_VF) * CAMEO_VF;
    float *x = floats(s->pixels * s->pixel), *partial = guarded(s->parts * padded),
          *y = guarded(s->c);
    cameo_channel_sum_args a = {x, partial, y};
    for (ptrdiff_t i = s->parts - 1; i >= 0; i--) cameo_channel_sum_task(s, &a, (size_t)i);
    cameo_channel_sum_join(s, &a);
    check_guards(partial, s->parts * padded), check_guards(y, s->c);
    for (ptrdiff_t c = 0; c < s->c; c++) {
        double sum = 0, magnitude = 0;
        for (ptrdiff_t p = 0; p < s->pixels; p++)
            sum += (double)x[p * s->pixel + c], magnitude += fabs((double)x[p * s->pixel + c]);
        check_sum((double)y[c], sum, magnitude);
    }
    free(x), free(partial - GUARD), free(y - GUARD);
}

static void channel_sum(void **state) {
    (void)state;
    static const cameo_channel_sum shapes[] = {
        {1000, 37, 37, 7}, {77, 64, 70, 3}, {5, 3, 3, 1}, {8, 16, 16, 2}, {1, 100, 100, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) test_one_channel_sum(&shapes[i]);
}

/* ---- matrix products ---- */

typedef enum product { AB, ABT, ATB } product;

static double product_at(const cameo_matmul *s, const cameo_matmul_args *a, product form,
                         ptrdiff_t m, ptrdiff_t n, double *magnitude) {
    double sum = a->bias ? (double)a->bias[n] : 0;
    *magnitude = fabs(sum);
    for (ptrdiff_t k = 0; k < s->k; k++) {
        const double v = (double)a->a[form == ATB ? k * s->m + m : m * s->k + k] *
                         (double)a->b[form == ABT ? n * s->k + k : k * s->n + n];
        sum += v, *magnitude += fabs(v);
    }
    return sum;
}

/* Fewer rows than the literal count, as the last batch of a run has, where the form allows it. */
static void test_one_product(const cameo_matmul *s, product form,
                             void (*run)(cameo_matmul_args *)) {
    for (ptrdiff_t rows = s->m; rows > 0; rows = form == ATB ? 0 : rows / 2) {
        float *x = floats(s->m * s->k), *w = floats(s->n * s->k), *bias = floats(s->n),
              *y = guarded(rows * s->n);
        float *packed = guarded(cameo_matmul_panels(s->m) * CAMEO_MATMUL_PAIR * s->k);
        cameo_matmul_args a = {x, w, rows % 2 ? bias : NULL, y, rows, packed};
        run(&a);
        check_guards(y, rows * s->n),
            check_guards(packed, cameo_matmul_panels(s->m) * CAMEO_MATMUL_PAIR * s->k);
        for (ptrdiff_t i = 0; i < rows * s->n; i++) {
            double m;
            const double want = product_at(s, &a, form, i / s->n, i % s->n, &m);
            check_sum((double)y[i], want, m);
        }
        free(x), free(w), free(bias), free(y - GUARD), free(packed - GUARD);
    }
}

#define PRODUCTS(X)                          \
    X(product_ab, AB, 13, 75, 300, 5)        \
    X(product_ab_strips, AB, 8, 530, 40, 4)  \
    X(product_abt, ABT, 37, 70, 1100, 1)     \
    X(product_abt_small, ABT, 5, 9, 31, 1)   \
    X(product_atb, ATB, 45, 290, 19, 5)      \
    X(product_atb_deep, ATB, 14, 33, 530, 6) \
    X(product_atb_one, ATB, 3, 1, 7, 3)
#define PRODUCT(NAME, FORM, M, N, K, TILE)                                               \
    static const cameo_matmul NAME##_shape = {M, N, K, TILE};                            \
    static void NAME##_run(cameo_matmul_args *a) {                                       \
        static float room[64 * 1024];                                                    \
        for (ptrdiff_t i = 0; FORM == ABT && i < cameo_ceil(K, CAMEO_MATMUL_DEPTH); i++) \
            cameo_matmul_panel_task(&NAME##_shape, a, (size_t)i);                        \
        for (ptrdiff_t i = cameo_ceil(N, FORM == ABT ? (ptrdiff_t)CAMEO_MATMUL_COLUMNS   \
                                                     : CAMEO_MATMUL_STRIP) -             \
                           1;                                                            \
             i >= 0; i--) {                                                              \
            if (FORM == AB) cameo_matmul_ab_task(&NAME##_shape, a, (size_t)i, room);     \
            if (FORM == ABT) cameo_matmul_abt_task(&NAME##_shape, a, (size_t)i, room);   \
            if (FORM == ATB) cameo_matmul_atb_task(&NAME##_shape, a, (size_t)i, room);   \
        }                                                                                \
    }                                                                                    \
    static void NAME(void **state) {                                                     \
        (void)state;                                                                     \
        test_one_product(&NAME##_shape, FORM, NAME##_run);                               \
    }
PRODUCTS(PRODUCT)

#define TEST(NAME, ...) cmocka_unit_test(NAME),
int main(void) {
    const struct CMUnitTest tests[] = {WGRADS(TEST) DEPTHWISES(TEST) PRODUCTS(TEST)
                                           cmocka_unit_test(channel_sum)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
