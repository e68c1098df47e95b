/* What the verbs of cameo share: their way from arguments to an exit code. The options of a
   compilation: options.c. */
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../ir/op.h"

int cli_unknown(const char *kind, const char *word, const char *const *candidates, size_t count) {
    return cameo_unknown("cameo: ", kind, word, candidates, count);
}

int cli_parse(arena *a, cameo_args *given, const cli_verb *v, int argc, char **argv) {
    *given = (cameo_args){.options = cli_verb_options(a, v),
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
    int code = cli_parse(a, &given, v, argc, argv);
    if (!code && !v->own_options) code = cli_options(a, &given, &o);
    if (!code && (given.positionals < v->least || given.positionals > v->most))
        code = wrong_count(v);
    if (!code) code = v->run(a, &given, v->own_options ? NULL : &o);
    arena_destroy(a);
    cameo_args_free(&given);
    return code < 0 ? CAMEO_OK : code;
}

bool cli_tolerance(const cameo_args *c, const char *name, double *out) {
    const char *given = cameo_args_get(c, name);
    char *end;
    if (!given) return true;
    *out = strtod(given, &end);
    if (end != given && !*end && *out >= 0 && isfinite(*out)) return true;
    return complain(0, "--%s \"%s\" is not valid", name, given);
}

static bool same_problem(const diag_item *a, const diag_item *b) {
    return a->node && b->node && a->warning == b->warning && strcmp(a->message, b->message) == 0 &&
           op_same(a->node, b->node);
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
        const char *message = count > 1
                                  ? arena_printf(d->arena, "%s (%zu nodes; this is the first)",
                                                 item->message, count)
                                  : item->message;
        if (item->warning)
            diag_warn(&merged, item->node, item->hint, "%s", message);
        else
            diag_error(&merged, item->node, item->hint, "%s", message);
    }
    diag_print(&merged, &out);
    if (d->errors)
        text_printf(&out, "%s: %zu problem%s\n", d->file, d->errors, d->errors == 1 ? "" : "s");
    fputs(text_str(&out), stderr);
    text_free(&out);
}
