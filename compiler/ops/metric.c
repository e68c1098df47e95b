/* Losses over the embeddings of a batch as rows of the internal domain: MetricLoss (triplets and
   contrastive pairs) and CenterLoss. Both compute their gradient along with the loss, so that of
   the whole is a product. What runs is runtime/kernels/metric.h. */
#include <math.h>
#include <string.h>

#include "../emit/loops.h"
#include "../ir/grad.h"
#include "pointwise.h"
#include "row.h"

enum { LOSS, GRADIENT, CORRECT, DISTANCE, SLOPE }; /* outputs of MetricLoss */
enum { UPDATED = 2 };                              /* output of CenterLoss behind the same two */

static bool check_batch(graph *g, const node *n, size_t labels) {
    if (!type_check(g, n, 0, TYPES_FLOAT) || !type_check(g, n, labels, 1u << DT_INT64))
        return false;
    const shape *x = &n->in[0]->shape, *l = &n->in[labels]->shape;
    return (x->rank == 2 && x->dim[0] > 0 && x->dim[1] > 0 && l->rank == 1 &&
            l->dim[0] == x->dim[0]) ||
           node_error(g, n, "needs embeddings [images, length] and a label for each");
}

static GRADIENT(product_grad) {
    return !dout[LOSS] ||
           (din[0] = grad_binary(g, n, ONNX_Mul, n->out[GRADIENT], dout[LOSS])) != NULL;
}

/* ---- MetricLoss ---- */

static bool is_kind(const node *n, const char *kind) {
    return !strcmp(node_string(n, "kind", ""), kind);
}

static bool metric_infer(graph *g, node *n) {
    if (!check_batch(g, n, 1)) return false;
    if (!is_kind(n, "hard") && !is_kind(n, "semi") && !is_kind(n, "contrastive"))
        return node_error(g, n, "kind is hard, semi or contrastive");
    const shape *x = &n->in[0]->shape, scalar = {.rank = 0},
                square = {.rank = 2, .dim = {x->dim[0], x->dim[0]}};
    const dtype type = n->in[0]->type;
    return op_set_output(g, n, LOSS, type, &scalar) && op_set_output(g, n, GRADIENT, type, x) &&
           op_set_output(g, n, CORRECT, type, &scalar) &&
           op_set_output(g, n, DISTANCE, type, &square) &&
           op_set_output(g, n, SLOPE, type, &square);
}

typedef struct batch {
    const node *n;
    int64_t images, length;
    const tensor *labels;
    const double *x;
    double *distance, *slope, *gradient;
    double margin;
} batch;

static double *distances(arena *a, const batch *b) {
    double *d = ARENA_ARRAY(a, double, (size_t)(b->images * b->images));
    for (int64_t i = 0; i < b->images; i++)
        for (int64_t j = 0; j < b->images; j++) {
            double sum = 0;
            for (int64_t k = 0; k < b->length; k++)
                sum += pow(b->x[i * b->length + k] - b->x[j * b->length + k], 2);
            d[i * b->images + j] = i == j ? 0 : sqrt(sum < 1e-12 ? 1e-12 : sum);
        }
    return d;
}

static bool same(const batch *b, int64_t i, int64_t j) {
    return tensor_get_int(b->labels, i) == tensor_get_int(b->labels, j);
}
static double distance(const batch *b, int64_t i, int64_t j) {
    return b->distance[i * b->images + j];
}

/* Whether (i, p, q) is a triplet of the kind asked for: p, of i's class, and q, of another, are
   the ones to compare. */
static bool is_chosen(const batch *b, int64_t i, int64_t p, int64_t q) {
    if (p == i || !same(b, i, p) || same(b, i, q)) return false;
    const bool semi = is_kind(b->n, "semi");
    const double beyond = semi ? distance(b, i, p) : -1;
    bool any = false;
    for (int64_t r = 0; r < b->images; r++) {
        if (!semi && r != i && same(b, i, r) &&
            (distance(b, i, r) > distance(b, i, p) ||
             (r < p && distance(b, i, r) == distance(b, i, p))))
            return false;
        any |= !same(b, i, r) && distance(b, i, r) > beyond;
    }
    if (any && distance(b, i, q) <= beyond) return false;
    for (int64_t r = 0; r < b->images; r++) {
        if (same(b, i, r) || r == q || (any && distance(b, i, r) <= beyond)) continue;
        const double by = any ? distance(b, i, q) - distance(b, i, r)
                              : distance(b, i, r) - distance(b, i, q);
        if (by > 0 || (by == 0 && r < q)) return false;
    }
    return true;
}

