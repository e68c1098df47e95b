/* The verbs of a compiled program, and what they share. A verb gets the arguments behind its name and returns an exit code. */
#ifndef CAMEO_VERBS_H
#define CAMEO_VERBS_H
#include "../args.h"
#include "../cameo.h"
#include "../files.h"
#include "../json.h"
#include "../npy.h"
#include "../preprocess.h"
#include "../progress.h"

typedef int cameo_verb(const cameo_model *model, const char *program, int argc, char **argv);
cameo_verb cameo_verb_info, cameo_verb_run, cameo_verb_bench, cameo_verb_profile, cameo_verb_embed, cameo_verb_verify,
    cameo_verb_score, cameo_verb_classify;

#define OPTION_THREADS \
    { "threads", "T", "threads to use (default: the processors this process may use)" }
#define OPTION_JSON \
    { "json", NULL, "print JSON" }
#define OPTION_PREPROCESS \
    { "preprocess", "SPEC", "\"size=WxH color=rgb|bgr|gray mean=M[,M,M] scale=S[,S,S] resize=bilinear\"" }

/* Prints the message to stderr; returns the error's code. */
int cameo_report_error(const cameo_error *error);
int cameo_usage_error(const cameo_args *a, const char *message);
/* A context with --threads; NULL and *code after a message. */
cameo_context *cameo_verb_context(const cameo_model *model, const cameo_args *a, int *threads, int *code);
/* Elements of one image (batched) or of the whole tensor. */
size_t cameo_image_elements(const cameo_tensor_info *t);
size_t cameo_tensor_elements(const cameo_tensor_info *t);
const char *cameo_tensor_shape(const cameo_tensor_info *t, char buffer[200]);
/* Buffers for every output at the full batch; freed with cameo_free_buffers. */
void **cameo_allocate_buffers(const cameo_tensor_info *t, size_t n);
void cameo_free_buffers(void **buffers, size_t n);

/* Pictures through the network. */
typedef struct cameo_pictures {
    const cameo_model *model;
    cameo_context *context;
    cameo_preprocess preprocess;
    const char *spec; /* the preprocessing in force */
    int threads;
} cameo_pictures;
/* Exit code 0, or another after a message; needs cameo_pictures_close after 0. */
int cameo_pictures_open(cameo_pictures *p, const cameo_model *model, const cameo_args *a);
void cameo_pictures_close(cameo_pictures *p);
/* Called with `count` decoded inputs of images [first, first + count); false stops. */
typedef bool cameo_picture_batch(void *data, size_t first, size_t count, const float *input, cameo_error *error);
/* Decodes in chunks on all threads, then hands them over in batches the network takes. The first picture (in order) at fault is
 * named. */
bool cameo_pictures_each(cameo_pictures *p, char *const *paths, size_t count, const char *what, cameo_picture_batch *batch,
                         void *data, cameo_error *error);
/* count embeddings, in order; NULL with *error. Zero-norm or non-finite ones are errors naming the picture. */
float *cameo_pictures_embed(cameo_pictures *p, char *const *paths, size_t count, size_t *dimension, cameo_error *error);
/* In double: cosine and Euclidean distance of two embeddings. */
double cameo_cosine(const float *a, const float *b, size_t n);
double cameo_distance(const float *a, const float *b, size_t n);
#endif
