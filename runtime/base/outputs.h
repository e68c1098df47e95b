/* Outputs of a net: their buffers, and class scores as probabilities. */
#ifndef CAMEO_OUTPUTS_H
#define CAMEO_OUTPUTS_H
#include "../cameo.h"

/* Buffers for n tensors at the full batch; freed with cameo_free_buffers. */
void **cameo_allocate_buffers(const cameo_tensor_info *t, size_t n);
void cameo_free_buffers(void **buffers, size_t n);
/* Class scores to probabilities: those that are (non-negative, sum 1) are kept; else softmax in
   double. */
void cameo_probabilities(const float *x, size_t n, double *p);
#endif
