/* What passes and emission ask about a graph. Nothing here changes it. */
#ifndef CAMEO_GRAPH_QUERY_H
#define CAMEO_GRAPH_QUERY_H
#include "op.h"

/* n is there, alive and of that operator. */
bool node_is(const node *n, opcode op);
bool node_is_softmax(const node *n);           /* or its logarithm */
bool graph_has(const graph *g, const node *n); /* it was not swept away */

/* Who reads v is v->uses, v->n_uses reads by live nodes. */
bool value_is_read(const value *v); /* by a node; or it leaves the graph, as an output or a
                                       parameter's new value */
bool value_is_kept(const graph *g, const value *v); /* leaves the graph or is the embedding: it must
                                                       exist */
/* The only node that reads v, once, when v need not exist otherwise; else NULL. */
node *value_consumer(const graph *g, const value *v);
bool node_is_batched(const node *n); /* all inputs that a run computes, and all outputs, are batched
                                      */
/* The layout pass found that input and output are the same memory, read in another order of
   axes. */
bool node_is_relabel(const node *n);
bool value_is_in_any_order(const value *v); /* one channel, or one pixel: NHWC and ONNX are the same
                                               memory */
bool node_is_view(const node *n);           /* its output is its input's memory */
int64_t image_elements(const value *v); /* elements between images of v (of its base when a view) */
/* Elements of a value that lie in memory at once: of one group of images. */
int64_t value_planned_count(const graph *g, const value *v);
bool node_has_one_output(const node *n);                     /* nobody reads another than out 0 */
bool parameter_is_read(const graph *g, const parameter *p);  /* by any node, itself or its new value
                                                              */
int64_t graph_opset(const graph *g, const char *domain);     /* that it imports; 0: none */
const char *graph_metadata(const graph *g, const char *key); /* NULL when there is none */
/* The class scores: the first output, or what a final Softmax is applied to. */
value *graph_logits(const graph *g);
#endif
