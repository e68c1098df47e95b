/* XNNPACK behind our own functions: the only users of xnnpack.h are this header's xnn.c and nobody
   else. Operators are made once by the generated create(), live in c->state and are freed with the
   context. Everything is NHWC float32. */
#ifndef CAMEO_XNN_H
#define CAMEO_XNN_H
#include "../cameo_abi.h"
#include "shapes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Each returns the operator, or NULL with c->error filled. w: [co][kh][kw][ci] of all groups,
   depthwise [kh][kw][groups]. b may be NULL. */
void *cameo_xnn_conv(cameo_context *c, const cameo_xnn_window *s, const float *w, const float *b);
void *cameo_xnn_depthwise(cameo_context *c, const cameo_xnn_window *s, const float *w,
                          const float *b);
void *cameo_xnn_deconv(cameo_context *c, const cameo_xnn_window *s, const float *w, const float *b);
void *cameo_xnn_gemm(cameo_context *c, const cameo_xnn_matrix *s, const float *w,
                     const float *b); /* w: [co][ci] */
void *cameo_xnn_max_pool(cameo_context *c, const cameo_xnn_window *s);
void *cameo_xnn_average_pool(cameo_context *c, const cameo_xnn_window *s);
void *cameo_xnn_global_average_pool(cameo_context *c, const cameo_xnn_window *s);
void *cameo_xnn_add(cameo_context *c, size_t elements);
/* n images (rows, for gemm). x2: add's other operand, else NULL. x needs 16 readable bytes behind
   it. */
void cameo_xnn_run(cameo_context *c, void *state, size_t n, const float *x, const float *x2,
                   float *y);

/* After a run: computes outputs again that depend on a NaN or an infinity, which XNNPACK's clamps
   and maxima lose (nonfinite.c). w, b: as at creation; x must be intact. */
void cameo_xnn_mend(cameo_context *c, const cameo_xnn_doubt *d, size_t n, const float *x,
                    const float *w, const float *b, float *y);
void cameo_xnn_mend_sum(cameo_context *c, const cameo_xnn_doubt *d, size_t n, const float *x,
                        const float *x2, float *y);
extern const cameo_backend cameo_xnnpack; /* its pool is a pthreadpool */

#ifdef __cplusplus
}
#endif
#endif
