/* Gradient of a convolution's input: direct convolutions (runtime/kernels/direct_conv.h) of dY by
   the flipped and transposed weights, which every run packs into scratch memory first
   (runtime/kernels/conv_pack.h). With strides the pixels of dX fall into phases (h + pt) mod sh,
   (w + pl) mod sw; each phase is a convolution of its own at stride 1, by the taps of that phase,
   whose outputs are spread in dX. A phase without taps writes zeros. */
#include "conv_plan.h"

enum { PHASES_MOST = 16 };

typedef struct phase {
    conv_plan plan;
    int64_t weights, y; /* floats before its weights and its first pixel */
} phase;

typedef struct grad_plan {
    cameo_conv_flip s;
    window k;
    image x, y; /* of the forward convolution */
    int64_t packed;
    size_t n;
    phase phase[PHASES_MOST];
} grad_plan;

typedef struct axis {              /* one axis of a phase */
    int64_t taps, out, pad, first; /* outputs, padding in front, first pixel of dX */
} axis;

/* Pixel x of dX = stride * q + residue - pad; it sums taps j of dy[q - j] w[residue + stride *
   j]. */
static axis axis_of(int64_t x, int64_t k, int64_t stride, int64_t pad, int64_t residue) {
    const int64_t taps = residue < k ? ceil_div(k - residue, stride) : 0,
                  q = ceil_div(pad - residue, stride);
    const int64_t first = stride * q + residue - pad;
    return (axis){taps, ceil_div(x - first, stride), taps ? taps - 1 - q : 0, first};
}

/* A dilated convolution has strides of 1 here, and its gradient the same dilation. */
static bool plan_phase(grad_plan *p, const target *t, int64_t ah, int64_t aw) {
    const axis h = axis_of(p->x.h, p->s.kh, p->s.sh, p->k.begin[1], ah),
               w = axis_of(p->x.w, p->s.kw, p->s.sw, p->k.begin[2], aw);
    const int64_t dh = p->k.dilation[1], dw = p->k.dilation[2], at = p->packed;
    p->packed += h.taps * w.taps * p->s.co * p->s.groups *
                 round_up(p->s.ci, p->s.vectors * t->vector_floats);
    if (h.out <= 0 || w.out <= 0) return true;
    phase *f = &p->phase[p->n++];
    cameo_conv *s = &f->plan.s;
    f->plan = (conv_plan){{OF_IMAGES(p->y, p->x), .ci = p->s.co, .co = p->s.ci,
                           .groups = p->s.groups, .sh = 1, .sw = 1, .dh = dh, .dw = dw},
                          .n = p->x.n,
                          .counted = true};
    s->oh = h.out, s->ow = w.out;
    if (h.taps && w.taps)
        s->kh = h.taps, s->kw = w.taps, s->pt = h.pad + (h.taps - 1) * (dh - 1),
        s->pl = w.pad + (w.taps - 1) * (dw - 1);
    if (p->s.sh > 1 || p->s.sw > 1) {
        s->y_pixel = p->s.sw * p->x.pixel;
        s->y_row = p->s.sh * p->x.w * p->x.pixel, s->y_image = p->x.h * p->x.w * p->x.pixel;
    }
    f->weights = at, f->y = (h.first * p->x.w + w.first) * p->x.pixel;
    return conv_plan_choose(&f->plan, t, p->s.vectors);
}

static bool plan_phases(grad_plan *p, const target *t, int64_t vectors) {
    p->n = 0, p->packed = 0, p->s.vectors = vectors;
    for (int64_t i = 0; i < p->s.sh * p->s.sw; i++)
        if (!plan_phase(p, t, i / p->s.sw, i % p->s.sw)) return false;
    return true;
}

static double plan_cycles(const grad_plan *p, const target *t) {
    double cycles = 0;
    for (size_t i = 0; i < p->n; i++) cycles += conv_plan_cycles(&p->phase[i].plan, t);
    return cycles;
}

static bool choose_vectors(grad_plan *p, const target *t) {
    grad_plan one = *p;
    const bool fits = plan_phases(&one, t, 1);
    if (plan_phases(p, t, 2) && (!fits || plan_cycles(p, t) <= plan_cycles(&one, t))) return true;
    *p = one;
    return fits;
}

