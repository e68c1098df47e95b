/* Numbers that are none, where a fast kernel loses them or spreads them. A NaN that goes in comes
   out of every output that depends on it, and of no other:

   - A Winograd tile mixes all its inputs, so one NaN or infinity makes all its outputs NaN. Such a
   tile is computed again, as the plain sum; the weights are got back from the transformed ones.
   - XNNPACK's clamps and maxima turn NaN into a bound or pass it over. Outputs whose window holds a
   NaN or an infinity are computed again, as plain sums. Looking for them costs a pass over the
   input, so only what comes from elsewhere (a graph input, another operator) is looked at, and
   whatever follows in an image in which something was found. What XNNPACK's layers make of finite
   numbers by overflow stays as XNNPACK has it.

   Nothing here is reached by finite numbers but the looking, so plain loops do. */
#include "winograd_conv.h"
#include "xnn.h"

/* Whether the n numbers hold a NaN or an infinity: v - v of those is NaN. */
static bool holds_odd(const float *x, ptrdiff_t n) {
    cameo_v sum[4] = {{0}};
    ptrdiff_t i = 0;
    float rest = 0;
    for (; i + 4 * CAMEO_VF <= n; i += 4 * CAMEO_VF) {
        CAMEO_UNROLL
        for (ptrdiff_t k = 0; k < 4; k++) {
            const cameo_v v = cameo_load(x + i + k * CAMEO_VF);
            sum[k] += v - v;
        }
    }
    for (; i < n; i++) rest += x[i] - x[i];
    return isnan(rest) || cameo_any_nan(sum[0] + sum[1] + (sum[2] + sum[3]));
}

/* ---- Winograd ---- */

typedef double taps_matrix[CAMEO_WINOGRAD_R][CAMEO_WINOGRAD_EDGE];

/* Divides row i by its pivot and takes it out of the others, in both matrices. */
static void eliminate(double (*a)[CAMEO_WINOGRAD_R], taps_matrix b, ptrdiff_t i, ptrdiff_t r,
                      ptrdiff_t n) {
    const double pivot = a[i][i];
    for (ptrdiff_t k = 0; k < r; k++) a[i][k] /= pivot;
    for (ptrdiff_t k = 0; k < n; k++) b[i][k] /= pivot;
    for (ptrdiff_t j = 0; j < r; j++) {
        const double f = a[j][i];
        for (ptrdiff_t k = 0; k < r && j != i; k++) a[j][k] -= f * a[i][k];
        for (ptrdiff_t k = 0; k < n && j != i; k++) b[j][k] -= f * b[i][k];
    }
}

/* A left inverse of G: the taps whose transform is nearest, (G' G)^-1 G'; G' G is positive
   definite and needs no pivoting. */
static void points_inverse(ptrdiff_t n, ptrdiff_t r, taps_matrix inverse) {
    double g[CAMEO_WINOGRAD_EDGE][CAMEO_WINOGRAD_R],
        square[CAMEO_WINOGRAD_R][CAMEO_WINOGRAD_R] = {{0}};
    memset(inverse, 0, CAMEO_WINOGRAD_R * sizeof *inverse);
    inverse[0][0] = 1;
    if (n == 1) return;
    cameo_winograd_g_matrix(n, r, g);
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t k = 0; k < r; k++) {
            inverse[k][i] = g[i][k];
            for (ptrdiff_t l = 0; l < r; l++) square[k][l] += g[i][k] * g[i][l];
        }
    for (ptrdiff_t i = 0; i < r; i++) eliminate(square, inverse, i, r, n);
}

/* The taps of one pair of channels. */
static void weights_again(const cameo_winograd *s, taps_matrix down, taps_matrix across,
                          const float *u, ptrdiff_t step, double *w) {
    const ptrdiff_t nh = cameo_winograd_edge_h(s), nw = cameo_winograd_edge_w(s);
    double rows[CAMEO_WINOGRAD_R][CAMEO_WINOGRAD_EDGE] = {{0}};
    for (ptrdiff_t k = 0; k < s->rh; k++)
        for (ptrdiff_t j = 0; j < nw; j++)
            for (ptrdiff_t i = 0; i < nh; i++)
                rows[k][j] += down[k][i] * (double)u[(i * nw + j) * step];
    for (ptrdiff_t k = 0; k < s->rh; k++)
        for (ptrdiff_t l = 0; l < s->rw; l++) {
            w[k * s->rw + l] = 0;
            for (ptrdiff_t j = 0; j < nw; j++) w[k * s->rw + l] += across[l][j] * rows[k][j];
        }
}

