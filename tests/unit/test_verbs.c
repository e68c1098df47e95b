/* The verbs on a tiny model whose embedding is the mean of each channel: exit codes and the files
   of a scoring run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/npy.h"
#include "runtime/cameo_abi.h"
#include "runtime/verbs/live.h"
#include "scratch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void run(cameo_context *c, size_t last) {
    (void)last;
    const float *x = c->in[0];
    float *y = c->embedding ? c->embedding : c->out[0];
    for (size_t i = 0; i < c->count * 3; i++) {
        y[i] = 0;
        for (size_t k = 0; k < 4; k++) y[i] += x[i * 4 + k] / 4;
    }
    if (c->tick) c->tick(c->tick_data, 0), c->tick(c->tick_data, 1);
}

static bool create(cameo_context *c) {
    (void)c;
    return true;
}

static const cameo_tensor_info input = {"x", 1, 4, {2, 3, 2, 2}, true},
                               output = {"y", 1, 2, {2, 3}, true};
static const cameo_layer_info layer = {"mean", "GlobalAveragePool", "plain", "2x3", 12, 0, 0, 0};
static const unsigned char weights[64];
static const cameo_model model = {.abi = CAMEO_ABI,
                                  .name = "tiny",
                                  .version = "1",
                                  .hash = "0",
                                  .target = "any",
                                  .producer = "test",
                                  .batch = 2,
                                  .macs = 12,
                                  .n_inputs = 1,
                                  .n_outputs = 1,
                                  .n_layers = 1,
                                  .inputs = &input,
                                  .outputs = &output,
                                  .layers = &layer,
                                  .embedding = &output,
                                  .embedding_rule = "output",
                                  .embedding_layers = 1,
                                  .preprocess = "size=2x2 color=rgb mean=0 scale=1/255",
                                  .arena_bytes = 64,
                                  .weights_bytes = 64,
                                  .weights = weights,
                                  .create = create,
                                  .run = run};

/* ---- groups of a batch ---- */

static size_t counts[8], n_counts;

static void run_and_count(cameo_context *c, size_t last) {
    counts[n_counts++] = c->count;
    run(c, last);
}

/* Seven images in groups of three, as outputs and as embeddings: each is what it is alone, and
   nothing is written behind. */
static void groups_of_a_batch(void **state) {
    (void)state;
    enum { IMAGES = 7 };
    float x[IMAGES * 12], want[IMAGES * 3], got[IMAGES * 3 + 1], embedded[IMAGES * 3 + 1];
    cameo_model m = model;
    m.batch = 8, m.group = 3, m.run = run_and_count;
    for (size_t i = 0; i < IMAGES * 12; i++) x[i] = (float)(i * i % 97);
    for (size_t i = 0; i < IMAGES * 3; i++)
        want[i] = (x[i * 4] + x[i * 4 + 1] + x[i * 4 + 2] + x[i * 4 + 3]) / 4;
    got[IMAGES * 3] = embedded[IMAGES * 3] = -5;
    cameo_context *c = cameo_create(&m, NULL, NULL);
    assert_non_null(c);
    n_counts = 0;
    assert_int_equal(cameo_run(c, IMAGES, (const void *[]){x}, (void *[]){got}), CAMEO_OK);
    assert_int_equal(cameo_embed(c, IMAGES, x, embedded), CAMEO_OK);
    cameo_destroy(c);
    assert_int_equal(n_counts, 6);
    for (size_t i = 0; i < n_counts; i++) assert_int_equal(counts[i], i % 3 == 2 ? 1 : 3);
    for (size_t i = 0; i < IMAGES * 3; i++) {
        assert_float_equal(got[i], want[i], 1e-4f);
        assert_float_equal(embedded[i], want[i], 1e-4f);
    }
    assert_true(got[IMAGES * 3] == -5 && embedded[IMAGES * 3] == -5);
}

/* ---- late layers ---- */

static float waiting[8 * 3];
static size_t firsts[16], late_counts[8], n_firsts, n_late;

static void early(cameo_context *c, size_t last) {
    (void)last;
    firsts[n_firsts++] = c->first;
    for (size_t i = 0; i < c->count * 3; i++) {
        const float *x = (const float *)c->in[0] + i * 4;
        waiting[c->first * 3 + i] = x[0] + x[1] + x[2] + x[3];
    }
}

static void late(cameo_context *c, size_t last) {
    (void)last;
    late_counts[n_late++] = c->count;
    float *y = c->embedding ? c->embedding : c->out[0];
    for (size_t i = 0; i < c->count * 3; i++) y[i] = waiting[i] / 4;
}

static void check_means(const float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        assert_true(y[i] == (x[i * 4] + x[i * 4 + 1] + x[i * 4 + 2] + x[i * 4 + 3]) / 4);
    assert_true(y[n] == -5);
}

/* Seven images: early layers in groups of two, late ones of four. What is asked of early layers
   alone runs no late ones. */
