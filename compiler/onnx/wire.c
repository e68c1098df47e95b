/* Reading, recognising, scanning and unpacking the bytes of an ONNX file. The scan walks the wire
   format along the descriptors that protoc-c generated from schemas/onnx.proto, so it knows
   exactly what protobuf-c would do with each field. */
#include "wire.h"
#include "../../runtime/base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 100 }; /* Google's protobuf has the same limit */

/* ---- foreign files ---- */

static bool starts(const unsigned char *data, size_t size, const char *with, size_t n) {
    return size >= n && memcmp(data, with, n) == 0;
}

static bool looks_like_text(const unsigned char *data, size_t size) {
    size_t n = size < 512 ? size : 512;
    for (size_t i = 0; i < n; i++)
        if ((data[i] < 32 && !strchr("\t\n\r\f", data[i])) || data[i] == 127 || data[i] == 0)
            return false;
    return n > 0;
}

static bool looks_like_html(const unsigned char *data, size_t size) {
    while (size && strchr(" \t\r\n", *data) && *data) data++, size--;
    return (size >= 5 && strncasecmp((const char *)data, "<html", 5) == 0) ||
           (size >= 9 && strncasecmp((const char *)data, "<!doctype", 9) == 0) ||
           starts(data, size, "<?xml", 5);
}

static const char *by_magic(const unsigned char *data, size_t size) {
    static const struct {
        size_t at;
        const char *magic;
        size_t n;
        const char *what;
    } known[] = {
        {0, "version https://git-lfs", 23,
         "a Git LFS pointer, not the file itself (run `git lfs pull`)"},
        {0, "\x1f\x8b", 2, "gzip-compressed (unpack it first)"},
        {0, "PK\x03\x04", 4,
         "a zip archive (a PyTorch checkpoint or a packed model; export to ONNX or unpack it)"},
        {0, "PK\x05\x06", 4, "an empty zip archive"},
        {0, "\xfd\x37zXZ", 5, "xz-compressed (unpack it first)"},
        {0, "BZh", 3, "bzip2-compressed (unpack it first)"},
        {0, "\x28\xb5\x2f\xfd", 4, "zstd-compressed (unpack it first)"},
        {0, "7z\xbc\xaf", 4, "a 7z archive (unpack it first)"},
        {257, "ustar", 5, "a tar archive (unpack it first)"},
        {4, "ORTM", 4, "an ONNX Runtime flatbuffer (.ort); compile the .onnx it was made from"},
        {4, "TFL3", 4, "a TensorFlow Lite model; convert it to ONNX first"},
        {0, "\x89HDF", 4, "an HDF5 file (Keras); convert it to ONNX first"},
        {0, "\x93NUMPY", 6, "a NumPy array"},
        {0,
         "\x7f"
         "ELF",
         4, "an ELF program or library"},
        {0, "\x80\x02", 2, "a Python pickle (a PyTorch checkpoint); export it to ONNX first"},
        {0, "%PDF", 4, "a PDF document"},
        {0, "\x89PNG", 4, "a PNG picture"},
        {0, "\xff\xd8\xff", 3, "a JPEG picture"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (size >= known[i].at &&
            starts(data + known[i].at, size - known[i].at, known[i].magic, known[i].n))
            return known[i].what;
    return NULL;
}

/* What a file that is no protobuf message really is ("a Git LFS pointer, not the file itself"), by
   its first bytes; NULL = may be one. */
static const char *foreign_kind(const unsigned char *data, size_t size) {
    if (size == 0) return "empty";
    const char *what = by_magic(data, size);
    if (what) return what;
    if (looks_like_html(data, size))
        return "an HTML or XML page, probably the error page of a failed download";
    if (looks_like_text(data, size)) return "a text file";
    if (data[0] == 0)
        return "no protobuf message: it begins with a zero byte (a preallocated or failed "
               "download?)";
    return NULL;
}

/* ---- reading ---- */

static const char *unfit(arena *a, const struct stat *st) {
    if (S_ISDIR(st->st_mode)) return "is a directory, not a file";
    if (!S_ISREG(st->st_mode)) return "is not a regular file";
    if (st->st_size == 0) return "is empty";
    if (st->st_size >= (off_t)1 << 31)
        return arena_printf(a,
                            "has %lld bytes; an ONNX file is smaller than 2 GiB (larger models "
                            "keep their weights in external data)",
                            (long long)st->st_size);
    return NULL;
}

static bool read_open(arena *a, int fd, cameo_wire *out, const char **why) {
    struct stat st;
    if (fstat(fd, &st) != 0) return *why = strerror(errno), false;
    if ((*why = unfit(a, &st)) != NULL) return false;
    size_t size = (size_t)st.st_size, head = size < 4096 ? size : 4096;
    unsigned char first[4096];
    const char *foreign = NULL;
    if (cameo_read_at(fd, first, head, 0)) {
        if ((foreign = foreign_kind(first, head)) != NULL)
            return *why = arena_printf(a, "is not ONNX: it is %s", foreign), false;
        unsigned char *data = arena_alloc(a, size);
        *out = (cameo_wire){data, data + size};
        memcpy(data, first, head);
        if (cameo_read_at(fd, data + head, size - head, head)) return true;
    }
    *why = arena_printf(a, "can't be read: %s", errno ? strerror(errno) : "it shrank meanwhile");
    return false;
}

bool wire_read_file(arena *a, const char *path, cameo_wire *out, const char **why) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not block us
                                                                        */
    if (fd < 0) return *why = arena_printf(a, "can't be opened: %s", strerror(errno)), false;
    bool ok = read_open(a, fd, out, why);
    close(fd);
    return ok;
}

/* ---- scan ---- */

typedef struct scan {
    arena *arena;
    const unsigned char *start;
    size_t memory, budget; /* what unpacking will allocate, estimated */
    const char *why;
} scan;

static bool refuse(scan *s, const unsigned char *at, const char *what) {
    s->why = arena_printf(s->arena, "is not ONNX or is damaged: %s at byte %zu", what,
                          (size_t)(at - s->start));
    return false;
}

static bool charge(scan *s, size_t bytes) {
    s->memory += bytes;
    if (s->memory <= s->budget) return true;
    s->why = arena_printf(s->arena,
                          "would take more than %zu MB to decode, out of proportion to its size",
                          s->budget >> 20);
    return false;
}

static bool next_field(scan *s, cameo_wire *w, cameo_field *f) {
    return cameo_wire_field(w, f) || refuse(s, f->whole.p, f->fault);
}

static size_t element_size(ProtobufCType t) {
    switch (t) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_DOUBLE: return 8;
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
    default: return 4;
    }
}

