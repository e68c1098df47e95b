/* The command line: options of the verbs, and the verbs themselves. Strings point into argv or into the list's own memory,
   which lives until the process ends. */
#ifndef CAMEO_CLI_H
#define CAMEO_CLI_H
#include "../../runtime/base/args.h"
#include "../compile.h"

typedef struct cli_verb {
    const char *name, *about, *usage, *help; /* about: in the list of verbs. help: in its own */
    const cameo_option *options;
    size_t least, most; /* positional arguments */
    /* An exit code. o: of a verb that compiles, from its options. Memory from a. */
    int (*run)(arena *a, const cameo_args *given, options *o);
    bool own_options; /* they are not those of a compilation: o is NULL */
    bool until_first; /* what follows the first positional argument is for the compiled program */
} cli_verb;
extern const cli_verb cli_new, cli_info, cli_check, cli_compile, cli_compare, cli_conform, cli_run;

/* argv[0] is the verb. Returns the exit code. */
int cli_main(const cli_verb *verb, int argc, char **argv);
/* Arguments of a verb: 0 = go on, -1 = --help was printed (end with 0), 2 after a message. cameo_args_free in any case. */
int cli_parse(cameo_args *given, const cli_verb *verb, int argc, char **argv);
/* As cameo_unknown, of cameo itself. */
int cli_unknown(const char *kind, const char *word, const char *const *candidates, size_t count);

/* "1x3x112x112"; false when malformed. */
bool cli_shape(const char *s, shape *out);
/* Options of a compilation from what was given (those of them the verb has); 0, or 2 after a message. Memory from a. */
int cli_options(arena *a, const cameo_args *c, options *o);

/* Problems of a model as text; equal ones of one operator are told once, with their number and nodes. */
void cli_print_diag(const diag *d);

#define CLI_MODEL_OPTIONS                                                                                                     \
    {"batch", "N", "images of one run at most (default: as the model says; 1 where it says nothing)"},                        \
        {"shape", "NAME=AxBxC", "shape of an input"}, {"dim", "NAME=N", "value of a symbolic dimension"},                     \
        {"embedding", "TENSOR", "the tensor that is the embedding"},                                                          \
        {"preprocess", "SPEC", "from pixels to the input: \"size=112x112 color=rgb mean=127.5 scale=0.0078125\""}, {          \
        "dump-after", "PASS",                                                                                                 \
            "print the graph after a pass: import, resolve, parameters, infer, embedding, head, preprocess, fold, simplify, " \
            "batch, fuse, average, layout, select, chains, schedule, group or plan"                                           \
    }
#define CLI_BUILD_OPTIONS                                                                                                      \
    {"target", "NAME[,NAME]",                                                                                                  \
     "native (default), x86-64, x86-64-v2, x86-64-v3, x86-64-v4 or aarch64; of several the program takes the widest that the " \
     "processor has"},                                                                                                         \
        {"cc", "PROGRAM", "the C compiler (default: $CC, else cc)"},                                                           \
        {"kernels", "KIND", "auto (default), xnnpack, native or plain"},                                                       \
        {"jobs", "N", "C compilers at once (default: the processors)"}, {"static", NULL, "link statically"},                   \
        {"bfloat16", NULL,                                                                                                     \
         "round the weights of fully connected layers to 16 bits (3 digits) where reading them takes the time; see cameo "     \
         "compare"},                                                                                                           \
        {"keep-c", "DIR", "keep the generated C there"}, {                                                                     \
        "labels", "FILE", "names of the classes, one a line"                                                                   \
    }

/* Removes the least recently used programs of a cache directory until its programs have `limit` bytes; never `keep`. */
void cli_trim_cache(const char *directory, const char *keep, uint64_t limit);
#endif
