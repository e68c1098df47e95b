/* Verification but for its metrics: scores and augmentations against a plain reference, alignment,
   JSON that is read back, operating points, submissions, findings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/files.h"
#include "runtime/base/json_read.h"
#include "runtime/image/align.h"
#include "runtime/verification/calibration.h"
#include "runtime/verification/findings.h"
#include "runtime/verification/submission.h"
#include "scratch.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IMAGES = 9, PAIRS = 40, DIM = 7 };

static float embedding[IMAGES][2][DIM];

static uint32_t state = 12345;
static double uniform(void) {
    state = state * 1664525u + 1013904223u;
    return state / 4294967296.0 - 0.5;
}

static void fill(cameo_pairs *p, cameo_pair pair[PAIRS], char *names[IMAGES]) {
    static char text[IMAGES][16];
    for (int i = 0; i < IMAGES; i++) {
        snprintf(text[i], sizeof text[i], "%d.jpg", i);
        names[i] = text[i];
        for (int k = 0; k < 2 * DIM; k++) embedding[i][k / DIM][k % DIM] = (float)uniform();
    }
    for (uint32_t i = 0; i < PAIRS; i++)
        pair[i] = (cameo_pair){
            .a = i % IMAGES, .b = (i * 5 + 1) % IMAGES, .line = i + 1, .label = i % 3 == 0};
    *p = (cameo_pairs){
        .count = PAIRS, .images = IMAGES, .pair = pair, .image = names, .labelled = true};
}

static void reference(const double *a, const double *b, int n, double out[CAMEO_SCORES]) {
    double dot = 0, aa = 0, bb = 0, raw = 0, normalised = 0;
    for (int i = 0; i < n; i++)
        dot += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i],
            raw += (a[i] - b[i]) * (a[i] - b[i]);
    for (int i = 0; i < n; i++) normalised += pow(a[i] / sqrt(aa) - b[i] / sqrt(bb), 2);
    out[CAMEO_COSINE] = dot / sqrt(aa * bb), out[CAMEO_DOT] = dot;
    out[CAMEO_L2_RAW] = -sqrt(raw), out[CAMEO_L2_NORMALISED] = -sqrt(normalised);
}

/* What enters a score: view `part`, their sum, or both; returns its length. */
static int joined(cameo_tta tta, size_t image, int part, double *to) {
    for (int i = 0; i < DIM; i++) {
        to[i] = (double)embedding[image][part][i];
        if (tta == CAMEO_TTA_FLIP_SUM)
            to[i] = (double)(embedding[image][0][i] + embedding[image][1][i]);
        if (tta == CAMEO_TTA_FLIP_CONCAT) to[DIM + i] = (double)embedding[image][1][i];
    }
    return tta == CAMEO_TTA_FLIP_CONCAT ? 2 * DIM : DIM;
}

static void expected(cameo_tta tta, const cameo_pair *p, double out[CAMEO_SCORES]) {
    int parts = tta == CAMEO_TTA_SCORE_MEAN ? 2 : 1;
    double a[2 * DIM], b[2 * DIM], one[CAMEO_SCORES];
    memset(out, 0, CAMEO_SCORES * sizeof *out);
    for (int x = 0; x < parts * parts; x++) {
        int n = joined(tta, p->a, x / parts, a);
        joined(tta, p->b, x % parts, b);
        reference(a, b, n, one);
        for (int k = 0; k < CAMEO_SCORES; k++) out[k] += one[k] / (parts * parts);
    }
}

