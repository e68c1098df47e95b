/* Reading ONNX files. */
#ifndef CAMEO_ONNX_H
#define CAMEO_ONNX_H
#include "../ir/ir.h"

/* NULL after diag_error. The file need not exist or be ONNX. keep: its bytes stay, in
   graph.file. */
graph *onnx_import(arena *a, diag *d, const char *path, bool keep);
/* As above from memory; directory = where external data may be, NULL = none allowed. */
graph *onnx_import_memory(arena *a, diag *d, const void *data, size_t size, const char *directory);
/* A TensorProto file (test_data_set_*, .pb); NULL with *why set. Shares the importer's
   hardening. */
tensor *onnx_read_tensor(arena *a, const char *path, const char **name, const char **why);
#endif
