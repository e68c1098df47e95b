/* 1x1 convolutions by Strassen's method against a plain reference in double: halves of channels
   that leave part of a vector, odd numbers of pixels, one pixel, strides, slices, bands and
   chunks, residuals (in place too), activations; guard floats around the output; NaN and
   infinities that stay in their pixel. */
#include "kernel_case.h"

static const double c_strassen = 2e-6; /* of sum |x||w| over the pair's pixels and both halves of
                                          the outputs */

/* w: [co][ci] */
static void pack_strassen(const cameo_strassen *s, const float *w, float *to) {
    const ptrdiff_t block = cameo_strassen_block(s), half = s->ci / 2;
    for (ptrdiff_t o = 0; o < s->co / 2; o++)
        for (ptrdiff_t c = 0; c < half; c++) {
            const float *first = w + o * s->ci + c, *second = w + (o + s->co / 2) * s->ci + c;
            const float t1 = second[0] - first[0], t2 = second[half] - t1;
            const float right[] = {
                first[0],         first[half], t2,          second[half] - second[0],
                first[half] - t2, t1,          second[half]};
            for (ptrdiff_t p = 0; p < 7; p++)
                to[((o / block * 7 + p) * half + c) * block + o % block] = right[p];
        }
}

/* x w of one output; and the sum of the products' magnitudes. */
static double sum_at(const cameo_strassen *s, const float *x, const float *w, ptrdiff_t o,
                     double *magnitude) {
    double sum = 0;
    *magnitude = 0;
    for (ptrdiff_t c = 0; c < s->ci; c++) {
        const double p = (double)x[c] * (double)w[o * s->ci + c];
        sum += p, *magnitude += fabs(p);
    }
    return sum;
}

static const float *input_of(const cameo_strassen *s, const float *x, ptrdiff_t image,
                             ptrdiff_t i) {
    return x + ((image * s->h + i / s->ow * s->sh) * s->w + i % s->ow * s->sw) * s->x_pixel;
}

/* What rounding may differ by: of the products of the pair, whichever they are. */
static double scale_of(const cameo_strassen *s, const float *x, ptrdiff_t image, ptrdiff_t i) {
    double most = 0;
    for (ptrdiff_t k = i / 2 * 2; k < i / 2 * 2 + 2 && k < s->oh * s->ow; k++) {
        double sum = 0;
        for (ptrdiff_t c = 0; c < s->ci; c++) sum += fabs((double)input_of(s, x, image, k)[c]);
        most += isfinite(sum) ? sum : 0;
    }
    return most; /* weights are below 1 */
}

/* r: the residual as it was before. */
static void check_strassen(const cameo_strassen *s, const cameo_strassen_args *a, const float *w,
                           const float *r) {
    for (ptrdiff_t p = 0; p < IMAGES * s->oh * s->ow; p++) {
        const ptrdiff_t image = p / (s->oh * s->ow), i = p % (s->oh * s->ow);
        const double scale = scale_of(s, a->x, image, i);
        for (ptrdiff_t o = 0; o < s->co; o++) {
            double magnitude,
                v = sum_at(s, input_of(s, a->x, image, i), w, o, &magnitude) + (double)a->b[o];
            if (s->r_pixel) v += (double)r[p * s->r_pixel + o];
            check((double)a->y[p * s->y_pixel + o], activate(&s->act, v, (double)a->slope[o]),
                  c_strassen * (scale + 1));
        }
        for (ptrdiff_t o = s->co; o < s->y_pixel; o++)
            assert_true(a->y[p * s->y_pixel + o] == guard_value);
    }
}

static void run(const cameo_strassen *s, const cameo_strassen_args *a,
                void (*task)(void *, size_t)) {
    const ptrdiff_t bands = (cameo_strassen_pairs(s) + s->rows - 1) / s->rows,
                    all = s->co / 2 / cameo_strassen_block(s);
    for (ptrdiff_t i = IMAGES * bands * ((all + s->blocks - 1) / s->blocks) - 1; i >= 0; i--)
        task((void *)a, (size_t)i);
}

static void test_one(const cameo_strassen *s, void (*task)(void *, size_t)) {
    const ptrdiff_t pixels = IMAGES * s->oh * s->ow, yn = pixels * s->y_pixel;
    const ptrdiff_t last = (IMAGES * s->h * s->w - 1) * s->x_pixel + s->ci; /* nothing behind the
                                                                               last channel */
    float *x = inputs(last), *w = floats(s->co * s->ci), *b = floats(s->co), *slope = floats(s->co),
          *r = inputs(pixels * s->r_pixel), *y = guarded(yn),
          *packed = floats(7 * (s->ci / 2) * (s->co / 2));
    pack_strassen(s, w, packed);
    cameo_strassen_args a = {x, packed, b, slope, r, y};
    run(s, &a, task);
    check_guards(y, yn);
    check_strassen(s, &a, w, r);
    if (s->r_pixel == s->y_pixel) { /* in place: the same bits */
        float *same = guarded(yn);
        memcpy(same, r, (size_t)yn * sizeof *r);
        a.r = a.y = same;
        run(s, &a, task);
        check_guards(same, yn);
        for (ptrdiff_t i = 0; i < yn; i++)
            assert_true(same[i] == y[i] || (isnan(same[i]) && isnan(y[i])));
        free(same - GUARD);
    }
    free(x), free(w), free(b), free(slope), free(r), free(y - GUARD), free(packed);
}

