/* The names of a network's classes: a text with one name a line, the first for class 0. The
   compiler reads such files and the model's metadata, `classify` reads files. */
#ifndef CAMEO_CLASS_NAMES_H
#define CAMEO_CLASS_NAMES_H
#include "lines.h"

typedef struct cameo_class_names {
    cameo_lines lines; /* the names' own memory */
    const char **name; /* [count] */
    size_t count;
} cameo_class_names;

/* A name is its line as it stands, quotation marks and blanks too: it may be a folder's. Empty
   lines at the end count for nothing; one between names would shift all that follow, so it is
   refused (CAMEO_BAD_INPUT, naming `what` and the line). The text is copied. */
bool cameo_class_names_parse(const char *text, size_t size, const char *what,
                             cameo_class_names *names, cameo_error *error);
bool cameo_class_names_read(const char *file, cameo_class_names *names, cameo_error *error);
void cameo_class_names_free(cameo_class_names *names);
#endif
