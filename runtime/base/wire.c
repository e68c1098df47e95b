/* Reading and writing protobuf's wire format, after its specification ("Protocol Buffers:
   Encoding"). */
#include "wire.h"
#include "onnx_fields.h"
#include <string.h>

enum { MOST_NUMBER = 536870911 };

bool cameo_wire_varint(cameo_wire *w, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 64 && w->p < w->end; shift += 7) {
        unsigned char byte = *w->p++;
        if (shift == 63 && byte > 1) return false; /* more than 64 bits */
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return true;
    }
    return false;
}

static bool read_fixed(cameo_wire *w, size_t bytes, uint64_t *value) {
    *value = 0;
    if (cameo_wire_size(*w) < bytes) return false;
    memcpy(value, w->p, bytes); /* little endian, as the machines we run on */
    w->p += bytes;
    return true;
}

bool cameo_wire_scalar(cameo_wire *w, unsigned type, uint64_t *value) {
    if (type == CAMEO_WIRE_VARINT) return cameo_wire_varint(w, value);
    return (type == CAMEO_WIRE_FIXED64 || type == CAMEO_WIRE_FIXED32) &&
           read_fixed(w, type == CAMEO_WIRE_FIXED64 ? 8 : 4, value);
}

static bool bad(cameo_field *f, const char *fault) { return f->fault = fault, false; }

bool cameo_wire_field(cameo_wire *w, cameo_field *f) {
    static const char past_end[] =
        "a field that reaches past the end of its message (a truncated file?)";
    uint64_t key, length;
    f->whole.p = w->p;
    if (!cameo_wire_varint(w, &key)) return bad(f, "a cut-off or overlong field tag");
    f->number = key >> 3;
    f->type = (unsigned)(key & 7);
    if (f->number == 0 || f->number > MOST_NUMBER) return bad(f, "an impossible field number");
    f->bytes = *w;
    switch (f->type) {
    case CAMEO_WIRE_BYTES:
        if (!cameo_wire_varint(w, &length)) return bad(f, "a cut-off or overlong length");
        if (length > cameo_wire_size(*w)) return bad(f, past_end);
        f->bytes.p = w->p;
        w->p += length;
        break;
    case CAMEO_WIRE_VARINT:
    case CAMEO_WIRE_FIXED64:
    case CAMEO_WIRE_FIXED32:
        if (!cameo_wire_scalar(w, f->type, &f->value))
            return bad(f, f->type == CAMEO_WIRE_VARINT ? "a cut-off or overlong number" : past_end);
        break;
    default: return bad(f, "an impossible wire type");
    }
    f->bytes.end = f->whole.end = w->p;
    return true;
}

bool cameo_wire_equals(cameo_wire w, const char *text) {
    const size_t n = strlen(text);
    return cameo_wire_size(w) == n && (n == 0 || memcmp(w.p, text, n) == 0);
}

cameo_wire cameo_wire_find(cameo_wire message, unsigned number) {
    cameo_field f;
    while (message.p < message.end && cameo_wire_field(&message, &f))
        if (f.number == number && f.type == CAMEO_WIRE_BYTES) return f.bytes;
    return (cameo_wire){0};
}

bool cameo_wire_entry(cameo_wire message, cameo_wire *key, cameo_wire *value) {
    cameo_field f;
    *key = *value = (cameo_wire){0};
    while (message.p < message.end) {
        if (!cameo_wire_field(&message, &f)) return false;
        if (f.type != CAMEO_WIRE_BYTES) continue;
        if (f.number == ENTRY_KEY) *key = f.bytes;
        if (f.number == ENTRY_VALUE) *value = f.bytes;
    }
    return true;
}

/* ---- tensors ---- */

static bool parse_number(cameo_wire w, uint64_t *value) {
    *value = 0;
    for (; w.p < w.end; w.p++) {
        if (*w.p < '0' || *w.p > '9' || *value > UINT64_MAX / 10 - 1) return false;
        *value = *value * 10 + (uint64_t)(*w.p - '0');
    }
    return true;
}

