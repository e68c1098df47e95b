/* Loop nests, index expressions, literals and tasks for plain emission, and the emission of
   elementwise rows. */
#include "loops.h"

#include "../ir/broadcast.h"

#include <math.h>
#include <string.h>

const char *float_text(arena *a, double v) {
    if (isnan(v)) return "NAN";
    if (isinf(v)) return v > 0 ? "INFINITY" : "-INFINITY";
    const float f = (float)v;
    if ((double)f != v) return arena_printf(a, "%a", v);
    char *s = arena_printf(a, "%.9g", v);
    return arena_put(a, "$0$1f", s, strpbrk(s, ".e") ? "" : ".0");
}

const char *emit_float(emitter *e, double v) { return float_text(emit_arena(e), v); }

const char *emit_index(emitter *e, const int64_t *stride, int rank, const char *const *names) {
    text t = {0};
    for (int k = 0; k < rank; k++) {
        if (!stride[k]) continue;
        if (t.size) text_append(&t, " + ");
        if (names)
            text_append(&t, names[k]);
        else
            text_put(&t, "i$0", k);
        if (stride[k] != 1) text_put(&t, " * $0", stride[k]);
    }
    const char *s = arena_strdup(emit_arena(e), t.size ? text_str(&t) : "0");
    text_free(&t);
    return s;
}

void emit_axis_loop(text *t, int axis, int64_t extent) {
    text_put(t, "    for (size_t i$0 = 0; i$0 < $1; i$0++) {\n", axis, extent);
}

void emit_loops_open(emitter *e, const int64_t *extent, int rank, bool runtime_first) {
    for (int k = 0; k < rank; k++) {
        if (k == 0 && runtime_first)
            text_append(emit_body(e), "    for (size_t i0 = 0; i0 < n; i0++) {\n");
        else
            emit_axis_loop(emit_body(e), k, extent[k]);
    }
}

void emit_loops_close(emitter *e, int rank) {
    for (int k = 0; k < rank; k++) text_append(emit_body(e), "    }\n");
}

void emit_each(emitter *e, const node *n, const value *v, const char *lines) {
    emit_loops_open(e, v->shape.dim, v->shape.rank, node_is_batched(n));
    text_append(emit_body(e), lines);
    emit_loops_close(e, v->shape.rank);
}

const char *emit_index_of(emitter *e, const value *v) {
    int64_t stride[MAX_RANK];
    value_strides(v, stride);
    return emit_index(e, stride, v->shape.rank, NULL);
}

void emit_strides(const node *n, const value *v, int64_t stride[MAX_RANK]) {
    memset(stride, 0, MAX_RANK * sizeof *stride);
    value_strides(v, stride);
    if (v->batched && node_is_batched(n) && v->shape.rank > 0 && v->shape.dim[0] > 1)
        stride[0] = image_elements(v);
}

/* ---- tasks ---- */

static bool task_input(const node *n, size_t i) {
    return n->in[i] && !(n->op && i < 32 && n->op->shape_inputs >> i & 1);
}

void emit_task_open(emitter *e, const node *n) {
    text *t = emit_helpers(e), use = {0};
    text_append(t, "struct $F_args {\n");
    for (size_t i = 0; i < n->n_in; i++) {
        if (!task_input(n, i)) continue;
        const char *type = dtype_c(n->in[i]->type);
        emit_value(e, emit_text(e, "in$0", i), n->in[i], false);
        text_put(t, "    const $0 *in$1;\n", type, i);
        text_put(&use, "    const $0 *in$1 = args->in$1;\n", type, i);
    }
    for (size_t i = 0; i < n->n_out; i++) {
        if (!n->out[i]) continue;
        const char *type = dtype_c(n->out[i]->type);
        emit_value(e, emit_text(e, "out$0", i), n->out[i], true);
        text_put(t, "    $0 *out$1;\n", type, i);
        text_put(&use, "    $0 *out$1 = args->out$1;\n", type, i);
    }
    text_put(t,
             "    size_t n;\n"
             "};\n\n"
             "static void $F_task(void *p, size_t i) {\n"
             "    const struct $F_args *args = p;\n"
             "$0    (void)i;\n",
             text_str(&use));
    text_free(&use);
}

void emit_task_close(emitter *e, const node *n, const char *count, double work) {
    text *t = emit_body(e);
    text_append(emit_helpers(e), "}\n\n");
    text_append(t, "    struct $F_args args = {");
    for (size_t i = 0; i < n->n_in; i++)
        if (task_input(n, i)) text_put(t, "in$0, ", i);
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i]) text_put(t, "out$0, ", i);
    text_append(t, "n};\n");
    if (work >= 65536)
        text_put(t, "    cameo_parallel(c, $0, $F_task, &args);\n", count);
    else
        text_put(t,
                 "    const size_t tasks = $0;\n"
                 "    for (size_t i = 0; i < tasks; i++) $F_task(&args, i);\n",
                 count);
}

const char *emit_task_count(emitter *e, const node *n, const int64_t *extent, int rank) {
    const bool batched = rank > 0 && node_is_batched(n);
    int64_t count = 1;
    for (int k = batched; k < rank; k++) count *= extent[k];
    return arena_printf(emit_arena(e), batched ? "n * %lld" : "%lld", (long long)count);
}

void emit_task_indices(emitter *e, const int64_t *extent, int rank) {
    text *t = emit_helpers(e);
    int64_t below = 1;
    for (int k = rank - 1; k >= 0; k--) {
        text_put(t, "    const size_t i$0 = i", k);
        if (below != 1) text_put(t, " / $0", below);
        if (k) text_put(t, " % $0", extent[k]);
        text_put(t, ";\n    (void)i$0;\n", k);
        below *= extent[k];
    }
}

