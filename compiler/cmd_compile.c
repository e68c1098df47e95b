/* cameo compile: a model in, a program (or a library, or C) out. */
#include <stdio.h>

#include "cli.h"

static const cli_option table[] = {
    {"output", "FILE", "what to write", 'o'},
    {"emit", "KIND", "exe (default), lib (static library), so (shared library) or c (generated C in a folder)", 0},
    {"name", "PREFIX", "prefix of the C names (default: from -o)", 0},
    {"weights", "WHERE", "embed (default), or sidecar: in a file PREFIX.weights beside the output", 0},
    CLI_MODEL_OPTIONS,
    CLI_BUILD_OPTIONS,
    {"tune", NULL,
     "time the kernels that fit each layer on this machine and take the fastest; timings are kept for the next time", 0},
    {"tuning", "FILE",
     "take the kernels that were fastest by the timings in FILE; with --tune: keep timings there, not in the cache", 0},
    {"detector", "FILE.onnx", "a face detector (YuNet) that enters the program: it takes whole photographs then", 0},
    {"train", NULL, "a program that also trains; --batch is the batch of its steps (default: 32)", 0},
    {"loss", "SPEC",
     "what training minimises, TERM[+TERM...]: ce (default), arcface, cosface, sphereface, margin, center, triplet, "
     "contrastive; with values such as arcface:s=64,m=0.5",
     0},
    {"classes", "K", "make the classifier anew, for K classes", 0},
    {"classes-from", "DIR", "as --classes, one a sub-folder, with their names", 0},
    {"folded", "WHAT",
     "a net whose BatchNormalization an exporter has folded away: continue (default) warns and trains it, stop refuses", 0},
    {"freeze", "PATTERN", "do not train parameters of such names (repeatable)", 0},
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
