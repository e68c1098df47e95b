/* What the plan and layout passes share. Values live in the graph's arena; nothing here owns
   memory. */
#ifndef CAMEO_PASSES_PLAN_H
#define CAMEO_PASSES_PLAN_H
#include "../ir/graph_query.h"
#include "passes.h"

/* Equal layouts, or layouts that order the elements alike: one channel, or one pixel. */
bool layout_is_same_memory(const value *x, const value *y);
/* Gate B: BUG() when two values that are alive together overlap. */
void plan_check(const graph *g);
#endif
