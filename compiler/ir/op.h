/* One operator, one row. Rows live in compiler/ops/<family>.c with their functions just above
   them; op.c lists the families and finds the row for (domain, name, opset). Passes compare
   numbers (opcode.h) and ask flags, never names. */
#ifndef CAMEO_OP_H
#define CAMEO_OP_H
#include "ir.h"

struct emitter;
struct op_row;

typedef enum op_flags {
    OP_ELEMENTWISE = 1 << 0, /* every output element depends on the elements at the same (broadcast)
                                position */
    OP_VIEW = 1 << 1,    /* output is input 0's memory in ONNX layout with another shape (Reshape,
                            Flatten, Squeeze ...) */
    OP_INPLACE = 1 << 2, /* out 0 may use in 0's memory when shapes and layouts are equal and in 0
                            dies here */
    OP_ANY_LAYOUT = 1 << 3, /* emit works from value_strides(), whatever the layouts of inputs and
                               outputs */
    OP_NHWC = 1 << 4,       /* wants in 0 / out 0 as NHWC when they are rank-4 float32 (Conv, pools,
                               BatchNorm ...) */
    OP_NO_GRAD = 1 << 5,    /* has no gradient on purpose (Shape, Floor ...) */
    OP_BATCH_AXIS0 = 1 << 6, /* image i of every output depends only on image i of the batched
                                inputs, when axis 0 is an ordinary batch axis for this node's
                                attributes: `mixes` says where it is not */
    OP_IDENTITY = 1 << 7,    /* at inference out 0 is in 0, bit for bit (Identity, Dropout) */
    OP_NHWC_IN = 1 << 20, /* wants every rank-4 float input that is no parameter as NHWC, and makes
                             such outputs */
    OP_PARAM_OUT = 1 << 21, /* with OP_NHWC_IN: outputs are shaped like parameters and are in ONNX
                               order */
    OP_BATCH_EACH = 1 << 8, /* with OP_BATCH_AXIS0: any input may hold images, which then have the
                               output's rank (MatMul) */
    OP_SHAPE_ONLY = 1 << 9, /* reads the shape of input 0, never its elements (Shape, Size) */
    OP_MODE = 1 << 22, /* does something else in training (Dropout): simplify leaves it alone under
                          --train */
    OP_TAIL = 1 << 23  /* adds a residual, input 3, and computes attribute act (ops/act.h) of the
                          sum; with a slope, input 4, where that is PRelu: what fuse looks for */
} op_flags;

typedef struct op_attr {
    const char *name; /* NULL ends the list */
    attr_kind kind;
    bool required;
    double number;      /* default for FLOAT and INT when has_default */
    const char *string; /* default for STRING; NULL = none */
    bool has_default;
} op_attr;

/* The reference computes with doubles or exact integers and stores into out[i], already allocated
   with the inferred type and shape. in[i] is NULL where absent. Returns false with a message in
   *why for data it can't handle (never for shapes). */
typedef bool (*op_reference)(arena *a, const node *n, const tensor *const *in, tensor *const *out,
                             const char **why);

/* Begins the definition of one, whose parameters are called as above. */
#define OP_REFERENCE(name)                                                                 \
    bool name(OP_MAYBE arena *a, OP_MAYBE const node *n, OP_MAYBE const tensor *const *in, \
              OP_MAYBE tensor *const *out, OP_MAYBE const char **why)
#define OP_MAYBE __attribute__((unused))

typedef struct op_row {
    const char *name, *domain; /* "" = ai.onnx; "cameo" = internal */
    int since, until;          /* first and last opset the row serves; until 0 = no end */
    int min_in, max_in, min_out, max_out; /* max -1 = variadic */
    const op_attr *attrs; /* known attributes; resolve fills defaults, warns of others */
    unsigned flags;
    unsigned shape_inputs; /* bit i: input i decides a shape or a loop structure, so it must be a
                              constant */
    bool (*infer)(graph *g, node *n); /* sets type, shape, shaped of every output (and macs). false
                                         after diag_error */
    op_reference reference;
    bool (*grad)(graph *g, node *n, value *const *dout, value **din); /* ir/grad.h; NULL = none */
    void (*emit)(struct emitter *e, const node *n); /* plain loops; see emit/emit.h. NULL for
                                                       OP_VIEW/OP_IDENTITY rows, and for nodes made
                                                       with their kernel */
    const char *test;    /* what tests it: a conformance test or a unit-test name */
    unsigned weights;    /* bit i: input i is learnt under --train when it is an initializer
                            (parameters.c has the rule) */
    unsigned statistics; /* bit i: input i is kept by training, not learnt (running mean and
                            variance) */
    /* The input that out 0 equals, bit for bit, in training and evaluation alike, provided that
       both have one type and shape; -1: none. NULL = none but what the flags say. */
    int (*same)(const graph *g, const node *n);
    /* With OP_BATCH_AXIS0: constants, or attributes left away, make axis 0 of this node another
       than that of the images, given in 0's rank. NULL: the attributes axis, axes, perm and
       transA, which the batch pass reads of every node, say it all. */
    bool (*mixes)(const node *n, int rank);
    const struct copy_row *copy; /* its outputs are strided copies of its inputs: see ops/copy.h;
                                    NULL = they are not */
} op_row;