static void late_layers_of_a_batch(void **state) {
    (void)state;
    enum { IMAGES = 7 };
    float x[IMAGES * 12], got[IMAGES * 3 + 1], embedded[IMAGES * 3 + 1];
    cameo_model m = model;
    m.batch = 8, m.group = 2, m.run = early, m.late_group = 4, m.run_late = late;
    for (size_t i = 0; i < IMAGES * 12; i++) x[i] = (float)(i * i % 97);
    got[IMAGES * 3] = embedded[IMAGES * 3] = -5;
    cameo_context *c = cameo_create(&m, &(cameo_options){.threads = 1}, NULL);
    assert_non_null(c);
    assert_int_equal(cameo_run(c, IMAGES, (const void *[]){x}, (void *[]){got}), CAMEO_OK);
    assert_int_equal(n_firsts, 4);
    assert_true(firsts[0] == 0 && firsts[1] == 2 && firsts[2] == 0 && firsts[3] == 2);
    assert_true(n_late == 2 && late_counts[0] == 4 && late_counts[1] == 3);
    check_means(x, got, IMAGES * 3);
    assert_int_equal(cameo_embed(c, IMAGES, x, embedded), CAMEO_OK);
    assert_true(n_firsts == 8 && n_late == 4);
    check_means(x, embedded, IMAGES * 3);
    m.group_alone = 1, n_firsts = n_late = 0;
    assert_int_equal(cameo_run(c, IMAGES, (const void *[]){x}, (void *[]){got}), CAMEO_OK);
    assert_true(n_firsts == 7 && firsts[3] == 3 && firsts[4] == 0 && n_late == 2);
    check_means(x, got, IMAGES * 3);
    m.group_alone = 0, m.late_layer = m.embedding_layers, n_firsts = n_late = 0;
    assert_int_equal(cameo_embed(c, IMAGES, x, embedded), CAMEO_OK);
    assert_true(n_firsts == 4 && n_late == 0);
    cameo_destroy(c);
}

static char directory[] = "/tmp/test_verbs_XXXXXX";

static void put(const char *name, const char *text) {
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* The words of a command line, cut at spaces. */
static int verb(const cameo_model *m, const char *line) {
    char copy[512], *argv[16] = {(char *)"tiny"}, *rest = NULL;
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *w = strtok_r(copy, " ", &rest); w && argc < 16; w = strtok_r(NULL, " ", &rest))
        argv[argc++] = w;
    return cameo_main(m, argc, argv);
}

static int setup(void **state) {
    (void)state;
    if (!scratch_enter(directory)) return -1;
    put("red.ppm", "P3 1 1 255 255 0 0");
    put("pink.ppm", "P3 1 1 255 255 99 99");
    put("blue.ppm", "P3 1 1 255 0 0 255");
    put("black.ppm", "P3 1 1 255 0 0 0");
    put("pairs.txt", "red.ppm pink.ppm 1\nred.ppm blue.ppm 0\npink.ppm blue.ppm 0\n");
    put("unlabelled.txt", "red.ppm pink.ppm\n");
    put("zero.txt", "red.ppm black.ppm 1\nred.ppm blue.ppm 0\n");
    put("missing.txt", "red.ppm nobody.ppm 1\n");
    return 0;
}

static void exit_codes(void **state) {
    (void)state;
    const struct {
        const char *line;
        int code;
    } cases[] = {{"info --json", 0},
                 {"info --help", 0},
                 {"bench --runs 2 --json --threads 1", 0},
                 {"profile --runs 2 --json", 0},
                 {"verify red.ppm pink.ppm", 0},
                 {"classify red.ppm --top 2 --json", 0},
                 {"embed red.ppm blue.ppm pink.ppm -o e.npy", 0},
                 {"score unlabelled.txt -o plain", 0},
                 {"score zero.txt", 1},
                 {"score missing.txt", 1},
                 {"verify red.ppm pairs.txt", 1},
                 {"verify red.ppm", 2},
                 {"verfy", 2},
                 {"score pairs.txt --rot .", 2},
                 {"bench --runs x", 2},
                 {"run --output o", 2},
                 {"run --input e.npy --output o", 1},
                 {"embed red.ppm -o e.npy --preprocess colour=rgb", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("%s\n", cases[i].line);
        assert_int_equal(verb(&model, cases[i].line), cases[i].code);
    }
    cameo_model unknown = model;
    unknown.preprocess = NULL;
    assert_int_equal(verb(&unknown, "verify red.ppm pink.ppm"), 2);
}

static void score_writes_all(void **state) {
    (void)state;
    assert_int_equal(verb(&model, "score pairs.txt -o out/deep"), 0);
    const char *const names[] = {"out/deep/scores.csv", "out/deep/metrics.json", "out/deep/roc.csv",
                                 "out/deep/report.html"};
    for (int i = 0; i < 4; i++) assert_int_equal(access(names[i], R_OK), 0);
    FILE *f = fopen(names[0], "r");
    char line[200];
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "img1,img2,label,cosine,l2\n");
    assert_non_null(fgets(line, sizeof line, f));
    assert_memory_equal(line, "red.ppm,pink.ppm,1,0.87", 23); /* 255 / sqrt(255^2 + 2 * 99^2) */
    fclose(f);
}

