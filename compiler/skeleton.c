/* Splitting a model file along its wire format: fields are copied as they are, whatever they hold, so that a checkpoint keeps
   all that the model's author put into the file. */
#include "skeleton.h"

#include <stdlib.h>
#include <string.h>

#include "onnx_wire.h"

enum { MODEL_GRAPH = 7, MODEL_METADATA = 14, MODEL_TRAINING = 20 };
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12, GRAPH_VALUE_INFO = 13 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_OP_TYPE = 4, NODE_ATTRIBUTE = 5, ATTRIBUTE_NAME = 1 };
enum { TENSOR_NAME = 8, ENTRY_KEY = 1, INFO_NAME = 1, INPUTS_ARE_LISTED = 3 /* the last IR version that lists initializers */ };

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

static bool is_replaced(const graph *g, const char *name) {
    for (size_t i = 0; g->new_head && i < g->new_head->n_dropped; i++)
        if (!strcmp(g->new_head->dropped[i], name)) return true;
    return false;
}

/* ---- a new classifier's nodes, and outputs ---- */

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

static void put_integer(text *t, unsigned number, int64_t v) {
    put_varint(t, number << 3);
    put_varint(t, (uint64_t)v);
}

/* AttributeProto {name 1, i 3, t 5, ints 8, type 20} */
static void put_attribute(text *t, const attr *a) {
    text inner = {0};
    put_bytes(&inner, 1, a->name, strlen(a->name));
    if (a->kind == ATTR_INT) put_integer(&inner, 3, a->i);
    for (size_t i = 0; a->kind == ATTR_INTS && i < a->count; i++) put_integer(&inner, 8, a->ints[i]);
    put_integer(&inner, 20, a->kind == ATTR_INT ? 2 : 7);
    put_nested(t, 5, &inner);
}

void skeleton_node(text *t, const node *n) {
    text inner = {0};
    for (size_t i = 0; i < n->n_in; i++) put_bytes(&inner, 1, n->in[i]->name, strlen(n->in[i]->name));
    for (size_t i = 0; i < n->n_out; i++) put_bytes(&inner, NODE_OUTPUT, n->out[i]->name, strlen(n->out[i]->name));
    put_bytes(&inner, 3, n->name, strlen(n->name));
    put_bytes(&inner, NODE_OP_TYPE, n->op_type, strlen(n->op_type));
    for (size_t i = 0; i < n->n_attrs; i++) {
        if (n->attrs[i].kind != ATTR_INT && n->attrs[i].kind != ATTR_INTS) BUG("an attribute of a new head is no integer");
        put_attribute(&inner, &n->attrs[i]);
    }
    put_nested(t, GRAPH_NODE, &inner);
}

/* Constant with the attribute value, a TensorProto {dims 1, data_type 2, raw_data 9} */
void skeleton_constant(text *t, const value *v) {
    text inner = {0}, attribute = {0}, data = {0};
    for (int i = 0; i < v->shape.rank; i++) put_integer(&data, 1, v->shape.dim[i]);
    put_integer(&data, 2, v->type);
    put_bytes(&data, 9, v->constant->data, tensor_bytes(v->constant));
    put_bytes(&attribute, 1, "value", 5);
    put_nested(&attribute, 5, &data);
    put_integer(&attribute, 20, 4);
    put_bytes(&inner, NODE_OUTPUT, v->name, strlen(v->name));
    put_bytes(&inner, 3, v->name, strlen(v->name));
    put_bytes(&inner, NODE_OP_TYPE, "Constant", 8);
    put_nested(&inner, 5, &attribute);
    put_nested(t, GRAPH_NODE, &inner);
}

/* ValueInfoProto {name 1, type 2 {tensor_type 1 {elem_type 1, shape 2 {dim 1 {dim_value 1 | dim_param 2}}}}} */
static void put_info(text *t, unsigned number, const char *name, dtype element, const shape *s, bool batched) {
    text info = {0}, type = {0}, tensor_type = {0}, dims = {0};
    for (int i = 0; i < s->rank; i++) {
        text dim = {0};
        if (i == 0 && batched)
            put_bytes(&dim, 2, "N", 1);
        else
            put_varint(&dim, 1 << 3), put_varint(&dim, (uint64_t)s->dim[i]);
        put_nested(&dims, 1, &dim);
    }
    put_varint(&tensor_type, 1 << 3), put_varint(&tensor_type, element);
    put_nested(&tensor_type, 2, &dims);
    put_nested(&type, 1, &tensor_type);
    put_bytes(&info, 1, name, strlen(name));
    put_nested(&info, 2, &type);
    put_nested(t, number, &info);
}

