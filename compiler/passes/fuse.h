/* Shared by the two files of the fuse pass: questions about neighbours, and joining a node with
   the one behind it. */
#ifndef CAMEO_PASSES_FUSE_H
#define CAMEO_PASSES_FUSE_H
#include "../ir/graph_query.h"
#include "../ops/act.h"
#include "passes.h"

/* A constant float/double scalar; false when v is none. */
bool fuse_scalar(const value *v, double *out);
value *fuse_constant(graph *g, const char *name, const int64_t *dim, int rank, const double *data);

/* fuse.c: the operand of a node of two that is not x; and what next adds to n's output, elements
   of its shape that a run computes (NULL: it does no such thing). */
value *fuse_other(const node *n, const value *x);
value *fuse_addend(const node *n, const node *next);
/* fuse.c: an ONNX Conv of float images becomes cameo.Conv, all window attributes given; others
   stay as they are. */
void fuse_make_conv(graph *g, node *n);
/* shuffle.c: channel shuffles become cameo.Interleave. */
void fuse_shuffles(graph *g);
/* activation.c: when c clips at constants, its bounds become n's act_min and act_max. */
bool fuse_clip(graph *g, node *n, const node *c);
/* activation.c: joins the activation behind n (whose act is "none") into its attributes. True when
   it did. */
bool fuse_activation(graph *g, node *n);
#endif
