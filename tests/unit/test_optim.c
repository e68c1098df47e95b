/* Parameters' layout maps; optimisers and schedules against PyTorch's numbers
   (tests/oracle/make_optim.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/core/threads.h"
#include "runtime/training/optim.h"
#include "runtime/training/parameters.h"
#include "runtime/training/schedule.h"
#include "tests/golden/optim.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void near(double got, double want, double tolerance) {
    if (fabs(got - want) <= tolerance * (1 + fabs(want))) return;
    print_error("%.9g, %.9g expected\n", got, want);
    fail();
}

/* ---- layout maps ---- */

static void check_map(const cameo_parameter *p) {
    const size_t n = cameo_parameter_elements(p);
    float *onnx = malloc(n * sizeof *onnx), *back = malloc(n * sizeof *back),
          *block = malloc(p->floats * sizeof *block);
    for (size_t i = 0; i < n; i++) onnx[i] = (float)i + 1;
    for (size_t i = 0; i < p->floats; i++) block[i] = -7;
    cameo_parameter_write(p, block, onnx);
    size_t untouched = 0;
    for (size_t i = 0; i < p->floats; i++) untouched += block[i] == -7;
    assert_int_equal(untouched, p->floats - n); /* every element has a place of its own, padding is
                                                   left alone */
    cameo_parameter_read(p, block, back);
    assert_memory_equal(onnx, back, n * sizeof *onnx);
    free(onnx);
    free(back);
    free(block);
}

static void layout_maps_are_invertible(void **state) {
    (void)state;
    static const cameo_parameter cases[] = {
        {.rank = 4,
         .dim = {20, 3, 3, 2},
         .floats = 640,
         .layout = CAMEO_PARAMETER_CONV,
         .block = 16},
        {.rank = 4,
         .dim = {32, 5, 1, 1},
         .floats = 192,
         .layout = CAMEO_PARAMETER_CONV,
         .block = 32},
        {.rank = 4,
         .dim = {20, 1, 3, 3},
         .floats = 320,
         .layout = CAMEO_PARAMETER_DEPTHWISE,
         .block = 16},
        {.rank = 2, .dim = {7, 9}, .floats = 128, .layout = CAMEO_PARAMETER_CONV, .block = 8},
        {.rank = 3, .dim = {5, 2, 3}, .floats = 64, .layout = CAMEO_PARAMETER_ONNX, .block = 0},
        {.rank = 1, .dim = {5}, .floats = 64, .layout = CAMEO_PARAMETER_ONNX, .block = 0},
        {.rank = 0, .floats = 64, .layout = CAMEO_PARAMETER_ONNX}};
    for (size_t i = 0; i < COUNT(cases); i++) check_map(&cases[i]);
    /* by value, so that the order is the one that training.h states: [co /
       block][kh][kw][ci][block] */
    float onnx[16 * 2 * 2 * 3], block[16 * 12];
    for (int i = 0; i < 16 * 12; i++) onnx[i] = (float)i;
    const cameo_parameter conv = {
        .rank = 4, .dim = {16, 2, 2, 3}, .floats = 192, .layout = CAMEO_PARAMETER_CONV, .block = 8};
    cameo_parameter_write(&conv, block, onnx);
    for (int o = 0; o < 16; o++)
        for (int i = 0; i < 2; i++)
            for (int t = 0; t < 6; t++)
                assert_true(block[((o / 8 * 6 + t) * 2 + i) * 8 + o % 8] ==
                            onnx[(o * 2 + i) * 6 + t]);
}

/* ---- optimisers ---- */

enum { W = 100, B = 10, FLOATS = 256, LEARNT = 192, STEPS = 12 };
static const cameo_parameter table[] = {
    {.name = "w",
     .rank = 2,
     .dim = {10, 10},
     .offset = 0,
     .floats = 128,
     .learnt = true,
     .decay = true},
    {.name = "b",
     .rank = 1,
     .dim = {B},
     .offset = 128,
     .floats = 64,
     .learnt = true,
     .decay = false},
    {.name = "mean", .rank = 1, .dim = {5}, .offset = 192, .floats = 64, .learnt = false}};
