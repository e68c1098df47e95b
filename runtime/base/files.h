/* Files and errors of the runtime. Memory returned is the caller's, freed with free(). Outputs are
   written beside their final name and renamed, so that an interrupted program never leaves half a
   file under a name somebody reads. */
#ifndef CAMEO_FILES_H
#define CAMEO_FILES_H
#include "../cameo.h"
#include <stdarg.h>
#include <stdio.h>

/* Fills *error (may be NULL) with a code and a message; always returns false, for `return
   cameo_fail(...)`. */
bool cameo_fail(cameo_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a fault of the input. */
#define cameo_reject(error, ...) cameo_fail(error, CAMEO_BAD_INPUT, __VA_ARGS__)
/* Prints the message to stderr; returns the error's code. */
int cameo_report_error(const cameo_error *error);
/* The exit code to end with when memory runs out, after a message: ends the program (4). */
void *cameo_allocate(size_t count, size_t size);
/* An array of `count` elements with room for one more: itself, or a larger one in its place. */
void *cameo_room(void *array, size_t count, size_t *capacity, size_t size);

/* The whole file, plus one NUL byte behind it. Larger than `limit` bytes, a directory or
   unreadable: NULL with *error. */
unsigned char *cameo_read_file(const char *path, size_t limit, size_t *size, cameo_error *error);
/* All of these bytes; false with errno, which is 0 at the file's end. */
bool cameo_read_at(int fd, void *to, size_t size, uint64_t offset);
/* Written beside, on the disk, then renamed: the old file or the new one, whole. Devices and pipes
   are written straight. */
bool cameo_write_file(const char *path, const void *data, size_t size, cameo_error *error);
/* The same in two steps, for files that do not fit in memory. `put` writes what it is given; false
   after filling *error. Then `file` is on the disk, whole, or not there at all. name: what
   messages call it. */
typedef bool cameo_file_writer(FILE *f, const void *what, cameo_error *error);
bool cameo_write_synced(const char *file, const char *name, cameo_file_writer *put,
                        const void *what, cameo_error *error);
bool cameo_take_place(const char *beside, const char *path, cameo_error *error); /* renames, or
                                                                                    removes `beside`
                                                                                  */
/* Removes what cameo_write_file of directory/name left beside it in processes that were killed and
   are gone. */
void cameo_remove_unfinished(const char *directory, const char *name);
bool cameo_make_directories(const char *path, cameo_error *error);
bool cameo_file_exists(const char *path);
/* A text made as by printf; the caller frees. */
char *cameo_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Of what is before a path's last slash: NULL where it has none, "/" at the root; the caller
   frees. */
char *cameo_folder_of(const char *path);
/* "directory/name" ("name" when directory is NULL or empty, or name is absolute); the caller
   frees. */
char *cameo_join(const char *directory, const char *name);
const char *cameo_last_part(const char *path); /* what is behind its last slash */
/* For qsort and bsearch over char * and double. */
int cameo_by_text(const void *x, const void *y);
int cameo_by_value(const void *x, const void *y);
bool cameo_ends_with(const char *s, const char *suffix);

/* A file written in memory with stdio and stored at once: cameo_output_open, fprintf(o.stream,
   ...), cameo_output_save. */
typedef struct cameo_output {
    FILE *stream;
    char *data;
    size_t size;
} cameo_output;
bool cameo_output_open(cameo_output *o, cameo_error *error);
bool cameo_output_drop(cameo_output *o); /* always false, for `return` */
bool cameo_output_save(cameo_output *o, const char *directory, const char *name,
                       cameo_error *error);
#endif
