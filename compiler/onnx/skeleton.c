/* Splitting a model file along its wire format: fields are copied as they are, whatever they hold,
   so that a checkpoint keeps all that the model's author put into the file. */
#include "skeleton.h"

#include <string.h>

#include "../../runtime/base/onnx_fields.h"
#include "export.h"

enum { INPUTS_ARE_LISTED = 3 }; /* the last IR version that lists initializers */

static bool is_parameter(const graph *g, cameo_wire name) {
    for (size_t i = 0; i < g->n_parameters; i++)
        if (cameo_wire_equals(name, g->parameters[i]->name)) return true;
    return false;
}

static bool is_replaced(const graph *g, cameo_wire name) {
    for (size_t i = 0; g->new_head && i < g->new_head->n_dropped; i++)
        if (cameo_wire_equals(name, g->new_head->dropped[i])) return true;
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
    cameo_wire name; /* of an initializer, an input, a described value; of a node's first output */
    int place;       /* among nodes; -1: it is none */
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

/* Of a node that leaves training mode; any change of it when `any`. */
static const file_change *change_of(const graph *g, int place, bool any) {
    for (size_t i = 0; i < g->file.n_changes; i++) {
        const file_change *c = &g->file.changes[i];
        if (c->node == place && (any || !c->reads)) return c;
    }
    return NULL;
}

static bool is_training_mode(const cameo_field *f) {
    return f->number == NODE_ATTRIBUTE &&
           cameo_wire_equals(cameo_wire_find(f->bytes, ATTRIBUTE_NAME), "training_mode");
}

typedef struct changed { /* a node that is written otherwise than it stands in the file */
    const graph *g;
    const part *p;
} changed;

/* The node again, reading what it reads now; one in training mode as it is in evaluation. */
static void write_changed(cameo_sink *s, const void *item) {
    const changed *n = item;
    const file_change *mode = change_of(n->g, n->p->place, false);
    cameo_wire w = n->p->f.bytes;
    cameo_field f;
    size_t n_in = 0, n_out = 0;
    while (w.p < w.end && cameo_wire_field(&w, &f)) {
        const bool input = f.number == NODE_INPUT, output = f.number == NODE_OUTPUT;
        const file_change *read = input ? reading_of(n->g, n->p->place, n_in) : NULL;
        n_in += input, n_out += output;
        if (mode && ((input && n_in > mode->n_in) || (output && n_out > mode->n_out) ||
                     is_training_mode(&f)))
            continue;
        if (read)
            cameo_sink_text(s, NODE_INPUT, read->reads);
        else
            cameo_sink_wire(s, f.whole);
    }
}

static bool reads_name(const graph *g, const part *p, const char *name) {
    const file_change *mode = change_of(g, p->place, false);
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
        if (p->f.number == GRAPH_OUTPUT ? cameo_wire_equals(p->name, name)
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
                if (p->gone || p->f.number == GRAPH_OUTPUT ||
                    !cameo_wire_equals(p->name, changes->loose[i]))
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

/* Where the name of a part is in it; 0: it has none. */
static unsigned name_field(const cameo_field *f) {
    if (f->type != CAMEO_WIRE_BYTES) return 0;
    switch (f->number) {
    case GRAPH_NODE: return NODE_OUTPUT;
    case GRAPH_INITIALIZER: return TENSOR_NAME;
    case GRAPH_INPUT:
    case GRAPH_OUTPUT:
    case GRAPH_VALUE_INFO: return INFO_NAME;
    default: return 0;
    }
}

static void find_parts(split *s, cameo_wire whole) {
    cameo_field f;
    size_t n = 0;
    int place = 0;
    for (cameo_wire w = whole; w.p < w.end && cameo_wire_field(&w, &f);) n++;
    s->parts = ARENA_ARRAY(s->g->arena, part, n);
    for (cameo_wire w = whole; w.p < w.end && cameo_wire_field(&w, &f);) {
        part *p = &s->parts[s->n_parts++];
        *p = (part){.f = f, .place = f.number == GRAPH_NODE ? place++ : -1};
        if (name_field(&f)) p->name = cameo_wire_find(f.bytes, name_field(&f));
        p->gone = drops(s->g, p);
    }
}

static bool is_listed(const split *s, const char *name) {
    for (size_t i = 0; i < s->n_parts; i++)
        if (s->parts[i].f.number == GRAPH_INPUT && !s->parts[i].gone &&
            cameo_wire_equals(s->parts[i].name, name))
            return true;
    return false;
}

static void put_graph(const split *s, text *out) {
    const graph *g = s->g;
    for (size_t i = 0; i < s->n_parts; i++) {
        const part *p = &s->parts[i];
        if (p->gone) continue;
        const changed again = {g, p};
        if (p->place < 0 || !change_of(g, p->place, true))
            text_append_n(out, p->f.whole.p, cameo_wire_size(p->f.whole));
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

static void split_graph(const graph *g, cameo_wire whole, text *out) {
    split s = {.g = g};
    find_parts(&s, whole);
    drop_loose(&s);
    put_graph(&s, out);
}

/* ---- the model around it ---- */

/* What compiling may have decided anew: the rest of the metadata is copied. */
static const char *const own_keys[] = {"cameo.embedding", "cameo.classes", "cameo.preprocess"};

static bool is_own_key(const char *key) {
    for (size_t i = 0; i < sizeof own_keys / sizeof *own_keys; i++)
        if (!strcmp(key, own_keys[i])) return true;
    return false;
}

/* The state of an earlier training run is not the model's. */
static bool is_training_state(const graph *g, const cameo_field *f) {
    if (f->number != MODEL_METADATA) return f->number == MODEL_TRAINING;
    const cameo_wire w = cameo_wire_find(f->bytes, ENTRY_KEY);
    const char *key = w.p ? arena_strndup(g->arena, (const char *)w.p, cameo_wire_size(w)) : "";
    return !strncmp(key, "cameo.train.", 12) || is_own_key(key);
}

void skeleton_split(const graph *g, text *model_fields, text *graph_fields) {
    cameo_field f;
    for (cameo_wire w = g->file.bytes; w.p < w.end && cameo_wire_field(&w, &f);) {
        if (f.number == MODEL_GRAPH)
            split_graph(g, f.bytes, graph_fields);
        else if (!is_training_state(g, &f))
            text_append_n(model_fields, f.whole.p, cameo_wire_size(f.whole));
    }
    for (size_t i = 0; i < g->n_meta; i++)
        if (is_own_key(g->meta[i].key))
            onnx_append(model_fields, MODEL_METADATA, cameo_write_entry, &g->meta[i]);
}
