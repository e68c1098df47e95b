/* score: a list of pairs, each picture embedded once; scores, metrics and a report. Nothing is thresholded in scores.csv. */
#include "../metrics.h"
#include "../pairs.h"
#include "../report.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

typedef struct scoring {
    const cameo_model *model;
    const char *list, *directory; /* directory NULL: print only */
    cameo_pictures pictures;
    cameo_pairs pairs;
    double *cosine, *l2;
    unsigned char *labels;
    cameo_metrics metrics;
    cameo_error error;
} scoring;

/* A CSV field: quoted when it must be (RFC 4180). */
static void put_field(FILE *f, const char *s) {
    if (!strpbrk(s, ",\"\r\n")) {
        fputs(s, f);
        return;
    }
    fputc('"', f);
    for (; *s; s++) fprintf(f, *s == '"' ? "\"\"" : "%c", *s);
    fputc('"', f);
}

static bool write_scores(scoring *s) {
    cameo_output o;
    if (!cameo_output_open(&o, &s->error)) return false;
    fputs("img1,img2,label,cosine,l2\n", o.stream);
    for (size_t i = 0; i < s->pairs.count; i++) {
        const cameo_pair *p = &s->pairs.pair[i];
        put_field(o.stream, s->pairs.image[p->a]);
        fputc(',', o.stream);
        put_field(o.stream, s->pairs.image[p->b]);
        fprintf(o.stream, ",%s,%.9g,%.9g\n", p->label < 0 ? "" : p->label ? "1" : "0", s->cosine[i], s->l2[i]);
    }
    return cameo_output_save(&o, s->directory, "scores.csv", &s->error);
}

static bool write_roc(scoring *s) {
    cameo_output o;
    if (!cameo_output_open(&o, &s->error)) return false;
    fputs("fpr,tpr,threshold\n", o.stream);
    for (size_t i = 0; i < s->metrics.points; i++) {
        const cameo_roc_point *p = &s->metrics.roc[i];
        fprintf(o.stream, "%.9g,%.9g,%.9g\n", p->fpr, p->tpr, p->threshold);
    }
    return cameo_output_save(&o, s->directory, "roc.csv", &s->error);
}

