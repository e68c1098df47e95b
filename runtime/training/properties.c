/* Metadata of checkpoints: a small list of keys and texts. Numbers in it come from files and are
   checked where they are read. */
#include "../base/args.h"
#include "../base/files.h"
#include "checkpoint.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static char **find(const cameo_properties *p, const char *key) {
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->key[i], key) == 0) return &p->value[i];
    return NULL;
}

/* Takes the text. */
static void set(cameo_properties *p, const char *key, char *text) {
    char **place = find(p, key);
    if (place) {
        free(*place);
        *place = text;
        return;
    }
    size_t capacity = p->capacity;
    p->key = cameo_room(p->key, p->count, &capacity, sizeof *p->key);
    p->value = cameo_room(p->value, p->count, &p->capacity, sizeof *p->value);
    p->key[p->count] = cameo_join(NULL, key);
    p->value[p->count++] = text;
}

void cameo_property_set(cameo_properties *p, const char *key, const char *text) {
    set(p, key, cameo_join(NULL, text));
}

void cameo_property_set_integer(cameo_properties *p, const char *key, int64_t value) {
    set(p, key, cameo_format("%" PRId64, value));
}

void cameo_property_set_double(cameo_properties *p, const char *key, double value) {
    set(p, key, cameo_format("%a", value));
}

const char *cameo_property(const cameo_properties *p, const char *key) {
    char **place = find(p, key);
    return place ? *place : NULL;
}

bool cameo_property_integer(const cameo_properties *p, const char *key, int64_t low, int64_t high,
                            int64_t *value) {
    const char *text = cameo_property(p, key);
    return text && cameo_parse_integer(text, low, high, value);
}

bool cameo_property_double(const cameo_properties *p, const char *key, double *value) {
    const char *text = cameo_property(p, key);
    if (!text) return false;
    char *end;
    *value = strtod(text, &end);
    return end != text && !*end && *value == *value;
}

void cameo_properties_free(cameo_properties *p) {
    for (size_t i = 0; i < p->count; i++) {
        free(p->key[i]);
        free(p->value[i]);
    }
    free(p->key);
    free(p->value);
    *p = (cameo_properties){0};
}
