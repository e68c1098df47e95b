/* What the plan and layout passes share. Values live in the graph's arena; nothing here owns
   memory. */
#ifndef CAMEO_PASSES_PLAN_H
#define CAMEO_PASSES_PLAN_H
#include "../ir/graph_query.h"
#include "passes.h"

/* Gate B: BUG() when two values that are alive together overlap. */
void plan_check(const graph *g);
#endif
