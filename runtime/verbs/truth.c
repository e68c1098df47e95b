/* identify's --truth: a table with headings whose column `label` says who each unknown picture
   shows. A column of ids says which picture a row is about: a file's name with or without its
   folder and ending, or its place among the files from 0 or 1. */
#include "../base/lines.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct row {
    char *id, *label;
    size_t line, picture;
} row;

typedef struct key {
    const char *name; /* not terminated at `length` */
    size_t length, picture;
} key;

typedef struct truth {
    const char *file;
    char *const *path;
    size_t pictures, rows;
    row *row;
    cameo_error *error;
} truth;

static int column_of(char *const *field, int count, const char *const *words) {
    for (; *words; words++)
        for (int i = 0; i < count; i++)
            if (strcasecmp(field[i], *words) == 0) return i;
    return -1;
}

static char separator_of(const char *line) {
    for (const char *by = ",\t;|"; *by; by++)
        if (strchr(line, *by)) return *by;
    return ',';
}

static bool read_row(truth *t, char *text, char by, int columns, const int column[2]) {
    char *field[CAMEO_FIELDS] = {0};
    row *r = &t->row[t->rows++];
    const int count = cameo_line_split(text, by, field);
    const char *why = cameo_split_fault(count);
    if (!why && count > columns)
        why = "more fields than headings; names that hold the separator are quoted";
    if (!why && (count <= column[1] || !*field[column[1]])) why = "has no label";
    if (!why && column[0] >= 0 && (count <= column[0] || !*field[column[0]])) why = "has no id";
    if (why) return cameo_reject(t->error, "%s:%zu: %s", t->file, r->line, why);
    r->label = field[column[1]];
    r->id = column[0] < 0 ? NULL : field[column[0]];
    return true;
}

static bool read_rows(truth *t, cameo_lines *l) {
    static const char *const ids[] = {"id",  "file",     "filename", "file_name", "image",
                                      "img", "image_id", "path",     "picture",   "index",
                                      "row", "name",     NULL};
    static const char *const labels[] = {"label", "identity", "labels", "class", "person", NULL};
    char *heading[CAMEO_FIELDS] = {0}, by = 0;
    int columns = 0, column[2] = {-1, -1};
    t->row = cameo_allocate(l->count, sizeof *t->row);
    for (size_t i = 0; i < l->count; i++) {
        char *text = l->text + l->line[i].at;
        if (cameo_line_empty(text)) continue;
        if (by) {
            t->row[t->rows].line = l->line[i].number;
            if (!read_row(t, text, by, columns, column)) return false;
            continue;
        }
        by = separator_of(text);
        columns = cameo_line_split(text, by, heading);
        column[0] = columns <= CAMEO_FIELDS ? column_of(heading, columns, ids) : -1;
        column[1] = columns <= CAMEO_FIELDS ? column_of(heading, columns, labels) : -1;
        if (column[1] < 0) break;
    }
    return column[1] >= 0 ||
           cameo_reject(
               t->error,
               "%s: has no column \"label\"\n    hint: its first line is `id,label`, or `label`",
               t->file);
}

/* ---- which picture a row is about ---- */

static int by_key(const void *x, const void *y) {
    const key *a = x, *b = y;
    const int order = memcmp(a->name, b->name, a->length < b->length ? a->length : b->length);
    return order ? order : a->length < b->length ? -1 : a->length > b->length;
}

/* The names of all pictures, with or without their endings, sorted. */
static key *make_keys(const truth *t, bool endings) {
    key *keys = cameo_allocate(t->pictures, sizeof *keys);
    for (size_t i = 0; i < t->pictures; i++) {
        const char *name = cameo_last_part(t->path[i]), *dot = strrchr(name, '.');
        keys[i] = (key){name, endings || !dot ? strlen(name) : (size_t)(dot - name), i};
    }
    qsort(keys, t->pictures, sizeof *keys, by_key);
    return keys;
}

