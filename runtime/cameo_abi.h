/* What the compiler's C and libcameo agree on: the contents of models and contexts. A program
   built from C of one version and a libcameo of another is refused by CAMEO_ABI. Users of a
   compiled net need cameo.h only. */
#ifndef CAMEO_ABI_H
#define CAMEO_ABI_H
#include "cameo.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CAMEO_ABI 6

typedef struct cameo_pool cameo_pool; /* core/threads.h */

/* Another library's kernels, as a record, so that nothing else knows which library it is. */
typedef struct cameo_backend {
    const char *name;                        /* as `info` prints it */
    cameo_pool *(*pool_create)(int threads); /* its threads; NULL when none could be started */
    void (*state_delete)(void *state);       /* an operator that cameo_model.create made */
    bool shares_weights; /* contexts beside one another read one copy of the weights */
} cameo_backend;

typedef struct cameo_layer_info {
    const char *name, *op, *kernel, *shape; /* shape: the output's, as text */
    double macs;                            /* of one image when batched, else of the run */
    uint64_t parameters;
    size_t offset, floats; /* training steps: where the output lies in the arena (bytes), how many
                              floats; 0: not known */
} cameo_layer_info;

struct cameo_model {
    uint32_t abi;
    const char *name, *version, *hash, *target, *producer; /* hash: SHA-256 of the model */
    int64_t batch, group; /* images of a call at most; how many of them the layers treat together */
    int64_t group_alone;  /* instead of group, and less, where there is one thread; 0: the same */
    int64_t late_group; /* as many go together through the layers from late_layer on, a multiple of
                           group or all; 0: no such */
    size_t late_layer;
    uint64_t parameters;
    double macs; /* one image */
    size_t n_inputs, n_outputs, n_layers, n_states;
    const cameo_tensor_info *inputs, *outputs;
    const cameo_layer_info *layers;
    const cameo_tensor_info *embedding; /* NULL when there is none */
    const char *embedding_rule; /* how it was chosen: "cameo.embedding", "--embedding", "input of
                                   last Gemm", "output" */
    size_t embedding_layers;    /* layers that must run for it */
    const char *preprocess;     /* --preprocess text; NULL = unknown */
    const char *calibration;    /* the model's operating point (calibration.h); NULL = none */
    const struct cameo_model *detector; /* --detector: finds the landmarks that faces are aligned
                                           by; NULL = none */
    const struct cameo_model *narrower; /* --target A,B: the same net for processors that cannot run
                                           this; NULL = none */
    size_t n_classes;
    const char *const *classes; /* names or NULL */
    size_t arena_bytes, weights_bytes;
    const unsigned char *weights; /* NULL: sidecar, found beside the program and checked by
                                     weights_hash */
    const char *weights_file, *weights_hash;
    const cameo_backend *backend; /* whose kernels it has beside ours; NULL: none */
    float *live; /* training programs: the block of parameters that contexts begin with, else NULL;
                    owned by who made this object */
    bool (*create)(cameo_context *); /* the backend's operators; false with c->error set */
    /* Runs layers [0, last). The driver below calls it with c->count, c->in, c->out set. */
    void (*run)(cameo_context *, size_t last);
    void (*run_late)(cameo_context *, size_t last); /* layers [late_layer, last), behind run for
                                                       each group */
};

struct cameo_context {
    const cameo_model *model;
    unsigned char *arena;
    const unsigned char *weights;
    cameo_pool *pool;
    int threads;     /* of the pool; 1 without one */
    void **state;    /* the backend's operators */
    size_t count;    /* images of this run */
    size_t first;    /* the first of them, among those that wait for the late layers */
    const void **in; /* one pointer a graph input */
    void **out;      /* one pointer a graph output */
    void *embedding; /* where the embedding goes when only it is asked for, else NULL */
    float *parameters, *gradients; /* training programs (training.h): blocks shared by contexts,
                                      owned by who set them */
    void (*tick)(void *data, size_t layer); /* called before each layer when set (profile); with
                                               n_layers at the end */
    void *tick_data;
    cameo_error *error;
    unsigned char *odd; /* XNNPACK: one an image that waits for the late layers; whether a NaN or an
                           infinity was met in it */
};

/* Calls fn(argument, i) for i in 0..n-1, on all threads of the pool; returns when all are done.
   Tasks must not depend on order. */
void cameo_parallel(cameo_context *, size_t n, void (*fn)(void *argument, size_t i),
                    void *argument);

#ifdef __cplusplus
}
#endif
#endif
