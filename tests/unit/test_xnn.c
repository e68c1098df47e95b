/* runtime/kernels/xnn.c, whichever interface of XNNPACK it was built for, against plain loops in
   double: random shapes, counts that change from run to run, several threads. An input has the 16
   readable bytes behind it that xnn.h asks for, and then a page that faults; an output stands
   between guards. */
#include "kernel_case.h"
#include "runtime/core/threads.h"
#include "runtime/kernels/xnn.h"

#include <malloc.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, TAIL = 16, MOST = 5 };

typedef struct paged { /* floats before a page that cannot be read */
    float *at;
    void *map;
    size_t bytes;
} paged;

static paged new_paged(ptrdiff_t n) {
    const size_t inside = ((size_t)n * sizeof(float) + TAIL + PAGE - 1) / PAGE * PAGE;
    unsigned char *map = mmap(NULL, inside + PAGE, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mprotect(map + inside, PAGE, PROT_NONE), 0);
    float *at = (float *)(void *)(map + inside - TAIL) - n;
    for (ptrdiff_t i = 0; i < n; i++) at[i] = uniform();
    return (paged){at, map, inside + PAGE};
}

static void free_paged(paged p) { munmap(p.map, p.bytes); }

static cameo_context context_of(int threads, cameo_error *error) {
    *error = (cameo_error){0};
    return (cameo_context){.threads = threads,
                           .pool = threads > 1 ? cameo_xnnpack.pool_create(threads) : NULL,
                           .error = error};
}

static void end_context(cameo_context *c) {
    if (c->pool) c->pool->destroy(c->pool);
}

static ptrdiff_t below(ptrdiff_t n) {
    return (ptrdiff_t)((double)(uniform() + 1) / 2 * (double)n * 0.9999999);
}

/* ---- the plain loops ---- */

typedef enum window_kind {
    CONV,
    DEPTHWISE,
    MAX_POOL,
    AVERAGE_POOL,
    GLOBAL_POOL,
    N_KINDS
} window_kind;

typedef struct operands {
    const cameo_xnn_window *s;
    const float *x, *w, *b; /* x: of one image */
    window_kind kind;
    ptrdiff_t oh, ow;
} operands;

static ptrdiff_t all_inputs(const operands *o) {
    return o->s->ci * (o->kind == CONV || o->kind == DEPTHWISE ? o->s->groups : 1);
}
static ptrdiff_t all_outputs(const operands *o) {
    return o->kind == CONV || o->kind == DEPTHWISE ? o->s->co * o->s->groups : o->s->ci;
}

/* The input of channel c under tap (i, j) of pixel (oy, ox); NULL in the padding. */
static const float *under(const operands *o, ptrdiff_t oy, ptrdiff_t ox, ptrdiff_t i, ptrdiff_t j,
                          ptrdiff_t c) {
    const cameo_xnn_window *s = o->s;
    const ptrdiff_t y = oy * s->sh + i * s->dh - s->pt, x = ox * s->sw + j * s->dw - s->pl;
    if (y < 0 || x < 0 || y >= s->h || x >= s->w) return NULL;
    return o->x + (y * s->w + x) * s->x_pixel + c;
}

static float weight(const operands *o, ptrdiff_t co, ptrdiff_t i, ptrdiff_t j, ptrdiff_t ci) {
    const cameo_xnn_window *s = o->s;
    if (o->kind == DEPTHWISE) return o->w[(i * s->kw + j) * s->groups + co];
    return o->w[((co * s->kh + i) * s->kw + j) * s->ci + ci];
}

static double convolve(const operands *o, ptrdiff_t oy, ptrdiff_t ox, ptrdiff_t co,
                       double *magnitude) {
    const cameo_xnn_window *s = o->s;
    double sum = o->b ? (double)o->b[co] : 0;
    *magnitude = fabs(sum);
    for (ptrdiff_t i = 0; i < s->kh; i++)
        for (ptrdiff_t j = 0; j < s->kw; j++)
            for (ptrdiff_t ci = 0; ci < s->ci; ci++) {
                const float *p = under(o, oy, ox, i, j, co / s->co * s->ci + ci);
                const double v = p ? (double)*p * (double)weight(o, co, i, j, ci) : 0;
                sum += v, *magnitude += fabs(v);
            }
    return sum;
}

static double pool_of(const operands *o, ptrdiff_t oy, ptrdiff_t ox, ptrdiff_t c,
                      double *magnitude) {
    const cameo_xnn_window *s = o->s;
    double sum = 0, most = -INFINITY, count = 0;
    *magnitude = 0;
    for (ptrdiff_t i = 0; i < s->kh; i++)
        for (ptrdiff_t j = 0; j < s->kw; j++) {
            const float *p = under(o, oy, ox, i, j, c);
            if (!p) continue;
            sum += (double)*p, count++, *magnitude += fabs((double)*p);
            most = fmax(most, (double)*p);
        }
    return o->kind == MAX_POOL ? most : sum / count;
}

