/* AUC by rank sums (ties count one half), its interval after DeLong, DeLong & Clarke-Pearson 1988 computed from mid-ranks (Sun
   & Xu 2014), the equal error rate on the piecewise-linear ROC curve, accuracies, and cross-validation over contiguous folds.
 */
#include "metrics.h"
#include "files.h"
#include <math.h>
#include <stdlib.h>

const double cameo_fpr_points[CAMEO_FPR_POINTS] = {1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1};

/* Pairs sorted by falling score; `index` is the pair's place in the list, which decides its fold. */
typedef struct ranked {
    double score;
    size_t index;
    unsigned char label;
} ranked;

static int by_falling_score(const void *x, const void *y) {
    const ranked *a = x, *b = y;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static void sums(double value, double *sum, double *squares) {
    *sum += value;
    *squares += value * value;
}

static double variance(double sum, double squares, double n) { return n > 1 ? fmax(0, squares - sum * sum / n) / (n - 1) : 0; }

/* For a positive, the share of negatives below it (ties 1/2); for a negative, the share of positives above it. Their mean is
 * the AUC. */
static void measure_auc(const ranked *r, size_t n, cameo_metrics *m) {
    double positives = (double)m->positives, negatives = (double)m->negatives;
    double p_above = 0, n_above = 0, sum10 = 0, squares10 = 0, sum01 = 0, squares01 = 0;
    for (size_t i = 0, end; i < n; i = end) {
        double p = 0, q = 0;
        for (end = i; end < n && r[end].score == r[i].score; end++) r[end].label ? p++ : q++;
        for (double k = 0; k < p; k++) sums((negatives - n_above - q / 2) / negatives, &sum10, &squares10);
        for (double k = 0; k < q; k++) sums((p_above + p / 2) / positives, &sum01, &squares01);
        p_above += p;
        n_above += q;
    }
    m->auc = sum10 / positives;
    double deviation =
        sqrt(variance(sum10, squares10, positives) / positives + variance(sum01, squares01, negatives) / negatives);
    m->auc_low = fmax(0, m->auc - 1.959963984540054 * deviation);
    m->auc_high = fmin(1, m->auc + 1.959963984540054 * deviation);
}

static void measure_roc(const ranked *r, size_t n, cameo_metrics *m) {
    m->roc = cameo_allocate(n + 1, sizeof *m->roc);
    m->roc[0] = (cameo_roc_point){0, 0, INFINITY};
    m->points = 1;
    size_t tp = 0, fp = 0;
    for (size_t i = 0; i < n; i++) {
        r[i].label ? tp++ : fp++;
        if (i + 1 < n && r[i + 1].score == r[i].score) continue;
        m->roc[m->points++] =
            (cameo_roc_point){(double)fp / (double)m->negatives, (double)tp / (double)m->positives, r[i].score};
    }
}

static void measure_eer(cameo_metrics *m) {
    size_t i = 1;
    while (i + 1 < m->points && m->roc[i].fpr + m->roc[i].tpr < 1) i++;
    const cameo_roc_point *a = &m->roc[i - 1], *b = &m->roc[i];
    double da = a->fpr + a->tpr - 1, db = b->fpr + b->tpr - 1, t = db > da ? -da / (db - da) : 1;
    m->eer = a->fpr + t * (b->fpr - a->fpr);
    m->eer_threshold = isinf(a->threshold) ? b->threshold : a->threshold + t * (b->threshold - a->threshold);
}

static void measure_tpr(cameo_metrics *m) {
    for (int k = 0; k < CAMEO_FPR_POINTS; k++) {
        double at = cameo_fpr_points[k];
        m->tpr[k] = m->tpr_strict[k] = NAN;
        if (at * (double)m->negatives < 1 - 1e-9) continue;
        size_t i = 0;
        while (i + 1 < m->points && m->roc[i + 1].fpr <= at) i++;
        m->tpr_strict[k] = m->tpr[k] = m->roc[i].tpr;
        if (i + 1 == m->points) continue;
        const cameo_roc_point *a = &m->roc[i], *b = a + 1;
        m->tpr[k] += (at - a->fpr) / (b->fpr - a->fpr) * (b->tpr - a->tpr);
    }
}

/* Best threshold among the distinct scores (and +infinity: accept none) of the pairs outside [skip, skip_end); the highest
 * among equals. */
static double best_threshold(const ranked *r, size_t n, size_t skip, size_t skip_end, size_t *correct) {
    long long now = 0, best = 0; /* correct decisions relative to accepting none */
    size_t negatives = 0;
    double threshold = INFINITY, last = INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (r[i].index >= skip && r[i].index < skip_end) continue;
        if (r[i].score != last && now > best) best = now, threshold = last;
        last = r[i].score;
        now += r[i].label ? 1 : -1;
        negatives += !r[i].label;
    }
    if (now > best) best = now, threshold = last;
    *correct = (size_t)((long long)negatives + best);
    return threshold;
}

static void measure_folds(const ranked *r, const double *scores, const unsigned char *labels, int folds, cameo_metrics *m) {
    m->folds = m->pairs < (size_t)folds ? (int)m->pairs : folds;
    if (m->folds < 2) m->folds = 0;
    double squares = 0;
    for (int f = 0; f < m->folds; f++) {
        size_t begin = m->pairs * (size_t)f / (size_t)m->folds, end = m->pairs * (size_t)(f + 1) / (size_t)m->folds, unused,
               right = 0;
        double threshold = best_threshold(r, m->pairs, begin, end, &unused);
        for (size_t i = begin; i < end; i++) right += (scores[i] >= threshold) == (labels[i] != 0);
        m->fold_threshold[f] = threshold;
        m->fold_accuracy[f] = (double)right / (double)(end - begin);
        m->fold_mean += m->fold_accuracy[f] / m->folds;
    }
    for (int f = 0; f < m->folds; f++) squares += pow(m->fold_accuracy[f] - m->fold_mean, 2);
    if (m->folds) m->fold_error = sqrt(squares / (m->folds - 1) / m->folds);
}

bool cameo_metrics_compute(const double *scores, const unsigned char *labels, size_t pairs, int folds, cameo_metrics *m,
                           cameo_error *error) {
    *m = (cameo_metrics){.pairs = pairs};
    for (size_t i = 0; i < pairs; i++) {
        if (!isfinite(scores[i])) return cameo_fail(error, CAMEO_BAD_INPUT, "pair %zu: the score is not finite", i + 1);
        labels[i] ? m->positives++ : m->negatives++;
    }
    if (!m->positives || !m->negatives)
        return cameo_fail(error, CAMEO_BAD_INPUT, "metrics need pairs of both kinds: %zu same, %zu different", m->positives,
                          m->negatives);
    ranked *r = cameo_allocate(pairs, sizeof *r);
    for (size_t i = 0; i < pairs; i++) r[i] = (ranked){scores[i], i, labels[i] != 0};
    qsort(r, pairs, sizeof *r, by_falling_score);
    measure_auc(r, pairs, m);
    measure_roc(r, pairs, m);
    measure_eer(m);
    measure_tpr(m);
    size_t correct;
    m->threshold_best = best_threshold(r, pairs, 0, 0, &correct);
    m->accuracy_best = (double)correct / (double)pairs;
    measure_folds(r, scores, labels, folds > CAMEO_MAX_FOLDS ? CAMEO_MAX_FOLDS : folds, m);
    free(r);
    return true;
}

void cameo_metrics_free(cameo_metrics *m) {
    free(m->roc);
    m->roc = NULL;
}
