/* Losses that compare the embeddings of a batch: triplets, contrastive pairs, class centers. They
   are small beside the net, and run as one task. */
#ifndef CAMEO_KERNELS_METRIC_H
#define CAMEO_KERNELS_METRIC_H
#include "vector.h"

typedef enum cameo_comparison {
    CAMEO_TRIPLET_HARD,
    CAMEO_TRIPLET_SEMI,
    CAMEO_CONTRASTIVE
} cameo_comparison;

typedef struct cameo_metric {
    ptrdiff_t n, d;
    cameo_comparison kind;
    float margin;
    const float *x; /* [n][d] */
    const int64_t *labels;
    float *distance, *slope; /* [n][n]; slope: of the loss by each distance */
    float *gradient;         /* [n][d] */
} cameo_metric;

CAMEO_INLINE float cameo_row_distance(const float *a, const float *b, ptrdiff_t d) {
    cameo_v sum = {0};
    float rest = 0;
    ptrdiff_t i = 0;
    for (; i + CAMEO_VF <= d; i += CAMEO_VF) {
        const cameo_v v = cameo_load(a + i) - cameo_load(b + i);
        sum += v * v;
    }
    for (; i < d; i++) rest += (a[i] - b[i]) * (a[i] - b[i]);
    for (ptrdiff_t l = 0; l < CAMEO_VF; l++) rest += sum[l];
    return rest < 1e-12f ? 1e-6f : sqrtf(rest);
}

/* Returns their sum, which is no number when any is not. */
CAMEO_INLINE float cameo_metric_distances(const cameo_metric *m) {
    float sum = 0;
    for (ptrdiff_t i = 0; i < m->n; i++) {
        m->distance[i * m->n + i] = 0;
        for (ptrdiff_t j = 0; j < i; j++) {
            const float d = cameo_row_distance(m->x + i * m->d, m->x + j * m->d, m->d);
            m->distance[i * m->n + j] = m->distance[j * m->n + i] = d;
            sum += d;
        }
    }
    return sum;
}

/* The image of another class (same: of the same) nearest to (far: farthest from) i among those
   farther than `beyond`; -1: none. */
CAMEO_INLINE ptrdiff_t cameo_metric_find(const cameo_metric *m, ptrdiff_t i, bool same, bool far,
                                         float beyond) {
    const float *distance = m->distance + i * m->n;
    ptrdiff_t best = -1;
    for (ptrdiff_t j = 0; j < m->n; j++) {
        if (j == i || (m->labels[j] == m->labels[i]) != same || !(distance[j] > beyond)) continue;
        if (best < 0 || (far ? distance[j] > distance[best] : distance[j] < distance[best]))
            best = j;
    }
    return best;
}

/* One triplet: adds to the loss and to the slopes, which are divided by the number of triplets
   later. */
CAMEO_INLINE double cameo_metric_triplet(const cameo_metric *m, ptrdiff_t i, ptrdiff_t p,
                                         ptrdiff_t q) {
    const float violation = m->margin + m->distance[i * m->n + p] - m->distance[i * m->n + q];
    if (violation <= 0) return 0;
    m->slope[i * m->n + p] += 1;
    m->slope[i * m->n + q] -= 1;
    return (double)violation;
}

CAMEO_INLINE double cameo_metric_hard(const cameo_metric *m, double *loss, ptrdiff_t i) {
    const ptrdiff_t p = cameo_metric_find(m, i, true, true, -1),
                    q = cameo_metric_find(m, i, false, false, -1);
    if (p < 0 || q < 0) return 0;
    *loss += cameo_metric_triplet(m, i, p, q);
    return 1;
}

CAMEO_INLINE double cameo_metric_semi(const cameo_metric *m, double *loss, ptrdiff_t i) {
    double count = 0;
    for (ptrdiff_t p = 0; p < m->n; p++) {
        if (p == i || m->labels[p] != m->labels[i]) continue;
        ptrdiff_t q = cameo_metric_find(m, i, false, false, m->distance[i * m->n + p]);
        if (q < 0) q = cameo_metric_find(m, i, false, true, -1);
        if (q < 0) continue;
        *loss += cameo_metric_triplet(m, i, p, q);
        count++;
    }
    return count;
}

CAMEO_INLINE double cameo_metric_triplets(const cameo_metric *m) {
    double loss = 0, count = 0;
    for (ptrdiff_t i = 0; i < m->n; i++)
        count += m->kind == CAMEO_TRIPLET_HARD ? cameo_metric_hard(m, &loss, i)
                                               : cameo_metric_semi(m, &loss, i);
    const float scale = count > 0 ? (float)(1 / count) : 0;
    for (ptrdiff_t i = 0; i < m->n * m->n; i++) m->slope[i] *= scale;
    return count > 0 ? loss / count : 0;
}

