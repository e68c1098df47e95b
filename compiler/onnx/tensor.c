/* TensorProto to tensor: raw bytes, the typed fields (with half floats as bit patterns in
   int32_data), and external data.

   The file is not trusted: the shape must account for the data exactly, and external data is
   opened beneath the model's own directory only, through no link. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"
#include "wire.h"

/* All external data of a model together. Far above any convolutional network, and it bounds what a
   small hostile file that names the same (sparse) data many times can make us allocate. */
#define MAX_EXTERNAL ((uint64_t)2 << 30)

/* ---- shapes ---- */

static bool read_dims(arena *a, const Onnx__TensorProto *t, size_t element, shape *s, size_t *count,
                      const char **why) {
    if (t->n_dims > MAX_RANK)
        return *why = arena_printf(a, "has %zu dimensions; at most %d are supported", t->n_dims,
                                   MAX_RANK),
               false;
    *s = (shape){.rank = (int)t->n_dims};
    *count = 1;
    for (size_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0)
            return *why = arena_printf(a, "has the negative dimension %lld", (long long)t->dims[i]),
                   false;
        s->dim[i] = t->dims[i];
    }
    if (!shape_fits(s, element)) return *why = "has dimensions whose product is too large", false;
    for (size_t i = 0; i < t->n_dims; i++) *count *= (size_t)t->dims[i];
    return true;
}

/* ---- typed fields ---- */

typedef struct field { /* where elements of a type are, when they are not raw bytes */
    const char *name;
    const void *data;
    size_t count, size; /* of one element; narrower types are its low bytes */
} field;

static field field_of(const Onnx__TensorProto *t, dtype type) {
    switch (type) {
    case DT_FLOAT: return (field){"float_data", t->float_data, t->n_float_data, 4};
    case DT_DOUBLE: return (field){"double_data", t->double_data, t->n_double_data, 8};
    case DT_INT64: return (field){"int64_data", t->int64_data, t->n_int64_data, 8};
    case DT_UINT32:
    case DT_UINT64: return (field){"uint64_data", t->uint64_data, t->n_uint64_data, 8};
    default: return (field){"int32_data", t->int32_data, t->n_int32_data, 4};
    }
}

static bool fill_typed(arena *a, const Onnx__TensorProto *t, tensor *out, size_t n,
                       const char **why) {
    const field f = field_of(t, out->type);
    const size_t size = dtype_size(out->type);
    if (f.count != n)
        return *why = arena_printf(a, "has %zu elements in %s but its shape says %zu", f.count,
                                   f.name, n),
               false;
    if (n && size == f.size) memcpy(out->data, f.data, n * size);
    for (size_t i = 0; i < n && size < f.size; i++) {
        char *to = (char *)out->data + i * size;
        memcpy(to, (const char *)f.data + i * f.size, size);
        if (out->type == DT_BOOL) *to = t->int32_data[i] != 0;
    }
    return true;
}

static void make_booleans(tensor *t, size_t n) {
    for (size_t i = 0; i < n && t->type == DT_BOOL; i++)
        ((uint8_t *)t->data)[i] = ((uint8_t *)t->data)[i] != 0;
}

static bool fill_raw(arena *a, const unsigned char *data, size_t size, tensor *out, size_t n,
                     const char **why) {
    size_t bytes = n * dtype_size(out->type);
    if (size != bytes)
        return *why = arena_printf(a, "has %zu bytes of data but its type and shape say %zu", size,
                                   bytes),
               false;
    if (bytes) memcpy(out->data, data, bytes);
    make_booleans(out, n);
    return true;
}

/* ---- external data ---- */

typedef struct location {
    const char *path;
    uint64_t offset, length;
    bool has_length;
} location;

static bool decimal(const char *s, uint64_t *out) {
    *out = 0;
    if (!*s) return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(*out, 10u, out) ||
            __builtin_add_overflow(*out, (uint64_t)(*s - '0'), out))
            return false;
    }
    return *out <= INT64_MAX;
}

