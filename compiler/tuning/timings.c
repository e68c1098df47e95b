/* The file of --tune: a line for each kernel timed, six fields apart by tabs: processor, target,
   version, layer, kernel, microseconds. A line that begins with # is a comment. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../ir/implementation.h"
#include "tuning.h"

enum { FIELDS = 6, FILE_MOST = 64 << 20 };

void timings_add(timings *t, timing added) {
    ARENA_GROW(t->arena, t->list, t->count, t->capacity);
    t->list[t->count++] = added;
}

timing *timings_find(const timings *t, const char *processor, const char *target_name,
                     const char *layer, const char *kernel) {
    for (size_t i = t->count; i-- > 0;) {
        timing *k = &t->list[i];
        if (strcmp(k->layer, layer) || strcmp(k->kernel, kernel) || strcmp(k->target, target_name))
            continue;
        if (strcmp(k->version, CAMEO_VERSION) == 0 &&
            (!processor || strcmp(k->processor, processor) == 0))
            return k;
    }
    return NULL;
}

/* ---- reading and writing ---- */

static bool read_line(timings *t, char *line) {
    char *field[FIELDS], *rest = line, *end;
    for (int i = 0; i < FIELDS; i++) {
        if (!rest) return false;
        field[i] = rest;
        rest = strchr(rest, '\t');
        if (rest) *rest++ = 0;
    }
    const double us = strtod(field[5], &end);
    if (rest || end == field[5] || *end || !isfinite(us) || us < 0) return false;
    timings_add(t, (timing){field[0], field[1], field[2], field[3], field[4], us});
    return true;
}

bool timings_read(timings *t, const char *path) {
    size_t size;
    cameo_error error = {0};
    if (!cameo_file_exists(path)) return true;
    unsigned char *bytes = cameo_read_file(path, FILE_MOST, &size, &error);
    if (!bytes) return complain_of(&error), false;
    char *next = arena_strndup(t->arena, (const char *)bytes, size);
    free(bytes);
    for (size_t number = 1; next && *next; number++) {
        char *line = next;
        next = strchr(next, '\n');
        if (next) *next++ = 0;
        if (*line == '#' || !*line || read_line(t, line)) continue;
        fprintf(stderr,
                "cameo: %s: line %zu is no timing; remove the file to time everything again\n",
                path, number);
        return false;
    }
    return true;
}

/* Lines of other versions stay: a file may be shared by several. */
bool timings_write(const timings *t, const char *path) {
    text out = {0};
    text_append(&out, "# cameo: processor, target, version, layer, kernel, microseconds\n");
    for (size_t i = 0; i < t->count; i++) {
        const timing *k = &t->list[i];
        if (!isfinite(k->microseconds)) continue;
        text_printf(&out, "%s\t%s\t%s\t%s\t%s\t%.3f\n", k->processor, k->target, k->version,
                    k->layer, k->kernel, k->microseconds);
    }
    cameo_error error;
    const bool good = cameo_write_file(path, out.data, out.size, &error);
    text_free(&out);
    return good || (complain_of(&error), false);
}

/* ---- layers ---- */

static void add_value(text *t, const value *v) {
    if (!v) {
        text_append(t, " -");
        return;
    }
    text_append(t, v->constant ? " const:" : v->layout == LAYOUT_NHWC ? " nhwc:" : " ");
    for (int i = 0; i < v->shape.rank; i++) text_put(t, "$0$1", i ? "x" : "", v->shape.dim[i]);
}

static void add_attribute(text *t, const attr *a) {
    text_put(t, " $0=", a->name);
    if (a->kind == ATTR_INT) text_put(t, "$0", a->i);
    if (a->kind == ATTR_FLOAT) text_printf(t, "%.9g", (double)a->f);
    if (a->kind == ATTR_STRING) text_escape(t, a->s);
    for (size_t i = 0; a->kind == ATTR_INTS && i < a->count; i++)
        text_put(t, "$0$1", i ? "," : "", a->ints[i]);
}

char *timings_layer(arena *a, const node *n) {
    text t = {0};
    text_append(&t, n->op_type);
    for (size_t i = 0; i < n->n_attrs; i++) add_attribute(&t, &n->attrs[i]);
    for (size_t i = 0; i < n->n_in; i++) add_value(&t, n->in[i]);
    text_append(&t, " ->");
    for (size_t i = 0; i < n->n_out; i++) add_value(&t, n->out[i]);
    return text_keep(&t, a);
}
