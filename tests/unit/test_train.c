#define _GNU_SOURCE
/* The training program's runtime on a trainer written by hand: a run that is stopped, killed or
   out of disk space ends with the same bytes as one that never was; what can't work is refused
   with a reason and the right exit code.

   Each run is a process of its own; what happens to it at a step is set by `event`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/files.h"
#include "runtime/base/progress.h"
#include "runtime/training/checkpoint.h"
#include "runtime/training/runlog.h"
#include "scratch.h"
#include "tiny_trainer.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char directory[] = "/tmp/test_train_XXXXXX";

/* ---- runs ---- */

static struct {
    long steps;             /* of this process so far */
    long stop_at, nan_at;   /* SIGINT; a loss that isn't finite */
    long huge_at;           /* weights that overflow in layer fc */
    long full_at, empty_at; /* the disk is full from here on; no longer */
    size_t arena;           /* what the step claims to need */
    double slow;            /* seconds a step takes, whatever signals come */
} event;

static void full_disk(bool full) {
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = full ? 2000 : limit.rlim_max; /* room for messages, not for a checkpoint */
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void step_with_events(cameo_context *c, size_t last) {
    const double began = cameo_now();
    event.steps++;
    while (cameo_now() - began < event.slow) usleep(1000);
    if (event.steps == event.huge_at)
        for (int i = 0; i < TINY_INPUTS * TINY_BLOCK; i += TINY_BLOCK) c->parameters[i] = 3e38f;
    tiny_step_run(c, last);
    if (event.steps == event.nan_at) *(float *)c->out[0] = NAN, c->parameters[TINY_MEAN] = NAN;
    if (event.steps == event.stop_at) raise(SIGINT);
    if (event.steps == event.full_at) full_disk(true);
    if (event.steps == event.empty_at) full_disk(false);
}

/* `line`: the arguments, split at blanks. Ends the process. */
static void be_program(const char *line) {
    static cameo_model step;
    cameo_trainer t = *tiny_trainer();
    char copy[1000], *argv[64] = {"net"}, *rest = NULL;
    int argc = 1;
    step = *t.step;
    step.run = step_with_events;
    if (event.arena) step.arena_bytes = event.arena;
    t.step = &step;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok_r(copy, " ", &rest); word && argc < 63;
         word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    signal(SIGXFSZ, SIG_IGN);
    if (!freopen(event.full_at ? "/dev/null" : "out", "w", stdout) || !freopen("err", "w", stderr))
        _exit(99);
    const int code = cameo_train_main(&t, argc, argv);
    fflush(stdout);
    fflush(stderr);
    _exit(code);
}

static pid_t start(const char *line) {
    fflush(stdout);
    fflush(stderr);
    const pid_t pid = fork();
    if (pid == 0) be_program(line);
    assert_true(pid > 0);
    return pid;
}

/* The exit code; 1000 + signal when one ended it. */
static int end(pid_t pid) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...) {
    char line[1000];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    const int code = end(start(line));
    memset(&event, 0, sizeof event);
    return code;
}

static char *read_text(const char *path) {
    size_t size;
    cameo_error error = {0};
    char *text = (char *)cameo_read_file(path, 1 << 24, &size, &error);
    if (!text) fail_msg("%s", error.message);
    return text;
}

static void expect_text(const char *path, const char *part) {
    char *text = read_text(path);
    if (!strstr(text, part)) fail_msg("%s: \"%s\" is not in:\n%s", path, part, text);
    free(text);
}

static void expect_code(int got, int want) {
    if (got == want) return;
    char *out = read_text("out"), *err = read_text("err");
    fail_msg("exit %d instead of %d\n%s\n%s", got, want, out, err);
}

static void expect_same_file(const char *a, const char *b) {
    size_t n, m;
    unsigned char *x = cameo_read_file(a, 1 << 24, &n, NULL),
                  *y = cameo_read_file(b, 1 << 24, &m, NULL);
    assert_non_null(x);
    assert_non_null(y);
    assert_int_equal(n, m);
    if (memcmp(x, y, n) != 0) fail_msg("%s and %s differ", a, b);
    free(x);
    free(y);
}

static void remove_run(const char *name) {
    char command[100];
    snprintf(command, sizeof command, "chmod -Rf u+w %s; rm -rf %s", name, name);
    assert_int_equal(system(command), 0);
}

/* ---- data: four colours, noise ---- */

