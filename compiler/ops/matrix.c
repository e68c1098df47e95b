/* Gemm and MatMul. Both become one product over outer axes (batch axes and rows), columns j and
   the sum's index k, each operand given by strides; sums are kept in double, in blocks of columns
   that the C compiler turns into vectors. */
#include "pointwise.h"
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
    if (n->n_in > 2 && n->in[2] && !n->in[2]->param && node_float(n, "beta", 1) == 0)
        node_set_input(g, n, 2, NULL);
}

static bool gemm_infer(graph *g, node *n) {
    for (size_t i = 0; i < n->n_in; i++) {
        if (i == 2 && !n->in[2]) continue;
        if (!type_check(g, n, i, TYPES_NUMBER)) return false;
        if (n->in[i]->type != n->in[0]->type)
            return node_error(g, n, "inputs have different types");
    }
    const shape *a = &n->in[0]->shape, *b = &n->in[1]->shape;
    if (a->rank != 2 || b->rank != 2) return node_error(g, n, "inputs 0 and 1 must have rank 2");
    const int ta = node_int(n, "transA", 0) != 0, tb = node_int(n, "transB", 0) != 0;
    if (a->dim[!ta] != b->dim[tb])
        return node_error(g, n, "inner extents differ: %lld and %lld", (long long)a->dim[!ta],
                          (long long)b->dim[tb]);
    const shape y = {.rank = 2, .dim = {a->dim[ta], b->dim[!tb]}};
    shape both;
    if (n->n_in > 2 && n->in[2] &&
        (!shape_broadcast(&y, &n->in[2]->shape, &both) || !shape_equal(&y, &both)))
        return node_error(g, n, "input 2 can't be broadcast to %lldx%lld", (long long)y.dim[0],
                          (long long)y.dim[1]);
    drop_unread_c(g, n);
    if (!shape_count(&y) || !a->dim[!ta])
        return node_unsupported(g, n, "a product of empty matrices is not supported");
    n->macs = (double)y.dim[0] * (double)y.dim[1] * (double)a->dim[!ta];
    return op_set_output(g, n, 0, n->in[0]->type, &y);
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
    if (!type_check(g, n, 0, TYPES_NUMBER) || !type_check(g, n, 1, TYPES_NUMBER)) return false;
    if (n->in[0]->type != n->in[1]->type) return node_error(g, n, "inputs have different types");
    shape y;
    if (!matmul_shape(g, n, &y)) return false;
    if (!shape_count(&y) || !shape_count(&n->in[0]->shape))
        return node_unsupported(g, n, "a product of empty matrices is not supported");
    n->macs = (double)shape_count(&y) * (double)n->in[0]->shape.dim[n->in[0]->shape.rank - 1];
    return op_set_output(g, n, 0, n->in[0]->type, &y);
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
    const bool gemm = n->opcode == ONNX_Gemm;
    return gemm ? gemm_product(n, n->n_in > 2 && n->in[2] ? &n->in[2]->shape : NULL, s)
                : matmul_product(n, s);
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
    store_int(out, at[3], (int64_t)sum);
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

static void emit_store(emitter *e, const node *n, const product *p, const int64_t *cs) {
    text *t = emit_helpers(e);
    const char *type = dtype_c(n->out[0]->type);
    const bool real = type_is(n->out[0]->type, TYPES_FLOAT);
    text_append(t, "        ");
    text_append(t, real ? "double v = sum[j];\n" : "uint64_t v = sum[j];\n");
    if (p->alpha != 1)
        text_printf(t, real ? "        v *= %s;\n" : "        v *= (uint64_t)(int64_t)%s;\n",
                    emit_float(e, p->alpha));
    if (p->has_c)
        text_printf(
            t,
            real ? "        v += (double)%s * (double)in2[%s + (first + j) * %lld];\n"
                 : "        v += (uint64_t)(int64_t)%s * (uint64_t)in2[%s + (first + j) * %lld];\n",
            emit_float(e, p->beta), emit_index(e, cs, p->outer, NULL), (long long)p->cj);
    text_printf(t, "        out0[%s + (first + j) * %lld] = (%s)v;\n    }\n",
                emit_index(e, p->y, p->outer, NULL), (long long)p->yj, type);
}

/* Columns that lie along k: one sum after the other, in PARTS partial sums that the C compiler
   turns into vectors. */
static void emit_column_sums(emitter *e, const product *p, const char *sum) {
    text *t = emit_helpers(e);
    const long long depth = p->depth, whole = depth - depth % PARTS;
    const char *y = arena_printf(emit_arena(e), "(%s)in1[b + (first + j) * %lld + ", sum,
                                 (long long)p->bj);
    const char *x = arena_printf(emit_arena(e), "(%s)in0[a + ", sum);
    text_printf(t, "    for (size_t j = 0; j < width; j++) {\n        %s part[%d] = {0};\n", sum,
                PARTS);
    if (whole) {
        text_printf(t,
                    "        for (size_t k = 0; k < %lld; k += %d)\n            for (size_t u = 0; "
                    "u < %d; u++)\n",
                    whole, PARTS, PARTS);
        text_printf(t, "                part[u] += %s(k + u) * %lld] * %sk + u];\n", x,
                    (long long)p->ak, y);
    }
    if (whole < depth)
        text_printf(
            t,
            "        for (size_t k = %lld; k < %lld; k++) part[k - %lld] += %sk * %lld] * %sk];\n",
            whole, depth, whole, x, (long long)p->ak, y);
    text_printf(t, "        for (size_t u = 0; u < %d; u++) sum[j] += part[u];\n    }\n", PARTS);
}

static void emit_sums(emitter *e, const node *n, const product *p) {
    text *t = emit_helpers(e);
    const char *sum = type_is(n->out[0]->type, TYPES_FLOAT) ? "double" : "uint64_t";
    const long long width = p->columns < COLUMNS ? p->columns : COLUMNS;
    text_printf(t, "    %s sum[%lld] = {0};\n", sum, width);
    text_printf(t, "    const size_t a = %s, b = %s;\n", emit_index(e, p->a, p->outer, NULL),
                emit_index(e, p->b, p->outer, NULL));
    if (p->bk == 1 && p->bj > 1) {
        emit_column_sums(e, p, sum);
        return;
    }
    text_printf(
        t, "    for (size_t k = 0; k < %lld; k++) {\n        const %s x = (%s)in0[a + k * %lld];\n",
        (long long)p->depth, sum, sum, (long long)p->ak);
    text_printf(t,
                "        for (size_t j = 0; j < width; j++) sum[j] += x * (%s)in1[b + k * %lld + "
                "(first + j) * %lld];\n    }\n",
                sum, (long long)p->bk, (long long)p->bj);
}

static void product_emit(struct emitter *e, const node *n) {
    int64_t s[4][MAX_RANK] = {{0}};
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i]) emit_strides(n, n->in[i], s[i]);
    emit_strides(n, n->out[0], s[3]);
    product p = product_of(n, (const int64_t(*)[MAX_RANK])s);
    emit_task_open(e, n);
    text *t = emit_helpers(e);
    const int64_t blocks = (p.columns + COLUMNS - 1) / COLUMNS;
    p.extent[p.outer] = blocks;
    emit_task_indices(e, p.extent, p.outer + 1);
    text_printf(t, "    const size_t first = i%d * %d;\n", p.outer, COLUMNS);
    text_printf(t, "    const size_t width = %lld - first < %d ? %lld - first : %d;\n",
                (long long)p.columns, COLUMNS, (long long)p.columns, COLUMNS);
    emit_sums(e, n, &p);
    text_append(t, "    for (size_t j = 0; j < width; j++) {\n");
    emit_store(e, n, &p, p.c);
    emit_task_close(e, n, emit_task_count(e, n, p.extent, p.outer + 1), n->macs);
}

