/* The options of `train`. Numbers are rows of a table: where they go, what they may be, what they are when not given, and
   whether a resumed run may change them. */
#include "../base/files.h"
#include "train_run.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const cameo_best_names[CAMEO_BEST_NONE] = {"auc", "eer", "val_accuracy", "loss"};

const cameo_option cameo_train_option_table[] = {
    {"data", "DIR", "training pictures: one folder a class"},
    {"val", "DIR", "validation pictures, of the same classes"},
    {"pairs", "FILE", "pairs of pictures to verify after each epoch, with labels"},
    {"pairs-root", "DIR", "what the names in the list of pairs are relative to"},
    {"output", "RUN", "the folder of the run: last.onnx, best.onnx, log.jsonl, curves.html"},
    {"epochs", "E", "how often every picture is seen (default 30)"},
    {"lr", "RATE", "learning rate (default 0.1 x batch / 256 with sgd, else 0.001)"},
    {"optimizer", "NAME", "sgd|adam|adamw (default sgd)"},
    {"momentum", "M", "of sgd (default 0.9)"},
    {"nesterov", NULL, "Nesterov's momentum"},
    {"beta1", "B", "of adam and adamw (default 0.9)"},
    {"beta2", "B", "of adam and adamw (default 0.999)"},
    {"epsilon", "E", "of adam and adamw (default 1e-8)"},
    {"weight-decay", "D", "default 5e-4 with sgd, 0 with adam, 0.01 with adamw; not on biases and normalisation"},
    {"decay-all", NULL, "weight decay on biases and normalisation too"},
    {"label-smoothing", "S", "share of the target spread over all classes (default 0)"},
    {"schedule", "NAME", "cosine|step|multistep|plateau|restarts|onecycle|constant (default cosine)"},
    {"min-lr", "RATE", "where cosine, restarts and plateau end (default 0)"},
    {"warmup-steps", "N", "steps over which the rate rises from 0 (default 0)"},
    {"every", "EPOCHS", "period of step and restarts (default a third of the run)"},
    {"gamma", "G", "factor of step, multistep and plateau (default 0.1)"},
    {"milestones", "E,E,...", "epochs of multistep (default 50 and 75 % of the run)"},
    {"restart-multiply", "M", "how much longer each period of restarts is (default 1)"},
    {"patience", "EPOCHS", "epochs that plateau waits for something better (default 10)"},
    {"augment", "LIST", "crop=8,flip,rotate=10,jitter=0.2,erase=0.25 or resized-crop=0.5 (default none)"},
    {"mixup", "ALPHA", "mix pictures and labels (default 0: not)"},
    {"cutmix", "ALPHA", "the same with rectangles (default 0: not)"},
    {"clip-norm", "NORM", "most that the gradient's norm may be (default 0: any)"},
    {"accumulate", "N", "batches whose gradients make one step (default 1)"},
    {"ema", "DECAY", "average the weights, and evaluate and export the average (default 0: not; 0.999 say)"},
    {"samples-per-class", "K", "batches of K pictures of each of batch / K classes (default: as the loss needs)"},
    {"seed", "S", "of order, augmentation and dropout (default 0)"},
    {"weights", "FILE", "begin with the weights of this checkpoint or run"},
    {"threads", "T", "threads to use (default: the processors this process may use)"},
    {"checkpoint-every", "STEPS", "save between epochs too (default 0: after epochs only)"},
    {"resume", NULL, "go on with the run in RUN, with its options"},
    {"dry-run", NULL, "check everything, time some steps, write nothing"},
    {"overfit-one-batch", NULL, "train on the first batch alone: a net that can't learn that has a fault"},
    {"on-nonfinite", "WHAT", "stop|skip: when a loss or gradient is not finite (default stop)"},
    {"fast-decode", NULL, "decode large JPEGs of the training folder scaled down"},
    {"cache-mb", "MB", "decoded pictures kept in memory (default: as many as fit; 0: none)"},
    {"best-metric", "NAME", "auc|eer|val_accuracy|loss: what makes best.onnx (default the first there is)"},
    {"preprocess", "SPEC", "\"size=WxH color=rgb|bgr|gray mean=M[,M,M] scale=S[,S,S] resize=bilinear\""},
    {"log-every", "STEPS", "steps from one line of log.jsonl to the next (default 10)"},
    {"json", NULL, "print the lines of log.jsonl"},
    {0}};

