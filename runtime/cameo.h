/* libcameo: the one public header. Linked into every compiled program.

   Ownership: a cameo_model is constant data emitted by the compiler. A cameo_context belongs to one thread at a time; it holds
   the arena, the thread pool and XNNPACK operators; weights are shared and immutable. Everything fallible happens in
   cameo_create; running neither allocates nor fails but for a count out of range. */
#ifndef CAMEO_H
#define CAMEO_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CAMEO_ABI 5
#define CAMEO_VERSION "0.1.0"

/* Exit codes, everywhere. */
enum { CAMEO_OK = 0, CAMEO_BAD_INPUT = 1, CAMEO_USAGE = 2, CAMEO_DEFECT = 3, CAMEO_ENVIRONMENT = 4 };

typedef struct cameo_error {
    int code; /* an exit code above */
    char message[512];
} cameo_error;

typedef struct cameo_options {
    int threads; /* 0 = the processors this process may really use (affinity, cgroup quota) */
} cameo_options;

typedef struct cameo_context cameo_context;
typedef struct cameo_pool cameo_pool;

typedef struct cameo_tensor_info {
    const char *name; /* as in the model */
    int dtype;        /* ONNX number: 1 = float32, 7 = int64, 9 = bool ... */
    int rank;
    int64_t dim[8]; /* dim[0] = the largest count when batched */
    bool batched;   /* the first axis is the batch: any count up to dim[0] */
} cameo_tensor_info;

typedef struct cameo_layer_info {
    const char *name, *op, *kernel, *shape; /* shape: the output's, as text */
    double macs;                            /* of one image when batched, else of the run */
    uint64_t parameters;
    size_t offset, floats; /* training steps: where the output lies in the arena (bytes), how many floats; 0: not known */
} cameo_layer_info;

typedef struct cameo_model {
    uint32_t abi;
    const char *name, *version, *hash, *target, *producer; /* hash: SHA-256 of the model */
    int64_t batch, group; /* images of a call at most; how many of them the layers treat together */
    int64_t group_alone;  /* instead of group, and less, where there is one thread; 0: the same */
    int64_t late_group; /* as many go together through the layers from late_layer on, a multiple of group or all; 0: no such */
    size_t late_layer;
    uint64_t parameters;
    double macs; /* one image */
    size_t n_inputs, n_outputs, n_layers, n_states;
    const cameo_tensor_info *inputs, *outputs;
    const cameo_layer_info *layers;
    const cameo_tensor_info *embedding; /* NULL when there is none */
    const char *embedding_rule; /* how it was chosen: "cameo.embedding", "--embedding", "input of last Gemm", "output" */
    size_t embedding_layers;    /* layers that must run for it */
    const char *preprocess;     /* --preprocess text; NULL = unknown */
    const char *calibration;    /* the model's operating point (calibration.h); NULL = none */
    const struct cameo_model *detector; /* --detector: finds the landmarks that faces are aligned by; NULL = none */
    const struct cameo_model *narrower; /* --target A,B: the same net for processors that cannot run this; NULL = none */
    size_t n_classes;
    const char *const *classes; /* names or NULL */
    size_t arena_bytes, weights_bytes;
    const unsigned char *weights; /* NULL: sidecar, found beside the program and checked by weights_hash */
    const char *weights_file, *weights_hash;
    bool xnnpack;
    float *live; /* training programs: the block of parameters that contexts begin with, else NULL; owned by who made this
                    object */
    bool (*create)(cameo_context *); /* XNNPACK operators; false with c->error set */
    /* Runs layers [0, last). The driver below calls it with c->count, c->in, c->out set. */
    void (*run)(cameo_context *, size_t last);
    void (*run_late)(cameo_context *, size_t last); /* layers [late_layer, last), behind run for each group */
} cameo_model;

struct cameo_context {
    const cameo_model *model;
    unsigned char *arena;
    const unsigned char *weights;
    cameo_pool *pool;
    int threads;                   /* of the pool; 1 without one */
    void **state;                  /* XNNPACK operators */
    size_t count;                  /* images of this run */
    size_t first;                  /* the first of them, among those that wait for the late layers */
    const void **in;               /* one pointer a graph input */
    void **out;                    /* one pointer a graph output */
    void *embedding;               /* where the embedding goes when only it is asked for, else NULL */
    float *parameters, *gradients; /* training programs (training.h): blocks shared by contexts, owned by who set them */
    void (*tick)(void *data, size_t layer); /* called before each layer when set (profile); with n_layers at the end */
    void *tick_data;
    cameo_error *error;
    unsigned char *odd; /* XNNPACK: one an image that waits for the late layers; whether a NaN or an infinity was met in it */
};

/* Of a model compiled for several targets the widest that this processor runs; else the narrowest, which cameo_create refuses.
 */
const cameo_model *cameo_model_here(const cameo_model *);
/* options NULL = defaults. NULL with *error filled (may be NULL). */
cameo_context *cameo_create(const cameo_model *, const cameo_options *, cameo_error *error);
/* Another context of one thread over the same weights and parameters; `first` must outlive it. They may run at the same time.
 */
cameo_context *cameo_create_beside(const cameo_context *first, cameo_error *error);
void cameo_destroy(cameo_context *);
/* Bytes of an element, 0 for types that are not held in dense arrays; "float32" ... */
size_t cameo_dtype_size(int dtype);
const char *cameo_dtype_name(int dtype);
/* Elements of a tensor at the full batch; and of one image, or of all of it where it is not batched. */
size_t cameo_tensor_elements(const cameo_tensor_info *t);
size_t cameo_image_elements(const cameo_tensor_info *t);
/* Arrays of n_inputs / n_outputs pointers to dense tensors in ONNX layout. Any count 1..batch; CAMEO_USAGE otherwise. */
int cameo_run(cameo_context *, size_t count, const void *const *inputs, void *const *outputs);
/* First input only (models with one input), of its own element type: count embeddings. */
int cameo_embed(cameo_context *, size_t count, const void *input, float *embedding);

/* Calls fn(argument, i) for i in 0..n-1, on all threads of the pool; returns when all are done. Tasks must not depend on order.
 */
void cameo_parallel(cameo_context *, size_t n, void (*fn)(void *argument, size_t i), void *argument);
/* Processors this process may use: affinity mask and cgroup CPU quota (rounded up). */
int cameo_processors(void);

/* The standalone program: verbs (info, run, bench, profile, embed, verify, score, classify). */
int cameo_main(const cameo_model *, int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
