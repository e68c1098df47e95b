/* Text: a growing string for output that is written to a file only once all of it exists. */
#ifndef CAMEO_TEXT_H
#define CAMEO_TEXT_H
#include "arena.h"

typedef struct text {
    char *data; /* always NUL-terminated once something was appended; "" otherwise via text_str */
    size_t size, capacity;
} text;

void text_append(text *t, const char *s);
void text_append_n(text *t, const void *s, size_t n);
unsigned char *text_extend(text *t, size_t n); /* room for n bytes more, to be filled now */
void text_printf(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(text *t, const char *format, va_list args);
const char *text_str(const text *t);
void text_clear(text *t);
void text_free(text *t);
/* Replace every occurrence of `from` in s, appending the result to t. */
void text_replace(text *t, const char *s, const char *from, const char *to);
/* Human-readable single-line form of a name from a file: control characters, quotes and
   backslashes escaped. */
void text_escape(text *t, const char *s);
/* Safe inside a C comment: as text_escape, and neither comment delimiters nor trigraphs survive. */
void text_comment(text *t, const char *s);
/* C string literal with quotes. */
void text_c_string(text *t, const char *s);
#endif
