/* The plan pass decides where every value lives. There is a worked example in
   docs/internals/memory-plan.md.

   First it joins values that share memory (`base`): views with what they view, in-place results
   with their operand, inputs of a Concat with the Concat's output, parts of a value with the value.
   Each remaining owner of memory is alive from the first write to any of its group until the last
   read. Owners are placed largest first, each at the lowest offset that is free during its life.
   Graph inputs and outputs are used where the caller put them, unless an XNNPACK kernel, which
   reads a little past the end, touches them. Every slot is 64-byte aligned and followed by TAIL
   readable bytes.

   Gate B (plan_check) recomputes lives from the nodes: no two owners alive together overlap. */
#include "plan.h"

#include "../ir/copy.h"
#include "../ir/graph_query.h"
#include "../ir/implementation.h"

#include <stdlib.h>

enum { TAIL = 128, ALIGN = 64 };

typedef struct life {    /* of an owner */
    int64_t first, last; /* positions in graph->nodes; -1 = before the first */
    bool is_kept;        /* a value in its memory is */
    bool is_overread;    /* an XNNPACK kernel, which reads past the end, reads it */
} life;

static const life unborn = {INT64_MAX, -1, false, false};

static value *owner(value *v) {
    while (v->base) v = v->base;
    return v;
}

static bool owns_caller_memory(const value *v) { return v->is_input || value_is_external(v); }

static bool is_reorder(const node *n) { return n->opcode == CAMEO_Reorder; }

/* ---- sharing ---- */

/* Equal layouts, or layouts that order the elements alike: one channel, or one pixel. */
static bool is_same_memory(const value *x, const value *y) {
    return x->layout == y->layout || value_is_in_any_order(x);
}

static bool is_dense_onnx(const value *v) {
    return !v->pixel_stride && (v->layout == LAYOUT_ONNX || value_is_in_any_order(v));
}

/* An Identity passes on whatever order its input has. */
static bool same_identity(const node *n) {
    return node_has(n, OP_IDENTITY) && n->in[0]->layout == n->out[0]->layout;
}

static void join_view(graph *g, node *n) {
    value *x = n->in[0], *y = n->out[0];
    if (!x || !y || y->base || y->constant || x->type != y->type || x->pixel_stride ||
        y->pixel_stride)
        return;
    if (is_reorder(n)
            ? !is_same_memory(x, y)
            : !node_is_relabel(n) && !(is_dense_onnx(x) && is_dense_onnx(y)) && !same_identity(n))
        return;
    if (value_is_external(x)) return; /* read through a view: copied, as are outputs of the graph */
    if (!value_is_kept(g, y)) {
        y->base = x;
        return;
    }
    value *root = owner(x);
    if (root != x || owns_caller_memory(root) || value_is_kept(g, root)) return;
    x->base = y;
}

static bool reads_slices(const node *n) {
    if (n->impl) return !n->impl->dense;
    return !node_is_view(n) && node_has(n, OP_ANY_LAYOUT);
}

static bool readers_take_slices(const value *v) {
    for (const value_use *u = v->uses; u; u = u->next)
        if (!reads_slices(u->user)) return false;
    return true;
}

static bool neighbours_take_slices(const value *v) {
    return v->producer && reads_slices(v->producer) && readers_take_slices(v);
}

/* Returns the elements from one index of the axis to the next where each part is one block, or for
   channels in NHWC one run a pixel. It returns 0 where a part is neither. */
static int64_t slice_step(const value *y, int axis) {
    if (y->layout == LAYOUT_NHWC) return axis == 1 ? 1 : 0;
    int64_t step = 1;
    for (int i = 0; i < axis; i++)
        if (y->shape.dim[i] != 1) return 0;
    for (int i = axis + 1; i < y->shape.rank; i++) step *= y->shape.dim[i];
    return step;
}

static size_t times_in(const node *n, const value *v) {
    size_t count = 0;
    for (size_t i = 0; i < n->n_in; i++) count += n->in[i] == v;
    return count;
}

