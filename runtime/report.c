/* report.html. Curves are drawn with at most some hundred points, so that a list of a million pairs makes a small file too. */
#include "report.h"
#include "files.h"
#include <math.h>

enum { SIDE = 360, CURVE = 400 };

static void put_escaped(FILE *f, const char *s) {
    for (; *s; s++) {
        if (*s == '<' || *s == '>' || *s == '&' || *s == '"')
            fprintf(f, "&#%d;", *s);
        else
            fputc(*s, f);
    }
}

static void put_row(FILE *f, const char *name, const char *value) {
    fprintf(f, "<tr><th>%s</th><td>", name);
    put_escaped(f, value);
    fputs("</td></tr>\n", f);
}

static void put_rate(FILE *f, const char *name, double rate) {
    fprintf(f, isnan(rate) ? "<tr><th>%s</th><td>n/a</td></tr>\n" : "<tr><th>%s</th><td>%.4f %%</td></tr>\n", name, 100 * rate);
}

static void put_summary(FILE *f, const cameo_metrics *m) {
    fprintf(f, "<tr><th>pairs</th><td>%zu same, %zu different</td></tr>\n", m->positives, m->negatives);
    fprintf(f, "<tr><th>AUC</th><td>%.6f (95 %% interval %.6f to %.6f)</td></tr>\n", m->auc, m->auc_low, m->auc_high);
    fprintf(f, "<tr><th>EER</th><td>%.4f %% at score %.6g</td></tr>\n", 100 * m->eer, m->eer_threshold);
    fprintf(f, "<tr><th>best accuracy</th><td>%.4f %% at score %.6g (threshold chosen on the same data)</td></tr>\n",
            100 * m->accuracy_best, m->threshold_best);
    if (m->exact.count)
        fprintf(f, "<tr><th>%d-fold accuracy</th><td>%.4f %% &plusmn; %.4f (standard error)</td></tr>\n", m->exact.count,
                100 * m->exact.mean, 100 * m->exact.error);
    for (int i = 0; i < CAMEO_FPR_POINTS; i++) {
        char name[64];
        snprintf(name, sizeof name, "TPR at FPR %g", cameo_fpr_points[i]);
        put_rate(f, name, m->tpr[i]);
    }
}

static void put_frame(FILE *f, const char *title, const char *axis) {
    fprintf(f, "<figure><figcaption>%s</figcaption><svg viewBox='-10 -10 %d %d' width='%d'>\n", title, SIDE + 20, SIDE + 40,
            SIDE + 60);
    fprintf(f, "<rect width='%d' height='%d' fill='none' stroke='#999'/><text x='%d' y='%d' text-anchor='middle'>%s</text>\n",
            SIDE, SIDE, SIDE / 2, SIDE + 22, axis);
}

static void put_roc(FILE *f, const cameo_metrics *m) {
    put_frame(f, "ROC", "false positive rate; vertical: true positive rate");
    fprintf(f, "<path d='M0 %d L%d 0' stroke='#ccc'/><polyline fill='none' stroke='#06c' stroke-width='2' points='", SIDE,
            SIDE);
    size_t step = m->points / CURVE + 1;
    for (size_t i = 0; i < m->points; i += step) fprintf(f, "%.2f,%.2f ", SIDE * m->roc[i].fpr, SIDE * (1 - m->roc[i].tpr));
    fprintf(f, "%d,0'/></svg></figure>\n", SIDE);
}

static void put_histogram(FILE *f, const cameo_metrics *m) {
    double tallest = 1;
    double total[2] = {(double)m->negatives, (double)m->positives};
    for (int k = 0; k < 2; k++)
        for (int b = 0; b < CAMEO_BINS; b++) tallest = fmax(b || k ? tallest : 1e-9, (double)m->histogram[k][b] / total[k]);
    put_frame(f, "Scores: different (red), same (blue), each scaled to its own count", "score");
    for (int k = 0; k < 2; k++)
        for (int b = 0; b < CAMEO_BINS; b++) {
            double height = SIDE * (double)m->histogram[k][b] / total[k] / tallest;
            if (height > 0)
                fprintf(f, "<rect x='%d' y='%.2f' width='%d' height='%.2f' fill='%s' fill-opacity='.5'/>\n",
                        b * SIDE / CAMEO_BINS, SIDE - height, SIDE / CAMEO_BINS, height, k ? "#06c" : "#c30");
        }
    fprintf(f, "<text x='0' y='%d'>%.3g</text><text x='%d' y='%d' text-anchor='end'>%.3g</text></svg></figure>\n", SIDE + 22,
            m->low, SIDE, SIDE + 22, m->high);
}

bool cameo_report_write(const char *directory, const cameo_verification *v, cameo_error *error) {
    const cameo_metrics *m = &v->metrics[v->primary];
    cameo_output o;
    if (!cameo_output_open(&o, error)) return false;
    fputs("<!doctype html><html lang='en'><meta charset='utf-8'><title>Verification report</title>\n<style>body{font:15px/1.5 "
          "sans-serif;"
          "max-width:60em;margin:2em auto}th{text-align:left;padding-right:2em}figure{display:inline-block;margin:1em}"
          "svg text{font-size:11px}</style>\n<h1>Verification report</h1>\n<table>\n",
          o.stream);
    put_row(o.stream, "model", v->model ? v->model->name : "unknown");
    put_row(o.stream, "model SHA-256", v->model ? v->model->hash : "unknown");
    put_row(o.stream, "preprocessing", v->preprocess ? v->preprocess : "unknown");
    put_row(o.stream, "pairs", v->list);
    put_summary(o.stream, m);
    fputs("</table>\n", o.stream);
    put_roc(o.stream, m);
    put_histogram(o.stream, m);
    fputs("</html>\n", o.stream);
    return cameo_output_save(&o, directory, "report.html", error);
}
