/* Convolutions: Conv, ConvTranspose (1, 2 and 3 spatial axes) and com.microsoft FusedConv. The
   same functions serve the internal Conv of internal.c. The plain emission is direct loops with a
   double accumulator, one task for an image and a row of outputs. */
#include "conv.h"

#include <string.h>

#include "../emit/emit.h"
#include "act.h"
#include "window.h"

/* ---- infer ---- */

/* All float32, or all float64: training's tests differentiate in double precision. */
static bool float_inputs(graph *g, const node *n) {
    const dtype want = n->in[0]->type == DT_DOUBLE ? DT_DOUBLE : DT_FLOAT;
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] && n->in[i]->type != want)
            return diag_error(g->diag, n, "convert the model to float32", "input %zu is %s, not %s",
                              i, dtype_name(n->in[i]->type), dtype_name(want));
    return true;
}

static bool check_operands(graph *g, const node *n) {
    const shape *x = &n->in[0]->shape, *w = &n->in[1]->shape;
    if (!float_inputs(g, n)) return false;
    if (x->rank < 3 || x->rank > 5)
        return diag_error(g->diag, n, DIAG_UNSUPPORTED,
                          "an input of rank %d is not supported (3 to 5 are)", x->rank);
    if (w->rank != x->rank)
        return diag_error(g->diag, n, NULL, "weights of rank %d do not fit an input of rank %d",
                          w->rank, x->rank);
    int64_t group = node_int(n, "group", 1);
    if (group < 1 || x->dim[1] % group)
        return diag_error(g->diag, n, NULL, "group %lld does not divide the channels",
                          (long long)group);
    return true;
}

static bool check_bias(graph *g, const node *n, int64_t channels) {
    if (n->n_in <= 2 || !n->in[2]) return true;
    const shape *b = &n->in[2]->shape;
    if (b->rank == 1 && b->dim[0] == channels) return true;
    return diag_error(g->diag, n, NULL, "the bias must have %lld elements", (long long)channels);
}

static double kernel_size(const window *w) {
    return (double)w->k[0] * (double)w->k[1] * (double)w->k[2];
}

bool conv_infer(graph *g, node *n) {
    if (!check_operands(g, n)) return false;
    const shape *x = &n->in[0]->shape, *f = &n->in[1]->shape;
    int64_t group = node_int(n, "group", 1);
    window w;
    if (f->dim[1] != x->dim[1] / group)
        return diag_error(g->diag, n, NULL, "weights for %lld channels a group, the input has %lld",
                          (long long)f->dim[1], (long long)(x->dim[1] / group));
    if (f->dim[0] % group)
        return diag_error(g->diag, n, NULL, "group %lld does not divide %lld filters",
                          (long long)group, (long long)f->dim[0]);
    if (!check_bias(g, n, f->dim[0]) || !window_read(g->diag, n, x, f->dim + 2, &w)) return false;
    shape y = window_shape(&w, x->dim[0], f->dim[0]);
    if (n->n_in > 3 && n->in[3] && !shape_equal(&n->in[3]->shape, &y))
        return diag_error(g->diag, n, NULL, "the summand's shape is not the output's");
    if (!op_set_output(g, n, 0, n->in[0]->type, &y)) return false;
    n->macs = (double)shape_count(&y) * (double)f->dim[1] * kernel_size(&w);
    return true;
}

static bool transposed_infer(graph *g, node *n) {
    if (!check_operands(g, n)) return false;
    const shape *x = &n->in[0]->shape, *f = &n->in[1]->shape;
    int64_t group = node_int(n, "group", 1), channels;
    window w;
    if (f->dim[0] != x->dim[1])
        return diag_error(g->diag, n, NULL, "weights for %lld channels, the input has %lld",
                          (long long)f->dim[0], (long long)x->dim[1]);
    if (__builtin_mul_overflow(f->dim[1], group, &channels))
        return diag_error(g->diag, n, DIAG_UNSUPPORTED, "too many output channels");
    if (!check_bias(g, n, channels) || !window_read_transposed(g->diag, n, x, f->dim + 2, &w))
        return false;
    shape y = window_shape(&w, x->dim[0], channels);
    if (!op_set_output(g, n, 0, n->in[0]->type, &y)) return false;
    n->macs = (double)shape_count(x) * (double)f->dim[1] * kernel_size(&w);
    return true;
}

