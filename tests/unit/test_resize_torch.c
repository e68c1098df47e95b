/* Resize against PyTorch, with scales that give no whole extents: tests/golden/resize.h, made by
   tests/oracle/make_resize.py. */
#include "op_case.h"

#include "../golden/resize.h"

enum { HEIGHT = 5, WIDTH = 7 };
#define ROWS (sizeof resize_golden / sizeof *resize_golden)

typedef struct resized {
    arena *memory;
    diag problems;
    const tensor *y;
} resized;

static value *floats(graph *g, const shape *s, const double *numbers) {
    tensor *t = tensor_new(g->arena, DT_FLOAT, s);
    for (int64_t i = 0; i < shape_count(s); i++) tensor_set(t, i, numbers[i]);
    return graph_add_constant(g, NULL, t);
}

static node *resize_node(graph *g, const struct resize_golden *row) {
    double numbers[HEIGHT * WIDTH], scales[4] = {1, 1, row->scale[0], row->scale[1]};
    for (int i = 0; i < HEIGHT * WIDTH; i++) numbers[i] = sin(0.37 * i);
    value *x = floats(g, &(shape){4, {1, 1, HEIGHT, WIDTH}}, numbers),
          *s = floats(g, &(shape){1, {4}}, scales);
    value *y = graph_add_value(g, NULL);
    node *n = graph_add_node(g, "Resize", "", (value *[]){x, NULL, s}, 3, &y, 1);
    n->opset = 13;
    node_set_string(g, n, "mode", row->mode);
    node_set_string(g, n, "coordinate_transformation_mode", row->coordinates);
    node_set_string(g, n, "nearest_mode", row->nearest);
    return n;
}

static resized resize(const struct resize_golden *row, const char *producer) {
    resized r = {.memory = arena_create()};
    r.problems = (diag){.arena = r.memory, .file = "test"};
    graph *g = graph_create(r.memory, &r.problems);
    g->producer = producer;
    node *n = resize_node(g, row);
    n->op = op_find("", "Resize", 13, NULL);
    assert_true(n->op->infer(g, n));
    tensor *y = tensor_new(r.memory, DT_FLOAT, &n->out[0]->shape);
    const char *why = "?";
    assert_true(n->op->reference(
        r.memory, n, (const tensor *[]){n->in[0]->constant, NULL, n->in[2]->constant}, &y, &why));
    r.y = y;
    return r;
}

static bool is_fractional(const struct resize_golden *row) {
    return fabs(HEIGHT * row->scale[0] - row->height) > 1e-3 ||
           fabs(WIDTH * row->scale[1] - row->width) > 1e-3;
}

/* And a fractional extent with aligned corners is said, in one line. */
static void as_pytorch(void **state) {
    (void)state;
    const double *want = resize_numbers;
    for (size_t i = 0; i < ROWS; want += resize_golden[i].height * resize_golden[i].width, i++) {
        const struct resize_golden *row = &resize_golden[i];
        resized r = resize(row, "pytorch 1.13.0");
        assert_true(shape_equal(&r.y->shape, &(shape){4, {1, 1, row->height, row->width}}));
        for (int k = 0; k < row->height * row->width; k++)
            if (!(fabs(tensor_get(r.y, k) - want[k]) <= 2e-6))
                fail_msg("%s %s %g %g: element %d is %.9g, not %.9g", row->mode, row->coordinates,
                         row->scale[0], row->scale[1], k, tensor_get(r.y, k), want[k]);
        assert_int_equal(r.problems.warnings,
                         !strcmp(row->coordinates, "align_corners") && is_fractional(row));
        arena_destroy(r.memory);
    }
}

/* ONNX's own tests divide by the length that the scale asks for; every producer but them is taken
   for a framework. */
static void the_rule_follows_the_producer(void **state) {
    (void)state;
    const struct resize_golden row = {"linear", "align_corners", "floor", {1.5, 1}, 7, WIDTH};
    resized suite = resize(&row, "backend-test"), unnamed = resize(&row, "");
    const double x = 6 * 4 / 6.5, below = sin(0.37 * 3 * WIDTH), above = sin(0.37 * 4 * WIDTH);
    assert_true(fabs(tensor_get(suite.y, 6 * WIDTH) - (below + (x - 3) * (above - below))) < 1e-6);
    assert_true(fabs(tensor_get(unnamed.y, 6 * WIDTH) - above) < 1e-6);
    assert_int_equal(suite.problems.warnings, 0);
    assert_int_equal(unnamed.problems.warnings, 1);
    arena_destroy(suite.memory);
    arena_destroy(unnamed.memory);
}

/* Which input is nearest hangs on the last bit: 1.5 / 0.6 - 0.5 is 2 in float32, as in ONNX
   Runtime, and less in double. */
static void as_onnx_runtime(void **state) {
    (void)state;
    const struct resize_golden half = {"nearest", "half_pixel", "floor", {0.6, 1}, 3, WIDTH};
    resized r = resize(&half, "");
    assert_true(fabs(tensor_get(r.y, WIDTH) - sin(0.37 * 2 * WIDTH)) < 1e-6);
    arena_destroy(r.memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_pytorch),
                                       cmocka_unit_test(the_rule_follows_the_producer),
                                       cmocka_unit_test(as_onnx_runtime)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
