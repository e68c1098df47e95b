/* report.html. Curves are drawn with at most some hundred points and pictures are thumbnails, so
   that a list of a million pairs makes a small file too. */
#include "report.h"
#include "../base/files.h"
#include "../cameo_abi.h"
#include "../image/resize.h"
#include "plot.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

enum { THUMBNAIL = 112 };

#define CARD(name, value, note) \
    "<div class=\"card\">" name "<b>" value "</b><span>" note "</span></div>\n"

static void put_cards(FILE *f, const cameo_verification *v) {
    const cameo_metrics *m = &v->metrics[v->primary];
    fprintf(f,
            "<div class=\"cards\">\n" CARD("AUC", "%.5f", "95 %% interval %.5f to %.5f (DeLong)")
                CARD("Equal error rate", "%.3f %%", "at score %.5g"),
            m->auc, m->auc_low, m->auc_high, 100 * m->eer, m->eer_threshold);
    if (m->exact.count)
        fprintf(f,
                CARD("%d-fold accuracy", "%.3f %%",
                     "&plusmn; %.3f %% standard error; threshold from the other folds"),
                m->exact.count, 100 * m->exact.mean, 100 * m->exact.error);
    fprintf(f,
            CARD("Best accuracy", "%.3f %%", "threshold %.5g chosen on the same data")
                CARD("d&prime;", "%.3f", "%zu same, %zu different pairs") "</div>\n",
            100 * m->accuracy_best, m->threshold_best, m->d_prime, m->positives, m->negatives);
}

static void put_finding_list(FILE *f, const char *what, const cameo_finding *list, size_t n) {
    if (!n) return;
    fprintf(f, "<p class=\"warn\">%zu %s</p><ul class=\"soft\">\n", n, what);
    for (size_t i = 0; i < n && i < 20; i++) {
        cameo_html(f, "<li>", list[i].first, "");
        if (list[i].second) cameo_html(f, " = ", list[i].second, "");
        fputs("</li>\n", f);
    }
    if (n > 20) fprintf(f, "<li>and %zu more: metrics.json has all</li>", n - 20);
    fputs("</ul>\n", f);
}

static void put_findings(FILE *f, const cameo_verification *v) {
    if (!v->failed && !v->n_duplicates && !v->n_overlaps) return;
    fputs("<h2>Findings about the data</h2>\n", f);
    if (v->failed)
        fprintf(f,
                "<p class=\"warn\">%zu of %zu pairs have no score: a picture is missing or "
                "unreadable.</p>\n",
                v->failed, v->pairs->count);
    put_finding_list(f, "pictures have the same content as another one:", v->duplicates,
                     v->n_duplicates);
    put_finding_list(
        f,
        "identities or pictures are in the training folder too; these results flatter the model:",
        v->overlaps, v->n_overlaps);
}

/* ---- curves ---- */

static double lowest_rate(size_t pairs) {
    double rate = pow(10, floor(-log10((double)(pairs ? pairs : 1))));
    return rate < 1e-6 ? 1e-6 : rate > 0.1 ? 0.1 : rate;
}

static void put_roc(FILE *f, const cameo_metrics *m, bool logarithmic) {
    cameo_plot p;
    cameo_axis x = {CAMEO_AXIS_LINEAR, 0, 1, "false positive rate"},
               y = {CAMEO_AXIS_LINEAR, 0, 1, "true positive rate"};
    if (logarithmic) {
        x = (cameo_axis){CAMEO_AXIS_LOG, lowest_rate(m->negatives), 1, x.label};
        double shown = m->points > 1 ? cameo_metrics_at_fpr(m, x.low).tpr : 0; /* the axis begins a
                                                                                  little below the
                                                                                  curve */
        y.low = fmax(0, fmin(0.9, floor(10 * shown - 0.3) / 10));
    }
    cameo_plot_begin(&p, f, logarithmic ? "ROC, logarithmic" : "ROC", x, y);
    if (!logarithmic) cameo_plot_diagonal(&p);
    cameo_plot_band(&p, m->roc, m->points, (double)m->positives, 0);
    cameo_plot_roc(&p, m->roc, m->points, false, 0);
    cameo_plot_end(
        &p,
        "Band: 95 % interval (Wilson) of each true positive rate at its own threshold, as if pairs "
        "were independent. It is "
        "not for the curve as a whole and leaves out how uncertain the false positive rate is.");
}

