/* Pair lists: every form, and lines at fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/lines.h"
#include "runtime/verification/pairs.h"
#include <stdio.h>
#include <string.h>

static void forms(void **state) {
    (void)state;
    const struct {
        const char *text, *format, *first;
        size_t pairs, images;
        int label, folds;
    } cases[] = {
        {"a.jpg b.jpg 1\nb.jpg c.jpg 0\n", "a b label", "a.jpg", 2, 3, 1, 0},
        {"a.jpg b.jpg\r\n\r\na.jpg b.jpg", "a b", "a.jpg", 2, 2, -1, 0},
        {"p1,p2,gt\nx.jpg,y.jpg,0\n", "csv", "x.jpg", 1, 2, 0, 0},
        {"1\t1\nAl\t1\t4\nAl\t1\tBo\t2\n", "lfw", "Al/Al_0001.jpg", 2, 3, 1, 1},
        {"1\nAl 1 4\nAl 1 Bo 2\n", "lfw", "Al/Al_0001.jpg", 2, 3, 1, 0},
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
        {"p1,p2\nverification/a.jpg,verification/b.jpg\n", "csv", "verification/a.jpg", 1, 2, -1,
         0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cameo_pairs p;
        assert_true(
            cameo_pairs_parse(cases[i].text, strlen(cases[i].text), "list", NULL, &p, NULL));
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
        assert_false(
            cameo_pairs_parse(cases[i].text, strlen(cases[i].text), "list", NULL, &p, &error));
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
                 {"  verification_data/a.jpg  verification_data/b.jpg ",
                  "verification_data/a.jpg  verification_data/b.jpg"},
                 {"1 a.jpg b.jpg", "a.jpg b.jpg"},
                 {"same\ta b.jpg\tc.jpg", "a b.jpg\tc.jpg"},
                 {"a b.jpg\tc.jpg\tdifferent ", "a b.jpg\tc.jpg"},
                 {"a.jpg,b.jpg,-1\r", "a.jpg,b.jpg"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cameo_pairs p;
        size_t length;
        assert_true(
            cameo_pairs_parse(cases[i].text, strlen(cases[i].text), "list", NULL, &p, NULL));
        const char *line = cameo_pairs_line(&p, 0, &length);
        assert_int_equal(length, strlen(cases[i].line));
        assert_memory_equal(line, cases[i].line, length);
        cameo_pairs_free(&p);
    }
}

/* Names that are pictures, apart by bars; NULL: nothing is known. */
static bool is_listed(const void *data, const char *name) {
    for (const char *s = data; *s; s += strcspn(s, "|"), s += *s == '|')
        if (strcspn(s, "|") == strlen(name) && strncmp(s, name, strlen(name)) == 0) return true;
    return false;
}

/* As "a = b [1], ..." for a look at once; or the message. */
static void read_list(const char *text, const char *pictures, char out[600]) {
    const cameo_pairs_known known = {is_listed, pictures};
    static const char *const label[] = {"", " 0", " 1"};
    cameo_pairs p;
    cameo_error error = {0};
    if (!cameo_pairs_parse(text, strlen(text), "list", pictures ? &known : NULL, &p, &error)) {
        snprintf(out, 600, "%.*s", (int)strcspn(error.message, "\n"), error.message);
        return;
    }
    *out = 0;
    for (size_t i = 0; i < p.count; i++)
        snprintf(out + strlen(out), 600 - strlen(out), "%s%s + %s%s", i ? ", " : "",
                 p.image[p.pair[i].a], p.image[p.pair[i].b], label[p.pair[i].label + 1]);
    cameo_pairs_free(&p);
}

typedef struct odd_list {
    const char *text, *pictures, *want;
} odd_list;

static void expect_lists(const odd_list *c, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char got[600];
        read_list(c[i].text, c[i].pictures, got);
        if (strcmp(got, c[i].want) != 0)
            fail_msg("%s\n  got  %s\n  want %s", c[i].text, got, c[i].want);
    }
}

