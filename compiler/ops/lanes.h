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
} lanes;

lanes lanes_of(arena *a, const shape *s, unsigned mask);
/* All axes but the channels': one lane for each channel, whose task has the index i1. */
unsigned lanes_channel_mask(const shape *s);
/* Row-major offsets: *base of each lane's first element, *step of each element of a lane. */
void lanes_offsets(arena *a, const lanes *l, int64_t **base, int64_t *n_base, int64_t **step);

/* Opens the task and the loops over lanes; lane_loop .. lane_end goes once over a lane, with
   brackets. */
void lanes_open(struct emitter *e, const node *n, const lanes *l);
void lanes_loop(struct emitter *e, const lanes *l);
void lanes_end(struct emitter *e, const lanes *l);
void lanes_close(struct emitter *e, const node *n, const lanes *l);
/* Index of v, which has the lanes' shape, at the current element. */
const char *lanes_index(struct emitter *e, const node *n, const value *v, const lanes *l);
#endif
