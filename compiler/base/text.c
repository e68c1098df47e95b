/* Growing strings, escaping. See text.h. */
#include "text.h"
#include "../../runtime/base/json.h"
#include "../../runtime/cameo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(text *t, size_t more) {
    size_t need = t->size + more + 1;
    if (need <= t->capacity) return;
    size_t capacity = t->capacity ? t->capacity : 256;
    while (capacity < need) capacity *= 2;
    char *p = realloc(t->data, capacity);
    if (!p) {
        fprintf(stderr, "cameo: out of memory (%zu bytes asked for)\n", capacity);
        exit(CAMEO_ENVIRONMENT);
    }
    t->data = p;
    t->capacity = capacity;
}

unsigned char *text_extend(text *t, size_t n) {
    reserve(t, n);
    t->size += n;
    t->data[t->size] = 0;
    return (unsigned char *)t->data + t->size - n;
}

void text_append_n(text *t, const void *s, size_t n) { memcpy(text_extend(t, n), s, n); }

void text_append(text *t, const char *s) { text_append_n(t, s, strlen(s)); }

void text_vprintf(text *t, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    reserve(t, (size_t)n);
    vsnprintf(t->data + t->size, (size_t)n + 1, format, again);
    t->size += (size_t)n;
    va_end(again);
}

void text_printf(text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    text_vprintf(t, format, args);
    va_end(args);
}

void text_fill(text *t, const char *pattern, const text_arg *args) {
    for (const char *s = pattern; *s; s++) {
        if (*s != '$' || s[1] < '0' || s[1] > '7') {
            text_append_n(t, s, 1);
            continue;
        }
        const text_arg *a = &args[*++s - '0'];
        switch (a->kind) {
        case TEXT_STRING: text_append(t, a->string ? a->string : "(null)"); break;
        case TEXT_WHOLE: text_printf(t, "%lld", a->whole); break;
        case TEXT_REAL: text_printf(t, "%a", a->real); break;
        case TEXT_ABSENT:
            fprintf(stderr, "cameo: internal error: no argument $%c of \"%s\"\n", *s, pattern);
            exit(CAMEO_DEFECT);
        }
    }
}

const char *arena_fill(arena *a, const char *pattern, const text_arg *args) {
    text t = {0};
    text_fill(&t, pattern, args);
    return text_keep(&t, a);
}

const char *text_str(const text *t) { return t->data ? t->data : ""; }

void text_clear(text *t) {
    t->size = 0;
    if (t->data) t->data[0] = 0;
}

void text_free(text *t) {
    free(t->data);
    *t = (text){0};
}

char *text_keep(text *t, arena *a) {
    char *kept = arena_strdup(a, text_str(t));
    text_free(t);
    return kept;
}

void text_replace(text *t, const char *s, const char *from, const char *to) {
    size_t n = strlen(from);
    for (const char *hit; (hit = strstr(s, from)); s = hit + n) {
        text_append_n(t, s, (size_t)(hit - s));
        text_append(t, to);
    }
    text_append(t, s);
}

void text_escape(text *t, const char *s) {
    for (const unsigned char *p = (const unsigned char *)s; *p;) {
        int n = cameo_utf8_length(p);
        if (*p == '"' || *p == '\\')
            text_printf(t, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7F || n == 0)
            text_printf(t, "\\x%02x", *p);
        else
            text_append_n(t, p, (size_t)n);
        p += n ? n : 1;
    }
}

const char *arena_escape(arena *a, const char *s) {
    text t = {0};
    text_escape(&t, s);
    return text_keep(&t, a);
}

void text_comment(text *t, const char *s) {
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        bool risky = *p < 0x20 || *p >= 0x7F || *p == '\\' || (*p == '*' && p[1] == '/') ||
                     (*p == '/' && p[1] == '*') || (*p == '?' && p[1] == '?');
        if (risky)
            text_printf(t, "<%02x>", *p);
        else
            text_append_n(t, p, 1);
    }
}

void text_c_string(text *t, const char *s) {
    text_append(t, "\"");
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p == '"' || *p == '\\')
            text_printf(t, "\\%c", *p);
        else if (*p < 0x20 || *p >= 0x7F || *p == '?')
            text_printf(t, "\\%03o", *p);
        else
            text_append_n(t, p, 1);
    }
    text_append(t, "\"");
}
