/* Building: C files into a temporary directory, a compiler for each part, the link, a rename. The
   compiler is told the target's flags and contracts a * b + c; it may not reorder sums, so results
   are the same wherever a loop is cut. */
#define _GNU_SOURCE
#include "build.h"
#include "../base/process.h"
#include "../base/temporary.h"
#include "program.h"
#include "toolchain.h"
#include "wrap.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 512 };

typedef struct job {
    arena *arena;
    const options *options;
    const program *program;
    const char *prefix, *directory; /* directory: the temporary one */
    toolchain tools;
    const char **runtime; /* its C files, when it is built along */
    size_t n_runtime;
    bool xnnpack;
} job;

typedef struct arguments {
    char **v;
    size_t n;
} arguments;

static arguments new_arguments(const job *j) {
    return (arguments){ARENA_ARRAY(j->arena, char *, MAX_ARGUMENTS), 0};
}

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

static const char *in_directory(const job *j, const char *name) {
    return arena_put(j->arena, "$0/$1", j->directory, name);
}

static int put(const char *path, const void *data, size_t size) {
    cameo_error error;
    return cameo_write_file(path, data, size, &error) ? CAMEO_OK : complain_of(&error);
}

static int put_text(const char *path, const text *t) { return put(path, text_str(t), t->size); }

/* C that somebody may read. */
static int put_c(const char *path, const text *t) {
    text wrapped = {0};
    wrap_c(t, &wrapped);
    const int code = put_text(path, &wrapped);
    text_free(&wrapped);
    return code;
}

/* ---- compiling ---- */

/* level: the flags of a target. */
static command compile_command(const job *j, const char *flags, const char *level,
                               const char *include, const char *source, const char *name) {
    arguments a = new_arguments(j);
    add_words(j, &a, j->tools.cc);
    add_words(j, &a, flags);
    add_words(j, &a, level);
    add(&a, "-I");
    add(&a, include);
    add_words(j, &a, "-c -o");
    add(&a, arena_put(j->arena, "$0.o", name));
    add(&a, source);
    return (command){.argv = a.v, .log = arena_put(j->arena, "$0.log", name)};
}

/* What runs on any of the program's targets. */
static const char *lowest_flags(const options *o) {
    return o->n_narrower ? o->narrower[o->n_narrower - 1].flags : o->target.flags;
}

typedef struct source_file { /* a C file by its name without the ending */
    const char *name, *level;
} source_file;

/* GCC from 14 on, tuning for no processor in particular, multiplies and adds apart in chains of
   256 bits and less, for the sake of some that are slower at both in one: the parameter asks for
   one instruction, as on all others. Clang does so, and would warn of an unused argument. */
static command compile_generated(const job *j, const source_file *s) {
    static const char flags[] =
        "-std=gnu11 -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math "
        "--param=avoid-fma-max-bits=0 -Wno-unused-command-line-argument -fPIC -ffunction-sections";
    return compile_command(j, flags, s->level, j->tools.include,
                           arena_put(j->arena, "$0.c", s->name), s->name);
}

static const char *runtime_name(const job *j, size_t i) {
    return arena_put(j->arena, "runtime$0", i);
}

/* As CMakeLists.txt compiles libcameo.a. */
static command compile_runtime(const job *j, size_t i) {
    static const char flags[] = "-std=gnu11 -O2 -DNDEBUG -fno-math-errno -fPIC -ffunction-sections";
    const char *source = arena_put(j->arena, "$0/$1", j->tools.sources, j->runtime[i]);
    return compile_command(j, flags, lowest_flags(j->options), j->tools.sources, source,
                           runtime_name(j, i));
}

/* The parts of all units, the trainer, main. */
static size_t list_sources(const job *j, source_file *s) {
    const char *lowest = lowest_flags(j->options);
    size_t n = 0;
    for (size_t u = 0; u < j->program->n_units; u++)
        for (size_t i = 0; i < j->program->units[u].n_parts; i++) {
            const emitted *em = &j->program->units[u];
            s[n++] = (source_file){arena_put(j->arena, "$0part$1", em->unit, i), em->flags};
        }
    if (j->program->trainer_c.size) s[n++] = (source_file){"trainer", lowest};
    if (j->options->emit == EMIT_EXE) s[n++] = (source_file){"main", lowest};
    return n;
}

static source_file *all_sources(const job *j, size_t *n) {
    size_t most = 2;
    for (size_t u = 0; u < j->program->n_units; u++) most += j->program->units[u].n_parts;
    source_file *s = ARENA_ARRAY(j->arena, source_file, most);
    *n = list_sources(j, s);
    return s;
}

static int write_unit(const job *j, const emitted *em) {
    int code = put_text(in_directory(j, arena_put(j->arena, "$0weights.bin", em->unit)),
                        &em->weights);
    for (size_t i = 0; !code && i < em->n_parts; i++)
        code = put_text(in_directory(j, arena_put(j->arena, "$0part$1.c", em->unit, i)),
                        &em->parts[i]);
    return code;
}

