/* The cache's file: 64 bytes of heading, then records {64 digits of the key, checksum, 4 bytes
   zero, floats}. */
#define _GNU_SOURCE 1 /* memfd_create */
#include "embedding_cache.h"
#include "../base/files.h"
#include "../core/sha256.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 64, KEY = 64, PREFIX = KEY + 8 };

struct cameo_cache {
    int fd;
    char *path; /* NULL: temporary */
    uint64_t limit;
    size_t dimension, record, count;
    unsigned char *buffer; /* one record */
    char *keys;            /* [capacity][KEY] */
    size_t capacity;
    size_t *table; /* record number + 1; 0 = free */
    size_t table_size;
    const unsigned char *map;
    size_t map_size;
};

char *cameo_cache_directory(void) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && *xdg == '/') return cameo_join(xdg, "cameo/embeddings");
    return home && *home ? cameo_join(home, ".cache/cameo/embeddings") : NULL;
}

void cameo_cache_key(const char *content, int view, const char *alignment,
                     char key[CAMEO_CACHE_KEY]) {
    char text[512];
    int n = snprintf(text, sizeof text, "%s %d %s", content, view, alignment);
    if (view == 0 && !*alignment)
        memcpy(key, content, CAMEO_CACHE_KEY);
    else
        cameo_sha256(text, n < (int)sizeof text ? (size_t)n : sizeof text - 1, key);
}

static uint32_t checksum(const unsigned char *p, size_t n) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 16777619u;
    return h;
}

/* Keys are hashes already: their first digits do. */
static size_t *slot_of(const cameo_cache *c, const char *key) {
    uint64_t h = 0;
    for (int i = 0; i < 16; i++) h = h << 4 | (uint64_t)((key[i] & 15) + (key[i] >> 6) * 9);
    size_t at = h & (c->table_size - 1);
    while (c->table[at] && memcmp(c->keys + (c->table[at] - 1) * KEY, key, KEY) != 0)
        at = (at + 1) & (c->table_size - 1);
    return &c->table[at];
}

static void enlarge(cameo_cache *c) {
    c->capacity = c->capacity ? 2 * c->capacity : 1024;
    char *keys = cameo_allocate(c->capacity, KEY);
    if (c->count) memcpy(keys, c->keys, c->count * KEY);
    free(c->keys);
    free(c->table);
    c->keys = keys;
    c->table_size = 4 * c->capacity;
    c->table = cameo_allocate(c->table_size, sizeof *c->table);
    for (size_t i = 0; i < c->count; i++) *slot_of(c, c->keys + i * KEY) = i + 1;
}

static void index_record(cameo_cache *c, const char *key) {
    if (c->count == c->capacity) enlarge(c);
    memcpy(c->keys + c->count * KEY, key, KEY);
    size_t *slot = slot_of(c, key);
    c->count++;
    if (!*slot) *slot = c->count;
}

static bool write_exactly(int fd, const unsigned char *from, size_t n) {
    for (size_t done = 0; done < n;) {
        ssize_t r = write(fd, from + done, n - done);
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) return false;
        done += (size_t)r;
    }
    return true;
}

static void make_head(const cameo_cache *c, unsigned char head[HEAD]) {
    memset(head, 0, HEAD);
    snprintf((char *)head, HEAD, "cameo embeddings 2\ndimension %zu\n", c->dimension);
}

/* Takes in the records up to the first that is cut short or damaged, and cuts the file there. */
static bool load(cameo_cache *c) {
    unsigned char want[HEAD], head[HEAD];
    make_head(c, want);
    off_t good = 0;
    if (cameo_read_at(c->fd, head, HEAD, 0) && memcmp(head, want, HEAD) == 0) {
        good = HEAD;
        while (cameo_read_at(c->fd, c->buffer, c->record, (uint64_t)good)) {
            uint32_t sum;
            memcpy(&sum, c->buffer + KEY, sizeof sum);
            if (sum != checksum(c->buffer + PREFIX, c->record - PREFIX)) break;
            index_record(c, (const char *)c->buffer);
            good += (off_t)c->record;
        }
    }
    if (ftruncate(c->fd, good) != 0 || lseek(c->fd, good, SEEK_SET) != good) return false;
    return good ? true : write_exactly(c->fd, want, HEAD);
}

static char *new_name(const char *path) { return cameo_format("%s" CAMEO_CACHE_NEW, path); }

/* A file without a name; in memory where there is no /tmp, as in an empty chroot. */
static int open_temporary(void) {
    const char *directory = getenv("TMPDIR");
    const bool chosen = directory && *directory;
    char *path = cameo_join(chosen ? directory : "/tmp", "cameo-embeddings-XXXXXX");
    int fd = mkstemp(path);
    if (fd >= 0) unlink(path);
    free(path);
    return fd >= 0 || chosen ? fd : memfd_create("cameo-embeddings", MFD_CLOEXEC);
}

/* Another run may have replaced or removed the file between our open and our lock; what we have
   then is nobody's any more. */
static bool still_named(int fd, const char *path) {
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_ino == named.st_ino &&
           opened.st_dev == named.st_dev;
}

static int open_locked(const char *path) {
    for (int tries = 0; tries < 100; tries++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) return -1;
        bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (locked && still_named(fd, path)) return fd;
        close(fd);
        if (!locked) return -1;
    }
    return -1;
}

