/* The command line: options, suggestions, splitting at the model, conform's JSON, the cache's
   limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/base/temporary.h"
#include "compiler/verbs/cli.h"
#include "compiler/verbs/conform.h"

static const cameo_option table[] = {{"json", NULL, ""}, {0}};
static const cli_verb verb = {.name = "test",
                              .usage = "",
                              .help = "",
                              .options = table,
                              .takes = CLI_COMPILE | CLI_MODEL | CLI_BUILD};
static arena *lists; /* of options, while the tests run */

enum { MAX_WORDS = 12 };

static int split(char *line, char **argv) {
    int n = 0;
    for (char *save = NULL, *w = strtok_r(line, " ", &save); w && n < MAX_WORDS;
         w = strtok_r(NULL, " ", &save))
        argv[n++] = w;
    return n;
}

static int parse(cameo_args *c, char *line) {
    char *argv[MAX_WORDS];
    return cli_parse(lists, c, &verb, split(line, argv), argv);
}

static int parse_options(const char *words, options *o, arena *a) {
    cameo_args c;
    char *line = arena_strdup(a, words);
    int code = parse(&c, line);
    if (!code) code = cli_options(a, &c, o);
    cameo_args_free(&c);
    return code;
}

static void options_of_all_forms(void **state) {
    (void)state;
    cameo_args c;
    char line[] = "test -oa.out --json a.onnx --batch=4 b.onnx -j 3 --output last -- --json";
    assert_int_equal(parse(&c, line), 0);
    assert_string_equal(cameo_args_get(&c, "output"), "last");
    assert_string_equal(cameo_args_get(&c, "json"), "");
    assert_string_equal(cameo_args_get(&c, "batch"), "4");
    assert_string_equal(cameo_args_get(&c, "jobs"), "3");
    assert_null(cameo_args_get(&c, "cc"));
    assert_int_equal(c.positionals, 3);
    assert_string_equal(cameo_args_positional(&c, 2), "--json");
    cameo_args_free(&c);
}

static void wrong_options(void **state) {
    (void)state;
    static const char *const lines[] = {"test --nope",
                                        "test --json=1",
                                        "test a --output",
                                        "test -x",
                                        "test --batch 0",
                                        "test --batch 4x",
                                        "test --shape x",
                                        "test --shape x=1x",
                                        "test --shape x=1x0x2",
                                        "test --dim n=many",
                                        "test --emit boat",
                                        "test --target pdp11",
                                        "test --dump-after lunch",
                                        "test --loss ce",
                                        "test --classes 5",
                                        "test --freeze a",
                                        "test --folded stop",
                                        "test --train --folded perhaps",
                                        "test --classes-from x",
                                        "test --train --classes 1",
                                        "test --train --classes 5 --classes-from x",
                                        "test --train --emit so",
                                        "test --detector f --emit lib",
                                        "test --train --bfloat16",
                                        "test --target x86-64,x86-64-v2 --tune",
                                        "test --target x86-64,x86-64-v2 --weights sidecar",
                                        "test --train --loss arc",
                                        "test --train --batch 7 --loss triplet"};
    arena *a = arena_create();
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        options o;
        if (parse_options(lines[i], &o, a) != 2) fail_msg("%s was taken", lines[i]);
    }
    arena_destroy(a);
}

static void compile_options(void **state) {
    (void)state;
    arena *a = arena_create();
    options o;
    assert_int_equal(
        parse_options(
            "t net.onnx --shape in=a=1x3x8x9 --dim N=5 --kernels plain --weights sidecar --static",
            &o, a),
        0);
    assert_string_equal(o.input, "net.onnx");
    assert_int_equal(o.n_shapes, 1);
    assert_string_equal(o.shapes[0].name, "in=a"); /* names may hold '=' */
    assert_int_equal(o.shapes[0].shape.rank, 4);
    assert_int_equal(o.shapes[0].shape.dim[3], 9);
    assert_int_equal(o.dims[0].value, 5);
    assert_int_equal(o.kernels, KERNELS_PLAIN);
    assert_true(o.sidecar && o.is_static);
    assert_non_null(o.target.name);
    assert_int_equal(
        parse_options("t net.onnx --target x86-64,x86-64 --emit c --weights sidecar", &o, a), 0);
    arena_destroy(a);
}

