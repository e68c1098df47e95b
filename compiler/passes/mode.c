/* Training form: files exported with TrainingMode.TRAINING hold BatchNormalization and Dropout as
   they are in training. They are what --train wants, since nothing is folded in them; everything
   else runs them as in evaluation. Here they become ordinary nodes; so do they in the files that a
   training program writes, which other tools are to run. Where somebody reads what only training
   computes (batch statistics, a mask) the node stays, and infer refuses it. */

#include "../ir/graph_query.h"
#include "front.h"
#include "ties.h"

static bool has_extra_outputs(const node *n) {
    for (size_t i = 1; i < n->n_out; i++)
        if (n->out[i]) return true;
    return false;
}

static void leave_training(graph *g, node *n, size_t n_in) {
    node_limit_inputs(n, n_in), node_limit_outputs(n, 1);
    if (!n->inlined)
        file_change_add(g, (file_change){.node = n->index, .n_in = n->n_in, .n_out = 1});
}

/* Before opset 14 more than one output asked for training. */
static bool normalises_batch(graph *g, node *n) {
    if (n->opcode != ONNX_BatchNormalization || n->opset < 7 || !node_has_one_output(n))
        return false;
    if (n->opset < 14 ? !has_extra_outputs(n) : !node_int(n, "training_mode", 0)) return false;
    if (n->opset >= 14) node_set_int(g, n, "training_mode", 0);
    leave_training(g, n, 5);
    return true;
}

static bool drops(graph *g, node *n) {
    if (n->opcode != ONNX_Dropout || n->opset < 12 || !op_present(n, 2) || !node_has_one_output(n))
        return false;
    const tensor *t = n->in[2]->constant;
    if (!t || shape_count(&t->shape) != 1 || !tensor_get_int(t, 0)) return false;
    leave_training(g, n, n->in[1] ? 2 : 1);
    return true;
}

void mode_evaluate(graph *g) {
    size_t norms = 0, dropouts = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        node *n = g->nodes[i];
        if (n->dead) continue;
        norms += normalises_batch(g, n);
        dropouts += drops(g, n);
    }
    if (g->training || norms + dropouts == 0) return;
    diag_warn(g->diag, NULL, "compile --train makes a program that trains it",
              "has %zu BatchNormalization and %zu Dropout nodes in training form; they run as in "
              "evaluation, with running "
              "statistics and nothing dropped",
              norms, dropouts);
}
