/* ONNX writer: protobuf's wire format written directly. See onnx_export.h.

   A nested message is preceded by its length. Each message is therefore one function that writes to a `sink`; a sink without
   memory only counts. To write a message is to run its function twice, first counting: no buffer per message, no patching of
   lengths, and the file's exact size is known before its memory is allocated. Field numbers are those of onnx.proto. */
#include "onnx_export.h"

#include <stdlib.h>
#include <string.h>

typedef struct sink {
    unsigned char *data; /* NULL: count only */
    size_t size;
    bool overflow;
} sink;

typedef void (*message_writer)(sink *s, const void *item);

enum { WIRE_VARINT = 0, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static void advance(sink *s, size_t n) {
    if (__builtin_add_overflow(s->size, n, &s->size)) s->overflow = true;
}

static void put(sink *s, const void *bytes, size_t n) {
    if (s->data && n) memcpy(s->data + s->size, bytes, n);
    advance(s, n);
}

static void put_varint(sink *s, uint64_t v) {
    unsigned char bytes[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) bytes[n++] = (unsigned char)(v | 0x80);
    bytes[n++] = (unsigned char)v;
    put(s, bytes, n);
}

static void put_tag(sink *s, unsigned field, unsigned wire) { put_varint(s, field << 3 | wire); }

static void put_int(sink *s, unsigned field, int64_t v) {
    put_tag(s, field, WIRE_VARINT);
    put_varint(s, (uint64_t)v);
}

static void put_string(sink *s, unsigned field, const char *str) {
    size_t n = strlen(str);
    put_tag(s, field, WIRE_BYTES);
    put_varint(s, n);
    put(s, str, n);
}

static void put_float(sink *s, unsigned field, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    unsigned char bytes[4];
    for (unsigned i = 0; i < 4; i++) bytes[i] = (unsigned char)(bits >> 8 * i);
    put_tag(s, field, WIRE_FIXED32);
    put(s, bytes, sizeof bytes);
}

static void put_message(sink *s, unsigned field, message_writer write, const void *item) {
    sink count = {0};
    write(&count, item);
    s->overflow |= count.overflow;
    put_tag(s, field, WIRE_BYTES);
    put_varint(s, count.size);
    if (s->data)
        write(s, item);
    else
        advance(s, count.size);
}

static bool tensor_count(const onnx_tensor *t, size_t *count) {
    *count = 1;
    for (size_t i = 0; i < t->rank; i++)
        if (t->dims[i] < 0 || !size_mul(*count, (size_t)t->dims[i], count)) return false;
    return true;
}

static void put_tensor_data(sink *s, const onnx_tensor *t) {
    size_t count, bytes;
    if (!tensor_count(t, &count) || !size_mul(count, t->dtype == ONNX_INT64 ? 8 : 4, &bytes)) {
        s->overflow = true;
        return;
    }
    put_tag(s, 9, WIRE_BYTES); /* raw_data */
    put_varint(s, bytes);
    if (s->data && !t->data) t->fill(t, count, s->data + s->size);
    if (t->data)
        put(s, t->data, bytes);
    else
        advance(s, bytes);
}

static void write_tensor(sink *s, const void *item) {
    const onnx_tensor *t = item;
    for (size_t i = 0; i < t->rank; i++) put_int(s, 1, t->dims[i]);
    put_int(s, 2, t->dtype);
    if (t->name) put_string(s, 8, t->name);
    put_tensor_data(s, t);
}

static void write_attribute(sink *s, const void *item) {
    const onnx_attribute *a = item;
    put_string(s, 1, a->name);
    switch (a->type) {
    case ONNX_ATTR_FLOAT: put_float(s, 2, a->f); break;
    case ONNX_ATTR_INT: put_int(s, 3, a->i); break;
    case ONNX_ATTR_STRING: put_string(s, 4, a->s); break;
    case ONNX_ATTR_TENSOR: put_message(s, 5, write_tensor, a->t); break;
    case ONNX_ATTR_INTS:
        for (size_t i = 0; i < a->n_ints; i++) put_int(s, 8, a->ints[i]);
        break;
    }
    put_int(s, 20, a->type);
}

static void write_node(sink *s, const void *item) {
    const onnx_node *n = item;
    for (size_t i = 0; i < n->n_inputs; i++) put_string(s, 1, n->inputs[i]);
    for (size_t i = 0; i < n->n_outputs; i++) put_string(s, 2, n->outputs[i]);
    put_string(s, 3, n->name);
    put_string(s, 4, n->op);
    for (size_t i = 0; i < n->n_attributes; i++) put_message(s, 5, write_attribute, &n->attributes[i]);
}

static void write_dim(sink *s, const void *item) {
    const onnx_dim *d = item;
    if (d->symbol)
        put_string(s, 2, d->symbol);
    else
        put_int(s, 1, d->value);
}

static void write_shape(sink *s, const void *item) {
    const onnx_value *v = item;
    for (size_t i = 0; i < v->rank; i++) put_message(s, 1, write_dim, &v->dims[i]);
}

static void write_tensor_type(sink *s, const void *item) {
    const onnx_value *v = item;
    put_int(s, 1, v->dtype);
    put_message(s, 2, write_shape, v);
}

static void write_type(sink *s, const void *item) { put_message(s, 1, write_tensor_type, item); }

static void write_value(sink *s, const void *item) {
    const onnx_value *v = item;
    put_string(s, 1, v->name);
    put_message(s, 2, write_type, v);
}

static void write_graph(sink *s, const void *item) {
    const onnx_model *m = item;
    for (size_t i = 0; i < m->n_nodes; i++) put_message(s, 1, write_node, &m->nodes[i]);
    put_string(s, 2, m->graph_name);
    for (size_t i = 0; i < m->n_initializers; i++) put_message(s, 5, write_tensor, &m->initializers[i]);
    for (size_t i = 0; i < m->n_inputs; i++) put_message(s, 11, write_value, &m->inputs[i]);
    for (size_t i = 0; i < m->n_outputs; i++) put_message(s, 12, write_value, &m->outputs[i]);
}

static void write_opset(sink *s, const void *item) {
    (void)item;
    put_string(s, 1, ""); /* the default domain */
    put_int(s, 2, ONNX_EXPORT_OPSET);
}

static void write_property(sink *s, const void *item) {
    const onnx_property *p = item;
    put_string(s, 1, p->key);
    put_string(s, 2, p->value);
}

static void write_model(sink *s, const onnx_model *m) {
    put_int(s, 1, ONNX_EXPORT_IR);
    put_string(s, 2, m->producer);
    put_string(s, 3, m->producer_version);
    put_message(s, 7, write_graph, m);
    put_message(s, 8, write_opset, m);
    for (size_t i = 0; i < m->n_properties; i++) put_message(s, 14, write_property, &m->properties[i]);
}

size_t onnx_export_size(const onnx_model *m) {
    sink count = {0};
    write_model(&count, m);
    return count.overflow || count.size > INT32_MAX ? 0 : count.size;
}

unsigned char *onnx_export_memory(const onnx_model *m, size_t *size) {
    *size = onnx_export_size(m);
    sink s = {.data = *size ? malloc(*size) : NULL};
    if (s.data) write_model(&s, m);
    return s.data;
}

bool onnx_export_file(const onnx_model *m, const char *path, cameo_error *error) {
    size_t size;
    unsigned char *data = onnx_export_memory(m, &size);
    if (!size) return cameo_fail(error, CAMEO_BAD_INPUT, "%s: so many parameters do not fit an ONNX file (2 GB)", path);
    if (!data) return cameo_fail(error, CAMEO_ENVIRONMENT, "%s: out of memory for %zu bytes", path, size);
    const bool good = cameo_write_file(path, data, size, error);
    free(data);
    return good;
}
