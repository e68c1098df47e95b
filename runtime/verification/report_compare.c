/* Several runs side by side: their numbers from metrics.json, their curves from roc.csv. */
#include "../base/files.h"
#include "../base/json_read.h"
#include "plot.h"
#include "report.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLOURS = 6 };

typedef struct run_files {
    const char *directory;
    char *json;
    cameo_roc_point *roc;
    size_t points;
    double negatives;
} run_files;

static char *read_text(const char *directory, const char *name, cameo_error *error) {
    size_t size;
    char *path = cameo_join(directory, name),
         *text = (char *)cameo_read_file(path, (size_t)2 << 30, &size, error);
    free(path);
    return text;
}

/* fpr,tpr,threshold under one row of headings. */
static bool parse_roc(const char *text, run_files *r) {
    size_t lines = 0;
    for (const char *s = text; *s; s++) lines += *s == '\n';
    r->roc = cameo_allocate(lines + 1, sizeof *r->roc);
    const char *s = strchr(text, '\n');
    for (s = s ? s + 1 : ""; *s;) {
        char *end;
        cameo_roc_point p = {.fpr = strtod(s, &end)};
        if (*end != ',') return false;
        p.tpr = strtod(end + 1, &end);
        if (*end != ',') return false;
        p.threshold = strtod(end + 1, &end);
        if (*end != '\n' && *end) return false;
        r->roc[r->points++] = p;
        s = *end ? end + 1 : end;
    }
    return r->points > 1;
}

static bool open_run(run_files *r, const char *directory, cameo_error *error) {
    double auc;
    *r = (run_files){.directory = directory, .json = read_text(directory, "metrics.json", error)};
    if (!r->json) return false;
    if (!cameo_json_get_number(r->json, "auc", &auc))
        return cameo_reject(error,
                            "%s/metrics.json: has no AUC; only runs on labelled lists are compared",
                            directory);
    if (!cameo_json_get_number(r->json, "negatives", &r->negatives)) r->negatives = 1;
    char *text = read_text(directory, "roc.csv", error);
    bool good = text && (parse_roc(text, r) ||
                         cameo_reject(error, "%s/roc.csv: is no ROC curve", directory));
    free(text);
    return good;
}

static const struct number {
    const char *path, *name;
    bool percent;
    int better; /* 1 larger, -1 smaller, 0 neither */
} numbers[] = {{"auc", "AUC", false, 1},
               {"auc_low", "AUC, 95 % from", false, 1},
               {"auc_high", "AUC, 95 % to", false, 1},
               {"eer", "equal error rate", true, -1},
               {"accuracy_10fold", "cross-validated accuracy", true, 1},
               {"accuracy_10fold_se", "its standard error", true, -1},
               {"accuracy_best", "best accuracy (threshold on the same data)", true, 1},
               {"d_prime", "d'", false, 1},
               {"scores.l2-raw.auc", "AUC by L2 of raw embeddings", false, 1},
               {"positives", "same pairs", false, 0},
               {"negatives", "different pairs", false, 0}};

static void put_number_row(FILE *f, const struct number *n, const run_files *r, size_t runs) {
    double best = NAN, value;
    bool alike = true;
    for (size_t i = 0; i < runs; i++) {
        if (!cameo_json_get_number(r[i].json, n->path, &value)) continue;
        if (!isnan(best) && value != best) alike = false;
        if (isnan(best) || (n->better < 0 ? value < best : value > best)) best = value;
    }
    cameo_html(f, "<tr><th>", n->name, "</th>");
    for (size_t i = 0; i < runs; i++) {
        bool there = cameo_json_get_number(r[i].json, n->path, &value);
        fprintf(f, "<td class=\"n%s\">",
                there && !alike && n->better && value == best ? " best" : "");
        !there       ? fputs("n/a", f)
        : n->percent ? fprintf(f, "%.4f %%", 100 * value)
                     : fprintf(f, "%.7g", value);
        fputs("</td>", f);
    }
    fputs("</tr>\n", f);
}

static void put_rates(FILE *f, const run_files *r, size_t runs) {
    for (int k = 0; k < CAMEO_FPR_POINTS; k++) {
        fprintf(f, "<tr><th>TPR at FPR %g %%</th>", 100 * cameo_fpr_points[k]);
        for (size_t i = 0; i < runs; i++) {
            const char *element = cameo_json_next(cameo_json_find(r[i].json, "tpr_at_fpr"), NULL);
            double value;
            for (int n = 0; element && n < k; n++) element = cameo_json_next(NULL, element);
            element &&cameo_json_get_number(element, "tpr", &value)
                ? fprintf(f, "<td class=\"n\">%.4f %%</td>", 100 * value)
                : fputs("<td class=\"n\">n/a</td>", f);
        }
        fputs("</tr>\n", f);
    }
}