static void put_picture(const char *path, int k, uint64_t index) {
    static const int colour[4][3] = {{200, 60, 60}, {60, 200, 60}, {60, 60, 200}, {180, 180, 40}};
    cameo_random r = cameo_random_stream(3, (uint64_t)k, index);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "P3 4 4 255\n");
    for (int i = 0; i < 48; i++) {
        const int v = colour[k][i % 3] + (int)(50 * cameo_random_normal(&r));
        fprintf(f, "%d ", v < 0 ? 0 : v > 255 ? 255 : v);
    }
    fclose(f);
}

static void put_classes(const char *root, int classes, int pictures, uint64_t first) {
    char path[200];
    mkdir(root, 0777);
    for (int k = 0; k < classes; k++) {
        snprintf(path, sizeof path, "%s/c%d", root, k);
        mkdir(path, 0777);
        for (int i = 0; i < pictures; i++) {
            snprintf(path, sizeof path, "%s/c%d/%02d.ppm", root, k, i);
            put_picture(path, k % 4, first + (uint64_t)i);
        }
    }
}

static void put_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void put_pairs(void) {
    FILE *f = fopen("pairs.txt", "w");
    assert_non_null(f);
    for (int i = 0; i < 24; i++)
        fprintf(f, "c%d/%02d.ppm c%d/%02d.ppm %d\n", i % 4, i % 5, (i + i / 4 % 2) % 4, (i + 2) % 5,
                i / 4 % 2 == 0);
    fclose(f);
}

static int setup(void **state) {
    (void)state;
    if (!scratch_enter(directory)) return -1;
    tiny_trainer();
    put_classes("train", 4, 7, 0); /* 3 batches of 8, 4 pictures dropped */
    put_classes("val", 4, 5, 100);
    put_pairs();
    return 0;
}

/* ---- the same bytes ---- */

static const char common[] =
    "train --data train --val val --pairs pairs.txt --pairs-root val --lr 0.05 --log-every 1";

static const char *const recipes[] = {
    "--epochs 3 --augment flip,crop=1 --nesterov --checkpoint-every 2",
    "--epochs 3 --optimizer adamw --ema 0.9 --mixup 0.4 --label-smoothing 0.1 --schedule onecycle",
    ("--epochs 4 --accumulate 2 --schedule plateau --patience 0 --best-metric loss "
     "--clip-norm 0.5 --augment resized-crop=0.5"),
    "--epochs 2 --samples-per-class 2 --optimizer adam --on-nonfinite skip --best-metric eer"};
static const long recipe_steps[] = {9, 9, 8, 6}; /* batches */

/* What a log says, without times and the lines of starts. */
static char *log_of(const char *path) {
    char *text = read_text(path), *out = calloc(1, strlen(text) + 1);
    for (char *line = text, *next; (next = strchr(line, '\n')); line = next + 1) {
        if (cameo_runlog_is(line, "start")) continue;
        char row[200];
        snprintf(row, sizeof row, "%c %g %g %.9g %.9g %.9g\n", line[11],
                 cameo_runlog_number(line, "epoch"), cameo_runlog_number(line, "step"),
                 cameo_runlog_number(line, "loss"), cameo_runlog_number(line, "auc"),
                 cameo_runlog_number(line, "best"));
        strcat(out, row);
    }
    free(text);
    return out;
}

static void expect_same_run(const char *a, const char *b, bool logs) {
    char x[50], y[50];
    static const char *const files[] = {"last.onnx", "best.onnx"};
    for (int i = 0; i < 2; i++) {
        snprintf(x, sizeof x, "%s/%s", a, files[i]);
        snprintf(y, sizeof y, "%s/%s", b, files[i]);
        expect_same_file(x, y);
    }
    if (!logs) return;
    snprintf(x, sizeof x, "%s/log.jsonl", a);
    snprintf(y, sizeof y, "%s/log.jsonl", b);
    char *one = log_of(x), *two = log_of(y);
    assert_string_equal(one, two);
    free(one);
    free(two);
}

static void resume_at_every_step(void **state) {
    (void)state;
    for (size_t k = 0; k < 4; k++) {
        expect_code(run("%s %s -o whole", common, recipes[k]), 0);
        for (long at = 1; at <= recipe_steps[k]; at++) {
            event.stop_at = at;
            expect_code(run("%s %s -o cut", common, recipes[k]), 0);
            expect_text("err", "stopped after step");
            expect_code(run("train --resume -o cut"), 0); /* options come from the checkpoint */
            expect_same_run("whole", "cut", true);
            remove_run("cut");
        }
        remove_run("whole");
    }
}

