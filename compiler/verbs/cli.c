/* What the verbs of cameo share: their way from arguments to an exit code, and the options of a compilation. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/loss_spec.h"
#include "../ir/op.h"

int cli_unknown(const char *kind, const char *word, const char *const *candidates, size_t count) {
    return cameo_unknown("cameo: ", kind, word, candidates, count);
}

int cli_parse(cameo_args *given, const cli_verb *v, int argc, char **argv) {
    *given = (cameo_args){.options = v->options,
                          .usage = v->usage,
                          .about = v->help,
                          .program = "cameo",
                          .speaker = "cameo: ",
                          .until_first = v->until_first};
    return cameo_args_parse(given, argc - 1, argv + 1);
}

static int wrong_count(const cli_verb *v) {
    fprintf(stderr, "usage: cameo %s\n", v->usage);
    return CAMEO_USAGE;
}

int cli_main(const cli_verb *v, int argc, char **argv) {
    cameo_args given;
    options o;
    arena *a = arena_create();
    int code = cli_parse(&given, v, argc, argv);
    if (!code && !v->own_options) code = cli_options(a, &given, &o);
    if (!code && (given.positionals < v->least || given.positionals > v->most)) code = wrong_count(v);
    if (!code) code = v->run(a, &given, v->own_options ? NULL : &o);
    arena_destroy(a);
    cameo_args_free(&given);
    return code < 0 ? CAMEO_OK : code;
}

bool cli_shape(const char *s, shape *out) {
    *out = (shape){0};
    if (strcmp(s, "scalar") == 0) return true;
    for (;; s++) {
        char *end;
        errno = 0;
        long long v = strtoll(s, &end, 10);
        if (end == s || errno || v < 1 || v > INT32_MAX || out->rank == MAX_RANK) return false;
        out->dim[out->rank++] = v;
        if (!*end) return true;
        if (*end != 'x' && *end != ',') return false;
        s = end;
    }
}

static int bad(const char *option, const char *given) {
    return complain(CAMEO_USAGE, "--%s \"%s\" is not valid", option, given);
}

/* --dim and --shape: NAME=..., where NAME itself may hold '='. */
static int binding(arena *a, options *o, const char *option, const char *given) {
    const char *equals = strrchr(given, '=');
    if (!equals) return bad(option, given);
    const char *name = arena_strndup(a, given, (size_t)(equals - given));
    if (strcmp(option, "dim") == 0) {
        o->dims[o->n_dims].name = name;
        return cameo_parse_integer(equals + 1, 1, INT32_MAX, &o->dims[o->n_dims++].value) ? 0 : bad(option, given);
    }
    o->shapes[o->n_shapes].name = name;
    return cli_shape(equals + 1, &o->shapes[o->n_shapes++].shape) ? 0 : bad(option, given);
}

static int unknown_value(const char *option, const char *given, const char *const *names, size_t count) {
    char kind[40];
    snprintf(kind, sizeof kind, "value of --%s", option);
    const int code = cli_unknown(kind, given, names, count);
    fprintf(stderr, "    known:");
    for (size_t i = 0; i < count; i++) fprintf(stderr, " %s", names[i]);
    fprintf(stderr, "\n");
    return code;
}

static int choice(const char *option, const char *given, const char *const *names, size_t count, int *out) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(given, names[i]) == 0) return *out = (int)i, 0;
    return unknown_value(option, given, names, count);
}

/* A value of which another file keeps the list: name(i), NULL at the end. */
static int listed(const char *option, const char *given, const char *(*name)(size_t i), bool also) {
    const char *names[32];
    size_t count = 0;
    for (; count < 32 && name(count); count++) names[count] = name(count);
    for (size_t i = 0; i < count; i++) also |= strcmp(names[i], given) == 0;
    return also ? 0 : unknown_value(option, given, names, count);
}

enum { TARGETS_MOST = 8 };

