/* The table of forms, and the writer for pairs. */
#include "submission.h"
#include "../base/files.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cameo_submission forms[] = {
    {"s19 f19 s20", CAMEO_TASK_PAIRS, "trial,score", CAMEO_KEY_LINE, false},
    {"f20 s21", CAMEO_TASK_PAIRS, "Id,Category", CAMEO_KEY_LINE, false},
    {"s22", CAMEO_TASK_PAIRS, "id,match", CAMEO_KEY_ROW, false},
    {"f24 s25 f25 s26", CAMEO_TASK_PAIRS, "ID,Label", CAMEO_KEY_ROW, false},
    {"f22 s23 f23 s24", CAMEO_TASK_IDENTITIES, "id,label", CAMEO_KEY_ROW, true},
    {"s19 f19 s20", CAMEO_TASK_CLASSES, "Id,Category", CAMEO_KEY_FILE, true},
    {"s22 f22 s23 f23 s24", CAMEO_TASK_CLASSES, "id,label", CAMEO_KEY_FILE, false},
};
enum { FORMS = sizeof forms / sizeof *forms };

static bool has_word(const char *words, const char *word) {
    size_t n = strlen(word);
    for (const char *s = words; n && (s = strstr(s, word)); s += n)
        if ((s == words || s[-1] == ' ') && (s[n] == ' ' || !s[n])) return true;
    return false;
}

const cameo_submission *cameo_submission_find(const char *family, cameo_task task,
                                              cameo_error *error) {
    static const char *const what[] = {"pairs", "identities", "classes"}, *const verb[] = {
                                                                              "score", "identify",
                                                                              "classify"};
    char known[256] = "";
    const char *elsewhere = NULL;
    for (int i = 0; i < FORMS; i++) {
        bool same = has_word(forms[i].families, family);
        if (forms[i].task == task && same) return &forms[i];
        if (same && !elsewhere) elsewhere = verb[forms[i].task];
        if (forms[i].task != task) continue;
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? " " : "", forms[i].families);
    }
    cameo_fail(error, CAMEO_USAGE, "--submission %s: no such form for %s\n    hint: one of %s%s%s",
               family, what[task], known, elsewhere ? "; this family's are made by the verb " : "",
               elsewhere ? elsewhere : "");
    return NULL;
}

void cameo_csv_field(FILE *f, const char *text, size_t length) {
    bool quote = false;
    for (size_t i = 0; i < length; i++) quote |= strchr(",\"\r\n", text[i]) && text[i];
    if (!quote) {
        fwrite(text, 1, length, f);
        return;
    }
    fputc('"', f);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"') fputc('"', f);
        fputc(text[i], f);
    }
    fputc('"', f);
}

void cameo_csv_text(FILE *f, const char *text, char after) {
    cameo_csv_field(f, text, strlen(text));
    fputc(after, f);
}

static double median(const double *score, size_t n) {
    double *sorted = cameo_allocate(n, sizeof *sorted);
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(score[i])) sorted[used++] = score[i];
    qsort(sorted, used, sizeof *sorted, cameo_by_value);
    double m = used ? sorted[used / 2] : 0;
    free(sorted);
    return m;
}

void cameo_submission_pairs(const cameo_submission *s, const cameo_verification *v, FILE *f) {
    const double *score = v->score[v->primary];
    double instead = v->failed ? median(score, v->pairs->count) : 0;
    fprintf(f, "%s\n", s->heading);
    for (size_t i = 0; i < v->pairs->count; i++) {
        if (s->key == CAMEO_KEY_LINE) {
            size_t length;
            const char *line = cameo_pairs_line(v->pairs, i, &length);
            cameo_csv_field(f, line, length);
        } else {
            fprintf(f, "%zu", i);
        }
        fprintf(f, ",%.9g\n", isnan(score[i]) ? instead : score[i]);
    }
}
