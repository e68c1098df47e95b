/* Scores of pairs and what follows from them. Every pair is scored by itself in double from
   float32 embeddings, so neither the number of threads nor the order of work changes a bit. */
#include "verification.h"
#include "../base/files.h"
#include "../core/threads.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const cameo_score_names[CAMEO_SCORES] = {"cosine", "l2-normalised", "l2-raw", "dot"};
const char *const cameo_tta_names[CAMEO_TTAS] = {"none", "flip-sum", "flip-concat", "score-mean"};

enum { CHUNK = 4096 }; /* pairs a task */

typedef struct scorer {
    const cameo_embeddings *e;
    const cameo_pairs *pairs;
    cameo_tta tta;
    size_t dimension, parts; /* of what enters a score; parts = 2 for score-mean, whose views are
                                scored apart */
    double *squares; /* [images][parts]: norms, squared; 0 where an image has no embedding */
    double **score;
} scorer;

/* What enters a score: a row itself, or both views joined in the buffer. */
static const float *joined(const scorer *s, size_t image, size_t part, float *buffer) {
    const float *const *row = s->e->row + image * s->e->views;
    size_t n = s->e->dimension;
    if (s->tta == CAMEO_TTA_NONE || s->tta == CAMEO_TTA_SCORE_MEAN) return row[part];
    if (s->tta == CAMEO_TTA_FLIP_SUM) {
        for (size_t i = 0; i < n; i++) buffer[i] = row[0][i] + row[1][i];
    } else {
        memcpy(buffer, row[0], n * sizeof *buffer);
        memcpy(buffer + n, row[1], n * sizeof *buffer);
    }
    return buffer;
}

enum { PARTS = 8 }; /* partial sums, so that the additions need not wait for each other */

static double sum_of(const double x[PARTS]) {
    return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
}

/* The dot product. A vector's squared norm is the one with itself, so that equal vectors have a
   dot product equal to it, bit for bit. */
static double dot_of(const float *a, const float *b, size_t n) {
    double dot[PARTS] = {0};
    for (size_t i = 0; i < n; i += PARTS)
        for (size_t k = 0; k < PARTS && i + k < n; k++) dot[k] += (double)a[i + k] * b[i + k];
    return sum_of(dot);
}

const char *cameo_embedding_fault(const float *row, size_t dimension) {
    double squares = dot_of(row, row, dimension);
    return squares == 0 ? "is zero" : isfinite(squares) ? NULL : "is not finite";
}

/* The root of the product, not the product of the roots: of equal factors that's the factor
   itself, and a picture's cosine with itself exactly 1. Floats leave room: no product of theirs
   overflows in double, none but zeros is 0. */
