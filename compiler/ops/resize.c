/* Upsample and Resize on any rank. Resizing is separable: for every axis and output index there is
   a short list of taps (input index, weight), computed here at compile time. The reference sums
   over them; the emission reads them from small tables in the weights. An index of -1 stands for
   tf_crop_and_resize's extrapolation value. */
#include <math.h>
#include <string.h>

#include "../emit/emit.h"
#include "../ir/op.h"
#include "rules.h"

typedef struct resampling { /* one axis */
    int64_t in, out;
    double scale, start, end; /* start, end: roi */
} resampling;

typedef struct taps {
    int count; /* for each output index */
    int32_t *index;
    double *weight;
} taps;

static bool present(const node *n, size_t i) {
    return i < n->n_in && n->in[i] && value_count(n->in[i]) > 0;
}
static bool is_upsample(const node *n) { return n->opcode == ONNX_Upsample; }

/* ---- infer: scales and extents, kept as attributes "scales_used" (as bits of doubles) and
   "roi_used" ---- */

static bool floats_of(graph *g, const node *n, size_t i, const char *what, double **v,
                      size_t *count) {
    const tensor *t = n->in[i]->constant;
    if (!t)
        return diag_error(
            g->diag, n,
            "pin the input dimensions with --dim or --shape, or re-export with static shapes",
            "%s is not known at compile time", what);
    *count = (size_t)shape_count(&t->shape);
    *v = ref_doubles(g->arena, t);
    return true;
}

static bool attribute_scales(graph *g, const node *n, double **v, size_t *count) {
    const attr *a = node_attr(n, "scales");
    if (n->opset < 7) {
        *v = ARENA_ARRAY(g->arena, double, 4);
        (*v)[0] = (*v)[1] = 1;
        (*v)[2] = node_float(n, "height_scale", 1);
        (*v)[3] = node_float(n, "width_scale", 1);
        *count = 4;
        return true;
    }
    if (!a || a->kind != ATTR_FLOATS) return node_error(g, n, "attribute scales is missing");
    *count = a->count;
    *v = ARENA_ARRAY(g->arena, double, a->count);
    for (size_t i = 0; i < a->count; i++) (*v)[i] = (double)a->floats[i];
    return true;
}

/* Extents from scales: the product is rounded to float first, as every runtime does. */
static bool extents_from_scales(graph *g, const node *n, const double *v, const int *axes,
                                size_t count, resampling *r) {
    for (size_t i = 0; i < count; i++) {
        resampling *p = &r[axes[i]];
        p->scale = v[i];
        double out = floor((double)((float)p->in * (float)v[i]));
        if (!(v[i] > 0) || !(out < 0x1p30))
            return node_error(g, n, "scale %g of axis %d is out of range", v[i], axes[i]);
        p->out = (int64_t)out;
    }
    return true;
}

static bool extents_from_sizes(graph *g, const node *n, const int *axes, size_t count,
                               resampling *r) {
    const char *policy = node_string(n, "keep_aspect_ratio_policy", "stretch");
    const int64_t *v;
    size_t given;
    double common = 0;
    if (!op_const_ints(g, n, 3, &v, &given))
        return diag_error(g->diag, n, "pin the input dimensions with --dim or --shape",
                          "sizes is not known at compile time");
    if (given != count) return node_error(g, n, "%zu sizes for %zu axes", given, count);
    for (size_t i = 0; i < count; i++) {
        if (v[i] < 0 || v[i] > 1 << 30 || r[axes[i]].in == 0)
            return node_error(g, n, "sizes[%zu] is out of range", i);
        r[axes[i]].out = v[i];
        r[axes[i]].scale = (double)v[i] / (double)r[axes[i]].in;
        if (i == 0 ||
            (!strcmp(policy, "not_larger") ? r[axes[i]].scale < common : r[axes[i]].scale > common))
            common = r[axes[i]].scale;
    }
    for (size_t i = 0; strcmp(policy, "stretch") && i < count; i++) {
        r[axes[i]].scale = common;
        r[axes[i]].out = (int64_t)floor(common * (double)r[axes[i]].in + 0.5);
    }
    return true;
}

