/* Lists of pictures as people give them: files, folders, files with lists. */
#include "../dataset.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void add(cameo_paths *l, char *path) {
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 64;
        char **larger = cameo_allocate(l->capacity, sizeof *larger);
        if (l->count) memcpy(larger, l->path, l->count * sizeof *larger);
        free(l->path);
        l->path = larger;
    }
    l->path[l->count++] = path;
}

bool cameo_paths_add(cameo_paths *l, const char *path, cameo_error *error) {
    struct stat status;
    char **inside;
    size_t count;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) return add(l, cameo_join(NULL, path)), true;
    if (!cameo_list_pictures(path, &inside, &count, error)) return false;
    for (size_t i = 0; i < count; i++) add(l, inside[i]);
    free(inside);
    return true;
}

bool cameo_paths_add_list(cameo_paths *l, const char *file, const char *root, cameo_error *error) {
    size_t size;
    char *text = (char *)cameo_read_file(file, (size_t)1 << 30, &size, error), *rest = NULL;
    if (!text) return false;
    bool mark = size > 2 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;
    for (char *line = strtok_r(text + (mark ? 3 : 0), "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        for (size_t n = strlen(line); n && (line[n - 1] == ' ' || line[n - 1] == '\t');) line[--n] = 0;
        if (*line) add(l, cameo_join(root, line));
    }
    free(text);
    return true;
}

int cameo_paths_given(cameo_paths *l, const cameo_args *a) {
    const char *list = cameo_args_get(a, "list");
    cameo_error error = {0};
    for (size_t i = 0; i < a->positionals; i++)
        if (!cameo_paths_add(l, cameo_args_positional(a, i), &error)) return cameo_report_error(&error);
    if (list && !cameo_paths_add_list(l, list, cameo_args_get(a, "root"), &error)) return cameo_report_error(&error);
    return l->count ? CAMEO_OK : cameo_usage_error(a, "no pictures given");
}

void cameo_paths_free(cameo_paths *l) {
    for (size_t i = 0; i < l->count; i++) free(l->path[i]);
    free(l->path);
    *l = (cameo_paths){0};
}
