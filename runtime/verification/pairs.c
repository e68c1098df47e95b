/* Reading pair lists. The form is found first (pairs_form.c); then every line is a pair by it, or
   at fault. A hash table from name to index makes each image appear once, however many pairs name
   it. */
#include "pairs.h"
#include "../base/files.h"
#include "../base/hash.h"
#include "pairs_form.h"
#include <stdlib.h>
#include <string.h>

typedef struct parser {
    const char *name;
    cameo_pairs *out;
    cameo_error *error;
    cameo_lines lines;
    cameo_line *line; /* those that count: neither empty nor comments */
    size_t count, comments;
    size_t number, at, pair_capacity, image_capacity; /* of the line at hand */
    size_t *table;                                    /* index + 1; 0 = free */
    size_t table_size;
    cameo_pairs_form form;
    const cameo_pairs_known *known;
    char *headings, *half; /* the row of them as text; the first name of CALFW's two lines */
    bool zero, minus;      /* labels seen */
} parser;

static size_t *find_slot(const parser *p, const char *name) {
    size_t at = cameo_hash_text(name) & (p->table_size - 1);
    while (p->table[at] && strcmp(p->out->image[p->table[at] - 1], name) != 0)
        at = (at + 1) & (p->table_size - 1);
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
    out->image = cameo_room(out->image, out->images, &p->image_capacity, sizeof *out->image);
    out->image[out->images] = cameo_join(NULL, name);
    *slot = ++out->images;
    return out->images - 1;
}

static void add_pair(parser *p, const char *a, const char *b, int label) {
    cameo_pairs *out = p->out;
    out->pair = cameo_room(out->pair, out->count, &p->pair_capacity, sizeof *out->pair);
    size_t first = intern_image(p, a), second = intern_image(p, b);
    out->pair[out->count++] = (cameo_pair){(uint32_t)first, (uint32_t)second, (uint32_t)p->number,
                                           (uint32_t)p->at, (int8_t)label};
}

static bool bad_line(parser *p, const char *what) {
    return cameo_reject(p->error,
                        "%s:%zu: %s\n    hint: forms read are `a b 0|1`, `a b`, CSV of these, and "
                        "LFW's pairs.txt; quote names "
                        "that hold blanks, or part the fields by tabs",
                        p->name, p->number, what);
}

/* name i j (same) or nameA i nameB j (different); files are name/name_%04d.jpg. */
static bool lfw_line(parser *p, char **f, int count) {
    bool same = count == 3;
    if (count != 3 && count != 4) return bad_line(p, "an LFW pair has 3 or 4 fields");
    const char *other = same ? f[0] : f[2], *second = same ? f[2] : f[3];
    if (!cameo_is_number(f[1]) || !cameo_is_number(second) || strlen(f[1]) > 6 ||
        strlen(second) > 6)
        return bad_line(p, "an LFW picture number is expected");
    char a[512], b[512];
    if (strlen(f[0]) > 200 || strlen(other) > 200) return bad_line(p, "the name is too long");
    snprintf(a, sizeof a, "%s/%s_%04d.jpg", f[0], f[0], atoi(f[1]));
    snprintf(b, sizeof b, "%s/%s_%04d.jpg", other, other, atoi(second));
    add_pair(p, a, b, same);
    return true;
}

static bool bad_label(parser *p, const char *label) {
    char what[300];
    if (*label)
        snprintf(what, sizeof what,
                 "the label \"%.60s\" is neither 0 nor 1, nor a word such as same, different",
                 label);
    else
        snprintf(what, sizeof what, "some lines have a label, some have none");
    if (p->out->count || p->form.heading) return bad_line(p, what);
    return cameo_reject(
        p->error,
        "%s:%zu: %s\n    hint: if it is a row of headings, call the columns img1, img2 and label",
        p->name, p->number, what);
}

static bool take_label(parser *p, const char *text, int *label) {
    const cameo_label what = cameo_label_of(text);
    if (what == CAMEO_LABEL_NONE) return bad_label(p, text);
    p->zero |= what == CAMEO_LABEL_ZERO;
    p->minus |= what == CAMEO_LABEL_MINUS;
    *label = what == CAMEO_LABEL_SAME;
    return !(p->zero && p->minus) ||
           bad_line(p, "labels 0 and -1 are both in the list; which pairs are different?");
}

