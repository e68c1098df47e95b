/* Parsing of a verb's arguments against its option table. */
#include "args.h"
#include "files.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Letters mean the same in every verb that has the option. */
static const struct short_form {
    char letter;
    const char *name;
} short_forms[] = {{'h', "help"}, {'j', "jobs"}, {'o', "output"}};
enum { SHORT_FORMS = sizeof short_forms / sizeof *short_forms, MOST_OPTIONS = 64 };

/* Levenshtein distance; words beyond 63 letters are far from everything. */
static size_t distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b), row[64];
    if (n > 63 || m > 63) return SIZE_MAX;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]),
                   least = row[j] < row[j - 1] ? row[j] : row[j - 1];
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

int cameo_unknown(const char *speaker, const char *kind, const char *word,
                  const char *const *candidates, size_t count) {
    const char *near = cameo_nearest(word, candidates, count);
    fprintf(stderr, "%sunknown %s \"%s\"", speaker ? speaker : "", kind, word);
    if (near) fprintf(stderr, "; did you mean %s?", near);
    fputc('\n', stderr);
    return CAMEO_USAGE;
}

/* ---- help ---- */

/* An option and what it does, in lines of at most 110 letters. */
static void print_wrapped(const char *left, const char *words) {
    enum { INDENT = 27, WIDTH = 110 };
    printf("  %-24s", left);
    for (size_t column = INDENT; *words; words += strspn(words, " ")) {
        const size_t n = strcspn(words, " ");
        if (column > INDENT && column + n + 1 > WIDTH)
            column = (size_t)printf("\n%*s", INDENT - 1, "") - 1;
        column += (size_t)printf(" %.*s", (int)n, words);
        words += n;
    }
    putchar('\n');
}

static void print_option(const cameo_option *o) {
    char left[64], letter[8] = "";
    for (size_t i = 0; i < SHORT_FORMS; i++)
        if (strcmp(short_forms[i].name, o->name) == 0)
            snprintf(letter, sizeof letter, "-%c, ", short_forms[i].letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->value ? " " : "",
             o->value ? o->value : "");
    print_wrapped(left, o->help);
}

static void print_help(const cameo_args *a) {
    static const cameo_option help = {"help", NULL, "this text"};
    printf("usage: %s %s\n", a->program, a->usage);
    if (a->about) printf("\n%s\n\noptions:\n", a->about);
    for (const cameo_option *o = a->options; o->name; o++) print_option(o);
    print_option(&help);
}

/* ---- parsing ---- */

int cameo_usage_error(const cameo_args *a, const char *format, ...) {
    va_list list;
    va_start(list, format);
    fputs(a->speaker ? a->speaker : "", stderr);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\nusage: %s %s\n", a->program, a->usage);
    return CAMEO_USAGE;
}

/* word with its dashes. */
static int unknown_option(const cameo_args *a, const char *word, int dashes, int length) {
    const char *names[MOST_OPTIONS];
    char copy[MOST_OPTIONS];
    size_t count = 0;
    for (const cameo_option *o = a->options; o->name && count < MOST_OPTIONS; o++)
        names[count++] = o->name;
    snprintf(copy, sizeof copy, "%.*s", length, word + dashes);
    const char *near = cameo_nearest(copy, names, count);
    return cameo_usage_error(a, "unknown option %.*s%s%s%s%s", dashes, word, copy,
                             near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
}

static const cameo_option *find_option(const cameo_args *a, const char *name, size_t length) {
    for (const cameo_option *o = a->options; o->name; o++)
        if (strlen(o->name) == length && memcmp(o->name, name, length) == 0) return o;
    return NULL;
}

static const cameo_option *find_letter(const cameo_args *a, char letter) {
    for (size_t i = 0; i < SHORT_FORMS; i++)
        if (short_forms[i].letter == letter)
            return find_option(a, short_forms[i].name, strlen(short_forms[i].name));
    return NULL;
}

/* One option; *i moves over its value. */
static int take_option(cameo_args *a, int argc, char **argv, int *i) {
    const char *word = argv[*i], *name = word + (word[1] == '-' ? 2 : 1);
    const size_t length = strcspn(name, "=");
    const cameo_option *o = find_option(a, name, length),
                       *lettered = o || word[1] == '-' ? NULL : find_letter(a, *name);
    const char *value = name[length] ? name + length + 1 : NULL;
    if (lettered) o = lettered, value = name[1] ? name + 1 : NULL;
    if (!o) return unknown_option(a, word, (int)(name - word), (int)length);
    if (!o->value && value) return cameo_usage_error(a, "--%s takes no value", o->name);
    if (o->value && !value && *i + 1 < argc) value = argv[++*i];
    if (o->value && !value)
        return cameo_usage_error(a, "--%s needs a value (%s)", o->name, o->value);
    a->list[a->count++] = (cameo_argument){o, value ? value : ""};
    return 0;
}

int cameo_args_parse(cameo_args *a, int argc, char **argv) {
    a->list = cameo_allocate((size_t)argc + 1, sizeof *a->list);
    a->count = a->positionals = 0;
    a->argc = argc, a->argv = argv;
    bool only_positionals = false;
    for (int i = 0; i < argc; i++) {
        if (!only_positionals && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0))
            return print_help(a), -1;
        if (!only_positionals && strcmp(argv[i], "--") == 0) {
            only_positionals = true;
        } else if (!only_positionals && argv[i][0] == '-' && argv[i][1]) {
            int code = take_option(a, argc, argv, &i);
            if (code) return code;
        } else {
            a->list[a->count++] = (cameo_argument){NULL, argv[i]};
            a->positionals++;
            a->last = argv + i;
            if (a->until_first) break;
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
        if (a->list[i].option && strcmp(a->list[i].option->name, name) == 0)
            found = a->list[i].value;
    return found;
}

const char *cameo_args_positional(const cameo_args *a, size_t index) {
    for (size_t i = 0; i < a->count; i++)
        if (!a->list[i].option && index-- == 0) return a->list[i].value;
    return NULL;
}

bool cameo_parse_integer(const char *text, int64_t low, int64_t high, int64_t *value) {
    char *end;
    errno = 0;
    const long long v = strtoll(text, &end, 10);
    if (errno || end == text || *end || v < low || v > high) return false;
    *value = v;
    return true;
}

bool cameo_args_integer(const cameo_args *a, const char *name, int64_t low, int64_t high,
                        int64_t *value) {
    const char *text = cameo_args_get(a, name);
    if (!text || cameo_parse_integer(text, low, high, value)) return true;
    fprintf(stderr, "%s--%s %s: a number from %lld to %lld is expected\n",
            a->speaker ? a->speaker : "", name, text, (long long)low, (long long)high);
    return false;
}

int cameo_index_of(const char *const *words, int count, const char *word) {
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0) return i;
    return -1;
}
