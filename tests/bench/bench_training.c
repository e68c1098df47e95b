/* GFLOP/s of the kernels of the backward pass, one thread, batch 16 unless said otherwise, beside
   the peak of multiply-adds from registers measured alternately, since clocks drift. gcc -O3
   -march=native -ffp-contract=fast -fno-math-errno -fno-trapping-math -I runtime
   tests/bench/bench_training.c -lm. An argument, "wgrad" or "conv", runs only those. */
#include "kernels/all.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { IMAGES = 16, RUNS = 30 };

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

/* Seconds of some multiply-adds in registers; *flops: how many operations. */
static double registers(double *flops) {
    enum { CHAINS = CAMEO_VF == 16 ? 20 : 10, STEPS = 50000 };
    cameo_v a[CHAINS], m = cameo_splat(0.999f), c = cameo_splat(1e-7f);
    for (int i = 0; i < CHAINS; i++) a[i] = cameo_splat((float)i);
    const double start = now();
    for (int k = 0; k < STEPS; k++) {
        CAMEO_UNROLL
        for (int i = 0; i < CHAINS; i++) a[i] = a[i] * m + c;
        __asm__ volatile("" ::"r"(k));
    }
    const double t = now() - start;
    for (int i = 1; i < CHAINS; i++) a[0] += a[i];
    __asm__ volatile("" ::"m"(a[0]));
    *flops = 2.0 * CAMEO_VF * CHAINS * STEPS;
    return t;
}

/* The best of many runs, printed with its share of the peak. bytes: of tensors read and written. */
static void bench(const char *name, void (*run)(void *), void *argument, double flops,
                  double bytes) {
    double best = 1e9, peak = 0;
    for (int i = 0; i < RUNS; i++) {
        double f, start = now();
        run(argument);
        const double t = now() - start, r = registers(&f);
        if (t < best) best = t;
        if (f / r > peak) peak = f / r;
    }
    printf("%-30s %9.3f ms %7.1f GFLOP/s %4.0f %% of peak %7.1f GB/s\n", name, best * 1e3,
           flops / best / 1e9, 100 * flops / best / peak, bytes / best / 1e9);
}

/* ---- weight gradient ---- */

static float *panel_x, *panel_y;

/* Images, input and output height and width, channels, kernel, stride, flat; tile, band, parts,
   channels and blocks of a task, as compiler/kernels/weight_gradient.c chooses them for vectors of
   16. Pointwise layers are rows of pixels without images. */
#define WGRADS(X)                                                                                 \
    X(wgrad_7x7_s2_112_3_64, IMAGES, 224, 224, 112, 112, 3, 64, 7, 2, true, 11, 1, 4, 1, 3, 1)    \
    X(wgrad_3x3_56_64_64, IMAGES, 56, 56, 56, 56, 64, 64, 3, 1, false, 13, 1, 8, 1, 64, 2)        \
    X(wgrad_1x1_56_64_64, 1, 112, 448, 112, 448, 64, 64, 1, 1, false, 13, 1, 1, 1, 64, 2)         \
    X(wgrad_1x1_56_64_256, 1, 112, 448, 112, 448, 64, 256, 1, 1, false, 13, 1, 1, 1, 64, 8)       \
    X(wgrad_1x1_56_256_64, 1, 196, 256, 196, 256, 256, 64, 1, 1, false, 14, 1, 1, 1, 256, 2)      \
    X(wgrad_3x3_28_128_128, IMAGES, 28, 28, 28, 28, 128, 128, 3, 1, false, 13, 1, 14, 1, 65, 4)   \
    X(wgrad_3x3_s2_28_128_128, IMAGES, 56, 56, 28, 28, 128, 128, 3, 2, false, 13, 1, 7, 1, 65, 4) \
    X(wgrad_1x1_28_512_128, 1, 98, 128, 98, 128, 512, 128, 1, 1, false, 14, 1, 1, 1, 512, 4)      \
    X(wgrad_1x1_28_128_512, 1, 28, 448, 28, 448, 128, 512, 1, 1, false, 13, 1, 1, 1, 128, 16)     \
    X(wgrad_3x3_14_256_256, IMAGES, 14, 14, 14, 14, 256, 256, 3, 1, false, 13, 2, 14, 1, 52, 8)   \
    X(wgrad_1x1_14_1024_256, 1, 28, 112, 28, 112, 1024, 256, 1, 1, false, 14, 1, 1, 1, 518, 8)    \
    X(wgrad_1x1_14_256_1024, 1, 16, 196, 16, 196, 256, 1024, 1, 1, false, 14, 1, 1, 1, 256, 32)   \
    X(wgrad_3x3_7_512_512, IMAGES, 7, 7, 7, 7, 512, 512, 3, 1, false, 14, 9, 7, 1, 56, 16)        \
    X(wgrad_1x1_7_512_2048, 1, 7, 112, 7, 112, 512, 2048, 1, 1, false, 14, 1, 1, 1, 512, 4)       \
    X(wgrad_1x1_7_2048_512, 1, 7, 112, 7, 112, 2048, 512, 1, 1, false, 14, 1, 1, 1, 518, 4)
