/* The embedding cache: what survives a kill, who may write, and that its folder stays within its
   limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/files.h"
#include "runtime/verification/embedding_cache.h"
#include "scratch.h"
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { DIM = 7, HEAD = 64, RECORD = 72 + DIM * 4 };

static void key_for(int i, char key[CAMEO_CACHE_KEY]) {
    char content[65];
    snprintf(content, sizeof content, "%064x", i * 7919 + 1);
    cameo_cache_key(content, i % 2, "", key);
}

static void row_for(int i, float row[DIM]) {
    for (int k = 0; k < DIM; k++) row[k] = (float)(i * DIM + k) / 3;
}

static void add(cameo_cache *c, int first, int end) {
    char key[CAMEO_CACHE_KEY];
    float row[DIM];
    for (int i = first; i < end; i++) {
        key_for(i, key);
        row_for(i, row);
        if (!cameo_cache_has(c, key) && !cameo_cache_add(c, key, row, NULL))
            fail_msg("record %d can not be added", i);
    }
}

static cameo_cache *open_cache(const char *identity, uint64_t limit) {
    cameo_cache *c = cameo_cache_open("kept", identity, DIM, limit, NULL);
    assert_non_null(c);
    return c;
}

/* Opens it, and of [0, count) exactly [first, end) are there, with the right rows; closes it. */
static void expect(const char *identity, uint64_t limit, int first, int end, int count) {
    cameo_cache *c = open_cache(identity, limit);
    char key[CAMEO_CACHE_KEY];
    float row[DIM];
    assert_true(cameo_cache_map(c, NULL));
    for (int i = 0; i < count; i++) {
        key_for(i, key);
        row_for(i, row);
        const float *got = cameo_cache_row(c, key);
        if ((got != NULL) != (i >= first && i < end))
            fail_msg("record %d is %sthere", i, got ? "" : "not ");
        if (got) assert_memory_equal(got, row, sizeof row);
    }
    cameo_cache_close(c);
}

static char *path_of(const char *identity) {
    cameo_cache *c = open_cache(identity, 0);
    char *path = cameo_join(NULL, cameo_cache_path(c));
    cameo_cache_close(c);
    return path;
}

/* Bytes and files in the folder. */
static uint64_t kept(int *files) {
    DIR *d = opendir("kept");
    struct stat s;
    uint64_t total = 0;
    *files = 0;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &s, 0) == 0)
            total += (uint64_t)s.st_size, ++*files;
    closedir(d);
    return total;
}

static int fresh(void **state) {
    (void)state;
    return system("rm -rf kept");
}

/* A record cut short by a kill is dropped, and so is one whose bytes changed with what follows it;
   the others stay. */
static void a_kill_loses_nothing_complete(void **unused) {
    (void)unused;
    cameo_cache *c = open_cache("net", 0);
    add(c, 0, 9);
    char *path = cameo_join(NULL, cameo_cache_path(c));
    cameo_cache *other = open_cache("net", 0); /* while it is open: a temporary one */
    assert_null(cameo_cache_path(other));
    cameo_cache_close(other);
    cameo_cache_close(c);
    expect("net", 0, 0, 9, 9);
    assert_int_equal(truncate(path, HEAD + 8 * RECORD + 30), 0);
    expect("net", 0, 0, 8, 9);
    FILE *f = fopen(path, "r+b");
    fseek(f, HEAD + 4 * RECORD + 75, SEEK_SET);
    fputc('!', f);
    fclose(f);
    expect("net", 0, 0, 4, 9);
    assert_int_equal(truncate(path, 10), 0);
    expect("net", 0, 0, 0, 9);
    free(path);
}

static void the_oldest_records_go(void **unused) {
    (void)unused;
    const uint64_t limit = HEAD + 100 * RECORD;
    cameo_cache *c = open_cache("net", limit);
    add(c, 0, 100);
    cameo_cache_close(c);
    expect("net", limit, 0, 100, 120); /* as much as may be */
    c = open_cache("net", limit);
    add(c, 100, 120);
    assert_true(cameo_cache_map(c, NULL));
    char key[CAMEO_CACHE_KEY];
    key_for(0, key);
    assert_non_null(cameo_cache_row(c, key)); /* a run has all of its rows, the limit comes after it
                                               */
    cameo_cache_close(c);
    int files;
    assert_true(kept(&files) <= limit / 4 * 3);
    assert_int_equal(files, 1);
    expect("net", limit, 120 - (int)((limit / 4 * 3 - HEAD) / RECORD), 120, 120);
    c = open_cache("net", 1);
    cameo_cache_close(c);
    assert_true(kept(&files) == HEAD);
    expect("net", 1, 0, 0, 120);
}

