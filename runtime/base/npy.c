/* NumPy's .npy format, after numpy.lib.format's documentation. The header is a Python dictionary;
   only the three keys that the format defines are understood, and sizes are checked against the
   file before anything is allocated. */
#include "npy.h"
#include "../core/tensor.h"
#include "files.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool cameo_array_allocate(cameo_array *a, const char *name, cameo_error *error) {
    size_t bytes = cameo_dtype_size(a->dtype);
    a->data = NULL;
    a->count = 1;
    bool zero = false;
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] == 0) zero = true;
        if (a->dim[i] < 0 ||
            (a->dim[i] && (__builtin_mul_overflow(a->count, (size_t)a->dim[i], &a->count) ||
                           a->count > ((size_t)1 << 40))))
            return cameo_reject(error, "%s: the shape is too large", name);
    }
    if (zero) a->count = 0;
    a->data = calloc(a->count ? a->count : 1, bytes ? bytes : 1);
    return a->data || cameo_fail(error, CAMEO_ENVIRONMENT, "%s: out of memory for %zu elements",
                                 name, a->count);
}

void cameo_array_free(cameo_array *a) {
    free(a->data);
    a->data = NULL;
}

const char *cameo_shape_text(const int64_t *dim, int rank, char buffer[200]) {
    size_t at = (size_t)snprintf(buffer, 200, "[");
    for (int i = 0; i < rank && i < 8; i++)
        at += (size_t)snprintf(buffer + at, 200 - at, "%s%lld", i ? "," : "", (long long)dim[i]);
    snprintf(buffer + at, 200 - at, "]");
    return buffer;
}

static const char *skip_space(const char *p) {
    while (*p == ' ' || *p == '\n') p++;
    return p;
}

static bool read_descr(const char **p, cameo_array *a, bool *swap) {
    char quote = **p;
    if (quote != '\'' && quote != '"') return false;
    const char *s = *p + 1, *end = strchr(s, quote);
    if (!end) return false;
    *p = end + 1;
    *swap = *s == '>';
    if (*s && strchr("<>|=", *s)) s++;
    size_t length = (size_t)(end - s);
    if (length == 1 && *s == '?') return a->dtype = 9, true;
    for (a->dtype = 16; a->dtype > 0; a->dtype--) {
        const char *code = cameo_dtype_npy(a->dtype);
        if (code && length == 2 && memcmp(code, s, 2) == 0) break;
    }
    return true;
}

static bool read_shape(const char **p, cameo_array *a) {
    if (**p != '(') return false;
    const char *s = skip_space(*p + 1);
    for (a->rank = 0; *s != ')';) {
        char *end;
        if (!isdigit((unsigned char)*s) || a->rank == 8) return false;
        unsigned long long value = strtoull(s, &end, 10);
        if (value > (1ull << 40)) return false;
        a->dim[a->rank++] = (int64_t)value;
        s = skip_space(*end == 'L' ? end + 1 : end);
        if (*s == ',')
            s = skip_space(s + 1);
        else if (*s != ')')
            return false;
    }
    *p = s + 1;
    return true;
}

static bool read_flag(const char **p, bool *flag) {
    *flag = strncmp(*p, "True", 4) == 0;
    if (!*flag && strncmp(*p, "False", 5) != 0) return false;
    *p += *flag ? 4 : 5;
    return true;
}

/* {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } in any order. */
static bool read_header(const char *p, cameo_array *a, bool *fortran, bool *swap) {
    unsigned seen = 0;
    p = skip_space(p);
    if (*p++ != '{') return false;
    for (p = skip_space(p); *p != '}';) {
        char quote = *p++;
        if (quote != '\'' && quote != '"') return false;
        const char *key = p, *end = strchr(p, quote);
        if (!end) return false;
        size_t length = (size_t)(end - key);
        p = skip_space(end + 1);
        if (*p++ != ':') return false;
        p = skip_space(p);
        if (length == 5 && memcmp(key, "descr", 5) == 0 && read_descr(&p, a, swap))
            seen |= 1;
        else if (length == 13 && memcmp(key, "fortran_order", 13) == 0 && read_flag(&p, fortran))
            seen |= 2;
        else if (length == 5 && memcmp(key, "shape", 5) == 0 && read_shape(&p, a))
            seen |= 4;
        else
            return false;
        p = skip_space(p);
        if (*p == ',') p = skip_space(p + 1);
    }
    return seen == 7;
}

