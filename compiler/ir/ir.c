/* The graph's own functions: building, changing and reading nodes and values. Types and tensors
   are in tensor.c, the verifier and the dump in ir_verify.c. */
#include "copy.h"

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

/* FNV-1a. */
size_t name_hash(const char *s) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32);
}

/* The slot that holds `name`, or the free one where it belongs. */
static value **name_slot(const graph *g, const char *name) {
    size_t i = name_hash(name) & (g->cap_by_name - 1);
    while (g->by_name[i] && strcmp(g->by_name[i]->name, name) != 0)
        i = (i + 1) & (g->cap_by_name - 1);
    return &g->by_name[i];
}

value *graph_find_value(const graph *g, const char *name) {
    return g->cap_by_name ? *name_slot(g, name) : NULL;
}

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
    for (int k = v->id; graph_find_value(g, v->name); k++)
        v->name = arena_printf(g->arena, "%s~%d", name ? name : "", k);
    index_value(g, v);
    ARENA_GROW(g->arena, g->values, g->n_values, g->cap_values);
    g->values[g->n_values++] = v;
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

value *graph_add_ints(graph *g, const char *name, const int64_t *v, size_t n) {
    tensor *t = tensor_new(g->arena, DT_INT64, &(shape){.rank = 1, .dim = {(int64_t)n}});
    for (size_t i = 0; i < n; i++) ((int64_t *)t->data)[i] = v[i];
    return graph_add_constant(g, name, t);
}

/* ---- who reads a value ---- */

static void link_use(value_use *u, value *v) {
    u->link = v->uses ? v->uses_end : &v->uses;
    u->next = NULL;
    *u->link = u;
    v->uses_end = &u->next;
    v->n_uses++;
}

static void unlink_use(value_use *u, value *v) {
    *u->link = u->next;
    if (u->next)
        u->next->link = u->link;
    else
        v->uses_end = u->link;
    v->n_uses--;
}

static void add_read(arena *a, node *n, size_t i) {
    if (!n->in[i]) return;
    value_use *u = n->reads[i] = ARENA_NEW(a, value_use);
    u->user = n, u->input = i;
    link_use(u, n->in[i]);
}

static void drop_read(node *n, size_t i) {
    if (!n->reads || !n->reads[i]) return;
    unlink_use(n->reads[i], n->in[i]);
    n->reads[i] = NULL;
}

/* ---- nodes ---- */

static void take_inputs(arena *a, node *n, value *const *in, size_t n_in) {
    n->in = ARENA_COPY(a, in, n_in, n_in);
    n->n_in = n_in;
    n->reads = ARENA_ARRAY(a, value_use *, n_in + 1); /* there even without inputs: such a node is
                                                         of the graph */
    for (size_t i = 0; i < n_in; i++) add_read(a, n, i);
}

node *graph_add_node(graph *g, const char *op_type, const char *domain, value *const *in,
                     size_t n_in, value *const *out, size_t n_out) {
    node *n = ARENA_NEW(g->arena, node);
    n->index = (int)g->n_nodes;
    n->name = "";
    n->op_type = arena_strdup(g->arena, op_type);
    n->domain = arena_strdup(g->arena, domain);
    n->opcode = opcode_find(domain, op_type);
    n->opset = 1;
    n->out = ARENA_COPY(g->arena, out, n_out, n_out);
    n->n_out = n_out;
    for (size_t i = 0; i < n_out; i++)
        if (out[i]) out[i]->producer = n;
    take_inputs(g->arena, n, in, n_in);
    n->position = g->n_nodes;
    ARENA_GROW(g->arena, g->nodes, g->n_nodes, g->cap_nodes);
    g->nodes[g->n_nodes++] = n;
    return n;
}

void node_set_input(graph *g, node *n, size_t i, value *v) {
    if (i >= n->n_in) {
        if (n->reads) n->reads = ARENA_COPY(g->arena, n->reads, n->n_in, i + 1);
        n->in = ARENA_COPY(g->arena, n->in, n->n_in, i + 1);
        n->n_in = i + 1;
    }
    drop_read(n, i);
    ((value **)n->in)[i] = v;
    if (n->reads) add_read(g->arena, n, i);
}

void node_set_inputs(graph *g, node *n, value *const *in, size_t n_in) {
    for (size_t i = 0; i < n->n_in; i++) drop_read(n, i);
    take_inputs(g->arena, n, in, n_in);
}

void node_limit_inputs(node *n, size_t n_in) {
    for (size_t i = n_in; i < n->n_in; i++) drop_read(n, i);
    if (n->n_in > n_in) n->n_in = n_in;
}

static void drop_output(node *n, size_t i) {
    if (n->out[i] && n->out[i]->producer == n) n->out[i]->producer = NULL;
}

