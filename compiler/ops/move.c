/* Operators that only move elements. Transpose, Concat, Split, Slice, Expand, Tile, DepthToSpace and SpaceToDepth are strided
   copies: one `copy` (extents, strides on both sides, offsets) is made from any strides, so the reference (dense strides,
   bytes) and the emission (value_strides) follow the same plan. Pad and Gather look source indices up. */
#include <limits.h>
#include <string.h>

#include "../emit/emit.h"
#include "../op.h"

enum { COPY_RANK = 2 * MAX_RANK };

typedef struct copy {
    int rank;
    int64_t extent[COPY_RANK], from[COPY_RANK], to[COPY_RANK], from_offset, to_offset;
} copy;

typedef struct side { /* one operand: its shape and strides */
    const shape *shape;
    int64_t stride[MAX_RANK];
} side;

/* Plans part `part` (input of Concat, output of Split, else 0). */
typedef bool (*planner)(const node *n, size_t part, const side *x, const side *y, copy *c);

static bool present(const node *n, size_t i) { return i < n->n_in && n->in[i]; }

static bool need_ints(graph *g, const node *n, size_t i, const char *what, const int64_t **v, size_t *count) {
    return op_const_ints(g, n, i, v, count) ||
           diag_error(g->diag, n, "pin the input dimensions with --dim or --shape, or re-export with static shapes",
                      "%s is not known at compile time", what);
}

static bool movable(graph *g, const node *n) {
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] && dtype_size(n->in[i]->type) == 0)
            return diag_error(g->diag, n, NULL, "type %s is not supported", dtype_name(n->in[i]->type));
    return true;
}

static void add_axis(copy *c, int64_t extent, int64_t from, int64_t to) {
    c->extent[c->rank] = extent;
    c->from[c->rank] = from;
    c->to[c->rank++] = to;
}

/* ---- Transpose ---- */

static int perm_axis(const node *n, int rank, int i) {
    const attr *p = node_ints(n, "perm");
    return p && p->count ? (int)p->ints[i] : rank - 1 - i;
}

static bool transpose_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape;
    const attr *p = node_ints(n, "perm");
    shape y = {.rank = x->rank};
    unsigned seen = 0;
    if (p && p->count && p->count != (size_t)x->rank)
        return diag_error(g->diag, n, NULL, "perm has %zu values for rank %d", p->count, x->rank);
    for (int i = 0; p && p->count && i < x->rank; i++) {
        if (p->ints[i] < 0 || p->ints[i] >= x->rank || seen >> p->ints[i] & 1)
            return diag_error(g->diag, n, NULL, "perm is no permutation");
        seen |= 1u << p->ints[i];
    }
    for (int i = 0; i < x->rank; i++) y.dim[i] = x->dim[perm_axis(n, x->rank, i)];
    return movable(g, n) && op_set_output(g, n, 0, n->in[0]->type, &y);
}

static bool transpose_plan(const node *n, size_t part, const side *x, const side *y, copy *c) {
    (void)part;
    for (int i = 0; i < y->shape->rank; i++)
        add_axis(c, y->shape->dim[i], x->stride[perm_axis(n, y->shape->rank, i)], y->stride[i]);
    return true;
}

/* ---- Concat ---- */

static int axis_of(const node *n, int rank, int64_t otherwise) {
    int64_t axis = node_int(n, "axis", otherwise);
    return (int)(axis < 0 ? axis + rank : axis);
}