#define WGRAD(NAME, N, H, W, OH, OW, CI, CO, K, S, FLAT, TILE, BI, BR, PARTS, CHANNELS, BLOCKS) \
    static const cameo_wgrad NAME = {.images = N,                                               \
                                     .h = H,                                                    \
                                     .w = W,                                                    \
                                     .ci = CI,                                                  \
                                     .oh = OH,                                                  \
                                     .ow = OW,                                                  \
                                     .co = CO,                                                  \
                                     .groups = 1,                                               \
                                     .kh = K,                                                   \
                                     .kw = K,                                                   \
                                     .sh = S,                                                   \
                                     .sw = S,                                                   \
                                     .dh = 1,                                                   \
                                     .dw = 1,                                                   \
                                     .pt = (K - 1) / 2,                                         \
                                     .pl = (K - 1) / 2,                                         \
                                     .x_pixel = CI,                                             \
                                     .y_pixel = CO,                                             \
                                     .tile = CAMEO_VF == 16 ? TILE : 6,                         \
                                     .vectors = 2,                                              \
                                     .flat = FLAT,                                              \
                                     .band_images = BI,                                         \
                                     .band_rows = BR,                                           \
                                     .parts = PARTS,                                            \
                                     .channels = CHANNELS,                                      \
                                     .blocks = BLOCKS};                                         \
    static void NAME##_run(void *a) {                                                           \
        const ptrdiff_t tasks = cameo_wgrad_tasks(&NAME);                                       \
        for (ptrdiff_t i = 0; i < tasks; i++)                                                   \
            cameo_wgrad_task(&NAME, a, (size_t)i, panel_x, panel_y);                            \
    }
WGRADS(WGRAD)

static void bench_wgrad(const char *name, const cameo_wgrad *s, void (*run)(void *)) {
    const size_t xn = (size_t)(s->images * s->h * s->w * s->ci),
                 yn = (size_t)(s->images * s->oh * s->ow * s->co);
    float *x = floats(xn), *dy = floats(yn),
          *dw = floats((size_t)(s->parts * cameo_wgrad_floats(s)));
    cameo_wgrad_args a = {x, dy, dw, dw};
    bench(name, run, &a, 2.0 * (double)yn * (double)(s->kh * s->kw * s->ci),
          4.0 * (double)(xn + yn));
    free(x), free(dy), free(dw);
}
#define RUN_WGRAD(NAME, ...) bench_wgrad(#NAME, &NAME, NAME##_run);

/* ---- convolutions by live weights, and the gradient of the input ---- */

static float *line;

/* Images, input and output height, width (pointwise layers: one column of all pixels), channels,
   kernel, stride; images, height and width of a tile, images, rows and blocks of a task, as
   compiler/kernels/conv_plan.c chooses them for vectors of 16. */
#define CONVS(X)                                                                   \
    X(3x3_56_64_64, IMAGES, 56, 56, 56, 56, 64, 64, 3, 1, 1, 1, 14, 1, 8, 2)       \
    X(3x3_28_128_128, IMAGES, 28, 28, 28, 28, 128, 128, 3, 1, 1, 1, 14, 1, 7, 4)   \
    X(3x3_14_256_256, IMAGES, 14, 14, 14, 14, 256, 256, 3, 1, 1, 1, 14, 1, 14, 8)  \
    X(3x3_7_512_512, IMAGES, 7, 7, 7, 7, 512, 512, 3, 1, 1, 2, 7, 1, 8, 16)        \
    X(3x3_16_64_64, IMAGES, 16, 16, 16, 16, 64, 64, 3, 1, 1, 2, 6, 1, 16, 2)       \
    X(3x3_8_128_128, IMAGES, 8, 8, 8, 8, 128, 128, 3, 1, 1, 3, 4, 3, 9, 2)         \
    X(3x3_4_256_256, IMAGES, 4, 4, 4, 4, 256, 256, 3, 1, 1, 2, 4, 8, 4, 1)         \
    X(3x3_2_512_512, IMAGES, 2, 2, 2, 2, 512, 512, 3, 1, 3, 2, 2, 9, 2, 2)         \
    X(1x1_56_64_256, 1, 50176, 1, 50176, 1, 64, 256, 1, 1, 1, 14, 1, 1, 630, 8)    \
    X(1x1_56_256_64, 1, 50176, 1, 50176, 1, 256, 64, 1, 1, 1, 14, 1, 1, 154, 2)    \
    X(1x1_14_1024_256, 1, 3136, 1, 3136, 1, 1024, 256, 1, 1, 1, 14, 1, 1, 28, 8)   \
    X(1x1_14_256_1024, 1, 3136, 1, 3136, 1, 256, 1024, 1, 1, 1, 14, 1, 1, 154, 32) \
    X(1x1_7_2048_512, 1, 784, 1, 784, 1, 2048, 512, 1, 1, 1, 14, 1, 1, 28, 16)     \
    X(1x1_7_512_2048, 1, 784, 1, 784, 1, 512, 2048, 1, 1, 1, 14, 1, 1, 140, 32)    \
    X(3x3_s2_56_64_128, IMAGES, 56, 56, 28, 28, 64, 128, 3, 2, 1, 1, 14, 1, 5, 4)  \
    X(3x3_s2_4_256_512, IMAGES, 4, 4, 2, 2, 256, 512, 3, 2, 3, 2, 2, 9, 2, 2)      \
    X(1x1_s2_14_256_512, IMAGES, 14, 14, 7, 7, 256, 512, 1, 2, 1, 2, 7, 1, 4, 16)
