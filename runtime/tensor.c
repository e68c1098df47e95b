/* Element types and sizes of tensors. */
#include "cameo.h"

static const struct dtype_row {
    int dtype;
    size_t size;
    const char *name;
} dtypes[] = {{1, 4, "float32"}, {2, 1, "uint8"}, {3, 1, "int8"},     {4, 2, "uint16"},   {5, 2, "int16"},   {6, 4, "int32"},
              {7, 8, "int64"},   {9, 1, "bool"},  {10, 2, "float16"}, {11, 8, "float64"}, {12, 4, "uint32"}, {13, 8, "uint64"}};

static const struct dtype_row *find(int dtype) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].dtype == dtype) return &dtypes[i];
    return NULL;
}

size_t cameo_dtype_size(int dtype) {
    const struct dtype_row *row = find(dtype);
    return row ? row->size : 0;
}

const char *cameo_dtype_name(int dtype) {
    const struct dtype_row *row = find(dtype);
    return row ? row->name : "unknown";
}

size_t cameo_tensor_elements(const cameo_tensor_info *t) {
    size_t count = 1;
    for (int i = 0; i < t->rank; i++) count *= (size_t)t->dim[i];
    return count;
}

size_t cameo_image_elements(const cameo_tensor_info *t) {
    size_t count = 1;
    for (int i = t->batched ? 1 : 0; i < t->rank; i++) count *= (size_t)t->dim[i];
    return count;
}
