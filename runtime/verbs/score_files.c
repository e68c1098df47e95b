/* What a scoring run leaves behind: scores.csv, roc.csv, metrics.json. docs/verification.md says
   what each number is. */
#include "../core/threads.h"
#include "../verification/submission.h"
#include "scoring.h"
#include <math.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

/* Rows of a table that are made on all threads, each part into a buffer of its own, and written in
   order. */
typedef struct table {
    const cameo_verification *v;
    void (*put)(const struct table *, size_t row, FILE *);
    size_t rows;
    char **field; /* names as CSV fields; NULL where there are none */
    cameo_output *part;
} table;

enum { ROWS = 1 << 14 }; /* of a part */

static void part_task(void *argument, size_t part) {
    const table *t = argument;
    cameo_output *o = &t->part[part];
    size_t end = (part + 1) * ROWS < t->rows ? (part + 1) * ROWS : t->rows;
    if (!cameo_output_open(o, NULL)) return;
    (void)__fsetlocking(o->stream, FSETLOCKING_BYCALLER); /* no other thread has it */
    for (size_t i = part * ROWS; i < end; i++) t->put(t, i, o->stream);
    bool bad = ferror(o->stream);
    if (fclose(o->stream) != 0 || bad) free(o->data), o->data = NULL;
}

static bool write_table(table *t, const char *heading, const char *directory, const char *name,
                        cameo_error *error) {
    size_t parts = (t->rows + ROWS - 1) / ROWS;
    cameo_output o;
    if (!cameo_output_open(&o, error)) return false;
    fputs(heading, o.stream);
    t->part = cameo_allocate(parts, sizeof *t->part);
    cameo_parallel_once(t->v->threads, parts, part_task, t);
    bool whole = true;
    for (size_t i = 0; i < parts; i++) {
        whole &= t->part[i].data &&
                 fwrite(t->part[i].data, 1, t->part[i].size, o.stream) == t->part[i].size;
        free(t->part[i].data);
    }
    free(t->part);
    if (whole) return cameo_output_save(&o, directory, name, error);
    fclose(o.stream);
    free(o.data);
    return cameo_fail(error, CAMEO_ENVIRONMENT, "%s: out of memory", name);
}

static void put_pair(const table *t, size_t i, FILE *f) {
    static const char *const label[] = {"", "0", "1"};
    const cameo_verification *v = t->v;
    const cameo_pair *p = &v->pairs->pair[i];
    fputs(t->field[p->a], f);
    fputc(',', f);
    fputs(t->field[p->b], f);
    fputc(',', f);
    fputs(label[p->label + 1], f);
    if (isnan(v->score[CAMEO_COSINE][i]))
        fputs(",,\n", f); /* no score: a picture is missing */
    else
        fprintf(f, ",%.9g,%.9g\n", v->score[CAMEO_COSINE][i], 0 - v->score[CAMEO_L2_RAW][i]); /* no
                                                                                                 -0
                                                                                               */
}

static char *csv_field(const char *name) {
    cameo_output o;
    if (!cameo_output_open(&o, NULL)) return NULL;
    cameo_csv_field(o.stream, name, strlen(name));
    return fclose(o.stream) == 0 ? o.data : NULL;
}

static bool write_scores(const cameo_verification *v, const char *directory, cameo_error *error) {
    table t = {.v = v, .put = put_pair, .rows = v->pairs->count};
    bool good = true;
    t.field = cameo_allocate(v->pairs->images, sizeof *t.field);
    for (size_t i = 0; i < v->pairs->images && good; i++)
        good = (t.field[i] = csv_field(v->pairs->image[i])) != NULL;
    good = good ? write_table(&t, "img1,img2,label,cosine,l2\n", directory, "scores.csv", error)
                : cameo_fail(error, CAMEO_ENVIRONMENT, "scores.csv: out of memory");
    for (size_t i = 0; i < v->pairs->images; i++) free(t.field[i]);
    free(t.field);
    return good;
}

static void put_point(const table *t, size_t i, FILE *f) {
    const cameo_roc_point *p = &t->v->metrics[t->v->primary].roc[i];
    fprintf(f, "%.9g,%.9g,%.9g\n", p->fpr, p->tpr, p->threshold);
}

