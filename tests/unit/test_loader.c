/* Class folders, the store of pictures, samplers, and the loader: its batches are the same
   whatever the number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/core/threads.h"
#include "runtime/training/loader.h"
#include "scratch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/test_loader_XXXXXX";
static const cameo_tensor_info input = {"x", 1, 4, {8, 3, 6, 6}, true};
static cameo_preprocess preprocess;

static void put(const char *name, const char *text) {
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* data/K/iNN.ppm, a plane of colour (10 K, NN, 0), sizes vary; class names sort as strings: 0 1 10
   2 3. */
static void make_data(void) {
    static const char *const names[] = {"0", "1", "10", "2", "3"};
    char path[100], text[100];
    mkdir("data", 0777);
    for (int k = 0; k < 5; k++) {
        snprintf(path, sizeof path, "data/%s", names[k]);
        mkdir(path, 0777);
        for (int i = 0; i < 9 + k; i++) {
            snprintf(path, sizeof path, "data/%s/i%02d.ppm", names[k], i);
            FILE *f = fopen(path, "w");
            const int w = 4 + i % 5, h = 3 + i % 4;
            fprintf(f, "P3 %d %d 255\n", w, h);
            for (int j = 0; j < w * h; j++) fprintf(f, "%d %d 0 ", 10 * k, i);
            fclose(f);
        }
    }
    put("data/1/notes.txt", "no picture");
    put("data/list.csv", "no picture");
    snprintf(text, sizeof text, "x");
}

static int setup(void **state) {
    (void)state;
    if (!scratch_enter(directory)) return -1;
    make_data();
    return cameo_preprocess_parse("mean=0 scale=1", &input, &preprocess, NULL) ? 0 : -1;
}

static void folders(void **state) {
    (void)state;
    cameo_dataset d;
    assert_true(cameo_dataset_scan("data", 2, &d, NULL));
    assert_int_equal(d.classes, 5);
    assert_int_equal(d.images, 55);
    assert_int_equal(d.ignored, 2);
    assert_string_equal(d.class_name[2], "10");
    assert_string_equal(d.path[d.first[2]], "data/10/i00.ppm");
    for (size_t k = 0; k < 5; k++)
        for (size_t i = d.first[k]; i < d.first[k + 1]; i++) assert_int_equal(d.label[i], k);
    cameo_dataset_free(&d);
    assert_int_equal(mkdir("data/1/inner", 0777), 0); /* left out, and counted */
    assert_true(cameo_dataset_scan("data", 2, &d, NULL));
    assert_int_equal(d.ignored, 3);
    cameo_dataset_free(&d);
    assert_int_equal(rmdir("data/1/inner"), 0);
    assert_int_equal(mkdir("data/a\nb", 0777), 0);
    assert_false(cameo_dataset_scan("data", 2, &d, NULL)); /* names are kept one a line */
    assert_int_equal(rmdir("data/a\nb"), 0);
    assert_true(cameo_dataset_scan("data", 2, &d, NULL));
    char hash[65];
    strcpy(hash, d.hash);
    cameo_dataset_free(&d);
    put("data/1/z.ppm", "P3 1 1 255 1 2 3");
    assert_true(cameo_dataset_scan("data", 2, &d, NULL));
    assert_string_not_equal(hash, d.hash); /* another data set */
    cameo_dataset_free(&d);
    unlink("data/1/z.ppm");
}

static void refuse(const char *path, size_t least, const char *word) {
    cameo_dataset d;
    cameo_error error = {0};
    assert_false(cameo_dataset_scan(path, least, &d, &error));
    print_message("%s\n", error.message);
    assert_int_equal(error.code, CAMEO_BAD_INPUT);
    assert_non_null(strstr(error.message, word));
}

static void bad_folders_are_named(void **state) {
    (void)state;
    mkdir("none", 0777), mkdir("one", 0777), mkdir("one/a", 0777), mkdir("empty", 0777),
        mkdir("empty/a", 0777), mkdir("empty/b", 0777), mkdir("deep", 0777),
        mkdir("deep/train", 0777), mkdir("deep/train/a", 0777);
    put("one/a/x.ppm", "P3 1 1 255 1 2 3");
    put("empty/a/x.ppm", "P3 1 1 255 1 2 3");
    refuse("nowhere", 2, "nowhere");
    refuse("none", 2, "no class folders");
    refuse("one", 2, "nothing to tell apart");
    refuse("empty", 2, "empty/b");
    refuse("deep", 2, "deep/train");
    refuse("one/a/x.ppm", 2, "x.ppm");
}