static int64_t pixel_stride_of(const value *v) {
    return v->pixel_stride ? v->pixel_stride : v->shape.dim[1];
}

static bool may_lie_in(const graph *g, const value *part, const value *whole) {
    return !part->base && !owns_caller_memory(part) && !value_is_kept(g, part) &&
           part->layout == whole->layout && part->batched == whole->batched &&
           part->type == whole->type;
}

static void put_in(value *part, value *whole, int64_t offset) {
    part->base = whole;
    part->view_offset = offset;
    if (whole->layout == LAYOUT_NHWC) part->pixel_stride = pixel_stride_of(whole);
}

static void join_concat(graph *g, node *n) {
    value *y = n->out[0];
    const int axis = node_axis(n, y->shape.rank, 1);
    const int64_t step = slice_step(y, axis);
    if (y->constant || !step || !reads_slices(n)) return;
    int64_t at = 0;
    for (size_t i = 0; i < n->n_in; i++) {
        value *x = n->in[i];
        if (may_lie_in(g, x, y) && times_in(n, x) == 1 && neighbours_take_slices(x))
            put_in(x, y, at * step);
        at += x->shape.dim[axis];
    }
}

/* Joins later Concats first, so that their pixel stride is known to the Concats inside them. */
static void join_concats(graph *g) {
    for (size_t i = g->n_nodes; i-- > 0;) {
        node *n = g->nodes[i];
        if (node_is(n, ONNX_Concat) && n->n_in > 1) join_concat(g, n);
    }
}

/* ---- parts of a value, read where it lies ---- */

/* Finds the axis along which every output of n is a run of x's indices, and sets first[i] to where
   output i begins; -1 means that there is no such axis. */
static int cut_axis(const node *n, int64_t *first) {
    const shape *x = &n->in[0]->shape;
    int axis = -1;
    if (n->opcode == ONNX_Split) {
        const attr *parts = node_ints(n, "parts");
        axis = node_axis(n, x->rank, 0);
        for (size_t i = 0; i + 1 < n->n_out; i++) first[i + 1] = first[i] + parts->ints[i];
        return axis;
    }
    const attr *cuts = node_ints(n, "cuts");
    for (int i = 0; i < x->rank; i++) {
        if (cuts->ints[2 * i + 1] != 1) return -1;
        if (x->dim[i] == n->out[0]->shape.dim[i]) continue;
        if (axis >= 0) return -1;
        axis = i, first[0] = cuts->ints[2 * i];
    }
    return axis;
}

static bool is_cut(const node *n) {
    return (node_is(n, ONNX_Split) || node_is(n, ONNX_Slice)) && n->in[0];
}

/* Outputs of a Split or a Slice whose readers take slices are parts of its input. */
static void join_cut(graph *g, node *n) {
    value *x = n->in[0];
    int64_t *first = ARENA_ARRAY(g->arena, int64_t, n->n_out);
    const int axis = cut_axis(n, first);
    const int64_t step = axis < 0 ? 0 : slice_step(x, axis);
    if (!step || value_is_external(x)) return;
    for (size_t i = 0; i < n->n_out; i++) {
        value *y = n->out[i];
        if (y && may_lie_in(g, y, x) && value_count(y) && readers_take_slices(y))
            put_in(y, x, first[i] * step);
    }
}

/* ---- lives ---- */

static life *extend(life *l, value *v, int64_t at) {
    life *k = &l[owner(v)->id];
    if (at < k->first) k->first = at;
    if (at > k->last) k->last = at;
    return k;
}

/* Memory that images of several early groups fill before the late nodes read it is alive from the
   start. */
static bool waits(const graph *g, value *v, size_t node_number) {
    return node_number < g->late && owner(v)->is_late;
}

/* An owner is late when any value in its memory is. */
static void mark_late_owners(const graph *g) {
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->is_late) owner(g->values[i])->is_late = true;
}

