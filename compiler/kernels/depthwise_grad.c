/* Sums over pixels that training needs: the weight gradient of depthwise convolutions, and of any
   bias (runtime/kernels/depthwise_grad.h). Each is cut into parts that are summed apart and then
   added in their order. */
#include "kernels.h"

/* A part is worth a task from so many floats on; a band of x and dy stays in the second-level
   cache. */
enum { PARTS = 16, PART_FLOATS = 32 * 1024, BAND_FLOATS = 64 * 1024 };

static int64_t parts_of(int64_t floats, int64_t most) {
    const int64_t parts = floats / PART_FLOATS < PARTS ? floats / PART_FLOATS : PARTS;
    return parts < 1 ? 1 : parts > most ? most : parts;
}

/* ---- depthwise weights ---- */

typedef struct plan {
    cameo_depthwise s;
    int64_t images, parts;
} plan;

static bool make_plan(const node *n, plan *p) {
    cameo_depthwise *s = &p->s;
    if (!is_internal(n) || !is_nhwc(n->in[0]) || !is_nhwc(n->in[1]) ||
        !depthwise_shape(n, n->in[0], n->in[1], NULL, s) || s->kw > 16)
        return false;
    p->images = n->in[0]->shape.dim[0];
    s->rows = most(1, least(s->oh, BAND_FLOATS / ((s->w * s->sh + s->ow) * s->c)));
    p->parts = parts_of(value_count(n->in[0]) + value_count(n->in[1]),
                        p->images * ceil_div(s->oh, s->rows));
    return true;
}

static parameter_layout order_of(const node *n) {
    return n->out[0]->role == ROLE_GRADIENT ? n->out[0]->param->layout : PARAMETER_ONNX;
}

static bool applies(const node *n, const options *o) {
    (void)o;
    plan p;
    return make_plan(n, &p);
}

static bool takes(const node *n, const parameter *param, parameter_layout order, const options *o) {
    (void)o;
    plan p;
    return order == PARAMETER_DEPTHWISE && n->out[0]->param == param && make_plan(n, &p);
}

static double cost(const node *n, const options *o) { return 1 + n->macs / speed(o, 0.35); }

static int64_t scratch(const node *n, const options *o) {
    plan p;
    if (!make_plan(n, &p)) return 0;
    return p.parts * p.s.kh * p.s.kw * round_up(p.s.c, o->target.vector_floats);
}

static void emit(emitter *e, const node *n) {
    plan p;
    if (!make_plan(n, &p)) BUG("depthwise weight gradient without a plan");
    emit_value(e, "x", n->in[0], false);
    emit_value(e, "dy", n->in[1], false);
    emit_value(e, "dw", n->out[0], true);
    emit_param(e, "void *partial", emit_scratch(e));
    emit_vector_check(e);
    emit_cameo_depthwise(e, "_shape", &p.s);
    helpers_put(e,
                "static void $F_task(void *p, size_t i) {\n"
                "    cameo_depthwise_wgrad_task(&$F_shape, p, $0, $1, i);\n"
                "}\n",
                p.images, p.parts);
    text_append(emit_body(e), "    cameo_depthwise_wgrad_args a = {x, dy, partial, dw};\n");
    emit_parallel(e, NULL, p.parts, "task, &a", "parts of all rows");
    body_put(e, "    cameo_depthwise_wgrad_sum(&$F_shape, &a, $0, $1);\n", p.parts,
             order_of(n) == PARAMETER_ONNX ? "true" : "false");
}

const implementation depthwise_weight_gradient = {.name = "depthwise-weight-gradient",
                                                  .op = CAMEO_ConvWeightGrad,
                                                  OF_FILE,
                                                  .scratch = scratch,
                                                  .takes = takes};

/* ---- sums over channels ---- */

/* NHWC, or rows of numbers. */
static image sum_image(const value *v) {
    if (v->shape.rank == 4) return image_of(v);
    const int64_t *d = v->shape.dim;
    return (image){.n = d[0], .c = d[1], .h = 1, .w = 1, .pixel = d[1]};
}

static bool sum_applies(const node *n, const options *o) {
    (void)o;
    const value *x = n->in[0];
    const bool rows = x->type == DT_FLOAT && x->shape.rank == 2 && !x->constant &&
                      value_count(x) > 0;
    return is_internal(n) && (rows || is_nhwc(x));
}

static int64_t sum_parts(const node *n) {
    const image x = sum_image(n->in[0]);
    return parts_of(value_count(n->in[0]), x.n * x.h * x.w);
}

static int64_t sum_scratch(const node *n, const options *o) {
    return sum_parts(n) * round_up(sum_image(n->in[0]).c, o->target.vector_floats);
}

static double sum_cost(const node *n, const options *o) {
    (void)o;
    return 1 + stream_time(4 * (double)value_count(n->in[0]));
}

static void emit_sum(emitter *e, const node *n) {
    const image x = sum_image(n->in[0]);
    emit_value(e, "x", n->in[0], false);
    emit_value(e, "y", n->out[0], true);
    emit_param(e, "void *partial", emit_scratch(e));
    emit_vector_check(e);
    const int64_t parts = sum_parts(n);
    emit_cameo_channel_sum(e, "_shape", &(cameo_channel_sum){x.n * x.h * x.w, x.c, x.pixel, parts});
    emit_task(e, "task", "cameo_channel_sum_task");
    text_append(emit_body(e), "    cameo_channel_sum_args a = {x, partial, y};\n");
    emit_parallel(e, NULL, parts, "task, &a", "parts of all pixels");
    text_append(emit_body(e), "    cameo_channel_sum_join(&$F_shape, &a);\n");
}

const implementation channel_sum = {.name = "channel-sum",
                                    .op = CAMEO_ChannelSum,
                                    .applies = sum_applies,
                                    .cost = sum_cost,
                                    .scratch = sum_scratch,
                                    .emit = emit_sum};
