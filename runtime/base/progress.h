/* Progress on stderr: a bar with rate and time left on a terminal, nothing elsewhere. */
#ifndef CAMEO_PROGRESS_H
#define CAMEO_PROGRESS_H
#include <stdbool.h>
#include <stddef.h>

typedef struct cameo_progress {
    const char *what; /* "embedding" */
    size_t total;
    double started, shown;
    bool terminal;
} cameo_progress;

double cameo_now(void); /* seconds, monotonic */
void cameo_progress_start(cameo_progress *p, const char *what, size_t total);
void cameo_progress_step(cameo_progress *p, size_t done);
void cameo_progress_end(cameo_progress *p); /* clears the bar */
#endif