CAMEO_INLINE double cameo_metric_pairs(const cameo_metric *m) {
    double loss[2] = {0}, count[2] = {0}; /* of other classes, of the same class */
    for (ptrdiff_t i = 0; i < m->n; i++)
        for (ptrdiff_t j = 0; j < i; j++) {
            const bool same = m->labels[i] == m->labels[j];
            const float d = m->distance[i * m->n + j], v = same ? d : m->margin - d;
            if (v <= 0) continue;
            loss[same] += (double)v * (double)v;
            count[same]++;
            m->slope[i * m->n + j] = same ? v : -v;
        }
    for (ptrdiff_t i = 0; i < m->n; i++)
        for (ptrdiff_t j = 0; j < i; j++)
            if (m->slope[i * m->n + j] != 0)
                m->slope[i * m->n + j] /= (float)count[m->labels[i] == m->labels[j]];
    return 0.5 *
           ((count[0] > 0 ? loss[0] / count[0] : 0) + (count[1] > 0 ? loss[1] / count[1] : 0));
}

CAMEO_INLINE void cameo_metric_gradient(const cameo_metric *m) {
    memset(m->gradient, 0, (size_t)(m->n * m->d) * sizeof *m->gradient);
    for (ptrdiff_t i = 0; i < m->n; i++)
        for (ptrdiff_t j = 0; j < m->n; j++) {
            const float d = m->distance[i * m->n + j],
                        s = m->slope[i * m->n + j] + m->slope[j * m->n + i];
            if (s == 0 || d <= 1e-6f) continue;
            const float factor = s / d, *a = m->x + i * m->d, *b = m->x + j * m->d;
            for (ptrdiff_t k = 0; k < m->d; k++)
                m->gradient[i * m->d + k] += factor * (a[k] - b[k]);
        }
}

/* Loss, its gradient by x, and *correct: images whose nearest other image is of their class. */
CAMEO_INLINE void cameo_metric_loss(const cameo_metric *m, float *loss, float *correct) {
    const float sum = cameo_metric_distances(m);
    memset(m->slope, 0, (size_t)(m->n * m->n) * sizeof *m->slope);
    *loss = (float)(m->kind == CAMEO_CONTRASTIVE ? cameo_metric_pairs(m)
                                                 : cameo_metric_triplets(m));
    if (isnan(sum)) *loss = NAN; /* comparisons would pass such images over in silence */
    cameo_metric_gradient(m);
    *correct = 0;
    for (ptrdiff_t i = 0; i < m->n; i++) {
        const ptrdiff_t same = cameo_metric_find(m, i, true, false, -1),
                        other = cameo_metric_find(m, i, false, false, -1);
        const float *distance = m->distance + i * m->n;
        *correct += same >= 0 && (other < 0 || distance[same] <= distance[other]);
    }
}

/* ---- class centers ---- */

typedef struct cameo_centers {
    ptrdiff_t n, d, classes;
    float rate;
    const float *x;
    const int64_t *labels;
    const float *centers; /* [classes][d] */
    float *updated;       /* may be centers */
    float *gradient;
} cameo_centers;

CAMEO_INLINE bool cameo_centers_known(const cameo_centers *s, ptrdiff_t i) {
    return (uint64_t)s->labels[i] < (uint64_t)s->classes;
}

/* Moves the center of image i's class, whose first image in the batch it is. */
CAMEO_INLINE void cameo_centers_move(const cameo_centers *s, ptrdiff_t i) {
    const ptrdiff_t at = s->labels[i] * s->d;
    float count = 1;
    for (ptrdiff_t j = i; j < s->n; j++) count += s->labels[j] == s->labels[i];
    for (ptrdiff_t k = 0; k < s->d; k++) {
        const float c = s->centers[at + k];
        float sum = 0;
        for (ptrdiff_t j = i; j < s->n; j++)
            if (s->labels[j] == s->labels[i]) sum += c - s->x[j * s->d + k];
        s->updated[at + k] = c - s->rate * sum / count;
    }
}

/* Mean of |x - center|^2 / 2; then each center of a class in the batch moves (Wen et al. 2016,
   equation 4). */
CAMEO_INLINE void cameo_center_loss(const cameo_centers *s, float *loss) {
    double sum = 0;
    for (ptrdiff_t i = 0; i < s->n; i++)
        for (ptrdiff_t k = 0; k < s->d; k++) {
            const float v = cameo_centers_known(s, i)
                                ? s->x[i * s->d + k] - s->centers[s->labels[i] * s->d + k]
                                : 0;
            s->gradient[i * s->d + k] = v / (float)s->n;
            sum += (double)v * (double)v;
        }
    *loss = (float)(sum / 2 / (double)s->n);
    if (s->updated != s->centers)
        memcpy(s->updated, s->centers, (size_t)(s->classes * s->d) * sizeof *s->updated);
    for (ptrdiff_t i = 0; i < s->n; i++) {
        bool first = cameo_centers_known(s, i);
        for (ptrdiff_t j = 0; j < i; j++) first &= s->labels[j] != s->labels[i];
        if (first) cameo_centers_move(s, i);
    }
}
#endif
