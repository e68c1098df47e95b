/* cameo conform: ONNX backend-test directories (model.onnx, test_data_set_*) compiled, run and
   compared. Each test is one child process, so that nothing it does, a crash or a hang either,
   keeps the others from being told; children leave their outcome in shared memory and what they
   print in a log. conform_test, which does one test, is in conform_test.c. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../runtime/base/json.h"
#include "../../runtime/base/progress.h"
#include "../base/temporary.h"
#include "../tuning/trial.h"
#include "cli.h"
#include "conform.h"

static const cameo_option table[] = {
    {"json", NULL, "one object a line"},
    {"rtol", "R", "relative tolerance of floats; default 1e-5"},
    {"atol", "A", "absolute tolerance of floats; default 1e-6"},
    {"timeout", "SECONDS", "for one run of a program; default 60"},
    {"results", "FILE.md", "write the results as a table"},
    {"jobs", "N", "tests at once; default: the processors"},
    {"target", "NAME", "native (default), x86-64, x86-64-v2, x86-64-v3, x86-64-v4 or aarch64"},
    {0},
};

typedef struct suite {
    arena *arena;
    const conform_options *options;
    const char **tests; /* directories */
    size_t n_tests, capacity;
    outcome *outcomes; /* shared with the children; one a test */
    pid_t *pids;       /* 0: not started or done */
    double *deadlines;
    char **scratch;
    bool *done;
} suite;

/* ---- which tests ---- */

static bool is_file(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

static void add_test(suite *s, const char *directory) {
    ARENA_GROW(s->arena, s->tests, s->n_tests, s->capacity);
    s->tests[s->n_tests++] = directory;
}

static void find_tests(suite *s, const char *directory, int depth) {
    struct dirent **entries;
    if (is_file(arena_printf(s->arena, "%s/model.onnx", directory))) {
        add_test(s, directory);
        return;
    }
    const int n = depth > 0 ? scandir(directory, &entries, NULL, alphasort) : -1;
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        if (name[0] != '.' && entries[i]->d_type != DT_REG)
            find_tests(s, arena_printf(s->arena, "%s/%s", directory, name), depth - 1);
        free(entries[i]);
    }
    if (n >= 0) free(entries);
}

static bool find_all(suite *s, const cameo_args *given) {
    bool ok = true;
    for (size_t i = 0; i < given->positionals; i++) {
        const size_t before = s->n_tests;
        char *path = arena_strdup(s->arena, cameo_args_positional(given, i));
        for (size_t size = strlen(path); size > 1 && path[size - 1] == '/'; size--)
            path[size - 1] = 0;
        find_tests(s, path, 3);
        if (s->n_tests > before) continue;
        ok = complain(0, "%s: %s", path,
                      access(path, R_OK) ? strerror(errno) : "no model.onnx in it or below");
    }
    return ok;
}

/* ---- running them ---- */

static const char *log_path(const suite *s, size_t i) {
    return arena_printf(s->arena, "%s/test.log", s->scratch[i]);
}

static _Noreturn void child(const suite *s, size_t i) {
    setpgid(0, 0);
    const int fd = open(log_path(s, i), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) _exit(CAMEO_ENVIRONMENT);
    conform_test(s->tests[i], s->scratch[i], s->options, &s->outcomes[i]);
    fflush(NULL);
    _exit(0);
}

static bool start(suite *s, size_t i) {
    s->scratch[i] = temporary_directory(s->arena);
    if (!s->scratch[i]) return false;
    fflush(NULL);
    s->deadlines[i] = cameo_now() + 120 + 4.0 * s->options->seconds;
    s->pids[i] = fork();
    if (s->pids[i] == 0) child(s, i);
    if (s->pids[i] > 0) return true;
    complain(0, "can not start a process: %s", strerror(errno));
    temporary_remove(s->scratch[i]);
    return false;
}

/* The line of a log that tells most: a C compiler's first error, else the first line. */
static const char *telling_line(arena *a, const char *path) {
    char line[400];
    const char *found = "";
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        const bool tells = strstr(line, "error:") || strstr(line, "ERROR:") ||
                           strstr(line, "undefined reference");
        if (!found[0] || tells) found = arena_strdup(a, line);
        if (tells) break;
    }
    if (f) fclose(f);
    return found;
}