static life *find_lives(const graph *g) {
    life *l = ARENA_ARRAY(g->arena, life, g->n_values);
    for (size_t i = 0; i < g->n_values; i++) l[i] = unborn;
    for (size_t i = 0; i < g->n_values; i++)
        l[owner(g->values[i])->id].is_kept |= value_is_kept(g, g->values[i]);
    for (size_t i = 0; i < g->n_inputs; i++) extend(l, g->inputs[i], -1);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const node *n = g->nodes[i];
        for (size_t k = 0; k < n->n_in; k++)
            if (n->in[k])
                extend(l, n->in[k], (int64_t)i)->is_overread |= n->impl && n->impl->xnnpack;
        for (size_t k = 0; k < n->n_out; k++)
            if (n->out[k]) extend(l, n->out[k], waits(g, n->out[k], i) ? -1 : (int64_t)i);
    }
    for (size_t i = 0; i < g->n_outputs; i++) extend(l, g->outputs[i], (int64_t)g->n_nodes);
    return l;
}

/* ---- in place ---- */

/* Bit i of the result says that output `out` may take the memory of input i. */
static unsigned may_overwrite(const node *n, size_t out) {
    if (n->impl) return out ? n->impl->inplace_last : n->impl->inplace;
    return out == 0 && node_has(n, OP_INPLACE);
}

static bool in_once(const node *n, value *root) {
    size_t count = 0;
    for (size_t i = 0; i < n->n_in; i++) count += n->in[i] && owner(n->in[i]) == root;
    return count == 1;
}

static void join_inplace(graph *g, node *n, size_t out, int64_t at, life *l) {
    value *y = n->out[out];
    if (!y || y->base || y->constant || value_is_kept(g, y) || y->pixel_stride || node_is_view(n))
        return;
    for (size_t i = 0; i < n->n_in && i < 32; i++) {
        value *x = n->in[i];
        if (!x || !(may_overwrite(n, out) >> i & 1) || x->pixel_stride || x->type != y->type ||
            x->layout != y->layout)
            continue;
        value *root = owner(x);
        if (!shape_equal(&x->shape, &y->shape) || owns_caller_memory(root) || root->pixel_stride ||
            l[root->id].last != at)
            continue;
        if (value_count(root) != value_count(x) || !in_once(n, root) || l[root->id].is_kept)
            continue;
        y->base = x;
        l[root->id].last = l[y->id].last > at ? l[y->id].last : at;
        l[root->id].is_kept = l[y->id].is_kept;
        l[root->id].is_overread |= l[y->id].is_overread;
        l[y->id] = unborn;
        return;
    }
}

/* ---- placement ---- */

/* Outputs computed on the way to the embedding have no caller's memory when only the embedding is
   asked for. */
static bool output_needs_arena(const graph *g, const value *v, const life *l) {
    if (l[v->id].is_overread) return true;
    if (!g->embedding || v == g->embedding) return false;
    const node *p = g->embedding->producer;
    return !p || l[v->id].first <= (int64_t)p->position;
}

static bool in_arena(const graph *g, const value *v, const life *l) {
    if (v->base || v->constant || v->role != ROLE_NONE || l[v->id].first == INT64_MAX) return false;
    if (v->is_input) return l[v->id].is_overread;
    return !v->is_output || output_needs_arena(g, v, l);
}

typedef struct slot {
    value *v;
    int64_t bytes;
    life life;
} slot;

static int by_size(const void *a, const void *b) {
    const slot *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return x->v->id < y->v->id ? -1 : x->v->id > y->v->id;
}

static int by_offset(const void *a, const void *b) {
    const slot *const *x = a, *const *y = b;
    if ((*x)->v->arena_offset != (*y)->v->arena_offset)
        return (*x)->v->arena_offset < (*y)->v->arena_offset ? -1 : 1;
    return (*x)->v->id < (*y)->v->id ? -1 : (*x)->v->id > (*y)->v->id;
}

static bool meet(life a, life b) { return a.first <= b.last && b.first <= a.last; }

