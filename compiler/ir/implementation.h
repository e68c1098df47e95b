/* An implementation: one kernel that the select pass may give a node, native or XNNPACK's. What it
   costs and assumes is asked here; how it is printed (emit/emit.h) is its own affair. */
#ifndef CAMEO_COMPILER_IMPLEMENTATION_H
#define CAMEO_COMPILER_IMPLEMENTATION_H
#include "op.h"
#include "options.h"

enum { CHAIN_PARTS = 3 };

typedef struct implementation {
    const char *name; /* "direct-3x3", "xnn-conv", ... as printed in tables and profile; also the
                         emitted names' stem */
    opcode op;        /* the operator it serves */
    /* Of a cameo.ConvChain: its parts' operators, in order, of three also the last two alone. The
       chains pass asks `applies` of a chain that is not in the graph yet, and joins it where that
       says that its kernel can do it and gains. */
    opcode pattern[CHAIN_PARTS];
    bool xnnpack; /* needs libXNNPACK */
    bool (*applies)(const node *n, const options *o);
    double (*cost)(const node *n, const options *o); /* estimated microseconds, cold weights, of one
                                                        image where images stay apart; lower wins */
    int64_t (*scratch)(const node *n, const options *o); /* floats needed during the node; NULL = 0
                                                          */
    void (*emit)(struct emitter *e, const node *n);
    unsigned inplace;      /* bit i: out 0 may use in i's memory */
    unsigned inplace_last; /* of several outputs, the last: the same, if no other output does */
    bool dense; /* no channel slices (pixel_stride > channels), neither to read nor to write */
    /* Training: reads (or, as ROLE_GRADIENT, writes) parameter p of the node in this order; NULL:
       only in ONNX order. Asked before there is an order, of the node without one, and by select,
       which gives the node no kernel that says no. */
    bool (*takes)(const node *n, const parameter *p, parameter_layout order, const options *o);
} implementation;
/* Who chooses among the kernels that fit a node, cheapest by the rule first, count >= 1: --tune and
   --tuning do, by times measured, where otherwise the rule's first is taken. */
typedef struct chooser {
    const implementation *(*choose)(struct chooser *, const node *n,
                                    const implementation *const *candidates, size_t count);
    bool is_trial; /* layers are to be timed one by one: no chains */
} chooser;

/* NULL-terminated list of pointers, of compiler/kernels/kernels.def. */
extern const implementation *const implementations[];
/* implementations.c: some implementation of n takes p in this order; and how many channels a block
   of that order has. */
bool kernel_takes_parameter(const node *n, const parameter *p, parameter_layout order,
                            const options *o);
int64_t kernel_parameter_block(const parameter *p, parameter_layout order, const options *o);
#endif