/* ---- reference ---- */

typedef struct conv_case { /* operands as doubles, and the geometry */
    const double *x, *f;
    window w;
    int64_t images, in_channels, out_channels, group, filter_channels; /* filter_channels: W.dim[1]
                                                                        */
    bool transposed;
} conv_case;

/* The input index that output o reads through kernel tap k; -1 for none. */
static int64_t tap(const conv_case *c, int axis, int64_t o, int64_t k) {
    const window *w = &c->w;
    int64_t i = o * w->stride[axis] - w->begin[axis] + k * w->dilation[axis];
    if (c->transposed) {
        i = o + w->begin[axis] - k * w->dilation[axis];
        if (i < 0 || i % w->stride[axis]) return -1;
        i /= w->stride[axis];
    }
    return i >= 0 && i < w->in[axis] ? i : -1;
}

static double channel_sum(const conv_case *c, const double *x, const double *f,
                          const int64_t o[3]) {
    const window *w = &c->w;
    double sum = 0;
    for (int64_t k0 = 0; k0 < w->k[0]; k0++) {
        int64_t i0 = tap(c, 0, o[0], k0);
        for (int64_t k1 = 0; i0 >= 0 && k1 < w->k[1]; k1++) {
            int64_t i1 = tap(c, 1, o[1], k1);
            for (int64_t k2 = 0; i1 >= 0 && k2 < w->k[2]; k2++) {
                int64_t i2 = tap(c, 2, o[2], k2);
                if (i2 >= 0)
                    sum += x[(i0 * w->in[1] + i1) * w->in[2] + i2] *
                           f[(k0 * w->k[1] + k1) * w->k[2] + k2];
            }
        }
    }
    return sum;
}

static double element(const conv_case *c, int64_t image, int64_t m, const int64_t o[3]) {
    const int64_t plane = c->w.in[0] * c->w.in[1] * c->w.in[2],
                  taps = c->w.k[0] * c->w.k[1] * c->w.k[2];
    const int64_t per_in = c->in_channels / c->group, per_out = c->out_channels / c->group,
                  g = m / per_out;
    double sum = 0;
    for (int64_t i = 0; i < per_in; i++) {
        int64_t channel = g * per_in + i, filter = c->transposed
                                                       ? channel * c->filter_channels + m % per_out
                                                       : m * per_in + i;
        sum += channel_sum(c, c->x + (image * c->in_channels + channel) * plane,
                           c->f + filter * taps, o);
    }
    return sum;
}

double conv_finish(const node *n, const tensor *const *in, double v, int64_t channel,
                   int64_t index) {
    if (n->n_in > 2 && in[2]) v += tensor_get(in[2], channel);
    if (n->n_in > 3 && in[3]) v += tensor_get(in[3], index);
    double slope = 0;
    if (n->n_in > 4 && in[4])
        slope = tensor_get(in[4], shape_count(&in[4]->shape) == 1 ? 0 : channel);
    return act_apply(n, v, slope);
}

static void run_case(const conv_case *c, const node *n, const tensor *const *in, tensor *y) {
    int64_t at = 0;
    for (int64_t image = 0; image < c->images; image++)
        for (int64_t m = 0; m < c->out_channels; m++)
            for (int64_t o0 = 0; o0 < c->w.out[0]; o0++)
                for (int64_t o1 = 0; o1 < c->w.out[1]; o1++)
                    for (int64_t o2 = 0; o2 < c->w.out[2]; o2++, at++)
                        tensor_set(y, at,
                                   conv_finish(n, in,
                                               element(c, image, m, (int64_t[3]){o0, o1, o2}), m,
                                               at));
}

