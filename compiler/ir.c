/* The graph's own functions: building, changing and reading nodes and values. Types and tensors are in tensor.c, the verifier
   and the dump in ir_verify.c. */
#include "ir.h"

#include <string.h>

graph *graph_create(arena *a, diag *d) {
    graph *g = ARENA_NEW(a, graph);
    g->arena = a;
    g->diag = d;
    g->name = "";
    g->producer = "";
    g->batch = 1;
    return g;
}

/* Appends a pointer to an arena array that doubles. */
static void push(arena *a, void ***items, size_t *count, size_t *capacity, void *item) {
    if (*count == *capacity) {
        size_t more = *capacity ? *capacity * 2 : 64;
        void **grown = ARENA_ARRAY(a, void *, more);
        if (*count) memcpy(grown, *items, *count * sizeof *grown);
        *items = grown;
        *capacity = more;
    }
    (*items)[(*count)++] = item;
}

/* FNV-1a. */
static size_t name_hash(const char *s) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32);
}

/* The slot that holds `name`, or the free one where it belongs. */
static value **name_slot(const graph *g, const char *name) {
    size_t i = name_hash(name) & (g->cap_by_name - 1);
    while (g->by_name[i] && strcmp(g->by_name[i]->name, name) != 0) i = (i + 1) & (g->cap_by_name - 1);
    return &g->by_name[i];
}

value *graph_find_value(const graph *g, const char *name) { return g->cap_by_name ? *name_slot(g, name) : NULL; }

static void index_value(graph *g, value *v) {
    if (2 * (g->n_values + 1) > g->cap_by_name) {
        g->cap_by_name = g->cap_by_name ? 2 * g->cap_by_name : 256;
        g->by_name = ARENA_ARRAY(g->arena, value *, g->cap_by_name);
        for (size_t i = 0; i < g->n_values; i++) *name_slot(g, g->values[i]->name) = g->values[i];
    }
    *name_slot(g, v->name) = v;
}

value *graph_add_value(graph *g, const char *name) {
    value *v = ARENA_NEW(g->arena, value);
    v->id = (int)g->n_values;
    v->arena_offset = -1;
    v->name = arena_strdup(g->arena, name ? name : arena_printf(g->arena, "~%d", v->id));
    for (int k = v->id; graph_find_value(g, v->name); k++) v->name = arena_printf(g->arena, "%s~%d", name ? name : "", k);
    index_value(g, v);
    push(g->arena, (void ***)(void *)&g->values, &g->n_values, &g->cap_values, v);
    return v;
}

value *graph_add_constant(graph *g, const char *name, tensor *t) {
    value *v = graph_add_value(g, name);
    v->type = t->type;
    v->shape = t->shape;
    v->shaped = true;
    v->constant = t;
    return v;
}

static value **copy_values(arena *a, value *const *from, size_t n) {
    value **to = ARENA_ARRAY(a, value *, n);
    if (n) memcpy(to, from, n * sizeof *to);
    return to;
}

node *graph_add_node(graph *g, const char *op_type, const char *domain, value *const *in, size_t n_in, value *const *out,
                     size_t n_out) {
    node *n = ARENA_NEW(g->arena, node);
    n->index = (int)g->n_nodes;
    n->name = "";
    n->op_type = arena_strdup(g->arena, op_type);
    n->domain = arena_strdup(g->arena, domain);
    n->opcode = opcode_find(domain, op_type);
    n->opset = 1;
    n->in = copy_values(g->arena, in, n_in);
    n->n_in = n_in;
    n->out = copy_values(g->arena, out, n_out);
    n->n_out = n_out;
    for (size_t i = 0; i < n_out; i++)
        if (out[i]) out[i]->producer = n;
    push(g->arena, (void ***)(void *)&g->nodes, &g->n_nodes, &g->cap_nodes, n);
    return n;
}

static size_t node_position(const graph *g, const node *n) {
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i] == n) return i;
    BUG("node \"%s\" is not in the graph", n->name);
}

