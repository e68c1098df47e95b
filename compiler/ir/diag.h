/* Diagnostics: problems with the user's input are collected here, all of them, and reported
   together. BUG() is for our own broken invariants only (exit 3). */
#ifndef CAMEO_DIAG_H
#define CAMEO_DIAG_H
#include "../../runtime/base/files.h" /* exit codes, errors, files */
#include "../base/arena.h"
#include "../base/text.h"

struct node;

/* The hint where Cameo, not the model, falls short. Without a hint, an error of a node is taken
   for the file's. */
#define DIAG_UNSUPPORTED \
    "the model may well be right: docs/operators.md lists what is supported so far"

typedef struct diag_item {
    bool warning;
    const struct node *node;    /* NULL: about the whole file */
    const char *message, *hint; /* hint may be NULL */
    struct diag_item *next;
} diag_item;

typedef struct diag {
    arena *arena;
    const char *file; /* as the user wrote it */
    diag_item *first, *last;
    size_t errors, warnings;
} diag;

/* node may be NULL, hint may be NULL. Messages beyond the first 1000 are counted, not kept. Always
   returns false, so that a check can say `return diag_error(...)`. */
bool diag_error(diag *d, const struct node *n, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void diag_warn(diag *d, const struct node *n, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Prints "FILE: node 42 "name" (Op, opset 13): message", then the inputs with their types, shapes
   and producers, then the hint. */
void diag_print(const diag *d, text *out);
void diag_tell(const diag *d); /* the same to stderr */
/* One JSON object:
   {"file","ok","errors":[{"node","name","op","opset","reason","hint"}],"warnings":[...]} */
void diag_print_json(const diag *d, FILE *out);

int complain_of(const cameo_error *error); /* of the runtime; returns its code */
/* "cameo: MESSAGE" on stderr; returns code, one of cameo.h's. */
int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define BUG(...) cameo_bug(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void cameo_bug(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#endif
