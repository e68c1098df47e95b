/* Reading pair lists. A hash table from name to index makes each image appear once, however many pairs name it. */
#include "pairs.h"
#include "files.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_FIELDS = 5 };

typedef struct parser {
    const char *name;
    cameo_pairs *out;
    cameo_error *error;
    size_t line, pair_capacity, image_capacity;
    size_t *table; /* index + 1; 0 = free */
    size_t table_size;
    bool comma;
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
    out->pair[out->count++] = (cameo_pair){(uint32_t)first, (uint32_t)second, (uint32_t)p->line, (int8_t)label};
}

static char *trim(char *s) {
    while (*s == ' ' || *s == '\t') s++;
    size_t n = strlen(s);
    while (n && strchr(" \t\r\n", s[n - 1])) s[--n] = 0;
    if (n >= 2 && *s == '"' && s[n - 1] == '"') s[n - 1] = 0, s++;
    return s;
}

/* Cuts a line at commas or at white space; returns MAX_FIELDS + 1 when there are more fields. */
static int split(char *line, bool comma, char *fields[MAX_FIELDS]) {
    int count = 0;
    char *rest = NULL;
    for (char *f = strtok_r(line, comma ? "," : " \t\r", &rest); f; f = strtok_r(NULL, comma ? "," : " \t\r", &rest)) {
        if (count == MAX_FIELDS) return MAX_FIELDS + 1;
        fields[count++] = trim(f);
    }
    return count;
}

static bool is_number(const char *s) {
    if (!*s) return false;
    for (; *s; s++)
        if (*s < '0' || *s > '9') return false;
    return true;
}

static int label_of(const char *s) {
    if (strcmp(s, "1") == 0 || strcmp(s, "1.0") == 0) return 1;
    if (strcmp(s, "0") == 0 || strcmp(s, "0.0") == 0) return 0;
    return -1;
}

static bool bad_line(parser *p, const char *what) {
    return cameo_fail(p->error, CAMEO_BAD_INPUT,
                      "%s:%zu: %s\n    hint: forms read are `a b 0|1`, `a b`, CSV of these, and LFW's pairs.txt", p->name,
                      p->line, what);
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
    if (count != 2 && count != 3) return bad_line(p, "two image names and perhaps a label 0 or 1 are expected");
    if (!*f[0] || !*f[1]) return bad_line(p, "an image name is empty");
    int label = count == 3 ? label_of(f[2]) : -1;
    if (count == 3 && label < 0) return bad_line(p, "the label is neither 0 nor 1");
    if (p->out->count && (label >= 0) != p->out->labelled) return bad_line(p, "some lines have a label, some have none");
    p->out->labelled = label >= 0;
    add_pair(p, f[0], f[1], label);
    return true;
}

/* "10 300" or "300": LFW. Otherwise says whether the line is a CSV header, to be skipped. */
static bool first_line(parser *p, char **f, int count) {
    if (count >= 1 && count <= 2 && is_number(f[0]) && (count == 1 || is_number(f[1]))) {
        p->out->format = "lfw";
        p->out->labelled = true;
        p->out->folds = count == 2 ? atoi(f[0]) : 0;
        if (strlen(f[0]) > 6) p->out->folds = 0;
        return true;
    }
    p->out->format = p->comma ? "csv" : count == 3 ? "a b label" : "a b";
    /* a header names no picture: none of its first two fields has a file ending */
    return p->comma && count >= 2 && count <= 3 && !strchr(f[0], '.') && !strchr(f[1], '.') &&
           (count == 2 || label_of(f[2]) < 0);
}

static bool parse_line(parser *p, char *line) {
    char *fields[MAX_FIELDS] = {0};
    bool first = !p->out->format;
    if (first) p->comma = strchr(line, ',') != NULL;
    int count = split(line, p->comma, fields);
    if (count == 0) return true;
    if (first && first_line(p, fields, count)) return true;
    return strcmp(p->out->format, "lfw") == 0 ? lfw_line(p, fields, count) : plain_line(p, fields, count);
}

bool cameo_pairs_parse(const char *text, size_t size, const char *name, cameo_pairs *out, cameo_error *error) {
    *out = (cameo_pairs){0};
    parser p = {.name = name, .out = out, .error = error};
    if (size > 2 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3, size -= 3; /* byte order mark */
    if (memchr(text, 0, size)) return cameo_fail(error, CAMEO_BAD_INPUT, "%s: holds NUL bytes; a text list is expected", name);
    char *copy = cameo_allocate(size + 1, 1);
    memcpy(copy, text, size);
    bool good = true;
    for (char *line = copy, *next; line && good; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        p.line++;
        good = parse_line(&p, line);
    }
    free(copy);
    free(p.table);
    if (good && !out->count) good = cameo_fail(error, CAMEO_BAD_INPUT, "%s: no pairs in the list", name);
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
    return good;
}

static char *locate(const cameo_pairs *p, const char *root, const char *name) {
    char *path = cameo_join(root, name);
    if (cameo_file_exists(path) || strcmp(p->format, "lfw") != 0) return path;
    char *images = cameo_join(root, "images"), *inside = cameo_join(images, name);
    free(images);
    if (cameo_file_exists(inside)) {
        free(path);
        return inside;
    }
    free(inside);
    return path;
}

bool cameo_pairs_locate(cameo_pairs *p, const char *root, cameo_error *error) {
    size_t missing = 0, first = 0;
    p->path = cameo_allocate(p->images, sizeof *p->path);
    for (size_t i = 0; i < p->images; i++) {
        p->path[i] = locate(p, root, p->image[i]);
        if (cameo_file_exists(p->path[i])) continue;
        if (!missing++) first = i;
        if (missing <= 10) fprintf(stderr, "missing: %s\n", p->path[i]);
    }
    return missing == 0 ||
           cameo_fail(error, CAMEO_BAD_INPUT,
                      "%zu of %zu images are missing, the first: %s\n    hint: names are relative to --root DIR", missing,
                      p->images, p->path[first]);
}

void cameo_pairs_free(cameo_pairs *p) {
    for (size_t i = 0; i < p->images; i++) {
        free(p->image[i]);
        if (p->path) free(p->path[i]);
    }
    free(p->image);
    free(p->path);
    free(p->pair);
    *p = (cameo_pairs){0};
}
