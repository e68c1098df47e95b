/* cameo_main: the entry of a compiled program. The table of verbs is the whole of it. */
#include "verbs.h"
#include <string.h>

static const cameo_verb_row verbs[] = {
    {"info", cameo_verb_info, "what this program is: model, inputs, outputs, preprocessing"},
    {"run", cameo_verb_run, "raw tensors in, raw tensors out"},
    {"bench", cameo_verb_bench, "time the network"},
    {"profile", cameo_verb_profile, "time every layer"},
    {"embed", cameo_verb_embed, "embeddings of pictures"},
    {"verify", cameo_verb_verify, "compare two faces"},
    {"score", cameo_verb_score, "score a list of pairs"},
    {"calibrate", cameo_verb_calibrate, "choose a threshold on a labelled list and store it"},
    {"identify", cameo_verb_identify, "find out which of the known people pictures show"},
    {"report", cameo_verb_report, "compare scoring runs in one page"},
    {"classify", cameo_verb_classify, "most likely classes of pictures"}};
enum { VERBS = sizeof verbs / sizeof *verbs };

/* Verb i: those of the program first, then the others of the table above; NULL behind the last. */
static const cameo_verb_row *verb_at(const cameo_verb_row *own, size_t i) {
    size_t n = 0, k = 0;
    while (own && own[n].name) n++;
    if (i < n) return &own[i];
    for (size_t left = i - n; k < VERBS; k++) {
        bool replaced = false;
        for (size_t j = 0; j < n; j++) replaced |= strcmp(own[j].name, verbs[k].name) == 0;
        if (!replaced && left-- == 0) return &verbs[k];
    }
    return NULL;
}

static void print_usage(FILE *f, const char *program, const cameo_verb_row *own) {
    const cameo_verb_row *v;
    fprintf(f, "usage: %s VERB ... (VERB --help says more)\n", program);
    for (size_t i = 0; (v = verb_at(own, i)); i++) fprintf(f, "  %-10s %s\n", v->name, v->help);
    if (own) fputs("every verb takes --weights CHECKPOINT: a file, or the folder of a run (its best.onnx)\n", f);
}

static int unknown_verb(const char *program, const char *word, const cameo_verb_row *own) {
    const char *names[2 * VERBS];
    const cameo_verb_row *v;
    size_t n = 0;
    for (; n < 2 * VERBS && (v = verb_at(own, n)); n++) names[n] = v->name;
    cameo_unknown(NULL, "verb", word, names, n);
    print_usage(stderr, program, own);
    return CAMEO_USAGE;
}

static int version(const cameo_model *model) {
    printf("%s, compiled by cameo %s, runtime %s\nmodel %s\n", model->name, model->version, CAMEO_VERSION, model->hash);
    return CAMEO_OK;
}

int cameo_dispatch(const cameo_model *model, const cameo_verb_row *own, int argc, char **argv) {
    const char *program = argc > 0 && argv[0] ? argv[0] : model->name;
    if (model->abi != CAMEO_ABI) {
        fprintf(stderr, "%s: compiled for runtime interface %u, linked with %d\n", program, model->abi, CAMEO_ABI);
        return CAMEO_DEFECT;
    }
    if (argc < 2) return print_usage(stderr, program, own), CAMEO_USAGE;
    if (strcmp(argv[1], "--version") == 0) return version(model);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return print_usage(stdout, program, own), CAMEO_OK;
    const cameo_verb_row *v = NULL;
    for (size_t i = 0; (v = verb_at(own, i)) && strcmp(argv[1], v->name) != 0;) i++;
    if (!v) return unknown_verb(program, argv[1], own);
    const int code = v->run(model, program, argc - 2, argv + 2);
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    fprintf(stderr, "%s: cannot write to standard output\n", program);
    return code ? code : CAMEO_ENVIRONMENT;
}

int cameo_main(const cameo_model *model, int argc, char **argv) {
    return cameo_dispatch(cameo_model_here(model), NULL, argc, argv);
}