/* About this process and its place, not the run. */
static const char *const not_stored[] = {"output", "resume",  "dry-run", "overfit-one-batch",
                                         "json",   "threads", "weights", "cache-mb"};

typedef struct number {
    const char *name;
    size_t offset;
    double low, high, initial; /* NaN: decided later */
    bool whole, stays;         /* stays: a resumed run can't change it */
} number;

#define FIELD(f) offsetof(cameo_train_options, f)
static const number numbers[] = {{"epochs", FIELD(epochs), 1, 1e6, 30, true, false},
                                 {"lr", FIELD(rate), 0, 1e30, NAN, false, false},
                                 {"momentum", FIELD(optim.momentum), 0, 1, 0.9, false, false},
                                 {"beta1", FIELD(optim.beta1), 0, 0.9999999, 0.9, false, false},
                                 {"beta2", FIELD(optim.beta2), 0, 0.9999999, 0.999, false, false},
                                 {"epsilon", FIELD(optim.epsilon), 0, 1, 1e-8, false, false},
                                 {"weight-decay", FIELD(optim.weight_decay), 0, 1e6, NAN, false, false},
                                 {"label-smoothing", FIELD(label_smoothing), 0, 1, 0, false, false},
                                 {"min-lr", FIELD(schedule.least), 0, 1e30, 0, false, false},
                                 {"warmup-steps", FIELD(warmup), 0, 1e9, 0, true, false},
                                 {"every", FIELD(schedule.every), 1e-3, 1e6, NAN, false, false},
                                 {"gamma", FIELD(schedule.gamma), 0, 1, 0.1, false, false},
                                 {"restart-multiply", FIELD(restart_multiply), 1, 1000, 1, true, false},
                                 {"patience", FIELD(patience), 0, 1e6, 10, true, false},
                                 {"mixup", FIELD(augment.mixup), 0, 100, 0, false, false},
                                 {"cutmix", FIELD(augment.cutmix), 0, 100, 0, false, false},
                                 {"clip-norm", FIELD(clip_norm), 0, 1e30, 0, false, false},
                                 {"accumulate", FIELD(accumulate), 1, 1e6, 1, true, true},
                                 {"ema", FIELD(ema), 0, 0.9999999, 0, false, false},
                                 {"samples-per-class", FIELD(samples_per_class), 0, 1e6, NAN, true, true},
                                 {"seed", FIELD(seed), 0, 9e15, 0, true, true},
                                 {"threads", FIELD(threads), 1, 1024, NAN, true, false},
                                 {"checkpoint-every", FIELD(checkpoint_every), 0, 1e12, 0, true, false},
                                 {"log-every", FIELD(log_every), 1, 1e9, 10, true, false},
                                 {"cache-mb", FIELD(cache_mb), 0, 1e9, NAN, true, false}};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static double *field(cameo_train_options *o, const number *n) { return (double *)(void *)((char *)o + n->offset); }

static bool complain(const char *name, const char *value, const char *what) {
    fprintf(stderr, "--%s %s: %s is expected\n", name, value, what);
    return false;
}

static bool parse_number(const cameo_args *a, const number *n, double *value) {
    const char *text = cameo_args_get(a, n->name);
    *value = n->initial;
    if (!text) return true;
    char *end, range[100];
    errno = 0;
    *value = strtod(text, &end);
    if (!errno && end != text && !*end && *value >= n->low && *value <= n->high && (!n->whole || *value == floor(*value)))
        return true;
    snprintf(range, sizeof range, "a %s from %.9g to %.9g", n->whole ? "whole number" : "number", n->low, n->high);
    return complain(n->name, text, range);
}

/* ---- words ---- */

