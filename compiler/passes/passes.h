/* The passes, in the order of compile.c's table. Each returns false when it added errors to
   g->diag. */
#ifndef CAMEO_PASSES_H
#define CAMEO_PASSES_H
#include "../ir/options.h"

bool pass_resolve(graph *g, const options *o);
bool pass_infer(graph *g, const options *o);
bool pass_fold(graph *g, const options *o);
bool pass_simplify(graph *g, const options *o);
bool pass_batch(graph *g, const options *o); /* proves value.batched, applies --batch */
bool pass_fuse(graph *g, const options *o);
bool pass_average(graph *g, const options *o);
bool pass_layout(graph *g, const options *o);
/* --train: on both graphs, before they part */
bool pass_parameters(graph *g, const options *o); /* which initializers are parameters */
bool pass_head(graph *g, const options *o);       /* --classes: the classifier anew */
/* --train: on the step graph */
bool pass_train_forms(graph *g, const options *o); /* operators that do something else in training
                                                    */
bool pass_loss(graph *g, const options *o);        /* labels in, loss out */
bool pass_step_fuse(graph *g, const options *o);   /* BatchNormTrain + residual + activation */
bool pass_backward(graph *g, const options *o);    /* gradients, as nodes */
bool pass_step_finish(graph *g, const options *o); /* internal forms of what kernels serve */
/* Orders of parameters, for both graphs at once (behind layout), and their places in the block. */
void parameters_order(graph *infer, graph *step, const options *o);
void parameters_place(graph *g);
bool pass_select(graph *g, const options *o);
bool pass_chains(graph *g, const options *o);
bool pass_group(graph *g, const options *o);
bool pass_schedule(graph *g, const options *o);
bool pass_plan(graph *g, const options *o);
#endif
