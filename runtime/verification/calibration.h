/* Operating points at rest: PROGRAM.calibration.json beside a compiled program, or the metadata
   `cameo.calibration` of a model, which compiling embeds. Both are the same JSON object. */
#ifndef CAMEO_CALIBRATION_H
#define CAMEO_CALIBRATION_H
#include "verification.h"

/* Owns the strings of its point. */
typedef struct cameo_calibration {
    bool found;
    cameo_operating_point point;
    char *text[5]; /* what the point's strings are */
} cameo_calibration;

/* "fpr=0.001", "eer", "accuracy": the point of the curve. False with *error (CAMEO_USAGE) for
   another rule, or a rate that these pairs can't resolve (below 1 / negatives). */
bool cameo_calibrate(const cameo_metrics *m, const char *rule, cameo_roc_point *point,
                     cameo_error *error);
/* The JSON text of an operating point of a model (its hash) and preprocessing; the caller frees. */
char *cameo_calibration_text(const cameo_operating_point *p, const cameo_model *model,
                             const char *preprocess, const char *list_hash, const cameo_metrics *m);
/* "PROGRAM.calibration.json": beside this program's executable, under its name. The caller
   frees. */
char *cameo_calibration_path(const char *program);
/* The file beside the program, else what the model holds, else nothing is found (no error). A file
   of another model's is an error: its threshold means nothing here. */
bool cameo_calibration_load(const cameo_model *model, const char *program, cameo_calibration *c,
                            cameo_error *error);
void cameo_calibration_free(cameo_calibration *c);
/* Puts the text into an ONNX file's metadata (a former one is replaced); `to` may be the file
   itself. */
bool cameo_calibration_into(const char *onnx, const char *to, const char *text, cameo_error *error);
#endif
