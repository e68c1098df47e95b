/* The files that courses and competitions take, in each data set family's form: face verification
   by pairs, identification by rows, classification by files. Rows are in the list's order and none
   is left out. */
#ifndef CAMEO_SUBMISSION_H
#define CAMEO_SUBMISSION_H
#include "verification.h"
#include <stdio.h>

typedef enum cameo_task { CAMEO_TASK_PAIRS, CAMEO_TASK_IDENTITIES, CAMEO_TASK_CLASSES } cameo_task;

typedef enum cameo_submission_key {
    CAMEO_KEY_LINE,
    CAMEO_KEY_ROW,
    CAMEO_KEY_FILE
} cameo_submission_key;
typedef struct cameo_submission {
    const char *families; /* "s19 f19 s20" */
    cameo_task task;
    const char *heading; /* "trial,score" */
    cameo_submission_key key;
    bool names; /* classes by name; else by index */
} cameo_submission;

/* The form of a family's task; NULL with *error naming the families that have one. */
const cameo_submission *cameo_submission_find(const char *family, cameo_task task,
                                              cameo_error *error);
/* One row a pair: key and raw score (v->primary), never thresholded. Pairs without a score get the
   median of the others. */
void cameo_submission_pairs(const cameo_submission *s, const cameo_verification *v, FILE *f);
/* A CSV field, quoted where it must be (RFC 4180). */
void cameo_csv_field(FILE *f, const char *text, size_t length);
/* The same of a whole text, and what follows it. */
void cameo_csv_text(FILE *f, const char *text, char after);
#endif
