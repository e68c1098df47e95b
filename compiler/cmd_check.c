/* cameo check: the front half of the pipeline on each file, all problems told. */
#include <stdio.h>

#include "cli.h"

static const cli_option table[] = {{"json", NULL, "one object a line", 0}, CLI_MODEL_OPTIONS, {NULL, NULL, NULL, 0}};
static const cli_verb verb = {"check MODEL.onnx... [--json] [options]",
                              "Tells everything that keeps a model from being compiled.", table};

static bool check_file(const options *shared, const char *path, bool json) {
    arena *a = arena_create();
    diag d = {.arena = a, .file = path};
    options o = *shared;
    o.input = path;
    bool ok = compile_front(a, &d, &o) != NULL;
    if (json) {
        text t = {0};
        diag_print_json(&d, &t);
        fputs(text_str(&t), stdout);
        text_free(&t);
    } else {
        cli_print_diag(&d);
        if (ok) printf("%s: ok\n", path);
    }
    arena_destroy(a);
    return ok;
}

int cmd_check(int argc, char **argv) {
    cli c;
    int code = cli_parse(&c, &verb, argc, argv);
    arena *a = arena_create();
    options o;
    if (!code) code = cli_options(a, &c, &o);
    if (!code && c.n_positional == 0) {
        fprintf(stderr, "usage: cameo %s\n", verb.usage);
        code = 2;
    }
    for (size_t i = 0, n = code ? 0 : c.n_positional; i < n; i++)
        if (!check_file(&o, c.positional[i], cli_get(&c, "json") != NULL)) code = 1;
    arena_destroy(a);
    cli_free(&c);
    return code < 0 ? 0 : code;
}
