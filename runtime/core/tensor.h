/* Element types, by their ONNX numbers. Sizes and names are in cameo.h: cameo_dtype_size,
   cameo_dtype_name. */
#ifndef CAMEO_TENSOR_H
#define CAMEO_TENSOR_H
#include <stdint.h>

const char *cameo_dtype_c(int dtype);   /* "float", "int64_t", "unsigned char" (bool); NULL where C
                                           has no such type */
const char *cameo_dtype_npy(int dtype); /* NumPy's code behind the sign for the order of bytes,
                                           "f4"; NULL where it has none */

/* The upper half of a float, rounded to nearest, ties to even; infinities stay, NaN is 0x7FC0. */
uint16_t cameo_bfloat16(float v);
#endif
