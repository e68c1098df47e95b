/* A model file without its parameters, for checkpoints that are ONNX models again. */
#ifndef CAMEO_SKELETON_H
#define CAMEO_SKELETON_H
#include "ir.h"

/* Reads the file again and splits it: model_fields gets ModelProto's fields but for its graph, graph_fields GraphProto's but
   for the initializers that are parameters of g, and Constant nodes that hold one. Both are appended to. false after
   diag_error. */
bool skeleton_split(const graph *g, const char *path, text *model_fields, text *graph_fields);
#endif