#define OUT(H, S) (((H)-1) / (S) + 1)
#define STRASSEN(NAME, H, W, CI, BLOCKS, S, EXTRA, R, TILE, VECTORS, ROWS, CHUNK, ...)    \
    static const cameo_strassen NAME##_shape = {                                          \
        .h = H,                                                                           \
        .w = W,                                                                           \
        .ci = CI,                                                                         \
        .oh = OUT(H, S),                                                                  \
        .ow = OUT(W, S),                                                                  \
        .co = 2 * BLOCKS * VECTORS * CAMEO_VF,                                            \
        .sh = S,                                                                          \
        .sw = S,                                                                          \
        .x_pixel = CI + EXTRA,                                                            \
        .y_pixel = 2 * BLOCKS * VECTORS * CAMEO_VF + EXTRA,                               \
        .r_pixel = R ? 2 * BLOCKS * VECTORS * CAMEO_VF : 0,                               \
        .tile = TILE,                                                                     \
        .vectors = VECTORS,                                                               \
        .rows = ROWS,                                                                     \
        .blocks = CHUNK,                                                                  \
        .line_pixel = (CI / 2 + CAMEO_VF - 1) / CAMEO_VF * CAMEO_VF + CAMEO_VF,           \
        .act = __VA_ARGS__};                                                              \
    static void NAME##_task(void *a, size_t i) {                                          \
        float line[CAMEO_STRASSEN_LINE(ROWS, CI / 2 + 2 * CAMEO_VF, VECTORS * CAMEO_VF)]; \
        cameo_strassen_task(&NAME##_shape, a, i, line);                                   \
    }                                                                                     \
    static void NAME(void **state) {                                                      \
        (void)state;                                                                      \
        WITHOUT_AND_WITH_ODD(test_one(&NAME##_shape, NAME##_task));                       \
    }
#define CASES(X)                                                                \
    X(whole, 14, 14, 128, 2, 1, 0, 1, 6, 4, 54, 1, {CAMEO_RELU, 0, 0})          \
    X(odd_pixels, 7, 7, 64, 3, 1, 0, 1, 5, 2, 15, 2, {CAMEO_NONE, 0, 0})        \
    X(one_pixel, 1, 1, 48, 1, 1, 0, 0, 6, 1, 6, 1, {CAMEO_NONE, 0, 0})          \
    X(two_pixels, 2, 1, 34, 2, 1, 3, 0, 6, 2, 6, 2, {CAMEO_CLIP, 0, 6})         \
    X(part_of_a_vector, 5, 9, 22, 1, 1, 0, 1, 4, 3, 8, 1, {CAMEO_PRELU, 0, 0})  \
    X(few_channels, 3, 11, 2, 1, 1, 0, 0, 6, 2, 12, 1, {CAMEO_HARDSWISH, 0, 0}) \
    X(slices, 6, 7, 38, 1, 1, 5, 0, 6, 4, 12, 1, {CAMEO_LEAKY, 0.1f, 0})        \
    X(slices_residual, 4, 6, 32, 2, 1, 7, 1, 3, 1, 3, 1, {CAMEO_SILU, 0, 0})    \
    X(stride_2, 13, 10, 40, 2, 2, 0, 1, 6, 2, 12, 1, {CAMEO_RELU, 0, 0})        \
    X(stride_3, 11, 17, 26, 1, 3, 4, 0, 6, 2, 6, 1, {CAMEO_TANH, 0, 0})         \
    X(a_line, 1, 29, 66, 1, 1, 0, 0, 14, 2, 14, 1, {CAMEO_SIGMOID, 0, 0})       \
    X(five_vectors, 7, 7, 48, 2, 1, 0, 1, 5, 5, 15, 1, {CAMEO_RELU, 0, 0})      \
    X(many_chunks, 3, 3, 20, 5, 1, 0, 1, 1, 1, 2, 2, {CAMEO_HARDSIGMOID, 0.2f, 0.5f})
CASES(STRASSEN)

#define TEST(NAME, ...) cmocka_unit_test(NAME),
int main(void) {
    const struct CMUnitTest tests[] = {CASES(TEST)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
