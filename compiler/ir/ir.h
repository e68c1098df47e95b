/* The graph between an ONNX file and C. All objects live in the compilation's arena and are never
   freed singly.

   A graph owns its nodes, in execution order once imported, and its values. A value is produced by
   one node, or is a graph input, or is a constant. Shapes are ALWAYS the ONNX logical shapes
   (N,C,H,W); `layout` says how memory is ordered, so that passes before and after the layout pass
   read shapes alike. value_strides() gives memory strides. */
#ifndef CAMEO_IR_H
#define CAMEO_IR_H
#include "../../runtime/base/wire.h"
#include "../base/arena.h"
#include "../base/text.h"
#include "diag.h"
#include "opcode.h"

enum { MAX_RANK = 8 };

/* ONNX TensorProto.DataType numbers. */
typedef enum dtype {
    DT_NONE = 0,
    DT_FLOAT = 1,
    DT_UINT8 = 2,
    DT_INT8 = 3,
    DT_UINT16 = 4,
    DT_INT16 = 5,
    DT_INT32 = 6,
    DT_INT64 = 7,
    DT_STRING = 8,
    DT_BOOL = 9,
    DT_FLOAT16 = 10,
    DT_DOUBLE = 11,
    DT_UINT32 = 12,
    DT_UINT64 = 13,
    DT_COMPLEX64 = 14,
    DT_COMPLEX128 = 15,
    DT_BFLOAT16 = 16,
    DT_LAST = 26
} dtype;

size_t dtype_size(dtype t);  /* bytes of one element; 0 for strings, sub-byte and unknown types */
bool dtype_is_real(dtype t); /* float, double, and the halves */
const char *dtype_name(dtype t); /* "float32", "int64", ... */
const char *dtype_c(dtype t);    /* "float", "int64_t", "unsigned char" (bool), ...; NULL when not
                                    representable */

typedef struct shape {
    int rank;
    int64_t dim[MAX_RANK]; /* -1: unknown (before the infer pass) */
} shape;

int64_t shape_count(const shape *s); /* product; callers have checked sizes (tensor_new does) */
bool shape_equal(const shape *a, const shape *b);
bool shape_known(const shape *s);
/* What is known of it, times the bytes of an element, is at most 2^40. A zero must not hide an
   overflow: later code multiplies subsets. */
bool shape_fits(const shape *s, size_t element);
void shape_print(text *t, const shape *s); /* "1x3x112x112", "scalar" */
/* numpy broadcasting; false when incompatible */
bool shape_broadcast(const shape *a, const shape *b, shape *out);

typedef struct tensor { /* constant data, dense, row-major in ONNX layout */
    dtype type;
    shape shape;
    void *data; /* little-endian elements; 64-byte aligned */
} tensor;

/* NULL when the byte size overflows or exceeds 2^40. Zeroed. */
tensor *tensor_new(arena *a, dtype type, const shape *s);
size_t tensor_bytes(const tensor *t);
double tensor_get(const tensor *t, int64_t i); /* any numeric type */
void tensor_set(tensor *t, int64_t i, double v);
void tensor_set_int(tensor *t, int64_t i, int64_t v); /* exact, modulo the type's range */
int64_t tensor_get_int(const tensor *t, int64_t i);   /* integer and bool types exactly; floats
                                                         truncated */

typedef enum layout { LAYOUT_ONNX, LAYOUT_NHWC } layout; /* NHWC: rank 4 only */

/* Training. A parameter is a float tensor that lives outside the program, in one block that `step`
   and `infer` share: what is learnt, and the running statistics. `layout` is how its block is
   ordered; it is decided once, for both graphs. */
typedef enum parameter_layout {
    PARAMETER_ONNX, /* as in the model */
    PARAMETER_CONV, /* [co / block][kh][kw][ci][block] of [co][ci][kh][kw], zeros behind the last
                       channel */
    PARAMETER_DEPTHWISE /* [kh][kw][c] of [c][1][kh][kw], each tap padded to whole blocks of
                           channels with zeros */
} parameter_layout;