static void used(const char *path, time_t when) {
    struct timespec t[2] = {{when, 0}, {when, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

/* Of other networks' files the one used longest ago goes; one that is open stays, and so does what
   is not ours. */
static void other_files_go_first(void **unused) {
    (void)unused;
    static const char *const names[] = {"a", "b", "c"};
    char *path[3];
    for (int i = 0; i < 3; i++) {
        cameo_cache *c = open_cache(names[i], 0);
        add(c, 0, 10);
        cameo_cache_close(c);
        path[i] = path_of(names[i]);
        used(path[i], 1000 * (i + 1));
    }
    assert_int_equal(system("echo mine >kept/notes.txt"), 0);
    cameo_cache_close(open_cache("a", 0)); /* used: now b is the oldest */
    cameo_cache *busy = open_cache("c", 0);
    cameo_cache *c = open_cache("d", HEAD + 10 * RECORD + 2 * (HEAD + 10 * RECORD)); /* room for two
                                                                                        others */
    add(c, 0, 10);
    cameo_cache_close(c);
    assert_true(cameo_file_exists(path[0]) && !cameo_file_exists(path[1]) &&
                cameo_file_exists(path[2]));
    cameo_cache_close(open_cache("d", HEAD + 10 * RECORD)); /* room for none; c is open */
    assert_true(!cameo_file_exists(path[0]) && cameo_file_exists(path[2]));
    cameo_cache_close(busy);
    expect("c", 0, 0, 10, 10);
    expect("d", 0, 0, 10, 10);
    assert_true(cameo_file_exists("kept/notes.txt"));
    for (int i = 0; i < 3; i++) free(path[i]);
}

/* What a kill between a shortened file and its name leaves behind goes: its own at the next
   opening, another's for room. */
static void leftovers_go(void **unused) {
    (void)unused;
    char command[200], *own = path_of("net"), *other = path_of("other");
    int files;
    snprintf(command, sizeof command, "echo half >%s.new && echo half >%s.new && rm %s", own, other,
             other);
    assert_int_equal(system(command), 0);
    expect("net", 1 << 20, 0, 0, 1);
    kept(&files);
    assert_int_equal(files, 2); /* net and other's leftover, for which there is room */
    expect("net", HEAD, 0, 0, 1);
    kept(&files);
    assert_int_equal(files, 1);
    free(own), free(other);
}

/* Runs that add and shorten for ever, one after the other, until they are killed. */
static void run_for_ever(uint64_t limit) {
    for (int i = 0;; i = (i + 37) % 3000) {
        cameo_cache *c = cameo_cache_open("kept", i % 2 ? "net" : "other", DIM, limit, NULL);
        if (!c) _exit(1);
        add(c, i, i + 60);
        cameo_cache_close(c);
    }
}

static void killed_at_any_moment(void **unused) {
    (void)unused;
    const uint64_t limit = HEAD + 200 * RECORD;
    char key[CAMEO_CACHE_KEY];
    float row[DIM];
    size_t seen = 0;
    for (int round = 0; round < 40; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) run_for_ever(limit);
        nanosleep(&(struct timespec){0, 3000000 + round * 777777}, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        cameo_cache *c = open_cache(round % 2 ? "net" : "other", limit);
        assert_non_null(cameo_cache_path(c));
        assert_true(cameo_cache_map(c, NULL));
        for (int i = 0; i < 3060; i++) {
            key_for(i, key);
            row_for(i, row);
            const float *got = cameo_cache_row(c, key);
            if (got) assert_memory_equal(got, row, sizeof row);
            seen += got != NULL;
        }
        cameo_cache_close(c);
        int files;
        if (kept(&files) > limit) fail_msg("%llu bytes are kept", (unsigned long long)kept(&files));
    }
    assert_true(seen > 100); /* or nothing was ever kept */
}

int main(void) {
    char directory[] = "/tmp/test_embedding_cache_XXXXXX";
    if (!scratch_enter(directory)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(a_kill_loses_nothing_complete, fresh),
                                       cmocka_unit_test_setup(the_oldest_records_go, fresh),
                                       cmocka_unit_test_setup(other_files_go_first, fresh),
                                       cmocka_unit_test_setup(leftovers_go, fresh),
                                       cmocka_unit_test_setup(killed_at_any_moment, fresh)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
