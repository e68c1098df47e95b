/* What the compiler emits for --train: two models over one block of parameters.

   `step` is one training step without the update: it reads the parameters, writes the running
   statistics, and fills the block of gradients. `infer` is the same net in evaluation mode. Both
   find the blocks in their context (cameo_context.parameters and .gradients), which whoever
   creates the context sets before it runs. All constant data. */
#ifndef CAMEO_TRAINING_H
#define CAMEO_TRAINING_H
#include "../cameo_abi.h"

typedef enum cameo_parameter_layout { /* as compiler/ir/ir.h's parameter_layout */
                                      CAMEO_PARAMETER_ONNX,
                                      CAMEO_PARAMETER_CONV, /* [co / block][kh][kw][ci][block] of
                                                               [co][ci][kh][kw] */
                                      CAMEO_PARAMETER_DEPTHWISE /* [kh][kw][c rounded up to block]
                                                                   of [c][1][kh][kw] */
} cameo_parameter_layout;

typedef struct cameo_parameter {
    const char *name; /* of the ONNX initializer */
    int rank;
    int64_t dim[8];        /* ONNX shape */
    size_t offset, floats; /* in the blocks, in floats: multiples of 64; padding is zero and stays
                              zero */
    cameo_parameter_layout layout;
    int64_t block;
    bool learnt, decay; /* not learnt: running statistics, frozen weights. decay: weight decay
                           applies */
} cameo_parameter;

enum {
    CAMEO_STEP_LABELS = 0,
    CAMEO_STEP_LABELS_B,
    CAMEO_STEP_MIX,
    CAMEO_STEP_SEED,
    CAMEO_STEP_SMOOTHING,
    CAMEO_STEP_EXTRA
};

typedef struct cameo_trainer {
    /* step's inputs: the image [N,...] float32, then CAMEO_STEP_EXTRA more: labels int64[N];
       labels_b int64[N] and mix float32[N]: the target is mix * labels + (1 - mix) * labels_b
       (mixup, cutmix; mix = 1 otherwise); seed int64[1] for dropout, another each step; smoothing
       float32[1]: of the labels, target = (1 - smoothing) target + smoothing / classes. Outputs:
       loss float32 [] (mean over the batch), correct float32 [] (images whose largest class score,
       before any margin, is labels'; without classes: images whose nearest other image of the
       batch is of their class). N = batch, always whole. Every input is there whatever the loss,
       and counts where the loss has a use for it. */
    const cameo_model *step;
    const cameo_model *infer; /* any count up to batch; output `logits` are the class scores, its
                                 embedding the embedding */
    size_t logits;            /* index of infer's output; means nothing when classes is 0 */
    size_t n_parameters;
    const cameo_parameter *parameters; /* learnt ones first: an optimiser touches floats [0,
                                          learnt_floats) only */
    size_t floats, learnt_floats;      /* sizes of the parameter block and of the gradient block */
    const unsigned char *initial;      /* the parameter block as of the model file: floats */
    bool initial_in_program; /* it lies in a part of the program's file that nobody writes */
    const char *loss;        /* --loss as given */
    int64_t batch;
    int64_t classes; /* of the class scores. 0: the loss compares images and knows no classes, so
                        labels may be any numbers, there is no accuracy to validate, and the
                        embedding is all that is learnt */
    int64_t same; /* images of one class that a batch should have (the sampler's P x K): the default
                     where the loss compares images, 0 where any batch will do. At least 2 then, and
                     at least 2 classes a batch */
    bool mixes; /* labels_b and mix count (mixup, cutmix); else they must not be used: the loss has
                   margins or compares */
    /* The model file's bytes without the data of the parameters: ModelProto's fields other than
       its graph, and GraphProto's fields other than the initializers that `parameters` names. A
       checkpoint is model_fields + graph(graph_fields + initializers). */
    const unsigned char *model_fields, *graph_fields;
    size_t model_bytes, graph_bytes;
    /* For the plan, NULL where there is nothing to say: parameters that several layers share, and
       tensors that are learnt apart though the model file holds equal ones once. */
    const char *shared, *apart;
} cameo_trainer;

/* The training program: the verbs of cameo_main on live weights, and train, export, bench
   --train. */
int cameo_train_main(const cameo_trainer *, int argc, char **argv);

/* Copies a parameter between the block's order and ONNX order (parameters.c). Padding of the block
   is left as it is. */
void cameo_parameter_read(const cameo_parameter *, const float *block, float *onnx);
void cameo_parameter_write(const cameo_parameter *, float *block, const float *onnx);
#endif
