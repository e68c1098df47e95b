/* What surrounds the C compiler: C prefixes from outputs' names, missing libraries told from logs,
   the runtime's sources, processor levels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "compiler/emit/program.h"
#include "compiler/emit/toolchain.h"
#include "runtime/core/processor.h"

static void prefixes(void **state) {
    (void)state;
    static const struct {
        const char *output, *name;
        emit_kind emit;
        const char *prefix;
    } cases[] = {
        {"net", NULL, EMIT_EXE, "net"},
        {"a/b/my-net.v2", NULL, EMIT_EXE, "my_net_v2"},
        {"d/libface.a", NULL, EMIT_LIB, "face"},
        {"libface.so", NULL, EMIT_SO, "face"},
        {"lib.a", NULL, EMIT_LIB, "lib"},
        {"library", NULL, EMIT_EXE, "library"},
        {"7", NULL, EMIT_EXE, "n7"},
        {"...", NULL, EMIT_EXE, "unnamed"},
        {"x", "two words", EMIT_EXE, "two_words"},
        {"x", "libface", EMIT_LIB, "libface"},  /* as it was said */
        {"cameo", NULL, EMIT_EXE, "cameo_net"}, /* else its cameo_run would be the runtime's */
        {"cameo_x", NULL, EMIT_LIB, "cameo_x_net"},
        {"int", NULL, EMIT_LIB, "int_net"},
        {"x", "class", EMIT_LIB, "class_net"},
        {NULL, NULL, EMIT_C, "model"},
    };
    arena *a = arena_create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const options o = {.output = cases[i].output, .name = cases[i].name, .emit = cases[i].emit};
        assert_string_equal(emit_prefix(a, &o), cases[i].prefix);
    }
    arena_destroy(a);
}

static bool explained(const char *line, bool is_static) {
    char path[] = "/tmp/cameo-log-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line) &&
                close(fd) == 0);
    arena *a = arena_create();
    options o = {.is_static = is_static};
    assert_true(target_resolve("x86-64-v3", &o.target));
    const bool found = toolchain_explain(a, &o, path);
    arena_destroy(a);
    unlink(path);
    return found;
}

static void missing_parts(void **state) {
    (void)state;
    assert_true(explained("/usr/bin/ld: cannot find -lXNNPACK: No such file or directory\n", true));
    assert_true(explained("/usr/bin/ld: cannot find -lz\n", true));
    assert_true(explained("ld.lld: error: unable to find library -lturbojpeg\n", false));
    assert_true(explained("mold: fatal: library not found: png\n", false));
    assert_true(
        explained("image.c:6:10: fatal error: turbojpeg.h: No such file or directory\n", false));
    assert_true(explained("png.c:4:10: fatal error: 'png.h' file not found\n", false));
    assert_false(explained("/usr/bin/ld: cannot find -lpng12\n", false));
    assert_false(explained("part0.c:3: error: expected ';' before -lpng\n", false));
    assert_false(explained("", false));
}

/* A library is built of core/ and kernels/, a program of everything; xnn.c, which needs XNNPACK's
   header, only when there are layers. */
static void sources(void **state) {
    (void)state;
    arena *a = arena_create();
    const toolchain t = {.sources = CAMEO_SOURCE_DIR "/runtime"};
    size_t core, with, all, without;
    assert_non_null(toolchain_sources(a, &t, false, false, &core));
    const char **list = toolchain_sources(a, &t, false, true, &with);
    assert_string_equal(list[with - 1], "kernels/xnn.c");
    for (size_t i = 0; i < with; i++)
        assert_int_equal(access(arena_printf(a, "%s/%s", t.sources, list[i]), R_OK), 0);
    list = toolchain_sources(a, &t, true, true, &all);
    assert_non_null(toolchain_sources(a, &t, true, false, &without));
    assert_true(with == core + 1 && without + 1 == all && core < without);
    assert_string_equal(list[0], "core/context.c");
    const toolchain none = {.sources = "/nonexistent"};
    assert_null(toolchain_sources(a, &none, true, false, &all));
    arena_destroy(a);
}

#if defined(__x86_64__)
/* What `native` means is what runs here, and so is every level below it; one above, if there is
   one, lacks something. */
static void levels(void **state) {
    (void)state;
    target native;
    assert_true(target_resolve("native", &native));
    bool above = true;
    for (size_t i = 0; target_name(i) && strncmp(target_name(i), "x86-64", 6) == 0; i++) {
        const char *lacks = NULL;
        above = above && strcmp(target_name(i), native.name) != 0;
        assert_int_equal(cameo_target_runs(target_name(i), &lacks), !above);
        assert_int_equal(lacks != NULL, above);
    }
    const char *lacks = NULL;
    assert_false(cameo_target_runs("aarch64", &lacks)); /* of another family nothing runs */
    assert_string_equal(lacks, "AArch64 instructions");
    assert_true(cameo_target_runs("any", &lacks));
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes),
        cmocka_unit_test(missing_parts),
        cmocka_unit_test(sources),
#if defined(__x86_64__)
        cmocka_unit_test(levels)
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
