/* Normalisations: BatchNormalization, InstanceNormalization, LayerNormalization, LRN,
   LpNormalization, Softmax, LogSoftmax. All but the first and LRN work a lane at a time (lanes.h);
   sums are in double. */
#include "normalize.h"
#include "../ir/graph_query.h"
#include "pointwise.h"
#include "rules.h"

#include <math.h>

static const char *index_of(emitter *e, const node *n, const value *v, const char *const *names) {
    int64_t s[MAX_RANK];
    emit_strides(n, v, s);
    return emit_index(e, s, v->shape.rank, names);
}

static const char *number(emitter *e, double v) { return arena_printf(emit_arena(e), "%a", v); }
static const char *suffix(const node *n) { return n->in[0]->type == DT_FLOAT ? "f" : ""; }
static double epsilon_of(const node *n) { return (double)node_float(n, "epsilon", 1e-5f); }

/* Float parameters 1..last with `count` elements each. */
static bool parameters_check(graph *g, const node *n, size_t last, int64_t count) {
    for (size_t i = 1; i <= last; i++) {
        if (!type_check(g, n, i, TYPES_FLOAT)) return false;
        if (value_count(n->in[i]) != count)
            return diag_error(g->diag, n, NULL, "input %zu has %lld elements, not %lld", i,
                              (long long)value_count(n->in[i]), (long long)count);
    }
    return true;
}

static bool rank_check(graph *g, const node *n, int least) {
    const int rank = n->in[0]->shape.rank;
    if (rank >= least) return true;
    return diag_error(g->diag, n, NULL, "input 0 has rank %d, but at least %d is needed", rank,
                      least);
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

static bool batchnorm_reference(arena *a, const node *n, const tensor *const *in,
                                tensor *const *out, const char **why) {
    (void)a, (void)why;
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

static void batchnorm_factors(emitter *e, const node *n) {
    const char *p = parameter_index(e, n);
    text_printf(emit_helpers(e),
                "    const double scale = (double)in1[%s] / sqrt((double)in4[%s] + %s);\n"
                "    const double mean = (double)in3[%s], shift = (double)in2[%s];\n",
                p, p, number(e, epsilon_of(n)), p, p);
}

/* For tensors without elements, whose loops would be compared with zero. */
static bool emit_empty(emitter *e, const node *n) {
    if (value_count(n->in[0])) return false;
    text_append(emit_body(e), "    (void)c, (void)n;\n");
    return true;
}

static void batchnorm_emit(struct emitter *e, const node *n) {
    const shape *s = &n->in[0]->shape;
    if (emit_empty(e, n)) return;
    emit_task_open(e, n);
    emit_task_indices(e, s->dim, 2);
    text *t = emit_helpers(e);
    if (!per_position(n)) batchnorm_factors(e, n);
    for (int k = 2; k < s->rank; k++) emit_axis_loop(t, k, s->dim[k]);
    if (per_position(n)) batchnorm_factors(e, n);
    text_printf(t, "    out0[%s] = (%s)(((double)in0[%s] - mean) * scale + shift);\n",
                index_of(e, n, n->out[0], NULL), dtype_c(n->out[0]->type),
                index_of(e, n, n->in[0], NULL));
    for (int k = 2; k < s->rank; k++) text_append(t, "    }\n");
    emit_task_close(e, n, emit_task_count(e, n, s->dim, 2), (double)value_count(n->in[0]));
}

/* ---- mean and variance of a lane ---- */

moments lane_moments(const node *n, const tensor *x, int64_t base, const int64_t *step,
                     int64_t length) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < length; i++) sum += tensor_get(x, base + step[i]);
    const double mean = sum / (double)length;
    for (int64_t i = 0; i < length; i++) {
        const double d = tensor_get(x, base + step[i]) - mean;
        squares += d * d;
    }
    return (moments){mean, squares / (double)length,
                     1 / sqrt(squares / (double)length + epsilon_of(n))};
}