#define CONV(NAME, N, H, W, OH, OW, CI, CO, K, S, TN, TH, TW, TASK, ROWS, BLOCKS)         \
    static const cameo_conv conv_##NAME = {                                               \
        .h = H,                                                                           \
        .w = W,                                                                           \
        .ci = CI,                                                                         \
        .oh = OH,                                                                         \
        .ow = OW,                                                                         \
        .co = CO,                                                                         \
        .groups = 1,                                                                      \
        .kh = K,                                                                          \
        .kw = K,                                                                          \
        .sh = S,                                                                          \
        .sw = S,                                                                          \
        .dh = 1,                                                                          \
        .dw = 1,                                                                          \
        .pt = (K - 1) / 2,                                                                \
        .pl = (K - 1) / 2,                                                                \
        .x_pixel = CI,                                                                    \
        .y_pixel = CO,                                                                    \
        .tile_n = TN,                                                                     \
        .tile_h = TH,                                                                     \
        .tile_w = TW,                                                                     \
        .vectors = 2,                                                                     \
        .count = N,                                                                       \
        .images = TASK,                                                                   \
        .prefetch = K * K * CI * CO > 262144 ? CAMEO_FETCH_WEIGHTS : CAMEO_FETCH_NOTHING, \
        .rows = ROWS,                                                                     \
        .blocks = BLOCKS,                                                                 \
        .padded = K > 1};                                                                 \
    static const cameo_conv_flip flip_##NAME = {CO, CI, 1, K, K, 1, 1, 2, 2 * CAMEO_VF};  \
    static void conv_##NAME##_run(void *a) {                                              \
        for (ptrdiff_t i = 0; i < cameo_conv_tasks(&conv_##NAME, N); i++)                 \
            cameo_conv_task(&conv_##NAME, a, (size_t)i, line);                            \
    }                                                                                     \
    static void flip_##NAME##_run(void *a) {                                              \
        for (ptrdiff_t i = 0; i < cameo_flip_tasks(&flip_##NAME); i++)                    \
            cameo_flip_task(&flip_##NAME, a, (size_t)i);                                  \
    }
CONVS(CONV)

/* The convolution, and what packing the weights takes when it is the gradient of the input (at
   stride 1: the same convolution). */
static void bench_conv(const char *name, ptrdiff_t n, const cameo_conv *s, void (*run)(void *),
                       void (*flip)(void *)) {
    const size_t xn = (size_t)(n * s->h * s->w * s->ci), yn = (size_t)(n * s->oh * s->ow * s->co);
    const size_t wn = (size_t)(s->kh * s->kw * s->ci * s->co);
    float *x = floats(xn), *w = floats(wn), *b = floats((size_t)s->co), *y = floats(yn),
          *packed = floats(wn);
    cameo_conv_args a = {x, w, b, NULL, NULL, y};
    bench(name, run, &a, 2.0 * (double)yn * (double)(s->kh * s->kw * s->ci),
          4.0 * (double)(xn + yn + wn));
    if (s->sh == 1)
        bench("  flipped weights", flip, &(cameo_conv_pack){w, packed}, 0, 8.0 * (double)wn);
    free(x), free(w), free(b), free(y), free(packed);
}
#define RUN_CONV(NAME, N, ...) \
    bench_conv("conv_" #NAME, N, &conv_##NAME, conv_##NAME##_run, flip_##NAME##_run);

int main(int argc, char **argv) {
    const char *only = argc > 1 ? argv[1] : "";
    panel_x = floats(1024 * 1024), panel_y = floats(256 * 1024);
    if (strstr("wgrad", only)) {
        WGRADS(RUN_WGRAD)
    }
    if (strstr("conv", only)) {
        line = floats(128 * 1024);
        CONVS(RUN_CONV)
        free(line);
    }
    free(panel_x), free(panel_y);
    return 0;
}
