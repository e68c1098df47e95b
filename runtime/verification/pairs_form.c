/* Finding the form of a pair list. Each character that may part fields gives a survey of the whole
   list; a survey whose lines are all alike is a reading. The first line is the hard one: a row of
   headings must not be taken for a pair, nor a pair of names without endings for headings. */
#include "pairs_form.h"
#include "../base/files.h"
#include "pairs_words.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct survey {
    char by;
    char *text, *field[CAMEO_FIELDS]; /* the first line's */
    int count;
    char *text2, *field2[CAMEO_FIELDS]; /* the second one's, or the first one's when there is none
                                         */
    int count2;
    /* of all lines but the first, or of the first alone when it is the only one */
    int least, most;         /* fields */
    bool label[3], looks[3]; /* whether column k has labels in all of them; texts that look like
                                names */
    bool lfw, halves;        /* LFW's pairs; a name and 0 or 1, alike in lines 2 k and 2 k + 1 */
    bool again;              /* a name of the first line is one of theirs too */
    size_t lines;
} survey;

typedef struct reading {
    cameo_pairs_form form;
    bool fits;
    int known, looks; /* names that are known; columns of names that look like it */
} reading;

bool cameo_is_number(const char *s) { return *s && s[strspn(s, "0123456789")] == 0; }

bool cameo_is_lfw(char *const *f, int count) {
    return (count == 3 && cameo_is_number(f[1]) && cameo_is_number(f[2])) ||
           (count == 4 && cameo_is_number(f[1]) && cameo_is_number(f[3]));
}

static bool looks_like_name(const char *s) { return strpbrk(s, "./\\") || cameo_is_number(s); }

static int split_copy(const char *line, char by, char **text, char **field) {
    *text = cameo_join(NULL, line);
    return cameo_line_split(*text, by, field);
}

static void survey_line(survey *s, char **field, int count, size_t index, char *last) {
    const bool zero_or_one = count == 2 &&
                             (strcmp(field[1], "0") == 0 || strcmp(field[1], "1") == 0);
    if (count < s->least) s->least = count;
    if (count > s->most) s->most = count;
    for (int k = 0; k < 3; k++) {
        s->label[k] &= k < count && cameo_label_of(field[k]) != CAMEO_LABEL_NONE;
        s->looks[k] &= k < count && looks_like_name(field[k]);
        for (int i = 0; k < count && i < 2 && i < s->count && index; i++)
            s->again |= strcmp(field[k], s->field[i]) == 0;
    }
    s->lfw &= cameo_is_lfw(field, count);
    s->halves &= zero_or_one && strchr(field[0], '.') && (index % 2 == 0 || *last == *field[1]);
    *last = zero_or_one ? *field[1] : 0;
}

static survey make_survey(const cameo_lines *l, const cameo_line *line, size_t count, char by) {
    survey s = {.by = by,
                .least = CAMEO_FIELDS + 1,
                .most = -9,
                .lfw = true,
                .halves = count % 2 == 0,
                .lines = count};
    memset(s.label, true, sizeof s.label);
    memset(s.looks, true, sizeof s.looks);
    s.count = split_copy(l->text + line[0].at, by, &s.text, s.field);
    s.count2 = split_copy(l->text + line[count > 1].at, by, &s.text2, s.field2);
    char last = s.count == 2 ? *s.field[1] : 0;
    s.halves = s.halves && s.count == 2 && (last == '0' || last == '1');
    for (size_t i = count > 1; i < count; i++) {
        char *field[CAMEO_FIELDS], *text;
        const int n = split_copy(l->text + line[i].at, by, &text, field);
        survey_line(&s, field, n > CAMEO_FIELDS ? 0 : n, i, &last);
        free(text);
    }
    return s;
}

static bool is_known(const cameo_pairs_known *known, const char *name) {
    return known && known->has(known->data, name);
}

/* ---- LFW ---- */

/* "10 300": folds, and pairs of each kind in one; "300": pairs of each kind. */
static bool lfw_sizes(const char *line, cameo_pairs_form *form) {
    char *field[CAMEO_FIELDS], *text;
    const int n = split_copy(line, strchr(line, ',') ? ',' : ' ', &text, field);
    bool good = n == 1 || n == 2;
    for (int i = 0; i < n && good; i++) good = cameo_is_number(field[i]) && strlen(field[i]) <= 6;
    if (good) {
        form->folds = n == 2 ? atoi(field[0]) : 0;
        form->promised = 2 * (size_t)atoi(field[n - 1]) * (size_t)(n == 2 ? form->folds : 1);
    }
    free(text);
    return good;
}