static void threads_change_nothing(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        char name[20];
        snprintf(name, sizeof name, "t%d", threads);
        expect_code(run("%s %s --threads %d --cache-mb %d -o %s", common, recipes[0], threads,
                        threads == 2 ? 0 : 100, name),
                    0);
        expect_same_run("t1", name, true);
    }
    remove_run("t1 t2 t3");
}

/* Random moments: in steps, checkpoints, evaluation, between files. A run that ends before its
   signal comes is compared and begun anew, so that twenty signals meet a running program however
   fast the machine. */
static void killed_twenty_times(void **state) {
    (void)state;
    cameo_random r = cameo_random_stream(5, 0, 0);
    char line[400];
    expect_code(run("%s --epochs 12 --checkpoint-every 1 --ema 0.9 -o whole", common), 0);
    snprintf(line, sizeof line, "%s --epochs 12 --checkpoint-every 1 --ema 0.9 --resume -o cut",
             common);
    tiny_delay = 3000;
    for (int killed = 0, runs = 0; killed < 20; runs++) {
        assert_true(runs < 400);
        const pid_t pid = start(line);
        usleep((useconds_t)(5000 + cameo_random_below(&r, 30000)));
        kill(pid, SIGKILL);
        const int code = end(pid);
        if (code == 1000 + SIGKILL) {
            killed++;
            continue;
        }
        expect_code(code, 0);
        expect_same_run("whole", "cut", true);
        remove_run("cut");
    }
    tiny_delay = 0;
    expect_code(run("%s", line), 0);
    expect_same_run("whole", "cut", true);
    remove_run("whole cut");
}

static void second_signal_ends_at_once(void **state) {
    (void)state;
    char line[400];
    snprintf(line, sizeof line, "%s --epochs 2 -o run", common);
    event.slow = 2;
    const pid_t pid = start(line);
    event.slow = 0;
    while (!cameo_file_exists("run/last.onnx")) usleep(2000);
    usleep(50000); /* it's in its first step now */
    kill(pid, SIGTERM);
    usleep(50000);
    const double began = cameo_now();
    kill(pid, SIGTERM);
    assert_int_equal(end(pid), 1000 + SIGTERM);
    assert_true(cameo_now() - began < 1);
    remove_run("run");
}

/* ---- full disk ---- */

static void full_disk_for_a_while(void **state) {
    (void)state;
    expect_code(run("%s --epochs 4 --checkpoint-every 1 --best-metric loss -o whole", common), 0);
    event.full_at = 2;
    event.empty_at = 8;
    expect_code(run("%s --epochs 4 --checkpoint-every 1 --best-metric loss -o cut", common), 0);
    expect_text("err", "the checkpoint before stays, the run goes on");
    expect_same_file("whole/last.onnx", "cut/last.onnx");
    char *one = log_of("whole/log.jsonl"), *two = log_of("cut/log.jsonl"); /* lines come later */
    assert_string_equal(one, two);
    free(one);
    free(two);
    remove_run("cut");
    event.full_at = 5; /* and for good: step 4 was saved */
    expect_code(run("%s --epochs 4 --checkpoint-every 1 --best-metric loss -o cut", common),
                CAMEO_ENVIRONMENT);
    expect_text("err", "last.onnx could not be written");
    expect_code(run("train --resume -o cut"), 0);
    expect_text("out", "resumed    after step 4");
    expect_same_run("whole", "cut", true);
    expect_code(run("train --resume -o cut"), 0); /* nothing is left to do */
    expect_text("out",
                "resumed    after step 12: all 4 epochs are done; a larger --epochs goes on");
    remove_run("whole cut");
}

/* ---- what isn't finite ---- */

static void read_weights(const char *path, float *block) {
    cameo_error error = {0};
    cameo_checkpoint_file *f = cameo_checkpoint_open(path, &error);
    memset(block, 0, TINY_FLOATS * sizeof *block);
    if (!f || !cameo_checkpoint_weights(f, tiny_trainer(), block, &error))
        fail_msg("%s", error.message);
    cameo_checkpoint_close(f);
}