static void run_writes_outputs(void **state) {
    (void)state;
    float x[12];
    for (int i = 0; i < 12; i++) x[i] = (float)i;
    cameo_array a = {1, 4, {1, 3, 2, 2}, 12, x}, y;
    assert_true(cameo_pb_write("x.pb", "x", &a, NULL));
    assert_int_equal(verb(&model, "run --input x.pb --output res"), 0);
    assert_true(cameo_array_read("res/output_0.npy", &y, NULL));
    assert_true(y.rank == 2 && y.dim[0] == 1 && y.dim[1] == 3);
    assert_true(((float *)y.data)[0] == 1.5f && ((float *)y.data)[2] == 9.5f);
    cameo_array_free(&y);
}

/* ---- the rows ---- */

static const cameo_verb *const rows[] = {
#define VERB(name) &cameo_verb_##name,
#define TRAINER_VERB(name) VERB(name)
#include "runtime/verbs/verbs.def"
#undef VERB
#undef TRAINER_VERB
};
enum { ROWS = sizeof rows / sizeof *rows };

static const cameo_option *option_of(const cameo_verb *v, const char *name) {
    for (const cameo_option *o = v->options; o->name; o++)
        if (strcmp(o->name, name) == 0) return o;
    return NULL;
}

/* Rows are complete, name an option once, and an option of two verbs is a flag in both or in
   neither. */
static void rows_agree(void **state) {
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        const cameo_verb *v = rows[i];
        assert_true(v->name && v->about && v->usage && v->options && v->run);
        if (strncmp(v->usage, v->name, strlen(v->name)) != 0) fail_msg("%s: usage", v->name);
        for (const cameo_option *o = v->options; o->name; o++) {
            if (!o->help || !o->help[0]) fail_msg("%s --%s: no help", v->name, o->name);
            if (option_of(v, o->name) != o) fail_msg("%s --%s: twice", v->name, o->name);
            for (size_t k = 0; k < ROWS; k++) {
                const cameo_option *other = option_of(rows[k], o->name);
                if (other && !other->value != !o->value)
                    fail_msg("--%s: a flag of %s or of %s only", o->name, v->name, rows[k]->name);
            }
        }
    }
}

/* Every program has the ordinary rows; one that trains finds its own first. */
static void rows_are_found(void **state) {
    (void)state;
    static const cameo_verb *const own[] = {&cameo_verb_train, &cameo_verb_train_bench, NULL};
    assert_ptr_equal(cameo_find_verb(NULL, "bench"), &cameo_verb_bench);
    assert_ptr_equal(cameo_find_verb(own, "bench"), &cameo_verb_train_bench);
    assert_ptr_equal(cameo_find_verb(own, "info"), &cameo_verb_info);
    assert_null(cameo_find_verb(NULL, "train"));
    assert_null(cameo_find_verb(own, "no"));
}

/* cameo.h's questions about a model, of one that has everything and of one that has nothing. */
static void a_model_tells(void **state) {
    (void)state;
    static const char *const names[] = {"cat", "dog"};
    cameo_model whole = model;
    whole.preprocess = "color=rgb", whole.classes = names, whole.n_classes = 2;
    size_t count = 7;
    assert_ptr_equal(cameo_model_input(&whole, 0), &whole.inputs[0]);
    assert_null(cameo_model_input(&whole, whole.n_inputs));
    assert_ptr_equal(cameo_model_output(&whole, 0), &whole.outputs[0]);
    assert_null(cameo_model_output(&whole, whole.n_outputs));
    assert_ptr_equal(cameo_model_embedding(&whole), whole.embedding);
    assert_int_equal(cameo_model_batch(&whole), 2);
    assert_string_equal(cameo_model_name(&whole), "tiny");
    assert_string_equal(cameo_model_hash(&whole), "0");
    assert_string_equal(cameo_model_preprocess(&whole), "color=rgb");
    assert_ptr_equal(cameo_model_classes(&whole, &count), names);
    assert_int_equal(count, 2);
    const cameo_model bare = {.name = "bare"};
    assert_null(cameo_model_input(&bare, 0));
    assert_null(cameo_model_output(&bare, 0));
    assert_null(cameo_model_embedding(&bare));
    assert_null(cameo_model_preprocess(&bare));
    assert_null(cameo_model_classes(&bare, &count));
    assert_int_equal(count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes),        cmocka_unit_test(score_writes_all),
        cmocka_unit_test(rows_agree),        cmocka_unit_test(rows_are_found),
        cmocka_unit_test(a_model_tells),     cmocka_unit_test(run_writes_outputs),
        cmocka_unit_test(groups_of_a_batch), cmocka_unit_test(late_layers_of_a_batch)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