static double want_at(const operands *o, ptrdiff_t oy, ptrdiff_t ox, ptrdiff_t c,
                      double *magnitude) {
    const double v = o->kind == CONV || o->kind == DEPTHWISE ? convolve(o, oy, ox, c, magnitude)
                                                             : pool_of(o, oy, ox, c, magnitude);
    return fmin(fmax(v, (double)o->s->least), (double)o->s->most);
}

/* ---- windows ---- */

static cameo_xnn_window random_window(window_kind kind) {
    const bool pool = kind >= MAX_POOL, dilated = kind == CONV && below(3) == 0;
    cameo_xnn_window s = {.h = 6 + below(9),
                          .w = 6 + below(9),
                          .groups = 1,
                          .ci = 1 + below(37),
                          .co = 1 + below(37)};
    s.kh = (pool ? 2 : 1) + below(kind == CONV ? 3 : 5),
    s.kw = (pool ? 2 : 1) + below(kind == CONV ? 3 : 5);
    s.sh = 1 + below(s.kh < 2 ? s.kh : 2), s.sw = 1 + below(s.kw < 2 ? s.kw : 2);
    s.dh = s.dw = dilated ? 2 : 1;
    s.pt = below(s.kh), s.pl = below(s.kw), s.pb = below(s.kh), s.pr = below(s.kw);
    if (kind == CONV && below(4) == 0)
        s.groups = 2 + below(2), s.ci = 1 + below(9), s.co = 1 + below(9);
    if (kind == DEPTHWISE) s.groups = s.ci, s.ci = s.co = 1;
    if (kind == GLOBAL_POOL) {
        if (below(4) == 0) s.h = s.w = 1;
        s.kh = s.h, s.kw = s.w, s.sh = s.sw = 1, s.pt = s.pl = s.pb = s.pr = 0;
    }
    s.least = below(2) ? -INFINITY : -0.25f, s.most = below(2) ? INFINITY : 0.5f;
    return s;
}

static void *create(cameo_context *c, window_kind kind, const cameo_xnn_window *s, const float *w,
                    const float *b) {
    switch (kind) {
    case CONV: return cameo_xnn_conv(c, s, w, b);
    case DEPTHWISE: return cameo_xnn_depthwise(c, s, w, b);
    case MAX_POOL: return cameo_xnn_max_pool(c, s);
    case AVERAGE_POOL: return cameo_xnn_average_pool(c, s);
    default: {
        cameo_xnn_window plain = *s; /* as the generated code has it: the map is the window */
        plain.kh = plain.kw = 1;
        return cameo_xnn_global_average_pool(c, &plain);
    }
    }
}

static void check_image(const operands *o, const float *y) {
    const ptrdiff_t channels = all_outputs(o);
    for (ptrdiff_t p = 0; p < o->oh * o->ow; p++)
        for (ptrdiff_t c = 0; c < o->s->y_pixel; c++) {
            double magnitude;
            if (c >= channels)
                assert_true(y[p * o->s->y_pixel + c] == guard_value); /* a neighbour's channel */
            else {
                const double want = want_at(o, p / o->ow, p % o->ow, c, &magnitude);
                check((double)y[p * o->s->y_pixel + c], want, 1e-6 * magnitude);
            }
        }
}

static void run_window(cameo_context *c, void *op, operands o, const float *x, ptrdiff_t n) {
    const ptrdiff_t image = o.oh * o.ow * o.s->y_pixel;
    float *y = guarded(n * image);
    cameo_xnn_run(c, op, (size_t)n, x, NULL, y);
    assert_int_equal(c->error->code, 0);
    for (ptrdiff_t k = 0; k < n; k++) {
        o.x = x + k * o.s->h * o.s->w * o.s->x_pixel;
        check_image(&o, y + k * image);
    }
    check_guards(y, n * image);
    free(y - GUARD);
}

