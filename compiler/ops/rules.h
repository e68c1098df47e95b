/* Gradient rules of rows whose tables stand in other files: elementwise.c, activation.c, reduce.c ... take them from the
   <family>_grad.c files. See compiler/grad.h. */
#ifndef CAMEO_OPS_RULES_H
#define CAMEO_OPS_RULES_H
#include "../grad.h"

typedef bool gradient_rule(graph *g, node *n, value *const *dout, value **din);

gradient_rule add_grad, mul_grad; /* elementwise_grad.c */
gradient_rule activation_grad;    /* activation_grad.c */
gradient_rule reduce_sum_grad;    /* reduce_grad.c */

unsigned reduce_mask(arena *a, const node *n); /* reduce.c: the axes that n reduces */

static inline bool rule_wants(const node *n, size_t i) { return op_present(n, i) && n->in[i]->wants_grad; }
#endif