void node_set_output(graph *g, node *n, size_t i, value *v) {
    if (i >= n->n_out) {
        n->out = ARENA_COPY(g->arena, n->out, n->n_out, i + 1);
        n->n_out = i + 1;
    }
    drop_output(n, i);
    ((value **)n->out)[i] = v;
    if (v) v->producer = n;
}

void node_limit_outputs(node *n, size_t n_out) {
    for (size_t i = n_out; i < n->n_out; i++) drop_output(n, i);
    if (n->n_out > n_out) n->n_out = n_out;
}

void node_kill(node *n) {
    for (size_t i = 0; i < n->n_in; i++) drop_read(n, i);
    for (size_t i = 0; i < n->n_out; i++) drop_output(n, i);
    n->reads = NULL;
    n->dead = true;
}

/* ---- their order ---- */

static void renumber(graph *g, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) g->nodes[i]->position = i;
}

void graph_move(graph *g, node *n, size_t position) {
    const size_t from = n->position;
    if (from >= g->n_nodes || g->nodes[from] != n) BUG("node \"%s\" is not in the graph", n->name);
    node **at = g->nodes;
    if (from < position)
        memmove(at + from, at + from + 1, (position - from) * sizeof *at);
    else
        memmove(at + position + 1, at + position, (from - position) * sizeof *at);
    at[position] = n;
    renumber(g, from < position ? from : position, (from < position ? position : from) + 1);
}

void graph_reorder(graph *g, node *const *order) {
    if (g->n_nodes) memcpy(g->nodes, order, g->n_nodes * sizeof *order);
    renumber(g, 0, g->n_nodes);
}

void graph_replace_uses(graph *g, value *from, value *to) {
    (void)g;
    if (from == to) return;
    for (value_use *u = from->uses, *next; u; u = next) {
        next = u->next;
        ((value **)u->user->in)[u->input] = to;
        link_use(u, to);
    }
    from->uses = NULL, from->n_uses = 0;
}

void graph_absorb(graph *g, node *n, node *next) {
    value *y = next->out[0];
    graph_move(g, n, next->position);
    node_kill(next);
    next->n_out = 0;
    node_set_output(g, n, 0, y);
}

bool value_is_external(const value *v) { return v->constant || v->role == ROLE_PARAMETER; }

bool value_is_stored(const value *v) { return v->role == ROLE_UPDATE || v->role == ROLE_GRADIENT; }

void graph_sweep(graph *g) {
    bool *used = ARENA_ARRAY(g->arena, bool, g->n_values);
    for (size_t i = 0; i < g->n_outputs; i++) used[g->outputs[i]->id] = true;
    if (g->embedding) used[g->embedding->id] = true;
    for (size_t i = 0; i < g->n_values; i++) used[i] |= value_is_stored(g->values[i]);
    for (size_t i = g->n_nodes; i-- > 0;) { /* consumers come after producers */
        node *n = g->nodes[i];
        bool needed = false;
        for (size_t k = 0; k < n->n_out; k++) needed |= n->out[k] && used[n->out[k]->id];
        if (!needed && !n->dead) node_kill(n);
        for (size_t k = 0; !n->dead && k < n->n_in; k++)
            if (n->in[k]) used[n->in[k]->id] = true;
    }
    size_t kept = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->dead) g->nodes[kept++] = g->nodes[i];
    g->n_nodes = kept;
    renumber(g, 0, kept);
}

const char *node_label(const node *n) {
    return n->name && n->name[0] ? n->name : n->n_out && n->out[0] ? n->out[0]->name : n->op_type;
}

const attr *node_attr(const node *n, const char *name) {
    for (size_t i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, name) == 0) return &n->attrs[i];
    return NULL;
}

static const attr *attr_of_kind(const node *n, const char *name, attr_kind kind) {
    const attr *a = node_attr(n, name);
    return a && a->kind == kind ? a : NULL;
}

int64_t node_int(const node *n, const char *name, int64_t otherwise) {
    const attr *a = attr_of_kind(n, name, ATTR_INT);
    return a ? a->i : otherwise;
}

double node_float(const node *n, const char *name, double otherwise) {
    const attr *a = attr_of_kind(n, name, ATTR_FLOAT);
    return a ? (double)a->f : otherwise;
}

int node_axis(const node *n, int rank, int64_t otherwise) {
    const int64_t axis = node_int(n, "axis", otherwise);
    return (int)(axis < 0 ? axis + rank : axis);
}

const char *node_string(const node *n, const char *name, const char *otherwise) {
    const attr *a = attr_of_kind(n, name, ATTR_STRING);
    return a ? a->s : otherwise;
}

