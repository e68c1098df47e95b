/* Reading pair lists. A hash table from name to index makes each image appear once, however many pairs name it. */
#include "pairs.h"
#include "files.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_FIELDS = 16 };

typedef enum separator { SPACES, TABS, COMMAS } separator;

typedef struct parser {
    const char *name;
    cameo_pairs *out;
    cameo_error *error;
    size_t line, at, pair_capacity, image_capacity;
    size_t *table; /* index + 1; 0 = free */
    size_t table_size;
    separator separator;
    int column[3];  /* where both names and the label are; column[2] = -1: no label */
    int fields;     /* a line must have; 0 = enough for the columns */
    char *headings; /* of a CSV, else NULL */
    bool windows, mark;
} parser;

static uint64_t hash_text(const char *s) {
    uint64_t h = 14695981039346656037u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h ^ h >> 29;
}

static void *grow(void *array, size_t *capacity, size_t size) {
    *capacity = *capacity ? *capacity * 2 : 256;
    array = realloc(array, *capacity * size);
    if (array) return array;
    fprintf(stderr, "out of memory for a pair list\n");
    exit(CAMEO_ENVIRONMENT);
}

static size_t *find_slot(const parser *p, const char *name) {
    size_t at = hash_text(name) & (p->table_size - 1);
    while (p->table[at] && strcmp(p->out->image[p->table[at] - 1], name) != 0) at = (at + 1) & (p->table_size - 1);
    return &p->table[at];
}

static void rehash(parser *p) {
    p->table_size = p->table_size ? p->table_size * 2 : 1024;
    free(p->table);
    p->table = cameo_allocate(p->table_size, sizeof *p->table);
    for (size_t i = 0; i < p->out->images; i++) *find_slot(p, p->out->image[i]) = i + 1;
}

static size_t intern_image(parser *p, const char *name) {
    cameo_pairs *out = p->out;
    if (out->images * 2 >= p->table_size) rehash(p);
    size_t *slot = find_slot(p, name);
    if (*slot) return *slot - 1;
    if (out->images == p->image_capacity) out->image = grow(out->image, &p->image_capacity, sizeof *out->image);
    out->image[out->images] = cameo_join(NULL, name);
    *slot = ++out->images;
    return out->images - 1;
}

