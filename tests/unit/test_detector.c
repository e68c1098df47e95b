/* The face detector without a network: a model whose "layers" answer with planted cells, so that
   letterbox, decoding, suppression, blending and the choice of the face are tested alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/cameo_abi.h"
#include "runtime/image/detector.h"

enum { SIDE = 64 };
static const int strides[3] = {8, 16, 32};

/* A face that one cell of one level sees: centre and size in pixels of the network's input; its
   landmarks, from the left eye on clockwise, are `at` + offset */
typedef struct planted {
    int level, column, row;
    float cls, obj, cx, cy, width, height, at_x, at_y;
} planted;

static const planted *planted_cells;
static size_t n_planted;
static float seen[3 * SIDE * SIDE]; /* the input of the last run */

static const float offset_x[5] = {0, 8, 4, 1, 7}, offset_y[5] = {0, 0, 5, 9, 9};

static void answer(cameo_context *c, size_t last) {
    static const size_t width[4] = {1, 1, 4, 10};
    (void)last;
    memcpy(seen, c->in[0], sizeof seen);
    for (size_t o = 0; o < 12; o++) {
        size_t cells = (size_t)(SIDE / strides[o % 3]) * (size_t)(SIDE / strides[o % 3]);
        memset(c->out[o], 0, cells * width[o / 3] * sizeof(float));
    }
    for (size_t i = 0; i < n_planted; i++) {
        const planted *p = &planted_cells[i];
        float stride = (float)strides[p->level], x = (float)p->column, y = (float)p->row;
        size_t cell = (size_t)(p->row * (SIDE / strides[p->level]) + p->column),
               level = (size_t)p->level;
        float *box = (float *)c->out[6 + level] + 4 * cell,
              *points = (float *)c->out[9 + level] + 10 * cell;
        ((float *)c->out[level])[cell] = p->cls;
        ((float *)c->out[3 + level])[cell] = p->obj;
        box[0] = p->cx / stride - x, box[1] = p->cy / stride - y;
        box[2] = logf(p->width / stride), box[3] = logf(p->height / stride);
        for (int k = 0; k < 5; k++) {
            points[2 * k] = (p->at_x + offset_x[k]) / stride - x;
            points[2 * k + 1] = (p->at_y + offset_y[k]) / stride - y;
        }
    }
}

#define LEVEL(kind, width)                                                                 \
    {kind "_8", 1, 3, {1, 64, width}, false}, {kind "_16", 1, 3, {1, 16, width}, false}, { \
        kind "_32", 1, 3, {1, 4, width}, false                                             \
    }

static const cameo_tensor_info outputs[12] = {LEVEL("cls", 1), LEVEL("obj", 1), LEVEL("bbox", 4),
                                              LEVEL("kps", 10)};
static const cameo_tensor_info input[1] = {{"input", 1, 4, {1, 3, SIDE, SIDE}, false}};
static const cameo_model model = {.abi = CAMEO_ABI,
                                  .name = "planted",
                                  .target = "x86-64",
                                  .batch = 1,
                                  .n_inputs = 1,
                                  .n_outputs = 12,
                                  .inputs = input,
                                  .outputs = outputs,
                                  .run = answer};

static cameo_image photograph(int width, int height) {
    cameo_image image;
    assert_true(cameo_image_allocate(&image, width, height, "test", NULL));
    for (int i = 0; i < width * height; i++) memcpy(image.pixels + 3 * i, "\10\20\30", 3);
    return image;
}

static size_t find(const planted *cells, size_t n, cameo_face *faces, size_t capacity, int width,
                   int height) {
    cameo_error error = {0};
    cameo_detector *d = cameo_detector_open(&model, 1, &error);
    cameo_image image = photograph(width, height);
    assert_non_null(d);
    planted_cells = cells, n_planted = n;
    n = cameo_detector_faces(d, &image, 0.5, faces, capacity, &error);
    cameo_image_free(&image);
    cameo_detector_close(d);
    return n;
}

static void near(double got, double want) {
    if (!(fabs(got - want) <= 1e-3)) fail_msg("%g is not %g", got, want);
}

/* 128 x 96 enters 64 x 64 at half its size; the input's index i is the photograph's 2 i + 1/2. */
static void cells_of_every_level(void **unused) {
    (void)unused;
    for (int level = 0; level < 3; level++) {
        const planted cell = {level, 1, 0, 0.81f, 0.64f, 30, 20, 16, 24, 26.5f, 14.25f};
        cameo_face f[4];
        assert_int_equal(find(&cell, 1, f, 4, 128, 96), 1);
        near(f[0].score, sqrt(0.81 * 0.64));
        near(f[0].width, 32), near(f[0].height, 48);
        near(f[0].x, 60.5 - 16), near(f[0].y, 40.5 - 24);
        for (int k = 0; k < 5; k++) {
            near(f[0].at.x[k], 2 * (26.5 + (double)offset_x[k]) + 0.5);
            near(f[0].at.y[k], 2 * (14.25 + (double)offset_y[k]) + 0.5);
        }
    }
}

/* BGR, the photograph in the upper rows, black below. */
static void the_letterbox(void **unused) {
    (void)unused;
    cameo_face f[1];
    assert_int_equal(find(NULL, 0, f, 1, 128, 96), 0);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int c = 0; c < 3; c++)
                assert_true(seen[(c * SIDE + y) * SIDE + x] == (y < 48 ? (float)(c == 0   ? 24
                                                                                 : c == 1 ? 16
                                                                                          : 8)
                                                                       : 0));
}

