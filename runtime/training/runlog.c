/* The log of a run, in memory and on the disk. */
#include "runlog.h"
#include "../base/files.h"
#include "../base/json_read.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGEST = 1 << 30 };

double cameo_runlog_number(const char *line, const char *key) {
    double value;
    return cameo_json_get_number(line, key, &value) ? value : NAN;
}

bool cameo_runlog_is(const char *line, const char *event) {
    char pattern[64];
    const int n = snprintf(pattern, sizeof pattern, "{\"event\": \"%s\"", event);
    return strncmp(line, pattern, (size_t)n) == 0;
}

/* Bytes of the lines up to a step and an epoch: lines are in order, so the first beyond ends it. */
static size_t lines_until(const char *text, int64_t step, int64_t epochs) {
    const char *line = text;
    for (const char *end; (end = strchr(line, '\n')); line = end + 1) {
        const double at = cameo_runlog_number(line, "step"),
                     epoch = cameo_runlog_number(line, "epoch");
        if (!(at <= (double)step)) break; /* not a line of ours: NaN */
        if (cameo_runlog_is(line, "epoch") && !(epoch <= (double)epochs)) break;
    }
    return (size_t)(line - text);
}

bool cameo_runlog_open(cameo_runlog *l, const char *directory, bool keep, int64_t step,
                       int64_t epochs, cameo_error *error) {
    *l = (cameo_runlog){.path = cameo_join(directory, "log.jsonl")};
    l->stream = open_memstream(&l->data, &l->size);
    if (!l->stream) return cameo_fail(error, CAMEO_ENVIRONMENT, "out of memory");
    if (keep && cameo_file_exists(l->path)) {
        size_t size;
        char *text = (char *)cameo_read_file(l->path, LARGEST, &size, error);
        if (!text) return false;
        l->written = lines_until(text, step, epochs);
        fwrite(text, 1, l->written, l->stream);
        free(text);
    }
    const int fd = open(l->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    const bool good = fd >= 0 && ftruncate(fd, (off_t)l->written) == 0;
    if (!good)
        cameo_fail(error, CAMEO_ENVIRONMENT, "%s: cannot write: %s", l->path, strerror(errno));
    if (fd >= 0) close(fd);
    return good;
}

void cameo_runlog_close(cameo_runlog *l) {
    if (l->stream) fclose(l->stream);
    free(l->data);
    free(l->path);
    *l = (cameo_runlog){0};
}

cameo_json cameo_runlog_begin(cameo_runlog *l, const char *event) {
    cameo_json j = {.stream = l->stream};
    cameo_json_open(&j, NULL, '{');
    cameo_json_text(&j, "event", event);
    return j;
}

void cameo_runlog_end(cameo_runlog *l, cameo_json *j) {
    cameo_json_close(j, '}');
    fputc('\n', l->stream);
}

/* A failed write leaves no torn line: the file is cut back. */
static bool append(cameo_runlog *l) {
    const int fd = open(l->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    bool good = fd >= 0;
    size_t at = l->written;
    while (good && at < l->size) {
        const ssize_t n = pwrite(fd, l->data + at, l->size - at, (off_t)at);
        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || errno != EINTR)
            good = false;
    }
    const int why = errno;
    if (good)
        l->written = at;
    else if (fd >= 0 && ftruncate(fd, (off_t)l->written) != 0)
        good = false; /* nothing left to try */
    if (fd >= 0) close(fd);
    errno = why;
    return good;
}

bool cameo_runlog_flush(cameo_runlog *l) {
    fflush(l->stream);
    if (l->written == l->size || append(l)) return l->failing = false, true;
    if (!l->failing)
        fprintf(stderr, "%s: cannot write: %s; the run goes on\n", l->path, strerror(errno));
    l->failing = true;
    return false;
}
