/* Reads the attributes of convolutions and pools into a window; see window.h. Every extent is
   bounded here, so that no later product of two of them overflows. */
#include "window.h"

#include <string.h>

#include "../emit/emit.h"

enum { EXTENT_MAX = 1 << 30 };

#define FAIL(d, n, ...) ((d) ? diag_error((d), (n), NULL, __VA_ARGS__) : false)
#define UNSUPPORTED(d, n, ...) ((d) ? diag_error((d), (n), DIAG_UNSUPPORTED, __VA_ARGS__) : false)

/* Copies the ints attribute to v[first..]; an absent or empty one gives `otherwise`. */
static bool read_ints(diag *d, const node *n, const char *name, int rank, int64_t low,
                      int64_t otherwise, int64_t *v) {
    const attr *a = node_ints(n, name);
    if (a && a->count == 0) a = NULL;
    if (a && a->count != (size_t)rank)
        return FAIL(d, n, "%s has %zu values; the input has %d spatial axes", name, a->count, rank);
    for (int i = 0; i < rank; i++) {
        v[3 - rank + i] = a ? a->ints[i] : otherwise;
        if (v[3 - rank + i] < low || v[3 - rank + i] > EXTENT_MAX)
            return FAIL(d, n, "%s[%d] = %lld is out of range", name, i, (long long)v[3 - rank + i]);
    }
    return true;
}

static bool read_pads(diag *d, const node *n, window *w) {
    const attr *a = node_ints(n, "pads");
    if (!a || a->count == 0) return true;
    if (a->count != 2 * (size_t)w->rank)
        return FAIL(d, n, "pads has %zu values, not 2 for each of %d axes", a->count, w->rank);
    for (int i = 0; i < w->rank; i++) {
        w->begin[3 - w->rank + i] = a->ints[i];
        w->end[3 - w->rank + i] = a->ints[w->rank + i];
    }
    for (int i = 0; i < 3; i++)
        if (w->begin[i] < -EXTENT_MAX || w->begin[i] > EXTENT_MAX || w->end[i] < -EXTENT_MAX ||
            w->end[i] > EXTENT_MAX)
            return FAIL(d, n, "pads are out of range");
    return true;
}

static bool read_kernel(diag *d, const node *n, const int64_t *kernel, window *w) {
    const int first = 3 - w->rank;
    const attr *a = node_ints(n, "kernel_shape");
    if (!kernel && (!a || a->count == 0)) return FAIL(d, n, "attribute kernel_shape is missing");
    if (a && a->count && !read_ints(d, n, "kernel_shape", w->rank, 1, 1, w->k)) return false;
    for (int i = 0; kernel && i < w->rank; i++) {
        if (a && a->count && w->k[first + i] != kernel[i])
            return FAIL(d, n, "kernel_shape[%d] = %lld but the weights have %lld", i,
                        (long long)w->k[first + i], (long long)kernel[i]);
        w->k[first + i] = kernel[i];
        if (kernel[i] < 1 || kernel[i] > EXTENT_MAX)
            return FAIL(d, n, "the weights' kernel extent %d is out of range", i);
    }
    return true;
}

static bool read_common(diag *d, const node *n, const shape *x, const int64_t *kernel, window *w) {
    *w = (window){.rank = x->rank - 2, .group = node_int(n, "group", 1)};
    if (w->rank < 1 || w->rank > 3)
        return UNSUPPORTED(d, n, "an input of rank %d is not supported (3 to 5 are)", x->rank);
    for (int i = 0; i < 3; i++) w->in[i] = w->out[i] = w->k[i] = w->stride[i] = w->dilation[i] = 1;
    for (int i = 0; i < w->rank; i++) {
        w->in[3 - w->rank + i] = x->dim[2 + i];
        if (x->dim[2 + i] > EXTENT_MAX)
            return UNSUPPORTED(d, n, "spatial extent %lld is too large", (long long)x->dim[2 + i]);
    }
    return read_kernel(d, n, kernel, w) && read_ints(d, n, "strides", w->rank, 1, 1, w->stride) &&
           read_ints(d, n, "dilations", w->rank, 1, 1, w->dilation);
}

static int64_t effective(const window *w, int i) { return (w->k[i] - 1) * w->dilation[i] + 1; }

/* Pads of SAME_*: the odd one goes to the end (UPPER) or the beginning (LOWER). */
static void split_pads(window *w, int i, int64_t total, bool upper) {
    if (total < 0) total = 0;
    w->begin[i] = upper ? total / 2 : total - total / 2;
    w->end[i] = total - w->begin[i];
}

static bool known_auto_pad(diag *d, const node *n, const char *s) {
    if (!strcmp(s, "NOTSET") || !strcmp(s, "") || !strcmp(s, "VALID") || !strcmp(s, "SAME_UPPER") ||
        !strcmp(s, "SAME_LOWER"))
        return true;
    return FAIL(d, n, "auto_pad has an unknown value");
}

static bool slide(diag *d, const node *n, window *w, int i, bool ceil_mode) {
    int64_t padded = w->in[i] + w->begin[i] + w->end[i], span = padded - effective(w, i);
    if (span < 0)
        return FAIL(d, n,
                    "the window (%lld) is larger than the padded input (%lld) on a spatial axis",
                    (long long)effective(w, i), (long long)padded);
    w->out[i] = (span + (ceil_mode ? w->stride[i] - 1 : 0)) / w->stride[i] + 1;
    /* A window that would begin past the input and its leading pad is dropped (the rule ONNX wrote
       down at 22). */
    if (ceil_mode && (w->out[i] - 1) * w->stride[i] >= w->in[i] + w->begin[i]) w->out[i]--;
    return true;
}

