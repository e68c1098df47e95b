/* Tensors in files: .npy (NumPy's format 1.0, 2.0, 3.0) and ONNX's TensorProto (.pb). data is
   owned by the array. */
#ifndef CAMEO_NPY_H
#define CAMEO_NPY_H
#include "../cameo.h"

typedef struct cameo_array {
    int dtype; /* ONNX number */
    int rank;
    int64_t dim[8];
    size_t count; /* elements */
    void *data;   /* dense, C order */
} cameo_array;

/* Allocates data (zeroed) for dtype, rank and dim; checks the product. */
bool cameo_array_allocate(cameo_array *a, const char *name, cameo_error *error);
void cameo_array_free(cameo_array *a);
/* "[2,3]" into the buffer; returns it. */
const char *cameo_shape_text(const int64_t *dim, int rank, char buffer[200]);

bool cameo_npy_decode(const unsigned char *data, size_t size, const char *name, cameo_array *a,
                      cameo_error *error);
bool cameo_pb_decode(const unsigned char *data, size_t size, const char *name, cameo_array *a,
                     cameo_error *error);
/* By the file's first bytes: "\x93NUMPY" is .npy, all else TensorProto. */
bool cameo_array_read(const char *path, cameo_array *a, cameo_error *error);
bool cameo_npy_write(const char *path, const cameo_array *a, cameo_error *error);
bool cameo_pb_write(const char *path, const char *tensor_name, const cameo_array *a,
                    cameo_error *error);
#endif
