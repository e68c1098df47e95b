/* The command line: options of the verbs, and the verbs themselves. Strings point into argv or
   into the list's own memory, which lives until the process ends. */
#ifndef CAMEO_CLI_H
#define CAMEO_CLI_H
#include "../../runtime/base/args.h"
#include "../compile.h"

/* Options of a compilation: rows of one table, in options.c. Parsing, --help (and with it the
   manual), the key of the cache and what excludes what come from there. */
typedef enum cli_type {
    CLI_FLAG,     /* bool */
    CLI_WHOLE,    /* low to high; an integer of the field's size */
    CLI_WORD,     /* one of `words`; the field gets its number: an enum, or a bool of two */
    CLI_TEXT,     /* const char * */
    CLI_FILE,     /* the same, and what the program is depends on what the file holds */
    CLI_LISTED,   /* const char *, one of listed(0), listed(1), ... */
    CLI_PATTERNS, /* options.freeze */
    CLI_DIM,      /* options.dims */
    CLI_SHAPE,    /* options.shapes */
    CLI_TARGETS   /* options.target and .narrower */
} cli_type;

/* Which verbs take a row: those whose `takes` has one of its bits. */
enum { CLI_MODEL = 1, CLI_BUILD = 2, CLI_COMPILE = 4, CLI_CONFORM = 8 };

typedef struct cli_row {
    cameo_option option;
    cli_type type;
    unsigned verbs;
    bool keeps_program;  /* does not belong into the key of a cached program */
    size_t offset, size; /* of its field in struct options */
    int64_t low, high;
    const char *const *words; /* ends with NULL */
    const char *(*listed)(size_t i);
    const char *environment; /* the variable that counts when it is not given */
    const char *needs;       /* the option without which it means nothing */
} cli_row;
extern const cli_row cli_rows[];
extern const size_t cli_row_count;

typedef struct cli_verb {
    const char *name, *about, *usage, *help; /* about: in the list of verbs. help: in its own */
    const cameo_option *options;             /* its own, before those of the table,
                                                which they may word anew; or NULL */
    unsigned takes;                          /* of the table */
    size_t least, most;                      /* positional arguments */
    /* An exit code. o: of a verb that compiles, from its options. Memory from a. */
    int (*run)(arena *a, const cameo_args *given, options *o);
    bool own_options; /* they are not those of a compilation: o is NULL */
    bool until_first; /* what follows the first positional argument is for the compiled program */
} cli_verb;
#define VERB(name) extern const cli_verb cli_##name;
#include "verbs.def"
#undef VERB

/* argv[0] is the verb. Returns the exit code. */
int cli_main(const cli_verb *verb, int argc, char **argv);
/* Arguments of a verb: 0 = go on, -1 = --help was printed (end with 0), 2 after a message.
   cameo_args_free in any case; the list of options is from a. */
int cli_parse(arena *a, cameo_args *given, const cli_verb *verb, int argc, char **argv);
/* As cameo_unknown, of cameo itself. */
int cli_unknown(const char *kind, const char *word, const char *const *candidates, size_t count);

/* All options of a verb, as its help lists them; ends with a NULL name. */
const cameo_option *cli_verb_options(arena *a, const cli_verb *verb);
/* "1x3x112x112"; false when malformed. */
bool cli_shape(const char *s, shape *out);
/* Options of a compilation from what was given (those of them the verb has); 0, or 2 after a
   message. Memory from a. */
int cli_options(arena *a, const cameo_args *c, options *o);
/* The key of all that changes the program: the model's hash, the compiler, the options. */
void cli_cache_key(const char *model, const options *o, char key[65]);
/* --name of a verb's own: no less than 0 and finite. False after a message; *out stays when it is
   not given. */
bool cli_tolerance(const cameo_args *c, const char *name, double *out);

/* Problems of a model as text; equal ones of one operator are told once, with their number and
   nodes. */
void cli_print_diag(const diag *d);

/* Removes the least recently used programs of a cache directory until its programs have `limit`
   bytes; never `keep`. */
void cli_trim_cache(const char *directory, const char *keep, uint64_t limit);
#endif
