/* One backend test: what it is given, what comes out. For conform.c, which runs many. */
#ifndef CAMEO_CONFORM_H
#define CAMEO_CONFORM_H
#include "../compile.h"
#include <stdio.h>

typedef struct conform_options {
    options compile;
    double rtol, atol;
    unsigned seconds; /* for one run of a program */
} conform_options;

typedef enum verdict { VERDICT_NONE, VERDICT_PASS, VERDICT_FAIL } verdict;

typedef struct outcome { /* zeroes: unsupported. In memory shared between processes, so nothing
                            points anywhere */
    verdict verdict;     /* of the compiled program; NONE: unsupported */
    verdict reference;   /* of the interpreter; NONE: not run */
    double max_abs, max_rel;
    size_t frozen; /* inputs made constants, because they decide a shape */
    bool compared, folded, see_log;
    char reason[400];
} outcome;

/* Compiles and runs directory/model.onnx on each of its data sets, inside `scratch`. Messages may
   go to stdout and stderr; see_log: the reason is there. */
void conform_test(const char *directory, const char *scratch, const conform_options *o,
                  outcome *result);
/* Inputs of an imported graph (not yet resolved) that reach, through the graph, an operand that
   must be a constant. */
void conform_shape_inputs(const graph *g, bool *decides);
/* A verdict with its reason; returns false. */
bool conform_fail(outcome *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The line of --json. */
void conform_json(FILE *f, const char *name, const outcome *o);
#endif
