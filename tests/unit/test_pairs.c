/* Pair lists: every form, and lines at fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pairs.h"
#include <string.h>

static void forms(void **state) {
    (void)state;
    const struct {
        const char *text, *format, *first;
        size_t pairs, images;
        int label, folds;
    } cases[] = {{"a.jpg b.jpg 1\nb.jpg c.jpg 0\n", "a b label", "a.jpg", 2, 3, 1, 0},
                 {"a.jpg b.jpg\r\n\r\na.jpg b.jpg", "a b", "a.jpg", 2, 2, -1, 0},
                 {"p1,p2,gt\nx.jpg,y.jpg,0\n", "csv", "x.jpg", 1, 2, 0, 0},
                 {"10\t300\nAl\t1\t4\nAl\t1\tBo\t2\n", "lfw", "Al/Al_0001.jpg", 2, 3, 1, 10},
                 {"2\nAl 1 4\nAl 1 Bo 2\n", "lfw", "Al/Al_0001.jpg", 2, 3, 1, 0},
                 {"name,imagenum1,imagenum2,\nAl,1,4,\nAl,1,Bo,2\n", "lfw", "Al/Al_0001.jpg", 2, 3, 1, 0},
                 {"\xEF\xBB\xBF"
                  "a.jpg b.jpg 1 \r\nb.jpg  c.jpg\t0\r\n",
                  "a b label", "a.jpg", 2, 3, 1, 0},
                 {"my pic.jpg\tyour pic.jpg\t1\n", "a b label", "my pic.jpg", 1, 2, 1, 0},
                 {"\"my pic.jpg\" b.jpg 0\n", "a b label", "my pic.jpg", 1, 2, 0, 0},
                 {"\"a, \"\"b\"\".jpg\", c.jpg, 1\n", "csv", "a, \"b\".jpg", 1, 2, 1, 0},
                 {"a.jpg,b.jpg,1,\n", "csv", "a.jpg", 1, 2, 1, 0},
                 {"id,gt,p2,p1\n0,1,y.jpg,x.jpg\n", "csv", "x.jpg", 1, 2, 1, 0},
                 {"1 a.jpg b.jpg\n0 a.jpg c.jpg\n", "a b label", "a.jpg", 2, 3, 1, 0},
                 {"\xE5\xB1\xB1/\xC3\xA9.jpg b.jpg 1", "a b label", "\xE5\xB1\xB1/\xC3\xA9.jpg", 1, 2, 1, 0},
                 {"p1,p2\nverification/a.jpg,verification/b.jpg\n", "csv", "verification/a.jpg", 1, 2, -1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cameo_pairs p;
        assert_true(cameo_pairs_parse(cases[i].text, strlen(cases[i].text), "list", &p, NULL));
        assert_string_equal(p.format, cases[i].format);
        assert_string_equal(p.image[0], cases[i].first);
        assert_int_equal(p.count, cases[i].pairs);
        assert_int_equal(p.images, cases[i].images);
        assert_int_equal(p.pair[0].label, cases[i].label);
        assert_int_equal(p.folds, cases[i].folds);
        cameo_pairs_free(&p);
    }
}

static void bad_lines_are_numbered(void **state) {
    (void)state;
    const struct {
        const char *text, *message;
    } cases[] = {{"", "list: no pairs"},
                 {"a b 1\na b 2\n", "list:2: the label"},
                 {"a b 1\na b\n", "list:2: some lines"},
                 {"a\n", "list:1: two image"},
                 {"2 3\nA 1\n", "list:2: an LFW pair"},
                 {"2 3\nA x 1\n", "list:2: an LFW picture"},
                 {"a b c d e f g\n", "list:1: two"},
                 {"a b 1\n\"a b 1\n", "list:2: a quotation mark"},
                 {"a,b,1\na,,1\n", "list:2: an image name"},
                 {"\xFF\xFE"
                  "a",
                  "list: is UTF-16"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cameo_pairs p;
        cameo_error error = {0};
        assert_false(cameo_pairs_parse(cases[i].text, strlen(cases[i].text), "list", &p, &error));
        assert_memory_equal(error.message, cases[i].message, strlen(cases[i].message));
        assert_int_equal(error.code, CAMEO_BAD_INPUT);
    }
}

/* What submissions repeat: the line without label, blanks around it and line end. */
static void lines_are_kept(void **state) {
    (void)state;
    const struct {
        const char *text, *line;
    } cases[] = {{"a.jpg b.jpg\r\n", "a.jpg b.jpg"},
                 {"a.jpg\tb.jpg 1\n", "a.jpg\tb.jpg"},
                 {"  verification_data/a.jpg  verification_data/b.jpg ", "verification_data/a.jpg  verification_data/b.jpg"},
                 {"1 a.jpg b.jpg", "a.jpg b.jpg"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cameo_pairs p;
        size_t length;
        assert_true(cameo_pairs_parse(cases[i].text, strlen(cases[i].text), "list", &p, NULL));
        const char *line = cameo_pairs_line(&p, 0, &length);
        assert_int_equal(length, strlen(cases[i].line));
        assert_memory_equal(line, cases[i].line, length);
        cameo_pairs_free(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines_are_kept), cmocka_unit_test(forms),
                                       cmocka_unit_test(bad_lines_are_numbered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
