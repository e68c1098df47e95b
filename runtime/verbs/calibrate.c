/* calibrate: chooses an operating point on a labelled list and stores it beside the program, or in
   a model. */
#include "scoring.h"
#include <stdlib.h>
#include <string.h>

static bool store(cameo_scoring *s, const cameo_args *a, const cameo_operating_point *p,
                  char **where) {
    const char *onnx = cameo_args_get(a, "into"), *to = cameo_args_get(a, "output");
    char *text = cameo_calibration_text(p, s->v.model, s->v.preprocess, s->list_hash,
                                        &s->v.metrics[s->v.primary]);
    *where = onnx ? cameo_join(NULL, to ? to : onnx)
             : to ? cameo_join(NULL, to)
                  : cameo_calibration_path(a->program);
    bool good = text && (onnx ? cameo_calibration_into(onnx, *where, text, &s->error)
                              : cameo_write_file(*where, text, strlen(text), &s->error));
    if (good && cameo_args_get(a, "json")) fputs(text, stdout);
    free(text);
    return good;
}

static void print_point(const cameo_scoring *s, const cameo_operating_point *p, const char *where) {
    const cameo_metrics *m = &s->v.metrics[s->v.primary];
    printf("threshold %.9g of %s (tta %s), by %s on %s\n", p->threshold, p->score, p->tta, p->rule,
           p->data);
    printf("there: FPR %.4f %%, TPR %.4f %% over %zu same and %zu different pairs (the data it was "
           "chosen on)\n",
           100 * p->fpr, 100 * p->tpr, m->positives, m->negatives);
    printf("stored in %s\n", where);
}

static int choose(cameo_scoring *s, const cameo_args *a) {
    cameo_roc_point point;
    const char *rule = cameo_args_get(a, "by"), *data = cameo_args_get(a, "data");
    if (!s->v.measured) {
        cameo_reject(&s->error, "%s: has %s; a threshold can't be chosen on it", s->v.list,
                     s->pairs.labelled ? "pairs of one kind only" : "no labels");
        return cameo_report_error(&s->error);
    }
    if (!rule) rule = "eer";
    if (!cameo_calibrate(&s->v.metrics[s->v.primary], rule, &point, &s->error))
        return cameo_report_error(&s->error);
    cameo_operating_point p = {.threshold = point.threshold,
                               .score = cameo_score_names[s->v.primary],
                               .tta = cameo_tta_names[s->v.tta],
                               .rule = rule,
                               .data = data ? data : cameo_last_part(s->v.list),
                               .fpr = point.fpr,
                               .tpr = point.tpr};
    char *where;
    bool good = store(s, a, &p, &where);
    if (good && !cameo_args_get(a, "json")) print_point(s, &p, where);
    free(where);
    return good ? CAMEO_OK : cameo_report_error(&s->error);
}

static int calibrate(const cameo_model *model, const cameo_args *a) {
    cameo_scoring s;
    int code = cameo_scoring_run(&s, model, a, "calibrate");
    if (!code) code = choose(&s, a);
    cameo_scoring_free(&s);
    return code;
}

static const cameo_option options[] = {
    {"by", "RULE",
     "fpr=RATE (the most false accepts allowed, such as fpr=0.001), eer (default) or accuracy"},
    {"data", "NAME", "what to call the data (default: the list's file name)"},
    {"into", "MODEL.onnx", "store it in the model's metadata, which compiling embeds"},
    {"output", "FILE", "where (default: PROGRAM.calibration.json; with --into: the model itself)"},
    SCORING_OPTIONS,
    {0}};

const cameo_verb cameo_verb_calibrate = {
    "calibrate",
    "choose a threshold on a labelled list and store it",
    "calibrate PAIRS [--by RULE] [--data NAME] [--into MODEL.onnx] [--root DIR] [--json]",
    options,
    .run = calibrate,
    .about_weights = true};