static void add_pair(parser *p, const char *a, const char *b, int label) {
    cameo_pairs *out = p->out;
    if (out->count == p->pair_capacity) out->pair = grow(out->pair, &p->pair_capacity, sizeof *out->pair);
    size_t first = intern_image(p, a), second = intern_image(p, b);
    out->pair[out->count++] =
        (cameo_pair){(uint32_t)first, (uint32_t)second, (uint32_t)p->line, (uint32_t)p->at, (int8_t)label};
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static bool ends_field(char c, separator s) { return s == COMMAS ? c == ',' : s == TABS ? c == '\t' : is_blank(c); }

/* A quoted field (RFC 4180: "" is a quotation mark), unquoted in place; returns what follows it, or NULL without an end. */
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

/* Cuts a line, in place, into fields without the blanks around them; empty ones at its end don't count. Returns MAX_FIELDS + 1
   when there are more, -1 when a quotation mark has no partner. */
static int split(char *s, separator by, char *fields[MAX_FIELDS]) {
    int count = 0, used = 0;
    for (bool more = true; more;) {
        while (is_blank(*s) && (by != TABS || *s != '\t')) s++;
        if (by == SPACES && !*s) break;
        if (count == MAX_FIELDS) return MAX_FIELDS + 1;
        char *end = s, *field = s;
        if (*s == '"') {
            end = take_quoted(s, &field);
            if (!end) return -1;
            while (is_blank(*end) && !ends_field(*end, by)) end++;
            if (*end && !ends_field(*end, by)) return -1;
        } else {
            while (*end && !ends_field(*end, by)) end++;
        }
        more = *end != 0;
        s = end + more;
        for (*end = 0; end > field && is_blank(end[-1]);) *--end = 0;
        fields[count++] = field;
        if (*field) used = count;
    }
    return used;
}

static bool is_number(const char *s) {
    if (!*s) return false;
    for (; *s; s++)
        if (*s < '0' || *s > '9') return false;
    return true;
}

static int label_of(const char *s) {
    static const char *const words[2][3] = {{"0", "0.0", "false"}, {"1", "1.0", "true"}};
    for (int label = 0; label < 2; label++)
        for (int i = 0; i < 3; i++)
            if (strcasecmp(s, words[label][i]) == 0) return label;
    return -1;
}

static bool bad_line(parser *p, const char *what) {
    return cameo_fail(p->error, CAMEO_BAD_INPUT,
                      "%s:%zu: %s\n    hint: forms read are `a b 0|1`, `a b`, CSV of these, and LFW's pairs.txt; quote names "
                      "that hold blanks",
                      p->name, p->line, what);
}

/* name i j (same) or nameA i nameB j (different); files are name/name_%04d.jpg. */
static bool lfw_line(parser *p, char **f, int count) {
    bool same = count == 3;
    if (count != 3 && count != 4) return bad_line(p, "an LFW pair has 3 or 4 fields");
    const char *other = same ? f[0] : f[2], *second = same ? f[2] : f[3];
    if (!is_number(f[1]) || !is_number(second) || strlen(f[1]) > 6 || strlen(second) > 6)
        return bad_line(p, "an LFW picture number is expected");
    char a[512], b[512];
    if (strlen(f[0]) > 200 || strlen(other) > 200) return bad_line(p, "the name is too long");
    snprintf(a, sizeof a, "%s/%s_%04d.jpg", f[0], f[0], atoi(f[1]));
    snprintf(b, sizeof b, "%s/%s_%04d.jpg", other, other, atoi(second));
    add_pair(p, a, b, same);
    return true;
}

static bool plain_line(parser *p, char **f, int count) {
    const int *c = p->column;
    int most = c[0] > c[1] ? c[0] : c[1];
    if (c[2] > most) most = c[2];
    if (p->fields && p->out->count && count != p->fields && (count == 2 || count == 3))
        return bad_line(p, "some lines have a label, some have none");
    if (p->fields ? count != p->fields : count <= most)
        return bad_line(p, "two image names and perhaps a label 0 or 1 are expected");
    if (!*f[c[0]] || !*f[c[1]]) return bad_line(p, "an image name is empty");
    int label = c[2] < 0 ? -1 : label_of(f[c[2]]);
    if (c[2] >= 0 && label < 0) return bad_line(p, "the label is neither 0 nor 1");
    add_pair(p, f[c[0]], f[c[1]], label);
    return true;
}

static int heading(char **f, int count, const char *const *names) {
    for (int i = 0; i < count; i++)
        for (const char *const *n = names; *n; n++)
            if (strcasecmp(f[i], *n) == 0) return i;
    return -1;
}

/* Where the columns are, by their headings; without known ones the first two or three. */
static void read_headings(parser *p, char **f, int count) {
    static const char *const first[] = {"p1", "img1", "image1", "path1", "file1", "first", "a", NULL};
    static const char *const second[] = {"p2", "img2", "image2", "path2", "file2", "second", "b", NULL};
    static const char *const label[] = {"gt", "label", "match", "same", "is_same", "issame", "target", NULL};
    int column[3] = {heading(f, count, first), heading(f, count, second), heading(f, count, label)};
    if (column[0] >= 0 && column[1] >= 0) {
        memcpy(p->column, column, sizeof column);
        p->fields = 0;
    }
    size_t length = 1;
    for (int i = 0; i < count; i++) length += strlen(f[i]) + 1;
    p->headings = cameo_allocate(length, 1);
    for (int i = 0; i < count; i++) {
        if (i) strcat(p->headings, ",");
        strcat(p->headings, f[i]);
    }
}

/* A row of headings names no picture: none of its first two fields has a file ending, and its third is no label. */
static bool is_heading(const parser *p, char **f, int count) {
    return p->separator != SPACES && count >= 2 && !strchr(f[0], '.') && !strchr(f[1], '.') &&
           (count == 2 || (label_of(f[2]) < 0 && !strchr(f[2], '.')));
}

/* The first line decides the form. True when it is no pair itself. */
static bool first_line(parser *p, char **f, int count) {
    cameo_pairs *out = p->out;
    bool sizes = count >= 1 && count <= 2 && is_number(f[0]) && (count == 1 || is_number(f[1]));
    if (sizes || (count >= 3 && strcasecmp(f[1], "imagenum1") == 0)) { /* "10 300", "300"; headings of the CSV version */
        out->format = out->family = "lfw";
        out->labelled = true;
        out->folds = count == 2 && strlen(f[0]) <= 6 ? atoi(f[0]) : 0;
        return true;
    }
    bool label_first = count == 3 && label_of(f[0]) >= 0 && label_of(f[2]) < 0;
    int columns[3] = {label_first, label_first + 1, count == 3 ? (label_first ? 0 : 2) : -1};
    memcpy(p->column, columns, sizeof columns);
    p->fields = count == 3 ? 3 : 2;
    out->format = p->separator == COMMAS ? "csv" : count == 3 ? "a b label" : "a b";
    bool skip = is_heading(p, f, count);
    if (skip) read_headings(p, f, count);
    out->labelled = p->column[2] >= 0;
    return skip;
}

/* Commas, if there is one; blanks, unless names have blanks themselves and a tab parts them. */
static separator separator_of(const char *line) {
    char *fields[MAX_FIELDS], *copy = cameo_join(NULL, line);
    bool comma = false, quoted = false;
    for (const char *s = line; *s; s++) quoted ^= *s == '"', comma |= *s == ',' && !quoted;
    int count = split(copy, SPACES, fields);
    free(copy);
    return comma ? COMMAS : strchr(line, '\t') && (count < 1 || count > 3) ? TABS : SPACES;
}

static bool parse_line(parser *p, char *line) {
    char *fields[MAX_FIELDS] = {0};
    bool first = !p->out->format;
    if (first) p->separator = separator_of(line);
    int count = split(line, p->separator, fields);
    if (count == 0) return true;
    if (count < 0) return bad_line(p, "a quotation mark has no partner");
    if (first && first_line(p, fields, count)) return true;
    return strcmp(p->out->format, "lfw") == 0 ? lfw_line(p, fields, count) : plain_line(p, fields, count);
}

static void describe(parser *p) {
    static const char *const apart[] = {"apart by blanks", "apart by tabs", "apart by commas"};
    cameo_pairs *out = p->out;
    cameo_output o;
    if (!cameo_output_open(&o, NULL)) return;
    if (strcmp(out->format, "lfw") == 0) {
        fprintf(o.stream, "LFW's form, ");
        if (out->folds)
            fprintf(o.stream, "%d folds%s", out->folds,
                    out->count % (size_t)out->folds ? " (which the number of pairs is no multiple of)" : "");
        else
            fprintf(o.stream, "one set");
    } else {
        fprintf(o.stream, "two names%s, %s", out->labelled ? " and a label" : " without labels", apart[p->separator]);
        if (p->headings) fprintf(o.stream, ", headings %s", p->headings);
    }
    if (p->mark) fprintf(o.stream, "; byte order mark");
    if (p->windows) fprintf(o.stream, "; Windows line ends");
    fclose(o.stream);
    out->description = o.data;
}

/* Every line of the copy, which is cut up; `at` is the line's place in it. */
static bool parse_lines(parser *p, char *copy) {
    for (char *line = copy, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) {
            p->windows |= next > line && next[-1] == '\r';
            *next++ = 0;
        }
        p->line++;
        p->at = (size_t)(line - copy);
        if (!parse_line(p, line)) return false;
    }
    return true;
}

