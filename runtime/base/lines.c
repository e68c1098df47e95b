/* Cutting text files into lines, and lines into fields. */
#include "lines.h"
#include "files.h"
#include <stdlib.h>
#include <string.h>

static const char byte_order_mark[] = "\xEF\xBB\xBF";

bool cameo_is_blank(char c) { return c == ' ' || c == '\t'; }

bool cameo_line_empty(const char *s) { return s[strspn(s, " \t\r\n")] == 0; }

/* Behind the closing mark of the quoted field at s, when a separator or a line end follows it;
   else NULL. */
static const char *quoted_end(const char *s) {
    for (s++; *s; s++) {
        if (*s != '"') continue;
        if (s[1] != '"') {
            s += 1 + strspn(s + 1, " ");
            return strchr(",;|\t\r\n", *s) ? s : NULL; /* the text's end too */
        }
        s++;
    }
    return NULL;
}

static const char *line_end(const char *s, cameo_quotes quotes) {
    if (quotes == CAMEO_QUOTES_PLAIN) return s + strcspn(s, "\r\n");
    for (bool start = true; *s && *s != '\n' && *s != '\r'; s++) {
        const char *behind = start && *s == '"' ? quoted_end(s) : NULL;
        if (behind) s = behind - 1;
        start = !behind && (strchr(",;|\t", *s) || (start && *s == ' '));
    }
    return s;
}

static void add_line(cameo_lines *l, size_t *capacity, size_t at, size_t number) {
    l->line = cameo_room(l->line, l->count, capacity, sizeof *l->line);
    l->line[l->count++] = (cameo_line){at, number};
}

/* The line's end at s is overwritten; returns the next line. CR CR LF, which careless conversions
   leave, is one end. */
static char *step_over(cameo_lines *l, char *s) {
    size_t returns = *s != '\r' ? 0 : s[1] == '\r' && s[2] == '\n' ? 2 : 1;
    char *next = s + returns;
    if (*next == '\n') {
        l->windows |= returns > 0;
        next++;
    } else {
        l->mac = true;
    }
    *s = 0;
    return next;
}

static size_t lines_in(const char *s, const char *end) {
    size_t n = 0;
    for (; s < end; s++) n += *s == '\n' || (*s == '\r' && s[1] != '\n');
    return n;
}

static void cut(cameo_lines *l, cameo_quotes quotes) {
    size_t capacity = 0, number = 1;
    for (char *s = l->text, *end; *s; s = end) {
        if (strncmp(s, byte_order_mark, 3) == 0)
            l->mark = true, s += 3; /* also where files were put behind each other */
        end = s + (line_end(s, quotes) - s);
        const size_t inside = lines_in(s, end);
        add_line(l, &capacity, (size_t)(s - l->text), number);
        number += 1 + inside;
        if (*end) end = step_over(l, end);
    }
}

bool cameo_lines_cut(const char *text, size_t size, const char *name, cameo_quotes quotes,
                     cameo_lines *l, cameo_error *error) {
    *l = (cameo_lines){0};
    if (size > 1 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0))
        return cameo_reject(error, "%s: is UTF-16\n    hint: save it as UTF-8", name);
    if (memchr(text, 0, size))
        return cameo_reject(error,
                            "%s: holds NUL bytes, where a text is expected\n    hint: if it is "
                            "UTF-16, save it as UTF-8",
                            name);
    l->text = cameo_allocate(size + 1, 1);
    l->size = size;
    memcpy(l->text, text, size);
    cut(l, quotes);
    return true;
}

bool cameo_lines_read(const char *path, cameo_lines *l, cameo_error *error) {
    size_t size;
    *l = (cameo_lines){0};
    char *text = (char *)cameo_read_file(path, (size_t)1 << 30, &size, error);
    if (!text) return false;
    bool good = cameo_lines_cut(text, size, path, CAMEO_QUOTES_CSV, l, error);
    free(text);
    return good;
}

void cameo_lines_free(cameo_lines *l) {
    free(l->text);
    free(l->line);
    *l = (cameo_lines){0};
}

static bool ends_field(char c, char by) { return by == ' ' ? cameo_is_blank(c) : c == by; }

/* A quoted field (RFC 4180: "" is a quotation mark), unquoted in place; returns what follows it,
   or NULL without an end. */
static char *take_quoted(char *s, char **field) {
    char *to = s;
    *field = to;
    for (s++; *s; s++) {
        if (*s == '"' && s[1] != '"') {
            *to = 0;
            return s + 1;
        }
        if (*s == '"') s++;
        *to++ = *s;
    }
    return NULL;
}

char *cameo_line_name(char *s) {
    char *field, *end = s + strlen(s);
    while (cameo_is_blank(*s)) s++;
    while (end > s && cameo_is_blank(end[-1])) *--end = 0;
    if (end - s < 2 || *s != '"' || end[-1] != '"') return s;
    char *copy = cameo_join(NULL, s), *behind = take_quoted(copy, &field);
    if (behind && !*behind) strcpy(s, field); /* not longer than it was */
    free(copy);
    return s;
}

void cameo_line_put_name(FILE *f, const char *name) {
    const size_t n = strlen(name);
    const bool quote = strpbrk(name, "\r\n") || *name == '"' || cameo_is_blank(*name) ||
                       (n && cameo_is_blank(name[n - 1]));
    if (quote) fputc('"', f);
    for (; *name; name++) {
        if (quote && *name == '"') fputc('"', f);
        fputc(*name, f);
    }
    fputs(quote ? "\"\n" : "\n", f);
}

int cameo_line_split(char *s, char by, char *fields[CAMEO_FIELDS]) {
    int count = 0, used = 0;
    for (bool more = true; more;) {
        while (cameo_is_blank(*s) && *s != (by == '\t' ? '\t' : 0)) s++;
        if (by == ' ' && !*s) break;
        if (count == CAMEO_FIELDS) return CAMEO_FIELDS + 1;
        char *end = s, *field = s;
        if (*s == '"') {
            end = take_quoted(s, &field);
            if (!end) return -1;
            while (cameo_is_blank(*end) && !ends_field(*end, by)) end++;
            if (*end && !ends_field(*end, by)) return -2;
            more = *end != 0;
            s = end + more;
        } else {
            while (*end && !ends_field(*end, by)) end++;
            more = *end != 0;
            s = end + more;
            for (*end = 0; end > field && cameo_is_blank(end[-1]);) *--end = 0;
        }
        fields[count++] = field;
        if (*field) used = count;
    }
    return used;
}

const char *cameo_split_fault(int count) {
    if (count > CAMEO_FIELDS) return "has more than 64 fields";
    return count == -1   ? "a quotation mark has no partner"
           : count == -2 ? "something follows a closing quotation mark"
                         : NULL;
}
