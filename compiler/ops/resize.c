/* Upsample and Resize on any rank. Resizing is separable: for every axis and output index there is
   a short list of taps (input index, weight), computed here at compile time. The reference sums
   over them; the emission reads them from small tables in the weights. An index of -1 stands for
   tf_crop_and_resize's extrapolation value. */
#include <math.h>
#include <string.h>

#include "../emit/loops.h"
#include "row.h"
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

typedef struct reals {
    double *v;
    size_t count;
} reals;

static bool floats_of(graph *g, const node *n, size_t i, const char *what, reals *r) {
    const tensor *t = n->in[i]->constant;
    if (!t) return op_not_constant(g, n, what);
    *r = (reals){ref_doubles(g->arena, t), (size_t)shape_count(&t->shape)};
    return true;
}

static bool attribute_scales(graph *g, const node *n, reals *r) {
    const attr *a = node_attr(n, "scales");
    if (n->opset < 7) {
        r->count = 4;
        r->v = ARENA_ARRAY(g->arena, double, 4);
        r->v[0] = r->v[1] = 1;
        r->v[2] = node_float(n, "height_scale", 1);
        r->v[3] = node_float(n, "width_scale", 1);
        return true;
    }
    if (!a || a->kind != ATTR_FLOATS) return node_error(g, n, "attribute scales is missing");
    r->count = a->count;
    r->v = ARENA_ARRAY(g->arena, double, a->count);
    for (size_t i = 0; i < a->count; i++) r->v[i] = (double)a->floats[i];
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
    ints sizes;
    double common = 0;
    if (!op_need_ints(g, n, 3, "sizes", &sizes)) return false;
    if (sizes.count != count) return node_error(g, n, "%zu sizes for %zu axes", sizes.count, count);
    for (size_t i = 0; i < count; i++) {
        resampling *p = &r[axes[i]];
        if (sizes.v[i] < 0 || sizes.v[i] > 1 << 30 || p->in == 0)
            return node_error(g, n, "sizes[%zu] is out of range", i);
        p->out = sizes.v[i];
        p->scale = (double)p->out / (double)p->in;
        if (i == 0 || (!strcmp(policy, "not_larger") ? p->scale < common : p->scale > common))
            common = p->scale;
    }
    for (size_t i = 0; strcmp(policy, "stretch") && i < count; i++) {
        resampling *p = &r[axes[i]];
        p->scale = common;
        p->out = (int64_t)floor(common * (double)p->in + 0.5);
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

static const char *transformation(const node *n) {
    return node_string(n, "coordinate_transformation_mode", "half_pixel");
}

/* Its coordinates come from a region of interest. */
static bool crops(const node *n) {
    return n->opset >= 11 && !is_upsample(n) && !strcmp(transformation(n), "tf_crop_and_resize");
}

static bool read_roi(graph *g, const node *n, const int *axes, size_t count, resampling *r) {
    reals roi = {0};
    if (!crops(n) || !present(n, 1)) return true;
    if (!floats_of(g, n, 1, "roi", &roi)) return false;
    if (roi.count != 2 * count)
        return node_error(g, n, "%zu roi values for %zu axes", roi.count, count);
    for (size_t i = 0; i < count; i++)
        r[axes[i]].start = roi.v[i], r[axes[i]].end = roi.v[count + i];
    return true;
}

/* Fills r from the node and its constant inputs; used by infer, reference and emission alike. */
static bool resolve_extents(graph *g, const node *n, resampling *r) {
    const shape *x = &n->in[0]->shape;
    const size_t input = n->opset >= 11 && !is_upsample(n) ? 2 : 1;
    int axes[MAX_RANK];
    size_t count;
    reals scales = {0};
    for (int i = 0; i < x->rank; i++) r[i] = (resampling){x->dim[i], x->dim[i], 1, 0, 1};
    if (!read_axes(g, n, x->rank, axes, &count) || !read_roi(g, n, axes, count, r)) return false;
    if (input == 2 && present(n, 3)) return extents_from_sizes(g, n, axes, count, r);
    const bool attribute = is_upsample(n) && n->opset < 9;
    if (!attribute && !present(n, input))
        return node_error(g, n, "neither scales nor sizes are given");
    if (attribute ? !attribute_scales(g, n, &scales) : !floats_of(g, n, input, "scales", &scales))
        return false;
    if (scales.count != count)
        return node_error(g, n, "%zu scales for %zu axes", scales.count, count);
    return extents_from_scales(g, n, scales.v, axes, count, r);
}

/* With align_corners and a scale that gives no whole extent (5 x 1.5 = 7.5, so 7), PyTorch and
   ONNX Runtime put the last output on the last input: they divide by the output's extent less 1.
   ONNX's own tests divide by 7.5 - 1. A model is a framework's unless it says that it is of those
   tests; the node keeps which, since what follows sees the node alone. */
static const char by_scaled_length[] = "align_corners by scaled length";

static void choose_align_corners(graph *g, node *n, const resampling *r) {
    if (strcmp(transformation(n), "align_corners")) return;
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
    const char *mode = node_string(n, "mode", "nearest"), *c = transformation(n);
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
    const char *mode = transformation(n);
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
    const bool crop = crops(n);
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
    if (crops(n)) return -1;
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
    emit_param(e, arena_put(a, "const void *indices$0", axis),
               emit_weights(e, t->index, size * 4, "resize indices"));
    text_put(emit_body(e), "    const int32_t *t$0 = indices$0;\n", axis);
    if (t->count > 1) {
        emit_param(e, arena_put(a, "const void *weights$0", axis),
                   emit_weights(e, t->weight, size * sizeof(double), "resize weights"));
        text_put(emit_body(e), "    const double *w$0 = weights$0;\n", axis);
    }
    text_put(emit_body(e), "    (void)t$0;\n", axis);
}

static const char *sum_text(arena *a, const taps *t, int rank, const char *from) {
    const char *loops = "", *product = "";
    for (int i = 0; i < rank; i++)
        if (t[i].count > 1) {
            loops = arena_put(a, "$0        for (size_t k$1 = 0; k$1 < $2; k$1++)\n", loops, i,
                              t[i].count);
            product = arena_put(a, "$0w$1[i$1 * $2 + k$1] * ", product, i, t[i].count);
        }
    return arena_put(a, "        double sum = 0;\n$0            sum += $1(double)x[$2];\n", loops,
                     product, from);
}

/* The taps of the axes, with tables where they are not plain: the names of x's indices, and where
   they leave it. */
static const char *emit_taps(emitter *e, const node *n, taps *t, const char **names) {
    arena *a = emit_arena(e);
    const char *outside = NULL;
    resampling r[MAX_RANK];
    extents_again(a, n, r);
    for (int i = 0; i < n->in[0]->shape.rank; i++) {
        t[i] = make_taps(a, n, &r[i]);
        names[i] = arena_put(a, "i$0", i);
        if (is_plain(&t[i], r[i].in, r[i].out)) continue;
        emit_tables(e, &t[i], i, r[i].out);
        names[i] = arena_put(a, t[i].count > 1 ? "(size_t)t$0[i$0 * $1 + k$0]" : "(size_t)t$0[i$0]",
                             i, t[i].count);
        bool leaves = false;
        for (int64_t o = 0; o < r[i].out; o++) leaves |= t[i].index[o * t[i].count] < 0;
        if (leaves)
            outside = arena_put(a, "$0$1t$2[i$2 * $3] < 0", outside ? outside : "",
                                outside ? " || " : "", i, t[i].count);
    }
    return outside;
}

static void resize_emit(emitter *e, const node *n) {
    const value *x = n->in[0], *y = n->out[0];
    const int rank = x->shape.rank;
    arena *a = emit_arena(e);
    taps t[MAX_RANK];
    int64_t xs[MAX_RANK];
    const char *names[MAX_RANK] = {NULL}, *lines = "";
    bool sums = false;
    value_strides(x, xs);
    emit_value(e, "x", x, false);
    emit_value(e, "y", y, true);
    text_append(emit_body(e), "    (void)c, (void)n, (void)x, (void)y;\n");
    if (value_count(y) == 0) return;
    const char *outside = emit_taps(e, n, t, names), *to = emit_index_of(e, y),
               *from = emit_index(e, xs, rank, names), *type = dtype_c(y->type);
    for (int i = 0; i < rank; i++) sums |= t[i].count > 1;
    if (outside)
        lines = arena_put(a,
                          "        if ($0) {\n"
                          "            y[$1] = ($2)$3;\n"
                          "            continue;\n"
                          "        }\n",
                          outside, to, type,
                          emit_float(e, node_float(n, "extrapolation_value", 0)));
    lines = sums ? arena_put(a, "$0$1        y[$2] = ($3)sum;\n", lines, sum_text(a, t, rank, from),
                             to, type)
                 : arena_put(a, "$0        y[$1] = x[$2];\n", lines, to, from);
    emit_each(e, n, y, lines);
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
    return (din[0] = v);
}

/* ---- rows ---- */

/* clang-format off */
#define RESIZE(name, first, last, in, most_in, deciding, tested_by)                             \
    {OP_ONNX(name, first, last, in, most_in, 1, 1, resize, tested_by),                          \
     .flags = OP_ANY_LAYOUT | OP_NHWC | OP_BATCH_AXIS0, .shape_inputs = deciding,               \
     ATTRIBUTES(DEFAULT_WORD("mode", "nearest"), ATTR(FLOATS, "scales"),                        \
                ATTR(FLOAT, "height_scale"), ATTR(FLOAT, "width_scale"),                        \
                ATTR(STRING, "coordinate_transformation_mode"), ATTR(FLOAT, "cubic_coeff_a"),   \
                ATTR(INT, "exclude_outside"), ATTR(FLOAT, "extrapolation_value"),               \
                ATTR(STRING, "nearest_mode"), ATTR(INT, "antialias"), ATTR(INTS, "axes"),       \
                ATTR(STRING, "keep_aspect_ratio_policy")),                                      \
     .grad = resize_grad, .same = resize_same}

const op_row ops_resize[] = {
    RESIZE("Upsample", 1, 9, 1, 2, 2, "test_upsample_nearest"),
    RESIZE("Resize", 10, 10, 2, 2, 2, "test_ops_shape resize_10"),
    RESIZE("Resize", 11, 0, 1, 4, 14, "test_resize_upsample_scales_nearest"),
    {.name = NULL}};
/* clang-format on */