bool cameo_pairs_parse(const char *text, size_t size, const char *name, cameo_pairs *out, cameo_error *error) {
    *out = (cameo_pairs){0};
    parser p = {.name = name, .out = out, .error = error};
    p.mark = size > 2 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;
    if (p.mark) text += 3, size -= 3;
    if (size > 1 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0))
        return cameo_fail(error, CAMEO_BAD_INPUT, "%s: is UTF-16\n    hint: save it as UTF-8", name);
    if (memchr(text, 0, size)) return cameo_fail(error, CAMEO_BAD_INPUT, "%s: holds NUL bytes; a text list is expected", name);
    out->text = cameo_allocate(size + 1, 1);
    memcpy(out->text, text, size);
    char *copy = cameo_join(NULL, out->text);
    bool good = parse_lines(&p, copy);
    free(copy);
    free(p.table);
    if (good && !out->count) good = cameo_fail(error, CAMEO_BAD_INPUT, "%s: no pairs in the list", name);
    if (good) describe(&p);
    free(p.headings);
    if (!good) cameo_pairs_free(out);
    return good;
}

bool cameo_pairs_read(const char *path, cameo_pairs *p, cameo_error *error) {
    size_t size;
    *p = (cameo_pairs){0};
    unsigned char *text = cameo_read_file(path, (size_t)1 << 30, &size, error);
    if (!text) return false;
    bool good = cameo_pairs_parse((const char *)text, size, path, p, error);
    free(text);
    if (good) p->list = cameo_join(NULL, path);
    return good;
}

const char *cameo_pairs_line(const cameo_pairs *p, size_t pair, size_t *length) {
    const char *s = p->text + p->pair[pair].at, *end = s + strcspn(s, "\n");
    while (s < end && is_blank(*s)) s++;
    while (end > s && is_blank(end[-1])) end--;
    if (p->labelled && strcmp(p->format, "a b label") == 0) { /* the label is the last word, or the first */
        const char *last = end, *first = s;
        while (last > s && !is_blank(last[-1])) last--;
        while (first < end && !is_blank(*first)) first++;
        char word[8] = {0};
        if (end - last < 8) memcpy(word, last, (size_t)(end - last));
        if (label_of(word) >= 0)
            end = last;
        else
            s = first;
        while (s < end && is_blank(*s)) s++;
        while (end > s && is_blank(end[-1])) end--;
    }
    *length = (size_t)(end - s);
    return s;
}

void cameo_pairs_free(cameo_pairs *p) {
    for (size_t i = 0; i < p->images; i++) {
        free(p->image[i]);
        if (p->path) free(p->path[i]);
    }
    free(p->image);
    free(p->path);
    free(p->pair);
    free(p->description);
    free(p->text);
    free(p->list);
    free(p->where);
    *p = (cameo_pairs){0};
}