static int write_main(const job *j) {
    const bool train = j->program->trainer_c.size;
    const char *type = train ? "cameo_trainer" : "cameo_model", *what = train ? "trainer" : "model";
    const char *main_c = arena_put(
        j->arena,
        "#include \"$0.h\"\n\n"
        "extern const $1 $2_$3;\n\n"
        "int main(int argc, char **argv) { return $4(&$2_$3, argc, argv); }\n",
        train ? "training/training" : "cameo", type, j->prefix, what,
        train ? "cameo_train_main" : "cameo_main");
    return put(in_directory(j, "main.c"), main_c, strlen(main_c));
}

static int write_trainer(const job *j, const char *directory) {
    if (!j->program->trainer_c.size) return CAMEO_OK;
    int code = put_c(arena_put(j->arena, "$0/trainer.c", directory), &j->program->trainer_c);
    for (size_t i = 0; !code && i < j->program->n_files; i++)
        code = put_text(arena_put(j->arena, "$0/$1", directory, j->program->files[i].name),
                        &j->program->files[i].data);
    return code;
}

static int write_sources(const job *j) {
    int code = write_trainer(j, j->directory);
    for (size_t u = 0; !code && u < j->program->n_units; u++)
        code = write_unit(j, &j->program->units[u]);
    return code || j->options->emit != EMIT_EXE ? code : write_main(j);
}

static void show_log(const job *j, const char *log) {
    FILE *f = fopen(in_directory(j, log), "r");
    char line[512];
    for (int i = 0; f && i < 40 && fgets(line, sizeof line, f); i++)
        fprintf(stderr, "    %s", line);
    if (f) fclose(f);
}

static int run(const job *j, command *c, size_t n, const char *doing) {
    size_t failed;
    if (run_commands(c, n, j->options->jobs ? j->options->jobs : (unsigned)cameo_processors(),
                     j->directory, &failed))
        return CAMEO_OK;
    if (process_interrupted()) return CAMEO_ENVIRONMENT;
    if (command_missing(&c[failed]))
        return complain(CAMEO_ENVIRONMENT,
                        "cannot run \"%s\" for %s; install it or name another with --cc",
                        c[failed].argv[0], doing);
    if (toolchain_explain(j->arena, j->options, in_directory(j, c[failed].log)))
        return CAMEO_ENVIRONMENT;
    complain(CAMEO_DEFECT, "%s failed:", doing);
    show_log(j, c[failed].log);
    return CAMEO_DEFECT;
}

static int compile_parts(const job *j) {
    size_t n;
    const source_file *s = all_sources(j, &n);
    command *c = ARENA_ARRAY(j->arena, command, n),
            *r = ARENA_ARRAY(j->arena, command, j->n_runtime);
    for (size_t i = 0; i < j->n_runtime; i++) r[i] = compile_runtime(j, i);
    for (size_t i = 0; i < n; i++) c[i] = compile_generated(j, &s[i]);
    const int code = j->n_runtime ? run(j, r, j->n_runtime, "compiling the runtime") : CAMEO_OK;
    return code ? code : run(j, c, n, "compiling the generated C");
}

/* ---- linking ---- */

static void add_objects(const job *j, arguments *a) {
    size_t n;
    const source_file *s = all_sources(j, &n);
    for (size_t i = 0; i < n; i++) add(a, arena_put(j->arena, "$0.o", s[i].name));
    for (size_t i = 0; i < j->n_runtime; i++)
        add(a, arena_put(j->arena, "$0.o", runtime_name(j, i)));
}

static void add_libraries(const job *j, arguments *a) {
    const bool is_static = j->options->is_static;
    if (j->tools.library) add(a, j->tools.library);
    if (j->xnnpack)
        add_words(j, a,
                  is_static ? "-lXNNPACK -lpthreadpool -lcpuinfo" : "-lXNNPACK -lpthreadpool");
    if (j->options->emit == EMIT_EXE)
        add_words(j, a, is_static ? "-lturbojpeg -lpng -lz" : "-lturbojpeg -lpng");
    add_words(j, a, "-lm -lpthread");
}

static command link_command(const job *j, const char *to) {
    arguments a = new_arguments(j);
    if (j->options->emit == EMIT_LIB) {
        add_words(j, &a, j->tools.ar);
        add(&a, "rcsD");
        add(&a, to);
        add_objects(j, &a);
        return (command){.argv = a.v, .log = "link.log"};
    }
    add_words(j, &a, j->tools.cc);
    add_words(j, &a, "-O2 -Wl,--gc-sections -Wl,-z,noexecstack -o");
    add(&a, to);
    if (j->options->emit == EMIT_SO)
        add_words(j, &a, "-shared -Wl,-u,cameo_create"); /* the API comes along */
    if (j->options->is_static) add(&a, "-static");
    add_objects(j, &a);
    add_libraries(j, &a);
    return (command){.argv = a.v, .log = "link.log"};
}

