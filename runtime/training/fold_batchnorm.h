/* BatchNormalization into the convolution before it, in an ONNX graph with its weights: what
   `export --folded` writes. */
#ifndef CAMEO_FOLD_H
#define CAMEO_FOLD_H
#include "training.h"

typedef struct cameo_folded {
    cameo_trainer trainer; /* as the original, but with other graph_fields and parameters */
    float *weights;        /* a block of trainer.floats */
    size_t folded;         /* normalisations that are gone */
} cameo_folded;

/* Folds each BatchNormalization whose input is made by a Conv for it alone, with weights that
   nobody else reads; others stay. Products are computed in double: W' = W s, B' = B + (b - mean)
   s, s = scale / sqrt(var + epsilon). The result is freed with cameo_folded_free in any case.
   False with *error when the graph is malformed. */
bool cameo_fold(const cameo_trainer *t, const float *weights, cameo_folded *out,
                cameo_error *error);
void cameo_folded_free(cameo_folded *f);
#endif