static double cosine_of(double dot, double squares_a, double squares_b) {
    const double cosine = dot / sqrt(squares_a * squares_b);
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

double cameo_squared_norm(const float *x, size_t n) { return dot_of(x, x, n); }

double cameo_cosine(const float *a, const float *b, size_t n, double squares_a, double squares_b) {
    return cosine_of(dot_of(a, b, n), squares_a, squares_b);
}

/* All scores in one go. The sums are those of dot_of(), and equal vectors have both distances 0,
   as long as no product is fused with an addition: CMakeLists.txt forbids that for this file. */
static void add_scores(const float *a, const float *b, double aa, double bb, size_t n, double share,
                       double out[CAMEO_SCORES]) {
    double dots[PARTS] = {0}, raw[PARTS] = {0}, normalised[PARTS] = {0}, ra = 1 / sqrt(aa),
           rb = 1 / sqrt(bb);
    for (size_t i = 0; i < n; i += PARTS)
        for (size_t k = 0; k < PARTS && i + k < n; k++) {
            double x = a[i + k], y = b[i + k], d = x - y, u = x * ra - y * rb;
            dots[k] += x * y;
            raw[k] += d * d;
            normalised[k] += u * u;
        }
    const double dot = sum_of(dots);
    out[CAMEO_COSINE] += share * cosine_of(dot, aa, bb);
    out[CAMEO_L2_NORMALISED] -= share * sqrt(sum_of(normalised));
    out[CAMEO_L2_RAW] -= share * sqrt(sum_of(raw));
    out[CAMEO_DOT] += share * dot;
}

static void score_pair(const scorer *s, size_t i, float *buffer) {
    const cameo_pair *p = &s->pairs->pair[i];
    const double *aa = s->squares + p->a * s->parts, *bb = s->squares + p->b * s->parts;
    double out[CAMEO_SCORES] = {0}, share = 1 / (double)(s->parts * s->parts);
    for (size_t x = 0; x < s->parts; x++)
        for (size_t y = 0; y < s->parts; y++) {
            if (aa[x] == 0 || bb[y] == 0) {
                out[0] = out[1] = out[2] = out[3] = NAN;
                continue;
            }
            const float *a = joined(s, p->a, x, buffer),
                        *b = joined(s, p->b, y, buffer + s->dimension);
            add_scores(a, b, aa[x], bb[y], s->dimension, share, out);
        }
    for (int k = 0; k < CAMEO_SCORES; k++) s->score[k][i] = out[k];
}

static void score_task(void *argument, size_t task) {
    const scorer *s = argument;
    float *buffer = cameo_allocate(2 * s->dimension, sizeof *buffer);
    size_t end = (task + 1) * CHUNK < s->pairs->count ? (task + 1) * CHUNK : s->pairs->count;
    for (size_t i = task * CHUNK; i < end; i++) score_pair(s, i, buffer);
    free(buffer);
}

static bool measure_norms(scorer *s, cameo_norms *m, cameo_error *error) {
    float *buffer = cameo_allocate(s->dimension, sizeof *buffer);
    double sum = 0, squares = 0;
    bool good = true;
    *m = (cameo_norms){.least = INFINITY};
    s->squares = cameo_allocate(s->e->images * s->parts, sizeof *s->squares);
    for (size_t i = 0; i < s->e->images && good; i++) {
        if (!s->e->row[i * s->e->views]) continue;
        for (size_t k = 0; k < s->parts && good; k++) {
            const float *x = joined(s, i, k, buffer);
            const char *why = cameo_embedding_fault(x, s->dimension);
            s->squares[i * s->parts + k] = dot_of(x, x, s->dimension);
            if (why) good = cameo_reject(error, "%s: its embedding %s", s->pairs->image[i], why);
        }
        double norm = sqrt(s->squares[i * s->parts]);
        m->count++, sum += norm, squares += norm * norm;
        if (norm < m->least) m->least = norm, m->least_image = i;
        if (norm > m->largest) m->largest = norm, m->largest_image = i;
    }
    double n = (double)(m->count ? m->count : 1);
    m->mean = sum / n;
    m->deviation = sqrt(fmax(0, squares / n - m->mean * m->mean));
    free(buffer);
    return good;
}

/* Keeps the CAMEO_HARDEST highest by sign * score; among equal ones the earlier pair. */
static void keep_hardest(cameo_hard_pair *kept, size_t *count, cameo_hard_pair x, double sign) {
    size_t at = *count;
    while (at > 0 && sign * x.score > sign * kept[at - 1].score) at--;
    if (at == CAMEO_HARDEST) return;
    if (*count < CAMEO_HARDEST) ++*count;
    memmove(kept + at + 1, kept + at, (*count - 1 - at) * sizeof *kept);
    kept[at] = x;
}

static void find_hardest(cameo_verification *v) {
    const double *score = v->score[v->primary];
    for (size_t i = 0; i < v->pairs->count; i++) {
        if (isnan(score[i])) continue;
        if (v->label[i])
            keep_hardest(v->rejects, &v->n_rejects, (cameo_hard_pair){i, score[i]}, -1);
        else
            keep_hardest(v->accepts, &v->n_accepts, (cameo_hard_pair){i, score[i]}, 1);
    }
}

typedef struct measuring {
    cameo_verification *v;
    bool good[CAMEO_SCORES];
    cameo_error error[CAMEO_SCORES];
} measuring;

/* Metrics of score k over the pairs that have one. */
static void measure_task(void *argument, size_t k) {
    static const cameo_grid grid[CAMEO_SCORES] = {CAMEO_GRID_COSINE, CAMEO_GRID_L2, CAMEO_GRID_NONE,
                                                  CAMEO_GRID_NONE};
    measuring *all = argument;
    cameo_verification *v = all->v;
    size_t n = v->pairs->count, used = 0;
    double *score = cameo_allocate(n, sizeof *score);
    unsigned char *label = cameo_allocate(n, 1);
    for (size_t i = 0; i < n; i++)
        if (!isnan(v->score[k][i])) score[used] = v->score[k][i], label[used++] = v->label[i];
    cameo_metrics_options options = {v->pairs->folds >= 2 ? v->pairs->folds : 0, grid[k]};
    all->good[k] = cameo_metrics_compute(score, label, used, &options, &v->metrics[k],
                                         &all->error[k]);
    if (k != v->primary)
        cameo_metrics_free(&v->metrics[k]); /* a curve of a million points that nobody draws */
    free(score);
    free(label);
}

static bool measure_all(cameo_verification *v, cameo_error *error) {
    measuring all = {.v = v};
    cameo_parallel_once(v->threads, CAMEO_SCORES, measure_task, &all);
    v->measured = true;
    for (int k = 0; k < CAMEO_SCORES && v->measured; k++)
        if (!all.good[k])
            v->measured = cameo_fail(error, all.error[k].code, "%s", all.error[k].message);
    return v->measured;
}

/* Both kinds of pairs have scores: else there is nothing to measure. */
static bool has_both_kinds(const cameo_verification *v) {
    bool kind[2] = {false, false};
    for (size_t i = 0; i < v->pairs->count; i++)
        if (!isnan(v->score[0][i])) kind[v->label[i]] = true;
    return kind[0] && kind[1];
}

bool cameo_verification_measure(cameo_verification *v, const cameo_embeddings *e,
                                cameo_error *error) {
    size_t n = v->pairs->count;
    bool concat = v->tta == CAMEO_TTA_FLIP_CONCAT;
    scorer s = {e,
                v->pairs,
                v->tta,
                e->dimension * (concat ? 2 : 1),
                v->tta == CAMEO_TTA_SCORE_MEAN ? 2 : 1,
                NULL,
                v->score};
    if (e->images != v->pairs->images || e->views != (v->tta == CAMEO_TTA_NONE ? 1 : 2))
        return cameo_fail(error, CAMEO_DEFECT, "%zu embeddings of %zu views do not fit %zu images",
                          e->images, e->views, v->pairs->images);
    for (int k = 0; k < CAMEO_SCORES; k++) v->score[k] = cameo_allocate(n, sizeof **v->score);
    v->label = cameo_allocate(n, 1);
    bool good = measure_norms(&s, &v->norms, error);
    if (good) cameo_parallel_once(v->threads, (n + CHUNK - 1) / CHUNK, score_task, &s);
    free(s.squares);
    for (size_t i = 0; i < n && good; i++) {
        v->label[i] = v->pairs->pair[i].label == 1;
        if (isnan(v->score[0][i])) v->failed++;
    }
    if (!good || !v->pairs->labelled || !has_both_kinds(v)) return good;
    find_hardest(v);
    return measure_all(v, error);
}

void cameo_verification_free(cameo_verification *v) {
    for (int k = 0; k < CAMEO_SCORES; k++) {
        free(v->score[k]);
        v->score[k] = NULL;
        cameo_metrics_free(&v->metrics[k]);
    }
    free(v->label);
    v->label = NULL;
}

bool cameo_verification_quick(const float *embeddings, size_t dimension, const cameo_pairs *pairs,
                              cameo_metrics *m, cameo_error *error) {
    cameo_embeddings e = {pairs->images, dimension, 1,
                          cameo_allocate(pairs->images, sizeof *e.row)};
    for (size_t i = 0; i < pairs->images; i++) e.row[i] = embeddings + i * dimension;
    cameo_verification v = {.pairs = pairs, .threads = 1};
    bool good = cameo_verification_measure(&v, &e, error);
    if (good && !v.measured)
        good = cameo_reject(error, "the list has no labels, or one kind of pairs only");
    if (good) {
        *m = v.metrics[CAMEO_COSINE];
        v.metrics[CAMEO_COSINE].roc = NULL; /* now the caller's */
    }
    cameo_verification_free(&v);
    free(e.row);
    return good;
}
