/* The options of `train`. train_options.def is the table to read first: what they are called,
   where they go, what they may be, what they are when not given, and whether a resumed run may
   change them. */
#include "../base/files.h"
#include "train_run.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const cameo_best_names[CAMEO_BEST_NONE] = {"auc", "eer", "val_accuracy", "loss"};

static bool parse_optimizer(const char *text, cameo_train_options *o),
    parse_schedule(const char *text, cameo_train_options *o),
    parse_milestones(const char *text, cameo_train_options *o),
    parse_augment(const char *text, cameo_train_options *o),
    parse_on_nonfinite(const char *text, cameo_train_options *o),
    parse_best(const char *text, cameo_train_options *o);

#define OPTION(n, v, h, ...) {n, v, h},
const cameo_option cameo_train_option_table[] = {
#include "train_options.def"
    {0}};
#undef OPTION

typedef enum kind { KIND_ELSEWHERE, KIND_TEXT, KIND_FLAG, KIND_WHOLE, KIND_REAL, KIND_PARSED } kind;
enum { UNSET = -1 }; /* a whole number that is decided later */

typedef struct row {
    const char *name;
    kind kind;
    size_t offset; /* of const char *, bool, int64_t or double */
    int64_t low, high, initial;
    double least, most, otherwise; /* NaN: decided later */
    bool (*parse)(const char *text, cameo_train_options *o);
    const char *initial_text; /* what is parsed when it is not given; NULL: nothing */
    bool stays;               /* of whole numbers only */
    bool process;
} row;

#define FIELD(f) .offset = offsetof(cameo_train_options, f)
#define ELSEWHERE .kind = KIND_ELSEWHERE
#define TEXT(f) .kind = KIND_TEXT, FIELD(f)
#define FLAG(f) .kind = KIND_FLAG, FIELD(f)
#define WHOLE(f, a, b, c) .kind = KIND_WHOLE, FIELD(f), .low = a, .high = b, .initial = c
#define REAL(f, a, b, c) .kind = KIND_REAL, FIELD(f), .least = a, .most = b, .otherwise = c
#define PARSED(f, text) .kind = KIND_PARSED, .parse = f, .initial_text = text
#define ALWAYS .stays = true
#define PROCESS .process = true
#define OPTION(n, v, h, ...) {.name = n, __VA_ARGS__},
static const row rows[] = {
#include "train_options.def"
};
enum { ROWS = sizeof rows / sizeof *rows };

static bool complain(const char *name, const char *value, const char *what) {
    fprintf(stderr, "--%s %s: %s is expected\n", name, value, what);
    return false;
}

static bool bad_number(const row *r, const char *text, double least, double most) {
    char range[100];
    const char *what = r->kind == KIND_WHOLE ? "whole number" : "number";
    snprintf(range, sizeof range, "a %s from %.9g to %.9g", what, least, most);
    return complain(r->name, text, range);
}

static bool parse_real(const char *text, double least, double most, double *value) {
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    return !errno && end != text && !*end && *value >= least && *value <= most;
}

static bool take_real(const row *r, const char *text, double *to) {
    *to = r->otherwise;
    return !text || parse_real(text, r->least, r->most, to) ||
           bad_number(r, text, r->least, r->most);
}

/* "1e3" is a whole number, too; no limit is beyond what a double holds exactly. */
static bool take_whole(const row *r, const char *text, int64_t *to) {
    const double low = (double)r->low, high = (double)r->high;
    double value = (double)r->initial;
    if (text && (!parse_real(text, low, high, &value) || value != floor(value)))
        return bad_number(r, text, low, high);
    *to = (int64_t)value;
    return true;
}

/* text: NULL = not given. */
static bool take(const row *r, const char *text, cameo_train_options *o) {
    void *field = (char *)o + r->offset;
    switch (r->kind) {
    case KIND_ELSEWHERE: return true;
    case KIND_TEXT: return *(const char **)field = text, true;
    case KIND_FLAG: return *(bool *)field = text, true;
    case KIND_WHOLE: return take_whole(r, text, field);
    case KIND_REAL: return take_real(r, text, field);
    case KIND_PARSED:
        return text || r->initial_text ? r->parse(text ? text : r->initial_text, o) : true;
    }
    return true;
}

/* ---- words ---- */

static bool parse_optimizer(const char *text, cameo_train_options *o) {
    for (int k = CAMEO_SGD; k <= CAMEO_ADAMW; k++)
        if (strcmp(text, cameo_optim_kind_name((cameo_optim_kind)k)) == 0)
            return o->optim.kind = (cameo_optim_kind)k, true;
    return complain("optimizer", text, "sgd, adam or adamw");
}

static bool parse_best(const char *text, cameo_train_options *o) {
    const int k = cameo_index_of(cameo_best_names, CAMEO_BEST_NONE, text);
    return o->best = (cameo_best)k,
           k >= 0 || complain("best-metric", text, "auc, eer, val_accuracy or loss");
}

static bool parse_milestones(const char *text, cameo_train_options *o) {
    cameo_schedule *s = &o->schedule;
    for (const char *p = text; *p;) {
        char *end;
        const double at = strtod(p, &end);
        const bool rises = s->milestones == 0 || at > s->milestone[s->milestones - 1];
        if (end == p || (*end && *end != ',') || !(at > 0) || !rises ||
            s->milestones == CAMEO_MILESTONES)
            return complain("milestones", text, "a list of at most 32 rising numbers of epochs");
        s->milestone[s->milestones++] = at;
        p = *end ? end + 1 : end;
    }
    return true;
}

static bool parse_schedule(const char *text, cameo_train_options *o) {
    return cameo_schedule_kind_parse(text, &o->schedule.kind) ||
           complain("schedule", text, cameo_schedule_kinds);
}

