/* Shapes as C (compiler/kernels/shape.c): every kind of field, nested structs and arrays, and that
   fields of 0 are left out. And the windows that kernels see. */
#include "compiler/kernels/kernels.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>

#define PRINTS(type, text, ...)                                                   \
    do {                                                                          \
        arena *a = arena_create();                                                \
        assert_string_equal(type##_literal(a, &(const type){__VA_ARGS__}), text); \
        arena_destroy(a);                                                         \
    } while (0)

static void numbers(void **state) {
    (void)state;
    PRINTS(cameo_reorder, "{.c = 3, .pixels = -1, .y_pixel = 9223372036854775807}", .c = 3,
           .pixels = -1, .y_pixel = INT64_MAX);
    PRINTS(cameo_copy, "{.extent = {2, 0, 0, 5}, .to_offset = 7, .tiled = true}",
           .extent = {2, 0, 0, 5}, .to_offset = 7, .tiled = true);
    PRINTS(cameo_interleave, "{.parts = 2, .x_pixel = {0, 0, 0, 0, 0, 0, 0, 9}}", .parts = 2,
           .x_pixel[7] = 9);
    PRINTS(cameo_batchnorm, "{.c = 1, .dr_row = 6, .epsilon = 0.5f, .momentum = -0.25f}", .c = 1,
           .dr_row = 6, .epsilon = 0.5f, .momentum = -0.25f);
    PRINTS(cameo_xnn_matrix, "{.co = 4, .least = -INFINITY, .most = INFINITY}", .co = 4,
           .least = -INFINITY, .most = INFINITY);
    PRINTS(cameo_xnn_window, "{.w = 1, .kh = 5, .groups = 2, .ci = 3}", .w = 1, .kh = 5,
           .groups = 2, .ci = 3);
}

static void words(void **state) {
    (void)state;
    PRINTS(cameo_conv, "{.prefetch = CAMEO_FETCH_WEIGHTS}", .prefetch = CAMEO_FETCH_WEIGHTS);
    PRINTS(cameo_conv, "{.prefetch = CAMEO_FETCH_INPUT, .padded = true}", .padded = true,
           .prefetch = CAMEO_FETCH_INPUT);
    PRINTS(cameo_xnn_doubt, "{.kind = CAMEO_XNN_GLOBAL_AVERAGE}", .kind = CAMEO_XNN_GLOBAL_AVERAGE);
    PRINTS(cameo_gemm, "{.k = 1, .bfloat16 = true, .act = {CAMEO_CLIP, -1.0f, 6.0f}}", .k = 1,
           .bfloat16 = true, .act = {CAMEO_CLIP, -1, 6});
    PRINTS(cameo_gemm, "{.act = {CAMEO_TANH, 0.0f, 0.0f}}", .act = {.kind = CAMEO_TANH});
}

static void structs(void **state) {
    (void)state;
    PRINTS(cameo_conv,
           "{.line_pixel = 1, .gather = {.ow = 2, .image = 3}, .act = {CAMEO_RELU, 0.0f, 0.0f}}",
           .line_pixel = 1, .gather = {.ow = 2, .image = 3}, .act = {.kind = CAMEO_RELU});
    PRINTS(cameo_xnn_doubt,
           "{.s = {.h = 1, .most = 2.0f}, .kind = CAMEO_XNN_DEPTHWISE, .batched = true}",
           .s = {.h = 1, .most = 2}, .kind = CAMEO_XNN_DEPTHWISE, .batched = true);
}

/* Of each struct the last field is found, and nothing is printed where nothing is set. */
static void all_are_known(void **state) {
    (void)state;
#define SHAPE(type) PRINTS(type, "{}", 0);
#include "runtime/kernels/shapes.def"
}

/* A window larger than its map, which only a transposed convolution may have. */
static void windows(void **state) {
    (void)state;
    const value x = {.shape = {4, {1, 2, 1, 1}}}, w = {.shape = {4, {2, 3, 4, 5}}};
    const node transposed = {.opcode = ONNX_ConvTranspose}, conv = {.opcode = ONNX_Conv};
    window k;
    assert_true(window_of(&transposed, &x, &w, &k));
    assert_true(k.k[1] == 4 && k.k[2] == 5 && k.out[1] == 4 && k.out[2] == 5 && k.group == 1);
    assert_false(window_of(&conv, &x, &w, &k));
    const value map = {.shape = {4, {1, 2, 9, 9}}}, line = {.shape = {3, {1, 2, 9}}};
    assert_true(window_of(&conv, &map, &w, &k));
    assert_true(k.out[1] == 6 && k.out[2] == 5);
    assert_false(window_of(&conv, &line, NULL, &k));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(words),
                                       cmocka_unit_test(structs), cmocka_unit_test(all_are_known),
                                       cmocka_unit_test(windows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