static void not_finite(void **state) {
    (void)state;
    event.huge_at = 4;
    expect_code(run("%s --epochs 2 -o run", common), CAMEO_BAD_INPUT);
    expect_text("err", "step 4 (epoch 2): the loss is not finite; the first value that is not "
                       "comes from layer \"fc\" (Gemm)");
    expect_code(run("train --resume -o run"), 0); /* the checkpoint before is whole */
    remove_run("run");
    expect_code(run("train --data train --lr 1e30 --epochs 3 -o run"), CAMEO_BAD_INPUT);
    expect_text("err", "not finite");
    remove_run("run");
    expect_code(run("train --data train --lr 1e30 --epochs 1 --clip-norm 1 -o run"),
                CAMEO_BAD_INPUT);
    remove_run("run");
    event.nan_at = 2;
    expect_code(run("%s --epochs 2 --on-nonfinite skip -o run", common), 0);
    expect_text("run/log.jsonl", "\"skipped\": 1");
    float weights[TINY_FLOATS];
    read_weights("run/last.onnx", weights);
    for (int i = 0; i < TINY_FLOATS; i++)
        assert_true(isfinite(weights[i])); /* running statistics too */
    remove_run("run");
}

/* ---- refusals ---- */

static const struct refusal {
    const char *line, *message;
    int code;
} refusals[] = {
    {"train -o run", "--data DIR is missing", 2},
    {"train --data train", "-o RUN is missing", 2},
    {"train --data train -o run --epochs 0", "--epochs 0: a whole number from 1", 2},
    {"train --data train -o run --epochs 2.5", "--epochs 2.5: a whole number", 2},
    {"train --data train -o run --lr fast", "--lr fast: a number", 2},
    {"train --data train -o run --optimizer lion", "sgd, adam or adamw", 2},
    {"train --data train -o run --optimizer adam --nesterov", "--nesterov needs", 2},
    {"train --data train -o run --schedule linear", "constant|step|", 2},
    {"train --data train -o run --milestones 3,2", "rising", 2},
    {"train --data train -o run --augment spin", "cannot understand \"spin\"", 2},
    {"train --data train -o run --best-metric auc", "need --pairs", 2},
    {"train --data train -o run --best-metric val_accuracy", "needs --val", 2},
    {"train --data train -o run --on-nonfinite hope", "stop or skip", 2},
    {"train --data train -o run --batch 3", "unknown option --batch", 2},
    {"train --data train -o run more", "options only", 2},
    {"train --data nowhere -o run", "nowhere: No such file", 1},
    {"train --data empty -o run", "has no class folders", 1},
    {"train --data one -o run", "nothing to tell apart", 1},
    {"train --data hollow -o run", "this class has no pictures", 1},
    {"train --data five -o run", "has 5 classes, but this program was compiled for 4", 1},
    {"train --data five -o run", "--train --batch 8 --classes-from five", 1},
    {"train --data train --val five -o run", "class \"c4\" is not among", 1},
    {"train --data broken -o run", "more than 1 %", 1},
    {"train --data few -o run", "fewer than one batch of 8", 1},
    {"train --data train --accumulate 4 -o run", "fewer than the 4 of --accumulate", 1},
    {"train --data train --pairs nolabels.txt --pairs-root val -o run", "has no labels", 1},
    {"train --data train --pairs same.txt --pairs-root val -o run", "both kinds are needed", 1},
    {"train --data train --pairs pairs.txt --pairs-root empty -o run", "c0/00.ppm", 1},
    {"train --data train --pairs torn.txt -o run", "cannot be decoded", 1},
    {"train --data train --preprocess mean=0;scale=1e39 -o run", "not finite", 1},
    {"train --data train -o pairs.txt", "not a directory", 4},
    {"train --data train --weights pairs.txt -o run", "not an ONNX file", 1},
    {"train --resume --data train", "--resume needs -o RUN", 2},
    {"export -o pairs.txt/x.onnx", "cannot write", 4},
    {"export", "-o FILE.onnx is missing", 2},
    {"trian", "did you mean train", 2}};

static void make_bad_data(void) {
    mkdir("empty", 0777);
    put_classes("one", 1, 9, 0);
    put_classes("five", 5, 3, 0);
    put_classes("hollow", 4, 3, 0);
    mkdir("hollow/c5", 0777);
    put_classes("few", 4, 1, 0);
    put_classes("broken", 4, 4, 0);
    put_text("broken/c1/02.ppm", "P3 4 4 255 1 2");
    put_text("torn.ppm", "P6 9 9");
    put_text("nolabels.txt", "c0/00.ppm c1/00.ppm\n");
    put_text("same.txt", "c0/00.ppm c0/01.ppm 1\n");
    put_text("torn.txt", "val/c0/00.ppm torn.ppm 1\nval/c0/00.ppm val/c1/00.ppm 0\n");
}