static void put_det(FILE *f, const cameo_metrics *m) {
    cameo_plot p;
    cameo_axis x = {CAMEO_AXIS_PROBIT, fmax(1e-5, lowest_rate(m->negatives)), 0.8,
                    "false positive rate"};
    cameo_axis y = {CAMEO_AXIS_PROBIT, fmax(1e-5, lowest_rate(m->positives)), 0.8,
                    "false negative rate"};
    cameo_plot_begin(&p, f, "DET", x, y);
    cameo_plot_roc(&p, m->roc, m->points, true, 0);
    cameo_plot_end(&p, "Both axes in units of the normal distribution: scores that are normal give "
                       "a straight line.");
}

static void put_histogram(FILE *f, const cameo_verification *v) {
    const cameo_metrics *m = &v->metrics[v->primary];
    const cameo_operating_point *o = v->operating_point;
    double tallest = 0, total[2] = {(double)m->negatives, (double)m->positives};
    for (int k = 0; k < 2; k++)
        for (int b = 0; b < CAMEO_BINS; b++)
            tallest = fmax(tallest, (double)m->histogram[k][b] / total[k]);
    bool stored = o && strcmp(o->score, cameo_score_names[v->primary]) == 0;
    double threshold = stored ? o->threshold : m->eer_threshold;
    char label[64];
    cameo_plot p;
    cameo_plot_begin(
        &p, f, "Scores",
        (cameo_axis){CAMEO_AXIS_LINEAR, m->low, m->high, cameo_score_names[v->primary]},
        (cameo_axis){CAMEO_AXIS_LINEAR, 0, tallest * 1.08, "share of its kind"});
    for (int k = 0; k < 2; k++)
        cameo_plot_histogram(&p, m->histogram[k], CAMEO_BINS, total[k], k ? 0 : 1);
    snprintf(label, sizeof label, "%s %.4g", stored ? "stored threshold" : "EER", threshold);
    cameo_plot_vertical(&p, threshold, label);
    cameo_plot_end(&p, NULL);
    fputs("<p class=\"soft\"><span class=\"key\" style=\"background:var(--c1)\"></span>different "
          "people &nbsp; <span "
          "class=\"key\" style=\"background:var(--c0)\"></span>same person</p>\n",
          f);
}

/* ---- tables ---- */

/* A title and the row of headings: all of numbers but the first, where that is a text. */
static void begin_table(FILE *f, const char *title, const char *text, const char *const *number) {
    fprintf(f, "<h2>%s</h2>\n<div class=\"scroll\"><table><tr>", title);
    if (text) fprintf(f, "<th>%s</th>", text);
    for (; *number; number++) fprintf(f, "<th class=\"n\">%s</th>", *number);
    fputs("</tr>\n", f);
}

static void put_percent(FILE *f, double rate) {
    isnan(rate) ? fputs("<td class=\"n\">n/a</td>", f)
                : fprintf(f, "<td class=\"n\">%.4f %%</td>", 100 * rate);
}

static void put_rates(FILE *f, const cameo_metrics *m) {
    begin_table(f, "True positive rate at fixed false positive rates", NULL,
                (const char *[]){"FPR", "TPR, interpolated", "TPR, strict", NULL});
    for (int i = 0; i < CAMEO_FPR_POINTS; i++) {
        fprintf(f, "<tr><td class=\"n\">%g %%</td>", 100 * cameo_fpr_points[i]);
        put_percent(f, m->tpr[i]);
        put_percent(f, m->tpr_strict[i]);
        fputs("</tr>\n", f);
    }
    fputs("</table></div><p class=\"soft\">n/a: fewer different pairs than 1 / FPR can't show such "
          "a rate.</p>\n",
          f);
}