/* The first line gives sizes, not two pictures that are called by numbers as others of the list
   are. */
static bool lfw_heading(const survey *s, const char *first, const cameo_pairs_known *known,
                        cameo_pairs_form *f) {
    if (s->count >= 3 && strcasecmp(s->field[1], "imagenum1") == 0) return true;
    if (s->lines < 2 || !lfw_sizes(first, f)) return false;
    bool numbers = s->count2 > 0 && s->count2 <= 3;
    for (int i = 0; i < s->count2 && numbers; i++) numbers = cameo_is_number(s->field2[i]);
    return cameo_is_lfw(s->field2, s->count2) || !(numbers || is_known(known, s->field[0]));
}

static bool read_as_lfw(const survey *s, const char *first, const cameo_pairs_known *known,
                        reading *r) {
    r->form.kind = CAMEO_PAIRS_LFW;
    r->form.heading = lfw_heading(s, first, known, &r->form);
    r->fits = s->lfw;
    if (r->form.heading) return true;
    r->form.folds = 0, r->form.promised = 0;
    /* Without its first line only what can be nothing else: some lines of four fields, no column
       of labels. */
    return s->lfw && cameo_is_lfw(s->field, s->count) && (s->most == 4 || s->count == 4);
}

/* ---- headings ---- */

/* "img3" and "IMG10" have one stem. */
static bool same_stem(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    while (n && a[n - 1] >= '0' && a[n - 1] <= '9') n--;
    while (m && b[m - 1] >= '0' && b[m - 1] <= '9') m--;
    return n == m && strncasecmp(a, b, n) == 0;
}

/* Whether the first line, with its names and label in columns c, is a row of headings. certain: by
   its words. */
static bool is_heading(const survey *s, const cameo_pairs_known *known, const int c[3],
                       bool certain) {
    const char *a = s->field[c[0]], *b = s->field[c[1]];
    const bool label_off = c[2] >= 0 && c[2] < s->count &&
                           cameo_label_of(s->field[c[2]]) == CAMEO_LABEL_NONE;
    const bool plain = !looks_like_name(a) && !looks_like_name(b);
    if (c[2] >= 0 && !label_off && cameo_label_column(s->field, s->count) != c[2])
        return false; /* a pair's label */
    /* Words of headings alone, or more fields than a pair has, can't be a pair. */
    if (certain && s->lines > 1 &&
        (s->count > 3 || (label_off && cameo_label_column(s->field, s->count) == c[2])))
        return true;
    if (s->again || is_known(known, a) || is_known(known, b)) return false;
    if (s->lines < 2) return certain;
    if (plain && c[0] < 3 && c[1] < 3 && s->looks[c[0]] && s->looks[c[1]])
        return true; /* unlike all the others */
    if (c[1] >= s->count2 || c[0] >= s->count2) return false;
    if (same_stem(a, s->field2[c[0]]) || same_stem(b, s->field2[c[1]])) return false;
    return certain || (label_off && plain && is_known(known, s->field2[c[0]]) &&
                       is_known(known, s->field2[c[1]]));
}

/* ---- plain lists ---- */

/* The columns by the words of the first line. */
static bool read_by_headings(const survey *s, const cameo_pairs_known *known, reading *r) {
    int *c = r->form.column;
    bool certain;
    if (s->count < 2 || s->count > CAMEO_FIELDS ||
        !cameo_name_columns(s->field, s->count, c, &certain))
        return false;
    c[2] = cameo_label_column(s->field, s->count);
    if (c[2] == c[0] || c[2] == c[1]) c[2] = -1;
    if (c[2] < 0 && s->count == 3 && s->label[3 - c[0] - c[1]]) c[2] = 3 - c[0] - c[1];
    certain |= s->count > 3 && s->lines > 1; /* a pair has no more fields than three */
    certain |= c[2] >= 0 && cameo_label_of(s->field[c[2]]) == CAMEO_LABEL_NONE;
    if (!is_heading(s, known, c, certain)) return false;
    const int last = c[0] > c[1] ? c[0] : c[1];
    if (c[2] >= s->most) c[2] = -1; /* the column is empty: a list to be scored */
    r->form.heading = r->form.named = true;
    r->form.fields = s->count;
    r->fits = s->most <= s->count && s->least > (c[2] > last ? c[2] : last);
    return true;
}