static bool concat_infer(graph *g, node *n) {
    shape y = n->in[0]->shape;
    int axis;
    if (n->opset >= 4 && !node_attr(n, "axis")) return diag_error(g->diag, n, NULL, "attribute axis is missing");
    if (!movable(g, n) || !op_axis(g, n, node_int(n, "axis", 1), y.rank, &axis)) return false;
    for (size_t i = 1; i < n->n_in; i++) {
        const shape *x = &n->in[i]->shape;
        bool ok = x->rank == y.rank && n->in[i]->type == n->in[0]->type;
        for (int k = 0; ok && k < y.rank; k++) ok = k == axis || x->dim[k] == y.dim[k];
        if (!ok) return diag_error(g->diag, n, NULL, "input %zu does not fit input 0 outside axis %d", i, axis);
        if (__builtin_add_overflow(y.dim[axis], x->dim[axis], &y.dim[axis]))
            return diag_error(g->diag, n, NULL, "the result is too large");
    }
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static bool concat_plan(const node *n, size_t part, const side *x, const side *y, copy *c) {
    const int axis = axis_of(n, y->shape->rank, 1);
    for (size_t i = 0; i < part; i++) c->to_offset += n->in[i]->shape.dim[axis] * y->stride[axis];
    for (int i = 0; i < x->shape->rank; i++) add_axis(c, x->shape->dim[i], x->stride[i], y->stride[i]);
    return true;
}

/* ---- Split ---- */

static bool split_parts(graph *g, node *n, int64_t extent, const int64_t **v, size_t *count) {
    const attr *a = node_ints(n, "split");
    const bool by_input = (n->opset >= 13 || n->opset < 2) && present(n, 1);
    *count = 0;
    if (by_input) return need_ints(g, n, 1, "split", v, count);
    if (a && a->count && n->opset < 13) *v = a->ints, *count = a->count;
    if (*count) return true;
    int64_t *parts = ARENA_ARRAY(g->arena, int64_t, n->n_out), total = (int64_t)n->n_out;
    int64_t chunk = (extent + total - 1) / total;
    if (n->opset < 18 && extent % total)
        return diag_error(g->diag, n, NULL, "%lld does not divide into %lld parts", (long long)extent, (long long)total);
    if (n->opset >= 18 && node_int(n, "num_outputs", total) != total)
        return diag_error(g->diag, n, NULL, "num_outputs is not the number of outputs");
    for (int64_t i = 0, left = extent; i < total; i++) {
        parts[i] = left < chunk ? left : chunk;
        left -= parts[i];
    }
    *v = parts;
    *count = n->n_out;
    return true;
}

static bool split_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape;
    const int64_t *v = NULL;
    size_t count;
    int axis;
    int64_t sum = 0;
    if (!movable(g, n) || !op_axis(g, n, node_int(n, "axis", 0), x->rank, &axis)) return false;
    if (!split_parts(g, n, x->dim[axis], &v, &count)) return false;
    if (count != n->n_out) return diag_error(g->diag, n, NULL, "%zu parts for %zu outputs", count, n->n_out);
    for (size_t i = 0; i < count; i++)
        if (v[i] < 0 || __builtin_add_overflow(sum, v[i], &sum)) return diag_error(g->diag, n, NULL, "a part is negative");
    if (sum != x->dim[axis])
        return diag_error(g->diag, n, NULL, "the parts add up to %lld, the axis has %lld", (long long)sum,
                          (long long)x->dim[axis]);
    for (size_t i = 0; i < count; i++) {
        shape y = *x;
        y.dim[axis] = v[i];
        if (!op_set_output(g, n, i, n->in[0]->type, &y)) return false;
        node_set_ints(g, n, "parts", v, count); /* outputs may be absent, offsets must not depend on them */
    }
    return true;
}

static bool split_plan(const node *n, size_t part, const side *x, const side *y, copy *c) {
    const int axis = axis_of(n, x->shape->rank, 0);
    const attr *parts = node_ints(n, "parts");
    for (size_t i = 0; i < part; i++) c->from_offset += parts->ints[i] * x->stride[axis];
    for (int i = 0; i < y->shape->rank; i++) add_axis(c, y->shape->dim[i], x->stride[i], y->stride[i]);
    return true;
}

/* ---- Slice ---- */

typedef struct cut {
    int64_t start, step, count;
} cut;

static int64_t clamp(int64_t v, int64_t low, int64_t high) { return v < low ? low : v > high ? high : v; }

static cut slice_axis(int64_t d, int64_t start, int64_t end, int64_t step) {
    if (start < 0) start += d; /* d >= 0 and start < 0: no overflow */
    if (end < 0) end += d;
    start = step > 0 ? clamp(start, 0, d) : clamp(start, 0, d - 1);
    end = step > 0 ? clamp(end, 0, d) : clamp(end, -1, d - 1);
    cut r = {start, step, 0};
    if (step > 0 && end > start) r.count = (end - start - 1) / step + 1;
    if (step < 0 && start > end) r.count = step == INT64_MIN ? 1 : (start - end - 1) / -step + 1;
    if (r.count <= 1) r.step = 1;
    return r;
}

typedef struct ints {
    const int64_t *v;
    size_t count;
} ints;

static bool slice_operand(graph *g, const node *n, size_t i, const char *name, ints *r) {
    const attr *a = node_ints(n, name);
    if (n->opset < 10) {
        if (a) *r = (ints){a->ints, a->count};
        return true;
    }
    return !present(n, i) || need_ints(g, n, i, name, &r->v, &r->count);
}