/* Returns whether all runs say the same. */
static bool put_text_row(FILE *f, const char *path, const char *name, const run_files *r,
                         size_t runs) {
    char *first = cameo_json_get_text(r[0].json, path);
    bool alike = true;
    fprintf(f, "<tr><th>%s</th>", name);
    for (size_t i = 0; i < runs; i++) {
        char *text = cameo_json_get_text(r[i].json, path);
        alike &= (text && first) ? strcmp(text, first) == 0 : text == first;
        cameo_html(f, "<td class=\"wide\">", text ? text : "unknown", "</td>");
        free(text);
    }
    fputs("</tr>\n", f);
    free(first);
    return alike;
}

static void put_table(FILE *f, const run_files *r, size_t runs) {
    static const struct {
        const char *path, *name;
    } texts[] = {{"list", "list"},
                 {"score", "score"},
                 {"tta", "augmentation"},
                 {"preprocess", "preprocessing"},
                 {"alignment", "alignment"},
                 {"model", "model"},
                 {"model_hash", "model SHA-256"},
                 {"target", "instructions"},
                 {"command", "command"}};
    fputs("<div class=\"scroll\"><table><tr><th></th>", f);
    for (size_t i = 0; i < runs; i++) {
        fprintf(f, "<th><span class=\"key\" style=\"background:var(--c%zu)\"></span>", i % COLOURS);
        cameo_html(f, "", r[i].directory, "</th>");
    }
    fputs("</tr>\n", f);
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        put_number_row(f, &numbers[k], r, runs);
    put_rates(f, r, runs);
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        put_text_row(f, texts[k].path, texts[k].name, r, runs);
    bool same = put_text_row(f, "list_hash", "list SHA-256", r, runs);
    fputs("</table></div>\n", f);
    if (!same)
        fputs("<p class=\"warn\">The lists of pairs differ: these numbers are not about the same "
              "question.</p>\n",
              f);
}

static void put_curves(FILE *f, const run_files *r, size_t runs) {
    double negatives = 1;
    for (size_t i = 0; i < runs; i++) negatives = fmax(negatives, r[i].negatives);
    double low = fmin(0.1, fmax(1e-6, pow(10, floor(-log10(negatives)))));
    double shown = 1; /* the logarithmic plot begins a little below the lowest curve */
    for (size_t i = 0; i < runs; i++) {
        double first = 0;
        for (size_t k = 0; k < r[i].points && r[i].roc[k].fpr <= low; k++) first = r[i].roc[k].tpr;
        shown = fmin(shown, first);
    }
    const cameo_axis tpr = {CAMEO_AXIS_LINEAR, 0, 1, "true positive rate"};
    const cameo_axis upper = {CAMEO_AXIS_LINEAR, fmax(0, fmin(0.9, floor(10 * shown - 0.3) / 10)),
                              1, "true positive rate"};
    const struct {
        const char *title;
        cameo_axis x, y;
        bool det;
    } plots[] = {
        {"ROC", {CAMEO_AXIS_LINEAR, 0, 1, "false positive rate"}, tpr, false},
        {"ROC, logarithmic", {CAMEO_AXIS_LOG, low, 1, "false positive rate"}, upper, false},
        {"DET",
         {CAMEO_AXIS_PROBIT, fmax(1e-5, low), 0.8, "false positive rate"},
         {CAMEO_AXIS_PROBIT, fmax(1e-5, low), 0.8, "false negative rate"},
         true}};
    fputs("<div class=\"plots\">\n", f);
    for (size_t k = 0; k < sizeof plots / sizeof *plots; k++) {
        cameo_plot p;
        cameo_plot_begin(&p, f, plots[k].title, plots[k].x, plots[k].y);
        for (size_t i = 0; i < runs; i++)
            cameo_plot_roc(&p, r[i].roc, r[i].points, plots[k].det, (int)(i % COLOURS));
        cameo_plot_end(&p, NULL);
    }
    fputs("</div>\n", f);
}

static bool write_page(const run_files *r, size_t runs, const char *file, cameo_error *error) {
    cameo_output o;
    if (!cameo_output_open(&o, error)) return false;
    cameo_html_head(o.stream, "Comparison of verification runs");
    fputs("<h1>Comparison of verification runs</h1>\n", o.stream);
    put_curves(o.stream, r, runs);
    put_table(o.stream, r, runs);
    fputs("</body></html>\n", o.stream);
    return cameo_output_save(&o, NULL, file, error);
}

bool cameo_report_compare(const char *const *run, size_t runs, const char *file,
                          cameo_error *error) {
    run_files *r = cameo_allocate(runs, sizeof *r);
    bool good = true;
    for (size_t i = 0; i < runs && good; i++) good = open_run(&r[i], run[i], error);
    if (good) good = write_page(r, runs, file, error);
    for (size_t i = 0; i < runs; i++) {
        free(r[i].json);
        free(r[i].roc);
    }
    free(r);
    return good;
}
