/* Runs a compiled program on the stored inputs of one model and compares every output with the
   stored reference.
       model_reference PROGRAM DIRECTORY TOLERANCE
   DIRECTORY holds meta.json, in0.f32 and outK.f32 (raw little-endian float32, several runs one
   after the other). Passes when every |difference| <= TOLERANCE * (largest - smallest reference
   value of that output). Prints one line per output. */
#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what, const char *name) {
    fprintf(stderr, "model_reference: %s %s\n", what, name);
    exit(1);
}

static void *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f) fail("cannot open", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*size + 1);
    if (!p || fread(p, 1, *size, f) != *size) fail("cannot read", path);
    p[*size] = 0;
    fclose(f);
    return p;
}

/* The integers of the JSON array after `key` (from `s` on). */
static size_t int_array(const char *s, const char *key, long *out, size_t max, const char **end) {
    const char *p = strstr(s, key);
    if (!p) return 0;
    p = strchr(p, '[');
    size_t n = 0;
    for (p++; *p && *p != ']'; p++)
        if (isdigit((unsigned char)*p) && n < max) {
            char *after;
            out[n++] = strtol(p, &after, 10);
            p = after - 1;
        }
    if (end) *end = p;
    return n;
}

static size_t product(const long *d, size_t n) {
    size_t p = 1;
    for (size_t i = 0; i < n; i++) p *= (size_t)d[i];
    return p;
}

static void write_npy(const char *path, const long *dim, size_t rank, const float *data) {
    char header[256];
    int n = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (size_t i = 0; i < rank; i++)
        n += snprintf(header + n, sizeof header - (size_t)n, "%ld,", dim[i]);
    n += snprintf(header + n, sizeof header - (size_t)n, "), }");
    while ((n + 11) % 64) header[n++] = ' ';
    header[n++] = '\n';
    FILE *f = fopen(path, "wb");
    if (!f) fail("cannot write", path);
    uint16_t length = (uint16_t)n;
    fwrite("\x93NUMPY\x01\x00", 1, 8, f);
    fwrite(&length, 2, 1, f);
    fwrite(header, 1, (size_t)n, f);
    fwrite(data, 4, product(dim, rank), f);
    fclose(f);
}

static const float *npy_data(const char *path, size_t expected) {
    size_t size;
    unsigned char *p = read_file(path, &size);
    if (size < 10 || memcmp(p, "\x93NUMPY", 6) != 0) fail("not an npy file:", path);
    size_t start = 10u + p[8] + 256u * p[9];
    if (!strstr((char *)p + 10, "<f4") || size != start + 4 * expected)
        fail("wrong type or size:", path);
    return (const float *)(const void *)(p + start);
}

static void run_program(const char *program, const char *input, const char *directory) {
    pid_t pid = fork();
    if (pid == 0) {
        execl(program, program, "run", "--input", input, "--output", directory, (char *)NULL);
        _exit(127);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail("failed:", program);
}

/* Largest difference over the reference's range; +inf for a NaN. */
static double compare(const float *got, const float *want, size_t n) {
    double low = INFINITY, high = -INFINITY, worst = 0;
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, (double)want[i]);
        high = fmax(high, (double)want[i]);
        double d = fabs((double)got[i] - (double)want[i]);
        if (!(d <= worst)) worst = isnan(d) ? INFINITY : d;
    }
    return high > low ? worst / (high - low) : worst;
}

int main(int argc, char **argv) {
    if (argc != 4)
        return fprintf(stderr, "usage: model_reference PROGRAM DIRECTORY TOLERANCE\n"), 2;
    char path[4096], scratch[] = "/tmp/model_reference.XXXXXX", input[4096];
    double tolerance = atof(argv[3]);
    size_t size, in_size;
    snprintf(path, sizeof path, "%s/meta.json", argv[2]);
    const char *meta = read_file(path, &size);
    long dim[8], out_dim[8];
    size_t rank = int_array(meta, "\"shape_per_run\"", dim, 8, NULL), one = product(dim, rank);
    snprintf(path, sizeof path, "%s/in0.f32", argv[2]);
    const float *in = read_file(path, &in_size);
    size_t runs = in_size / 4 / one;
    if (runs == 0 || !mkdtemp(scratch)) fail("no runs in", argv[2]);
    int failures = 0;
    for (size_t r = 0; r < runs; r++) {
        snprintf(input, sizeof input, "%s/in.npy", scratch);
        write_npy(input, dim, rank, in + r * one);
        run_program(argv[1], input, scratch);
        const char *at = strstr(meta, "\"outputs\"");
        for (int k = 0;; k++) {
            size_t out_rank = int_array(at, "\"dims\"", out_dim, 8, &at);
            if (!out_rank) break;
            size_t count = product(out_dim, out_rank), ref_size;
            snprintf(path, sizeof path, "%s/out%d.f32", argv[2], k);
            float *want = read_file(path, &ref_size);
            if (ref_size < 4 * (r + 1) * count) fail("too short:", path);
            snprintf(path, sizeof path, "%s/output_%d.npy", scratch, k);
            double d = compare(npy_data(path, count), want + r * count, count);
            printf("  run %zu output %d  %zu values  max difference / range %.3g%s\n", r, k, count,
                   d, d <= tolerance ? "" : "  FAIL");
            failures += !(d <= tolerance);
            free(want);
        }
    }
    snprintf(path, sizeof path, "rm -rf '%s'", scratch);
    return system(path) != 0 || failures ? 1 : 0;
}
