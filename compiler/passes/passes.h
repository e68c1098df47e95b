/* The passes, in the order of compile.c's table. Each returns false when it added errors to
   g->diag. */
#ifndef CAMEO_PASSES_H
#define CAMEO_PASSES_H
#include "../ir/options.h"

typedef bool graph_pass(graph *g, const options *o);

graph_pass pass_resolve, pass_infer, pass_fold, pass_simplify;
graph_pass pass_batch; /* proves value.batched, applies --batch */
graph_pass pass_fuse, pass_average, pass_layout;
/* --train: on both graphs, before they part */
graph_pass pass_parameters, /* which initializers are parameters */
    pass_head;              /* --classes: the classifier anew */
/* --train: on the step graph */
graph_pass pass_train_forms, /* operators that do something else in training */
    pass_loss,               /* labels in, loss out */
    pass_step_fuse,          /* BatchNormTrain + residual + activation */
    pass_backward,           /* gradients, as nodes */
    pass_step_finish;        /* internal forms of what kernels serve */
/* Orders of parameters, for both graphs at once (behind layout), and their places in the block. */
void parameters_order(graph *infer, graph *step, const options *o);
void parameters_place(graph *g);
graph_pass pass_select, pass_chains, pass_group, pass_schedule, pass_plan;
#endif
