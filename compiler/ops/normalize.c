/* Normalisations: BatchNormalization, InstanceNormalization, LayerNormalization, LRN,
   LpNormalization, Softmax, LogSoftmax. All but the first and LRN work a lane at a time (lanes.h);
   sums are in double. */
#include "normalize.h"
#include "../ir/graph_query.h"
#include "pointwise.h"
#include "row.h"

#include <math.h>

static double epsilon_of(const node *n) { return node_float(n, "epsilon", 1e-5f); }

/* Float parameters 1..last with `count` elements each. */
static bool parameters_check(graph *g, const node *n, size_t last, int64_t count) {
    for (size_t i = 1; i <= last; i++) {
        if (!type_check(g, n, i, TYPES_FLOAT)) return false;
        if (value_count(n->in[i]) != count)
            return node_error(g, n, "input %zu has %lld elements, not %lld", i,
                              (long long)value_count(n->in[i]), (long long)count);
    }
    return true;
}

static bool rank_check(graph *g, const node *n, int least) {
    const int rank = n->in[0]->shape.rank;
    if (rank >= least) return true;
    return node_error(g, n, "input 0 has rank %d, but at least %d is needed", rank, least);
}

/* ---- BatchNormalization ---- */

/* Before opset 9, spatial=0 asks for one parameter for each position of each channel. MXNet wrote
   it on nodes whose parameters are one a channel, and that is all they can mean then. */
static bool per_position(const node *n) {
    return n->opset < 9 && !node_int(n, "spatial", 1) &&
           value_count(n->in[1]) != n->in[0]->shape.dim[1];
}

/* Exporters often leave the extra outputs of training in place: they are harmless while nothing
   reads them. */
static bool drop_statistics(graph *g, node *n) {
    for (size_t i = 1; i < n->n_out; i++) {
        if (n->out[i] && value_is_read(n->out[i]))
            return diag_error(g->diag, n, "export the model for inference",
                              "output %zu is computed in training only", i);
    }
    node_limit_outputs(n, 1);
    return true;
}

static bool batchnorm_infer(graph *g, node *n) {
    if (!type_check(g, n, 0, TYPES_FLOAT) || !rank_check(g, n, 2)) return false;
    const shape *x = &n->in[0]->shape;
    int64_t count = x->dim[1];
    for (int k = 2; per_position(n) && k < x->rank; k++) count *= x->dim[k];
    if (!parameters_check(g, n, 4, count)) return false;
    if (n->opset >= 14 && node_int(n, "training_mode", 0))
        return diag_error(g->diag, n, "export the model for inference",
                          "training_mode is not supported");
    if (!drop_statistics(g, n)) return false;
    if (n->opset < 7 && !node_int(n, "is_test", 0))
        diag_warn(g->diag, n, NULL,
                  "is_test=0 asks for training; the node is treated as inference");
    return op_set_output(g, n, 0, n->in[0]->type, x);
}

static OP_REFERENCE(batchnorm_reference) {
    const shape *s = &in[0]->shape;
    const int64_t count = shape_count(s), parameters = shape_count(&in[1]->shape);
    int64_t inner = 1;
    for (int k = 2; !per_position(n) && k < s->rank; k++) inner *= s->dim[k];
    for (int64_t i = 0; i < count; i++) {
        const int64_t c = i / inner % parameters;
        const double scale = tensor_get(in[1], c) / sqrt(tensor_get(in[4], c) + epsilon_of(n));
        tensor_set(out[0], i,
                   (tensor_get(in[0], i) - tensor_get(in[3], c)) * scale + tensor_get(in[2], c));
    }
    return true;
}

/* Where the parameters of the element at i1, i2 ... lie. */
static const char *parameter_index(emitter *e, const node *n) {
    const shape *x = &n->in[0]->shape;
    int64_t s[MAX_RANK] = {0}, step = 1;
    if (!per_position(n)) return "i1";
    for (int k = x->rank - 1; k > 0; k--) {
        s[k] = step;
        step *= x->dim[k];
    }
    return emit_index(e, s, x->rank, NULL);
}

/* For tensors without elements, whose loops would be compared with zero. */
static bool emit_empty(emitter *e, const node *n) {
    if (value_count(n->in[0])) return false;
    text_append(emit_body(e), "    (void)c, (void)n;\n");
    return true;
}

