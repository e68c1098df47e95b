/* Gemm and MatMul. Both become one product over outer axes (batch axes and rows), columns j and
   the sum's index k, each operand given by strides; sums are kept in double, in blocks of columns
   that the C compiler turns into vectors. */
#include "pointwise.h"
#include "row.h"
#include "rules.h"

#include "../emit/loops.h"

#include <string.h>

typedef struct product {
    int outer; /* leading axes: batch axes, then the row; a missing axis has extent 1 */
    int64_t extent[MAX_RANK + 1], columns, depth;
    int64_t a[MAX_RANK + 1], b[MAX_RANK + 1], c[MAX_RANK + 1], y[MAX_RANK + 1]; /* strides of the
                                                                                   outer axes */
    int64_t ak, bk, bj, cj, yj;
    double alpha, beta;
    bool has_c;
} product;

/* ---- shapes ---- */

/* beta = 0 means that C is not read, whatever it holds: 0 times infinity would be no number. */
static void drop_unread_c(graph *g, node *n) {
    if (op_present(n, 2) && !n->in[2]->param && node_float(n, "beta", 1) == 0)
        node_set_input(g, n, 2, NULL);
}

static bool same_numbers(graph *g, const node *n) {
    for (size_t i = 0; i < n->n_in; i++) {
        if (i == 2 && !n->in[2]) continue;
        if (!type_check(g, n, i, TYPES_NUMBER)) return false;
        if (n->in[i]->type != n->in[0]->type)
            return node_error(g, n, "inputs have different types");
    }
    return true;
}

static bool product_output(graph *g, node *n, const shape *y, int64_t depth) {
    if (!shape_count(y) || !depth)
        return node_unsupported(g, n, "a product of empty matrices is not supported");
    n->macs = (double)shape_count(y) * (double)depth;
    return op_set_output(g, n, 0, n->in[0]->type, y);
}

static bool gemm_infer(graph *g, node *n) {
    if (!same_numbers(g, n)) return false;
    const shape *a = &n->in[0]->shape, *b = &n->in[1]->shape;
    if (a->rank != 2 || b->rank != 2) return node_error(g, n, "inputs 0 and 1 must have rank 2");
    const int ta = node_int(n, "transA", 0) != 0, tb = node_int(n, "transB", 0) != 0;
    if (a->dim[!ta] != b->dim[tb])
        return node_error(g, n, "inner extents differ: %lld and %lld", (long long)a->dim[!ta],
                          (long long)b->dim[tb]);
    const shape y = {.rank = 2, .dim = {a->dim[ta], b->dim[!tb]}};
    shape both;
    if (op_present(n, 2) &&
        (!shape_broadcast(&y, &n->in[2]->shape, &both) || !shape_equal(&y, &both)))
        return node_error(g, n, "input 2 can't be broadcast to %lldx%lld", (long long)y.dim[0],
                          (long long)y.dim[1]);
    drop_unread_c(g, n);
    return product_output(g, n, &y, a->dim[!ta]);
}

static bool matmul_shape(graph *g, const node *n, shape *y) {
    const shape *a = &n->in[0]->shape, *b = &n->in[1]->shape;
    if (!a->rank || !b->rank) return node_error(g, n, "a scalar can't be multiplied as a matrix");
    if (a->dim[a->rank - 1] != b->dim[b->rank < 2 ? 0 : b->rank - 2])
        return node_error(g, n, "inner extents differ");
    shape ba = {.rank = a->rank < 2 ? 0 : a->rank - 2},
          bb = {.rank = b->rank < 2 ? 0 : b->rank - 2};
    memcpy(ba.dim, a->dim, (size_t)ba.rank * sizeof *a->dim);
    memcpy(bb.dim, b->dim, (size_t)bb.rank * sizeof *b->dim);
    if (!shape_broadcast(&ba, &bb, y))
        return node_error(g, n, "the leading axes of the inputs can't be broadcast");
    if (a->rank > 1) y->dim[y->rank++] = a->dim[a->rank - 2];
    if (b->rank > 1) y->dim[y->rank++] = b->dim[b->rank - 1];
    return true;
}

static bool matmul_infer(graph *g, node *n) {
    shape y;
    return same_numbers(g, n) && matmul_shape(g, n, &y) &&
           product_output(g, n, &y, n->in[0]->shape.dim[n->in[0]->shape.rank - 1]);
}

/* ---- the product ---- */

static product gemm_product(const node *n, const shape *c, const int64_t (*s)[MAX_RANK]) {
    const shape *a = &n->in[0]->shape, *b = &n->in[1]->shape;
    const int ta = node_int(n, "transA", 0) != 0, tb = node_int(n, "transB", 0) != 0;
    product p = {.outer = 1, .extent = {a->dim[ta]}, .columns = b->dim[!tb], .depth = a->dim[!ta]};
    p.a[0] = s[0][ta], p.ak = s[0][!ta];
    p.bk = s[1][tb], p.bj = s[1][!tb];
    p.y[0] = s[3][0], p.yj = s[3][1];
    p.has_c = c != NULL;
    if (c && c->rank == 2) p.c[0] = s[2][0];
    if (c && c->rank > 0) p.cj = s[2][c->rank - 1];
    p.alpha = node_float(n, "alpha", 1);
    p.beta = node_float(n, "beta", 1);
    return p;
}

