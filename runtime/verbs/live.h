/* The model of a training program: its weights are a block in memory. Verbs that take a
   cameo_model work on it as on any other; those of training find the trainer through it. */
#ifndef CAMEO_LIVE_H
#define CAMEO_LIVE_H
#include "../training/training.h"
#include "verbs.h"

typedef struct cameo_live {
    cameo_model model; /* first: a pointer to it is a pointer to the whole */
    const cameo_trainer *trainer;
    float *parameters;
    const char *from;           /* the checkpoint the weights are of; NULL: of the model file */
    char hash[65];              /* its SHA-256 */
    char *preprocess, *classes; /* what the checkpoint says of them, or NULL; freed by the owner */
} cameo_live;

static inline cameo_live *cameo_live_of(const cameo_model *model) {
    return (cameo_live *)(uintptr_t)model;
}
/* Replaces the weights by those of a checkpoint, or of the best one in the folder of a run. False
   with *error. */
bool cameo_live_load(cameo_live *live, const char *path, cameo_error *error);
#endif
