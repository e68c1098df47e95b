/* A JSON writer over stdio: objects and arrays nest, commas come by themselves. Numbers are %.9g;
   what is not finite becomes null. */
#ifndef CAMEO_JSON_H
#define CAMEO_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct cameo_json {
    FILE *stream;
    bool comma;   /* a value precedes in this object or array */
    bool compact; /* no blanks behind commas and colons */
} cameo_json;

/* key NULL inside arrays and at the top. open and close are '{' '[' and '}' ']'. */
void cameo_json_open(cameo_json *j, const char *key, char open);
void cameo_json_close(cameo_json *j, char close);
void cameo_json_text(cameo_json *j, const char *key, const char *value); /* NULL value = null; bad
                                                                            UTF-8 bytes become
                                                                            U+FFFD */
void cameo_json_number(cameo_json *j, const char *key, double value);
void cameo_json_integer(cameo_json *j, const char *key, int64_t value);
void cameo_json_boolean(cameo_json *j, const char *key, bool value);
void cameo_json_count(cameo_json *j, const char *key, uint64_t value);
/* A member under its own name, by its type. */
#define cameo_json_field(j, object, member) \
    _Generic((object)->member,                                                                     \
        char *: cameo_json_text,                                                                   \
        const char *: cameo_json_text,                                                             \
        bool: cameo_json_boolean,                                                                  \
        double: cameo_json_number,                                                                 \
        uint64_t: cameo_json_count,                                                                \
        default: cameo_json_integer)(j, #member, (object)->member)

/* Length of the UTF-8 sequence at s, 0 when it is not one (overlong forms and surrogates
   included). */
int cameo_utf8_length(const unsigned char *s);
#endif
