/* What several verbs share: messages, contexts, buffers. Pictures are in pictures.c. */
#include "verbs.h"
#include <math.h>
#include <stdlib.h>

int cameo_report_error(const cameo_error *error) {
    fprintf(stderr, "%s\n", error->message);
    return error->code ? error->code : CAMEO_DEFECT;
}

cameo_context *cameo_verb_context(const cameo_model *model, const cameo_args *a, int *threads, int *code) {
    int64_t wanted = 0;
    cameo_error error = {0};
    *code = CAMEO_USAGE;
    if (!cameo_args_integer(a, "threads", 1, 1024, &wanted)) return NULL;
    *threads = wanted ? (int)wanted : cameo_processors();
    cameo_context *context = cameo_create(model, &(cameo_options){*threads}, &error);
    *code = context ? CAMEO_OK : cameo_report_error(&error);
    return context;
}

const char *cameo_tensor_shape(const cameo_tensor_info *t, char buffer[200]) {
    return cameo_shape_text(t->dim, t->rank, buffer);
}

void **cameo_allocate_buffers(const cameo_tensor_info *t, size_t n) {
    void **buffers = cameo_allocate(n, sizeof *buffers);
    for (size_t i = 0; i < n; i++) buffers[i] = cameo_allocate(cameo_tensor_elements(&t[i]), cameo_dtype_size(t[i].dtype));
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