void conv_run(arena *a, const node *n, const tensor *const *in, tensor *y, const window *w,
              bool transposed) {
    const shape *x = &in[0]->shape;
    const conv_case c = {ref_doubles(a, in[0]),
                         ref_doubles(a, in[1]),
                         *w,
                         x->dim[0],
                         x->dim[1],
                         y->shape.dim[1],
                         node_int(n, "group", 1),
                         in[1]->shape.dim[1],
                         transposed};
    run_case(&c, n, in, y);
}

static bool any_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                          const char **why, bool transposed) {
    const shape *x = &in[0]->shape, *f = &in[1]->shape;
    window w;
    if (!(transposed ? window_read_transposed(NULL, n, x, f->dim + 2, &w)
                     : window_read(NULL, n, x, f->dim + 2, &w))) {
        *why = "the attributes contradict the shapes";
        return false;
    }
    conv_run(a, n, in, out[0], &w, transposed);
    return true;
}

bool conv_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                    const char **why) {
    return any_reference(a, n, in, out, why, false);
}

static bool transposed_reference(arena *a, const node *n, const tensor *const *in,
                                 tensor *const *out, const char **why) {
    return any_reference(a, n, in, out, why, true);
}

/* ---- emit ---- */

static const value *input(const node *n, size_t i) { return i < n->n_in ? n->in[i] : NULL; }

static const char *const operands[] = {"x", "w", "b", "r", "s"};

static void emit_operands(emitter *e, const node *n) {
    text *h = emit_helpers(e), *b = emit_body(e);
    text_append(h, "struct $F_args {\n");
    text_append(b, "    struct $F_args args = {");
    for (size_t i = 0; i < 5; i++)
        if (input(n, i)) {
            emit_value(e, operands[i], n->in[i], false);
            text_printf(h, "    const %s *%s;\n", dtype_c(n->in[i]->type), operands[i]);
            text_printf(b, "%s, ", operands[i]);
        }
    emit_value(e, "y", n->out[0], true);
    text_printf(h, "    %s *y;\n};\n", dtype_c(n->out[0]->type));
    text_append(b, "y};\n");
}

/* Loops over kernel taps of the real axes; i<a> is the input index, taps outside the input are
   skipped. */
static void emit_taps(text *h, const window *w, bool transposed) {
    for (int a = 3 - w->rank; a < 3; a++) {
        text_printf(h, "        for (ptrdiff_t k%d = 0; k%d < %lld; k%d++) {\n", a, a,
                    (long long)w->k[a], a);
        if (transposed) {
            text_printf(h, "            const ptrdiff_t t%d = o%d + %lld - k%d * %lld;\n", a, a,
                        (long long)w->begin[a], a, (long long)w->dilation[a]);
            text_printf(h, "            if (t%d < 0 || t%d %% %lld != 0) continue;\n", a, a,
                        (long long)w->stride[a]);
            text_printf(h, "            const ptrdiff_t i%d = t%d / %lld;\n", a, a,
                        (long long)w->stride[a]);
            text_printf(h, "            if (i%d >= %lld) continue;\n", a, (long long)w->in[a]);
        } else {
            text_printf(h, "            const ptrdiff_t i%d = o%d * %lld - %lld + k%d * %lld;\n", a,
                        a, (long long)w->stride[a], (long long)w->begin[a], a,
                        (long long)w->dilation[a]);
            text_printf(h, "            if (i%d < 0 || i%d >= %lld) continue;\n", a, a,
                        (long long)w->in[a]);
        }
    }
}

const char *conv_index(emitter *e, const value *v, const window *w, const char *image,
                       const char *channel, const char *const name[3]) {
    const char *names[MAX_RANK] = {image, channel};
    int64_t stride[MAX_RANK];
    value_strides(v, stride);
    for (int i = 0; i < w->rank; i++) names[2 + i] = name[3 - w->rank + i];
    return emit_index(e, stride, w->rank + 2, names);
}

