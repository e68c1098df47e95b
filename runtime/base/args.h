/* Options of the verbs, of `cameo` and of compiled programs: `--name value`, `--name=value`,
   flags, `-o`, `--`, --help, suggestions for misspelt names. */
#ifndef CAMEO_ARGS_H
#define CAMEO_ARGS_H
#include "../cameo.h"

typedef struct cameo_option {
    const char *name;  /* without dashes; some have a letter too (args.c): "output" answers to -o */
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
    const char *about;   /* for the help, what the verb does; may be NULL */
    const char *speaker; /* before messages, "cameo: "; NULL = nothing */
    bool until_first; /* arguments end with the first positional one: what follows is for somebody
                         else */
    cameo_argument *list; /* in the order given */
    size_t count, positionals;
    int argc; /* what was parsed */
    char **argv;
    char **last; /* the last positional argument's place in argv */
} cameo_args;

/* 0 = go on; CAMEO_USAGE after a message; -1 when --help was printed (the verb ends with 0). */
int cameo_args_parse(cameo_args *a, int argc, char **argv);
void cameo_args_free(cameo_args *a);
const char *cameo_args_get(const cameo_args *a, const char *name); /* the last one given, or NULL */
const char *cameo_args_positional(const cameo_args *a, size_t index);
/* False after a message when the value is no number in [low, high]; *value stays when there is
   none. */
bool cameo_args_integer(const cameo_args *a, const char *name, int64_t low, int64_t high,
                        int64_t *value);
/* The message and the usage line on stderr; returns CAMEO_USAGE. */
int cameo_usage_error(const cameo_args *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A decimal number and nothing else, in [low, high]. */
bool cameo_parse_integer(const char *text, int64_t low, int64_t high, int64_t *value);
/* The candidate nearest to `word` (at most a third of its letters wrong), or NULL. */
const char *cameo_nearest(const char *word, const char *const *candidates, size_t count);
/* Prints: unknown KIND "WORD"; did you mean ...? Returns CAMEO_USAGE. */
int cameo_unknown(const char *speaker, const char *kind, const char *word,
                  const char *const *candidates, size_t count);
/* The place of a word in a list; -1 when it is not there. */
int cameo_index_of(const char *const *words, int count, const char *word);
#endif
