/* The IR's verifier and its text dump. */

#include "implementation.h"
#include "ir.h"

#define BROKEN(format, ...) BUG("after %s: " format, after, __VA_ARGS__)

static void verify_node(const graph *g, const node *n, const bool *defined, const char *after) {
    for (size_t k = 0; k < n->n_in; k++) {
        const value *v = n->in[k];
        if (!v) continue;
        if (v->id < 0 || (size_t)v->id >= g->n_values || g->values[v->id] != v)
            BROKEN("input %zu of node \"%s\" is not a value of the graph", k, n->name);
        if (!defined[v->id])
            BROKEN("node \"%s\" (%s) reads \"%s\" before it is computed", n->name, n->op_type,
                   v->name);
    }
    for (size_t k = 0; k < n->n_out; k++) {
        const value *v = n->out[k];
        if (!v) continue;
        if (defined[v->id]) BROKEN("\"%s\" is defined twice", v->name);
        if (v->producer != n) BROKEN("\"%s\" does not know its producer \"%s\"", v->name, n->name);
    }
}

/* Every read of the node stands in the list of the value that it reads. */
static void verify_reads(const node *n, const char *after) {
    for (size_t k = 0; k < n->n_in; k++) {
        const value_use *u = n->reads ? n->reads[k] : NULL;
        if (!n->in[k] && !u) continue;
        if (!n->in[k] || !u || u->user != n || u->input != k || *u->link != u)
            BROKEN("input %zu of node \"%s\" is not among its value's uses", k, n->name);
    }
}

/* And nothing else does: a list holds as many as it says, of live nodes that read this value. */
static void verify_uses(const value *v, const char *after) {
    size_t count = 0;
    const value_use *last = NULL;
    for (const value_use *u = v->uses; u && count <= v->n_uses; last = u, u = u->next, count++)
        if (u->user->dead || u->input >= u->user->n_in || u->user->in[u->input] != v ||
            u->user->reads[u->input] != u)
            BROKEN("\"%s\" is not read by \"%s\", which is among its uses", v->name, u->user->name);
    if (count != v->n_uses || (last && v->uses_end != &last->next))
        BROKEN("\"%s\" has another number of uses than it says", v->name);
}

static void verify_typed(const value *v, const char *after) {
    if (v->type == DT_NONE || !value_is_static(v))
        BROKEN("\"%s\" has no static type and shape", v->name);
    if (v->constant &&
        (v->constant->type != v->type || !shape_equal(&v->constant->shape, &v->shape)))
        BROKEN("constant \"%s\" disagrees with its value's type or shape", v->name);
    if (v->layout == LAYOUT_NHWC && v->shape.rank != 4)
        BROKEN("\"%s\" is NHWC but not of rank 4", v->name);
}

void ir_verify(const graph *g, const char *after, bool typed) {
    arena *scratch = arena_create();
    bool *defined = ARENA_ARRAY(scratch, bool, g->n_values + 1);
    for (size_t i = 0; i < g->n_values; i++) {
        const value *v = g->values[i];
        if ((size_t)v->id != i) BROKEN("value \"%s\" has id %d at position %zu", v->name, v->id, i);
        if (v->producer && v->producer->dead) BROKEN("\"%s\" is made by a dead node", v->name);
        verify_uses(v, after);
        defined[i] = value_is_external(v) || v->is_input;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        const node *n = g->nodes[i];
        if (n->position != i)
            BROKEN("node \"%s\" is at %zu and not at %zu", n->name, i, n->position);
        if (n->dead) continue;
        verify_node(g, n, defined, after);
        verify_reads(n, after);
        for (size_t k = 0; k < n->n_out; k++)
            if (n->out[k]) defined[n->out[k]->id] = true;
        for (size_t k = 0; typed && k < n->n_in; k++)
            if (n->in[k]) verify_typed(n->in[k], after);
        for (size_t k = 0; typed && k < n->n_out; k++)
            if (n->out[k]) verify_typed(n->out[k], after);
    }
    for (size_t i = 0; i < g->n_outputs; i++)
        if (!defined[g->outputs[i]->id])
            BROKEN("output \"%s\" is never computed", g->outputs[i]->name);
    arena_destroy(scratch);
}

static void dump_value(const value *v, text *out) {
    if (!v) {
        text_append(out, "-");
        return;
    }
    text_append(out, "%");
    text_escape(out, v->name);
    text_put(out, ":$0[", dtype_name(v->type));
    if (v->shaped && v->shape.rank == 0)
        text_append(out, "scalar");
    else
        value_print_shape(out, v, "x");
    text_append(out, "]");
    if (v->layout == LAYOUT_NHWC) text_append(out, " nhwc");
    if (v->batched) text_append(out, " batched");
    if (v->constant) text_append(out, " const");
    static const char *const roles[] = {"", " parameter", " update", " gradient"};
    text_append(out, roles[v->role]);
    if (v->base) text_printf(out, " view(%s+%lld)", v->base->name, (long long)v->view_offset);
    if (v->pixel_stride) text_printf(out, " pixel=%lld", (long long)v->pixel_stride);
    if (v->arena_offset >= 0) text_printf(out, " @%lld", (long long)v->arena_offset);
}

static void dump_values(value *const *list, size_t n, const char *begin, const char *between,
                        const char *end, text *out) {
    text_append(out, begin);
    for (size_t i = 0; i < n; i++) {
        if (i) text_append(out, between);
        dump_value(list[i], out);
    }
    text_append(out, end);
}

static void dump_attr(const attr *a, text *out) {
    text_append(out, " ");
    text_escape(out, a->name);
    text_append(out, "=");
    switch (a->kind) {
    case ATTR_INT: text_printf(out, "%lld", (long long)a->i); break;
    case ATTR_FLOAT: text_printf(out, "%.9g", (double)a->f); break;
    case ATTR_STRING:
        text_append(out, "\"");
        text_escape(out, a->s);
        text_append(out, "\"");
        break;
    case ATTR_INTS:
    case ATTR_FLOATS:
        text_append(out, "[");
        for (size_t i = 0; i < a->count; i++)
            if (a->kind == ATTR_INTS)
                text_printf(out, "%s%lld", i ? "," : "", (long long)a->ints[i]);
            else
                text_printf(out, "%s%.9g", i ? "," : "", (double)a->floats[i]);
        text_append(out, "]");
        break;
    default: text_append(out, "..."); break;
    }
}

void ir_dump(const graph *g, text *out) {
    text_append(out, "graph ");
    text_escape(out, g->name);
    text_printf(out, "  batch %lld\n", (long long)g->batch);
    for (size_t i = 0; i < g->n_inputs; i++)
        dump_values(&g->inputs[i], 1, "  in   ", "", "\n", out);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const node *n = g->nodes[i];
        dump_values(n->out, n->n_out, "  ", ", ", "", out);
        text_printf(out, " = %s%s%s", n->domain, n->domain[0] ? "::" : "", n->op_type);
        for (size_t k = 0; k < n->n_attrs; k++) dump_attr(&n->attrs[k], out);
        dump_values(n->in, n->n_in, " (", ", ", ")", out);
        if (n->impl) text_printf(out, " by %s", n->impl->name);
        text_append(out, "\n");
    }
    for (size_t i = 0; i < g->n_outputs; i++)
        dump_values(&g->outputs[i], 1, "  out  ", "", "\n", out);
}