static void scores_and_augmentations(void **unused) {
    (void)unused;
    cameo_pairs pairs;
    cameo_pair pair[PAIRS];
    char *names[IMAGES];
    fill(&pairs, pair, names);
    for (int tta = 0; tta < CAMEO_TTAS; tta++) {
        size_t views = tta ? 2 : 1;
        const float *row[IMAGES * 2];
        for (size_t i = 0; i < IMAGES * views; i++) row[i] = embedding[i / views][i % views];
        for (size_t k = 0; k < views; k++)
            row[3 * views + k] = NULL; /* one image has none: its pairs fail, no others */
        cameo_embeddings e = {IMAGES, DIM, views, row};
        cameo_verification v = {.pairs = &pairs, .threads = 1, .tta = (cameo_tta)tta};
        assert_true(cameo_verification_measure(&v, &e, NULL));
        size_t failed = 0;
        for (int i = 0; i < PAIRS; i++) {
            double want[CAMEO_SCORES];
            expected((cameo_tta)tta, &pair[i], want);
            bool fails = pair[i].a == 3 || pair[i].b == 3;
            failed += fails;
            for (int k = 0; k < CAMEO_SCORES; k++) {
                assert_int_equal(isnan(v.score[k][i]) != 0, fails);
                if (!fails) assert_true(fabs(v.score[k][i] - want[k]) < 1e-12);
            }
        }
        assert_true(failed > 0 && v.failed == failed);
        for (size_t i = 1; i < v.n_accepts; i++)
            assert_true(v.accepts[i].score <= v.accepts[i - 1].score);
        for (size_t i = 1; i < v.n_rejects; i++)
            assert_true(v.rejects[i].score >= v.rejects[i - 1].score);
        cameo_verification_free(&v);
    }
}

/* Equal embeddings tie: cosine exactly 1, distances exactly 0, whatever the width and the
   augmentation; those of one direction don't come before them; both orders of a pair agree to the
   bit; other places ask through cameo_cosine(). */
static void equal_embeddings_tie(void **unused) {
    (void)unused;
    enum { MOST = 70 };
    static float view[3][2][MOST];
    cameo_pair pair[4] = {{.a = 0, .b = 1, .label = 1},
                          {.a = 0, .b = 0, .label = 1},
                          {.a = 0, .b = 2},
                          {.a = 2, .b = 1}};
    char *names[3] = {"0.jpg", "same.jpg", "longer.jpg"};
    cameo_pairs pairs = {.count = 4, .images = 3, .pair = pair, .image = names};
    for (size_t n = 1; n <= MOST; n++)
        for (int tta = 0; tta < CAMEO_TTAS; tta++) {
            for (size_t i = 0; i < 2 * n; i++) {
                const double x = (double)(tta == CAMEO_TTA_SCORE_MEAN ? i % n : i); /* there the
                                                                                       mirrored view
                                                                                       must be the
                                                                                       same too */
                view[0][i / n][i % n] = view[1][i / n][i % n] = (float)sin(x * 7.3 + (double)n) *
                                                                1e3f;
                view[2][i / n][i % n] = view[0][i / n][i % n] * 3;
            }
            const size_t views = tta ? 2 : 1;
            const float *row[6];
            for (size_t i = 0; i < 3 * views; i++) row[i] = view[i / views][i % views];
            cameo_embeddings e = {3, n, views, row};
            cameo_verification v = {.pairs = &pairs, .threads = 1, .tta = (cameo_tta)tta};
            assert_true(cameo_verification_measure(&v, &e, NULL));
            for (int k = 0; k < 2; k++) {
                assert_true(v.score[CAMEO_COSINE][k] == 1);
                assert_true(v.score[CAMEO_L2_NORMALISED][k] == 0 && v.score[CAMEO_L2_RAW][k] == 0);
            }
            for (int k = 2; k < 4; k++)
                assert_true(v.score[CAMEO_COSINE][k] <= 1 && v.score[CAMEO_COSINE][k] > 1 - 1e-6);
            for (int k = 0; k < CAMEO_SCORES; k++) assert_true(v.score[k][2] == v.score[k][3]);
            const float *a = view[0][0], *c = view[2][0];
            const double alone = cameo_cosine(a, c, n, cameo_squared_norm(a, n),
                                              cameo_squared_norm(c, n));
            if (tta == CAMEO_TTA_NONE) assert_true(alone == v.score[CAMEO_COSINE][2]);
            cameo_verification_free(&v);
        }
}

/* A list of one kind of pairs has scores all the same. */
static void one_kind_is_scored(void **unused) {
    (void)unused;
    cameo_pair pair[1] = {{.a = 0, .b = 1, .label = 1}};
    char *names[2] = {"a.jpg", "b.jpg"};
    cameo_pairs pairs = {.count = 1, .images = 2, .pair = pair, .image = names, .labelled = true};
    const float a[2] = {1, 0}, b[2] = {0, 2};
    const float *row[2] = {a, b};
    cameo_embeddings e = {2, 2, 1, row};
    cameo_verification v = {.pairs = &pairs, .threads = 1};
    assert_true(cameo_verification_measure(&v, &e, NULL));
    assert_false(v.measured);
    assert_true(v.score[CAMEO_COSINE][0] == 0);
    cameo_verification_free(&v);
}

