/* What plain emitters share beyond emit.h: loops named by axis, strides for runs of n images, and
   tasks.

   A task is a function of one index. Its pointers are the node's: in0, in1 ... out0 ..., but for
   inputs that only decide shapes. Usage: emit_task_open; append statements that use `i` to
   emit_helpers; emit_task_close. Small work runs in a plain loop. */
#ifndef CAMEO_EMIT_LOOPS_H
#define CAMEO_EMIT_LOOPS_H
#include "emit.h"

/* value_strides(), but images of a batched node lie image_elements() apart. */
void emit_strides(const node *n, const value *v, int64_t stride[MAX_RANK]);
/* `for (size_t iK...)` over one axis. */
void emit_axis_loop(text *t, int axis, int64_t extent);

/* The body's loops over the elements of a value, which are these lines. */
void emit_each(emitter *e, const node *n, const value *v, const char *lines);
/* Index of v at the loops' element. */
const char *emit_index_of(emitter *e, const value *v);

void emit_task_open(emitter *e, const node *n);
/* Runs `count` (a C expression) tasks; in parallel when there are at least 65536 units of work
   altogether. */
void emit_task_close(emitter *e, const node *n, const char *count, double work);
/* The number of tasks that emit_task_indices() splits: a product, in which n stands for the first
   extent of a batched node. */
const char *emit_task_count(emitter *e, const node *n, const int64_t *extent, int rank);
/* Splits task index `i` into the indices of leading axes 0..rank-1 (i0, i1 ...). The first may be
   the image: it needs no extent. */
void emit_task_indices(emitter *e, const int64_t *extent, int rank);
#endif
