/* Splitting a model file along its wire format: fields are copied as they are, whatever they hold,
   so that a checkpoint keeps all that the model's author put into the file. */
#include "skeleton.h"

#include <stdlib.h>
#include <string.h>

#include "export.h"
#include "wire.h"

enum { MODEL_GRAPH = 7, MODEL_METADATA = 14, MODEL_TRAINING = 20 };
enum {
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_VALUE_INFO = 13
};
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_ATTRIBUTE = 5, ATTRIBUTE_NAME = 1 };
enum {
    TENSOR_NAME = 8,
    ENTRY_KEY = 1,
    INFO_NAME = 1,
    INPUTS_ARE_LISTED = 3 /* the last IR version that lists initializers */
};

/* The importer has accepted the file, so a field that cannot be read can only mean that the file
   changed since. */
static void copy_field(text *t, const cameo_field *f) {
    text_append_n(t, f->whole.p, cameo_wire_size(f->whole));
}

/* The text of field `number` of a message, "" when absent. */
static const char *string_of(arena *a, cameo_wire message, unsigned number) {
    cameo_field f;
    while (message.p < message.end && cameo_wire_field(&message, &f))
        if (f.number == number)
            return arena_strndup(a, (const char *)f.bytes.p, cameo_wire_size(f.bytes));
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

static onnx_attribute attribute_of(const attr *a) {
    if (a->kind != ATTR_INT && a->kind != ATTR_INTS)
        BUG("an attribute of a new head is no integer");
    return a->kind == ATTR_INT
               ? (onnx_attribute){.name = a->name, .type = ONNX_ATTR_INT, .i = a->i}
               : (onnx_attribute){
                     .name = a->name, .type = ONNX_ATTR_INTS, .ints = a->ints, .n_ints = a->count};
}

static const char **names_of(arena *a, value *const *values, size_t n) {
    const char **names = ARENA_ARRAY(a, const char *, n);
    for (size_t i = 0; i < n; i++) names[i] = values[i]->name;
    return names;
}

void skeleton_node(text *t, const node *n) {
    arena *a = arena_create();
    onnx_attribute *attributes = ARENA_ARRAY(a, onnx_attribute, n->n_attrs);
    for (size_t i = 0; i < n->n_attrs; i++) attributes[i] = attribute_of(&n->attrs[i]);
    const onnx_node made = {n->op_type,
                            n->name,
                            names_of(a, n->in, n->n_in),
                            names_of(a, n->out, n->n_out),
                            n->n_in,
                            n->n_out,
                            n->n_attrs,
                            attributes};
    onnx_append(t, GRAPH_NODE, onnx_write_node, &made);
    arena_destroy(a);
}

void skeleton_constant(text *t, const value *v) {
    const onnx_tensor data = {.dtype = (int)v->type,
                              .rank = (size_t)v->shape.rank,
                              .dims = v->shape.dim,
                              .data = v->constant->data};
    const onnx_attribute attribute = {.name = "value", .type = ONNX_ATTR_TENSOR, .t = &data};
    const char *output = v->name;
    const onnx_node made = {"Constant", v->name, NULL, &output, 0, 1, 1, &attribute};
    onnx_append(t, GRAPH_NODE, onnx_write_node, &made);
}

static void put_info(text *t, unsigned number, const char *name, dtype element, const shape *s,
                     bool batched) {
    onnx_dim dims[MAX_RANK];
    for (int i = 0; i < s->rank; i++)
        dims[i] = (onnx_dim){i == 0 && batched ? "N" : NULL, s->dim[i]};
    const onnx_value info = {name, (int)element, (size_t)s->rank, dims};
    onnx_append(t, number, onnx_write_value, &info);
}

/* ---- the file's graph, with graph.file's changes ---- */

typedef struct part { /* a field of the file's graph */
    cameo_field f;
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
        if (g->file.changes[i].node == place && !g->file.changes[i].reads)
            return &g->file.changes[i];
    return NULL;
}

static bool is_changed(const graph *g, int place) {
    for (size_t i = 0; i < g->file.n_changes; i++)
        if (g->file.changes[i].node == place) return true;
    return false;
}

static bool is_training_mode(const graph *g, const cameo_field *f) {
    return f->number == NODE_ATTRIBUTE &&
           !strcmp(string_of(g->arena, f->bytes, ATTRIBUTE_NAME), "training_mode");
}

typedef struct changed { /* a node that is written otherwise than it stands in the file */
    const graph *g;
    const part *p;
} changed;

/* The node again, reading what it reads now; one in training mode as it is in evaluation. */
static void write_changed(cameo_sink *s, const void *item) {
    const changed *n = item;
    const file_change *mode = leaving_training(n->g, n->p->place);
    cameo_wire w = n->p->f.bytes;
    cameo_field f;
    size_t n_in = 0, n_out = 0;
    while (w.p < w.end && cameo_wire_field(&w, &f)) {
        const bool input = f.number == NODE_INPUT, output = f.number == NODE_OUTPUT;
        const file_change *read = input ? reading_of(n->g, n->p->place, n_in) : NULL;
        n_in += input, n_out += output;
        if (mode && ((input && n_in > mode->n_in) || (output && n_out > mode->n_out) ||
                     is_training_mode(n->g, &f)))
            continue;
        if (read)
            cameo_sink_text(s, NODE_INPUT, read->reads);
        else
            cameo_sink_put(s, f.whole.p, cameo_wire_size(f.whole));
    }
}

static bool reads_name(const graph *g, const part *p, const char *name) {
    const file_change *mode = leaving_training(g, p->place);
    cameo_wire w = p->f.bytes;
    size_t n_in = 0;
    cameo_field f;
    while (w.p < w.end && cameo_wire_field(&w, &f)) {
        if (f.number != NODE_INPUT) continue;
        const file_change *read = reading_of(g, p->place, n_in++);
        if (mode && n_in > mode->n_in) continue;
        if (read ? !strcmp(read->reads, name) : cameo_wire_equals(f.bytes, name)) return true;
    }
    return false;
}

static bool is_read(const split *s, const char *name) {
    for (size_t i = 0; i < s->n_parts; i++) {
        const part *p = &s->parts[i];
        if (p->gone) continue;
        if (p->f.number == GRAPH_OUTPUT ? !strcmp(p->name, name)
                                        : p->place >= 0 && reads_name(s->g, p, name))
            return true;
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
                if (p->gone || p->f.number == GRAPH_OUTPUT || strcmp(p->name, changes->loose[i]))
                    continue;
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

static bool find_parts(split *s, cameo_wire whole) {
    cameo_wire w = whole;
    cameo_field f;
    size_t n = 0;
    int place = 0;
    while (w.p < w.end && cameo_wire_field(&w, &f)) n++;
    s->parts = ARENA_ARRAY(s->g->arena, part, n + 1);
    for (w = whole; w.p < w.end;) {
        part *p = &s->parts[s->n_parts++];
        if (!cameo_wire_field(&w, &p->f)) return false;
        for (cameo_wire inner = p->f.bytes; p->f.number == GRAPH_NODE && inner.p < inner.end;)
            if (!cameo_wire_field(&inner, &f)) return false;
        const bool is_node = p->f.number == GRAPH_NODE,
                   named = p->f.number >= GRAPH_INPUT && p->f.number <= GRAPH_VALUE_INFO;
        p->place = is_node ? place++ : -1;
        p->name = is_node ? string_of(s->g->arena, p->f.bytes, NODE_OUTPUT)
                  : p->f.number == GRAPH_INITIALIZER
                      ? string_of(s->g->arena, p->f.bytes, TENSOR_NAME)
                  : named ? string_of(s->g->arena, p->f.bytes, INFO_NAME)
                          : "";
        p->gone = drops(s->g, p);
    }
    return true;
}

static bool is_listed(const split *s, const char *name) {
    for (size_t i = 0; i < s->n_parts; i++)
        if (s->parts[i].f.number == GRAPH_INPUT && !s->parts[i].gone &&
            !strcmp(s->parts[i].name, name))
            return true;
    return false;
}

static void put_graph(const split *s, text *out) {
    const graph *g = s->g;
    for (size_t i = 0; i < s->n_parts; i++) {
        const part *p = &s->parts[i];
        if (p->gone) continue;
        const changed again = {g, p};
        if (p->place < 0 || !is_changed(g, p->place))
            copy_field(out, &p->f);
        else
            onnx_append(out, GRAPH_NODE, write_changed, &again);
    }
    if (g->new_head) text_append_n(out, g->new_head->fields, g->new_head->bytes);
    for (size_t i = 0; g->new_head && i < g->n_outputs; i++) {
        const value *v = g->outputs[i];
        put_info(out, GRAPH_OUTPUT, v->name, v->type, &v->shape, v->batched);
    }
    for (size_t i = 0; g->ir_version <= INPUTS_ARE_LISTED && i < g->n_parameters; i++) {
        const parameter *p = g->parameters[i];
        if (!is_listed(s, p->name))
            put_info(out, GRAPH_INPUT, p->name, DT_FLOAT, &p->initial->shape, false);
    }
}

static bool split_graph(const graph *g, cameo_wire whole, text *out) {
    split s = {.g = g};
    if (!find_parts(&s, whole)) return false;
    drop_loose(&s);
    put_graph(&s, out);
    return true;
}

/* ---- the model around it ---- */

/* What compiling may have decided anew: the rest of the metadata is copied. */
static bool is_own_key(const char *key) {
    return !strcmp(key, "cameo.embedding") || !strcmp(key, "cameo.classes") ||
           !strcmp(key, "cameo.preprocess");
}

/* The state of an earlier training run is not the model's. */
static bool is_training_state(const graph *g, const cameo_field *f) {
    const char *key = f->number == MODEL_METADATA ? string_of(g->arena, f->bytes, ENTRY_KEY) : "";
    return f->number == MODEL_TRAINING || !strncmp(key, "cameo.train.", 12) || is_own_key(key);
}

static bool split_model(const graph *g, const wire_data *file, text *model, text *graph_fields) {
    cameo_wire w = {file->data, file->data + file->size};
    cameo_field f;
    while (w.p < w.end) {
        if (!cameo_wire_field(&w, &f)) return false;
        if (f.number == MODEL_GRAPH && !split_graph(g, f.bytes, graph_fields)) return false;
        if (f.number != MODEL_GRAPH && !is_training_state(g, &f)) copy_field(model, &f);
    }
    for (size_t i = 0; i < g->n_meta; i++) {
        const onnx_property entry = {g->meta[i].key, g->meta[i].value};
        if (is_own_key(entry.key)) onnx_append(model, MODEL_METADATA, onnx_write_property, &entry);
    }
    return true;
}

bool skeleton_split(const graph *g, const char *path, text *model_fields, text *graph_fields) {
    wire_data file;
    const char *why = "it changed while it was compiled";
    if (!wire_read_file(g->arena, path, &file, &why))
        return diag_error(g->diag, NULL, NULL, "%s", why);
    const bool ok = split_model(g, &file, model_fields, graph_fields);
    free(file.data);
    return ok || diag_error(g->diag, NULL, NULL, "%s", why);
}