static void put_folds(FILE *f, const cameo_metrics *m) {
    const cameo_folds *a = &m->exact, *b = &m->insightface;
    if (!a->count) return;
    char title[64];
    snprintf(title, sizeof title, "Cross-validation, %d contiguous folds", a->count);
    begin_table(f, title, NULL,
                (const char *[]){"fold", "accuracy", "threshold (score)",
                                 b->count ? "accuracy, InsightFace grid" : NULL,
                                 "threshold (squared L2)", NULL});
    for (int i = 0; i < a->count; i++) {
        fprintf(f, "<tr><td class=\"n\">%d</td>", i + 1);
        put_percent(f, a->accuracy[i]);
        fprintf(f, "<td class=\"n\">%.5f</td>", a->threshold[i]);
        if (b->count)
            put_percent(f, b->accuracy[i]),
                fprintf(f, "<td class=\"n\">%.2f</td>", b->threshold[i]);
        fputs("</tr>\n", f);
    }
    fprintf(f,
            "<tr class=\"best\"><td>mean</td><td class=\"n\">%.4f %% &plusmn; %.4f</td><td></td>",
            100 * a->mean, 100 * a->error);
    if (b->count)
        fprintf(f, "<td class=\"n\">%.4f %% &plusmn; %.4f</td><td></td>", 100 * b->mean,
                100 * b->error);
    fputs("</tr></table></div>\n", f);
}

static void put_kinds(FILE *f, const cameo_verification *v) {
    begin_table(
        f, "By score", "score",
        (const char *[]){"AUC", "EER", "best accuracy", "mean, same", "mean, different", NULL});
    for (int k = 0; k < CAMEO_SCORES; k++) {
        const cameo_metrics *m = &v->metrics[k];
        fprintf(f, "<tr%s><td>%s</td><td class=\"n\">%.6f</td>",
                k == (int)v->primary ? " class=\"best\"" : "", cameo_score_names[k], m->auc);
        put_percent(f, m->eer);
        put_percent(f, m->accuracy_best);
        fprintf(
            f,
            "<td class=\"n\">%.5g &plusmn; %.3g</td><td class=\"n\">%.5g &plusmn; %.3g</td></tr>\n",
            m->mean[1], m->deviation[1], m->mean[0], m->deviation[0]);
    }
    fprintf(f,
            "</table></div><p class=\"soft\">On normalised embeddings squared L2 = 2 - 2 cosine, "
            "so both rank the pairs alike and "
            "AUC and EER are equal. On raw embeddings L2 depends on the norms too (here %.4g "
            "&plusmn; %.2g, from %.4g to %.4g), "
            "and its numbers differ.</p>\n",
            v->norms.mean, v->norms.deviation, v->norms.least, v->norms.largest);
}

static void put_row(FILE *f, const char *name, const char *value) {
    fprintf(f, "<tr><th>%s</th><td class=\"wide\">", name);
    cameo_html(f, "", value && *value ? value : "unknown", "</td></tr>\n");
}

static void put_origin(FILE *f, const cameo_verification *v) {
    char text[400];
    const cameo_operating_point *o = v->operating_point;
    fputs("<h2>How these numbers came about</h2>\n<table>\n", f);
    put_row(f, "pairs", v->title);
    put_row(f, "list SHA-256", v->list_hash);
    put_row(f, "score", cameo_score_names[v->primary]);
    put_row(f, "test-time augmentation", cameo_tta_names[v->tta]);
    if (v->embeddings_file) put_row(f, "embeddings", v->embeddings_file);
    put_row(f, "preprocessing", v->preprocess);
    put_row(f, "alignment", v->alignment);
    put_row(f, "model", v->model ? v->model->name : NULL);
    put_row(f, "model SHA-256", v->model ? v->model->hash : NULL);
    snprintf(text, sizeof text, "%s, %d thread%s", v->instruction_set, v->threads,
             v->threads == 1 ? "" : "s");
    put_row(f, "computed with", text);
    if (o) {
        snprintf(text, sizeof text, "%.9g of %s, by %.60s on %.120s; from %.160s", o->threshold,
                 o->score, o->rule, o->data, o->origin);
        put_row(f, "stored threshold", text);
    }
    put_row(f, "cameo", CAMEO_VERSION);
    cameo_html(f, "</table>\n<p>Command:</p><p><code>", v->command, "</code></p>\n");
}

/* ---- pictures ---- */

