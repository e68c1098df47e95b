/* cameo compile: a model in, a program (or a library, or C) out. */
#include <stdio.h>

#include "cli.h"

static const cli_option table[] = {
    {"output", "FILE", "what to write", 'o'},
    {"emit", "KIND", "exe (default), lib, so or c", 0},
    {"name", "PREFIX", "prefix of the C names (default: from -o)", 0},
    CLI_MODEL_OPTIONS,
    CLI_BUILD_OPTIONS,
    {NULL, NULL, NULL, 0},
};
static const cli_verb verb = {"compile MODEL.onnx -o FILE [options]", "Compiles a network into a standalone program.", table};

int cmd_compile(int argc, char **argv) {
    cli c;
    int code = cli_parse(&c, &verb, argc, argv);
    arena *a = arena_create();
    options o;
    if (!code) code = cli_options(a, &c, &o);
    if (!code && (c.n_positional != 1 || !o.output)) {
        fprintf(stderr, "usage: cameo %s\n", verb.usage);
        code = 2;
    }
    if (!code) code = compile_model(&o);
    arena_destroy(a);
    cli_free(&c);
    return code < 0 ? 0 : code;
}