/* The first line is a row of headings only when it is one. */
static void headings_or_a_pair(void **state) {
    (void)state;
    static const odd_list c[] = {
        {"n1/1,n1/2\nn1/1,n2/1\nn2/1,n2/2\n", NULL, "n1/1 + n1/2, n1/1 + n2/1, n2/1 + n2/2"},
        {"0001,0002\n0003,0004\n", NULL, "0001 + 0002, 0003 + 0004"},
        {"0001 0002\n0003 0004\n", NULL, "0001 + 0002, 0003 + 0004"},
        {"Abel,Bert\nCarl,Dora\n", NULL, "Abel + Bert, Carl + Dora"},
        {"Abel,Bert\nCarl,Dora\n", "Carl|Dora", "Abel + Bert, Carl + Dora"},
        {"Abel,Bert,1\nCarl,Dora,0\n", NULL, "Abel + Bert 1, Carl + Dora 0"},
        {"Abel\tBert\tsame\nCarl\tDora\tdifferent\n", NULL, "Abel + Bert 1, Carl + Dora 0"},
        {"Abel,Bert\nc.png,d.png\n", "Abel|Bert", "Abel + Bert, c.png + d.png"},
        {"p1,p2\nCarl,Dora\n", NULL, "Carl + Dora"},
        {"p1,p2\nCarl,Dora\n", "p1|p2|Carl|Dora", "p1 + p2, Carl + Dora"},
        {"img1,img2\nimg3,img4\n", NULL, "img1 + img2, img3 + img4"},
        {"img1,img2,1\nimg3,img4,0\n", NULL, "img1 + img2 1, img3 + img4 0"},
        {"a,b\na,c\nb,c\n", NULL, "a + b, a + c, b + c"},
        {"a,b,same\nc,d,different\n", NULL, "a + b 1, c + d 0"},
        {"a,b,label\nx/1,x/2,1\n", NULL, "x/1 + x/2 1"},
        {"img1 img2 label\na.png b.png 1\n", NULL, "a.png + b.png 1"},
        {"Label\tImage 1\tImage_2\n0\ta.png\tb c.png\n", NULL, "a.png + b c.png 0"},
        {",img1,img2,label\n0,a.png,b.png,1\n1,c.png,d.png,0\n", NULL,
         "a.png + b.png 1, c.png + d.png 0"},
        {"name1,path1,name2,path2,match\nA,a.png,B,b.png,0\n", NULL, "a.png + b.png 0"},
        {"bild_a;bild_b;gleich\na.png;b.png;1\n", NULL, "a.png + b.png 1"},
        {"premier;second;identiques\na.png;b.png;1\n", NULL, "a.png + b.png 1"},
        {"premier,deuxieme,identiques\nAbel,Bert,1\n", "Abel|Bert", "Abel + Bert 1"},
        {"premier,deuxieme,identiques\nAbel,Bert,1\n", NULL,
         "list:1: the label \"identiques\" is neither 0 nor 1, nor a word such as same, different"},
        {"n1/1,n1/2,x\nn1/1,n2/1,0\n", NULL,
         "list:1: the label \"x\" is neither 0 nor 1, nor a word such as same, different"},
        {"p1,p2,gt\na.png,b.png\n", NULL, "a.png + b.png"},
        {"p1,p2,gt\na.png,b.png,\nc.png,d.png,1\n", NULL,
         "list:2: some lines have a label, some have none"},
        {"p1,p2,gt\na.png,Smith, J.png,1\n", NULL,
         "list:2: more fields than headings; names that hold the separator are quoted"},
        {"h0,h1,h2,h3,h4,h5,h6,h7,h8,h9,h10,h11,h12,h13,h14,h15,h16,h17,h18,h19\n", NULL,
         "list:1: two image names and perhaps a label 0 or 1 are expected"},
        {"p1,p2\n", NULL, "list: no pairs in the list"}};
    expect_lists(c, sizeof c / sizeof *c);
}

