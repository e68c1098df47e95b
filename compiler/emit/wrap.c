#include "wrap.h"

#include <stdbool.h>
#include <string.h>

typedef enum inside { CODE, COMMENT, STRING, CHARACTER } inside;

/* What the character at s makes of the state; *length is how many characters that takes. */
static inside step(inside in, const char *s, const char *end, size_t *length) {
    const bool two = s + 1 < end;
    *length = 1;
    if (in == COMMENT) {
        if (!two || s[0] != '*' || s[1] != '/') return COMMENT;
        *length = 2;
        return CODE;
    }
    if (in != CODE) {
        if (*s == '\\' && two) *length = 2;
        return *s == (in == STRING ? '"' : '\'') ? CODE : in;
    }
    if (two && s[0] == '/' && s[1] == '*') {
        *length = 2;
        return COMMENT;
    }
    return *s == '"' ? STRING : *s == '\'' ? CHARACTER : CODE;
}

/* Where a line may end: before `at`, a blank, or inside a literal behind it. */
typedef struct place {
    const char *at;
    inside in;
} place;

static size_t code_points(const char *s, const char *end) {
    size_t n = 0;
    for (; s < end; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

/* The best place to break line..end, whose text begins at text_begin in state `in`; at NULL: none.
   Of several commas the one inside the fewest parentheses, then the last. */
static place find_place(const char *line, const char *text_begin, const char *end, inside in) {
    place blank = {0}, good = {0}, literal = {0};
    size_t length, column = code_points(line, text_begin);
    int depth = 0, least = 0;
    for (const char *s = text_begin; s < end && column <= WRAP_COLUMNS; s += length) {
        const inside next = step(in, s, end, &length);
        if (in == CODE) depth += (*s == '(' || *s == '{') - (*s == ')' || *s == '}');
        if (*s == ' ' && s > text_begin && (in == CODE || in == COMMENT)) {
            blank = (place){s, in};
            const bool behind = s[-1] == ',' || s[-1] == ';';
            if (behind && in == CODE && column > WRAP_COLUMNS / 2 && (!good.at || depth <= least))
                good = blank, least = depth;
        }
        /* The closing quote of the first half needs a column. */
        if (*s == ' ' && in == STRING && column + 2 <= WRAP_COLUMNS) literal = (place){s, STRING};
        in = next;
        column += code_points(s, s + length);
    }
    if (good.at) return good;
    if (blank.at && code_points(line, blank.at) > WRAP_COLUMNS / 4) return blank;
    return literal.at ? literal : blank;
}

/* Appends the line, of several blanks in code one: they lined things up that were not too long. */
static void put_tight(text *t, const char *s, const char *end, inside in) {
    size_t length;
    while (s < end && *s == ' ') text_append_n(t, s++, 1);
    for (; s < end; s += length) {
        const inside next = step(in, s, end, &length);
        if (*s != ' ' || in != CODE || s[-1] != ' ') text_append_n(t, s, length);
        in = next;
    }
}

static void put_blanks(text *t, size_t n) {
    while (n--) text_append(t, " ");
}

/* Appends the line in pieces; *in: the state before it, then behind it. */
static void wrap_line(text *out, const char *line, const char *end, inside *in) {
    const char *begin = line;
    while (begin < end && *begin == ' ') begin++;
    const bool fixed = *in == COMMENT || (begin < end && *begin == '#');
    const size_t indent = (size_t)(begin - line) + (*in == COMMENT ? 0 : 4);
    text piece = {0};
    if (fixed || code_points(line, end) <= WRAP_COLUMNS)
        text_append_n(&piece, line, (size_t)(end - line));
    else
        put_tight(&piece, line, end, *in);
    size_t skip = (size_t)(begin - line);
    while (!fixed && code_points(piece.data, piece.data + piece.size) > WRAP_COLUMNS) {
        const char *stop = piece.data + piece.size;
        const place p = find_place(piece.data, piece.data + skip, stop, *in);
        if (!p.at) break;
        const char *rest = p.at + 1;
        text next = {0};
        put_blanks(&next, p.in == COMMENT && *in == CODE ? indent + 3 : indent);
        skip = next.size;
        if (p.in == STRING) text_append(&next, "\"");
        text_append_n(&next, rest, (size_t)(stop - rest));
        const char *kept = p.at;
        while (p.in != STRING && kept > piece.data && kept[-1] == ' ') kept--;
        text_append_n(out, piece.data, (size_t)(kept - piece.data) + (p.in == STRING));
        text_append(out, p.in == STRING ? "\"\n" : "\n");
        *in = p.in == STRING ? CODE : p.in;
        text_free(&piece);
        piece = next;
    }
    size_t length;
    for (const char *s = piece.data + (piece.data ? skip : 0);
         piece.data && s < piece.data + piece.size; s += length)
        *in = step(*in, s, piece.data + piece.size, &length);
    if (piece.data) text_append_n(out, piece.data, piece.size);
    text_free(&piece);
}

void wrap_c(const text *t, text *out) {
    inside in = CODE;
    const char *s = text_str(t), *end = s + t->size;
    while (s < end) {
        const char *newline = memchr(s, '\n', (size_t)(end - s)), *stop = newline ? newline : end;
        wrap_line(out, s, stop, &in);
        if (newline) text_append(out, "\n");
        s = stop + (newline != NULL);
    }
}
