/* Convolutions backward: ConvInputGrad, ConvWeightGrad and ChannelSum (a bias), and the rules of
   Conv and ConvTranspose. The gradient of a convolution's input is the transposed convolution of
   dY by the same weights, that of a transposed one an ordinary convolution (Dumoulin & Visin, A
   guide to convolution arithmetic for deep learning, section 4). */
#include "conv.h"

#include "../ir/grad.h"
#include "internal_row.h"
#include "lanes.h"
#include "pointwise.h"

/* ---- ConvInputGrad: dY, W -> dX ---- */

static bool same_types(graph *g, const node *n) {
    return type_check(g, n, 0, TYPES_FLOAT) && type_check(g, n, 1, 1u << n->in[0]->type);
}

static bool shapes_fit(graph *g, const node *n, const shape *got, const shape *wanted) {
    return shape_equal(got, wanted) ||
           diag_error(g->diag, n, NULL, "dY does not have the shape of the convolution's output");
}

static bool input_grad_infer(graph *g, node *n) {
    const shape x = window_x_shape(n), *f = &n->in[1]->shape;
    const int64_t group = node_int(n, "group", 1);
    window w;
    if (!same_types(g, n)) return false;
    if (f->rank != x.rank || f->dim[0] % group || f->dim[1] * group != x.dim[1])
        return diag_error(g->diag, n, NULL, "the weights do not fit x_shape");
    if (!window_read(g->diag, n, &x, f->dim + 2, &w)) return false;
    const shape y = window_shape(&w, x.dim[0], f->dim[0]);
    n->macs = (double)shape_count(&y) * (double)(f->dim[1] * w.k[0] * w.k[1] * w.k[2]);
    return shapes_fit(g, n, &n->in[0]->shape, &y) && op_set_output(g, n, 0, n->in[0]->type, &x);
}

/* The forward window with input and output exchanged, as the transposed convolution sees it. */
static window exchanged(const node *n, const shape *f) {
    const shape x = window_x_shape(n);
    window w, t;
    if (!window_read(NULL, n, &x, f->dim + 2, &w))
        BUG("a gradient that infer accepted is inconsistent");
    t = w;
    for (int i = 0; i < 3; i++) t.in[i] = w.out[i], t.out[i] = w.in[i];
    return t;
}

static bool input_grad_reference(arena *a, const node *n, const tensor *const *in,
                                 tensor *const *out, const char **why) {
    (void)why;
    const window w = exchanged(n, &in[1]->shape);
    conv_run(a, n, in, out[0], &w, true);
    return true;
}

static void input_grad_emit(emitter *e, const node *n) {
    const window w = exchanged(n, &n->in[1]->shape);
    conv_emit_window(e, n, &w, true);
}

/* ---- ConvWeightGrad: X, dY -> dW ---- */

static bool weight_grad_infer(graph *g, node *n) {
    const shape *x = &n->in[0]->shape, *dy = &n->in[1]->shape;
    const int64_t group = node_int(n, "group", 1);
    window w;
    if (!same_types(g, n) || !window_read(g->diag, n, x, NULL, &w)) return false;
    if (dy->rank != x->rank || group < 1 || x->dim[1] % group || dy->dim[1] % group)
        return diag_error(g->diag, n, NULL, "X, dY and group do not fit");
    const shape y = window_shape(&w, x->dim[0], dy->dim[1]);
    shape f = {.rank = x->rank, .dim = {dy->dim[1], x->dim[1] / group}};
    for (int i = 0; i < w.rank; i++) f.dim[2 + i] = w.k[3 - w.rank + i];
    n->macs = (double)shape_count(dy) * (double)f.dim[1] * (double)(w.k[0] * w.k[1] * w.k[2]);
    return shapes_fit(g, n, dy, &y) && op_set_output(g, n, 0, n->in[0]->type, &f);
}

/* Sum over the outputs of one image for tap k: planes of x and dy. */
static double tap_sum(const window *w, const double *x, const double *dy, const int64_t k[3]) {
    double sum = 0;
    int64_t i[3];
    for (int64_t o0 = 0; o0 < w->out[0]; o0++)
        for (int64_t o1 = 0; o1 < w->out[1]; o1++)
            for (int64_t o2 = 0; o2 < w->out[2]; o2++, dy++) {
                const int64_t o[] = {o0, o1, o2};
                bool inside = true;
                for (int a = 0; a < 3; a++) {
                    i[a] = o[a] * w->stride[a] - w->begin[a] + k[a] * w->dilation[a];
                    inside = inside && i[a] >= 0 && i[a] < w->in[a];
                }
                if (inside) sum += x[(i[0] * w->in[1] + i[1]) * w->in[2] + i[2]] * *dy;
            }
    return sum;
}

