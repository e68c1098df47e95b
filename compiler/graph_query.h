/* What passes and emission ask about a graph. Nothing here changes it. */
#ifndef CAMEO_GRAPH_QUERY_H
#define CAMEO_GRAPH_QUERY_H
#include "op.h"

/* n is there, alive and of that operator. */
bool node_is(const node *n, opcode op);
bool graph_has(const graph *g, const node *n); /* it was not swept away */

/* Who reads v is v->uses, v->n_uses reads by live nodes. */
bool value_is_read(const value *v); /* by a node; or it leaves the graph, as an output or a parameter's new value */
bool value_is_kept(const graph *g, const value *v); /* leaves the graph or is the embedding: it must exist */
/* The only node that reads v, once, when v need not exist otherwise; else NULL. */
node *value_consumer(const graph *g, const value *v);
bool node_has_one_output(const node *n);                     /* nobody reads another than out 0 */
bool parameter_is_read(const graph *g, const parameter *p);  /* by any node, itself or its new value */
const char *graph_metadata(const graph *g, const char *key); /* NULL when there is none */
/* The class scores: the first output, or what a final Softmax is applied to. */
value *graph_logits(const graph *g);
#endif
