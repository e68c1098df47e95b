/* cameo_train_main: the entry of a training program. Its weights are a block in memory, from the
   model file or a checkpoint. */
#define _GNU_SOURCE 1
#include "../training/checkpoint.h"
#include "../training/parameters.h"
#include "live.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char *checkpoint_of(const char *path) {
    struct stat s;
    if (stat(path, &s) != 0 || !S_ISDIR(s.st_mode)) return cameo_join(NULL, path);
    char *best = cameo_join(path, "best.onnx");
    if (cameo_file_exists(best)) return best;
    free(best);
    return cameo_join(path, "last.onnx");
}

static void keep_text(char **kept, const char *text) {
    free(*kept);
    *kept = text ? cameo_join(NULL, text) : NULL;
}

bool cameo_live_load(cameo_live *live, const char *path, cameo_error *error) {
    char *file = checkpoint_of(path);
    cameo_checkpoint_file *f = cameo_checkpoint_open(file, error);
    const bool good = f && cameo_checkpoint_weights(f, live->trainer, live->parameters, error);
    if (good) {
        cameo_checkpoint_hash(f, live->hash);
        live->model.hash = live->hash;
        live->from = path;
        keep_text(&live->preprocess,
                  cameo_property(cameo_checkpoint_properties(f), "cameo.preprocess"));
        keep_text(&live->classes, cameo_property(cameo_checkpoint_properties(f), "cameo.classes"));
        if (live->preprocess) live->model.preprocess = live->preprocess;
    }
    cameo_checkpoint_close(f);
    free(file);
    return good;
}

/* Takes `--weights FILE` out of argv. False after a message when it has no value. */
static bool take_weights(int *argc, char **argv, const char **weights) {
    int n = 0;
    *weights = NULL;
    for (int i = 0; i < *argc; i++) {
        if (strncmp(argv[i], "--weights=", 10) == 0) {
            *weights = argv[i] + 10;
        } else if (strcmp(argv[i], "--weights") == 0) {
            if (++i == *argc)
                return fprintf(stderr, "option --weights needs a value: a checkpoint\n"), false;
            *weights = argv[i];
        } else {
            argv[n++] = argv[i];
        }
    }
    argv[n] = NULL;
    *argc = n;
    return true;
}

static bool asks_help(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

#define VERB(name)
#define TRAINER_VERB(name) &cameo_verb_##name,
static const cameo_verb *const own[] = {
#include "verbs.def"
    NULL};
#undef VERB
#undef TRAINER_VERB

/* The weights of the model file are rarely what is meant once a net was trained. */
static void say_untrained(const cameo_live *live, const char *name) {
    const cameo_verb *v = cameo_find_verb(own, name);
    if (v && v->about_weights)
        fprintf(
            stderr,
            "%s: with the weights of the model file; --weights RUN takes those of a checkpoint\n",
            live->model.name);
}

static int dispatch(cameo_live *live, int argc, char **argv) {
    const char *weights;
    cameo_error error = {0};
    if (!take_weights(&argc, argv, &weights)) return CAMEO_USAGE;
    if (weights && !asks_help(argc, argv) && !cameo_live_load(live, weights, &error))
        return cameo_report_error(&error);
    if (!weights && argc > 1 && !asks_help(argc, argv)) say_untrained(live, argv[1]);
    return cameo_dispatch(&live->model, own, argc, argv);
}

/* Piece by piece: what was read of the program's file is given back at once, or a large net's
   weights would be in memory twice. It comes again when somebody reads it. */
static void copy_initial(float *to, const cameo_trainer *t) {
    enum { PIECE = 1 << 24 };
    const size_t bytes = t->floats * sizeof *to, page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t at = 0; at < bytes; at += PIECE) {
        const size_t n = bytes - at < PIECE ? bytes - at : PIECE;
        memcpy((unsigned char *)to + at, t->initial + at, n);
        const uintptr_t from = (uintptr_t)(t->initial + at),
                        first = (from + page - 1) / page * page, end = (from + n) / page * page;
        if (t->initial_in_program && first < end)
            madvise((void *)first, end - first, MADV_DONTNEED);
    }
}

int cameo_train_main(const cameo_trainer *t, int argc, char **argv) {
    cameo_live live = {.model = *t->infer, .trainer = t};
    cameo_error error = {0};
    char **copy = cameo_allocate((size_t)argc + 1, sizeof *copy);
    for (int i = 0; i < argc; i++) copy[i] = argv[i];
    live.parameters = live.model.live = cameo_block_create(t->floats, "weights", &error);
    int code;
    if (live.parameters) {
        copy_initial(live.parameters, t);
        code = dispatch(&live, argc, copy);
    } else {
        code = cameo_report_error(&error);
    }
    cameo_block_free(live.parameters, t->floats);
    free(live.preprocess);
    free(live.classes);
    free(copy);
    return code;
}