static bool plain_line(parser *p, char **f, int count) {
    const int *c = p->form.column;
    int most = c[0] > c[1] ? c[0] : c[1], label = -1;
    if (c[2] > most) most = c[2];
    if (p->form.named ? count > p->form.fields : count != p->form.fields) {
        if (p->form.named)
            return bad_line(p,
                            "more fields than headings; names that hold the separator are quoted");
        if (count == 2 || count == 3) return bad_line(p, "some lines have a label, some have none");
        return bad_line(p, "two image names and perhaps a label 0 or 1 are expected");
    }
    if (count == most && c[2] == most)
        return bad_line(p, "some lines have a label, some have none");
    if (count <= most)
        return bad_line(p, "two image names and perhaps a label 0 or 1 are expected");
    if (!*f[c[0]] || !*f[c[1]]) return bad_line(p, "an image name is empty");
    if (c[2] >= 0 && !take_label(p, f[c[2]], &label)) return false;
    add_pair(p, f[c[0]], f[c[1]], label);
    return true;
}

/* Of CALFW and CPLFW: the name of one half and whether it is a pair of one person. The form has
   made sure that halves agree. */
static bool half_line(parser *p, char **f) {
    if (!p->half) {
        p->half = cameo_join(NULL, f[0]);
        return true;
    }
    add_pair(p, p->half, f[0], *f[1] == '1');
    free(p->half);
    p->half = NULL;
    return true;
}

static void keep_headings(parser *p, char **f, int count) {
    size_t length = 1;
    for (int i = 0; i < count; i++) length += strlen(f[i]) + 1;
    p->headings = cameo_allocate(length, 1);
    for (int i = 0; i < count; i++) {
        if (i) strcat(p->headings, ",");
        strcat(p->headings, f[i]);
    }
}

static bool parse_line(parser *p, char *line, bool first) {
    char *f[CAMEO_FIELDS] = {0};
    const int count = cameo_line_split(line, p->form.separator, f);
    const bool lfw = p->form.kind == CAMEO_PAIRS_LFW;
    if (first && p->form.heading) {
        if (!lfw) keep_headings(p, f, count);
        return true;
    }
    const char *fault = cameo_split_fault(count);
    if (fault) return bad_line(p, fault);
    return lfw                                  ? lfw_line(p, f, count)
           : p->form.kind == CAMEO_PAIRS_HALVES ? half_line(p, f)
                                                : plain_line(p, f, count);
}

static bool parse_lines(parser *p) {
    for (size_t i = 0; i < p->count; i++) {
        p->number = p->line[i].number;
        p->at = p->line[i].at;
        char *copy = cameo_join(NULL, p->lines.text + p->at);
        const bool good = parse_line(p, copy, i == 0);
        free(copy);
        if (!good) return false;
    }
    return true;
}

/* A line that begins with # is a comment, unless what it begins with is the name of a picture. */
static bool is_comment(const parser *p, const char *line) {
    line += strspn(line, " \t");
    if (*line != '#') return false;
    char *word = cameo_join(NULL, line);
    word[strcspn(word, " \t,;|")] = 0;
    const bool picture = p->known && p->known->has(p->known->data, word);
    free(word);
    return !picture;
}

static void choose_lines(parser *p) {
    p->line = cameo_allocate(p->lines.count, sizeof *p->line);
    for (size_t i = 0; i < p->lines.count; i++) {
        const char *text = p->lines.text + p->lines.line[i].at;
        if (cameo_line_empty(text)) continue;
        if (is_comment(p, text))
            p->comments++;
        else
            p->line[p->count++] = p->lines.line[i];
    }
}

static void describe(const parser *p) {
    static const char by[] = " \t,;|", *const apart[] = {"blanks", "tabs", "commas", "semicolons",
                                                         "bars"};
    cameo_pairs *out = p->out;
    cameo_output o;
    if (!cameo_output_open(&o, NULL)) return;
    if (p->form.kind == CAMEO_PAIRS_LFW) {
        fprintf(o.stream, "LFW's form, ");
        out->folds ? fprintf(o.stream, "%d folds", out->folds) : fprintf(o.stream, "one set");
    } else if (p->form.kind == CAMEO_PAIRS_HALVES) {
        fprintf(o.stream, "CALFW's form, two lines a pair");
    } else {
        fprintf(o.stream, "two names%s, apart by %s",
                out->labelled ? " and a label" : " without labels",
                apart[strchr(by, p->form.separator) - by]);
        if (p->headings) fprintf(o.stream, ", headings %s", p->headings);
    }
    if (p->comments)
        fprintf(o.stream, "; %zu comment line%s", p->comments, p->comments == 1 ? "" : "s");
    if (p->lines.mark) fprintf(o.stream, "; byte order mark");
    if (p->lines.windows) fprintf(o.stream, "; Windows line ends");
    if (p->lines.mac) fprintf(o.stream, "; old Mac line ends");
    fclose(o.stream);
    out->description = o.data;
}

