/* AUC by rank sums in integers (ties count one half), its interval after DeLong, DeLong &
   Clarke-Pearson 1988 computed from mid-ranks (Sun & Xu 2014), the equal error rate on the
   piecewise-linear ROC curve, rates at fixed false positive rates, and how the scores are
   distributed. Cross-validation is in ten_folds.c. */
#include "metrics.h"
#include "../base/files.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const double cameo_fpr_points[CAMEO_FPR_POINTS] = {1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1};

/* Pairs of equal score, from i on: how many of each kind; returns where they end. */
static size_t tied(const cameo_ranked *r, size_t n, size_t i, uint64_t count[2]) {
    size_t end = i;
    count[0] = count[1] = 0;
    for (; end < n && r[end].score == r[i].score; end++) count[r[end].label]++;
    return end;
}

/* Twice the wins of positives over negatives is an integer below 2^64 for up to 4e9 pairs, so the
   AUC is one rounding off. */
static double rank_auc(const cameo_ranked *r, size_t n, const cameo_metrics *m) {
    uint64_t wins2 = 0, count[2], negatives_left = m->negatives;
    for (size_t i = 0; i < n;) {
        i = tied(r, n, i, count);
        negatives_left -= count[0];
        wins2 += count[1] * (2 * negatives_left + count[0]);
    }
    return (double)wins2 / (2.0 * (double)m->positives * (double)m->negatives);
}

/* A positive's share of negatives below it, and a negative's share of positives above it (ties
   1/2), both have the AUC as mean; DeLong's variance is that of these shares. */
static void measure_auc(const cameo_ranked *r, size_t n, cameo_metrics *m) {
    double positives = (double)m->positives, negatives = (double)m->negatives, s10 = 0, s01 = 0,
           p_above = 0, n_above = 0;
    uint64_t count[2];
    m->auc = rank_auc(r, n, m);
    for (size_t i = 0; i < n;) {
        i = tied(r, n, i, count);
        double q = (double)count[0], p = (double)count[1];
        double d10 = (negatives - n_above - q / 2) / negatives - m->auc,
               d01 = (p_above + p / 2) / positives - m->auc;
        s10 += p * d10 * d10;
        s01 += q * d01 * d01;
        p_above += p;
        n_above += q;
    }
    double v10 = positives > 1 ? s10 / (positives - 1) : 0,
           v01 = negatives > 1 ? s01 / (negatives - 1) : 0;
    double deviation = sqrt(v10 / positives + v01 / negatives);
    m->auc_low = fmax(0, m->auc - 1.959963984540054 * deviation);
    m->auc_high = fmin(1, m->auc + 1.959963984540054 * deviation);
}

static size_t distinct_scores(const cameo_ranked *r, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += i == 0 || r[i].score != r[i - 1].score;
    return count;
}

static void measure_roc(const cameo_ranked *r, size_t n, cameo_metrics *m) {
    m->roc = cameo_allocate(distinct_scores(r, n) + 1, sizeof *m->roc);
    m->roc[0] = (cameo_roc_point){0, 0, INFINITY};
    m->points = 1;
    uint64_t count[2], tp = 0, fp = 0;
    for (size_t i = 0; i < n;) {
        double score = r[i].score;
        i = tied(r, n, i, count);
        fp += count[0], tp += count[1];
        m->roc[m->points++] = (cameo_roc_point){(double)fp / (double)m->negatives,
                                                (double)tp / (double)m->positives, score};
    }
}

static void measure_eer(cameo_metrics *m) {
    size_t i = 1;
    while (i + 1 < m->points && m->roc[i].fpr + m->roc[i].tpr < 1) i++;
    const cameo_roc_point *a = &m->roc[i - 1], *b = &m->roc[i];
    double da = a->fpr + a->tpr - 1, db = b->fpr + b->tpr - 1, t = db > da ? -da / (db - da) : 1;
    m->eer = a->fpr + t * (b->fpr - a->fpr);
    m->eer_threshold = isinf(a->threshold) ? b->threshold
                                           : a->threshold + t * (b->threshold - a->threshold);
}

/* The last point with fpr <= rate; fpr rises along the curve. */
static size_t last_within(const cameo_metrics *m, double rate) {
    size_t low = 0, high = m->points; /* the answer is in [low, high) */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (m->roc[middle].fpr <= rate)
            low = middle;
        else
            high = middle;
    }
    return low;
}

cameo_roc_point cameo_metrics_at_fpr(const cameo_metrics *m, double rate) {
    return m->roc[last_within(m, rate)];
}

cameo_roc_point cameo_metrics_at_threshold(const cameo_metrics *m, double threshold) {
    size_t i = 0;
    while (i + 1 < m->points && m->roc[i + 1].threshold >= threshold) i++;
    return (cameo_roc_point){m->roc[i].fpr, m->roc[i].tpr, threshold};
}

static void measure_tpr(cameo_metrics *m) {
    for (int k = 0; k < CAMEO_FPR_POINTS; k++) {
        double at = cameo_fpr_points[k];
        m->tpr[k] = m->tpr_strict[k] = NAN;
        if (at * (double)m->negatives < 1 - 1e-9) continue;
        size_t i = last_within(m, at);
        m->tpr_strict[k] = m->tpr[k] = m->roc[i].tpr;
        if (i + 1 == m->points) continue;
        const cameo_roc_point *a = &m->roc[i], *b = a + 1;
        m->tpr[k] += (at - a->fpr) / (b->fpr - a->fpr) * (b->tpr - a->tpr);
    }
}