typedef struct tie {    /* what the layers that read a stored tensor make of it (passes/ties.c) */
    const char *stored; /* the file's tensor, when others than this one are made from it; else NULL
                         */
    size_t layers;      /* that share this one */
} tie;

typedef struct parameter {
    const char *name; /* of the initializer */
    const tie *tie;   /* NULL: one layer's own */
    tensor *initial;  /* float32, ONNX layout */
    bool learnt;      /* has a gradient; others are running statistics and what --freeze names */
    bool decay;       /* weight decay applies: not to biases and normalisation */
    parameter_layout layout;
    int64_t block;         /* of layout */
    size_t offset, floats; /* in the block of all parameters; multiples of 64; learnt ones come
                              first */
} parameter;

typedef enum value_role {
    ROLE_NONE,
    ROLE_PARAMETER, /* is read from the parameter's block: no producer, no constant */
    ROLE_UPDATE,    /* is written to the parameter's block: a new running statistic */
    ROLE_GRADIENT   /* is written to the parameter's place in the block of gradients */
} value_role;

/* Input `input` of the live node `user` reads a value. The graph's own functions keep these, and
   nothing else changes them. */
typedef struct value_use {
    struct node *user;
    size_t input;
    struct value_use *next;  /* of the same value, in the order in which they were made */
    struct value_use **link; /* what points here: `uses` of the value, or `next` of the one before
                              */
} value_use;

typedef struct value {
    int id;           /* index in graph->values; stable */
    const char *name; /* from the model, or made up; unique; any bytes but NUL */
    dtype type;
    bool shaped;   /* shape is valid (rank known) */
    bool declared; /* of a graph output, until infer: the shape is what the file says, which may be
                      stale */
    shape shape;
    const char *symbol[MAX_RANK]; /* symbolic dimension names of graph inputs/value_info, NULL where
                                     literal */
    struct node *producer;        /* NULL for inputs and constants */
    value_use *uses, **uses_end; /* who reads it; where the next one is linked in, when there is one
                                  */
    size_t n_uses;
    tensor *constant; /* non-NULL: known at compile time */
    bool is_input, is_output;
    value_role role;  /* --train only */
    parameter *param; /* of the role */
    const tie *tie;   /* of a constant that is a weight or a statistic; NULL: one layer's own */
    bool wants_grad;  /* backward pass: a learnt parameter influences it */
    bool is_late;     /* group pass: its memory holds late_group images */
    bool batched;     /* batch pass: the first axis is the batch and images do not mix */
    layout layout;
    /* Storage, set by the plan pass. A view shares `base`'s memory starting `view_offset` elements
       in. */
    struct value *base;   /* NULL: owns memory */
    int64_t view_offset;  /* elements, per image when batched */
    int64_t pixel_stride; /* NHWC: elements from one pixel to the next (channels of base); 0 = own
                             channel count */
    int64_t arena_offset; /* bytes; -1: none (graph input/output/constant or unplanned) */
} value;

typedef enum attr_kind {
    ATTR_FLOAT = 1,
    ATTR_INT = 2,
    ATTR_STRING = 3,
    ATTR_TENSOR = 4,
    ATTR_GRAPH = 5,
    ATTR_FLOATS = 6,
    ATTR_INTS = 7,
    ATTR_STRINGS = 8,
    ATTR_OTHER = 99
} attr_kind;

typedef struct attr {
    const char *name;
    attr_kind kind;
    float f;
    int64_t i;
    const char *s; /* NUL-terminated copy; size below counts embedded NULs */
    size_t count;  /* of floats/ints/strings, or bytes of s */
    const float *floats;
    const int64_t *ints;
    const char *const *strings;
    const tensor *t;
} attr;

