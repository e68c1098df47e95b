/* A training run, shared by the files that make one up:

     train_options.c  what the command line says, and what a resumed run may not change
     train_plan.c     everything that is checked and printed before the first step
     train_state.c    checkpoints of the run, and going on from one
     train.c          the loop
     evaluate.c       validation and verification
     runlog.c         RUN/log.jsonl
     curves.c         RUN/curves.html

   cameo_train owns everything that cameo_train_close frees; the trainer, the arguments and their
   texts are the caller's and outlive it. */
#ifndef CAMEO_TRAIN_RUN_H
#define CAMEO_TRAIN_RUN_H
#include "../base/args.h"
#include "../verification/pairs.h"
#include "checkpoint.h"
#include "loader.h"
#include "optim.h"
#include "runlog.h"
#include "schedule.h"

typedef enum cameo_best {
    CAMEO_BEST_AUC,
    CAMEO_BEST_EER,
    CAMEO_BEST_ACCURACY,
    CAMEO_BEST_LOSS,
    CAMEO_BEST_NONE
} cameo_best;
extern const char *const cameo_best_names[CAMEO_BEST_NONE]; /* "auc", "eer", "val_accuracy", "loss"
                                                             */
static inline bool cameo_best_rises(cameo_best b) {
    return b == CAMEO_BEST_AUC || b == CAMEO_BEST_ACCURACY;
}

typedef struct cameo_train_options {
    const char *data, *val, *pairs, *pairs_root, *output, *preprocess; /* NULL = not given */
    int64_t epochs, seed, accumulate, samples_per_class, checkpoint_every, log_every;
    int64_t threads;  /* 0: the processors */
    int64_t cache_mb; /* negative: as many as fit */
    double rate, label_smoothing, clip_norm, ema;
    cameo_optim_options optim;
    cameo_augment augment;
    cameo_schedule schedule;
    cameo_best best; /* CAMEO_BEST_NONE: not said */
    bool resume, dry_run, overfit, skip_not_finite, fast_decode, json;
} cameo_train_options;

extern const cameo_option cameo_train_option_table[];
/* False after a message: a value that is none, options that exclude each other. */
bool cameo_train_options_parse(const cameo_args *a, const cameo_trainer *t, cameo_train_options *o);
/* Options that the run in a checkpoint was given are added to *a where the command line doesn't
   have them. */
void cameo_train_options_merge(cameo_args *a, const cameo_properties *p);
/* Stores the options given, but for those about this process only. */
void cameo_train_options_store(const cameo_args *a, cameo_properties *p);
/* Whether the run in a checkpoint can go on with these options: NULL, or the name of one that must
   stay as it was. */
const char *cameo_train_options_clash(const cameo_properties *p, const cameo_trainer *t,
                                      const cameo_train_options *now);

/* Where a run is. With the blocks this is all that a resumed run needs; cursors count from 0. */
typedef struct cameo_train_position {
    int64_t epoch, update, step; /* epochs completed; updates of the epoch at hand; updates in all
                                  */
    double loss_sum;             /* of the epoch's batches so far */
    int64_t correct, batches;    /* the same */
    int64_t skipped;             /* steps of the run without update (--on-nonfinite skip) */
    cameo_plateau plateau;
    double best; /* by options.best; not finite: none yet */
    int64_t best_epoch;
} cameo_train_position;

typedef struct cameo_picture_set { /* pictures to evaluate on */
    char *const *path;
    size_t count;
    cameo_store *store;
} cameo_picture_set;

typedef struct cameo_evaluation { /* NaN where there is none */
    double val_loss, val_accuracy, auc, eer;
} cameo_evaluation;

typedef struct cameo_train {
    const cameo_trainer *trainer;
    const cameo_args *args;
    cameo_train_options options;
    const char *spec; /* the preprocessing in force */
    cameo_preprocess preprocess;
    cameo_dataset data, val;
    cameo_pairs pairs;
    cameo_picture_set data_pictures, val_pictures, pair_pictures;
    cameo_sampler *sampler;
    cameo_loader *loader;
    int threads;
    int64_t updates;                               /* of an epoch */
    float *parameters, *gradients, *sum, *average; /* sum: accumulation; average: EMA; else NULL */
    float *kept; /* --on-nonfinite skip: running statistics before the step */
    cameo_optim optim;
    cameo_context *step; /* its pool serves the optimiser too */
    cameo_train_position at;
    char architecture[65];
    bool resumed;
    bool last_failed, best_failed; /* the newest last.onnx or best.onnx could not be written */
    cameo_runlog log;
    double images_per_s; /* of the epoch, without evaluation */
} cameo_train;

/* ---- train_plan.c ---- */
/* Scans and checks data, allocates, finds the state to go on from (file: an open checkpoint or
   NULL), writes a test checkpoint, prints the plan. False with *error; cameo_train_close in any
   case. */
bool cameo_train_open(cameo_train *t, const cameo_checkpoint_file *file, cameo_error *error);
void cameo_train_close(cameo_train *t);
/* Bytes that the run needs beside pictures kept: blocks, activations, batches ahead. */
size_t cameo_train_bytes(const cameo_train *t);

/* ---- train_state.c ---- */
/* Writes RUN/name; with `state`, all that a resumed run needs. */
bool cameo_train_save(cameo_train *t, const char *name, bool state, cameo_error *error);
/* Fills blocks and position from a checkpoint; refuses one that can't go on here. */
bool cameo_train_restore(cameo_train *t, const cameo_checkpoint_file *file, cameo_error *error);

/* ---- train.c ---- */
/* SIGINT and SIGTERM ask the loop to stop once; a second one ends the process. */
void cameo_train_catch_signals(void);
bool cameo_train_stopping(void);
/* Exit code, after a message where it is not 0. */
int cameo_train_run(cameo_train *t);
int cameo_train_dry_run(cameo_train *t);
int cameo_train_overfit(cameo_train *t);
/* One forward and backward pass; gradients are in t->gradients. */
typedef struct cameo_step_result {
    float loss, correct;
} cameo_step_result;
bool cameo_train_step(cameo_train *t, const cameo_batch *b, cameo_step_result *r,
                      cameo_error *error);
double cameo_train_rate(const cameo_train *t); /* of the step to come */

/* ---- evaluate.c ---- */
/* On the live weights, or their average. False with *error; also when stopped (error->code
   CAMEO_OK). */
bool cameo_train_evaluate(cameo_train *t, cameo_evaluation *e, cameo_error *error);

/* ---- curves.c ---- */
/* Draws the curves of a log (log.jsonl's text) to DIRECTORY/curves.html. */
bool cameo_curves_write(const char *directory, const char *log, const char *title,
                        cameo_error *error);
#endif
