/* GB/s of what training does besides convolutions, one thread: batch normalisation with ReLU,
   forward and backward, and a maximum pool backward. Bytes are those of every tensor read or
   written, once a pass. gcc -O3 -march=native -ffp-contract=fast -fno-math-errno
   -fno-trapping-math -I runtime tests/bench/bench_batchnorm.c -lm */
#include "kernels/all.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TASK_FLOATS = 16 * 1024, RUNS = 20, CHANNELS = 1024 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float *floats(size_t n) {
    float *p = aligned_alloc(64, (n * sizeof *p + 256 + 63) / 64 * 64);
    if (!p) exit(4);
    for (size_t i = 0; i < n; i++) p[i] = (float)(rand() % 1000) / 1000 - 0.5f;
    return p;
}

static float *x, *y, *dy, *channels, *partial, *table;

static cameo_batchnorm_args forward_args(ptrdiff_t rows) {
    float *k = channels;
    return (cameo_batchnorm_args){x,
                                  k,
                                  k + CHANNELS,
                                  NULL,
                                  k + 2 * CHANNELS,
                                  k + 3 * CHANNELS,
                                  y,
                                  k + 4 * CHANNELS,
                                  k + 5 * CHANNELS,
                                  k + 6 * CHANNELS,
                                  k + 7 * CHANNELS,
                                  partial,
                                  table,
                                  rows};
}

static cameo_batchnorm_grad_args backward_args(ptrdiff_t rows) {
    float *k = channels;
    return (cameo_batchnorm_grad_args){dy,
                                       x,
                                       k,
                                       k + 4 * CHANNELS,
                                       k + 5 * CHANNELS,
                                       y,
                                       dy,
                                       k + 8 * CHANNELS,
                                       k + 9 * CHANNELS,
                                       NULL,
                                       partial,
                                       table,
                                       rows};
}

static void line(const char *name, const char *what, double seconds, double megabytes) {
    printf("%-12s %-10s %8.3f ms %6.1f GB/s\n", name, what, seconds * 1e3,
           megabytes * 1e-3 / seconds);
}

static void report(const char *name, double bytes, const double *best) {
    static const char *const what[] = {"statistics", "apply", "sums", "gradient"};
    static const double streams[] = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++) line(name, what[i], best[i], streams[i] * bytes * 1e-6);
}

#define EACH(TASK, SHAPE, N, A) \
    for (ptrdiff_t i = 0; i < (N); i++) TASK(SHAPE, A, (size_t)i)
#define LAYER(NAME, PIXELS, C, FOLD)                                                              \
    static const cameo_batchnorm NAME = {.c = C,                                                  \
                                         .fold = FOLD,                                            \
                                         .rows = TASK_FLOATS / ((C) * (FOLD)),                    \
                                         .x_row = (C) * (FOLD),                                   \
                                         .y_row = (C) * (FOLD),                                   \
                                         .dy_row = (C) * (FOLD),                                  \
                                         .dx_row = (C) * (FOLD),                                  \
                                         .epsilon = 1e-5f,                                        \
                                         .momentum = 0.9f,                                        \
                                         .act = {CAMEO_RELU, 0, 0}};                              \
    static __attribute__((noinline)) void NAME##_run(void) {                                      \
        const ptrdiff_t rows = (PIXELS) / (FOLD), tasks = cameo_batchnorm_tasks(&NAME, rows);     \
        const ptrdiff_t blocks = ((C) + CAMEO_BATCHNORM_CHANNELS - 1) / CAMEO_BATCHNORM_CHANNELS; \
        double best[4] = {1, 1, 1, 1};                                                            \
        for (int run = 0; run < RUNS; run++) {                                                    \
            const cameo_batchnorm_args a = forward_args(rows);                                    \
            const cameo_batchnorm_grad_args g = backward_args(rows);                              \
            double t[5] = {now()};                                                                \
            EACH(cameo_batchnorm_moments_task, &NAME, tasks, &a);                                 \
            EACH(cameo_batchnorm_join_task, &NAME, blocks, &a);                                   \
            t[1] = now();                                                                         \
            EACH(cameo_batchnorm_apply_task, &NAME, tasks, &a);                                   \
            t[2] = now();                                                                         \
            cameo_batchnorm_means(&NAME, &g);                                                     \
            EACH(cameo_batchnorm_sums_task, &NAME, tasks, &g);                                    \
            EACH(cameo_batchnorm_join_sums_task, &NAME, blocks, &g);                              \
            t[3] = now();                                                                         \
            EACH(cameo_batchnorm_grad_task, &NAME, tasks, &g);                                    \
            t[4] = now();                                                                         \
            for (int k = 0; k < 4; k++)                                                           \
                if (t[k + 1] - t[k] < best[k]) best[k] = t[k + 1] - t[k];                         \
        }                                                                                         \
        report(#NAME, (double)(PIXELS) * (C)*4, best);                                            \
    }
LAYER(c64_112x112, 32 * 112 * 112, 64, 1)
LAYER(c64_32x32, 32 * 32 * 32, 64, 1)
LAYER(c24_16x16, 32 * 16 * 16, 24, 4)
LAYER(c144_16x16, 32 * 16 * 16, 144, 1)
LAYER(c512_7x7, 32 * 7 * 7, 512, 1)

static const cameo_pooling pool = {.h = 32,
                                   .w = 32,
                                   .c = 64,
                                   .oh = 16,
                                   .ow = 16,
                                   .kh = 3,
                                   .kw = 3,
                                   .sh = 2,
                                   .sw = 2,
                                   .dh = 1,
                                   .dw = 1,
                                   .pt = 1,
                                   .pl = 1,
                                   .pb = 1,
                                   .pr = 1,
                                   .x_pixel = 64,
                                   .y_pixel = 64,
                                   .dx_pixel = 64,
                                   .maximum = true};

static void pool_run(void) {
    const cameo_pool_grad_args a = {dy, x, y};
    double best = 1;
    for (int run = 0; run < RUNS; run++) {
        const double start = now();
        EACH(cameo_pool_grad_task, &pool, 32, &a);
        if (now() - start < best) best = now() - start;
    }
    line("pool 32x32", "gradient", best, 32 * 64 * (2 * 32 * 32 + 16 * 16) * 4e-6);
}

int main(void) {
    const size_t n = 32 * 112 * 112 * 64;
    x = floats(n), y = floats(n), dy = floats(n), channels = floats(10 * CHANNELS + 64);
    partial = floats(n / 16), table = floats(4 * 2048);
    c64_112x112_run(), c64_32x32_run(), c24_16x16_run(), c144_16x16_run(), c512_7x7_run(),
        pool_run();
    return 0;
}
