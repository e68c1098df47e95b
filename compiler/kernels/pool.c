/* Pooling (runtime/kernels/pool.h). */
#include "kernels.h"

static bool is_pool(const node *n) {
    return !n->domain[0] && is_nhwc(n->in[0]) && is_nhwc(n->out[0]) && (n->n_out < 2 || !n->out[1]);
}

static bool applies(const graph *g, const node *n, const options *o) {
    (void)g, (void)o;
    window k;
    return is_pool(n) && window_of(n, NULL, &k);
}

static bool applies_global(const graph *g, const node *n, const options *o) {
    (void)g, (void)o;
    return is_pool(n);
}

static double cost(const node *n, const options *o) {
    (void)o;
    return 1 + (double)value_count(n->in[0]) / 5000;
}

/* scale: the ScaleShift that the kernel does as well, or NULL. */
static void emit_shape(emitter *e, const node *n, const node *scale, const window *k, image x,
                       image y, int64_t dx_pixel, bool maximum) {
    const bool count_pad = node_int(n, "count_include_pad", 0) != 0 && !maximum;
    text *t = emit_helpers(e);
    text_append(t, "static const cameo_pooling $F_shape = {\n");
    text_printf(t,
                "    .h = %lld, .w = %lld, .c = %lld, .oh = %lld, .ow = %lld, .kh = %lld, .kw = "
                "%lld, .sh = %lld, .sw = %lld,\n",
                (long long)x.h, (long long)x.w, (long long)x.c, (long long)y.h, (long long)y.w,
                (long long)k->kh, (long long)k->kw, (long long)k->sh, (long long)k->sw);
    text_printf(t,
                "    .dh = %lld, .dw = %lld, .pt = %lld, .pl = %lld, .pb = %lld, .pr = %lld, "
                ".x_pixel = %lld, .y_pixel = %lld,\n",
                (long long)k->dh, (long long)k->dw, (long long)k->pt, (long long)k->pl,
                (long long)k->pb, (long long)k->pr, (long long)x.pixel, (long long)y.pixel);
    if (scale) text_printf(t, "    .scaled = true, .before = %s,\n", act_literal(e, scale));
    text_printf(t, "    .dx_pixel = %lld, .maximum = %s, .count_pad = %s};\n", (long long)dx_pixel,
                maximum ? "true" : "false", count_pad ? "true" : "false");
}

static void emit_tasks(emitter *e, const node *n, const char *task, int64_t tasks) {
    text_printf(emit_helpers(e),
                "static void $F_task(void *p, size_t i) { %s(&$F_shape, p, i); }\n", task);
    text_printf(emit_body(e), "    cameo_parallel(c, (size_t)%s * %lld, $F_task, &a);\n",
                images_of(e, n), (long long)tasks);
}

static void emit_call(emitter *e, const node *n, const window *k, const char *task, int64_t tasks,
                      bool maximum) {
    emit_value(e, "x", n->in[0], false);
    emit_value(e, "y", n->out[0], true);
    emit_shape(e, n, NULL, k, image_of(n->in[0]), image_of(n->out[0]), 0, maximum);
    text_append(emit_body(e), "    cameo_pool_args a = {.x = x, .y = y};\n");
    emit_tasks(e, n, task, tasks);
}

static void emit(emitter *e, const node *n) {
    window k;
    if (!window_of(n, NULL, &k)) BUG("pool without a window");
    emit_call(e, n, &k, "cameo_pool_task", n->out[0]->shape.dim[2], n->opcode == ONNX_MaxPool);
}

static window whole(const value *x) {
    return (window){x->shape.dim[2], x->shape.dim[3], 1, 1, 1, 1, 0, 0, 0, 0, 1};
}

static void emit_global(emitter *e, const node *n) {
    const window k = whole(n->in[0]);
    emit_call(e, n, &k, "cameo_global_pool_task", 1, n->opcode == ONNX_GlobalMaxPool);
}

/* ---- with a BatchNormalization and activation before it, as a cameo.ConvChain ---- */

bool scaled_pool_worthwhile(const node *scale, const node *pool) {
    if (scale->impl != &scale_shift || pool->impl != &average_pool || input_at(scale, 3) ||
        input_at(scale, 4))
        return false;
    window k;
    /* Where windows overlap, each element would be scaled several times. */
    return is_constant(scale->in[1]) && is_constant(scale->in[2]) && window_of(pool, NULL, &k) &&
           k.kh <= k.sh && k.kw <= k.sw;
}