static bool weight_grad_reference(arena *a, const node *n, const tensor *const *in,
                                  tensor *const *out, const char **why) {
    (void)why;
    const shape *xs = &in[0]->shape, *f = &out[0]->shape;
    window w;
    if (!window_read(NULL, n, xs, NULL, &w)) BUG("a gradient that infer accepted is inconsistent");
    const double *x = ref_doubles(a, in[0]), *dy = ref_doubles(a, in[1]);
    const int64_t filters = f->dim[0], per_in = f->dim[1], channels = xs->dim[1],
                  per_out = filters * per_in / channels;
    const int64_t plane = w.in[0] * w.in[1] * w.in[2], out_plane = w.out[0] * w.out[1] * w.out[2];
    for (int64_t i = 0; i < shape_count(f); i++) {
        const int64_t k[] = {i / w.k[2] / w.k[1] % w.k[0], i / w.k[2] % w.k[1], i % w.k[2]};
        const int64_t q = i / (w.k[0] * w.k[1] * w.k[2]), m = q / per_in,
                      c = m / per_out * per_in + q % per_in;
        double sum = 0;
        for (int64_t image = 0; image < xs->dim[0]; image++)
            sum += tap_sum(&w, x + (image * channels + c) * plane,
                           dy + (image * filters + m) * out_plane, k);
        tensor_set(out[0], i, sum);
    }
    return true;
}

/* Task i is one pair of an output channel m and an input channel q of its group. */
static void weight_grad_task(emitter *e, const node *n, const window *w) {
    static const char *const in[] = {"i0", "i1", "i2"}, *const out[] = {"o0", "o1", "o2"},
                             *const taps[] = {"k0", "k1", "k2"};
    const shape *f = &n->out[0]->shape;
    const int64_t group = node_int(n, "group", 1);
    const int first = 3 - w->rank;
    text *h = emit_helpers(e);
    text_printf(h, "    const ptrdiff_t m = (ptrdiff_t)(i / %lld), q = (ptrdiff_t)(i %% %lld);\n",
                (long long)f->dim[1], (long long)f->dim[1]);
    for (int a = first; a < 3; a++)
        text_printf(h, "    for (ptrdiff_t k%d = 0; k%d < %lld; k%d++)\n", a, a, (long long)w->k[a],
                    a);
    text_printf(h,
                "    {\n        double sum = 0;\n        for (ptrdiff_t image = 0; image < %lld; "
                "image++)\n",
                (long long)n->in[0]->shape.dim[0]);
    for (int a = first; a < 3; a++) {
        text_printf(h, "        for (ptrdiff_t o%d = 0; o%d < %lld; o%d++) {\n", a, a,
                    (long long)w->out[a], a);
        text_printf(h, "            const ptrdiff_t i%d = o%d * %lld - %lld + k%d * %lld;\n", a, a,
                    (long long)w->stride[a], (long long)w->begin[a], a, (long long)w->dilation[a]);
        text_printf(h, "            if (i%d < 0 || i%d >= %lld) continue;\n", a, a,
                    (long long)w->in[a]);
    }
    const char *channel = group == 1
                              ? "q"
                              : arena_printf(emit_arena(e), "(m / %lld * %lld + q)",
                                             (long long)(f->dim[0] / group), (long long)f->dim[1]);
    text_printf(h, "            sum += (double)in0[%s] * (double)in1[%s];\n",
                conv_index(e, n->in[0], w, "image", channel, in),
                conv_index(e, n->in[1], w, "image", "m", out));
    for (int a = first; a < 3; a++) text_append(h, "        }\n");
    text_printf(h, "        out0[%s] = (%s)sum;\n    }\n",
                conv_index(e, n->out[0], w, "m", "q", taps), dtype_c(n->out[0]->type));
}

static void weight_grad_emit(emitter *e, const node *n) {
    const shape *f = &n->out[0]->shape;
    window w;
    if (!window_read(NULL, n, &n->in[0]->shape, NULL, &w))
        BUG("a gradient that infer accepted is inconsistent");
    emit_task_open(e, n);
    weight_grad_task(e, n, &w);
    emit_task_close(e, n, arena_printf(emit_arena(e), "%lld", (long long)(f->dim[0] * f->dim[1])),
                    n->macs);
}

/* ---- ChannelSum: dY -> db[C] ---- */

static bool channel_sum_infer(graph *g, node *n) {
    const shape *s = &n->in[0]->shape;
    if (!type_check(g, n, 0, TYPES_FLOAT)) return false;
    if (s->rank < 2) return diag_error(g->diag, n, NULL, "the input has no channels");
    return op_set_output(g, n, 0, n->in[0]->type, &(shape){.rank = 1, .dim = {s->dim[1]}});
}

static bool channel_sum_reference(arena *a, const node *n, const tensor *const *in,
                                  tensor *const *out, const char **why) {
    (void)n, (void)why;
    const lanes l = lanes_of(a, &in[0]->shape, lanes_channel_mask(&in[0]->shape));
    int64_t *base, *step, count;
    lanes_offsets(a, &l, &base, &count, &step);
    for (int64_t c = 0; c < count; c++) {
        double sum = 0;
        for (int64_t i = 0; i < l.length; i++) sum += tensor_get(in[0], base[c] + step[i]);
        tensor_set(out[0], c, sum);
    }
    return true;
}