static bool write_roc(const cameo_verification *v, const char *directory, cameo_error *error) {
    table t = {.v = v, .put = put_point, .rows = v->metrics[v->primary].points};
    return write_table(&t, "fpr,tpr,threshold\n", directory, "roc.csv", error);
}

static void put_folds(cameo_json *j, const char *key, const cameo_folds *f) {
    cameo_json_open(j, key, '{');
    cameo_json_integer(j, "folds", f->count);
    cameo_json_number(j, "mean", f->count ? f->mean : NAN);
    cameo_json_number(j, "standard_error", f->count ? f->error : NAN);
    cameo_json_open(j, "accuracy", '[');
    for (int i = 0; i < f->count; i++) cameo_json_number(j, NULL, f->accuracy[i]);
    cameo_json_close(j, ']');
    cameo_json_open(j, "threshold", '[');
    for (int i = 0; i < f->count; i++) cameo_json_number(j, NULL, f->threshold[i]);
    cameo_json_close(j, ']');
    cameo_json_close(j, '}');
}

static void put_tpr(cameo_json *j, const cameo_metrics *m) {
    cameo_json_open(j, "tpr_at_fpr", '[');
    for (int i = 0; i < CAMEO_FPR_POINTS; i++) {
        cameo_json_open(j, NULL, '{');
        cameo_json_number(j, "fpr", cameo_fpr_points[i]);
        cameo_json_number(j, "tpr", m->tpr[i]);
        cameo_json_number(j, "tpr_strict", m->tpr_strict[i]);
        cameo_json_close(j, '}');
    }
    cameo_json_close(j, ']');
}

static void put_spread(cameo_json *j, const cameo_metrics *m) {
    static const char *const kind[] = {"different", "same"};
    cameo_json_field(j, m, d_prime);
    cameo_json_number(j, "lowest", m->low);
    cameo_json_number(j, "highest", m->high);
    for (int k = 0; k < 2; k++) {
        cameo_json_open(j, kind[k], '{');
        cameo_json_number(j, "mean", m->mean[k]);
        cameo_json_number(j, "deviation", m->deviation[k]);
        cameo_json_open(j, "histogram", '[');
        for (int b = 0; b < CAMEO_BINS; b++) cameo_json_count(j, NULL, m->histogram[k][b]);
        cameo_json_close(j, ']');
        cameo_json_close(j, '}');
    }
}

static void put_metrics(cameo_json *j, const cameo_metrics *m) {
    cameo_json_field(j, m, auc);
    cameo_json_field(j, m, auc_low);
    cameo_json_field(j, m, auc_high);
    cameo_json_field(j, m, eer);
    cameo_json_field(j, m, eer_threshold);
    cameo_json_field(j, m, accuracy_best);
    cameo_json_field(j, m, threshold_best);
    cameo_json_field(j, m, positives);
    cameo_json_field(j, m, negatives);
    cameo_json_number(j, "accuracy_10fold", m->exact.count ? m->exact.mean : NAN);
    cameo_json_number(j, "accuracy_10fold_se", m->exact.count ? m->exact.error : NAN);
    put_folds(j, "folds_exact", &m->exact);
    put_folds(j, "folds_insightface", &m->insightface);
    put_tpr(j, m);
    put_spread(j, m);
}

static void put_all_scores(cameo_json *j, const cameo_verification *v) {
    cameo_json_open(j, "scores", '{');
    for (int k = 0; k < CAMEO_SCORES; k++) {
        cameo_json_open(j, cameo_score_names[k], '{');
        cameo_json_field(j, &v->metrics[k], auc);
        cameo_json_field(j, &v->metrics[k], eer);
        cameo_json_field(j, &v->metrics[k], eer_threshold);
        cameo_json_field(j, &v->metrics[k], accuracy_best);
        cameo_json_number(j, "accuracy_10fold",
                          v->metrics[k].exact.count ? v->metrics[k].exact.mean : NAN);
        cameo_json_close(j, '}');
    }
    cameo_json_close(j, '}');
}

static void put_hard(cameo_json *j, const char *key, const cameo_verification *v,
                     const cameo_hard_pair *h, size_t n) {
    cameo_json_open(j, key, '[');
    for (size_t i = 0; i < n; i++) {
        const cameo_pair *p = &v->pairs->pair[h[i].pair];
        cameo_json_open(j, NULL, '{');
        cameo_json_count(j, "row", h[i].pair);
        cameo_json_text(j, "img1", v->pairs->image[p->a]);
        cameo_json_text(j, "img2", v->pairs->image[p->b]);
        cameo_json_field(j, &h[i], score);
        cameo_json_close(j, '}');
    }
    cameo_json_close(j, ']');
}

