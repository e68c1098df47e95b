#include "outputs.h"
#include "files.h"
#include <math.h>
#include <stdlib.h>

void **cameo_allocate_buffers(const cameo_tensor_info *t, size_t n) {
    void **buffers = cameo_allocate(n, sizeof *buffers);
    for (size_t i = 0; i < n; i++)
        buffers[i] = cameo_allocate(cameo_tensor_elements(&t[i]), cameo_dtype_size(t[i].dtype));
    return buffers;
}

void cameo_free_buffers(void **buffers, size_t n) {
    for (size_t i = 0; i < n; i++) free(buffers[i]);
    free(buffers);
}

void cameo_probabilities(const float *x, size_t n, double *p) {
    double sum = 0, largest = x[0];
    bool negative = false;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        negative |= x[i] < 0;
        largest = fmax(largest, x[i]);
    }
    bool already = !negative && fabs(sum - 1) < 1e-3;
    double total = 0;
    for (size_t i = 0; i < n; i++) total += p[i] = already ? x[i] : exp(x[i] - largest);
    for (size_t i = 0; i < n && !already; i++) p[i] /= total;
}
