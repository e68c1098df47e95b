/* How the operands of elementwise nodes are spread over the result. */
#ifndef CAMEO_BROADCAST_H
#define CAMEO_BROADCAST_H
#include "op.h"

/* Shape of out 0 of elementwise nodes by the node's opset: numpy broadcasting, or the
   broadcast/axis attributes of opset <= 6. */
bool broadcast_shape(graph *g, node *n, shape *out);
/* Axis of out 0 that operand i's first axis lies on. */
int broadcast_offset(const node *n, size_t i);
/* Element of each operand at each element of out: at[i] for operand i. One call a position, in
   row-major order. */
void broadcast_at(const node *n, const shape *out, const tensor *const *in, int64_t linear,
                  int64_t *at);
#endif