static void try_window(window_kind kind, int threads) {
    cameo_error error;
    cameo_context c = context_of(threads, &error);
    cameo_xnn_window s = random_window(kind);
    operands o = {.s = &s, .kind = kind};
    o.oh = (s.h + s.pt + s.pb - (s.kh - 1) * s.dh - 1) / s.sh + 1;
    o.ow = (s.w + s.pl + s.pr - (s.kw - 1) * s.dw - 1) / s.sw + 1;
    s.x_pixel = all_inputs(&o) + below(2) * 3, s.y_pixel = all_outputs(&o) + below(2) * 5;
    float *w = floats(all_outputs(&o) * s.kh * s.kw * s.ci), *b = floats(all_outputs(&o));
    o.w = w, o.b = below(3) ? b : NULL;
    void *op = create(&c, kind, &s, o.w, o.b);
    if (!op) fail_msg("%s", error.message);
    for (int i = 0; i < 4; i++) {
        const ptrdiff_t n = 1 + below(MOST), pixels = n * s.h * s.w;
        const paged x = new_paged((pixels - 1) * s.x_pixel + all_inputs(&o));
        run_window(&c, op, o, x.at, n);
        free_paged(x);
    }
    cameo_xnnpack.state_delete(op);
    free(w), free(b);
    end_context(&c);
}

static void test_windows(void **unused) {
    (void)unused;
    for (int kind = 0; kind < N_KINDS; kind++)
        for (int i = 0; i < 60; i++) try_window((window_kind)kind, 1 + i % 3);
}

/* ---- deconvolutions: each input pixel is spread over the output ---- */

static void spread(const cameo_xnn_window *s, const float *x, const float *w, double *y,
                   double *magnitude, ptrdiff_t oh, ptrdiff_t ow) {
    const ptrdiff_t taps = s->kh * s->kw;
    for (ptrdiff_t p = 0; p < s->h * s->w * taps * s->ci * s->co; p++) {
        const ptrdiff_t co = p % s->co, ci = p / s->co % s->ci, t = p / s->co / s->ci % taps,
                        pixel = p / s->co / s->ci / taps;
        const ptrdiff_t oy = pixel / s->w * s->sh + t / s->kw - s->pt;
        const ptrdiff_t ox = pixel % s->w * s->sw + t % s->kw - s->pl;
        if (oy < 0 || ox < 0 || oy >= oh || ox >= ow) continue;
        const double v = (double)x[pixel * s->x_pixel + ci] *
                         (double)w[(co * taps + t) * s->ci + ci];
        const ptrdiff_t to = (oy * ow + ox) * s->co + co;
        y[to] += v, magnitude[to] += fabs(v);
    }
}

static void try_deconv(int threads) {
    cameo_error error;
    cameo_context c = context_of(threads, &error);
    cameo_xnn_window s = {
        .h = 3 + below(5), .w = 3 + below(5), .groups = 1, .ci = 1 + below(9), .co = 1 + below(19)};
    s.kh = 2 + below(3), s.kw = 2 + below(3), s.sh = 1 + below(3), s.sw = 1 + below(3),
    s.dh = s.dw = 1;
    s.pt = below(2), s.pl = below(2), s.pb = below(2), s.pr = below(2), s.adjust_h = below(s.sh),
    s.adjust_w = below(s.sw);
    s.x_pixel = s.ci, s.y_pixel = s.co, s.least = -INFINITY, s.most = INFINITY;
    const ptrdiff_t oh = (s.h - 1) * s.sh + s.kh + s.adjust_h - s.pt - s.pb;
    const ptrdiff_t ow = (s.w - 1) * s.sw + s.kw + s.adjust_w - s.pl - s.pr, image = oh * ow * s.co;
    float *w = floats(s.co * s.kh * s.kw * s.ci), *b = floats(s.co);
    void *op = cameo_xnn_deconv(&c, &s, w, b);
    if (!op) fail_msg("%s", error.message);
    for (int i = 0; i < 3; i++) {
        const ptrdiff_t n = 1 + below(MOST);
        const paged x = new_paged(n * s.h * s.w * s.ci);
        float *y = guarded(n * image);
        cameo_xnn_run(&c, op, (size_t)n, x.at, NULL, y);
        assert_int_equal(error.code, 0);
        for (ptrdiff_t k = 0; k < n; k++) {
            double *want = calloc(2 * (size_t)image, sizeof *want);
            assert_non_null(want);
            spread(&s, x.at + k * s.h * s.w * s.ci, w, want, want + image, oh, ow);
            for (ptrdiff_t q = 0; q < image; q++)
                check((double)y[k * image + q], want[q] + (double)b[q % s.co],
                      1e-6 * want[image + q]);
            free(want);
        }
        check_guards(y, n * image);
        free(y - GUARD);
        free_paged(x);
    }
    cameo_xnnpack.state_delete(op);
    free(w), free(b);
    end_context(&c);
}

static void test_deconvolutions(void **unused) {
    (void)unused;
    for (int i = 0; i < 60; i++) try_deconv(1 + i % 3);
}

/* ---- rows, sums ---- */

