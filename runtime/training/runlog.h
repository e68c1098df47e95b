/* RUN/log.jsonl: one object a line. Lines are kept in memory and appended to the file; when the
   disk is full they follow later.

   A run that was killed and goes on from a checkpoint cuts the lines behind that checkpoint, a
   torn one at the end included. */
#ifndef CAMEO_RUNLOG_H
#define CAMEO_RUNLOG_H
#include "../base/json.h"
#include "../cameo.h"

typedef struct cameo_runlog {
    char *path;
    FILE *stream; /* of data */
    char *data;   /* the whole text; valid after cameo_runlog_flush */
    size_t size, written;
    bool failing; /* a message about the disk was printed */
} cameo_runlog;

/* keep: go on after step `step` and `epochs` whole epochs; else the file begins anew. */
bool cameo_runlog_open(cameo_runlog *l, const char *directory, bool keep, int64_t step,
                       int64_t epochs, cameo_error *error);
void cameo_runlog_close(cameo_runlog *l);
/* A line: begin, put keys, cameo_json_end. event: "start", "step", "epoch", "end". */
cameo_json cameo_runlog_begin(cameo_runlog *l, const char *event);
/* Appends what is new to the file. False when it can't be; said once. */
bool cameo_runlog_flush(cameo_runlog *l);
/* The number behind "key": in a line of ours; NaN when there's none. */
double cameo_runlog_number(const char *line, const char *key);
bool cameo_runlog_is(const char *line, const char *event);
#endif
