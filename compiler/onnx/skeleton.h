/* A model file without its parameters, for checkpoints that are ONNX models again. */
#ifndef CAMEO_SKELETON_H
#define CAMEO_SKELETON_H
#include "../ir/ir.h"

/* Splits the file that onnx_import kept: model_fields gets ModelProto's fields but for its graph,
   graph_fields GraphProto's but for the initializers that are parameters of g, and nodes that made
   one of stored tensors alone (Constant, Identity, views). Nodes read what graph.file says, and
   are in evaluation form. Both are appended to. */
void skeleton_split(const graph *g, text *model_fields, text *graph_fields);
/* Appends a GraphProto field: a node (of integer attributes; no input is absent), a constant as a
   node. */
void skeleton_node(text *t, const node *n);
void skeleton_constant(text *t, const value *v);
#endif
