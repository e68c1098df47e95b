/* Times the kernels that fit each layer, in whole programs, where a layer meets the caches that it
   will meet. See tuning.h. */
#define _GNU_SOURCE
#include "tuning.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "../../runtime/base/files.h"
#include "../../runtime/base/json_read.h"
#include "../../runtime/core/processor.h"
#include "../base/cache.h"
#include "../base/process.h"
#include "../base/temporary.h"
#include "../ir/implementation.h"
#include "../passes/front.h"
#include "trial.h"

enum { CYCLES = 5, RUNS = 8, PROGRAMS_MOST = 16, PROFILE_MOST = 64 << 20 };
/* A kernel replaces the rule's choice when it saves more than noise does. */
static const double WORTH = 0.98;

typedef enum mode { MODE_COUNT, MODE_TRIAL, MODE_CHOOSE } mode;

typedef struct trial_layer { /* of a trial program: a layer whose time is wanted */
    size_t program, timing;  /* number in the list */
    const char *label;
    int cycle; /* that it was last read in */
} trial_layer;

typedef struct tuning {
    chooser chooser; /* first, so that choose() finds the rest */
    mode mode;
    timings known;
    const char *processor, *path; /* processor NULL: timings of any serve */
    const options *options;
    size_t missing;  /* MODE_COUNT: layers with a kernel not timed */
    size_t programs; /* built so far */
    trial_layer *layers;
    size_t n_layers, cap_layers;
    size_t chosen, changed; /* MODE_CHOOSE: layers with a choice, with another than the rule's */
    double rule, tuned;     /* microseconds of those */
    text changes;
} tuning;

static const char *target_of(const tuning *t) { return t->options->target.name; }

/* ---- what select asks ---- */

static void add_layer(tuning *t, trial_layer added) {
    ARENA_GROW(t->known.arena, t->layers, t->n_layers, t->cap_layers);
    t->layers[t->n_layers++] = added;
}

static size_t first_unknown(const tuning *t, const char *layer,
                            const implementation *const *candidates, size_t count) {
    size_t i = 0;
    while (i < count &&
           timings_find(&t->known, t->processor, target_of(t), layer, candidates[i]->name))
        i++;
    return i;
}

/* The kernel that an equal layer of this program got; NULL: there is none yet. */
static const timing *equal_layer(const tuning *t, const char *layer, size_t *number) {
    for (size_t i = t->n_layers; i-- > 0 && t->layers[i].program == t->programs;) {
        *number = t->layers[i].timing;
        if (strcmp(t->known.list[*number].layer, layer) == 0) return &t->known.list[*number];
    }
    return NULL;
}

static const implementation *choose_trial(tuning *t, const node *n, const char *layer,
                                          const implementation *const *candidates, size_t count) {
    size_t c = 0, number;
    const timing *equal = equal_layer(t, layer, &number);
    if (equal) {
        while (strcmp(candidates[c]->name, equal->kernel)) c++;
    } else {
        c = first_unknown(t, layer, candidates, count);
        if (c == count) return candidates[0];
        number = t->known.count;
        timings_add(&t->known, (timing){t->processor, target_of(t), CAMEO_VERSION, layer,
                                        candidates[c]->name, INFINITY});
    }
    add_layer(t,
              (trial_layer){t->programs, number, arena_strdup(t->known.arena, node_label(n)), -1});
    return candidates[c];
}

static void note_choice(tuning *t, const node *n, const implementation *from, double before,
                        const implementation *to, double after) {
    t->chosen++;
    t->rule += before, t->tuned += after;
    if (from == to) return;
    t->changed++;
    text_append(&t->changes, "  ");
    text_escape(&t->changes, node_label(n));
    text_printf(&t->changes, ": %s %.1f us -> %s %.1f us\n", from->name, before, to->name, after);
}

static const implementation *choose_fastest(tuning *t, const node *n, const char *layer,
                                            const implementation *const *candidates, size_t count) {
    const implementation *best = candidates[0];
    const timing *rule = timings_find(&t->known, t->processor, target_of(t), layer, best->name);
    if (!rule || !isfinite(rule->microseconds)) return best;
    double least = rule->microseconds;
    for (size_t i = 1; i < count; i++) {
        const timing *k = timings_find(&t->known, t->processor, target_of(t), layer,
                                       candidates[i]->name);
        if (!k || !(k->microseconds < least) || k->microseconds > WORTH * rule->microseconds)
            continue;
        best = candidates[i], least = k->microseconds;
    }
    note_choice(t, n, candidates[0], rule->microseconds, best, least);
    return best;
}