/* What callers may know of the form, before and after the lines. */
static void set_form(const parser *p) {
    static const char *const kinds[] = {NULL, "lfw", "halves"};
    const cameo_pairs_form *f = &p->form;
    cameo_pairs *out = p->out;
    out->labelled = f->kind != CAMEO_PAIRS_PLAIN || f->column[2] >= 0;
    out->format = f->kind != CAMEO_PAIRS_PLAIN                  ? kinds[f->kind]
                  : f->separator != ' ' && f->separator != '\t' ? "csv"
                  : out->labelled                               ? "a b label"
                                                                : "a b";
    if (f->kind == CAMEO_PAIRS_LFW) out->family = "lfw";
    out->folds = f->folds;
    out->separator = f->separator;
    if (f->kind == CAMEO_PAIRS_PLAIN && out->labelled && !f->named)
        out->label_place = f->column[2] == 0 ? CAMEO_LABEL_FIRST : CAMEO_LABEL_LAST;
}

static bool all_there(const parser *p) {
    const cameo_pairs_form *f = &p->form;
    if (!p->out->count) return cameo_reject(p->error, "%s: no pairs in the list", p->name);
    if (!f->promised || f->promised == p->out->count) return true;
    return cameo_reject(p->error,
                        "%s: its first line promises %zu pairs, %zu were found\n    hint: LFW's "
                        "first line is `FOLDS N` or `N`, "
                        "with N pairs of one person and N of two people in each fold",
                        p->name, f->promised, p->out->count);
}

bool cameo_pairs_parse(const char *text, size_t size, const char *name,
                       const cameo_pairs_known *known, cameo_pairs *out, cameo_error *error) {
    *out = (cameo_pairs){0};
    parser p = {.name = name, .out = out, .error = error, .known = known};
    if (!cameo_lines_cut(text, size, name, CAMEO_QUOTES_CSV, &p.lines, error)) return false;
    choose_lines(&p);
    if (p.count) p.form = cameo_pairs_form_find(&p.lines, p.line, p.count, known);
    set_form(&p);
    const bool good = parse_lines(&p) && all_there(&p);
    if (good) describe(&p), out->text = p.lines.text, p.lines.text = NULL;
    free(p.table);
    free(p.line);
    free(p.half);
    free(p.headings);
    cameo_lines_free(&p.lines);
    if (!good) cameo_pairs_free(out);
    return good;
}

bool cameo_pairs_read_known(const char *path, const cameo_pairs_known *known, cameo_pairs *p,
                            cameo_error *error) {
    size_t size;
    *p = (cameo_pairs){0};
    unsigned char *text = cameo_read_file(path, (size_t)1 << 30, &size, error);
    if (!text) return false;
    bool good = cameo_pairs_parse((const char *)text, size, path, known, p, error);
    free(text);
    if (good) p->list = cameo_join(NULL, path);
    return good;
}

static bool is_separator(const cameo_pairs *p, char c) {
    return p->separator == ' ' ? cameo_is_blank(c) : c == p->separator;
}

const char *cameo_pairs_line(const cameo_pairs *p, size_t pair, size_t *length) {
    const char *s = p->text + p->pair[pair].at, *end = s + strlen(s);
    while (s < end && cameo_is_blank(*s)) s++;
    while (end > s && cameo_is_blank(end[-1])) end--;
    if (p->label_place == CAMEO_LABEL_LAST) {
        while (end > s && is_separator(p, end[-1])) end--; /* empty fields */
        while (end > s && !is_separator(p, end[-1])) end--;
        end -= end > s;
    } else if (p->label_place == CAMEO_LABEL_FIRST) {
        while (s < end && !is_separator(p, *s)) s++;
        s += s < end;
    }
    while (s < end && cameo_is_blank(*s)) s++;
    while (end > s && cameo_is_blank(end[-1])) end--;
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