typedef struct node {
    int index; /* position in the model file (for messages); inserted nodes inherit their origin's
                */
    const char *name, *op_type, *domain; /* domain "" = ai.onnx, "cameo" = internal; for files and
                                            messages */
    opcode opcode;                       /* of domain and op_type */
    int opset;                           /* of its domain, as imported by the model */
    const struct op_row *op;             /* set by resolve */
    size_t position;                     /* in graph->nodes */
    value *const *in; /* absent optional inputs are NULL; node_set_input() and others change them */
    size_t n_in;
    value_use **reads; /* of each input; NULL when the node is dead or not of a graph */
    value *const *out; /* absent outputs are NULL; node_set_output() */
    size_t n_out;
    attr *attrs;
    size_t n_attrs;
    bool dead;
    bool inlined; /* from the body of a model-local function, which the file calls at `index` */
    struct node *const *parts; /* of a cameo.ConvChain, the nodes it does; what passes between them
                                  is no value of the graph */
    size_t n_parts;
    const struct implementation *impl; /* set by select; NULL = the row's plain loops */
    double macs; /* multiply-adds, set by infer where meaningful (whole batch) */
} node;

typedef struct opset_import {
    const char *domain;
    int64_t version;
} opset_import;

typedef struct new_head { /* --train: how the classifier made anew changes the model file
                             (skeleton.h) */
    const char **dropped; /* outputs of nodes, and initializers, that go */
    size_t n_dropped;
    const char *fields; /* GraphProto fields of the nodes that come */
    size_t bytes;
} new_head;

typedef struct file_change { /* how a node of the model file differs in what is written from it
                                (skeleton.h) */
    int node;                /* its position in the file */
    const char *reads; /* input `input` reads this tensor instead; NULL: the node leaves training
                          mode */
    size_t input;
    size_t n_in, n_out; /* reads NULL: inputs and outputs that stay */
} file_change;

typedef struct file_changes {
    cameo_wire bytes; /* of the file, where onnx_import was told to keep them */
    file_change *changes;
    size_t n_changes, cap_changes;
    const char **loose; /* initializers, and outputs of Identities, that go when nothing reads them
                           any more */
    size_t n_loose, cap_loose;
} file_changes;

typedef struct graph {
    arena *arena;
    diag *diag;
    const char *name;
    int64_t ir_version;
    opset_import *opsets;
    size_t n_opsets;
    cameo_entry *meta;
    size_t n_meta;
    const char *producer;
    node **nodes;
    size_t n_nodes, cap_nodes;
    value **values;
    size_t n_values, cap_values;
    value **by_name; /* hash table of values, cap_by_name slots (a power of two), at most half full
                      */
    size_t cap_by_name;
    value **inputs;
    size_t n_inputs;
    value **outputs;
    size_t n_outputs;
    value *loss;      /* --train: of the step graph, one number */
    value *embedding; /* chosen by the embedding rule; may be NULL */
    int64_t batch;    /* images of one run at most; 1 when nothing is batched */
    int64_t group; /* of them, how many the layers treat together; set by the group pass, 0: all */
    size_t late; /* nodes from there on treat late_group images together, the earlier ones group; 0:
                    no such */
    int64_t late_group;
    int64_t alone;   /* instead of group where there is one thread; 0: the same */
    int64_t weights; /* float elements that training would change, as the model has them; set at
                        gate A */
    bool training;   /* --train: nothing may assume evaluation mode yet */
    const new_head *new_head; /* NULL: outputs are as the file says */
    file_changes file;        /* by the parameters pass */
    parameter **parameters;   /* --train: shared by the graphs of one compilation */
    size_t n_parameters;
    char hash[65]; /* SHA-256 of the model file (and its external data), hex */
} graph;

graph *graph_create(arena *a, diag *d);
value *graph_add_value(graph *g, const char *name); /* name NULL: a fresh one. Names are made unique
                                                       by suffix */
size_t name_hash(const char *name);
value *graph_find_value(const graph *g, const char *name);
value *graph_add_constant(graph *g, const char *name, tensor *t);
value *graph_add_ints(graph *g, const char *name, const int64_t *v, size_t n); /* int64 [n] */
/* Appends at the end of g->nodes; inputs/outputs arrays are copied; sets producer. */
node *graph_add_node(graph *g, const char *op_type, const char *domain, value *const *in,
                     size_t n_in, value *const *out, size_t n_out);
