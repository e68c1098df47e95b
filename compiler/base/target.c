/* Processor levels: what the C compiler is told and how wide kernels may be. "native" becomes one
   of the levels here, since a program's bytes depend on the resolved target only. */
#include <string.h>

#include "../../runtime/core/processor.h"
#include "target.h"

static const target levels[] = {
    {"x86-64-v4", "-march=x86-64-v4", 16, 32}, {"x86-64-v3", "-march=x86-64-v3", 8, 16},
    {"x86-64-v2", "-march=x86-64-v2", 4, 16},  {"x86-64", "-march=x86-64", 4, 16},
    {"aarch64", "-march=armv8-a", 4, 32},
};

/* The widest that this machine runs; "" where no level is its family's. */
static const char *native_level(void) {
    const char *lacks;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (cameo_target_runs(levels[i].name, &lacks)) return levels[i].name;
    return "";
}

bool target_resolve(const char *name, target *out) {
    if (strcmp(name, "native") == 0) name = native_level();
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(levels[i].name, name) == 0) {
            *out = levels[i];
            return true;
        }
    return false;
}

static size_t position(const target *t) {
    size_t i = 0;
    while (strcmp(levels[i].name, t->name)) i++;
    return i;
}

bool target_compare(const target *a, const target *b, int *order) {
    *order = position(a) < position(b) ? -1 : position(a) > position(b);
    return (strncmp(a->name, "x86", 3) == 0) == (strncmp(b->name, "x86", 3) == 0);
}

const char *target_name(size_t i) {
    return i < sizeof levels / sizeof *levels ? levels[i].name : NULL;
}
