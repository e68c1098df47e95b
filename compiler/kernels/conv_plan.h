/* The plan of a direct convolution: what compiler/kernels decides about one instantiation of
   runtime/kernels/direct_conv.h. */
#ifndef CAMEO_COMPILER_CONV_PLAN_H
#define CAMEO_COMPILER_CONV_PLAN_H
#include "kernels.h"

typedef struct conv_plan {
    cameo_conv s; /* given: from the first field to the residual, y_row, y_image, scaled, before,
                     gate and act; the rest is chosen here, some of it when it is printed */
    int64_t n;    /* images */
    bool near;    /* the input is in a near cache */
    bool counted; /* the number of images is a literal */
    int64_t line; /* floats of the line buffer, 0: none */
} conv_plan;

double conv_tile_cycles(int64_t pixels, int64_t vectors);   /* of a register tile and one tap */
int64_t conv_tile_pixels(const target *t, int64_t vectors); /* the most that fit the registers */

/* Microseconds of so many cycles of multiply-adds, whose weights meanwhile come from memory:
   measured on several layers, the longer of the two and a third of the shorter. */
double conv_time(const options *o, double cycles, double bytes);

/* The parameter of a convolution's packed weights, from constants in ONNX order: [group][co /
   block][kh][kw][ci][block] (direct_conv.c). */
void conv_plan_emit_weights(emitter *e, const char *declaration, const conv_plan *p,
                            const value *w);

/* Weights of more bytes than that come from memory. */
enum { CONV_STREAMED = 1 << 20 };

/* Chooses tile and tasks; vectors: of the block the weights are packed in, 0 = free. false: no
   plan fits. */
bool conv_plan_choose(conv_plan *p, const target *t, int64_t vectors);
/* The same of a 1x1 convolution of stride 1 that gets so many rows at a time, by strip_conv.h:
   tiles of one row, no tasks. */
void conv_plan_choose_rows(conv_plan *p, const target *t, int64_t rows);
double conv_plan_cycles(const conv_plan *p, const target *t); /* of all images, one core */
/* Of output channels, in all groups. */
int64_t conv_plan_blocks(const conv_plan *p, const target *t);
int64_t conv_plan_weights(const conv_plan *p, const target *t); /* floats of the packed weights */
void conv_plan_print_shape(emitter *e, const conv_plan *p, const char *suffix); /* $F_shapeS */
void conv_plan_print(emitter *e, const conv_plan *p, const char *suffix);       /* and $F_taskS */
int64_t conv_plan_tasks(const conv_plan *p, const target *t); /* unless counted, of an image */
#endif
