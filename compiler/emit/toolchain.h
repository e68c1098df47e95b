/* What building needs beside the program: the runtime, installed or as sources, and a C compiler
   for the target. All strings live in the arena given. */
#ifndef CAMEO_EMIT_TOOLCHAIN_H
#define CAMEO_EMIT_TOOLCHAIN_H
#include "../ir/options.h"

typedef struct toolchain {
    const char *cc;      /* the C compiler's command, words apart by blanks */
    const char *ar;      /* the archiver, likewise */
    const char *include; /* folder of cameo.h and kernels/ */
    const char *library; /* libcameo.a; NULL: none for this target, the runtime is built from its
                            sources */
    const char *sources; /* folder of the runtime's C files; NULL when there is none */
} toolchain;

/* Finds everything; asks the compiler, in `directory`, what machine it is for. 0, or an exit code
   after a message. */
int toolchain_find(arena *a, const options *o, const char *directory, toolchain *t);
/* The runtime's C files relative to t->sources, in order of their names; NULL after a message.
   whole false: what a library of a network needs, without image code and verbs. xnnpack: with
   xnn.c. */
const char **toolchain_sources(arena *a, const toolchain *t, bool whole, bool xnnpack,
                               size_t *count);
/* When a compiler's or linker's output says that a library or a header is not there: a message
   that names it and what to do, and true. Else false. */
bool toolchain_explain(arena *a, const options *o, const char *log);
#endif
