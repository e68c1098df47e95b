/* The functions of the cameo.ConvChain row (internal.c has the row). */
#ifndef CAMEO_OPS_CHAIN_H
#define CAMEO_OPS_CHAIN_H
#include "../ir/op.h"

bool chain_infer(graph *g, node *n);
bool chain_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                     const char **why);
#endif