/* The cuts of all axes, kept as the attribute "cuts" (start, step for each axis) for reference and emission. */
static bool slice_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape;
    ints start = {0}, end = {0}, axes = {0}, step = {0};
    int64_t cuts[2 * MAX_RANK];
    bool seen[MAX_RANK] = {false};
    shape y = *x;
    if (!movable(g, n) || !slice_operand(g, n, 1, "starts", &start) || !slice_operand(g, n, 2, "ends", &end) ||
        !slice_operand(g, n, 3, "axes", &axes) || !slice_operand(g, n, 4, "steps", &step))
        return false;
    if (start.count != end.count || (axes.v && axes.count != start.count) || (step.v && step.count != start.count) ||
        start.count > (size_t)x->rank)
        return diag_error(g->diag, n, NULL, "starts, ends, axes and steps differ in length");
    for (int i = 0; i < x->rank; i++) cuts[2 * i] = 0, cuts[2 * i + 1] = 1;
    for (size_t i = 0; i < start.count; i++) {
        int axis;
        if (!op_axis(g, n, axes.v ? axes.v[i] : (int64_t)i, x->rank, &axis)) return false;
        if (seen[axis] || (step.v && step.v[i] == 0))
            return diag_error(g->diag, n, NULL, "axis %d occurs twice, or its step is 0", axis);
        seen[axis] = true;
        cut r = slice_axis(x->dim[axis], start.v[i], end.v[i], step.v ? step.v[i] : 1);
        cuts[2 * axis] = r.count ? r.start : 0;
        cuts[2 * axis + 1] = r.step;
        y.dim[axis] = r.count;
    }
    node_set_ints(g, n, "cuts", cuts, 2 * (size_t)x->rank);
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static bool slice_plan(const node *n, size_t part, const side *x, const side *y, copy *c) {
    (void)part;
    const attr *cuts = node_ints(n, "cuts");
    for (int i = 0; i < y->shape->rank; i++) {
        c->from_offset += cuts->ints[2 * i] * x->stride[i];
        add_axis(c, y->shape->dim[i], cuts->ints[2 * i + 1] * x->stride[i], y->stride[i]);
    }
    return true;
}

/* ---- Expand, Tile ---- */

