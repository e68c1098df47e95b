/* Building: C files into a temporary directory, a compiler for each part, the link, a rename. The compiler is told the target's
   flags and contracts a * b + c; it may not reorder sums, so results are the same wherever a loop is cut. */
#define _GNU_SOURCE
#include "build.h"
#include "process.h"
#include "program.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DONE = 0, DEFECT = 3, ENVIRONMENT = 4, MAX_ARGUMENTS = 128 };

typedef struct job {
    arena *arena;
    const options *options;
    const program *program;
    const char *prefix, *directory, *include, *library, *cc; /* directory: the temporary one */
    bool xnnpack;
} job;

typedef struct arguments {
    char **v;
    size_t n;
} arguments;

static int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int complain(int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("cameo: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}

static arguments new_arguments(const job *j) { return (arguments){ARENA_ARRAY(j->arena, char *, MAX_ARGUMENTS), 0}; }

static void add(arguments *a, const char *s) {
    if (a->n + 1 >= MAX_ARGUMENTS) BUG("too many arguments");
    char *copy;
    memcpy(&copy, &s, sizeof copy); /* execvp takes char *const[] but writes nothing */
    a->v[a->n++] = copy;
}

static void add_words(const job *j, arguments *a, const char *words) {
    char *s = arena_strdup(j->arena, words ? words : ""), *save = NULL;
    for (char *w = strtok_r(s, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) add(a, w);
}

static const char *in_directory(const job *j, const char *name) { return arena_printf(j->arena, "%s/%s", j->directory, name); }

static int put(const char *path, const void *data, size_t size) {
    const int e = write_file_atomically(path, data, size, 0644);
    return e ? complain(ENVIRONMENT, "cannot write %s: %s", path, strerror(e)) : DONE;
}

static int put_text(const char *path, const text *t) { return put(path, text_str(t), t->size); }

/* ---- headers and library ---- */

static const char *first_existing(arena *a, const char *base, const char *const *relative, const char *file) {
    for (; *relative; relative++) {
        const char *directory = arena_printf(a, "%s/%s", base, *relative);
        if (!access(arena_printf(a, "%s/%s", directory, file), R_OK)) return directory;
    }
    return NULL;
}

static const char *program_directory(arena *a) {
    char path[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return ".";
    path[n] = 0;
    char *slash = strrchr(path, '/');
    if (slash) *slash = 0;
    return arena_strdup(a, path);
}

/* Installed: ../include/cameo and ../lib beside bin. In a build tree: the runtime's sources and the library at the top. */
static bool find_runtime(job *j) {
    static const char *const includes[] = {"include/cameo", "../include/cameo", "runtime", "../runtime",
                                           "../../runtime", "../../../runtime", NULL};
    static const char *const libraries[] = {"lib", "../lib", "../lib64", "../lib/x86_64-linux-gnu", "../lib/aarch64-linux-gnu",
                                            ".",   "..",     NULL};
    const char *home = getenv("CAMEO_HOME");
    const char *base = home && *home ? home : program_directory(j->arena);
    j->include = first_existing(j->arena, base, includes, "cameo.h");
    const char *library = first_existing(j->arena, base, libraries, "libcameo.a");
    j->library = library ? arena_printf(j->arena, "%s/libcameo.a", library) : NULL;
    return j->include && (j->library || j->options->emit == EMIT_LIB);
}

/* ---- compiling ---- */

static void compile_flags(const job *j, arguments *a) {
    add_words(j, a, j->cc);
    add_words(j, a, "-std=gnu11 -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math -fPIC -ffunction-sections");
    add_words(j, a, j->options->target.flags);
    add(a, "-I");
    add(a, j->include);
}

static command compile_command(const job *j, const char *name) {
    arguments a = new_arguments(j);
    compile_flags(j, &a);
    add_words(j, &a, "-c -o");
    add(&a, arena_printf(j->arena, "%s.o", name));
    add(&a, arena_printf(j->arena, "%s.c", name));
    return (command){.argv = a.v, .log = arena_printf(j->arena, "%s.log", name)};
}

/* Every C file by its name without the ending: the parts of all units, the trainer, main. */
static size_t list_sources(const job *j, const char **name) {
    size_t n = 0;
    for (size_t u = 0; u < j->program->n_units; u++)
        for (size_t i = 0; i < j->program->units[u].n_parts; i++)
            name[n++] = arena_printf(j->arena, "%spart%zu", j->program->units[u].unit, i);
    if (j->program->trainer_c.size) name[n++] = "trainer";
    if (j->options->emit == EMIT_EXE) name[n++] = "main";
    return n;
}

static const char **all_sources(const job *j, size_t *n) {
    size_t most = 2;
    for (size_t u = 0; u < j->program->n_units; u++) most += j->program->units[u].n_parts;
    const char **name = ARENA_ARRAY(j->arena, const char *, most);
    *n = list_sources(j, name);
    return name;
}

static int write_unit(const job *j, const emitted *em) {
    int code = put_text(in_directory(j, arena_printf(j->arena, "%sweights.bin", em->unit)), &em->weights);
    for (size_t i = 0; !code && i < em->n_parts; i++)
        code = put_text(in_directory(j, arena_printf(j->arena, "%spart%zu.c", em->unit, i)), &em->parts[i]);
    return code;
}

static int write_main(const job *j) {
    const bool train = j->program->trainer_c.size;
    const char *type = train ? "cameo_trainer" : "cameo_model", *what = train ? "trainer" : "model";
    const char *main_c = arena_printf(j->arena,
                                      "#include \"%s.h\"\n\nextern const %s %s_%s;\n\n"
                                      "int main(int argc, char **argv) { return %s(&%s_%s, argc, argv); }\n",
                                      train ? "training" : "cameo", type, j->prefix, what,
                                      train ? "cameo_train_main" : "cameo_main", j->prefix, what);
    return put(in_directory(j, "main.c"), main_c, strlen(main_c));
}

static int write_trainer(const job *j, const char *directory) {
    if (!j->program->trainer_c.size) return DONE;
    int code = put_text(arena_printf(j->arena, "%s/trainer.c", directory), &j->program->trainer_c);
    for (size_t i = 0; !code && i < j->program->n_files; i++)
        code = put_text(arena_printf(j->arena, "%s/%s", directory, j->program->files[i].name), &j->program->files[i].data);
    return code;
}

static int write_sources(const job *j) {
    int code = write_trainer(j, j->directory);
    for (size_t u = 0; !code && u < j->program->n_units; u++) code = write_unit(j, &j->program->units[u]);
    return code || j->options->emit != EMIT_EXE ? code : write_main(j);
}

static void show_log(const job *j, const char *log) {
    FILE *f = fopen(in_directory(j, log), "r");
    char line[512];
    for (int i = 0; f && i < 40 && fgets(line, sizeof line, f); i++) fprintf(stderr, "    %s", line);
    if (f) fclose(f);
}

static int run(const job *j, command *c, size_t n, const char *doing) {
    size_t failed;
    if (run_commands(c, n, j->options->jobs ? j->options->jobs : processors(), j->directory, &failed)) return DONE;
    if (process_interrupted()) return ENVIRONMENT;
    if (command_missing(&c[failed]))
        return complain(ENVIRONMENT, "cannot run \"%s\" for %s; install it or name another with --cc", c[failed].argv[0],
                        doing);
    complain(DEFECT, "%s failed:", doing);
    show_log(j, c[failed].log);
    return DEFECT;
}

static int compile_parts(const job *j) {
    size_t n;
    const char **name = all_sources(j, &n);
    command *c = ARENA_ARRAY(j->arena, command, n);
    for (size_t i = 0; i < n; i++) c[i] = compile_command(j, name[i]);
    return run(j, c, n, "compiling the generated C");
}

/* ---- linking ---- */

static void add_objects(const job *j, arguments *a) {
    size_t n;
    const char **name = all_sources(j, &n);
    for (size_t i = 0; i < n; i++) add(a, arena_printf(j->arena, "%s.o", name[i]));
}

static command link_command(const job *j, const char *to) {
    arguments a = new_arguments(j);
    if (j->options->emit == EMIT_LIB) {
        add_words(j, &a, "ar rcsD");
        add(&a, to);
        add_objects(j, &a);
        return (command){.argv = a.v, .log = "link.log"};
    }
    add_words(j, &a, j->cc);
    add_words(j, &a, "-O2 -Wl,--gc-sections -Wl,-z,noexecstack -o");
    add(&a, to);
    if (j->options->emit == EMIT_SO) add_words(j, &a, "-shared -Wl,-u,cameo_create"); /* the API comes along */
    if (j->options->is_static) add(&a, "-static");
    add_objects(j, &a);
    add(&a, j->library);
    if (j->xnnpack) add_words(j, &a, "-lXNNPACK -lpthreadpool");
    if (j->xnnpack && j->options->is_static) add(&a, "-lcpuinfo");
    if (j->options->emit == EMIT_EXE) add_words(j, &a, "-lturbojpeg -lpng");
    if (j->options->emit == EMIT_EXE && j->options->is_static) add(&a, "-lz");
    add_words(j, &a, "-lm -lpthread");
    return (command){.argv = a.v, .log = "link.log"};
}

static const char *absolute(const job *j, const char *path) {
    char cwd[PATH_MAX];
    if (path[0] == '/' || !getcwd(cwd, sizeof cwd)) return path;
    return arena_printf(j->arena, "%s/%s", cwd, path);
}

static const char *beside_output(const job *j, const char *name) {
    const char *slash = strrchr(j->options->output, '/');
    return slash ? arena_printf(j->arena, "%.*s/%s", (int)(slash - j->options->output), j->options->output, name) : name;
}

static int link_output(const job *j) {
    const char *beside = arena_printf(j->arena, "%s.tmp%ld", absolute(j, j->options->output), (long)getpid());
    command c = link_command(j, beside);
    int code = run(j, &c, 1, "linking");
    if (!code && rename(beside, j->options->output))
        code = complain(ENVIRONMENT, "cannot write %s: %s", j->options->output, strerror(errno));
    if (code) unlink(beside);
    if (!code && j->options->sidecar)
        code = put_text(beside_output(j, arena_printf(j->arena, "%s.weights", j->prefix)), &j->program->units[0].weights);
    if (!code && j->options->emit != EMIT_EXE)
        code = put_text(beside_output(j, arena_printf(j->arena, "%s.h", j->prefix)), &j->program->units[0].model_h);
    return code;
}

/* ---- C as the result ---- */

static int write_unit_c(const job *j, const char *directory, const emitted *em) {
    const char *own = !em->unit[0] && j->options->sidecar ? arena_printf(j->arena, "%s.weights", j->prefix) : NULL;
    const char *weights = own ? own : arena_printf(j->arena, "%sweights.bin", em->unit);
    int code = put_text(arena_printf(j->arena, "%s/%s", directory, weights), &em->weights);
    if (!code) code = put_text(arena_printf(j->arena, "%s/%smodel.h", directory, em->unit), &em->model_h);
    if (!code) code = put_text(arena_printf(j->arena, "%s/%smodel.c", directory, em->unit), &em->model_c);
    return code;
}

static int write_c(const job *j, const char *directory) {
    if (mkdir(directory, 0777) && errno != EEXIST)
        return complain(ENVIRONMENT, "cannot make %s: %s", directory, strerror(errno));
    int code = write_trainer(j, directory);
    for (size_t u = 0; !code && u < j->program->n_units; u++) code = write_unit_c(j, directory, &j->program->units[u]);
    return code;
}

/* ---- the temporary directory ---- */

static void remove_file(const job *j, const char *stem, const char *suffix) {
    unlink(in_directory(j, arena_printf(j->arena, "%s%s", stem, suffix)));
}

static void clean(const job *j) {
    static const char *const suffix[] = {".c", ".o", ".log", NULL};
    size_t n;
    const char **name = all_sources(j, &n);
    for (const char *const *x = suffix; *x; x++) {
        for (size_t i = 0; i < n; i++) remove_file(j, name[i], *x);
        remove_file(j, "link", *x);
    }
    for (size_t u = 0; u < j->program->n_units; u++) remove_file(j, j->program->units[u].unit, "weights.bin");
    for (size_t i = 0; i < j->program->n_files; i++) remove_file(j, j->program->files[i].name, "");
    rmdir(j->directory);
}

static int build_in_temporary(job *j) {
    const char *tmp = getenv("TMPDIR");
    char *directory = arena_printf(j->arena, "%s/cameo-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(directory))
        return complain(ENVIRONMENT, "cannot make a temporary directory %s: %s", directory, strerror(errno));
    j->directory = absolute(j, directory);
    process_begin();
    int code = write_sources(j);
    if (!code) code = compile_parts(j);
    if (!code) code = link_output(j);
    clean(j);
    process_end();
    return code;
}

static const char *compiler_name(const options *o) {
    const char *cc = getenv("CC");
    return o->cc ? o->cc : cc && *cc ? cc : "cc";
}

/* Found out before the minutes of compiling rather than by the linker after them. */
static bool output_is_writable(const job *j) {
    const char *path = j->options->output, *slash = strrchr(path, '/');
    const char *directory = !slash ? "." : slash == path ? "/" : arena_strndup(j->arena, path, (size_t)(slash - path));
    return access(directory, W_OK | X_OK) == 0;
}

int build_program(const graph *g, const program *p, const options *o) {
    job j = {.arena = g->arena, .options = o, .program = p, .prefix = emit_prefix(g->arena, o), .cc = compiler_name(o)};
    for (size_t u = 0; u < p->n_units; u++) j.xnnpack |= p->units[u].xnnpack;
    if (!output_is_writable(&j))
        return complain(ENVIRONMENT, "cannot write %s: %s; choose another folder with -o", o->output, strerror(errno));
    const int code = o->keep_c ? write_c(&j, o->keep_c) : DONE;
    if (code) return code;
    if (o->emit == EMIT_C) return write_c(&j, o->output);
    if (!find_runtime(&j))
        return complain(ENVIRONMENT, "cannot find %s beside the program; set CAMEO_HOME to where cameo is installed",
                        j.include ? "libcameo.a" : "cameo.h");
    return build_in_temporary(&j);
}