static void try_rows(int threads) {
    cameo_error error;
    cameo_context c = context_of(threads, &error);
    const cameo_xnn_matrix s = {.ci = 1 + below(70),
                                .co = 1 + below(70),
                                .least = -INFINITY,
                                .most = below(2) ? 1 : INFINITY};
    float *w = floats(s.co * s.ci), *b = floats(s.co);
    void *op = cameo_xnn_gemm(&c, &s, w, b);
    if (!op) fail_msg("%s", error.message);
    for (int i = 0; i < 4; i++) {
        const ptrdiff_t n = 1 + below(3 * MOST);
        const paged x = new_paged(n * s.ci);
        float *y = guarded(n * s.co);
        cameo_xnn_run(&c, op, (size_t)n, x.at, NULL, y);
        assert_int_equal(error.code, 0);
        for (ptrdiff_t q = 0; q < n * s.co; q++) {
            double sum = (double)b[q % s.co], magnitude = fabs(sum);
            for (ptrdiff_t k = 0; k < s.ci; k++) {
                const double v = (double)x.at[q / s.co * s.ci + k] * (double)w[q % s.co * s.ci + k];
                sum += v, magnitude += fabs(v);
            }
            check((double)y[q], fmin(sum, (double)s.most), 1e-6 * magnitude);
        }
        check_guards(y, n * s.co);
        free(y - GUARD);
        free_paged(x);
    }
    cameo_xnnpack.state_delete(op);
    free(w), free(b);
    end_context(&c);
}

static void try_sum(int threads) {
    cameo_error error;
    cameo_context c = context_of(threads, &error);
    const ptrdiff_t elements = 1 + below(300);
    void *op = cameo_xnn_add(&c, (size_t)elements);
    if (!op) fail_msg("%s", error.message);
    for (int i = 0; i < 4; i++) {
        const ptrdiff_t all = (1 + below(MOST)) * elements;
        const paged a = new_paged(all), b = new_paged(all);
        float *y = guarded(all);
        cameo_xnn_run(&c, op, (size_t)(all / elements), a.at, b.at, y);
        assert_int_equal(error.code, 0);
        for (ptrdiff_t k = 0; k < all; k++) assert_true(y[k] == a.at[k] + b.at[k]);
        check_guards(y, all);
        free(y - GUARD);
        free_paged(a), free_paged(b);
    }
    cameo_xnnpack.state_delete(op);
    end_context(&c);
}

static void test_rows_and_sums(void **unused) {
    (void)unused;
    for (int i = 0; i < 40; i++) try_rows(1 + i % 3), try_sum(1 + i % 3);
}

/* ---- memory: an operator that has run takes none any more while the count stays; windows that
   need a workspace too ---- */

static void run_often(window_kind kind, uint32_t k) {
    cameo_error error;
    cameo_context c = context_of(2, &error);
    cameo_xnn_window s = {
        .h = 14, .w = 14, .kh = k, .kw = k, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .groups = 1};
    s.ci = s.co = s.x_pixel = s.y_pixel = 24, s.least = -INFINITY, s.most = INFINITY;
    if (kind == DEPTHWISE) s.groups = 24, s.ci = s.co = 1;
    float *w = floats(24 * 24 * 49), *b = floats(24), *x = floats(MOST * 14 * 14 * 24 + 4),
          *y = floats(MOST * 14 * 14 * 24);
    void *op = create(&c, kind, &s, w, b);
    if (!op) fail_msg("%s", error.message);
    cameo_xnn_run(&c, op, MOST, x, NULL, y);
    const size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 100; i++) cameo_xnn_run(&c, op, MOST, x, NULL, y);
    assert_int_equal(mallinfo2().uordblks, before);
    cameo_xnnpack.state_delete(op);
    free(w), free(b), free(x), free(y);
    end_context(&c);
}

static void test_memory(void **unused) {
    (void)unused;
    run_often(CONV, 3), run_often(DEPTHWISE, 7), run_often(MAX_POOL, 3), run_often(AVERAGE_POOL, 5),
        run_often(GLOBAL_POOL, 1);
}

/* What XNNPACK refuses is said and leaves nothing behind. */
static void test_refusal(void **unused) {
    (void)unused;
    cameo_error error;
    cameo_context c = context_of(1, &error);
    const cameo_xnn_window s = {.h = 4,
                                .w = 4,
                                .kh = 2,
                                .kw = 2,
                                .dh = 1,
                                .dw = 1,
                                .groups = 1,
                                .ci = 1,
                                .co = 1,
                                .x_pixel = 1,
                                .y_pixel = 1,
                                .least = -INFINITY,
                                .most = INFINITY}; /* a stride of 0 */
    assert_null(cameo_xnn_average_pool(&c, &s));
    assert_int_equal(error.code, CAMEO_ENVIRONMENT);
    assert_non_null(strstr(error.message, "failed to create an XNNPACK operator"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),       cmocka_unit_test(test_deconvolutions),
        cmocka_unit_test(test_rows_and_sums), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