static void put_folds(cameo_json *j, const cameo_metrics *m) {
    cameo_json_number(j, "accuracy_10fold", m->folds ? m->fold_mean : 0.0 / 0.0);
    cameo_json_number(j, "accuracy_10fold_se", m->folds ? m->fold_error : 0.0 / 0.0);
    cameo_json_integer(j, "folds", m->folds);
    cameo_json_open(j, "fold_accuracy", '[');
    for (int i = 0; i < m->folds; i++) cameo_json_number(j, NULL, m->fold_accuracy[i]);
    cameo_json_close(j, ']');
    cameo_json_open(j, "fold_threshold", '[');
    for (int i = 0; i < m->folds; i++) cameo_json_number(j, NULL, m->fold_threshold[i]);
    cameo_json_close(j, ']');
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

static void put_metrics(cameo_json *j, const cameo_metrics *m) {
    cameo_json_number(j, "auc", m->auc);
    cameo_json_number(j, "auc_low", m->auc_low);
    cameo_json_number(j, "auc_high", m->auc_high);
    cameo_json_number(j, "eer", m->eer);
    cameo_json_number(j, "eer_threshold", m->eer_threshold);
    cameo_json_number(j, "accuracy_best", m->accuracy_best);
    cameo_json_number(j, "threshold_best", m->threshold_best);
    cameo_json_integer(j, "positives", (int64_t)m->positives);
    cameo_json_integer(j, "negatives", (int64_t)m->negatives);
    put_folds(j, m);
    put_tpr(j, m);
}

static void put_json(const scoring *s, FILE *stream) {
    cameo_json j = {stream, false};
    cameo_json_open(&j, NULL, '{');
    if (s->pairs.labelled) put_metrics(&j, &s->metrics);
    cameo_json_integer(&j, "pairs", (int64_t)s->pairs.count);
    cameo_json_integer(&j, "images", (int64_t)s->pairs.images);
    cameo_json_text(&j, "list", s->list);
    cameo_json_text(&j, "format", s->pairs.format);
    cameo_json_text(&j, "model", s->model->name);
    cameo_json_text(&j, "model_hash", s->model->hash);
    cameo_json_text(&j, "target", s->model->target);
    cameo_json_text(&j, "preprocess", s->pictures.spec);
    cameo_json_integer(&j, "threads", s->pictures.threads);
    cameo_json_close(&j, '}');
    fputc('\n', stream);
}

static bool write_json(scoring *s) {
    cameo_output o;
    if (!cameo_output_open(&o, &s->error)) return false;
    put_json(s, o.stream);
    return cameo_output_save(&o, s->directory, "metrics.json", &s->error);
}

static bool write_all(scoring *s) {
    if (!cameo_make_directories(s->directory, &s->error) || !write_scores(s)) return false;
    if (s->pairs.labelled && (!write_roc(s) || !cameo_report_write(s->directory, s->model, s->list, s->pictures.spec,
                                                                   &s->metrics, s->cosine, s->labels, &s->error)))
        return false;
    return write_json(s); /* last: where it is, the others are */
}

static void print_summary(const scoring *s) {
    const cameo_metrics *m = &s->metrics;
    printf("%zu pairs of %zu images (%s)\n", s->pairs.count, s->pairs.images, s->pairs.format);
    if (s->pairs.labelled) {
        printf("AUC            %.6f   95 %% interval %.6f .. %.6f\n", m->auc, m->auc_low, m->auc_high);
        printf("EER            %.4f %%  at cosine %.6g\n", 100 * m->eer, m->eer_threshold);
        printf("best accuracy  %.4f %%  at cosine %.6g (threshold chosen on the same data)\n", 100 * m->accuracy_best,
               m->threshold_best);
        printf("%2d-fold        %.4f %% +- %.4f %% (standard error); folds", m->folds, 100 * m->fold_mean, 100 * m->fold_error);
        for (int i = 0; i < m->folds; i++) printf(" %.2f", 100 * m->fold_accuracy[i]);
        putchar('\n');
        for (int i = 0; i < CAMEO_FPR_POINTS; i++) {
            printf("TPR at FPR %-6g", cameo_fpr_points[i]);
            m->tpr[i] >= 0 ? printf(" %.4f %%\n", 100 * m->tpr[i]) : printf(" n/a (too few different pairs)\n");
        }
    } else {
        printf("the list has no labels: scores only\n");
    }
    if (s->directory) printf("written to %s\n", s->directory);
}

static bool measure(scoring *s) {
    size_t n = s->pairs.count, dimension;
    float *e = cameo_pictures_embed(&s->pictures, s->pairs.path, s->pairs.images, &dimension, &s->error);
    if (!e) return false;
    s->cosine = cameo_allocate(n, sizeof *s->cosine);
    s->l2 = cameo_allocate(n, sizeof *s->l2);
    s->labels = cameo_allocate(n, 1);
    for (size_t i = 0; i < n; i++) {
        const cameo_pair *p = &s->pairs.pair[i];
        s->cosine[i] = cameo_cosine(e + p->a * dimension, e + p->b * dimension, dimension);
        s->l2[i] = cameo_distance(e + p->a * dimension, e + p->b * dimension, dimension);
        s->labels[i] = p->label == 1;
    }
    free(e);
    int folds = s->pairs.folds >= 2 && s->pairs.folds <= CAMEO_MAX_FOLDS ? s->pairs.folds : CAMEO_MAX_FOLDS;
    return !s->pairs.labelled || cameo_metrics_compute(s->cosine, s->labels, n, folds, &s->metrics, &s->error);
}

static int score_list(scoring *s, const cameo_args *a) {
    int code = cameo_pictures_open(&s->pictures, s->model, a);
    if (code) return code;
    bool good = cameo_pairs_read(s->list, &s->pairs, &s->error) &&
                cameo_pairs_locate(&s->pairs, cameo_args_get(a, "root"), &s->error) && measure(s) &&
                (!s->directory || write_all(s));
    if (good && cameo_args_get(a, "json"))
        put_json(s, stdout);
    else if (good)
        print_summary(s);
    cameo_pictures_close(&s->pictures);
    return good ? CAMEO_OK : cameo_report_error(&s->error);
}

static int score(const cameo_model *model, const cameo_args *a) {
    if (a->positionals != 1) return cameo_usage_error(a, "one list of pairs is needed");
    scoring s = {.model = model, .list = cameo_args_positional(a, 0), .directory = cameo_args_get(a, "output")};
    int code = score_list(&s, a);
    cameo_metrics_free(&s.metrics);
    cameo_pairs_free(&s.pairs);
    free(s.cosine);
    free(s.l2);
    free(s.labels);
    return code;
}

int cameo_verb_score(const cameo_model *model, const char *program, int argc, char **argv) {
    static const cameo_option options[] = {
        {"root", "DIR", "what the list's names are relative to"},
        {"output", "DIR", "scores.csv, metrics.json, roc.csv, report.html go here (also -o)"},
        OPTION_PREPROCESS,
        OPTION_THREADS,
        OPTION_JSON,
        {0}};
    cameo_args a = {.options = options, .usage = "score PAIRS [--root DIR] [-o DIR] [--json]", .program = program};
    int code = cameo_args_parse(&a, argc, argv);
    if (code == 0) code = score(model, &a);
    cameo_args_free(&a);
    return code < 0 ? CAMEO_OK : code;
}
