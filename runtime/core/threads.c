/* Threads: how many processors we may use, and a small pool.

   Each thread has a share of the tasks, neighbours, and when it is done takes what is left of the
   others'; which thread runs a task never changes its result
   (docs/internals/deterministic-sums.md). A line that two cores write costs a microsecond of a
   machine with distant cores, as much as a small task: what is shared is written once a call, and
   each share's counter lies in a line of its own. Between two calls a worker first spins briefly
   (layers follow each other within microseconds), then sleeps on a condition variable. */
#define _GNU_SOURCE 1
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SPIN = 20000,
    LINE = 64
}; /* polls before sleeping: a fraction of a millisecond; bytes of a cache line */

typedef struct share { /* tasks [next, end) are not taken yet */
    alignas(LINE) atomic_size_t next;
    size_t end;
} share;

typedef struct own_pool {
    cameo_pool base;
    int workers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    alignas(LINE) atomic_uint generation; /* counts calls */
    atomic_bool stop;
    void (*fn)(void *, size_t);
    void *argument;
    alignas(LINE) atomic_int busy; /* workers that have not finished this call */
    alignas(LINE) atomic_int sleeping;
    atomic_int started;          /* workers that know their number */
    alignas(LINE) share *shares; /* of the caller, then of each worker */
    pthread_t thread[];
} own_pool;

static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* One's own share, then the rest of the others'. */
static void work(own_pool *p, int own) {
    const int all = p->workers + 1;
    for (int k = 0; k < all; k++) {
        share *s = &p->shares[(own + k) % all];
        while (atomic_load_explicit(&s->next, memory_order_relaxed) < s->end) {
            const size_t i = atomic_fetch_add(&s->next, 1);
            if (i < s->end) p->fn(p->argument, i);
        }
    }
}

static unsigned await_call(own_pool *p, unsigned seen) {
    for (int i = 0; i < SPIN; i++) {
        const unsigned now = atomic_load(&p->generation);
        if (now != seen) return now;
        pause_briefly();
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleeping, 1);
    while (atomic_load(&p->generation) == seen) pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->sleeping, 1);
    pthread_mutex_unlock(&p->lock);
    return atomic_load(&p->generation);
}

static void *worker(void *argument) {
    own_pool *p = argument;
    const int own = atomic_fetch_add(&p->started, 1) + 1;
    for (unsigned seen = 0;;) {
        seen = await_call(p, seen);
        if (atomic_load(&p->stop)) return NULL;
        work(p, own);
        atomic_fetch_sub(&p->busy, 1);
    }
}

/* Starts a call on all workers. */
static void announce(own_pool *p) {
    atomic_fetch_add(&p->generation, 1);
    if (!atomic_load(&p->sleeping)) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

/* Where thread t's share of n tasks begins, of `all` threads. */
static size_t share_begin(size_t n, size_t t, size_t all) {
    return n / all * t + n % all * t / all;
}

static void own_run(cameo_pool *base, size_t n, void (*fn)(void *, size_t), void *argument) {
    own_pool *p = (own_pool *)base;
    const size_t all = (size_t)p->workers + 1;
    p->fn = fn, p->argument = argument;
    for (size_t t = 0; t < all; t++) {
        p->shares[t].end = share_begin(n, t + 1, all);
        atomic_store_explicit(&p->shares[t].next, share_begin(n, t, all), memory_order_relaxed);
    }
    atomic_store(&p->busy, p->workers);
    announce(p);
    work(p, 0);
    for (int i = 0; atomic_load(&p->busy) > 0; i++) {
        if (i < SPIN / 16)
            pause_briefly();
        else
            sched_yield(); /* a worker lost its processor: let it have ours */
    }
}

static void own_destroy(cameo_pool *base) {
    own_pool *p = (own_pool *)base;
    atomic_store(&p->stop, true);
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->generation, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->workers; i++) pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->shares);
    free(p);
}

static void *lines(size_t bytes) {
    const size_t whole = (bytes + LINE - 1) / LINE * LINE;
    void *p = aligned_alloc(LINE, whole);
    return p ? memset(p, 0, whole) : NULL;
}