static bool read_location(arena *a, const Onnx__TensorProto *t, location *l, const char **why) {
    *l = (location){0};
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *key = t->external_data[i]->key, *v = t->external_data[i]->value;
        if (!key || !v) continue;
        if (strcmp(key, "location") == 0) l->path = v;
        if (strcmp(key, "offset") == 0 && !decimal(v, &l->offset))
            return *why = arena_printf(a, "has an external data offset that is no number: \"%s\"",
                                       onnx_shown(a, v)),
                   false;
        if (strcmp(key, "length") == 0 && !(l->has_length = decimal(v, &l->length)))
            return *why = arena_printf(a, "has an external data length that is no number: \"%s\"",
                                       onnx_shown(a, v)),
                   false;
    }
    if (!l->path || !*l->path) return *why = "is said to be external but names no location", false;
    return true;
}

/* Relative, and no component is "..". */
static bool path_stays(const char *p) {
    if (*p == '/' || strchr(p, '\\')) return false;
    while (*p) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') return false;
        p += n + (p[n] == '/');
    }
    return true;
}

/* Where the kernel (or its filter) has no openat2: one component after the other, following no
   link. */
static int open_stepwise(int dir, const char *path) {
    char part[256];
    int at = dup(dir);
    while (at >= 0) {
        path += strspn(path, "/");
        size_t n = strcspn(path, "/");
        if (n == 0 || n >= sizeof part) return close(at), errno = ENOENT, -1;
        memcpy(part, path, n);
        part[n] = 0;
        path += n;
        int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
                    (*path ? O_DIRECTORY : 0);
        int next = openat(at, part, flags), error = errno;
        close(at);
        errno = error;
        at = next;
        if (!*path) return at;
    }
    return -1;
}

static int open_beneath(const char *directory, const char *path) {
    int dir = open(*directory ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return -1;
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
                                      RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) fd = open_stepwise(dir, path);
    int error = errno;
    close(dir);
    errno = error;
    return fd;
}

static bool check_range(arena *a, const location *l, uint64_t size, size_t want, const char **why) {
    const char *name = onnx_shown(a, l->path);
    if (l->offset > size || (l->has_length && l->length > size - l->offset))
        return *why = arena_printf(a,
                                   "reaches past the end of its external data \"%s\" (%llu bytes)",
                                   name, (unsigned long long)size),
               false;
    uint64_t length = l->has_length ? l->length : size - l->offset;
    if (length != want)
        return *why = arena_printf(a,
                                   "has %llu bytes of external data but its type and shape say %zu",
                                   (unsigned long long)length, want),
               false;
    return true;
}

static bool external_file(arena *a, int fd, const location *l, size_t want, const char **why) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return *why = arena_printf(a, "has external data \"%s\" that is not a regular file",
                                   onnx_shown(a, l->path)),
               false;
    if (st.st_nlink > 1) /* as ONNX itself does: a hard link could lead to any file of the same disk
                          */
        return *why = arena_printf(
                   a, "has external data \"%s\" with several hard links; copy it instead",
                   onnx_shown(a, l->path)),
               false;
    return check_range(a, l, (uint64_t)st.st_size, want, why);
}

/* Opens and checks the tensor's part of its file; the descriptor, or -1. Nothing has been
   allocated for it yet. */
static int open_external(arena *a, const location *l, const external_data *ext, size_t want,
                         const char **why) {
    if (!ext || !ext->directory)
        return *why = "is kept in external data, which has no place here", -1;
    if (!path_stays(l->path))
        return *why = arena_printf(a, "has external data at \"%s\", outside the model's directory",
                                   onnx_shown(a, l->path)),
               -1;
    if (want > MAX_EXTERNAL - ext->used)
        return *why = "brings the external data to more than 2 GiB", -1;
    int fd = open_beneath(ext->directory, l->path);
    if (fd < 0) {
        const char *reason = errno == ELOOP || errno == EXDEV
                                 ? "it is or lies behind a symbolic link"
                                 : strerror(errno);
        return *why = arena_printf(a, "has external data \"%s\" that can't be opened: %s",
                                   onnx_shown(a, l->path), reason),
               -1;
    }
    if (external_file(a, fd, l, want, why)) return fd;
    close(fd);
    return -1;
}