static void batchnorm_emit(emitter *e, const node *n) {
    const lanes l = lanes_of(emit_arena(e), &n->in[0]->shape, 0);
    if (emit_empty(e, n)) return;
    lanes_put(e, n, &l,
              "$2"
              "    const double scale = (double)in1[$0] / sqrt((double)in4[$0] + $1);\n"
              "    const double mean = (double)in3[$0], shift = (double)in2[$0];\n"
              "$3"
              "    $out0 = ($T)(((double)$in0 - mean) * scale + shift);\n",
              parameter_index(e, n), epsilon_of(n), per_position(n) ? "$rest\n" : "",
              per_position(n) ? "" : "$rest\n");
}

/* ---- mean and variance of a lane ---- */

moments lane_moments(const node *n, const tensor *x, const lanes *l, int64_t lane) {
    const double length = (double)l->length;
    double sum = 0, squares = 0;
    for (int64_t k = 0; k < l->length; k++) sum += tensor_get(x, lane_at(l, lane, k));
    for (int64_t k = 0; k < l->length; k++) {
        const double d = tensor_get(x, lane_at(l, lane, k)) - sum / length;
        squares += d * d;
    }
    return (moments){sum / length, squares / length, 1 / sqrt(squares / length + epsilon_of(n))};
}

const char *lane_moments_text(emitter *e, const node *n) {
    return arena_put(emit_arena(e),
                     "    double mean = 0, squares = 0;\n"
                     "$lane\n"
                     "        mean += (double)$in0;\n"
                     "$end\n"
                     "    mean /= $N;\n"
                     "$lane\n"
                     "        const double d = (double)$in0 - mean;\n"
                     "        squares += d * d;\n"
                     "$end\n"
                     "    const double factor = 1 / sqrt(squares / $N + $0);\n",
                     epsilon_of(n));
}

/* ---- InstanceNormalization ---- */