/* Whether the first line is headings, or a pair with a label where the others have it. */
static bool first_fits(const survey *s, const cameo_pairs_known *known, cameo_pairs_form *f) {
    const int label = f->column[2];
    f->heading = is_heading(s, known, f->column, false);
    return f->heading || label < 0 || cameo_label_of(s->field[label]) != CAMEO_LABEL_NONE;
}

/* Two names and a label behind them, or before them where behind them is none. */
static void read_by_place(const survey *s, const cameo_pairs_known *known, reading *r) {
    static const int places[3][3] = {{0, 1, 2}, {1, 2, 0}, {0, 1, -1}};
    const bool alike = s->least == s->most && s->count == s->most, labels = s->count == 3;
    const bool front = labels && cameo_label_of(s->field[0]) != CAMEO_LABEL_NONE &&
                       cameo_label_of(s->field[2]) == CAMEO_LABEL_NONE;
    const bool others = s->least == s->most && (s->most == 2 || s->most == 3) &&
                        (s->lines > 2 || s->count < 2 || s->count > 3);
    cameo_pairs_form *f = &r->form;
    f->fields = others ? s->most : labels ? 3 : 2;
    for (int k = labels ? 0 : 2; alike && k < (labels ? 2 : 3) && !r->fits; k++) {
        memcpy(f->column, places[k], sizeof f->column);
        r->fits = f->fields == s->count && (k == 2 || s->label[f->column[2]]) &&
                  first_fits(s, known, f);
    }
    if (!r->fits) {
        f->heading = false;
        memcpy(f->column, places[f->fields == 2 ? 2 : front], sizeof f->column);
    }
    if (r->fits && f->fields == 2 && s->halves && !is_known(known, s->field[1]))
        f->kind = CAMEO_PAIRS_HALVES;
}

static reading read_as(const cameo_lines *l, const cameo_line *line, size_t count, char by,
                       const cameo_pairs_known *known) {
    survey s = make_survey(l, line, count, by);
    reading r = {.form = {.separator = by}}, lfw = r;
    const int *c = r.form.column;
    if (read_as_lfw(&s, l->text + line[0].at, known, &lfw))
        r = lfw;
    else if (s.count > CAMEO_FIELDS || s.count < 0)
        r.form.fields = 2, r.form.column[1] = 1, r.form.column[2] = -1;
    else if (!read_by_headings(&s, known, &r))
        r = (reading){.form = {.separator = by}}, read_by_place(&s, known, &r);
    if (r.fits && r.form.kind == CAMEO_PAIRS_PLAIN) {
        r.known = is_known(known, s.field2[c[0]]) + is_known(known, s.field2[c[1]]);
        r.looks = (c[0] > 2 || s.looks[c[0]]) + (c[1] > 2 || s.looks[c[1]]);
    }
    free(s.text);
    free(s.text2);
    return r;
}

static bool is_better(const reading *a, const reading *b) {
    if (a->known != b->known) return a->known > b->known;
    const bool labelled_a = a->form.column[2] >= 0, labelled_b = b->form.column[2] >= 0;
    if (labelled_a != labelled_b) return labelled_a;
    return a->looks > b->looks;
}

/* What parts the fields of a line, by the look of it. */
static char guess(const char *line) {
    bool quoted = false, seen[4] = {false};
    static const char by[] = "\t,;|";
    for (; *line; line++) {
        quoted ^= *line == '"';
        const char *at = quoted ? NULL : strchr(by, *line);
        if (at) seen[at - by] = true;
    }
    for (int i = 0; i < 4; i++)
        if (seen[i]) return by[i];
    return ' ';
}

cameo_pairs_form cameo_pairs_form_find(const cameo_lines *l, const cameo_line *line, size_t count,
                                       const cameo_pairs_known *known) {
    static const char all[] = "\t,;| ";
    reading best = {.fits = false};
    for (const char *by = all; *by; by++) {
        if (*by != ' ' && !strchr(l->text + line[count > 1].at, *by)) continue;
        const reading r = read_as(l, line, count, *by, known);
        if (r.fits && (!best.fits || is_better(&r, &best))) best = r;
    }
    if (best.fits) return best.form;
    char by = guess(l->text + line[0].at);
    if (by == ' ' && count > 1) by = guess(l->text + line[1].at);
    return read_as(l, line, count, by, known).form;
}
