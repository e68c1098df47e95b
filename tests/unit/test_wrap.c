/* Lines of generated C: none too long, and the same tokens. */
#include "compiler/emit/wrap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* C without what may change: blanks and newlines outside literals, and quotes between two
   of them, which are one to the C compiler. */
static void bare(const char *s, char *out) {
    char quote = 0;
    while (*s) {
        if (s[0] == '/' && s[1] == '*' && !quote) {
            for (const char *end = strstr(s, "*/"); s < end; s++)
                if (*s != ' ' && *s != '\n') *out++ = *s;
        } else if (quote) {
            if (*s == '\\') {
                *out++ = *s++;
            } else if (*s == quote) {
                const char *next = s + 1 + strspn(s + 1, " \n");
                if (quote == '"' && *next == '"') {
                    s = next + 1;
                    continue;
                }
                quote = 0;
            }
            *out++ = *s++;
        } else if (*s == ' ' || *s == '\n') {
            s++;
        } else {
            if (*s == '"' || *s == '\'') quote = *s;
            *out++ = *s++;
        }
    }
    *out = 0;
}

static size_t longest(const char *s) {
    size_t most = 0;
    for (const char *line = s; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t n = 0;
        for (const char *c = line; *c && *c != '\n'; c++) n += ((unsigned char)*c & 0xC0) != 0x80;
        if (n > most) most = n;
    }
    return most;
}

static void wrapped(const char *given, const char *expected) {
    text t = {0}, out = {0};
    text_append(&t, given);
    wrap_c(&t, &out);
    assert_string_equal(text_str(&out), expected);
    text_free(&t), text_free(&out);
}

#define TEN "a12345678,"
#define FIFTY TEN " " TEN " " TEN " " TEN " b1234"

static void shapes(void **state) {
    (void)state;
    wrapped("", "");
    wrapped("short(a, b);\n", "short(a, b);\n");
    wrapped("no newline", "no newline");
    wrapped("    f(" FIFTY ", " FIFTY ", end); /* said behind */\n",
            "    f(" FIFTY ", " TEN " " TEN " " TEN " " TEN
            "\n        b1234, end); /* said behind */\n");
    wrapped("#define X " FIFTY " " FIFTY " " FIFTY "\n",
            "#define X " FIFTY " " FIFTY " " FIFTY "\n");
    /* A comment goes on beside its first word, and a quote in it opens nothing. */
    wrapped("/* it's " FIFTY " words " FIFTY " more */ x;\n",
            "/* it's " FIFTY " words " TEN " " TEN " " TEN "\n       " TEN " b1234 more */ x;\n");
    /* A literal is cut behind a blank, never in an escape, and both halves are literals. */
    wrapped("s = \"" FIFTY " " FIFTY "\\\" " FIFTY "\";\n",
            "s = \"" FIFTY " " TEN " " TEN " " TEN " " TEN " \"\n    \"b1234\\\" " FIFTY "\";\n");
}

/* Random texts of what generated C has in it. */
static void keeps_tokens(void **state) {
    static const char *const pieces[] = {
        "x",
        "name_of_a_value",
        " ",
        ", ",
        "; ",
        "(",
        ")",
        " + ",
        "/* a comment, \"of\" it's words */",
        "\"text, and \\\" more\"",
        "'\\''",
        "'\"'",
        "\"\"",
        "\n",
        "\n    ",
        "\xc3\xa9t\xc3\xa9 ",
        "f(a, b, c)",
        "AT(float, A_features)",
        " /* ",
        " */ ",
    };
    uint32_t random = 7;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        text t = {0}, out = {0};
        for (int i = 0; i < 60; i++) {
            random = random * 1664525u + 1013904223u;
            /* The last two open and close a comment, which must be in turn: left to their own
               test. */
            text_append(&t, pieces[(random >> 16) % (sizeof pieces / sizeof *pieces - 2)]);
        }
        char *before = malloc(t.size + 1), *after = malloc(4 * t.size + 1);
        bare(text_str(&t), before);
        wrap_c(&t, &out);
        bare(text_str(&out), after);
        assert_string_equal(before, after);
        assert_true(longest(text_str(&out)) <= WRAP_COLUMNS + 40); /* a piece without a blank is 33
                                                                      long */
        free(before);
        free(after);
        text_free(&t), text_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes), cmocka_unit_test(keeps_tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
