/* What the benchmarks want to know of a machine and of processes, as JSON on stdout.

   usage: machine peak           {"gflops","gbytes"}: multiply-adds of one core, registers only;
   memory read by one core machine once CMD...    {"ms","rss_mb"}: a whole process from start to
   end, its output thrown away; exit code as CMD's

   gcc -O3 -march=native -ffp-contract=fast tests/bench/machine.c -o machine */
#define _GNU_SOURCE 1
#include "../../runtime/kernels/vector.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHAINS = 12, STEPS = 200000, TRIES = 40, READ_MB = 256 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Independent chains of a = a * m + b, enough to hide the latency of two multiply-adds a cycle.
   Numbers that the compiler does not know: 1 is a fixed point of 0.999 a + 0.001, and a chain that
   begins with it would not be computed. */
static double chains(void) {
    static volatile const float one = 1;
    cameo_v a[CHAINS], m = cameo_splat(0.999f * one), b = cameo_splat(0.001f * one);
    CAMEO_UNROLL
    for (int i = 0; i < CHAINS; i++) a[i] = cameo_splat((float)i * one);
    const double start = now();
    for (int step = 0; step < STEPS; step++) {
        CAMEO_UNROLL
        for (int i = 0; i < CHAINS; i++) a[i] = a[i] * m + b;
    }
    const double seconds = now() - start;
    volatile float sink = 0;
    CAMEO_UNROLL
    for (int i = 1; i < CHAINS; i++) a[0] += a[i];
    for (int i = 0; i < CAMEO_VF; i++) sink = sink + a[0][i];
    return 2.0 * CAMEO_VF * CHAINS * STEPS / seconds;
}

static double reading(const float *p, size_t floats) {
    enum { SUMS = 8 };
    cameo_v sum[SUMS] = {{0}};
    const double start = now();
    for (size_t i = 0; i + SUMS * CAMEO_VF <= floats; i += SUMS * CAMEO_VF) {
        CAMEO_UNROLL
        for (int j = 0; j < SUMS; j++) sum[j] += cameo_load(p + i + (size_t)j * CAMEO_VF);
    }
    const double seconds = now() - start;
    volatile float sink = 0;
    for (int j = 0; j < SUMS; j++) sink = sink + sum[j][0];
    return (double)floats * sizeof *p / seconds;
}

static int peak(void) {
    const size_t floats = (size_t)READ_MB * 1024 * 1024 / sizeof(float);
    float *memory = malloc(floats * sizeof *memory);
    if (!memory) return fprintf(stderr, "machine: no memory for %d MB\n", READ_MB), 4;
    for (size_t i = 0; i < floats; i++) memory[i] = (float)i;
    double flops = 0, bytes = 0;
    for (int i = 0; i < TRIES; i++) {
        const double f = chains(), b = i % 8 ? 0 : reading(memory, floats);
        if (f > flops) flops = f;
        if (b > bytes) bytes = b;
    }
    printf("{\"gflops\":%.1f,\"gbytes\":%.1f}\n", flops / 1e9, bytes / 1e9);
    free(memory);
    return 0;
}

static int once(char **command) {
    const double start = now();
    const pid_t child = fork();
    if (child < 0) return perror("machine: fork"), 4;
    if (child == 0) {
        const int null = open("/dev/null", O_WRONLY);
        if (null >= 0) dup2(null, STDOUT_FILENO);
        execvp(command[0], command);
        perror(command[0]);
        _exit(127);
    }
    int status = 0;
    struct rusage usage = {0};
    if (wait4(child, &status, 0, &usage) < 0) return perror("machine: wait"), 4;
    printf("{\"ms\":%.3f,\"rss_mb\":%.2f}\n", 1e3 * (now() - start),
           (double)usage.ru_maxrss / 1024);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "peak")) return peak();
    if (argc > 2 && !strcmp(argv[1], "once")) return once(argv + 2);
    fprintf(stderr, "usage: machine peak | machine once CMD...\n");
    return 2;
}
