/* The pipeline as a whole. compile.c holds the table of passes: read that first. */
#ifndef CAMEO_COMPILE_H
#define CAMEO_COMPILE_H
#include "ir/options.h"

/* import .. gate A (through pass_batch); NULL after errors. For info, check, compare. */
graph *compile_front(arena *a, diag *d, const options *o);
/* As far as the file alone goes: for info, where extents of inputs have names and no values.
   *whole: all of compile_front was done; else shapes hold symbols, and nothing is known of what
   lies between inputs and outputs. NULL after errors. */
graph *compile_outline(arena *a, diag *d, const options *o, bool *whole);
/* fuse .. gate B on a graph from compile_front. */
bool compile_back(graph *g, const options *o);
/* Everything including the C compiler, kernels chosen by the rule (by time: tuning_compile).
   Returns the exit code. Messages to stderr. */
int compile_model(const options *o);

/* The passes up to gate A on a graph just imported, and everything behind gate A including the C
   compiler (returns an exit code). For `conform` and `compare`, which look at the graph in
   between. */
bool compile_check(graph *g, const options *o);
int compile_rest(graph *g, const options *o);
/* Names of the passes in order; NULL behind the last. */
const char *compile_pass_name(size_t i);
#endif
