/* Infer, reference and emission of every elementwise row. See pointwise.h. */
#include "pointwise.h"

#include "../emit/emit.h"

#include <math.h>
#include <string.h>

bool type_is(dtype t, unsigned mask) { return (int)t > 0 && (int)t < 32 && mask >> (int)t & 1; }

bool type_check(graph *g, const node *n, size_t input, unsigned mask) {
    if (!op_present(n, input)) return node_error(g, n, "input %zu is missing", input);
    const dtype t = n->in[input]->type;
    if (type_is(t, mask)) return true;
    return diag_error(
        g->diag, n,
        type_is(t, 1u << DT_FLOAT16 | 1u << DT_BFLOAT16) ? "convert the model to float32" : NULL,
        "type %s of input %zu is not supported", dtype_name(t), input);
}

static const pointwise *find_in(const pointwise *table, opcode op, bool variant) {
    for (; table->op; table++)
        if (table->op == op && table->variant == variant) return table;
    return NULL;
}

static bool is_variant(const node *n) {
    if (n->opcode == ONNX_Mod) return node_int(n, "fmod", 0) != 0;
    return n->opcode == ONNX_Gelu && !strcmp(node_string(n, "approximate", "none"), "tanh");
}

const pointwise *pointwise_of(const node *n) {
    const bool variant = is_variant(n);
    const pointwise *k = find_in(pointwise_elementwise, n->opcode, variant);
    if (!k) k = find_in(pointwise_activation, n->opcode, variant);
    if (!k) k = find_in(pointwise_gradient, n->opcode, variant);
    if (!k) BUG("%s has no elementwise kernel", n->op_type);
    return k;
}

static bool is_variadic(const node *n) { return n->op && n->op->max_in == -1; }

/* ---- infer ---- */

bool pointwise_infer(graph *g, node *n) {
    const pointwise *k = pointwise_of(n);
    shape s;
    for (size_t i = 0; i < n->n_in; i++)
        if (!type_check(g, n, i, k->types)) return false;
    const bool mixed = n->opcode == ONNX_Pow;
    for (size_t i = 1; i < n->n_in && !mixed; i++)
        if (n->in[i]->type != n->in[0]->type)
            return node_error(g, n, "inputs have different types: %s and %s",
                              dtype_name(n->in[0]->type), dtype_name(n->in[i]->type));
    return broadcast_shape(g, n, &s) &&
           op_set_output(g, n, 0, k->to_bool ? DT_BOOL : n->in[0]->type, &s);
}

/* ---- reference ---- */

static void parameters(const pointwise *k, const node *n, double p[3]) {
    for (int i = 0; i < 3; i++) {
        p[i] = k->parameter[i] ? (double)(float)k->otherwise[i] : 0;
        if (k->parameter[i] && node_attr(n, k->parameter[i]))
            p[i] = node_float(n, k->parameter[i], 0);
    }
}

static void reference_real(const pointwise *k, const node *n, const tensor *const *in, tensor *out,
                           int64_t *at) {
    double p[3], x[3];
    const bool folds = is_variadic(n);
    parameters(k, n, p);
    const int64_t count = shape_count(&out->shape);
    for (int64_t j = 0; j < count; j++) {
        broadcast_at(n, &out->shape, in, j, at);
        for (size_t i = 0; i < n->n_in; i++) {
            x[folds && i ? 1 : i] = tensor_get(in[i], at[i]);
            if (folds ? i > 0 : i + 1 == n->n_in) x[0] = k->real(x, p);
        }
        tensor_set(out, j, k->op == ONNX_Mean ? x[0] / (double)n->n_in : x[0]);
    }
}

