/* Conv and the fused internal Conv are one computation; conv.c holds it, internal.c and conv.c
   make rows of it. What the backward rows (conv_grad.c) share with it follows. */
#ifndef CAMEO_CONV_H
#define CAMEO_CONV_H
#include "rules.h"
#include "window.h"

/* Inputs X, W, B?; and for the internal row R? (residual) and S? (PRelu slope). */
bool conv_infer(graph *g, node *n);
OP_REFERENCE(conv_reference);
void conv_emit(struct emitter *e, const node *n);
/* Residual, slope: input 3 and 4 of internal rows; of com.microsoft FusedConv only 3 (Z). */
double conv_finish(const node *n, const tensor *const *in, double v, int64_t channel,
                   int64_t index);

/* y from in[0] and in[1] through w, as Conv or as ConvTranspose computes it; and the plain loops
   of that. */
void conv_run(arena *a, const node *n, const tensor *const *in, tensor *y, const window *w,
              bool transposed);
void conv_emit_window(struct emitter *e, const node *n, const window *w, bool transposed);

gradient_rule conv_grad, conv_transpose_grad; /* conv_grad.c */
#endif
