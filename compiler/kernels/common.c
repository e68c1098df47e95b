/* Reading nodes for kernels: shapes, windows, activations; and the parameters most kernels have. */
#include "kernels.h"

#include <math.h>
#include <string.h>

bool is_nhwc(const value *v) {
    return v && v->type == DT_FLOAT && v->shape.rank == 4 && v->layout == LAYOUT_NHWC &&
           !v->constant && value_count(v) > 0;
}

image image_of(const value *v) {
    const int64_t *d = v->shape.dim;
    return (image){d[0], d[1], d[2], d[3], v->pixel_stride ? v->pixel_stride : d[1]};
}

bool is_constant(const value *v) {
    return v && v->constant && v->constant->type == DT_FLOAT && v->constant->data;
}

bool is_finite(const value *v) {
    if (!is_constant(v)) return false;
    const float *p = v->constant->data;
    for (int64_t i = 0; i < shape_count(&v->constant->shape); i++)
        if (!isfinite(p[i])) return false;
    return true;
}

bool is_internal(const node *n) { return !strcmp(n->domain, "cameo"); }

bool is_image_layer(const node *n) {
    return is_internal(n) && is_nhwc(n->in[0]) && is_nhwc(n->out[0]);
}

value *input_at(const node *n, size_t i) { return i < n->n_in ? n->in[i] : NULL; }

int64_t round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

bool window_of(const node *n, const value *x, const value *w, window *out) {
    const char *automatic = node_string(n, "auto_pad", "NOTSET");
    if ((strcmp(automatic, "NOTSET") && automatic[0]) || (w && w->shape.rank != 4)) return false;
    const bool transposed = n->opcode == ONNX_ConvTranspose;
    if (!(transposed ? window_read_transposed : window_read)(NULL, n, &x->shape,
                                                             w ? w->shape.dim + 2 : NULL, out) ||
        out->rank != 2)
        return false;
    for (int i = 1; i < 3; i++)
        if (out->begin[i] < 0 || out->end[i] < 0) return false;
    return true;
}

/* ---- activations ---- */

bool act_known(const node *n) {
    const act_row *act = act_of_node(n);
    if (!act) return false;
    if (!(act->flags & ACT_SLOPE)) return true;
    const value *slope = input_at(n, 4);
    if (!is_constant(slope)) return false;
    const int64_t count = shape_count(&slope->constant->shape);
    return count == 1 || (n->out[0]->shape.rank > 1 && count == n->out[0]->shape.dim[1]);
}

cameo_act act_of(const node *n) {
    const act_row *act = act_of_node(n);
    if (!act) BUG("unknown activation");
    return (cameo_act){act->kind, (float)act_number(n, act, 0), (float)act_number(n, act, 1)};
}

bool residual_fits(const node *n, size_t i) {
    const value *r = input_at(n, i);
    return !r || (is_nhwc(r) && shape_equal(&r->shape, &n->out[0]->shape));
}

bool ending_fits(const node *n) { return residual_fits(n, 3) && act_known(n); }

int64_t residual_pixel(const node *n) { return input_at(n, 3) ? image_of(n->in[3]).pixel : 0; }

/* ---- costs ---- */

double speed(const options *o, double fraction) {
    return 8000.0 * o->target.vector_floats * fraction;
}

double stream_time(double bytes) { return bytes / 40000; }

/* ---- emission ---- */

const char *images_of(emitter *e, const node *n) {
    return node_is_batched(n) ? "n" : emit_text(e, "$0", n->out[0]->shape.dim[0]);
}

float *new_floats(emitter *e, int64_t count) {
    return ARENA_ARRAY(emit_arena(e), float, (size_t)count);
}

void emit_packed(emitter *e, const char *declaration, const void *packed, int64_t words,
                 const char *label) {
    emit_param(e, declaration, emit_weights(e, packed, 4 * (size_t)words, label));
}

void emit_channels(emitter *e, const char *name, const value *v, float otherwise, int64_t groups,
                   int64_t c, int64_t block) {
    const int64_t padded = round_up(c, block);
    float *p = new_floats(e, groups * padded);
    const int64_t count = v ? shape_count(&v->constant->shape) : 0;
    for (int64_t g = 0; g < groups; g++)
        for (int64_t i = 0; i < c; i++)
            p[g * padded + i] = v ? (float)tensor_get(v->constant, count == 1 ? 0 : g * c + i)
                                  : otherwise;
    emit_packed(e, emit_text(e, "const float *$0", name), p, groups * padded, v ? v->name : name);
}

const char *emit_ending(emitter *e, const node *n, int64_t groups, int64_t c, int64_t block) {
    const value *b = input_at(n, 2), *slope = input_at(n, 4), *r = input_at(n, 3);
    if (b && !b->constant)
        emit_value(e, "b", b, false); /* a parameter has room behind it for whole vectors */
    else
        emit_channels(e, "b", b, 0, groups, c, block);
    if (slope) emit_channels(e, "slope", slope, 0, groups, c, block);
    if (r) emit_value(e, "r", r, false);
    emit_value(e, "y", n->out[0], true);
    emit_vector_check(e);
    return emit_text(e, ".b = b$0$1, .y = y", slope ? ", .slope = slope" : "", r ? ", .r = r" : "");
}

void emit_task(emitter *e, const char *name, const char *function) {
    helpers_put(e, "static void $F_$0(void *p, size_t i) { $1(&$F_shape, p, i); }\n", name,
                function);
}

void emit_parallel(emitter *e, const node *n, int64_t count, const char *task,
                   const char *comment) {
    text *t = emit_body(e);
    text_append(t, "    cameo_parallel(c, ");
    if (n) text_put(t, "(size_t)$0 * ", images_of(e, n));
    text_put(t, "$0, $F_$1);", count, task);
    if (comment) text_put(t, " /* $0 */", comment);
    text_append(t, "\n");
}

void emit_vector_check(emitter *e) {
    helpers_put(
        e, "_Static_assert(CAMEO_VF == $0, \"weights were packed for vectors of $0 floats\");\n",
        vector_of(e));
}