static void a_zero_embedding_is_named(void **unused) {
    (void)unused;
    cameo_pair pair[1] = {{.a = 0, .b = 1, .label = 1}};
    char *names[2] = {"good.jpg", "zero.jpg"};
    cameo_pairs pairs = {.count = 1, .images = 2, .pair = pair, .image = names};
    const float good[2] = {1, 0}, bad[3][2] = {{0, 0}, {NAN, 1}, {INFINITY, 1}};
    for (int i = 0; i < 3; i++) {
        const float *row[2] = {good, bad[i]};
        cameo_embeddings e = {2, 2, 1, row};
        cameo_verification v = {.pairs = &pairs, .threads = 1};
        cameo_error error = {0};
        assert_false(cameo_verification_measure(&v, &e, &error));
        assert_non_null(strstr(error.message, "zero.jpg"));
        cameo_verification_free(&v);
    }
}

static void a_similarity_is_found_again(void **unused) {
    (void)unused;
    const cameo_similarity s = {0.8, 0.3, 5, -7};
    cameo_landmarks to;
    for (int i = 0; i < 5; i++) {
        double x = cameo_arcface_template.x[i], y = cameo_arcface_template.y[i];
        to.x[i] = s.a * x - s.b * y + s.tx;
        to.y[i] = s.b * x + s.a * y + s.ty;
    }
    cameo_similarity found;
    assert_true(cameo_similarity_fit(&cameo_arcface_template, &to, &found));
    assert_true(fabs(found.a - s.a) + fabs(found.b - s.b) + fabs(found.tx - s.tx) +
                    fabs(found.ty - s.ty) <
                1e-9);
    const cameo_landmarks point = {{1, 1, 1, 1, 1}, {2, 2, 2, 2, 2}};
    assert_false(cameo_similarity_fit(&point, &to, &found));
}

/* Moving by whole pixels copies them; what comes from outside is black. */
static void a_warp_by_pixels_copies(void **unused) {
    (void)unused;
    cameo_image image;
    assert_true(cameo_image_allocate(&image, 9, 8, "test", NULL));
    for (int i = 0; i < 9 * 8 * 3; i++) image.pixels[i] = (unsigned char)(1 + i);
    const cameo_similarity s = {1, 0, -2, 3};
    assert_true(cameo_image_warp(&image, &s, 6, 7, NULL));
    for (int v = 0; v < 7; v++)
        for (int u = 0; u < 6 * 3; u++) {
            int want = v < 3 ? 0 : (unsigned char)(1 + ((v - 3) * 9 + 2) * 3 + u);
            assert_int_equal(image.pixels[v * 18 + u], want);
        }
    cameo_image_free(&image);
}

static double difference(const cameo_image *a, const cameo_image *b) {
    double sum = 0;
    int n = a->width * a->height * 3;
    for (int i = 0; i < n; i++) sum += abs(a->pixels[i] - b->pixels[i]);
    return sum / n;
}

/* Real photographs with landmarks against crops that another program made from them. */
static void crops_of_photographs(void **unused) {
    (void)unused;
    const char *given = getenv("CAMEO_DATA"),
               *data = given ? given : CAMEO_SOURCE_DIR "/../shared/data";
    char *raw = cameo_join(data, "lfw-raw"), *list = cameo_join(raw, "landmarks.tsv"),
         *lfw = cameo_join(data, "lfw/images");
    cameo_landmark_table t = {0};
    if (!cameo_file_exists(list)) print_message("no lfw-raw: skipped\n");
    if (cameo_file_exists(list)) assert_true(cameo_landmarks_read(list, &t, NULL));
    char *images = cameo_join(raw, "images");
    double sum = 0, worst = 0;
    for (size_t i = 0; i < t.count; i++) {
        char *from = cameo_join(images, t.row[i].name), *to = cameo_join(lfw, t.row[i].name);
        cameo_image a, b;
        assert_true(cameo_image_read(from, &a, NULL) && cameo_image_read(to, &b, NULL));
        assert_true(cameo_image_align(&a, &t.row[i].at, 112, 112, NULL));
        double d = difference(&a, &b);
        sum += d;
        if (d > worst) worst = d;
        cameo_image_free(&a), cameo_image_free(&b);
        free(from), free(to);
    }
    if (t.count)
        print_message("%zu crops: mean difference %.3f, of the worst one %.3f\n", t.count,
                      sum / (double)t.count, worst);
    assert_true(worst < 2);
    cameo_landmarks_free(&t);
    free(raw), free(list), free(lfw), free(images);
}

