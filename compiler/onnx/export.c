/* ONNX writer: messages of onnx.proto, by its field numbers, over runtime/base/wire.h. See
   export.h. The file's exact size is known before its memory is allocated. */
#include "export.h"

#include <stdlib.h>

static bool tensor_count(const onnx_tensor *t, size_t *count) {
    *count = 1;
    for (size_t i = 0; i < t->rank; i++)
        if (t->dims[i] < 0 || !size_mul(*count, (size_t)t->dims[i], count)) return false;
    return true;
}

static void put_tensor_data(cameo_sink *s, const onnx_tensor *t) {
    size_t count, bytes;
    if (!tensor_count(t, &count) || !size_mul(count, cameo_dtype_size(t->dtype), &bytes)) {
        s->overflow = true;
        return;
    }
    cameo_sink_head(s, 9, bytes); /* raw_data */
    if (s->data && !t->data) t->fill(t, count, s->data + s->size);
    if (t->data)
        cameo_sink_put(s, t->data, bytes);
    else
        cameo_sink_skip(s, bytes);
}

static void write_tensor(cameo_sink *s, const void *item) {
    const onnx_tensor *t = item;
    for (size_t i = 0; i < t->rank; i++) cameo_sink_integer(s, 1, (uint64_t)t->dims[i]);
    cameo_sink_integer(s, 2, (uint64_t)t->dtype);
    if (t->name) cameo_sink_text(s, 8, t->name);
    put_tensor_data(s, t);
}

static void write_attribute(cameo_sink *s, const void *item) {
    const onnx_attribute *a = item;
    cameo_sink_text(s, 1, a->name);
    switch (a->type) {
    case ONNX_ATTR_FLOAT: cameo_sink_float(s, 2, a->f); break;
    case ONNX_ATTR_INT: cameo_sink_integer(s, 3, (uint64_t)a->i); break;
    case ONNX_ATTR_STRING: cameo_sink_text(s, 4, a->s); break;
    case ONNX_ATTR_TENSOR: cameo_sink_message(s, 5, write_tensor, a->t); break;
    case ONNX_ATTR_INTS:
        for (size_t i = 0; i < a->n_ints; i++) cameo_sink_integer(s, 8, (uint64_t)a->ints[i]);
        break;
    }
    cameo_sink_integer(s, 20, (uint64_t)a->type);
}

void onnx_write_node(cameo_sink *s, const void *item) {
    const onnx_node *n = item;
    for (size_t i = 0; i < n->n_inputs; i++) cameo_sink_text(s, 1, n->inputs[i]);
    for (size_t i = 0; i < n->n_outputs; i++) cameo_sink_text(s, 2, n->outputs[i]);
    cameo_sink_text(s, 3, n->name);
    cameo_sink_text(s, 4, n->op);
    for (size_t i = 0; i < n->n_attributes; i++)
        cameo_sink_message(s, 5, write_attribute, &n->attributes[i]);
}

static void write_dim(cameo_sink *s, const void *item) {
    const onnx_dim *d = item;
    if (d->symbol)
        cameo_sink_text(s, 2, d->symbol);
    else
        cameo_sink_integer(s, 1, (uint64_t)d->value);
}

static void write_shape(cameo_sink *s, const void *item) {
    const onnx_value *v = item;
    for (size_t i = 0; i < v->rank; i++) cameo_sink_message(s, 1, write_dim, &v->dims[i]);
}

static void write_tensor_type(cameo_sink *s, const void *item) {
    const onnx_value *v = item;
    cameo_sink_integer(s, 1, (uint64_t)v->dtype);
    cameo_sink_message(s, 2, write_shape, v);
}

static void write_type(cameo_sink *s, const void *item) {
    cameo_sink_message(s, 1, write_tensor_type, item);
}

void onnx_write_value(cameo_sink *s, const void *item) {
    const onnx_value *v = item;
    cameo_sink_text(s, 1, v->name);
    cameo_sink_message(s, 2, write_type, v);
}

static void write_graph(cameo_sink *s, const void *item) {
    const onnx_model *m = item;
    for (size_t i = 0; i < m->n_nodes; i++) cameo_sink_message(s, 1, onnx_write_node, &m->nodes[i]);
    cameo_sink_text(s, 2, m->graph_name);
    for (size_t i = 0; i < m->n_initializers; i++)
        cameo_sink_message(s, 5, write_tensor, &m->initializers[i]);
    for (size_t i = 0; i < m->n_inputs; i++)
        cameo_sink_message(s, 11, onnx_write_value, &m->inputs[i]);
    for (size_t i = 0; i < m->n_outputs; i++)
        cameo_sink_message(s, 12, onnx_write_value, &m->outputs[i]);
}

static void write_opset(cameo_sink *s, const void *item) {
    (void)item;
    cameo_sink_text(s, 1, ""); /* the default domain */
    cameo_sink_integer(s, 2, (uint64_t)ONNX_EXPORT_OPSET);
}

static void write_model(cameo_sink *s, const onnx_model *m) {
    cameo_sink_integer(s, 1, (uint64_t)ONNX_EXPORT_IR);
    cameo_sink_text(s, 2, m->producer);
    cameo_sink_text(s, 3, m->producer_version);
    cameo_sink_message(s, 7, write_graph, m);
    cameo_sink_message(s, 8, write_opset, m);
    for (size_t i = 0; i < m->n_properties; i++)
        cameo_sink_message(s, 14, cameo_write_entry, &m->properties[i]);
}

void onnx_append(text *t, unsigned field, cameo_message *write, const void *item) {
    cameo_sink count = {0};
    cameo_sink_message(&count, field, write, item);
    cameo_sink s = {.data = text_extend(t, count.size)};
    cameo_sink_message(&s, field, write, item);
}

size_t onnx_export_size(const onnx_model *m) {
    cameo_sink count = {0};
    write_model(&count, m);
    return count.overflow || count.size > INT32_MAX ? 0 : count.size;
}

unsigned char *onnx_export_memory(const onnx_model *m, size_t *size) {
    *size = onnx_export_size(m);
    cameo_sink s = {.data = *size ? malloc(*size) : NULL};
    if (s.data) write_model(&s, m);
    return s.data;
}

bool onnx_export_file(const onnx_model *m, const char *path, cameo_error *error) {
    size_t size;
    unsigned char *data = onnx_export_memory(m, &size);
    if (!size)
        return cameo_reject(error, "%s: so many parameters do not fit an ONNX file (2 GB)", path);
    if (!data)
        return cameo_fail(error, CAMEO_ENVIRONMENT, "%s: out of memory for %zu bytes", path, size);
    const bool good = cameo_write_file(path, data, size, error);
    free(data);
    return good;
}