static inline bool node_has(const node *n, unsigned flags) { /* any of them; n may be NULL */
    return n && n->op && n->op->flags & flags;
}
/* NULL when unknown; *known_name is set true when the name exists at another opset or domain
   version. */
const op_row *op_find(const char *domain, const char *name, int opset, bool *known_name);
const op_row *op_of(opcode op, int opset); /* NULL when there is none at that opset */
/* Makes n a node of another operator and binds its row, which must exist. Inputs, outputs and
   attributes stay. */
void node_become(node *n, opcode op, int opset);
/* graph_add_node() of an operator of ours, its row bound. */
node *graph_add_op(graph *g, opcode op, int opset, value *const *in, size_t n_in, value *const *out,
                   size_t n_out);
/* The same before a node, for whose sake it is there. */
node *graph_add_before(graph *g, const node *where, opcode op, int opset, value *const *in,
                       size_t n_in, value *const *out, size_t n_out);
/* Types and shapes of the outputs of a node of ours, which is right. */
void op_settle(graph *g, node *n);
bool op_same(const node *a, const node *b); /* one operator, be it one of ours or not */
/* Of an operator without a row: what kind it is, so that the reader knows whether waiting for it
   makes sense, or ""; and what else can be done. */
const char *op_unknown_kind(const char *name, const char **hint);
/* All rows, for the support table and for tests: i from 0 until NULL. */
const op_row *op_at(size_t i);

/* Each family's table ends with a row whose name is NULL. */
extern const op_row ops_elementwise[], ops_activation[], ops_reduce[], ops_normalize[],
    ops_matrix[], ops_conv[], ops_pool[], ops_shape[], ops_move[], ops_slice[], ops_lookup[],
    ops_resize[], ops_internal[], ops_gradient[], ops_loss[], ops_metric[], ops_conv_grad[],
    ops_pool_grad[], ops_normalize_grad[], ops_lookup_grad[];

/* ---- helpers for rows (op.c) ---- */
/* Types and shapes of output i; false + diag_error when a declared (model) shape contradicts. */
bool op_set_output(graph *g, node *n, size_t i, dtype type, const shape *s);
typedef struct ints {
    const int64_t *v; /* NULL: not given */
    size_t count;
} ints;
/* The integers of a constant input; false when it is absent or no constant. */
bool op_const_ints(graph *g, const node *n, size_t input, ints *r);
/* As op_const_ints(), and false with a diagnostic when they are not known; `what` names the
   input. */
bool op_need_ints(graph *g, const node *n, size_t input, const char *what, ints *r);
/* Integers that may be absent: of an attribute, or from opset `since` on of a constant input. */
bool op_ints(graph *g, const node *n, size_t input, int since, const char *name, ints *r);
bool op_not_constant(graph *g, const node *n, const char *what); /* that diagnostic; returns false
                                                                  */
bool op_present(const node *n, size_t input);                    /* the optional input is there */
bool op_axes_first(const node *n, size_t input, int rank); /* it lists axes, the first among them,
                                                              or is not known */
bool op_constant_is(const node *n, size_t input, int64_t i, int64_t expected); /* element i of a
                                                                                  constant integer
                                                                                  input */
/* Normalises a possibly negative axis; false + diag_error when out of range -rank..rank-1. */
bool op_axis(graph *g, const node *n, int64_t axis, int rank, int *out);
/* Float elements of constants and parameters that nodes use, each once, without running
   statistics, scales and single numbers such as the bounds of a Clip: what papers call the number
   of parameters. */
int64_t op_count_weights(const graph *g);
/* All elements as doubles (arena array). */
double *ref_doubles(arena *a, const tensor *t);
void ref_store(tensor *t, const double *v);
/* resolve.c: binds the row of n->op_type at n->opset, checks arity, fills default attributes. */
bool resolve_node(graph *g, node *n);
#endif
