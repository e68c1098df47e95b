/* What examples/embed prints, by another way: `draw CxHxW A.npy B.npy` writes the two images the
   example draws, for the program's `run`; `tell A.npy B.npy` prints the example's line from the
   two embeddings that came out. */
#include "runtime/base/npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int draw(const char *shape, const char *path, float frequency) {
    cameo_array a = {.dtype = 1, .rank = 4, .dim = {1}};
    cameo_error error;
    long long c, h, w;
    if (sscanf(shape, "%lldx%lldx%lld", &c, &h, &w) != 3) return CAMEO_USAGE;
    a.dim[1] = c, a.dim[2] = h, a.dim[3] = w;
    if (!cameo_array_allocate(&a, path, &error)) return error.code;
    float *x = a.data;
    for (size_t i = 0; i < a.count; i++) x[i] = sinf(frequency * (float)i);
    const bool good = cameo_npy_write(path, &a, &error);
    cameo_array_free(&a);
    return good ? CAMEO_OK : error.code;
}

static int tell(const char *path_a, const char *path_b) {
    cameo_array a, b;
    cameo_error error;
    if (!cameo_array_read(path_a, &a, &error) || !cameo_array_read(path_b, &b, &error))
        return error.code;
    if (a.dtype != 1 || b.dtype != 1 || a.count != b.count) return CAMEO_BAD_INPUT;
    const float *x = a.data, *y = b.data;
    double dot = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < a.count; i++) {
        dot += (double)x[i] * (double)y[i];
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
    }
    printf("%zu-dimensional embeddings, cosine %.6f\n", a.count, dot / sqrt(xx * yy));
    cameo_array_free(&a);
    cameo_array_free(&b);
    return CAMEO_OK;
}

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "draw") == 0) {
        const int code = draw(argv[2], argv[3], 0.11f);
        return code ? code : draw(argv[2], argv[4], 0.37f);
    }
    return argc == 4 && strcmp(argv[1], "tell") == 0 ? tell(argv[2], argv[3]) : CAMEO_USAGE;
}
