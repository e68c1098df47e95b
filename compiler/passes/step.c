/* The step graph's own passes: training forms, fusing around BatchNormalization, the backward
   pass, internal forms. The loss has a file of its own (loss.c). Everything here is static: the
   batch is a literal, nothing is `batched`. */
#include <string.h>

#include "../ir/grad.h"
#include "../ir/graph_query.h"
#include "../ir/implementation.h"
#include "front.h"
#include "fuse.h"

/* ---- training forms ---- */

static value *update_of(graph *g, const value *old) {
    value *v = graph_add_value(g, arena_printf(g->arena, "%s.new", old->name));
    v->role = ROLE_UPDATE;
    v->param = old->param;
    return v;
}

/* The node becomes that operator with fresh outputs behind its first; attributes are kept by
   name. */
static void replace(graph *g, node *n, opcode op, size_t n_in, size_t n_out) {
    node_limit_inputs(n, n_in), node_limit_outputs(n, n_out);
    for (size_t i = 1; i < n_out; i++)
        node_set_output(g, n, i,
                        graph_add_value(g, arena_printf(g->arena, "%s.%zu", n->out[0]->name, i)));
    node_become(n, op, 1);
}

static void keep_attributes(graph *g, node *n, const char *const *names) {
    const node old = *n;
    n->n_attrs = 0;
    grad_copy_attributes(g, &old, n, names);
}

/* A normalisation that is applied twice updates its statistics twice, in the model's order, as
   PyTorch does. */
static value *latest(const graph *g, value *statistic) {
    for (size_t i = g->n_values; i-- > 0;)
        if (g->values[i]->role == ROLE_UPDATE && g->values[i]->param == statistic->param)
            return g->values[i];
    return statistic;
}

/* Statistics of a frozen normalisation stay what they are. */
static bool batchnorm_form(graph *g, node *n) {
    if (!node_is(n, ONNX_BatchNormalization) ||
        (!value_is_learnt(n->in[1]) && !value_is_learnt(n->in[2])))
        return true;
    if (n->in[3]->role != ROLE_PARAMETER || n->in[4]->role != ROLE_PARAMETER)
        return diag_error(g->diag, n, "give mean and variance values in the model",
                          "running statistics are computed, not kept");
    keep_attributes(g, n, (const char *const[]){"epsilon", "momentum", NULL});
    value *statistic[] = {latest(g, n->in[3]), latest(g, n->in[4])};
    for (size_t i = 0; i < 2; i++) node_set_input(g, n, i + 3, statistic[i]);
    replace(g, n, CAMEO_BatchNormTrain, 5, 3);
    for (size_t i = 0; i < 2; i++) node_set_output(g, n, i + 3, update_of(g, statistic[i]));
    return grad_infer(g, n) != NULL;
}

static bool dropout_form(graph *g, node *n, value *seed, int64_t id) {
    if (!node_is(n, ONNX_Dropout)) return true;
    double ratio = node_float(n, "ratio", 0.5f);
    if (op_present(n, 1) && !fuse_scalar(n->in[1], &ratio))
        return diag_error(g->diag, n, "make the ratio a constant",
                          "its ratio is not known at compile time");
    if (!(ratio >= 0 && ratio < 1)) return node_error(g, n, "ratio %g is outside 0..1", ratio);
    n->n_attrs = 0;
    node_set_float(g, n, "ratio", ratio);
    node_set_int(g, n, "id", id);
    node_set_input(g, n, 1, seed);
    replace(g, n, CAMEO_DropoutTrain, 2, 1);
    return grad_infer(g, n) != NULL;
}

value *step_input(graph *g, const char *name, dtype type, int64_t count) {
    value *v = graph_add_value(g, name);
    v->type = type;
    v->shape = (shape){.rank = 1, .dim = {count}};
    v->shaped = v->is_input = true;
    ARENA_APPEND(g->arena, g->inputs, g->n_inputs, v);
    return v;
}

bool pass_train_forms(graph *g, const options *o) {
    (void)o;
    for (size_t i = 0; i < g->n_values; i++) g->values[i]->batched = false;
    g->training = false; /* what does something else in training is replaced here */
    if (g->n_inputs != 1 || g->inputs[0]->type != DT_FLOAT || g->inputs[0]->shape.rank < 2)
        return node_error(g, NULL, "training takes models of one float32 input, the images");
    const int64_t batch = g->inputs[0]->shape.dim[0];
    step_input(g, "labels", DT_INT64, batch);
    step_input(g, "labels_b", DT_INT64, batch);
    step_input(g, "mix", DT_FLOAT, batch);
    value *seed = step_input(g, "seed", DT_INT64, 1);
    step_input(g, "smoothing", DT_FLOAT, 1);
    bool ok = true;
    const size_t n_nodes = g->n_nodes;
    for (size_t i = 0; i < n_nodes; i++)
        ok &= batchnorm_form(g, g->nodes[i]) && dropout_form(g, g->nodes[i], seed, (int64_t)i);
    return ok;
}