static tensor *external_tensor(arena *a, const Onnx__TensorProto *t, const shape *s, size_t n,
                               external_data *ext, const char **why) {
    location l;
    size_t bytes = n * dtype_size((dtype)t->data_type);
    if (!read_location(a, t, &l, why)) return NULL;
    int fd = open_external(a, &l, ext, bytes, why);
    if (fd < 0) return NULL;
    tensor *out = tensor_new(a, (dtype)t->data_type, s);
    bool ok = cameo_read_at(fd, out->data, bytes, l.offset);
    close(fd);
    if (!ok)
        return *why = arena_printf(a, "has external data \"%s\" that can't be read",
                                   onnx_shown(a, l.path)),
               NULL;
    make_booleans(out, n);
    ext->used += bytes;
    if (ext->hash) cameo_sha256_add(ext->hash, out->data, bytes);
    return out;
}

/* ---- all together ---- */

static size_t typed_fields(const Onnx__TensorProto *t) {
    return t->n_float_data + t->n_int32_data + t->n_int64_data + t->n_uint64_data +
           t->n_double_data + t->n_string_data;
}

static bool check_form(arena *a, const Onnx__TensorProto *t, const char **why) {
    const dtype type = (dtype)t->data_type;
    const bool raw = t->has_raw_data && t->raw_data.len;
    if (!t->has_data_type || type == DT_NONE) return *why = "has no element type", false;
    if ((int)type < 0 || type > DT_LAST)
        return *why = arena_printf(a, "has the unknown element type %d", t->data_type), false;
    if (dtype_size(type) == 0 || type == DT_COMPLEX64 || type == DT_COMPLEX128)
        return *why = arena_printf(a, "has the element type %s, which is not supported",
                                   dtype_name(type)),
               false;
    if (t->segment) return *why = "is a segment of a larger tensor, which is not supported", false;
    if (raw && typed_fields(t))
        return *why = "has its data twice (raw_data and a typed field)", false;
    if (t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL && (raw || typed_fields(t)))
        return *why = "has both external data and data of its own", false;
    return true;
}

tensor *onnx_decode_tensor(arena *a, const Onnx__TensorProto *t, external_data *ext,
                           const char **why) {
    shape s;
    size_t n;
    if (!check_form(a, t, why) || !read_dims(a, t, dtype_size((dtype)t->data_type), &s, &n, why))
        return NULL;
    if (t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return external_tensor(a, t, &s, n, ext, why);
    bool raw = t->has_raw_data && t->raw_data.len > 0;
    if (!raw && n && typed_fields(t) == 0)
        return *why = arena_printf(a, "has no data but its shape says %zu elements", n), NULL;
    size_t largest = raw ? t->raw_data.len : 8 * typed_fields(t); /* check before allocating by the
                                                                     shape's word */
    if (n * dtype_size((dtype)t->data_type) > largest)
        return *why = arena_printf(a, "has too little data (%s) for its shape's %zu elements",
                                   raw ? "raw_data" : "typed fields", n),
               NULL;
    tensor *out = tensor_new(a, (dtype)t->data_type, &s);
    if (!out) return *why = "is too large", NULL;
    if (raw) return fill_raw(a, t->raw_data.data, t->raw_data.len, out, n, why) ? out : NULL;
    return fill_typed(a, t, out, n, why) ? out : NULL;
}

tensor *onnx_read_tensor(arena *a, const char *path, const char **name, const char **why) {
    cameo_wire file;
    if (!wire_read_file(a, path, &file, why)) return NULL;
    ProtobufCMessage *m = wire_unpack(a, &onnx__tensor_proto__descriptor, file.p,
                                      cameo_wire_size(file), why);
    if (!m) return NULL;
    const Onnx__TensorProto *t = (const Onnx__TensorProto *)(const void *)m;
    tensor *out = onnx_decode_tensor(a, t, NULL, why);
    if (name) *name = arena_strdup(a, t->name ? t->name : "");
    wire_free(m);
    return out;
}
