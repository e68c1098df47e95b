/* Looking values up in JSON that programs of ours wrote: metrics.json, calibrations. */
#ifndef CAMEO_JSON_READ_H
#define CAMEO_JSON_READ_H
#include <stdbool.h>
#include <stddef.h>

/* The value of a path such as "folds_exact.mean" or "scores.cosine.auc"; NULL when there is none,
   or the text is no JSON up to there. Points into the text. */
const char *cameo_json_find(const char *text, const char *path);
/* A number; false when the value is none (null too). */
bool cameo_json_get_number(const char *text, const char *path, double *value);
/* A string, with its escapes undone; NULL when the value is none. The caller frees. */
char *cameo_json_get_text(const char *text, const char *path);
/* The elements of an array, one after the other: element NULL begins; returns NULL behind the
   last. */
const char *cameo_json_next(const char *array, const char *element);
#endif
