/* Winograd convolutions, of both axes and along one, against the plain sum in double: random
   shapes, pads, slices, residuals (also in place), activations, blocks and cuts into tasks, and
   literal instantiations as generated code has them; guard floats around outputs and scratch
   memory. Which vector width is tested depends on the flags this file is compiled with.

   A tile's outputs mix all its inputs, so an error is measured against the largest |x| and the sum
   of |w|, not against the products of one output: |error| <= c * max |x| * sum |w|, to 5000
   products; c is 4e-7 of tiles of 4 x 4, 1e-6 of 6 x 6, and of a row or column of 6, 8 and 10
   numbers 6e-7, 1.2e-6 and 2e-6: what 20000 random tiles of one input channel reach, the worst
   there is. Of 192 channels it is 1.1e-7, 1.2e-7 and 2.3e-7, for direct sums 1e-7. */
#define CAMEO_UNROLL
#include "kernel_case.h"

static bool is_line(const cameo_winograd *s) { return s->rh == 1 || s->rw == 1; }

static double allowed(const cameo_winograd *s) {
    const ptrdiff_t n = cameo_winograd_elements(s);
    if (is_line(s)) return n == 6 ? 6e-7 : n == 8 ? 1.2e-6 : 2e-6;
    return n == 36 ? 1e-6 : 4e-7;
}

static ptrdiff_t between(ptrdiff_t least, ptrdiff_t most) {
    return least + (ptrdiff_t)((double)(uniform() + 1) / 2 * (double)(most - least + 1)) %
                       (most - least + 1);
}

