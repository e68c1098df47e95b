/* Reading and writing protobuf's wire format, after its specification ("Protocol Buffers:
   Encoding"). */
#include "wire.h"
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
    return cameo_wire_size(w) == strlen(text) && memcmp(w.p, text, strlen(text)) == 0;
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

void cameo_put_varint(FILE *f, uint64_t value) {
    cameo_sink_varint(&(cameo_sink){.stream = f}, value);
}
void cameo_put_integer(FILE *f, unsigned field, uint64_t value) {
    cameo_sink_integer(&(cameo_sink){.stream = f}, field, value);
}
void cameo_put_head(FILE *f, unsigned field, uint64_t bytes) {
    cameo_sink_head(&(cameo_sink){.stream = f}, field, bytes);
}
void cameo_put_text(FILE *f, unsigned field, const char *text) {
    cameo_sink_text(&(cameo_sink){.stream = f}, field, text);
}

size_t cameo_head_bytes(unsigned field, uint64_t bytes) {
    cameo_sink count = {0};
    cameo_sink_head(&count, field, bytes);
    return count.size;
}
