/* Convolutions backward: ConvInputGrad, ConvWeightGrad and ChannelSum (a bias), and the rules of
   Conv and ConvTranspose. The gradient of a convolution's input is the transposed convolution of
   dY by the same weights, that of a transposed one an ordinary convolution (Dumoulin & Visin, A
   guide to convolution arithmetic for deep learning, section 4). */
#include "conv.h"

#include "lanes.h"
#include "pointwise.h"
#include "row.h"

/* ---- ConvInputGrad: dY, W -> dX ---- */

static bool same_types(graph *g, const node *n) {
    return type_check(g, n, 0, TYPES_FLOAT) && type_check(g, n, 1, 1u << n->in[0]->type);
}

static bool shapes_fit(graph *g, const node *n, const shape *got, const shape *wanted) {
    return shape_equal(got, wanted) ||
           node_error(g, n, "dY does not have the shape of the convolution's output");
}

static bool input_grad_infer(graph *g, node *n) {
    const shape x = window_x_shape(n), *f = &n->in[1]->shape;
    const int64_t group = node_int(n, "group", 1);
    window w;
    if (!same_types(g, n)) return false;
    if (f->rank != x.rank || f->dim[0] % group || f->dim[1] * group != x.dim[1])
        return node_error(g, n, "the weights do not fit x_shape");
    if (!window_read(g->diag, n, &x, f->dim + 2, &w)) return false;
    const shape y = window_shape(&w, x.dim[0], f->dim[0]);
    n->macs = (double)shape_count(&y) * (double)(f->dim[1] * w.k[0] * w.k[1] * w.k[2]);
    return shapes_fit(g, n, &n->in[0]->shape, &y) && op_set_output(g, n, 0, n->in[0]->type, &x);
}

/* The forward window with input and output exchanged, as the transposed convolution sees it. */
static window exchanged(const node *n, const shape *f) {
    const shape x = window_x_shape(n);
    const window w = window_again(n, &x, f->dim + 2);
    window t = w;
    for (int i = 0; i < 3; i++) t.in[i] = w.out[i], t.out[i] = w.in[i];
    return t;
}

