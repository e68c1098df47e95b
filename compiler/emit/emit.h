/* Emission: how rows and implementations turn one node into C.

   For each node the driver calls impl->emit or op->emit. The emit function describes ONE C
   function: its parameters, each with the argument of this call, and its body. Two nodes whose
   functions are textually equal (same literals) share one function, so a body must mention only
   parameters and literals, never names of this node. The function's own name is written "$F"
   (tasks: "$F_task").

   Signature made by the driver:   static void $F(cameo_context *c, size_t n, PARAMS...)
   n is the number of images of this run (<= graph->batch) when the node is batched
   (node_is_batched(node)), else 1. Images of a batched value are shape.dim[1..] apart densely:
   image_elements(v) * (for slices: of the base value). Loops over images: `for (size_t image = 0;
   image < n; image++)`. */
#ifndef CAMEO_EMIT_H
#define CAMEO_EMIT_H
#include "../ir/graph_query.h"
#include "../ir/options.h"

typedef struct emitter emitter; /* emit.c */

/* The body of the current node's function; append with text_append and body_put. */
text *emit_body(emitter *e);
/* What is printed before that function, as "static void $F_task(void *p, size_t i) {...}". */
text *emit_helpers(emitter *e);
/* Statements that NAME_create runs once, as "c->state[K] = cameo_xnn_..."; they return on
   failure. */
text *emit_create(emitter *e);

/* Add a parameter; `argument` is the C expression for this call. */
void emit_param(emitter *e, const char *declaration, const char *argument);
/* Pointer parameter to a value's memory, with its C type: "const float *NAME" / "float *NAME".
   Constants go into the weights as they are (ONNX layout), so that any kernel can read any
   input. */
void emit_value(emitter *e, const char *name, const value *v, bool written);
/* Bytes into the weights blob, 64-byte aligned, equal bytes stored once; returns an argument
   expression valid in the model file. */
const char *emit_weights(emitter *e, const void *data, size_t bytes, const char *label);
/* A slot for an operator of the backend, which frees it with the context; returns its index K:
   c->state[K]. */
size_t emit_state(emitter *e);
/* Scratch memory of this node inside the arena (alive during the node only), asked for before
   planning by implementation.scratch; returns an argument expression of type unsigned char *. */
const char *emit_scratch(emitter *e);

/* Templates (base/text.h) for those texts, and for one in the graph's arena. */
#define body_put(e, ...) text_put(emit_body(e), __VA_ARGS__)
#define helpers_put(e, ...) text_put(emit_helpers(e), __VA_ARGS__)
#define emit_text(e, ...) arena_put(emit_arena(e), __VA_ARGS__)

arena *emit_arena(emitter *e);
const options *emit_options(const emitter *e);

/* Default plain emission for rows that compute out = f(in...) elementwise with broadcasting:
   parameters in0.., out0 and a strided loop nest over out0; `expression` may use x0, x1, ... for
   the operands' elements. */
void emit_elementwise(emitter *e, const node *n, const char *expression);
/* Opens `for` loops over the given literal extents named i0, i1, ... ; with n images the first
   loop runs to n when runtime_first. */
void emit_loops_open(emitter *e, const int64_t *extent, int rank, bool runtime_first);
void emit_loops_close(emitter *e, int rank);
/* "i0 * S0 + i1 * S1 ..." with zero strides left out ("0" when all are). names NULL = i0, i1,
   ... */
const char *emit_index(emitter *e, const int64_t *stride, int rank, const char *const *names);
/* copy.c: a node of an operator that copies (op_row.copy), as loops. */
void copy_emit(emitter *e, const node *n);
/* A double as a C float or double literal that round-trips ("0.5f", "INFINITY", "-0x1p-3f"). */
const char *emit_float(emitter *e, double v);
const char *float_text(arena *a, double v); /* the same, in that arena */

/* One compiled graph, in memory. The texts belong to whoever frees them (emitted_free). */
typedef struct emitted {
    const char *unit;  /* stem of its files: "" for the program's own net, "step_" ... for others */
    const char *flags; /* of its target, for the C compiler */
    text model_c, model_h, weights;
    text *parts;
    size_t n_parts;
    bool xnnpack;
} emitted;

/* What a program is built from: units, and what joins them. */
typedef struct blob_file {
    const char *name;
    text data;
} blob_file;
enum { UNITS_MOST = 8 }; /* a net for each target, and a detector */
typedef struct program {
    emitted units[UNITS_MOST];
    size_t n_units;
    text trainer_c;     /* --train: the parameters' table and the cameo_trainer; empty otherwise */
    blob_file files[3]; /* that it includes */
    size_t n_files;
} program;

/* unit: "" or the stem that this graph's files and C names get behind the prefix. */
bool emit_model(graph *g, const options *o, const char *unit, emitted *out);
/* trainer.c: the object that joins step and infer. */
bool emit_trainer(const graph *infer, const graph *step, const options *o, program *out);
void program_free(program *p);
/* "x86_64_v3_" for that target. */
const char *emit_unit_of_target(arena *a, const target *t);
#endif
