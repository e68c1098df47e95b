/* train: from options to a run. */
#include "../training/train_run.h"
#include "live.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

/* Options given anew that differ from those the run was begun with: said, so that nobody wonders
   later. */
static void say_changes(const cameo_args *a, const cameo_properties *p) {
    char key[80];
    for (const cameo_option *o = a->options; o->name; o++) {
        const char *now = cameo_args_get(a, o->name);
        snprintf(key, sizeof key, "cameo.train.option.%s", o->name);
        const char *was = cameo_property(p, key);
        if (now && was && strcmp(now, was) != 0)
            fprintf(stderr, "--%s is now %s, it was %s\n", o->name, now, was);
    }
}

static void copy_properties(cameo_properties *to, const cameo_properties *from) {
    for (size_t i = 0; i < from->count; i++) cameo_property_set(to, from->key[i], from->value[i]);
}

/* The checkpoint to go on from: *file stays NULL where there is none yet. The arguments then point
   into *p. */
static bool open_checkpoint(cameo_args *a, cameo_checkpoint_file **file, cameo_properties *p,
                            cameo_error *error) {
    const char *run = cameo_args_get(a, "output");
    *file = NULL;
    if (!cameo_args_get(a, "resume")) return true;
    if (!run) return cameo_fail(error, CAMEO_USAGE, "--resume needs -o RUN, the folder of the run");
    if (cameo_args_get(a, "overfit-one-batch"))
        return cameo_fail(error, CAMEO_USAGE,
                          "--resume and --overfit-one-batch exclude each other");
    char *path = cameo_join(run, "last.onnx");
    const bool there = cameo_file_exists(path);
    if (there) *file = cameo_checkpoint_open(path, error);
    if (!there) fprintf(stderr, "%s is not there yet: the run begins\n", path);
    free(path);
    if (!*file) return !there;
    copy_properties(p, cameo_checkpoint_properties(*file));
    say_changes(a, p);
    cameo_train_options_merge(a, p);
    return true;
}

static int run(cameo_train *t, cameo_checkpoint_file *file) {
    cameo_error error = {0};
    if (!cameo_train_options_parse(t->args, t->trainer, &t->options))
        return cameo_checkpoint_close(file), CAMEO_USAGE;
    cameo_train_catch_signals();
    const bool ready = cameo_train_open(t, file, &error);
    cameo_checkpoint_close(file); /* or its disk space stays taken when it's replaced */
    if (!ready) return cameo_report_error(&error);
    return t->options.dry_run   ? cameo_train_dry_run(t)
           : t->options.overfit ? cameo_train_overfit(t)
                                : cameo_train_run(t);
}

static int train_with(const cameo_live *live, cameo_args *a) {
    cameo_checkpoint_file *file;
    cameo_properties p = {0};
    cameo_error error = {0};
    if (!open_checkpoint(a, &file, &p, &error)) return cameo_report_error(&error);
    cameo_train t = {.trainer = live->trainer, .args = a, .parameters = live->parameters};
    const int code = run(&t, file);
    cameo_train_close(&t);
    cameo_properties_free(&p);
    return code;
}

/* With --resume the run's options are added to those given: to a copy. */
static int train(const cameo_model *model, const cameo_args *given) {
    if (given->positionals) return cameo_usage_error(given, "train takes options only");
    cameo_args a = *given;
    a.list = cameo_allocate(a.count + 1, sizeof *a.list);
    if (a.count) memcpy(a.list, given->list, a.count * sizeof *a.list);
    const int code = train_with(cameo_live_of(model), &a);
    cameo_args_free(&a);
    return code;
}

const cameo_verb cameo_verb_train = {"train", "train the network on class folders of pictures",
                                     "train --data DIR [--val DIR] [--pairs FILE "
                                     "--pairs-root DIR] --epochs E ... -o RUN [--resume]",
                                     cameo_train_option_table, .run = train};