static bool parse_augment(const char *text, cameo_train_options *o) {
    cameo_error error = {0};
    return cameo_augment_parse(text, &o->augment, &error) || (cameo_report_error(&error), false);
}

static bool parse_on_nonfinite(const char *text, cameo_train_options *o) {
    o->skip_not_finite = strcmp(text, "skip") == 0;
    return o->skip_not_finite || strcmp(text, "stop") == 0 ||
           complain("on-nonfinite", text, "stop or skip");
}

/* ---- all of it ---- */

static void set_defaults(cameo_train_options *o, const cameo_trainer *t) {
    static const double decay[] = {5e-4, 0, 0.01};
    cameo_schedule *s = &o->schedule;
    if (isnan(o->rate))
        o->rate = o->optim.kind == CAMEO_SGD ? 0.1 * (double)t->batch * (double)o->accumulate / 256
                                             : 0.001;
    if (isnan(o->optim.weight_decay)) o->optim.weight_decay = decay[o->optim.kind];
    if (o->samples_per_class == UNSET) o->samples_per_class = (int64_t)t->same;
    if (isnan(s->every)) s->every = fmax(1, round((double)o->epochs / 3));
    if (s->kind == CAMEO_SCHEDULE_MULTISTEP && !s->milestones) {
        s->milestone[0] = fmax(1, round((double)o->epochs / 2));
        s->milestone[1] = fmax(2, round((double)o->epochs * 3 / 4));
        s->milestones = 2;
    }
    s->rate = o->rate;
}

static bool refuse(const char *message) {
    fprintf(stderr, "%s\n", message);
    return false;
}

static bool agree(const cameo_train_options *o, const cameo_trainer *t) {
    if (!o->data)
        return refuse("--data DIR is missing: a folder with one folder of pictures a class");
    if (!o->output && !o->dry_run && !o->overfit)
        return refuse("-o RUN is missing: where checkpoints, log and curves go");
    if (o->optim.nesterov && (o->optim.kind != CAMEO_SGD || o->optim.momentum == 0))
        return refuse("--nesterov needs --optimizer sgd with a --momentum");
    if ((o->augment.mixup > 0 || o->augment.cutmix > 0) && !t->mixes)
        return refuse("--mixup and --cutmix need a loss of mixed labels; this program's loss has "
                      "margins or compares pictures");
    if (o->best == CAMEO_BEST_ACCURACY && !o->val)
        return refuse("--best-metric val_accuracy needs --val");
    if ((o->best == CAMEO_BEST_AUC || o->best == CAMEO_BEST_EER) && !o->pairs)
        return refuse("--best-metric auc and eer need --pairs");
    return true;
}

static bool read_options(const cameo_args *a, const cameo_trainer *t, cameo_train_options *o) {
    *o = (cameo_train_options){.best = CAMEO_BEST_NONE};
    for (size_t i = 0; i < ROWS; i++)
        if (!take(&rows[i], cameo_args_get(a, rows[i].name), o)) return false;
    if (o->optim.kind != CAMEO_SGD) o->optim.momentum = 0;
    set_defaults(o, t);
    return true;
}

bool cameo_train_options_parse(const cameo_args *a, const cameo_trainer *t,
                               cameo_train_options *o) {
    return read_options(a, t, o) && agree(o, t);
}

/* ---- a resumed run ---- */

static bool is_stored(const char *name) {
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(name, rows[i].name) == 0) return !rows[i].process;
    return false;
}

static const char *key_of(const char *name, char key[80]) {
    snprintf(key, 80, "cameo.train.option.%s", name);
    return key;
}

void cameo_train_options_store(const cameo_args *a, cameo_properties *p) {
    char key[80];
    for (const cameo_option *o = a->options; o->name; o++) {
        const char *value = cameo_args_get(a, o->name);
        if (value && is_stored(o->name)) cameo_property_set(p, key_of(o->name, key), value);
    }
}

void cameo_train_options_merge(cameo_args *a, const cameo_properties *p) {
    size_t options = 0;
    for (const cameo_option *o = a->options; o->name; o++) options++;
    cameo_argument *list = cameo_allocate(a->count + options, sizeof *list);
    if (a->count) memcpy(list, a->list, a->count * sizeof *list);
    free(a->list);
    a->list = list;
    char key[80];
    for (const cameo_option *o = a->options; o->name; o++) {
        const char *value = cameo_property(p, key_of(o->name, key));
        if (value && is_stored(o->name) && !cameo_args_get(a, o->name))
            a->list[a->count++] = (cameo_argument){o, value};
    }
}

static const char *clash(const cameo_train_options *was, const cameo_train_options *now) {
    if (was->optim.kind != now->optim.kind) return "optimizer";
    if ((was->optim.momentum != 0) != (now->optim.momentum != 0)) return "momentum";
    if ((was->ema > 0) != (now->ema > 0)) return "ema";
    for (size_t i = 0; i < ROWS; i++) {
        const void *x = (const char *)was + rows[i].offset, *y = (const char *)now + rows[i].offset;
        if (rows[i].stays && memcmp(x, y, sizeof(int64_t)) != 0) return rows[i].name;
    }
    return NULL;
}

const char *cameo_train_options_clash(const cameo_properties *p, const cameo_trainer *t,
                                      const cameo_train_options *now) {
    cameo_args stored = {.options = cameo_train_option_table, .usage = "train", .program = ""};
    cameo_train_options was;
    cameo_train_options_merge(&stored, p);
    const char *name = read_options(&stored, t, &was) ? clash(&was, now) : "resume";
    cameo_args_free(&stored);
    return name;
}