static bool read_axes(graph *g, const node *n, int rank, int *axes, size_t *count) {
    const attr *a = node_ints(n, "axes");
    *count = a ? a->count : (size_t)rank;
    if (*count > (size_t)rank) return node_error(g, n, "too many axes");
    for (size_t i = 0; i < *count; i++) {
        axes[i] = (int)i;
        if (a && !op_axis(g, n, a->ints[i], rank, &axes[i])) return false;
    }
    return true;
}

static bool read_roi(graph *g, const node *n, const int *axes, size_t count, resampling *r) {
    double *v = NULL;
    size_t given = 0;
    if (n->opset < 11 || is_upsample(n) || !present(n, 1) ||
        strcmp(node_string(n, "coordinate_transformation_mode", "half_pixel"),
               "tf_crop_and_resize"))
        return true;
    if (!floats_of(g, n, 1, "roi", &v, &given)) return false;
    if (given != 2 * count) return node_error(g, n, "%zu roi values for %zu axes", given, count);
    for (size_t i = 0; i < count; i++) r[axes[i]].start = v[i], r[axes[i]].end = v[count + i];
    return true;
}

/* Fills r from the node and its constant inputs; used by infer, reference and emission alike. */
static bool resolve_extents(graph *g, const node *n, resampling *r) {
    const shape *x = &n->in[0]->shape;
    const size_t scales = n->opset >= 11 && !is_upsample(n) ? 2 : 1;
    int axes[MAX_RANK];
    size_t count, given = 0;
    double *v = NULL;
    for (int i = 0; i < x->rank; i++) r[i] = (resampling){x->dim[i], x->dim[i], 1, 0, 1};
    if (!read_axes(g, n, x->rank, axes, &count) || !read_roi(g, n, axes, count, r)) return false;
    if (scales == 2 && present(n, 3)) return extents_from_sizes(g, n, axes, count, r);
    if (is_upsample(n) && n->opset < 9) {
        if (!attribute_scales(g, n, &v, &given)) return false;
    } else if (!present(n, scales))
        return node_error(g, n, "neither scales nor sizes are given");
    else if (!floats_of(g, n, scales, "scales", &v, &given))
        return false;
    if (given != count) return node_error(g, n, "%zu scales for %zu axes", given, count);
    return extents_from_scales(g, n, v, axes, count, r);
}

/* With align_corners and a scale that gives no whole extent (5 x 1.5 = 7.5, so 7), PyTorch and
   ONNX Runtime put the last output on the last input: they divide by the output's extent less 1.
   ONNX's own tests divide by 7.5 - 1. A model is a framework's unless it says that it is of those
   tests; the node keeps which, since what follows sees the node alone. */
static const char by_scaled_length[] = "align_corners by scaled length";

static void choose_align_corners(graph *g, node *n, const resampling *r) {
    if (strcmp(node_string(n, "coordinate_transformation_mode", "half_pixel"), "align_corners"))
        return;
    if (!strncmp(g->producer, "backend-test", 12)) {
        node_set_int(g, n, by_scaled_length, 1);
        return;
    }
    for (int i = 0; i < n->in[0]->shape.rank; i++) {
        const double length = (double)r[i].in * r[i].scale;
        if (fabs(length - (double)r[i].out) < 1e-3) continue;
        diag_warn(g->diag, n, NULL,
                  "align_corners with a fractional extent (%lld x %g): the corners of %lld outputs "
                  "are aligned",
                  (long long)r[i].in, r[i].scale, (long long)r[i].out);
        return;
    }
}

