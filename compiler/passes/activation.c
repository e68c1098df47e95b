/* The part of the fuse pass that knows activations: single operators, x * Sigmoid(x), and the
   forms in which older exporters wrote hard-swish: x * clip(x + 3, 0, 6) / 6. */
#include "../ir/broadcast.h"
#include "fuse.h"

#include <float.h>
#include <math.h>

static void set_act(graph *g, node *n, const char *act) { node_set_string(g, n, "act", act); }

static bool clip_bound(const node *c, size_t input, const char *name, double otherwise,
                       double *out) {
    *out = node_float(c, name, otherwise);
    return !op_present(c, input) || fuse_scalar(c->in[input], out);
}

static bool clip_bounds(const node *c, double *low, double *high) {
    return node_is(c, ONNX_Clip) && clip_bound(c, 1, "min", (double)-FLT_MAX, low) &&
           clip_bound(c, 2, "max", (double)FLT_MAX, high);
}

/* PRelu: one slope for all, or one a channel. */
static bool take_prelu(graph *g, node *n, const node *next) {
    const value *slope = next->in[1], *x = n->out[0];
    const bool live = slope->role == ROLE_PARAMETER && node_is(n, CAMEO_ScaleShift) &&
                      value_count(slope) > 1;
    if ((!slope->constant && !live) || slope->type != DT_FLOAT || x->shape.rank < 2 ||
        slope->shape.rank > x->shape.rank)
        return false;
    const int64_t channels = x->shape.dim[1], count = value_count(slope);
    const int lead = broadcast_offset(next, 1);
    for (int i = 0; count != 1 && i < slope->shape.rank; i++)
        if (slope->shape.dim[i] != 1 && (i + lead != 1 || slope->shape.dim[i] != channels))
            return false;
    while (n->n_in < 4) node_set_input(g, n, n->n_in, NULL);
    set_act(g, n, "prelu");
    if (live) return node_set_input(g, n, 4, next->in[1]), true;
    const double *d = ref_doubles(g->arena, slope->constant);
    node_set_input(g, n, 4, fuse_constant(g, slope->name, &count, 1, d));
    return true;
}

bool fuse_clip(graph *g, node *n, const node *next) {
    double low, high;
    if (!clip_bounds(next, &low, &high)) return false;
    node_set_float(g, n, "act_min", (float)low);
    node_set_float(g, n, "act_max", (float)high);
    set_act(g, n, "clip");
    return true;
}

/* An activation of x and perhaps of numbers that are attributes: a row of act.def. */
static bool take_row(graph *g, node *n, const node *next) {
    const act_row *act = act_of_op(next->opcode);
    if (!act || node_is(next, ONNX_Clip)) return false;
    for (int i = 0; i < 2; i++)
        if (act->number[i])
            act_set_number(g, n, act, i,
                           (float)node_float(next, act->number[i], act->otherwise[i]));
    set_act(g, n, act->name);
    return true;
}

/* ---- activations in which x occurs twice ---- */

/* The two consumers of x; false when there are more or fewer. */
static bool two_consumers(const graph *g, const value *x, node *found[2]) {
    if (x->n_uses != 2 || value_is_kept(g, x)) return false;
    found[0] = x->uses->user, found[1] = x->uses->next->user;
    return found[0] != found[1];
}

static bool binary_with(const node *n, opcode op, const value *a, const value *b) {
    return node_is(n, op) && n->n_in == 2 && fuse_other(n, a) == b && fuse_other(n, b) == a;
}

static bool near(double a, double b) { return fabs(a - b) <= 1e-6 * fabs(b); }

static bool by_scalar(const node *n, opcode op, const value *x, double want) {
    double v;
    if (!node_is(n, op) || n->n_in != 2) return false;
    return (n->in[0] == x || op != ONNX_Div) && fuse_scalar(fuse_other(n, x), &v) && near(v, want);
}

static bool sixth(const node *n, const value *x) {
    return by_scalar(n, ONNX_Div, x, 6) || by_scalar(n, ONNX_Mul, x, 1.0 / 6);
}

/* x -> Sigmoid -> Mul(x), x -> HardSigmoid(1/6, 1/2) -> Mul(x) */
static bool take_gate(graph *g, node *n, node *gate, node *mul) {
    const char *act = NULL;
    if (node_is(gate, ONNX_Sigmoid)) act = "silu";
    if (node_is(gate, ONNX_HardSigmoid) && near(node_float(gate, "alpha", 0.2f), 1.0 / 6) &&
        near(node_float(gate, "beta", 0.5f), 0.5))
        act = "hardswish";
    if (!act || !binary_with(mul, ONNX_Mul, n->out[0], gate->out[0]) ||
        value_consumer(g, gate->out[0]) != mul)
        return false;
    node_kill(gate);
    set_act(g, n, act);
    graph_absorb(g, n, mul);
    return true;
}

/* x -> Add 3 -> Clip 0 6 -> (Mul x -> /6 | /6 -> Mul x) */
static bool take_hardswish(graph *g, node *n, node *add, node *mul) {
    double low, high;
    if (!by_scalar(add, ONNX_Add, n->out[0], 3)) return false;
    node *clip = value_consumer(g, add->out[0]);
    if (!clip || !clip_bounds(clip, &low, &high) || low != 0 || high != 6) return false;
    node *behind = value_consumer(g, clip->out[0]), *last = mul, *middle = behind;
    if (!behind) return false;
    if (behind == mul) {
        last = value_consumer(g, mul->out[0]), middle = mul;
        if (!binary_with(mul, ONNX_Mul, n->out[0], clip->out[0]) || !last ||
            !sixth(last, mul->out[0]))
            return false;
    } else if (!sixth(behind, clip->out[0]) || value_consumer(g, behind->out[0]) != mul ||
               !binary_with(mul, ONNX_Mul, n->out[0], behind->out[0])) {
        return false;
    }
    node_kill(add), node_kill(clip), node_kill(middle);
    set_act(g, n, "hardswish");
    graph_absorb(g, n, last);
    return true;
}

static bool take_double(graph *g, node *n) {
    node *use[2];
    if (!two_consumers(g, n->out[0], use)) return false;
    for (int i = 0; i < 2; i++)
        if (use[1 - i]->n_out == 1 &&
            (take_gate(g, n, use[i], use[1 - i]) || take_hardswish(g, n, use[i], use[1 - i])))
            return true;
    return false;
}

bool fuse_activation(graph *g, node *n) {
    node *next = value_consumer(g, n->out[0]);
    if (!next) return take_double(g, n);
    if (next->in[0] != n->out[0] || next->n_out != 1 || !next->out[0] ||
        next->out[0]->type != DT_FLOAT)
        return false;
    const bool prelu = node_is(next, ONNX_PRelu);
    if (prelu ? !take_prelu(g, n, next) : !(take_row(g, n, next) || fuse_clip(g, n, next)))
        return false;
    graph_absorb(g, n, next);
    return true;
}