static const cameo_trainer trainer = {
    .n_parameters = 3, .parameters = table, .floats = FLOATS, .learnt_floats = LEARNT};

typedef struct blocks {
    _Alignas(64) float p[FLOATS], g[FLOATS], average[FLOATS];
} blocks;

static void start(blocks *b) {
    memset(b, 0, sizeof *b);
    for (int i = 0; i < W; i++) b->p[i] = (float)sin(0.7 * i + 1);
    for (int i = 0; i < B; i++) b->p[128 + i] = (float)cos(0.4 * i);
    for (int i = 0; i < 5; i++) b->p[192 + i] = (float)i;
    memcpy(b->average, b->p, sizeof b->p);
}

static void gradients(blocks *b, int t) {
    for (int i = 0; i < W; i++) b->g[i] = (float)cos(0.3 * i + 0.9 * t);
    for (int i = 0; i < B; i++) b->g[128 + i] = (float)(2 * sin(0.2 * i + 0.5 * t));
}

static void optimise(blocks *b, cameo_context *c, const cameo_optim_options *options, double rate,
                     double clip) {
    cameo_optim o;
    assert_true(cameo_optim_create(&o, &trainer, options, NULL));
    start(b);
    for (int t = 0; t < STEPS; t++) {
        gradients(b, t);
        const cameo_optim_update u = {
            .parameters = b->p,
            .gradients = b->g,
            .rate = rate,
            .gradient_scale = cameo_clip_factor(cameo_optim_norm2(&o, c, b->g), clip),
            .step = t + 1,
            .average = b->average,
            .average_decay = 0.75};
        double squares = 0;
        for (int i = 0; i < LEARNT; i++) squares += (double)b->g[i] * b->g[i];
        near(cameo_optim_step(&o, c, &u), squares, 1e-12);
    }
    cameo_optim_destroy(&o);
}

static void expect(const blocks *b, const double *golden) {
    for (int i = 0; i < W; i += 9) near(b->p[i], *golden++, 3e-6);
    for (int i = 0; i < B; i++) near(b->p[128 + i], *golden++, 3e-6);
    for (int i = W; i < 128; i++) assert_true(b->p[i] == 0); /* padding stays zero */
    for (int i = 0; i < 5; i++) assert_true(b->p[192 + i] == (float)i);
}

static void optimisers_equal_pytorch(void **state) {
    (void)state;
    const struct {
        cameo_optim_options options;
        double rate, clip;
        const double *golden;
    } cases[] = {
        {{.kind = CAMEO_SGD, .weight_decay = 0.01}, 0.05, 0, golden_sgd},
        {{.kind = CAMEO_SGD, .weight_decay = 0.01, .momentum = 0.9}, 0.05, 0, golden_sgd_momentum},
        {{.kind = CAMEO_SGD, .weight_decay = 0.01, .momentum = 0.9, .nesterov = true},
         0.05,
         0,
         golden_sgd_nesterov},
        {{.kind = CAMEO_SGD, .weight_decay = 0.01, .momentum = 0.9, .decay_all = true},
         0.05,
         0,
         golden_sgd_decay_all},
        {{.kind = CAMEO_SGD, .weight_decay = 0.01, .momentum = 0.9}, 0.05, 2.5, golden_sgd_clip},
        {{.kind = CAMEO_ADAM, .weight_decay = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8},
         0.02,
         0,
         golden_adam},
        {{.kind = CAMEO_ADAMW, .weight_decay = 0.1, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6},
         0.02,
         0,
         golden_adamw}};
    cameo_context one = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        blocks b;
        print_message("case %zu\n", i);
        optimise(&b, &one, &cases[i].options, cases[i].rate, cases[i].clip);
        expect(&b, cases[i].golden);
    }
}