static int open_shared(const char *directory, const char *identity, char **path) {
    char digest[65], name[96];
    cameo_sha256(identity, strlen(identity), digest);
    snprintf(name, sizeof name, "%.32s" CAMEO_CACHE_SUFFIX, digest);
    if (!cameo_make_directories(directory, NULL)) return -1;
    *path = cameo_join(directory, name);
    int fd = open_locked(*path);
    if (fd < 0) {
        fprintf(stderr, "note: %s %s; embeddings of this run are not kept\n", *path,
                cameo_file_exists(*path) && access(*path, W_OK) == 0 ? "is in use by another run"
                                                                     : "cannot be written");
        return -1;
    }
    char *unfinished = new_name(*path);
    unlink(unfinished);
    free(unfinished);
    (void)futimens(fd, NULL); /* used now, even if nothing is added */
    return fd;
}

cameo_cache *cameo_cache_open(const char *directory, const char *identity, size_t dimension,
                              uint64_t limit, cameo_error *error) {
    cameo_cache *c = cameo_allocate(1, sizeof *c);
    c->dimension = dimension;
    c->limit = limit;
    c->record = PREFIX + dimension * sizeof(float);
    c->buffer = cameo_allocate(c->record, 1);
    enlarge(c);
    c->fd = directory ? open_shared(directory, identity, &c->path) : -1;
    if (c->fd < 0) {
        free(c->path);
        c->path = NULL;
        c->fd = open_temporary();
    }
    if (c->fd >= 0 && load(c)) return c;
    cameo_fail(error, CAMEO_ENVIRONMENT,
               "cannot write a file of embeddings: %s\n    hint: set TMPDIR, or --cache DIR",
               strerror(errno));
    cameo_cache_close(c);
    return NULL;
}

typedef struct kept { /* the newest records of a cache */
    const cameo_cache *cache;
    size_t count;
} kept;

static bool put_kept(FILE *f, const void *what, cameo_error *error) {
    const kept *k = what;
    const cameo_cache *c = k->cache;
    unsigned char head[HEAD], chunk[1 << 14];
    uint64_t at = HEAD + (c->count - k->count) * c->record;
    make_head(c, head);
    bool good = fwrite(head, 1, HEAD, f) == HEAD;
    for (size_t left = k->count * c->record, n; left && good; left -= n, at += n) {
        n = left < sizeof chunk ? left : sizeof chunk;
        good = cameo_read_at(c->fd, chunk, n, at) && fwrite(chunk, 1, n, f) == n;
    }
    return good || cameo_fail(error, CAMEO_ENVIRONMENT, "%s: cannot shorten it", c->path);
}

static void enforce_limit(const cameo_cache *c) {
    uint64_t size = HEAD + (uint64_t)c->count * c->record,
             room = c->limit > size ? c->limit - size : 0;
    char *directory = cameo_folder_of(c->path), *beside = new_name(c->path);
    cameo_cache_evict(directory ? directory : ".", cameo_last_part(c->path), room);
    if (size > c->limit) {
        uint64_t target = c->limit / 4 * 3, keep = target > HEAD ? (target - HEAD) / c->record : 0;
        const kept newest = {c, (size_t)keep};
        if (cameo_write_synced(beside, c->path, put_kept, &newest, NULL))
            cameo_take_place(beside, c->path, NULL);
    }
    free(directory);
    free(beside);
}

void cameo_cache_close(cameo_cache *c) {
    if (!c) return;
    if (c->map) {
        unsigned char *map;
        memcpy(&map, &c->map, sizeof map);
        munmap(map, c->map_size);
    }
    if (c->path && c->limit) enforce_limit(c);
    if (c->fd >= 0) close(c->fd);
    free(c->path);
    free(c->buffer);
    free(c->keys);
    free(c->table);
    free(c);
}

const char *cameo_cache_path(const cameo_cache *c) { return c->path; }

bool cameo_cache_has(const cameo_cache *c, const char *key) { return *slot_of(c, key) != 0; }

bool cameo_cache_add(cameo_cache *c, const char *key, const float *row, cameo_error *error) {
    memset(c->buffer, 0, PREFIX);
    memcpy(c->buffer, key, KEY);
    memcpy(c->buffer + PREFIX, row, c->dimension * sizeof(float));
    uint32_t sum = checksum(c->buffer + PREFIX, c->record - PREFIX);
    memcpy(c->buffer + KEY, &sum, sizeof sum);
    if (!write_exactly(c->fd, c->buffer, c->record))
        return cameo_fail(error, CAMEO_ENVIRONMENT, "%s: cannot write: %s",
                          c->path ? c->path : "temporary embeddings", strerror(errno));
    index_record(c, key);
    return true;
}

bool cameo_cache_map(cameo_cache *c, cameo_error *error) {
    c->map_size = HEAD + c->count * c->record;
    void *map = mmap(NULL, c->map_size, PROT_READ, MAP_SHARED, c->fd, 0);
    if (map == MAP_FAILED)
        return cameo_fail(error, CAMEO_ENVIRONMENT, "cannot map %zu bytes of embeddings: %s",
                          c->map_size, strerror(errno));
    c->map = map;
    return true;
}

const float *cameo_cache_row(const cameo_cache *c, const char *key) {
    size_t record = *slot_of(c, key);
    if (!record) return NULL;
    return (const float *)(const void *)(c->map + HEAD + (record - 1) * c->record + PREFIX);
}