static bool parse_optimizer(const char *text, cameo_optim_kind *kind) {
    for (int k = CAMEO_SGD; text && k <= CAMEO_ADAMW; k++)
        if (strcmp(text, cameo_optim_kind_name((cameo_optim_kind)k)) == 0) return *kind = (cameo_optim_kind)k, true;
    return !text || complain("optimizer", text, "sgd, adam or adamw");
}

static bool parse_best(const char *text, cameo_best *best) {
    *best = CAMEO_BEST_NONE;
    for (int k = 0; text && k < CAMEO_BEST_NONE; k++)
        if (strcmp(text, cameo_best_names[k]) == 0) return *best = (cameo_best)k, true;
    return !text || complain("best-metric", text, "auc, eer, val_accuracy or loss");
}

static bool parse_milestones(const char *text, cameo_schedule *s) {
    for (const char *p = text; p && *p;) {
        char *end;
        const double at = strtod(p, &end);
        const bool rises = s->milestones == 0 || at > s->milestone[s->milestones - 1];
        if (end == p || (*end && *end != ',') || !(at > 0) || !rises || s->milestones == CAMEO_MILESTONES)
            return complain("milestones", text, "a list of at most 32 rising numbers of epochs");
        s->milestone[s->milestones++] = at;
        p = *end ? end + 1 : end;
    }
    return true;
}

static bool parse_words(const cameo_args *a, cameo_train_options *o) {
    const char *augment = cameo_args_get(a, "augment"), *schedule = cameo_args_get(a, "schedule"),
               *not_finite = cameo_args_get(a, "on-nonfinite");
    cameo_error error = {0};
    if (!cameo_augment_parse(augment ? augment : "", &o->augment, &error)) return fprintf(stderr, "%s\n", error.message), false;
    if (!cameo_schedule_kind_parse(schedule ? schedule : "cosine", &o->schedule.kind))
        return complain("schedule", schedule, cameo_schedule_kinds);
    o->skip_not_finite = not_finite && strcmp(not_finite, "skip") == 0;
    if (not_finite && !o->skip_not_finite && strcmp(not_finite, "stop") != 0)
        return complain("on-nonfinite", not_finite, "stop or skip");
    return parse_optimizer(cameo_args_get(a, "optimizer"), &o->optim.kind) &&
           parse_best(cameo_args_get(a, "best-metric"), &o->best) &&
           parse_milestones(cameo_args_get(a, "milestones"), &o->schedule);
}

/* ---- all of it ---- */

static void set_defaults(cameo_train_options *o, const cameo_trainer *t) {
    static const double decay[] = {5e-4, 0, 0.01};
    cameo_schedule *s = &o->schedule;
    if (isnan(o->rate)) o->rate = o->optim.kind == CAMEO_SGD ? 0.1 * (double)t->batch * o->accumulate / 256 : 0.001;
    if (isnan(o->optim.weight_decay)) o->optim.weight_decay = decay[o->optim.kind];
    if (isnan(o->samples_per_class)) o->samples_per_class = (double)t->same;
    if (isnan(s->every)) s->every = fmax(1, round(o->epochs / 3));
    if (s->kind == CAMEO_SCHEDULE_MULTISTEP && !s->milestones) {
        s->milestone[0] = fmax(1, round(o->epochs / 2));
        s->milestone[1] = fmax(2, round(o->epochs * 3 / 4));
        s->milestones = 2;
    }
    s->rate = o->rate;
    s->warmup = (int64_t)o->warmup;
    s->multiply = (int64_t)o->restart_multiply;
    s->patience = (int64_t)o->patience;
}

static bool refuse(const char *message) {
    fprintf(stderr, "%s\n", message);
    return false;
}

