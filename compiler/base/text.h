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
/* A template: $0 to $7 stand for the arguments, which are strings, whole numbers of any type, and
   reals (as hexadecimal literals, which round-trip). An argument may stand in many places, or in
   none; any other "$" is itself. At least one argument. */
#define text_put(t, pattern, ...) text_fill(t, pattern, TEXT_ARGS(__VA_ARGS__))
#define arena_put(a, pattern, ...) arena_fill(a, pattern, TEXT_ARGS(__VA_ARGS__))
typedef struct text_arg {
    enum { TEXT_ABSENT, TEXT_STRING, TEXT_WHOLE, TEXT_REAL } kind;
    const char *string;
    long long whole;
    double real;
} text_arg;
void text_fill(text *t, const char *pattern, const text_arg *args);
const char *arena_fill(arena *a, const char *pattern, const text_arg *args);
const char *text_str(const text *t);
void text_clear(text *t);
void text_free(text *t);
char *text_keep(text *t, arena *a); /* what it holds, as a string of the arena; and frees it */
/* Replace every occurrence of `from` in s, appending the result to t. */
void text_replace(text *t, const char *s, const char *from, const char *to);
/* Human-readable single-line form of a name from a file: control characters, quotes and
   backslashes escaped. */
void text_escape(text *t, const char *s);
const char *arena_escape(arena *a, const char *s);
/* Safe inside a C comment: as text_escape, and neither comment delimiters nor trigraphs survive. */
void text_comment(text *t, const char *s);
/* C string literal with quotes. */
void text_c_string(text *t, const char *s);

/* ---- how templates take their arguments ---- */
#define TEXT_ARGS(...)                                                                             \
    (const text_arg[8]) {                                                                          \
        TEXT_NAMED(__VA_ARGS__, TEXT_8, TEXT_7, TEXT_6, TEXT_5, TEXT_4, TEXT_3, TEXT_2, TEXT_1, 0) \
        (__VA_ARGS__)                                                                              \
    }
static inline text_arg text_of_string(const char *s) {
    return (text_arg){TEXT_STRING, .string = s};
}
static inline text_arg text_of_real(double v) { return (text_arg){TEXT_REAL, .real = v}; }
static inline text_arg text_of_whole(long long v) { return (text_arg){TEXT_WHOLE, .whole = v}; }
static inline text_arg text_of_size(size_t v) { return text_of_whole((long long)v); }
#define TEXT_1(x) \
    _Generic((x), char *: text_of_string, const char *: text_of_string, double: text_of_real, \
             float: text_of_real, size_t: text_of_size, default: text_of_whole)(x)
#define TEXT_2(x, ...) TEXT_1(x), TEXT_1(__VA_ARGS__)
#define TEXT_3(x, ...) TEXT_1(x), TEXT_2(__VA_ARGS__)
#define TEXT_4(x, ...) TEXT_1(x), TEXT_3(__VA_ARGS__)
#define TEXT_5(x, ...) TEXT_1(x), TEXT_4(__VA_ARGS__)
#define TEXT_6(x, ...) TEXT_1(x), TEXT_5(__VA_ARGS__)
#define TEXT_7(x, ...) TEXT_1(x), TEXT_6(__VA_ARGS__)
#define TEXT_8(x, ...) TEXT_1(x), TEXT_7(__VA_ARGS__)
#define TEXT_NAMED(a, b, c, d, e, f, g, h, name, ...) name
#endif