static OP_REFERENCE(input_grad_reference) {
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
        return node_error(g, n, "X, dY and group do not fit");
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

static OP_REFERENCE(weight_grad_reference) {
    const shape *xs = &in[0]->shape, *f = &out[0]->shape;
    const window w = window_again(n, xs, NULL);
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
    const shape *f = &n->out[0]->shape;
    const int64_t group = node_int(n, "group", 1);
    text *h = emit_helpers(e);
    text_put(h, "    const ptrdiff_t m = (ptrdiff_t)(i / $0), q = (ptrdiff_t)(i % $0);\n",
             f->dim[1]);
    window_loops(h, w, "k", w->k);
    text_put(h,
             "    {\n"
             "        double sum = 0;\n"
             "        for (ptrdiff_t image = 0; image < $0; image++)\n",
             n->in[0]->shape.dim[0]);
    for (int a = 3 - w->rank; a < 3; a++)
        text_put(h,
                 "        for (ptrdiff_t o$0 = 0; o$0 < $1; o$0++) {\n"
                 "            const ptrdiff_t i$0 = o$0 * $2 - $3 + k$0 * $4;\n"
                 "            if (i$0 < 0 || i$0 >= $5) continue;\n",
                 a, w->out[a], w->stride[a], w->begin[a], w->dilation[a], w->in[a]);
    const char *channel = group == 1 ? "q"
                                     : arena_put(emit_arena(e), "(m / $0 * $1 + q)",
                                                 f->dim[0] / group, f->dim[1]);
    text_put(h, "            sum += (double)in0[$0] * (double)in1[$1];\n",
             window_index(e, n->in[0], w, "image", channel, "i"),
             window_index(e, n->in[1], w, "image", "m", "o"));
    window_end(h, w);
    text_put(h, "        out0[$0] = ($1)sum;\n    }\n",
             window_index(e, n->out[0], w, "m", "q", "k"), dtype_c(n->out[0]->type));
}

static void weight_grad_emit(emitter *e, const node *n) {
    const shape *f = &n->out[0]->shape;
    const window w = window_again(n, &n->in[0]->shape, NULL);
    emit_task_open(e, n);
    weight_grad_task(e, n, &w);
    emit_task_close(e, n, arena_put(emit_arena(e), "$0", f->dim[0] * f->dim[1]), n->macs);
}

/* ---- ChannelSum: dY -> db[C] ---- */

static bool channel_sum_infer(graph *g, node *n) {
    const shape *s = &n->in[0]->shape;
    if (!type_check(g, n, 0, TYPES_FLOAT)) return false;
    if (s->rank < 2) return node_error(g, n, "the input has no channels");
    return op_set_output(g, n, 0, n->in[0]->type, &(shape){.rank = 1, .dim = {s->dim[1]}});
}

static OP_REFERENCE(channel_sum_reference) {
    const lanes l = lanes_run(a, lanes_of_channels(a, &in[0]->shape));
    for (int64_t c = 0; c < l.count; c++) {
        double sum = 0;
        for (int64_t i = 0; i < l.length; i++) sum += tensor_get(in[0], lane_at(&l, c, i));
        tensor_set(out[0], c, sum);
    }
    return true;
}

static void channel_sum_emit(emitter *e, const node *n) {
    const lanes l = lanes_of_channels(emit_arena(e), &n->in[0]->shape);
    lanes_emit(e, n, &l,
               "    double sum = 0;\n"
               "$lane\n"
               "        sum += (double)$in0;\n"
               "$end\n"
               "    out0[i1] = ($T)sum;\n");
}

/* ---- rules ---- */

static value *window_call(graph *g, const node *origin, opcode op, value *a, value *b,
                          const window *w, const shape *x) {
    node *n = grad_node(g, origin, op, OPERANDS(a, b), 1);
    window_write(g, n, w);
    node_set_int(g, n, "group", node_int(origin, "group", 1));
    if (x) node_set_ints(g, n, "x_shape", x->dim, (size_t)x->rank);
    return grad_infer(g, n);
}

static void bias_grad(graph *g, const node *n, value *dy, value **din) {
    if (rule_wants(n, 2)) din[2] = grad_call(g, n, CAMEO_ChannelSum, &dy, 1);
}

/* The input's gradient last: x may be free by then, and is of its size. */
GRADIENT(conv_grad) {
    value *x = n->in[0], *f = n->in[1];
    window w;
    if (!window_read(g->diag, n, &x->shape, f->shape.dim + 2, &w)) return false;
    bias_grad(g, n, dout[0], din);
    if (rule_wants(n, 1)) din[1] = window_call(g, n, CAMEO_ConvWeightGrad, x, dout[0], &w, NULL);
    if (rule_wants(n, 0))
        din[0] = window_call(g, n, CAMEO_ConvInputGrad, dout[0], f, &w, &x->shape);
    return rule_done(n, din);
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

GRADIENT(conv_transpose_grad) {
    value *x = n->in[0], *f = n->in[1];
    window w;
    if (!window_read_transposed(g->diag, n, &x->shape, f->shape.dim + 2, &w)) return false;
    const window b = backward_window(&w);
    bias_grad(g, n, dout[0], din);
    if (rule_wants(n, 1)) din[1] = window_call(g, n, CAMEO_ConvWeightGrad, dout[0], x, &b, NULL);
    if (rule_wants(n, 0)) din[0] = window_call(g, n, ONNX_Conv, dout[0], f, &b, NULL);
    return rule_done(n, din);
}

/* clang-format off */
#define WINDOW_ATTRIBUTES                                                               \
    ATTRIBUTES(ATTR(INTS, "dilations"), ATTR(INT, "group"), ATTR(INTS, "kernel_shape"), \
               ATTR(INTS, "pads"), ATTR(INTS, "strides"), ATTR(INTS, "x_shape"))

const op_row ops_conv_grad[] = {
    {OP_INTERNAL("ConvInputGrad", 2, 2, 1, 1, input_grad, "test_ops_backward conv_input_grad"),
     WINDOW_ATTRIBUTES, .flags = OP_NHWC | OP_ANY_LAYOUT},
    {OP_INTERNAL("ConvWeightGrad", 2, 2, 1, 1, weight_grad, "test_ops_backward conv_weight_grad"),
     WINDOW_ATTRIBUTES, .flags = OP_NHWC_IN | OP_PARAM_OUT | OP_ANY_LAYOUT},
    {OP_INTERNAL("ChannelSum", 1, 1, 1, 1, channel_sum, "test_ops_backward channel_sum"),
     .flags = OP_NHWC_IN | OP_PARAM_OUT | OP_ANY_LAYOUT},
    {.name = NULL}};
/* clang-format on */