/* Adds channel c to the tile's outputs, whose first is at row h, column w of the image at x. */
static void add_channel(const cameo_winograd *s, const float *x, ptrdiff_t h, ptrdiff_t w,
                        const double *k, double *sum) {
    for (ptrdiff_t o = 0; o < s->mh * s->mw; o++)
        for (ptrdiff_t t = 0; t < s->rh * s->rw; t++) {
            const ptrdiff_t i = h + o / s->mw + t / s->rw - s->pt,
                            j = w + o % s->mw + t % s->rw - s->pl;
            if (i >= 0 && i < s->h && j >= 0 && j < s->w)
                sum[o] += k[t] * (double)x[(i * s->w + j) * s->x_pixel];
        }
}

typedef struct tile_place { /* of a tile's first output, and how many rows and columns of it exist
                             */
    ptrdiff_t image, h, w, rows, columns;
} tile_place;

static tile_place place_of(const cameo_winograd *s, ptrdiff_t tile) {
    const ptrdiff_t tiles = cameo_winograd_tiles(s), columns = cameo_winograd_columns(s);
    const ptrdiff_t h = tile % tiles / columns * s->mh, w = tile % columns * s->mw;
    return (tile_place){tile / tiles, h, w, cameo_least(s->mh, s->oh - h),
                        cameo_least(s->mw, s->ow - w)};
}

static bool all_nan(const cameo_winograd *s, const tile_place *p, const double *sum) {
    for (ptrdiff_t i = 0; i < s->mh * s->mw; i++)
        if (i / s->mw < p->rows && i % s->mw < p->columns && !isnan(sum[i])) return false;
    return true;
}

/* Bias, residual, activation of output channel o. */
static void store_again(const cameo_winograd *s, const cameo_winograd_args *a, const tile_place *p,
                        ptrdiff_t o, const double *sum) {
    for (ptrdiff_t i = 0; i < s->mh * s->mw; i++) {
        const ptrdiff_t pixel = (p->image * s->oh + p->h + i / s->mw) * s->ow + p->w + i % s->mw;
        if (i / s->mw >= p->rows || i % s->mw >= p->columns) continue;
        const float r = s->r_pixel ? a->r[pixel * s->r_pixel + o] : 0,
                    v = (float)sum[i] + a->b[o] + r;
        const cameo_v slope = cameo_splat(s->act.kind == CAMEO_PRELU ? a->slope[o] : v);
        a->y[pixel * s->y_pixel + o] = cameo_activate(&s->act, cameo_splat(v), slope)[0];
    }
}

void cameo_winograd_again(const cameo_winograd *s, ptrdiff_t block, const cameo_winograd_args *a,
                          ptrdiff_t tile) {
    const tile_place p = place_of(s, tile);
    const ptrdiff_t step = cameo_ceil(s->co, block) * s->ci * block;
    const float *x = a->x + p.image * s->h * s->w * s->x_pixel;
    taps_matrix down, across;
    points_inverse(cameo_winograd_edge_h(s), s->rh, down),
        points_inverse(cameo_winograd_edge_w(s), s->rw, across);
    for (ptrdiff_t o = 0; o < s->co; o++) {
        double sum[CAMEO_WINOGRAD_M * CAMEO_WINOGRAD_M] = {0}, k[25];
        for (ptrdiff_t c = 0; c < s->ci && !all_nan(s, &p, sum); c++) {
            weights_again(s, down, across, a->u + (o / block * s->ci + c) * block + o % block, step,
                          k);
            add_channel(s, x + c, p.h, p.w, k, sum);
        }
        store_again(s, a, &p, o, sum);
    }
}

