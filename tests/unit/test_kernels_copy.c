/* Copies (copy.h) against loops over the same axes, bit for bit, with guard words around the
   output and what lies between its elements untouched: rows, transposed tiles, single elements,
   other orders; channels interleaved. */
#include "kernel_case.h"

/* Elements of one image that the copy reaches at most, from the offset on. */
static ptrdiff_t reach(const ptrdiff_t *extent, const ptrdiff_t *stride) {
    ptrdiff_t last = 0;
    for (int i = 0; i < 4; i++)
        if (stride[i] > 0) last += (extent[i] - 1) * stride[i];
    return last + 1;
}

/* Marks in `want` what must come out. */
static void plain(const cameo_copy *s, const float *x, float *want, ptrdiff_t image) {
    for (ptrdiff_t a = 0; a < s->extent[0]; a++)
        for (ptrdiff_t b = 0; b < s->extent[1]; b++)
            for (ptrdiff_t c = 0; c < s->extent[2]; c++)
                for (ptrdiff_t d = 0; d < s->extent[3]; d++)
                    memcpy(&want[image * s->to_image + s->to_offset + a * s->to[0] + b * s->to[1] +
                                 c * s->to[2] + d * s->to[3]],
                           &x[image * s->from_image + s->from_offset + a * s->from[0] +
                              b * s->from[1] + c * s->from[2] + d * s->from[3]],
                           sizeof *x);
}

static void test_one(const cameo_copy *s, void (*task)(void *, size_t)) {
    const ptrdiff_t xn = (IMAGES - 1) * s->from_image + s->from_offset + reach(s->extent, s->from),
                    yn = (IMAGES - 1) * s->to_image + s->to_offset + reach(s->extent, s->to);
    float *x = floats(xn), *y = guarded(yn), *want = guarded(yn);
    const uint32_t odd = 0x7fa00001; /* a signalling NaN keeps its bits */
    memcpy(&x[xn / 2], &odd, sizeof odd);
    cameo_copy_args a = {x, y, 0};
    for (size_t i = IMAGES * cameo_copy_tasks(s); i-- > 0;) task(&a, i);
    for (ptrdiff_t i = 0; i < IMAGES; i++) plain(s, x, want, i);
    assert_memory_equal(y, want, (size_t)yn * sizeof *y);
    check_guards(y, yn);
    free(x), free(y - GUARD), free(want - GUARD);
}

#define LIST(...) \
    { __VA_ARGS__ }