/* Into its place in list: widest first. */
static int add_target(target *list, size_t *count, const char *name) {
    target t;
    int order;
    if (!target_resolve(name, &t)) return listed("target", name, target_name, false);
    if (*count == TARGETS_MOST) return bad("target", name);
    for (size_t i = 0; i < *count; i++) {
        if (!target_compare(&t, &list[i], &order))
            return complain(CAMEO_USAGE, "--target: a program is for one processor family, not for %s and %s", t.name,
                            list[i].name);
        if (order == 0) return 0;
    }
    size_t at = (*count)++;
    for (; at > 0 && (target_compare(&t, &list[at - 1], &order), order < 0); at--) list[at] = list[at - 1];
    list[at] = t;
    return 0;
}

/* NAME[,NAME...]. */
static int target_option(arena *a, options *o, const char *given) {
    target *list = ARENA_ARRAY(a, target, TARGETS_MOST);
    size_t count = 0;
    for (const char *s = given;; s++) {
        const size_t n = strcspn(s, ",");
        const int code = add_target(list, &count, arena_strndup(a, s, n));
        if (code) return code;
        s += n;
        if (!*s) break;
    }
    o->target = list[0];
    o->narrower = list + 1, o->n_narrower = count - 1;
    return 0;
}

static int one_option(arena *a, options *o, const char *name, const char *given) {
    static const char *const kinds[] = {"auto", "xnnpack", "native", "plain"}, *const emits[] = {"exe", "lib", "so", "c"},
                             *const places[] = {"embed", "sidecar"}, *const folded[] = {"continue", "stop"};
    const struct {
        const char *name, **to;
    } strings[] = {{"output", &o->output},         {"name", &o->name},     {"embedding", &o->embedding},
                   {"preprocess", &o->preprocess}, {"labels", &o->labels}, {"dump-after", &o->dump_after},
                   {"detector", &o->detector},     {"keep-c", &o->keep_c}, {"cc", &o->cc},
                   {"tuning", &o->tuning_file},    {"loss", &o->loss},     {"classes-from", &o->classes_from}};
    int64_t number;
    int which = 0, code = 0;
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (strcmp(name, strings[i].name) == 0) *strings[i].to = given;
    if (strcmp(name, "dim") == 0 || strcmp(name, "shape") == 0) return binding(a, o, name, given);
    if (strcmp(name, "batch") == 0) return cameo_parse_integer(given, 1, 65536, &o->batch) ? 0 : bad(name, given);
    if (strcmp(name, "static") == 0) o->is_static = true;
    if (strcmp(name, "train") == 0) o->train = true;
    if (strcmp(name, "tune") == 0) o->tune = true;
    if (strcmp(name, "bfloat16") == 0) o->bfloat16 = true;
    if (strcmp(name, "freeze") == 0) o->freeze[o->n_freeze++] = given;
    if (strcmp(name, "classes") == 0 && !cameo_parse_integer(given, 2, 1 << 24, &o->classes)) return bad(name, given);
    if (strcmp(name, "jobs") == 0) {
        if (!cameo_parse_integer(given, 1, 1024, &number)) return bad(name, given);
        o->jobs = (unsigned)number;
    }
    if (strcmp(name, "kernels") == 0 && !(code = choice(name, given, kinds, 4, &which))) o->kernels = (kernel_choice)which;
    if (strcmp(name, "emit") == 0 && !(code = choice(name, given, emits, 4, &which))) o->emit = (emit_kind)which;
    if (strcmp(name, "weights") == 0 && !(code = choice(name, given, places, 2, &which))) o->sidecar = which == 1;
    if (strcmp(name, "folded") == 0 && !(code = choice(name, given, folded, 2, &which))) o->stop_if_folded = which == 1;
    if (strcmp(name, "target") == 0) code = target_option(a, o, given);
    if (strcmp(name, "dump-after") == 0) code = listed(name, given, compile_pass_name, false);
    return code;
}

enum { TRAIN_BATCH = 32 };