static void channel_sum_emit(emitter *e, const node *n) {
    const lanes l = lanes_of(emit_arena(e), &n->in[0]->shape, lanes_channel_mask(&n->in[0]->shape));
    lanes_open(e, n, &l);
    text_append(emit_helpers(e), "    double sum = 0;\n");
    lanes_loop(e, &l);
    text_printf(emit_helpers(e), "        sum += (double)in0[%s];\n",
                lanes_index(e, n, n->in[0], &l));
    lanes_end(e, &l);
    text_printf(emit_helpers(e), "    out0[i1] = (%s)sum;\n", dtype_c(n->out[0]->type));
    lanes_close(e, n, &l);
}

/* ---- rules ---- */

static value *window_call(graph *g, const node *origin, opcode op, value *a, value *b,
                          const window *w, const shape *x) {
    node *n = grad_node(g, origin, op, (value *const[]){a, b}, 2, 1);
    window_write(g, n, w);
    node_set_int(g, n, "group", node_int(origin, "group", 1));
    if (x) node_set_ints(g, n, "x_shape", x->dim, (size_t)x->rank);
    return grad_infer(g, n);
}

static bool wants(const node *n, size_t i) { return op_present(n, i) && n->in[i]->wants_grad; }

static bool bias_grad(graph *g, const node *n, value *dy, value **din) {
    return !wants(n, 2) || (din[2] = grad_call(g, n, CAMEO_ChannelSum, &dy, 1));
}

bool conv_grad(graph *g, node *n, value *const *dout, value **din) {
    value *x = n->in[0], *f = n->in[1];
    window w;
    if (!window_read(g->diag, n, &x->shape, f->shape.dim + 2, &w)) return false;
    /* The input's gradient last: x may be free by then, and is of its size. */
    if (!bias_grad(g, n, dout[0], din)) return false;
    if (wants(n, 1) && !(din[1] = window_call(g, n, CAMEO_ConvWeightGrad, x, dout[0], &w, NULL)))
        return false;
    return !wants(n, 0) ||
           (din[0] = window_call(g, n, CAMEO_ConvInputGrad, dout[0], f, &w, &x->shape));
}

/* The window of the ordinary convolution that leads from Y to X. Output padding of a stride or
   more would give it outputs that X does not have: its end is cut. */
static window backward_window(const window *w) {
    window b = *w;
    for (int i = 0; i < 3; i++) {
        const int64_t reach = (w->in[i] - 1) * w->stride[i] + (w->k[i] - 1) * w->dilation[i] + 1 -
                              w->begin[i] - w->out[i];
        b.in[i] = w->out[i], b.out[i] = w->in[i];
        if (w->end[i] < reach || w->end[i] - reach >= w->stride[i]) b.end[i] = reach;
    }
    return b;
}

bool conv_transpose_grad(graph *g, node *n, value *const *dout, value **din) {
    value *x = n->in[0], *f = n->in[1];
    window w;
    if (!window_read_transposed(g->diag, n, &x->shape, f->shape.dim + 2, &w)) return false;
    const window b = backward_window(&w);
    if (!bias_grad(g, n, dout[0], din)) return false;
    if (wants(n, 1) && !(din[1] = window_call(g, n, CAMEO_ConvWeightGrad, dout[0], x, &b, NULL)))
        return false;
    return !wants(n, 0) || (din[0] = window_call(g, n, ONNX_Conv, dout[0], f, &b, NULL));
}

static const op_attr grad_attrs[] = {{.name = "dilations", .kind = ATTR_INTS},
                                     {.name = "group", .kind = ATTR_INT},
                                     {.name = "kernel_shape", .kind = ATTR_INTS},
                                     {.name = "pads", .kind = ATTR_INTS},
                                     {.name = "strides", .kind = ATTR_INTS},
                                     {.name = "x_shape", .kind = ATTR_INTS},
                                     {.name = NULL}};

const op_row ops_conv_grad[] = {
    {OP_INTERNAL("ConvInputGrad", 2, 2, 1, 1, input_grad, "test_ops_backward conv_input_grad"),
     .attrs = grad_attrs, .flags = OP_NHWC | OP_ANY_LAYOUT},
    {OP_INTERNAL("ConvWeightGrad", 2, 2, 1, 1, weight_grad, "test_ops_backward conv_weight_grad"),
     .attrs = grad_attrs, .flags = OP_NHWC_IN | OP_PARAM_OUT | OP_ANY_LAYOUT},
    {OP_INTERNAL("ChannelSum", 1, 1, 1, 1, channel_sum, "test_ops_backward channel_sum"),
     .flags = OP_NHWC_IN | OP_PARAM_OUT | OP_ANY_LAYOUT},
    {.name = NULL},
};
