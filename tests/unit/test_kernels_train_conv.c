/* What convolutions need in training: live weights packed by the program, the gradient of the
   input as phases of direct convolutions, tasks and tiles of several images. Random shapes against
   plain references in double, with guard floats; allowed: |error| <= c * sum |dy||w|. Which vector
   width is tested depends on the flags this file is compiled with. */
#define CAMEO_UNROLL
#include "kernel_case.h"

static const double c_conv = 1e-6;

typedef struct grad_case { /* of the forward convolution; ci, co: of one group */
    ptrdiff_t n, h, w, ci, co, groups, kh, kw, s, d, p, oh, ow, vectors, block;
} grad_case;

static ptrdiff_t between(ptrdiff_t least, ptrdiff_t most) {
    return least + (ptrdiff_t)((double)(uniform() + 1) / 2 * (double)(most - least + 1)) %
                       (most - least + 1);
}

static ptrdiff_t ceil_of(ptrdiff_t a, ptrdiff_t b) { return a > 0 ? (a + b - 1) / b : -(-a / b); }

static grad_case random_case(void) {
    grad_case k = {.n = between(1, 7),
                   .h = between(1, 12),
                   .w = between(1, 12),
                   .kh = between(1, 5),
                   .kw = between(1, 5)};
    k.s = between(1, 2), k.d = k.s == 1 ? between(1, 2) : 1;
    k.p = between(0, ((k.kh < k.kw ? k.kh : k.kw) - 1) / 2);
    k.h += (k.kh - 1) * k.d, k.w += (k.kw - 1) * k.d;
    k.groups = between(0, 2) ? 1 : 3;
    k.ci = between(1, 40), k.co = between(1, 40);
    k.vectors = between(1, 2), k.block = between(0, 2) * CAMEO_VF;
    if (k.groups > 1 && k.block) k.co = up(k.co, k.block);
    k.oh = (k.h + 2 * k.p - (k.kh - 1) * k.d - 1) / k.s + 1,
    k.ow = (k.w + 2 * k.p - (k.kw - 1) * k.d - 1) / k.s + 1;
    return k;
}

/* From [co][ci][kh][kw] into [co / block][kh][kw][ci][block], zeros behind the last channel. */
static float *in_blocks(const grad_case *k, const float *w) {
    const ptrdiff_t co = k->co * k->groups, taps = k->kh * k->kw, padded = up(co, k->block);
    float *to = floats(padded * k->ci * taps);
    for (ptrdiff_t o = 0; o < padded; o++)
        for (ptrdiff_t c = 0; c < k->ci; c++)
            for (ptrdiff_t t = 0; t < taps; t++)
                to[((o / k->block * taps + t) * k->ci + c) * k->block + o % k->block] =
                    o < co ? w[(o * k->ci + c) * taps + t] : 0;
    return to;
}

/* dx at one pixel and channel; *magnitude: sum |dy||w|. */
static double grad_at(const grad_case *k, const float *dy, const float *w, ptrdiff_t n, ptrdiff_t y,
                      ptrdiff_t x, ptrdiff_t channel, double *magnitude) {
    const ptrdiff_t g = channel / k->ci;
    double sum = 0;
    for (ptrdiff_t i = 0; i < k->kh; i++)
        for (ptrdiff_t j = 0; j < k->kw; j++) {
            const ptrdiff_t h = y + k->p - i * k->d, v = x + k->p - j * k->d;
            if (h < 0 || v < 0 || h % k->s || v % k->s || h / k->s >= k->oh || v / k->s >= k->ow)
                continue;
            for (ptrdiff_t o = g * k->co; o < (g + 1) * k->co; o++) {
                const double p =
                    (double)
                        dy[((n * k->oh + h / k->s) * k->ow + v / k->s) * k->co * k->groups + o] *
                    (double)w[((o * k->ci + channel % k->ci) * k->kh + i) * k->kw + j];
                sum += p, *magnitude += fabs(p);
            }
        }
    return sum;
}

/* The number of vectors is a literal, as it always is in generated code. */
static void run_tasks(cameo_conv s, const cameo_conv_args *a, float *line) {
    for (ptrdiff_t i = cameo_conv_tasks(&s, s.count) - 1; i >= 0; i--) {
        if (s.vectors == 1) {
            s.vectors = 1;
            cameo_conv_task(&s, a, (size_t)i, line);
        } else {
            s.vectors = 2;
            cameo_conv_task(&s, a, (size_t)i, line);
        }
    }
}

