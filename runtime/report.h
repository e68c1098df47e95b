/* The report of a scoring run: one HTML file without any reference to another. */
#ifndef CAMEO_REPORT_H
#define CAMEO_REPORT_H
#include "metrics.h"

/* Writes directory/report.html: a summary, the ROC curve and the histogram of both kinds' scores as inline SVG. */
bool cameo_report_write(const char *directory, const cameo_model *model, const char *list, const char *preprocess,
                        const cameo_metrics *m, const double *scores, const unsigned char *labels, cameo_error *error);
#endif