static bool expand_infer(graph *g, node *n) {
    const int64_t *v;
    size_t count;
    shape wanted = {0}, y;
    if (!movable(g, n) || !need_ints(g, n, 1, "the shape", &v, &count)) return false;
    if (count > MAX_RANK) return diag_error(g->diag, n, NULL, "rank %zu is too high (8 at most)", count);
    wanted.rank = (int)count;
    for (size_t i = 0; i < count; i++) {
        if (v[i] < 0) return diag_error(g->diag, n, NULL, "the shape has a negative extent");
        wanted.dim[i] = v[i];
    }
    if (!shape_broadcast(&n->in[0]->shape, &wanted, &y))
        return diag_error(g->diag, n, NULL, "the input does not broadcast to the shape");
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static bool expand_plan(const node *n, size_t part, const side *x, const side *y, copy *c) {
    (void)n, (void)part;
    for (int i = 0; i < y->shape->rank; i++) {
        int k = i - (y->shape->rank - x->shape->rank);
        add_axis(c, y->shape->dim[i], k < 0 || x->shape->dim[k] == 1 ? 0 : x->stride[k], y->stride[i]);
    }
    return true;
}

static bool tile_infer(graph *g, node *n) {
    const int64_t *v;
    size_t count;
    shape y = n->in[0]->shape;
    if (!movable(g, n) || !need_ints(g, n, 1, "repeats", &v, &count)) return false;
    if (count != (size_t)y.rank) return diag_error(g->diag, n, NULL, "%zu repeats for rank %d", count, y.rank);
    for (int i = 0; i < y.rank; i++)
        if (v[i] < 0 || __builtin_mul_overflow(y.dim[i], v[i], &y.dim[i]))
            return diag_error(g->diag, n, NULL, "repeats[%d] is out of range", i);
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static bool tile_plan(const node *n, size_t part, const side *x, const side *y, copy *c) {
    (void)n, (void)part;
    for (int i = 0; i < y->shape->rank; i++) {
        const int64_t d = x->shape->dim[i], times = d ? y->shape->dim[i] / d : 0;
        if (times != 1) add_axis(c, times, 0, d * y->stride[i]);
        add_axis(c, d, x->stride[i], y->stride[i]);
    }
    return true;
}

/* ---- DepthToSpace, SpaceToDepth ---- */

static bool block_infer(graph *g, node *n, bool to_space) {
    shape y = n->in[0]->shape;
    const int64_t b = node_int(n, "blocksize", 0);
    if (y.rank != 4 || b < 1 || b > 1 << 15) return diag_error(g->diag, n, NULL, "rank 4 and a positive blocksize are needed");
    if (to_space ? y.dim[1] % (b * b) : y.dim[2] % b || y.dim[3] % b)
        return diag_error(g->diag, n, NULL, "blocksize %lld does not divide the input", (long long)b);
    y.dim[1] = to_space ? y.dim[1] / (b * b) : y.dim[1] * b * b;
    for (int i = 2; i < 4; i++) y.dim[i] = to_space ? y.dim[i] * b : y.dim[i] / b;
    return movable(g, n) && op_set_output(g, n, 0, n->in[0]->type, &y);
}

static bool to_space_infer(graph *g, node *n) { return block_infer(g, n, true); }
static bool to_depth_infer(graph *g, node *n) { return block_infer(g, n, false); }

/* Depth is channels x block row x block column; DCR puts the block first, CRD the channels. */
static void block_plan(const node *n, const shape *wide, const int64_t ws[], const int64_t ds[], bool to_space, bool crd,
                       copy *c) {
    const int64_t b = node_int(n, "blocksize", 1), channels = wide->dim[1];
    const int64_t extent[6] = {wide->dim[0], channels, wide->dim[2] / b, b, wide->dim[3] / b, b};
    const int64_t w[6] = {ws[0], ws[1], b * ws[2], ws[2], b * ws[3], ws[3]};
    const int64_t row = (crd ? b : b * channels) * ds[1], column = (crd ? 1 : channels) * ds[1];
    const int64_t d[6] = {ds[0], (crd ? b * b : 1) * ds[1], ds[2], row, ds[3], column};
    for (int i = 0; i < 6; i++) add_axis(c, extent[i], to_space ? d[i] : w[i], to_space ? w[i] : d[i]);
}

static bool to_space_plan(const node *n, size_t part, const side *x, const side *y, copy *c) {
    (void)part;
    block_plan(n, y->shape, y->stride, x->stride, true, !strcmp(node_string(n, "mode", "DCR"), "CRD"), c);
    return true;
}

static bool to_depth_plan(const node *n, size_t part, const side *x, const side *y, copy *c) {
    (void)part;
    block_plan(n, x->shape, x->stride, y->stride, false, false, c);
    return true;
}

/* ---- running and emitting copies ---- */

static planner planner_of(const node *n);

static void dense(const shape *s, int64_t stride[MAX_RANK]) {
    int64_t at = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        stride[i] = at;
        at *= s->dim[i];
    }
}

static void run_copy(const copy *c, int axis, char *to, const char *from, size_t size) {
    if (axis == c->rank) {
        memcpy(to, from, size);
        return;
    }
    for (int64_t i = 0; i < c->extent[axis]; i++)
        run_copy(c, axis + 1, to + i * c->to[axis] * (int64_t)size, from + i * c->from[axis] * (int64_t)size, size);
}

static size_t parts_of(const node *n) { return n->n_in > 1 && !strcmp(n->op_type, "Concat") ? n->n_in : n->n_out; }

static bool copy_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out, const char **why) {
    (void)a, (void)why;
    const bool concat = !strcmp(n->op_type, "Concat");
    for (size_t part = 0; part < parts_of(n); part++) {
        const tensor *x = in[concat ? part : 0];
        tensor *y = out[concat ? 0 : part];
        const size_t size = dtype_size(x->type);
        copy c = {0};
        if (!y || shape_count(&x->shape) == 0 || shape_count(&y->shape) == 0) continue;
        side from = {.shape = &x->shape}, to = {.shape = &y->shape};
        dense(from.shape, from.stride);
        dense(to.shape, to.stride);
        planner_of(n)(n, part, &from, &to, &c);
        run_copy(&c, 0, (char *)y->data + c.to_offset * (int64_t)size, (const char *)x->data + c.from_offset * (int64_t)size,
                 size);
    }
    return true;
}

/* Index text in unsigned arithmetic: the offset first, so that axes walked backwards never go below zero in total. */
static const char *walk(emitter *e, int64_t offset, const int64_t *stride, int rank) {
    arena *a = emit_arena(e);
    const char *s = arena_printf(a, "%lld", (long long)offset);
    for (int i = 0; i < rank; i++)
        if (stride[i])
            s = arena_printf(a, "%s %c i%d * %lld", s, stride[i] < 0 ? '-' : '+', i,
                             (long long)(stride[i] < 0 ? -stride[i] : stride[i]));
    return s;
}

