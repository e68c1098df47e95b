/* The report of a scoring run: one HTML file without any reference to another. verification.h says what a run knows. */
#ifndef CAMEO_REPORT_H
#define CAMEO_REPORT_H
#include "verification.h"

/* Writes directory/report.html of a run with metrics (v->measured). */
bool cameo_report_write(const char *directory, const cameo_verification *v, cameo_error *error);
#endif