static const implementation *choose(chooser *c, const node *n,
                                    const implementation *const *candidates, size_t count) {
    tuning *t = (tuning *)c;
    if (count == 1) return candidates[0];
    const char *layer = timings_layer(t->known.arena, n);
    if (t->mode == MODE_TRIAL) return choose_trial(t, n, layer, candidates, count);
    if (t->mode == MODE_CHOOSE) return choose_fastest(t, n, layer, candidates, count);
    t->missing += first_unknown(t, layer, candidates, count) < count;
    return candidates[0];
}

/* ---- trial programs ---- */

static const char *program_path(const tuning *t, const char *directory, size_t i) {
    return arena_put(t->known.arena, "$0/program$1", directory, i);
}

/* Compiles the model once more. MODE_COUNT: only as far as t->missing needs. MODE_TRIAL: a program
   to time, which is `output`. MODE_CHOOSE: what the user wants; output is NULL. */
static int compile_once(tuning *t, mode m, const char *output) {
    arena *a = arena_create();
    options own = *t->options;
    diag d = {.arena = a, .file = own.input};
    own.chooser = &t->chooser;
    if (output) {
        own.output = output, own.name = "trial", own.emit = EMIT_EXE;
        own.sidecar = false, own.detector = NULL, own.keep_c = NULL;
    }
    t->mode = m;
    t->chooser.is_trial = m != MODE_CHOOSE;
    graph *g = compile_front(a, &d, &own);
    int code = !g;
    if (g && m == MODE_COUNT) {
        t->missing = 0;
        code = !compile_back(g, &own);
    } else if (g) {
        code = compile_rest(g, &own);
    }
    if (m == MODE_CHOOSE || code) diag_tell(&d);
    arena_destroy(a);
    return code;
}

/* A row of the profile belongs to the first layer of its name and kernel that this cycle has not
   met. */
static void take_time(tuning *t, size_t number, int cycle, const char *row) {
    char *label = cameo_json_get_text(row, "name"), *kernel = cameo_json_get_text(row, "kernel");
    double ms = 0;
    for (size_t i = 0; label && kernel && i < t->n_layers; i++) {
        trial_layer *l = &t->layers[i];
        timing *k = &t->known.list[l->timing];
        if (l->program != number || l->cycle == cycle || strcmp(l->label, label) ||
            strcmp(k->kernel, kernel))
            continue;
        if (cameo_json_get_number(row, "ms", &ms))
            k->microseconds = fmin(k->microseconds, 1000 * ms);
        l->cycle = cycle;
        break;
    }
    free(label);
    free(kernel);
}

static int profile(tuning *t, const char *directory, size_t number, int cycle) {
    char *path = arena_strdup(t->known.arena, program_path(t, directory, number));
    char runs[16];
    snprintf(runs, sizeof runs, "%d", RUNS);
    char *argv[] = {path,
                    (char[]){"profile"},
                    (char[]){"--runs"},
                    runs,
                    (char[]){"--threads"},
                    (char[]){"1"},
                    (char[]){"--json"},
                    NULL};
    command c = {.argv = argv, .log = "profile.json"};
    size_t failed, size;
    cameo_error error = {0};
    const bool ran = run_commands(&c, 1, 1, directory, &failed);
    const char *log = arena_put(t->known.arena, "$0/profile.json", directory);
    char *json = (char *)cameo_read_file(log, PROFILE_MOST, &size, &error);
    const char *rows = ran && json ? cameo_json_find(json, "layers") : NULL;
    for (const char *row = rows ? cameo_json_next(rows, NULL) : NULL; row;
         row = cameo_json_next(rows, row))
        take_time(t, number, cycle, row);
    if (!rows && !process_interrupted())
        fprintf(stderr,
                "cameo: a program to time did not run: %.300s\n    hint: --tune needs a target of "
                "this machine\n",
                json ? json : error.message);
    free(json);
    return rows ? 0 : CAMEO_ENVIRONMENT;
}

