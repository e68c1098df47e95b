/* Losses as rows of the internal domain: softmax cross-entropy and its gradient. passes/loss.c
   puts them into the step graph; what runs is runtime/kernels/loss.h. */
#include "../../runtime/kernels/margin.h"
#include "../emit/loops.h"
#include "../ir/grad.h"
#include "pointwise.h"
#include "row.h"

#include <math.h>

enum { LOSS, PROBABILITIES, CORRECT, ROWS }; /* outputs of SoftmaxCrossEntropy */
enum {
    LABELS = 1,
    LABELS_B,
    MIX,
    SMOOTHING
}; /* its inputs behind the logits; those of its gradient are one further on */

static bool has_shape(graph *g, const node *n, size_t i, unsigned types, const shape *s) {
    if (!type_check(g, n, i, types)) return false;
    return shape_equal(&n->in[i]->shape, s) ||
           node_error(g, n, "input %zu has another shape than it needs", i);
}

/* labels [N] int64, labels_b [N] int64, mix [N], smoothing [1] from input `first` on. */
static bool check_target(graph *g, const node *n, size_t first, int64_t images) {
    const shape each = {.rank = 1, .dim = {images}}, one = {.rank = 1, .dim = {1}};
    return has_shape(g, n, first, 1u << DT_INT64, &each) &&
           has_shape(g, n, first + 1, 1u << DT_INT64, &each) &&
           has_shape(g, n, first + 2, TYPES_FLOAT, &each) &&
           has_shape(g, n, first + 3, TYPES_FLOAT, &one);
}

static bool check_scores(graph *g, const node *n, size_t i) {
    if (!type_check(g, n, i, TYPES_FLOAT)) return false;
    const shape *s = &n->in[i]->shape;
    return (s->rank == 2 && s->dim[0] > 0 && s->dim[1] > 1) ||
           node_error(g, n, "input %zu is not [images, classes] with at least two classes", i);
}

static bool cross_entropy_infer(graph *g, node *n) {
    if (!check_scores(g, n, 0)) return false;
    const shape *z = &n->in[0]->shape, scalar = {.rank = 0},
                rows = {.rank = 2, .dim = {z->dim[0], 2}};
    const dtype type = n->in[0]->type;
    return check_target(g, n, LABELS, z->dim[0]) && op_set_output(g, n, LOSS, type, &scalar) &&
           op_set_output(g, n, PROBABILITIES, type, z) &&
           op_set_output(g, n, CORRECT, type, &scalar) && op_set_output(g, n, ROWS, type, &rows);
}

/* The target's share of class k. */
static double share(const tensor *const *in, int64_t image, int64_t k, int64_t classes) {
    const double mix = tensor_get(in[2], image), s = tensor_get(in[3], 0);
    const double a = tensor_get_int(in[0], image) == k, b = tensor_get_int(in[1], image) == k;
    return (1 - s) * (mix * a + (1 - mix) * b) + s / (double)classes;
}

static OP_REFERENCE(cross_entropy_reference) {
    const double *z = ref_doubles(a, in[0]);
    const int64_t images = in[0]->shape.dim[0], classes = in[0]->shape.dim[1];
    double loss = 0, correct = 0;
    for (int64_t i = 0; i < images; i++, z += classes) {
        double sum = 0, row = 0;
        int64_t best = 0;
        for (int64_t k = 1; k < classes; k++)
            if (z[k] > z[best]) best = k;
        for (int64_t k = 0; k < classes; k++) sum += exp(z[k] - z[best]);
        for (int64_t k = 0; k < classes; k++) {
            row -= share(in + LABELS, i, k, classes) * (z[k] - z[best] - log(sum));
            tensor_set(out[PROBABILITIES], i * classes + k, exp(z[k] - z[best]) / sum);
        }
        const bool found = best == tensor_get_int(in[LABELS], i);
        tensor_set(out[ROWS], 2 * i, row);
        tensor_set(out[ROWS], 2 * i + 1, found);
        loss += row, correct += found;
    }
    tensor_set(out[LOSS], 0, loss / (double)images);
    tensor_set(out[CORRECT], 0, correct);
    return true;
}

