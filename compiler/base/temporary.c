/* Folders that live as long as one piece of work. See temporary.h. */
#define _GNU_SOURCE
#include "temporary.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *temporary_directory(arena *a) {
    const char *base = getenv("TMPDIR");
    char *path = arena_printf(a, "%s/cameo-XXXXXX", base && *base ? base : "/tmp"),
         *absolute = NULL;
    if (mkdtemp(path)) absolute = realpath(path, NULL);
    if (!absolute) {
        fprintf(stderr,
                "cameo: cannot make a temporary directory %s: %s\n    hint: TMPDIR names another "
                "place for it\n",
                path, strerror(errno));
        return NULL;
    }
    char *kept = arena_strdup(a, absolute);
    free(absolute);
    return kept;
}

static int remove_entry(const char *path, const struct stat *s, int type, struct FTW *f) {
    (void)s, (void)type, (void)f;
    return remove(path);
}

void temporary_remove(const char *directory) {
    nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