static void refused(void **state) {
    (void)state;
    make_bad_data();
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *r = &refusals[i];
        char spaced[400];
        snprintf(spaced, sizeof spaced, "%s", r->line);
        const int code = run("%s", spaced);
        if (code != r->code) print_error("%s\n", r->line);
        expect_code(code, r->code);
        expect_text("err", r->message);
        struct stat s;
        assert_int_not_equal(stat("run/last.onnx", &s), 0); /* nothing was begun */
    }
}

static void refused_to_resume(void **state) {
    (void)state;
    static const struct refusal rows[] = {{"--seed 2", "--seed differs", 1},
                                          {"--optimizer adam", "--optimizer differs", 1},
                                          {"--momentum 0", "--momentum differs", 1},
                                          {"--ema 0.9", "--ema differs", 1},
                                          {"--accumulate 2", "--accumulate differs", 1},
                                          {"--data val", "is not the data set", 1},
                                          {"--overfit-one-batch", "exclude each other", 2}};
    expect_code(run("train --data train --epochs 1 -o run"), 0);
    expect_code(run("train --data train --epochs 1 -o run"), 1);
    expect_text("err", "holds a run already");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int code = run("train --resume -o run %s", rows[i].line);
        expect_code(code, rows[i].code);
        expect_text("err", rows[i].message);
    }
    expect_code(run("train --resume -o run --epochs 2 --seed 0"), 0); /* more epochs are no other
                                                                         run */
    expect_text("err", "--epochs is now 2, it was 1");
    expect_code(run("export -o run/last.onnx"), 0); /* a model, but no run */
    expect_code(run("train --resume --data train -o run"), 1);
    expect_text("err", "no training run");
    remove_run("run");
}

/* Another program's run: its graph differs. */
static void another_architecture(void **state) {
    (void)state;
    expect_code(run("train --data train --epochs 1 -o run"), 0);
    size_t size;
    char *text = (char *)cameo_read_file("run/last.onnx", 1 << 20, &size, NULL),
         key[] = "cameo.train.architecture";
    char *at = memmem(text, size, key, strlen(key));
    assert_non_null(at);
    at[strlen(key) + 10] ^= 1;
    assert_true(cameo_write_file("run/last.onnx", text, size, NULL));
    free(text);
    expect_code(run("train --resume -o run"), 1);
    expect_text("err", "another architecture");
    remove_run("run");
}

static void too_little_memory(void **state) {
    (void)state;
    event.arena = (size_t)1 << 50;
    expect_code(run("train --data train --epochs 1 -o run"), CAMEO_ENVIRONMENT);
    expect_text("err", "of memory (activations");
    remove_run("run");
}

static void read_only_folder(void **state) {
    (void)state;
    if (geteuid() == 0) skip(); /* nothing is read-only for root */
    mkdir("locked", 0555);
    expect_code(run("train --data train --epochs 1 -o locked"), CAMEO_ENVIRONMENT);
    expect_text("err", "can't be written to");
    remove_run("locked");
}

/* ---- the rest ---- */

static void dry_run_and_overfit(void **state) {
    (void)state;
    struct stat s;
    expect_code(run("train --data train --dry-run -o run"), 0);
    expect_text("out", "images/s");
    expect_code(run("train --data train --overfit-one-batch --lr 0.1"), 0);
    expect_text("out", "it learns");
    expect_code(run("train --data train --overfit-one-batch --lr 0"), 1);
    expect_text("out", "it does NOT learn");
    expect_code(run("bench --train --runs 5 --json"), 0);
    expect_text("out", "\"peak_rss_mb\"");
    expect_code(run("profile --train --json"), 0);
    expect_text("out", "\"fc\"");
    assert_int_not_equal(stat("run", &s), 0);
}