/* ---- XNNPACK ---- */

typedef struct layer { /* one image of it, and what its windows are */
    const cameo_xnn_window *s;
    enum cameo_xnn_kind kind;
    ptrdiff_t oh, ow, w_o, w_t; /* floats from one output channel's weights, and one tap's, to the
                                   next */
    const float *x, *w, *b;
    float *y;
} layer;

static ptrdiff_t extent(ptrdiff_t in, ptrdiff_t k, ptrdiff_t stride, ptrdiff_t dilation,
                        ptrdiff_t pads) {
    return (in + pads - (k - 1) * dilation - 1) / stride + 1;
}

static layer layer_of(const cameo_xnn_doubt *d, const float *x, const float *w, const float *b,
                      float *y) {
    const cameo_xnn_window *s = &d->s;
    layer l = {s, d->kind, 1, 1, s->kh * s->kw * s->ci, s->ci, x, w, b, y};
    if (d->kind == CAMEO_XNN_DEPTHWISE) l.w_o = 1, l.w_t = s->groups;
    if (d->kind == CAMEO_XNN_GLOBAL_AVERAGE) return l;
    l.oh = extent(s->h, s->kh, s->sh, s->dh, s->pt + s->pb);
    l.ow = extent(s->w, s->kw, s->sw, s->dw, s->pl + s->pr);
    if (d->kind != CAMEO_XNN_DECONV) return l;
    l.oh = (s->h - 1) * s->sh + (s->kh - 1) * s->dh + 1 + s->adjust_h - s->pt - s->pb;
    l.ow = (s->w - 1) * s->sw + (s->kw - 1) * s->dw + 1 + s->adjust_w - s->pl - s->pr;
    return l;
}

/* The input's row (or column) under tap k of output o, -1 outside. */
static ptrdiff_t under(const layer *l, ptrdiff_t o, ptrdiff_t k, ptrdiff_t n, ptrdiff_t stride,
                       ptrdiff_t dilation, ptrdiff_t pad) {
    ptrdiff_t at = o * stride - pad + k * dilation;
    if (l->kind == CAMEO_XNN_DECONV) {
        at = o + pad - k * dilation;
        at = at % stride ? -1 : at / stride;
    }
    return at < n ? at : -1;
}

/* The pixel under tap t of output (i, j), NULL outside. A whole image is a window of its own. */
static const float *tap(const layer *l, ptrdiff_t i, ptrdiff_t j, ptrdiff_t t) {
    const cameo_xnn_window *s = l->s;
    if (l->kind == CAMEO_XNN_GLOBAL_AVERAGE) return l->x + t * s->x_pixel;
    const ptrdiff_t row = under(l, i, t / s->kw, s->h, s->sh, s->dh, s->pt);
    const ptrdiff_t column = under(l, j, t % s->kw, s->w, s->sw, s->dw, s->pl);
    return row < 0 || column < 0 ? NULL : l->x + (row * s->w + column) * s->x_pixel;
}

static ptrdiff_t taps(const layer *l) {
    return l->kind == CAMEO_XNN_GLOBAL_AVERAGE ? l->s->h * l->s->w : l->s->kh * l->s->kw;
}

static bool is_pool(const layer *l) { return l->kind >= CAMEO_XNN_MAX; }

static float clamped(const cameo_xnn_window *s, double v) {
    const float y = (float)v;
    return y < s->least ? s->least : y > s->most ? s->most : y;
}

/* Output channel o of group g at pixel (i, j). */
static double window_sum(const layer *l, ptrdiff_t i, ptrdiff_t j, ptrdiff_t g, ptrdiff_t o) {
    const ptrdiff_t ci = l->s->ci, channel = g * l->s->co + o;
    double sum = l->b ? (double)l->b[channel] : 0;
    for (ptrdiff_t t = 0; t < taps(l) && !isnan(sum); t++) {
        const float *p = tap(l, i, j, t), *w = l->w + channel * l->w_o + t * l->w_t;
        for (ptrdiff_t c = 0; p && c < ci; c++) sum += (double)p[g * ci + c] * (double)w[c];
    }
    return sum;
}