static void emit_part(emitter *e, const node *n, size_t part, const value *x, const value *y, const char *px, const char *py) {
    copy c = {0};
    side from = {.shape = &x->shape}, to = {.shape = &y->shape};
    value_strides(x, from.stride);
    value_strides(y, to.stride);
    if (value_count(x) == 0 || value_count(y) == 0) return;
    planner_of(n)(n, part, &from, &to, &c);
    text_append(emit_body(e), "    {\n");
    emit_loops_open(e, c.extent, c.rank, emit_batched(n));
    text_printf(emit_body(e), "        %s[%s] = %s[%s];\n", py, walk(e, c.to_offset, c.to, c.rank), px,
                walk(e, c.from_offset, c.from, c.rank));
    emit_loops_close(e, c.rank);
    text_append(emit_body(e), "    }\n");
}

static void copy_emit(emitter *e, const node *n) {
    const bool concat = !strcmp(n->op_type, "Concat");
    arena *a = emit_arena(e);
    text_append(emit_body(e), "    (void)c, (void)n;\n");
    for (size_t i = 0; i < (concat ? n->n_in : 1); i++) {
        emit_value(e, arena_printf(a, "x%zu", i), n->in[i], false);
        text_printf(emit_body(e), "    (void)x%zu;\n", i);
    }
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i]) {
            emit_value(e, arena_printf(a, "y%zu", i), n->out[i], true);
            text_printf(emit_body(e), "    (void)y%zu;\n", i);
        }
    for (size_t part = 0; part < parts_of(n); part++) {
        const size_t i = concat ? part : 0, o = concat ? 0 : part;
        if (n->out[o]) emit_part(e, n, part, n->in[i], n->out[o], arena_printf(a, "x%zu", i), arena_printf(a, "y%zu", o));
    }
}

/* ---- Pad ---- */

static bool pad_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape;
    const char *mode = node_string(n, "mode", "constant");
    const int64_t *v = NULL, *axes = NULL;
    size_t count = 0, n_axes = (size_t)x->rank;
    int64_t pads[2 * MAX_RANK] = {0};
    shape y = *x;
    if (strcmp(mode, "constant") && strcmp(mode, "reflect") && strcmp(mode, "edge") && strcmp(mode, "wrap"))
        return diag_error(g->diag, n, "use constant, reflect, edge or wrap", "this mode is not supported");
    if (n->opset >= 11) {
        if (!need_ints(g, n, 1, "pads", &v, &count)) return false;
        if (present(n, 3) && !need_ints(g, n, 3, "axes", &axes, &n_axes)) return false;
        if (present(n, 2) && (n->in[2]->type != n->in[0]->type || value_count(n->in[2]) != 1))
            return diag_error(g->diag, n, NULL, "constant_value must be one element of the input's type");
    } else {
        const attr *a = node_ints(n, n->opset >= 2 ? "pads" : "paddings");
        if (a) v = a->ints, count = a->count;
    }
    if (count != 2 * n_axes) return diag_error(g->diag, n, NULL, "%zu pads for %zu axes", count, n_axes);
    for (size_t i = 0; i < n_axes; i++) {
        int k = (int)i;
        if (axes && !op_axis(g, n, axes[i], x->rank, &k)) return false;
        pads[k] = v[i];
        pads[x->rank + k] = v[n_axes + i];
        if (__builtin_add_overflow(x->dim[k], v[i], &y.dim[k]) || __builtin_add_overflow(y.dim[k], v[n_axes + i], &y.dim[k]) ||
            y.dim[k] < 0 || y.dim[k] > INT32_MAX)
            return diag_error(g->diag, n, NULL, "the pads of axis %d are out of range", k);
        if (x->dim[k] == 0 && y.dim[k] > 0 && strcmp(mode, "constant"))
            return diag_error(g->diag, n, NULL, "axis %d is empty", k);
    }
    node_set_ints(g, n, "resolved_pads", pads, 2 * (size_t)x->rank);
    return movable(g, n) && op_set_output(g, n, 0, n->in[0]->type, &y);
}

/* The source index of output index o on an axis of extent d; -1 = the fill value. */
static int64_t pad_source(const char *mode, int64_t i, int64_t d) {
    if (i >= 0 && i < d) return i;
    if (mode[0] == 'c' || d == 0) return -1;
    if (mode[0] == 'e') return clamp(i, 0, d - 1);
    if (mode[0] == 'w') return (i % d + d) % d;
    if (d == 1) return 0;
    const int64_t period = 2 * (d - 1);
    i = (i % period + period) % period;
    return i < d ? i : period - i;
}

