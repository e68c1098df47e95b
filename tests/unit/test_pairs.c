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
                 {"2\nAl 1 4\nAl 1 Bo 2\n", "lfw", "Al/Al_0001.jpg", 2, 3, 1, 0}};
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
                 {"a b c d e f g\n", "list:1: two"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cameo_pairs p;
        cameo_error error = {0};
        assert_false(cameo_pairs_parse(cases[i].text, strlen(cases[i].text), "list", &p, &error));
        assert_memory_equal(error.message, cases[i].message, strlen(cases[i].message));
        assert_int_equal(error.code, CAMEO_BAD_INPUT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(forms), cmocka_unit_test(bad_lines_are_numbered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
