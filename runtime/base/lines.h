/* Text files of one thing a line - lists of pairs and of pictures, tables, class names - as
   people's tools write them: a byte order mark, line ends of any system, fields apart by blanks,
   tabs, commas, semicolons or bars, quoted after RFC 4180. A cameo_lines owns its text and is
   freed whole. */
#ifndef CAMEO_LINES_H
#define CAMEO_LINES_H
#include "../cameo.h"
#include <stdio.h>

typedef struct cameo_line {
    size_t at;     /* where it begins in the text */
    size_t number; /* in the file, from 1 */
} cameo_line;

typedef struct cameo_lines {
    char *text; /* without byte order marks; every line ends with a NUL */
    size_t size;
    cameo_line *line; /* all of them, empty ones too */
    size_t count;
    bool mark, windows, mac; /* a byte order mark; lines that end with CR LF, with CR alone */
} cameo_lines;

/* In CSV a line end inside a quoted field belongs to the field; elsewhere a quotation mark is a
   character as any other. */
typedef enum cameo_quotes { CAMEO_QUOTES_PLAIN, CAMEO_QUOTES_CSV } cameo_quotes;

/* A line ends with LF, CR LF or CR. UTF-16 and NUL bytes are CAMEO_BAD_INPUT. `name` is for
   messages. */
bool cameo_lines_cut(const char *text, size_t size, const char *name, cameo_quotes quotes,
                     cameo_lines *l, cameo_error *error);
/* A file of fields, cut as CSV. */
bool cameo_lines_read(const char *path, cameo_lines *l, cameo_error *error);
void cameo_lines_free(cameo_lines *l);

bool cameo_is_blank(char c); /* blank or tab */
/* Nothing but blanks. */
bool cameo_line_empty(const char *s);
/* A line that is one name: cut in place to it, without the blanks around it and without quotation
   marks; returns its start. */
char *cameo_line_name(char *s);
/* Writes such a line; quoted only where cameo_line_name() would read another name. */
void cameo_line_put_name(FILE *f, const char *name);

enum { CAMEO_FIELDS = 64 };
/* Cuts s, in place, into fields without the blanks around them; empty ones at its end don't count.
   by: ' ' (blanks and tabs), or the character itself. Returns how many; CAMEO_FIELDS + 1 when
   there are more; -1 when a quotation mark has no partner, -2 when something follows the closing
   one. */
int cameo_line_split(char *s, char by, char *fields[CAMEO_FIELDS]);
/* What was wrong, for a message, when cameo_line_split() returned a count that is no number of
   fields; else NULL. */
const char *cameo_split_fault(int count);
#endif
