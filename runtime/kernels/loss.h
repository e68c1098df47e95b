/* Losses: softmax cross-entropy and its gradient, and the margin before it, a row of class scores
   at a time. */
#ifndef CAMEO_KERNELS_LOSS_H
#define CAMEO_KERNELS_LOSS_H
#include "vector.h"

#include "margin.h"

typedef struct cameo_target { /* of one image: mix * a + (1 - mix) * b, smoothed (training.h) */
    int64_t a, b;
    float mix, smoothing;
} cameo_target;

/* A label that is no class counts for nothing. */
CAMEO_INLINE float cameo_at_label(const float *z, int64_t label, ptrdiff_t k) {
    return (uint64_t)label < (uint64_t)k ? z[label] : 0;
}

CAMEO_INLINE float cameo_row_most(const float *z, ptrdiff_t k) {
    float most = z[0];
    ptrdiff_t i = 0;
    if (k >= CAMEO_VF) {
        cameo_v v = cameo_load(z);
        for (i = CAMEO_VF; i + CAMEO_VF <= k; i += CAMEO_VF) v = cameo_max(v, cameo_load(z + i));
        for (ptrdiff_t l = 0; l < CAMEO_VF; l++) most = v[l] > most ? v[l] : most;
    }
    for (; i < k; i++) most = z[i] > most ? z[i] : most;
    return most;
}

/* p = exp(z - most); returns the sum of p, and adds z - most to *shifted. */
CAMEO_INLINE double cameo_row_exp(const float *z, float most, ptrdiff_t k, float *p,
                                  double *shifted) {
    cameo_v sum = {0}, all = {0};
    ptrdiff_t i = 0;
    for (; i + CAMEO_VF <= k; i += CAMEO_VF) {
        const cameo_v x = cameo_load(z + i) - most, y = cameo_exp(x);
        cameo_store(p + i, y);
        sum += y;
        all += x;
    }
    double total = 0;
    for (ptrdiff_t l = 0; l < CAMEO_VF; l++) total += (double)sum[l], *shifted += (double)all[l];
    for (; i < k; i++) {
        p[i] = expf(z[i] - most);
        total += (double)p[i];
        *shifted += (double)(z[i] - most);
    }
    return total;
}

/* The first of the largest is the label's. Ends for rows of NaN, too. */
CAMEO_INLINE bool cameo_row_correct(const float *z, float most, ptrdiff_t k, int64_t label) {
    ptrdiff_t best = 0;
    while (best + 1 < k && z[best] != most) best++;
    return best == label;
}

/* One row: probabilities p[k], and out = {loss, 1 when label a is found}. */
CAMEO_INLINE void cameo_cross_entropy_row(const float *z, ptrdiff_t k, cameo_target t, float *p,
                                          float out[2]) {
    const float most = cameo_row_most(z, k);
    double shifted = 0;
    const double sum = cameo_row_exp(z, most, k, p, &shifted), s = (double)t.smoothing,
                 mix = (double)t.mix;
    const double a = (double)cameo_at_label(z, t.a, k) - (double)most,
                 b = (double)cameo_at_label(z, t.b, k) - (double)most;
    const float scale = (float)(1 / sum);
    for (ptrdiff_t i = 0; i < k; i++) p[i] *= scale;
    out[0] = (float)(log(sum) - (1 - s) * (mix * a + (1 - mix) * b) - s * shifted / (double)k);
    out[1] = cameo_row_correct(z, most, k, t.a);
}

/* Mean of the losses and count of the images found, in the images' order. */
CAMEO_INLINE void cameo_cross_entropy_sum(const float *rows, ptrdiff_t n, float *loss,
                                          float *correct) {
    double sum = 0, found = 0;
    for (ptrdiff_t i = 0; i < n; i++) sum += (double)rows[2 * i], found += (double)rows[2 * i + 1];
    *loss = (float)(sum / (double)n);
    *correct = (float)found;
}

/* d = scale * (p - target). d may be p. */
CAMEO_INLINE void cameo_cross_entropy_grad_row(const float *p, ptrdiff_t k, cameo_target t,
                                               float scale, float *d) {
    const float others = t.smoothing / (float)k, one = scale * (1 - t.smoothing);
    for (ptrdiff_t i = 0; i < k; i++) d[i] = scale * (p[i] - others);
    if ((uint64_t)t.a < (uint64_t)k) d[t.a] -= one * t.mix;
    if ((uint64_t)t.b < (uint64_t)k) d[t.b] -= one * (1 - t.mix);
}

/* ---- margins ---- */

typedef struct cameo_margin {
    double scale, m1, m2, m3;
} cameo_margin;

/* y = z but for the label's score; *slope = what the gradient of that one is multiplied by. y may
   be z. */
CAMEO_INLINE void cameo_margin_row(const cameo_margin *m, const float *z, ptrdiff_t k,
                                   int64_t label, float *y, float *slope, float *correct) {
    double d = 1;
    *correct = cameo_row_correct(z, cameo_row_most(z, k), k, label);
    if (y != z) memcpy(y, z, (size_t)k * sizeof *y);
    if ((uint64_t)label < (uint64_t)k)
        y[label] = (float)cameo_margin_score(m->scale, m->m1, m->m2, m->m3, (double)z[label], &d);
    *slope = (float)d;
}

/* d may be dy. */
CAMEO_INLINE void cameo_margin_grad_row(const float *dy, ptrdiff_t k, int64_t label, float slope,
                                        float *d) {
    if (d != dy) memcpy(d, dy, (size_t)k * sizeof *d);
    if ((uint64_t)label < (uint64_t)k) d[label] *= slope;
}
#endif
