/* Products of two matrices that only the run knows (runtime/kernels/matmul.h): fully connected
   layers in training, forward and backward. Weights stay in ONNX order, which all three products
   read well. */
#include "kernels.h"

enum { ROWS_MOST = 1024 }; /* of a b^T: the sums of a task are on the stack */

typedef struct plan {
    int64_t m, n, k;
    bool ta, tb;
} plan;

static bool is_matrix(const value *v) {
    return v && v->type == DT_FLOAT && v->shape.rank == 2 && v->layout == LAYOUT_ONNX &&
           !v->pixel_stride && value_count(v) > 0;
}

/* One number a column. */
static bool is_bias(const value *b, int64_t columns) {
    const int rank = b->shape.rank;
    return b->type == DT_FLOAT && b->layout == LAYOUT_ONNX && rank >= 1 && rank <= 2 &&
           value_count(b) == columns && b->shape.dim[rank - 1] == columns;
}

static bool make_plan(const node *n, plan *p) {
    const value *a = input_at(n, 0), *b = input_at(n, 1), *bias = input_at(n, 2), *y = n->out[0];
    if (n->domain[0] || !is_matrix(a) || !is_matrix(b) || !is_matrix(y)) return false;
    p->ta = node_int(n, "transA", 0) != 0, p->tb = node_int(n, "transB", 0) != 0;
    p->m = y->shape.dim[0], p->n = y->shape.dim[1], p->k = a->shape.dim[!p->ta];
    if (node_float(n, "alpha", 1) != 1 ||
        (bias && (node_float(n, "beta", 1) != 1 || !is_bias(bias, p->n))))
        return false;
    if (p->ta && (p->tb || node_is_batched(n))) return false;
    return !p->tb || p->m <= ROWS_MOST;
}

static bool applies(const node *n, const options *o) {
    (void)o;
    plan p;
    return make_plan(n, &p);
}

static double cost(const node *n, const options *o) {
    plan p;
    if (!make_plan(n, &p)) return 1e30;
    const double compute = (double)p.m * (double)p.n * (double)p.k / speed(o, 0.6);
    const double stream = stream_time(
        4 * ((double)p.m * (double)p.n + (double)p.k * (double)(p.m + p.n)));
    return 1 + (compute > stream ? compute : stream);
}

static int64_t scratch(const node *n, const options *o) {
    plan p;
    if (!make_plan(n, &p) || !p.tb) return 0;
    return round_up(p.m, 2 * o->target.vector_floats) * p.k;
}

/* Rows of a register tile: a share of all rows as even as can be. */
static int64_t tile_of(const plan *p, const target *t) {
    const bool many = t->vector_registers > 16;
    const int64_t largest = p->ta ? (many ? 14 : 6) : many ? 8 : 5, tiles = ceil_div(p->m, largest);
    return ceil_div(p->m, tiles);
}

static void emit_abt(emitter *e, const node *n, const plan *p) {
    const int64_t panel = 2 * vector_of(e);
    text *h = emit_helpers(e), *t = emit_body(e);
    emit_param(e, "void *packed", emit_scratch(e));
    emit_task(e, "task_pack", "cameo_matmul_panel_task");
    text_put(h,
             "static void $F_task(void *p, size_t i) {\n"
             "    float yt[$0 * CAMEO_MATMUL_COLUMNS] __attribute__((aligned(64)));\n"
             "    cameo_matmul_abt_task(&$F_shape, p, i, yt);\n"
             "}\n",
             round_up(p->m, panel));
    text_put(t,
             "    cameo_matmul_args a = {x, w, $0, y, (ptrdiff_t)$1, packed};\n"
             "    cameo_parallel(c, ($2 + CAMEO_MATMUL_DEPTH - 1) / CAMEO_MATMUL_DEPTH, "
             "$F_task_pack, &a);\n"
             "    cameo_parallel(c, ($3 + CAMEO_MATMUL_COLUMNS - 1) / CAMEO_MATMUL_COLUMNS, "
             "$F_task, &a);\n",
             input_at(n, 2) ? "b" : "NULL", images_of(e, n), p->k, p->n);
}

static void emit_strips(emitter *e, const node *n, const plan *p) {
    text *h = emit_helpers(e), *t = emit_body(e);
    text_put(h,
             "static void $F_task(void *p, size_t i) {\n"
             "    float strip[CAMEO_MATMUL_STRIP_FLOATS] __attribute__((aligned(64)));\n"
             "    cameo_matmul_$0_task(&$F_shape, p, i, strip);\n"
             "}\n",
             p->ta ? "atb" : "ab");
    text_put(
        t,
        "    cameo_matmul_args a = {x, w, $0, y, (ptrdiff_t)$1, NULL};\n"
        "    cameo_parallel(c, ($2 + CAMEO_MATMUL_STRIP - 1) / CAMEO_MATMUL_STRIP, $F_task, &a);\n",
        input_at(n, 2) ? "b" : "NULL", images_of(e, n), p->n);
}

static void emit(emitter *e, const node *n) {
    plan p;
    if (!make_plan(n, &p)) BUG("matrix product without a plan");
    emit_value(e, "x", n->in[0], false);
    emit_value(e, "w", n->in[1], false);
    if (input_at(n, 2)) emit_value(e, "b", n->in[2], false);
    emit_value(e, "y", n->out[0], true);
    emit_vector_check(e);
    emit_cameo_matmul(e, "_shape", &(cameo_matmul){p.m, p.n, p.k, tile_of(&p, target_of(e))});
    if (p.tb)
        emit_abt(e, n, &p);
    else
        emit_strips(e, n, &p);
}

const implementation matrix_gemm = {
    .name = "matrix-product", .op = ONNX_Gemm, OF_FILE, .scratch = scratch, .dense = true};
const implementation matrix_matmul = {
    .name = "matrix-product", .op = ONNX_MatMul, OF_FILE, .scratch = scratch, .dense = true};
