/* ONNX writer: a plain description of a model goes in, a file comes out.

   The description only borrows: names, nodes and tensors belong to the caller and must live until
   the call returns. Weights need not exist in memory beforehand: a tensor may name a function that
   writes them straight into the file's buffer. The bytes are a function of the description alone
   (no dates, no paths), so the same description always gives the same file. */
#ifndef CAMEO_ONNX_EXPORT_H
#define CAMEO_ONNX_EXPORT_H
#include "../../runtime/base/files.h"
#include "../../runtime/base/wire.h"
#include "../base/text.h"

enum { ONNX_EXPORT_IR = 8, ONNX_EXPORT_OPSET = 17 };
/* Element types (TensorProto.DataType). */
enum { ONNX_FLOAT32 = 1, ONNX_INT64 = 7 };

typedef struct onnx_tensor {
    const char *name; /* NULL inside an attribute */
    int dtype;        /* ONNX_FLOAT32 or ONNX_INT64 */
    size_t rank;
    const int64_t *dims;
    const void *data; /* little-endian elements; NULL: fill is called */
    void (*fill)(const struct onnx_tensor *t, size_t count, unsigned char *out); /* out may be
                                                                                    unaligned */
    const void *source;                                                          /* for fill */
} onnx_tensor;

/* The numbers are AttributeProto.AttributeType. */
typedef enum onnx_attribute_type {
    ONNX_ATTR_FLOAT = 1,
    ONNX_ATTR_INT = 2,
    ONNX_ATTR_STRING = 3,
    ONNX_ATTR_TENSOR = 4,
    ONNX_ATTR_INTS = 7
} onnx_attribute_type;

typedef struct onnx_attribute {
    const char *name;
    onnx_attribute_type type;
    float f;
    int64_t i;
    const char *s;
    const onnx_tensor *t;
    const int64_t *ints;
    size_t n_ints;
} onnx_attribute;

typedef struct onnx_node {
    const char *op, *name;
    const char **inputs, **outputs; /* "" = absent input */
    size_t n_inputs, n_outputs, n_attributes;
    const onnx_attribute *attributes;
} onnx_node;

typedef struct onnx_dim {
    const char *symbol; /* NULL: value */
    int64_t value;
} onnx_dim;

typedef struct onnx_value {
    const char *name;
    int dtype;
    size_t rank;
    const onnx_dim *dims;
} onnx_value;

typedef struct onnx_model {
    const char *producer, *producer_version, *graph_name;
    const onnx_node *nodes;
    const onnx_tensor *initializers;
    const onnx_value *inputs, *outputs;
    const cameo_entry *properties; /* metadata_props */
    size_t n_nodes, n_initializers, n_inputs, n_outputs, n_properties;
} onnx_model;

/* Messages alone: an onnx_node as NodeProto, an onnx_value as ValueInfoProto. */
cameo_message onnx_write_node, onnx_write_value;
/* Appends a message as a field of another. */
void onnx_append(text *t, unsigned field, cameo_message *write, const void *item);
/* Size of the file in bytes; 0 when a tensor's size overflows or the file would pass protobuf's 2
   GB limit. */
size_t onnx_export_size(const onnx_model *m);
/* The file's bytes, malloc'ed (free it); NULL when there are too many (see above) or there is no
   memory. */
unsigned char *onnx_export_memory(const onnx_model *m, size_t *size);
/* False with *error: CAMEO_BAD_INPUT when it does not fit an ONNX file. */
bool onnx_export_file(const onnx_model *m, const char *path, cameo_error *error);
#endif
