/* Helper of check.sh: makes a golden input, and compares an output with a golden file.

   golden input GOLDEN.json FILE.npy     x[i] = sin(0.37 i), of the shape the golden file states
   golden check GOLDEN.json OUTPUT.npy   0 when the output agrees to 1e-4 of its range, else 1 and what differs
   golden value GOLDEN.json KEY          the text of a value: a string without its quotes, an array's items each on a line */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void fail(const char *what, const char *which) {
    fprintf(stderr, "golden: %s %s\n", what, which);
    exit(1);
}

static char *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f) fail("cannot open", path);
    size_t capacity = 1 << 20, n;
    char *data = malloc(capacity);
    for (*size = 0; data && (n = fread(data + *size, 1, capacity - 1 - *size, f)) > 0;) {
        *size += n;
        if (*size == capacity - 1) data = realloc(data, capacity *= 2);
    }
    fclose(f);
    if (!data) fail("no memory for", path);
    data[*size] = 0;
    return data;
}

/* What follows "KEY": in a golden file, whose keys are all distinct but for "shape", where the input's comes first. */
static const char *find(const char *json, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    if (!at) fail("the golden file has no", key);
    return at + strlen(quoted) + strspn(at + strlen(quoted), " \n");
}

/* Up to `limit` numbers of the array (or the one number) at KEY. */
static size_t numbers(const char *json, const char *key, double *out, size_t limit) {
    const char *p = find(json, key);
    size_t n = 0;
    for (p += *p == '['; n < limit; p++) {
        char *rest;
        out[n] = strtod(p, &rest);
        if (rest == p) break;
        n++;
        p = rest + strspn(rest, " \n");
        if (*p != ',') break;
    }
    return n;
}

static double number(const char *json, const char *key) {
    double v = 0;
    if (numbers(json, key, &v, 1) != 1) fail("no number at", key);
    return v;
}

static int write_input(const char *json, const char *path) {
    double dims[4];
    if (numbers(json, "shape", dims, 4) != 4) fail("no input shape for", path);
    char header[128];
    snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%.0f, %.0f, %.0f, %.0f), }", dims[0],
             dims[1], dims[2], dims[3]);
    FILE *f = fopen(path, "wb");
    if (!f) fail("cannot write", path);
    fprintf(f, "\x93NUMPY%c%c%c%c%-117s\n", 1, 0, 118, 0, header);
    size_t count = (size_t)(dims[0] * dims[1] * dims[2] * dims[3]);
    for (size_t i = 0; i < count; i++) {
        float x = (float)sin((double)i * 0.37);
        fwrite(&x, sizeof x, 1, f);
    }
    return fclose(f) != 0;
}

static float *read_npy(const char *path, size_t *count) {
    size_t size;
    unsigned char *data = (unsigned char *)read_file(path, &size);
    size_t start = size > 10 ? 10 + (size_t)(data[8] | data[9] << 8) : 0;
    if (size <= 10 || memcmp(data, "\x93NUMPY\x01", 7) != 0 || start > size || !strstr((char *)data + 10, "<f4"))
        fail("not a float32 .npy file:", path);
    *count = (size - start) / sizeof(float);
    float *values = malloc(*count * sizeof *values + 1);
    if (!values) fail("no memory for", path);
    memcpy(values, data + start, *count * sizeof *values);
    free(data);
    return values;
}

static int close_enough(const char *what, double got, double wanted, double tolerance) {
    if (fabs(got - wanted) <= tolerance) return 0;
    fprintf(stderr, "golden: %s is %.9g, not %.9g (tolerance %.3g)\n", what, got, wanted, tolerance);
    return 1;
}

static int check_output(const char *json, const char *path) {
    size_t count;
    float *y = read_npy(path, &count);
    double first[8], low = number(json, "min"), high = number(json, "max"), tolerance = 1e-4 * (high - low);
    double projection = 0, least = INFINITY, most = -INFINITY, shape[2];
    const char *output = find(json, "output");
    if (numbers(output, "shape", shape, 2) != 2 || (double)count != shape[0] * shape[1])
        fail("another number of values in", path);
    for (size_t i = 0; i < count; i++) {
        projection += (double)y[i] * cos(0.37 * (double)i);
        least = fmin(least, (double)y[i]);
        most = fmax(most, (double)y[i]);
    }
    int bad = close_enough("the minimum", least, low, tolerance) + close_enough("the maximum", most, high, tolerance);
    size_t n = numbers(json, "first", first, 8);
    for (size_t i = 0; i < n; i++) bad += close_enough("one of the first outputs", (double)y[i], first[i], tolerance);
    /* Errors of independent sign add up as their root sum of squares; |cos| is 0.71 on average. */
    bad += close_enough("the projection", projection, number(json, "projection"), tolerance * sqrt((double)count));
    free(y);
    return bad > 0;
}

static int print_value(const char *json, const char *key) {
    const char *p = find(json, key);
    int array = *p == '[';
    for (p += array; *p && *p != ']'; p++) {
        p += strspn(p, " \n,");
        if (*p != '"') break;
        size_t n = strcspn(++p, "\"");
        printf("%.*s\n", (int)n, p);
        p += n;
        if (!array) break;
        p += strspn(p + 1, " \n");
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: golden input|check|value GOLDEN.json FILE-OR-KEY\n");
        return 2;
    }
    size_t size;
    char *json = read_file(argv[2], &size);
    int code = 2;
    if (strcmp(argv[1], "input") == 0)
        code = write_input(json, argv[3]);
    else if (strcmp(argv[1], "check") == 0)
        code = check_output(json, argv[3]);
    else if (strcmp(argv[1], "value") == 0)
        code = print_value(json, argv[3]);
    free(json);
    return code;
}