cameo_pool *cameo_pool_create(int threads) {
    own_pool *p = lines(sizeof *p + (size_t)threads * sizeof *p->thread);
    share *shares = p ? lines((size_t)threads * sizeof *shares) : NULL;
    if (!shares) return free(p), NULL;
    p->shares = shares;
    p->base = (cameo_pool){own_run, own_destroy};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    for (; p->workers < threads - 1; p->workers++)
        if (pthread_create(&p->thread[p->workers], NULL, worker, p)) break;
    if (p->workers) return &p->base;
    own_destroy(&p->base);
    return NULL;
}

void cameo_parallel(cameo_context *c, size_t n, void (*fn)(void *argument, size_t i),
                    void *argument) {
    if (c->pool && n > 1)
        c->pool->run(c->pool, n, fn, argument);
    else
        for (size_t i = 0; i < n; i++) fn(argument, i);
}

void cameo_parallel_once(int threads, size_t n, void (*fn)(void *argument, size_t i),
                         void *argument) {
    cameo_pool *pool = threads > 1 && n > 1 ? cameo_pool_create(threads) : NULL;
    if (pool)
        pool->run(pool, n, fn, argument), pool->destroy(pool);
    else
        for (size_t i = 0; i < n; i++) fn(argument, i);
}

/* ---- processors ---- */

static bool read_line(const char *path, char *line, int size) {
    FILE *f = fopen(path, "r");
    if (!f) return false;
    const bool ok = fgets(line, size, f) != NULL;
    fclose(f);
    return ok;
}

static double quota_v2(const char *directory) {
    char path[600], line[128];
    double quota = 0, period = 0;
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", directory);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%lf %lf", &quota, &period) != 2)
        return 0;
    return period > 0 ? quota / period : 0;
}

static double quota_v1(const char *directory) {
    static const char *const mount[] = {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"};
    for (int i = 0; i < 2; i++) {
        char path[600], line[128];
        snprintf(path, sizeof path, "%s%s/cpu.cfs_quota_us", mount[i], directory);
        if (!read_line(path, line, sizeof line)) continue;
        const double quota = atof(line);
        snprintf(path, sizeof path, "%s%s/cpu.cfs_period_us", mount[i], directory);
        if (quota > 0 && read_line(path, line, sizeof line) && atof(line) > 0)
            return quota / atof(line);
    }
    return 0;
}

static double smaller_quota(double a, double b) { return a > 0 && (b <= 0 || a < b) ? a : b; }

/* The quota of a group and of all groups above it. */
static double quota_upwards(const char *group) {
    char directory[500];
    double quota = smaller_quota(quota_v2(""), quota_v1(""));
    snprintf(directory, sizeof directory, "%s", group);
    for (char *end = strchr(directory, '\n'); end;) *end = 0, end = NULL;
    while (directory[0] && directory[1]) {
        quota = smaller_quota(smaller_quota(quota_v2(directory), quota_v1(directory)), quota);
        char *slash = strrchr(directory, '/');
        if (!slash) break;
        *slash = 0;
    }
    return quota;
}

/* Lines of /proc/self/cgroup: "0::/group" (v2) or "4:cpu,cpuacct:/group" (v1). */
static double cgroup_quota(void) {
    double quota = smaller_quota(quota_v2(""), quota_v1(""));
    FILE *f = fopen("/proc/self/cgroup", "r");
    if (!f) return quota;
    char line[500];
    while (fgets(line, sizeof line, f)) {
        const char *first = strchr(line, ':'), *second = first ? strchr(first + 1, ':') : NULL;
        if (second && (second == first + 1 || strstr(first, "cpu")))
            quota = smaller_quota(quota_upwards(second + 1), quota);
    }
    fclose(f);
    return quota;
}

int cameo_processors(void) {
    int n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set)) n = CPU_COUNT(&set);
    const double quota = cgroup_quota();
    const int whole = (int)quota, rounded = whole + (quota > whole);
    if (quota > 0 && rounded < n) n = rounded;
    return n > 0 ? n : 1;
}