static void classes_must_fit(void **state) {
    (void)state;
    cameo_dataset d, v;
    cameo_error error = {0};
    const char *names[] = {"0", "1", "10", "2", "3"};
    assert_true(cameo_dataset_scan("data", 2, &d, NULL));
    assert_true(cameo_dataset_fits(&d, "data", 5, NULL, 8, &error) &&
                cameo_dataset_fits(&d, "data", 5, names, 8, &error));
    assert_true(cameo_dataset_fits(&d, "data", 0, NULL, 8, &error));
    assert_false(cameo_dataset_fits(&d, "data", 6, NULL, 8, &error));
    assert_non_null(strstr(
        error.message, "cameo compile MODEL.onnx --train --batch 8 --classes-from data -o NET"));
    names[3] = "20";
    assert_false(cameo_dataset_fits(&d, "data", 5, names, 8, &error));
    assert_non_null(strstr(error.message, "\"20\""));
    mkdir("val", 0777), mkdir("val/10", 0777), mkdir("val/2", 0777);
    put("val/10/x.ppm", "P3 1 1 255 1 2 3"), put("val/2/x.ppm", "P3 1 1 255 1 2 3");
    assert_true(cameo_dataset_scan("val", 1, &v, NULL) &&
                cameo_dataset_relabel(&v, "val", &d, NULL));
    assert_true(v.label[0] == 2 && v.label[1] == 3);
    cameo_dataset_free(&v);
    mkdir("val/4", 0777), put("val/4/x.ppm", "P3 1 1 255 1 2 3");
    assert_true(cameo_dataset_scan("val", 1, &v, NULL));
    assert_false(cameo_dataset_relabel(&v, "val", &d, &error));
    assert_non_null(strstr(error.message, "\"4\""));
    cameo_dataset_free(&v);
    cameo_dataset_free(&d);
}

/* ---- samplers ---- */

static void shuffled_epochs(void **state) {
    (void)state;
    cameo_dataset d;
    assert_true(cameo_dataset_scan("data", 2, &d, NULL));
    cameo_sampler *s = cameo_sampler_create(&d, 8, 0, 42, NULL),
                  *t = cameo_sampler_create(&d, 8, 0, 42, NULL);
    assert_int_equal(cameo_sampler_batches(s), 6);
    size_t first[8], index[8], other[8], number;
    uint64_t epoch;
    for (int e = 0; e < 3; e++) {
        int seen[55] = {0};
        for (size_t b = 0; b < 6; b++) {
            cameo_sampler_next(s, index, &epoch, &number);
            assert_true(epoch == (uint64_t)e && number == b);
            for (int i = 0; i < 8; i++) assert_int_equal(seen[index[i]]++, 0);
            cameo_sampler_seek(t, epoch, b); /* a resumed run stands where this one does */
            cameo_sampler_next(t, other, &epoch, &number);
            assert_memory_equal(index, other, sizeof index);
            if (b == 0 && e == 0) memcpy(first, index, sizeof first);
            if (b == 0 && e == 1) assert_memory_not_equal(first, index, sizeof first);
        }
    }
    cameo_sampler_destroy(s);
    cameo_sampler_destroy(t);
    cameo_dataset_free(&d);
}

static void balanced_batches(void **state) {
    (void)state;
    cameo_dataset d;
    cameo_error error = {0};
    assert_true(cameo_dataset_scan("data", 2, &d, NULL));
    cameo_sampler *s = cameo_sampler_create(&d, 12, 4, 42, &error),
                  *t = cameo_sampler_create(&d, 12, 4, 42, NULL);
    size_t index[12], other[12], number;
    uint64_t epoch;
    for (int b = 0; b < 20; b++) {
        cameo_sampler_next(s, index, &epoch, &number);
        for (int i = 0; i < 12; i += 4)
            for (int j = 1; j < 4; j++) {
                assert_int_equal(d.label[index[i]], d.label[index[i + j]]);
                assert_true(index[i + j - 1] != index[i + j]);
                assert_true(i == 0 || d.label[index[i]] != d.label[index[i - 1]]);
            }
        assert_true(d.label[index[0]] != d.label[index[8]]);
        cameo_sampler_seek(t, epoch, number);
        cameo_sampler_next(t, other, &epoch, &number);
        assert_memory_equal(index, other, sizeof index);
    }
    assert_null(cameo_sampler_create(&d, 12, 5, 42, &error));
    assert_int_equal(error.code, CAMEO_USAGE);
    assert_null(cameo_sampler_create(&d, 12, 2, 42, &error)); /* six classes are not there */
    assert_null(cameo_sampler_create(&d, 56, 0, 42, &error)); /* nor 56 pictures */
    assert_non_null(strstr(error.message, "fewer than one batch"));
    cameo_sampler_destroy(s);
    cameo_sampler_destroy(t);
    cameo_dataset_free(&d);
}

