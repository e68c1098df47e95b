/* Checkpoints: ONNX models that carry a training run.

   A checkpoint is the model file the program was compiled from, with the trained weights as
   initializers under their names and in their ONNX layout, so that any ONNX tool opens it. What a
   run needs besides is where tools don't look: optimiser state as initializers
   "cameo.KIND/PARAMETER" of training_info[0].algorithm, everything else as metadata_props
   "cameo.train.KEY". docs/training.md describes the format.

   Files are streamed to "PATH.tmp", synced, renamed; the directory is synced. When everything
   would be larger than `limit` bytes, the state (and, if need be, the weights) become external
   data in "PATH.GENERATION.data", written and synced before; older generations are removed
   afterwards. Whoever reads PATH finds either the old checkpoint or the new one, whole. */
#ifndef CAMEO_CHECKPOINT_H
#define CAMEO_CHECKPOINT_H
#include "training.h"

/* ---- metadata: keys with texts, in order ---- */

typedef struct cameo_properties {
    char **key, **value;
    size_t count, capacity;
} cameo_properties;

void cameo_property_set(cameo_properties *p, const char *key, const char *text);
void cameo_property_set_integer(cameo_properties *p, const char *key, int64_t value);
void cameo_property_set_double(cameo_properties *p, const char *key, double value); /* hexadecimal:
                                                                                       all bits come
                                                                                       back */
const char *cameo_property(const cameo_properties *p, const char *key); /* NULL when absent */
/* False when absent, no number, or outside [low, high]. */
bool cameo_property_integer(const cameo_properties *p, const char *key, int64_t low, int64_t high,
                            int64_t *value);
bool cameo_property_double(const cameo_properties *p, const char *key, double *value); /* infinities
                                                                                          too */
void cameo_properties_free(cameo_properties *p);

/* ---- writing ---- */

enum { CAMEO_CHECKPOINT_STATES = 3 };
#define CAMEO_CHECKPOINT_LIMIT 1800000000u /* protobuf readers stop at 2^31 */

typedef struct cameo_checkpoint_state {
    const char *kind; /* "momentum", "exp_avg", "exp_avg_sq", "live" */
    const float *block;
    bool all; /* of all parameters; false: of the learnt ones */
} cameo_checkpoint_state;

typedef struct cameo_checkpoint {
    const cameo_trainer *trainer;
    const float *weights; /* a block of trainer->floats */
    cameo_checkpoint_state state[CAMEO_CHECKPOINT_STATES];
    size_t n_states;
    const cameo_properties *properties; /* may be NULL */
    uint64_t limit;                     /* 0 = CAMEO_CHECKPOINT_LIMIT */
} cameo_checkpoint;

bool cameo_checkpoint_write(const cameo_checkpoint *c, const char *path, cameo_error *error);
/* SHA-256 of what a checkpoint must agree with to be resumed: the graph without its weights, and
   the parameters' names and shapes. */
void cameo_architecture_hash(const cameo_trainer *t, char out[65]);

/* ---- reading: everything in the file is doubted ---- */

typedef struct cameo_checkpoint_file cameo_checkpoint_file;

/* Maps the file and reads its metadata. Any ONNX file will do; NULL with *error when it's none. */
cameo_checkpoint_file *cameo_checkpoint_open(const char *path, cameo_error *error);
void cameo_checkpoint_close(cameo_checkpoint_file *f);
const cameo_properties *cameo_checkpoint_properties(const cameo_checkpoint_file *f);
/* Fills a block of t->floats from the initializers named as t's parameters. False with *error,
   which names the tensor, when one is missing, is there twice or has another shape or type; the
   block is then partly filled. */
bool cameo_checkpoint_weights(const cameo_checkpoint_file *f, const cameo_trainer *t, float *block,
                              cameo_error *error);
/* The same for a kind of state; of the learnt parameters, or of all. */
bool cameo_checkpoint_state_read(const cameo_checkpoint_file *f, const cameo_trainer *t,
                                 const char *kind, bool all, float *block, cameo_error *error);
void cameo_checkpoint_hash(const cameo_checkpoint_file *f, char out[65]); /* SHA-256 of the file */
#endif
