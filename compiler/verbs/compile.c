/* cameo compile: a model in, a program (or a library, or C) out. */
#include <stdio.h>

#include "../tuning/tuning.h"
#include "cli.h"

static const cameo_option table[] = {
    {"output", "FILE", "what to write"},
    {"emit", "KIND", "exe (default), lib (static library), so (shared library) or c (generated C in a folder)"},
    {"name", "PREFIX", "prefix of the C names (default: from -o)"},
    {"weights", "WHERE", "embed (default), or sidecar: in a file PREFIX.weights beside the output"},
    CLI_MODEL_OPTIONS,
    CLI_BUILD_OPTIONS,
    {"tune", NULL,
     "time the kernels that fit each layer on this machine and take the fastest; timings are kept for the next time"},
    {"tuning", "FILE",
     "take the kernels that were fastest by the timings in FILE; with --tune: keep timings there, not in the cache"},
    {"detector", "FILE.onnx", "a face detector (YuNet) that enters the program: it takes whole photographs then"},
    {"train", NULL, "a program that also trains; --batch is the batch of its steps (default: 32)"},
    {"loss", "SPEC",
     "what training minimises, TERM[+TERM...]: ce (default), arcface, cosface, sphereface, margin, center, triplet, "
     "contrastive; with values such as arcface:s=64,m=0.5"},
    {"classes", "K", "make the classifier anew, for K classes"},
    {"classes-from", "DIR", "as --classes, one a sub-folder, with their names"},
    {"folded", "WHAT",
     "a net whose BatchNormalization an exporter has folded away: continue (default) warns and trains it, stop refuses"},
    {"freeze", "PATTERN", "do not train parameters of such names (repeatable)"},
    {0},
};

static int compile(arena *a, const cameo_args *given, options *o) {
    (void)a;
    if (!o->output) return cameo_usage_error(given, "-o FILE is missing");
    return o->tune || o->tuning_file ? tuning_compile(o) : compile_model(o);
}

const cli_verb cli_compile = {.name = "compile",
                              .about = "make a standalone program, a library, or C",
                              .usage = "compile MODEL.onnx -o FILE [options]",
                              .help = "Compiles a network into a standalone program.",
                              .options = table,
                              .least = 1,
                              .most = 1,
                              .run = compile};
