/* What the plan and layout passes share. Values live in the graph's arena; nothing here owns memory. */
#ifndef CAMEO_PASSES_PLAN_H
#define CAMEO_PASSES_PLAN_H
#include "../compile.h"

/* Equal layouts, or layouts that order the elements alike: one channel, or one pixel. */
bool layout_is_same_memory(const value *x, const value *y);
/* The layout pass found that input and output are the same memory, read in another order of axes. */
bool node_is_relabel(const node *n);
/* Elements of a value that lie in memory at once: of one group of images. */
int64_t value_planned_count(const graph *g, const value *v);
/* Gate B: BUG() when two values that are alive together overlap. */
void plan_check(const graph *g);
#endif
