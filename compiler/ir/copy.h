/* Operators whose outputs are strided copies of their inputs. An operator says where elements go
   in a copy_plan, made from any strides; reference (dense strides, bytes) and emission
   (value_strides) both follow from it. */
#ifndef CAMEO_COPY_H
#define CAMEO_COPY_H
#include "op.h"

enum { COPY_RANK = 2 * MAX_RANK };

typedef struct copy { /* to[to_offset + sum i*to] = from[from_offset + sum i*from], all in elements
                       */
    int rank;
    int64_t extent[COPY_RANK], from[COPY_RANK], to[COPY_RANK], from_offset, to_offset;
} copy;

typedef struct side { /* one operand: its shape and strides */
    const shape *shape;
    int64_t stride[MAX_RANK];
} side;

/* Plans one part of a node: the copy from x to y. A part is an input of an operator that joins
   inputs, else an output. */
typedef void (*copy_plan)(const node *n, size_t part, const side *x, const side *y, copy *c);

/* Begins the definition of one, whose parameters are called as above. */
#define COPY_PLAN(name) \
    void name(OP_MAYBE const node *n, OP_MAYBE size_t part, const side *x, const side *y, copy *c)

/* What op_row.copy says: a part is an input where it joins, else an output. */
typedef struct copy_row {
    copy_plan plan;
    bool joins;
} copy_row;

/* The copy that part of n makes, given the strides that its values have in memory; false when
   nothing is left to move. */
bool copy_of_part(const node *n, size_t part, copy *c);
/* Every part is in place: nothing to emit. */
bool copy_is_done(const node *n);
/* Its operand and result. */
value *copy_from(const node *n, size_t part);
value *copy_to(const node *n, size_t part);
size_t copy_parts(const node *n);

/* Appends an axis to a plan. */
void copy_axis(copy *c, int64_t extent, int64_t from, int64_t to);
/* Element strides of a dense, row-major tensor. */
void copy_dense(const shape *s, int64_t stride[MAX_RANK]);
/* op_row.same of operators that move nothing when the shape stays. */
int copy_same(const graph *g, const node *n);
/* All inputs have types that can be copied; else false after diag_error. */
bool copy_type(graph *g, const node *n);
/* A Transpose whose axes longer than 1 stay in order: the same memory in another shape. (move.c) */
bool transpose_keeps_order(const node *n);

void copy_run(const node *n, const tensor *const *in, tensor *const *out, copy_plan plan,
              bool joins);
#endif