static int32_t *pad_table(arena *a, const node *n, const shape *x, const shape *y, int axis) {
    const char *mode = node_string(n, "mode", "constant");
    int32_t *t = ARENA_ARRAY(a, int32_t, (size_t)y->dim[axis]);
    for (int64_t o = 0; o < y->dim[axis]; o++)
        t[o] = (int32_t)pad_source(mode, o - node_ints(n, "resolved_pads")->ints[axis], x->dim[axis]);
    return t;
}

static void fill_element(const node *n, const tensor *const *in, tensor *element) {
    if (n->n_in > 2 && in[2])
        memcpy(element->data, in[2]->data, dtype_size(element->type));
    else if (n->opset < 11)
        tensor_set(element, 0, (double)node_float(n, "value", 0));
}

static bool pad_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out, const char **why) {
    (void)why;
    const shape *x = &in[0]->shape, *y = &out[0]->shape;
    const size_t size = dtype_size(in[0]->type);
    int32_t *table[MAX_RANK];
    int64_t xs[MAX_RANK];
    tensor *fill = tensor_new(a, in[0]->type, &(shape){0});
    fill_element(n, in, fill);
    dense(x, xs);
    for (int i = 0; i < x->rank; i++) table[i] = pad_table(a, n, x, y, i);
    for (int64_t o = 0; o < shape_count(y); o++) {
        int64_t rest = o, at = 0;
        for (int i = x->rank - 1; i >= 0; i--) {
            int64_t s = table[i][rest % y->dim[i]];
            rest /= y->dim[i];
            at = s < 0 || at < 0 ? -1 : at + s * xs[i];
        }
        memcpy((char *)out[0]->data + (size_t)o * size, at < 0 ? fill->data : (char *)in[0]->data + (size_t)at * size, size);
    }
    return true;
}

static void pad_emit(emitter *e, const node *n) {
    const value *x = n->in[0], *y = n->out[0];
    const int rank = y->shape.rank;
    const char *type = dtype_c(y->type), *fill = "fill[0]";
    const attr *pads = node_ints(n, "resolved_pads");
    arena *a = emit_arena(e);
    text *b = emit_body(e);
    const char *names[MAX_RANK] = {NULL};
    int64_t xs[MAX_RANK], ys[MAX_RANK];
    value_strides(x, xs);
    value_strides(y, ys);
    emit_value(e, "x", x, false);
    emit_value(e, "y", y, true);
    if (present(n, 2))
        emit_value(e, "fill", n->in[2], false);
    else
        fill = n->opset < 11 ? arena_printf(a, "(%s)%s", type, emit_float(e, (double)node_float(n, "value", 0))) : "0";
    text_printf(b, "    (void)c, (void)n, (void)x, (void)y;\n%s", present(n, 2) ? "    (void)fill;\n" : "");
    for (int i = 0; i < rank; i++) names[i] = arena_printf(a, "i%d", i);
    for (int i = 0; i < rank; i++) {
        if ((!pads->ints[i] && !pads->ints[rank + i]) || y->shape.dim[i] == 0) continue;
        const char *table =
            emit_weights(e, pad_table(a, n, &x->shape, &y->shape, i), (size_t)y->shape.dim[i] * 4, "pad indices");
        emit_param(e, arena_printf(a, "const void *table%d", i), "%s", table);
        text_printf(b, "    const int32_t *t%d = table%d;\n", i, i);
        names[i] = arena_printf(a, "(size_t)t%d[i%d]", i, i);
        if (xs[i] == 0) xs[i] = 1; /* extent 1: the index is 0, but an unused table would warn */
    }
    emit_loops_open(e, y->shape.dim, rank, emit_batched(n));
    text_append(b, "        if (0");
    for (int i = 0; i < rank; i++)
        if (names[i][0] == '(') text_printf(b, " || t%d[i%d] < 0", i, i);
    text_printf(b, ") {\n            y[%s] = %s;\n            continue;\n        }\n", emit_index(e, ys, rank, NULL), fill);
    text_printf(b, "        y[%s] = x[%s];\n", emit_index(e, ys, rank, NULL), emit_index(e, xs, rank, names));
    emit_loops_close(e, rank);
}

/* ---- Gather ---- */

