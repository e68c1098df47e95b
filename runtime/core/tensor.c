/* Element types and sizes of tensors. */
#include "tensor.h"
#include "../cameo.h"
#include <math.h>
#include <string.h>

static const struct dtype_row {
    const char *name, *c, *npy;
    size_t size; /* 0: not held in dense arrays */
} rows[] = {
    [0] = {"undefined", NULL, NULL, 0},       [1] = {"float32", "float", "f4", 4},
    [2] = {"uint8", "uint8_t", "u1", 1},      [3] = {"int8", "int8_t", "i1", 1},
    [4] = {"uint16", "uint16_t", "u2", 2},    [5] = {"int16", "int16_t", "i2", 2},
    [6] = {"int32", "int32_t", "i4", 4},      [7] = {"int64", "int64_t", "i8", 8},
    [8] = {"string", NULL, NULL, 0},          [9] = {"bool", "unsigned char", "b1", 1},
    [10] = {"float16", NULL, "f2", 2},        [11] = {"float64", "double", "f8", 8},
    [12] = {"uint32", "uint32_t", "u4", 4},   [13] = {"uint64", "uint64_t", "u8", 8},
    [14] = {"complex64", NULL, NULL, 8},      [15] = {"complex128", NULL, NULL, 16},
    [16] = {"bfloat16", NULL, NULL, 2},       [17] = {"float8e4m3fn", NULL, NULL, 0},
    [18] = {"float8e4m3fnuz", NULL, NULL, 0}, [19] = {"float8e5m2", NULL, NULL, 0},
    [20] = {"float8e5m2fnuz", NULL, NULL, 0}, [21] = {"uint4", NULL, NULL, 0},
    [22] = {"int4", NULL, NULL, 0},           [23] = {"float4e2m1", NULL, NULL, 0},
    [24] = {"float8e8m0", NULL, NULL, 0},     [25] = {"uint2", NULL, NULL, 0},
    [26] = {"int2", NULL, NULL, 0},
};

static const struct dtype_row *row_of(int dtype) {
    static const struct dtype_row unknown = {"unknown type", NULL, NULL, 0};
    return dtype >= 0 && (size_t)dtype < sizeof rows / sizeof *rows ? &rows[dtype] : &unknown;
}

size_t cameo_dtype_size(int dtype) { return row_of(dtype)->size; }
const char *cameo_dtype_name(int dtype) { return row_of(dtype)->name; }
const char *cameo_dtype_c(int dtype) { return row_of(dtype)->c; }
const char *cameo_dtype_npy(int dtype) { return row_of(dtype)->npy; }

uint16_t cameo_bfloat16(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return isnan(v) ? 0x7FC0 : (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
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
