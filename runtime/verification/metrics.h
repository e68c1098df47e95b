/* Verification metrics over pairs with labels (1 = same person) and scores (higher = more alike).
   All rates are fractions. A cameo_metrics owns its roc; everything else is plain data.
   docs/verification.md defines each number. */
#ifndef CAMEO_METRICS_H
#define CAMEO_METRICS_H
#include "../cameo.h"

enum { CAMEO_FOLDS = 10, CAMEO_MAX_FOLDS = 64, CAMEO_FPR_POINTS = 7, CAMEO_BINS = 64 };

/* How a score becomes the squared distance of normalised embeddings, which InsightFace's
   thresholds are over. */
typedef enum cameo_grid {
    CAMEO_GRID_NONE,   /* it does not: no insightface folds */
    CAMEO_GRID_COSINE, /* 2 - 2 score */
    CAMEO_GRID_L2      /* score squared (score = -distance) */
} cameo_grid;

typedef struct cameo_roc_point {
    double fpr, tpr, threshold; /* accepting score >= threshold; the first point's threshold is
                                   +infinity */
} cameo_roc_point;

/* Cross-validated accuracy: contiguous folds in the list's order, each judged at the threshold
   best on the others. */
typedef struct cameo_folds {
    int count;          /* 0 = not computed: fewer than two pairs, or the mode does not apply */
    double mean, error; /* error: standard error of the mean, deviation with n - 1 */
    double accuracy[CAMEO_MAX_FOLDS], threshold[CAMEO_MAX_FOLDS]; /* insightface: threshold of the
                                                                     squared distance */
} cameo_folds;

typedef struct cameo_metrics {
    size_t pairs, positives, negatives;
    double auc, auc_low, auc_high; /* 95 % interval (DeLong), cut at 0 and 1 */
    double eer, eer_threshold;
    double accuracy_best, threshold_best; /* threshold chosen on the same data; +infinity: accept
                                             none */
    cameo_folds exact, insightface; /* thresholds: every distinct score; squared distance 0, 0.01
                                       ... 3.99 */
    double tpr[CAMEO_FPR_POINTS], tpr_strict[CAMEO_FPR_POINTS]; /* NaN where FPR < 1 / negatives */
    double d_prime;                  /* NaN when neither kind's scores vary */
    double mean[2], deviation[2];    /* of the scores, by label; deviation with n */
    double low, high;                /* least and largest score; the histogram's ends */
    size_t histogram[2][CAMEO_BINS]; /* by label; equal bins of [low, high], the last one closed */
    size_t points;
    cameo_roc_point *roc; /* one point a distinct score, from (0,0) to (1,1); freed by
                             cameo_metrics_free */
} cameo_metrics;

extern const double cameo_fpr_points[CAMEO_FPR_POINTS];

typedef struct cameo_metrics_options {
    int folds; /* 0 = CAMEO_FOLDS; at most CAMEO_MAX_FOLDS; fewer are used when there are fewer
                  pairs */
    cameo_grid grid;
} cameo_metrics_options;

/* scores[pairs], labels[pairs] (0 or not 0). options NULL = defaults. False with *error
   (CAMEO_BAD_INPUT) when a kind of pair is missing or a score is not finite. O(n log n) time, 24
   bytes a pair. */
bool cameo_metrics_compute(const double *scores, const unsigned char *labels, size_t pairs,
                           const cameo_metrics_options *options, cameo_metrics *m,
                           cameo_error *error);
void cameo_metrics_free(cameo_metrics *m);

/* The point to operate at with at most this false positive rate: the last point of the curve with
   fpr <= rate. */
cameo_roc_point cameo_metrics_at_fpr(const cameo_metrics *m, double rate);
/* What accepting score >= threshold gives on the curve. */
cameo_roc_point cameo_metrics_at_threshold(const cameo_metrics *m, double threshold);

/* ten_folds.c. ranked: pairs by falling score. */
typedef struct cameo_ranked {
    double score;
    size_t index; /* place in the list: decides its fold */
    unsigned char label;
} cameo_ranked;
/* The distinct score (or +infinity) with most correct decisions over the pairs outside [skip,
   skip_end); the highest of equals. */
double cameo_best_threshold(const cameo_ranked *r, size_t n, size_t skip, size_t skip_end,
                            size_t *correct);
void cameo_folds_exact(const cameo_ranked *r, size_t n, int folds, cameo_folds *f);
void cameo_folds_insightface(const double *scores, const unsigned char *labels, size_t n, int folds,
                             cameo_grid grid, cameo_folds *f);
#endif