static int64_t source_block(const node *n) {
    const value *w = n->in[1];
    return w->role == ROLE_PARAMETER && w->param->layout == PARAMETER_CONV ? w->param->block : 0;
}

static bool make_plan(const node *n, const options *o, int64_t block, grad_plan *p) {
    const value *w = n->in[1];
    const int64_t *d = w->shape.dim;
    if (!is_image_layer(n) || w->type != DT_FLOAT || w->layout != LAYOUT_ONNX || w->pixel_stride)
        return false;
    window k;
    if (!window_of(n, n->out[0], w, &k) || k.stride[1] * k.stride[2] > PHASES_MOST || k.group < 1)
        return false;
    if ((k.dilation[1] > 1 || k.dilation[2] > 1) && (k.stride[1] > 1 || k.stride[2] > 1))
        return false;
    *p = (grad_plan){.k = k, .x = image_of(n->out[0]), .y = image_of(n->in[0])};
    p->s = (cameo_conv_flip){.ci = d[1],
                             .co = d[0] / k.group,
                             .groups = k.group,
                             .kh = k.k[1],
                             .kw = k.k[2],
                             .sh = k.stride[1],
                             .sw = k.stride[2],
                             .block = block};
    if (p->s.ci == 1 && p->s.co == 1 && k.group > 1) return false; /* depthwise */
    if (block && k.group > 1 && p->s.co % block) return false;
    return choose_vectors(p, &o->target);
}

static bool applies(const node *n, const options *o) {
    grad_plan p;
    return make_plan(n, o, source_block(n), &p);
}

static bool takes(const node *n, const parameter *param, parameter_layout order, const options *o) {
    grad_plan p;
    return n->in[1]->role == ROLE_PARAMETER && n->in[1]->param == param &&
           order == PARAMETER_CONV && make_plan(n, o, kernel_parameter_block(param, order, o), &p);
}

static double cost(const node *n, const options *o) {
    grad_plan p;
    if (!make_plan(n, o, source_block(n), &p)) return 1e30;
    return 1 + conv_time(o, plan_cycles(&p, &o->target), (double)value_count(n->in[1]) * 4);
}

static int64_t scratch(const node *n, const options *o) {
    grad_plan p;
    return make_plan(n, o, source_block(n), &p) ? p.packed : 0;
}

static void emit_flip(emitter *e, const grad_plan *p) {
    emit_cameo_conv_flip(e, "_weights", &p->s);
    text_append(emit_helpers(e),
                "static void $F_flip(void *p, size_t i) { cameo_flip_task(&$F_weights, p, i); }\n");
    text_append(emit_body(e), "    cameo_conv_pack pack = {w, packed};\n");
    emit_parallel(e, NULL, conv_plan_blocks(&p->phase[0].plan, target_of(e)), "flip, &pack",
                  "blocks of input channels");
}

static void emit_phase(emitter *e, const phase *f, size_t i) {
    const char *suffix = emit_text(e, "_$0", i);
    conv_plan_print(e, &f->plan, suffix);
    body_put(e,
             "    cameo_conv_args a$0 = {.x = dy, .w = pack.to + $1, .b = zero, .y = dx + $2};\n",
             i, f->weights, f->y);
    emit_parallel(e, NULL, conv_plan_tasks(&f->plan, target_of(e)),
                  emit_text(e, "task$0, &a$1", suffix, i), NULL);
}

static void emit(emitter *e, const node *n) {
    grad_plan p;
    if (!make_plan(n, emit_options(e), source_block(n), &p)) BUG("input gradient without a plan");
    emit_value(e, "dy", n->in[0], false);
    emit_value(e, "w", n->in[1], false);
    emit_channels(e, "zero", NULL, 0, p.s.groups, p.s.ci, p.s.vectors * vector_of(e));
    emit_value(e, "dx", n->out[0], true);
    emit_param(e, "void *packed", emit_scratch(e));
    emit_vector_check(e);
    emit_flip(e, &p);
    for (size_t i = 0; i < p.n; i++) emit_phase(e, &p.phase[i], i);
}

const implementation conv_input_grad = {.name = "direct-input-gradient",
                                        .op = CAMEO_ConvInputGrad,
                                        OF_FILE,
                                        .scratch = scratch,
                                        .takes = takes};
