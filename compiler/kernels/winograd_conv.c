/* Winograd convolution (runtime/kernels/winograd_conv.h) of weights known at compile time, F(4x4, 3x3) and F(2x2, 3x3). */
#include "winograd_plan.h"

static bool make_plan(const node *n, const options *o, int64_t m, winograd_plan *p) {
    const shape *w = &n->in[1]->shape;
    window k;
    *p = (winograd_plan){.m = m, .counted = !emit_batched(n)};
    if (w->rank != 4 || !window_of(n, w->dim + 2, &k)) return false;
    if (k.kh != 3 || k.kw != 3 || k.sh != 1 || k.sw != 1 || k.dh != 1 || k.dw != 1 || k.group != 1) return false;
    p->x = image_of(n->in[0]), p->y = image_of(n->out[0]);
    if (w->dim[0] != p->y.c || w->dim[1] != p->x.c) return false;
    p->pt = k.pt, p->pl = k.pl;
    p->r_pixel = input_at(n, 3) ? image_of(n->in[3]).pixel : 0;
    winograd_plan_choose(p, &o->target, 0);
    return true;
}

static bool applies(const graph *g, const node *n, const options *o) {
    (void)g;
    winograd_plan p;
    if (!is_internal(n) || !is_nhwc(n->in[0]) || !is_nhwc(n->out[0]) || !is_constant(n->in[1])) return false;
    const value *b = input_at(n, 2);
    return residual_fits(n, 3) && act_known(n) && (!b || is_constant(b)) && make_plan(n, o, 4, &p);
}

/* Beside direct_conv.c's, whose unit it shares. */
static double cost(const node *n, const options *o, int64_t m) {
    winograd_plan p;
    if (!make_plan(n, o, m, &p)) return 1e30;
    return 2 + winograd_plan_cycles(&p, &o->target) * 2 * o->target.vector_floats / speed(o, 2) +
           stream_time((double)winograd_plan_weights(&p, &o->target) * 4);
}

static size_t scratch(const node *n, const options *o, int64_t m) {
    winograd_plan p;
    return make_plan(n, o, m, &p) ? (size_t)winograd_plan_work(&p) * sizeof(float) : 0;
}

static void emit(emitter *e, const node *n, int64_t m) {
    const target *t = &emit_options(e)->target;
    winograd_plan p;
    if (!make_plan(n, emit_options(e), m, &p)) BUG("Winograd convolution without a plan");
    const int64_t block = p.vectors * t->vector_floats;
    const size_t floats = (size_t)winograd_plan_weights(&p, t);
    float *u = ARENA_ARRAY(emit_arena(e), float, floats);
    winograd_plan_transform(&p, t, n->in[1]->constant->data, u);
    const value *slope = input_at(n, 4), *r = input_at(n, 3);
    emit_value(e, "x", n->in[0], false);
    emit_param(e, "const float *u", "%s", emit_weights(e, u, floats * sizeof *u, n->in[1]->name));
    emit_channels(e, "b", input_at(n, 2), 0, 1, p.y.c, block);
    if (slope) emit_channels(e, "slope", slope, 0, 1, p.y.c, block);
    if (r) emit_value(e, "r", r, false);
    emit_value(e, "y", n->out[0], true);
    emit_param(e, "void *work", "%s", emit_scratch(e));
    emit_vector_check(e);
    winograd_plan_print(e, &p, act_literal(e, n));
    const char *arguments = arena_printf(emit_arena(e), "x, u, b, %s, %s, y", slope ? "slope" : "NULL", r ? "r" : "NULL");
    winograd_plan_run(e, &p, arguments, images_of(e, n));
}

static double cost_4(const node *n, const options *o) { return cost(n, o, 4); }
static double cost_2(const node *n, const options *o) { return cost(n, o, 2); }
static size_t scratch_4(const node *n, const options *o) { return scratch(n, o, 4); }
static size_t scratch_2(const node *n, const options *o) { return scratch(n, o, 2); }
static void emit_4(emitter *e, const node *n) { emit(e, n, 4); }
static void emit_2(emitter *e, const node *n) { emit(e, n, 2); }

const implementation winograd_conv_4 = {.name = "winograd-4x4",
                                        .op = "Conv",
                                        .applies = applies,
                                        .cost = cost_4,
                                        .scratch = scratch_4,
                                        .emit = emit_4,
                                        .inplace = 1u << 3,
                                        .slices = true};
const implementation winograd_conv_2 = {.name = "winograd-2x2",
                                        .op = "Conv",
                                        .applies = applies,
                                        .cost = cost_2,
                                        .scratch = scratch_2,
                                        .emit = emit_2,
                                        .inplace = 1u << 3,
                                        .slices = true};