static bool gather_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape, *q = &n->in[1]->shape;
    int axis;
    shape y = {0};
    if (!movable(g, n) || !op_axis(g, n, node_int(n, "axis", 0), x->rank, &axis)) return false;
    if (n->in[1]->type != DT_INT32 && n->in[1]->type != DT_INT64)
        return diag_error(g->diag, n, NULL, "indices must be int32 or int64");
    if (x->rank + q->rank - 1 > MAX_RANK) return diag_error(g->diag, n, NULL, "the result's rank is too high (8 at most)");
    for (int i = 0; i < axis; i++) y.dim[y.rank++] = x->dim[i];
    for (int i = 0; i < q->rank; i++) y.dim[y.rank++] = q->dim[i];
    for (int i = axis + 1; i < x->rank; i++) y.dim[y.rank++] = x->dim[i];
    const tensor *t = n->in[1]->constant;
    if (x->dim[axis] == 0 && shape_count(q) > 0) return diag_error(g->diag, n, NULL, "the gathered axis is empty");
    for (int64_t i = 0; t && i < shape_count(q); i++)
        if (tensor_get_int(t, i) < -x->dim[axis] || tensor_get_int(t, i) >= x->dim[axis])
            return diag_error(g->diag, n, NULL, "index %lld is outside the axis of %lld", (long long)tensor_get_int(t, i),
                              (long long)x->dim[axis]);
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static bool gather_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out, const char **why) {
    (void)a;
    const shape *x = &in[0]->shape;
    const int axis = axis_of(n, x->rank, 0);
    int64_t outer = 1, inner = (int64_t)dtype_size(in[0]->type), d = x->dim[axis], count = shape_count(&in[1]->shape);
    for (int i = 0; i < axis; i++) outer *= x->dim[i];
    for (int i = axis + 1; i < x->rank; i++) inner *= x->dim[i];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < count; i++) {
            int64_t at = tensor_get_int(in[1], i);
            if (at < 0) at += d;
            if (at < 0 || at >= d) {
                *why = "an index is out of range";
                return false;
            }
            memcpy((char *)out[0]->data + (o * count + i) * inner, (char *)in[0]->data + (o * d + at) * inner, (size_t)inner);
        }
    return true;
}

/* Run-time indices out of range are clamped: a run does not fail, and memory outside is never read. */
static void gather_emit(emitter *e, const node *n) {
    const value *x = n->in[0], *q = n->in[1], *y = n->out[0];
    const int axis = axis_of(n, x->shape.rank, 0), rank = y->shape.rank, qr = q->shape.rank;
    const long long d = (long long)x->shape.dim[axis];
    arena *a = emit_arena(e);
    text *b = emit_body(e);
    const char *xn[MAX_RANK] = {NULL}, *qn[MAX_RANK] = {NULL};
    int64_t xs[MAX_RANK], qs[MAX_RANK], ys[MAX_RANK];
    value_strides(x, xs);
    value_strides(q, qs);
    value_strides(y, ys);
    for (int i = 0; i < x->shape.rank; i++)
        xn[i] = i == axis ? "(size_t)at" : arena_printf(a, "i%d", i < axis ? i : i + qr - 1);
    for (int i = 0; i < qr; i++) qn[i] = arena_printf(a, "i%d", axis + i);
    emit_value(e, "x", x, false);
    emit_value(e, "indices", q, false);
    emit_value(e, "y", y, true);
    text_append(b, "    (void)c, (void)n, (void)x, (void)y, (void)indices;\n");
    emit_loops_open(e, y->shape.dim, rank, emit_batched(n));
    text_printf(b, "        int64_t at = indices[%s];\n        at = at < 0 ? at + %lld : at;\n", emit_index(e, qs, qr, qn), d);
    text_printf(b, "        at = at < 0 ? 0 : at >= %lld ? %lld : at;\n", d, d - 1);
    text_printf(b, "        y[%s] = x[%s];\n", emit_index(e, ys, rank, NULL), emit_index(e, xs, x->shape.rank, xn));
    emit_loops_close(e, rank);
}

/* ---- rows ---- */

static const op_attr transpose_attrs[] = {{"perm", ATTR_INTS, false, 0, NULL, false}, {.name = NULL}};
static const op_attr axis_attrs[] = {{"axis", ATTR_INT, false, 0, NULL, false}, {.name = NULL}};
static const op_attr split_attrs[] = {{"axis", ATTR_INT, false, 0, NULL, true},
                                      {"split", ATTR_INTS, false, 0, NULL, false},
                                      {"num_outputs", ATTR_INT, false, 0, NULL, false},
                                      {.name = NULL}};
