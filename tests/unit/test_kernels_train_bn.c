/* Batch normalisation's templates (kernels/batchnorm.h) against formulas in double: odd channels,
   folded rows, slices, residuals, every mask, in place, means far from zero. */
#include "kernel_case.h"

enum { PIXELS = 60 };
static const double c_moments = 1e-6; /* of statistics and sums, relative to the sum of magnitudes
                                       */

typedef struct net { /* of one case; everything the templates read and write */
    const cameo_batchnorm *s;
    ptrdiff_t tasks, blocks;
    float *x, *scale, *shift, *r, *old_mean, *old_var, *y, *mean, *inv_std, *new_mean, *new_var,
        *partial, *table;
    float *dy, *dx, *dr, *dscale, *dshift;
} net;

static net net_new(const cameo_batchnorm *s, float offset) {
    const ptrdiff_t rows = PIXELS / s->fold, width = s->c * s->fold;
    const ptrdiff_t tasks = cameo_batchnorm_tasks(s, rows);
    net k = {.s = s,
             .tasks = tasks,
             .blocks = up(s->c, CAMEO_BATCHNORM_CHANNELS) / CAMEO_BATCHNORM_CHANNELS};
    k.x = floats(rows * s->x_row), k.scale = floats(s->c), k.shift = floats(s->c),
    k.r = floats(rows * s->r_row);
    for (ptrdiff_t i = 0; i < rows * s->x_row; i++) k.x[i] += offset;
    k.old_mean = floats(s->c), k.old_var = floats(s->c), k.y = guarded(rows * s->y_row);
    for (ptrdiff_t c = 0; c < s->c; c++) k.old_var[c] += 1.5f;
    k.mean = guarded(s->c), k.inv_std = guarded(s->c), k.new_mean = guarded(s->c),
    k.new_var = guarded(s->c);
    k.partial = guarded(tasks * CAMEO_BATCHNORM_SUMS * width),
    k.table = guarded(CAMEO_BATCHNORM_TABLE * up(width, CAMEO_VF));
    k.dy = floats(rows * s->dy_row), k.dx = guarded(rows * s->dx_row),
    k.dr = guarded(rows * s->dr_row);
    k.dscale = guarded(s->c), k.dshift = guarded(s->c);
    return k;
}

static void net_free(net *k) {
    const cameo_batchnorm *s = k->s;
    const ptrdiff_t rows = PIXELS / s->fold, width = s->c * s->fold;
    float *const whole[] = {k->y,     k->mean, k->inv_std, k->new_mean, k->new_var, k->partial,
                            k->table, k->dx,   k->dr,      k->dscale,   k->dshift};
    const ptrdiff_t size[] = {rows * s->y_row,
                              s->c,
                              s->c,
                              s->c,
                              s->c,
                              k->tasks * CAMEO_BATCHNORM_SUMS * width,
                              CAMEO_BATCHNORM_TABLE * up(width, CAMEO_VF),
                              rows * s->dx_row,
                              rows * s->dr_row,
                              s->c,
                              s->c};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        check_guards(whole[i], size[i]), free(whole[i] - GUARD);
    free(k->x), free(k->scale), free(k->shift), free(k->r), free(k->old_mean), free(k->old_var),
        free(k->dy);
}

/* Pixel p of a tensor whose rows are `row` apart. */
static ptrdiff_t at(const cameo_batchnorm *s, ptrdiff_t row, ptrdiff_t p, ptrdiff_t c) {
    return p / s->fold * row + p % s->fold * s->c + c;
}

static void moments(const net *k, ptrdiff_t c, double *mean, double *variance) {
    *mean = *variance = 0;
    for (ptrdiff_t p = 0; p < PIXELS; p++)
        *mean += (double)k->x[at(k->s, k->s->x_row, p, c)] / PIXELS;
    for (ptrdiff_t p = 0; p < PIXELS; p++)
        *variance += pow((double)k->x[at(k->s, k->s->x_row, p, c)] - *mean, 2) / PIXELS;
}

/* What stands between the slices is left alone. */
static void check_between(const cameo_batchnorm *s, const float *y, ptrdiff_t row) {
    for (ptrdiff_t i = 0; i < PIXELS / s->fold; i++)
        for (ptrdiff_t j = s->c * s->fold; j < row; j++) assert_true(y[i * row + j] == guard_value);
}

