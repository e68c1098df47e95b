/* A progress bar, redrawn at most ten times a second. */
#include "progress.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double cameo_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cameo_progress_start(cameo_progress *p, const char *what, size_t total) {
    *p = (cameo_progress){what, total, cameo_now(), 0, isatty(STDERR_FILENO) != 0};
}

void cameo_progress_step(cameo_progress *p, size_t done) {
    double now = cameo_now(), elapsed = now - p->started;
    if (!p->terminal || p->total == 0 || (done < p->total && now - p->shown < 0.1)) return;
    p->shown = now;
    char bar[31];
    size_t full = 30 * done / p->total;
    memset(bar, '-', 30);
    memset(bar, '#', full);
    bar[30] = 0;
    double rate = elapsed > 0 ? (double)done / elapsed : 0,
           left = rate > 0 ? (double)(p->total - done) / rate : 0;
    fprintf(stderr, "\r%s [%s] %zu/%zu  %.1f/s  %.0f s left  ", p->what, bar, done, p->total, rate,
            left);
    fflush(stderr);
}

void cameo_progress_end(cameo_progress *p) {
    if (p->terminal && p->shown > 0) fputs("\r\033[K", stderr);
}