void lane_emit_moments(emitter *e, const node *n, const lanes *l) {
    const char *at = index_of(e, n, n->in[0], l->names);
    text *t = emit_helpers(e);
    text_append(t, "    double mean = 0, squares = 0;\n");
    lanes_loop(e, l);
    text_printf(t, "        mean += (double)in0[%s];\n", at);
    lanes_end(e, l);
    text_printf(t, "    mean /= %lld;\n", (long long)l->length);
    lanes_loop(e, l);
    text_printf(t, "        const double d = (double)in0[%s] - mean;\n        squares += d * d;\n",
                at);
    lanes_end(e, l);
    text_printf(t, "    const double factor = 1 / sqrt(squares / %lld + %s);\n",
                (long long)l->length, number(e, epsilon_of(n)));
}

/* ---- InstanceNormalization ---- */

static bool instance_infer(graph *g, node *n) {
    if (!type_check(g, n, 0, TYPES_FLOAT) || !rank_check(g, n, 3)) return false;
    if (!parameters_check(g, n, 2, n->in[0]->shape.dim[1])) return false;
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

/* The axes from `first` on. */
static unsigned axes_from(const shape *s, int first) { return (1u << s->rank) - (1u << first); }

static bool instance_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                               const char **why) {
    (void)why;
    const lanes l = lanes_of(a, &in[0]->shape, axes_from(&in[0]->shape, 2));
    int64_t *base, *step, count;
    lanes_offsets(a, &l, &base, &count, &step);
    for (int64_t i = 0; i < count; i++) {
        const moments m = lane_moments(n, in[0], base[i], step, l.length);
        const int64_t c = i % in[0]->shape.dim[1];
        for (int64_t k = 0; k < l.length; k++) {
            const double x = tensor_get(in[0], base[i] + step[k]);
            tensor_set(out[0], base[i] + step[k],
                       (x - m.mean) * m.factor * tensor_get(in[1], c) + tensor_get(in[2], c));
        }
    }
    return true;
}

static void instance_emit(struct emitter *e, const node *n) {
    const lanes l = lanes_of(emit_arena(e), &n->in[0]->shape, axes_from(&n->in[0]->shape, 2));
    if (emit_empty(e, n)) return;
    lanes_open(e, n, &l);
    lane_emit_moments(e, n, &l);
    text_append(emit_helpers(e),
                "    const double scale = (double)in1[i1] * factor, shift = (double)in2[i1];\n");
    lanes_loop(e, &l);
    text_printf(emit_helpers(e),
                "        out0[%s] = (%s)(((double)in0[%s] - mean) * scale + shift);\n",
                index_of(e, n, n->out[0], l.names), dtype_c(n->out[0]->type),
                index_of(e, n, n->in[0], l.names));
    lanes_end(e, &l);
    lanes_close(e, n, &l);
}

/* ---- LayerNormalization ---- */

/* The attribute axis, which infer has checked. */
static int axis_of(const node *n, int64_t otherwise) {
    const int64_t axis = node_int(n, "axis", otherwise);
    return (int)(axis < 0 ? axis + n->in[0]->shape.rank : axis);
}