/* The wire type of one element. */
static unsigned wire_of(ProtobufCType t) {
    switch (t) {
    case PROTOBUF_C_TYPE_FLOAT: return 5;
    case PROTOBUF_C_TYPE_DOUBLE: return 1;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return 2;
    default: return 0;
    }
}

/* A packed run of numbers: whole elements, every number ended. */
static bool scan_packed(scan *s, const cameo_field *f, ProtobufCType t) {
    cameo_wire w = f->bytes;
    size_t unit = wire_of(t) == 5 ? 4 : wire_of(t) == 1 ? 8 : 0, count = 0;
    uint64_t v;
    if (unit) {
        if (cameo_wire_size(w) % unit)
            return refuse(s, f->whole.p, "a list of numbers that ends within one");
        return charge(s, cameo_wire_size(w));
    }
    for (; w.p < w.end; count++)
        if (!cameo_wire_varint(&w, &v))
            return refuse(s, f->whole.p, "a list of numbers that ends within one");
    return charge(s, count * element_size(t));
}

static bool scan_message(scan *s, const ProtobufCMessageDescriptor *type, cameo_wire w, int depth);

static bool scan_known(scan *s, const cameo_field *f, const ProtobufCFieldDescriptor *d,
                       int depth) {
    const size_t size = cameo_wire_size(f->bytes);
    bool repeated = d->label == PROTOBUF_C_LABEL_REPEATED;
    if (repeated && f->type == CAMEO_WIRE_BYTES && wire_of(d->type) != CAMEO_WIRE_BYTES)
        return scan_packed(s, f, d->type);
    if (f->type != wire_of(d->type))
        return refuse(s, f->whole.p,
                      arena_printf(s->arena, "field \"%s\" has the wrong wire type", d->name));
    if (!charge(s, repeated ? 2 * element_size(d->type) : 0)) return false;
    if (d->type == PROTOBUF_C_TYPE_MESSAGE)
        return scan_message(s, d->descriptor, f->bytes, depth + 1);
    if (f->type != CAMEO_WIRE_BYTES) return true;
    /* protobuf-c gives strings without their length: a name with a NUL would pass for its own
       beginning */
    bool name = d->type == PROTOBUF_C_TYPE_STRING && strcmp(d->name, "doc_string") != 0;
    if (name && size && memchr(f->bytes.p, 0, size))
        return refuse(s, f->whole.p,
                      arena_printf(s->arena, "a NUL byte within the text of \"%s\"", d->name));
    return charge(s, size + 32);
}

