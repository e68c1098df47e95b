/* A folder of our own under $TMPDIR (or /tmp), for what is thrown away afterwards. */
#ifndef CAMEO_TEMPORARY_H
#define CAMEO_TEMPORARY_H
#include "arena.h"

/* Makes one; its absolute path, or NULL with a message on stderr. */
char *temporary_directory(arena *a);
/* Removes it and all that is in it, whoever put it there; follows no link. */
void temporary_remove(const char *directory);
#endif
