/* The report of a scoring run: one HTML file without any reference to another. verification.h says
   what a run knows. */
#ifndef CAMEO_REPORT_H
#define CAMEO_REPORT_H
#include "../image/image.h"
#include "verification.h"

/* Where the report gets the pictures of the hardest pairs from: image `i` of v->pairs as the
   network sees it. */
typedef struct cameo_report_pictures {
    bool (*view)(void *data, size_t i, cameo_image *image);
    void *data;
} cameo_report_pictures;

/* Writes directory/report.html of a run with metrics (v->measured). pictures may be NULL: names
   only. */
bool cameo_report_write(const char *directory, const cameo_verification *v,
                        const cameo_report_pictures *pictures, cameo_error *error);
/* report_compare.c: several runs' folders (metrics.json, roc.csv) side by side in one HTML file. */
bool cameo_report_compare(const char *const *run, size_t runs, const char *file,
                          cameo_error *error);
#endif
