/* Which stored tensors layers read, what for, and which readings are one parameter (ties.c has the
   rule). Made by the parameters pass, in the compilation's arena. */
#ifndef CAMEO_PASSES_TIES_H
#define CAMEO_PASSES_TIES_H
#include "../ir/options.h"

typedef enum slot { SLOT_PLAIN, SLOT_WEIGHT, SLOT_STATISTIC } slot;

typedef struct layer { /* a node that reads at least one weight or running statistic */
    node *n;
    slot *slots;        /* one an input */
    struct layer *same; /* the first layer that this one is another application of; itself if there
                           is none */
} layer;

typedef struct weights {
    graph *g;
    value **root; /* by value id: the stored tensor it is, itself or through Identities; NULL: none
                   */
    value **through; /* by value id: what the Identity that made it reads; NULL: it is no Identity's
                        output */
    bool *inlined;   /* by value id: made in a function's body, so the file's graph has no such name
                      */
    size_t n_values; /* of these lists: there may be more values later */
    layer **made_by; /* by value id: the layer whose output it is */
    layer *layers;   /* in the graph's order */
    size_t n_layers;
} weights;

/* Gives every parameter a constant of its own: afterwards two inputs of layers read the same value
   where, and only where, they are the same parameter. Notes in graph.file what that changes in the
   file. False when a function's body stands in the way. */
bool ties_part(weights *w);
void file_change_add(graph *g, file_change change);
void file_change_loose(graph *g, const char *name);
#endif