/* ---- the file's graph, with graph.file's changes ---- */

typedef struct part { /* a field of the file's graph */
    field f;
    const char *name; /* of an initializer, an input, a described value; of a node's first output */
    int place;        /* among nodes; -1: it is none */
    bool gone;
} part;

typedef struct split {
    const graph *g;
    part *parts;
    size_t n_parts;
} split;

static const file_change *reading_of(const graph *g, int place, size_t input) {
    for (size_t i = 0; i < g->file.n_changes; i++) {
        const file_change *c = &g->file.changes[i];
        if (c->node == place && c->reads && c->input == input) return c;
    }
    return NULL;
}

static const file_change *leaving_training(const graph *g, int place) {
    for (size_t i = 0; i < g->file.n_changes; i++)
        if (g->file.changes[i].node == place && !g->file.changes[i].reads) return &g->file.changes[i];
    return NULL;
}

static bool is_changed(const graph *g, int place) {
    for (size_t i = 0; i < g->file.n_changes; i++)
        if (g->file.changes[i].node == place) return true;
    return false;
}

static bool is_training_mode(const graph *g, const field *f) {
    return f->number == NODE_ATTRIBUTE && !strcmp(string_of(g->arena, f, ATTRIBUTE_NAME), "training_mode");
}

/* The node again, reading what it reads now; one in training mode as it is in evaluation. */
static bool put_changed(const graph *g, const part *p, text *out) {
    const file_change *mode = leaving_training(g, p->place);
    cursor c = {p->f.data, p->f.end};
    text made = {0};
    field f;
    size_t n_in = 0, n_out = 0;
    while (c.at < c.end) {
        if (!next_field(&c, &f)) return text_free(&made), false;
        const bool input = f.number == NODE_INPUT, output = f.number == NODE_OUTPUT;
        const file_change *read = input ? reading_of(g, p->place, n_in) : NULL;
        n_in += input, n_out += output;
        if (mode && ((input && n_in > mode->n_in) || (output && n_out > mode->n_out) || is_training_mode(g, &f))) continue;
        if (read)
            put_bytes(&made, NODE_INPUT, read->reads, strlen(read->reads));
        else
            copy_field(&made, &f);
    }
    put_nested(out, GRAPH_NODE, &made);
    return true;
}

static bool reads_name(const graph *g, const part *p, const char *name) {
    const file_change *mode = leaving_training(g, p->place);
    cursor c = {p->f.data, p->f.end};
    const size_t bytes = strlen(name);
    size_t n_in = 0;
    field f;
    while (c.at < c.end && next_field(&c, &f)) {
        if (f.number != NODE_INPUT) continue;
        const file_change *read = reading_of(g, p->place, n_in++);
        if (mode && n_in > mode->n_in) continue;
        if (read ? !strcmp(read->reads, name) : bytes == (size_t)(f.end - f.data) && !memcmp(f.data, name, bytes)) return true;
    }
    return false;
}

static bool is_read(const split *s, const char *name) {
    for (size_t i = 0; i < s->n_parts; i++) {
        const part *p = &s->parts[i];
        if (p->gone) continue;
        if (p->f.number == GRAPH_OUTPUT ? !strcmp(p->name, name) : p->place >= 0 && reads_name(s->g, p, name)) return true;
    }
    return false;
}

/* What only Identities that are gone have read goes too, whatever the order. */
static void drop_loose(split *s) {
    const file_changes *changes = &s->g->file;
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < changes->n_loose; i++) {
            if (is_read(s, changes->loose[i])) continue;
            for (size_t k = 0; k < s->n_parts; k++) {
                part *p = &s->parts[k];
                if (p->gone || p->f.number == GRAPH_OUTPUT || strcmp(p->name, changes->loose[i])) continue;
                p->gone = more = true;
            }
        }
    }
}

static bool drops(const graph *g, const part *p) {
    switch (p->f.number) {
    case GRAPH_OUTPUT:
    case GRAPH_VALUE_INFO: return g->new_head != NULL; /* the old classifier's */
    case GRAPH_INPUT: return is_replaced(g, p->name);
    case GRAPH_INITIALIZER:
    case GRAPH_NODE: return is_replaced(g, p->name) || is_parameter(g, p->name);
    default: return false;
    }
}