/* One task an image: these lines, in which $0 stands for the classes and $1 for the images. The
   step graph, which alone has these rows, is float32; double is for tests, through the
   reference. */
static void emit_images(emitter *e, const node *n, const value *scores, const char *lines,
                        int work) {
    const int64_t images = scores->shape.dim[0], classes = scores->shape.dim[1];
    if (scores->type != DT_FLOAT) BUG("a loss of %s in a program", dtype_name(scores->type));
    emit_task_open(e, n);
    text_put(emit_helpers(e), lines, classes, images);
    emit_task_close(e, n, arena_put(emit_arena(e), "$0", images),
                    work * (double)images * (double)classes);
}

static void cross_entropy_emit(emitter *e, const node *n) {
    emit_images(e, n, n->in[0],
                "    const cameo_target target = {in1[i], in2[i], in3[i], in4[0]};\n"
                "    (void)out0, (void)out2;\n"
                "    cameo_cross_entropy_row(in0 + i * $0, $0, target, out1 + i * $0, out3 + i * "
                "2);\n",
                8);
    text_put(emit_body(e), "    cameo_cross_entropy_sum(out3, $0, out0, out2);\n",
             n->in[0]->shape.dim[0]);
}

static GRADIENT(cross_entropy_grad) {
    if (!dout[LOSS]) return true;
    value *in[] = {dout[LOSS], n->out[PROBABILITIES], n->in[LABELS], n->in[LABELS_B],
                   n->in[MIX], n->in[SMOOTHING]};
    return (din[0] = grad_call(g, n, CAMEO_SoftmaxCrossEntropyGrad, in, 6));
}

/* ---- SoftmaxCrossEntropyGrad: dloss, probabilities, labels, labels_b, mix, smoothing ---- */

static bool cross_entropy_grad_infer(graph *g, node *n) {
    const shape scalar = {.rank = 0};
    return check_scores(g, n, 1) && has_shape(g, n, 0, TYPES_FLOAT, &scalar) &&
           check_target(g, n, 1 + LABELS, n->in[1]->shape.dim[0]) &&
           op_set_output(g, n, 0, n->in[1]->type, &n->in[1]->shape);
}

static OP_REFERENCE(cross_entropy_grad_reference) {
    const int64_t images = in[1]->shape.dim[0], classes = in[1]->shape.dim[1];
    const double scale = tensor_get(in[0], 0) / (double)images;
    for (int64_t i = 0; i < images * classes; i++)
        tensor_set(out[0], i,
                   scale * (tensor_get(in[1], i) -
                            share(in + 1 + LABELS, i / classes, i % classes, classes)));
    return true;
}

static void cross_entropy_grad_emit(emitter *e, const node *n) {
    emit_images(
        e, n, n->in[1],
        "    const cameo_target target = {in2[i], in3[i], in4[i], in5[0]};\n"
        "    cameo_cross_entropy_grad_row(in1 + i * $0, $0, target, in0[0] / $1, out0 + i * "
        "$0);\n",
        1);
}

/* ---- Margin: logits, labels -> logits with the label's changed, slope[N], correct, found[N]
   ---- */

enum { SLOPE = 1, FOUND = 3 }; /* further outputs */

static bool margin_infer(graph *g, node *n) {
    if (!check_scores(g, n, 0)) return false;
    const shape *z = &n->in[0]->shape, each = {.rank = 1, .dim = {z->dim[0]}}, scalar = {.rank = 0};
    const dtype type = n->in[0]->type;
    return has_shape(g, n, LABELS, 1u << DT_INT64, &each) && op_set_output(g, n, 0, type, z) &&
           op_set_output(g, n, SLOPE, type, &each) && op_set_output(g, n, CORRECT, type, &scalar) &&
           op_set_output(g, n, FOUND, type, &each);
}

