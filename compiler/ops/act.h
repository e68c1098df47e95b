/* The activation fused into a node, as C text and as a number; its rows are in
   runtime/kernels/act.def. */
#ifndef CAMEO_OPS_ACT_H
#define CAMEO_OPS_ACT_H
#include "../../runtime/kernels/shapes.h"
#include "../ir/op.h"

enum {                   /* flags of rows */
       ACT_CLAMP = 1,    /* the number within bounds, which may be infinite */
       ACT_POSITIVE = 2, /* never below zero */
       ACT_SIGNED = 4,   /* the operator takes signed integers too */
       ACT_OF_Y = 8,     /* the derivative's x1 is y */
       ACT_SLOPE = 16    /* has one or many slopes, an input of the node */
};

typedef struct act_row {
    cameo_act_kind kind;
    const char *name;
    unsigned flags;
    opcode op;             /* OPCODE_NONE: no operator by itself */
    const char *number[2]; /* attributes of that operator; NULL: none */
    float otherwise[2];
    const char *text; /* NULL: made by act.c */
    double (*real)(const double *x, const double *p);
} act_row;

const act_row *act_of_node(const node *n); /* by attribute act; NULL when it is unknown */
const act_row *act_of_op(opcode op);       /* that takes in this operator, or NULL */
double act_number(const node *n, const act_row *act, int i); /* 0 where the row has none */
void act_set_number(graph *g, node *n, const act_row *act, int i, float v);

/* C expression of n's fused activation of the float variable x; slope is the C expression of
   PRelu's slope for this channel, unused by other activations. x is repeated, so it must be free
   of side effects. */
const char *act_expression(arena *a, const node *n, const char *x, const char *slope);
/* The same as a number, for references. */
double act_apply(const node *n, double x, double slope);
/* Whether it is a clamp (none, relu, clip); its bounds. */
bool act_is_clamp(const node *n, float *least, float *most);
#endif
