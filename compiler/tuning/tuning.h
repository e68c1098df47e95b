/* --tune: which kernel of those that fit a layer is fastest on this machine, measured; and
   --tuning: choices measured before. */
#ifndef CAMEO_TUNING_H
#define CAMEO_TUNING_H
#include "../compile.h"

/* Compiles o->input under --tune or --tuning; the exit code, messages on stderr.

   Under --tune the timings of every kind of layer are looked up in a file (--tuning, else
   tuning.tsv in the cache) by processor, target, version and the layer's shapes and attributes.
   What is missing is timed: program k of a few takes, for each layer, the k-th kernel not timed
   yet, and all of them run in turn, so that a slow moment of the machine hits all alike. */
int tuning_compile(const options *o);

/* ---- the file of timings, for tests as well ---- */

typedef struct timing {
    const char *processor, *target, *version, *layer, *kernel;
    double microseconds; /* INFINITY: not known yet */
} timing;
typedef struct timings {
    arena *arena;
    timing *list;
    size_t count, capacity;
} timings;

/* False with a message on stderr when the file is there but is no such file. */
bool timings_read(timings *t, const char *path);
bool timings_write(const timings *t, const char *path);
/* The last of that layer and kernel; processor NULL: any. NULL when there is none. */
timing *timings_find(const timings *t, const char *processor, const char *target_name,
                     const char *layer, const char *kernel);
void timings_add(timings *t, timing added);
/* What a layer's time depends on: operator, attributes, shapes, layouts. */
char *timings_layer(arena *a, const node *n);
#endif
