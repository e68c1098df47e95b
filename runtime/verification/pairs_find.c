/* Where the pictures of a pair list are. Data set families keep them in folders of their own (the
   table below); one rule, the first that finds most of the names, serves the whole list, so that
   no picture comes from a folder of another split. */
#include "../base/files.h"
#include "../image/dataset.h"
#include "pairs.h"
#include <stdlib.h>
#include <string.h>

typedef struct rule {
    const char *folder; /* under the root */
    bool basename;      /* the names' own folders don't count */
    const char *family; /* that this folder gives away */
    const char *split;  /* "dev" or "test": lists of the other split come last to it */
} rule;

static const rule rules[] = {{"", false, NULL, NULL},
                             {"images", false, NULL, NULL},
                             {"ver_data", false, "f24", NULL},
                             {"validation_verification", false, "s19", "dev"},
                             {"test_verification", false, "s19", "test"},
                             {"verification/verification/dev", true, "s22", "dev"},
                             {"verification/verification/test", true, "s22", "test"},
                             {"verification/dev", true, "s22", "dev"},
                             {"verification/test", true, "s22", "test"},
                             {"dev", true, "s22", "dev"},
                             {"test", true, "s22", "test"},
                             {"verification_data", true, "f20", NULL},
                             {"ver_data", true, "f24", NULL},
                             {"", true, NULL, NULL}};
enum { RULES = sizeof rules / sizeof *rules };

static char *path_by(const rule *r, const char *root, const char *name) {
    char *folder = *r->folder ? cameo_join(root, r->folder) : cameo_join(NULL, root ? root : "");
    char *path = cameo_join(folder, r->basename ? cameo_last_part(name) : name);
    free(folder);
    return path;
}

/* The same name with folders apart by /, when it has Windows' \\ instead; takes the path, which is
   freed on failure. */
static char *existing(const cameo_pairs *p, char *path) {
    char *found = cameo_find_picture(path, p->format && strcmp(p->format, "lfw") == 0);
    if (!found && strchr(path, '\\')) {
        for (char *s = path; *s; s++)
            if (*s == '\\') *s = '/';
        found = cameo_find_picture(path, false);
    }
    free(path);
    return found;
}

/* Fills out[images]; returns how many were found. */
static size_t apply(const cameo_pairs *p, const rule *r, const char *root, char **out) {
    size_t found = 0;
    for (size_t i = 0; i < p->images; i++) {
        out[i] = existing(p, path_by(r, root, p->image[i]));
        found += out[i] != NULL;
    }
    return found;
}

static bool of_other_split(const cameo_pairs *p, const rule *r) {
    if (!r->split || !p->list) return false;
    bool test = strstr(cameo_last_part(p->list), "test") != NULL;
    return test != (strcmp(r->split, "test") == 0);
}

/* By where the names were found, by what they look like, by the list's name. */
static const char *family_of(const cameo_pairs *p, const rule *r) {
    if (p->family) return p->family;
    if (r->family) return r->family;
    if (strncmp(p->image[0], "verification_data/", 18) == 0) return "f20";
    const char *name = p->list ? cameo_last_part(p->list) : "";
    if (strstr(name, "trials_verification")) return "s19";
    if (strncmp(name, "verification_pairs_", 19) == 0) return "f20";
    if (strcmp(name, "val_pairs.txt") == 0 || strcmp(name, "test_pairs.txt") == 0) return "f24";
    if (strcmp(name, "verification_dev.csv") == 0 || strcmp(name, "verification_test.csv") == 0)
        return "s22";
    return NULL;
}

static void free_paths(char **paths, size_t n) {
    for (size_t i = 0; i < n; i++) free(paths[i]);
    free(paths);
}

static void take(cameo_pairs *p, const rule *r, const char *root, char **paths) {
    if (p->path) free_paths(p->path, p->images);
    free(p->where);
    p->path = paths;
    char *folder = path_by(r, root, "");
    p->where = cameo_format("%s %s", r->basename ? "file names alone, in" : "names relative to",
                            *folder ? folder : ".");
    free(folder);
}

size_t cameo_pairs_find(cameo_pairs *p, const char *root) {
    char *beside = p->list ? cameo_folder_of(p->list) : NULL;
    const char *roots[2] = {root, beside};
    size_t best = 0;
    const rule *chosen = &rules[0];
    /* A root that has some of them has the others too, or they are missing: pictures beside the
       list would be other ones. */
    for (int turn = 0; turn < 2 && best < p->images; turn++)
        for (int k = 0; k < (roots[1] && (!root || !best) ? 2 : 1) && best < p->images; k++)
            for (const rule *r = rules; r < rules + RULES && best < p->images; r++) {
                if (of_other_split(p, r) != (turn == 1)) continue;
                char **paths = cameo_allocate(p->images, sizeof *paths);
                size_t found = apply(p, r, roots[k], paths);
                if (found > best || !p->path)
                    best = found, chosen = r, take(p, r, roots[k], paths);
                else
                    free_paths(paths, p->images);
            }
    p->family = family_of(p, chosen);
    free(beside);
    return p->images - best;
}

typedef struct below {
    const char *root;
    char *beside;
} below;

static bool is_below(const void *data, const char *name) {
    const below *b = data;
    const cameo_pairs none = {0};
    const char *roots[2] = {b->root, b->beside};
    for (int k = 0; k < (b->beside ? 2 : 1); k++)
        for (const rule *r = rules; r < rules + RULES; r++) {
            char *path = existing(&none, path_by(r, roots[k], name));
            if (!path) continue;
            free(path);
            return true;
        }
    return false;
}

bool cameo_pairs_read(const char *path, const char *root, cameo_pairs *p, cameo_error *error) {
    const below b = {root, cameo_folder_of(path)};
    const cameo_pairs_known known = {is_below, &b};
    const bool good = cameo_pairs_read_known(path, &known, p, error);
    free(b.beside);
    return good;
}

bool cameo_pairs_locate(cameo_pairs *p, const char *root, cameo_error *error) {
    size_t missing = cameo_pairs_find(p, root), printed = 0;
    const char *first = NULL;
    for (size_t i = 0; i < p->images && missing; i++) {
        if (p->path[i]) continue;
        if (!first) first = p->image[i];
        if (printed++ < 10) fprintf(stderr, "missing: %s (%s)\n", p->image[i], p->where);
    }
    return missing == 0 || cameo_reject(error,
                                        "%zu of %zu images are missing, the first: %s\n    hint: "
                                        "names are relative to --root DIR",
                                        missing, p->images, first);
}
