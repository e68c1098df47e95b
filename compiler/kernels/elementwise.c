/* Elementwise passes over NHWC images (runtime/kernels/elementwise.h): ScaleShift, Add, Mul, Relu,
   PRelu. */
#include "kernels.h"

enum { TASK_FLOATS = 16 * 1024 };

typedef struct parts { /* what one pass is made of; values may be NULL */
    const value *scale, *shift, *slope, *r;
    cameo_act act;
    bool product;
} parts;

static bool images_fit(const node *n) {
    return is_nhwc(n->in[0]) && is_nhwc(n->out[0]) &&
           shape_equal(&n->in[0]->shape, &n->out[0]->shape);
}

/* Constants: one number, or one a channel (with trailing axes of extent 1). Others, which are read
   in whole vectors: a parameter or what a node computed, one a channel. */
static bool is_per_channel(const value *v, int64_t c) {
    if (is_constant(v)) return value_count(v) == 1 || value_count(v) == c;
    return v && v->type == DT_FLOAT && value_count(v) == c &&
           (v->role == ROLE_PARAMETER || (v->producer && !v->is_output));
}

static bool activation_fits(const node *n, int64_t c) {
    const act_row *act = act_of_node(n);
    return act && act->flags & ACT_SLOPE ? is_per_channel(input_at(n, 4), c) : act != NULL;
}

static bool applies_scale_shift(const node *n, const options *o) {
    (void)o;
    if (!is_internal(n) || !images_fit(n) || !residual_fits(n, 3)) return false;
    const int64_t c = n->out[0]->shape.dim[1];
    return activation_fits(n, c) && is_per_channel(input_at(n, 1), c) &&
           is_per_channel(input_at(n, 2), c);
}

static bool applies_two(const node *n, const options *o) {
    (void)o;
    return !n->domain[0] && images_fit(n) && n->n_in == 2 && is_nhwc(n->in[1]) &&
           residual_fits(n, 1);
}

static bool applies_relu(const node *n, const options *o) {
    (void)o;
    return !n->domain[0] && images_fit(n);
}

/* A slope [C,1,1] or one number; [C] alone would broadcast along the width. */
static bool applies_prelu(const node *n, const options *o) {
    (void)o;
    if (n->domain[0] || !images_fit(n)) return false;
    const shape *s = &n->in[1]->shape;
    const int axis = s->rank - 3;
    if (!is_per_channel(n->in[1], n->out[0]->shape.dim[1])) return false;
    return value_count(n->in[1]) == 1 || (axis >= 0 && value_count(n->in[1]) == s->dim[axis]);
}

static double cost(const node *n, const options *o) {
    (void)o;
    return 1 + (double)value_count(n->out[0]) / 6000;
}

static const char *argument(const value *v, const char *name) { return v ? name : "NULL"; }

static void emit_per_channel(emitter *e, const char *name, const value *v, int64_t c, int64_t vf) {
    if (is_constant(v))
        emit_channels(e, name, v, 0, 1, c, vf);
    else if (v)
        emit_value(e, name, v, false);
}

void emit_pixels(emitter *e, const node *n, const cameo_elementwise *s, int64_t pixels,
                 const char *operands) {
    emit_vector_check(e);
    emit_cameo_elementwise(e, "_shape", s);
    emit_task(e, "task", "cameo_elementwise_task");
    body_put(e,
             "    const size_t pixels = (size_t)$0 * $1;\n"
             "    cameo_elementwise_args a = {$2, (ptrdiff_t)pixels};\n"
             "    cameo_parallel(c, (pixels + $3) / $4, $F_task, &a);\n",
             images_of(e, n), pixels, operands, s->pixels - 1, s->pixels);
}

static void emit_parts(emitter *e, const node *n, const parts *k) {
    const image x = image_of(n->in[0]), y = image_of(n->out[0]);
    const int64_t vf = vector_of(e);
    emit_value(e, "x", n->in[0], false);
    emit_per_channel(e, "scale", k->scale, y.c, vf);
    emit_per_channel(e, "shift", k->shift, y.c, vf);
    emit_per_channel(e, "slope", k->slope, y.c, vf);
    if (k->r) emit_value(e, "r", k->r, false);
    emit_value(e, "y", n->out[0], true);
    const cameo_elementwise s = {.pixels = most(1, TASK_FLOATS / y.c),
                                 .c = y.c,
                                 .x_pixel = x.pixel,
                                 .y_pixel = y.pixel,
                                 .r_pixel = k->r ? image_of(k->r).pixel : 0,
                                 .scale = k->scale,
                                 .shift = k->shift,
                                 .product = k->product,
                                 .act = k->act};
    emit_pixels(e, n, &s, y.h * y.w,
                emit_text(e, "x, $0, $1, $2, $3, y", argument(k->scale, "scale"),
                          argument(k->shift, "shift"), argument(k->slope, "slope"),
                          argument(k->r, "r")));
}

static void emit_scale_shift(emitter *e, const node *n) {
    const parts k = {input_at(n, 1), input_at(n, 2), input_at(n, 4),
                     input_at(n, 3), act_of(n),      false};
    emit_parts(e, n, &k);
}

static void emit_add(emitter *e, const node *n) { emit_parts(e, n, &(parts){.r = n->in[1]}); }
static void emit_mul(emitter *e, const node *n) {
    emit_parts(e, n, &(parts){.r = n->in[1], .product = true});
}
static void emit_relu(emitter *e, const node *n) {
    emit_parts(e, n, &(parts){.act = {.kind = CAMEO_RELU}});
}
static void emit_prelu(emitter *e, const node *n) {
    emit_parts(e, n, &(parts){.slope = n->in[1], .act = {.kind = CAMEO_PRELU}});
}

#define PASS(variable, NAME, OP, APPLIES, EMIT, INPLACE) \
    const implementation variable = {.name = NAME,       \
                                     .op = OP,           \
                                     .applies = APPLIES, \
                                     .cost = cost,       \
                                     .emit = EMIT,       \
                                     .inplace = INPLACE}
PASS(scale_shift, "scale-shift", CAMEO_ScaleShift, applies_scale_shift, emit_scale_shift,
     1u | 1u << 3);
PASS(add_nhwc, "add", ONNX_Add, applies_two, emit_add, 3);
PASS(mul_nhwc, "mul", ONNX_Mul, applies_two, emit_mul, 3);
PASS(relu_nhwc, "relu", ONNX_Relu, applies_relu, emit_relu, 1);
PASS(prelu_nhwc, "prelu", ONNX_PRelu, applies_prelu, emit_prelu, 1);