static void check_output(const net *k, ptrdiff_t c, double mean, double variance) {
    const cameo_batchnorm *s = k->s;
    const double factor = (double)k->scale[c] / sqrt(variance + (double)s->epsilon);
    for (ptrdiff_t p = 0; p < PIXELS; p++) {
        const double r = s->r_row ? (double)k->r[at(s, s->r_row, p, c)] : 0;
        const double x = (double)k->x[at(s, s->x_row, p, c)],
                     v = (x - mean) * factor + (double)k->shift[c] + r;
        const double bound = 2e-7 * fabs(mean * factor) +
                             c_moments * (fabs((x - mean) * factor) + fabs(r) + 1);
        check((double)k->y[at(s, s->y_row, p, c)], activate(&s->act, v, 0), bound);
    }
}

static cameo_batchnorm_args forward_args(const net *k) {
    return (cameo_batchnorm_args){
        k->x,    k->scale,   k->shift,    k->r,       k->old_mean, k->old_var, k->y,
        k->mean, k->inv_std, k->new_mean, k->new_var, k->partial,  k->table,   PIXELS / k->s->fold};
}

static void check_statistics(const net *k) {
    const double keep = (double)k->s->momentum;
    for (ptrdiff_t c = 0; c < k->s->c; c++) {
        double mean, variance;
        moments(k, c, &mean, &variance);
        check((double)k->mean[c], mean, c_moments);
        check((double)k->inv_std[c] * sqrt(variance + (double)k->s->epsilon), 1, c_moments);
        check((double)k->new_mean[c], keep * (double)k->old_mean[c] + (1 - keep) * mean, c_moments);
        check((double)k->new_var[c],
              keep * (double)k->old_var[c] + (1 - keep) * variance * PIXELS / (PIXELS - 1),
              c_moments);
        check_output(k, c, mean, variance);
    }
}

static double masked(const net *k, ptrdiff_t p, ptrdiff_t c) {
    const double y = (double)k->y[at(k->s, k->s->y_row, p, c)],
                 dy = (double)k->dy[at(k->s, k->s->dy_row, p, c)];
    if (k->s->act.kind == CAMEO_RELU) return y > 0 ? dy : 0;
    if (k->s->act.kind == CAMEO_CLIP)
        return y > (double)k->s->act.a && y < (double)k->s->act.b ? dy : 0;
    return dy;
}

static void check_gradient(const net *k, ptrdiff_t c, const float *dx, const float *dr) {
    const cameo_batchnorm *s = k->s;
    const double mean = (double)k->mean[c], inv_std = (double)k->inv_std[c];
    double sum = 0, product = 0, size = 0;
    for (ptrdiff_t p = 0; p < PIXELS; p++) {
        const double g = masked(k, p, c),
                     x = ((double)k->x[at(s, s->x_row, p, c)] - mean) * inv_std;
        sum += g, product += g * x, size += fabs(g) + fabs(g * x);
        if (dr) check((double)dr[at(s, s->dr_row, p, c)], g, 0);
    }
    check((double)k->dshift[c], sum, c_moments * size);
    check((double)k->dscale[c], product, c_moments * size);
    for (ptrdiff_t p = 0; p < PIXELS; p++) {
        const double x = ((double)k->x[at(s, s->x_row, p, c)] - mean) * inv_std,
                     factor = (double)k->scale[c] * inv_std;
        const double want = factor * (masked(k, p, c) - sum / PIXELS - x * product / PIXELS);
        check((double)dx[at(s, s->dx_row, p, c)], want,
              2 * c_moments * fabs(factor) * (1 + fabs(x)));
    }
}

typedef void (*task)(void *, size_t);
typedef struct tasks {
    task moments, join, apply, sums, join_sums, grad;
} tasks;

/* The last task first: none may need another's result. */
static void run(task t, ptrdiff_t n, void *a) {
    for (ptrdiff_t i = n - 1; i >= 0; i--) t(a, (size_t)i);
}

static void run_grad(const net *k, const tasks *t, float *dx, float *dr) {
    cameo_batchnorm_grad_args a = {k->dy,      k->x,     k->scale,           k->mean,   k->inv_std,
                                   k->y,       dx,       k->dscale,          k->dshift, dr,
                                   k->partial, k->table, PIXELS / k->s->fold};
    cameo_batchnorm_means(k->s, &a);
    run(t->sums, k->tasks, &a), run(t->join_sums, k->blocks, &a), run(t->grad, k->tasks, &a);
}

