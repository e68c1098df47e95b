/* Pooling (runtime/kernels/pool.h). */
#include "kernels.h"

static bool is_pool(const node *n) {
    return !n->domain[0] && is_nhwc(n->in[0]) && is_nhwc(n->out[0]) && (n->n_out < 2 || !n->out[1]);
}

static bool applies(const node *n, const options *o) {
    (void)o;
    window k;
    return is_pool(n) && window_of(n, n->in[0], NULL, &k);
}

static bool applies_global(const node *n, const options *o) {
    (void)o;
    return is_pool(n);
}

static double cost(const node *n, const options *o) {
    (void)o;
    return 1 + (double)value_count(n->in[0]) / 5000;
}

/* Of the pool from x to y; global: its window is all of x. */
static cameo_pooling shape_of(const node *n, const value *x, const value *y, bool global,
                              bool maximum) {
    const image from = image_of(x), to = image_of(y);
    window k;
    if (global)
        return (cameo_pooling){OF_IMAGES(from, to),
                               .c = from.c,
                               .kh = from.h,
                               .kw = from.w,
                               .sh = 1,
                               .sw = 1,
                               .dh = 1,
                               .dw = 1,
                               .maximum = maximum};
    if (!window_of(n, x, NULL, &k)) BUG("pool without a window");
    return (cameo_pooling){OF_IMAGES(from, to),
                           OF_WINDOW(k),
                           .c = from.c,
                           .pb = k.end[1],
                           .pr = k.end[2],
                           .maximum = maximum,
                           .count_pad = !maximum && node_int(n, "count_include_pad", 0) != 0};
}

static void emit_tasks(emitter *e, const node *n, const char *task, int64_t tasks) {
    emit_task(e, "task", task);
    emit_parallel(e, n, tasks, "task, &a", NULL);
}

static void emit_call(emitter *e, const node *n, bool global, bool maximum) {
    const cameo_pooling s = shape_of(n, n->in[0], n->out[0], global, maximum);
    emit_value(e, "x", n->in[0], false);
    emit_value(e, "y", n->out[0], true);
    emit_cameo_pooling(e, "_shape", &s);
    text_append(emit_body(e), "    cameo_pool_args a = {.x = x, .y = y};\n");
    emit_tasks(e, n, global ? "cameo_global_pool_task" : "cameo_pool_task", global ? 1 : s.oh);
}

static void emit(emitter *e, const node *n) { emit_call(e, n, false, n->opcode == ONNX_MaxPool); }

static void emit_global(emitter *e, const node *n) {
    emit_call(e, n, true, n->opcode == ONNX_GlobalMaxPool);
}

/* ---- with a BatchNormalization and activation before it, as a cameo.ConvChain ---- */

static bool scaled_applies(const node *n, const options *o) {
    (void)o;
    const node *scale = n->parts[0], *pool = n->parts[1];
    if (scale->impl != &scale_shift || pool->impl != &average_pool || input_at(scale, 3) ||
        input_at(scale, 4))
        return false;
    window k;
    /* Where windows overlap, each element would be scaled several times. */
    return is_constant(scale->in[1]) && is_constant(scale->in[2]) &&
           window_of(pool, pool->in[0], NULL, &k) && k.k[1] <= k.stride[1] && k.k[2] <= k.stride[2];
}

static void emit_scaled(emitter *e, const node *n) {
    const node *scale = n->parts[0], *pool = n->parts[1];
    const int64_t vf = vector_of(e);
    cameo_pooling s = shape_of(pool, scale->in[0], pool->out[0], false, false);
    s.scaled = true, s.before = act_of(scale);
    emit_value(e, "x", scale->in[0], false);
    emit_channels(e, "scale", scale->in[1], 0, 1, s.c, vf);
    emit_channels(e, "shift", scale->in[2], 0, 1, s.c, vf);
    emit_value(e, "y", n->out[0], true);
    emit_vector_check(e);
    emit_cameo_pooling(e, "_shape", &s);
    text_append(emit_body(e),
                "    cameo_pool_args a = {.x = x, .y = y, .scale = scale, .shift = shift};\n");
    emit_tasks(e, n, "cameo_pool_task", s.oh);
}

/* ---- gradients: dY, and X of a maximum -> dX ---- */

static bool applies_grad(const node *n, const options *o) {
    (void)o;
    window k;
    if (!is_image_layer(n)) return false;
    if (n->opcode == CAMEO_GlobalAveragePoolGrad) return true;
    return window_of(n, n->out[0], NULL, &k) && (n->n_in < 2 || is_nhwc(n->in[1]));
}

static double cost_grad(const node *n, const options *o) {
    (void)o;
    return 1 + (double)value_count(n->out[0]) / 2000;
}

static void emit_grad(emitter *e, const node *n) {
    const bool maximum = n->n_in > 1, global = !maximum && !node_ints(n, "kernel_shape");
    cameo_pooling s = shape_of(n, n->out[0], n->in[0], global, maximum);
    s.dx_pixel = s.x_pixel;
    if (maximum) s.x_pixel = image_of(n->in[1]).pixel;
    emit_value(e, "dy", n->in[0], false);
    if (maximum) emit_value(e, "x", n->in[1], false);
    emit_value(e, "dx", n->out[0], true);
    emit_cameo_pooling(e, "_shape", &s);
    body_put(e, "    cameo_pool_grad_args a = {dy, $0, dx};\n", maximum ? "x" : "NULL");
    emit_tasks(e, n, global ? "cameo_global_pool_grad_task" : "cameo_pool_grad_task", 1);
}

const implementation max_pool = {.name = "max-pool", .op = ONNX_MaxPool, OF_FILE};
const implementation average_pool = {.name = "average-pool", .op = ONNX_AveragePool, OF_FILE};
const implementation scaled_pool = {.name = "scaled-pool",
                                    .op = CAMEO_ConvChain,
                                    .pattern = {CAMEO_ScaleShift, ONNX_AveragePool},
                                    .applies = scaled_applies,
                                    .emit = emit_scaled};
const implementation global_average_pool = {.name = "global-average-pool",
                                            .op = ONNX_GlobalAveragePool,
                                            .applies = applies_global,
                                            .cost = cost,
                                            .emit = emit_global};
const implementation global_max_pool = {.name = "global-max-pool",
                                        .op = ONNX_GlobalMaxPool,
                                        .applies = applies_global,
                                        .cost = cost,
                                        .emit = emit_global};

#define POOL_GRAD(variable, kernel, row) \
    const implementation variable = {    \
        .name = kernel, .op = row, .applies = applies_grad, .cost = cost_grad, .emit = emit_grad}
POOL_GRAD(max_pool_grad_nhwc, "max-pool-grad", CAMEO_MaxPoolGrad);
POOL_GRAD(average_pool_grad_nhwc, "average-pool-grad", CAMEO_AveragePoolGrad);
POOL_GRAD(global_average_pool_grad_nhwc, "global-average-pool-grad", CAMEO_GlobalAveragePoolGrad);