node *graph_insert_before(graph *g, node *where, node *made) {
    size_t from = node_position(g, made), to = node_position(g, where);
    if (from < to) BUG("graph_insert_before moves a node backwards only");
    memmove(g->nodes + to + 1, g->nodes + to, (from - to) * sizeof(node *));
    g->nodes[to] = made;
    return made;
}

void graph_replace_uses(graph *g, value *from, value *to) {
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t k = 0; k < g->nodes[i]->n_in; k++)
            if (g->nodes[i]->in[k] == from) g->nodes[i]->in[k] = to;
}

bool value_is_external(const value *v) { return v->constant || v->role == ROLE_PARAMETER; }

bool value_is_stored(const value *v) { return v->role == ROLE_UPDATE || v->role == ROLE_GRADIENT; }

size_t graph_count_uses(const graph *g, const value *v) {
    size_t uses = v->is_output || value_is_stored(v);
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t k = 0; !g->nodes[i]->dead && k < g->nodes[i]->n_in; k++) uses += g->nodes[i]->in[k] == v;
    return uses;
}

void graph_sweep(graph *g) {
    bool *used = ARENA_ARRAY(g->arena, bool, g->n_values);
    for (size_t i = 0; i < g->n_outputs; i++) used[g->outputs[i]->id] = true;
    if (g->embedding) used[g->embedding->id] = true;
    for (size_t i = 0; i < g->n_values; i++) used[i] |= value_is_stored(g->values[i]);
    for (size_t i = g->n_nodes; i-- > 0;) { /* consumers come after producers */
        node *n = g->nodes[i];
        bool needed = false;
        for (size_t k = 0; k < n->n_out; k++) needed |= n->out[k] && used[n->out[k]->id];
        if (!needed) n->dead = true;
        for (size_t k = 0; !n->dead && k < n->n_in; k++)
            if (n->in[k]) used[n->in[k]->id] = true;
    }
    size_t kept = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->dead) g->nodes[kept++] = g->nodes[i];
    g->n_nodes = kept;
}

const char *node_label(const node *n) {
    return n->name && n->name[0] ? n->name : n->n_out && n->out[0] ? n->out[0]->name : n->op_type;
}

const attr *node_attr(const node *n, const char *name) {
    for (size_t i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, name) == 0) return &n->attrs[i];
    return NULL;
}

int64_t node_int(const node *n, const char *name, int64_t otherwise) {
    const attr *a = node_attr(n, name);
    return a && a->kind == ATTR_INT ? a->i : otherwise;
}

float node_float(const node *n, const char *name, float otherwise) {
    const attr *a = node_attr(n, name);
    return a && a->kind == ATTR_FLOAT ? a->f : otherwise;
}

const char *node_string(const node *n, const char *name, const char *otherwise) {
    const attr *a = node_attr(n, name);
    return a && a->kind == ATTR_STRING ? a->s : otherwise;
}

const attr *node_ints(const node *n, const char *name) {
    const attr *a = node_attr(n, name);
    return a && a->kind == ATTR_INTS ? a : NULL;
}

/* The attribute called name, emptied, added when the node lacks it. */
static attr *attr_slot(graph *g, node *n, const char *name, attr_kind kind) {
    attr *a = NULL;
    for (size_t i = 0; i < n->n_attrs && !a; i++)
        if (strcmp(n->attrs[i].name, name) == 0) a = &n->attrs[i];
    if (!a) {
        attr *grown = ARENA_ARRAY(g->arena, attr, n->n_attrs + 1);
        if (n->n_attrs) memcpy(grown, n->attrs, n->n_attrs * sizeof *grown);
        n->attrs = grown;
        a = &grown[n->n_attrs++];
    }
    *a = (attr){.name = arena_strdup(g->arena, name), .kind = kind};
    return a;
}

void node_set_int(graph *g, node *n, const char *name, int64_t v) { attr_slot(g, n, name, ATTR_INT)->i = v; }