/* Gradients over the memory of x and dy give the same bits. */
static void check_in_place(net *k, const tasks *t) {
    const cameo_batchnorm *s = k->s;
    const ptrdiff_t rows = PIXELS / s->fold;
    if (s->dx_row != s->x_row || (s->dr_row && s->dr_row != s->dy_row)) return;
    float *dx = s->dr_row ? k->x : k->dy;
    run_grad(k, t, dx, k->dy);
    for (ptrdiff_t i = 0; i < rows; i++) {
        assert_memory_equal(dx + i * s->dx_row, k->dx + i * s->dx_row,
                            (size_t)(s->c * s->fold) * sizeof *dx);
        if (s->dr_row)
            assert_memory_equal(k->dy + i * s->dr_row, k->dr + i * s->dr_row,
                                (size_t)(s->c * s->fold) * sizeof *dx);
    }
}

static void check_case(const cameo_batchnorm *s, const tasks *t, float offset) {
    net k = net_new(s, offset);
    cameo_batchnorm_args a = forward_args(&k);
    run(t->moments, k.tasks, &a), run(t->join, k.blocks, &a), run(t->apply, k.tasks, &a);
    check_statistics(&k);
    check_between(s, k.y, s->y_row);
    run_grad(&k, t, k.dx, s->dr_row ? k.dr : NULL);
    for (ptrdiff_t c = 0; c < s->c; c++) check_gradient(&k, c, k.dx, s->dr_row ? k.dr : NULL);
    check_between(s, k.dx, s->dx_row);
    check_in_place(&k, t);
    net_free(&k);
}

#define CASE(NAME, C, FOLD, ROWS, EXTRA, R, ...)                                                   \
    static const cameo_batchnorm NAME##_shape = {.c = C,                                           \
                                                 .fold = FOLD,                                     \
                                                 .rows = ROWS,                                     \
                                                 .x_row = (C) * (FOLD) + EXTRA,                    \
                                                 .y_row = (C) * (FOLD) + 2 * EXTRA,                \
                                                 .r_row = R ? (C) * (FOLD) : 0,                    \
                                                 .dy_row = (C) * (FOLD) + EXTRA,                   \
                                                 .dx_row = (C) * (FOLD) + EXTRA,                   \
                                                 .dr_row = R ? (C) * (FOLD) + EXTRA : 0,           \
                                                 .epsilon = 1e-3f,                                 \
                                                 .momentum = 0.9f,                                 \
                                                 .act = __VA_ARGS__};                              \
    static void NAME##_moments(void *a, size_t i) {                                                \
        cameo_batchnorm_moments_task(&NAME##_shape, a, i);                                         \
    }                                                                                              \
    static void NAME##_join(void *a, size_t i) { cameo_batchnorm_join_task(&NAME##_shape, a, i); } \
    static void NAME##_apply(void *a, size_t i) {                                                  \
        cameo_batchnorm_apply_task(&NAME##_shape, a, i);                                           \
    }                                                                                              \
    static void NAME##_sums(void *a, size_t i) { cameo_batchnorm_sums_task(&NAME##_shape, a, i); } \
    static void NAME##_join_sums(void *a, size_t i) {                                              \
        cameo_batchnorm_join_sums_task(&NAME##_shape, a, i);                                       \
    }                                                                                              \
    static void NAME##_grad(void *a, size_t i) { cameo_batchnorm_grad_task(&NAME##_shape, a, i); } \
    static void NAME(void **state) {                                                               \
        (void)state;                                                                               \
        static const tasks all = {NAME##_moments, NAME##_join,      NAME##_apply,                  \
                                  NAME##_sums,    NAME##_join_sums, NAME##_grad};                  \
        check_case(&NAME##_shape, &all, 0), check_case(&NAME##_shape, &all, 100);                  \
    }
#define CASES(X)                                           \
    X(plain, 64, 1, 7, 0, false, {CAMEO_NONE, 0, 0})       \
    X(wide, 200, 1, 60, 0, true, {CAMEO_RELU, 0, 0})       \
    X(odd, 37, 1, 13, 3, true, {CAMEO_CLIP, -0.5f, 0.75f}) \
    X(slices, 19, 1, 16, 5, false, {CAMEO_RELU, 0, 0})     \
    X(folded, 24, 4, 4, 0, true, {CAMEO_NONE, 0, 0})       \
    X(folded_odd, 5, 12, 3, 0, false, {CAMEO_CLIP, 0, 6})  \
    X(one_channel, 1, 20, 1, 0, true, {CAMEO_RELU, 0, 0})  \
    X(one_pixel_a_task, 70, 1, 1, 0, false, {CAMEO_RELU, 0, 0})
CASES(CASE)

#define TEST(NAME, ...) cmocka_unit_test(NAME),
int main(void) {
    const struct CMUnitTest tests[] = {CASES(TEST)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
