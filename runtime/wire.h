/* The protobuf wire format, as much as ONNX files need: fields read one by one with every length checked, and written through
   stdio. Nothing is allocated; bytes point into the caller's buffer. */
#ifndef CAMEO_WIRE_H
#define CAMEO_WIRE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct cameo_wire {
    const unsigned char *p, *end;
} cameo_wire;

enum { CAMEO_WIRE_VARINT = 0, CAMEO_WIRE_FIXED64 = 1, CAMEO_WIRE_BYTES = 2, CAMEO_WIRE_FIXED32 = 5 };

/* One field: its number, wire type, and value (varint and fixed) or bytes (length-delimited). */
typedef struct cameo_field {
    uint64_t number, value;
    unsigned type;
    cameo_wire bytes, whole; /* whole: key and value, to be copied as they are */
} cameo_field;

/* False when the message ends too early or is none. They move w->p over what they read. */
bool cameo_wire_varint(cameo_wire *w, uint64_t *value);
bool cameo_wire_scalar(cameo_wire *w, unsigned type, uint64_t *value);
bool cameo_wire_field(cameo_wire *w, cameo_field *f);

static inline size_t cameo_wire_size(cameo_wire w) { return (size_t)(w.end - w.p); }
bool cameo_wire_equals(cameo_wire w, const char *text);

size_t cameo_varint_bytes(uint64_t value);
void cameo_put_varint(FILE *f, uint64_t value);
void cameo_put_integer(FILE *f, unsigned field, uint64_t value);
void cameo_put_head(FILE *f, unsigned field, uint64_t bytes); /* of a length-delimited field */
void cameo_put_text(FILE *f, unsigned field, const char *text);
size_t cameo_head_bytes(unsigned field, uint64_t bytes); /* what cameo_put_head writes */
#endif
