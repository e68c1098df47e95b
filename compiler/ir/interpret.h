#ifndef CAMEO_INTERPRET_H
#define CAMEO_INTERPRET_H
#include "ir.h"

/* Reference interpreter: evaluates every node with op_row.reference. inputs[i] for g->inputs[i].
   On return results[v->id] is set for every value computed. false with diag_error when an operator
   has no reference. */
bool interpret(graph *g, tensor *const *inputs, tensor **results);
#endif