/* ---- the loader ---- */

typedef struct trial {
    size_t limit;
    int threads;
    bool whole;
} trial;

enum { BATCHES = 15, ELEMENTS = 8 * 3 * 6 * 6 };

static cameo_loader_options open_all(cameo_dataset *d, const trial *t,
                                     const cameo_augment *augment) {
    assert_true(cameo_dataset_scan("data", 2, d, NULL));
    const cameo_store_options so = {.preprocess = &preprocess,
                                    .paths = d->path,
                                    .images = d->images,
                                    .limit = t->limit,
                                    .whole = t->whole};
    return (cameo_loader_options){.dataset = d,
                                  .store = cameo_store_create(&so),
                                  .sampler = cameo_sampler_create(d, 8, 0, 7, NULL),
                                  .preprocess = &preprocess,
                                  .augment = augment,
                                  .seed = 7,
                                  .batch = 8,
                                  .ahead = 3,
                                  .total = BATCHES,
                                  .threads = t->threads};
}

static void close_all(cameo_loader *l, cameo_loader_options *o, cameo_dataset *d) {
    cameo_loader_destroy(l);
    cameo_store_destroy(o->store);
    cameo_sampler_destroy(o->sampler);
    cameo_dataset_free(d);
}

static void collect(const trial *t, const cameo_augment *a, float *images, int64_t *labels) {
    cameo_dataset d;
    cameo_loader_options o = open_all(&d, t, a);
    cameo_loader *l = cameo_loader_create(&o, NULL);
    for (size_t b = 0; b < BATCHES; b++) {
        const cameo_batch *batch = cameo_loader_next(l, NULL);
        assert_non_null(batch);
        assert_true(batch->epoch == b / 6 && batch->number == b % 6);
        memcpy(images + b * ELEMENTS, batch->images, ELEMENTS * sizeof *images);
        memcpy(labels + b * 8, batch->labels, 8 * sizeof *labels);
        for (int i = 0; i < 8; i++) {
            const float red = batch->images[i * 108], pure = (float)(10 * batch->labels[i]);
            assert_true(a->mixup > 0 || a->crop || a->jitter > 0 || red == pure); /* the picture is
                                                                                     of its label */
        }
        cameo_loader_release(l);
    }
    close_all(l, &o, &d);
}

static void threads_and_memory_do_not_matter(void **state) {
    (void)state;
    const cameo_augment cases[] = {{0},
                                   {.crop = 1, .flip = true, .erase = 0.5, .mixup = 0.4},
                                   {.resized = 0.5, .jitter = 0.2}};
    static float want[BATCHES * ELEMENTS], got[BATCHES * ELEMENTS];
    int64_t labels[BATCHES * 8], again[BATCHES * 8];
    for (size_t k = 0; k < 3; k++) {
        const bool whole = cases[k].resized > 0;
        const trial one = {0, 1, whole},
                    trials[] = {{1 << 20, 1, whole}, {1 << 20, 3, whole}, {2000, 2, whole}};
        collect(&one, &cases[k], want, labels);
        for (size_t i = 0; i < 3; i++) {
            collect(&trials[i], &cases[k], got, again);
            assert_memory_equal(want, got, sizeof want);
            assert_memory_equal(labels, again, sizeof labels);
        }
    }
}

static void destroyed_early(void **state) {
    (void)state;
    cameo_dataset d;
    const cameo_augment none = {0};
    cameo_loader_options o = open_all(&d, &(trial){1 << 20, 2, false}, &none);
    cameo_loader *l = cameo_loader_create(&o, NULL);
    assert_non_null(cameo_loader_next(l, NULL));
    close_all(l, &o, &d);
}

/* One bad picture in 550: named, and its place taken by the next of its class. Six of 555 are too
   many. */