static product matmul_product(const node *n, const int64_t (*s)[MAX_RANK]) {
    const shape *a = &n->in[0]->shape, *b = &n->in[1]->shape, *y = &n->out[0]->shape;
    const int ra = a->rank, rb = b->rank, batch = y->rank - (ra > 1) - (rb > 1);
    product p = {.outer = batch + 1,
                 .alpha = 1,
                 .columns = rb > 1 ? b->dim[rb - 1] : 1,
                 .depth = a->dim[ra - 1]};
    for (int k = 0; k < batch; k++) {
        const int ka = k - (batch - (ra - 2)), kb = k - (batch - (rb - 2));
        p.extent[k] = y->dim[k];
        p.y[k] = s[3][k];
        if (ra > 2 && ka >= 0) p.a[k] = s[0][ka];
        if (rb > 2 && kb >= 0) p.b[k] = s[1][kb];
    }
    p.extent[batch] = ra > 1 ? a->dim[ra - 2] : 1;
    if (ra > 1) p.a[batch] = s[0][ra - 2], p.y[batch] = s[3][batch];
    p.ak = s[0][ra - 1];
    p.bk = s[1][rb > 1 ? rb - 2 : 0];
    if (rb > 1) p.bj = s[1][rb - 1], p.yj = s[3][y->rank - 1];
    return p;
}

static product product_of(const node *n, const int64_t (*s)[MAX_RANK]) {
    if (n->opcode == ONNX_MatMul) return matmul_product(n, s);
    return gemm_product(n, op_present(n, 2) ? &n->in[2]->shape : NULL, s);
}

/* ---- reference ---- */

static void dense_strides(const shape *s, int64_t *stride) {
    int64_t step = 1;
    for (int k = s->rank - 1; k >= 0; k--) {
        stride[k] = s->dim[k] == 1 ? 0 : step;
        step *= s->dim[k];
    }
}

static void reference_element(const product *p, const tensor *const *in, tensor *out,
                              const int64_t at[4]) {
    if (type_is(out->type, TYPES_FLOAT)) {
        double sum = 0;
        for (int64_t k = 0; k < p->depth; k++)
            sum += tensor_get(in[0], at[0] + k * p->ak) * tensor_get(in[1], at[1] + k * p->bk);
        sum *= p->alpha;
        if (p->has_c) sum += p->beta * tensor_get(in[2], at[2]);
        tensor_set(out, at[3], sum);
        return;
    }
    uint64_t sum = 0;
    for (int64_t k = 0; k < p->depth; k++)
        sum += (uint64_t)tensor_get_int(in[0], at[0] + k * p->ak) *
               (uint64_t)tensor_get_int(in[1], at[1] + k * p->bk);
    sum *= (uint64_t)(int64_t)p->alpha;
    if (p->has_c) sum += (uint64_t)(int64_t)p->beta * (uint64_t)tensor_get_int(in[2], at[2]);
    tensor_set_int(out, at[3], (int64_t)sum);
}

static OP_REFERENCE(product_reference) {
    int64_t s[4][MAX_RANK] = {{0}};
    for (size_t i = 0; i < n->n_in; i++)
        if (in[i]) dense_strides(&in[i]->shape, s[i]);
    dense_strides(&out[0]->shape, s[3]);
    const product p = product_of(n, (const int64_t(*)[MAX_RANK])s);
    const int64_t count = shape_count(&out[0]->shape);
    for (int64_t i = 0; i < count; i++) {
        const int64_t j = i % p.columns;
        int64_t rest = i / p.columns, at[4] = {0, j * p.bj, j * p.cj, i};
        for (int k = p.outer - 1; k >= 0; k--) {
            const int64_t index = rest % p.extent[k];
            rest /= p.extent[k];
            at[0] += index * p.a[k], at[1] += index * p.b[k], at[2] += index * p.c[k];
        }
        reference_element(&p, in, out[0], at);
    }
    return true;
}

/* ---- emission ---- */

enum {
    COLUMNS = 64, /* columns of one task: 512 bytes of sums */
    PARTS = 8     /* partial sums of one element */
};

static void emit_store(emitter *e, const node *n, const product *p) {
    text *t = emit_helpers(e);
    const bool real = type_is(n->out[0]->type, TYPES_FLOAT);
    text_put(t, "        $0 v = sum[j];\n", real ? "double" : "uint64_t");
    if (p->alpha != 1)
        text_put(t, "        v *= $0$1;\n", real ? "" : "(uint64_t)(int64_t)",
                 emit_float(e, p->alpha));
    if (p->has_c)
        text_put(t, "        v += $0$1 * $2in2[$3 + (first + j) * $4];\n",
                 real ? "(double)" : "(uint64_t)(int64_t)", emit_float(e, p->beta),
                 real ? "(double)" : "(uint64_t)", emit_index(e, p->c, p->outer, NULL), p->cj);
    text_put(t, "        out0[$0 + (first + j) * $1] = ($2)v;\n    }\n",
             emit_index(e, p->y, p->outer, NULL), p->yj, dtype_c(n->out[0]->type));
}