static void training_options(void **state) {
    (void)state;
    arena *a = arena_create();
    options o;
    assert_int_equal(
        parse_options("t net.onnx --train --freeze a* --classes 7 --freeze b.weight --emit c", &o,
                      a),
        0);
    assert_true(o.train && o.batch == 32 && o.classes == 7 && o.n_freeze == 2);
    assert_string_equal(o.freeze[1], "b.weight");
    assert_int_equal(parse_options("t net.onnx --train --batch 8 --classes-from faces", &o, a), 0);
    assert_int_equal(o.batch, 8);
    assert_string_equal(o.classes_from, "faces");
    arena_destroy(a);
}

/* ---- the table ---- */

/* A value that the row takes and that is not the one without the option. */
static const char *sample(const cli_row *r) {
    switch (r->type) {
    case CLI_WHOLE: return "6";
    case CLI_WORD: return r->words[1];
    case CLI_LISTED: return r->listed(1);
    case CLI_DIM: return "n=3";
    case CLI_SHAPE: return "n=3x4";
    case CLI_TARGETS: return "x86-64,x86-64-v2";
    default: return strcmp(r->option.name, "loss") == 0 ? "arcface" : "/no/such";
    }
}

static void key_with(arena *a, const char *words, char key[65]) {
    options o;
    if (parse_options(words, &o, a)) fail_msg("%s was not taken", words);
    cli_cache_key("hash", &o, key);
}

/* What changes the program is in the key of a cached one, and nothing else is. */
static void rows_and_the_key(void **state) {
    (void)state;
    arena *a = arena_create();
    for (size_t i = 0; i < cli_row_count; i++) {
        const cli_row *r = &cli_rows[i];
        char without[65], with[65];
        const char *needs = r->needs ? arena_printf(a, "t net.onnx --%s", r->needs) : "t net.onnx";
        key_with(a, needs, without);
        key_with(
            a,
            arena_printf(a, "%s --%s %s", needs, r->option.name, r->option.value ? sample(r) : ""),
            with);
        if ((strcmp(with, without) == 0) != r->keeps_program)
            fail_msg("--%s: the key", r->option.name);
        if (r->needs && parse_options(arena_printf(a, "t --%s %s", r->option.name, sample(r)),
                                      &(options){0}, a) != 2)
            fail_msg("--%s without --%s", r->option.name, r->needs);
    }
    arena_destroy(a);
}

static void help_names_the_words(void **state) {
    (void)state;
    for (size_t i = 0; i < cli_row_count; i++) {
        const cli_row *r = &cli_rows[i];
        assert_true((r->type == CLI_FLAG) == !r->option.value);
        assert_true(r->option.help[0] && r->verbs);
        for (size_t k = 0; r->words && r->words[k]; k++)
            if (!strstr(r->option.help, r->words[k]))
                fail_msg("--%s: help lacks %s", r->option.name, r->words[k]);
        for (size_t k = 0; r->type == CLI_TARGETS && target_name(k); k++)
            if (!strstr(r->option.help, target_name(k)))
                fail_msg("--target: help lacks %s", target_name(k));
    }
}

