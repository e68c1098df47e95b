/* Convolutions a strip of rows at a time (strip_conv.h) against the same kernels one after the
   other over whole maps, which test_kernels.c compares with plain references: the same bits,
   whatever the strips and bands, and nothing written outside. */
#include "kernel_case.h"

static float *expanded, *middle; /* of exactly the size that is asked for */

static float *ones_and_more(ptrdiff_t n) {
    float *p = floats(n);
    for (ptrdiff_t i = 0; i < n; i++) p[i] = p[i] * p[i];
    return p;
}

static cameo_conv_args pointwise_operands(const cameo_conv *s) {
    const ptrdiff_t padded = up(s->co, s->vectors * CAMEO_VF);
    return (cameo_conv_args){
        .w = floats(padded * s->ci), .b = floats(padded), .slope = ones_and_more(padded)};
}

static cameo_depthwise_args depthwise_operands(const cameo_depthwise *s) {
    const ptrdiff_t padded = up(s->c, CAMEO_VF);
    return (cameo_depthwise_args){
        .w = floats(padded * s->kh * s->kw), .b = floats(padded), .slope = ones_and_more(padded)};
}

static void free_operands(const float *w, const float *b, const float *slope) {
    free((void *)(uintptr_t)w), free((void *)(uintptr_t)b), free((void *)(uintptr_t)slope);
}

/* A pointwise convolution of whole maps. */
static void pointwise(const cameo_conv *s, cameo_conv_args *a, ptrdiff_t rows) {
    for (ptrdiff_t n = 0; n < IMAGES; n++)
        cameo_strip_pointwise(s, a, a->x + n * rows * s->w * s->x_pixel,
                              s->r_pixel ? a->r + n * rows * s->ow * s->r_pixel : NULL,
                              a->y + n * rows * s->ow * s->y_pixel, rows);
}

static void one_after_the_other(const cameo_strips *s, cameo_strips_args a,
                                void (*depthwise_task)(void *, size_t)) {
    const cameo_depthwise *d = s->depthwise;
    float *wide = floats(IMAGES * d->h * d->w * d->x_pixel),
          *narrow = floats(IMAGES * d->oh * d->ow * d->y_pixel);
    if (s->expand) {
        a.expand.y = wide;
        pointwise(s->expand, &a.expand, d->h);
        a.depthwise.x = wide;
    }
    a.depthwise.y = narrow;
    for (ptrdiff_t i = 0; i < IMAGES * ((d->oh + d->rows - 1) / d->rows); i++)
        depthwise_task(&a.depthwise, (size_t)i);
    a.project.x = narrow;
    pointwise(s->project, &a.project, d->oh);
    free(wide), free(narrow);
}

static void test_one(const cameo_strips *s, void (*task)(void *, size_t),
                     void (*depthwise_task)(void *, size_t)) {
    const cameo_depthwise *d = s->depthwise;
    const cameo_conv *e = s->expand, *p = s->project;
    const ptrdiff_t yn = IMAGES * d->oh * d->ow * p->y_pixel,
                    strips = (d->oh + s->rows - 1) / s->rows;
    float *x = floats(IMAGES * d->h * d->w * (e ? e->x_pixel : d->x_pixel)),
          *r = floats(IMAGES * d->oh * d->ow * p->r_pixel);
    float *y = guarded(yn), *z = guarded(yn);
    cameo_strips_args a = {.depthwise = depthwise_operands(d), .project = pointwise_operands(p)};
    if (e) a.expand = pointwise_operands(e);
    a.expand.x = x, a.depthwise.x = x, a.project.r = r, a.project.y = y;
    one_after_the_other(s, a, depthwise_task);
    check_guards(y, yn);
    expanded = floats(CAMEO_STRIP_WINDOW(s->rows, d->sh, d->kh, d->dh) * d->w * d->x_pixel);
    middle = floats(s->rows * d->ow * d->y_pixel);
    a.project.y = z;
    for (a.bands = 1; a.bands <= 4 && a.bands <= (size_t)strips; a.bands++) {
        for (ptrdiff_t i = 0; i < yn; i++) z[i] = guard_value;
        for (size_t i = IMAGES * a.bands; i-- > 0;) task(&a, i);
        check_guards(z, yn);
        assert_memory_equal(y, z, (size_t)yn * sizeof *y);
    }
    if (e) free_operands(a.expand.w, a.expand.b, a.expand.slope);
    free_operands(a.depthwise.w, a.depthwise.b, a.depthwise.slope),
        free_operands(a.project.w, a.project.b, a.project.slope);
    free(x), free(r), free(y - GUARD), free(z - GUARD), free(expanded), free(middle);
}

#define OUT(H, K, S, D, P) (((H) + 2 * (P) - ((K)-1) * (D)-1) / (S) + 1)
#define POINTWISE(H, W, CI, CO, X, Y, R, TILE, V, FETCH, ...)                                      \
    {                                                                                              \
        .h = H, .w = W, .ci = CI, .oh = H, .ow = W, .co = CO, .groups = 1, .kh = 1, .kw = 1,       \
        .sh = 1, .sw = 1, .dh = 1, .dw = 1, .x_pixel = X, .y_pixel = Y, .r_pixel = R, .tile_h = 1, \
        .tile_w = TILE, .vectors = V, .rows = H, .blocks = 9, .prefetch = FETCH,                   \
        .act = __VA_ARGS__                                                                         \
    }
/* An image of H x W x CI expands to C channels (CI = 0: has C), K x K depthwise of stride S,
   dilation D and pads P, to CO. */