static const char *absolute(const job *j, const char *path) {
    char cwd[PATH_MAX];
    if (path[0] == '/' || !getcwd(cwd, sizeof cwd)) return path;
    return arena_put(j->arena, "$0/$1", cwd, path);
}

static const char *beside_output(const job *j, const char *name) {
    const char *slash = strrchr(j->options->output, '/');
    return slash ? arena_printf(j->arena, "%.*s/%s", (int)(slash - j->options->output),
                                j->options->output, name)
                 : name;
}

static int link_output(const job *j) {
    const char *beside = arena_put(j->arena, "$0.tmp$1", absolute(j, j->options->output),
                                   (long)getpid());
    command c = link_command(j, beside);
    int code = run(j, &c, 1, "linking");
    if (!code && rename(beside, j->options->output))
        code = complain(CAMEO_ENVIRONMENT, "cannot write %s: %s", j->options->output,
                        strerror(errno));
    if (code) unlink(beside);
    if (!code && j->options->sidecar)
        code = put_text(beside_output(j, arena_put(j->arena, "$0.weights", j->prefix)),
                        &j->program->units[0].weights);
    if (!code && j->options->emit != EMIT_EXE)
        code = put_c(beside_output(j, arena_put(j->arena, "$0.h", j->prefix)),
                     &j->program->units[0].model_h);
    return code;
}

/* ---- C as the result ---- */

static int write_unit_c(const job *j, const char *directory, const emitted *em) {
    const char *own = !em->unit[0] && j->options->sidecar
                          ? arena_put(j->arena, "$0.weights", j->prefix)
                          : NULL;
    const char *weights = own ? own : arena_put(j->arena, "$0weights.bin", em->unit);
    int code = put_text(arena_put(j->arena, "$0/$1", directory, weights), &em->weights);
    if (!code) code = put_c(arena_put(j->arena, "$0/$1model.h", directory, em->unit), &em->model_h);
    if (!code) code = put_c(arena_put(j->arena, "$0/$1model.c", directory, em->unit), &em->model_c);
    return code;
}

static int write_c(const job *j, const char *directory) {
    if (mkdir(directory, 0777) && errno != EEXIST)
        return complain(CAMEO_ENVIRONMENT, "cannot make %s: %s", directory, strerror(errno));
    int code = write_trainer(j, directory);
    for (size_t u = 0; !code && u < j->program->n_units; u++)
        code = write_unit_c(j, directory, &j->program->units[u]);
    return code;
}

/* ---- the temporary directory ---- */

static int find_tools(job *j) {
    const int code = toolchain_find(j->arena, j->options, j->directory, &j->tools);
    if (code || j->tools.library) return code;
    const bool whole = j->options->emit == EMIT_EXE || j->program->trainer_c.size;
    j->runtime = toolchain_sources(j->arena, &j->tools, whole, j->xnnpack, &j->n_runtime);
    return j->runtime ? CAMEO_OK : CAMEO_ENVIRONMENT;
}

static int build_in_temporary(job *j) {
    j->directory = temporary_directory(j->arena);
    if (!j->directory) return CAMEO_ENVIRONMENT;
    process_begin();
    int code = find_tools(j);
    if (!code) code = write_sources(j);
    if (!code) code = compile_parts(j);
    if (!code) code = link_output(j);
    temporary_remove(j->directory);
    process_end();
    return code;
}

/* Found out before the minutes of compiling rather than by the linker after them. */
static bool output_is_writable(const job *j) {
    const char *path = j->options->output, *slash = strrchr(path, '/');
    const char *directory = !slash          ? "."
                            : slash == path ? "/"
                                            : arena_strndup(j->arena, path, (size_t)(slash - path));
    return access(directory, W_OK | X_OK) == 0;
}

int build_program(const graph *g, const program *p, const options *o) {
    job j = {.arena = g->arena, .options = o, .program = p, .prefix = emit_prefix(g->arena, o)};
    for (size_t u = 0; u < p->n_units; u++) j.xnnpack |= p->units[u].xnnpack;
    if (o->is_static && o->emit != EMIT_EXE)
        return complain(
            CAMEO_USAGE,
            "--static is for programs; a library takes what its program is linked with");
    if (!output_is_writable(&j))
        return complain(CAMEO_ENVIRONMENT, "cannot write %s: %s; choose another folder with -o",
                        o->output, strerror(errno));
    const int code = o->keep_c ? write_c(&j, o->keep_c) : CAMEO_OK;
    if (code) return code;
    return o->emit == EMIT_C ? write_c(&j, o->output) : build_in_temporary(&j);
}
