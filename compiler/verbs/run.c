/* cameo run: compiles into a cache and becomes the program. An entry is one file, named by the
   SHA-256 of all that decides its bytes; its modification time is when it was last used, and the
   least recently used go first when the cache is too large. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/cache.h"
#include "../onnx/onnx.h"
#include "../passes/front.h"
#include "cli.h"

#define CACHE_LIMIT ((uint64_t)2 << 30)

/* ---- the cache ---- */

/* An entry, or what an interrupted link left beside one. Nothing else in the directory is ours to
   remove. */
static bool is_entry(const char *name) {
    for (int i = 0; i < 64; i++)
        if (!isxdigit((unsigned char)name[i])) return false;
    return name[64] == 0 || strncmp(name + 64, ".tmp", 4) == 0;
}

static bool older(const struct stat *a, const struct stat *b) {
    if (a->st_mtim.tv_sec != b->st_mtim.tv_sec) return a->st_mtim.tv_sec < b->st_mtim.tv_sec;
    return a->st_mtim.tv_nsec < b->st_mtim.tv_nsec;
}

/* The bytes of all entries, and the name of the one used least recently that is not `keep` (""
   when there is none). */
static uint64_t survey(const char *directory, const char *keep, char name[256]) {
    uint64_t total = 0;
    struct stat oldest = {0}, s;
    name[0] = 0;
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!is_entry(e->d_name) || fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW) ||
            !S_ISREG(s.st_mode))
            continue;
        total += (uint64_t)s.st_size;
        if (strcmp(e->d_name, keep) == 0 || (name[0] && !older(&s, &oldest))) continue;
        oldest = s;
        snprintf(name, 256, "%s", e->d_name);
    }
    if (d) closedir(d);
    return total;
}

void cli_trim_cache(const char *directory, const char *keep, uint64_t limit) {
    char name[256], path[4096];
    while (survey(directory, keep, name) > limit && name[0]) {
        const int n = snprintf(path, sizeof path, "%s/%s", directory, name);
        if (n < 0 || (size_t)n >= sizeof path || unlink(path)) return;
    }
}

/* ---- the verb ---- */

static bool mark_used(const char *program) {
    return utimensat(AT_FDCWD, program, NULL, 0) == 0 && access(program, X_OK) == 0;
}

static int build(graph *g, options *o, const char *directory, const char *key) {
    if (!compile_check(g, o)) return CAMEO_BAD_INPUT;
    const int code = compile_rest(g, o);
    if (!code) cli_trim_cache(directory, key, CACHE_LIMIT);
    return code;
}

/* What the program calls itself: the model's file name without the ending. */
static const char *program_name(arena *a, const char *input) {
    const char *base = cameo_last_part(input), *dot = strrchr(base, '.');
    return dot && dot != base ? arena_strndup(a, base, (size_t)(dot - base)) : base;
}

/* Another process may remove the program between our look and the exec, so there is a second
   try. */
static int become(graph *g, options *o, char **arguments) {
    char key[65], *directory = cache_directory(g->arena);
    if (!directory) return CAMEO_ENVIRONMENT;
    o->name = program_name(g->arena, o->input);
    cli_cache_key(g->hash, o, key);
    char *program = arena_printf(g->arena, "%s/%s", directory, key);
    o->output = program;
    const bool wants_output = o->keep_c || o->dump_after; /* of the compilation itself */
    if (wants_output || !mark_used(program)) {
        const int code = build(g, o, directory, key);
        if (code) return code;
    }
    cli_print_diag(g->diag);
    arguments[0] = arena_printf(g->arena, "cameo run %s", o->input);
    fflush(NULL);
    execv(program, arguments);
    return errno == ENOENT
               ? -1
               : complain(CAMEO_ENVIRONMENT, "can not run %s: %s", program, strerror(errno));
}

/* The model, the last argument of ours, becomes the program's own name. */
static int run(arena *unused, const cameo_args *given, options *o) {
    int code = -1;
    (void)unused;
    if (!given->last[1]) return cameo_usage_error(given, "a verb of the program is missing");
    for (int attempt = 0; attempt < 2 && code < 0; attempt++) {
        arena *a = arena_create();
        diag d = {.arena = a, .file = o->input};
        graph *g = onnx_import(a, &d, o->input, false);
        code = g && !d.errors ? become(g, o, given->last) : CAMEO_BAD_INPUT;
        cli_print_diag(&d);
        arena_destroy(a);
    }
    return code < 0 ? CAMEO_ENVIRONMENT : code;
}

const cli_verb cli_run = {
    .name = "run",
    .about = "compile into a cache and run the program's verb",
    .usage = "run [options] MODEL.onnx VERB ...",
    .help = "Compiles a network into a cache, if it is not there yet, and runs the program's VERB.",
    .takes = CLI_MODEL | CLI_BUILD,
    .least = 1,
    .most = 1,
    .run = run,
    .until_first = true};