static void average_follows(void **state) {
    (void)state;
    cameo_context one = {0};
    blocks b, by_hand;
    cameo_optim o;
    const cameo_optim_options options = {.kind = CAMEO_SGD};
    assert_true(cameo_optim_create(&o, &trainer, &options, NULL));
    start(&b);
    start(&by_hand);
    for (int t = 0; t < 5; t++) {
        gradients(&b, t);
        b.p[195] += 1; /* a running statistic moves by itself, and is averaged too */
        cameo_optim_update u = {.parameters = b.p,
                                .gradients = b.g,
                                .rate = 0.1,
                                .gradient_scale = 1,
                                .step = t + 1,
                                .average = b.average};
        u.average_decay = 0.5;
        cameo_optim_step(&o, &one, &u);
        for (int i = 0; i < FLOATS; i++)
            by_hand.average[i] = 0.5f * by_hand.average[i] + 0.5f * b.p[i];
    }
    for (int i = 0; i < FLOATS; i++) near(b.average[i], by_hand.average[i], 1e-6);
    assert_true(b.average[195] > 4 && b.average[195] < b.p[195]);
    cameo_optim_destroy(&o);
}

/* A table of many chunks: one and three threads give the same bits, and the norm is right. */
static void threads_do_not_matter(void **state) {
    (void)state;
    enum { BIG = 200000 / 64 * 64 };
    const cameo_parameter big[] = {
        {.name = "w", .rank = 1, .dim = {BIG}, .floats = BIG, .learnt = true, .decay = true}};
    const cameo_trainer t = {
        .n_parameters = 1, .parameters = big, .floats = BIG, .learnt_floats = BIG};
    const cameo_optim_options options = {
        .kind = CAMEO_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.1};
    float *result[2], *g = cameo_block_create(BIG, "g", NULL);
    double norm[2], want = 0;
    for (int i = 0; i < BIG; i++) g[i] = sinf((float)i), want += (double)g[i] * g[i];
    for (int k = 0; k < 2; k++) {
        cameo_context c = {.pool = k ? cameo_pool_create(3) : NULL};
        cameo_optim o;
        assert_true(cameo_optim_create(&o, &t, &options, NULL));
        result[k] = cameo_block_create(BIG, "p", NULL);
        const cameo_optim_update u = {
            .parameters = result[k], .gradients = g, .rate = 0.1, .gradient_scale = 0.5, .step = 1};
        norm[k] = cameo_optim_norm2(&o, &c, g);
        for (int s = 0; s < 3; s++) cameo_optim_step(&o, &c, &u);
        cameo_optim_accumulate(&o, &c, result[k], g);
        cameo_optim_destroy(&o);
        if (c.pool) c.pool->destroy(c.pool);
    }
    assert_true(norm[0] == norm[1]);
    near(norm[0], want, 1e-12);
    assert_memory_equal(result[0], result[1], BIG * sizeof(float));
    for (int k = 0; k < 2; k++) cameo_block_free(result[k], BIG);
    cameo_block_free(g, BIG);
}

static void not_finite_is_found(void **state) {
    (void)state;
    blocks b;
    start(&b);
    assert_null(cameo_find_not_finite(&trainer, b.p));
    b.p[50] = NAN;
    assert_string_equal(cameo_find_not_finite(&trainer, b.p)->name, "w");
    b.p[130] = INFINITY;
    assert_string_equal(cameo_find_not_finite(&trainer, b.p)->name, "b");
    cameo_context one = {0};
    cameo_optim o;
    assert_true(cameo_optim_create(&o, &trainer, &(cameo_optim_options){.kind = CAMEO_SGD}, NULL));
    assert_true(!isfinite(cameo_optim_norm2(&o, &one, b.p)));
    cameo_optim_destroy(&o);
    assert_true(cameo_clip_factor(4, 0) == 1 && cameo_clip_factor(4, 3) == 1);
    near(cameo_clip_factor(4, 1), 0.5, 1e-6);
}

