/* Direct convolution (runtime/kernels/direct_conv.h), of weights known at compile time, which are
   packed then, or of live ones: in the order the kernel reads (PARAMETER_CONV), or in ONNX order,
   packed into scratch memory by the node itself. */
#include "conv_plan.h"

/* Of the live weights' order, 0: free. */
static int64_t bound_vectors(const node *n, const options *o) {
    const value *w = n->in[1];
    return w->role == ROLE_PARAMETER && w->param->layout == PARAMETER_CONV
               ? w->param->block / o->target.vector_floats
               : 0;
}

/* Parts of a chain are dead as nodes, so node_is() would not know them. */
static bool is_mul(const node *n) { return n && n->opcode == ONNX_Mul; }

/* Which operand of a Mul is an image of the result's shape. */
static size_t image_operand(const node *mul) {
    return shape_equal(&mul->in[0]->shape, &mul->out[0]->shape) ? 0 : 1;
}

static const value *gate_of(const node *mul) { return mul->in[!image_operand(mul)]; }

/* What the convolution reads; before: the ScaleShift or the Mul that it does as well, or NULL. */
static value *read_by(const node *n, const node *before) {
    if (!before) return n->in[0];
    return before->in[is_mul(before) ? image_operand(before) : 0];
}

static bool make_plan(const node *n, const node *before, const options *o, int64_t vectors,
                      conv_plan *p) {
    const int64_t *w = n->in[1]->shape.dim;
    const image x = image_of(read_by(n, before)), y = image_of(n->out[0]);
    window k;
    if (!window_of(n, n->in[0], n->in[1], &k) || k.group < 1 || x.c % k.group || w[0] % k.group ||
        w[1] != x.c / k.group || w[0] != y.c)
        return false;
    *p = (conv_plan){
        .s = {OF_IMAGES(x, y), OF_WINDOW(k)}, .n = y.n, .counted = !node_is_batched(n)};
    p->s.groups = k.group, p->s.ci = w[1], p->s.co = w[0] / k.group;
    p->s.r_pixel = residual_pixel(n), p->s.act = act_of(n);
    if (is_mul(before))
        p->s.gate = image_elements(gate_of(before));
    else if (before)
        p->s.scaled = true, p->s.before = act_of(before);
    return conv_plan_choose(p, &o->target, vectors);
}

static bool is_live(const value *v) { return v->role == ROLE_PARAMETER && v->type == DT_FLOAT; }

/* Live biases are read where they are: whole blocks, since parameters are padded with zeros to 64
   floats. */
static bool bias_fits(const node *n, const conv_plan *p, const options *o) {
    const value *b = input_at(n, 2);
    if (!b || is_constant(b)) return true;
    return is_live(b) &&
           (p->s.groups == 1 || p->s.co % (p->s.vectors * o->target.vector_floats) == 0);
}

static bool fits(const node *n, const options *o, int64_t vectors) {
    conv_plan p;
    if (!is_image_layer(n)) return false;
    return ending_fits(n) && make_plan(n, NULL, o, vectors, &p) && bias_fits(n, &p, o);
}

static bool applies(const node *n, const options *o) {
    const value *w = n->in[1];
    return (is_constant(w) || is_live(w)) && fits(n, o, bound_vectors(n, o));
}

static bool takes(const node *n, const parameter *param, parameter_layout order, const options *o) {
    const value *w = n->in[1];
    if (!is_live(w) || w->param != param || w->shape.rank != 4 || order != PARAMETER_CONV)
        return false;
    const int64_t group = node_int(n, "group", 1), block = kernel_parameter_block(param, order, o);
    return group > 0 && (group == 1 || w->shape.dim[0] / group % block == 0) &&
           fits(n, o, block / o->target.vector_floats);
}

/* A pixel of a group of fewer channels than a vector has is written lane by lane. */
static const double PART_CYCLES = 12;

static double cost(const node *n, const options *o) {
    conv_plan p;
    if (!make_plan(n, NULL, o, bound_vectors(n, o), &p)) return 1e30;
    double cycles = conv_plan_cycles(&p, &o->target);
    if (p.s.groups > 1 && p.s.co < o->target.vector_floats)
        cycles += PART_CYCLES * (double)(p.s.oh * p.s.ow * p.s.groups);
    return 1 + conv_time(o, cycles, (double)value_count(n->in[1]) * 4);
}

/* ---- weights ---- */

void conv_plan_emit_weights(emitter *e, const char *declaration, const conv_plan *p,
                            const value *w) {
    const int64_t block = p->s.vectors * vector_of(e);
    const int64_t blocks = ceil_div(p->s.co, block), taps = p->s.kh * p->s.kw;
    const float *from = w->constant->data;
    const int64_t floats = conv_plan_weights(p, target_of(e));
    float *to = new_floats(e, floats);
    for (int64_t g = 0; g < p->s.groups; g++)
        for (int64_t co = 0; co < p->s.co; co++)
            for (int64_t ci = 0; ci < p->s.ci; ci++)
                for (int64_t t = 0; t < taps; t++) {
                    const int64_t at = (((g * blocks + co / block) * taps + t) * p->s.ci + ci) *
                                           block +
                                       co % block;
                    to[at] = from[((g * p->s.co + co) * p->s.ci + ci) * taps + t];
                }
    emit_packed(e, declaration, to, floats, w->name);
}

static bool is_repacked(const node *n) {
    return n->in[1]->role == ROLE_PARAMETER && n->in[1]->param->layout != PARAMETER_CONV;
}