static void separators_and_quotes(void **state) {
    (void)state;
    static const odd_list c[] = {
        {"Smith, J/1.png\tDoe, A/2.png\t0\na.png\tb.png\t1\n", NULL,
         "Smith, J/1.png + Doe, A/2.png 0, a.png + b.png 1"},
        {"a.png\tb.png\t1\nx y.png\td.png\t0\n", NULL, "a.png + b.png 1, x y.png + d.png 0"},
        {"Ann Lee/p1\tAnn Lee/p2\nAnn Lee/p1\tBob Ray/p1\n", NULL,
         "Ann Lee/p1 + Ann Lee/p2, Ann Lee/p1 + Bob Ray/p1"},
        {"a.png\tb.png 1\nc.png\td.png 0\n", NULL, "a.png + b.png 1, c.png + d.png 0"},
        {"a.png\tPerson 1\nb.png\tPerson 0\n", "a.png|Person 1|b.png|Person 0",
         "a.png + Person 1, b.png + Person 0"},
        {"a,1.png b,2.png 1\nc,1.png d,2.png 0\n", NULL,
         "a,1.png + b,2.png 1, c,1.png + d,2.png 0"},
        {"a.png ; b.png ; 1\n", NULL, "a.png + b.png 1"},
        {"a.png|b.png|0\n", NULL, "a.png + b.png 0"},
        {" a.png , b.png ,1 \n", NULL, "a.png + b.png 1"},
        {"\"a\"\".png\",\"b\nc.png\",1\nd.png,e.png,x\n", NULL,
         "list:3: the label \"x\" is neither 0 nor 1, nor a word such as same, different"},
        {"\"a\"\".png\",\"b\nc.png\",1\n", NULL, "a\".png + b\nc.png 1"},
        {"a.png,b.png,1\n\"c.png,d.png,0\ne.png,f.png,1\n", NULL,
         "list:2: a quotation mark has no partner"},
        {"a.png,b.png,1\n\"c\".png,d.png,0\n", NULL,
         "list:2: something follows a closing quotation mark"},
        {"a%20b.png 100%s.png 1\n", NULL, "a%20b.png + 100%s.png 1"},
        {"my pic.png your pic.png 1\n", NULL,
         "list:1: two image names and perhaps a label 0 or 1 are expected"}};
    expect_lists(c, sizeof c / sizeof *c);
}

static void labels_of_all_kinds(void **state) {
    (void)state;
    static const char *const same[] = {"1",   "+1",      "1.0",   "1.00",   "True",    "SAME",
                                       "yes", "genuine", "match", "target", "positive"};
    static const char *const different[] = {"0",        "-1",        "0.0",     "-1.0",
                                            "false",    "Different", "no",      "impostor",
                                            "mismatch", "nontarget", "negative"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char text[100], got[600];
        snprintf(text, sizeof text, "n/1,n/2,%s\nn/1,m/1,%s\n", same[i], different[i]);
        read_list(text, NULL, got);
        assert_string_equal(got, "n/1 + n/2 1, n/1 + m/1 0");
        snprintf(text, sizeof text, "%s n/1 n/2\n%s n/1 m/1\n", same[i], different[i]);
        read_list(text, NULL, got);
        assert_string_equal(got, "n/1 + n/2 1, n/1 + m/1 0");
    }
    static const odd_list c[] = {
        {"a.png,b.png,-1\na.png,c.png,1\na.png,d.png,0\n", NULL,
         "list:3: labels 0 and -1 are both in the list; which pairs are different?"},
        {"a.png,b.png,2\n", NULL,
         "list:1: the label \"2\" is neither 0 nor 1, nor a word such as same, different"},
        {"0 12 1\n15 12 0\n", NULL, "0 + 12 1, 15 + 12 0"},
        {"1 12 13\n0 15 1\n", NULL, "12 + 13 1, 15 + 1 0"}};
    expect_lists(c, sizeof c / sizeof *c);
}

/* name i j: LFW's forms, whose first line is held to its promise. */
static void lfw_forms(void **state) {
    (void)state;
    static const odd_list c[] = {
        {"1\t1\nAnn Lee\t1\t2\nAnn Lee\t1\tBob Ray\t1\n", NULL,
         "Ann Lee/Ann Lee_0001.jpg + Ann Lee/Ann Lee_0002.jpg 1, Ann Lee/Ann Lee_0001.jpg + Bob "
         "Ray/Bob Ray_0001.jpg 0"},
        {"10 300\nA\t1\t2\nA 1 B 2\n", NULL,
         "list: its first line promises 6000 pairs, 2 were found"},
        {"1\nA 1 2\nA 1 B 2\nA 1 C 2\n", NULL,
         "list: its first line promises 2 pairs, 3 were found"},
        {"A 1 2\nA 1 B 2\n", NULL, "A/A_0001.jpg + A/A_0002.jpg 1, A/A_0001.jpg + B/B_0002.jpg 0"},
        {"name,imagenum1,name,imagenum2\nA,1,B,2\n", NULL, "A/A_0001.jpg + B/B_0002.jpg 0"},
        {"1 1\nAnn Lee 1 2\nAnn Lee 1 Bob 1\n", NULL, "list:2: an LFW picture number is expected"},
        {"a_1.jpg 1\na_2.jpg 1\nb_1.jpg 0\nc_1.jpg 0\n", NULL,
         "a_1.jpg + a_2.jpg 1, b_1.jpg + c_1.jpg 0"},
        {"a_1.jpg 1\na_2.jpg 0\n", NULL, "a_1.jpg + 1, a_2.jpg + 0"}};
    expect_lists(c, sizeof c / sizeof *c);
}

