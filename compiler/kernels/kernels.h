/* What the compiler's side of the kernels shares. The templates themselves are in
   runtime/kernels/. */
#ifndef CAMEO_COMPILER_KERNELS_H
#define CAMEO_COMPILER_KERNELS_H
#include "../ir/implementation.h"
#include "../ops/act.h"
#include "../ops/window.h"
#include "shape.h"

typedef struct image { /* a rank-4 value, in elements */
    int64_t n, c, h, w, pixel;
} image;

bool is_nhwc(const value *v); /* float32, rank 4, NHWC memory, not constant */
image image_of(const value *v);
/* Of two axes, from x and, where they are, the weights w. False: auto_pad, a negative pad, or
   another rank. */
bool window_of(const node *n, const value *x, const value *w, window *out);
/* Initialisers of the fields that many shapes share (shapes.def). */
#define OF_IMAGES(x, y) \
    .h = (x).h, .w = (x).w, .oh = (y).h, .ow = (y).w, .x_pixel = (x).pixel, .y_pixel = (y).pixel
#define OF_WINDOW(a)                                                          \
    .kh = (a).k[1], .kw = (a).k[2], .sh = (a).stride[1], .sw = (a).stride[2], \
    .dh = (a).dilation[1], .dw = (a).dilation[2], .pt = (a).begin[1], .pl = (a).begin[2]
/* Of an implementation: the functions that most files call by these names. */
#define OF_FILE .applies = applies, .cost = cost, .emit = emit
bool is_constant(const value *v);         /* float32, known at compile time */
bool is_finite(const value *v);           /* a constant without NaN or infinity */
bool is_internal(const node *n);          /* domain "cameo" */
value *input_at(const node *n, size_t i); /* NULL when absent */
bool act_known(const node *n); /* and its slope, if any, is one number or one a channel */
cameo_act act_of(const node *n);
bool residual_fits(const node *n, size_t i); /* absent, or NHWC of the output's shape */
bool ending_fits(const node *n);             /* residual (input 3) and activation */
int64_t residual_pixel(const node *n);       /* of input 3; 0: there is none */
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ceil_div(int64_t a, int64_t b) {
    return a > 0 ? (a + b - 1) / b : a / b;
} /* b > 0 */
int64_t round_up(int64_t a, int64_t b);
static inline const target *target_of(const emitter *e) { return &emit_options(e)->target; }
static inline int64_t vector_of(const emitter *e) { return target_of(e)->vector_floats; }
/* Of the network's own operators, from NHWC images to NHWC images. */
bool is_image_layer(const node *n);
double speed(const options *o, double fraction);  /* multiply-adds a microsecond of one core */
double stream_time(double bytes);                 /* microseconds to read cold weights */
const char *images_of(emitter *e, const node *n); /* "n" or the literal count */

/* Zeros, in the graph's arena; and such as a parameter, whose weights are 4 bytes each. */
float *new_floats(emitter *e, int64_t count);
void emit_packed(emitter *e, const char *declaration, const void *packed, int64_t words,
                 const char *label);
/* Per-channel floats, [group][c rounded up to block], zeros (or `otherwise` everywhere when v is
   NULL). Adds parameter `name`. */
void emit_channels(emitter *e, const char *name, const value *v, float otherwise, int64_t groups,
                   int64_t c, int64_t block);
/* The end of most layers: parameters b, slope and r as far as n has them, and y. Returns
   initialisers of these fields, such as ".b = b, .r = r, .y = y". */
const char *emit_ending(emitter *e, const node *n, int64_t groups, int64_t c, int64_t block);
/* A task: "static void $F_NAME(void *p, size_t i) { FUNCTION(&$F_shape, p, i); }". */
void emit_task(emitter *e, const char *name, const char *function);
/* Runs `count` tasks, times the images of n unless it is NULL: "cameo_parallel(c, ..., $F_TASK);",
   where task is "task, &a". comment: what tasks there are, or NULL. */
void emit_parallel(emitter *e, const node *n, int64_t count, const char *task, const char *comment);
/* elementwise.c: shape, task and run of a pass over the images of n, of so many pixels each.
   operands: the arguments but for their number. */
void emit_pixels(emitter *e, const node *n, const cameo_elementwise *s, int64_t pixels,
                 const char *operands);
/* The shape of a depthwise convolution but for rows, residual and activation (depthwise_conv.c).
   False: it is none. */
bool depthwise_shape(const node *n, const value *x, const value *y, const value *w,
                     cameo_depthwise *s);
/* Parameter `name`: constant weights as the depthwise kernel reads them, [kh][kw][c rounded up]. */
void depthwise_emit_weights(emitter *e, const char *name, const value *w);
/* A static assertion that the C compiler's vectors are those the weights were packed for. */
void emit_vector_check(emitter *e);

#define KERNEL(name) extern const implementation name;
#include "kernels.def"
#endif
