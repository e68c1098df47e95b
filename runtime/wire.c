/* Reading and writing protobuf's wire format, after its specification ("Protocol Buffers: Encoding"). */
#include "wire.h"
#include <string.h>

bool cameo_wire_varint(cameo_wire *w, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 64 && w->p < w->end; shift += 7) {
        unsigned char byte = *w->p++;
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

bool cameo_wire_field(cameo_wire *w, cameo_field *f) {
    uint64_t key, length;
    f->whole.p = w->p;
    if (!cameo_wire_varint(w, &key)) return false;
    f->number = key >> 3;
    f->type = (unsigned)(key & 7);
    if (f->number == 0) return false;
    if (f->type != CAMEO_WIRE_BYTES) {
        if (!cameo_wire_scalar(w, f->type, &f->value)) return false;
    } else {
        if (!cameo_wire_varint(w, &length) || length > cameo_wire_size(*w)) return false;
        f->bytes = (cameo_wire){w->p, w->p + length};
        w->p += length;
    }
    f->whole.end = w->p;
    return true;
}

bool cameo_wire_equals(cameo_wire w, const char *text) {
    return cameo_wire_size(w) == strlen(text) && memcmp(w.p, text, strlen(text)) == 0;
}

size_t cameo_varint_bytes(uint64_t value) {
    size_t n = 1;
    for (; value > 127; value >>= 7) n++;
    return n;
}

void cameo_put_varint(FILE *f, uint64_t value) {
    for (; value > 127; value >>= 7) putc((int)(value & 127) | 128, f);
    putc((int)value, f);
}

void cameo_put_integer(FILE *f, unsigned field, uint64_t value) {
    cameo_put_varint(f, field << 3 | CAMEO_WIRE_VARINT);
    cameo_put_varint(f, value);
}

void cameo_put_head(FILE *f, unsigned field, uint64_t bytes) {
    cameo_put_varint(f, field << 3 | CAMEO_WIRE_BYTES);
    cameo_put_varint(f, bytes);
}

void cameo_put_text(FILE *f, unsigned field, const char *text) {
    cameo_put_head(f, field, strlen(text));
    fputs(text, f);
}

size_t cameo_head_bytes(unsigned field, uint64_t bytes) { return cameo_varint_bytes(field << 3) + cameo_varint_bytes(bytes); }
