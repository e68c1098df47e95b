/* cameo: the verbs. Each has its row in verbs/<verb>.c, `new` in models/new.c; verbs/verbs.def
   names them. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "verbs/cli.h"

#define VERB(name) &cli_##name,
static const cli_verb *const verbs[] = {
#include "verbs/verbs.def"
};
#undef VERB
enum { N_VERBS = sizeof verbs / sizeof *verbs };

static void help(FILE *to) {
    fprintf(to, "usage: cameo VERB ...\n\n");
    for (int i = 0; i < N_VERBS; i++) fprintf(to, "  %-9s %s\n", verbs[i]->name, verbs[i]->about);
    fprintf(to, "\ncameo VERB --help tells more; cameo --version prints the version.\n");
}

int main(int argc, char **argv) {
    setlocale(LC_ALL, "C");
    signal(SIGPIPE, SIG_DFL);
    if (argc < 2) return help(stderr), CAMEO_USAGE;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return help(stdout), 0;
    if (strcmp(argv[1], "--version") == 0) return puts("cameo " CAMEO_VERSION), 0;
    const char *names[N_VERBS];
    for (int i = 0; i < N_VERBS; i++) {
        names[i] = verbs[i]->name;
        if (strcmp(argv[1], names[i]) == 0) return cli_main(verbs[i], argc - 1, argv + 1);
    }
    return cli_unknown("verb", argv[1], names, N_VERBS);
}
