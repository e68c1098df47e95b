/* Convolutions: Conv, ConvTranspose (1, 2 and 3 spatial axes) and com.microsoft FusedConv. The
   same functions serve the internal Conv of internal.c. The plain emission is direct loops with a
   double accumulator, one task for an image and a row of outputs. */
#include "conv.h"

#include "../emit/emit.h"
#include "act.h"
#include "row.h"

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
        return node_unsupported(g, n, "an input of rank %d is not supported (3 to 5 are)", x->rank);
    if (w->rank != x->rank)
        return node_error(g, n, "weights of rank %d do not fit an input of rank %d", w->rank,
                          x->rank);
    int64_t group = node_int(n, "group", 1);
    if (group < 1 || x->dim[1] % group)
        return node_error(g, n, "group %lld does not divide the channels", (long long)group);
    return true;
}

static bool check_bias(graph *g, const node *n, int64_t channels) {
    if (!op_present(n, 2)) return true;
    const shape *b = &n->in[2]->shape;
    if (b->rank == 1 && b->dim[0] == channels) return true;
    return node_error(g, n, "the bias must have %lld elements", (long long)channels);
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
        return node_error(g, n, "weights for %lld channels a group, the input has %lld",
                          (long long)f->dim[1], (long long)(x->dim[1] / group));
    if (f->dim[0] % group)
        return node_error(g, n, "group %lld does not divide %lld filters", (long long)group,
                          (long long)f->dim[0]);
    if (!check_bias(g, n, f->dim[0]) || !window_read(g->diag, n, x, f->dim + 2, &w)) return false;
    shape y = window_shape(&w, x->dim[0], f->dim[0]);
    if (op_present(n, 3) && !shape_equal(&n->in[3]->shape, &y))
        return node_error(g, n, "the summand's shape is not the output's");
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
        return node_error(g, n, "weights for %lld channels, the input has %lld",
                          (long long)f->dim[0], (long long)x->dim[1]);
    if (__builtin_mul_overflow(f->dim[1], group, &channels))
        return node_unsupported(g, n, "too many output channels");
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
    if (op_present(n, 2)) v += tensor_get(in[2], channel);
    if (op_present(n, 3)) v += tensor_get(in[3], index);
    double slope = 0;
    if (op_present(n, 4)) slope = tensor_get(in[4], shape_count(&in[4]->shape) == 1 ? 0 : channel);
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

/* The window of a node that infer has accepted. */
static window window_of(const node *n, bool transposed) {
    const shape *x = &n->in[0]->shape;
    const int64_t *kernel = n->in[1]->shape.dim + 2;
    window w;
    if (!transposed) return window_again(n, x, kernel);
    if (!window_read_transposed(NULL, n, x, kernel, &w)) BUG("a ConvTranspose is inconsistent");
    return w;
}

OP_REFERENCE(conv_reference) {
    const window w = window_of(n, false);
    conv_run(a, n, in, out[0], &w, false);
    return true;
}

static OP_REFERENCE(transposed_reference) {
    const window w = window_of(n, true);
    conv_run(a, n, in, out[0], &w, true);
    return true;
}

/* ---- emit ---- */

static void emit_operands(emitter *e, const node *n) {
    static const char *const operands[] = {"x", "w", "b", "r", "s"};
    text *h = emit_helpers(e), *b = emit_body(e);
    text_append(h, "struct $F_args {\n");
    text_append(b, "    struct $F_args args = {");
    for (size_t i = 0; i < 5; i++)
        if (op_present(n, i)) {
            emit_value(e, operands[i], n->in[i], false);
            text_put(h, "    const $0 *$1;\n", dtype_c(n->in[i]->type), operands[i]);
            text_put(b, "$0, ", operands[i]);
        }
    emit_value(e, "y", n->out[0], true);
    text_put(h, "    $0 *y;\n};\n", dtype_c(n->out[0]->type));
    text_append(b, "y};\n");
}

/* As window_taps(), of a transposed convolution. */
static void transposed_taps(text *h, const window *w) {
    for (int a = 3 - w->rank; a < 3; a++)
        text_put(h,
                 "        for (ptrdiff_t k$0 = 0; k$0 < $1; k$0++) {\n"
                 "            const ptrdiff_t t$0 = o$0 + $2 - k$0 * $3;\n"
                 "            if (t$0 < 0 || t$0 % $4 != 0) continue;\n"
                 "            const ptrdiff_t i$0 = t$0 / $4;\n"
                 "            if (i$0 >= $5) continue;\n",
                 a, w->k[a], w->begin[a], w->dilation[a], w->stride[a], w->in[a]);
}

static void emit_finish(emitter *e, const node *n, const window *w) {
    text *h = emit_helpers(e);
    const char *slope = !op_present(n, 4)            ? "0.0f"
                        : value_count(n->in[4]) == 1 ? "a->s[0]"
                                                     : "a->s[m]";
    text_append(h, "        ");
    if (op_present(n, 3))
        text_put(h, "sum += (double)a->r[$0];\n        ",
                 window_index(e, n->in[3], w, "image", "m", "o"));
    text_put(h, "const $0 v = ($0)sum;\n        a->y[$1] = $2;\n", dtype_c(n->out[0]->type),
             window_index(e, n->out[0], w, "image", "m", "o"),
             act_expression(emit_arena(e), n, "v", slope));
}

static void emit_task(emitter *e, const node *n, const window *w, bool transposed) {
    text *h = emit_helpers(e);
    arena *a = emit_arena(e);
    const value *x = n->in[0], *f = n->in[1], *y = n->out[0];
    const int64_t group = node_int(n, "group", 1), per_in = x->shape.dim[1] / group,
                  per_out = y->shape.dim[1] / group;
    const int first = 3 - w->rank;
    window inner = *w;
    inner.rank--;
    text_put(h,
             "static void $F_task(void *p, size_t i) {\n"
             "    const struct $F_args *a = p;\n"
             "    const ptrdiff_t image = (ptrdiff_t)(i / $0), o$1 = (ptrdiff_t)(i % $0);\n"
             "    for (ptrdiff_t m = 0; m < $2; m++)\n",
             w->out[first], first, y->shape.dim[1]);
    window_loops(h, &inner, "o", w->out);
    text_put(h,
             "    {\n"
             "        double sum = $0;\n"
             "        for (ptrdiff_t q = 0; q < $1; q++)\n",
             op_present(n, 2) ? "(double)a->b[m]" : "0", per_in);
    (transposed ? transposed_taps : window_taps)(h, w);
    const char *channel = group == 1 ? "q" : arena_put(a, "(m / $0 * $1 + q)", per_out, per_in),
               *filter = group == 1 ? "m" : arena_put(a, "(m % $0)", per_out);
    text_put(h, "            sum += (double)a->x[$0] * (double)a->w[$1];\n",
             window_index(e, x, w, "image", channel, "i"),
             transposed ? window_index(e, f, w, channel, filter, "k")
                        : window_index(e, f, w, "m", "q", "k"));
    window_end(h, w);
    emit_finish(e, n, w);
    text_append(h, "    }\n}\n");
}

void conv_emit_window(emitter *e, const node *n, const window *w, bool transposed) {
    text *b = emit_body(e);
    const int64_t rows = w->out[3 - w->rank];
    emit_operands(e, n);
    if (value_count(n->out[0]) == 0) {
        text_append(emit_helpers(e), "/* no elements */\n");
        text_append(b, "    (void)args, (void)c, (void)n;\n");
        return;
    }
    emit_task(e, n, w, transposed);
    if (node_is_batched(n))
        text_put(b, "    cameo_parallel(c, n * $0, $F_task, &args);\n", rows);
    else
        text_put(b, "    (void)n;\n    cameo_parallel(c, $0, $F_task, &args);\n",
                 n->in[0]->shape.dim[0] * rows);
}

void conv_emit(emitter *e, const node *n) {
    const window w = window_of(n, false);
    conv_emit_window(e, n, &w, false);
}

static void transposed_emit(emitter *e, const node *n) {
    const window w = window_of(n, true);
    conv_emit_window(e, n, &w, true);
}

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

/* clang-format off */
#define CONV(domain, name, most_in, tested_by)                                                  \
    OP_HEAD(domain, name, 1, 0, 2, most_in, 1, 1, tested_by),                                   \
    ATTRIBUTES(DEFAULT_WORD("auto_pad", "NOTSET"), ATTR(INTS, "dilations"),                     \
               DEFAULT(INT, "group", 1), ATTR(INTS, "kernel_shape"), ATTR(INTS, "pads"),        \
               ATTR(INTS, "strides"), ATTR(INTS, "output_padding"), ATTR(INTS, "output_shape"), \
               ATTR(STRING, "activation"), ATTR(FLOATS, "activation_params")),                  \
    .flags = OP_NHWC | OP_ANY_LAYOUT | OP_BATCH_AXIS0, .weights = 6

const op_row ops_conv[] = {
    {CONV("", "Conv", 3, "test_basic_conv_with_padding"), OP_FUNCTIONS(conv), .grad = conv_grad},
    {CONV("", "ConvTranspose", 3, "test_convtranspose"), OP_FUNCTIONS(transposed),
     .grad = conv_transpose_grad},
    {CONV("com.microsoft", "FusedConv", 4, "test_ops_shape fused_conv"),
     .infer = fused_infer, .reference = conv_reference, .emit = conv_emit},
    {.name = NULL}};
/* clang-format on */
