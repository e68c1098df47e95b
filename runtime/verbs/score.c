/* score: a list of pairs, each picture embedded once; scores, metrics and a report. Nothing is thresholded in scores.csv. */
#include "../report.h"
#include "verbs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct scoring {
    const char *directory; /* NULL: print only */
    cameo_pictures pictures;
    cameo_pairs pairs;
    cameo_verification v;
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
        fprintf(o.stream, ",%s,%.9g,%.9g\n",
                p->label < 0 ? ""
                : p->label   ? "1"
                             : "0",
                s->v.score[CAMEO_COSINE][i], -s->v.score[CAMEO_L2_RAW][i]);
    }
    return cameo_output_save(&o, s->directory, "scores.csv", &s->error);
}

static bool write_roc(scoring *s) {
    cameo_output o;
    if (!cameo_output_open(&o, &s->error)) return false;
    fputs("fpr,tpr,threshold\n", o.stream);
    for (size_t i = 0; i < s->v.metrics[s->v.primary].points; i++) {
        const cameo_roc_point *p = &s->v.metrics[s->v.primary].roc[i];
        fprintf(o.stream, "%.9g,%.9g,%.9g\n", p->fpr, p->tpr, p->threshold);
    }
    return cameo_output_save(&o, s->directory, "roc.csv", &s->error);
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
    cameo_json_number(j, "accuracy_10fold", m->exact.count ? m->exact.mean : NAN);
    cameo_json_number(j, "accuracy_10fold_se", m->exact.count ? m->exact.error : NAN);
    put_folds(j, "folds_exact", &m->exact);
    put_folds(j, "folds_insightface", &m->insightface);
    cameo_json_number(j, "d_prime", m->d_prime);
    put_tpr(j, m);
}

static void put_json(const scoring *s, FILE *stream) {
    const cameo_verification *v = &s->v;
    cameo_json j = {stream, false};
    cameo_json_open(&j, NULL, '{');
    if (v->measured) put_metrics(&j, &v->metrics[v->primary]);
    cameo_json_integer(&j, "pairs", (int64_t)v->pairs->count);
    cameo_json_integer(&j, "images", (int64_t)v->pairs->images);
    cameo_json_text(&j, "list", v->list);
    cameo_json_text(&j, "format", v->pairs->format);
    cameo_json_text(&j, "model", v->model->name);
    cameo_json_text(&j, "model_hash", v->model->hash);
    cameo_json_text(&j, "target", v->instruction_set);
    cameo_json_text(&j, "preprocess", v->preprocess);
    cameo_json_integer(&j, "threads", v->threads);
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
    if (s->v.measured && (!write_roc(s) || !cameo_report_write(s->directory, &s->v, &s->error))) return false;
    return write_json(s); /* last: where it is, the others are */
}

static void print_folds(const char *mode, const cameo_folds *f) {
    if (!f->count) return;
    printf("%2d-fold        %.4f %% +- %.4f %% (standard error; %s thresholds); folds", f->count, 100 * f->mean, 100 * f->error,
           mode);
    for (int i = 0; i < f->count; i++) printf(" %.2f", 100 * f->accuracy[i]);
    putchar('\n');
}

static void print_summary(const scoring *s) {
    const cameo_verification *v = &s->v;
    const cameo_metrics *m = &v->metrics[v->primary];
    printf("%zu pairs of %zu images (%s)\n", s->pairs.count, s->pairs.images, s->pairs.format);
    if (v->measured) {
        printf("AUC            %.6f   95 %% interval %.6f .. %.6f\n", m->auc, m->auc_low, m->auc_high);
        printf("EER            %.4f %%  at cosine %.6g\n", 100 * m->eer, m->eer_threshold);
        printf("best accuracy  %.4f %%  at cosine %.6g (threshold chosen on the same data)\n", 100 * m->accuracy_best,
               m->threshold_best);
        print_folds("exact", &m->exact);
        print_folds("insightface", &m->insightface);
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
    size_t n = s->pairs.images;
    cameo_embeddings e = {.images = n, .views = 1, .row = cameo_allocate(n, sizeof *e.row)};
    float *data = cameo_pictures_embed(&s->pictures, s->pairs.path, n, &e.dimension, &s->error);
    for (size_t i = 0; i < n && data; i++) e.row[i] = data + i * e.dimension;
    bool good = data && cameo_verification_measure(&s->v, &e, &s->error);
    free(data);
    free(e.row);
    return good;
}

static void describe(scoring *s) {
    s->v.pairs = &s->pairs;
    s->v.preprocess = s->pictures.spec;
    s->v.threads = s->pictures.threads;
    s->v.instruction_set = s->v.model->target;
    s->v.title = s->v.list;
    s->v.alignment = "none";
    s->v.command = "";
    s->v.list_hash = "";
}

static int score_list(scoring *s, const cameo_args *a) {
    int code = cameo_pictures_open(&s->pictures, s->v.model, a);
    if (code) return code;
    describe(s);
    bool good = cameo_pairs_read(s->v.list, &s->pairs, &s->error) &&
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
    scoring s = {.directory = cameo_args_get(a, "output"), .v = {.model = model, .list = cameo_args_positional(a, 0)}};
    int code = score_list(&s, a);
    cameo_verification_free(&s.v);
    cameo_pairs_free(&s.pairs);
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
