/* Parsing of --loss. */
#include "loss_spec.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct key {
    const char *term, *name;
    size_t field; /* a double of loss_spec */
    double otherwise, low, high;
} key;

#define AT(field) offsetof(loss_spec, field)
static const key keys[] = {{"arcface", "s", AT(margin.scale), 64, 1e-3, 1e4},
                           {"arcface", "m", AT(margin.m2), 0.5, 0, 1.5},
                           {"cosface", "s", AT(margin.scale), 64, 1e-3, 1e4},
                           {"cosface", "m", AT(margin.m3), 0.35, 0, 2},
                           {"sphereface", "s", AT(margin.scale), 64, 1e-3, 1e4},
                           {"sphereface", "m", AT(margin.m1), 1.35, 1, 8},
                           {"margin", "s", AT(margin.scale), 64, 1e-3, 1e4},
                           {"margin", "m1", AT(margin.m1), 1, 1, 8},
                           {"margin", "m2", AT(margin.m2), 0, 0, 1.5},
                           {"margin", "m3", AT(margin.m3), 0, 0, 2},
                           {"center", "weight", AT(center), 0.003, 1e-9, 1e3},
                           {"center", "rate", AT(center_rate), 0.5, 0, 1},
                           {"triplet", "weight", AT(triplet.weight), 1, 1e-9, 1e3},
                           {"triplet", "margin", AT(triplet.margin), 0.3, 0, 1e3},
                           {"triplet", "normalize", AT(triplet.normalize), 1, 0, 1},
                           {"contrastive", "weight", AT(contrastive.weight), 1, 1e-9, 1e3},
                           {"contrastive", "margin", AT(contrastive.margin), 1, 1e-9, 1e3},
                           {"contrastive", "normalize", AT(contrastive.normalize), 1, 0, 1}};

static const char *const names[] = {"ce",     "arcface", "cosface", "sphereface",
                                    "margin", "center",  "triplet", "contrastive"};
enum {
    N_NAMES = sizeof names / sizeof *names,
    N_KEYS = sizeof keys / sizeof *keys,
    FIRST_COMPARISON = 5
};

static const char *join_names(arena *a, const char *term) {
    const char *s = "";
    for (size_t i = 0; !term && i < N_NAMES; i++)
        s = arena_printf(a, "%s%s%s", s, i ? ", " : "", names[i]);
    for (size_t i = 0; term && i < N_KEYS; i++)
        if (!strcmp(keys[i].term, term))
            s = arena_printf(a, "%s%s%s", s, *s ? ", " : "", keys[i].name);
    return term && !strcmp(term, "triplet") ? arena_printf(a, "%s, mining", s) : s;
}

static const char *set_key(arena *a, const char *term, char *pair, loss_spec *out) {
    char *equals = strchr(pair, '='), *end;
    if (!equals) return arena_printf(a, "\"%s\" lacks =VALUE", pair);
    *equals = 0;
    const char *given = equals + 1;
    if (!strcmp(term, "triplet") && !strcmp(pair, "mining")) {
        out->semi_hard = !strcmp(given, "semi");
        return out->semi_hard || !strcmp(given, "hard") ? NULL : "mining is hard or semi";
    }
    for (size_t i = 0; i < N_KEYS; i++) {
        if (strcmp(keys[i].term, term) || strcmp(keys[i].name, pair)) continue;
        const double v = strtod(given, &end);
        if (end == given || *end || !(v >= keys[i].low && v <= keys[i].high))
            return arena_printf(a, "%s of %s is not a number from %g to %g", pair, term,
                                keys[i].low, keys[i].high);
        *(double *)(void *)((char *)out + keys[i].field) = v;
        return NULL;
    }
    const char *known = join_names(a, term);
    return *known ? arena_printf(a, "%s has no %s; it has %s", term, pair, known)
                  : arena_printf(a, "%s takes no values", term);
}

static bool known_name(const char *name, size_t *index) {
    for (*index = 0; *index < N_NAMES; ++*index)
        if (!strcmp(names[*index], name)) return true;
    return false;
}

/* One term; seen: mask of the terms before it. */
static const char *take_term(arena *a, char *term, unsigned *seen, loss_spec *out) {
    const unsigned classifiers = (1u << FIRST_COMPARISON) - 1;
    char *colon = strchr(term, ':'), *save = NULL;
    size_t index;
    if (colon) *colon = 0;
    if (!known_name(term, &index))
        return arena_printf(a, "\"%s\" is no loss; there are %s", term, join_names(a, NULL));
    if (*seen >> index & 1) return arena_printf(a, "%s is there twice", term);
    if (index < FIRST_COMPARISON && *seen & classifiers)
        return "one of ce, arcface, cosface, sphereface and margin at most";
    *seen |= 1u << index;
    for (size_t i = 0; i < N_KEYS; i++)
        if (!strcmp(keys[i].term, term))
            *(double *)(void *)((char *)out + keys[i].field) = keys[i].otherwise;
    out->margins |= index > 0 && index < FIRST_COMPARISON;
    for (char *pair = colon ? strtok_r(colon + 1, ",", &save) : NULL; pair;
         pair = strtok_r(NULL, ",", &save)) {
        const char *why = set_key(a, term, pair, out);
        if (why) return why;
    }
    return NULL;
}

const char *loss_parse(arena *a, const char *text, loss_spec *out) {
    *out = (loss_spec){.margin = {.m1 = 1}};
    unsigned seen = 0;
    char *copy = arena_strdup(a, text ? text : "ce");
    if (!*copy) return "it is empty";
    for (char *term = copy, *next; term; term = next) {
        next = strchr(term, '+');
        if (next) *next++ = 0;
        const char *why = take_term(a, term, &seen, out);
        if (why) return why;
    }
    out->softmax = (seen & ((1u << FIRST_COMPARISON) - 1)) || out->center > 0; /* centers come with
                                                                                  cross-entropy */
    return NULL;
}

int64_t loss_images_of_class(int64_t batch) {
    if (batch % 4 == 0 && batch > 4) return 4;
    for (int64_t k = 2; 2 * k <= batch; k++)
        if (batch % k == 0) return k;
    return 0;
}