static double window_pool(const layer *l, ptrdiff_t i, ptrdiff_t j, ptrdiff_t c) {
    double best = -(double)INFINITY, sum = 0, cells = 0;
    for (ptrdiff_t t = 0; t < taps(l); t++) {
        const float *p = tap(l, i, j, t);
        if (!p) continue;
        if (p[c] > best || isnan(p[c])) best = isnan(best) ? best : (double)p[c];
        sum += (double)p[c], cells++;
    }
    return l->kind == CAMEO_XNN_MAX ? best : sum / cells;
}

/* Whether the window at pixel (i, j) holds one of these numbers in channels [c, c + n). */
static bool window_odd(const layer *l, ptrdiff_t i, ptrdiff_t j, ptrdiff_t c, ptrdiff_t n) {
    for (ptrdiff_t t = 0; t < taps(l); t++) {
        const float *p = tap(l, i, j, t);
        if (p && holds_odd(p + c, n)) return true;
    }
    return false;
}

static void mend_pixel(const layer *l, ptrdiff_t i, ptrdiff_t j) {
    const ptrdiff_t ci = l->s->ci, co = l->s->co;
    float *y = l->y + (i * l->ow + j) * l->s->y_pixel;
    if (is_pool(l)) {
        for (ptrdiff_t c = 0; c < ci; c++)
            if (window_odd(l, i, j, c, 1)) y[c] = (float)window_pool(l, i, j, c);
        return;
    }
    for (ptrdiff_t g = 0; g < l->s->groups; g++) {
        if (!window_odd(l, i, j, g * ci, ci)) continue;
        for (ptrdiff_t o = 0; o < co; o++) y[g * co + o] = clamped(l->s, window_sum(l, i, j, g, o));
    }
}

/* Floats of a pixel that are the layer's own. */
static ptrdiff_t channels(const cameo_xnn_doubt *d) {
    return is_pool(&(layer){.kind = d->kind}) ? d->s.ci : d->s.ci * d->s.groups;
}

static bool image_odd(const cameo_xnn_doubt *d, const float *x) {
    const ptrdiff_t pixels = d->s.h * d->s.w;
    if (d->s.x_pixel == channels(d)) return holds_odd(x, pixels * d->s.x_pixel);
    for (ptrdiff_t p = 0; p < pixels; p++)
        if (holds_odd(x + p * d->s.x_pixel, channels(d))) return true;
    return false;
}

/* The mark of image i, of all that wait for the late layers. What is not batched is one image. */
static unsigned char *mark_of(const cameo_context *c, const cameo_xnn_doubt *d, size_t i) {
    return &c->odd[d->batched ? c->first + i : 0];
}

void cameo_xnn_mend(cameo_context *c, const cameo_xnn_doubt *d, size_t n, const float *x,
                    const float *w, const float *b, float *y) {
    for (size_t k = 0; k < n; k++) {
        unsigned char *odd = mark_of(c, d, k);
        if (!d->entering && !*odd) continue;
        const layer l = layer_of(d, x + (ptrdiff_t)k * d->s.h * d->s.w * d->s.x_pixel, w, b, y);
        if (!image_odd(d, l.x)) continue;
        *odd = 1;
        layer at = l;
        at.y = y + (ptrdiff_t)k * l.oh * l.ow * d->s.y_pixel;
        for (ptrdiff_t i = 0; i < l.oh; i++)
            for (ptrdiff_t j = 0; j < l.ow; j++) mend_pixel(&at, i, j);
    }
}

void cameo_xnn_mend_sum(cameo_context *c, const cameo_xnn_doubt *d, size_t n, const float *x,
                        const float *x2, float *y) {
    const ptrdiff_t count = d->s.ci;
    for (size_t k = 0; k < n; k++, x += count, x2 += count, y += count) {
        unsigned char *odd = mark_of(c, d, k);
        if ((!d->entering && !*odd) || (!holds_odd(x, count) && !holds_odd(x2, count))) continue;
        *odd = 1;
        for (ptrdiff_t i = 0; i < count; i++) y[i] = x[i] + x2[i];
    }
}
