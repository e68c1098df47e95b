/* Parameters: between the block's order and ONNX order, and memory for blocks. The maps are
   one-to-one; what a block holds besides (rounding up to whole blocks of channels) is zero and is
   never read or written here. */
#include "parameters.h"
#include "../base/files.h"
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

/* dim as [outputs][inputs][taps]: a matrix has one tap, a vector one input. */
typedef struct extents {
    int64_t outputs, inputs, taps, padded; /* padded: outputs rounded up to whole blocks */
} extents;

static extents extents_of(const cameo_parameter *p) {
    extents e = {p->rank > 0 ? p->dim[0] : 1, p->rank > 1 ? p->dim[1] : 1, 1, 0};
    for (int i = 2; i < p->rank; i++) e.taps *= p->dim[i];
    const int64_t block = p->block > 0 ? p->block : 1;
    e.padded = (e.outputs + block - 1) / block * block;
    return e;
}

/* Where element (o, i, t) of the ONNX tensor lies in the block. */
static inline int64_t place(const cameo_parameter *p, const extents *e, int64_t o, int64_t i,
                            int64_t t) {
    switch (p->layout) {
    case CAMEO_PARAMETER_CONV:
        return ((o / p->block * e->taps + t) * e->inputs + i) * p->block + o % p->block;
    case CAMEO_PARAMETER_DEPTHWISE: return (t * e->inputs + i) * e->padded + o;
    default: return (o * e->inputs + i) * e->taps + t;
    }
}

size_t cameo_parameter_elements(const cameo_parameter *p) {
    size_t n = 1;
    for (int i = 0; i < p->rank; i++) n *= (size_t)p->dim[i];
    return n;
}

void cameo_parameter_read(const cameo_parameter *p, const float *block, float *onnx) {
    const extents e = extents_of(p);
    if (p->layout == CAMEO_PARAMETER_ONNX) {
        memcpy(onnx, block, cameo_parameter_elements(p) * sizeof *onnx);
        return;
    }
    for (int64_t o = 0; o < e.outputs; o++)
        for (int64_t i = 0; i < e.inputs; i++)
            for (int64_t t = 0; t < e.taps; t++) *onnx++ = block[place(p, &e, o, i, t)];
}

void cameo_parameter_write(const cameo_parameter *p, float *block, const float *onnx) {
    const extents e = extents_of(p);
    if (p->layout == CAMEO_PARAMETER_ONNX) {
        memcpy(block, onnx, cameo_parameter_elements(p) * sizeof *onnx);
        return;
    }
    for (int64_t o = 0; o < e.outputs; o++)
        for (int64_t i = 0; i < e.inputs; i++)
            for (int64_t t = 0; t < e.taps; t++) block[place(p, &e, o, i, t)] = *onnx++;
}

static size_t block_bytes(size_t floats) {
    return (floats * sizeof(float) + CAMEO_BLOCK_TAIL + PAGE - 1) / PAGE * PAGE;
}

float *cameo_block_create(size_t floats, const char *what, cameo_error *error) {
    void *p = MAP_FAILED;
    if (floats < ((size_t)1 << 60))
        p = mmap(NULL, block_bytes(floats), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                 0);
    if (p == MAP_FAILED) {
        cameo_fail(error, CAMEO_ENVIRONMENT, "out of memory: %zu floats for %s", floats, what);
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    (void)madvise(p, block_bytes(floats), MADV_HUGEPAGE);
#endif
    return p;
}

void cameo_block_free(float *block, size_t floats) {
    if (block) munmap(block, block_bytes(floats));
}

uint64_t cameo_parameters_count(const cameo_trainer *t, bool learnt) {
    uint64_t n = 0;
    for (size_t i = 0; i < t->n_parameters; i++)
        if (!learnt || t->parameters[i].learnt) n += cameo_parameter_elements(&t->parameters[i]);
    return n;
}
