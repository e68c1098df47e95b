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
    const emitted *emitted;
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

static const char *part_name(const job *j, size_t i) { return arena_printf(j->arena, "part%zu", i); }

static int write_sources(const job *j) {
    int code = put_text(in_directory(j, "weights.bin"), &j->emitted->weights);
    for (size_t i = 0; !code && i < j->emitted->n_parts; i++)
        code = put_text(in_directory(j, arena_printf(j->arena, "part%zu.c", i)), &j->emitted->parts[i]);
    if (code || j->options->emit != EMIT_EXE) return code;
    const char *main_c = arena_printf(j->arena,
                                      "#include \"cameo.h\"\n\nextern const cameo_model %s_model;\n\n"
                                      "int main(int argc, char **argv) { return cameo_main(&%s_model, argc, argv); }\n",
                                      j->prefix, j->prefix);
    return put(in_directory(j, "main.c"), main_c, strlen(main_c));
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
    const size_t n = j->emitted->n_parts, all = n + (j->options->emit == EMIT_EXE);
    command *c = ARENA_ARRAY(j->arena, command, all);
    for (size_t i = 0; i < n; i++) c[i] = compile_command(j, part_name(j, i));
    if (all > n) c[n] = compile_command(j, "main");
    return run(j, c, all, "compiling the generated C");
}

/* ---- linking ---- */

static void add_objects(const job *j, arguments *a) {
    for (size_t i = 0; i < j->emitted->n_parts; i++) add(a, arena_printf(j->arena, "%s.o", part_name(j, i)));
    if (j->options->emit == EMIT_EXE) add(a, "main.o");
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
        code = put_text(beside_output(j, arena_printf(j->arena, "%s.weights", j->prefix)), &j->emitted->weights);
    if (!code && j->options->emit != EMIT_EXE)
        code = put_text(beside_output(j, arena_printf(j->arena, "%s.h", j->prefix)), &j->emitted->model_h);
    return code;
}

/* ---- C as the result ---- */

static int write_c(const job *j, const char *directory) {
    if (mkdir(directory, 0777) && errno != EEXIST)
        return complain(ENVIRONMENT, "cannot make %s: %s", directory, strerror(errno));
    const char *weights = j->options->sidecar ? arena_printf(j->arena, "%s.weights", j->prefix) : "weights.bin";
    int code = put_text(arena_printf(j->arena, "%s/%s", directory, weights), &j->emitted->weights);
    if (!code) code = put_text(arena_printf(j->arena, "%s/model.h", directory), &j->emitted->model_h);
    if (!code) code = put_text(arena_printf(j->arena, "%s/model.c", directory), &j->emitted->model_c);
    return code;
}

/* ---- the temporary directory ---- */

static void remove_file(const job *j, const char *stem, const char *suffix) {
    unlink(in_directory(j, arena_printf(j->arena, "%s%s", stem, suffix)));
}

static void clean(const job *j) {
    static const char *const suffix[] = {".c", ".o", ".log", NULL};
    for (const char *const *s = suffix; *s; s++) {
        for (size_t i = 0; i < j->emitted->n_parts; i++) remove_file(j, part_name(j, i), *s);
        remove_file(j, "main", *s);
        remove_file(j, "link", *s);
    }
    remove_file(j, "weights", ".bin");
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

int build_program(const graph *g, const emitted *em, const options *o) {
    job j = {.arena = g->arena, .options = o, .emitted = em, .prefix = emit_prefix(g->arena, o), .cc = compiler_name(o)};
    for (size_t i = 0; i < g->n_nodes; i++) j.xnnpack |= g->nodes[i]->impl && g->nodes[i]->impl->xnnpack;
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
