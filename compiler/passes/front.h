/* Shared by the passes before gate A: evaluating single nodes, and the rules of the batch axis. */
#ifndef CAMEO_PASSES_FRONT_H
#define CAMEO_PASSES_FRONT_H
#include "passes.h"

/* fold.c: evaluates a node whose inputs are all constants (or that asks only for a shape) and
   makes its outputs constants; the node is then dead. limit: bytes its outputs may have beyond its
   inputs. True when it was folded. */
bool fold_node(graph *g, node *n, size_t limit);

/* infer.c: whether the file and o tell all extents of the inputs, so that the passes can run; and,
   where they do not, what o has of them goes into the inputs' shapes (false after an error). */
bool infer_has_shapes(const graph *g, const options *o);
bool infer_outline(graph *g, const options *o);

/* batch.c. Marks the outputs of n as batched where images do not mix, given batch extent `batch`.
   False when images mix. */
bool batch_mark(node *n, int64_t batch);
/* Rewrites a literal 1 in front of a Reshape's constant shape to the batch, where its data is
   batched. */
void batch_rewrite(graph *g, node *n, int64_t batch);
/* The extent of the batch axis: that of the first run-time input; 0 when it has none. */
int64_t batch_extent(const graph *g);
/* Marks run-time inputs whose first axis is the batch, and unmarks everything else. */
void batch_mark_inputs(graph *g, int64_t batch);

/* mode.c: nodes in training form become ordinary ones, which training gives their form again; said
   in one line. */
void mode_evaluate(graph *g);

/* parameters.c: a constant becomes a parameter; statistic: kept, not learnt. */
void parameter_add(graph *g, const options *o, value *v, bool statistic);
/* False, reported, when a pattern of --freeze names nothing; behind `head`, whose parameters may
   be meant. */
bool parameters_check_freeze(graph *g, const options *o);

/* step.c: another input of the step graph, [count]. */
value *step_input(graph *g, const char *name, dtype type, int64_t count);

/* embedding.c: what --embedding, else the model's metadata, calls the embedding, NULL: neither
   does; the tensor of that name, NULL: there is none. The pass sets graph.embedding. */
const char *embedding_name(const graph *g, const options *o);
value *embedding_named(const graph *g, const options *o);
graph_pass pass_embedding;
/* preprocess.c: --preprocess, or the model's metadata, fits the input. */
graph_pass pass_preprocess;
/* concat.c: Concats that begin with the operands of an earlier one continue it. True when
   something changed. */
bool concats_continue(graph *g);
/* pool.c: Pads, means over the image and windows over all of it become what pools say by
   themselves. True when n changed. */
bool pool_simplify(graph *g, node *n);
#endif
