/* See cache.h. */
#include "cache.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../runtime/base/files.h"

char *cache_directory(arena *a) {
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    cameo_error error = {0};
    char *path = NULL;
    if (base && base[0] == '/') /* the XDG rules: relative paths are to be ignored */
        path = arena_printf(a, "%s/cameo", base);
    else if (home && home[0])
        path = arena_printf(a, "%s/.cache/cameo", home);
    if (!path)
        fprintf(stderr, "cameo: there is no place for the cache; set XDG_CACHE_HOME or HOME\n");
    else if (cameo_make_directories(path, &error))
        return path;
    else
        fprintf(stderr, "cameo: can not make the cache: %s; set XDG_CACHE_HOME\n", error.message);
    return NULL;
}

char *cache_file(arena *a, const char *name) {
    const char *directory = cache_directory(a);
    return directory ? arena_printf(a, "%s/%s", directory, name) : NULL;
}
