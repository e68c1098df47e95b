/* Child processes for build.c: a queue of commands, several at a time, in one directory. */
#ifndef CAMEO_EMIT_PROCESS_H
#define CAMEO_EMIT_PROCESS_H
#include <stdbool.h>
#include <stddef.h>

typedef struct command {
    char *const *argv; /* NULL-terminated; owned by the caller */
    const char *log;   /* file in the directory that takes stdout and stderr */
    int status;        /* of waitpid; set by run_commands */
} command;

/* Catches SIGINT and SIGTERM until process_end, so that children end and files are cleaned up.
   Pairs of them may nest: the outer one counts. */
void process_begin(void);
/* Restores the handlers; when a signal came meanwhile, raises it. */
void process_end(void);
bool process_interrupted(void);
/* Runs all; stops starting more, and kills what runs, after the first failure or a signal. True
   when all ended with 0. */
bool run_commands(command *c, size_t n, unsigned at_once, const char *directory, size_t *failed);
/* The command could not be started at all. */
bool command_missing(const command *c);
#endif