/* ---- rows ---- */

static const op_attr gemm_attrs[] = {
    {.name = "alpha", .kind = ATTR_FLOAT, .number = 1, .has_default = true},
    {.name = "beta", .kind = ATTR_FLOAT, .number = 1, .has_default = true},
    {.name = "transA", .kind = ATTR_INT, .has_default = true},
    {.name = "transB", .kind = ATTR_INT, .has_default = true},
    {.name = "broadcast", .kind = ATTR_INT}, /* before 7; C is broadcast anyway */
    {.name = NULL}};
static const op_attr none[] = {{.name = NULL}};

#define PLAIN (OP_ANY_LAYOUT | OP_BATCH_AXIS0)
const op_row ops_matrix[] = {
    {"Gemm", "", 1, 10, 3, 3, 1, 1, gemm_attrs, PLAIN, 0, gemm_infer, product_reference, gemm_grad,
     product_emit, .test = "test_operator_addmm", .weights = 6},
    {"Gemm", "", 11, 0, 2, 3, 1, 1, gemm_attrs, PLAIN, 0, gemm_infer, product_reference, gemm_grad,
     product_emit, .test = "test_gemm_all_attributes", .weights = 6},
    {"MatMul", "", 1, 0, 2, 2, 1, 1, none, PLAIN | OP_BATCH_EACH, 0, matmul_infer,
     product_reference, matmul_grad, product_emit, .test = "test_matmul_2d", .weights = 3},
    {.name = NULL}};
