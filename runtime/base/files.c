/* Reading with a limit, writing beside and renaming, directories, error messages. */
#define _GNU_SOURCE 1 /* vasprintf */
#include "files.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool cameo_fail(cameo_error *error, int code, const char *format, ...) {
    if (!error) return false;
    error->code = code;
    va_list list;
    va_start(list, format);
    vsnprintf(error->message, sizeof error->message, format, list);
    va_end(list);
    return false;
}

int cameo_report_error(const cameo_error *error) {
    fprintf(stderr, "%s\n", error->message);
    return error->code ? error->code : CAMEO_DEFECT;
}

void *cameo_allocate(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (memory) return memory;
    fprintf(stderr, "out of memory (%zu x %zu bytes)\n", count, size);
    exit(CAMEO_ENVIRONMENT);
}

void *cameo_room(void *array, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) return array;
    void *larger = cameo_allocate(*capacity = 2 * count + 64, size);
    if (count) memcpy(larger, array, count * size);
    free(array);
    return larger;
}

static unsigned char *read_stream(int fd, const char *path, size_t limit, size_t *size,
                                  cameo_error *error) {
    struct stat status;
    if (fstat(fd, &status) != 0 || S_ISDIR(status.st_mode)) {
        cameo_reject(error, "%s: is a directory, a file was expected", path);
        return NULL;
    }
    if (S_ISREG(status.st_mode) && (uint64_t)status.st_size > limit) {
        cameo_reject(error, "%s: %lld bytes, more than the limit of %zu", path,
                     (long long)status.st_size, limit);
        return NULL;
    }
    size_t capacity = (S_ISREG(status.st_mode) ? (size_t)status.st_size : 65536) + 2, used = 0;
    unsigned char *data = cameo_allocate(capacity, 1);
    for (;;) {
        ssize_t got = read(fd, data + used, capacity - used - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            if (got == 0) break;
            cameo_reject(error, "%s: %s", path, strerror(errno));
            free(data);
            return NULL;
        }
        used += (size_t)got;
        if (used > limit) {
            cameo_reject(error, "%s: more than the limit of %zu bytes", path, limit);
            free(data);
            return NULL;
        }
        if (capacity - used > 1) continue;
        unsigned char *larger = realloc(data, capacity * 2);
        if (!larger) {
            cameo_fail(error, CAMEO_ENVIRONMENT, "%s: out of memory", path);
            free(data);
            return NULL;
        }
        data = larger;
        capacity *= 2;
    }
    data[used] = 0;
    *size = used;
    return data;
}

unsigned char *cameo_read_file(const char *path, size_t limit, size_t *size, cameo_error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        cameo_reject(error, "%s: %s", path, strerror(errno));
        return NULL;
    }
    unsigned char *data = read_stream(fd, path, limit, size, error);
    close(fd);
    return data;
}

bool cameo_read_at(int fd, void *to, size_t size, uint64_t offset) {
    for (unsigned char *p = to; size;) {
        const ssize_t got = pread(fd, p, size, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) errno = 0;
        if (got <= 0) return false;
        p += got, offset += (uint64_t)got, size -= (size_t)got;
    }
    return true;
}

static bool cannot_write(const char *path, cameo_error *error) {
    return cameo_fail(error, CAMEO_ENVIRONMENT, "%s: cannot write: %s", path,
                      strerror(errno ? errno : ENOSPC));
}

/* Some file systems cannot sync, or need not. */
static bool is_synced(int fd) { return fsync(fd) == 0 || errno == EINVAL || errno == EROFS; }

bool cameo_write_synced(const char *file, const char *name, cameo_file_writer *put,
                        const void *what, cameo_error *error) {
    const int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!f) {
        cannot_write(name, error);
        if (fd >= 0) close(fd);
        return false;
    }
    errno = 0;
    bool good = put(f, what, error);
    if (good && (fflush(f) != 0 || ferror(f) || !is_synced(fd))) good = cannot_write(name, error);
    if (fclose(f) != 0 && good) good = cannot_write(name, error);
    if (!good) unlink(file);
    return good;
}

bool cameo_take_place(const char *beside, const char *path, cameo_error *error) {
    if (rename(beside, path) == 0) return true;
    cannot_write(path, error);
    unlink(beside);
    return false;
}

typedef struct bytes {
    const void *data;
    size_t size;
} bytes;

static bool put_bytes(FILE *f, const void *what, cameo_error *error) {
    const bytes *b = what;
    (void)error;
    if (b->size) fwrite(b->data, 1, b->size, f);
    return true;
}

