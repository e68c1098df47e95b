/* Where the runtime is, what the C compiler makes programs for, and what the linker's complaints
   mean.

   The runtime is looked for relative to the program, so that an installed prefix may be moved:
   <prefix>/bin/cameo finds <prefix>/include/cameo, <prefix>/lib/libcameo.a and
   <prefix>/share/cameo/runtime. The library serves the processor family that cameo itself was
   built for; for others, or where it is missing, the runtime is built from its sources with the
   program. */
#define _GNU_SOURCE
#include "toolchain.h"
#include "../base/process.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_WORDS = 64 };

/* ---- the runtime ---- */

static const char *first_existing(arena *a, const char *base, const char *const *relative,
                                  const char *file) {
    for (; *relative; relative++) {
        const char *directory = arena_put(a, "$0/$1", base, *relative);
        if (!access(arena_put(a, "$0/$1", directory, file), R_OK)) return directory;
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

/* The family of processors cameo was built for, as `cc -dumpmachine` begins. */
static const char *own_machine(void) {
#if defined(__x86_64__)
    return "x86_64";
#elif defined(__aarch64__)
    return "aarch64";
#else
    return "";
#endif
}

static const char *target_machine(const options *o) {
    return strncmp(o->target.name, "x86-64", 6) == 0 ? "x86_64" : o->target.name;
}

static bool is_foreign(const options *o) { return strcmp(target_machine(o), own_machine()) != 0; }

/* $CAMEO_HOME is a prefix, or a build tree; without it, what is relative to the program. */
static int find_runtime(arena *a, const options *o, toolchain *t) {
    static const char *const includes[] = {"include/cameo", "../include/cameo", NULL};
    static const char *const libraries[] = {
        "lib", "../lib", "../lib64", "../lib/x86_64-linux-gnu", "../lib/aarch64-linux-gnu", NULL};
    static const char *const sources[] = {"share/cameo/runtime", "../share/cameo/runtime", NULL};
    const char *home = getenv("CAMEO_HOME"), *base = home && *home ? home : program_directory(a);
    t->include = first_existing(a, base, includes, "cameo.h");
    t->sources = first_existing(a, base, sources, "core/context.c");
    const char *library = is_foreign(o) ? NULL : first_existing(a, base, libraries, "libcameo.a");
    t->library = library ? arena_put(a, "$0/libcameo.a", library) : NULL;
    if (!t->include)
        return complain(
            CAMEO_ENVIRONMENT,
            "cannot find include/cameo/cameo.h relative to %s; set CAMEO_HOME to the prefix where "
            "cameo is installed",
            base);
    if (!t->library && !t->sources)
        return complain(
            CAMEO_ENVIRONMENT,
            "cannot find %s relative to %s; set CAMEO_HOME to the prefix where cameo is installed",
            is_foreign(o) ? "share/cameo/runtime, which this target is built from,"
                          : "lib/libcameo.a",
            base);
    return 0;
}

/* ---- the compiler ---- */

static const char *read_log(arena *a, const char *directory, const char *log) {
    char line[PATH_MAX] = "";
    FILE *f = fopen(arena_put(a, "$0/$1", directory, log), "r");
    if (f && !fgets(line, sizeof line, f)) line[0] = 0;
    if (f) fclose(f);
    line[strcspn(line, "\r\n")] = 0;
    return arena_strdup(a, line);
}

/* The first line a compiler prints when asked; "" when it does not know the question; NULL when
   there is no such compiler. */
static const char *ask(arena *a, const char *directory, const char *cc, const char *question) {
    char *words = arena_strdup(a, cc), *save = NULL, **argv = ARENA_ARRAY(a, char *, MAX_WORDS);
    size_t n = 0, failed;
    for (char *w = strtok_r(words, " \t", &save); w && n + 2 < MAX_WORDS;
         w = strtok_r(NULL, " \t", &save))
        argv[n++] = w;
    argv[n] = arena_strdup(a, question);
    command c = {.argv = argv, .log = "ask.log"};
    const bool ran = n && run_commands(&c, 1, 1, directory, &failed);
    const char *answer = ran ? read_log(a, directory, "ask.log") : "";
    unlink(arena_put(a, "$0/ask.log", directory));
    return !n || (!ran && command_missing(&c)) ? NULL : answer;
}

static int check_machine(arena *a, const options *o, const char *directory, const toolchain *t) {
    const char *machine = ask(a, directory, t->cc, "-dumpmachine"), *wanted = target_machine(o);
    if (process_interrupted()) return CAMEO_ENVIRONMENT;
    if (!machine)
        return complain(CAMEO_ENVIRONMENT,
                        "cannot run \"%s\", the C compiler; install it or name another with --cc",
                        t->cc);
    if (!*machine || strncmp(machine, wanted, strlen(wanted)) == 0) return 0;
    return complain(CAMEO_USAGE,
                    "\"%s\" makes programs for %s, but the target is %s; name a compiler for it, "
                    "such as --cc %s-linux-gnu-gcc",
                    t->cc, machine, o->target.name, wanted);
}

static const char *compiler_name(const options *o) {
    const char *cc = getenv("CC");
    return o->cc ? o->cc : cc && *cc ? cc : "cc";
}

int toolchain_find(arena *a, const options *o, const char *directory, toolchain *t) {
    *t = (toolchain){.cc = compiler_name(o), .ar = "ar"};
    int code = find_runtime(a, o, t);
    if (!code) code = check_machine(a, o, directory, t);
    if (code || !is_foreign(o)) return code;
    const char *ar = ask(a, directory, t->cc, "-print-prog-name=ar");
    if (ar && *ar) t->ar = ar;
    return 0;
}

/* ---- the runtime's sources ---- */

static int is_source(const struct dirent *e) {
    const size_t n = strlen(e->d_name);
    return n > 2 && e->d_name[0] != '.' && strcmp(e->d_name + n - 2, ".c") == 0;
}

/* Appends a room's C files to list. */
static bool add_room(arena *a, const toolchain *t, const char *room, bool xnnpack,
                     const char **list, size_t *n, size_t capacity) {
    struct dirent **entries;
    const int count = scandir(arena_put(a, "$0/$1", t->sources, room), &entries, is_source,
                              alphasort);
    for (int i = 0; i < count; i++) {
        if (*n < capacity && (xnnpack || strcmp(entries[i]->d_name, "xnn.c") != 0))
            list[(*n)++] = arena_put(a, "$0/$1", room, entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0) free(entries);
    return count > 0;
}

const char **toolchain_sources(arena *a, const toolchain *t, bool whole, bool xnnpack,
                               size_t *count) {
    /* A library of a model needs the first two rooms, a program all. */
    static const char *const rooms[] = {"core",         "kernels",  "base", "image",
                                        "verification", "training", "verbs"};
    enum { CAPACITY = 256 };
    const char **list = ARENA_ARRAY(a, const char *, CAPACITY);
    const size_t n = whole ? sizeof rooms / sizeof *rooms : 2;
    *count = 0;
    for (size_t i = 0; i < n; i++)
        if (!add_room(a, t, rooms[i], xnnpack, list, count, CAPACITY)) {
            complain(CAMEO_ENVIRONMENT,
                     "cannot read the runtime's sources in %s/%s; install cameo anew", t->sources,
                     rooms[i]);
            return NULL;
        }
    return list;
}

/* ---- what is missing ---- */

static const struct part { /* the libraries programs use: the linker's name, a header, Debian's
                              packages */
    const char *library, *header, *package;
    bool no_static;
} parts[] = {
    {"XNNPACK", "xnnpack.h", "libxnnpack-dev", true},
    {"pthreadpool", "pthreadpool.h", "libpthreadpool-dev", true},
    {"cpuinfo", "cpuinfo.h", "libcpuinfo-dev", true},
    {"turbojpeg", "turbojpeg.h", "libturbojpeg0-dev", false},
    {"png", "png.h", "libpng-dev", false},
    {"z", "zlib.h", "zlib1g-dev", false},
};
enum { N_PARTS = sizeof parts / sizeof *parts };

/* One line of a log: "cannot find -lNAME" (GNU ld, gold), "unable to find library -lNAME" (lld),
   "library not found: NAME" (mold), "NAME.h: No such file or directory" (GCC), "'NAME.h' file not
   found" (Clang). */
static bool names_part(const char *line, const struct part *p) {
    char flag[40], mold[64];
    snprintf(flag, sizeof flag, "-l%s", p->library);
    snprintf(mold, sizeof mold, "library not found: %s", p->library);
    const char *at = strstr(line, "find") ? strstr(line, flag) : NULL;
    if (at && (!at[strlen(flag)] || strchr(": \n\r", at[strlen(flag)]))) return true;
    if (strstr(line, mold)) return true;
    at = strstr(line, p->header);
    return at && (strstr(at, ": No such file") || strstr(at, "' file not found"));
}

static const char *remedy(arena *a, const options *o, const struct part *p) {
    const char *suffix = !is_foreign(o)                              ? ""
                         : strcmp(target_machine(o), "aarch64") == 0 ? ":arm64"
                                                                     : ":amd64";
    const bool needs_xnnpack = p->no_static;
    if (o->is_static && p->no_static)
        return "Debian has no static XNNPACK: use --kernels native, or leave out --static";
    return arena_put(a, "install $0$1$2", p->package, suffix,
                     needs_xnnpack         ? ", or use --kernels native, which needs none"
                     : o->emit == EMIT_EXE ? ", or use --emit lib or so, which hold no image code"
                                           : "");
}

bool toolchain_explain(arena *a, const options *o, const char *log) {
    char line[1024];
    FILE *f = fopen(log, "r");
    bool missing[N_PARTS] = {false}, any = false;
    while (f && fgets(line, sizeof line, f))
        for (size_t i = 0; i < N_PARTS; i++)
            if (names_part(line, &parts[i])) missing[i] = any = true;
    if (f) fclose(f);
    for (size_t i = 0; i < N_PARTS; i++)
        if (missing[i])
            fprintf(stderr, "cameo: the C compiler does not find lib%s%s for %s\n    hint: %s\n",
                    parts[i].library, o->is_static ? ".a" : "", o->target.name,
                    remedy(a, o, &parts[i]));
    return any;
}
