/* One pass cuts the text into lines, a second judges them: only then it is known which empty lines are the last ones. */
#include "class_names.h"
#include "files.h"
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 64 << 20 };

static bool is_blank(const char *s) { return s[strspn(s, " \t")] == 0; }

/* Ends each line with a NUL and collects their beginnings. */
static void cut_lines(cameo_class_names *n, char *s) {
    for (char *end = s; *s; s = end) {
        n->name[n->count++] = s;
        end = s + strcspn(s, "\r\n");
        const size_t mark = end[0] == '\r' && end[1] == '\n' ? 2 : *end != 0;
        *end = 0;
        end += mark;
    }
    while (n->count && is_blank(n->name[n->count - 1])) n->count--;
}

bool cameo_class_names_parse(const char *text, size_t size, const char *what, cameo_class_names *names, cameo_error *error) {
    *names = (cameo_class_names){.text = cameo_allocate(size + 1, 1)};
    if (size) memcpy(names->text, text, size);
    if (strlen(names->text) != size)
        return cameo_class_names_free(names), cameo_fail(error, CAMEO_BAD_INPUT, "%s: is no text: it has a NUL byte", what);
    names->name = cameo_allocate(size + 1, sizeof *names->name);
    cut_lines(names, names->text + (strncmp(names->text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0)); /* without a byte order mark */
    for (size_t i = 0; i < names->count; i++) {
        if (!is_blank(names->name[i])) continue;
        cameo_class_names_free(names);
        return cameo_fail(error, CAMEO_BAD_INPUT,
                          "%s: line %zu is empty; each line names a class, so the names behind it would shift", what, i + 1);
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
    free(names->text);
    free(names->name);
    *names = (cameo_class_names){0};
}