static void bad_table_is_refused(void **state) {
    (void)state;
    cameo_parameter wrong[3];
    memcpy(wrong, table, sizeof wrong);
    cameo_trainer t = trainer;
    t.parameters = wrong;
    wrong[1].offset = 160; /* learnt, beyond the learnt floats */
    cameo_optim o;
    cameo_error error = {0};
    assert_false(cameo_optim_create(&o, &t, &(cameo_optim_options){.kind = CAMEO_SGD}, &error));
    assert_int_equal(error.code, CAMEO_DEFECT);
}

/* ---- schedules ---- */

static void schedules_equal_pytorch(void **state) {
    (void)state;
    const cameo_schedule base = {.rate = 0.1, .steps = 30, .epoch_steps = 5, .multiply = 1};
    cameo_schedule s[6];
    for (int i = 0; i < 6; i++) s[i] = base;
    s[0].kind = CAMEO_SCHEDULE_STEP, s[0].every = 2, s[0].gamma = 0.3;
    s[1].kind = CAMEO_SCHEDULE_MULTISTEP, s[1].milestone[0] = 2, s[1].milestone[1] = 5,
    s[1].milestones = 2, s[1].gamma = 0.2;
    s[2].kind = CAMEO_SCHEDULE_COSINE, s[2].least = 0.001;
    s[3].kind = CAMEO_SCHEDULE_RESTARTS, s[3].least = 0.001, s[3].every = 1, s[3].multiply = 2;
    s[4].kind = CAMEO_SCHEDULE_ONECYCLE;
    s[5].kind = CAMEO_SCHEDULE_COSINE, s[5].warmup = 7;
    const double *golden[6] = {golden_rate_step,     golden_rate_multistep, golden_rate_cosine,
                               golden_rate_restarts, golden_rate_onecycle,  golden_rate_warm};
    const cameo_plateau none = cameo_plateau_start(&base);
    for (int i = 0; i < 6; i++)
        for (int64_t t = 0; t < 30; t++)
            near(cameo_schedule_rate(&s[i], &none, t), golden[i][t], 1e-9);
    assert_true(cameo_schedule_rate(&base, &none, 29) == 0.1);
}

static void plateau_equals_pytorch(void **state) {
    (void)state;
    static const double metrics[] = {0.5,     0.6, 0.6, 0.59, 0.61, 0.61,
                                     0.61001, 0.6, 0.6, 0.3,  0.2,  0.9};
    const cameo_schedule s = {.kind = CAMEO_SCHEDULE_PLATEAU,
                              .rate = 0.1,
                              .least = 0.004,
                              .gamma = 0.3,
                              .patience = 1,
                              .rising = true,
                              .steps = 12,
                              .epoch_steps = 1};
    cameo_plateau p = cameo_plateau_start(&s);
    for (size_t i = 0; i < COUNT(metrics); i++) {
        cameo_plateau_update(&s, &p, metrics[i]);
        near(cameo_schedule_rate(&s, &p, 0), golden_rate_plateau[i], 1e-9);
    }
}

static void kinds_have_names(void **state) {
    (void)state;
    for (int k = CAMEO_SCHEDULE_CONSTANT; k <= CAMEO_SCHEDULE_ONECYCLE; k++) {
        cameo_schedule_kind kind;
        assert_true(
            cameo_schedule_kind_parse(cameo_schedule_kind_name((cameo_schedule_kind)k), &kind));
        assert_int_equal(kind, k);
        assert_non_null(strstr(cameo_schedule_kinds, cameo_schedule_kind_name(kind)));
    }
    cameo_schedule_kind kind;
    assert_false(cameo_schedule_kind_parse("cosines", &kind));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(layout_maps_are_invertible),
                                       cmocka_unit_test(optimisers_equal_pytorch),
                                       cmocka_unit_test(average_follows),
                                       cmocka_unit_test(threads_do_not_matter),
                                       cmocka_unit_test(not_finite_is_found),
                                       cmocka_unit_test(bad_table_is_refused),
                                       cmocka_unit_test(schedules_equal_pytorch),
                                       cmocka_unit_test(plateau_equals_pytorch),
                                       cmocka_unit_test(kinds_have_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
