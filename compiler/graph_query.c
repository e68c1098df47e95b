/* Answers about a graph; see graph_query.h. */
#include "graph_query.h"

bool node_is(const node *n, opcode op) { return n && !n->dead && n->opcode == op; }
