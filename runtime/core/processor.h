/* Whether this machine can run what was compiled for a target. */
#ifndef CAMEO_PROCESSOR_H
#define CAMEO_PROCESSOR_H
#include <stdbool.h>

/* target: as in cameo_model, "x86-64-v3" say. True for names of no known level: nothing is known
   against them. *lacks names the first feature that is missing. */
bool cameo_target_runs(const char *target, const char **lacks);
#endif
