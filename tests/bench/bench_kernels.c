/* GFLOP/s of the native kernels on ResNet-50 and MobileNet layers beside XNNPACK, one thread. gcc
   -O3 -march=native -ffp-contract=fast -fno-math-errno -fno-trapping-math -I runtime
   tests/bench/bench_kernels.c runtime/kernels/xnn.c -lXNNPACK -lpthreadpool -lm */
#include "kernels/all.h"
#include "runtime/kernels/xnn.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float *floats(size_t n) {
    float *p = aligned_alloc(64, (n * sizeof *p + 256 + 63) / 64 * 64);
    for (size_t i = 0; p && i < n; i++) p[i] = (float)(rand() % 1000) / 1000 - 0.5f;
    return p;
}

/* The best of many runs. */
static double best_of(void (*run)(void *), void *argument) {
    double best = 1e9;
    for (int i = 0; i < 30; i++) {
        const double start = now();
        run(argument);
        const double t = now() - start;
        if (t < best) best = t;
    }
    return best;
}

typedef struct call { /* of an XNNPACK operator */
    cameo_context *c;
    void *op;
    const float *x;
    float *y;
} call;

static void run_xnn(void *argument) {
    const call *a = argument;
    cameo_xnn_run(a->c, a->op, 1, a->x, NULL, a->y);
}

/* Same-padded square convolution through XNNPACK, seconds. groups > 1: depthwise. */
static double xnn(size_t h, size_t ci, size_t co, uint32_t k, uint32_t s, uint32_t groups,
                  const float *x, const float *w, const float *b, float *y) {
    cameo_context c = {.threads = 1};
    const uint32_t p = (k - 1) / 2;
    const cameo_xnn_window window = {.h = h,
                                     .w = h,
                                     .kh = k,
                                     .kw = k,
                                     .sh = s,
                                     .sw = s,
                                     .dh = 1,
                                     .dw = 1,
                                     .pt = p,
                                     .pl = p,
                                     .pb = p,
                                     .pr = p,
                                     .groups = groups,
                                     .ci = ci,
                                     .co = co,
                                     .x_pixel = ci * groups,
                                     .y_pixel = co * groups,
                                     .least = 0,
                                     .most = INFINITY};
    void *op = cameo_xnn_conv(&c, &window, w, b);
    if (!op) return 1e9;
    const double t = best_of(run_xnn, &(call){&c, op, x, y});
    cameo_xnnpack.state_delete(op);
    return t;
}

#define CONV(NAME, H, CI, CO, K, S, TH, TW, V, ROWS)                                 \
    static const cameo_conv NAME = {.h = H,                                          \
                                    .w = H,                                          \
                                    .ci = CI,                                        \
                                    .oh = (H - 1) / S + 1,                           \
                                    .ow = (H - 1) / S + 1,                           \
                                    .co = CO,                                        \
                                    .groups = 1,                                     \
                                    .kh = K,                                         \
                                    .kw = K,                                         \
                                    .sh = S,                                         \
                                    .sw = S,                                         \
                                    .dh = 1,                                         \
                                    .dw = 1,                                         \
                                    .pt = (K - 1) / 2,                               \
                                    .pl = (K - 1) / 2,                               \
                                    .x_pixel = CI,                                   \
                                    .y_pixel = CO,                                   \
                                    .tile_h = TH,                                    \
                                    .tile_w = TW,                                    \
                                    .vectors = V,                                    \
                                    .rows = ROWS,                                    \
                                    .blocks = 1024,                                  \
                                    .padded = K > 1,                                 \
                                    .act = {CAMEO_RELU, 0, 0}};                      \
    static void NAME##_run(void *a) {                                                \
        float line[K > 1 ? ((ROWS - 1) * S + K) * (((H - 1) / S) * S + K) * CI : 1]; \
        for (size_t i = 0; i < ((H - 1) / S + ROWS) / ROWS; i++)                     \
            cameo_conv_task(&NAME, a, i, line);                                      \
    }
#if CAMEO_VF == 16
#define T(a, b) a
#else
#define T(a, b) b
#endif
CONV(stem_7x7, 224, 3, 64, 7, 2, 1, T(14, 4), 2, 28)
CONV(s56_1x1_64_64, 56, 64, 64, 1, 1, 1, T(14, 4), 2, 14)
CONV(s56_3x3_64_64, 56, 64, 64, 3, 1, 1, T(14, 4), 2, 8)
CONV(s56_1x1_64_256, 56, 64, 256, 1, 1, 1, T(14, 4), 2, 14)
CONV(s56_1x1_256_64, 56, 256, 64, 1, 1, 1, T(14, 4), 2, 4)
CONV(s28_3x3_128_128, 28, 128, 128, 3, 1, 1, T(14, 4), 2, 7)
CONV(s28_1x1_512_128, 28, 512, 128, 1, 1, 1, T(14, 4), 2, 4)
CONV(s14_3x3_256_256, 14, 256, 256, 3, 1, 1, T(14, 5), 2, 14)
CONV(s14_1x1_1024_256, 14, 1024, 256, 1, 1, 1, T(14, 5), 2, 4)
CONV(s14_1x1_256_1024, 14, 256, 1024, 1, 1, 1, T(14, 5), 2, 14)
CONV(s7_3x3_512_512, 7, 512, 512, 3, 1, T(2, 1), T(7, 4), 2, T(8, 7))
CONV(s7_1x1_512_2048, 7, 512, 2048, 1, 1, T(2, 1), T(7, 4), 2, T(8, 7))
CONV(down_3x3_128, 56, 128, 128, 3, 2, 1, T(14, 4), 2, 4)