static const cli_verb *const verbs[] = {
#define VERB(name) &cli_##name,
#include "compiler/verbs/verbs.def"
#undef VERB
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static size_t times(const cameo_option *list, const char *name) {
    size_t n = 0;
    for (; list->name; list++) n += strcmp(list->name, name) == 0;
    return n;
}

/* Each row is in the help of each verb that takes it, once; a verb's own option of a row's name is
   that row, in other words. */
static void verbs_and_rows(void **state) {
    (void)state;
    arena *a = arena_create();
    for (size_t v = 0; v < VERBS; v++) {
        const cameo_option *all = cli_verb_options(a, verbs[v]);
        assert_true(verbs[v]->name && verbs[v]->about && verbs[v]->usage && verbs[v]->help &&
                    verbs[v]->run);
        for (const cameo_option *o = all; o->name; o++)
            if (times(all, o->name) != 1) fail_msg("%s --%s: twice", verbs[v]->name, o->name);
        for (size_t i = 0; i < cli_row_count; i++) {
            const cli_row *r = &cli_rows[i];
            const bool takes = r->verbs & verbs[v]->takes;
            if (takes && !times(all, r->option.name))
                fail_msg("%s lacks --%s", verbs[v]->name, r->option.name);
            if (!takes && !verbs[v]->own_options && times(all, r->option.name))
                fail_msg("%s --%s: of another meaning", verbs[v]->name, r->option.name);
            for (const cameo_option *o = all; o->name; o++)
                if (strcmp(o->name, r->option.name) == 0)
                    assert_true(!o->value == !r->option.value);
        }
    }
    for (size_t i = 0; i < cli_row_count; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(cli_rows[i].option.name, cli_rows[k].option.name);
    arena_destroy(a);
}

/* --dump-after's help and its parser ask the table of passes. */
static void help_lists_the_passes(void **state) {
    (void)state;
    arena *a = arena_create();
    const cameo_option *o = cli_verb_options(a, &cli_check);
    while (o->name && strcmp(o->name, "dump-after") != 0) o++;
    assert_non_null(o->name);
    for (size_t i = 0; compile_pass_name(i); i++)
        if (!strstr(o->help, compile_pass_name(i))) fail_msg("%s", compile_pass_name(i));
    arena_destroy(a);
}

static void pass_names(void **state) {
    (void)state;
    arena *a = arena_create();
    size_t n = 0;
    for (; compile_pass_name(n); n++) {
        options o;
        if (parse_options(arena_printf(a, "t --dump-after %s", compile_pass_name(n)), &o, a))
            fail_msg("%s", compile_pass_name(n));
    }
    assert_int_equal(n, 27);
    assert_string_equal(compile_pass_name(0), "import");
    assert_string_equal(compile_pass_name(n - 1), "step-plan");
    arena_destroy(a);
}

static void shapes_and_numbers(void **state) {
    (void)state;
    shape s;
    int64_t v;
    assert_true(cli_shape("scalar", &s) && s.rank == 0);
    assert_true(cli_shape("3,4", &s) && s.rank == 2 && s.dim[1] == 4);
    assert_false(cli_shape("", &s) || cli_shape("x", &s) || cli_shape("3x-1", &s) ||
                 cli_shape("3x99999999999", &s));
    assert_true(cameo_parse_integer("-3", -3, 3, &v) && v == -3);
    assert_false(cameo_parse_integer("4", -3, 3, &v) || cameo_parse_integer("", 0, 9, &v) ||
                 cameo_parse_integer("99999999999999999999", 0, 9, &v));
}

static void suggestions(void **state) {
    (void)state;
    static const char *const names[] = {"batch", "output", "classes", "classes-from", "j"};
    static const struct {
        const char *word, *near;
    } cases[] = {{"batch", "batch"},   {"bacth", "batch"},        {"btch", "batch"},
                 {"outptu", "output"}, {"class", "classes"},      {"classes-form", "classes-from"},
                 {"weights", NULL},    {"batch-of-images", NULL}, {"", "j"},
                 {"xyz", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *near = cameo_nearest(cases[i].word, names, 5);
        if (near ? !cases[i].near || strcmp(near, cases[i].near) : cases[i].near != NULL)
            fail_msg("%s: %s", cases[i].word, near ? near : "nothing");
    }
    char endless[400]; /* too long to be compared: far from everything, however much may be wrong in
                          it */
    memset(endless, 'b', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    assert_null(cameo_nearest(endless, names, 5));
}

/* `cameo run` passes everything behind the model on. */
static void until_the_model(void **state) {
    (void)state;
    static const cli_verb run = {.name = "run",
                                 .usage = "",
                                 .help = "",
                                 .options = table,
                                 .takes = CLI_MODEL | CLI_BUILD,
                                 .until_first = true};
    static const struct {
        const char *line;
        int at; /* of the model; 0: none */
    } cases[] = {{"run net.onnx info --json", 1},
                 {"run --batch 4 net.onnx", 3},
                 {"run --batch=4 net.onnx", 2},
                 {"run -j 2 --static net.onnx", 4},
                 {"run -j2 net.onnx bench --no-such-option", 2},
                 {"run -- --odd.onnx info", 2},
                 {"run", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[64], *argv[MAX_WORDS];
        cameo_args c;
        snprintf(line, sizeof line, "%s", cases[i].line);
        const int argc = split(line, argv);
        assert_int_equal(cli_parse(lists, &c, &run, argc, argv), 0);
        assert_int_equal(c.positionals, cases[i].at != 0);
        if (cases[i].at) assert_ptr_equal(c.last, argv + cases[i].at);
        cameo_args_free(&c);
    }
}

/* A word behind one dash is an option's name or begins with a letter; a letter is an option where
   the verb has it. */
static void letters(void **state) {
    (void)state;
    cameo_args c;
    char line[] = "test -json -output=a -obc -classes 5";
    assert_int_equal(parse(&c, line), 0);
    assert_string_equal(cameo_args_get(&c, "output"), "bc");
    assert_string_equal(cameo_args_get(&c, "classes"), "5");
    assert_non_null(cameo_args_get(&c, "json"));
    cameo_args_free(&c);
    static const cameo_option few[] = {{"json", NULL, ""}, {0}};
    cameo_args none = {.options = few, .usage = "", .program = "net"};
    char word[] = "-o", *argv[] = {word};
    assert_int_equal(cameo_args_parse(&none, 1, argv), CAMEO_USAGE);
    cameo_args_free(&none);
}

static void json_of_a_test(void **state) {
    (void)state;
    char *line;
    size_t size;
    outcome o = {.verdict = VERDICT_FAIL,
                 .reference = VERDICT_PASS,
                 .compared = true,
                 .max_abs = 0.5,
                 .max_rel = 1e-7,
                 .frozen = 1,
                 .reason = "a \"reason\"\n"};
    FILE *f = open_memstream(&line, &size);
    conform_json(f, "test_x", &o);
    fflush(f);
    assert_string_equal(
        line,
        "{\"test\":\"test_x\",\"result\":\"fail\",\"max_abs\":0.5,\"max_rel\":1e-07,\"frozen\":1,"
        "\"folded\":false,\"reference\":\"pass\",\"reason\":\"a \\\"reason\\\"\\u000a\"}\n");
    rewind(f);
    conform_json(f, "y", &(outcome){.folded = true});
    fclose(f);
    assert_string_equal(
        line, "{\"test\":\"y\",\"result\":\"unsupported\",\"max_abs\":null,\"max_rel\":null,"
              "\"frozen\":0,\"folded\":true,\"reference\":null,\"reason\":\"\"}\n");
    free(line);
}

static void put(const char *directory, const char *name, time_t used) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_true(cameo_write_file(path, "0123456789", 10, NULL));
    const struct timespec times[2] = {{.tv_sec = used}, {.tv_sec = used}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool there(const char *directory, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

static void cache_keeps_what_was_used_last(void **state) {
    (void)state;
    static const char a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                      b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                      c[] = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
                      rest[] =
                          "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd.tmp77";
    arena *memory = arena_create();
    char *d = temporary_directory(memory);
    assert_non_null(d);
    put(d, a, 100), put(d, b, 300), put(d, c, 200), put(d, rest, 50), put(d, "other", 1);
    cli_trim_cache(d, a, 40);
    assert_true(there(d, a) && there(d, b) && there(d, c) && there(d, rest));
    cli_trim_cache(d, a, 20);
    assert_true(there(d, a) && there(d, b) && !there(d, c) && !there(d, rest));
    cli_trim_cache(d, a, 0); /* what was just built stays, and what is not ours */
    assert_true(there(d, a) && !there(d, b) && there(d, "other"));
    temporary_remove(d);
    arena_destroy(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_all_forms),
        cmocka_unit_test(wrong_options),
        cmocka_unit_test(compile_options),
        cmocka_unit_test(training_options),
        cmocka_unit_test(rows_and_the_key),
        cmocka_unit_test(help_names_the_words),
        cmocka_unit_test(verbs_and_rows),
        cmocka_unit_test(help_lists_the_passes),
        cmocka_unit_test(pass_names),
        cmocka_unit_test(shapes_and_numbers),
        cmocka_unit_test(suggestions),
        cmocka_unit_test(until_the_model),
        cmocka_unit_test(letters),
        cmocka_unit_test(json_of_a_test),
        cmocka_unit_test(cache_keeps_what_was_used_last),
    };
    lists = arena_create();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_destroy(lists);
    return failed;
}