/* Columns that lie along k: one sum after the other, in PARTS partial sums that the C compiler
   turns into vectors. */
static void emit_column_sums(emitter *e, const product *p, const char *sum) {
    text *t = emit_helpers(e);
    const int64_t whole = p->depth - p->depth % PARTS;
    const char *y = arena_put(emit_arena(e), "($0)in1[b + (first + j) * $1 + ", sum, p->bj);
    text_put(t,
             "    for (size_t j = 0; j < width; j++) {\n"
             "        $0 part[$1] = {0};\n",
             sum, PARTS);
    if (whole)
        text_put(t,
                 "        for (size_t k = 0; k < $0; k += $1)\n"
                 "            for (size_t u = 0; u < $1; u++)\n"
                 "                part[u] += ($2)in0[a + (k + u) * $3] * $4k + u];\n",
                 whole, PARTS, sum, p->ak, y);
    if (whole < p->depth)
        text_put(t,
                 "        for (size_t k = $0; k < $1; k++) part[k - $0] += ($2)in0[a + k * $3] * "
                 "$4k];\n",
                 whole, p->depth, sum, p->ak, y);
    text_put(t, "        for (size_t u = 0; u < $0; u++) sum[j] += part[u];\n    }\n", PARTS);
}

static void emit_sums(emitter *e, const node *n, const product *p) {
    text *t = emit_helpers(e);
    const char *sum = type_is(n->out[0]->type, TYPES_FLOAT) ? "double" : "uint64_t";
    text_put(t,
             "    $0 sum[$1] = {0};\n"
             "    const size_t a = $2, b = $3;\n",
             sum, p->columns < COLUMNS ? p->columns : COLUMNS, emit_index(e, p->a, p->outer, NULL),
             emit_index(e, p->b, p->outer, NULL));
    if (p->bk == 1 && p->bj > 1) {
        emit_column_sums(e, p, sum);
        return;
    }
    text_put(
        t,
        "    for (size_t k = 0; k < $0; k++) {\n"
        "        const $1 x = ($1)in0[a + k * $2];\n"
        "        for (size_t j = 0; j < width; j++) sum[j] += x * ($1)in1[b + k * $3 + (first + "
        "j) * $4];\n"
        "    }\n",
        p->depth, sum, p->ak, p->bk, p->bj);
}

static void product_emit(emitter *e, const node *n) {
    int64_t s[4][MAX_RANK] = {{0}};
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i]) emit_strides(n, n->in[i], s[i]);
    emit_strides(n, n->out[0], s[3]);
    product p = product_of(n, (const int64_t(*)[MAX_RANK])s);
    text *t = emit_helpers(e);
    p.extent[p.outer] = (p.columns + COLUMNS - 1) / COLUMNS;
    emit_task_open(e, n);
    emit_task_indices(e, p.extent, p.outer + 1);
    text_put(t,
             "    const size_t first = i$0 * $1;\n"
             "    const size_t width = $2 - first < $1 ? $2 - first : $1;\n",
             p.outer, COLUMNS, p.columns);
    emit_sums(e, n, &p);
    text_append(t, "    for (size_t j = 0; j < width; j++) {\n");
    emit_store(e, n, &p);
    emit_task_close(e, n, emit_task_count(e, n, p.extent, p.outer + 1), n->macs);
}

/* ---- rows ---- */

/* clang-format off */
#define GEMM(first, last, in, tested_by)                                                          \
    {OP_HEAD("", "Gemm", first, last, in, 3, 1, 1, tested_by),                                    \
     ATTRIBUTES(DEFAULT(FLOAT, "alpha", 1), DEFAULT(FLOAT, "beta", 1), DEFAULT(INT, "transA", 0), \
                DEFAULT(INT, "transB", 0), ATTR(INT, "broadcast")),                               \
     .flags = OP_ANY_LAYOUT | OP_BATCH_AXIS0, .weights = 6, .infer = gemm_infer,                  \
     .reference = product_reference, .grad = gemm_grad, .emit = product_emit}

const op_row ops_matrix[] = {
    GEMM(1, 10, 3, "test_operator_addmm"), /* the attribute broadcast: C is broadcast anyway */
    GEMM(11, 0, 2, "test_gemm_all_attributes"),
    {OP_HEAD("", "MatMul", 1, 0, 2, 2, 1, 1, "test_matmul_2d"),
     .flags = OP_ANY_LAYOUT | OP_BATCH_AXIS0 | OP_BATCH_EACH, .weights = 3,
     .infer = matmul_infer, .reference = product_reference, .grad = matmul_grad,
     .emit = product_emit},
    {.name = NULL}};
/* clang-format on */
