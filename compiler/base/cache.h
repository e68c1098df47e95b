/* Where compiled programs and timings are kept: $XDG_CACHE_HOME/cameo, or ~/.cache/cameo. */
#ifndef CAMEO_CACHE_H
#define CAMEO_CACHE_H
#include "arena.h"

/* Made when it is not there; NULL after a message on stderr. */
char *cache_directory(arena *a);
char *cache_file(arena *a, const char *name);
#endif
