/* The pipeline's options and pass signatures. compile.c holds the table of passes: read that first. */
#ifndef CAMEO_COMPILE_H
#define CAMEO_COMPILE_H
#include "ir.h"

typedef struct dim_binding {
    const char *name;
    int64_t value;
} dim_binding;
typedef struct shape_binding {
    const char *name;
    shape shape;
} shape_binding;

typedef enum emit_kind { EMIT_EXE, EMIT_LIB, EMIT_SO, EMIT_C } emit_kind;
typedef enum kernel_choice { KERNELS_AUTO, KERNELS_XNNPACK, KERNELS_NATIVE, KERNELS_PLAIN } kernel_choice;

typedef struct target {   /* what the C compiler is told, and what kernels may assume */
    const char *name;     /* resolved: "x86-64-v4", "x86-64-v3", ... never "native" */
    const char *flags;    /* "-march=x86-64-v4" ... */
    int vector_floats;    /* 16, 8 or 4 */
    int vector_registers; /* 32 or 16 */
} target;

typedef struct tuning tuning;

typedef struct options {
    const char *input, *output, *name; /* name: C prefix */
    emit_kind emit;
    kernel_choice kernels;
    target target;          /* of several the widest */
    const target *narrower; /* the others, widest first: nets for processors that cannot run the ones before */
    size_t n_narrower;
    bool is_narrower; /* this net is one of those */
    int64_t batch;    /* 0 = as the model says (1 for symbolic batch) */
    dim_binding *dims;
    size_t n_dims;
    shape_binding *shapes;
    size_t n_shapes;
    const char *embedding, *preprocess, *labels; /* NULL = not given; labels: file of class names */
    const char *dump_after;                      /* pass name or NULL */
    const char *detector;                        /* an ONNX file: a face detector that enters the program too */
    const char *keep_c;
    const char *cc; /* C compiler; NULL = $CC, cc */
    bool sidecar, is_static;
    bool bfloat16;            /* weights of fully connected layers may be rounded to it */
    bool tune;                /* time the kernels that fit each layer */
    const char *tuning_file;  /* of timings; NULL: in the cache (tune), or none */
    tuning *tuning;           /* set by tuning_compile: select asks it */
    bool train;               /* a program that trains: `step` and `infer` over one block of parameters */
    const char *loss;         /* "ce" (NULL), "arcface:s=64,m=0.5", ...; see passes/loss.c */
    int64_t classes;          /* 0 = as the model; else the classifier is made anew */
    const char *classes_from; /* a folder whose sub-folders are the classes */
    const char **freeze;      /* shell patterns of parameter names that are not learnt */
    size_t n_freeze;
    bool stop_if_folded; /* refuse a net whose BatchNormalization an exporter has folded away */
    unsigned jobs;       /* parallel C compilers; 0 = processors we may use */
} options;

/* Each pass returns false when it added errors to g->diag. */
graph *onnx_import(arena *a, diag *d, const char *path); /* NULL after diag_error. File need not exist or be ONNX */
/* As above from memory; directory = where external data may be, NULL = none allowed. */
graph *onnx_import_memory(arena *a, diag *d, const void *data, size_t size, const char *directory);
/* A TensorProto file (test_data_set_*, .pb); NULL with *why set. Shares the importer's hardening. */
tensor *onnx_read_tensor(arena *a, const char *path, const char **name, const char **why);

bool pass_resolve(graph *g, const options *o);
bool pass_infer(graph *g, const options *o);
bool pass_fold(graph *g, const options *o);
bool pass_simplify(graph *g, const options *o);
bool pass_batch(graph *g, const options *o); /* proves value.batched, applies --batch */
bool pass_fuse(graph *g, const options *o);
bool pass_average(graph *g, const options *o);
bool pass_layout(graph *g, const options *o);
/* --train: on both graphs, before they part */
bool pass_parameters(graph *g, const options *o); /* which initializers are parameters */
bool pass_head(graph *g, const options *o);       /* --classes: the classifier anew */
/* --train: on the step graph */
bool pass_train_forms(graph *g, const options *o); /* operators that do something else in training */
bool pass_loss(graph *g, const options *o);        /* labels in, loss out */
bool pass_step_fuse(graph *g, const options *o);   /* BatchNormTrain + residual + activation */
bool pass_backward(graph *g, const options *o);    /* gradients, as nodes */
bool pass_step_finish(graph *g, const options *o); /* internal forms of what kernels serve */
/* Orders of parameters, for both graphs at once (behind layout), and their places in the block. */
void parameters_order(graph *infer, graph *step, const options *o);
void parameters_place(graph *g);
bool pass_select(graph *g, const options *o);
bool pass_chains(graph *g, const options *o);
bool pass_group(graph *g, const options *o);
bool pass_schedule(graph *g, const options *o);
bool pass_plan(graph *g, const options *o);

/* import .. gate A (through pass_batch); NULL after errors. For info, check, compare. */
graph *compile_front(arena *a, diag *d, const options *o);
/* As far as the file alone goes: for info, where extents of inputs have names and no values. *whole: all of compile_front was
   done; else shapes hold symbols, and nothing is known of what lies between inputs and outputs. NULL after errors. */
graph *compile_outline(arena *a, diag *d, const options *o, bool *whole);
/* fuse .. gate B on a graph from compile_front. */
bool compile_back(graph *g, const options *o);
/* Everything including the C compiler. Returns the exit code. Messages to stderr. */
int compile_model(const options *o);

/* Reference interpreter: evaluates every node with op_row.reference. inputs[i] for g->inputs[i]. On return results[v->id] is
   set for every value computed. false with diag_error when an operator has no reference. */
bool interpret(graph *g, tensor *const *inputs, tensor **results);

/* "native" and the architecture levels; false for unknown names. */
bool target_resolve(const char *name, target *out);
/* Widest first. False when the two are of different processor families. */
bool target_compare(const target *a, const target *b, int *order);
/* Names of the levels, and of the passes in order; NULL behind the last. */
const char *target_name(size_t i);
const char *compile_pass_name(size_t i);
#endif
