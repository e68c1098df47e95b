/* The functions of the cameo.ConvChain row (internal.c has the row). */
#ifndef CAMEO_OPS_CHAIN_H
#define CAMEO_OPS_CHAIN_H
#include "../ir/op.h"

bool chain_infer(graph *g, node *n);
OP_REFERENCE(chain_reference);
#endif
