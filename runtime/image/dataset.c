/* Scanning class folders. Order is by strcmp, whatever the file system says, so labels are the
   same everywhere. */
#include "dataset.h"
#include "../base/files.h"
#include "../core/sha256.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef struct names {
    char **name;
    size_t count, capacity;
} names;

static void add_name(names *n, const char *name) {
    n->name = cameo_room(n->name, n->count, &n->capacity, sizeof *n->name);
    n->name[n->count++] = cameo_join(NULL, name);
}

static void free_names(names *n) {
    for (size_t i = 0; i < n->count; i++) free(n->name[i]);
    free(n->name);
}

/* Entries that aren't hidden, sorted. */
static bool list_directory(const char *path, names *out, cameo_error *error) {
    DIR *d = opendir(path);
    *out = (names){0};
    if (!d) return cameo_reject(error, "%s: %s", path, strerror(errno));
    errno = 0;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') add_name(out, e->d_name);
    const int why = errno;
    closedir(d);
    if (out->count) qsort(out->name, out->count, sizeof *out->name, cameo_by_text);
    if (!why) return true;
    free_names(out);
    return cameo_reject(error, "%s: %s", path, strerror(why));
}

static const char *const endings[] = {"jpg", "jpeg", "jpe", "png",  "ppm",  "pgm",  "pnm",  "webp",
                                      "bmp", "gif",  "tif", "tiff", "jfif", "heic", "heif", "avif"};

static bool has_picture_ending(const char *name) {
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot + 1, endings[i]) == 0) return true;
    return false;
}

static bool looks_like_picture(const char *name) {
    return !strrchr(name, '.') || has_picture_ending(name);
}

char *cameo_find_picture(const char *path, bool any_ending) {
    static const char *const tried[] = {"jpg",  "png", "jpeg", "JPG", "PNG",
                                        "JPEG", "ppm", "pgm",  NULL};
    if (cameo_file_exists(path)) return cameo_join(NULL, path);
    const bool has = has_picture_ending(path);
    if (has && !any_ending) return NULL;
    size_t n = has ? (size_t)(strrchr(path, '.') - path) : strlen(path), length = n + 8;
    char *other = cameo_allocate(length, 1);
    for (const char *const *ending = tried; *ending; ending++) {
        snprintf(other, length, "%.*s.%s", (int)n, path, *ending);
        if (cameo_file_exists(other)) return other;
    }
    free(other);
    return NULL;
}

bool cameo_list_pictures(const char *directory, char ***path, size_t *count, cameo_error *error) {
    names entries;
    if (!list_directory(directory, &entries, error)) return false;
    *path = cameo_allocate(entries.count, sizeof **path);
    *count = 0;
    for (size_t i = 0; i < entries.count; i++) {
        char *file = cameo_join(directory, entries.name[i]);
        if (looks_like_picture(entries.name[i]) && cameo_file_exists(file))
            (*path)[(*count)++] = file;
        else
            free(file);
    }
    free_names(&entries);
    if (*count) return true;
    free(*path);
    return cameo_reject(error, "%s: no pictures in it", directory);
}

typedef struct scan {
    cameo_dataset *d;
    size_t path_capacity, label_capacity, folders; /* folders: in the class at hand */
    FILE *listing;                                 /* what is hashed */
} scan;

static void add_image(scan *s, const char *path, const char *name, int64_t size) {
    cameo_dataset *d = s->d;
    d->path = cameo_room(d->path, d->images, &s->path_capacity, sizeof *d->path);
    d->label = cameo_room(d->label, d->images, &s->label_capacity, sizeof *d->label);
    d->path[d->images] = cameo_join(NULL, path);
    d->label[d->images++] = (int64_t)d->classes;
    fprintf(s->listing, "%s/%s%c%lld\n", d->class_name[d->classes], name, 0, (long long)size);
}

static void scan_files(scan *s, const char *directory, const names *files) {
    s->folders = 0;
    for (size_t i = 0; i < files->count; i++) {
        char *path = cameo_join(directory, files->name[i]);
        struct stat status;
        const bool there = stat(path, &status) == 0;
        if (there && S_ISDIR(status.st_mode))
            s->folders++, s->d->ignored++;
        else if (looks_like_picture(files->name[i]))
            add_image(s, path, files->name[i], there ? (int64_t)status.st_size : -1);
        else
            s->d->ignored++;
        free(path);
    }
}

