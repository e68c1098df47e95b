/* cameo run: compiles into a cache and becomes the program. An entry is one file, named by the SHA-256 of all that decides its
   bytes; its modification time is when it was last used, and the least recently used go first when the cache is too large. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../runtime/core/sha256.h"
#include "../base/cache.h"
#include "../onnx/onnx.h"
#include "../passes/front.h"
#include "cli.h"

#define CACHE_LIMIT ((uint64_t)2 << 30)

static const cameo_option table[] = {
    CLI_MODEL_OPTIONS,
    CLI_BUILD_OPTIONS,
    {0},
};

/* ---- the key ---- */

static void add_string(cameo_sha256_sum *s, const char *name, const char *v) {
    cameo_sha256_add(s, name, strlen(name) + 1);
    if (v) cameo_sha256_add(s, v, strlen(v) + 1); /* with the NUL: no two lists of words look alike */
}

static void add_number(cameo_sha256_sum *s, const char *name, int64_t v) {
    add_string(s, name, NULL);
    cameo_sha256_add(s, &v, sizeof v);
}

static void add_file(cameo_sha256_sum *s, const char *path) {
    char buffer[4096];
    FILE *f = path ? fopen(path, "rb") : NULL;
    for (size_t n; f && (n = fread(buffer, 1, sizeof buffer, f)) > 0;) cameo_sha256_add(s, buffer, n);
    if (f) fclose(f);
}

/* A rebuilt compiler of the same version makes another program. */
static void add_version(cameo_sha256_sum *s) {
    struct stat self;
    add_string(s, "version", CAMEO_VERSION);
    if (stat("/proc/self/exe", &self)) return;
    add_number(s, "size", (int64_t)self.st_size);
    add_number(s, "built", (int64_t)self.st_mtim.tv_sec);
    add_number(s, "ns", (int64_t)self.st_mtim.tv_nsec);
}

static void cache_key(const graph *g, const options *o, char key[65]) {
    cameo_sha256_sum s;
    cameo_sha256_begin(&s);
    add_version(&s);
    add_string(&s, "model", g->hash);
    add_string(&s, "name", o->name);
    add_string(&s, "target", o->target.name);
    add_string(&s, "flags", o->target.flags);
    for (size_t i = 0; i < o->n_narrower; i++) add_string(&s, "or", o->narrower[i].name);
    add_string(&s, "cc", o->cc ? o->cc : getenv("CC"));
    add_number(&s, "kernels", o->kernels);
    add_number(&s, "static", o->is_static);
    add_number(&s, "bfloat16", o->bfloat16);
    add_number(&s, "batch", o->batch);
    for (size_t i = 0; i < o->n_dims; i++) {
        add_string(&s, "dim", o->dims[i].name);
        add_number(&s, "is", o->dims[i].value);
    }
    for (size_t i = 0; i < o->n_shapes; i++) {
        add_string(&s, "shape", o->shapes[i].name);
        for (int k = 0; k < o->shapes[i].shape.rank; k++) add_number(&s, "x", o->shapes[i].shape.dim[k]);
    }
    add_string(&s, "embedding", o->embedding);
    add_string(&s, "preprocess", o->preprocess);
    add_string(&s, "labels", o->labels);
    add_file(&s, o->labels);
    cameo_sha256_end(&s, key);
}

/* ---- the cache ---- */

/* An entry, or what an interrupted link left beside one. Nothing else in the directory is ours to remove. */
static bool is_entry(const char *name) {
    for (int i = 0; i < 64; i++)
        if (!isxdigit((unsigned char)name[i])) return false;
    return name[64] == 0 || strncmp(name + 64, ".tmp", 4) == 0;
}

static bool older(const struct stat *a, const struct stat *b) {
    if (a->st_mtim.tv_sec != b->st_mtim.tv_sec) return a->st_mtim.tv_sec < b->st_mtim.tv_sec;
    return a->st_mtim.tv_nsec < b->st_mtim.tv_nsec;
}

/* The bytes of all entries, and the name of the one used least recently that is not `keep` ("" when there is none). */
static uint64_t survey(const char *directory, const char *keep, char name[256]) {
    uint64_t total = 0;
    struct stat oldest = {0}, s;
    name[0] = 0;
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!is_entry(e->d_name) || fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW) || !S_ISREG(s.st_mode)) continue;
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

static bool mark_used(const char *program) { return utimensat(AT_FDCWD, program, NULL, 0) == 0 && access(program, X_OK) == 0; }

static int build(graph *g, options *o, const char *directory, const char *key) {
    if (!compile_check(g, o)) return CAMEO_BAD_INPUT;
    const int code = compile_rest(g, o);
    if (!code) cli_trim_cache(directory, key, CACHE_LIMIT);
    return code;
}

/* What the program calls itself: the model's file name without the ending. */
static const char *program_name(arena *a, const char *input) {
    const char *slash = strrchr(input, '/'), *base = slash ? slash + 1 : input, *dot = strrchr(base, '.');
    return dot && dot != base ? arena_strndup(a, base, (size_t)(dot - base)) : base;
}

/* Another process may remove the program between our look and the exec, so there is a second try. */
static int become(graph *g, options *o, char **arguments) {
    char key[65], *directory = cache_directory(g->arena);
    if (!directory) return CAMEO_ENVIRONMENT;
    o->name = program_name(g->arena, o->input);
    cache_key(g, o, key);
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
    return errno == ENOENT ? -1 : complain(CAMEO_ENVIRONMENT, "can not run %s: %s", program, strerror(errno));
}

/* The model, the last argument of ours, becomes the program's own name. */
static int run(arena *unused, const cameo_args *given, options *o) {
    int code = -1;
    (void)unused;
    if (!given->last[1]) return cameo_usage_error(given, "a verb of the program is missing");
    for (int attempt = 0; attempt < 2 && code < 0; attempt++) {
        arena *a = arena_create();
        diag d = {.arena = a, .file = o->input};
        graph *g = onnx_import(a, &d, o->input);
        code = g && !d.errors ? become(g, o, given->last) : CAMEO_BAD_INPUT;
        cli_print_diag(&d);
        arena_destroy(a);
    }
    return code < 0 ? CAMEO_ENVIRONMENT : code;
}

const cli_verb cli_run = {.name = "run",
                          .about = "compile into a cache and run the program's verb",
                          .usage = "run [options] MODEL.onnx VERB ...",
                          .help = "Compiles a network into a cache, if it is not there yet, and runs the program's VERB.",
                          .options = table,
                          .least = 1,
                          .most = 1,
                          .run = run,
                          .until_first = true};
