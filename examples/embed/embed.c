/* Embeds two made-up images with a compiled model and prints the cosine of their embeddings. The
   model became a C library with `cameo_add_model(face face.onnx)`; face.h states every size. */
#include "face.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void draw(float *image, size_t n, float frequency) {
    for (size_t i = 0; i < n; i++) image[i] = sinf(frequency * (float)i);
}

int main(void) {
    cameo_error error;
    cameo_context *c = cameo_create(&face_model, NULL, &error);
    if (!c) return fprintf(stderr, "%s\n", error.message), error.code;
    const cameo_tensor_info *input = cameo_model_input(&face_model, 0),
                            *embedding = cameo_model_embedding(&face_model);
    size_t pixels = 1, length = 1;
    for (int i = 1; i < input->rank; i++) pixels *= (size_t)input->dim[i];
    for (int i = 1; i < embedding->rank; i++) length *= (size_t)embedding->dim[i];
    float *image = malloc(pixels * sizeof *image), *e = malloc(2 * length * sizeof *e);
    if (!image || !e) return CAMEO_ENVIRONMENT;
    for (int k = 0; k < 2; k++) {
        draw(image, pixels, k ? 0.37f : 0.11f);
        int code = cameo_embed(c, 1, image, e + (size_t)k * length);
        if (code) return code;
    }
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < length; i++) {
        dot += (double)e[i] * (double)e[length + i];
        aa += (double)e[i] * (double)e[i];
        bb += (double)e[length + i] * (double)e[length + i];
    }
    printf("%zu-dimensional embeddings, cosine %.6f\n", length, dot / sqrt(aa * bb));
    free(image);
    free(e);
    cameo_destroy(c);
    return 0;
}
