/* Operators that move every element to another place: Transpose, Expand, Tile, DepthToSpace and
   SpaceToDepth, as strided copies (copy.h). */
#include <string.h>

#include "copy.h"
#include "rules.h"

/* ---- Transpose ---- */

static int perm_axis(const node *n, int rank, int i) {
    const attr *p = node_ints(n, "perm");
    return p && p->count ? (int)p->ints[i] : rank - 1 - i;
}

bool transpose_keeps_order(const node *n) {
    const shape *x = &n->in[0]->shape;
    for (int i = 0, last = -1; i < x->rank; i++) {
        const int axis = perm_axis(n, x->rank, i);
        if (x->dim[axis] == 1) continue;
        if (axis < last) return false;
        last = axis;
    }
    return true;
}

static bool transpose_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape;
    const attr *p = node_ints(n, "perm");
    shape y = {.rank = x->rank};
    unsigned seen = 0;
    if (p && p->count && p->count != (size_t)x->rank)
        return node_error(g, n, "perm has %zu values for rank %d", p->count, x->rank);
    for (int i = 0; p && p->count && i < x->rank; i++) {
        if (p->ints[i] < 0 || p->ints[i] >= x->rank || seen >> p->ints[i] & 1)
            return node_error(g, n, "perm is no permutation");
        seen |= 1u << p->ints[i];
    }
    for (int i = 0; i < x->rank; i++) y.dim[i] = x->dim[perm_axis(n, x->rank, i)];
    return copy_type(g, n) && op_set_output(g, n, 0, n->in[0]->type, &y);
}

static COPY_PLAN(transpose_plan) {
    for (int i = 0; i < y->shape->rank; i++)
        copy_axis(c, y->shape->dim[i], x->stride[perm_axis(n, y->shape->rank, i)], y->stride[i]);
}

COPY_FUNCTIONS(transpose, false)

static int transpose_same(const graph *g, const node *n) {
    (void)g;
    return transpose_keeps_order(n) ? 0 : -1;
}

/* ---- Expand, Tile ---- */