/* Scale and B spread over the normalised axes only. */
static bool layer_parameter(graph *g, const node *n, size_t i, int axis) {
    const shape *x = &n->in[0]->shape, *p = &n->in[i]->shape;
    const int shift = x->rank - p->rank;
    if (!type_check(g, n, i, TYPES_FLOAT)) return false;
    for (int k = 0; k < p->rank; k++)
        if (k + shift < 0 ||
            (p->dim[k] != 1 && (k + shift < axis || p->dim[k] != x->dim[k + shift])))
            return diag_error(g->diag, n, NULL, "input %zu does not fit the normalised axes", i);
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
        return diag_error(g->diag, n, DIAG_UNSUPPORTED, "only stash_type 1 (float32) is supported");
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

static bool layer_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                            const char **why) {
    (void)why;
    const shape *x = &in[0]->shape;
    const lanes l = lanes_of(a, x, axes_from(x, axis_of(n, -1)));
    int64_t *base, *step, count;
    if (!shape_count(x)) return true;
    lanes_offsets(a, &l, &base, &count, &step);
    const int64_t *scale = layer_offsets(a, in[1], x, l.length);
    const int64_t *shift = op_present(n, 2) ? layer_offsets(a, in[2], x, l.length) : NULL;
    for (int64_t i = 0; i < count; i++) {
        const moments m = lane_moments(n, in[0], base[i], step, l.length);
        for (int64_t k = 0; k < l.length; k++) {
            const double v = (tensor_get(in[0], base[i] + step[k]) - m.mean) * m.factor *
                             tensor_get(in[1], scale[k]);
            tensor_set(out[0], base[i] + step[k], v + (shift ? tensor_get(in[2], shift[k]) : 0));
        }
        if (n->n_out > 1 && out[1]) tensor_set(out[1], i, m.mean);
        if (n->n_out > 2 && out[2]) tensor_set(out[2], i, m.factor);
    }
    return true;
}

static const char *layer_index(emitter *e, const node *n, size_t i, const lanes *l) {
    int64_t s[MAX_RANK] = {0};
    const shape *p = &n->in[i]->shape;
    value_strides(n->in[i], s);
    return emit_index(e, s, p->rank, l->names + (l->shape.rank - p->rank));
}

static void layer_emit(struct emitter *e, const node *n) {
    const lanes l = lanes_of(emit_arena(e), &n->in[0]->shape,
                             axes_from(&n->in[0]->shape, axis_of(n, -1)));
    if (emit_empty(e, n)) return;
    lanes_open(e, n, &l);
    lane_emit_moments(e, n, &l);
    text *t = emit_helpers(e);
    lanes_loop(e, &l);
    text_printf(t, "        out0[%s] = (%s)(((double)in0[%s] - mean) * factor * (double)in1[%s]",
                index_of(e, n, n->out[0], l.names), dtype_c(n->out[0]->type),
                index_of(e, n, n->in[0], l.names), layer_index(e, n, 1, &l));
    if (op_present(n, 2)) text_printf(t, " + (double)in2[%s]", layer_index(e, n, 2, &l));
    text_append(t, ");\n");
    lanes_end(e, &l);
    for (size_t i = 1; i < n->n_out; i++)
        if (n->out[i])
            text_printf(t, "    out%zu[%s] = (float)%s;\n", i, index_of(e, n, n->out[i], l.names),
                        i == 1 ? "mean" : "factor");
    lanes_close(e, n, &l);
}

/* ---- LRN ---- */

