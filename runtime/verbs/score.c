/* score: a list of pairs, each picture embedded once; scores, metrics, a report and submissions.
   Nothing is thresholded. */
#include "../verification/report.h"
#include "../verification/submission.h"
#include "scoring.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void print_folds(const char *mode, const cameo_folds *f) {
    if (!f->count) return;
    printf("%2d-fold        %.4f %% +- %.4f %% (standard error; %s thresholds); folds", f->count,
           100 * f->mean, 100 * f->error, mode);
    for (int i = 0; i < f->count; i++) printf(" %.2f", 100 * f->accuracy[i]);
    putchar('\n');
}

static void print_tpr(const cameo_metrics *m) {
    for (int i = 0; i < CAMEO_FPR_POINTS; i++) {
        printf("TPR at FPR %-6g", cameo_fpr_points[i]);
        m->tpr[i] >= 0
            ? printf(" %.4f %% (strict %.4f %%)\n", 100 * m->tpr[i], 100 * m->tpr_strict[i])
            : printf(" n/a (fewer than %.0f different pairs)\n", 1 / cameo_fpr_points[i]);
    }
}

static void print_metrics(const cameo_verification *v) {
    const cameo_metrics *m = &v->metrics[v->primary];
    const char *name = cameo_score_names[v->primary];
    printf("AUC            %.6f   95 %% interval %.6f .. %.6f\n", m->auc, m->auc_low, m->auc_high);
    printf("EER            %.4f %%  at %s %.6g\n", 100 * m->eer, name, m->eer_threshold);
    printf("best accuracy  %.4f %%  at %s %.6g (threshold chosen on the same data)\n",
           100 * m->accuracy_best, name, m->threshold_best);
    print_folds("exact", &m->exact);
    print_folds("insightface", &m->insightface);
    print_tpr(m);
    printf("d'             %.4f   norm of embeddings %.4g +- %.2g\n", m->d_prime, v->norms.mean,
           v->norms.deviation);
    for (int k = 0; k < CAMEO_SCORES; k++)
        if (k != (int)v->primary)
            printf("by %-14s AUC %.6f  EER %.4f %%\n", cameo_score_names[k], v->metrics[k].auc,
                   100 * v->metrics[k].eer);
}

static void print_operating_point(const cameo_verification *v) {
    const cameo_operating_point *p = v->operating_point;
    if (!p || !v->measured) return;
    if (strcmp(p->score, cameo_score_names[v->primary]) != 0 ||
        strcmp(p->tta, cameo_tta_names[v->tta]) != 0) {
        printf("operating point is for score %s and tta %s: not judged here\n", p->score, p->tta);
        return;
    }
    cameo_roc_point here = cameo_metrics_at_threshold(&v->metrics[v->primary], p->threshold);
    printf("at the stored threshold %.6g (%s on %s): FPR %.4f %%, TPR %.4f %% here\n", p->threshold,
           p->rule, p->data, 100 * here.fpr, 100 * here.tpr);
}

static void print_summary(const cameo_scoring *s, const char *directory) {
    const cameo_verification *v = &s->v;
    printf("%zu pairs of %zu images", s->pairs.count, s->pairs.images);
    if (v->embeddings_file)
        printf("; embeddings from %s\n", v->embeddings_file);
    else
        printf("; %zu embedded now, %zu from the cache\n", v->embedded, v->cached);
    if (v->measured)
        print_metrics(v);
    else
        printf("%s: scores only\n",
               v->pairs->labelled ? "all pairs are of one kind" : "the list has no labels");
    print_operating_point(v);
    if (directory) printf("written to %s\n", directory);
}

static void warn_findings(const char *what, const char *between, const cameo_finding *f, size_t n) {
    if (!n) return;
    fprintf(stderr, "warning: %zu %s:", n, what);
    for (size_t i = 0; i < n && i < 5; i++)
        fprintf(stderr, "%s %s%s%s", i ? "," : "", f[i].first, f[i].second ? between : "",
                f[i].second ? f[i].second : "");
    fprintf(stderr, "%s\n", n > 5 ? " ..." : "");
}

/* Two values are what people hand in after thresholding, and AUC then knows one point of the curve
   only. */
static void warn_binary(const cameo_verification *v) {
    const double *score = v->score[v->primary];
    double value[2];
    size_t kinds = 0, used = 0;
    for (size_t i = 0; i < v->pairs->count && kinds < 3; i++) {
        if (isnan(score[i])) continue;
        used++;
        bool seen = false;
        for (size_t k = 0; k < kinds; k++) seen |= value[k] == score[i];
        if (!seen && kinds < 2) value[kinds] = score[i];
        kinds += !seen;
    }
    if (kinds < 3 && used >= 10)
        fprintf(stderr,
                "warning: the scores have %zu value%s only; thresholded scores lose AUC and EER: "
                "hand in raw ones\n",
                kinds, kinds == 1 ? "" : "s");
}

static void warn(const cameo_verification *v) {
    warn_findings("pictures have the content of another one", " = ", v->duplicates,
                  v->n_duplicates);
    warn_findings("identities or pictures of the list are in the training folder (results flatter)",
                  " = ", v->overlaps, v->n_overlaps);
    if (v->failed)
        fprintf(stderr, "warning: %zu of %zu pairs have no score\n", v->failed, v->pairs->count);
    warn_binary(v);
}