/* Devices and pipes (/dev/stdout) can't be renamed over: written straight. */
static bool write_special(const char *path, const bytes *b, cameo_error *error) {
    FILE *f = fopen(path, "wbe");
    bool good = f && put_bytes(f, b, error) && fflush(f) == 0 && !ferror(f);
    if (!good) cannot_write(path, error);
    if (f) fclose(f);
    return good;
}

static bool is_special(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

bool cameo_write_file(const char *path, const void *data, size_t size, cameo_error *error) {
    const bytes b = {data, size};
    if (is_special(path)) return write_special(path, &b, error);
    char *beside = cameo_format("%s.%ld.tmp", path, (long)getpid());
    const bool good = cameo_write_synced(beside, path, put_bytes, &b, error) &&
                      cameo_take_place(beside, path, error);
    free(beside);
    return good;
}

/* The process in NAME.PROCESS.tmp; 0 when entry is no such file. */
static long unfinished_by(const char *entry, const char *name) {
    const size_t n = strlen(name);
    if (strncmp(entry, name, n) != 0 || entry[n] != '.' || entry[n + 1] < '1' || entry[n + 1] > '9')
        return 0;
    char *end;
    const long process = strtol(entry + n + 1, &end, 10);
    return strcmp(end, ".tmp") == 0 ? process : 0;
}

void cameo_remove_unfinished(const char *directory, const char *name) {
    DIR *d = opendir(directory);
    for (const struct dirent *e; d && (e = readdir(d));) {
        const long process = unfinished_by(e->d_name, name);
        if (!process || kill((pid_t)process, 0) == 0 || errno != ESRCH) continue;
        char *path = cameo_join(directory, e->d_name);
        unlink(path);
        free(path);
    }
    if (d) closedir(d);
}

bool cameo_make_directories(const char *path, cameo_error *error) {
    char *copy = cameo_join(NULL, path);
    bool good = true;
    for (char *p = copy + 1; *copy && good; p++) {
        if (*p != '/' && *p) continue;
        char saved = *p;
        *p = 0;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            good = cameo_fail(error, CAMEO_ENVIRONMENT, "%s: cannot make the directory: %s", copy,
                              strerror(errno));
        *p = saved;
        if (!saved) break;
    }
    struct stat status;
    if (good && (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)))
        good = cameo_fail(error, CAMEO_ENVIRONMENT, "%s: is not a directory", path);
    free(copy);
    return good;
}

bool cameo_file_exists(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && !S_ISDIR(status.st_mode);
}

char *cameo_join(const char *directory, const char *name) {
    size_t length = (directory ? strlen(directory) : 0) + strlen(name) + 2;
    char *path = cameo_allocate(length, 1);
    if (!directory || !*directory || *name == '/')
        snprintf(path, length, "%s", name);
    else
        snprintf(path, length, "%s%s%s", directory, cameo_ends_with(directory, "/") ? "" : "/",
                 name);
    return path;
}

char *cameo_format(const char *format, ...) {
    char *text = NULL;
    va_list list;
    va_start(list, format);
    const int length = vasprintf(&text, format, list);
    va_end(list);
    if (length >= 0) return text;
    fputs("out of memory for a text\n", stderr);
    exit(CAMEO_ENVIRONMENT);
}

char *cameo_folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? cameo_format("%.*s", (int)(slash - path) + (slash == path), path) : NULL;
}

const char *cameo_last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int cameo_by_text(const void *x, const void *y) {
    return strcmp(*(char *const *)x, *(char *const *)y);
}

int cameo_by_value(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return a < b ? -1 : a > b;
}

bool cameo_ends_with(const char *s, const char *suffix) {
    size_t a = strlen(s), b = strlen(suffix);
    return a >= b && strcmp(s + a - b, suffix) == 0;
}

bool cameo_output_open(cameo_output *o, cameo_error *error) {
    o->data = NULL;
    o->size = 0;
    o->stream = open_memstream(&o->data, &o->size);
    return o->stream || cameo_fail(error, CAMEO_ENVIRONMENT, "out of memory");
}

bool cameo_output_drop(cameo_output *o) {
    fclose(o->stream);
    free(o->data);
    return false;
}

bool cameo_output_save(cameo_output *o, const char *directory, const char *name,
                       cameo_error *error) {
    bool good = !ferror(o->stream);
    if (fclose(o->stream) != 0) good = false;
    if (!good) cameo_fail(error, CAMEO_ENVIRONMENT, "%s: out of memory", name);
    char *path = cameo_join(directory, name);
    if (good) good = cameo_write_file(path, o->data, o->size, error);
    free(path);
    free(o->data);
    return good;
}
