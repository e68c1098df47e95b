/* cameo_main: the entry of a compiled program. The table of verbs is the whole of it. */
#include "verbs.h"
#include <string.h>

static const struct verb_row {
    const char *name;
    cameo_verb *run;
    const char *help;
} verbs[] = {{"info", cameo_verb_info, "what this program is: model, inputs, outputs, preprocessing"},
             {"run", cameo_verb_run, "raw tensors in, raw tensors out"},
             {"bench", cameo_verb_bench, "time the network"},
             {"profile", cameo_verb_profile, "time every layer"},
             {"embed", cameo_verb_embed, "embeddings of pictures"},
             {"verify", cameo_verb_verify, "compare two faces"},
             {"score", cameo_verb_score, "score a list of pairs"},
             {"calibrate", cameo_verb_calibrate, "choose a threshold on a labelled list and store it"},
             {"classify", cameo_verb_classify, "most likely classes of pictures"}};
enum { VERBS = sizeof verbs / sizeof *verbs };

static void print_usage(FILE *f, const char *program) {
    fprintf(f, "usage: %s VERB ... (VERB --help says more)\n", program);
    for (int i = 0; i < VERBS; i++) fprintf(f, "  %-10s %s\n", verbs[i].name, verbs[i].help);
}

static int unknown_verb(const char *program, const char *word) {
    const char *names[VERBS];
    for (int i = 0; i < VERBS; i++) names[i] = verbs[i].name;
    const char *near = cameo_nearest(word, names, VERBS);
    fprintf(stderr, "unknown verb \"%s\"", word);
    if (near) fprintf(stderr, "; did you mean %s?", near);
    fputc('\n', stderr);
    print_usage(stderr, program);
    return CAMEO_USAGE;
}

static int version(const cameo_model *model) {
    printf("%s, compiled by cameo %s, runtime %s\nmodel %s\n", model->name, model->version, CAMEO_VERSION, model->hash);
    return CAMEO_OK;
}

int cameo_main(const cameo_model *model, int argc, char **argv) {
    const char *program = argc > 0 && argv[0] ? argv[0] : model->name;
    if (model->abi != CAMEO_ABI) {
        fprintf(stderr, "%s: compiled for runtime interface %u, linked with %d\n", program, model->abi, CAMEO_ABI);
        return CAMEO_DEFECT;
    }
    if (argc < 2) return print_usage(stderr, program), CAMEO_USAGE;
    if (strcmp(argv[1], "--version") == 0) return version(model);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return print_usage(stdout, program), CAMEO_OK;
    for (int i = 0; i < VERBS; i++) {
        if (strcmp(argv[1], verbs[i].name) != 0) continue;
        int code = verbs[i].run(model, program, argc - 2, argv + 2);
        if (fflush(stdout) != 0 || ferror(stdout)) {
            fprintf(stderr, "%s: cannot write to standard output\n", program);
            return code ? code : CAMEO_ENVIRONMENT;
        }
        return code;
    }
    return unknown_verb(program, argv[1]);
}