static void emit_finish(emitter *e, const node *n, const char *y) {
    text *h = emit_helpers(e);
    text_append(h, "        ");
    if (input(n, 3)) {
        int64_t stride[MAX_RANK];
        static const char *const names[] = {"image", "m", "o0", "o1", "o2"};
        const char *shifted[MAX_RANK] = {"image", "m"};
        const int rank = n->out[0]->shape.rank;
        for (int i = 2; i < rank; i++) shifted[i] = names[i + 5 - rank];
        value_strides(n->in[3], stride);
        text_printf(h, "sum += (double)a->r[%s];\n        ", emit_index(e, stride, rank, shifted));
    }
    const char *slope = !input(n, 4) ? "0.0f" : value_count(n->in[4]) == 1 ? "a->s[0]" : "a->s[m]";
    const char *type = dtype_c(n->out[0]->type);
    text_printf(h, "const %s v = (%s)sum;\n        a->y[%s] = %s;\n", type, type, y,
                act_expression(emit_arena(e), n, "v", slope));
}

static void emit_task(emitter *e, const node *n, const window *w, bool transposed) {
    static const char *const in[] = {"i0", "i1", "i2"}, *const out[] = {"o0", "o1", "o2"},
                             *const tapn[] = {"k0", "k1", "k2"};
    text *h = emit_helpers(e);
    const value *x = n->in[0], *f = n->in[1], *y = n->out[0];
    const int64_t group = node_int(n, "group", 1), per_in = x->shape.dim[1] / group,
                  per_out = y->shape.dim[1] / group;
    const int first = 3 - w->rank;
    text_append(h, "static void $F_task(void *p, size_t i) {\n    const struct $F_args *a = p;\n");
    text_printf(
        h, "    const ptrdiff_t image = (ptrdiff_t)(i / %lld), o%d = (ptrdiff_t)(i %% %lld);\n",
        (long long)w->out[first], first, (long long)w->out[first]);
    text_printf(h, "    for (ptrdiff_t m = 0; m < %lld; m++)\n", (long long)y->shape.dim[1]);
    for (int i = first + 1; i < 3; i++)
        text_printf(h, "    for (ptrdiff_t o%d = 0; o%d < %lld; o%d++)\n", i, i,
                    (long long)w->out[i], i);
    text_printf(h, "    {\n        double sum = %s;\n", input(n, 2) ? "(double)a->b[m]" : "0");
    text_printf(h, "        for (ptrdiff_t q = 0; q < %lld; q++)\n", (long long)per_in);
    emit_taps(h, w, transposed);
    const char *channel = arena_printf(emit_arena(e), group == 1 ? "q" : "(m / %lld * %lld + q)",
                                       (long long)per_out, (long long)per_in);
    const char *filter = group == 1
                             ? "m"
                             : arena_printf(emit_arena(e), "(m %% %lld)", (long long)per_out);
    text_printf(h, "            sum += (double)a->x[%s]",
                conv_index(e, x, w, "image", channel, in));
    text_printf(h, " * (double)a->w[%s];\n",
                transposed ? conv_index(e, f, w, channel, filter, tapn)
                           : conv_index(e, f, w, "m", "q", tapn));
    for (int i = first; i < 3; i++) text_append(h, "        }\n");
    emit_finish(e, n, conv_index(e, y, w, "image", "m", out));
    text_append(h, "    }\n}\n");
}

void conv_emit_window(emitter *e, const node *n, const window *w, bool transposed) {
    const shape *x = &n->in[0]->shape;
    emit_operands(e, n);
    text *b = emit_body(e);
    const long long rows = (long long)w->out[3 - w->rank];
    if (value_count(n->out[0]) == 0)
        text_append(emit_helpers(e), "/* no elements */\n");
    else
        emit_task(e, n, w, transposed);
    if (value_count(n->out[0]) == 0)
        text_append(b, "    (void)args, (void)c, (void)n;\n");
    else if (node_is_batched(n))
        text_printf(b, "    cameo_parallel(c, n * %lld, $F_task, &args);\n", rows);
    else
        text_printf(b, "    (void)n;\n    cameo_parallel(c, %lld, $F_task, &args);\n",
                    (long long)x->dim[0] * rows);
}