static bool lrn_infer(graph *g, node *n) {
    if (!type_check(g, n, 0, TYPES_FLOAT) || !rank_check(g, n, 2)) return false;
    const int64_t size = node_int(n, "size", 0);
    if (size < 1 || size > INT32_MAX)
        return diag_error(g->diag, n, NULL, "size must be at least 1");
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

lrn lrn_of(const node *n) {
    const int64_t size = node_int(n, "size", 1), before = (size - 1) / 2;
    return (lrn){(double)node_float(n, "bias", 1),
                 (double)node_float(n, "alpha", 1e-4f) / (double)size,
                 (double)node_float(n, "beta", 0.75f), before, size - 1 - before};
}

static bool lrn_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                          const char **why) {
    (void)a, (void)why;
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

static void lrn_emit(struct emitter *e, const node *n) {
    static const char *const names[] = {"i0", "k", "i2", "i3", "i4", "i5", "i6", "i7"};
    const lrn r = lrn_of(n);
    const shape *s = &n->in[0]->shape;
    const long long last = s->dim[1] - 1;
    if (emit_empty(e, n)) return;
    emit_task_open(e, n);
    emit_task_indices(e, s->dim, 2);
    text *t = emit_helpers(e);
    text_printf(t,
                "    const size_t from = i1 > %lld ? i1 - %lld : 0, to = i1 + %lld > %lld ? %lld : "
                "i1 + %lld;\n",
                (long long)r.before, (long long)r.before, (long long)r.after, last, last,
                (long long)r.after);
    for (int k = 2; k < s->rank; k++) emit_axis_loop(t, k, s->dim[k]);
    const char *x = index_of(e, n, n->in[0], names);
    text_printf(t,
                "    double sum = 0;\n    for (size_t k = from; k <= to; k++) sum += "
                "(double)in0[%s] * (double)in0[%s];\n",
                x, x);
    text_printf(t, "    const double base = %s + %s * sum;\n", number(e, r.bias),
                number(e, r.factor));
    const char *power = r.beta == 0.75
                            ? "(sqrt(base) * sqrt(sqrt(base)))" /* several times faster than pow */
                            : arena_printf(emit_arena(e), "pow(base, %s)", number(e, r.beta));
    text_printf(t, "    out0[%s] = (%s)((double)in0[%s] / %s);\n", index_of(e, n, n->out[0], NULL),
                dtype_c(n->out[0]->type), index_of(e, n, n->in[0], NULL), power);
    for (int k = 2; k < s->rank; k++) text_append(t, "    }\n");
    emit_task_close(e, n, emit_task_count(e, n, s->dim, 2), (double)value_count(n->in[0]));
}

/* ---- Softmax, LogSoftmax, LpNormalization ---- */

static bool is_lp(const node *n) { return n->opcode == ONNX_LpNormalization; }
static bool is_log(const node *n) { return n->opcode == ONNX_LogSoftmax; }

/* Before opset 13 Softmax sees a matrix: the axes from `axis` on make the row. */
static bool whole_row(const node *n) { return !is_lp(n) && n->opset < 13; }

static lanes axis_lanes(arena *a, const node *n, const shape *s) {
    const int axis = axis_of(n, whole_row(n) ? 1 : -1);
    return lanes_of(a, s, whole_row(n) ? axes_from(s, axis) : 1u << axis);
}

static bool axis_infer(graph *g, node *n) {
    int axis;
    if (!type_check(g, n, 0, TYPES_FLOAT)) return false;
    const int rank = n->in[0]->shape.rank;
    const int64_t wanted = node_int(n, "axis", whole_row(n) ? 1 : -1);
    /* The row of a vector with the old default axis is one element: axis == rank is legal there. */
    if (!(whole_row(n) && wanted == rank) && !op_axis(g, n, wanted, rank, &axis)) return false;
    const int64_t p = node_int(n, "p", 2);
    if (is_lp(n) && p != 1 && p != 2) return diag_error(g->diag, n, NULL, "p must be 1 or 2");
    return op_set_output(g, n, 0, n->in[0]->type, &n->in[0]->shape);
}

static void softmax_lane(const node *n, const tensor *x, tensor *y, int64_t base,
                         const int64_t *step, int64_t length) {
    double top = -(double)INFINITY, sum = 0;
    for (int64_t i = 0; i < length; i++) top = fmax(top, tensor_get(x, base + step[i]));
    for (int64_t i = 0; i < length; i++) sum += exp(tensor_get(x, base + step[i]) - top);
    for (int64_t i = 0; i < length; i++) {
        const double d = tensor_get(x, base + step[i]) - top;
        tensor_set(y, base + step[i], is_log(n) ? d - log(sum) : exp(d) / sum);
    }
}

static void lp_lane(const node *n, const tensor *x, tensor *y, int64_t base, const int64_t *step,
                    int64_t length) {
    const bool squares = node_int(n, "p", 2) == 2;
    double norm = 0;
    for (int64_t i = 0; i < length; i++) {
        const double v = tensor_get(x, base + step[i]);
        norm += squares ? v * v : fabs(v);
    }
    if (squares) norm = sqrt(norm);
    for (int64_t i = 0; i < length; i++)
        tensor_set(y, base + step[i], norm == 0 ? 0 : tensor_get(x, base + step[i]) / norm);
}

static bool axis_reference(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                           const char **why) {
    (void)why;
    const lanes l = axis_lanes(a, n, &in[0]->shape);
    int64_t *base, *step, count;
    lanes_offsets(a, &l, &base, &count, &step);
    for (int64_t i = 0; i < count; i++)
        (is_lp(n) ? lp_lane : softmax_lane)(n, in[0], out[0], base[i], step, l.length);
    return true;
}

static void softmax_emit(struct emitter *e, const node *n) {
    const lanes l = axis_lanes(emit_arena(e), n, &n->in[0]->shape);
    const char *x = index_of(e, n, n->in[0], l.names), *y = index_of(e, n, n->out[0], l.names),
               *type = dtype_c(n->in[0]->type);
    if (emit_empty(e, n)) return;
    lanes_open(e, n, &l);
    text *t = emit_helpers(e);
    text_printf(t, "    %s top = -INFINITY;\n    double sum = 0;\n", type);
    lanes_loop(e, &l);
    text_printf(t, "        if (in0[%s] > top) top = in0[%s];\n", x, x);
    lanes_end(e, &l);
    lanes_loop(e, &l);
    if (is_log(n))
        text_printf(t, "        sum += exp((double)(in0[%s] - top));\n", x);
    else
        text_printf(t,
                    "        const %s v = exp%s(in0[%s] - top);\n        out0[%s] = v;\n        "
                    "sum += (double)v;\n",
                    type, suffix(n), x, y);
    lanes_end(e, &l);
    text_printf(t, "    const double last = %s;\n", is_log(n) ? "log(sum)" : "1 / sum");
    lanes_loop(e, &l);
    if (is_log(n))
        text_printf(t, "        out0[%s] = (%s)((double)in0[%s] - (double)top - last);\n", y, type,
                    x);
    else
        text_printf(t, "        out0[%s] = (%s)((double)out0[%s] * last);\n", y, type, y);
    lanes_end(e, &l);
    lanes_close(e, n, &l);
}

static void lp_emit(struct emitter *e, const node *n) {
    const bool squares = node_int(n, "p", 2) == 2;
    const lanes l = axis_lanes(emit_arena(e), n, &n->in[0]->shape);
    const char *x = index_of(e, n, n->in[0], l.names), *y = index_of(e, n, n->out[0], l.names);
    if (emit_empty(e, n)) return;
    lanes_open(e, n, &l);
    text *t = emit_helpers(e);
    text_append(t, "    double norm = 0;\n");
    lanes_loop(e, &l);
    text_printf(t, "        const double v = (double)in0[%s];\n        norm += %s;\n", x,
                squares ? "v * v" : "fabs(v)");
    lanes_end(e, &l);
    text_printf(t, "    const double factor = norm > 0 ? 1 / %s : norm;\n",
                squares ? "sqrt(norm)" : "norm");
    lanes_loop(e, &l);
    text_printf(t, "        out0[%s] = (%s)((double)in0[%s] * factor);\n", y,
                dtype_c(n->out[0]->type), x);
    lanes_end(e, &l);
    lanes_close(e, n, &l);
}

/* ---- rows ---- */

#define INT(attribute, value) \
    { .name = attribute, .kind = ATTR_INT, .number = (value), .has_default = true }
#define NUMBER(attribute, value) \
    { .name = attribute, .kind = ATTR_FLOAT, .number = (value), .has_default = true }
#define LEGACY \
    { .name = "consumed_inputs", .kind = ATTR_INTS }
#define END \
    { .name = NULL }

static const op_attr batchnorm_1[] = {NUMBER("epsilon", 1e-5),
                                      NUMBER("momentum", 0.9),
                                      INT("is_test", 0),
                                      INT("spatial", 1),
                                      LEGACY,
                                      END};
static const op_attr batchnorm_7[] = {NUMBER("epsilon", 1e-5), NUMBER("momentum", 0.9),
                                      INT("spatial", 1), END};
static const op_attr batchnorm_9[] = {NUMBER("epsilon", 1e-5), NUMBER("momentum", 0.9), END};
static const op_attr batchnorm_14[] = {NUMBER("epsilon", 1e-5), NUMBER("momentum", 0.9),
                                       INT("training_mode", 0), END};
static const op_attr instance_attrs[] = {NUMBER("epsilon", 1e-5), LEGACY, END};
static const op_attr layer_attrs[] = {NUMBER("epsilon", 1e-5), INT("axis", -1),
                                      INT("stash_type", 1), END};
static const op_attr lrn_attrs[] = {{.name = "size", .kind = ATTR_INT, .required = true},
                                    NUMBER("alpha", 1e-4),
                                    NUMBER("beta", 0.75),
                                    NUMBER("bias", 1),
                                    END};
static const op_attr lp_attrs[] = {INT("axis", -1), INT("p", 2), END};
static const op_attr softmax_1[] = {INT("axis", 1), END};
static const op_attr softmax_13[] = {INT("axis", -1), END};

#define PLAIN (OP_ANY_LAYOUT | OP_BATCH_AXIS0)
#define BATCHNORM(since, until, outputs, attrs, tested_by)                                         \
    {                                                                                              \
        "BatchNormalization", "", since, until, 5, 5, 1, outputs, attrs,                           \
            PLAIN | OP_NHWC | OP_INPLACE, 0, batchnorm_infer, batchnorm_reference,                 \
            batchnorm_eval_grad, batchnorm_emit, .test = tested_by, .weights = 6, .statistics = 24 \
    }
#define ALONG_AXIS(name, since, until, attrs, rule, emit, tested_by)                  \
    {                                                                                 \
        name, "", since, until, 1, 1, 1, 1, attrs, PLAIN | OP_INPLACE, 0, axis_infer, \
            axis_reference, rule, emit, .test = tested_by                             \
    }

const op_row ops_normalize[] = {
    BATCHNORM(1, 6, 5, batchnorm_1, "test_BatchNorm2d_eval"),
    BATCHNORM(7, 8, 5, batchnorm_7, "test_ops_math batchnorm"),
    BATCHNORM(9, 13, 5, batchnorm_9, "test_ops_math batchnorm"),
    BATCHNORM(14, 0, 3, batchnorm_14, "test_batchnorm_example"),
    {"InstanceNormalization", "", 1, 0, 3, 3, 1, 1, instance_attrs, PLAIN | OP_INPLACE, 0,
     instance_infer, instance_reference, instance_norm_grad, instance_emit,
     .test = "test_instancenorm_example", .weights = 6},
    {"LayerNormalization", "", 17, 0, 2, 3, 1, 3, layer_attrs, PLAIN | OP_INPLACE, 0, layer_infer,
     layer_reference, layer_norm_grad, layer_emit, .test = "test_layer_normalization_2d_axis0"},
    {"LRN", "", 1, 0, 1, 1, 1, 1, lrn_attrs, PLAIN, 0, lrn_infer, lrn_reference, lrn_grad, lrn_emit,
     .test = "test_lrn"},
    ALONG_AXIS("LpNormalization", 1, 0, lp_attrs, lp_grad, lp_emit, "test_l2normalization_axis_0"),
    ALONG_AXIS("Softmax", 1, 12, softmax_1, softmax_grad, softmax_emit,
               "test_softmax_functional_dim3"),
    ALONG_AXIS("Softmax", 13, 0, softmax_13, softmax_grad, softmax_emit, "test_softmax_example"),
    ALONG_AXIS("LogSoftmax", 1, 12, softmax_1, log_softmax_grad, softmax_emit,
               "test_log_softmax_dim3"),
    ALONG_AXIS("LogSoftmax", 13, 0, softmax_13, log_softmax_grad, softmax_emit,
               "test_logsoftmax_example_1"),
    END};