static const op_attr slice_attrs[] = {{"starts", ATTR_INTS, false, 0, NULL, false},
                                      {"ends", ATTR_INTS, false, 0, NULL, false},
                                      {"axes", ATTR_INTS, false, 0, NULL, false},
                                      {.name = NULL}};
static const op_attr block_attrs[] = {
    {"blocksize", ATTR_INT, true, 0, NULL, false}, {"mode", ATTR_STRING, false, 0, NULL, false}, {.name = NULL}};
static const op_attr pad_attrs[] = {{"mode", ATTR_STRING, false, 0, "constant", true},
                                    {"pads", ATTR_INTS, false, 0, NULL, false},
                                    {"paddings", ATTR_INTS, false, 0, NULL, false},
                                    {"value", ATTR_FLOAT, false, 0, NULL, false},
                                    {.name = NULL}};
static const op_attr gather_attrs[] = {{"axis", ATTR_INT, false, 0, NULL, true}, {.name = NULL}};

#define MOVE(op, from_opset, low, high, deciding, attributes, infer_function, extra, case_name)                   \
    {                                                                                                             \
        .name = op, .domain = "", .since = from_opset, .min_in = low, .max_in = high, .min_out = 1, .max_out = 1, \
        .attrs = attributes, .flags = OP_ANY_LAYOUT | OP_BATCH_AXIS0 | (extra), .shape_inputs = deciding,         \
        .infer = infer_function, .reference = copy_reference, .emit = copy_emit, .test = case_name                \
    }

const op_row ops_move[] = {MOVE("Transpose", 1, 1, 1, 0, transpose_attrs, transpose_infer, 0, "test_transpose_default"),
                           MOVE("Concat", 1, 1, -1, 0, axis_attrs, concat_infer, 0, "test_concat_2d_axis_0"),
                           {.name = "Split",
                            .domain = "",
                            .since = 1,
                            .min_in = 1,
                            .max_in = 2,
                            .min_out = 1,
                            .max_out = -1,
                            .attrs = split_attrs,
                            .flags = OP_ANY_LAYOUT | OP_BATCH_AXIS0,
                            .shape_inputs = 2,
                            .infer = split_infer,
                            .reference = copy_reference,
                            .emit = copy_emit,
                            .test = "test_split_equal_parts_1d"},
                           MOVE("Slice", 1, 1, 5, 30, slice_attrs, slice_infer, 0, "test_slice"),
                           MOVE("Expand", 8, 2, 2, 2, NULL, expand_infer, 0, "test_expand_dim_changed"),
                           MOVE("Tile", 6, 2, 2, 2, NULL, tile_infer, 0, "test_tile"),
                           MOVE("DepthToSpace", 1, 1, 1, 0, block_attrs, to_space_infer, OP_NHWC, "test_depthtospace_example"),
                           MOVE("SpaceToDepth", 1, 1, 1, 0, block_attrs, to_depth_infer, OP_NHWC, "test_spacetodepth"),
                           {.name = "Pad",
                            .domain = "",
                            .since = 1,
                            .min_in = 1,
                            .max_in = 4,
                            .min_out = 1,
                            .max_out = 1,
                            .attrs = pad_attrs,
                            .flags = OP_ANY_LAYOUT | OP_BATCH_AXIS0,
                            .shape_inputs = 10,
                            .infer = pad_infer,
                            .reference = pad_reference,
                            .emit = pad_emit,
                            .test = "test_constant_pad"},
                           {.name = "Gather",
                            .domain = "",
                            .since = 1,
                            .min_in = 2,
                            .max_in = 2,
                            .min_out = 1,
                            .max_out = 1,
                            .attrs = gather_attrs,
                            .flags = OP_ANY_LAYOUT | OP_BATCH_AXIS0,
                            .infer = gather_infer,
                            .reference = gather_reference,
                            .emit = gather_emit,
                            .test = "test_gather_0"},
                           {.name = NULL}};

static planner planner_of(const node *n) {
    static const struct {
        const char *op;
        planner plan;
    } plans[] = {{"Transpose", transpose_plan},   {"Concat", concat_plan},        {"Split", split_plan},
                 {"Slice", slice_plan},           {"Expand", expand_plan},        {"Tile", tile_plan},
                 {"DepthToSpace", to_space_plan}, {"SpaceToDepth", to_depth_plan}};
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        if (!strcmp(plans[i].op, n->op_type)) return plans[i].plan;
    BUG("no copy plan for %s", n->op_type);
}
