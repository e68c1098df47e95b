/* A reader of JSON (RFC 8259) that skips to what is wanted. Nesting is limited, so that hostile
   text does no harm. */
#include "json_read.h"
#include "files.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 64 };

static const char *space(const char *s) {
    while (*s == ' ' || *s == '\n' || *s == '\t' || *s == '\r') s++;
    return s;
}

static const char *skip_string(const char *s) {
    if (*s++ != '"') return NULL;
    for (; *s && *s != '"'; s++)
        if (*s == '\\' && *++s == 0) return NULL;
    return *s ? s + 1 : NULL;
}

static const char *skip_value(const char *s, int depth);

static const char *skip_members(const char *s, char close, int depth) {
    s = space(s);
    if (*s == close) return s + 1;
    for (;;) {
        if (close == '}') {
            s = skip_string(space(s));
            if (!s) return NULL;
            s = space(s);
            if (*s++ != ':') return NULL;
        }
        s = skip_value(space(s), depth + 1);
        if (!s) return NULL;
        s = space(s);
        if (*s == close) return s + 1;
        if (*s++ != ',') return NULL;
    }
}

static const char *skip_value(const char *s, int depth) {
    if (depth > DEPTH) return NULL;
    if (*s == '"') return skip_string(s);
    if (*s == '{') return skip_members(s + 1, '}', depth);
    if (*s == '[') return skip_members(s + 1, ']', depth);
    const char *begin = s;
    while (isalnum((unsigned char)*s) || *s == '-' || *s == '+' || *s == '.') s++;
    return s > begin ? s : NULL;
}

/* The member of an object whose name is the path's first part. */
static const char *member(const char *s, const char *name, size_t length) {
    s = space(s);
    if (*s++ != '{') return NULL;
    for (;;) {
        s = space(s);
        const char *key = s + 1, *end = skip_string(s);
        if (!end) return NULL;
        s = space(end);
        if (*s++ != ':') return NULL;
        s = space(s);
        if ((size_t)(end - 1 - key) == length && memcmp(key, name, length) == 0) return s;
        s = skip_value(s, 0);
        if (!s) return NULL;
        s = space(s);
        if (*s++ != ',') return NULL;
    }
}

const char *cameo_json_find(const char *text, const char *path) {
    while (text && *path) {
        size_t length = strcspn(path, ".");
        text = member(text, path, length);
        path += length + (path[length] == '.');
    }
    return text;
}

bool cameo_json_get_number(const char *text, const char *path, double *value) {
    const char *s = cameo_json_find(text, path);
    char *end;
    if (!s || !(isdigit((unsigned char)*s) || *s == '-')) return false;
    *value = strtod(s, &end);
    return end > s;
}

/* \uXXXX as UTF-8; half of a pair becomes U+FFFD. */
static char *put_code(char *to, const char *digits) {
    unsigned code = 0;
    for (int i = 0; i < 4; i++) {
        if (!isxdigit((unsigned char)digits[i])) return to;
        code = code * 16 + (unsigned)(isdigit((unsigned char)digits[i]) ? digits[i] - '0'
                                                                        : (digits[i] & 31) + 9);
    }
    if (code >= 0xD800 && code < 0xE000) code = 0xFFFD;
    if (code < 0x80) return *to++ = (char)code, to;
    if (code < 0x800)
        return *to++ = (char)(0xC0 | code >> 6), *to++ = (char)(0x80 | (code & 63)), to;
    *to++ = (char)(0xE0 | code >> 12);
    *to++ = (char)(0x80 | (code >> 6 & 63));
    *to++ = (char)(0x80 | (code & 63));
    return to;
}

char *cameo_json_get_text(const char *text, const char *path) {
    const char *s = cameo_json_find(text, path), *end = s ? skip_string(s) : NULL;
    if (!end) return NULL;
    char *out = cameo_allocate((size_t)(end - s) + 1, 1), *to = out;
    for (s++; s < end - 1; s++) {
        if (*s != '\\') {
            *to++ = *s;
            continue;
        }
        static const char from[] = "nrtbf", into[] = "\n\r\t\b\f";
        const char *at = strchr(from, *++s);
        if (*s == 'u' && end - s > 5)
            to = put_code(to, s + 1), s += 4;
        else
            *to++ = at ? into[at - from] : *s;
    }
    return out;
}

const char *cameo_json_next(const char *array, const char *element) {
    const char *s;
    if (!element) {
        if (!array || *array != '[') return NULL;
        s = space(array + 1);
        return *s == ']' ? NULL : s;
    }
    s = skip_value(element, 0);
    if (!s) return NULL;
    s = space(s);
    return *s == ',' ? space(s + 1) : NULL;
}
