/* Choosing, storing and finding operating points. */
#define _GNU_SOURCE
#include "calibration.h"
#include "../base/files.h"
#include "../base/json.h"
#include "../base/json_read.h"
#include "../base/onnx_fields.h"
#include "../base/wire.h"
#include "../cameo_abi.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool cameo_calibrate(const cameo_metrics *m, const char *rule, cameo_roc_point *point,
                     cameo_error *error) {
    if (strcmp(rule, "eer") == 0)
        return *point = cameo_metrics_at_threshold(m, m->eer_threshold), true;
    if (strcmp(rule, "accuracy") == 0) {
        if (isinf(m->threshold_best))
            return cameo_reject(error,
                                "accuracy is best when no pair is accepted; that is no threshold");
        return *point = cameo_metrics_at_threshold(m, m->threshold_best), true;
    }
    char *end;
    double rate = strncmp(rule, "fpr=", 4) == 0 ? strtod(rule + 4, &end) : NAN;
    if (!(rate > 0 && rate < 1) || *end)
        return cameo_fail(error, CAMEO_USAGE,
                          "--by %s: fpr=RATE (such as fpr=0.001), eer or accuracy is expected",
                          rule);
    if (rate * (double)m->negatives < 1 - 1e-9)
        return cameo_reject(error,
                            "--by %s: %zu different pairs can't tell rates below %.3g apart; a "
                            "longer list is needed",
                            rule, m->negatives, 1 / (double)m->negatives);
    *point = cameo_metrics_at_fpr(m, rate);
    return !isinf(point->threshold) ||
           cameo_reject(error, "--by %s: no pair is accepted at this rate", rule);
}

char *cameo_calibration_text(const cameo_operating_point *p, const cameo_model *model,
                             const char *preprocess, const char *list_hash,
                             const cameo_metrics *m) {
    cameo_output o;
    if (!cameo_output_open(&o, NULL)) return NULL;
    cameo_json j = cameo_json_begin(o.stream);
    fprintf(o.stream, "\"threshold\": %.17g", p->threshold);
    j.comma = true;
    cameo_json_field(&j, p, score);
    cameo_json_field(&j, p, tta);
    cameo_json_field(&j, p, rule);
    cameo_json_field(&j, p, data);
    cameo_json_text(&j, "data_hash", list_hash);
    cameo_json_field(&j, p, fpr);
    cameo_json_field(&j, p, tpr);
    cameo_json_field(&j, m, positives);
    cameo_json_field(&j, m, negatives);
    cameo_json_text(&j, "preprocess", preprocess);
    cameo_json_text(&j, "model_hash", model->hash);
    cameo_json_end(&j);
    fclose(o.stream);
    return o.data;
}

char *cameo_calibration_path(const char *program) {
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    return cameo_format("%s.calibration.json", n > 0 ? self : program);
}

static bool parse(const char *json, const char *origin, cameo_calibration *c, cameo_error *error) {
    static const char *const keys[] = {"score", "tta", "rule", "data"};
    cameo_operating_point *p = &c->point;
    const char **field[] = {&p->score, &p->tta, &p->rule, &p->data};
    bool good = cameo_json_get_number(json, "threshold", &p->threshold);
    for (int i = 0; i < 4; i++) {
        *field[i] = c->text[i] = cameo_json_get_text(json, keys[i]);
        good &= c->text[i] != NULL;
    }
    p->origin = c->text[4] = cameo_join(NULL, origin);
    if (!cameo_json_get_number(json, "fpr", &p->fpr)) p->fpr = NAN;
    if (!cameo_json_get_number(json, "tpr", &p->tpr)) p->tpr = NAN;
    c->found = good;
    return good ||
           cameo_reject(error, "%s: is no calibration; make it anew with the verb calibrate",
                        origin);
}

static bool load_file(const cameo_model *model, const char *path, cameo_calibration *c,
                      cameo_error *error) {
    size_t size;
    char *json = (char *)cameo_read_file(path, 1 << 20, &size, error);
    if (!json) return false;
    char *hash = cameo_json_get_text(json, "model_hash");
    bool good = hash && strcmp(hash, model->hash) == 0;
    if (!good)
        cameo_reject(
            error,
            "%s: belongs to another model (%.12s...); its threshold means nothing for this "
            "one (%.12s...)\n    hint: run "
            "calibrate again, or remove the file",
            path, hash ? hash : "none", model->hash);
    good = good && parse(json, path, c, error);
    free(hash);
    free(json);
    return good;
}

bool cameo_calibration_load(const cameo_model *model, const char *program, cameo_calibration *c,
                            cameo_error *error) {
    *c = (cameo_calibration){0};
    char *path = cameo_calibration_path(program);
    bool good = true;
    if (cameo_file_exists(path))
        good = load_file(model, path, c, error);
    else if (model->calibration)
        good = parse(model->calibration, "the model", c, error);
    free(path);
    return good;
}

void cameo_calibration_free(cameo_calibration *c) {
    for (int i = 0; i < 5; i++) free(c->text[i]);
    *c = (cameo_calibration){0};
}

static const char metadata_key[] = "cameo.calibration";

static bool is_calibration(const cameo_field *f) {
    return f->number == MODEL_METADATA && f->type == CAMEO_WIRE_BYTES &&
           cameo_wire_equals(cameo_wire_find(f->bytes, ENTRY_KEY), metadata_key);
}

/* Order of fields is free in the wire format: all but a former calibration as they are, then the
   new one. */
static bool rewrite(cameo_wire w, const char *text, FILE *to) {
    cameo_field f;
    bool any = false;
    while (cameo_wire_size(w)) {
        if (!cameo_wire_field(&w, &f)) return false;
        any |= f.number == MODEL_GRAPH && f.type == CAMEO_WIRE_BYTES;
        if (!is_calibration(&f)) fwrite(f.whole.p, 1, cameo_wire_size(f.whole), to);
    }
    cameo_sink_message(&(cameo_sink){.stream = to}, MODEL_METADATA, cameo_write_entry,
                       &(cameo_entry){metadata_key, text});
    return any;
}

bool cameo_calibration_into(const char *onnx, const char *to, const char *text,
                            cameo_error *error) {
    size_t size;
    cameo_output o;
    unsigned char *data = cameo_read_file(onnx, (size_t)4 << 30, &size, error);
    if (!data || !cameo_output_open(&o, error)) return free(data), false;
    bool good = rewrite((cameo_wire){data, data + size}, text, o.stream);
    if (good)
        good = cameo_output_save(&o, NULL, to, error);
    else
        cameo_output_drop(&o), cameo_reject(error, "%s: is no ONNX model", onnx);
    free(data);
    return good;
}
