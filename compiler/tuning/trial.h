/* Compiling a graph, running the program on tensors and comparing what comes out. For `conform`
   and `compare`. */
#ifndef CAMEO_TRIAL_H
#define CAMEO_TRIAL_H
#include "../compile.h"

typedef struct difference {  /* of one or more tensors */
    double max_abs, max_rel; /* where both are finite */
    size_t odd;              /* elements where one is NaN or infinite, and the other another */
    bool ok;
} difference;

/* Adds what differs between got and expected: finite floats by |got - expected| <= rtol |expected|
   + atol, integers exactly, NaN equals NaN and nothing else, an infinity itself. */
void tensor_compare(const tensor *got, const tensor *expected, double rtol, double atol,
                    difference *d);
/* Writes .npy (version 1.0). False on failure. */
bool trial_write_npy(const char *path, const tensor *t);
/* Runs `program run --input F ... --output directory --format pb`; results[i] = output i. NULL, or
   why it failed. */
const char *trial_run(arena *a, const char *program, const char *const *inputs, size_t n_inputs,
                      const char *directory, tensor **results, size_t n_results, unsigned seconds);
#endif
