/* Inlining of model-local functions (IR 8): a call becomes the function's nodes, with names of
   their own, in the scope of the call's values and attributes. Functions may call functions;
   recursion is refused. */
#include <string.h>

#include "internal.h"

enum {
    MAX_EXPANDED = 100000,
    MAX_NESTING = 32,
    MAX_PORTS = 1000
}; /* of nodes and calls: doubling functions grow exponentially */

/* ---- names of one scope ---- */

struct name_map {
    arena *arena;
    struct entry {
        const char *name;
        value *v;
    } * slots;
    size_t count, capacity; /* a power of two, at most half full */
};

name_map *name_map_create(arena *a, size_t expected) {
    name_map *m = ARENA_NEW(a, name_map);
    m->arena = a;
    for (m->capacity = 16; m->capacity < 2 * expected; m->capacity *= 2) {}
    m->slots = ARENA_ARRAY(a, struct entry, m->capacity);
    return m;
}

static struct entry *slot_of(const name_map *m, const char *name) {
    size_t i = name_hash(name) & (m->capacity - 1);
    while (m->slots[i].name && strcmp(m->slots[i].name, name) != 0) i = (i + 1) & (m->capacity - 1);
    return &m->slots[i];
}

value *name_map_get(const name_map *m, const char *name, bool *found) {
    const struct entry *e = slot_of(m, name);
    *found = e->name != NULL;
    return e->v;
}

static void grow(name_map *m) {
    name_map old = *m;
    m->capacity *= 2;
    m->slots = ARENA_ARRAY(m->arena, struct entry, m->capacity);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].name) *slot_of(m, old.slots[i].name) = old.slots[i];
}

void name_map_put(name_map *m, const char *name, value *v) {
    if (2 * (m->count + 1) > m->capacity) grow(m);
    struct entry *e = slot_of(m, name);
    if (!e->name) m->count++;
    *e = (struct entry){arena_strdup(m->arena, name), v};
}

/* ---- functions ---- */

static bool same(const char *a, const char *b) { return strcmp(a ? a : "", b ? b : "") == 0; }

const Onnx__FunctionProto *onnx_find_function(const importer *im, const Onnx__NodeProto *p) {
    for (size_t i = 0; i < im->model->n_functions; i++) {
        const Onnx__FunctionProto *f = im->model->functions[i];
        if (same(f->name, p->op_type) &&
            strcmp(onnx_domain(f->domain), onnx_domain(p->domain)) == 0 &&
            same(f->overload, p->overload))
            return f;
    }
    return NULL;
}

static bool recursive(const scope *s, const Onnx__FunctionProto *f) {
    for (; s; s = s->parent)
        if (s->function == f) return true;
    return false;
}

static int nesting(const scope *s) {
    int depth = 0;
    for (; s; s = s->parent) depth++;
    return depth;
}

static bool may_inline(importer *im, const scope *caller, const Onnx__FunctionProto *f,
                       const node *call) {
    graph *g = im->g;
    if (recursive(caller, f))
        return node_error(g, call, "function \"%s\" calls itself", call->op_type);
    if (nesting(caller) > MAX_NESTING)
        return node_error(g, call, "functions are nested more than %d deep", MAX_NESTING);
    if (call->n_in > f->n_input)
        return node_error(g, call, "calls a function of %zu inputs with %zu", f->n_input,
                          call->n_in);
    if (call->n_out > f->n_output)
        return node_error(g, call, "takes %zu outputs of a function of %zu", call->n_out,
                          f->n_output);
    if (f->n_input > MAX_PORTS || f->n_output > MAX_PORTS || f->n_opset_import > MAX_PORTS ||
        f->n_attribute_proto > MAX_PORTS)
        return node_error(
            g, call, "calls a function with more than %d inputs, outputs, imports or attributes",
            MAX_PORTS);
    im->expanded += f->n_node + f->n_output + 1;
    if (im->expanded > MAX_EXPANDED)
        return node_error(g, call, "the model's functions expand to more than %d nodes",
                          MAX_EXPANDED);
    return true;
}

static bool bind_inputs(importer *im, const scope *s, const node *call) {
    for (size_t i = 0; i < s->function->n_input; i++) {
        bool twice;
        const char *name = s->function->input[i];
        name_map_get(s->names, name, &twice);
        if (twice)
            return node_error(im->g, call, "its function names the input \"%s\" twice",
                              onnx_shown(im->g->arena, name));
        if (*name) name_map_put(s->names, name, i < call->n_in ? call->in[i] : NULL);
    }
    return true;
}

/* What the function calls its output is the caller's value; where the function hands an input
   through, or one value out twice, an Identity is put between. */
typedef struct handed_out {
    const char *name;
    value *to;
} handed_out;

static size_t bind_outputs(const scope *s, const node *call, handed_out *through) {
    size_t n = 0;
    for (size_t i = 0; i < call->n_out; i++) {
        bool taken;
        const char *name = s->function->output[i];
        if (!call->out[i]) continue;
        name_map_get(s->names, name, &taken);
        if (taken)
            through[n++] = (handed_out){name, call->out[i]};
        else
            name_map_put(s->names, name, call->out[i]);
    }
    return n;
}

static bool hand_through(importer *im, const scope *s, const node *call, const handed_out *h) {
    bool found;
    value *from = name_map_get(s->names, h->name, &found);
    if (!from)
        return node_error(im->g, call, "its function hands out an input that the call leaves out");
    if (h->to->producer)
        return node_error(im->g, call, "writes \"%s\", which another node writes too",
                          onnx_shown(im->g->arena, h->to->name));
    node *n = graph_add_node(im->g, "Identity", "", &from, 1, &h->to, 1);
    n->index = call->index;
    n->name = call->name;
    n->opset = 1;
    return true;
}

bool onnx_inline(importer *im, const scope *caller, const Onnx__FunctionProto *f,
                 const node *call) {
    arena *a = im->g->arena;
    if (!may_inline(im, caller, f, call)) return false;
    const char *label = *call->name ? call->name : call->op_type;
    scope s = {.parent = caller,
               .function = f,
               .attrs = call->attrs,
               .n_attrs = call->n_attrs,
               .index = call->index};
    s.prefix = strlen(label) < 512 ? arena_printf(a, "%s/", label)
                                   : arena_printf(a, "call%d/", call->index);
    s.names = name_map_create(a, f->n_input + f->n_output + f->n_node);
    handed_out *through = ARENA_ARRAY(a, handed_out, call->n_out);
    if (!bind_inputs(im, &s, call)) return false;
    size_t n = bind_outputs(&s, call, through);
    bool ok = onnx_import_nodes(im, &s, f->node, f->n_node);
    for (size_t i = 0; i < n; i++) ok &= hand_through(im, &s, call, &through[i]);
    for (size_t i = 0; ok && i < call->n_out; i++)
        if (call->out[i] && !call->out[i]->producer)
            ok = node_error(im->g, call, "its function never computes the output \"%s\"",
                            onnx_shown(a, f->output[i]));
    return ok;
}
