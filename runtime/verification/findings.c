/* Duplicates and overlaps, by sorting hashes and names. */
#define _GNU_SOURCE
#include "findings.h"
#include "../base/files.h"
#include <stdlib.h>
#include <string.h>

static int by_content(const void *x, const void *y, void *data) {
    const char(*content)[65] = data;
    const size_t a = *(const size_t *)x, b = *(const size_t *)y;
    int order = strcmp(content[a], content[b]);
    return order ? order : a < b ? -1 : a > b;
}

/* Indices of 0..n-1 by content, equal ones in order; the caller frees. */
static size_t *sorted_by_content(char (*content)[65], size_t n) {
    size_t *order = cameo_allocate(n, sizeof *order);
    for (size_t i = 0; i < n; i++) order[i] = i;
    qsort_r(order, n, sizeof *order, by_content, content);
    return order;
}

void cameo_find_duplicates(char *const *name, char (*content)[65], size_t images,
                           cameo_findings *found) {
    size_t *order = sorted_by_content(content, images), first = 0;
    *found = (cameo_findings){.list = cameo_allocate(images, sizeof *found->list)};
    for (size_t i = 1; i < images; i++) {
        if (strcmp(content[order[i]], content[order[first]]) != 0)
            first = i;
        else if (*content[order[i]])
            found->list[found->count++] = (cameo_finding){name[order[first]], name[order[i]]};
    }
    free(order);
}

/* The class that the name's last folder is, if any. */
static char *const *class_of(const char *name, const cameo_dataset *train) {
    const char *end = strrchr(name, '/'), *begin = end;
    if (!end) return NULL;
    while (begin > name && begin[-1] != '/') begin--;
    char *folder = cameo_allocate((size_t)(end - begin) + 1, 1);
    memcpy(folder, begin, (size_t)(end - begin));
    char *const *found = bsearch(&folder, train->class_name, train->classes,
                                 sizeof *train->class_name, cameo_by_text);
    free(folder);
    return found;
}

static size_t find_content(const char *wanted, const size_t *order, char (*content)[65], size_t n) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(content[order[middle]], wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && strcmp(content[order[low]], wanted) == 0 ? order[low] : n;
}

void cameo_find_overlaps(char *const *name, char (*content)[65], size_t images,
                         const cameo_dataset *train, char (*train_content)[65],
                         cameo_findings *found) {
    size_t *order = sorted_by_content(train_content, train->images);
    bool *seen = cameo_allocate(train->classes, sizeof *seen);
    *found = (cameo_findings){.list = cameo_allocate(2 * images, sizeof *found->list)};
    for (size_t i = 0; i < images; i++) {
        char *const *class = class_of(name[i], train);
        if (class && !seen[class - train->class_name]) {
            seen[class - train->class_name] = true;
            found->list[found->count++] = (cameo_finding){*class, NULL};
        }
        size_t k = *content[i] ? find_content(content[i], order, train_content, train->images)
                               : train->images;
        if (k < train->images)
            found->list[found->count++] = (cameo_finding){name[i], train->path[k]};
    }
    free(order);
    free(seen);
}

void cameo_findings_free(cameo_findings *f) {
    free(f->list);
    *f = (cameo_findings){0};
}