static void finish(suite *s, size_t i, int status, bool late) {
    outcome *o = &s->outcomes[i];
    const char *line = telling_line(s->arena, log_path(s, i));
    if (late)
        conform_fail(o, "timed out");
    else if (WIFSIGNALED(status))
        conform_fail(o, "crashed: signal %d %s", WTERMSIG(status), line);
    else if (WEXITSTATUS(status))
        conform_fail(o, "ended with %d: %s", WEXITSTATUS(status), line);
    else if (o->see_log)
        snprintf(o->reason, sizeof o->reason, "%s", line);
    temporary_remove(s->scratch[i]);
    s->pids[i] = 0;
    s->done[i] = true;
}

static size_t reap(suite *s, size_t first, size_t end) {
    size_t finished = 0;
    for (size_t i = first; i < end; i++) {
        int status = 0;
        if (s->pids[i] <= 0) continue;
        const bool ended = waitpid(s->pids[i], &status, WNOHANG) > 0;
        const bool late = !ended && cameo_now() > s->deadlines[i];
        if (late) {
            kill(-s->pids[i], SIGKILL);
            waitpid(s->pids[i], &status, 0);
        }
        if (ended || late) finish(s, i, status, late), finished++;
    }
    return finished;
}

/* ---- telling ---- */

static const char *verdict_name(verdict v) {
    static const char *const names[] = {"unsupported", "pass", "fail"};
    return v == VERDICT_NONE ? "unsupported" : names[v];
}

void conform_json(FILE *f, const char *name, const outcome *o) {
    cameo_json j = {.stream = f, .compact = true};
    cameo_json_open(&j, NULL, '{');
    cameo_json_text(&j, "test", name);
    cameo_json_text(&j, "result", verdict_name(o->verdict));
    cameo_json_number(&j, "max_abs", o->compared ? o->max_abs : NAN);
    cameo_json_number(&j, "max_rel", o->compared ? o->max_rel : NAN);
    cameo_json_field(&j, o, frozen);
    cameo_json_field(&j, o, folded);
    cameo_json_text(&j, "reference",
                    o->reference == VERDICT_NONE ? NULL : verdict_name(o->reference));
    cameo_json_field(&j, o, reason);
    cameo_json_end(&j);
}

static void tell(const suite *s, size_t i, bool json) {
    const outcome *o = &s->outcomes[i];
    if (json)
        conform_json(stdout, cameo_last_part(s->tests[i]), o);
    else
        printf("%-11s %s%s%s\n", verdict_name(o->verdict), cameo_last_part(s->tests[i]),
               o->reason[0] ? ": " : "", o->reason);
}

static int run_all(suite *s, unsigned jobs, bool json) {
    size_t started = 0, running = 0, told = 0;
    bool ok = true;
    while (told < started || (ok && started < s->n_tests)) {
        while (ok && running < jobs && started < s->n_tests) {
            ok = start(s, started);
            if (ok) started++, running++;
        }
        running -= reap(s, told, started);
        for (; told < started && s->done[told]; told++) tell(s, told, json);
        fflush(stdout);
        const struct timespec pause = {.tv_nsec = 3000000};
        if (running) nanosleep(&pause, NULL);
    }
    return ok ? CAMEO_OK : CAMEO_ENVIRONMENT;
}

typedef struct counts {
    size_t pass, fail, unsupported, folded, frozen, reference;
} counts;

static counts count(const suite *s) {
    counts c = {0};
    for (size_t i = 0; i < s->n_tests; i++) {
        const outcome *o = &s->outcomes[i];
        c.pass += o->verdict == VERDICT_PASS;
        c.fail += o->verdict == VERDICT_FAIL;
        c.unsupported += o->verdict == VERDICT_NONE;
        c.folded += o->folded;
        c.frozen += o->frozen > 0;
        c.reference += o->reference == VERDICT_FAIL;
    }
    return c;
}