static int build_trials(tuning *t, const char *directory) {
    for (;;) {
        int code = compile_once(t, MODE_COUNT, NULL);
        if (code || !t->missing) return code;
        if (t->programs == PROGRAMS_MOST) return 0; /* no layer has so many kernels */
        fprintf(stderr, "tuning     program %zu: %zu layers with kernels not timed yet\n",
                t->programs + 1, t->missing);
        code = compile_once(t, MODE_TRIAL, program_path(t, directory, t->programs));
        if (process_interrupted()) return CAMEO_ENVIRONMENT;
        if (code) return code;
        t->programs++;
    }
}

static int run_trials(tuning *t, const char *directory) {
    int code = 0;
    if (t->programs)
        fprintf(stderr, "tuning     timing: %zu programs, %d times %d runs in turn\n", t->programs,
                CYCLES, RUNS);
    for (int cycle = 0; cycle < CYCLES; cycle++)
        for (size_t p = 0; !code && p < t->programs; p++) code = profile(t, directory, p, cycle);
    return code;
}

static int time_missing(tuning *t) {
    char *directory = temporary_directory(t->known.arena);
    if (!directory) return CAMEO_ENVIRONMENT;
    process_begin();
    int code = build_trials(t, directory);
    if (!code) code = run_trials(t, directory);
    temporary_remove(directory);
    if (!code && t->programs && !timings_write(&t->known, t->path)) code = CAMEO_ENVIRONMENT;
    process_end();
    return code;
}

/* ---- the verb's part ---- */

/* "model name" of Linux's list of processors, without tabs; what uname says elsewhere. */
static const char *processor_name(arena *a) {
    char line[400], *name = NULL;
    struct utsname u;
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && !name && fgets(line, sizeof line, f))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) name = strchr(line, ':') + 1;
    if (f) fclose(f);
    if (!name) return uname(&u) ? "unknown" : arena_strdup(a, u.machine);
    name[strcspn(name, "\n")] = 0;
    for (char *c = name; *c; c++)
        if (*c == '\t') *c = ' ';
    return arena_strdup(a, name + strspn(name, " "));
}

static bool knows_target(const tuning *t) {
    for (size_t i = 0; i < t->known.count; i++)
        if (!strcmp(t->known.list[i].target, target_of(t)) &&
            !strcmp(t->known.list[i].version, CAMEO_VERSION))
            return true;
    return false;
}

static int prepare(tuning *t) {
    const options *o = t->options;
    const char *lacks = NULL;
    if (!t->path) t->path = cache_file(t->known.arena, "tuning.tsv");
    if (!t->path) return CAMEO_ENVIRONMENT;
    if (!o->tune && !cameo_file_exists(t->path))
        return complain(CAMEO_BAD_INPUT, "%s: no such file; --tune --tuning %s makes it", t->path,
                        t->path);
    if (!timings_read(&t->known, t->path)) return 1;
    if (!o->tune && !knows_target(t))
        return complain(
            CAMEO_BAD_INPUT,
            "%s: no timings for %s by version %s; --tune --tuning %s on such a machine adds them",
            t->path, target_of(t), CAMEO_VERSION, t->path);
    if (o->tune && !cameo_target_runs(target_of(t), &lacks))
        return complain(CAMEO_USAGE,
                        "--tune cannot time code for %s here: this processor has no %s; time it on "
                        "one that has, "
                        "with --tuning FILE, and give that file here",
                        target_of(t), lacks);
    if (o->tune) t->processor = processor_name(t->known.arena);
    return 0;
}

static void report(const tuning *t) {
    fprintf(stderr, "tuning     %zu layers have a choice, %zu take another kernel than the rule's",
            t->chosen, t->changed);
    if (t->chosen) fprintf(stderr, ": %.2f ms instead of %.2f", t->tuned / 1000, t->rule / 1000);
    fprintf(stderr, "\n%s", text_str(&t->changes));
}

int tuning_compile(const options *o) {
    tuning t = {.chooser.choose = choose,
                .options = o,
                .path = o->tuning_file,
                .known.arena = arena_create()};
    int code = prepare(&t);
    if (!code && o->tune) code = time_missing(&t);
    if (!code) code = compile_once(&t, MODE_CHOOSE, NULL);
    if (!code) report(&t);
    text_free(&t.changes);
    arena_destroy(t.known.arena);
    return code;
}