/* Both sums run in rank order, so that they do not depend on the list's order. */
static void measure_spread(const cameo_ranked *r, size_t n, cameo_metrics *m) {
    double count[2] = {(double)m->negatives, (double)m->positives}, squares[2] = {0, 0};
    for (size_t i = 0; i < n; i++) m->mean[r[i].label] += r[i].score;
    for (int k = 0; k < 2; k++) m->mean[k] /= count[k];
    for (size_t i = 0; i < n; i++) {
        double d = r[i].score - m->mean[r[i].label];
        squares[r[i].label] += d * d;
    }
    for (int k = 0; k < 2; k++) m->deviation[k] = sqrt(squares[k] / count[k]);
    double pooled = sqrt((squares[0] / count[0] + squares[1] / count[1]) / 2);
    m->d_prime = pooled > 0 ? (m->mean[1] - m->mean[0]) / pooled : NAN;
}

static void measure_histogram(const cameo_ranked *r, size_t n, cameo_metrics *m) {
    m->low = r[n - 1].score;
    m->high = r[0].score;
    for (size_t i = 0; i < n; i++) {
        double at = m->high > m->low ? (r[i].score - m->low) / (m->high - m->low) * CAMEO_BINS : 0;
        m->histogram[r[i].label][at < CAMEO_BINS ? (int)at : CAMEO_BINS - 1]++;
    }
}

/* Integers in the order of falling scores: a double's bits rise with it, from the other end where
   it is negative. */
static uint64_t falling(double score) {
    uint64_t bits;
    score += 0.0; /* no -0 */
    memcpy(&bits, &score, sizeof bits);
    return bits >> 63 ? bits : ~(bits | (uint64_t)1 << 63);
}

enum { DIGIT = 11, DIGITS = 6, VALUES = 1 << DIGIT };

static size_t digit_of(double score, int d) { return falling(score) >> (d * DIGIT) & (VALUES - 1); }

/* One pass of a radix sort, stable; false when all have the same digit and nothing was moved. */
static bool distribute(const cameo_ranked *from, cameo_ranked *to, size_t n, int digit,
                       const size_t *counted) {
    size_t place[VALUES], sum = 0;
    for (size_t k = 0; k < VALUES; k++) {
        if (counted[k] == n) return false;
        place[k] = sum;
        sum += counted[k];
    }
    for (size_t i = 0; i < n; i++) to[place[digit_of(from[i].score, digit)]++] = from[i];
    return true;
}

/* By falling score, equal ones in the list's order: a radix sort from the lowest digit on (Knuth
   5.2.5), as a million pairs are usual and comparing takes several times as long. */
static cameo_ranked *rank(const double *scores, const unsigned char *labels, size_t pairs) {
    cameo_ranked *r = cameo_allocate(pairs, sizeof *r),
                 *other = cameo_allocate(pairs, sizeof *other), *t;
    size_t(*count)[VALUES] = cameo_allocate(DIGITS, sizeof *count);
    for (size_t i = 0; i < pairs; i++) {
        r[i] = (cameo_ranked){scores[i], i, labels[i] != 0};
        for (int d = 0; d < DIGITS; d++) count[d][digit_of(scores[i], d)]++;
    }
    for (int d = 0; d < DIGITS; d++)
        if (distribute(r, other, pairs, d, count[d])) t = r, r = other, other = t;
    free(other);
    free(count);
    return r;
}

bool cameo_metrics_compute(const double *scores, const unsigned char *labels, size_t pairs,
                           const cameo_metrics_options *options, cameo_metrics *m,
                           cameo_error *error) {
    *m = (cameo_metrics){.pairs = pairs};
    for (size_t i = 0; i < pairs; i++) {
        if (!isfinite(scores[i]))
            return cameo_reject(error, "pair %zu: the score is not finite", i + 1);
        labels[i] ? m->positives++ : m->negatives++;
    }
    if (!m->positives || !m->negatives)
        return cameo_reject(error, "metrics need pairs of both kinds: %zu same, %zu different",
                            m->positives, m->negatives);
    int folds = options && options->folds ? options->folds : CAMEO_FOLDS;
    size_t correct;
    cameo_ranked *r = rank(scores, labels, pairs);
    measure_auc(r, pairs, m);
    measure_roc(r, pairs, m);
    measure_eer(m);
    measure_tpr(m);
    measure_spread(r, pairs, m);
    measure_histogram(r, pairs, m);
    m->threshold_best = cameo_best_threshold(r, pairs, 0, 0, &correct);
    m->accuracy_best = (double)correct / (double)pairs;
    cameo_folds_exact(r, pairs, folds, &m->exact);
    free(r);
    cameo_folds_insightface(scores, labels, pairs, folds, options ? options->grid : CAMEO_GRID_NONE,
                            &m->insightface);
    return true;
}

void cameo_metrics_free(cameo_metrics *m) {
    free(m->roc);
    m->roc = NULL;
}