#define STRIPS(NAME, H, W, CI, C, CO, K, S, D, P, ROWS, EXTRA, R, ACT_E, ACT_D, ACT_P)          \
    static const cameo_conv NAME##_expand = POINTWISE(ROWS, W, CI, C, CI + EXTRA, C, 0, 5, 2,   \
                                                      CAMEO_FETCH_INPUT * (EXTRA == 0), ACT_E), \
                            NAME##_project = POINTWISE(ROWS, OUT(W, K, S, D, P), C, CO, C,      \
                                                       CO + EXTRA, R ? CO : 0, 4, 3,            \
                                                       CAMEO_FETCH_NOTHING, ACT_P);             \
    static const cameo_depthwise NAME##_depthwise = {.h = H,                                    \
                                                     .w = W,                                    \
                                                     .c = C,                                    \
                                                     .oh = OUT(H, K, S, D, P),                  \
                                                     .ow = OUT(W, K, S, D, P),                  \
                                                     .kh = K,                                   \
                                                     .kw = K,                                   \
                                                     .sh = S,                                   \
                                                     .sw = S,                                   \
                                                     .dh = D,                                   \
                                                     .dw = D,                                   \
                                                     .pt = P,                                   \
                                                     .pl = P,                                   \
                                                     .x_pixel = C + (CI ? 0 : EXTRA),           \
                                                     .y_pixel = C,                              \
                                                     .rows = 5,                                 \
                                                     .act = ACT_D};                             \
    static const cameo_strips NAME##_strips = {CI ? &NAME##_expand : NULL, &NAME##_depthwise,   \
                                               &NAME##_project, ROWS};                          \
    static void NAME##_task(void *a, size_t i) {                                                \
        cameo_strips_task(&NAME##_strips, a, i, expanded, middle);                              \
    }                                                                                           \
    static void NAME##_depthwise_task(void *a, size_t i) {                                      \
        cameo_depthwise_task(&NAME##_depthwise, a, i);                                          \
    }                                                                                           \
    static void NAME(void **state) {                                                            \
        (void)state;                                                                            \
        test_one(&NAME##_strips, NAME##_task, NAME##_depthwise_task);                           \
    }
#define CLIP \
    { CAMEO_CLIP, 0, 1 }
#define RELU \
    { CAMEO_RELU, 0, 0 }
#define PRELU \
    { CAMEO_PRELU, 0, 0 }
#define NONE \
    { CAMEO_NONE, 0, 0 }
#define CASES(X)                                                                       \
    X(inverted, 14, 14, 16, 96, 24, 3, 1, 1, 1, 4, 0, 1, CLIP, CLIP, NONE)             \
    X(inverted_stride_2, 28, 28, 24, 40, 33, 3, 2, 1, 1, 3, 0, 0, CLIP, CLIP, NONE)    \
    X(inverted_odd, 13, 11, 7, 37, 19, 3, 1, 1, 1, 2, 3, 1, PRELU, PRELU, RELU)        \
    X(inverted_odd_stride_2, 15, 9, 5, 21, 8, 3, 2, 1, 1, 1, 0, 0, RELU, NONE, PRELU)  \
    X(inverted_rows_of_one, 9, 8, 8, 32, 16, 3, 1, 1, 1, 1, 0, 1, RELU, RELU, NONE)    \
    X(inverted_whole_map, 6, 7, 8, 20, 16, 3, 1, 1, 1, 6, 0, 0, RELU, RELU, NONE)      \
    X(inverted_5x5, 17, 12, 9, 24, 40, 5, 1, 1, 2, 3, 0, 1, CLIP, RELU, NONE)          \
    X(inverted_5x5_stride_2, 17, 12, 9, 24, 40, 5, 2, 1, 2, 4, 5, 0, CLIP, RELU, NONE) \
    X(inverted_dilated, 16, 13, 6, 18, 24, 3, 1, 2, 2, 3, 0, 0, NONE, RELU, RELU)      \
    X(inverted_stride_3, 20, 19, 6, 18, 24, 3, 3, 1, 0, 2, 0, 0, RELU, RELU, NONE)     \
    X(inverted_skips_rows, 22, 9, 6, 18, 24, 1, 3, 1, 0, 2, 0, 0, RELU, RELU, NONE)    \
    X(inverted_far_pads, 7, 9, 6, 18, 24, 3, 1, 1, 2, 2, 0, 0, RELU, RELU, NONE)       \
    X(pair, 14, 14, 0, 32, 64, 3, 1, 1, 1, 3, 0, 0, NONE, RELU, RELU)                  \
    X(pair_stride_2, 15, 13, 0, 19, 50, 3, 2, 1, 1, 2, 3, 1, NONE, PRELU, PRELU)       \
    X(pair_tiny, 1, 1, 0, 5, 3, 3, 1, 1, 1, 1, 0, 0, NONE, NONE, NONE)
CASES(STRIPS)

#define BANDS(threads, images, strips) ((int)cameo_strip_bands(threads, images, strips))
static void bands(void **state) {
    (void)state;
    assert_int_equal(BANDS(1, 1, 9), 1);
    assert_int_equal(BANDS(0, 3, 9), 1);
    assert_int_equal(BANDS(2, 1, 9), 2);
    assert_int_equal(BANDS(2, 4, 9), 1); /* images enough */
    assert_int_equal(BANDS(2, 3, 9), 2);
    assert_int_equal(BANDS(16, 1, 9), 9); /* no more than there are strips */
}

#define TEST(NAME, ...) cmocka_unit_test(NAME),
int main(void) {
    const struct CMUnitTest tests[] = {CASES(TEST) cmocka_unit_test(bands)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
