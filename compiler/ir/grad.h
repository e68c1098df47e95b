/* What gradient rules are written with. A rule (op_row.grad) gets, for a node y = f(x...), the
   gradients of its outputs (dout[i] NULL: none flows) and sets din[i] for every input that wants
   one (in[i]->wants_grad; others may stay NULL and should, since an unwanted gradient costs time).
   It appends ordinary nodes, whose rows may be internal gradient operators; saved activations are
   ordinary edges. din[i] has the type and shape of in[i]; returning a dout as it is is fine. false
   after a diag_error, for a form of the operator that has no gradient.

   Rules and the internal operators they need stand in compiler/ops/<family>_grad.c. Values may be
   double: tests differentiate in double precision. Graphs of training are static: a dimension of
   the batch is literal. */
#ifndef CAMEO_GRAD_H
#define CAMEO_GRAD_H
#include "op.h"

typedef bool gradient_rule(graph *g, node *n, value *const *dout, value **din);
/* Begins the definition of one, whose parameters are called as above. */
#define GRADIENT(name) bool name(graph *g, node *n, OP_MAYBE value *const *dout, value **din)

/* A node with n_out fresh outputs; set attributes, then call grad_infer. ONNX operators
   get opset 17's row. Its name is made from origin's, so that profiles and messages lead back
   to the model. An operand may be NULL, after an error: that comes out of all functions here. */
node *grad_node(graph *g, const node *origin, opcode op, value *const *in, size_t n_in,
                size_t n_out);
/* Binds the row, fills default attributes, infers; returns output 0, NULL after diag_error. */
value *grad_infer(graph *g, node *n);
/* One-liners for the common cases: no attributes, one output. */
value *grad_call(graph *g, const node *origin, opcode op, value *const *in, size_t n_in);
value *grad_binary(graph *g, const node *origin, opcode op, value *a, value *b);

/* Constants of the right type for `like` (float or double). */
value *grad_scalar(graph *g, const value *like, double v);
/* v summed down to shape s, which numpy broadcasting had stretched to v's. */
value *grad_sum_to(graph *g, const node *origin, value *v, const shape *s);
/* v with another shape of as many elements. */
value *grad_reshape(graph *g, const node *origin, value *v, const shape *s);

/* Copies node attributes (strides, pads ...) by name, those that are there. names ends with
   NULL. */
void grad_copy_attributes(graph *g, const node *from, node *to, const char *const *names);

/* Appends the backward pass of `loss` (a scalar) to g: every learnt parameter's gradient is
   computed and stored (ROLE_GRADIENT). false after errors: ALL nodes without a gradient are
   reported. Gradients of values in `also` (NULL-terminated, may be NULL) are returned in
   also_grad, for tests. */
bool grad_backward(graph *g, value *loss, value *const *also, value **also_grad);
#endif