/* Phase ah, aw with a random tile and random tasks. */
static void run_phase(const grad_case *k, ptrdiff_t ah, ptrdiff_t aw, const float *dy,
                      const float *packed, float *dx) {
    const ptrdiff_t nh = cameo_phase_taps(k->kh, k->s, ah), nw = cameo_phase_taps(k->kw, k->s, aw),
                    c = k->ci * k->groups;
    const ptrdiff_t qh = ceil_of(k->p - ah, k->s), qw = ceil_of(k->p - aw, k->s);
    const ptrdiff_t fh = k->s * qh + ah - k->p, fw = k->s * qw + aw - k->p;
    const bool empty = !nh || !nw;
    cameo_conv s = {.h = k->oh,
                    .w = k->ow,
                    .ci = k->co,
                    .co = k->ci,
                    .groups = k->groups,
                    .kh = nh,
                    .kw = nw,
                    .sh = 1,
                    .sw = 1};
    s.oh = ceil_of(k->h - fh, k->s), s.ow = ceil_of(k->w - fw, k->s), s.dh = s.dw = k->d;
    if (s.oh <= 0 || s.ow <= 0) return;
    s.pt = nh - 1 - qh + (nh - 1) * (k->d - 1), s.pl = nw - 1 - qw + (nw - 1) * (k->d - 1);
    if (empty) s.kh = s.kw = 0, s.pt = s.pl = 0;
    assert_true(s.pt >= 0 && s.pl >= 0);
    s.x_pixel = k->co * k->groups, s.y_pixel = k->s * c, s.y_row = k->s * k->w * c,
    s.y_image = k->h * k->w * c;
    s.vectors = k->vectors, s.padded = !empty, s.count = k->n, s.blocks = between(1, 3);
    s.tile_n = 1, s.tile_h = between(1, 3), s.tile_w = between(1, 4),
    s.rows = s.tile_h * between(1, 3);
    if (s.rows >= s.oh) s.rows = up(s.oh, s.tile_h);
    s.images = s.rows >= s.oh ? between(1, 3) : 1;
    if (s.oh * s.ow <= 4)
        s.tile_n = between(1, 3), s.tile_h = s.rows = s.oh, s.tile_w = s.ow,
        s.images = s.tile_n * 2;
    float *line = floats(empty ? 1 : s.images * cameo_conv_line(&s, s.rows)),
          *zero = floats(2 * up(c, 64) * k->groups);
    memset(zero, 0, (size_t)(2 * up(c, 64) * k->groups) * sizeof *zero);
    cameo_conv_args a = {.x = dy, .w = packed, .b = zero, .y = dx + (fh * k->w + fw) * c};
    run_tasks(s, &a, line);
    free(line), free(zero);
}

static void one_input_grad(const grad_case *k) {
    const ptrdiff_t taps = k->kh * k->kw, c = k->ci * k->groups, xn = k->n * k->h * k->w * c;
    const cameo_conv_flip f = {k->ci, k->co, k->groups,  k->kh,   k->kw,
                               k->s,  k->s,  k->vectors, k->block};
    float *w = floats(k->co * k->groups * k->ci * taps),
          *dy = floats(k->n * k->oh * k->ow * k->co * k->groups);
    float *ordered = k->block ? in_blocks(k, w) : w, *dx = guarded(xn);
    const ptrdiff_t pn = cameo_flip_offset(&f, k->s, 0);
    float *packed = guarded(pn);
    for (ptrdiff_t i = cameo_flip_tasks(&f) - 1; i >= 0; i--)
        cameo_flip_task(&f, &(cameo_conv_pack){ordered, packed}, (size_t)i);
    check_guards(packed, pn);
    for (ptrdiff_t i = 0; i < k->s * k->s; i++)
        run_phase(k, i / k->s, i % k->s, dy, packed + cameo_flip_offset(&f, i / k->s, i % k->s),
                  dx);
    check_guards(dx, xn);
    for (ptrdiff_t i = 0; i < xn; i++) {
        double magnitude = 0;
        const ptrdiff_t pixel = i / c;
        const double want = grad_at(k, dy, w, pixel / k->w / k->h, pixel / k->w % k->h,
                                    pixel % k->w, i % c, &magnitude);
        check((double)dx[i], want, c_conv * magnitude);
    }
    if (ordered != w) free(ordered);
    free(w), free(dy), free(dx - GUARD), free(packed - GUARD);
}

static void input_grad(void **state) {
    (void)state;
    for (int i = 0; i < 60; i++) {
        const grad_case k = random_case();
        one_input_grad(&k);
    }
}

/* Live weights in ONNX order. */
static void pack(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        grad_case k = random_case();
        const cameo_conv s = {.ci = k.ci,
                              .co = k.co,
                              .groups = k.groups,
                              .kh = k.kh,
                              .kw = k.kw,
                              .vectors = k.vectors};
        const ptrdiff_t block = cameo_conv_block(&s), taps = k.kh * k.kw,
                        blocks = cameo_conv_group_blocks(&s);
        const ptrdiff_t n = blocks * block * k.groups * k.ci * taps;
        float *w = floats(k.co * k.groups * k.ci * taps), *to = guarded(n);
        for (ptrdiff_t q = blocks * k.groups - 1; q >= 0; q--)
            cameo_conv_pack_task(&s, &(cameo_conv_pack){w, to}, (size_t)q);
        check_guards(to, n);
        for (ptrdiff_t p = 0; p < n; p++) {
            const ptrdiff_t q = p / block / k.ci / taps, o = q % blocks * block + p % block,
                            c = p / block % k.ci;
            const ptrdiff_t t = p / block / k.ci % taps;
            assert_true(to[p] ==
                        (o < k.co ? w[((q / blocks * k.co + o) * k.ci + c) * taps + t] : 0));
        }
        free(w), free(to - GUARD);
    }
}

static void transpose(void **state) {
    (void)state;
    cameo_v v[CAMEO_VF];
    for (int i = 0; i < CAMEO_VF; i++)
        for (int j = 0; j < CAMEO_VF; j++) v[i][j] = (float)(i * CAMEO_VF + j);
    cameo_transpose(v);
    for (int i = 0; i < CAMEO_VF; i++)
        for (int j = 0; j < CAMEO_VF; j++) assert_true(v[i][j] == (float)(j * CAMEO_VF + i));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(transpose), cmocka_unit_test(pack),
                                       cmocka_unit_test(input_grad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
