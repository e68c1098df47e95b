/* From the emitted texts to what the user asked for: a program, a library, or C. Nothing is kept
   in memory afterwards. */
#ifndef CAMEO_EMIT_BUILD_H
#define CAMEO_EMIT_BUILD_H
#include "emit.h"

/* Writes o->output (see options.emit). Returns an exit code; messages go to stderr. Everything
   happens in a temporary directory, which is gone afterwards, and the result appears by a
   rename. */
int build_program(const graph *g, const program *p, const options *o);
#endif
