/* The protobuf wire format, as much as ONNX files need: fields read one by one with every length
   checked, and written into memory or through stdio. Nothing is allocated; bytes point into the
   caller's buffer.

   A nested message is preceded by its length. A message is therefore a function that writes to a
   sink; a sink that goes nowhere only counts. To write a message is to run its function twice,
   first counting: no buffer, and no patching of lengths. */
#ifndef CAMEO_WIRE_H
#define CAMEO_WIRE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct cameo_wire {
    const unsigned char *p, *end;
} cameo_wire;

enum {
    CAMEO_WIRE_VARINT = 0,
    CAMEO_WIRE_FIXED64 = 1,
    CAMEO_WIRE_BYTES = 2,
    CAMEO_WIRE_FIXED32 = 5
};

/* One field: its number, wire type, and value (varint and fixed) or bytes (length-delimited). */
typedef struct cameo_field {
    uint64_t number, value;
    unsigned type;
    cameo_wire bytes, whole; /* bytes: of numbers too; whole: with the key, to be copied as it is */
    const char *fault;       /* what is wrong, at whole.p, when it could not be read: "a cut-off or
                                overlong length" */
} cameo_field;

/* False when the message ends too early or is none. They move w->p over what they read. */
bool cameo_wire_varint(cameo_wire *w, uint64_t *value);
bool cameo_wire_scalar(cameo_wire *w, unsigned type, uint64_t *value);
bool cameo_wire_field(cameo_wire *w, cameo_field *f);

static inline size_t cameo_wire_size(cameo_wire w) { return (size_t)(w.end - w.p); }
bool cameo_wire_equals(cameo_wire w, const char *text);
/* The bytes of a message's first field of that number that has some; p NULL: there is none. */
cameo_wire cameo_wire_find(cameo_wire message, unsigned number);
/* A StringStringEntryProto. */
bool cameo_wire_entry(cameo_wire message, cameo_wire *key, cameo_wire *value);

typedef struct cameo_wire_tensor { /* a TensorProto, but for data that is not raw */
    cameo_wire whole, name, raw, location;
    int rank;
    int64_t dim[8];
    uint64_t type, offset, length;
    bool external, has_length;
} cameo_wire_tensor;
bool cameo_wire_read_tensor(cameo_wire w, cameo_wire_tensor *t);

typedef struct cameo_sink { /* one of the two, or neither: what is written is counted only */
    unsigned char *data;    /* room for all of it */
    FILE *stream;
    size_t size;   /* so far */
    bool overflow; /* more than SIZE_MAX */
} cameo_sink;
typedef void cameo_message(cameo_sink *s, const void *item);
void cameo_sink_put(cameo_sink *s, const void *bytes, size_t n);
void cameo_sink_wire(cameo_sink *s, cameo_wire w);
void cameo_sink_skip(cameo_sink *s, size_t n); /* they are counted: somebody else writes them */
void cameo_sink_varint(cameo_sink *s, uint64_t value);
void cameo_sink_integer(cameo_sink *s, unsigned field, uint64_t value);
void cameo_sink_float(cameo_sink *s, unsigned field, float value);
/* What comes before the bytes of a length-delimited field. */
void cameo_sink_head(cameo_sink *s, unsigned field, uint64_t bytes);
void cameo_sink_text(cameo_sink *s, unsigned field, const char *text);
void cameo_sink_message(cameo_sink *s, unsigned field, cameo_message *write, const void *item);

typedef struct cameo_entry { /* StringStringEntryProto */
    const char *key, *value;
} cameo_entry;
cameo_message cameo_write_entry;
#endif
