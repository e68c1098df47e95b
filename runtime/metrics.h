/* Verification metrics over pairs with labels (1 = same person) and scores (higher = more alike). All rates are fractions. */
#ifndef CAMEO_METRICS_H
#define CAMEO_METRICS_H
#include "cameo.h"

enum { CAMEO_MAX_FOLDS = 10, CAMEO_FPR_POINTS = 7 };

typedef struct cameo_roc_point {
    double fpr, tpr, threshold; /* accepting score >= threshold; the first point's threshold is +infinity */
} cameo_roc_point;

typedef struct cameo_metrics {
    size_t pairs, positives, negatives;
    double auc, auc_low, auc_high; /* 95 % interval */
    double eer, eer_threshold;
    double accuracy_best, threshold_best; /* threshold chosen on the same data */
    int folds;                            /* 0 when there are fewer than two pairs */
    double fold_accuracy[CAMEO_MAX_FOLDS], fold_threshold[CAMEO_MAX_FOLDS];
    double fold_mean, fold_error;                               /* mean, standard error of the mean */
    double tpr[CAMEO_FPR_POINTS], tpr_strict[CAMEO_FPR_POINTS]; /* NaN where FPR < 1 / negatives */
    size_t points;
    cameo_roc_point *roc; /* one point a distinct score, from (0,0) to (1,1); freed by cameo_metrics_free */
} cameo_metrics;

extern const double cameo_fpr_points[CAMEO_FPR_POINTS];

/* folds <= CAMEO_MAX_FOLDS; fewer are used when there are fewer pairs. False when a label kind is missing (CAMEO_BAD_INPUT). */
bool cameo_metrics_compute(const double *scores, const unsigned char *labels, size_t pairs, int folds, cameo_metrics *m,
                           cameo_error *error);
void cameo_metrics_free(cameo_metrics *m);
#endif
