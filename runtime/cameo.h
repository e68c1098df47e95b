/* libcameo: the public header. What compiled C and libcameo agree on beyond it is in cameo_abi.h.

   Ownership: a cameo_model is constant data emitted by the compiler; PREFIX.h, which `cameo
   compile` writes beside a library, names it. A cameo_context belongs to one thread at a time; it
   holds the activations and the threads; weights are shared and immutable. Everything fallible
   happens in cameo_create; running neither allocates nor fails but for a count out of range. */
#ifndef CAMEO_H
#define CAMEO_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CAMEO_VERSION "0.2.0"

/* Exit codes, everywhere. */
enum {
    CAMEO_OK = 0,
    CAMEO_BAD_INPUT = 1,
    CAMEO_USAGE = 2,
    CAMEO_DEFECT = 3,
    CAMEO_ENVIRONMENT = 4
};

typedef struct cameo_error {
    int code; /* an exit code above */
    char message[512];
} cameo_error;

typedef struct cameo_options {
    int threads; /* 0 = the processors this process may really use (affinity, cgroup quota) */
} cameo_options;

typedef struct cameo_model cameo_model;     /* a compiled net */
typedef struct cameo_context cameo_context; /* what a thread needs to run it */

typedef struct cameo_tensor_info {
    const char *name; /* as in the model */
    int dtype;        /* ONNX number: 1 = float32, 7 = int64, 9 = bool ... */
    int rank;
    int64_t dim[8]; /* dim[0] = the largest count when batched */
    bool batched;   /* the first axis is the batch: any count up to dim[0] */
} cameo_tensor_info;

/* ---- what a model says of itself; all strings and arrays live as long as the model ---- */

/* Number i of its inputs or outputs, in the model file's order; NULL behind the last. */
const cameo_tensor_info *cameo_model_input(const cameo_model *, size_t i);
const cameo_tensor_info *cameo_model_output(const cameo_model *, size_t i);
const cameo_tensor_info *cameo_model_embedding(const cameo_model *); /* NULL: it has none */
int64_t cameo_model_batch(const cameo_model *);                      /* images of a call at most */
const char *cameo_model_name(const cameo_model *);
const char *cameo_model_hash(const cameo_model *);       /* SHA-256 of the model file */
const char *cameo_model_preprocess(const cameo_model *); /* NULL: not known */
/* Names of the classes, *count of them; NULL: not known, and *count is 0. */
const char *const *cameo_model_classes(const cameo_model *, size_t *count);
/* Of a model compiled for several targets the widest that this processor runs; else the narrowest,
   which cameo_create refuses. */
const cameo_model *cameo_model_here(const cameo_model *);

/* ---- running it ---- */

/* options NULL = defaults. NULL with *error filled (may be NULL). */
cameo_context *cameo_create(const cameo_model *, const cameo_options *, cameo_error *error);
/* Another context of one thread over the same weights and parameters; `first` must outlive it.
   They may run at the same time. */
cameo_context *cameo_create_beside(const cameo_context *first, cameo_error *error);
void cameo_destroy(cameo_context *);
/* Bytes of an element, 0 for types that are not held in dense arrays; "float32" ... */
size_t cameo_dtype_size(int dtype);
const char *cameo_dtype_name(int dtype);
/* Elements of a tensor at the full batch; and of one image, or of all of it where it is not
   batched. */
size_t cameo_tensor_elements(const cameo_tensor_info *t);
size_t cameo_image_elements(const cameo_tensor_info *t);
/* Arrays of n_inputs / n_outputs pointers to dense tensors in ONNX layout. Any count 1..batch;
   CAMEO_USAGE otherwise. */
int cameo_run(cameo_context *, size_t count, const void *const *inputs, void *const *outputs);
/* First input only (models with one input), of its own element type: count embeddings. */
int cameo_embed(cameo_context *, size_t count, const void *input, float *embedding);

/* Processors this process may use: affinity mask and cgroup CPU quota (rounded up). */
int cameo_processors(void);

/* The standalone program, with all its verbs; returns the exit code. */
int cameo_main(const cameo_model *, int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