/* Whether this singular message is here for the second time. Legal protobuf (they would be
   merged), but no writer does it, and two graphs run together would be taken for one. */
static bool seen_twice(uint64_t *seen, const ProtobufCFieldDescriptor *d) {
    if (d->type != PROTOBUF_C_TYPE_MESSAGE || d->label == PROTOBUF_C_LABEL_REPEATED || d->id >= 64)
        return false;
    bool twice = *seen >> d->id & 1;
    *seen |= (uint64_t)1 << d->id;
    return twice;
}

static bool scan_message(scan *s, const ProtobufCMessageDescriptor *type, cameo_wire w, int depth) {
    uint64_t seen = 0;
    if (depth > MAX_DEPTH) return refuse(s, w.p, "messages nested more than 100 deep");
    if (!charge(s, type->sizeof_message + 16)) return false;
    while (w.p < w.end) {
        cameo_field f;
        if (!next_field(s, &w, &f)) return false;
        const ProtobufCFieldDescriptor *d = protobuf_c_message_descriptor_get_field(
            type, (unsigned)f.number);
        if (!d) {
            if (!charge(s, sizeof(ProtobufCMessageUnknownField) + cameo_wire_size(f.bytes) + 32))
                return false;
            continue;
        }
        if (seen_twice(&seen, d))
            return refuse(s, f.whole.p,
                          arena_printf(s->arena, "field \"%s\" is there twice", d->name));
        if (!scan_known(s, &f, d, depth)) return false;
    }
    return true;
}

/* ---- unpacking ---- */

/* Weights are copied once; the rest, the structure, may grow: an empty node is 2 bytes in the file
   and 190 in memory. Real models stay below 3 bytes a byte, but small ones may be all structure. */
static size_t budget(size_t size) { return ((size_t)64 << 20) + 10 * size; }

typedef struct allowance {
    size_t left;
} allowance;

static void *allowed_alloc(void *data, size_t size) {
    allowance *w = data;
    if (size > w->left) return NULL;
    w->left -= size;
    return malloc(size ? size : 1);
}

static void allowed_free(void *data, void *p) {
    (void)data;
    free(p);
}

ProtobufCMessage *wire_unpack(arena *a, const ProtobufCMessageDescriptor *type,
                              const unsigned char *data, size_t size, const char **why) {
    const char *foreign = foreign_kind(data, size < 4096 ? size : 4096);
    if (foreign) return *why = arena_printf(a, "is not ONNX: it is %s", foreign), NULL;
    if (size >= (size_t)1 << 31) return *why = "is 2 GiB or larger", NULL;
    scan s = {.arena = a, .start = data, .budget = budget(size)};
    if (!scan_message(&s, type, (cameo_wire){data, data + size}, 1)) return *why = s.why, NULL;
    allowance w = {budget(size) + s.memory}; /* the second term: protobuf-c's own scratch,
                                                     freed at once but not given back */
    ProtobufCAllocator allocator = {allowed_alloc, allowed_free, &w};
    ProtobufCMessage *m = protobuf_c_message_unpack(type, &allocator, size, data);
    if (!m) *why = "can't be decoded: it is damaged or out of proportion to its size";
    return m;
}

void wire_free(ProtobufCMessage *m) {
    allowance w = {0};
    ProtobufCAllocator allocator = {allowed_alloc, allowed_free, &w};
    if (m) protobuf_c_message_free_unpacked(m, &allocator);
}
