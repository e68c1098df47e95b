/* Augmentation: each transform by what it must do to a picture, random streams, mixing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/training/augment.h"
#include <stdlib.h>
#include <string.h>

enum { SIDE = 12, N = SIDE * SIDE, ALL = 3 * N };

static const cameo_tensor_info nchw = {"x", 1, 4, {1, 3, SIDE, SIDE}, true},
                               nhwc = {"x", 1, 4, {1, SIDE, SIDE, 3}, true},
                               gray = {"x", 1, 4, {1, 1, SIDE, SIDE}, true};

static cameo_preprocess preprocess(const cameo_tensor_info *t, const char *spec) {
    cameo_preprocess p;
    assert_true(cameo_preprocess_parse(spec, t, &p, NULL));
    return p;
}

static cameo_image picture(void) {
    cameo_image image = {SIDE, SIDE, malloc(ALL)};
    for (int i = 0; i < ALL; i++) image.pixels[i] = (unsigned char)(1 + i * 7 % 255);
    return image;
}

static void texts(void **state) {
    (void)state;
    cameo_augment a;
    assert_true(cameo_augment_parse("crop=8,flip,rotate=10,jitter=0.2,erase=0.25", &a, NULL));
    assert_true(a.crop == 8 && a.flip && a.rotate == 10 && a.jitter == 0.2 && a.erase == 0.25 &&
                a.resized == 0);
    assert_true(cameo_augment_parse("", &a, NULL) && !a.flip && !a.crop);
    assert_true(cameo_augment_parse("none", &a, NULL));
    assert_true(cameo_augment_parse("resized-crop=0.5", &a, NULL) && a.resized == 0.5);
    static const char *const wrong[] = {"crop", "crop=1.5", "crop=-1", "flip=2",
                                        "turn", "jitter=2", "rotate=", "crop=2,resized-crop=0.5"};
    cameo_error error = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        error.code = 0;
        assert_false(cameo_augment_parse(wrong[i], &a, &error));
        assert_int_equal(error.code, CAMEO_USAGE);
    }
}

/* Without options the values are those of cameo_preprocess_apply, in every layout. */
static void nothing_is_preprocessing(void **state) {
    (void)state;
    const cameo_tensor_info *infos[] = {&nchw, &nhwc, &nchw, &gray};
    static const char *const specs[] = {"mean=10 scale=1/2", "mean=1,2,3 scale=2",
                                        "color=bgr mean=1,2,3", "color=gray mean=7"};
    for (int k = 0; k < 4; k++) {
        const cameo_preprocess p = preprocess(infos[k], specs[k]);
        cameo_image image = picture();
        float want[ALL], got[ALL];
        cameo_preprocess_values(&p, image.pixels, want);
        cameo_random r = cameo_random_stream(1, 2, 3);
        assert_true(cameo_augment_apply(&(cameo_augment){0}, &p, &image, &r, got, NULL));
        assert_memory_equal(got, want, (size_t)p.channels * N * sizeof(float));
        cameo_image_free(&image);
    }
}

/* Padded crop with flip against a plain statement of it; every shift comes up, and both flips. */
static void crop_and_flip(void **state) {
    (void)state;
    const cameo_preprocess p = preprocess(&nhwc, "mean=1,2,3 scale=2");
    const cameo_augment a = {.crop = 2, .flip = true};
    cameo_image image = picture();
    bool seen[5][5][2] = {{{false}}};
    for (uint64_t index = 0; index < 1000; index++) {
        float got[ALL];
        cameo_random r = cameo_random_stream(9, 0, index), again = r;
        assert_true(cameo_augment_apply(&a, &p, &image, &r, got, NULL));
        const int dx = (int)cameo_random_below(&again, 5) - 2,
                  dy = (int)cameo_random_below(&again, 5) - 2;
        const bool flip = cameo_random_unit(&again) < 0.5;
        seen[dx + 2][dy + 2][flip] = true;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                for (int c = 0; c < 3; c++) {
                    const int sx = (flip ? SIDE - 1 - x : x) + dx, sy = y + dy;
                    const bool in = sx >= 0 && sy >= 0 && sx < SIDE && sy < SIDE;
                    const float want = in ? p.value[c][image.pixels[3 * (sy * SIDE + sx) + c]] : 0;
                    assert_true(got[3 * (y * SIDE + x) + c] == want);
                }
    }
    for (int i = 0; i < 50; i++) assert_true(((bool *)seen)[i]);
    cameo_image_free(&image);
}