static const cameo_act acts[] = {
    {CAMEO_CLIP, -0.5f, 0.7f},
#define ACT_FUSED(kind, name, flags, function, first, value, second, value2, ...) \
    {CAMEO_##kind, value, value2},
#include "kernels/act.def"
};

/* ---- U = G w G' by the textbook's matrices ---- */

typedef double g_matrix[10][7];

/* Lagrange: row i is the powers of point i over the product of its differences from the others;
   the last is infinity's. */
static void lagrange(const double *p, int n, int r, g_matrix g) {
    for (int i = 0; i < n - 1; i++) {
        double f = 1;
        for (int j = 0; j < n - 1; j++) f *= j == i ? 1 : p[i] - p[j];
        for (int k = 0; k < r; k++) g[i][k] = pow(p[i], k) / f;
    }
    for (int k = 0; k < r; k++) g[n - 1][k] = k == r - 1;
}

static void g_of_axis(ptrdiff_t m, ptrdiff_t r, g_matrix g) {
    static const double points[4][9] = {
        {0, 1, -1},
        {0, M_SQRT1_2, -M_SQRT1_2, M_SQRT2, -M_SQRT2},
        {0, 0.5, -0.5, 1, -1, 2, -2},
        {0, 0.4375, -0.4375, 0.75, -0.75, 1.25, -1.25, 2.25, -2.25}};
    const ptrdiff_t n = m + r - 1;
    g[0][0] = 1;
    if (n > 1) lagrange(points[n / 2 - 2], (int)n, (int)r, g);
}

/* Of one pair of channels, all elements of the tile. */
static void g_of(const cameo_winograd *s, const float *w, double *u) {
    g_matrix h, v;
    g_of_axis(s->mh, s->rh, h), g_of_axis(s->mw, s->rw, v);
    for (ptrdiff_t i = 0; i < cameo_winograd_edge_h(s); i++)
        for (ptrdiff_t j = 0; j < cameo_winograd_edge_w(s); j++, u++) {
            *u = 0;
            for (ptrdiff_t t = 0; t < s->rh * s->rw; t++)
                *u += h[i][t / s->rw] * v[j][t % s->rw] * (double)w[t];
        }
}

static float *transformed(const cameo_winograd *s, const float *w) {
    const ptrdiff_t block = s->vectors * CAMEO_VF, blocks = (s->co + block - 1) / block,
                    n = cameo_winograd_elements(s);
    float *u = floats(n * blocks * block * s->ci);
    memset(u, 0, (size_t)(n * blocks * block * s->ci) * sizeof *u);
    for (ptrdiff_t o = 0; o < s->co; o++)
        for (ptrdiff_t c = 0; c < s->ci; c++) {
            double one[CAMEO_WINOGRAD_ELEMENTS];
            g_of(s, w + (o * s->ci + c) * s->rh * s->rw, one);
            for (ptrdiff_t e = 0; e < n; e++)
                u[((e * blocks + o / block) * s->ci + c) * block + o % block] = (float)one[e];
        }
    return u;
}

/* ---- running ---- */

typedef struct stage_tasks {
    void (*input)(void *, size_t), (*product)(void *, size_t), (*output)(void *, size_t),
        (*lane)(void *, size_t);
} stage_tasks;

static void run_stages(const cameo_winograd *s, const stage_tasks *t,
                       const cameo_winograd_args *all, float *work, ptrdiff_t rounds) {
    const ptrdiff_t groups = (s->block + s->group - 1) / s->group;
    const ptrdiff_t chunks = (cameo_winograd_channels(s) + s->chunk - 1) / s->chunk;
    for (ptrdiff_t round = 0; round < rounds; round++)
        for (ptrdiff_t block = 0; block < cameo_winograd_blocks(s); block++) {
            cameo_winograd_run run = {cameo_winograd_round(s, *all, round), work, 0, block, 0};
            for (ptrdiff_t i = groups - 1; i >= 0; i--) t->input(&run, (size_t)i);
            for (ptrdiff_t i = cameo_winograd_elements(s) * chunks - 1; i >= 0; i--)
                t->product(&run, (size_t)i);
            for (ptrdiff_t i = groups - 1; i >= 0; i--) t->output(&run, (size_t)i);
        }
}

/* The second of two lanes finds all blocks. */
static void run_lanes(const cameo_winograd *s, const stage_tasks *t, const cameo_winograd_args *all,
                      float *work, ptrdiff_t rounds) {
    cameo_winograd_run run = {.a = *all, .work = work, .blocks = rounds * cameo_winograd_blocks(s)};
    t->lane(&run, 1), t->lane(&run, 0);
}

/* ---- comparing ---- */

/* One output before bias. */
static double sum_at(const cameo_winograd *s, const float *x, const float *w, ptrdiff_t n,
                     ptrdiff_t h, ptrdiff_t v, ptrdiff_t o) {
    double sum = 0;
    for (ptrdiff_t i = 0; i < s->rh; i++)
        for (ptrdiff_t j = 0; j < s->rw; j++) {
            const ptrdiff_t y = h - s->pt + i, z = v - s->pl + j;
            if (y < 0 || y >= s->h || z < 0 || z >= s->w) continue;
            for (ptrdiff_t c = 0; c < s->ci; c++)
                sum += (double)x[((n * s->h + y) * s->w + z) * s->x_pixel + c] *
                       (double)w[((o * s->ci + c) * s->rh + i) * s->rw + j];
        }
    return sum;
}

static double weight_of(const cameo_winograd *s, const float *w, ptrdiff_t o) {
    double sum = 0;
    const ptrdiff_t n = s->ci * s->rh * s->rw;
    for (ptrdiff_t i = 0; i < n; i++) sum += fabs((double)w[o * n + i]);
    return sum;
}

static void check_outputs(const cameo_winograd *s, const cameo_winograd_args *a, const float *r,
                          const float *w, ptrdiff_t images) {
    for (ptrdiff_t o = 0; o < s->co; o++) {
        const double bound = allowed(s) * weight_of(s, w, o);
        for (ptrdiff_t p = 0; p < images * s->oh * s->ow; p++) {
            const ptrdiff_t n = p / (s->oh * s->ow), h = p / s->ow % s->oh;
            double v = sum_at(s, a->x, w, n, h, p % s->ow, o) + (double)a->b[o];
            if (s->r_pixel) v += (double)r[p * s->r_pixel + o];
            check((double)a->y[p * s->y_pixel + o], activate(&s->act, v, (double)a->slope[o]),
                  bound);
        }
    }
    for (ptrdiff_t p = 0; p < images * s->oh * s->ow; p++)
        for (ptrdiff_t o = s->co; o < s->y_pixel; o++)
            assert_true(a->y[p * s->y_pixel + o] == guard_value);
}

/* Both ways of running give the reference's results, and the same bytes. in_place: r in y's
   memory. */
static void one_case(const cameo_winograd *s, const stage_tasks *t, ptrdiff_t rounds,
                     bool in_place) {
    const ptrdiff_t images = rounds * s->images, yn = images * s->oh * s->ow * s->y_pixel,
                    co = up(s->co, 2 * CAMEO_VF);
    const ptrdiff_t wn = 2 * cameo_winograd_elements(s) * (s->v_step + s->m_step);
    float *x = inputs(images * s->h * s->w * s->x_pixel),
          *w = floats(s->co * s->ci * s->rh * s->rw), *b = floats(co), *slope = floats(co);
    float *r = floats(images * s->oh * s->ow * s->r_pixel), *u = transformed(s, w),
          *work = guarded(wn), *first = floats(yn);
    float *y = guarded(yn);
    for (int lanes = 0; lanes < 2; lanes++) {
        for (ptrdiff_t i = 0; i < yn; i++) y[i] = guard_value;
        for (ptrdiff_t p = 0; in_place && p < images * s->oh * s->ow; p++)
            memcpy(y + p * s->y_pixel, r + p * s->r_pixel, (size_t)s->co * sizeof *y);
        const cameo_winograd_args a = {x, u, b, slope, in_place ? y : r, y};
        (lanes ? run_lanes : run_stages)(s, t, &a, work, rounds);
        check_guards(y, yn), check_guards(work, wn);
        if (!lanes) memcpy(first, y, (size_t)yn * sizeof *y);
        assert_memory_equal(first, y, (size_t)yn * sizeof *y);
        check_outputs(s, &a, r, w, images);
    }
    free(x), free(w), free(b), free(slope), free(r), free(u), free(work - GUARD), free(first),
        free(y - GUARD);
}

/* ---- random shapes ---- */

static cameo_winograd current; /* what the tasks below run; the kind of tile and of block are
                                  literals, as in generated code */

/* X(outputs of a tile and taps, down and across; vectors; CALL) */
#define KINDS(X, CALL)     \
    X(4, 4, 3, 3, 1, CALL) \
    X(4, 4, 3, 3, 2, CALL) \
    X(2, 2, 3, 3, 1, CALL) \
    X(2, 2, 3, 3, 2, CALL) \
    X(2, 2, 5, 5, 2, CALL) \
    X(1, 4, 1, 3, 1, CALL) \
    X(4, 1, 3, 1, 2, CALL) \
    X(1, 4, 1, 5, 2, CALL) \
    X(4, 1, 5, 1, 1, CALL) \
    X(1, 4, 1, 7, 2, CALL) \
    X(4, 1, 7, 1, 2, CALL)
#define IF_KIND(MH, MW, RH, RW, V, CALL)                                                  \
    if (s.mh == (MH) && s.mw == (MW) && s.rh == (RH) && s.rw == (RW) && s.vectors == (V)) \
        s.mh = (MH), s.mw = (MW), s.rh = (RH), s.rw = (RW), s.vectors = (V), CALL;
#define BY_KIND(CALL)           \
    cameo_winograd s = current; \
    KINDS(IF_KIND, CALL)
static void any_input(void *run, size_t i) { BY_KIND(cameo_winograd_input_task(&s, run, i)) }
static void any_product(void *run, size_t i) { BY_KIND(cameo_winograd_product_task(&s, run, i)) }
static void any_output(void *run, size_t i) { BY_KIND(cameo_winograd_output_task(&s, run, i)) }
static void any_lane(void *run, size_t i) { BY_KIND(cameo_winograd_lane(&s, run, i)) }

/* Padding before, and extents that fit it, of an axis of r taps. */
static void random_axis(ptrdiff_t in, ptrdiff_t r, ptrdiff_t *pad, ptrdiff_t *out) {
    const ptrdiff_t p = r - 1; /* the most that a side is padded */
    *pad = between(in < r ? cameo_least(p, r - in) : 0, p);
    *out = cameo_most(1, in + *pad - p + between(0, p)); /* and at the other side */
}

#define KIND_ROW(MH, MW, RH, RW, V, CALL) {MH, MW, RH, RW, V},
static void random_kind(cameo_winograd *s) {
    static const ptrdiff_t kinds[][5] = {KINDS(KIND_ROW, )};
    const ptrdiff_t *k = kinds[between(0, sizeof kinds / sizeof *kinds - 1)];
    s->mh = k[0], s->mw = k[1], s->rh = k[2], s->rw = k[3], s->vectors = k[4];
}

static void random_shape(cameo_winograd *s, bool in_place) {
    *s = (cameo_winograd){
        .h = between(1, 13), .w = between(1, 13), .ci = between(1, 40), .co = between(1, 70)};
    s->images = between(1, 3);
    random_kind(s);
    random_axis(s->h, s->rh, &s->pt, &s->oh), random_axis(s->w, s->rw, &s->pl, &s->ow);
    s->x_pixel = s->ci + between(0, 3), s->y_pixel = s->co + between(0, 3);
    s->act = acts[between(0, sizeof acts / sizeof *acts - 1)];
    if (in_place || between(0, 1)) s->r_pixel = s->co + between(0, 3);
    if (in_place) s->r_pixel = s->y_pixel;
}

static void random_tasks(cameo_winograd *s) {
    const ptrdiff_t tiles = s->images * cameo_winograd_tiles(s);
    s->tile = between(1, cameo_least(tiles, 14));
    s->block = between(0, 2) ? between(s->tile, cameo_least(tiles, 3 * s->tile)) : tiles;
    s->v_row = up(s->ci, CAMEO_VF) + between(0, 1) * 16,
    s->v_step = up(s->block * s->v_row, 16) + between(0, 1) * 16;
    s->m_row = up(s->co, s->vectors * CAMEO_VF),
    s->m_step = up(s->block * s->m_row, 16) + between(0, 1) * 16;
    s->group = between(1, s->block), s->chunk = between(1, 3), s->fetch = between(0, 1);
}

static void any_shape(void **state) {
    (void)state;
    static const stage_tasks tasks = {any_input, any_product, any_output, any_lane};
    for (int i = 0; i < 160; i++) {
        const bool in_place = between(0, 4) == 0;
        random_shape(&current, in_place);
        random_tasks(&current);
        WITHOUT_AND_WITH_ODD(one_case(&current, &tasks, between(1, 2), in_place));
    }
}

/* ---- live weights ---- */

/* From [co][ci][3][3] into [co / block][tap][ci][block], zeros behind the last channel. */
static float *in_blocks(const float *w, ptrdiff_t co, ptrdiff_t ci, ptrdiff_t block) {
    const ptrdiff_t padded = up(co, block);
    float *to = floats(padded * ci * 9);
    for (ptrdiff_t o = 0; o < padded; o++)
        for (ptrdiff_t c = 0; c < ci; c++)
            for (ptrdiff_t t = 0; t < 9; t++)
                to[((o / block * 9 + t) * ci + c) * block + o % block] =
                    o < co ? w[(o * ci + c) * 9 + t] : 0;
    return to;
}

/* What the program makes of w beside the textbook's matrices; want: of the convolution that s
   is. */
static void check_weights(const cameo_winograd *s, const float *u, const float *want) {
    const ptrdiff_t block = s->vectors * CAMEO_VF,
                    n = cameo_winograd_elements(s) * cameo_winograd_channels(s) * s->ci * block;
    float *expected = transformed(s, want);
    for (ptrdiff_t i = 0; i < n; i++) check((double)u[i], (double)expected[i], 1e-6);
    check_guards(u, n);
    free(expected);
}

static void one_weights(const cameo_winograd *s, ptrdiff_t source) {
    const ptrdiff_t block = s->vectors * CAMEO_VF,
                    n = cameo_winograd_elements(s) * cameo_winograd_channels(s) * s->ci * block;
    float *w = floats(s->co * s->ci * 9), *turned = floats(s->co * s->ci * 9), *u = guarded(n);
    for (ptrdiff_t o = 0; o < s->co; o++) /* the forward's weights, of whose input's gradient w are
                                             the weights */
        for (ptrdiff_t c = 0; c < s->ci; c++)
            for (ptrdiff_t t = 0; t < 9; t++)
                turned[(c * s->co + o) * 9 + 8 - t] = w[(o * s->ci + c) * 9 + t];
    float *forward = in_blocks(w, s->co, s->ci, block),
          *backward = in_blocks(turned, s->ci, s->co, source);
    for (ptrdiff_t i = cameo_winograd_pack_tasks(s) - 1; i >= 0; i--)
        cameo_winograd_pack_task(s, &(cameo_conv_pack){forward, u}, (size_t)i);
    check_weights(s, u, w);
    for (ptrdiff_t i = 0; i < n; i++) u[i] = guard_value;
    for (ptrdiff_t i = cameo_winograd_pack_tasks(s) - 1; i >= 0; i--)
        cameo_winograd_flip_task(s, source, &(cameo_conv_pack){backward, u}, (size_t)i);
    check_weights(s, u, w);
    free(w), free(turned), free(u - GUARD), free(forward), free(backward);
}

static void live_weights(void **state) {
    (void)state;
    for (int i = 0; i < 40; i++) {
        const ptrdiff_t m = between(0, 1) ? 4 : 2;
        const cameo_winograd s = {.ci = between(1, 90),
                                  .co = between(1, 70),
                                  .mh = m,
                                  .mw = m,
                                  .rh = 3,
                                  .rw = 3,
                                  .vectors = between(1, 2)};
        one_weights(&s, between(1, 2) * CAMEO_VF);
    }
}

/* ---- literal shapes ---- */

#define STEP(N) (((N) + 15) / 16 * 16 + 16)
#define LITERAL(NAME, H, W, CI, CO, PH, PW, MH, MW, KH, KW, N, V, T, B, R, ...)                \
    static const cameo_winograd NAME##_shape = {.h = H,                                        \
                                                .w = W,                                        \
                                                .ci = CI,                                      \
                                                .co = CO,                                      \
                                                .pt = PH,                                      \
                                                .pl = PW,                                      \
                                                .oh = (H) + 2 * (PH) + 1 - (KH),               \
                                                .ow = (W) + 2 * (PW) + 1 - (KW),               \
                                                .x_pixel = CI,                                 \
                                                .y_pixel = CO,                                 \
                                                .r_pixel = (R) ? (CO) : 0,                     \
                                                .mh = MH,                                      \
                                                .mw = MW,                                      \
                                                .rh = KH,                                      \
                                                .rw = KW,                                      \
                                                .images = N,                                   \
                                                .vectors = V,                                  \
                                                .tile = T,                                     \
                                                .block = B,                                    \
                                                .v_row = ((CI) + 15) / 16 * 16,                \
                                                .v_step = STEP((B) * (((CI) + 15) / 16 * 16)), \
                                                .m_row = ((CO) + 31) / 32 * 32,                \
                                                .m_step = STEP((B) * (((CO) + 31) / 32 * 32)), \
                                                .group = 3,                                    \
                                                .chunk = 2,                                    \
                                                .act = __VA_ARGS__};                           \
    static void NAME##_input(void *p, size_t i) {                                              \
        cameo_winograd_input_task(&NAME##_shape, p, i);                                        \
    }                                                                                          \
    static void NAME##_product(void *p, size_t i) {                                            \
        cameo_winograd_product_task(&NAME##_shape, p, i);                                      \
    }                                                                                          \
    static void NAME##_output(void *p, size_t i) {                                             \
        cameo_winograd_output_task(&NAME##_shape, p, i);                                       \
    }                                                                                          \
    static void NAME##_lane(void *p, size_t i) { cameo_winograd_lane(&NAME##_shape, p, i); }   \
    static void NAME(void **state) {                                                           \
        (void)state;                                                                           \
        static const stage_tasks tasks = {NAME##_input, NAME##_product, NAME##_output,         \
                                          NAME##_lane};                                        \
        WITHOUT_AND_WITH_ODD(one_case(&NAME##_shape, &tasks, 2, false));                       \
    }
#define LITERALS(X)                                                                             \
    X(winograd_4x4, 14, 14, 32, 64, 1, 1, 4, 4, 3, 3, 1, 2, 5, 8, 0, {CAMEO_RELU, 0, 0})        \
    X(winograd_4x4_odd, 13, 11, 37, 45, 1, 1, 4, 4, 3, 3, 2, 1, 6, 22, 1, {CAMEO_PRELU, 0, 0})  \
    X(winograd_2x2, 7, 7, 48, 40, 1, 1, 2, 2, 3, 3, 1, 2, 6, 16, 1, {CAMEO_NONE, 0, 0})         \
    X(winograd_2x2_odd, 9, 6, 19, 33, 0, 0, 2, 2, 3, 3, 3, 1, 7, 14, 0, {CAMEO_CLIP, -1, 0.5f}) \
    X(winograd_4x4_one, 3, 3, 500, 18, 0, 0, 4, 4, 3, 3, 1, 2, 1, 1, 1, {CAMEO_LEAKY, 0.2f, 0}) \
    X(winograd_5x5, 13, 13, 48, 40, 2, 2, 2, 2, 5, 5, 1, 2, 7, 49, 1, {CAMEO_RELU, 0, 0})       \
    X(winograd_5x5_odd, 9, 11, 21, 33, 1, 1, 2, 2, 5, 5, 2, 1, 5, 10, 0, {CAMEO_PRELU, 0, 0})   \
    X(winograd_1x7, 17, 17, 64, 96, 0, 3, 1, 4, 1, 7, 1, 2, 11, 22, 0, {CAMEO_RELU, 0, 0})      \
    X(winograd_7x1, 17, 17, 64, 33, 3, 0, 4, 1, 7, 1, 1, 2, 14, 85, 1, {CAMEO_CLIP, -1, 0.5f})  \
    X(winograd_7x1_odd, 5, 19, 21, 33, 2, 0, 4, 1, 7, 1, 3, 1, 5, 10, 1, {CAMEO_PRELU, 0, 0})   \
    X(winograd_1x7_one, 1, 7, 700, 18, 0, 0, 1, 4, 1, 7, 1, 2, 1, 1, 1, {CAMEO_LEAKY, 0.2f, 0}) \
    X(winograd_1x5_odd, 3, 11, 37, 45, 0, 2, 1, 4, 1, 5, 2, 1, 6, 8, 0, {CAMEO_NONE, 0, 0})     \
    X(winograd_3x1, 8, 8, 48, 70, 1, 0, 4, 1, 3, 1, 1, 2, 8, 16, 0, {CAMEO_RELU, 0, 0})         \
    X(winograd_1x3_odd, 9, 6, 19, 20, 0, 1, 1, 4, 1, 3, 2, 1, 7, 14, 1, {CAMEO_HARDSWISH, 0, 0})
LITERALS(LITERAL)

#define TEST_LITERAL(NAME, ...) cmocka_unit_test(NAME),
int main(void) {
    const struct CMUnitTest tests[] = {LITERALS(TEST_LITERAL) cmocka_unit_test(any_shape),
                                       cmocka_unit_test(live_weights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
