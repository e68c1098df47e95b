/* What passes and emission ask about a graph. Nothing here changes it. */
#ifndef CAMEO_GRAPH_QUERY_H
#define CAMEO_GRAPH_QUERY_H
#include "op.h"

/* n is there, alive and of that operator. */
bool node_is(const node *n, opcode op);
#endif
