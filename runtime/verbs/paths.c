/* Lists of pictures as people give them: files, folders, files with lists. */
#include "../base/lines.h"
#include "../image/dataset.h"
#include "verbs.h"
#include <stdlib.h>
#include <sys/stat.h>

static void add(cameo_paths *l, char *path) {
    l->path = cameo_room(l->path, l->count, &l->capacity, sizeof *l->path);
    l->path[l->count++] = path;
}

bool cameo_paths_add(cameo_paths *l, const char *path, cameo_error *error) {
    struct stat status;
    char **inside;
    size_t count;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return add(l, cameo_join(NULL, path)), true;
    if (!cameo_list_pictures(path, &inside, &count, error)) return false;
    for (size_t i = 0; i < count; i++) add(l, inside[i]);
    free(inside);
    return true;
}

/* The picture of a list's line, or the path where it should be, for a message. */
static char *listed(const char *root, const char *name) {
    char *path = cameo_join(root, name), *found = cameo_find_picture(path, false);
    if (!found) return path;
    free(path);
    return found;
}

bool cameo_paths_add_list(cameo_paths *l, const char *file, const char *root, cameo_error *error) {
    cameo_lines lines;
    if (!cameo_lines_read(file, &lines, error)) return false;
    for (size_t i = 0; i < lines.count; i++) {
        char *name = cameo_line_name(lines.text + lines.line[i].at);
        if (!*name) continue;
        char *path = listed(root, name);
        if (*name == '#' && !cameo_file_exists(path))
            free(path); /* a comment */
        else
            add(l, path);
    }
    cameo_lines_free(&lines);
    return true;
}

int cameo_paths_given(cameo_paths *l, const cameo_args *a) {
    const char *list = cameo_args_get(a, "list");
    cameo_error error = {0};
    for (size_t i = 0; i < a->positionals; i++)
        if (!cameo_paths_add(l, cameo_args_positional(a, i), &error))
            return cameo_report_error(&error);
    if (list && !cameo_paths_add_list(l, list, cameo_args_get(a, "root"), &error))
        return cameo_report_error(&error);
    return l->count ? CAMEO_OK : cameo_usage_error(a, "no pictures given");
}

void cameo_paths_free(cameo_paths *l) {
    for (size_t i = 0; i < l->count; i++) free(l->path[i]);
    free(l->path);
    *l = (cameo_paths){0};
}
