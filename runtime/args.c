/* Parsing of a verb's arguments against its option table. */
#include "args.h"
#include "files.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Levenshtein distance; words beyond 63 letters are far from everything. */
static size_t distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b), row[64];
    if (n > 63 || m > 63) return 64;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]), least = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = change < least + 1 ? change : least + 1;
        }
    }
    return row[m];
}

const char *cameo_nearest(const char *word, const char *const *candidates, size_t count) {
    const char *best = NULL;
    size_t limit = strlen(word) / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, candidates[i]);
        if (d <= limit) best = candidates[i], limit = d ? d - 1 : 0;
        if (d == 0) break;
    }
    return best;
}

static void print_help(const cameo_args *a) {
    printf("usage: %s %s\n", a->program, a->usage);
    for (const cameo_option *o = a->options; o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("  %-24s %s\n", left, o->help);
    }
}

static int unknown(const cameo_args *a, const char *word) {
    const char *names[64];
    size_t count = 0;
    for (const cameo_option *o = a->options; o->name && count < 64; o++) names[count++] = o->name;
    const char *near = cameo_nearest(word, names, count);
    fprintf(stderr, "unknown option --%s", word);
    if (near) fprintf(stderr, "; did you mean --%s?", near);
    fprintf(stderr, "\nusage: %s %s\n", a->program, a->usage);
    return CAMEO_USAGE;
}

static const cameo_option *find_option(const cameo_args *a, const char *name, size_t length) {
    for (const cameo_option *o = a->options; o->name; o++)
        if (strlen(o->name) == length && memcmp(o->name, name, length) == 0) return o;
    return NULL;
}

/* One option; *i moves over its value. */
static int take_option(cameo_args *a, int argc, char **argv, int *i) {
    const char *word = argv[*i];
    const char *name = word[1] == '-' ? word + 2 : strcmp(word, "-o") == 0 ? "output" : word + 1;
    size_t length = strcspn(name, "=");
    const cameo_option *o = find_option(a, name, length);
    char copy[64];
    snprintf(copy, sizeof copy, "%.*s", (int)(length > 60 ? 60 : length), name);
    if (!o) return unknown(a, copy);
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    if (o->value && !value && *i + 1 < argc) value = argv[++*i];
    if ((o->value != NULL) != (value != NULL)) {
        fprintf(stderr, "option --%s %s\nusage: %s %s\n", o->name, o->value ? "needs a value" : "takes no value", a->program,
                a->usage);
        return CAMEO_USAGE;
    }
    a->list[a->count++] = (cameo_argument){o, value ? value : ""};
    return 0;
}

int cameo_args_parse(cameo_args *a, int argc, char **argv) {
    a->list = cameo_allocate((size_t)argc + 1, sizeof *a->list);
    a->count = a->positionals = 0;
    bool only_positionals = false;
    for (int i = 0; i < argc; i++) {
        if (!only_positionals && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) return print_help(a), -1;
        if (!only_positionals && strcmp(argv[i], "--") == 0) {
            only_positionals = true;
        } else if (!only_positionals && argv[i][0] == '-' && argv[i][1]) {
            int code = take_option(a, argc, argv, &i);
            if (code) return code;
        } else {
            a->list[a->count++] = (cameo_argument){NULL, argv[i]};
            a->positionals++;
        }
    }
    return 0;
}

void cameo_args_free(cameo_args *a) {
    free(a->list);
    a->list = NULL;
}

const char *cameo_args_get(const cameo_args *a, const char *name) {
    const char *found = NULL;
    for (size_t i = 0; i < a->count; i++)
        if (a->list[i].option && strcmp(a->list[i].option->name, name) == 0) found = a->list[i].value;
    return found;
}

const char *cameo_args_positional(const cameo_args *a, size_t index) {
    for (size_t i = 0; i < a->count; i++)
        if (!a->list[i].option && index-- == 0) return a->list[i].value;
    return NULL;
}

bool cameo_args_integer(const cameo_args *a, const char *name, long low, long high, long *value) {
    const char *text = cameo_args_get(a, name);
    if (!text) return true;
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno || end == text || *end || v < low || v > high) {
        fprintf(stderr, "--%s %s: a number from %ld to %ld is expected\n", name, text, low, high);
        return false;
    }
    *value = v;
    return true;
}