/* Where the header text begins and how long it is; false when the prefix is bad. */
static bool locate_header(const unsigned char *data, size_t size, size_t *at, size_t *length) {
    if (size < 10 || memcmp(data, "\x93NUMPY", 6) != 0 || data[6] < 1 || data[6] > 3) return false;
    *at = data[6] == 1 ? 10 : 12;
    if (size < *at) return false;
    *length = (size_t)data[8] | (size_t)data[9] << 8;
    if (data[6] > 1) *length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    return *length <= size - *at && *length <= 65536;
}

static void swap_bytes(cameo_array *a) {
    size_t width = cameo_dtype_size(a->dtype);
    unsigned char *p = a->data;
    for (size_t i = 0; i < a->count; i++, p += width)
        for (size_t j = 0; j < width / 2; j++) {
            unsigned char t = p[j];
            p[j] = p[width - 1 - j];
            p[width - 1 - j] = t;
        }
}

static bool take_data(const unsigned char *data, size_t size, const char *name, cameo_array *a,
                      cameo_error *error) {
    size_t width = cameo_dtype_size(a->dtype), bytes = width;
    char shape[200];
    for (int i = 0; i < a->rank; i++)
        if (__builtin_mul_overflow(bytes, (size_t)a->dim[i], &bytes)) bytes = SIZE_MAX / 2;
    if (bytes != size)
        return cameo_reject(error, "%s: %zu bytes of data, but %s%s needs %zu", name, size,
                            cameo_dtype_name(a->dtype), cameo_shape_text(a->dim, a->rank, shape),
                            bytes);
    if (!cameo_array_allocate(a, name, error)) return false;
    memcpy(a->data, data, bytes);
    return true;
}

bool cameo_npy_decode(const unsigned char *data, size_t size, const char *name, cameo_array *a,
                      cameo_error *error) {
    *a = (cameo_array){0};
    size_t at, length;
    bool fortran = false, swap = false;
    if (!locate_header(data, size, &at, &length))
        return cameo_reject(error, "%s: not a .npy file, or cut short", name);
    char *header = cameo_allocate(length + 1, 1);
    memcpy(header, data + at, length);
    bool good = read_header(header, a, &fortran, &swap);
    free(header);
    if (!good) return cameo_reject(error, "%s: cannot understand the .npy header", name);
    if (!a->dtype)
        return cameo_reject(
            error, "%s: this dtype is not supported (f2 f4 f8, i1..i8, u1..u8 and bool are)", name);
    if (fortran && a->rank > 1)
        return cameo_reject(error,
                            "%s: Fortran order is not supported\n    hint: save it with "
                            "numpy.save(file, numpy.ascontiguousarray(x))",
                            name);
    if (!take_data(data + at + length, size - at - length, name, a, error)) return false;
    if (swap) swap_bytes(a);
    return true;
}

bool cameo_array_read(const char *path, cameo_array *a, cameo_error *error) {
    *a = (cameo_array){0};
    size_t size;
    unsigned char *data = cameo_read_file(path, (size_t)4 << 30, &size, error);
    if (!data) return false;
    bool npy = size >= 6 && memcmp(data, "\x93NUMPY", 6) == 0;
    if (!npy && cameo_ends_with(path, ".npy")) npy = true; /* its decoder has the better message */
    bool good = (npy ? cameo_npy_decode : cameo_pb_decode)(data, size, path, a, error);
    free(data);
    if (!good) cameo_array_free(a);
    return good;
}

bool cameo_npy_write(const char *path, const cameo_array *a, cameo_error *error) {
    const char *descr = cameo_dtype_npy(a->dtype);
    const size_t width = cameo_dtype_size(a->dtype);
    cameo_output o;
    if (!descr) return cameo_reject(error, "%s: type %d cannot be stored as .npy", path, a->dtype);
    if (!cameo_output_open(&o, error)) return false;
    char header[512];
    int used = snprintf(header, sizeof header,
                        "{'descr': '%s%s', 'fortran_order': False, 'shape': (",
                        width == 1 ? "|" : "<", descr);
    for (int i = 0; i < a->rank; i++)
        used += snprintf(header + used, sizeof header - (size_t)used, "%lld%s",
                         (long long)a->dim[i], a->rank == 1 || i + 1 < a->rank ? ", " : "");
    used += snprintf(header + used, sizeof header - (size_t)used, "), }");
    size_t total = ((size_t)used + 1 + 10 + 63) / 64 * 64 - 10; /* data begins on a multiple of 64
                                                                 */
    fwrite("\x93NUMPY\x01\x00", 1, 8, o.stream);
    fputc((int)(total & 255), o.stream);
    fputc((int)(total >> 8), o.stream);
    fprintf(o.stream, "%-*s\n", (int)total - 1, header);
    fwrite(a->data, width, a->count, o.stream);
    return cameo_output_save(&o, NULL, path, error);
}