static void put_norms(cameo_json *j, const cameo_verification *v) {
    const cameo_norms *n = &v->norms;
    cameo_json_open(j, "embedding_norms", '{');
    cameo_json_count(j, "images", n->count);
    cameo_json_field(j, n, mean);
    cameo_json_field(j, n, deviation);
    cameo_json_field(j, n, least);
    cameo_json_field(j, n, largest);
    if (n->count) {
        cameo_json_text(j, "least_image", v->pairs->image[n->least_image]);
        cameo_json_text(j, "largest_image", v->pairs->image[n->largest_image]);
    }
    cameo_json_close(j, '}');
}

static void put_findings(cameo_json *j, const char *key, const cameo_finding *f, size_t n) {
    cameo_json_open(j, key, '[');
    for (size_t i = 0; i < n; i++) {
        cameo_json_open(j, NULL, '[');
        cameo_json_text(j, NULL, f[i].first);
        if (f[i].second) cameo_json_text(j, NULL, f[i].second);
        cameo_json_close(j, ']');
    }
    cameo_json_close(j, ']');
}

static void put_operating_point(cameo_json *j, const cameo_operating_point *p) {
    if (!p) return;
    cameo_json_open(j, "operating_point", '{');
    cameo_json_field(j, p, threshold);
    cameo_json_field(j, p, score);
    cameo_json_field(j, p, tta);
    cameo_json_field(j, p, rule);
    cameo_json_field(j, p, data);
    cameo_json_field(j, p, origin);
    cameo_json_close(j, '}');
}

static void put_run(cameo_json *j, const cameo_verification *v) {
    cameo_json_count(j, "pairs", v->pairs->count);
    cameo_json_field(j, v->pairs, images);
    cameo_json_count(j, "failed_pairs", v->failed);
    cameo_json_text(j, "score", cameo_score_names[v->primary]);
    cameo_json_text(j, "tta", cameo_tta_names[v->tta]);
    cameo_json_field(j, v, list);
    cameo_json_field(j, v, list_hash);
    cameo_json_field(j, v->pairs, format);
    cameo_json_field(j, v->pairs, family);
    cameo_json_field(j, v, title);
    cameo_json_text(j, "model", v->model->name);
    cameo_json_text(j, "model_hash", v->model->hash);
    cameo_json_field(j, v, embeddings_file);
    cameo_json_text(j, "target", v->instruction_set);
    cameo_json_field(j, v, preprocess);
    cameo_json_field(j, v, alignment);
    cameo_json_field(j, v, threads);
    cameo_json_field(j, v, embedded);
    cameo_json_field(j, v, cached);
    cameo_json_field(j, v, command);
    cameo_json_text(j, "version", CAMEO_VERSION);
}

void cameo_score_json(const cameo_verification *v, FILE *f) {
    cameo_json j = {.stream = f};
    cameo_json_open(&j, NULL, '{');
    if (v->measured) put_metrics(&j, &v->metrics[v->primary]);
    put_run(&j, v);
    if (v->measured) {
        put_all_scores(&j, v);
        put_hard(&j, "hardest_false_accepts", v, v->accepts, v->n_accepts);
        put_hard(&j, "hardest_false_rejects", v, v->rejects, v->n_rejects);
    }
    put_norms(&j, v);
    put_findings(&j, "duplicates", v->duplicates, v->n_duplicates);
    put_findings(&j, "overlaps", v->overlaps, v->n_overlaps);
    put_operating_point(&j, v->operating_point);
    cameo_json_close(&j, '}');
    fputc('\n', f);
}

static bool write_json(const cameo_verification *v, const char *directory, cameo_error *error) {
    cameo_output o;
    if (!cameo_output_open(&o, error)) return false;
    cameo_score_json(v, o.stream);
    return cameo_output_save(&o, directory, "metrics.json", error);
}

bool cameo_score_files(const cameo_scoring *s, const char *directory, cameo_error *error) {
    const cameo_verification *v = &s->v;
    return write_scores(v, directory, error) && (!v->measured || write_roc(v, directory, error)) &&
           write_json(v, directory, error);
}