/* A name that two files share without their endings finds none. */
static bool find_key(const key *keys, size_t n, const char *id, size_t *picture) {
    const key wanted = {cameo_last_part(id), strlen(cameo_last_part(id)), 0},
              *found = bsearch(&wanted, keys, n, sizeof *keys, by_key);
    if (!found || (found > keys && by_key(found - 1, found) == 0) ||
        (found + 1 < keys + n && by_key(found + 1, found) == 0))
        return false;
    *picture = found->picture;
    return true;
}

/* Row r->line of *unknown is the first whose id is no file's name; NULL: every one is. */
static const row *match_names(truth *t) {
    key *full = make_keys(t, true), *bare = make_keys(t, false);
    const row *unknown = NULL;
    for (row *r = t->row; r < t->row + t->rows && !unknown; r++)
        if (!find_key(full, t->pictures, r->id, &r->picture) &&
            !find_key(bare, t->pictures, r->id, &r->picture))
            unknown = r;
    free(full);
    free(bare);
    return unknown;
}

static bool number_of(const char *text, size_t length, size_t *value) {
    *value = 0;
    if (!length || length > 15) return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        *value = *value * 10 + (size_t)(text[i] - '0');
    }
    return true;
}

/* The numbers from 0, or from 1, are places. */
static bool match_places(truth *t) {
    size_t least = SIZE_MAX, most = 0;
    for (row *r = t->row; r < t->row + t->rows; r++) {
        if (!number_of(r->id, strlen(r->id), &r->picture)) return false;
        if (r->picture < least) least = r->picture;
        if (r->picture > most) most = r->picture;
    }
    if (least > 1 || most - least + 1 != t->pictures) return false;
    for (row *r = t->row; r < t->row + t->rows; r++) r->picture -= least;
    return true;
}

static bool by_ids(truth *t) {
    if (!t->rows || !t->row[0].id) {
        for (size_t i = 0; i < t->rows; i++) t->row[i].picture = i;
        return true;
    }
    const row *unknown = match_names(t);
    if (!unknown || match_places(t)) return true;
    return cameo_reject(t->error,
                        "%s:%zu: no unknown picture, or more than one, is called \"%.200s\"\n    "
                        "hint: an id is a file's name, with "
                        "or without its ending, or its place among the sorted files, from 0",
                        t->file, unknown->line, unknown->id);
}

/* Into labels[pictures]; each has one. */
static bool assign(const truth *t, char **label) {
    size_t *line = cameo_allocate(t->pictures, sizeof *line), without = 0;
    bool good = true;
    for (const row *r = t->row; r < t->row + t->rows && good; r++) {
        if (r->picture >= t->pictures) break; /* too many rows, without ids */
        if (line[r->picture])
            good = cameo_reject(t->error, "%s: lines %zu and %zu are both about %s", t->file,
                                line[r->picture], r->line, t->path[r->picture]);
        line[r->picture] = r->line;
        free(label[r->picture]);
        label[r->picture] = cameo_join(NULL, r->label);
    }
    while (without < t->pictures && line[without]) without++;
    free(line);
    if (good && (without < t->pictures || t->rows > t->pictures))
        good = cameo_reject(t->error, "%s: %zu rows for %zu unknown pictures%s%s", t->file, t->rows,
                            t->pictures, without < t->pictures ? "; none for " : "",
                            without < t->pictures ? t->path[without] : "");
    return good;
}

bool cameo_truth_read(const char *file, const cameo_paths *pictures, char **label,
                      cameo_error *error) {
    cameo_lines l;
    truth t = {.file = file, .path = pictures->path, .pictures = pictures->count, .error = error};
    if (!cameo_lines_read(file, &l, error)) return false;
    const bool good = read_rows(&t, &l) && by_ids(&t) && assign(&t, label);
    free(t.row);
    cameo_lines_free(&l);
    return good;
}
