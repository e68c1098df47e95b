/* Strided copies: see copy.h. */
#include "copy.h"

#include "graph_query.h"
#include <string.h>

void copy_axis(copy *c, int64_t extent, int64_t from, int64_t to) {
    c->extent[c->rank] = extent;
    c->from[c->rank] = from;
    c->to[c->rank++] = to;
}

void copy_dense(const shape *s, int64_t stride[MAX_RANK]) {
    int64_t at = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        stride[i] = at;
        at *= s->dim[i];
    }
}

int copy_same(const graph *g, const node *n) {
    (void)g, (void)n;
    return 0;
}

bool copy_type(graph *g, const node *n) {
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] && dtype_size(n->in[i]->type) == 0)
            return node_unsupported(g, n, "type %s is not supported", dtype_name(n->in[i]->type));
    return true;
}

static void run_axis(const copy *c, int axis, char *to, const char *from, size_t size) {
    if (axis == c->rank) {
        memcpy(to, from, size);
        return;
    }
    for (int64_t i = 0; i < c->extent[axis]; i++)
        run_axis(c, axis + 1, to + i * c->to[axis] * (int64_t)size,
                 from + i * c->from[axis] * (int64_t)size, size);
}

static void run_part(const node *n, size_t part, const tensor *x, tensor *y, copy_plan plan) {
    const int64_t size = (int64_t)dtype_size(x->type);
    copy c = {0};
    if (!y || shape_count(&x->shape) == 0 || shape_count(&y->shape) == 0) return;
    side from = {.shape = &x->shape}, to = {.shape = &y->shape};
    copy_dense(from.shape, from.stride);
    copy_dense(to.shape, to.stride);
    plan(n, part, &from, &to, &c);
    run_axis(&c, 0, (char *)y->data + c.to_offset * size,
             (const char *)x->data + c.from_offset * size, (size_t)size);
}

void copy_run(const node *n, const tensor *const *in, tensor *const *out, copy_plan plan,
              bool joins) {
    for (size_t part = 0; part < (joins ? n->n_in : n->n_out); part++)
        run_part(n, part, in[joins ? part : 0], out[joins ? 0 : part], plan);
}

size_t copy_parts(const node *n) { return n->op->copy->joins ? n->n_in : n->n_out; }

value *copy_from(const node *n, size_t part) { return n->in[n->op->copy->joins ? part : 0]; }

value *copy_to(const node *n, size_t part) { return n->out[n->op->copy->joins ? 0 : part]; }

/* The one is a slice of the other, as the plan has it. */
static bool is_in_place(const value *x, const value *y) { return x->base == y || y->base == x; }

bool copy_is_done(const node *n) {
    bool any = false;
    for (size_t i = 0; i < copy_parts(n); i++) {
        if (!copy_to(n, i)) continue;
        if (!is_in_place(copy_from(n, i), copy_to(n, i))) return false;
        any = true;
    }
    return any;
}

bool copy_of_part(const node *n, size_t part, copy *c) {
    const value *x = copy_from(n, part), *y = copy_to(n, part);
    *c = (copy){0};
    if (!y || value_count(x) == 0 || value_count(y) == 0 || is_in_place(x, y)) return false;
    side from = {.shape = &x->shape}, to = {.shape = &y->shape};
    value_strides(x, from.stride);
    value_strides(y, to.stride);
    n->op->copy->plan(n, part, &from, &to, c);
    return true;
}
