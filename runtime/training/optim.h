/* Optimisers over the blocks of training.h: SGD with momentum, Adam and AdamW in PyTorch's
   formulas (torch.optim; Kingma & Ba 2015, Loshchilov & Hutter 2019, Nesterov momentum after
   Sutskever et al. 2013), clipping by global norm, averaging of weights.

   The optimiser owns its state, created zero; the blocks of parameters and gradients are the
   caller's. All passes run on the context's threads in chunks cut by size alone, so results don't
   depend on the number of threads. */
#ifndef CAMEO_OPTIM_H
#define CAMEO_OPTIM_H
#include "training.h"

typedef enum cameo_optim_kind { CAMEO_SGD, CAMEO_ADAM, CAMEO_ADAMW } cameo_optim_kind;

typedef struct cameo_optim_options {
    cameo_optim_kind kind;
    double momentum; /* SGD's; 0 = none */
    bool nesterov;
    double beta1, beta2, epsilon; /* Adam's and AdamW's */
    double weight_decay; /* added to the gradient (SGD, Adam) or applied to the weights (AdamW) */
    bool decay_all;      /* also to parameters whose `decay` is false: biases and normalisation */
} cameo_optim_options;

enum { CAMEO_OPTIM_STATES = 2 };

typedef struct cameo_optim_chunk {
    size_t offset, floats; /* floats: a multiple of 64 */
    bool decay;
} cameo_optim_chunk;

typedef struct cameo_optim {
    cameo_optim_options options;
    const cameo_trainer *trainer;
    size_t n_states;                            /* SGD 0 or 1, Adam 2 */
    float *state[CAMEO_OPTIM_STATES];           /* learnt_floats each, laid out as the parameters */
    const char *state_name[CAMEO_OPTIM_STATES]; /* "momentum"; "exp_avg", "exp_avg_sq" */
    cameo_optim_chunk *chunks;                  /* of the learnt parameters */
    size_t n_chunks;
    double *partial; /* sums of one pass, a chunk each */
} cameo_optim;

typedef struct cameo_optim_update {
    float *parameters;
    const float *gradients;
    double rate;           /* the learning rate */
    double gradient_scale; /* gradients are multiplied by it first: clipping, accumulation */
    int64_t step;   /* from 1: how many updates there are with this one (Adam's bias correction) */
    float *average; /* weight averaging: NULL = none; as large as the block of parameters */
    double average_decay; /* average = average * decay + parameters * (1 - decay) */
} cameo_optim_update;

bool cameo_optim_create(cameo_optim *o, const cameo_trainer *t, const cameo_optim_options *options,
                        cameo_error *error);
void cameo_optim_destroy(cameo_optim *o);
const char *cameo_optim_kind_name(cameo_optim_kind kind);

/* One fused pass over learnt parameters, gradients, state and average; then the average of what
   isn't learnt. Returns the sum of squares of the unscaled gradients (not finite when one of them
   isn't). */
double cameo_optim_step(cameo_optim *o, cameo_context *pool, const cameo_optim_update *u);
/* Sum of squares of the gradients alone. */
double cameo_optim_norm2(cameo_optim *o, cameo_context *pool, const float *gradients);
/* What gradients are multiplied by so that their norm, sqrt(norm2), is at most `most` (PyTorch's
   clip_grad_norm_); 1 when most = 0. */
double cameo_clip_factor(double norm2, double most);
/* sum += gradients (accumulation), over the learnt floats. */
void cameo_optim_accumulate(cameo_optim *o, cameo_context *pool, float *sum,
                            const float *gradients);
/* The learnt parameter, last in the model's order, that holds a value that isn't finite; NULL when
   all are. The backward pass goes against the model's order, so that's where it began. */
const cameo_parameter *cameo_find_not_finite(const cameo_trainer *t, const float *block);
#endif