/* The second cell overlaps the first by more than 0.6: its landmarks count. The third is between
   0.3 and 0.6: the same face, but not its landmarks. The fourth is another face, the fifth too
   unsure to be one. */
static void overlapping_faces(void **unused) {
    (void)unused;
    static const planted cells[] = {{0, 2, 2, 1, 1, 20, 20, 16, 16, 16, 16},
                                    {0, 3, 2, 0.5f, 0.5f, 22, 20, 16, 16, 19, 13},
                                    {0, 3, 3, 0.6f, 0.6f, 26, 20, 16, 16, 50, 50},
                                    {1, 3, 3, 0.9f, 0.9f, 50, 50, 16, 16, 46, 46},
                                    {2, 0, 1, 0.4f, 0.6f, 10, 54, 16, 16, 6, 46}};
    cameo_face f[4];
    assert_int_equal(find(cells, 5, f, 4, SIDE, SIDE), 2);
    near(f[0].score, 1), near(f[1].score, 0.9);
    near(f[0].at.x[0], (16 + 0.5 * 19) / 1.5), near(f[0].at.y[0], (16 + 0.5 * 13) / 1.5);
    near(f[1].at.x[0], 46);
    assert_int_equal(find(cells, 5, f, 1, SIDE, SIDE), 1); /* no more than asked for */
}

static void the_face_a_photograph_is_about(void **unused) {
    (void)unused;
    static const struct {
        const char *why;
        planted cells[2];
        int which;
    } cases[] = {
        {"equal faces: the middle",
         {{1, 0, 0, 1, 1, 10, 10, 16, 16, 6, 6}, {1, 2, 2, 1, 1, 34, 30, 16, 16, 30, 26}},
         1},
        {"somewhat larger, but at the edge",
         {{1, 0, 0, 1, 1, 8, 8, 20, 20, 4, 4}, {1, 2, 2, 1, 1, 34, 34, 16, 16, 30, 30}},
         1},
        {"a far larger one beside the middle",
         {{1, 1, 1, 1, 1, 24, 28, 34, 40, 20, 24}, {1, 3, 3, 1, 1, 48, 40, 8, 8, 44, 36}},
         0},
        {"a surer one",
         {{1, 1, 2, 1, 1, 22, 32, 16, 16, 18, 28}, {1, 2, 2, 0.6f, 0.6f, 42, 32, 16, 16, 38, 28}},
         0},
    };
    cameo_error error = {0};
    cameo_detector *d = cameo_detector_open(&model, 1, &error);
    cameo_image image = photograph(SIDE, SIDE);
    cameo_landmarks at;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        planted_cells = cases[i].cells, n_planted = 2;
        assert_true(cameo_detector_find(d, &image, &at, &error));
        if (fabs(at.x[0] - (double)cases[i].cells[cases[i].which].at_x) > 1e-3)
            fail_msg("%s: the other face", cases[i].why);
    }
    n_planted = 0;
    assert_false(cameo_detector_find(d, &image, &at, &error));
    assert_int_equal(error.code, CAMEO_BAD_INPUT);
    assert_non_null(strstr(error.message, "no face"));
    cameo_image_free(&image);
    cameo_detector_close(d);
}

/* Far more cells than faces can be: no overflow, the best ones stay. */
static void a_cell_everywhere(void **unused) {
    (void)unused;
    planted cells[84];
    size_t n = 0;
    for (int level = 0; level < 3; level++)
        for (int row = 0; row < SIDE / strides[level]; row++)
            for (int column = 0; column < SIDE / strides[level]; column++, n++) {
                float s = (float)strides[level], x = s * (float)column, y = s * (float)row;
                cells[n] = (planted){level, column, row, 0.9f, 0.6f + 0.004f * (float)n, x, y,
                                     s,     s,      x,   y};
            }
    cameo_face f[3];
    assert_int_equal(n, 84);
    assert_int_equal(find(cells, n, f, 3, SIDE, SIDE), 3);
    for (int i = 0; i < 3; i++) near(f[i].score, sqrt(0.9 * (0.6 + 0.004 * (83 - i))));
}

static void other_networks_are_refused(void **unused) {
    (void)unused;
    cameo_tensor_info other[12], two[2] = {input[0], input[0]};
    cameo_model wrong = model;
    cameo_error error = {0};
    wrong.outputs = other;
    for (size_t i = 0; i < 12; i++) {
        for (int how = 0; how < 3; how++) {
            memcpy(other, outputs, sizeof outputs);
            if (how == 0) other[i].name = "other";
            if (how == 1) other[i].dim[1]++;
            if (how == 2) other[i].dtype = 7;
            assert_null(cameo_detector_open(&wrong, 1, &error));
            assert_non_null(strstr(error.message, outputs[i].name));
            assert_int_equal(error.code, CAMEO_BAD_INPUT);
        }
    }
    memcpy(other, outputs, sizeof outputs);
    wrong.preprocess = "color=gray";
    assert_null(cameo_detector_open(&wrong, 1, &error));
    assert_non_null(strstr(error.message, "color=gray"));
    wrong.preprocess = NULL;
    wrong.inputs = two, wrong.n_inputs = 2;
    assert_null(cameo_detector_open(&wrong, 1, &error));
    assert_non_null(strstr(error.message, "2 inputs"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_of_every_level), cmocka_unit_test(the_letterbox),
        cmocka_unit_test(overlapping_faces),    cmocka_unit_test(the_face_a_photograph_is_about),
        cmocka_unit_test(a_cell_everywhere),    cmocka_unit_test(other_networks_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
