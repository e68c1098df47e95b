/* The command line: options of the verbs, and the verbs themselves. Strings point into argv or into the list's own memory,
   which lives until the process ends. */
#ifndef CAMEO_CLI_H
#define CAMEO_CLI_H
#include "compile.h"

typedef struct cli_option {
    const char *name, *value, *help; /* value NULL: a flag. name NULL ends a table */
    char letter;                     /* short form, 0 = none */
} cli_option;

typedef struct cli_verb {
    const char *usage, *about;
    const cli_option *options;
} cli_verb;

typedef struct cli_given {
    const cli_option *option;
    const char *value;
} cli_given;

typedef struct cli { /* what was given, in order */
    const cli_verb *verb;
    cli_given *given;
    size_t n_given;
    char **positional;
    size_t n_positional;
} cli;

/* argv[0] is the verb. 0 = go on, -1 = --help was printed (end with 0), 2 after a message. */
int cli_parse(cli *c, const cli_verb *verb, int argc, char **argv);
void cli_free(cli *c);
const char *cli_get(const cli *c, const char *name); /* last value, "" for a flag, NULL when absent */
/* Letters to change to get from a to b (Levenshtein). */
size_t cli_distance(const char *a, const char *b);
/* Prints "unknown KIND "word"; did you mean ...?"; returns 2. */
int cli_unknown(const char *kind, const char *word, const char *const *candidates, size_t count);

/* "1x3x112x112"; false when malformed. */
bool cli_shape(const char *s, shape *out);
bool cli_integer(const char *s, int64_t low, int64_t high, int64_t *out);
/* Options of a compilation from what was given (those of them the verb has); 0, or 2 after a message. Memory from a. */
int cli_options(arena *a, const cli *c, options *o);

/* Problems of a model as text; equal ones of one operator are told once, with their number and nodes. */
void cli_print_diag(const diag *d);

#define CLI_MODEL_OPTIONS                                                                                                     \
    {"batch", "N", "images of one run at most (default: as the model says; 1 where it says nothing)", 0},                     \
        {"shape", "NAME=AxBxC", "shape of an input", 0}, {"dim", "NAME=N", "value of a symbolic dimension", 0},               \
        {"embedding", "TENSOR", "the tensor that is the embedding", 0},                                                       \
        {"preprocess", "SPEC", "from pixels to the input: \"size=112x112 color=rgb mean=127.5 scale=0.0078125\"", 0}, {       \
        "dump-after", "PASS",                                                                                                 \
            "print the graph after a pass: import, resolve, parameters, infer, embedding, head, preprocess, fold, simplify, " \
            "batch, "                                                                                                         \
            "fuse, "                                                                                                          \
            "layout, "                                                                                                        \
            "select, group, schedule or plan",                                                                                \
            0                                                                                                                 \
    }
#define CLI_BUILD_OPTIONS                                                                                                      \
    {"target", "NAME[,NAME]",                                                                                                  \
     "native (default), x86-64, x86-64-v2, x86-64-v3, x86-64-v4 or aarch64; of several the program takes the widest that the " \
     "processor has",                                                                                                          \
     0},                                                                                                                       \
        {"cc", "PROGRAM", "the C compiler (default: $CC, else cc)", 0},                                                        \
        {"kernels", "KIND", "auto (default), xnnpack, native or plain", 0},                                                    \
        {"jobs", "N", "C compilers at once (default: the processors)", 'j'}, {"static", NULL, "link statically", 0},           \
        {"bfloat16", NULL,                                                                                                     \
         "round the weights of fully connected layers to 16 bits (3 digits) where reading them takes the time; see cameo "     \
         "compare",                                                                                                            \
         0},                                                                                                                   \
        {"keep-c", "DIR", "keep the generated C there", 0}, {                                                                  \
        "labels", "FILE", "names of the classes, one a line", 0                                                                \
    }

int cmd_info(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_compile(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_conform(int argc, char **argv);
int cmd_run(int argc, char **argv);

/* Index of the first argument that is no option (nor an option's value); argc when there is none. */
int cli_first_positional(const cli_verb *verb, int argc, char **argv);
/* Removes the least recently used programs of a cache directory until its programs have `limit` bytes; never `keep`. */
void cli_trim_cache(const char *directory, const char *keep, uint64_t limit);
#endif