/* ---- elementwise rows ---- */

enum {
    FLAT_BLOCK = 16384
}; /* elements of one task: large enough to pay for its dispatch, small enough to balance */

typedef struct operand {
    int64_t stride[MAX_RANK]; /* per axis of the output */
    bool scalar, flat;        /* one element for all; same memory order as a dense output */
} operand;

static bool all_zero(const int64_t *s, int rank) {
    for (int k = 0; k < rank; k++)
        if (s[k]) return false;
    return true;
}

static bool is_dense(const node *n, const value *v) {
    int64_t s[MAX_RANK];
    emit_strides(n, v, s);
    const bool image_dense = !v->batched || !v->shape.rank ||
                             image_elements(v) * v->shape.dim[0] == value_count(v);
    return image_dense && (!v->pixel_stride || v->pixel_stride == v->shape.dim[1]);
}

static operand *operands(emitter *e, const node *n) {
    operand *o = ARENA_ARRAY(emit_arena(e), operand, n->n_in);
    const value *y = n->out[0];
    for (size_t i = 0; i < n->n_in; i++) {
        const value *x = n->in[i];
        if (!x) continue;
        int64_t s[MAX_RANK];
        emit_strides(n, x, s);
        const int shift = broadcast_offset(n, i);
        for (int k = 0; k < x->shape.rank; k++)
            if (k + shift >= 0) o[i].stride[k + shift] = s[k];
        o[i].scalar = all_zero(o[i].stride, MAX_RANK) &&
                      !(x->batched && node_is_batched(n) && value_count(x) != 1);
        o[i].flat = shape_equal(&x->shape, &y->shape) && x->layout == y->layout && is_dense(n, x);
    }
    return o;
}

static void load_operands(emitter *e, const node *n, const operand *o, bool scalars, bool flat,
                          const char *const *names) {
    for (size_t i = 0; i < n->n_in; i++) {
        if (!task_input(n, i) || o[i].scalar != scalars) continue;
        const char *index = scalars ? "0"
                            : flat  ? "k"
                                    : emit_index(e, o[i].stride, n->out[0]->shape.rank, names);
        helpers_put(e, "    const $0 x$1 = in$1[$2];\n", dtype_c(n->in[i]->type), i, index);
    }
}

static void emit_flat(emitter *e, const node *n, const operand *o, const char *expression) {
    const value *y = n->out[0];
    const bool batched = node_is_batched(n);
    const int64_t count = batched ? image_elements(y) : value_count(y), total = value_count(y);
    text *t = emit_helpers(e);
    text_put(t,
             "    const size_t total = $0$1, from = i * $2, to = total - from < $2 ? total : from "
             "+ $2;\n"
             "    CAMEO_INDEPENDENT\n"
             "    for (size_t k = from; k < to; k++) {\n",
             batched ? "args->n * " : "", count, FLAT_BLOCK);
    load_operands(e, n, o, false, true, NULL);
    text_put(t, "    out0[k] = ($0)($1);\n    }\n", dtype_c(y->type), expression);
    const char *rounded = batched ? "(n * %lld + %d) / %d" : "(%lld + %d) / %d";
    emit_task_close(
        e, n, arena_printf(emit_arena(e), rounded, (long long)count, FLAT_BLOCK - 1, FLAT_BLOCK),
        (double)total);
}

/* A nest over the output in its memory order; the two outer axes are the task. */
static void emit_nest(emitter *e, const node *n, const operand *o, const char *expression) {
    static const char *const onnx[] = {"i0", "i1", "i2", "i3", "i4", "i5", "i6", "i7"},
                             *const nhwc[] = {"i0", "i3", "i1", "i2"};
    const value *y = n->out[0];
    const int rank = y->shape.rank, outer = rank < 2 ? rank : 2;
    const char *const *names = y->layout == LAYOUT_NHWC ? nhwc : onnx;
    int64_t extent[MAX_RANK] = {0}, stride[MAX_RANK];
    for (int k = 0; k < rank; k++) extent[names[k][1] - '0'] = y->shape.dim[k];
    emit_strides(n, y, stride);
    emit_task_indices(e, extent, outer);
    for (int k = outer; k < rank; k++) {
        if (k == rank - 1) text_append(emit_helpers(e), "    CAMEO_INDEPENDENT\n");
        emit_axis_loop(emit_helpers(e), k, extent[k]);
    }
    load_operands(e, n, o, false, false, names);
    helpers_put(e, "    out0[$0] = ($1)($2);\n", emit_index(e, stride, rank, names),
                dtype_c(y->type), expression);
    for (int k = outer; k < rank; k++) text_append(emit_helpers(e), "    }\n");
    emit_task_close(e, n, emit_task_count(e, n, extent, outer), (double)value_count(y));
}

void emit_elementwise(emitter *e, const node *n, const char *expression) {
    const value *y = n->out[0];
    const operand *o = operands(e, n);
    bool flat = is_dense(n, y);
    for (size_t i = 0; i < n->n_in; i++)
        if (task_input(n, i) && !o[i].scalar && !o[i].flat) flat = false;
    emit_task_open(e, n);
    if (!value_count(y)) {
        for (size_t i = 0; i < n->n_in; i++)
            if (task_input(n, i)) helpers_put(e, "    (void)in$0;\n", i);
        text_append(emit_helpers(e), "    (void)out0;\n");
        emit_task_close(e, n, "0", 0);
        return;
    }
    load_operands(e, n, o, true, false, NULL);
    if (flat)
        emit_flat(e, n, o, expression);
    else
        emit_nest(e, n, o, expression);
}
