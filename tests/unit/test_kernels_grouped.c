/* The convolution of narrow groups against a plain reference in double: every width that a vector
   holds, odd sizes, strides, dilations and kernels, channels that leave part of a vector, slices,
   residuals, activations; guard floats around the output, NaN and infinities that stay in their
   groups. */
#include "kernel_case.h"

static const double c_grouped = 1e-6; /* of sum |x||w| */

/* w: [c][width][kh][kw] */
static void pack_grouped(const cameo_grouped *s, const float *w, float *to) {
    const ptrdiff_t taps = s->kh * s->kw;
    memset(to, 0, (size_t)(up(s->c, CAMEO_VF) / CAMEO_VF * cameo_grouped_taps(s)) * sizeof *to);
    for (ptrdiff_t o = 0; o < s->c; o++)
        for (ptrdiff_t t = 0; t < taps; t++)
            for (ptrdiff_t k = 0; k < s->width; k++)
                to[((o / CAMEO_VF * taps + t) * s->width + k) * CAMEO_VF + o % CAMEO_VF] =
                    w[(o * s->width + (s->width == CAMEO_VF ? k : (o % s->width) ^ k)) * taps + t];
}

static double grouped_at(const cameo_grouped *s, const float *x, const float *w, ptrdiff_t n,
                         ptrdiff_t h, ptrdiff_t v, ptrdiff_t channel, double *magnitude) {
    const ptrdiff_t first = channel / s->width * s->width;
    double sum = 0;
    for (ptrdiff_t i = 0; i < s->kh; i++)
        for (ptrdiff_t j = 0; j < s->kw; j++) {
            const ptrdiff_t y = h * s->sh - s->pt + i * s->dh, z = v * s->sw - s->pl + j * s->dw;
            if (y < 0 || y >= s->h || z < 0 || z >= s->w) continue;
            for (ptrdiff_t c = 0; c < s->width; c++) {
                const double p = (double)x[((n * s->h + y) * s->w + z) * s->x_pixel + first + c] *
                                 (double)w[((channel * s->width + c) * s->kh + i) * s->kw + j];
                sum += p, *magnitude += fabs(p);
            }
        }
    return sum;
}

static void check_grouped(const cameo_grouped *s, const cameo_grouped_args *a, const float *w) {
    for (ptrdiff_t p = 0; p < IMAGES * s->oh * s->ow; p++) {
        for (ptrdiff_t o = 0; o < s->c; o++) {
            double magnitude = fabs((double)a->b[o]);
            double v = (double)a->b[o] + grouped_at(s, a->x, w, p / (s->oh * s->ow),
                                                    p / s->ow % s->oh, p % s->ow, o, &magnitude);
            if (s->r_pixel)
                v += (double)a->r[p * s->r_pixel + o],
                    magnitude += fabs((double)a->r[p * s->r_pixel + o]);
            check((double)a->y[p * s->y_pixel + o], activate(&s->act, v, (double)a->slope[o]),
                  c_grouped * magnitude);
        }
        for (ptrdiff_t o = s->c; o < s->y_pixel; o++)
            assert_true(a->y[p * s->y_pixel + o] == guard_value);
    }
}

static void test_one(const cameo_grouped *s, void (*task)(void *, size_t)) {
    const ptrdiff_t padded = up(s->c, CAMEO_VF), yn = IMAGES * s->oh * s->ow * s->y_pixel;
    float *x = inputs(IMAGES * s->h * s->w * s->x_pixel),
          *w = floats(s->c * s->width * s->kh * s->kw), *b = floats(padded),
          *slope = floats(padded), *r = inputs(IMAGES * s->oh * s->ow * s->r_pixel),
          *y = guarded(yn), *packed = floats(padded / CAMEO_VF * cameo_grouped_taps(s));
    pack_grouped(s, w, packed);
    const cameo_grouped_args a = {x, packed, b, slope, r, y};
    for (ptrdiff_t i = IMAGES * ((s->oh + s->rows - 1) / s->rows) - 1; i >= 0; i--)
        task((void *)&a, (size_t)i);
    check_guards(y, yn);
    check_grouped(s, &a, w);
    free(x), free(w), free(b), free(slope), free(r), free(y - GUARD), free(packed);
}