static void reference_integer(const pointwise *k, const node *n, const tensor *const *in,
                              tensor *out, int64_t *at) {
    const int64_t count = shape_count(&out->shape);
    int64_t (*const compute)(const int64_t *) = in[0]->type == DT_UINT64 && k->natural ? k->natural
                                                                                       : k->integer;
    for (int64_t j = 0; j < count; j++) {
        int64_t x[2];
        broadcast_at(n, &out->shape, in, j, at);
        x[0] = tensor_get_int(in[0], at[0]);
        if (n->n_in == 1 && !is_variadic(n)) x[0] = compute(x);
        for (size_t i = 1; i < n->n_in; i++) {
            x[1] = tensor_get_int(in[i], at[i]);
            x[0] = compute(x);
        }
        tensor_set_int(out, j, x[0]);
    }
}

OP_REFERENCE(pointwise_reference) {
    const pointwise *k = pointwise_of(n);
    int64_t *at = ARENA_ARRAY(a, int64_t, n->n_in);
    bool integers = k->integer != NULL;
    for (size_t i = 0; i < n->n_in; i++)
        if (type_is(in[i]->type, TYPES_FLOAT)) integers = false;
    (integers ? reference_integer : reference_real)(k, n, in, out[0], at);
    return true;
}

/* ---- emission ---- */

const char *pointwise_text(arena *a, const char *pattern, dtype type, const double *p,
                           const char *x0, const char *x1) {
    text t = {0};
    for (const char *s = pattern; *s; s++) {
        if (*s == '@')
            text_append(&t, type == DT_FLOAT ? "f" : "");
        else if (*s == '~')
            text_append(&t, dtype_c(type));
        else if (*s == '$')
            text_append(&t, float_text(a, p[*++s - '0']));
        else if (*s == 'x' && (s[1] == '0' || s[1] == '1') && (s == pattern || s[-1] != '0'))
            text_append(&t, *++s == '0' ? x0 : x1);
        else
            text_append_n(&t, s, 1);
    }
    return text_keep(&t, a);
}

static const char *kernel_text(emitter *e, const pointwise *k, const node *n, const char *x0,
                               const char *x1) {
    const dtype type = n->in[0]->type;
    double p[3];
    parameters(k, n, p);
    return pointwise_text(
        emit_arena(e), type_is(type, TYPES_FLOAT) || !k->integer_text ? k->text : k->integer_text,
        type, p, x0, x1);
}

/* $F_two(...$F_two(x0, x1)..., xN) */
static const char *fold_text(emitter *e, const pointwise *k, const node *n) {
    const char *type = dtype_c(n->in[0]->type);
    if (n->n_in > 1)
        text_printf(emit_helpers(e), "static inline %s $F_two(%s a, %s b) { return (%s)(%s); }\n\n",
                    type, type, type, type, kernel_text(e, k, n, "a", "b"));
    text t = {0};
    for (size_t i = 1; i < n->n_in; i++) text_append(&t, "$F_two(");
    text_append(&t, "x0");
    for (size_t i = 1; i < n->n_in; i++) text_printf(&t, ", x%zu)", i);
    if (k->op == ONNX_Mean) text_printf(&t, " / %zu", n->n_in);
    return text_keep(&t, emit_arena(e));
}

void pointwise_emit(emitter *e, const node *n) {
    const pointwise *k = pointwise_of(n);
    emit_elementwise(e, n, is_variadic(n) ? fold_text(e, k, n) : kernel_text(e, k, n, "x0", "x1"));
}

static bool is_neutral(const value *v, double neutral) {
    if (!v->constant) return false;
    for (int64_t i = 0; i < value_count(v); i++) {
        const double x = tensor_get(v->constant, i);
        if (!(x == neutral) || (type_is(v->type, TYPES_FLOAT) && signbit(x) != signbit(neutral)))
            return false;
    }
    return true;
}

int pointwise_same(const graph *g, const node *n) {
    const pointwise *k = pointwise_of(n);
    (void)g;
    if (is_variadic(n) && n->n_in == 1) return 0;
    for (int i = 0; i < 2 && n->n_in == 2; i++)
        if (k->neutral_sides >> i & 1 && is_neutral(n->in[i], k->neutral)) return 1 - i;
    return -1;
}
