/* Fully connected layers (runtime/kernels/gemm.h). */
#include "../../runtime/core/tensor.h"
#include "kernels.h"

static bool is_rows(const value *v) {
    return v && v->type == DT_FLOAT && v->shape.rank == 2 && v->layout == LAYOUT_ONNX &&
           !v->pixel_stride && value_count(v) > 0;
}

static bool applies(const node *n, const options *o) {
    (void)o;
    if (!is_internal(n) || !is_rows(n->in[0]) || n->in[0]->constant || !is_rows(n->out[0]) ||
        !is_constant(n->in[1]))
        return false;
    const int64_t *w = n->in[1]->shape.dim;
    if (n->in[1]->shape.rank != 2 || w[1] != n->in[0]->shape.dim[1] ||
        w[0] != n->out[0]->shape.dim[1])
        return false;
    const value *b = input_at(n, 2), *r = input_at(n, 3);
    if (b && (!is_constant(b) || (value_count(b) != w[0] && value_count(b) != 1))) return false;
    return act_known(n) &&
           (!r || (is_rows(r) && !r->constant && shape_equal(&r->shape, &n->out[0]->shape)));
}

/* bytes: of a weight. */
static double time_of(const node *n, const options *o, double bytes) {
    const double weights = (double)value_count(n->in[1]), rows = (double)n->out[0]->shape.dim[0];
    const double compute = weights * rows / speed(o, rows > 1 ? 0.7 : 0.3),
                 stream = stream_time(bytes * weights);
    return 1 + (compute > stream ? compute : stream);
}

static double cost(const node *n, const options *o) { return time_of(n, o, 4); }

/* ---- weights ---- */

/* [n / block][k][block] */
static void emit_matrix(emitter *e, const node *n, int64_t block) {
    const int64_t outputs = n->in[1]->shape.dim[0], k = n->in[1]->shape.dim[1];
    const float *from = n->in[1]->constant->data;
    const int64_t count = round_up(outputs, block) * k;
    float *to = new_floats(e, count);
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t i = 0; i < k; i++)
            to[(o / block * k + i) * block + o % block] = from[o * k + i];
    emit_packed(e, "const void *w", to, count, n->in[1]->name);
}

/* [n / block][k / 2][block] pairs */
static void emit_matrix_bfloat16(emitter *e, const node *n, int64_t block) {
    const int64_t outputs = n->in[1]->shape.dim[0], k = n->in[1]->shape.dim[1],
                  pairs = ceil_div(k, 2);
    const float *from = n->in[1]->constant->data;
    const int64_t count = round_up(outputs, block) * pairs;
    uint32_t *to = ARENA_ARRAY(emit_arena(e), uint32_t, (size_t)count);
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t i = 0; i < k; i++)
            to[(o / block * pairs + i / 2) * block + o % block] |=
                (uint32_t)cameo_bfloat16(from[o * k + i]) << (i % 2 ? 16 : 0);
    emit_packed(e, "const void *w", to, count, n->in[1]->name);
}

/* ---- emission ---- */

static void emit_either(emitter *e, const node *n, bool rounded) {
    const int64_t *w = n->in[1]->shape.dim, block = 4 * vector_of(e);
    emit_value(e, "x", n->in[0], false);
    (rounded ? emit_matrix_bfloat16 : emit_matrix)(e, n, block);
    const char *ending = emit_ending(e, n, 1, w[0], block);
    emit_cameo_gemm(e, "_shape",
                    &(cameo_gemm){w[1], w[0], input_at(n, 3) != NULL, rounded, act_of(n)});
    emit_task(e, "task", "cameo_gemm_task");
    body_put(e, "    cameo_gemm_args a = {x, w, $0, .rows = (ptrdiff_t)$1};\n", ending,
             images_of(e, n));
    emit_parallel(e, NULL, ceil_div(w[0], block), "task, &a", "blocks of outputs");
}

static void emit(emitter *e, const node *n) { emit_either(e, n, false); }

const implementation gemm = {
    .name = "gemm", .op = CAMEO_Gemm, OF_FILE, .inplace = 1u << 3, .dense = true};

/* ---- --bfloat16 ---- */

static bool applies_rounded(const node *n, const options *o) {
    return o->bfloat16 && applies(n, o);
}

static double cost_rounded(const node *n, const options *o) { return time_of(n, o, 2); }

static void emit_rounded(emitter *e, const node *n) { emit_either(e, n, true); }

const implementation gemm_bfloat16 = {.name = "gemm-bfloat16",
                                      .op = CAMEO_Gemm,
                                      .applies = applies_rounded,
                                      .cost = cost_rounded,
                                      .emit = emit_rounded,
                                      .inplace = 1u << 3,
                                      .dense = true};