static void summary(text *t, const suite *s) {
    const counts c = count(s);
    text_printf(t, "%zu tests: %zu pass, %zu fail, %zu unsupported; ", s->n_tests, c.pass, c.fail,
                c.unsupported);
    text_printf(
        t, "%zu folded away whole, %zu with frozen inputs; the reference interpreter fails %zu\n",
        c.folded, c.frozen, c.reference);
}

/* Text inside a table's cell. */
static void cell(text *t, const char *s) {
    text escaped = {0};
    text_escape(&escaped, s);
    text_replace(t, text_str(&escaped), "|", "\\|");
    text_free(&escaped);
}

static int write_results(const suite *s, const char *path) {
    text t = {0};
    text_append(&t, "# Conformance\n\n");
    summary(&t, s);
    text_append(&t,
                "\n| test | result | max abs | max rel | frozen | folded | reference | reason |\n"
                "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < s->n_tests; i++) {
        const outcome *o = &s->outcomes[i];
        text_append(&t, "| ");
        cell(&t, cameo_last_part(s->tests[i]));
        text_printf(&t, " | %s | ", verdict_name(o->verdict));
        if (o->compared) text_printf(&t, "%.2g | %.2g", o->max_abs, o->max_rel);
        if (!o->compared) text_append(&t, " | ");
        text_printf(&t, " | %zu | %s | %s | ", o->frozen, o->folded ? "yes" : "",
                    o->reference == VERDICT_NONE ? "" : verdict_name(o->reference));
        cell(&t, o->reason);
        text_append(&t, " |\n");
    }
    cameo_error error;
    const bool good = cameo_write_file(path, text_str(&t), t.size, &error);
    text_free(&t);
    return good ? CAMEO_OK : complain_of(&error);
}

/* ---- the verb ---- */

static bool conform_settings(const cameo_args *c, conform_options *o) {
    int64_t seconds = 60;
    if (!cameo_args_integer(c, "timeout", 1, 100000, &seconds)) return false;
    o->seconds = (unsigned)seconds;
    o->rtol = 1e-5;
    o->atol = 1e-6;
    return cli_tolerance(c, "rtol", &o->rtol) && cli_tolerance(c, "atol", &o->atol);
}

static bool prepare(suite *s) {
    const size_t n = s->n_tests;
    s->pids = ARENA_ARRAY(s->arena, pid_t, n);
    s->deadlines = ARENA_ARRAY(s->arena, double, n);
    s->scratch = ARENA_ARRAY(s->arena, char *, n);
    s->done = ARENA_ARRAY(s->arena, bool, n);
    void *shared = mmap(NULL, (n + 1) * sizeof *s->outcomes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return complain(0, "out of memory");
    s->outcomes = shared;
    return true;
}

static int conform(arena *a, const cameo_args *c, options *compile) {
    conform_options o = {.compile = *compile};
    suite s = {.arena = a, .options = &o};
    const unsigned jobs = compile->jobs ? compile->jobs : (unsigned)cameo_processors();
    if (!conform_settings(c, &o)) return CAMEO_USAGE;
    o.compile.jobs = 1;
    const bool found = find_all(&s, c);
    if (!prepare(&s)) return CAMEO_ENVIRONMENT;
    int code = run_all(&s, jobs, cameo_args_get(c, "json") != NULL);
    text t = {0};
    summary(&t, &s);
    fputs(text_str(&t), stderr);
    text_free(&t);
    if (!code && cameo_args_get(c, "results"))
        code = write_results(&s, cameo_args_get(c, "results"));
    if (!code && (!found || count(&s).fail)) code = CAMEO_BAD_INPUT;
    munmap(s.outcomes, (s.n_tests + 1) * sizeof *s.outcomes);
    return code;
}

const cli_verb cli_conform = {
    .name = "conform",
    .about = "run ONNX backend tests: directories with a model and its data",
    .usage = "conform DIR... [--json] [options]",
    .help = "Runs ONNX backend tests: directories with model.onnx and test_data_set_*, or parents "
            "of such.",
    .options = table,
    .takes = CLI_CONFORM,
    .least = 1,
    .most = SIZE_MAX,
    .run = conform};
