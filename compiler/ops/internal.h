/* What the internal (domain "cameo") rows and the kernels share: the activation fused into a node, as C text and as a number.
 */
#ifndef CAMEO_INTERNAL_H
#define CAMEO_INTERNAL_H
#include "../ir/op.h"

/* C expression of n's fused activation (attribute act) of the float variable x; slope is the C expression of PRelu's slope for
   this channel, unused by other activations. x is repeated, so it must be free of side effects. */
const char *act_expression(arena *a, const node *n, const char *x, const char *slope);
/* The same as a number, for references. */
double act_apply(const node *n, double x, double slope);
#endif