static void bench_conv(const char *name, const cameo_conv *s, void (*run)(void *)) {
    const size_t wn = (size_t)(s->kh * s->kw * s->ci * (s->co + 64)),
                 yn = (size_t)(s->oh * s->ow * s->co);
    float *x = floats((size_t)(s->h * s->w * s->ci)), *w = floats(wn),
          *b = floats((size_t)s->co + 64), *y = floats(yn);
    cameo_conv_args a = {x, w, b, NULL, NULL, y};
    const double flops = 2.0 * (double)yn * (double)(s->kh * s->kw * s->ci), t = best_of(run, &a);
    const double tx = xnn((size_t)s->h, (size_t)s->ci, (size_t)s->co, (uint32_t)s->kh,
                          (uint32_t)s->sh, 1, x, w, b, y);
    printf("%-20s %8.3f ms %7.1f GFLOP/s   XNNPACK %8.3f ms %7.1f GFLOP/s\n", name, t * 1e3,
           flops / t / 1e9, tx * 1e3, flops / tx / 1e9);
    free(x), free(w), free(b), free(y);
}

#define DEPTHWISE(NAME, H, C, K, S, PAD, O)                          \
    static const cameo_depthwise NAME = {.h = H,                     \
                                         .w = H,                     \
                                         .c = C,                     \
                                         .oh = O,                    \
                                         .ow = O,                    \
                                         .kh = K,                    \
                                         .kw = K,                    \
                                         .sh = S,                    \
                                         .sw = S,                    \
                                         .dh = 1,                    \
                                         .dw = 1,                    \
                                         .pt = PAD,                  \
                                         .pl = PAD,                  \
                                         .x_pixel = C,               \
                                         .y_pixel = C,               \
                                         .rows = O,                  \
                                         .act = {CAMEO_CLIP, 0, 6}}; \
    static void NAME##_run(void *a) { cameo_depthwise_task(&NAME, a, 0); }
DEPTHWISE(dw112_32, 112, 32, 3, 1, 1, 112)
DEPTHWISE(dw56_144, 56, 144, 3, 1, 1, 56)
DEPTHWISE(dw14_384, 14, 384, 3, 1, 1, 14)
DEPTHWISE(dw112_96_s2, 112, 96, 3, 2, 1, 56)
DEPTHWISE(dw28_120_5x5, 28, 120, 5, 1, 2, 28)
DEPTHWISE(dw7_512_global, 7, 512, 7, 1, 0, 1)

static void bench_depthwise(const char *name, const cameo_depthwise *s, void (*run)(void *)) {
    const size_t xn = (size_t)(s->h * s->w * s->c), yn = (size_t)(s->oh * s->ow * s->c);
    float *x = floats(xn), *w = floats((size_t)(s->kh * s->kw * (s->c + 16))),
          *b = floats((size_t)s->c + 16), *y = floats(xn);
    cameo_depthwise_args a = {x, w, b, NULL, NULL, y};
    const double flops = 2.0 * (double)yn * (double)(s->kh * s->kw), t = best_of(run, &a);
    printf("%-20s %8.4f ms %7.1f GFLOP/s", name, t * 1e3, flops / t / 1e9);
    if (s->pt == (s->kh - 1) / 2) {
        const double tx = xnn((size_t)s->h, 1, 1, (uint32_t)s->kh, (uint32_t)s->sh, (uint32_t)s->c,
                              x, w, b, y);
        printf("   XNNPACK %8.4f ms %7.1f GFLOP/s", tx * 1e3, flops / tx / 1e9);
    }
    printf("\n");
    free(x), free(w), free(b), free(y);
}

static const cameo_gemm fc = {.k = 2048, .n = 1000};
static void fc_run(void *a) {
    for (size_t i = 0; i < (1000 + CAMEO_GEMM_BLOCK - 1) / CAMEO_GEMM_BLOCK; i++)
        cameo_gemm_task(&fc, a, i);
}

int main(void) {
#define RUN(NAME) bench_conv(#NAME, &NAME, NAME##_run)
    RUN(stem_7x7), RUN(s56_1x1_64_64), RUN(s56_3x3_64_64), RUN(s56_1x1_64_256), RUN(s56_1x1_256_64),
        RUN(s28_3x3_128_128), RUN(s28_1x1_512_128);
    RUN(s14_3x3_256_256), RUN(s14_1x1_1024_256), RUN(s14_1x1_256_1024), RUN(s7_3x3_512_512),
        RUN(s7_1x1_512_2048), RUN(down_3x3_128);
#define RUN_DEPTHWISE(NAME) bench_depthwise(#NAME, &NAME, NAME##_run)
    RUN_DEPTHWISE(dw112_32), RUN_DEPTHWISE(dw56_144), RUN_DEPTHWISE(dw14_384),
        RUN_DEPTHWISE(dw112_96_s2), RUN_DEPTHWISE(dw28_120_5x5);
    RUN_DEPTHWISE(dw7_512_global);
    cameo_gemm_args a = {
        floats(2048 * 8), floats(2048 * 1088), floats(1088), NULL, NULL, floats(8 * 1088), 1};
    for (a.rows = 1; a.rows <= 8; a.rows *= 8) {
        const double t = best_of(fc_run, &a);
        printf("fc 2048 -> 1000 x %td  %8.4f ms %7.1f GFLOP/s %6.1f GB/s\n", a.rows, t * 1e3,
               4.096e6 * (double)a.rows / t / 1e9, 8.2e6 / t / 1e9);
        if (isnan(a.y[a.rows])) return 1; /* the result is used */
    }
    return 0;
}
