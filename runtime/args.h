/* Option parsing shared by the verbs: `--name value`, `--name=value`, flags, `-o`, `--`, --help, suggestions for misspelt
 * names. */
#ifndef CAMEO_ARGS_H
#define CAMEO_ARGS_H
#include "cameo.h"

typedef struct cameo_option {
    const char *name;  /* without dashes; "output" also answers to -o */
    const char *value; /* what its value is called in the help; NULL = a flag */
    const char *help;
} cameo_option;

typedef struct cameo_argument {
    const cameo_option *option; /* NULL = a positional argument */
    const char *value;
} cameo_argument;

typedef struct cameo_args {
    const cameo_option *options; /* ends with a NULL name */
    const char *usage;           /* "score PAIRS [--root DIR] ..." */
    const char *program;
    cameo_argument *list; /* in the order given */
    size_t count, positionals;
} cameo_args;

/* 0 = go on; CAMEO_USAGE after a message; -1 when --help was printed (the verb ends with 0). */
int cameo_args_parse(cameo_args *a, int argc, char **argv);
void cameo_args_free(cameo_args *a);
const char *cameo_args_get(const cameo_args *a, const char *name); /* the last one given, or NULL */
const char *cameo_args_positional(const cameo_args *a, size_t index);
/* False after a message when the value is no number in [low, high]. */
bool cameo_args_integer(const cameo_args *a, const char *name, long low, long high, long *value);
/* The candidate nearest to `word` (at most a third of its letters wrong), or NULL. */
const char *cameo_nearest(const char *word, const char *const *candidates, size_t count);
#endif