void node_set_float(graph *g, node *n, const char *name, float v) { attr_slot(g, n, name, ATTR_FLOAT)->f = v; }

void node_set_string(graph *g, node *n, const char *name, const char *v) {
    const char *copy = arena_strdup(g->arena, v);
    attr *a = attr_slot(g, n, name, ATTR_STRING);
    a->s = copy;
    a->count = strlen(copy);
}

void node_set_ints(graph *g, node *n, const char *name, const int64_t *v, size_t count) {
    int64_t *copy = ARENA_ARRAY(g->arena, int64_t, count);
    if (count) memcpy(copy, v, count * sizeof *copy);
    attr *a = attr_slot(g, n, name, ATTR_INTS);
    a->ints = copy;
    a->count = count;
}

void node_set_input(graph *g, node *n, size_t i, value *v) {
    if (i >= n->n_in) {
        value **grown = ARENA_ARRAY(g->arena, value *, i + 1);
        if (n->n_in) memcpy(grown, n->in, n->n_in * sizeof *grown);
        n->in = grown;
        n->n_in = i + 1;
    }
    n->in[i] = v;
}

void value_strides(const value *v, int64_t stride[MAX_RANK]) {
    const int64_t *d = v->shape.dim;
    if (v->layout == LAYOUT_NHWC) {
        int64_t pixel = v->pixel_stride ? v->pixel_stride : d[1];
        stride[1] = 1;
        stride[3] = pixel;
        stride[2] = pixel * d[3];
        stride[0] = pixel * d[3] * d[2];
    } else {
        int64_t s = 1;
        for (int k = v->shape.rank - 1; k >= 0; k--) {
            stride[k] = s;
            s *= d[k];
        }
    }
    for (int k = 0; k < v->shape.rank; k++)
        if (d[k] == 1) stride[k] = 0;
}

int64_t value_count(const value *v) { return shape_count(&v->shape); }

static value **map_values(arena *a, value *const *from, size_t n, value *const *map) {
    value **to = ARENA_ARRAY(a, value *, n);
    for (size_t i = 0; i < n; i++) to[i] = from[i] ? map[from[i]->id] : NULL;
    return to;
}

static node *clone_node(arena *a, const node *n, value *const *map) {
    node *m = ARENA_NEW(a, node);
    *m = *n;
    m->in = map_values(a, n->in, n->n_in, map);
    m->out = map_values(a, n->out, n->n_out, map);
    m->attrs = ARENA_ARRAY(a, attr, n->n_attrs);
    if (n->n_attrs) memcpy(m->attrs, n->attrs, n->n_attrs * sizeof *m->attrs);
    for (size_t i = 0; i < m->n_out; i++)
        if (m->out[i]) m->out[i]->producer = m;
    return m;
}

graph *graph_clone(const graph *g) {
    arena *a = g->arena;
    graph *c = ARENA_NEW(a, graph);
    *c = *g;
    c->cap_values = g->n_values, c->cap_nodes = g->n_nodes;
    c->values = ARENA_ARRAY(a, value *, g->n_values);
    c->nodes = ARENA_ARRAY(a, node *, g->n_nodes);
    for (size_t i = 0; i < g->n_values; i++) {
        c->values[i] = ARENA_NEW(a, value);
        *c->values[i] = *g->values[i];
    }
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->base) c->values[i]->base = c->values[g->values[i]->base->id];
    for (size_t i = 0; i < g->n_nodes; i++) c->nodes[i] = clone_node(a, g->nodes[i], c->values);
    c->by_name = ARENA_ARRAY(a, value *, g->cap_by_name);
    for (size_t i = 0; i < g->cap_by_name; i++) c->by_name[i] = g->by_name[i] ? c->values[g->by_name[i]->id] : NULL;
    c->inputs = map_values(a, g->inputs, g->n_inputs, c->values);
    c->outputs = map_values(a, g->outputs, g->n_outputs, c->values);
    if (g->embedding) c->embedding = c->values[g->embedding->id];
    return c;
}