static void exported(void **state) {
    (void)state;
    float a[TINY_FLOATS], b[TINY_FLOATS];
    expect_code(run("export -o e.onnx"), 0);
    read_weights("e.onnx", a);
    assert_memory_equal(a, tiny_trainer()->initial, sizeof a);
    expect_code(run("%s --epochs 2 -o run", common), 0);
    expect_code(run("export -o e.onnx --from run/last.onnx"), 0);
    read_weights("run/last.onnx", a);
    read_weights("e.onnx", b);
    assert_memory_equal(a, b, sizeof a);
    cameo_checkpoint_file *f = cameo_checkpoint_open("e.onnx", NULL);
    const cameo_properties *p = cameo_checkpoint_properties(f);
    assert_null(cameo_property(p, "cameo.train.epoch"));
    assert_string_equal(cameo_property(p, "cameo.classes"), "c0\nc1\nc2\nc3");
    assert_string_equal(cameo_property(p, "cameo.embedding"), "centred");
    cameo_checkpoint_close(f);
    expect_code(run("score pairs.txt --root val --json --weights run/last.onnx"), 0);
    expect_text("out", "\"auc\"");
    expect_code(run("classify val/c2/00.ppm --top 1 --weights=run"), 0);
    expect_text("out", "2");
    expect_code(run("classify val/c2/00.ppm"), 0);
    expect_text("err", "the weights of the model file");
    expect_text("run/curves.html", "<polyline");
    remove_run("run");
}

static void log_is_cut(void **state) {
    (void)state;
    cameo_runlog l;
    mkdir("logs", 0777);
    put_text("logs/log.jsonl", "{\"event\": \"start\", \"epoch\": 0, \"step\": 0}\n"
                               "{\"event\": \"step\", \"epoch\": 1, \"step\": 2, \"loss\": 1}\n"
                               "{\"event\": \"epoch\", \"epoch\": 1, \"step\": 2}\n"
                               "{\"event\": \"step\", \"epoch\": 2, \"step\": 3, \"lo");
    assert_true(cameo_runlog_open(&l, "logs", true, 2, 0, NULL)); /* the epoch was logged, but not
                                                                     saved */
    cameo_json j = cameo_runlog_begin(&l, "step");
    cameo_json_integer(&j, "step", 3);
    cameo_json_end(&j);
    assert_true(cameo_runlog_flush(&l));
    cameo_runlog_close(&l);
    char *text = read_text("logs/log.jsonl");
    assert_string_equal(text, "{\"event\": \"start\", \"epoch\": 0, \"step\": 0}\n"
                              "{\"event\": \"step\", \"epoch\": 1, \"step\": 2, \"loss\": 1}\n"
                              "{\"event\": \"step\", \"step\": 3}\n");
    free(text);
}

/* What a process that was killed left beside a file goes with its next writing; another process's,
   that still runs, and files that only look alike stay. */
static void unfinished_goes(void **state) {
    (void)state;
    pid_t gone = fork();
    if (gone == 0) _exit(0);
    assert_int_equal(waitpid(gone, NULL, 0), gone);
    char left[64];
    snprintf(left, sizeof left, "unfinished/page.%ld.tmp", (long)gone);
    const char *const stay[] = {"unfinished/page.1.tmp", "unfinished/page", "unfinished/page.tmp",
                                "unfinished/page.1x.tmp", "unfinished/pages.1.tmp"}; /* process 1
                                                                                        runs */
    assert_true(cameo_make_directories("unfinished", NULL));
    assert_true(cameo_write_file(left, "x", 1, NULL));
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++)
        assert_true(cameo_write_file(stay[i], "x", 1, NULL));
    cameo_remove_unfinished("unfinished", "page");
    assert_false(cameo_file_exists(left));
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) assert_true(cameo_file_exists(stay[i]));
    cameo_remove_unfinished("no such folder", "page");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(resume_at_every_step),
                                       cmocka_unit_test(threads_change_nothing),
                                       cmocka_unit_test(killed_twenty_times),
                                       cmocka_unit_test(second_signal_ends_at_once),
                                       cmocka_unit_test(full_disk_for_a_while),
                                       cmocka_unit_test(not_finite),
                                       cmocka_unit_test(refused),
                                       cmocka_unit_test(refused_to_resume),
                                       cmocka_unit_test(another_architecture),
                                       cmocka_unit_test(too_little_memory),
                                       cmocka_unit_test(read_only_folder),
                                       cmocka_unit_test(dry_run_and_overfit),
                                       cmocka_unit_test(exported),
                                       cmocka_unit_test(log_is_cut),
                                       cmocka_unit_test(unfinished_goes)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