static bool expand_infer(graph *g, node *n) {
    ints v;
    if (!copy_type(g, n) || !op_need_ints(g, n, 1, "the shape", &v)) return false;
    if (v.count > MAX_RANK)
        return node_unsupported(g, n, "rank %zu is too high (8 at most)", v.count);
    shape wanted = {.rank = (int)v.count}, y;
    for (size_t i = 0; i < v.count; i++) {
        if (v.v[i] < 0) return node_error(g, n, "the shape has a negative extent");
        wanted.dim[i] = v.v[i];
    }
    if (!shape_broadcast(&n->in[0]->shape, &wanted, &y))
        return node_error(g, n, "the input does not broadcast to the shape");
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static COPY_PLAN(expand_plan) {
    for (int i = 0; i < y->shape->rank; i++) {
        int k = i - (y->shape->rank - x->shape->rank);
        copy_axis(c, y->shape->dim[i], k < 0 || x->shape->dim[k] == 1 ? 0 : x->stride[k],
                  y->stride[i]);
    }
}

COPY_FUNCTIONS(expand, false)

static bool tile_infer(graph *g, node *n) {
    ints times;
    shape y = n->in[0]->shape;
    if (!copy_type(g, n) || !op_need_ints(g, n, 1, "repeats", &times)) return false;
    if (times.count != (size_t)y.rank)
        return node_error(g, n, "%zu repeats for rank %d", times.count, y.rank);
    for (int i = 0; i < y.rank; i++)
        if (times.v[i] < 0 || __builtin_mul_overflow(y.dim[i], times.v[i], &y.dim[i]))
            return node_error(g, n, "repeats[%d] is out of range", i);
    return op_set_output(g, n, 0, n->in[0]->type, &y);
}

static COPY_PLAN(tile_plan) {
    for (int i = 0; i < y->shape->rank; i++) {
        const int64_t d = x->shape->dim[i], times = d ? y->shape->dim[i] / d : 0;
        if (times != 1) copy_axis(c, times, 0, d * y->stride[i]);
        copy_axis(c, d, x->stride[i], y->stride[i]);
    }
}

COPY_FUNCTIONS(tile, false)

/* ---- DepthToSpace, SpaceToDepth ---- */

static bool block_infer(graph *g, node *n, bool to_space) {
    shape y = n->in[0]->shape;
    const int64_t b = node_int(n, "blocksize", 0);
    const char *mode = node_string(n, "mode", "DCR");
    if (strcmp(mode, "DCR") && strcmp(mode, "CRD"))
        return node_error(g, n, "mode must be DCR or CRD");
    if (y.rank != 4 || b < 1 || b > 1 << 15)
        return node_error(g, n, "rank 4 and a positive blocksize are needed");
    if (to_space ? y.dim[1] % (b * b) : y.dim[2] % b || y.dim[3] % b)
        return node_error(g, n, "blocksize %lld does not divide the input", (long long)b);
    y.dim[1] = to_space ? y.dim[1] / (b * b) : y.dim[1] * b * b;
    for (int i = 2; i < 4; i++) y.dim[i] = to_space ? y.dim[i] * b : y.dim[i] / b;
    return copy_type(g, n) && op_set_output(g, n, 0, n->in[0]->type, &y);
}

static bool to_space_infer(graph *g, node *n) { return block_infer(g, n, true); }
static bool to_depth_infer(graph *g, node *n) { return block_infer(g, n, false); }

/* Depth is channels x block row x block column; DCR puts the block first, CRD the channels. */
static void block_plan(const node *n, const shape *wide, const int64_t ws[], const int64_t ds[],
                       bool to_space, bool crd, copy *c) {
    const int64_t b = node_int(n, "blocksize", 1), channels = wide->dim[1];
    const int64_t extent[6] = {wide->dim[0], channels, wide->dim[2] / b, b, wide->dim[3] / b, b};
    const int64_t w[6] = {ws[0], ws[1], b * ws[2], ws[2], b * ws[3], ws[3]};
    const int64_t row = (crd ? b : b * channels) * ds[1], column = (crd ? 1 : channels) * ds[1];
    const int64_t d[6] = {ds[0], (crd ? b * b : 1) * ds[1], ds[2], row, ds[3], column};
    for (int i = 0; i < 6; i++)
        copy_axis(c, extent[i], to_space ? d[i] : w[i], to_space ? w[i] : d[i]);
}

static COPY_PLAN(to_space_plan) {
    block_plan(n, y->shape, y->stride, x->stride, true,
               !strcmp(node_string(n, "mode", "DCR"), "CRD"), c);
}

static COPY_PLAN(to_depth_plan) { block_plan(n, x->shape, x->stride, y->stride, false, false, c); }

COPY_FUNCTIONS(to_space, false)
COPY_FUNCTIONS(to_depth, false)

/* ---- rows ---- */

/* Without perm the axes come in reverse order. */
static bool transpose_mixes(const node *n, int rank) { return !node_ints(n, "perm") && rank > 1; }

static bool tile_mixes(const node *n, int rank) {
    (void)rank;
    return !op_constant_is(n, 1, 0, 1);
}

/* clang-format off */
#define BLOCKS(name, prefix, tested_by)                                                          \
    {OP_ONNX(name, 1, 0, 1, 1, 1, 1, prefix, tested_by), .copy = &prefix##_copy,                 \
     ATTRIBUTES(NEEDED(INT, "blocksize"), ATTR(STRING, "mode")),                                 \
     .flags = OP_ANY_LAYOUT | OP_BATCH_AXIS0 | OP_NHWC, .grad = prefix##_grad}

const op_row ops_move[] = {
    {MOVED("Transpose", 1, 1, 1, 1, transpose, "test_transpose_default"),
     ATTRIBUTES(ATTR(INTS, "perm")), .same = transpose_same, .mixes = transpose_mixes},
    {MOVED("Expand", 8, 2, 2, 1, expand, "test_expand_dim_changed"), .shape_inputs = 2,
     .same = copy_same},
    {MOVED("Tile", 6, 2, 2, 1, tile, "test_tile"), .shape_inputs = 2,
     .same = copy_same, .mixes = tile_mixes},
    BLOCKS("DepthToSpace", to_space, "test_depthtospace_example"),
    BLOCKS("SpaceToDepth", to_depth, "test_spacetodepth"),
    {.name = NULL}};
/* clang-format on */