static OP_REFERENCE(margin_reference) {
    const double *z = ref_doubles(a, in[0]);
    const int64_t images = in[0]->shape.dim[0], classes = in[0]->shape.dim[1];
    double correct = 0;
    ref_store(out[0], z);
    for (int64_t i = 0; i < images; i++, z += classes) {
        const int64_t label = tensor_get_int(in[LABELS], i);
        int64_t best = 0;
        double slope = 1;
        for (int64_t k = 1; k < classes; k++)
            if (z[k] > z[best]) best = k;
        if (label >= 0 && label < classes)
            tensor_set(out[0], i * classes + label,
                       cameo_margin_score(node_float(n, "scale", 0), node_float(n, "m1", 0),
                                          node_float(n, "m2", 0), node_float(n, "m3", 0), z[label],
                                          &slope));
        tensor_set(out[SLOPE], i, slope);
        tensor_set(out[FOUND], i, best == label);
        correct += best == label;
    }
    tensor_set(out[CORRECT], 0, correct);
    return true;
}

static void margin_emit(emitter *e, const node *n) {
    emit_images(
        e, n, n->in[0],
        arena_printf(emit_arena(e),
                     "    const cameo_margin margin = {%.9g, %.9g, %.9g, %.9g};\n"
                     "    (void)out2;\n"
                     "    cameo_margin_row(&margin, in0 + i * $0, $0, in1[i], out0 + i * $0, "
                     "out1 + i, out3 + i);\n",
                     node_float(n, "scale", 0), node_float(n, "m1", 0), node_float(n, "m2", 0),
                     node_float(n, "m3", 0)),
        1);
    text_put(emit_body(e),
             "    *out2 = 0;\n"
             "    for (size_t i = 0; i < $0; i++) *out2 += out3[i];\n",
             n->in[0]->shape.dim[0]);
}

static GRADIENT(margin_grad) {
    if (!dout[0]) return true;
    return (din[0] = grad_call(g, n, CAMEO_MarginGrad,
                               OPERANDS(dout[0], n->out[SLOPE], n->in[LABELS])));
}

/* dlogits, slope, labels */
static bool margin_grad_infer(graph *g, node *n) {
    if (!check_scores(g, n, 0)) return false;
    const shape each = {.rank = 1, .dim = {n->in[0]->shape.dim[0]}};
    return has_shape(g, n, 1, TYPES_FLOAT, &each) && has_shape(g, n, 2, 1u << DT_INT64, &each) &&
           op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

static OP_REFERENCE(margin_grad_reference) {
    const int64_t images = in[0]->shape.dim[0], classes = in[0]->shape.dim[1];
    for (int64_t i = 0; i < images * classes; i++) {
        const bool label = tensor_get_int(in[2], i / classes) == i % classes;
        tensor_set(out[0], i, tensor_get(in[0], i) * (label ? tensor_get(in[1], i / classes) : 1));
    }
    return true;
}

static void margin_grad_emit(emitter *e, const node *n) {
    emit_images(e, n, n->in[0],
                "    cameo_margin_grad_row(in0 + i * $0, $0, in2[i], in1[i], out0 + i * $0);\n", 1);
}

/* ---- rows ---- */

/* clang-format off */
#define LOSS_ROW(name, in, out, prefix, tested_by) \
    OP_INTERNAL(name, in, in, out, out, prefix, "test_losses " tested_by)

const op_row ops_loss[] = {
    {LOSS_ROW("SoftmaxCrossEntropy", 5, 4, cross_entropy, "cross_entropy"),
     .flags = OP_ANY_LAYOUT, .grad = cross_entropy_grad},
    {LOSS_ROW("SoftmaxCrossEntropyGrad", 6, 1, cross_entropy_grad, "cross_entropy"),
     .flags = OP_ANY_LAYOUT},
    {LOSS_ROW("Margin", 2, 4, margin, "margin_kernels"),
     ATTRIBUTES(NEEDED(FLOAT, "scale"), DEFAULT(FLOAT, "m1", 1), DEFAULT(FLOAT, "m2", 0),
                DEFAULT(FLOAT, "m3", 0)),
     .flags = OP_ANY_LAYOUT | OP_INPLACE, .grad = margin_grad},
    {LOSS_ROW("MarginGrad", 3, 1, margin_grad, "margin_kernels"),
     .flags = OP_ANY_LAYOUT | OP_INPLACE},
    {.name = NULL}};
/* clang-format on */