static double triplets(const batch *b) {
    double loss = 0, count = 0;
    for (int64_t i = 0; i < b->images; i++)
        for (int64_t p = 0; p < b->images; p++)
            for (int64_t q = 0; q < b->images; q++) {
                if (!is_chosen(b, i, p, q)) continue;
                const double violation = b->margin + distance(b, i, p) - distance(b, i, q);
                count++;
                if (violation <= 0) continue;
                loss += violation;
                b->slope[i * b->images + p]++;
                b->slope[i * b->images + q]--;
            }
    for (int64_t i = 0; count > 0 && i < b->images * b->images; i++) b->slope[i] /= count;
    return count > 0 ? loss / count : 0;
}

/* Half the mean square over pairs of one class, and of the margin's violations over pairs of two
   classes that violate it. */
static double pairs(const batch *b) {
    double loss = 0;
    for (int wanted = 0; wanted < 2; wanted++) {
        double sum = 0, count = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t i = 0; i < b->images; i++)
                for (int64_t j = 0; j < i; j++) {
                    const double d = distance(b, i, j), v = wanted ? d : b->margin - d;
                    if (same(b, i, j) != wanted || v <= 0) continue;
                    if (pass)
                        b->slope[i * b->images + j] = (wanted ? v : -v) / count;
                    else
                        sum += v * v, count++;
                }
        if (count > 0) loss += sum / count / 2;
    }
    return loss;
}

/* A NaN is in no triplet or pair that comparisons find: the loss says so. */
static double loss_of(const batch *b) {
    for (int64_t i = 0; i < b->images * b->images; i++)
        if (isnan(b->distance[i])) return (double)NAN;
    return is_kind(b->n, "contrastive") ? pairs(b) : triplets(b);
}

static bool nearest_is_same(const batch *b, int64_t i) {
    double least[2] = {INFINITY, INFINITY};
    for (int64_t j = 0; j < b->images; j++)
        if (j != i) least[same(b, i, j)] = fmin(least[same(b, i, j)], distance(b, i, j));
    return least[1] < INFINITY && least[1] <= least[0];
}

static OP_REFERENCE(metric_reference) {
    batch b = {.n = n,
               .images = in[0]->shape.dim[0],
               .length = in[0]->shape.dim[1],
               .labels = in[1],
               .x = ref_doubles(a, in[0]),
               .margin = node_float(n, "margin", 0)};
    b.distance = distances(a, &b);
    b.slope = ARENA_ARRAY(a, double, (size_t)(b.images * b.images));
    b.gradient = ARENA_ARRAY(a, double, (size_t)(b.images * b.length));
    tensor_set(out[LOSS], 0, loss_of(&b));
    double correct = 0;
    for (int64_t i = 0; i < b.images; i++) {
        correct += nearest_is_same(&b, i);
        for (int64_t j = 0; j < b.images; j++) {
            const double d = distance(&b, i, j),
                         s = b.slope[i * b.images + j] + b.slope[j * b.images + i];
            for (int64_t k = 0; k < b.length && d > 1e-6; k++)
                b.gradient[i * b.length + k] += s / d *
                                                (b.x[i * b.length + k] - b.x[j * b.length + k]);
        }
    }
    ref_store(out[GRADIENT], b.gradient);
    ref_store(out[DISTANCE], b.distance);
    ref_store(out[SLOPE], b.slope);
    tensor_set(out[CORRECT], 0, correct);
    return true;
}

static void emit_pointers(emitter *e, const node *n) {
    if (n->in[0]->type != DT_FLOAT) BUG("a loss of %s in a program", dtype_name(n->in[0]->type));
    for (size_t i = 0; i < n->n_in; i++)
        emit_value(e, arena_put(emit_arena(e), "in$0", i), n->in[i], false);
    for (size_t i = 0; i < n->n_out; i++)
        emit_value(e, arena_put(emit_arena(e), "out$0", i), n->out[i], true);
    text_append(emit_body(e), "    (void)c, (void)n;\n");
}