static bool slot_bytes(const graph *g, const value *v, int64_t *out) {
    int64_t b;
    if (__builtin_mul_overflow(value_planned_count(g, v), (int64_t)dtype_size(v->type), &b))
        return false;
    if (b > ((int64_t)1 << 46)) return false;
    *out = (b + TAIL + ALIGN - 1) / ALIGN * ALIGN;
    return true;
}

/* Finds the lowest gap that is free during the life of s, among the slots placed before it. */
static int64_t lowest_gap(const slot *placed, size_t n, const slot *s, const slot **sorted) {
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (meet(placed[i].life, s->life)) sorted[k++] = &placed[i];
    qsort(sorted, k, sizeof *sorted, by_offset);
    int64_t at = 0;
    for (size_t i = 0; i < k; i++) {
        if (sorted[i]->v->arena_offset >= at + s->bytes) break;
        const int64_t end = sorted[i]->v->arena_offset + sorted[i]->bytes;
        if (end > at) at = end;
    }
    return at;
}

static bool place_all(graph *g, const life *l) {
    slot *s = ARENA_ARRAY(g->arena, slot, g->n_values);
    const slot **sorted = ARENA_ARRAY(g->arena, const slot *, g->n_values);
    size_t n = 0;
    for (size_t i = 0; i < g->n_values; i++) {
        value *v = g->values[i];
        if (!in_arena(g, v, l)) continue;
        s[n] = (slot){v, 0, l[v->id]};
        if (!slot_bytes(g, v, &s[n++].bytes))
            return diag_error(g->diag, v->producer, "a smaller --batch or --shape",
                              "value \"%s\" does not fit in memory", v->name);
    }
    qsort(s, n, sizeof *s, by_size);
    for (size_t i = 0; i < n; i++) s[i].v->arena_offset = lowest_gap(s, i, &s[i], sorted);
    return true;
}

/* ---- gate B ---- */

/* An in-place result must be the last use of what it overwrites; owners alive together must not
   overlap. */
void plan_check(const graph *g) {
    const life *l = find_lives(g);
    for (size_t i = 0; i < g->n_values; i++) {
        const value *a = g->values[i];
        int64_t ab, bb;
        if (a->base || a->arena_offset < 0 || a->constant || l[a->id].first == INT64_MAX) continue;
        if (a->arena_offset % ALIGN || !slot_bytes(g, a, &ab)) BUG("slot of \"%s\"", a->name);
        for (size_t k = i + 1; k < g->n_values; k++) {
            const value *b = g->values[k];
            if (b->base || b->arena_offset < 0 || b->constant || !meet(l[a->id], l[b->id]))
                continue;
            if (!slot_bytes(g, b, &bb)) BUG("slot of \"%s\"", b->name);
            if (a->arena_offset < b->arena_offset + bb && b->arena_offset < a->arena_offset + ab)
                BUG("gate B: \"%s\" and \"%s\" are alive together and overlap", a->name, b->name);
        }
    }
}

bool pass_plan(graph *g, const options *o) {
    (void)o;
    for (size_t i = 0; i < g->n_values; i++) {
        value *v = g->values[i];
        v->base = NULL, v->view_offset = 0, v->pixel_stride = 0, v->arena_offset = -1;
    }
    join_concats(g);
    for (size_t i = 0; i < g->n_nodes; i++)
        if (is_cut(g->nodes[i])) join_cut(g, g->nodes[i]);
    for (size_t i = 0; i < g->n_nodes; i++)
        if (node_is_view(g->nodes[i]) || is_reorder(g->nodes[i])) join_view(g, g->nodes[i]);
    life *l = find_lives(g);
    for (size_t i = 0; i < g->n_nodes; i++) {
        node *n = g->nodes[i];
        if (n->n_out > 1) join_inplace(g, n, n->n_out - 1, (int64_t)i, l);
        if (n->n_out) join_inplace(g, n, 0, (int64_t)i, l);
    }
    mark_late_owners(g);
    l = find_lives(g);
    if (!place_all(g, l)) return false;
    plan_check(g);
    return true;
}