const attr *node_ints(const node *n, const char *name) { return attr_of_kind(n, name, ATTR_INTS); }

/* The attribute called name, emptied, added when the node lacks it. */
static attr *attr_slot(graph *g, node *n, const char *name, attr_kind kind) {
    attr *a = (attr *)node_attr(n, name);
    if (!a) {
        ARENA_APPEND(g->arena, n->attrs, n->n_attrs, (attr){0});
        a = &n->attrs[n->n_attrs - 1];
    }
    *a = (attr){.name = arena_strdup(g->arena, name), .kind = kind};
    return a;
}

void node_set_int(graph *g, node *n, const char *name, int64_t v) {
    attr_slot(g, n, name, ATTR_INT)->i = v;
}

void node_set_float(graph *g, node *n, const char *name, double v) {
    attr_slot(g, n, name, ATTR_FLOAT)->f = (float)v;
}

void node_set_string(graph *g, node *n, const char *name, const char *v) {
    const char *own = arena_strdup(g->arena, v);
    attr *a = attr_slot(g, n, name, ATTR_STRING);
    a->s = own;
    a->count = strlen(own);
}

void node_set_ints(graph *g, node *n, const char *name, const int64_t *v, size_t count) {
    const int64_t *own = ARENA_COPY(g->arena, v, count, count); /* v may be the slot's */
    attr *a = attr_slot(g, n, name, ATTR_INTS);
    a->ints = own;
    a->count = count;
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
        copy_dense(&v->shape, stride);
    }
    for (int k = 0; k < v->shape.rank; k++)
        if (d[k] == 1) stride[k] = 0;
}

int64_t value_count(const value *v) { return shape_count(&v->shape); }

bool value_is_real(const value *v) { return v->type == DT_FLOAT || v->type == DT_DOUBLE; }

bool value_is_learnt(const value *v) { return v->role == ROLE_PARAMETER && v->param->learnt; }

bool value_is_static(const value *v) { return v->shaped && shape_known(&v->shape); }

static value **map_values(arena *a, value *const *from, size_t n, value *const *map) {
    value **to = ARENA_ARRAY(a, value *, n);
    for (size_t i = 0; i < n; i++) to[i] = from[i] ? map[from[i]->id] : NULL;
    return to;
}

static node *clone_node(arena *a, const node *n, value *const *map) {
    node *m = ARENA_COPY(a, n, 1, 1);
    value **in = map_values(a, n->in, n->n_in, map);
    if (n->dead)
        m->in = in;
    else
        take_inputs(a, m, in, n->n_in);
    m->out = map_values(a, n->out, n->n_out, map);
    m->attrs = ARENA_COPY(a, n->attrs, n->n_attrs, n->n_attrs);
    for (size_t i = 0; i < m->n_out; i++)
        if (m->out[i] && !m->dead) m->out[i]->producer = m;
    return m;
}

const node *node_of_images(arena *a, const node *n, int64_t images) {
    node *m = ARENA_COPY(a, n, 1, 1);
    value **values = ARENA_ARRAY(a, value *, n->n_in + n->n_out);
    m->in = values, m->out = values + n->n_in, m->reads = NULL;
    for (size_t i = 0; i < n->n_in + n->n_out; i++) {
        value *v = values[i] = node_value(n, i);
        if (!v || !v->batched) continue;
        values[i] = ARENA_COPY(a, v, 1, 1);
        values[i]->shape.dim[0] = images;
    }
    return m;
}

graph *graph_clone(const graph *g) {
    arena *a = g->arena;
    graph *c = ARENA_COPY(a, g, 1, 1);
    c->cap_values = g->n_values, c->cap_nodes = g->n_nodes;
    c->values = ARENA_ARRAY(a, value *, g->n_values);
    c->nodes = ARENA_ARRAY(a, node *, g->n_nodes);
    for (size_t i = 0; i < g->n_values; i++) {
        c->values[i] = ARENA_COPY(a, g->values[i], 1, 1);
        c->values[i]->uses = NULL, c->values[i]->n_uses = 0;
    }
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->base) c->values[i]->base = c->values[g->values[i]->base->id];
    for (size_t i = 0; i < g->n_nodes; i++) c->nodes[i] = clone_node(a, g->nodes[i], c->values);
    c->by_name = ARENA_ARRAY(a, value *, g->cap_by_name);
    for (size_t i = 0; i < g->cap_by_name; i++)
        c->by_name[i] = g->by_name[i] ? c->values[g->by_name[i]->id] : NULL;
    c->inputs = map_values(a, g->inputs, g->n_inputs, c->values);
    c->outputs = map_values(a, g->outputs, g->n_outputs, c->values);
    if (g->embedding) c->embedding = c->values[g->embedding->id];
    return c;
}