static void bad_pictures(void **state) {
    (void)state;
    char path[60];
    mkdir("big", 0777), mkdir("big/a", 0777), mkdir("big/b", 0777);
    for (int i = 0; i < 550; i++) {
        snprintf(path, sizeof path, "big/%c/%03d.ppm", "ab"[i % 2], i);
        put(path, i == 7 ? "P3 1 1 255 1 2" : "P3 1 1 255 1 2 3");
    }
    cameo_dataset d;
    assert_true(cameo_dataset_scan("big", 2, &d, NULL));
    const cameo_store_options so = {
        .preprocess = &preprocess, .paths = d.path, .images = d.images, .limit = 1 << 20};
    cameo_store *s = cameo_store_create(&so);
    cameo_context pool = {.pool = cameo_pool_create(2)};
    cameo_error error = {0};
    assert_true(cameo_store_fits(s) && cameo_store_check(s, &pool, "checking", &error));
    assert_int_equal(cameo_store_bad(s), 1);
    assert_int_equal(cameo_store_bytes(s), 549 * 6 * 6 * 3);
    cameo_store_destroy(s);
    const cameo_augment none = {0};
    for (int k = 0; k < 2; k++) { /* found ahead or on the way, the batches are the same */
        s = cameo_store_create(&so);
        if (k) assert_true(cameo_store_check(s, &pool, "checking", &error));
        cameo_loader_options o = {
            .dataset = &d, .store = s, .sampler = cameo_sampler_create(&d, 8, 0, 1, NULL)};
        o.preprocess = &preprocess, o.augment = &none, o.batch = 8, o.ahead = 2, o.total = 68,
        o.threads = 2;
        cameo_loader *l = cameo_loader_create(&o, NULL);
        for (int b = 0; b < 68; b++) {
            const cameo_batch *batch = cameo_loader_next(l, &error);
            assert_non_null(batch);
            for (int i = 0; i < 8; i++)
                assert_true(batch->images[i * 108] == 1 && batch->images[i * 108 + 107] == 3);
            cameo_loader_release(l);
        }
        assert_null(cameo_loader_next(l, &error)); /* no more: a mistake of the caller's, not a wait
                                                      for ever */
        assert_int_equal(cameo_store_bad(s), 1);
        cameo_loader_destroy(l);
        cameo_sampler_destroy(o.sampler);
        cameo_store_destroy(s);
    }
    for (int i = 0; i < 12; i += 2) {
        snprintf(path, sizeof path, "big/a/%03d.ppm", i);
        put(path, "hello");
    }
    const cameo_store_options small = {
        .preprocess = &preprocess, .paths = d.path, .images = d.images, .limit = 0};
    for (int k = 0; k < 2; k++) {
        s = cameo_store_create(k ? &small : &so); /* decoding them all, or looking at their first
                                                     bytes */
        assert_false(cameo_store_check(s, &pool, "checking", &error));
        assert_int_equal(error.code, CAMEO_BAD_INPUT);
        cameo_store_destroy(s);
    }
    pool.pool->destroy(pool.pool);
    cameo_dataset_free(&d);
}

/* A class without any good picture stops the run rather than being replaced by others. */
static void hopeless_class(void **state) {
    (void)state;
    char path[60];
    mkdir("sad", 0777), mkdir("sad/a", 0777), mkdir("sad/b", 0777);
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "sad/a/%03d.ppm", i);
        put(path, "P3 1 1 255 1 2 3");
    }
    put("sad/b/x.ppm", "P3 1 1 255");
    cameo_dataset d;
    assert_true(cameo_dataset_scan("sad", 2, &d, NULL));
    const cameo_store_options so = {
        .preprocess = &preprocess, .paths = d.path, .images = d.images, .limit = 0};
    const cameo_augment none = {0};
    cameo_loader_options o = {.dataset = &d,
                              .store = cameo_store_create(&so),
                              .sampler = cameo_sampler_create(&d, 100, 0, 1, NULL)};
    o.preprocess = &preprocess, o.augment = &none, o.batch = 100, o.ahead = 2, o.total = 6,
    o.threads = 2;
    cameo_loader *l = cameo_loader_create(&o, NULL);
    cameo_error error = {0};
    int b = 0;
    for (; b < 6 && cameo_loader_next(l, &error); b++) cameo_loader_release(l);
    assert_true(b < 6);
    assert_non_null(strstr(error.message, "class \"b\""));
    close_all(l, &o, &d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders),          cmocka_unit_test(bad_folders_are_named),
        cmocka_unit_test(classes_must_fit), cmocka_unit_test(shuffled_epochs),
        cmocka_unit_test(balanced_batches), cmocka_unit_test(threads_and_memory_do_not_matter),
        cmocka_unit_test(destroyed_early),  cmocka_unit_test(bad_pictures),
        cmocka_unit_test(hopeless_class)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