/* A rotation of zero degrees is none; a plane stays a plane inside; the same stream gives the same
   picture. */
static void rotation(void **state) {
    (void)state;
    const cameo_preprocess p = preprocess(&nchw, "mean=0 scale=1");
    cameo_image image = picture();
    float got[ALL], want[ALL];
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            memset(image.pixels + 3 * (y * SIDE + x), 40 + 5 * x + 8 * y, 3);
    cameo_preprocess_values(&p, image.pixels, want);
    cameo_random r = cameo_random_stream(3, 0, 0);
    assert_true(cameo_augment_apply(&(cameo_augment){.rotate = 1e-9}, &p, &image, &r, got, NULL));
    for (int i = 0; i < ALL; i++) assert_true(fabsf(got[i] - want[i]) < 1e-3f);
    r = cameo_random_stream(3, 0, 0);
    cameo_random again = r;
    const double angle = cameo_random_between(&again, -30, 30) * M_PI / 180, cx = (SIDE - 1) / 2.0;
    assert_true(cameo_augment_apply(&(cameo_augment){.rotate = 30}, &p, &image, &r, got, NULL));
    for (int y = 4; y < 8; y++)
        for (int x = 4; x < 8; x++) {
            const double sx = cos(angle) * (x - cx) + sin(angle) * (y - cx) + cx,
                         sy = -sin(angle) * (x - cx) + cos(angle) * (y - cx) + cx;
            assert_true(fabs(got[y * SIDE + x] - (40 + 5 * sx + 8 * sy)) < 1e-3);
        }
    cameo_image_free(&image);
}

static void jitter_and_erase(void **state) {
    (void)state;
    const cameo_preprocess p = preprocess(&nchw, "mean=0 scale=1");
    cameo_image image = picture(), before = picture();
    int erased = 0, changed = 0;
    for (uint64_t i = 0; i < 400; i++) {
        float got[ALL];
        cameo_random r = cameo_random_stream(5, 1, i);
        assert_true(
            cameo_augment_apply(&(cameo_augment){.erase = 0.25}, &p, &image, &r, got, NULL));
        int zeros = 0;
        for (int k = 0; k < N; k++) {
            zeros += got[k] == 0;
            assert_true((got[k] == 0) == (got[k + N] == 0)); /* pixels are at least 1: zero means
                                                                erased, in all channels */
        }
        erased += zeros > 0;
        assert_true(zeros < N / 2);
        r = cameo_random_stream(5, 2, i);
        assert_true(
            cameo_augment_apply(&(cameo_augment){.jitter = 0.3}, &p, &image, &r, got, NULL));
        float want[ALL];
        cameo_preprocess_values(&p, image.pixels, want);
        changed += memcmp(got, want, sizeof got) != 0;
        for (int k = 0; k < ALL; k++)
            assert_true(got[k] >= 0 && got[k] <= 255 && got[k] == floorf(got[k]));
    }
    assert_in_range(erased, 60, 140);
    assert_true(changed > 390);
    assert_memory_equal(image.pixels, before.pixels, ALL); /* the store's picture is not touched */
    cameo_image_free(&image);
    cameo_image_free(&before);
}