static bool write_submission(const cameo_scoring *s, const cameo_submission *form,
                             const char *directory, cameo_error *error) {
    cameo_output o;
    if (!form) return true;
    if (!cameo_output_open(&o, error)) return false;
    cameo_submission_pairs(form, &s->v, o.stream);
    return cameo_output_save(&o, directory, "submission.csv", error);
}

/* Rows of `pairs->image`, in that order; pictures without an embedding are rows of NaN. */
static bool write_embeddings(const cameo_scoring *s, const char *directory, cameo_error *error) {
    size_t d = s->e.dimension, views = s->e.views, n = s->e.images;
    cameo_array a = {.dtype = 1,
                     .rank = views == 2 ? 3 : 2,
                     .dim = {(int64_t)n, (int64_t)d},
                     .count = n * views * d};
    if (views == 2) a.dim[1] = 2, a.dim[2] = (int64_t)d;
    float *data = cameo_allocate(a.count, sizeof *data);
    for (size_t i = 0; i < n * views; i++)
        for (size_t k = 0; k < d; k++) data[i * d + k] = s->e.row[i] ? s->e.row[i][k] : NAN;
    a.data = data;
    char *path = cameo_join(directory, "embeddings.npy");
    cameo_output o;
    bool good = cameo_npy_write(path, &a, error) && cameo_output_open(&o, error);
    free(data);
    free(path);
    if (!good) return false;
    for (size_t i = 0; i < n; i++) cameo_line_put_name(o.stream, s->pairs.image[i]);
    return cameo_output_save(&o, directory, "images.txt", error);
}

static bool view_picture(void *data, size_t i, cameo_image *image) {
    cameo_scoring *s = data;
    const char *path = s->pairs.path[i];
    return path && cameo_pictures_view(&s->pictures, path, s->pairs.image[i], image, NULL);
}

static bool write_report(cameo_scoring *s, const char *directory, cameo_error *error) {
    cameo_report_pictures pictures = {view_picture, s};
    return !s->v.measured ||
           cameo_report_write(directory, &s->v, s->has_pictures ? &pictures : NULL, error);
}

static bool write_all(cameo_scoring *s, const cameo_args *a, const cameo_submission *form,
                      const char *directory) {
    cameo_error *error = &s->error;
    return cameo_make_directories(directory, error) &&
           write_submission(s, form, directory, error) &&
           (!cameo_args_get(a, "save-embeddings") || write_embeddings(s, directory, error)) &&
           write_report(s, directory, error) && cameo_score_files(s, directory, error);
}

static int find_form(cameo_scoring *s, const cameo_args *a, const cameo_submission **form) {
    const char *family = cameo_args_get(a, "submission");
    if (family && strcmp(family, "auto") == 0) family = s->pairs.family ? s->pairs.family : "auto";
    if (!family) return CAMEO_OK;
    *form = cameo_submission_find(family, CAMEO_TASK_PAIRS, &s->error);
    return *form ? CAMEO_OK : cameo_report_error(&s->error);
}

static int finish(cameo_scoring *s, const cameo_args *a) {
    const char *directory = cameo_args_get(a, "output");
    const cameo_submission *form = NULL;
    int code = find_form(s, a, &form);
    if (code) return code;
    warn(&s->v);
    if (directory && !write_all(s, a, form, directory)) return cameo_report_error(&s->error);
    if (cameo_args_get(a, "json"))
        cameo_score_json(&s->v, stdout);
    else
        print_summary(s, directory);
    return CAMEO_OK;
}

static int score(const cameo_model *model, const cameo_args *a) {
    cameo_scoring s = {0};
    cameo_calibration calibration = {0};
    if ((cameo_args_get(a, "submission") || cameo_args_get(a, "save-embeddings")) &&
        !cameo_args_get(a, "output"))
        return cameo_usage_error(a, "--submission and --save-embeddings need -o DIR");
    if (!cameo_calibration_load(model, a->program, &calibration, &s.error))
        return cameo_report_error(&s.error);
    int code = cameo_scoring_run(&s, model, a, "score");
    s.calibration = calibration;
    if (calibration.found) s.v.operating_point = &s.calibration.point;
    if (!code) code = finish(&s, a);
    cameo_scoring_free(&s);
    return code;
}

static const cameo_option options[] = {
    {"output", "DIR", "scores.csv, metrics.json, roc.csv, report.html go here"},
    {"submission", "FAMILY",
     "also submission.csv: s19 f19 s20, f20 s21, s22, f24 s25 f25 s26, or auto"},
    {"save-embeddings", NULL, "also embeddings.npy and images.txt, for --embeddings and --names"},
    SCORING_OPTIONS,
    {0}};

const cameo_verb cameo_verb_score = {
    "score",
    "score a list of pairs",
    "score PAIRS [--root DIR] [--tta HOW] [--submission FAMILY] [-o DIR] [--json]",
    options,
    .run = score,
    .about_weights = true};