static bool scan_class(scan *s, const char *root, const char *name, cameo_error *error) {
    char *directory = cameo_join(root, name);
    names files;
    bool good = list_directory(directory, &files, error);
    const size_t before = s->d->images;
    if (good) {
        scan_files(s, directory, &files);
        free_names(&files);
        if (s->d->images == before)
            good = cameo_reject(
                error,
                s->folders
                    ? "%s: has folders, but no pictures\n    hint: give the folder that holds the "
                      "class "
                      "folders; perhaps it is this one"
                    : "%s: this class has no pictures\n    hint: remove the folder, or fill it",
                directory);
        s->d->first[++s->d->classes] = s->d->images;
    }
    free(directory);
    return good;
}

static bool is_directory(const char *root, const char *name) {
    char *path = cameo_join(root, name);
    struct stat status;
    const bool yes = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    free(path);
    return yes;
}

static bool scan_classes(scan *s, const char *root, const names *entries, cameo_error *error) {
    cameo_dataset *d = s->d;
    d->class_name = cameo_allocate(entries->count + 1, sizeof *d->class_name); /* one behind: a
                                                                                  class that failed
                                                                                  half-way */
    d->first = cameo_allocate(entries->count + 1, sizeof *d->first);
    for (size_t i = 0; i < entries->count; i++) {
        if (!is_directory(root, entries->name[i])) {
            d->ignored++;
            continue;
        }
        if (strpbrk(entries->name[i], "\r\n")) /* models keep the names of classes one a line */
            return cameo_reject(error, "%s: a folder's name holds a line end: \"%s\"", root,
                                entries->name[i]);
        d->class_name[d->classes] = cameo_join(NULL, entries->name[i]);
        if (!scan_class(s, root, entries->name[i], error)) return false;
    }
    return true;
}

bool cameo_dataset_scan(const char *directory, size_t least, cameo_dataset *d, cameo_error *error) {
    *d = (cameo_dataset){0};
    names entries;
    cameo_output listing;
    if (!list_directory(directory, &entries, error)) return false;
    if (!cameo_output_open(&listing, error)) return free_names(&entries), false;
    scan s = {.d = d, .listing = listing.stream};
    bool good = scan_classes(&s, directory, &entries, error);
    fclose(listing.stream);
    if (good && d->classes < least)
        good = d->classes == 0
                   ? cameo_reject(error,
                                  "%s: has no class folders (one folder a class, pictures inside)",
                                  directory)
                   : cameo_reject(
                         error,
                         "%s: has %zu class (\"%s\"); there is nothing to tell apart below %zu",
                         directory, d->classes, d->class_name[0], least);
    if (good) cameo_sha256(listing.data, listing.size, d->hash);
    free(listing.data);
    free_names(&entries);
    if (!good) cameo_dataset_free(d);
    return good;
}

void cameo_dataset_free(cameo_dataset *d) {
    for (size_t i = 0; i < d->images; i++) free(d->path[i]);
    for (size_t i = 0; d->class_name && i <= d->classes; i++) free(d->class_name[i]);
    free(d->class_name);
    free(d->path);
    free(d->label);
    free(d->first);
    *d = (cameo_dataset){0};
}

bool cameo_dataset_fits(const cameo_dataset *d, const char *directory, int64_t classes,
                        const char *const *known, int64_t batch, cameo_error *error) {
    static const char hint[] =
        "    hint: compile it for this folder: cameo compile MODEL.onnx --train --batch %lld "
        "--classes-from %s -o NET";
    char how[320];
    snprintf(how, sizeof how, hint, (long long)batch, directory);
    if (classes && d->classes != (size_t)classes)
        return cameo_reject(error,
                            "%.120s: has %zu classes, but this program was compiled for %lld\n%s",
                            directory, d->classes, (long long)classes, how);
    for (size_t i = 0; known && i < d->classes; i++)
        if (strcmp(known[i], d->class_name[i]) != 0)
            return cameo_reject(error,
                                "%.80s: class %zu is \"%.40s\", but this program was compiled for "
                                "\"%.40s\" there\n%s",
                                directory, i, d->class_name[i], known[i], how);
    return true;
}

bool cameo_dataset_relabel(cameo_dataset *d, const char *directory, const cameo_dataset *by,
                           cameo_error *error) {
    for (size_t k = 0; k < d->classes; k++) {
        char **found = bsearch(&d->class_name[k], by->class_name, by->classes,
                               sizeof *by->class_name, cameo_by_text);
        if (!found)
            return cameo_reject(
                error, "%s: class \"%s\" is not among the %zu classes of the training folder",
                directory, d->class_name[k], by->classes);
        for (size_t i = d->first[k]; i < d->first[k + 1]; i++) d->label[i] = found - by->class_name;
    }
    return true;
}