static void landmark_files(void **unused) {
    (void)unused;
    const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"image\tx\ty\nb/2.jpg\t1\t2\t3\t4\t5\t6\t7\t8\t9\t10\r\na/1.jpg 1 2 3 4 5 6 7 8 9 11\n",
         true},
        {"\xEF\xBB\xBF"
         "b/2.jpg,1,2,3,4,5,6,7,8,9,10\na/1.jpg,1,2,3,4,5,6,7,8,9,11",
         true},
        {"c/3.jpg 1 2 3 4 5 6 7 8 9 9\nb/2.jpg 1 2 3 4 5 6 7 8 9 10\nd/3.jpg 1 2 3 4 5 6 7 8 9 "
         "8\na/1.jpg 1 2 3 4 5 6 "
         "7 8 9 11\n",
         true},
        {"# ours\rb/2.jpg 1 2 3 4 5 6 7 8 9 10\r\"a/1.jpg\",1,2,3,4,5,6,7,8,9,11\r", true},
        {"Smith, J/2.jpg\t1\t2\t3\t4\t5\t6\t7\t8\t9\t10\na/1.jpg\t1\t2\t3\t4\t5\t6\t7\t8\t9\t11\n",
         true},
        {"a/1.jpg 1 2\nb/2.jpg 1 2 3 4 5 6 7 8 9 10\n", false}, /* no row of headings */
        {"b/2.jpg 1 2 3 4 5 6 7 8 9 10\na/1.jpg 1 2\n", false},
        {"b/2.jpg 1 2 3 4 5 6 7 8 9 10\na/1.jpg 1 2 3 4 5 6 7 8 9 nan\n", false},
        {"", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[] = "landmarks-XXXXXX";
        cameo_landmark_table t;
        close(mkstemp(path));
        assert_true(cameo_write_file(path, cases[i].text, strlen(cases[i].text), NULL));
        assert_int_equal(cameo_landmarks_read(path, &t, NULL), cases[i].good);
        if (cases[i].good) {
            assert_true(cameo_landmarks_find(&t, "a/1.jpg")->y[4] == 11);
            assert_true(cameo_landmarks_find(&t, "elsewhere/2.jpg")->y[4] == 10);
            assert_null(cameo_landmarks_find(&t, "3.jpg"));
        }
        cameo_landmarks_free(&t);
        unlink(path);
    }
}

