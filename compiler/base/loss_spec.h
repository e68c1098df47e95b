/* --loss: TERM[+TERM...], TERM = NAME[:KEY=VALUE[,KEY=VALUE...]]. docs/training.md says what each
   term computes. */
#ifndef CAMEO_LOSS_SPEC_H
#define CAMEO_LOSS_SPEC_H
#include "arena.h"

typedef struct margin_spec { /* scores are scale * (cos(m1 * angle + m2) - m3) for the image's class
                              */
    double scale, m1, m2, m3;
} margin_spec;

typedef struct compare_spec { /* a term over the embeddings of a batch; weight 0: not there */
    double weight, margin;
    double normalize; /* not 0: embeddings of length 1 are compared */
} compare_spec;

typedef struct loss_spec {
    bool softmax, margins; /* a term over class scores; it has margins */
    margin_spec margin;
    double center, center_rate; /* weight (0: not there), and how fast centers follow their class */
    compare_spec triplet, contrastive;
    bool semi_hard; /* triplets: mining=semi */
} loss_spec;

/* NULL, or what is wrong with the text (in arena a). text NULL = "ce". */
const char *loss_parse(arena *a, const char *text, loss_spec *out);
/* Images of a class in a batch, for losses that compare images: 4 where that divides the batch,
   else the least that does and leaves two classes; 0 when there is none. */
int64_t loss_images_of_class(int64_t batch);
#endif