static bool read_external(cameo_wire_tensor *t, cameo_wire entry) {
    cameo_wire key, value;
    if (!cameo_wire_entry(entry, &key, &value)) return false;
    if (cameo_wire_equals(key, "location")) return t->location = value, true;
    if (cameo_wire_equals(key, "offset")) return parse_number(value, &t->offset);
    if (cameo_wire_equals(key, "length"))
        return t->has_length = true, parse_number(value, &t->length);
    return true;
}

static bool add_dim(cameo_wire_tensor *t, uint64_t value) {
    if (t->rank == 8 || value > (uint64_t)1 << 40) return false;
    t->dim[t->rank++] = (int64_t)value;
    return true;
}

static bool read_tensor_field(cameo_wire_tensor *t, cameo_field *f) {
    const bool bytes = f->type == CAMEO_WIRE_BYTES;
    switch (f->number) {
    case TENSOR_DIMS:
        if (!bytes) return add_dim(t, f->value);
        while (f->bytes.p < f->bytes.end)
            if (!cameo_wire_varint(&f->bytes, &f->value) || !add_dim(t, f->value)) return false;
        return true;
    case TENSOR_TYPE: return t->type = f->value, !bytes;
    case TENSOR_NAME: return t->name = f->bytes, bytes;
    case TENSOR_RAW: return t->raw = f->bytes, bytes;
    case TENSOR_EXTERNAL: return bytes && read_external(t, f->bytes);
    case TENSOR_LOCATION: return t->external = f->value == 1, !bytes;
    default: return true;
    }
}

bool cameo_wire_read_tensor(cameo_wire w, cameo_wire_tensor *t) {
    cameo_field f;
    *t = (cameo_wire_tensor){.whole = w};
    while (w.p < w.end)
        if (!cameo_wire_field(&w, &f) || !read_tensor_field(t, &f)) return false;
    return true;
}

/* ---- writing ---- */

void cameo_sink_skip(cameo_sink *s, size_t n) {
    if (__builtin_add_overflow(s->size, n, &s->size)) s->overflow = true;
}

void cameo_sink_put(cameo_sink *s, const void *bytes, size_t n) {
    if (s->data && n) memcpy(s->data + s->size, bytes, n);
    if (s->stream && n) fwrite(bytes, 1, n, s->stream);
    cameo_sink_skip(s, n);
}

void cameo_sink_wire(cameo_sink *s, cameo_wire w) { cameo_sink_put(s, w.p, cameo_wire_size(w)); }

void cameo_sink_varint(cameo_sink *s, uint64_t value) {
    unsigned char bytes[10];
    size_t n = 0;
    for (; value > 127; value >>= 7) bytes[n++] = (unsigned char)(value | 128);
    bytes[n++] = (unsigned char)value;
    cameo_sink_put(s, bytes, n);
}

void cameo_sink_integer(cameo_sink *s, unsigned field, uint64_t value) {
    cameo_sink_varint(s, field << 3 | CAMEO_WIRE_VARINT);
    cameo_sink_varint(s, value);
}

void cameo_sink_float(cameo_sink *s, unsigned field, float value) {
    cameo_sink_varint(s, field << 3 | CAMEO_WIRE_FIXED32);
    cameo_sink_put(s, &value, sizeof value);
}

void cameo_sink_head(cameo_sink *s, unsigned field, uint64_t bytes) {
    cameo_sink_varint(s, field << 3 | CAMEO_WIRE_BYTES);
    cameo_sink_varint(s, bytes);
}

void cameo_sink_text(cameo_sink *s, unsigned field, const char *text) {
    cameo_sink_head(s, field, strlen(text));
    cameo_sink_put(s, text, strlen(text));
}

void cameo_sink_message(cameo_sink *s, unsigned field, cameo_message *write, const void *item) {
    cameo_sink count = {0};
    write(&count, item);
    s->overflow |= count.overflow;
    cameo_sink_head(s, field, count.size);
    if (s->data || s->stream)
        write(s, item);
    else
        cameo_sink_skip(s, count.size);
}

void cameo_write_entry(cameo_sink *s, const void *item) {
    const cameo_entry *e = item;
    cameo_sink_text(s, ENTRY_KEY, e->key);
    cameo_sink_text(s, ENTRY_VALUE, e->value);
}
