/* Winograd convolution (runtime/kernels/winograd_conv.h), F(4x4, 3x3), F(2x2, 3x3) and F(2x2,
   5x5), and along a row or a column: of weights known at compile time, of live ones, which every
   run transforms into scratch memory first, and the gradient of the input: a convolution of dY by
   the flipped and transposed weights. */
#include "winograd_plan.h"

/* Of a tile and an axis: outputs, and taps of the convolution; line: the other axis has one of
   each. */
typedef struct tile_kind {
    int64_t m, r;
    bool line;
} tile_kind;

static bool choose_tile(const window *k, tile_kind kind, cameo_winograd *s) {
    const bool row = k->k[1] == 1, column = k->k[2] == 1;
    s->mh = kind.line && row ? 1 : kind.m, s->mw = kind.line && column ? 1 : kind.m;
    s->rh = kind.line && row ? 1 : kind.r, s->rw = kind.line && column ? 1 : kind.r;
    if (kind.line && row == column) return false;
    for (int i = 1; i < 3; i++)
        if (k->stride[i] != 1 || k->dilation[i] != 1) return false;
    return k->k[1] == s->rh && k->k[2] == s->rw && k->group == 1;
}

/* Live weights are read in the order of direct_conv.c. */
static int64_t live_block(const value *w) {
    return w->role == ROLE_PARAMETER && w->type == DT_FLOAT && w->param->layout == PARAMETER_CONV
               ? w->param->block
               : 0;
}

/* Reads the transformed weights once; live ones are read, transformed, written and read again. */
static double time_of(const winograd_plan *p, const options *o, bool live) {
    const double weights = (double)winograd_plan_weights(p, &o->target) * 4;
    const double transform = live ? weights / 4 / o->target.vector_floats * 1.5 : 0;
    return 2 + conv_time(o, winograd_plan_cycles(p, &o->target) + transform,
                         live ? 2.5 * weights : weights);
}

static int64_t weight_floats(const winograd_plan *p, const options *o) {
    return round_up(winograd_plan_weights(p, &o->target), 16);
}

/* ---- forward ---- */

static bool make_plan(const node *n, const options *o, tile_kind kind, winograd_plan *p) {
    const int64_t *w = n->in[1]->shape.dim;
    const image x = image_of(n->in[0]), y = image_of(n->out[0]);
    window k;
    if (!window_of(n, n->in[0], n->in[1], &k) || w[0] != y.c || w[1] != x.c) return false;
    *p = (winograd_plan){
        {OF_IMAGES(x, y), .ci = x.c, .co = y.c, .pt = k.begin[1], .pl = k.begin[2]},
        .n = y.n,
        .counted = !node_is_batched(n)};
    if (!choose_tile(&k, kind, &p->s)) return false;
    p->s.r_pixel = residual_pixel(n), p->s.act = act_of(n);
    winograd_plan_choose(p, &o->target, live_block(n->in[1]) / o->target.vector_floats);
    return true;
}

/* Parameters are padded with zeros to 64 floats, so that a live bias is read in whole vectors. */
static bool bias_fits(const value *b) {
    return !b || is_constant(b) || (b->role == ROLE_PARAMETER && b->type == DT_FLOAT);
}

static bool applies(const node *n, const options *o, tile_kind kind) {
    winograd_plan p;
    if (!is_image_layer(n)) return false;
    if (is_constant(n->in[1]) ? !is_finite(n->in[1])
                              : kind.line || kind.r != 3 || !live_block(n->in[1]))
        return false;
    return ending_fits(n) && bias_fits(input_at(n, 2)) && make_plan(n, o, kind, &p);
}

static double cost(const node *n, const options *o, tile_kind kind) {
    winograd_plan p;
    return make_plan(n, o, kind, &p) ? time_of(&p, o, !is_constant(n->in[1])) : 1e30;
}

static int64_t scratch(const node *n, const options *o, tile_kind kind) {
    winograd_plan p;
    if (!make_plan(n, o, kind, &p)) return 0;
    return winograd_plan_work(&p) + (is_constant(n->in[1]) ? 0 : weight_floats(&p, o));
}

static void emit_constant_weights(emitter *e, const node *n, const winograd_plan *p) {
    const target *t = target_of(e);
    const int64_t floats = winograd_plan_weights(p, t);
    float *u = new_floats(e, floats);
    winograd_plan_transform(p, t, n->in[1]->constant->data, u);
    emit_packed(e, "const float *u", u, floats, n->in[1]->name);
    emit_param(e, "void *work", emit_scratch(e));
}

/* `task`: the call that transforms part i of them. */
static void emit_live_weights(emitter *e, const value *w, const winograd_plan *p,
                              const char *task) {
    emit_value(e, "w", w, false);
    emit_param(e, "void *u", emit_scratch(e));
    emit_param(e, "void *work",
               emit_text(e, "$0 + $1", emit_scratch(e), 4 * weight_floats(p, emit_options(e))));
    helpers_put(e, "static void $F_weights(void *p, size_t i) { $0; }\n", task);
    text_append(emit_body(e), "    cameo_conv_pack pack = {w, u};\n"
                              "    cameo_parallel(c, (size_t)cameo_winograd_pack_tasks(&$F_shape), "
                              "$F_weights, &pack);\n");
}

