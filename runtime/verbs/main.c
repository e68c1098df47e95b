/* cameo_main: the entry of a compiled program. verbs.def is the table of verbs. */
#include "verbs.h"
#include <string.h>

#define VERB(name) &cameo_verb_##name,
#define TRAINER_VERB(name)
static const cameo_verb *const verbs[] = {
#include "verbs.def"
};
#undef VERB
#undef TRAINER_VERB
enum { VERBS = sizeof verbs / sizeof *verbs };

/* Verb i: those of the program first, then the others of the table above; NULL behind the last. */
static const cameo_verb *verb_at(const cameo_verb *const *own, size_t i) {
    size_t n = 0, k = 0;
    while (own && own[n]) n++;
    if (i < n) return own[i];
    for (size_t left = i - n; k < VERBS; k++) {
        bool replaced = false;
        for (size_t j = 0; j < n; j++) replaced |= strcmp(own[j]->name, verbs[k]->name) == 0;
        if (!replaced && left-- == 0) return verbs[k];
    }
    return NULL;
}

static void print_usage(FILE *f, const char *program, const cameo_verb *const *own) {
    const cameo_verb *v;
    fprintf(f, "usage: %s VERB ... (VERB --help says more)\n", program);
    for (size_t i = 0; (v = verb_at(own, i)); i++) fprintf(f, "  %-10s %s\n", v->name, v->about);
    if (own)
        fputs("every verb takes --weights CHECKPOINT: a file, or the folder of a run (its "
              "best.onnx)\n",
              f);
}

static int unknown_verb(const char *program, const char *word, const cameo_verb *const *own) {
    const char *names[2 * VERBS];
    const cameo_verb *v;
    size_t n = 0;
    for (; n < 2 * VERBS && (v = verb_at(own, n)); n++) names[n] = v->name;
    cameo_unknown(NULL, "verb", word, names, n);
    print_usage(stderr, program, own);
    return CAMEO_USAGE;
}

const cameo_verb *cameo_find_verb(const cameo_verb *const *own, const char *name) {
    const cameo_verb *v = NULL;
    for (size_t i = 0; (v = verb_at(own, i)) && strcmp(name, v->name) != 0;) i++;
    return v;
}

static int run_verb(const cameo_verb *v, const cameo_model *model, const char *program, int argc,
                    char **argv) {
    cameo_args a = {.options = v->options, .usage = v->usage, .program = program};
    int code = cameo_args_parse(&a, argc, argv);
    if (code == 0) code = v->run(model, &a);
    cameo_args_free(&a);
    return code < 0 ? CAMEO_OK : code;
}

static int version(const cameo_model *model) {
    printf("%s, compiled by cameo %s, runtime %s\nmodel %s\n", model->name, model->version,
           CAMEO_VERSION, model->hash);
    return CAMEO_OK;
}

int cameo_dispatch(const cameo_model *model, const cameo_verb *const *own, int argc, char **argv) {
    const char *program = argc > 0 && argv[0] ? argv[0] : model->name;
    if (model->abi != CAMEO_ABI) {
        fprintf(stderr, "%s: compiled for runtime interface %u, linked with %d\n", program,
                model->abi, CAMEO_ABI);
        return CAMEO_DEFECT;
    }
    if (argc < 2) return print_usage(stderr, program, own), CAMEO_USAGE;
    if (strcmp(argv[1], "--version") == 0) return version(model);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return print_usage(stdout, program, own), CAMEO_OK;
    const cameo_verb *v = cameo_find_verb(own, argv[1]);
    if (!v) return unknown_verb(program, argv[1], own);
    const int code = run_verb(v, model, program, argc - 2, argv + 2);
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    fprintf(stderr, "%s: cannot write to standard output\n", program);
    return code ? code : CAMEO_ENVIRONMENT;
}

int cameo_main(const cameo_model *model, int argc, char **argv) {
    return cameo_dispatch(cameo_model_here(model), NULL, argc, argv);
}
