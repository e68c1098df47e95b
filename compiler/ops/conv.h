/* Conv and the fused internal Conv are one computation; conv.c holds it, internal.c and conv.c make rows of it. */
#ifndef CAMEO_CONV_H
#define CAMEO_CONV_H
#include "../op.h"

/* Inputs X, W, B?; and for the internal row R? (residual) and S? (PRelu slope). */
bool conv_infer(graph *g, node *n);
bool conv_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out, const char **why);
void conv_emit(struct emitter *e, const node *n);
/* Residual, slope: input 3 and 4 of internal rows; of com.microsoft FusedConv only 3 (Z). */
double conv_finish(const node *n, const tensor *const *in, double v, int64_t channel, int64_t index);
#endif