/* On a picture of one colour a resized crop changes nothing, whatever the sizes. */
static void resized_crop_keeps_a_plane(void **state) {
    (void)state;
    const cameo_preprocess p = preprocess(&nchw, "mean=0 scale=1");
    const int sizes[][2] = {{40, 25}, {5, 90}, {12, 12}, {1, 1}};
    for (int k = 0; k < 4; k++) {
        cameo_image image;
        assert_true(cameo_image_allocate(&image, sizes[k][0], sizes[k][1], "x", NULL));
        memset(image.pixels, 77, (size_t)sizes[k][0] * (size_t)sizes[k][1] * 3);
        for (uint64_t i = 0; i < 50; i++) {
            float got[ALL];
            cameo_random r = cameo_random_stream(6, 0, i);
            assert_true(cameo_augment_apply(&(cameo_augment){.resized = 0.2, .flip = true}, &p,
                                            &image, &r, got, NULL));
            for (int j = 0; j < ALL; j++) assert_true(got[j] == 77);
        }
        cameo_image_free(&image);
    }
}

static void mixing(void **state) {
    (void)state;
    enum { COUNT = 5 };
    const cameo_preprocess p = preprocess(&nchw, "mean=0 scale=1");
    static float x[COUNT * ALL];
    int64_t labels[COUNT], labels_b[COUNT];
    float mix[COUNT];
    for (int kind = 0; kind < 3; kind++) {
        const cameo_augment a = {.mixup = kind == 1 ? 0.8 : 0, .cutmix = kind == 2 ? 1 : 0};
        for (int i = 0; i < COUNT; i++) {
            labels[i] = i;
            for (int k = 0; k < ALL; k++) x[i * ALL + k] = (float)i;
        }
        cameo_random r = cameo_random_stream(8, 0, (uint64_t)kind);
        cameo_augment_mix(&a, &p, &r, COUNT, x, labels, labels_b, mix);
        for (int i = 0; i < COUNT; i++) {
            double sum = 0; /* the mean value says how much of each picture is there: that must be
                               `mix` */
            for (int k = 0; k < ALL; k++) sum += x[i * ALL + k];
            assert_true(fabs(sum / ALL - ((double)mix[i] * i +
                                          (1 - (double)mix[i]) * (double)labels_b[i])) < 1e-4);
            assert_int_equal(labels_b[i], kind ? COUNT - 1 - i : i);
            assert_true(kind ? mix[i] > 0 && mix[i] < 1 : mix[i] == 1);
        }
    }
}

static void streams(void **state) {
    (void)state;
    double sum = 0, squares = 0, beta = 0;
    cameo_random r = cameo_random_stream(1, 0, 0);
    for (int i = 0; i < 20000; i++) {
        const double x = cameo_random_normal(&r);
        sum += x, squares += x * x;
        beta += cameo_random_beta(&r, 0.4, 0.4);
    }
    assert_true(fabs(sum / 20000) < 0.03 && fabs(squares / 20000 - 1) < 0.05 &&
                fabs(beta / 20000 - 0.5) < 0.02);
    for (uint64_t e = 0; e < 4; e++) /* neighbours in any coordinate are other streams */
        for (uint64_t i = 0; i < 4; i++)
            for (uint64_t s = 0; s < 4; s++)
                assert_true((e || i || s) == (cameo_random_stream(s, e, i).state !=
                                              cameo_random_stream(0, 0, 0).state));
    size_t order[100], count[100] = {0};
    for (size_t i = 0; i < 100; i++) order[i] = i;
    cameo_random_shuffle(&r, order, 100);
    for (size_t i = 0; i < 100; i++) count[order[i]]++;
    for (size_t i = 0; i < 100; i++) assert_int_equal(count[i], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts),
                                       cmocka_unit_test(nothing_is_preprocessing),
                                       cmocka_unit_test(crop_and_flip),
                                       cmocka_unit_test(rotation),
                                       cmocka_unit_test(jitter_and_erase),
                                       cmocka_unit_test(resized_crop_keeps_a_plane),
                                       cmocka_unit_test(mixing),
                                       cmocka_unit_test(streams)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
