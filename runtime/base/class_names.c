#include "class_names.h"
#include "files.h"
#include <stdlib.h>

enum { LARGEST = 64 << 20 };

bool cameo_class_names_parse(const char *text, size_t size, const char *what,
                             cameo_class_names *names, cameo_error *error) {
    *names = (cameo_class_names){0};
    if (!cameo_lines_cut(text, size, what, CAMEO_QUOTES_PLAIN, &names->lines, error)) return false;
    const cameo_lines *l = &names->lines;
    names->name = cameo_allocate(l->count, sizeof *names->name);
    for (size_t i = 0; i < l->count; i++) {
        const char *name = l->text + l->line[i].at;
        if (cameo_line_empty(name)) continue;
        if (i > names->count) { /* lines before this one were empty */
            const size_t empty = l->line[names->count].number;
            cameo_class_names_free(names);
            return cameo_reject(
                error,
                "%s: line %zu is empty; each line names a class, so the names behind "
                "it would shift",
                what, empty);
        }
        names->name[names->count++] = name;
    }
    return true;
}

bool cameo_class_names_read(const char *file, cameo_class_names *names, cameo_error *error) {
    size_t size;
    unsigned char *text = cameo_read_file(file, LARGEST, &size, error);
    if (!text) return false;
    const bool good = cameo_class_names_parse((const char *)text, size, file, names, error);
    free(text);
    return good;
}

void cameo_class_names_free(cameo_class_names *names) {
    cameo_lines_free(&names->lines);
    free(names->name);
    *names = (cameo_class_names){0};
}