static int several_targets(const options *o) {
    const char *what = o->train                    ? "--train"
                       : o->tune || o->tuning_file ? "--tune and --tuning"
                       : o->sidecar                ? "--weights sidecar"
                       : o->emit == EMIT_C         ? "--emit c"
                                                   : NULL;
    if (!o->n_narrower || !what) return 0;
    return complain(CAMEO_USAGE, "several targets do not go with %s; compile once for each", what);
}

/* What only training uses; and the batch of a step, which the model rarely says. */
static int training_options(arena *a, const cameo_args *c, options *o) {
    static const char *const names[] = {"loss", "classes", "classes-from", "freeze", "folded"};
    for (size_t i = 0; i < sizeof names / sizeof *names && !o->train; i++)
        if (cameo_args_get(c, names[i])) return complain(CAMEO_USAGE, "--%s goes with --train", names[i]);
    loss_spec spec;
    const char *why = loss_parse(a, o->loss, &spec);
    if (why) return complain(CAMEO_USAGE, "--loss %s: %s", o->loss, why);
    if (o->classes && o->classes_from) return complain(CAMEO_USAGE, "--classes or --classes-from, not both");
    if (o->train && (o->tune || o->tuning_file || o->bfloat16))
        return complain(CAMEO_USAGE, "--tune, --tuning and --bfloat16 are for programs that do not train");
    if (o->train && o->emit == EMIT_SO) return complain(CAMEO_USAGE, "--train does not go with --emit so; exe, lib and c do");
    if (o->detector && o->emit != EMIT_EXE && o->emit != EMIT_C)
        return complain(CAMEO_USAGE, "--detector is for programs; of --emit it takes exe and c");
    if (o->train && !o->batch) o->batch = TRAIN_BATCH;
    if ((spec.triplet.weight > 0 || spec.contrastive.weight > 0) && !loss_images_of_class(o->batch))
        return complain(CAMEO_USAGE,
                        "--loss %s compares images of one class with others: --batch %lld is no product of 2 and more", o->loss,
                        (long long)o->batch);
    return 0;
}

int cli_options(arena *a, const cameo_args *c, options *o) {
    *o = (options){.input = cameo_args_positional(c, 0)};
    o->dims = ARENA_ARRAY(a, dim_binding, c->count + 1);
    o->shapes = ARENA_ARRAY(a, shape_binding, c->count + 1);
    o->freeze = ARENA_ARRAY(a, const char *, c->count + 1);
    if (!target_resolve("native", &o->target) && !cameo_args_get(c, "target"))
        return complain(CAMEO_USAGE, "this processor is unknown; give --target");
    int code = 0;
    for (size_t i = 0; i < c->count && !code; i++)
        if (c->list[i].option) code = one_option(a, o, c->list[i].option->name, c->list[i].value);
    if (!code) code = several_targets(o);
    return code ? code : training_options(a, c, o);
}

static bool same_problem(const diag_item *a, const diag_item *b) {
    return a->node && b->node && a->warning == b->warning && strcmp(a->message, b->message) == 0 && op_same(a->node, b->node);
}

static bool told_before(const diag *d, const diag_item *item) {
    for (const diag_item *i = d->first; i != item; i = i->next)
        if (same_problem(i, item)) return true;
    return false;
}

void cli_print_diag(const diag *d) {
    diag merged = {.arena = d->arena, .file = d->file};
    text out = {0};
    for (const diag_item *item = d->first; item; item = item->next) {
        if (told_before(d, item)) continue;
        size_t count = 1;
        for (const diag_item *i = item->next; i; i = i->next) count += same_problem(item, i);
        const char *message =
            count > 1 ? arena_printf(d->arena, "%s (%zu nodes; this is the first)", item->message, count) : item->message;
        if (item->warning)
            diag_warn(&merged, item->node, item->hint, "%s", message);
        else
            diag_error(&merged, item->node, item->hint, "%s", message);
    }
    diag_print(&merged, &out);
    if (d->errors) text_printf(&out, "%s: %zu problem%s\n", d->file, d->errors, d->errors == 1 ? "" : "s");
    fputs(text_str(&out), stderr);
    text_free(&out);
}
