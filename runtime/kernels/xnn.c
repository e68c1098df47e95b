/* XNNPACK, in the two interfaces that distributions have: that of 2022 (Debian 12), where setup
   sizes an operator for its images and sets its pointers, and that of late 2024 (Debian 13), where
   reshape does the first and may ask for a workspace. What differs stands in one section, twice;
   the header in use decides, so that any compiler can build this file. Linked only into programs
   that have an XNNPACK layer: their model alone refers to it, as its backend. */
#include "xnn.h"
#include "../core/threads.h"

#include <math.h>
#include <pthreadpool.h>
#include <stdio.h>
#include <stdlib.h>
#include <xnnpack.h>

/* A layer's extents are passed as XNNPACK's unsigned numbers, which they all fit. */
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"

#ifdef XNN_FLAG_KEEP_DIMS /* came with reshape and with operators on any type */
#define RESHAPES 1
#define OPERATOR(st) NULL, NULL, &(st)->op /* no cache of code, none of packed weights */
#else
#define RESHAPES 0
#define OPERATOR(st) &(st)->op
#endif

enum { ALIGNMENT = 64 };

typedef enum kind { CONV, DECONV, GEMM, MAX_POOL, AVERAGE_POOL, GLOBAL_POOL, ADD } kind;

typedef struct state {
    kind kind;
    xnn_operator_t op;
    cameo_xnn_window s;
    size_t elements;
    size_t images;   /* it was reshaped for so many */
    void *workspace; /* owned; NULL: needs none */
    size_t workspace_bytes;
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

static cameo_pool *pool_create(int threads) {
    xnn_pool *p = malloc(sizeof *p);
    if (!p) return NULL;
    *p = (xnn_pool){{pool_run, pool_destroy}, pthreadpool_create((size_t)threads)};
    if (p->pool) return &p->base;
    free(p);
    return NULL;
}

static pthreadpool_t threads_of(const cameo_context *c) {
    return c->pool ? ((xnn_pool *)c->pool)->pool : NULL;
}

static void state_delete(void *opaque) {
    state *st = opaque;
    if (!st) return;
    if (st->op) xnn_delete_operator(st->op);
    free(st->workspace);
    free(st);
}

const cameo_backend cameo_xnnpack = {.name = "XNNPACK",
                                     .pool_create = pool_create,
                                     .state_delete = state_delete,
                                     .shares_weights = false};

/* ---- what differs between the interfaces: creation of pools and sums; sizes and pointers before
   a run ---- */

#if RESHAPES

static enum xnn_status create_max_pool(state *st) {
    const cameo_xnn_window *s = &st->s;
    return xnn_create_max_pooling2d_nhwc_f32(s->pt, s->pr, s->pb, s->pl, s->kh, s->kw, s->sh, s->sw,
                                             s->dh, s->dw, s->least, s->most, 0, &st->op);
}

static enum xnn_status create_average_pool(state *st) {
    const cameo_xnn_window *s = &st->s;
    return xnn_create_average_pooling2d_nhwc_f32(s->pt, s->pr, s->pb, s->pl, s->kh, s->kw, s->sh,
                                                 s->sw, s->least, s->most, 0, &st->op);
}

/* There is a mean over axes, but of dense arrays only; a window as large as the map takes any
   distance of pixels. */
static enum xnn_status create_global_average_pool(state *st) {
    st->kind = AVERAGE_POOL;
    st->s.kh = st->s.h, st->s.kw = st->s.w;
    return create_average_pool(st);
}

static enum xnn_status create_add(state *st) {
    return xnn_create_binary_elementwise_nd(xnn_binary_add, xnn_datatype_fp32, NULL, NULL, NULL, 0,
                                            &st->op);
}

static enum xnn_status reshape_operator(state *st, size_t n, size_t *bytes, pthreadpool_t pool) {
    const cameo_xnn_window *s = &st->s;
    const size_t all = n * st->elements;
    size_t alignment;
    switch (st->kind) {
    case CONV:
        return xnn_reshape_convolution2d_nhwc_f32(st->op, n, s->h, s->w, bytes, &alignment, NULL,
                                                  NULL, pool);
    case DECONV:
        return xnn_reshape_deconvolution2d_nhwc_f32(st->op, n, s->h, s->w, s->adjust_h, s->adjust_w,
                                                    NULL, NULL, pool);
    case GEMM: return xnn_reshape_fully_connected_nc_f32(st->op, n, pool);
    case MAX_POOL:
        return xnn_reshape_max_pooling2d_nhwc_f32(st->op, n, s->h, s->w, s->ci, s->x_pixel,
                                                  s->y_pixel, NULL, NULL, pool);
    case AVERAGE_POOL:
        return xnn_reshape_average_pooling2d_nhwc_f32(st->op, n, s->h, s->w, s->ci, s->x_pixel,
                                                      s->y_pixel, bytes, &alignment, NULL, NULL,
                                                      pool);
    default: return xnn_reshape_binary_elementwise_nd(st->op, 1, &all, 1, &all, pool);
    }
}

/* A workspace has a piece for each task that runs at a time, so that of as many images as there
   are threads is the largest: it is made at creation, and running allocates none. */
static enum xnn_status reshape(state *st, size_t n, pthreadpool_t pool) {
    size_t bytes = 0;
    const enum xnn_status status = reshape_operator(st, n, &bytes, pool);
    st->images = status ? 0 : n;
    if (status || bytes <= st->workspace_bytes) return status;
    free(st->workspace);
    st->workspace_bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    st->workspace = aligned_alloc(ALIGNMENT, st->workspace_bytes);
    if (!st->workspace) st->images = st->workspace_bytes = 0;
    return st->workspace ? xnn_status_success : xnn_status_out_of_memory;
}

static enum xnn_status setup(state *st, size_t n, const float *x, const float *x2, float *y,
                             pthreadpool_t pool) {
    const enum xnn_status status = n == st->images ? xnn_status_success : reshape(st, n, pool);
    if (status) return status;
    switch (st->kind) {
    case CONV: return xnn_setup_convolution2d_nhwc_f32(st->op, st->workspace, x, y);
    case DECONV: return xnn_setup_deconvolution2d_nhwc_f32(st->op, x, y);
    case GEMM: return xnn_setup_fully_connected_nc_f32(st->op, x, y);
    case MAX_POOL: return xnn_setup_max_pooling2d_nhwc_f32(st->op, x, y);
    case AVERAGE_POOL: return xnn_setup_average_pooling2d_nhwc_f32(st->op, st->workspace, x, y);
    default: return xnn_setup_binary_elementwise_nd(st->op, x, x2, y);
    }
}

#else

static enum xnn_status create_max_pool(state *st) {
    const cameo_xnn_window *s = &st->s;
    return xnn_create_max_pooling2d_nhwc_f32(s->pt, s->pr, s->pb, s->pl, s->kh, s->kw, s->sh, s->sw,
                                             s->dh, s->dw, s->ci, s->x_pixel, s->y_pixel, s->least,
                                             s->most, 0, &st->op);
}

static enum xnn_status create_average_pool(state *st) {
    const cameo_xnn_window *s = &st->s;
    return xnn_create_average_pooling2d_nhwc_f32(s->pt, s->pr, s->pb, s->pl, s->kh, s->kw, s->sh,
                                                 s->sw, s->ci, s->x_pixel, s->y_pixel, s->least,
                                                 s->most, 0, &st->op);
}

static enum xnn_status create_global_average_pool(state *st) {
    const cameo_xnn_window *s = &st->s;
    return xnn_create_global_average_pooling_nwc_f32(s->ci, s->x_pixel, s->y_pixel, s->least,
                                                     s->most, 0, &st->op);
}

static enum xnn_status create_add(state *st) {
    return xnn_create_add_nd_f32(-INFINITY, INFINITY, 0, &st->op);
}

static enum xnn_status reshape(state *st, size_t n, pthreadpool_t pool) {
    (void)st, (void)n, (void)pool; /* setup does it all */
    return xnn_status_success;
}

static enum xnn_status setup(state *st, size_t n, const float *x, const float *x2, float *y,
                             pthreadpool_t pool) {
    const cameo_xnn_window *s = &st->s;
    const size_t all = n * st->elements;
    switch (st->kind) {
    case CONV: return xnn_setup_convolution2d_nhwc_f32(st->op, n, s->h, s->w, x, y, pool);
    case DECONV:
        return xnn_setup_deconvolution2d_nhwc_f32(st->op, n, s->h, s->w, s->adjust_h, s->adjust_w,
                                                  x, y, pool);
    case GEMM: return xnn_setup_fully_connected_nc_f32(st->op, n, x, y, pool);
    case MAX_POOL: return xnn_setup_max_pooling2d_nhwc_f32(st->op, n, s->h, s->w, x, y, pool);
    case AVERAGE_POOL:
        return xnn_setup_average_pooling2d_nhwc_f32(st->op, n, s->h, s->w, x, y, pool);
    case GLOBAL_POOL:
        return xnn_setup_global_average_pooling_nwc_f32(st->op, n, s->h * s->w, x, y, pool);
    default: return xnn_setup_add_nd_f32(st->op, 1, &all, 1, &all, x, x2, y, pool);
    }
}

#endif

/* ---- creation and runs ---- */

static void fail(cameo_context *c, const char *what, enum xnn_status status) {
    if (!c->error) return;
    c->error->code = CAMEO_ENVIRONMENT;
    snprintf(c->error->message, sizeof c->error->message,
             "failed to %s an XNNPACK operator: status %d", what, (int)status);
}

static state *begin(cameo_context *c, kind k, const cameo_xnn_window *s) {
    const enum xnn_status status = xnn_initialize(NULL);
    state *st = status ? NULL : calloc(1, sizeof *st);
    if (!st) return fail(c, "prepare", status ? status : xnn_status_out_of_memory), NULL;
    st->kind = k;
    if (s) st->s = *s;
    return st;
}

static void *finish(cameo_context *c, state *st, enum xnn_status status) {
    if (!status) status = reshape(st, (size_t)c->threads, threads_of(c));
    if (!status) return st;
    fail(c, "create", status);
    state_delete(st);
    return NULL;
}

static void *conv(cameo_context *c, const cameo_xnn_window *s, const float *w, const float *b,
                  uint32_t flags) {
    state *st = begin(c, CONV, s);
    if (!st) return NULL;
    return finish(c, st,
                  xnn_create_convolution2d_nhwc_f32(s->pt, s->pr, s->pb, s->pl, s->kh, s->kw, s->sh,
                                                    s->sw, s->dh, s->dw, s->groups, s->ci, s->co,
                                                    s->x_pixel, s->y_pixel, w, b, s->least, s->most,
                                                    flags, OPERATOR(st)));
}

void *cameo_xnn_conv(cameo_context *c, const cameo_xnn_window *s, const float *w, const float *b) {
    return conv(c, s, w, b, 0);
}

void *cameo_xnn_depthwise(cameo_context *c, const cameo_xnn_window *s, const float *w,
                          const float *b) {
    return conv(c, s, w, b, XNN_FLAG_DEPTHWISE_CONVOLUTION);
}

void *cameo_xnn_deconv(cameo_context *c, const cameo_xnn_window *s, const float *w,
                       const float *b) {
    state *st = begin(c, DECONV, s);
    if (!st) return NULL;
    return finish(c, st,
                  xnn_create_deconvolution2d_nhwc_f32(s->pt, s->pr, s->pb, s->pl, s->kh, s->kw,
                                                      s->sh, s->sw, s->dh, s->dw, s->groups, s->ci,
                                                      s->co, s->x_pixel, s->y_pixel, w, b, s->least,
                                                      s->most, 0, OPERATOR(st)));
}

void *cameo_xnn_gemm(cameo_context *c, const cameo_xnn_matrix *s, const float *w, const float *b) {
    state *st = begin(c, GEMM, NULL);
    if (!st) return NULL;
    return finish(c, st,
                  xnn_create_fully_connected_nc_f32(s->ci, s->co, s->ci, s->co, w, b, s->least,
                                                    s->most, 0, OPERATOR(st)));
}

void *cameo_xnn_max_pool(cameo_context *c, const cameo_xnn_window *s) {
    state *st = begin(c, MAX_POOL, s);
    return st ? finish(c, st, create_max_pool(st)) : NULL;
}

void *cameo_xnn_average_pool(cameo_context *c, const cameo_xnn_window *s) {
    state *st = begin(c, AVERAGE_POOL, s);
    return st ? finish(c, st, create_average_pool(st)) : NULL;
}

void *cameo_xnn_global_average_pool(cameo_context *c, const cameo_xnn_window *s) {
    state *st = begin(c, GLOBAL_POOL, s);
    return st ? finish(c, st, create_global_average_pool(st)) : NULL;
}

void *cameo_xnn_add(cameo_context *c, size_t elements) {
    state *st = begin(c, ADD, NULL);
    if (!st) return NULL;
    st->elements = elements;
    return finish(c, st, create_add(st));
}

void cameo_xnn_run(cameo_context *c, void *opaque, size_t n, const float *x, const float *x2,
                   float *y) {
    state *st = opaque;
    enum xnn_status status = setup(st, n, x, x2, y, threads_of(c));
    if (!status) status = xnn_run_operator(st->op, threads_of(c));
    if (status) fail(c, "run", status);
}