static int64_t scratch(const node *n, const options *o) {
    conv_plan p;
    if (!is_repacked(n) || !make_plan(n, NULL, o, 0, &p)) return 0;
    return conv_plan_weights(&p, &o->target);
}

static void emit_weight_param(emitter *e, const node *n, const conv_plan *p) {
    if (is_constant(n->in[1])) {
        conv_plan_emit_weights(e, "const float *w", p, n->in[1]);
        return;
    }
    emit_value(e, "w", n->in[1], false);
    if (is_repacked(n)) emit_param(e, "void *packed", emit_scratch(e));
}

static void emit_repack(emitter *e, const conv_plan *p) {
    emit_task(e, "pack", "cameo_conv_pack_task");
    text_append(emit_body(e), "    cameo_conv_pack pack = {w, packed};\n");
    emit_parallel(e, NULL, conv_plan_blocks(p, target_of(e)), "pack, &pack", "blocks of channels");
}

/* What comes before the convolution: scale and shift, or the gate. */
static void emit_before(emitter *e, const node *before) {
    const int64_t vf = vector_of(e), c = before->out[0]->shape.dim[1];
    if (is_mul(before)) {
        emit_value(e, "gate", gate_of(before), false);
        return;
    }
    emit_channels(e, "scale", before->in[1], 0, 1, c, vf);
    emit_channels(e, "shift", before->in[2], 0, 1, c, vf);
}

static void emit_conv(emitter *e, const node *n, const node *before) {
    const options *o = emit_options(e);
    conv_plan p;
    if (!make_plan(n, before, o, bound_vectors(n, o), &p)) BUG("direct convolution without a plan");
    emit_value(e, "x", read_by(n, before), false);
    if (before) emit_before(e, before);
    emit_weight_param(e, n, &p);
    const char *ending = emit_ending(e, n, p.s.groups, p.s.co,
                                     p.s.vectors * o->target.vector_floats);
    conv_plan_print(e, &p, "");
    if (is_repacked(n)) emit_repack(e, &p);
    body_put(e, "    cameo_conv_args a = {x, $0, $1$2};\n", is_repacked(n) ? "packed" : "w", ending,
             p.s.scaled ? ", .scale = scale, .shift = shift"
             : p.s.gate ? ", .gate = gate"
                        : "");
    emit_parallel(e, p.counted ? NULL : n, conv_plan_tasks(&p, &o->target), "task, &a",
                  "images x bands of rows x channels");
}

static void emit(emitter *e, const node *n) { emit_conv(e, n, NULL); }

const implementation direct_conv = {.name = "direct-conv",
                                    .op = CAMEO_Conv,
                                    OF_FILE,
                                    .scratch = scratch,
                                    .inplace = 1u << 3,
                                    .takes = takes};

/* ---- with a BatchNormalization and activation before it, as a cameo.ConvChain ---- */

static bool scaled_applies(const node *n, const options *o) {
    conv_plan p;
    const node *scale = n->parts[0], *conv = n->parts[1];
    if (scale->impl != &scale_shift || conv->impl != &direct_conv || !is_constant(conv->in[1]))
        return false;
    if (!is_constant(scale->in[1]) || !is_constant(scale->in[2]) || input_at(scale, 3) ||
        input_at(scale, 4))
        return false;
    return make_plan(conv, scale, o, 0, &p) && !p.s.gather.ow;
}

static void emit_scaled(emitter *e, const node *n) { emit_conv(e, n->parts[1], n->parts[0]); }

const implementation scaled_conv = {.name = "scaled-conv",
                                    .op = CAMEO_ConvChain,
                                    .pattern = {CAMEO_ScaleShift, CAMEO_Conv},
                                    .applies = scaled_applies,
                                    .emit = emit_scaled};

/* ---- with the Mul before it that ends a squeeze-and-excitation block, as a cameo.ConvChain
   ---- */

/* One number for each channel of each image of y. */
static bool is_gate(const value *v, const value *y) {
    const int64_t *d = v->shape.dim;
    return v->type == DT_FLOAT && !v->constant && v->batched && v->shape.rank == 4 &&
           d[0] == y->shape.dim[0] && d[1] == y->shape.dim[1] && d[2] == 1 && d[3] == 1;
}

/* Every band of rows multiplies its weights, where the Mul multiplies, reads and writes pixels. */
static bool gated_applies(const node *n, const options *o) {
    conv_plan p;
    const node *mul = n->parts[0], *conv = n->parts[1];
    if (conv->impl != &direct_conv || !is_constant(conv->in[1]) || mul->n_in != 2) return false;
    const size_t x = image_operand(mul);
    if (!is_nhwc(mul->in[x]) || !shape_equal(&mul->in[x]->shape, &mul->out[0]->shape) ||
        !is_gate(mul->in[!x], mul->out[0]))
        return false;
    if (!make_plan(conv, mul, o, 0, &p) || p.s.groups != 1 || p.counted) return false;
    const int64_t bands = ceil_div(p.s.oh, p.s.rows),
                  pixels = value_count(mul->out[0]) / mul->out[0]->shape.dim[0];
    return bands * conv_plan_weights(&p, &o->target) <= pixels;
}

const implementation gated_conv = {.name = "gated-conv",
                                   .op = CAMEO_ConvChain,
                                   .pattern = {ONNX_Mul, CAMEO_Conv},
                                   .applies = gated_applies,
                                   .emit = emit_scaled};