bool window_read(diag *d, const node *n, const shape *x, const int64_t *kernel, window *w) {
    const char *mode = node_string(n, "auto_pad", "NOTSET");
    const bool same = !strncmp(mode, "SAME_", 5), ceil_mode = node_int(n, "ceil_mode", 0) != 0;
    if (!known_auto_pad(d, n, mode) || !read_common(d, n, x, kernel, w)) return false;
    if (!same && strcmp(mode, "VALID") != 0 && !read_pads(d, n, w)) return false;
    for (int i = 3 - w->rank; i < 3; i++) {
        if (same) {
            w->out[i] = (w->in[i] + w->stride[i] - 1) / w->stride[i];
            split_pads(w, i, (w->out[i] - 1) * w->stride[i] + effective(w, i) - w->in[i],
                       !strcmp(mode, "SAME_UPPER"));
        } else if (!slide(d, n, w, i, ceil_mode))
            return false;
    }
    return true;
}

/* output_shape names the spatial extents; some exporters write all extents. NULL when absent. */
static bool read_output_shape(diag *d, const node *n, int rank, const int64_t **v) {
    const attr *a = node_ints(n, "output_shape");
    *v = NULL;
    if (!a || a->count == 0) return true;
    if (a->count != (size_t)rank && a->count != (size_t)rank + 2)
        return FAIL(d, n, "output_shape has %zu values", a->count);
    *v = a->ints + (a->count - (size_t)rank);
    for (int i = 0; i < rank; i++)
        if ((*v)[i] < 0 || (*v)[i] > EXTENT_MAX) return FAIL(d, n, "output_shape is out of range");
    return true;
}

bool window_read_transposed(diag *d, const node *n, const shape *x, const int64_t *kernel,
                            window *w) {
    const char *mode = node_string(n, "auto_pad", "NOTSET");
    const bool same = !strncmp(mode, "SAME_", 5), upper = !strcmp(mode, "SAME_UPPER");
    int64_t extra[3] = {0};
    const int64_t *wanted;
    if (!known_auto_pad(d, n, mode) || !read_common(d, n, x, kernel, w)) return false;
    if (!read_ints(d, n, "output_padding", w->rank, 0, 0, extra) ||
        !read_output_shape(d, n, w->rank, &wanted))
        return false;
    if (!same && strcmp(mode, "VALID") != 0 && !read_pads(d, n, w)) return false;
    for (int i = 3 - w->rank; i < 3; i++) {
        int64_t full = w->stride[i] * (w->in[i] - 1) + extra[i] + effective(w, i);
        if (wanted || same) {
            w->out[i] = wanted ? wanted[i - (3 - w->rank)] : w->in[i] * w->stride[i];
            split_pads(w, i, full - w->out[i], upper);
        } else
            w->out[i] = full - w->begin[i] - w->end[i];
        if (w->out[i] < 0) return FAIL(d, n, "the pads exceed the output on a spatial axis");
    }
    return true;
}

void window_write(graph *g, node *n, const window *w) {
    const int first = 3 - w->rank;
    int64_t pads[6];
    memcpy(pads, w->begin + first, (size_t)w->rank * sizeof *pads);
    memcpy(pads + w->rank, w->end + first, (size_t)w->rank * sizeof *pads);
    node_set_ints(g, n, "kernel_shape", w->k + first, (size_t)w->rank);
    node_set_ints(g, n, "strides", w->stride + first, (size_t)w->rank);
    node_set_ints(g, n, "dilations", w->dilation + first, (size_t)w->rank);
    node_set_ints(g, n, "pads", pads, 2 * (size_t)w->rank);
}

shape window_x_shape(const node *n) {
    const attr *a = node_ints(n, "x_shape");
    shape s = {0};
    for (size_t i = 0; a && i < a->count && i < MAX_RANK; i++) s.dim[s.rank++] = a->ints[i];
    return s;
}

shape window_shape(const window *w, int64_t images, int64_t channels) {
    shape s = {.rank = w->rank + 2, .dim = {images, channels}};
    for (int i = 0; i < w->rank; i++) s.dim[2 + i] = w->out[3 - w->rank + i];
    return s;
}

window window_again(const node *n, const shape *x, const int64_t *kernel) {
    window w;
    if (!window_read(NULL, n, x, kernel, &w)) BUG("a %s that infer accepted is wrong", n->op_type);
    return w;
}

/* ---- as C ---- */

void window_loops(text *t, const window *w, const char *prefix, const int64_t extent[3]) {
    for (int a = 3 - w->rank; a < 3; a++)
        text_put(t, "    for (ptrdiff_t $0$1 = 0; $0$1 < $2; $0$1++)\n", prefix, a, extent[a]);
}

void window_taps(text *t, const window *w) {
    for (int a = 3 - w->rank; a < 3; a++)
        text_put(t,
                 "        for (ptrdiff_t k$0 = 0; k$0 < $1; k$0++) {\n"
                 "            const ptrdiff_t i$0 = o$0 * $2 - $3 + k$0 * $4;\n"
                 "            if (i$0 < 0 || i$0 >= $5) continue;\n",
                 a, w->k[a], w->stride[a], w->begin[a], w->dilation[a], w->in[a]);
}

void window_end(text *t, const window *w) {
    for (int a = 3 - w->rank; a < 3; a++) text_append(t, "        }\n");
}

const char *window_index(emitter *e, const value *v, const window *w, const char *image,
                         const char *channel, const char *prefix) {
    const char *names[MAX_RANK] = {image, channel};
    int64_t stride[MAX_RANK];
    value_strides(v, stride);
    for (int i = 0; i < w->rank; i++)
        names[2 + i] = arena_put(emit_arena(e), "$0$1", prefix, 3 - w->rank + i);
    return emit_index(e, stride, w->rank + 2, names);
}