static void line_ends_and_comments(void **state) {
    (void)state;
    static const odd_list c[] = {
        {"a.png b.png 1\rc.png d.png 0\r", NULL, "a.png + b.png 1, c.png + d.png 0"},
        {"a.png b.png 1\r\r\nc.png d.png x\r\r\n", NULL,
         "list:2: the label \"x\" is neither 0 nor 1, nor a word such as same, different"},
        {"# mine\n  # and yours\na.png b.png 1\n#c.png d.png 0\n", NULL, "a.png + b.png 1"},
        {"a.png b.png 1\n#c.png d.png 0\n", "#c.png", "a.png + b.png 1, #c.png + d.png 0"},
        {"a.png b.png\n\xEF\xBB\xBF"
         "c.png d.png",
         NULL, "a.png + b.png, c.png + d.png"},
        {"\n\n \t \na.png b.png\n\n", NULL, "a.png + b.png"}};
    expect_lists(c, sizeof c / sizeof *c);
    cameo_pairs p;
    cameo_error error = {0};
    assert_false(cameo_pairs_parse("a\0 \0b\0", 6, "list", NULL, &p, &error));
    assert_non_null(strstr(error.message, "UTF-16"));
}

static uint32_t seed = 7;
static uint32_t below(uint32_t n) { return (seed = seed * 1664525u + 1013904223u) / 256 % n; }

/* Lists thrown together from what lists consist of: what is read has a pair for every line but one
   of headings, or a message. */
static void nothing_is_lost(void **state) {
    (void)state;
    static const char *const pieces[] = {
        "a",       "b.jpg",       "0",         "1",
        "-1",      " ",           "\t",        ",",
        ";",       "|",           "\"",        "\"\"",
        "\n",      "\r",          "#",         "same",
        "\\",      "label",       "10 300\n",  "1\t1\n",
        "p1",      "p2",          "gt",        "img1",
        "/",       "\r\n",        "different", "x y",
        "a b 1\n", "a.png,b.png", "\n",        "\xEF\xBB\xBF",
        "\n",      ",,,,",        "999999999", "name,imagenum1,imagenum2\n"};
    size_t read = 0;
    for (int round = 0; round < 30000; round++) {
        char text[1600] = "";
        const bool known = below(2);
        for (uint32_t n = below(40); n; n--)
            strcat(text, pieces[below(sizeof pieces / sizeof *pieces)]);
        const cameo_pairs_known pictures = {is_listed, "a|b.jpg|p1|#"};
        cameo_pairs p;
        cameo_error error = {0};
        if (!cameo_pairs_parse(text, strlen(text), "list", known ? &pictures : NULL, &p, &error)) {
            assert_int_equal(error.code, CAMEO_BAD_INPUT);
            continue;
        }
        cameo_lines l;
        size_t lines = 0, length;
        assert_true(cameo_lines_cut(text, strlen(text), "list", CAMEO_QUOTES_CSV, &l, NULL));
        for (size_t i = 0; i < l.count; i++) {
            const char *line = l.text + l.line[i].at;
            lines += !cameo_line_empty(line) && line[strspn(line, " \t")] != '#';
        }
        const size_t each = strcmp(p.format, "halves") == 0 ? 2 : 1;
        if (p.count * each + 1 < lines)
            fail_msg("%zu pairs of %zu lines:\n%s", p.count, lines, text);
        for (size_t i = 0; i < p.count; i++)
            assert_true(cameo_pairs_line(&p, i, &length) && length < sizeof text);
        cameo_lines_free(&l);
        cameo_pairs_free(&p);
        read++;
    }
    assert_true(read > 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines_are_kept),
                                       cmocka_unit_test(forms),
                                       cmocka_unit_test(bad_lines_are_numbered),
                                       cmocka_unit_test(headings_or_a_pair),
                                       cmocka_unit_test(lfw_forms),
                                       cmocka_unit_test(separators_and_quotes),
                                       cmocka_unit_test(line_ends_and_comments),
                                       cmocka_unit_test(labels_of_all_kinds),
                                       cmocka_unit_test(nothing_is_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
