/* cameo compile: a model in, a program (or a library, or C) out. */

#include "../tuning/tuning.h"
#include "cli.h"

static int compile(arena *a, const cameo_args *given, options *o) {
    (void)a;
    if (!o->output) return cameo_usage_error(given, "-o FILE is missing");
    return o->tune || o->tuning_file ? tuning_compile(o) : compile_model(o);
}

const cli_verb cli_compile = {.name = "compile",
                              .about = "make a standalone program, a library, or C",
                              .usage = "compile MODEL.onnx -o FILE [options]",
                              .help = "Compiles a network into a standalone program.",
                              .takes = CLI_COMPILE | CLI_MODEL | CLI_BUILD,
                              .least = 1,
                              .most = 1,
                              .run = compile};