static bool agree(const cameo_train_options *o, const cameo_trainer *t) {
    if (!o->data) return refuse("--data DIR is missing: a folder with one folder of pictures a class");
    if (!o->output && !o->dry_run && !o->overfit) return refuse("-o RUN is missing: where checkpoints, log and curves go");
    if (o->optim.nesterov && (o->optim.kind != CAMEO_SGD || o->optim.momentum == 0))
        return refuse("--nesterov needs --optimizer sgd with a --momentum");
    if ((o->augment.mixup > 0 || o->augment.cutmix > 0) && !t->mixes)
        return refuse("--mixup and --cutmix need a loss of mixed labels; this program's loss has margins or compares pictures");
    if (o->best == CAMEO_BEST_ACCURACY && !o->val) return refuse("--best-metric val_accuracy needs --val");
    if ((o->best == CAMEO_BEST_AUC || o->best == CAMEO_BEST_EER) && !o->pairs)
        return refuse("--best-metric auc and eer need --pairs");
    return true;
}

static bool read_options(const cameo_args *a, const cameo_trainer *t, cameo_train_options *o) {
    *o = (cameo_train_options){.data = cameo_args_get(a, "data"),
                               .val = cameo_args_get(a, "val"),
                               .pairs = cameo_args_get(a, "pairs"),
                               .pairs_root = cameo_args_get(a, "pairs-root"),
                               .output = cameo_args_get(a, "output"),
                               .preprocess = cameo_args_get(a, "preprocess"),
                               .resume = cameo_args_get(a, "resume"),
                               .dry_run = cameo_args_get(a, "dry-run"),
                               .overfit = cameo_args_get(a, "overfit-one-batch"),
                               .fast_decode = cameo_args_get(a, "fast-decode"),
                               .json = cameo_args_get(a, "json")};
    if (!parse_words(a, o)) return false;
    for (size_t i = 0; i < NUMBERS; i++)
        if (!parse_number(a, &numbers[i], field(o, &numbers[i]))) return false;
    o->optim.nesterov = cameo_args_get(a, "nesterov");
    o->optim.decay_all = cameo_args_get(a, "decay-all");
    if (o->optim.kind != CAMEO_SGD) o->optim.momentum = 0;
    set_defaults(o, t);
    return true;
}

bool cameo_train_options_parse(const cameo_args *a, const cameo_trainer *t, cameo_train_options *o) {
    return read_options(a, t, o) && agree(o, t);
}

/* ---- a resumed run ---- */

static bool is_stored(const char *name) {
    for (size_t i = 0; i < sizeof not_stored / sizeof *not_stored; i++)
        if (strcmp(name, not_stored[i]) == 0) return false;
    return true;
}

static const char *key_of(const char *name, char key[80]) {
    snprintf(key, 80, "cameo.train.option.%s", name);
    return key;
}

void cameo_train_options_store(const cameo_args *a, cameo_properties *p) {
    char key[80];
    for (const cameo_option *o = a->options; o->name; o++) {
        const char *value = cameo_args_get(a, o->name);
        if (value && is_stored(o->name)) cameo_property_set(p, key_of(o->name, key), "%s", value);
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
        if (value && is_stored(o->name) && !cameo_args_get(a, o->name)) a->list[a->count++] = (cameo_argument){o, value};
    }
}

static const char *clash(const cameo_train_options *was, const cameo_train_options *now) {
    if (was->optim.kind != now->optim.kind) return "optimizer";
    if ((was->optim.momentum != 0) != (now->optim.momentum != 0)) return "momentum";
    if ((was->ema > 0) != (now->ema > 0)) return "ema";
    for (size_t i = 0; i < NUMBERS; i++) {
        const double *x = (const double *)(const void *)((const char *)was + numbers[i].offset),
                     *y = (const double *)(const void *)((const char *)now + numbers[i].offset);
        if (numbers[i].stays && *x != *y) return numbers[i].name;
    }
    return NULL;
}

const char *cameo_train_options_clash(const cameo_properties *p, const cameo_trainer *t, const cameo_train_options *now) {
    cameo_args stored = {.options = cameo_train_option_table, .usage = "train", .program = ""};
    cameo_train_options was;
    cameo_train_options_merge(&stored, p);
    const char *name = read_options(&stored, t, &was) ? clash(&was, now) : "resume";
    cameo_args_free(&stored);
    return name;
}
