/* Lanes: the elements of a tensor that differ only in some axes (the mask). Reductions, Softmax
   and the normalisations work a lane at a time. In emitted code an axis of the mask has the index
   rK, another axis K has iK. */
#ifndef CAMEO_OPS_LANES_H
#define CAMEO_OPS_LANES_H
#include "../emit/loops.h"

typedef struct lanes {
    shape shape;
    unsigned mask;
    int tasks; /* leading axes that make the task */
    const char *names[MAX_RANK];
    int64_t length; /* elements of one lane */
    /* lanes_run(): row-major offsets of each lane's first element, and from there of its others. */
    int64_t count, *base, *step;
} lanes;

lanes lanes_of(arena *a, const shape *s, unsigned mask);
lanes lanes_of_channels(arena *a, const shape *s); /* one for each channel; its task has index i1 */
lanes lanes_from(arena *a, const shape *s, int64_t first); /* over the axes from there on */
lanes lanes_run(arena *a, lanes l);                        /* the same with offsets */
static inline int64_t lane_at(const lanes *l, int64_t lane, int64_t k) {
    return l->base[lane] + l->step[k];
}

/* The node's C from a template of what is done with one lane. In it stand
     $in0 ... $out0 ...  that operand at the current element; its axes are the lanes' last ones
     $lane, $end         lines between which is what goes over a lane
     $rest               the line up to which code serves all lanes of the task; without it, none
     $T, $f              the C type of in 0, and the suffix of its literals and functions
     $N                  elements of one lane */
void lanes_emit(emitter *e, const node *n, const lanes *l, const char *pattern);
/* The same of a template with places for arguments, too, as text_put() has them. */
#define lanes_put(e, n, l, pattern, ...) \
    lanes_emit(e, n, l, arena_put(emit_arena(e), pattern, __VA_ARGS__))
/* Index of v at the current element. */
const char *lanes_index(emitter *e, const node *n, const value *v, const lanes *l);
#endif
