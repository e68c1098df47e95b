/* Reading nodes for kernels: shapes, windows, activations; and the parameters most kernels have. */
#include "kernels.h"

#include "../ops/act.h"

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

value *input_at(const node *n, size_t i) { return i < n->n_in ? n->in[i] : NULL; }

int64_t round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

static bool pair_of(const node *n, const char *name, int64_t otherwise, size_t want, int64_t *out) {
    const attr *a = node_ints(n, name);
    for (size_t i = 0; i < want; i++) out[i] = a && a->count == want ? a->ints[i] : otherwise;
    return !a || a->count == want || !a->count;
}

bool window_of(const node *n, const int64_t *kernel, window *out) {
    int64_t k[2], s[2], d[2], p[4];
    const char *automatic = node_string(n, "auto_pad", "NOTSET");
    if (strcmp(automatic, "NOTSET") && automatic[0]) return false;
    if (!pair_of(n, "strides", 1, 2, s) || !pair_of(n, "dilations", 1, 2, d) ||
        !pair_of(n, "pads", 0, 4, p))
        return false;
    if (kernel)
        k[0] = kernel[0], k[1] = kernel[1];
    else if (!pair_of(n, "kernel_shape", 0, 2, k))
        return false;
    for (int i = 0; i < 2; i++)
        if (k[i] < 1 || s[i] < 1 || d[i] < 1 || p[i] < 0 || p[i + 2] < 0) return false;
    *out = (window){
        k[0], k[1], s[0], s[1], d[0], d[1], p[0], p[1], p[2], p[3], node_int(n, "group", 1)};
    return true;
}

/* ---- activations ---- */

bool act_known(const node *n) {
    const act_row *act = act_of_node(n);
    if (!act) return false;
    if (strcmp(act->name, "prelu")) return true;
    const value *slope = input_at(n, 4);
    if (!is_constant(slope)) return false;
    const int64_t count = shape_count(&slope->constant->shape);
    return count == 1 || (n->out[0]->shape.rank > 1 && count == n->out[0]->shape.dim[1]);
}

bool act_is_clamp(const node *n, float *least, float *most) {
    const char *act = node_string(n, "act", "none");
    *least = -INFINITY, *most = INFINITY;
    if (!strcmp(act, "relu")) return *least = 0, true;
    if (!strcmp(act, "clip")) {
        *least = (float)node_float(n, "act_min", -INFINITY);
        *most = (float)node_float(n, "act_max", INFINITY);
        return *least < *most;
    }
    return !strcmp(act, "none");
}

const char *act_literal(emitter *e, const node *n) {
    const act_row *act = act_of_node(n);
    if (!act) BUG("unknown activation");
    const double a = act_number(n, act, 0), b = act_number(n, act, 1);
    return arena_printf(emit_arena(e), "{%s, %s, %s}", act->kind, emit_float(e, a),
                        emit_float(e, b));
}

bool residual_fits(const node *n, size_t i) {
    const value *r = input_at(n, i);
    return !r || (is_nhwc(r) && shape_equal(&r->shape, &n->out[0]->shape));
}

/* ---- costs ---- */

double speed(const options *o, double fraction) {
    return 8000.0 * o->target.vector_floats * fraction;
}

double stream_time(double bytes) { return bytes / 40000; }

/* ---- emission ---- */

const char *images_of(emitter *e, const node *n) {
    return node_is_batched(n)
               ? "n"
               : arena_printf(emit_arena(e), "%lld", (long long)n->out[0]->shape.dim[0]);
}

void emit_channels(emitter *e, const char *name, const value *v, float otherwise, int64_t groups,
                   int64_t c, int64_t block) {
    const int64_t padded = round_up(c, block);
    float *p = ARENA_ARRAY(emit_arena(e), float, (size_t)(groups * padded));
    const int64_t count = v ? shape_count(&v->constant->shape) : 0;
    for (int64_t g = 0; g < groups; g++)
        for (int64_t i = 0; i < c; i++)
            p[g * padded + i] = v ? (float)tensor_get(v->constant, count == 1 ? 0 : g * c + i)
                                  : otherwise;
    const char *w = emit_weights(e, p, (size_t)(groups * padded) * sizeof *p, v ? v->name : name);
    emit_param(e, arena_printf(emit_arena(e), "const float *%s", name), "%s", w);
}

void emit_vector_check(emitter *e) {
    text_printf(
        emit_helpers(e),
        "_Static_assert(CAMEO_VF == %d, \"weights were packed for vectors of %d floats\");\n",
        emit_options(e)->target.vector_floats, emit_options(e)->target.vector_floats);
}
