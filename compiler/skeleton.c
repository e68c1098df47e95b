/* Splitting a model file along its wire format: fields are copied as they are, whatever they hold, so that a checkpoint keeps
   all that the model's author put into the file. */
#include "skeleton.h"

#include <stdlib.h>
#include <string.h>

#include "onnx_wire.h"

enum { MODEL_GRAPH = 7, MODEL_METADATA = 14, MODEL_TRAINING = 20 };
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_OUTPUT = 12, GRAPH_VALUE_INFO = 13 };
enum { NODE_OUTPUT = 2, NODE_OP_TYPE = 4, TENSOR_NAME = 8, ENTRY_KEY = 1, INFO_NAME = 1 };

typedef struct cursor {
    const unsigned char *at, *end;
} cursor;

typedef struct field {
    unsigned number;
    const unsigned char *start;      /* of the tag */
    const unsigned char *data, *end; /* payload of length-delimited fields; end of any field */
} field;

static bool varint(cursor *c, uint64_t *out) {
    *out = 0;
    for (int shift = 0; shift < 64 && c->at < c->end; shift += 7) {
        const unsigned char byte = *c->at++;
        *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return true;
    }
    return false;
}

/* The importer has accepted the file, so a malformed field can only mean that the file changed since. */
static bool next_field(cursor *c, field *f) {
    uint64_t tag, size = 0;
    f->start = c->at;
    if (!varint(c, &tag)) return false;
    f->number = (unsigned)(tag >> 3);
    switch (tag & 7) {
    case 0:
        f->data = c->at;
        if (!varint(c, &size)) return false;
        f->end = c->at;
        return true;
    case 1: size = 8; break;
    case 5: size = 4; break;
    case 2:
        if (!varint(c, &size)) return false;
        break;
    default: return false;
    }
    if (size > (uint64_t)(c->end - c->at)) return false;
    f->data = c->at;
    f->end = c->at += size;
    return true;
}

static void copy_field(text *t, const field *f) { text_append_n(t, (const char *)f->start, (size_t)(f->end - f->start)); }

/* The text of field `number` of a message, "" when absent. */
static const char *string_of(arena *a, const field *message, unsigned number) {
    cursor c = {message->data, message->end};
    field f;
    while (c.at < c.end && next_field(&c, &f))
        if (f.number == number) return arena_strndup(a, (const char *)f.data, (size_t)(f.end - f.data));
    return "";
}

static bool is_parameter(const graph *g, const char *name) {
    for (size_t i = 0; i < g->n_parameters; i++)
        if (!strcmp(g->parameters[i]->name, name)) return true;
    return false;
}

/* ---- outputs of a net with a new classifier ---- */

static void put_varint(text *t, uint64_t v) {
    for (; v > 127; v >>= 7) text_append_n(t, (const char[]){(char)((v & 127) | 128)}, 1);
    text_append_n(t, (const char[]){(char)v}, 1);
}

static void put_bytes(text *t, unsigned number, const char *data, size_t size) {
    put_varint(t, number << 3 | 2);
    put_varint(t, size);
    text_append_n(t, data, size);
}

static void put_nested(text *t, unsigned number, text *message) {
    put_bytes(t, number, text_str(message), message->size);
    text_free(message);
}

/* ValueInfoProto {name 1, type 2 {tensor_type 1 {elem_type 1, shape 2 {dim 1 {dim_value 1 | dim_param 2}}}}} */
static void put_output(text *t, const value *v) {
    text info = {0}, type = {0}, tensor_type = {0}, dims = {0};
    for (int i = 0; i < v->shape.rank; i++) {
        text dim = {0};
        if (i == 0 && v->batched)
            put_bytes(&dim, 2, "N", 1);
        else
            put_varint(&dim, 1 << 3), put_varint(&dim, (uint64_t)v->shape.dim[i]);
        put_nested(&dims, 1, &dim);
    }
    put_varint(&tensor_type, 1 << 3), put_varint(&tensor_type, v->type);
    put_nested(&tensor_type, 2, &dims);
    put_nested(&type, 1, &tensor_type);
    put_bytes(&info, 1, v->name, strlen(v->name));
    put_nested(&info, 2, &type);
    put_nested(t, GRAPH_OUTPUT, &info);
}

/* ---- the split ---- */

static bool drops(const graph *g, const field *f) {
    if (f->number == GRAPH_INITIALIZER) return is_parameter(g, string_of(g->arena, f, TENSOR_NAME));
    if (f->number == GRAPH_OUTPUT || f->number == GRAPH_VALUE_INFO) return g->new_head; /* shapes of the old classifier */
    return f->number == GRAPH_NODE && !strcmp(string_of(g->arena, f, NODE_OP_TYPE), "Constant") &&
           is_parameter(g, string_of(g->arena, f, NODE_OUTPUT));
}

static bool split_graph(const graph *g, const field *whole, text *out) {
    cursor c = {whole->data, whole->end};
    field f;
    while (c.at < c.end) {
        if (!next_field(&c, &f)) return false;
        if (!drops(g, &f)) copy_field(out, &f);
    }
    for (size_t i = 0; g->new_head && i < g->n_outputs; i++) put_output(out, g->outputs[i]);
    return true;
}

/* The state of an earlier training run is not the model's. */
static bool is_training_state(const graph *g, const field *f) {
    return f->number == MODEL_TRAINING ||
           (f->number == MODEL_METADATA && !strncmp(string_of(g->arena, f, ENTRY_KEY), "cameo.train.", 12));
}

static bool split_model(const graph *g, const wire_data *file, text *model, text *graph_fields) {
    cursor c = {file->data, file->data + file->size};
    field f;
    while (c.at < c.end) {
        if (!next_field(&c, &f)) return false;
        if (f.number == MODEL_GRAPH && !split_graph(g, &f, graph_fields)) return false;
        if (f.number != MODEL_GRAPH && !is_training_state(g, &f)) copy_field(model, &f);
    }
    return true;
}

bool skeleton_split(const graph *g, const char *path, text *model_fields, text *graph_fields) {
    wire_data file;
    const char *why = "it changed while it was compiled";
    if (!wire_read_file(g->arena, path, &file, &why)) return diag_error(g->diag, NULL, NULL, "%s", why);
    const bool ok = split_model(g, &file, model_fields, graph_fields);
    free(file.data);
    return ok || diag_error(g->diag, NULL, NULL, "%s", why);
}