/* A list of values, and behind it how many they are. */
#define OPERANDS(...) \
    (value *const[]){__VA_ARGS__}, sizeof((value *const[]){__VA_ARGS__}) / sizeof(value *)
void graph_move(graph *g, node *n, size_t position); /* those between move up, or down, by one */
void graph_reorder(graph *g, node *const *order); /* all nodes of the graph, in this order from now
                                                     on */
void graph_replace_uses(graph *g, value *from, value *to); /* in all live nodes; graph outputs are
                                                              left alone */
/* n takes the place and the output of `next`, which dies: all that next needs is computed there,
   and nobody between the two reads n's old output 0. */
void graph_absorb(graph *g, node *n, node *next);
/* A copy in the same arena: nodes, values and their links; names, tensors, attributes and
   parameters are shared. */
graph *graph_clone(const graph *g);
/* A copy of n, of no graph, whose batched inputs and outputs hold so many images; for asking what
   that would cost. */
const node *node_of_images(arena *a, const node *n, int64_t images);
bool value_is_external(const value *v); /* a constant or a parameter: nothing the run computes, and
                                           unbatched */
bool value_is_stored(const value *v);   /* written outside the arena (gradient, running statistic):
                                           needed without a reader */
void graph_sweep(graph *g); /* drop nodes marked dead and nodes none of whose outputs is used */

const char *node_label(const node *n); /* its name; its first output's, or its operator's, when it
                                          has none */
const attr *node_attr(const node *n, const char *name); /* NULL when absent */
int64_t node_int(const node *n, const char *name, int64_t otherwise);
double node_float(const node *n, const char *name, double otherwise);
int node_axis(const node *n, int rank, int64_t otherwise); /* the attribute axis, from the front */
const char *node_string(const node *n, const char *name, const char *otherwise);
const attr *node_ints(const node *n, const char *name); /* NULL when absent or of another kind */
void node_set_int(graph *g, node *n, const char *name, int64_t v);
void node_set_float(graph *g, node *n, const char *name, double v);
void node_set_string(graph *g, node *n, const char *name, const char *v);
void node_set_ints(graph *g, node *n, const char *name, const int64_t *v, size_t count);
/* diag_error() of a node: the file is wrong; Cameo falls short. */
#define node_error(g, n, ...) diag_error((g)->diag, n, NULL, __VA_ARGS__)
#define node_unsupported(g, n, ...) diag_error((g)->diag, n, DIAG_UNSUPPORTED, __VA_ARGS__)
/* Inputs and outputs are changed by these alone, which keep uses and producers right. v may be
   NULL. */
void node_set_input(graph *g, node *n, size_t i, value *v); /* grows n->in as needed */
void node_set_inputs(graph *g, node *n, value *const *in, size_t n_in);
void node_limit_inputs(node *n, size_t n_in); /* drops those from n_in on */
void node_set_output(graph *g, node *n, size_t i, value *v);
/* Input i, or behind the inputs output i - n_in; NULL where it is absent. */
static inline value *node_value(const node *n, size_t i) {
    return i < n->n_in ? n->in[i] : n->out[i - n->n_in];
}
void node_limit_outputs(node *n, size_t n_out);
/* Reads nothing and makes nothing from here on; the next graph_sweep() takes it away. `in` and
   `out` still tell what it was. */
void node_kill(node *n);

/* Memory stride in elements of each logical axis, given layout and pixel stride; 0 for axes of
   extent 1. */
void value_strides(const value *v, int64_t stride[MAX_RANK]);
int64_t value_count(const value *v);
bool value_is_real(const value *v);   /* float or double */
bool value_is_learnt(const value *v); /* a parameter with a gradient */
bool value_is_static(const value *v); /* all its extents are known */
/* Its extents, the symbolic ones by name; "?" before infer. */
void value_print_shape(text *t, const value *v, const char *between);

/* Checks the structure of the graph after a pass, and ends with BUG() where it is broken. With
   `typed`, as behind gate A (docs/architecture.md), every value must have a type and a static
   shape. */
void ir_verify(const graph *g, const char *after_pass, bool typed);
void ir_dump(const graph *g, text *out); /* deterministic text */
#endif