static bool resize_infer(graph *g, node *n) {
    static const char *const coordinates[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
        "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
    const value *x = n->in[0];
    const char *mode = node_string(n, "mode", "nearest"),
               *c = node_string(n, "coordinate_transformation_mode", "half_pixel");
    resampling r[MAX_RANK];
    bool known = false;
    const bool nearest = !strcmp(mode, "nearest");
    if (!nearest && strcmp(mode, "linear") && strcmp(mode, "bilinear") && strcmp(mode, "cubic"))
        return diag_error(g->diag, n, "re-export with mode=\"linear\" or \"nearest\"",
                          "this mode is not supported");
    for (size_t i = 0; i < sizeof coordinates / sizeof *coordinates; i++)
        known |= !strcmp(c, coordinates[i]);
    if (!known)
        return node_unsupported(g, n, "this coordinate_transformation_mode is not supported");
    if (!dtype_c(x->type) || (!nearest && x->type != DT_FLOAT && x->type != DT_DOUBLE))
        return node_unsupported(g, n, "type %s is not supported", dtype_name(x->type));
    if (!resolve_extents(g, n, r)) return false;
    shape y = {.rank = x->shape.rank};
    for (int i = 0; i < y.rank; i++) {
        y.dim[i] = r[i].out;
        if (r[i].in == 0 && r[i].out > 0) return node_error(g, n, "axis %d is empty", i);
    }
    choose_align_corners(g, n, r);
    return op_set_output(g, n, 0, x->type, &y);
}

/* ---- taps ---- */

/* Which input a "nearest" output takes may hang on the last bit: (1 + 1/2) / 0.6 - 1/2 is 2 in the
   float32 arithmetic of other runtimes, and less in double. So nearest coordinates are rounded
   after each operation; the others are as exact as can be. */
static double rounded(bool single, double v) { return single ? (double)(float)v : v; }

/* offset + (at + 1/2) / scale - 1/2, from left to right. */
static double half_pixel(double offset, double at, double scale, bool single) {
    return rounded(single, rounded(single, offset + rounded(single, (at + 0.5) / scale)) - 0.5);
}

/* The middle stays the middle, though the output has not quite the length that the scale asks
   for. */
static double symmetric_offset(const resampling *r, double scale, bool single) {
    const double adjustment = rounded(single,
                                      (double)r->out / rounded(single, scale * (double)r->in));
    return rounded(single, (double)r->in / 2 * rounded(single, 1 - adjustment));
}

static double crop_coordinate(const resampling *r, double at) {
    if (r->out <= 1) return 0.5 * (r->start + r->end) * (double)(r->in - 1);
    return r->start * (double)(r->in - 1) +
           at * (r->end - r->start) * (double)(r->in - 1) / (double)(r->out - 1);
}

static double coordinate(const node *n, const resampling *r, int64_t o, bool single) {
    const char *mode = node_string(n, "coordinate_transformation_mode", "half_pixel");
    const double at = (double)o, scale = rounded(single, r->scale),
                 length = (double)r->in * r->scale;
    if (is_upsample(n) || n->opset < 11) mode = "asymmetric";
    if (!strcmp(mode, "asymmetric")) return rounded(single, at / scale);
    if (!strcmp(mode, "align_corners")) {
        const double extent = node_int(n, by_scaled_length, 0) ? length : (double)r->out;
        return extent <= 1 ? 0 : rounded(single, at * (double)(r->in - 1) / (extent - 1));
    }
    if (!strcmp(mode, "tf_half_pixel_for_nn")) return rounded(single, (at + 0.5) / scale);
    if (!strcmp(mode, "pytorch_half_pixel") && r->out <= 1) return 0;
    if (!strcmp(mode, "tf_crop_and_resize")) return rounded(single, crop_coordinate(r, at));
    const double offset = strcmp(mode, "half_pixel_symmetric") ? 0
                                                               : symmetric_offset(r, scale, single);
    return half_pixel(offset, at, scale, single);
}

static int64_t nearest_index(const node *n, double x) {
    const char *mode = node_string(n, "nearest_mode", "round_prefer_floor");
    if (is_upsample(n) || n->opset < 11 || !strcmp(mode, "floor")) return (int64_t)floor(x);
    if (!strcmp(mode, "ceil")) return (int64_t)ceil(x);
    return (int64_t)(!strcmp(mode, "round_prefer_ceil") ? floor(x + 0.5) : ceil(x - 0.5));
}

static double kernel_weight(bool cubic, double a, double x) {
    x = fabs(x);
    if (!cubic) return x < 1 ? 1 - x : 0;
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Half the number of taps: 1 or 2, more when shrinking with antialias. An output of one element at
   least bounds the shrinking. */
static int reach(const node *n, const resampling *r, double *squeeze) {
    const double support = !strcmp(node_string(n, "mode", "nearest"), "cubic") ? 2 : 1;
    *squeeze = node_int(n, "antialias", 0) && r->scale < 1 ? r->scale : 1;
    return (int)ceil(fmin(support / *squeeze, support * (double)r->in));
}

static void fill_taps(const node *n, const resampling *r, double x, double squeeze, int count,
                      int32_t *index, double *weight) {
    const bool cubic = !strcmp(node_string(n, "mode", "nearest"), "cubic"),
               exclude = node_int(n, "exclude_outside", 0) != 0;
    const double a = node_float(n, "cubic_coeff_a", -0.75F);
    const int64_t first = (int64_t)floor(x) - count / 2 + 1;
    double sum = 0;
    for (int t = 0; t < count; t++) {
        const int64_t at = first + t;
        weight[t] = kernel_weight(cubic, a, ((double)at - x) * squeeze);
        if (exclude && (at < 0 || at >= r->in)) weight[t] = 0;
        index[t] = (int32_t)(at < 0 ? 0 : at >= r->in ? r->in - 1 : at);
        sum += weight[t];
    }
    for (int t = 0; t < count && sum != 0; t++) weight[t] /= sum;
}

static taps make_taps(arena *a, const node *n, const resampling *r) {
    const bool nearest = !strcmp(node_string(n, "mode", "nearest"), "nearest");
    const bool crop = n->opset >= 11 && !is_upsample(n) &&
                      !strcmp(node_string(n, "coordinate_transformation_mode", "half_pixel"),
                              "tf_crop_and_resize");
    const bool identity = r->in == r->out && r->scale == 1 && !crop;
    double squeeze = 1;
    taps t = {.count = nearest || identity ? 1 : 2 * reach(n, r, &squeeze)};
    t.index = ARENA_ARRAY(a, int32_t, (size_t)(r->out * t.count));
    t.weight = ARENA_ARRAY(a, double, (size_t)(r->out * t.count));
    for (int64_t o = 0; o < r->out; o++) {
        int32_t *index = t.index + o * t.count;
        double *weight = t.weight + o * t.count,
               x = identity ? (double)o : coordinate(n, r, o, nearest);
        x = fmin(fmax(x, -0x1p30), 0x1p30);
        weight[0] = 1;
        int64_t at = identity ? o : nearest_index(n, x);
        index[0] = (int32_t)(at < 0 ? 0 : at >= r->in ? r->in - 1 : at);
        if (t.count > 1) fill_taps(n, r, x, squeeze, t.count, index, weight);
        if (crop && (x < 0 || x > (double)(r->in - 1))) index[0] = -1;
    }
    return t;
}

/* The extents again, after infer: constants did not change, so this cannot fail. */
static void extents_again(arena *a, const node *n, resampling *r) {
    diag quiet = {.arena = a};
    graph g = {.arena = a, .diag = &quiet};
    if (!resolve_extents(&g, n, r)) BUG("a Resize that infer accepted is inconsistent");
}

/* Scales of exactly 1; tf_crop_and_resize may look elsewhere all the same. */
static int resize_same(const graph *g, const node *n) {
    resampling r[MAX_RANK];
    if (!strcmp(node_string(n, "coordinate_transformation_mode", "half_pixel"),
                "tf_crop_and_resize"))
        return -1;
    extents_again(g->arena, n, r);
    for (int i = 0; i < n->in[0]->shape.rank; i++)
        if (r[i].in != r[i].out || r[i].scale != 1) return -1;
    return 0;
}

/* ---- reference ---- */

static double sample(const tensor *x, const taps *t, const int64_t *o, const int64_t *stride,
                     int axis, int64_t at, bool *outside) {
    if (axis == x->shape.rank) return tensor_get(x, at);
    const int32_t *index = t[axis].index + o[axis] * t[axis].count;
    const double *weight = t[axis].weight + o[axis] * t[axis].count;
    double sum = 0;
    if (index[0] < 0) *outside = true;
    for (int k = 0; k < t[axis].count && !*outside; k++)
        if (weight[k] != 0)
            sum += weight[k] *
                   sample(x, t, o, stride, axis + 1, at + index[k] * stride[axis], outside);
    return sum;
}

static OP_REFERENCE(resize_reference) {
    const shape *x = &in[0]->shape, *y = &out[0]->shape;
    resampling r[MAX_RANK];
    taps t[MAX_RANK];
    int64_t stride[MAX_RANK], o[MAX_RANK], step = 1;
    extents_again(a, n, r);
    for (int i = x->rank - 1; i >= 0; i--) {
        t[i] = make_taps(a, n, &r[i]);
        stride[i] = step;
        step *= x->dim[i];
    }
    for (int64_t at = 0; at < shape_count(y); at++) {
        int64_t rest = at;
        bool outside = false;
        for (int i = x->rank - 1; i >= 0; i--) {
            o[i] = rest % y->dim[i];
            rest /= y->dim[i];
        }
        double v = sample(in[0], t, o, stride, 0, 0, &outside);
        tensor_set(out[0], at, outside ? node_float(n, "extrapolation_value", 0) : v);
    }
    return true;
}

/* ---- emit ---- */

static bool is_plain(const taps *t, int64_t in, int64_t out) {
    bool plain = t->count == 1 && in == out;
    for (int64_t o = 0; plain && o < out; o++) plain = t->index[o] == o;
    return plain;
}

static void emit_tables(emitter *e, const taps *t, int axis, int64_t out) {
    arena *a = emit_arena(e);
    const size_t size = (size_t)out * (size_t)t->count;
    emit_param(e, arena_printf(a, "const void *indices%d", axis), "%s",
               emit_weights(e, t->index, size * 4, "resize indices"));
    text_printf(emit_body(e), "    const int32_t *t%d = indices%d;\n", axis, axis);
    if (t->count == 1) return;
    emit_param(e, arena_printf(a, "const void *weights%d", axis), "%s",
               emit_weights(e, t->weight, size * sizeof(double), "resize weights"));
    text_printf(emit_body(e), "    const double *w%d = weights%d;\n", axis, axis);
}

static void emit_sum(emitter *e, const node *n, const taps *t, const char *from) {
    text *b = emit_body(e);
    const int rank = n->in[0]->shape.rank;
    text_append(b, "        double sum = 0;\n");
    for (int i = 0; i < rank; i++)
        if (t[i].count > 1)
            text_printf(b, "        for (size_t k%d = 0; k%d < %d; k%d++)\n", i, i, t[i].count, i);
    text_append(b, "            sum += ");
    for (int i = 0; i < rank; i++)
        if (t[i].count > 1) text_printf(b, "w%d[i%d * %d + k%d] * ", i, i, t[i].count, i);
    text_printf(b, "(double)x[%s];\n", from);
}

static void resize_emit(emitter *e, const node *n) {
    const value *x = n->in[0], *y = n->out[0];
    const int rank = x->shape.rank;
    arena *a = emit_arena(e);
    text *b = emit_body(e);
    resampling r[MAX_RANK];
    taps t[MAX_RANK];
    int64_t xs[MAX_RANK], ys[MAX_RANK];
    const char *names[MAX_RANK] = {NULL}, *outside = "";
    bool sums = false;
    extents_again(a, n, r);
    value_strides(x, xs);
    value_strides(y, ys);
    emit_value(e, "x", x, false);
    emit_value(e, "y", y, true);
    text_append(b, "    (void)c, (void)n, (void)x, (void)y;\n");
    if (value_count(y) == 0) return;
    for (int i = 0; i < rank; i++) {
        t[i] = make_taps(a, n, &r[i]);
        names[i] = arena_printf(a, "i%d", i);
        if (is_plain(&t[i], r[i].in, r[i].out)) continue;
        emit_tables(e, &t[i], i, r[i].out);
        text_printf(b, "    (void)t%d;\n", i);
        names[i] = arena_printf(a,
                                t[i].count > 1 ? "(size_t)t%d[i%d * %d + k%d]" : "(size_t)t%d[i%d]",
                                i, i, t[i].count, i);
        bool leaves = false;
        for (int64_t o = 0; o < r[i].out; o++) leaves |= t[i].index[o * t[i].count] < 0;
        if (leaves)
            outside = arena_printf(a, "%s%st%d[i%d * %d] < 0", outside, *outside ? " || " : "", i,
                                   i, t[i].count);
        sums |= t[i].count > 1;
    }
    const char *to = emit_index(e, ys, rank, NULL), *from = emit_index(e, xs, rank, names),
               *type = dtype_c(y->type);
    emit_loops_open(e, y->shape.dim, rank, node_is_batched(n));
    if (*outside)
        text_printf(
            b, "        if (%s) {\n            y[%s] = (%s)%s;\n            continue;\n        }\n",
            outside, to, type, emit_float(e, node_float(n, "extrapolation_value", 0)));
    if (sums) emit_sum(e, n, t, from);
    text_printf(b, sums ? "        y[%s] = (%s)sum;\n" : "        y[%s] = x[%s];\n", to,
                sums ? type : from);
    emit_loops_close(e, rank);
}

/* The transpose of the interpolation, an axis at a time. */
static GRADIENT(resize_grad) {
    resampling r[MAX_RANK];
    value *v = dout[0];
    extents_again(g->arena, n, r);
    for (int i = 0; i < n->in[0]->shape.rank; i++) {
        const taps t = make_taps(g->arena, n, &r[i]);
        if (!is_plain(&t, r[i].in, r[i].out))
            v = axis_scatter(g, n, v, i, r[i].in, t.index, t.weight, t.count);
    }
    return (din[0] = v) != NULL;
}

/* ---- rows ---- */

static const op_attr resize_attrs[] = {
    {"mode", ATTR_STRING, false, 0, "nearest", true},
    {"scales", ATTR_FLOATS, false, 0, NULL, false},
    {"height_scale", ATTR_FLOAT, false, 0, NULL, false},
    {"width_scale", ATTR_FLOAT, false, 0, NULL, false},
    {"coordinate_transformation_mode", ATTR_STRING, false, 0, NULL, false},
    {"cubic_coeff_a", ATTR_FLOAT, false, 0, NULL, false},
    {"exclude_outside", ATTR_INT, false, 0, NULL, false},
    {"extrapolation_value", ATTR_FLOAT, false, 0, NULL, false},
    {"nearest_mode", ATTR_STRING, false, 0, NULL, false},
    {"antialias", ATTR_INT, false, 0, NULL, false},
    {"axes", ATTR_INTS, false, 0, NULL, false},
    {"keep_aspect_ratio_policy", ATTR_STRING, false, 0, NULL, false},
    {.name = NULL}};

#define RESIZE(op, first, last, low, high, deciding, case_name)                                 \
    {                                                                                           \
        .name = op, .domain = "", .since = first, .until = last, .min_in = low, .max_in = high, \
        .min_out = 1, .max_out = 1, .attrs = resize_attrs,                                      \
        .flags = OP_ANY_LAYOUT | OP_NHWC | OP_BATCH_AXIS0, .shape_inputs = deciding,            \
        .infer = resize_infer, .reference = resize_reference, .grad = resize_grad,              \
        .emit = resize_emit, .same = resize_same, .test = case_name                             \
    }

const op_row ops_resize[] = {
    RESIZE("Upsample", 1, 9, 1, 2, 2, "test_upsample_nearest"),
    RESIZE("Resize", 10, 10, 2, 2, 2, "test_ops_shape resize_10"),
    RESIZE("Resize", 11, 0, 1, 4, 14, "test_resize_upsample_scales_nearest"),
    {.name = NULL}};