static void put_base64(FILE *f, const unsigned char *data, size_t n) {
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)data[i] << 16 | (i + 1 < n ? (unsigned)data[i + 1] << 8 : 0) |
                     (i + 2 < n ? data[i + 2] : 0u);
        char four[4] = {digit[v >> 18], digit[v >> 12 & 63], i + 1 < n ? digit[v >> 6 & 63] : '=',
                        i + 2 < n ? digit[v & 63] : '='};
        fwrite(four, 1, 4, f);
    }
}

static bool shrink(cameo_image *image) {
    int side = image->width > image->height ? image->width : image->height;
    if (side <= THUMBNAIL) return true;
    int width = image->width * THUMBNAIL / side, height = image->height * THUMBNAIL / side;
    return cameo_image_resize(image, width > 0 ? width : 1, height > 0 ? height : 1, CAMEO_BILINEAR,
                              NULL);
}

static bool put_jpeg(FILE *f, const cameo_image *image, const char *name) {
    unsigned char *jpeg = NULL;
    unsigned long size = 0;
    tjhandle handle = tjInitCompress();
    bool good = handle &&
                tjCompress2(handle, image->pixels, image->width, 0, image->height, TJPF_RGB, &jpeg,
                            &size, TJSAMP_420, 85, TJFLAG_ACCURATEDCT) == 0;
    if (good) {
        cameo_html(f, "<img alt=\"", name, "\" src=\"data:image/jpeg;base64,");
        put_base64(f, jpeg, size);
        fputs("\">", f);
    }
    tjFree(jpeg);
    if (handle) tjDestroy(handle);
    return good;
}

static void put_picture(FILE *f, const cameo_verification *v, size_t i,
                        const cameo_report_pictures *pictures) {
    cameo_image image = {0};
    bool good = pictures && pictures->view(pictures->data, i, &image) && shrink(&image) &&
                put_jpeg(f, &image, v->pairs->image[i]);
    if (!good) fputs("<span class=\"none\"></span>", f);
    cameo_image_free(&image);
}

static void put_hard(FILE *f, const cameo_verification *v, const char *title,
                     const cameo_hard_pair *hard, size_t n, const cameo_report_pictures *pictures) {
    fprintf(f, "<h2>%s</h2>\n<div class=\"pairs\">\n", title);
    for (size_t i = 0; i < n; i++) {
        const cameo_pair *p = &v->pairs->pair[hard[i].pair];
        fputs("<div class=\"pair\"><div>", f);
        put_picture(f, v, p->a, pictures);
        put_picture(f, v, p->b, pictures);
        fprintf(f, "</div><p><b>%.5f</b> <span class=\"soft\">line %u</span><br>", hard[i].score,
                p->line);
        cameo_html(f, "", v->pairs->image[p->a], "<br>");
        cameo_html(f, "", v->pairs->image[p->b], "</p></div>\n");
    }
    fputs("</div>\n", f);
}

static void put_all(FILE *f, const cameo_verification *v, const cameo_report_pictures *pictures) {
    const cameo_metrics *m = &v->metrics[v->primary];
    cameo_html_head(f, "Verification report");
    cameo_html(f, "<h1>Verification: ", cameo_last_part(v->list), "</h1>\n");
    cameo_html(f, "<p class=\"soft\">", v->title, "</p>\n");
    put_cards(f, v);
    put_findings(f, v);
    fputs("<h2>Curves</h2>\n<div class=\"plots\">\n", f);
    put_roc(f, m, false);
    put_roc(f, m, true);
    put_det(f, m);
    fputs("<div>", f);
    put_histogram(f, v);
    fputs("</div></div>\n", f);
    put_rates(f, m);
    put_folds(f, m);
    put_kinds(f, v);
    put_hard(f, v, "Hardest false accepts: different people with the highest scores", v->accepts,
             v->n_accepts, pictures);
    put_hard(f, v, "Hardest false rejects: the same person with the lowest scores", v->rejects,
             v->n_rejects, pictures);
    put_origin(f, v);
    fputs("</body></html>\n", f);
}

bool cameo_report_write(const char *directory, const cameo_verification *v,
                        const cameo_report_pictures *pictures, cameo_error *error) {
    cameo_output o;
    if (!cameo_output_open(&o, error)) return false;
    put_all(o.stream, v, pictures);
    return cameo_output_save(&o, directory, "report.html", error);
}