static void json_is_read(void **unused) {
    (void)unused;
    static const char text[] = "{\"a\": [1, {\"x\": \"]}\"}, 3], \"b\": {\"c\": -2.5e-3, \"n\": "
                               "null}, \"s\": \"q\\\"\\n\\u00e9\"}";
    double value;
    assert_true(cameo_json_get_number(text, "b.c", &value) && value == -2.5e-3);
    assert_false(cameo_json_get_number(text, "b.n", &value));
    assert_false(cameo_json_get_number(text, "b.missing", &value));
    char *s = cameo_json_get_text(text, "s");
    assert_string_equal(s, "q\"\n\xC3\xA9");
    free(s);
    const char *e = cameo_json_next(cameo_json_find(text, "a"), NULL);
    s = cameo_json_get_text(cameo_json_next(NULL, e), "x");
    assert_string_equal(s, "]}");
    free(s);
    static const char *const broken[] = {
        "", "{", "{\"a\"", "{\"b\" 1}", "[[[[", "{\"a\": \"\\", "{\"b\": {\"c\": }}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_false(cameo_json_get_number(broken[i], "b.c", &value));
}

static void operating_points(void **unused) {
    (void)unused;
    double scores[20];
    unsigned char labels[20];
    for (int i = 0; i < 20; i++) scores[i] = i, labels[i] = i >= 10;
    scores[9] = 12.5; /* one different pair is above three same ones */
    cameo_metrics m;
    cameo_roc_point p;
    cameo_error error = {0};
    assert_true(cameo_metrics_compute(scores, labels, 20, NULL, &m, NULL));
    assert_true(cameo_calibrate(&m, "fpr=0.1", &p, NULL) && p.threshold <= 10 && p.tpr == 1);
    assert_true(cameo_calibrate(&m, "accuracy", &p, NULL) && p.threshold == 10);
    assert_true(cameo_calibrate(&m, "eer", &p, NULL));
    assert_false(cameo_calibrate(&m, "fpr=0.05", &p, &error)); /* ten different pairs can't tell */
    assert_int_equal(error.code, CAMEO_BAD_INPUT);
    static const char *const bad[] = {"fpr", "fpr=", "fpr=2", "fpr=0.1x", "far=0.1", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(cameo_calibrate(&m, bad[i], &p, &error));
        assert_int_equal(error.code, CAMEO_USAGE);
    }
    cameo_metrics_free(&m);
}

static void submission_forms(void **unused) {
    (void)unused;
    static const char list[] = "p,1.jpg\tb.jpg\r\nb.jpg\tc.jpg\r\n";
    const struct {
        const char *family, *text;
    } cases[] = {{"s19", "trial,score\n\"p,1.jpg\tb.jpg\",0.5\nb.jpg\tc.jpg,0.25\n"},
                 {"s21", "Id,Category\n\"p,1.jpg\tb.jpg\",0.5\nb.jpg\tc.jpg,0.25\n"},
                 {"s22", "id,match\n0,0.5\n1,0.25\n"},
                 {"f24", "ID,Label\n0,0.5\n1,0.25\n"},
                 {"s26", "ID,Label\n0,0.5\n1,0.25\n"}};
    double score[2] = {0.5, 0.25};
    cameo_pairs pairs;
    assert_true(cameo_pairs_parse(list, strlen(list), "list", NULL, &pairs, NULL));
    cameo_verification v = {.pairs = &pairs, .score = {score}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cameo_output o;
        assert_true(cameo_output_open(&o, NULL));
        const cameo_submission *s = cameo_submission_find(cases[i].family, CAMEO_TASK_PAIRS, NULL);
        assert_non_null(s);
        cameo_submission_pairs(s, &v, o.stream);
        fclose(o.stream);
        assert_string_equal(o.data, cases[i].text);
        free(o.data);
    }
    cameo_pairs_free(&pairs);
    cameo_error error = {0};
    assert_null(cameo_submission_find("f22", CAMEO_TASK_PAIRS, &error));
    assert_non_null(strstr(error.message, "identify"));
    assert_null(cameo_submission_find("2", CAMEO_TASK_PAIRS, &error));
    assert_int_equal(error.code, CAMEO_USAGE);
}

static void duplicates_and_overlaps(void **unused) {
    (void)unused;
    char *names[] = {"A/1.jpg", "B/1.jpg", "B/2.jpg", "C/1.jpg"}, *classes[] = {"B", "D"},
         *paths[] = {"t/D/9.jpg"};
    char content[4][65] = {"x", "y", "x", ""}, train_content[1][65] = {"y"};
    cameo_findings f;
    cameo_find_duplicates(names, content, 4, &f);
    assert_int_equal(f.count, 1);
    assert_string_equal(f.list[0].first, "A/1.jpg");
    assert_string_equal(f.list[0].second, "B/2.jpg");
    cameo_findings_free(&f);
    const cameo_dataset train = {.images = 1, .classes = 2, .class_name = classes, .path = paths};
    cameo_find_overlaps(names, content, 4, &train, train_content, &f);
    assert_int_equal(f.count, 2);
    assert_string_equal(f.list[0].first, "B");
    assert_null(f.list[0].second);
    assert_string_equal(f.list[1].second, "t/D/9.jpg");
    cameo_findings_free(&f);
}

int main(void) {
    char directory[] = "/tmp/test_verification_XXXXXX";
    if (!scratch_enter(directory)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(scores_and_augmentations),
                                       cmocka_unit_test(equal_embeddings_tie),
                                       cmocka_unit_test(one_kind_is_scored),
                                       cmocka_unit_test(a_zero_embedding_is_named),
                                       cmocka_unit_test(a_similarity_is_found_again),
                                       cmocka_unit_test(a_warp_by_pixels_copies),
                                       cmocka_unit_test(crops_of_photographs),
                                       cmocka_unit_test(landmark_files),
                                       cmocka_unit_test(json_is_read),
                                       cmocka_unit_test(operating_points),
                                       cmocka_unit_test(submission_forms),
                                       cmocka_unit_test(duplicates_and_overlaps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
