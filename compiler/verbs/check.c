/* cameo check: the front half of the pipeline on each file, all problems told. */
#include <stdio.h>

#include "cli.h"

static const cameo_option table[] = {{"json", NULL, "one object a line"}, {0}};

static bool check_file(const options *shared, const char *path, bool json) {
    arena *a = arena_create();
    diag d = {.arena = a, .file = path};
    options o = *shared;
    o.input = path;
    bool ok = compile_front(a, &d, &o) != NULL;
    if (json) {
        diag_print_json(&d, stdout);
    } else {
        cli_print_diag(&d);
        if (ok) printf("%s: ok\n", path);
    }
    arena_destroy(a);
    return ok;
}

static int check(arena *a, const cameo_args *given, options *o) {
    int code = CAMEO_OK;
    const char *path;
    (void)a;
    for (size_t i = 0; (path = cameo_args_positional(given, i)); i++)
        if (!check_file(o, path, cameo_args_get(given, "json"))) code = CAMEO_BAD_INPUT;
    return code;
}

const cli_verb cli_check = {.name = "check",
                            .about = "will it compile? every problem at once",
                            .usage = "check MODEL.onnx... [--json] [options]",
                            .help = "Tells everything that keeps a model from being compiled.",
                            .options = table,
                            .takes = CLI_MODEL,
                            .least = 1,
                            .most = SIZE_MAX,
                            .run = check};
