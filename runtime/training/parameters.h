/* Blocks of parameters and of what is shaped like them (gradients, optimiser state). See
   training.h for the table. */
#ifndef CAMEO_PARAMETERS_H
#define CAMEO_PARAMETERS_H
#include "training.h"

enum {
    CAMEO_BLOCK_TAIL = 128
}; /* readable bytes behind a block, for kernels that read whole vectors */

size_t cameo_parameter_elements(const cameo_parameter *); /* of the ONNX tensor, without padding */
uint64_t cameo_parameters_count(const cameo_trainer *, bool learnt); /* of all, or of what is learnt
                                                                        only */

/* Zeroed memory for `floats` floats, aligned to a page; NULL with *error (what: "gradients").
   Freed by cameo_block_free. */
float *cameo_block_create(size_t floats, const char *what, cameo_error *error);
void cameo_block_free(float *block, size_t floats);
#endif