static void emit_any(emitter *e, const node *n, bool transposed) {
    const shape *x = &n->in[0]->shape, *f = &n->in[1]->shape;
    window w;
    if (!(transposed ? window_read_transposed(NULL, n, x, f->dim + 2, &w)
                     : window_read(NULL, n, x, f->dim + 2, &w)))
        BUG("a convolution that infer accepted is inconsistent");
    conv_emit_window(e, n, &w, transposed);
}

void conv_emit(emitter *e, const node *n) { emit_any(e, n, false); }
static void transposed_emit(emitter *e, const node *n) { emit_any(e, n, true); }

/* ---- com.microsoft FusedConv: activation names and parameters become those of the internal rows
   ---- */

static bool fused_infer(graph *g, node *n) {
    const char *name = node_string(n, "activation", "");
    const attr *p = node_attr(n, "activation_params");
    const float *v = p && p->kind == ATTR_FLOATS ? p->floats : NULL;
    const size_t count = v ? p->count : 0;
    const act_row *act = act_of_op(opcode_find("", name));
    if (!act && name[0])
        return diag_error(g->diag, n, "optimise the model at the basic level only",
                          "this fused activation is not supported");
    node_set_string(g, n, "act", act ? act->name : "none");
    for (size_t i = 0; act && i < 2 && i < count; i++) act_set_number(g, n, act, (int)i, v[i]);
    return conv_infer(g, n);
}

static const op_attr conv_attrs[] = {{"auto_pad", ATTR_STRING, false, 0, "NOTSET", true},
                                     {"dilations", ATTR_INTS, false, 0, NULL, false},
                                     {"group", ATTR_INT, false, 1, NULL, true},
                                     {"kernel_shape", ATTR_INTS, false, 0, NULL, false},
                                     {"pads", ATTR_INTS, false, 0, NULL, false},
                                     {"strides", ATTR_INTS, false, 0, NULL, false},
                                     {"output_padding", ATTR_INTS, false, 0, NULL, false},
                                     {"output_shape", ATTR_INTS, false, 0, NULL, false},
                                     {"activation", ATTR_STRING, false, 0, NULL, false},
                                     {"activation_params", ATTR_FLOATS, false, 0, NULL, false},
                                     {NULL, ATTR_OTHER, false, 0, NULL, false}};

#define CONV_FLAGS (OP_NHWC | OP_ANY_LAYOUT | OP_BATCH_AXIS0)

const op_row ops_conv[] = {{.name = "Conv",
                            .domain = "",
                            .since = 1,
                            .min_in = 2,
                            .max_in = 3,
                            .min_out = 1,
                            .max_out = 1,
                            .attrs = conv_attrs,
                            .flags = CONV_FLAGS,
                            .infer = conv_infer,
                            .reference = conv_reference,
                            .grad = conv_grad,
                            .emit = conv_emit,
                            .test = "test_basic_conv_with_padding",
                            .weights = 6},
                           {.name = "ConvTranspose",
                            .domain = "",
                            .since = 1,
                            .min_in = 2,
                            .max_in = 3,
                            .min_out = 1,
                            .max_out = 1,
                            .attrs = conv_attrs,
                            .flags = CONV_FLAGS,
                            .infer = transposed_infer,
                            .reference = transposed_reference,
                            .grad = conv_transpose_grad,
                            .emit = transposed_emit,
                            .test = "test_convtranspose",
                            .weights = 6},
                           {.name = "FusedConv",
                            .domain = "com.microsoft",
                            .since = 1,
                            .min_in = 2,
                            .max_in = 4,
                            .min_out = 1,
                            .max_out = 1,
                            .attrs = conv_attrs,
                            .flags = CONV_FLAGS,
                            .infer = fused_infer,
                            .reference = conv_reference,
                            .emit = conv_emit,
                            .test = "test_ops_shape fused_conv",
                            .weights = 6},
                           {.name = NULL}};