/* ---- fusing ---- */

static bool take_residual(graph *g, node *n, node *next) {
    value *r = fuse_addend(n, next);
    if (!r || n->n_in > 5 || r->role != ROLE_NONE) return false;
    node_set_input(g, n, 5, r);
    graph_absorb(g, n, next);
    return true;
}

static bool take_activation(graph *g, node *n, node *next) {
    if (node_is(next, ONNX_Relu))
        node_set_string(g, n, "act", "relu");
    else if (!fuse_clip(g, n, next))
        return false;
    graph_absorb(g, n, next);
    return true;
}

bool pass_step_fuse(graph *g, const options *o) {
    (void)o;
    for (size_t i = 0; i < g->n_nodes; i++) {
        node *n = g->nodes[i];
        if (!node_is(n, CAMEO_BatchNormTrain) || n->out[0]->type != DT_FLOAT) continue;
        node *next = value_consumer(g, n->out[0]);
        if (next && take_residual(g, n, next)) next = value_consumer(g, n->out[0]);
        if (next) take_activation(g, n, next);
        if (g->nodes[i] != n) i--; /* it moved on: look at what came here */
    }
    graph_sweep(g);
    return true;
}

/* ---- the backward pass ---- */

bool pass_backward(graph *g, const options *o) {
    (void)o;
    return grad_backward(g, g->loss, NULL, NULL);
}

/* What kernels serve is the internal form, whose window attributes are complete. */
bool pass_step_finish(graph *g, const options *o) {
    (void)o;
    g->batch = 1;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (node_is(g->nodes[i], ONNX_Conv)) fuse_make_conv(g, g->nodes[i]);
    graph_sweep(g);
    return true;
}

/* ---- where parameters are ---- */

static bool reads(const node *n, const parameter *p) {
    for (size_t i = 0; i < n->n_in + n->n_out; i++) {
        const value *v = node_value(n, i);
        if (v && v->role != ROLE_NONE && v->param == p) return true;
    }
    return false;
}

static bool all_take(graph *g, const parameter *p, parameter_layout l, const options *o) {
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->dead && reads(g->nodes[i], p) &&
            !kernel_takes_parameter(g->nodes[i], p, l, o))
            return false;
    return true;
}

void parameters_order(graph *infer, graph *step, const options *o) {
    static const parameter_layout orders[] = {PARAMETER_CONV, PARAMETER_DEPTHWISE};
    for (size_t i = 0; i < infer->n_parameters && o->kernels != KERNELS_PLAIN; i++) {
        parameter *p = infer->parameters[i];
        for (size_t k = 0; k < sizeof orders / sizeof *orders && p->layout == PARAMETER_ONNX; k++)
            if (all_take(infer, p, orders[k], o) && all_take(step, p, orders[k], o)) {
                p->layout = orders[k];
                p->block = kernel_parameter_block(p, orders[k], o);
            }
    }
}

static size_t floats_of(const parameter *p) {
    const int64_t *d = p->initial->shape.dim;
    size_t floats = (size_t)shape_count(&p->initial->shape);
    if (p->layout == PARAMETER_CONV)
        floats = (size_t)((d[0] + p->block - 1) / p->block * p->block * d[1] * d[2] * d[3]);
    else if (p->layout == PARAMETER_DEPTHWISE)
        floats = (size_t)((d[0] + p->block - 1) / p->block * p->block * d[2] * d[3]);
    return (floats + 63) / 64 * 64;
}

/* Learnt ones first, in the model's order. */
void parameters_place(graph *g) {
    parameter **sorted = ARENA_ARRAY(g->arena, parameter *, g->n_parameters);
    size_t n = 0, at = 0;
    for (int learnt = 1; learnt >= 0; learnt--)
        for (size_t i = 0; i < g->n_parameters; i++)
            if (g->parameters[i]->learnt == learnt) sorted[n++] = g->parameters[i];
    for (size_t i = 0; i < n; i++) {
        sorted[i]->offset = at;
        sorted[i]->floats = floats_of(sorted[i]);
        at += sorted[i]->floats;
    }
    memcpy(g->parameters, sorted, n * sizeof *sorted);
}
