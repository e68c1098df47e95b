/* cameo: arguments only. Each verb is in cmd_<verb>.c. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../models/models.h"
#include "cli.h"

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} verbs[] = {
    {"new", cmd_new, "write a fresh network of a known architecture"},
    {"info", cmd_info, "graph, shapes, parameters, multiply-adds of a model"},
    {"check", cmd_check, "will it compile? every problem at once"},
    {"compile", cmd_compile, "make a standalone program, a library, or C"},
    {"compare", cmd_compare, "compiled program against the reference interpreter"},
    {"conform", cmd_conform, "run ONNX backend tests: directories with a model and its data"},
    {"run", cmd_run, "compile into a cache and run the program's verb"},
};
enum { N_VERBS = sizeof verbs / sizeof *verbs };

static void help(FILE *to) {
    fprintf(to, "usage: cameo VERB ...\n\n");
    for (int i = 0; i < N_VERBS; i++) fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].about);
    fprintf(to, "\ncameo VERB --help tells more; cameo --version prints the version.\n");
}

int main(int argc, char **argv) {
    setlocale(LC_ALL, "C");
    signal(SIGPIPE, SIG_DFL);
    if (argc < 2) return help(stderr), CAMEO_USAGE;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) return help(stdout), 0;
    if (strcmp(argv[1], "--version") == 0) return puts("cameo " CAMEO_VERSION), 0;
    const char *names[N_VERBS];
    for (int i = 0; i < N_VERBS; i++) {
        names[i] = verbs[i].name;
        if (strcmp(argv[1], verbs[i].name) == 0) return verbs[i].run(argc - 1, argv + 1);
    }
    return cli_unknown("verb", argv[1], names, N_VERBS);
}