static bool scaled_applies(const graph *g, const node *n, const options *o) {
    (void)g, (void)o;
    return n->n_parts == 2 && n->parts[1]->impl == &average_pool;
}

static void emit_scaled(emitter *e, const node *n) {
    const node *scale = n->parts[0], *pool = n->parts[1];
    const int64_t vf = emit_options(e)->target.vector_floats;
    const image x = image_of(scale->in[0]), y = image_of(pool->out[0]);
    window k;
    if (!window_of(pool, NULL, &k)) BUG("pool without a window");
    emit_value(e, "x", scale->in[0], false);
    emit_channels(e, "scale", scale->in[1], 0, 1, x.c, vf);
    emit_channels(e, "shift", scale->in[2], 0, 1, x.c, vf);
    emit_value(e, "y", n->out[0], true);
    emit_vector_check(e);
    emit_shape(e, pool, scale, &k, x, y, 0, false);
    text_append(emit_body(e),
                "    cameo_pool_args a = {.x = x, .y = y, .scale = scale, .shift = shift};\n");
    emit_tasks(e, n, "cameo_pool_task", y.h);
}

/* ---- gradients: dY, and X of a maximum -> dX ---- */

static bool applies_grad(const graph *g, const node *n, const options *o) {
    (void)g, (void)o;
    window k;
    if (!is_internal(n) || !is_nhwc(n->in[0]) || !is_nhwc(n->out[0])) return false;
    if (n->opcode == CAMEO_GlobalAveragePoolGrad) return true;
    return window_of(n, NULL, &k) && (n->n_in < 2 || is_nhwc(n->in[1]));
}

static double cost_grad(const node *n, const options *o) {
    (void)o;
    return 1 + (double)value_count(n->out[0]) / 2000;
}

static void emit_grad(emitter *e, const node *n) {
    const bool maximum = n->n_in > 1, global = !maximum && !node_ints(n, "kernel_shape");
    const image dx = image_of(n->out[0]), x = maximum ? image_of(n->in[1]) : dx;
    window k = whole(n->out[0]);
    if (!global && !window_of(n, NULL, &k)) BUG("pool without a window");
    emit_value(e, "dy", n->in[0], false);
    if (maximum) emit_value(e, "x", n->in[1], false);
    emit_value(e, "dx", n->out[0], true);
    emit_shape(e, n, NULL, &k, x, image_of(n->in[0]), dx.pixel, maximum);
    text_printf(emit_body(e), "    cameo_pool_grad_args a = {dy, %s, dx};\n",
                maximum ? "x" : "NULL");
    emit_tasks(e, n, global ? "cameo_global_pool_grad_task" : "cameo_pool_grad_task", 1);
}

const implementation max_pool = {.name = "max-pool",
                                 .op = ONNX_MaxPool,
                                 .applies = applies,
                                 .cost = cost,
                                 .emit = emit,
                                 .slices = true};
const implementation average_pool = {.name = "average-pool",
                                     .op = ONNX_AveragePool,
                                     .applies = applies,
                                     .cost = cost,
                                     .emit = emit,
                                     .slices = true};
const implementation scaled_pool = {.name = "scaled-pool",
                                    .op = CAMEO_ConvChain,
                                    .applies = scaled_applies,
                                    .emit = emit_scaled,
                                    .slices = true};
const implementation global_average_pool = {.name = "global-average-pool",
                                            .op = ONNX_GlobalAveragePool,
                                            .applies = applies_global,
                                            .cost = cost,
                                            .emit = emit_global,
                                            .slices = true};
const implementation global_max_pool = {.name = "global-max-pool",
                                        .op = ONNX_GlobalMaxPool,
                                        .applies = applies_global,
                                        .cost = cost,
                                        .emit = emit_global,
                                        .slices = true};

#define POOL_GRAD(variable, kernel, row)                      \
    const implementation variable = {.name = kernel,          \
                                     .op = row,               \
                                     .applies = applies_grad, \
                                     .cost = cost_grad,       \
                                     .emit = emit_grad,       \
                                     .slices = true}
POOL_GRAD(max_pool_grad_nhwc, "max-pool-grad", CAMEO_MaxPoolGrad);
POOL_GRAD(average_pool_grad_nhwc, "average-pool-grad", CAMEO_AveragePoolGrad);
POOL_GRAD(global_average_pool_grad_nhwc, "global-average-pool-grad", CAMEO_GlobalAveragePoolGrad);
