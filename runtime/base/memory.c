#include "memory.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* The number in a file, or behind `key` in it; SIZE_MAX when there's none ("max"). */
static size_t number_in(const char *path, const char *key) {
    char line[256];
    unsigned long long value;
    size_t found = SIZE_MAX;
    FILE *f = fopen(path, "r");
    if (!f) return SIZE_MAX;
    while (found == SIZE_MAX && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%llu", &value) == 1)
            found = (size_t)value;
    fclose(f);
    return found;
}

static size_t left(size_t limit, size_t used) {
    if (limit == SIZE_MAX || used == SIZE_MAX) return SIZE_MAX;
    return limit > used ? limit - used : 0;
}

/* Of the control group's own files, as a container sees them. */
static size_t group_left(void) {
    const size_t v2 = left(number_in("/sys/fs/cgroup/memory.max", ""),
                           number_in("/sys/fs/cgroup/memory.current", ""));
    const size_t v1 = left(number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes", ""),
                           number_in("/sys/fs/cgroup/memory/memory.usage_in_bytes", ""));
    return smaller(v2, v1);
}

static size_t address_space_left(void) {
    struct rlimit limit;
    const size_t pages = number_in("/proc/self/statm", "");
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || pages == SIZE_MAX)
        return SIZE_MAX;
    return left((size_t)limit.rlim_cur, pages * (size_t)sysconf(_SC_PAGESIZE));
}

size_t cameo_memory_available(void) {
    const size_t machine = number_in("/proc/meminfo", "MemAvailable:");
    const size_t bytes = machine == SIZE_MAX ? SIZE_MAX : machine * 1024;
    return smaller(smaller(bytes, group_left()), address_space_left());
}

double cameo_peak_mb(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024 : 0;
}
