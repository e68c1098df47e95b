/* Cross-validated accuracy as LFW's protocol has it: contiguous folds, each judged at the
   threshold that is best on all others.

   Two sets of thresholds: every distinct score, and the grid of InsightFace's evaluation code,
   where a pair is accepted when its squared distance is *below* one of 0, 0.01 ... 3.99 and the
   smallest of equally good thresholds is taken. */
#include "../base/files.h"
#include "metrics.h"
#include <math.h>
#include <stdlib.h>

enum { GRID = 400 };

/* As scikit-learn's KFold without shuffling: the first n % folds folds have one pair more. */
static size_t fold_begin(size_t n, int folds, int f) {
    size_t size = n / (size_t)folds, longer = n % (size_t)folds, k = (size_t)f;
    return k * size + (k < longer ? k : longer);
}

static int fold_count(size_t n, int folds) {
    int count = folds > CAMEO_MAX_FOLDS ? CAMEO_MAX_FOLDS : folds;
    if (n < (size_t)count) count = (int)n;
    return count < 2 ? 0 : count;
}

static void summarise(cameo_folds *f) {
    double squares = 0;
    for (int i = 0; i < f->count; i++) f->mean += f->accuracy[i] / f->count;
    for (int i = 0; i < f->count; i++)
        squares += (f->accuracy[i] - f->mean) * (f->accuracy[i] - f->mean);
    if (f->count) f->error = sqrt(squares / (f->count - 1) / f->count);
}

double cameo_best_threshold(const cameo_ranked *r, size_t n, size_t skip, size_t skip_end,
                            size_t *correct) {
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

static int fold_of(size_t n, int folds, size_t index) {
    size_t size = n / (size_t)folds, longer = n % (size_t)folds;
    return (int)(index < longer * (size + 1) ? index / (size + 1) : (index - longer) / size);
}

/* Right decisions of every fold at its threshold, in one pass. */
static void judge(const cameo_ranked *r, size_t n, cameo_folds *f) {
    size_t right[CAMEO_MAX_FOLDS] = {0};
    for (size_t i = 0; i < n; i++) {
        int k = fold_of(n, f->count, r[i].index);
        right[k] += (r[i].score >= f->threshold[k]) == (r[i].label != 0);
    }
    for (int k = 0; k < f->count; k++)
        f->accuracy[k] = (double)right[k] /
                         (double)(fold_begin(n, f->count, k + 1) - fold_begin(n, f->count, k));
}

void cameo_folds_exact(const cameo_ranked *r, size_t n, int folds, cameo_folds *f) {
    size_t unused;
    *f = (cameo_folds){.count = fold_count(n, folds)};
    for (int k = 0; k < f->count; k++)
        f->threshold[k] = cameo_best_threshold(r, n, fold_begin(n, f->count, k),
                                               fold_begin(n, f->count, k + 1), &unused);
    judge(r, n, f);
    summarise(f);
}

static double grid_threshold(int k) { return k * 0.01; }

/* The first grid threshold above d: pairs with distance d are accepted from there on. GRID when
   none is. */
static int first_accepting(double d) {
    int k = d < 0 ? 0 : d >= 4 ? GRID : (int)(d / 0.01);
    while (k > 0 && d < grid_threshold(k - 1)) k--;
    while (k < GRID && d >= grid_threshold(k)) k++;
    return k;
}

/* right[k]: correct decisions of pairs [begin, end) at threshold k, relative to accepting none,
   whose count is returned. */
static long long grid_counts(const double *scores, const unsigned char *labels, size_t begin,
                             size_t end, cameo_grid grid, long long right[GRID]) {
    long long negatives = 0;
    for (int k = 0; k < GRID; k++) right[k] = 0;
    for (size_t i = begin; i < end; i++) {
        double d = grid == CAMEO_GRID_COSINE ? 2 - 2 * scores[i] : scores[i] * scores[i];
        int k = first_accepting(d);
        if (k < GRID) right[k] += labels[i] ? 1 : -1;
        negatives += !labels[i];
    }
    for (int k = 1; k < GRID; k++) right[k] += right[k - 1];
    return negatives;
}

void cameo_folds_insightface(const double *scores, const unsigned char *labels, size_t n, int folds,
                             cameo_grid grid, cameo_folds *f) {
    *f = (cameo_folds){.count = fold_count(n, folds)};
    if (grid == CAMEO_GRID_NONE) f->count = 0;
    if (!f->count) return;
    long long(*right)[GRID] = cameo_allocate((size_t)f->count, sizeof *right), all[GRID] = {0},
         none[CAMEO_MAX_FOLDS];
    for (int i = 0; i < f->count; i++) {
        none[i] = grid_counts(scores, labels, fold_begin(n, f->count, i),
                              fold_begin(n, f->count, i + 1), grid, right[i]);
        for (int k = 0; k < GRID; k++) all[k] += right[i][k];
    }
    for (int i = 0; i < f->count; i++) {
        int best = 0;
        for (int k = 1; k < GRID; k++)
            if (all[k] - right[i][k] > all[best] - right[i][best]) best = k;
        f->threshold[i] = grid_threshold(best);
        size_t size = fold_begin(n, f->count, i + 1) - fold_begin(n, f->count, i);
        f->accuracy[i] = (double)(none[i] + right[i][best]) / (double)size;
    }
    free(right);
    summarise(f);
}
