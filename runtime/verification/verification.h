/* Verification: from embeddings and a list of pairs to scores and metrics. Used by the verbs score
   and calibrate, by the report, and by training after each epoch.

   Ownership: a cameo_embeddings borrows its rows; a cameo_verification owns what
   cameo_verification_free frees and borrows the rest (strings, the list, the model), which must
   outlive it. */
#ifndef CAMEO_VERIFICATION_H
#define CAMEO_VERIFICATION_H
#include "metrics.h"
#include "pairs.h"

/* Higher = more alike, always. L2 scores are negative distances. */
typedef enum cameo_score {
    CAMEO_COSINE,
    CAMEO_L2_NORMALISED,
    CAMEO_L2_RAW,
    CAMEO_DOT,
    CAMEO_SCORES
} cameo_score;
extern const char *const cameo_score_names[CAMEO_SCORES]; /* "cosine", "l2-normalised", "l2-raw",
                                                             "dot" */

/* Test-time augmentation with the mirrored picture. flip-sum adds both embeddings, flip-concat
   puts them behind each other, score-mean averages the scores of the four combinations of views. */
typedef enum cameo_tta {
    CAMEO_TTA_NONE,
    CAMEO_TTA_FLIP_SUM,
    CAMEO_TTA_FLIP_CONCAT,
    CAMEO_TTA_SCORE_MEAN,
    CAMEO_TTAS
} cameo_tta;
extern const char *const cameo_tta_names[CAMEO_TTAS]; /* "none", "flip-sum" ... */

/* One network output of `dimension` floats a view of an image: views = 1, or 2 (as it is,
   mirrored). */
typedef struct cameo_embeddings {
    size_t images, dimension, views;
    const float **row; /* [images][views]; NULL where an image has none. The array is the caller's
                          too */
} cameo_embeddings;

typedef struct cameo_norms { /* of the embeddings that enter scores (score-mean: of the unmirrored
                                view), before normalising */
    size_t count;            /* images with an embedding */
    double mean, deviation, least, largest;
    size_t least_image, largest_image; /* indices into pairs->image */
} cameo_norms;

enum { CAMEO_HARDEST = 20 };

typedef struct cameo_hard_pair {
    size_t pair; /* index into pairs->pair */
    double score;
} cameo_hard_pair;

/* An operating point, chosen on the data set it names. Strings are the owner's (calibration.h). */
typedef struct cameo_operating_point {
    double threshold;   /* same person when score >= threshold */
    const char *score;  /* one of cameo_score_names */
    const char *tta;    /* one of cameo_tta_names */
    const char *rule;   /* "fpr=0.001", "eer", "accuracy" */
    const char *data;   /* the data set's name */
    const char *origin; /* where it was found: a file, or "the model" */
    double fpr, tpr;    /* on that data */
} cameo_operating_point;

/* A finding about the data: two images of one content; an identity, or a picture, that is in the
   training folder too. */
typedef struct cameo_finding {
    const char *first, *second; /* duplicate: both names; overlap: the identity and NULL, or both
                                   pictures' names */
} cameo_finding;

/* Everything a scoring run knows. Whoever runs it fills the first part; cameo_verification_measure
   fills the second. */
typedef struct cameo_verification {
    /* the question */
    const char *command;   /* the exact command line, quoted for a shell */
    const char *list;      /* the pair list's path */
    const char *list_hash; /* SHA-256 of its bytes, 64 hex digits */
    const char *title; /* the list's name and form for people: "pairs.txt: LFW form, 10 folds ..."
                        */
    const cameo_model *model;    /* NULL when scored from stored embeddings alone */
    const char *embeddings_file; /* then the .npy file, else NULL */
    const char *preprocess;      /* NULL when unknown (stored embeddings) */
    const char *alignment;       /* "none", "landmarks FILE", "detector NAME" */
    const char *instruction_set; /* "x86-64-v4" ... */
    int threads;
    cameo_tta tta;
    cameo_score primary; /* the one that curves, hardest pairs, roc.csv and submissions are about */
    const cameo_pairs *pairs; /* image[] = names in the list, path[] = files (NULL entries when
                                 there are none) */
    const cameo_operating_point *operating_point; /* NULL = none stored */
    const cameo_finding *duplicates, *overlaps;
    size_t n_duplicates, n_overlaps;
    size_t embedded, cached; /* images through the network in this run; found in the cache */
    /* the answer */
    double *score[CAMEO_SCORES]; /* [pairs->count] each; NaN where a pair failed */
    unsigned char *label;        /* [pairs->count] 0 or 1 (0 when unlabelled) */
    size_t failed;               /* pairs without a score: an image is missing or unreadable */
    bool measured; /* metrics are there: the list has labels and both kinds were scored */
    cameo_metrics metrics[CAMEO_SCORES]; /* over the pairs that have scores, in the list's order */
    cameo_norms norms;
    size_t n_accepts, n_rejects; /* by the primary score, hardest first: different people with the
                                    highest scores, ... */
    cameo_hard_pair accepts[CAMEO_HARDEST], rejects[CAMEO_HARDEST]; /* ... same person with the
                                                                       lowest */
} cameo_verification;

/* Scores every pair (any embedding whose norm is zero or not finite is an error naming the image)
   and, when the list has labels and pairs of both kinds, measures. The result does not depend on
   the number of threads. */
bool cameo_verification_measure(cameo_verification *v, const cameo_embeddings *e,
                                cameo_error *error);
void cameo_verification_free(cameo_verification *v);

/* What makes an embedding worthless, for a message: "is zero", "is not finite"; NULL = nothing. */
const char *cameo_embedding_fault(const float *row, size_t dimension);

/* The cosine of two embeddings by their squared norms; exactly 1 for equal ones, never beyond 1.
   What `cosine` is everywhere. */
double cameo_squared_norm(const float *x, size_t n);
double cameo_cosine(const float *a, const float *b, size_t n, double squares_a, double squares_b);

/* The short way, for training: embeddings[pairs->images][dimension] in memory, cosine, no
   augmentation. */
bool cameo_verification_quick(const float *embeddings, size_t dimension, const cameo_pairs *pairs,
                              cameo_metrics *m, cameo_error *error);
#endif
