/* What is removed where embeddings are kept, so that their directory stays within its limit. */
#include "../base/files.h"
#include "embedding_cache.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGITS = 32, NAME = 64 };

typedef struct kept_file {
    char name[NAME];
    struct timespec used;
    uint64_t size;
} kept_file;

/* One of ours, or what a killed run left beside it. Nothing else in the directory is ours to
   remove. */
static bool is_kept(const char *name) {
    if (strspn(name, "0123456789abcdef") != DIGITS) return false;
    name += DIGITS;
    return strcmp(name, CAMEO_CACHE_SUFFIX) == 0 ||
           strcmp(name, CAMEO_CACHE_SUFFIX CAMEO_CACHE_NEW) == 0;
}

static int by_use(const void *x, const void *y) {
    const kept_file *a = x, *b = y;
    if (a->used.tv_sec != b->used.tv_sec) return a->used.tv_sec < b->used.tv_sec ? -1 : 1;
    if (a->used.tv_nsec != b->used.tv_nsec) return a->used.tv_nsec < b->used.tv_nsec ? -1 : 1;
    return strcmp(a->name, b->name);
}

static kept_file *survey(DIR *d, const char *own, size_t *count) {
    size_t capacity = 0;
    kept_file *list = NULL;
    struct stat s;
    *count = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!is_kept(e->d_name) || strcmp(e->d_name, own) == 0) continue;
        if (fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW) || !S_ISREG(s.st_mode)) continue;
        list = cameo_room(list, *count, &capacity, sizeof *list);
        kept_file *f = &list[(*count)++];
        snprintf(f->name, sizeof f->name, "%.63s", e->d_name);
        f->used = s.st_mtim;
        f->size = (uint64_t)s.st_size;
    }
    if (*count) qsort(list, *count, sizeof *list, by_use);
    return list;
}

/* Under the lock of the file it is or lies beside; false when a run has that. */
static bool remove_kept(int directory, const char *name) {
    char locked[NAME];
    snprintf(locked, sizeof locked, "%.*s" CAMEO_CACHE_SUFFIX, DIGITS, name);
    int fd = openat(directory, locked, O_RDWR | O_CLOEXEC);
    bool good = (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0) && unlinkat(directory, name, 0) == 0;
    if (fd >= 0) close(fd);
    return good;
}

void cameo_cache_evict(const char *directory, const char *own, uint64_t room) {
    DIR *d = opendir(directory);
    if (!d) return;
    size_t count;
    uint64_t total = 0;
    kept_file *list = survey(d, own, &count);
    for (size_t i = 0; i < count; i++) total += list[i].size;
    for (size_t i = 0; i < count && total > room; i++)
        if (remove_kept(dirfd(d), list[i].name)) total -= list[i].size;
    free(list);
    closedir(d);
}