static bool instance_infer(graph *g, node *n) {
    if (!type_check(g, n, 0, TYPES_FLOAT) || !rank_check(g, n, 3)) return false;
    if (!parameters_check(g, n, 2, n->in[0]->shape.dim[1])) return false;
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

static OP_REFERENCE(instance_reference) {
    const lanes l = lanes_run(a, lanes_from(a, &in[0]->shape, 2));
    for (int64_t i = 0; i < l.count; i++) {
        const moments m = lane_moments(n, in[0], &l, i);
        const int64_t c = i % in[0]->shape.dim[1];
        for (int64_t k = 0; k < l.length; k++) {
            const int64_t at = lane_at(&l, i, k);
            tensor_set(out[0], at,
                       (tensor_get(in[0], at) - m.mean) * m.factor * tensor_get(in[1], c) +
                           tensor_get(in[2], c));
        }
    }
    return true;
}

static void instance_emit(emitter *e, const node *n) {
    const shape *x = &n->in[0]->shape;
    const lanes l = lanes_from(emit_arena(e), x, 2);
    if (emit_empty(e, n)) return;
    lanes_put(e, n, &l,
              "$0"
              "    const double scale = (double)in1[i1] * factor, shift = "
              "(double)in2[i1];\n"
              "$lane\n"
              "        $out0 = ($T)(((double)$in0 - mean) * scale + shift);\n"
              "$end\n",
              lane_moments_text(e, n));
}

/* ---- LayerNormalization ---- */

/* Scale and B spread over the normalised axes only. */
static bool layer_parameter(graph *g, const node *n, size_t i, int axis) {
    const shape *x = &n->in[0]->shape, *p = &n->in[i]->shape;
    const int shift = x->rank - p->rank;
    if (!type_check(g, n, i, TYPES_FLOAT)) return false;
    for (int k = 0; k < p->rank; k++)
        if (k + shift < 0 ||
            (p->dim[k] != 1 && (k + shift < axis || p->dim[k] != x->dim[k + shift])))
            return node_error(g, n, "input %zu does not fit the normalised axes", i);
    return true;
}

static bool layer_infer(graph *g, node *n) {
    int axis;
    if (!type_check(g, n, 0, TYPES_FLOAT) || !type_check(g, n, 1, TYPES_FLOAT)) return false;
    if (!op_axis(g, n, node_int(n, "axis", -1), n->in[0]->shape.rank, &axis) ||
        !layer_parameter(g, n, 1, axis))
        return false;
    if (op_present(n, 2) && !layer_parameter(g, n, 2, axis)) return false;
    if (node_int(n, "stash_type", 1) != 1)
        return node_unsupported(g, n, "only stash_type 1 (float32) is supported");
    shape s = n->in[0]->shape;
    if (!op_set_output(g, n, 0, n->in[0]->type, &s)) return false;
    for (int k = axis; k < s.rank; k++) s.dim[k] = 1;
    for (size_t i = 1; i < n->n_out; i++)
        if (n->out[i] && !op_set_output(g, n, i, DT_FLOAT, &s)) return false;
    return true;
}

/* Element of a parameter at each element of a lane. */
static int64_t *layer_offsets(arena *a, const tensor *p, const shape *x, int64_t length) {
    int64_t *at = ARENA_ARRAY(a, int64_t, (size_t)length);
    for (int64_t i = 0; i < length; i++) {
        int64_t rest = i, step = 1;
        for (int k = p->shape.rank - 1, axis = x->rank - 1; k >= 0; k--, axis--) {
            if (p->shape.dim[k] != 1) at[i] += rest % p->shape.dim[k] * step;
            step *= p->shape.dim[k];
            rest /= x->dim[axis];
        }
    }
    return at;
}

static OP_REFERENCE(layer_reference) {
    const shape *x = &in[0]->shape;
    if (!shape_count(x)) return true;
    const lanes l = lanes_run(a, lanes_from(a, x, node_axis(n, x->rank, -1)));
    const int64_t *scale = layer_offsets(a, in[1], x, l.length);
    const int64_t *shift = op_present(n, 2) ? layer_offsets(a, in[2], x, l.length) : NULL;
    for (int64_t i = 0; i < l.count; i++) {
        const moments m = lane_moments(n, in[0], &l, i);
        for (int64_t k = 0; k < l.length; k++) {
            const int64_t at = lane_at(&l, i, k);
            const double v = (tensor_get(in[0], at) - m.mean) * m.factor *
                             tensor_get(in[1], scale[k]);
            tensor_set(out[0], at, v + (shift ? tensor_get(in[2], shift[k]) : 0));
        }
        if (n->n_out > 1 && out[1]) tensor_set(out[1], i, m.mean);
        if (n->n_out > 2 && out[2]) tensor_set(out[2], i, m.factor);
    }
    return true;
}

static void layer_emit(emitter *e, const node *n) {
    const shape *x = &n->in[0]->shape;
    const lanes l = lanes_from(emit_arena(e), x, node_axis(n, x->rank, -1));
    if (emit_empty(e, n)) return;
    lanes_put(e, n, &l,
              "$0"
              "$lane\n"
              "        $out0 = ($T)(((double)$in0 - mean) * factor * (double)$in1$1);\n"
              "$end\n"
              "$2$3",
              lane_moments_text(e, n), op_present(n, 2) ? " + (double)$in2" : "",
              n->n_out > 1 && n->out[1] ? "    $out1 = (float)mean;\n" : "",
              n->n_out > 2 && n->out[2] ? "    $out2 = (float)factor;\n" : "");
}

/* ---- LRN ---- */

static bool lrn_infer(graph *g, node *n) {
    if (!type_check(g, n, 0, TYPES_FLOAT) || !rank_check(g, n, 2)) return false;
    const int64_t size = node_int(n, "size", 0);
    if (size < 1 || size > INT32_MAX) return node_error(g, n, "size must be at least 1");
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

lrn lrn_of(const node *n) {
    const int64_t size = node_int(n, "size", 1), before = (size - 1) / 2;
    return (lrn){node_float(n, "bias", 1), node_float(n, "alpha", 1e-4f) / (double)size,
                 node_float(n, "beta", 0.75f), before, size - 1 - before};
}

static OP_REFERENCE(lrn_reference) {
    const lrn r = lrn_of(n);
    const shape *s = &in[0]->shape;
    const int64_t count = shape_count(s), channels = s->dim[1];
    int64_t inner = 1;
    for (int k = 2; k < s->rank; k++) inner *= s->dim[k];
    for (int64_t i = 0; i < count; i++) {
        const int64_t c = i / inner % channels, from = c < r.before ? 0 : c - r.before;
        const int64_t to = channels - 1 - c < r.after ? channels - 1 : c + r.after;
        double sum = 0;
        for (int64_t k = from; k <= to; k++) {
            const double x = tensor_get(in[0], i + (k - c) * inner);
            sum += x * x;
        }
        tensor_set(out[0], i, tensor_get(in[0], i) / pow(r.bias + r.factor * sum, r.beta));
    }
    return true;
}

static void lrn_emit(emitter *e, const node *n) {
    const lrn r = lrn_of(n);
    arena *a = emit_arena(e);
    lanes l = lanes_of(a, &n->in[0]->shape, 0), other = l;
    if (emit_empty(e, n)) return;
    other.names[1] = "k";
    const char *power = r.beta == 0.75 ? "(sqrt(base) * sqrt(sqrt(base)))" /* several times faster
                                                                              than pow */
                                       : arena_put(a, "pow(base, $0)", r.beta);
    lanes_put(e, n, &l,
              "    const size_t from = i1 > $0 ? i1 - $0 : 0, to = i1 + $1 > $2 ? $2 : "
              "i1 + $1;\n"
              "$rest\n"
              "    double sum = 0;\n"
              "    for (size_t k = from; k <= to; k++) sum += (double)in0[$3] * "
              "(double)in0[$3];\n"
              "    const double base = $4 + $5 * sum;\n"
              "    $out0 = ($T)((double)$in0 / $6);\n",
              r.before, r.after, l.shape.dim[1] - 1, lanes_index(e, n, n->in[0], &other), r.bias,
              r.factor, power);
}

/* ---- Softmax, LogSoftmax, LpNormalization ---- */

static bool is_lp(const node *n) { return n->opcode == ONNX_LpNormalization; }
static bool is_log(const node *n) { return n->opcode == ONNX_LogSoftmax; }

/* Before opset 13 Softmax sees a matrix: the axes from `axis` on make the row. */
static bool whole_row(const node *n) { return !is_lp(n) && n->opset < 13; }

static lanes axis_lanes(arena *a, const node *n, const shape *s) {
    const int axis = node_axis(n, s->rank, whole_row(n) ? 1 : -1);
    return whole_row(n) ? lanes_from(a, s, axis) : lanes_of(a, s, 1u << axis);
}

static bool axis_infer(graph *g, node *n) {
    int axis;
    if (!type_check(g, n, 0, TYPES_FLOAT)) return false;
    const int rank = n->in[0]->shape.rank;
    const int64_t wanted = node_int(n, "axis", whole_row(n) ? 1 : -1);
    /* The row of a vector with the old default axis is one element: axis == rank is legal there. */
    if (!(whole_row(n) && wanted == rank) && !op_axis(g, n, wanted, rank, &axis)) return false;
    const int64_t p = node_int(n, "p", 2);
    if (is_lp(n) && p != 1 && p != 2) return node_error(g, n, "p must be 1 or 2");
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

static void softmax_lane(const node *n, const tensor *x, tensor *y, const lanes *l, int64_t i) {
    double top = -(double)INFINITY, sum = 0;
    for (int64_t k = 0; k < l->length; k++) top = fmax(top, tensor_get(x, lane_at(l, i, k)));
    for (int64_t k = 0; k < l->length; k++) sum += exp(tensor_get(x, lane_at(l, i, k)) - top);
    for (int64_t k = 0; k < l->length; k++) {
        const double d = tensor_get(x, lane_at(l, i, k)) - top;
        tensor_set(y, lane_at(l, i, k), is_log(n) ? d - log(sum) : exp(d) / sum);
    }
}

static void lp_lane(const node *n, const tensor *x, tensor *y, const lanes *l, int64_t i) {
    const bool squares = node_int(n, "p", 2) == 2;
    double norm = 0;
    for (int64_t k = 0; k < l->length; k++) {
        const double v = tensor_get(x, lane_at(l, i, k));
        norm += squares ? v * v : fabs(v);
    }
    if (squares) norm = sqrt(norm);
    for (int64_t k = 0; k < l->length; k++)
        tensor_set(y, lane_at(l, i, k), norm == 0 ? 0 : tensor_get(x, lane_at(l, i, k)) / norm);
}

static OP_REFERENCE(axis_reference) {
    const lanes l = lanes_run(a, axis_lanes(a, n, &in[0]->shape));
    for (int64_t i = 0; i < l.count; i++)
        (is_lp(n) ? lp_lane : softmax_lane)(n, in[0], out[0], &l, i);
    return true;
}

static const char *softmax_text(arena *a, const node *n) {
    return arena_put(a,
                     "    $T top = -INFINITY;\n"
                     "    double sum = 0;\n"
                     "$lane\n"
                     "        if ($in0 > top) top = $in0;\n"
                     "$end\n"
                     "$lane\n"
                     "$0"
                     "$end\n"
                     "    const double last = $1;\n"
                     "$lane\n"
                     "        $out0 = ($T)($2);\n"
                     "$end\n",
                     is_log(n) ? "        sum += exp((double)($in0 - top));\n"
                               : "        const $T v = exp$f($in0 - top);\n"
                                 "        $out0 = v;\n"
                                 "        sum += (double)v;\n",
                     is_log(n) ? "log(sum)" : "1 / sum",
                     is_log(n) ? "(double)$in0 - (double)top - last" : "(double)$out0 * last");
}

static const char *lp_text(arena *a, const node *n) {
    const bool squares = node_int(n, "p", 2) == 2;
    return arena_put(a,
                     "    double norm = 0;\n"
                     "$lane\n"
                     "        const double v = (double)$in0;\n"
                     "        norm += $0;\n"
                     "$end\n"
                     "    const double factor = norm > 0 ? 1 / $1 : norm;\n"
                     "$lane\n"
                     "        $out0 = ($T)((double)$in0 * factor);\n"
                     "$end\n",
                     squares ? "v * v" : "fabs(v)", squares ? "sqrt(norm)" : "norm");
}

static void axis_emit(emitter *e, const node *n) {
    const lanes l = axis_lanes(emit_arena(e), n, &n->in[0]->shape);
    if (emit_empty(e, n)) return;
    lanes_emit(e, n, &l, (is_lp(n) ? lp_text : softmax_text)(emit_arena(e), n));
}

/* ---- rows ---- */

/* clang-format off */
#define PLAIN (OP_ANY_LAYOUT | OP_BATCH_AXIS0)
#define NORM DEFAULT(FLOAT, "epsilon", 1e-5), DEFAULT(FLOAT, "momentum", 0.9)
#define BATCHNORM(since, until, outputs, tested_by, ...)                                      \
    {OP_ONNX("BatchNormalization", since, until, 5, 5, 1, outputs, batchnorm, tested_by),     \
     ATTRIBUTES(__VA_ARGS__), .flags = PLAIN | OP_NHWC | OP_INPLACE,                          \
     .grad = batchnorm_eval_grad, .weights = 6, .statistics = 24}
#define ALONG_AXIS(name, since, until, rule, tested_by, ...)        \
    {OP_ONNX(name, since, until, 1, 1, 1, 1, axis, tested_by),      \
     ATTRIBUTES(__VA_ARGS__), .flags = PLAIN | OP_INPLACE, .grad = rule}

const op_row ops_normalize[] = {
    BATCHNORM(1, 6, 5, "test_BatchNorm2d_eval", NORM, DEFAULT(INT, "is_test", 0),
              DEFAULT(INT, "spatial", 1), ATTR(INTS, "consumed_inputs")),
    BATCHNORM(7, 8, 5, "test_ops_math batchnorm", NORM, DEFAULT(INT, "spatial", 1)),
    BATCHNORM(9, 13, 5, "test_ops_math batchnorm", NORM),
    BATCHNORM(14, 0, 3, "test_batchnorm_example", NORM, DEFAULT(INT, "training_mode", 0)),
    {OP_ONNX("InstanceNormalization", 1, 0, 3, 3, 1, 1, instance, "test_instancenorm_example"),
     ATTRIBUTES(DEFAULT(FLOAT, "epsilon", 1e-5), ATTR(INTS, "consumed_inputs")),
     .flags = PLAIN | OP_INPLACE, .grad = instance_norm_grad, .weights = 6},
    {OP_ONNX("LayerNormalization", 17, 0, 2, 3, 1, 3, layer, "test_layer_normalization_2d_axis0"),
     ATTRIBUTES(DEFAULT(FLOAT, "epsilon", 1e-5), DEFAULT(INT, "axis", -1),
                DEFAULT(INT, "stash_type", 1)),
     .flags = PLAIN | OP_INPLACE, .grad = layer_norm_grad},
    {OP_ONNX("LRN", 1, 0, 1, 1, 1, 1, lrn, "test_lrn"),
     ATTRIBUTES(NEEDED(INT, "size"), DEFAULT(FLOAT, "alpha", 1e-4), DEFAULT(FLOAT, "beta", 0.75),
                DEFAULT(FLOAT, "bias", 1)),
     .flags = PLAIN, .grad = lrn_grad},
    ALONG_AXIS("LpNormalization", 1, 0, lp_grad, "test_l2normalization_axis_0",
               DEFAULT(INT, "axis", -1), DEFAULT(INT, "p", 2)),
    ALONG_AXIS("Softmax", 1, 12, softmax_grad, "test_softmax_functional_dim3",
               DEFAULT(INT, "axis", 1)),
    ALONG_AXIS("Softmax", 13, 0, softmax_grad, "test_softmax_example", DEFAULT(INT, "axis", -1)),
    ALONG_AXIS("LogSoftmax", 1, 12, log_softmax_grad, "test_log_softmax_dim3",
               DEFAULT(INT, "axis", 1)),
    ALONG_AXIS("LogSoftmax", 13, 0, log_softmax_grad, "test_logsoftmax_example_1",
               DEFAULT(INT, "axis", -1)),
    {.name = NULL}};
/* clang-format on */