#define COPY(NAME, EXTENT, FROM, TO, FROM_OFFSET, TO_OFFSET, FROM_IMAGE, TO_IMAGE, STEP, TILED) \
    static const cameo_copy NAME##_shape = {.extent = EXTENT,                                   \
                                            .from = FROM,                                       \
                                            .to = TO,                                           \
                                            .from_offset = FROM_OFFSET,                         \
                                            .to_offset = TO_OFFSET,                             \
                                            .from_image = FROM_IMAGE,                           \
                                            .to_image = TO_IMAGE,                               \
                                            .step = STEP,                                       \
                                            .tiled = TILED};                                    \
    static void NAME##_task(void *p, size_t i) {                                                \
        const cameo_copy_args *a = p;                                                           \
        cameo_copy_task(&NAME##_shape, a->x, a->y, i);                                          \
    }                                                                                           \
    static void NAME(void **state) {                                                            \
        (void)state;                                                                            \
        test_one(&NAME##_shape, NAME##_task);                                                   \
    }
#define COPIES(X)                                                                                  \
    X(rows, LIST(35, 1, 1, 37), LIST(37, 1, 1, 1), LIST(90, 1, 1, 1), 0, 19, 35 * 37, 35 * 90, 8,  \
      false)                                                                                       \
    X(short_rows, LIST(9, 4, 1, 3), LIST(12, 3, 1, 1), LIST(20, 5, 1, 1), 0, 2, 108, 180, 2,       \
      false)                                                                                       \
    X(whole_rows, LIST(6, 1, 2, 64), LIST(200, 1, 64, 1), LIST(128, 1, 64, 1), 5, 0, 1300, 768, 6, \
      false)                                                                                       \
    X(backwards, LIST(4, 3, 5, 7), LIST(-105, 35, 7, 1), LIST(105, 35, 7, 1), 315, 0, 420, 420, 3, \
      false)                                                                                       \
    X(every_other, LIST(5, 1, 6, 11), LIST(150, 1, 24, 2), LIST(66, 1, 11, 1), 1, 0, 750, 330, 2,  \
      false)                                                                                       \
    X(scattered, LIST(5, 1, 6, 11), LIST(66, 1, 11, 1), LIST(150, 1, 24, 2), 0, 1, 330, 751, 5,    \
      false)                                                                                       \
    X(repeated, LIST(3, 4, 1, 33), LIST(33, 0, 1, 1), LIST(132, 33, 1, 1), 0, 0, 99, 396, 1,       \
      false)                                                                                       \
    X(tiles, LIST(1, 1, 35, 37), LIST(1, 1, 1, 35), LIST(1, 1, 37, 1), 0, 0, 35 * 37, 35 * 37, 16, \
      true)                                                                                        \
    X(tiles_in_slices, LIST(3, 2, 48, 18), LIST(2000, 900, 1, 50), LIST(6000, 3000, 20, 1), 3, 2,  \
      6000, 18000, 32, true)                                                                       \
    X(small_tiles, LIST(2, 3, 3, 2), LIST(18, 6, 1, 3), LIST(18, 6, 2, 1), 0, 0, 36, 36, 64, true)

COPIES(COPY)

/* ---- interleaved channels ---- */

static void test_interleave(const cameo_interleave *s, void (*task)(void *, size_t)) {
    enum { PIXELS = 45 };
    const ptrdiff_t channels = s->c * s->parts;
    cameo_interleave_args a = {.y = guarded(PIXELS * s->y_pixel), .total = PIXELS};
    for (ptrdiff_t k = 0; k < s->parts; k++) a.x[k] = floats((PIXELS - 1) * s->x_pixel[k] + s->c);
    for (ptrdiff_t i = (PIXELS + s->pixels - 1) / s->pixels; i-- > 0;) task(&a, (size_t)i);
    for (ptrdiff_t p = 0; p < PIXELS; p++) {
        for (ptrdiff_t c = 0; c < channels; c++)
            assert_true(a.y[p * s->y_pixel + c] ==
                        a.x[c % s->parts][p * s->x_pixel[c % s->parts] + c / s->parts]);
        for (ptrdiff_t c = channels; c < s->y_pixel; c++)
            assert_true(a.y[p * s->y_pixel + c] == guard_value);
    }
    check_guards(a.y, PIXELS * s->y_pixel);
    for (ptrdiff_t k = 0; k < s->parts; k++) free((void *)(uintptr_t)a.x[k]);
    free(a.y - GUARD);
}

#define INTERLEAVE(NAME, C, PARTS, PIXELS, Y_PIXEL, ...)                                         \
    static const cameo_interleave NAME##_shape = {                                               \
        .pixels = PIXELS, .c = C, .parts = PARTS, .x_pixel = {__VA_ARGS__}, .y_pixel = Y_PIXEL}; \
    static void NAME##_task(void *a, size_t i) { cameo_interleave_task(&NAME##_shape, a, i); }   \
    static void NAME(void **state) {                                                             \
        (void)state;                                                                             \
        test_interleave(&NAME##_shape, NAME##_task);                                             \
    }
#define INTERLEAVES(X)                       \
    X(two_parts, 58, 2, 8, 116, 116, 58)     \
    X(two_whole, 32, 2, 45, 64, 32, 32)      \
    X(two_few, 3, 2, 7, 9, 4, 3)             \
    X(two_rest, 17, 2, 10, 40, 17, 20)       \
    X(three_parts, 20, 3, 6, 60, 60, 60, 25) \
    X(eight_parts, 5, 8, 50, 41, 5, 6, 7, 8, 9, 10, 11, 40)
INTERLEAVES(INTERLEAVE)

#define TEST(NAME, ...) cmocka_unit_test(NAME),
int main(void) {
    const struct CMUnitTest tests[] = {COPIES(TEST) INTERLEAVES(TEST)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
