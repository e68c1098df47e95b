/* XNNPACK (API of 2022: create, setup, run). Linked only into programs that have an XNNPACK layer, since nothing else refers to
   it but weakly. */
#include "xnn.h"
#include "threads.h"

#include <pthreadpool.h>
#include <stdio.h>
#include <stdlib.h>
#include <xnnpack.h>

typedef enum kind { CONV, DECONV, GEMM, MAX_POOL, AVERAGE_POOL, GLOBAL_POOL, ADD } kind;

typedef struct state {
    kind kind;
    xnn_operator_t op;
    cameo_xnn_window s;
    size_t elements;
} state;

typedef struct xnn_pool {
    cameo_pool base;
    pthreadpool_t pool;
} xnn_pool;

static void pool_run(cameo_pool *p, size_t n, void (*fn)(void *, size_t), void *argument) {
    pthreadpool_parallelize_1d(((xnn_pool *)p)->pool, fn, argument, n, 0);
}

static void pool_destroy(cameo_pool *p) {
    pthreadpool_destroy(((xnn_pool *)p)->pool);
    free(p);
}

cameo_pool *cameo_xnn_pool_create(int threads) {
    xnn_pool *p = malloc(sizeof *p);
    if (!p) return NULL;
    *p = (xnn_pool){{pool_run, pool_destroy}, pthreadpool_create((size_t)threads)};
    if (p->pool) return &p->base;
    free(p);
    return NULL;
}

static pthreadpool_t threads_of(const cameo_context *c) { return c->pool ? ((xnn_pool *)c->pool)->pool : NULL; }

static void fail(cameo_context *c, const char *what, enum xnn_status status) {
    if (!c->error) return;
    c->error->code = CAMEO_ENVIRONMENT;
    snprintf(c->error->message, sizeof c->error->message, "failed to %s an XNNPACK operator: status %d", what, (int)status);
}

static state *begin(cameo_context *c, kind k) {
    const enum xnn_status status = xnn_initialize(NULL);
    state *st = status ? NULL : calloc(1, sizeof *st);
    if (st)
        st->kind = k;
    else
        fail(c, "prepare", status ? status : xnn_status_out_of_memory);
    return st;
}

static void *finish(cameo_context *c, state *st, enum xnn_status status) {
    if (status == xnn_status_success) return st;
    fail(c, "create", status);
    free(st);
    return NULL;
}

static void *conv(cameo_context *c, const cameo_xnn_window *s, const float *w, const float *b, uint32_t flags) {
    state *st = begin(c, CONV);
    if (!st) return NULL;
    st->s = *s;
    return finish(c, st,
                  xnn_create_convolution2d_nhwc_f32(s->pt, s->pr, s->pb, s->pl, s->kh, s->kw, s->sh, s->sw, s->dh, s->dw,
                                                    s->groups, s->ci, s->co, s->x_pixel, s->y_pixel, w, b, s->least, s->most,
                                                    flags, &st->op));
}

void *cameo_xnn_conv(cameo_context *c, const cameo_xnn_window *s, const float *w, const float *b) {
    return conv(c, s, w, b, 0);
}

void *cameo_xnn_depthwise(cameo_context *c, const cameo_xnn_window *s, const float *w, const float *b) {
    return conv(c, s, w, b, XNN_FLAG_DEPTHWISE_CONVOLUTION);
}

void *cameo_xnn_deconv(cameo_context *c, const cameo_xnn_window *s, const float *w, const float *b) {
    state *st = begin(c, DECONV);
    if (!st) return NULL;
    st->s = *s;
    return finish(c, st,
                  xnn_create_deconvolution2d_nhwc_f32(s->pt, s->pr, s->pb, s->pl, s->kh, s->kw, s->sh, s->sw, s->dh, s->dw,
                                                      s->groups, s->ci, s->co, s->x_pixel, s->y_pixel, w, b, s->least, s->most,
                                                      0, &st->op));
}

void *cameo_xnn_gemm(cameo_context *c, const cameo_xnn_matrix *s, const float *w, const float *b) {
    state *st = begin(c, GEMM);
    if (!st) return NULL;
    return finish(c, st, xnn_create_fully_connected_nc_f32(s->ci, s->co, s->ci, s->co, w, b, s->least, s->most, 0, &st->op));
}

void *cameo_xnn_max_pool(cameo_context *c, const cameo_xnn_window *s) {
    state *st = begin(c, MAX_POOL);
    if (!st) return NULL;
    st->s = *s;
    return finish(c, st,
                  xnn_create_max_pooling2d_nhwc_f32(s->pt, s->pr, s->pb, s->pl, s->kh, s->kw, s->sh, s->sw, s->dh, s->dw, s->ci,
                                                    s->x_pixel, s->y_pixel, s->least, s->most, 0, &st->op));
}

void *cameo_xnn_average_pool(cameo_context *c, const cameo_xnn_window *s) {
    state *st = begin(c, AVERAGE_POOL);
    if (!st) return NULL;
    st->s = *s;
    return finish(c, st,
                  xnn_create_average_pooling2d_nhwc_f32(s->pt, s->pr, s->pb, s->pl, s->kh, s->kw, s->sh, s->sw, s->ci,
                                                        s->x_pixel, s->y_pixel, s->least, s->most, 0, &st->op));
}

void *cameo_xnn_global_average_pool(cameo_context *c, const cameo_xnn_window *s) {
    state *st = begin(c, GLOBAL_POOL);
    if (!st) return NULL;
    st->s = *s;
    return finish(c, st,
                  xnn_create_global_average_pooling_nwc_f32(s->ci, s->x_pixel, s->y_pixel, s->least, s->most, 0, &st->op));
}

void *cameo_xnn_add(cameo_context *c, size_t elements, float least, float most) {
    state *st = begin(c, ADD);
    if (!st) return NULL;
    st->elements = elements;
    return finish(c, st, xnn_create_add_nd_f32(least, most, 0, &st->op));
}

static enum xnn_status setup(const state *st, pthreadpool_t pool, size_t n, const float *x, const float *x2, float *y) {
    const cameo_xnn_window *s = &st->s;
    const size_t all = n * st->elements;
    switch (st->kind) {
    case CONV: return xnn_setup_convolution2d_nhwc_f32(st->op, n, s->h, s->w, x, y, pool);
    case DECONV: return xnn_setup_deconvolution2d_nhwc_f32(st->op, n, s->h, s->w, s->adjust_h, s->adjust_w, x, y, pool);
    case GEMM: return xnn_setup_fully_connected_nc_f32(st->op, n, x, y, pool);
    case MAX_POOL: return xnn_setup_max_pooling2d_nhwc_f32(st->op, n, s->h, s->w, x, y, pool);
    case AVERAGE_POOL: return xnn_setup_average_pooling2d_nhwc_f32(st->op, n, s->h, s->w, x, y, pool);
    case GLOBAL_POOL: return xnn_setup_global_average_pooling_nwc_f32(st->op, n, s->h * s->w, x, y, pool);
    default: return xnn_setup_add_nd_f32(st->op, 1, &all, 1, &all, x, x2, y, pool);
    }
}

void cameo_xnn_run(cameo_context *c, void *opaque, size_t n, const float *x, const float *x2, float *y) {
    state *st = opaque;
    enum xnn_status status = setup(st, threads_of(c), n, x, x2, y);
    if (!status) status = xnn_run_operator(st->op, threads_of(c));
    if (status) fail(c, "run", status);
}

void cameo_xnn_delete(void *opaque) {
    state *st = opaque;
    if (!st) return;
    xnn_delete_operator(st->op);
    free(st);
}
