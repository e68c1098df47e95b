/* What elementwise rows share: a kernel says what an operator computes, once for the reference and
   once as C text; infer, reference and emit follow from it. Kernels are found by the node's
   operator. */
#ifndef CAMEO_OPS_POINTWISE_H
#define CAMEO_OPS_POINTWISE_H
#include "../ir/broadcast.h"
#include "real.h"

enum { /* sets of element types, as masks */
       TYPES_FLOAT = 1u << DT_FLOAT | 1u << DT_DOUBLE,
       TYPES_SIGNED = 1u << DT_INT8 | 1u << DT_INT16 | 1u << DT_INT32 | 1u << DT_INT64,
       TYPES_UNSIGNED = 1u << DT_UINT8 | 1u << DT_UINT16 | 1u << DT_UINT32 | 1u << DT_UINT64,
       TYPES_NUMBER = TYPES_FLOAT | TYPES_SIGNED | TYPES_UNSIGNED,
       TYPES_BOOL = 1u << DT_BOOL,
       TYPES_ANY = TYPES_NUMBER | TYPES_BOOL
};

/* C texts: x0, x1 and x2 are operands; "@" is the suffix of float functions and literals; "$0",
   "$1" parameters; "~" the C type of operand 0. Variadic kernels describe two operands and are
   folded from the left. */
typedef struct pointwise {
    opcode op; /* OPCODE_NONE ends a table */
    unsigned types;
    double (*real)(const double *x, const double *p);
    const char *text;
    int64_t (*integer)(const int64_t *x); /* NULL: no integer types */
    const char *integer_text;             /* NULL: as text */
    const char *parameter[3];             /* float attributes */
    double otherwise[3];
    bool to_bool;
    int64_t (*natural)(const int64_t *x); /* for uint64, whose large numbers int64 takes for
                                             negative; NULL: as integer */
    double neutral; /* as one of these operands, it leaves the other one's bits */
    unsigned neutral_sides;
    bool variant; /* what an attribute makes of the operator: Mod with fmod=1, Gelu with
                     approximate="tanh" */
    opcode grad;  /* the internal operator that pointwise_grad() calls with dy and x */
    bool of_y;    /* with y instead */
} pointwise;

/* These end with OPCODE_NONE. */
extern const pointwise pointwise_elementwise[], pointwise_activation[], pointwise_gradient[];

const pointwise *pointwise_of(const node *n);
/* The text for one type, arena memory; x0 and x1 stand in it for the operands. */
const char *pointwise_text(arena *a, const char *pattern, dtype type, const double *p,
                           const char *x0, const char *x1);
bool pointwise_infer(graph *g, node *n);
OP_REFERENCE(pointwise_reference);
void pointwise_emit(struct emitter *e, const node *n);
int pointwise_same(const graph *g, const node *n); /* op_row.same: one operand alone, or the other
                                                      one is neutral */

bool type_check(graph *g, const node *n, size_t input, unsigned mask); /* also that the input is
                                                                          there */
bool type_is(dtype t, unsigned mask);
#endif