static bool find_parts(split *s, const field *whole) {
    cursor c = {whole->data, whole->end};
    field f;
    size_t n = 0;
    int place = 0;
    while (c.at < c.end && next_field(&c, &f)) n++;
    s->parts = ARENA_ARRAY(s->g->arena, part, n + 1);
    for (c.at = whole->data; c.at < c.end;) {
        part *p = &s->parts[s->n_parts++];
        if (!next_field(&c, &p->f)) return false;
        const bool is_node = p->f.number == GRAPH_NODE, named = p->f.number >= GRAPH_INPUT && p->f.number <= GRAPH_VALUE_INFO;
        p->place = is_node ? place++ : -1;
        p->name = is_node                            ? string_of(s->g->arena, &p->f, NODE_OUTPUT)
                  : p->f.number == GRAPH_INITIALIZER ? string_of(s->g->arena, &p->f, TENSOR_NAME)
                  : named                            ? string_of(s->g->arena, &p->f, INFO_NAME)
                                                     : "";
        p->gone = drops(s->g, p);
    }
    return true;
}

static bool is_listed(const split *s, const char *name) {
    for (size_t i = 0; i < s->n_parts; i++)
        if (s->parts[i].f.number == GRAPH_INPUT && !s->parts[i].gone && !strcmp(s->parts[i].name, name)) return true;
    return false;
}

static bool put_graph(const split *s, text *out) {
    const graph *g = s->g;
    for (size_t i = 0; i < s->n_parts; i++) {
        const part *p = &s->parts[i];
        if (p->gone) continue;
        if (p->place < 0 || !is_changed(g, p->place))
            copy_field(out, &p->f);
        else if (!put_changed(g, p, out))
            return false;
    }
    if (g->new_head) text_append_n(out, g->new_head->fields, g->new_head->bytes);
    for (size_t i = 0; g->new_head && i < g->n_outputs; i++) {
        const value *v = g->outputs[i];
        put_info(out, GRAPH_OUTPUT, v->name, v->type, &v->shape, v->batched);
    }
    for (size_t i = 0; g->ir_version <= INPUTS_ARE_LISTED && i < g->n_parameters; i++) {
        const parameter *p = g->parameters[i];
        if (!is_listed(s, p->name)) put_info(out, GRAPH_INPUT, p->name, DT_FLOAT, &p->initial->shape, false);
    }
    return true;
}

static bool split_graph(const graph *g, const field *whole, text *out) {
    split s = {.g = g};
    if (!find_parts(&s, whole)) return false;
    drop_loose(&s);
    return put_graph(&s, out);
}

/* ---- the model around it ---- */

/* What compiling may have decided anew: the rest of the metadata is copied. */
static bool is_own_key(const char *key) {
    return !strcmp(key, "cameo.embedding") || !strcmp(key, "cameo.classes") || !strcmp(key, "cameo.preprocess");
}

static void put_metadata(text *t, const metadata *m) {
    text entry = {0};
    put_bytes(&entry, ENTRY_KEY, m->key, strlen(m->key));
    put_bytes(&entry, 2, m->value, strlen(m->value));
    put_nested(t, MODEL_METADATA, &entry);
}

/* The state of an earlier training run is not the model's. */
static bool is_training_state(const graph *g, const field *f) {
    return f->number == MODEL_TRAINING ||
           (f->number == MODEL_METADATA &&
            (!strncmp(string_of(g->arena, f, ENTRY_KEY), "cameo.train.", 12) || is_own_key(string_of(g->arena, f, ENTRY_KEY))));
}

static bool split_model(const graph *g, const wire_data *file, text *model, text *graph_fields) {
    cursor c = {file->data, file->data + file->size};
    field f;
    while (c.at < c.end) {
        if (!next_field(&c, &f)) return false;
        if (f.number == MODEL_GRAPH && !split_graph(g, &f, graph_fields)) return false;
        if (f.number != MODEL_GRAPH && !is_training_state(g, &f)) copy_field(model, &f);
    }
    for (size_t i = 0; i < g->n_meta; i++)
        if (is_own_key(g->meta[i].key)) put_metadata(model, &g->meta[i]);
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