static void metric_emit(emitter *e, const node *n) {
    const shape *x = &n->in[0]->shape;
    emit_pointers(e, n);
    text_put(emit_body(e),
             "    const cameo_metric m = {$0, $1, $2, $3, in0, in1, out3, out4, out1};\n"
             "    cameo_metric_loss(&m, out0, out2);\n",
             x->dim[0], x->dim[1],
             is_kind(n, "hard")   ? "CAMEO_TRIPLET_HARD"
             : is_kind(n, "semi") ? "CAMEO_TRIPLET_SEMI"
                                  : "CAMEO_CONTRASTIVE",
             emit_float(e, node_float(n, "margin", 0)));
}

/* ---- CenterLoss: embeddings, centers, labels -> loss, gradient, centers updated ---- */

static bool center_infer(graph *g, node *n) {
    if (!check_batch(g, n, 2) || !type_check(g, n, 1, TYPES_FLOAT)) return false;
    const shape *x = &n->in[0]->shape, *c = &n->in[1]->shape, scalar = {.rank = 0};
    if (c->rank != 2 || c->dim[1] != x->dim[1])
        return node_error(g, n, "centers are not as long as embeddings");
    return op_set_output(g, n, LOSS, n->in[0]->type, &scalar) &&
           op_set_output(g, n, GRADIENT, n->in[0]->type, x) &&
           op_set_output(g, n, UPDATED, n->in[1]->type, c);
}

/* c_k - rate * sum over images of class k (c_k - x) / (1 + their number). */
static double moved(const node *n, const tensor *const *in, int64_t k, int64_t column) {
    const int64_t images = in[0]->shape.dim[0], length = in[0]->shape.dim[1];
    const double c = tensor_get(in[1], k * length + column);
    double sum = 0, count = 1;
    for (int64_t i = 0; i < images; i++)
        if (tensor_get_int(in[2], i) == k)
            sum += c - tensor_get(in[0], i * length + column), count++;
    return c - node_float(n, "rate", 0) * sum / count;
}

static OP_REFERENCE(center_reference) {
    const int64_t images = in[0]->shape.dim[0], length = in[0]->shape.dim[1],
                  classes = in[1]->shape.dim[0];
    double sum = 0;
    *why = "a label is no class";
    for (int64_t i = 0; i < images * length; i++) {
        const int64_t label = tensor_get_int(in[2], i / length);
        if (label < 0 || label >= classes) return false;
        const double d = tensor_get(in[0], i) - tensor_get(in[1], label * length + i % length);
        sum += d * d;
        tensor_set(out[GRADIENT], i, d / (double)images);
    }
    tensor_set(out[LOSS], 0, sum / 2 / (double)images);
    for (int64_t i = 0; i < classes * length; i++)
        tensor_set(out[UPDATED], i, moved(n, in, i / length, i % length));
    return true;
}

static void center_emit(emitter *e, const node *n) {
    const shape *x = &n->in[0]->shape;
    emit_pointers(e, n);
    text_put(emit_body(e),
             "    const cameo_centers s = {$0, $1, $2, $3, in0, in2, in1, out2, out1};\n"
             "    cameo_center_loss(&s, out0);\n",
             x->dim[0], x->dim[1], n->in[1]->shape.dim[0], emit_float(e, node_float(n, "rate", 0)));
}

/* ---- rows ---- */

/* clang-format off */
const op_row ops_metric[] = {
    {OP_INTERNAL("MetricLoss", 2, 2, 5, 5, metric, "test_losses metric_kernels"),
     ATTRIBUTES(NEEDED(STRING, "kind"), NEEDED(FLOAT, "margin")),
     .flags = OP_ANY_LAYOUT, .grad = product_grad},
    {OP_INTERNAL("CenterLoss", 3, 3, 3, 3, center, "test_losses center_kernels"),
     ATTRIBUTES(NEEDED(FLOAT, "rate")), .flags = OP_ANY_LAYOUT, .grad = product_grad},
    {.name = NULL}};
/* clang-format on */