#define OUT(H, K, S, D, P) (((H) + 2 * (P) - ((K)-1) * (D)-1) / (S) + 1)
#define GROUPED(NAME, H, W, C, G, KH, KW, S, D, PT, PL, EXTRA, R, TILE, ROWS, CHUNK, ...)   \
    static const cameo_grouped NAME##_shape = {.h = H,                                      \
                                               .w = W,                                      \
                                               .c = C,                                      \
                                               .oh = OUT(H, KH, S, D, PT),                  \
                                               .ow = OUT(W, KW, S, D, PL),                  \
                                               .width = G,                                  \
                                               .kh = KH,                                    \
                                               .kw = KW,                                    \
                                               .sh = S,                                     \
                                               .sw = S,                                     \
                                               .dh = D,                                     \
                                               .dw = D,                                     \
                                               .pt = PT,                                    \
                                               .pl = PL,                                    \
                                               .x_pixel = C + EXTRA,                        \
                                               .y_pixel = C + EXTRA,                        \
                                               .r_pixel = R ? C : 0,                        \
                                               .tile = TILE,                                \
                                               .rows = ROWS,                                \
                                               .chunk = CHUNK * CAMEO_VF,                   \
                                               .prefetch = (C) / (G) % 2 == 0,              \
                                               .act = __VA_ARGS__};                         \
    static void NAME##_task(void *a, size_t i) { cameo_grouped_task(&NAME##_shape, a, i); } \
    static void NAME(void **state) {                                                        \
        (void)state;                                                                        \
        WITHOUT_AND_WITH_ODD(test_one(&NAME##_shape, NAME##_task));                         \
    }
#define CASES(X)                                                                              \
    X(of_4, 9, 14, 36, 4, 3, 3, 1, 1, 1, 1, 0, 1, 7, 3, 2, {CAMEO_PRELU, 0, 0})               \
    X(of_4_wide, 6, 31, 72, 4, 3, 3, 1, 1, 1, 1, 5, 0, 14, 4, 1, {CAMEO_NONE, 0, 0})          \
    X(of_4_stride_2, 13, 15, 32, 4, 3, 3, 2, 1, 1, 1, 0, 0, 3, 2, 1, {CAMEO_CLIP, 0, 6})      \
    X(of_4_one_tile, 5, 7, 20, 4, 3, 3, 1, 1, 1, 1, 3, 0, 7, 5, 9, {CAMEO_RELU, 0, 0})        \
    X(of_2, 7, 9, 14, 2, 3, 3, 1, 1, 1, 1, 0, 0, 5, 2, 1, {CAMEO_NONE, 0, 0})                 \
    X(of_2_dilated, 11, 12, 22, 2, 3, 3, 1, 2, 2, 2, 0, 1, 4, 3, 1, {CAMEO_LEAKY, 0.1f, 0})   \
    X(of_4_pointwise, 4, 11, 44, 4, 1, 1, 1, 1, 0, 0, 0, 0, 6, 4, 2, {CAMEO_HARDSWISH, 0, 0}) \
    X(of_4_tall, 8, 9, 16, 4, 5, 1, 1, 1, 2, 0, 0, 0, 9, 3, 1, {CAMEO_NONE, 0, 0})            \
    X(of_4_flat, 3, 17, 16, 4, 1, 5, 1, 1, 0, 2, 0, 0, 6, 1, 1, {CAMEO_SILU, 0, 0})           \
    X(of_1_5x5, 12, 10, 21, 1, 5, 5, 1, 1, 2, 2, 0, 0, 5, 4, 1, {CAMEO_HARDSWISH, 0, 0})      \
    X(of_1_5x5_stride_2, 13, 29, 70, 1, 5, 5, 2, 1, 2, 2, 2, 1, 14, 3, 2, {CAMEO_NONE, 0, 0}) \
    X(of_1_7x7, 7, 7, 33, 1, 7, 7, 1, 1, 3, 3, 0, 0, 7, 7, 1, {CAMEO_RELU, 0, 0})             \
    X(of_1_stride_3, 17, 19, 18, 1, 3, 3, 3, 1, 1, 1, 0, 0, 7, 5, 1, {CAMEO_NONE, 0, 0})      \
    X(of_1_no_pads, 6, 9, 33, 1, 3, 3, 1, 1, 0, 0, 0, 0, 4, 2, 1, {CAMEO_SIGMOID, 0, 0})
#define CASES_8(X)                                                             \
    X(of_8, 9, 14, 40, 8, 3, 3, 1, 1, 1, 1, 2, 0, 7, 4, 2, {CAMEO_NONE, 0, 0}) \
    X(of_8_stride_2, 10, 13, 24, 8, 3, 3, 2, 1, 1, 1, 0, 1, 7, 2, 1, {CAMEO_TANH, 0, 0})
#define CASES_16(X)                                                                             \
    X(of_16, 7, 14, 48, 16, 3, 3, 1, 1, 1, 1, 0, 1, 14, 3, 1, {CAMEO_NONE, 0, 0})               \
    X(of_16_stride_2, 9, 11, 32, 16, 3, 3, 2, 1, 1, 1, 0, 0, 6, 2, 1, {CAMEO_RELU, 0, 0})       \
    X(of_16_even, 12, 16, 64, 16, 3, 3, 2, 1, 1, 1, 3, 1, 5, 6, 2, {CAMEO_PRELU, 0, 0})         \
    X(of_16_pairs, 7, 7, 80, 16, 3, 3, 1, 1, 1, 1, 2, 0, 7, 7, 3, {CAMEO_RELU, 0, 0})           \
    X(of_16_pairs_strided, 9, 14, 112, 16, 3, 3, 2, 1, 1, 1, 0, 1, 7, 2, 4, {CAMEO_NONE, 0, 0}) \
    X(of_16_tall, 11, 6, 48, 16, 5, 1, 1, 1, 2, 0, 0, 0, 4, 4, 9, {CAMEO_NONE, 0, 0})
CASES(GROUPED)
#if CAMEO_VF >= 8
CASES_8(GROUPED)
#endif
#if CAMEO_VF >= 16
CASES_16(GROUPED)
#endif

#define TEST(NAME, ...) cmocka_unit_test(NAME),
int main(void) {
    const struct CMUnitTest tests[] = {
        CASES(TEST)
#if CAMEO_VF >= 8
            CASES_8(TEST)
#endif
#if CAMEO_VF >= 16
                CASES_16(TEST)
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