static void emit(emitter *e, const node *n, tile_kind kind) {
    winograd_plan p;
    if (!make_plan(n, emit_options(e), kind, &p)) BUG("Winograd convolution without a plan");
    winograd_plan_print(e, &p);
    emit_value(e, "x", n->in[0], false);
    if (is_constant(n->in[1]))
        emit_constant_weights(e, n, &p);
    else
        emit_live_weights(e, n->in[1], &p, "cameo_winograd_pack_task(&$F_shape, p, i)");
    const char *ending = emit_ending(e, n, 1, p.s.co, p.s.vectors * vector_of(e));
    winograd_plan_run(e, &p, emit_text(e, "x, u, $0", ending), images_of(e, n));
}

/* ---- the gradient of the input ---- */

static bool plan_grad(const node *n, const options *o, tile_kind kind, winograd_plan *p) {
    const int64_t *w = n->in[1]->shape.dim;
    const image x = image_of(n->in[0]), y = image_of(n->out[0]);
    window k;
    if (!window_of(n, n->out[0], n->in[1], &k) || !live_block(n->in[1]) || w[0] != x.c ||
        w[1] != y.c)
        return false;
    *p = (winograd_plan){
        {OF_IMAGES(x, y), .ci = x.c, .co = y.c, .pt = 2 - k.begin[1], .pl = 2 - k.begin[2]},
        .n = y.n,
        .counted = true};
    if (!choose_tile(&k, kind, &p->s)) return false;
    winograd_plan_choose(p, &o->target, 0);
    return true;
}

static bool grad_applies(const node *n, const options *o, tile_kind kind) {
    winograd_plan p;
    return is_image_layer(n) && plan_grad(n, o, kind, &p);
}

static double grad_cost(const node *n, const options *o, tile_kind kind) {
    winograd_plan p;
    return plan_grad(n, o, kind, &p) ? time_of(&p, o, true) : 1e30;
}

static int64_t grad_scratch(const node *n, const options *o, tile_kind kind) {
    winograd_plan p;
    if (!plan_grad(n, o, kind, &p)) return 0;
    return winograd_plan_work(&p) + weight_floats(&p, o);
}

static void grad_emit(emitter *e, const node *n, tile_kind kind) {
    winograd_plan p;
    if (!plan_grad(n, emit_options(e), kind, &p)) BUG("Winograd input gradient without a plan");
    emit_vector_check(e);
    winograd_plan_print(e, &p);
    emit_value(e, "dy", n->in[0], false);
    emit_live_weights(
        e, n->in[1], &p,
        emit_text(e, "cameo_winograd_flip_task(&$F_shape, $0, p, i)", live_block(n->in[1])));
    emit_channels(e, "zero", NULL, 0, 1, p.s.co, p.s.vectors * vector_of(e));
    emit_value(e, "dx", n->out[0], true);
    winograd_plan_run(e, &p, "dy, u, zero, NULL, NULL, dx", "1");
}

/* ---- the list ---- */

/* An implementation of FUNCTION_applies, _cost, _scratch and _emit with tiles of this kind. */
#define OF_KIND(OBJECT, FUNCTION, NAME, OP, M, R, LINE, INPLACE)                                  \
    static const tile_kind kind_##OBJECT = {M, R, LINE};                                          \
    static bool applies_##OBJECT(const node *n, const options *o) {                               \
        return FUNCTION##applies(n, o, kind_##OBJECT);                                            \
    }                                                                                             \
    static double cost_##OBJECT(const node *n, const options *o) {                                \
        return FUNCTION##cost(n, o, kind_##OBJECT);                                               \
    }                                                                                             \
    static int64_t scratch_##OBJECT(const node *n, const options *o) {                            \
        return FUNCTION##scratch(n, o, kind_##OBJECT);                                            \
    }                                                                                             \
    static void emit_##OBJECT(emitter *e, const node *n) { FUNCTION##emit(e, n, kind_##OBJECT); } \
    const implementation OBJECT = {.name = NAME,                                                  \
                                   .op = OP,                                                      \
                                   .applies = applies_##OBJECT,                                   \
                                   .cost = cost_##OBJECT,                                         \
                                   .scratch = scratch_##OBJECT,                                   \
                                   .emit = emit_##OBJECT,                                         \
                                   .inplace = INPLACE};
OF_KIND(winograd_conv_4, , "winograd-4x4", CAMEO_Conv, 4, 3, false, 1u << 3)
OF_KIND(winograd_conv_2, , "winograd-2x2", CAMEO_Conv, 2, 3, false, 1u << 3)
OF_KIND(winograd_conv_5x5, , "winograd-5x5", CAMEO_Conv, 2, 5, false, 1u << 3)
OF_KIND(winograd_line_3, , "winograd-line-3", CAMEO_Conv, 4, 3, true, 1u << 3)
OF_KIND(winograd_line_5, , "winograd-line-5", CAMEO_Conv, 4, 5, true, 1u << 3)
OF_KIND(winograd_line_7, , "winograd-line-7", CAMEO_Conv, 4, 7, true, 1u << 3)
OF_KIND(winograd_input_grad_4, grad_, "winograd-input-gradient-4x4", CAMEO_ConvInputGrad, 4, 3,
        false, 0)
OF_KIND(winograd_input_grad_2, grad_, "winograd-input-gradient-2x2", CAMEO_ConvInputGrad, 2, 3,
        false, 0)
