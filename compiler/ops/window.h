/* The sliding window of convolutions and pools: attributes read, checked and resolved once, for
   infer, reference and emission. Spatial axes are right-aligned to three: a 2-D window has in[0] =
   out[0] = k[0] = 1, so that one loop nest serves ranks 1-3. */
#ifndef CAMEO_WINDOW_H
#define CAMEO_WINDOW_H
#include "../ir/op.h"

typedef struct window {
    int rank; /* spatial axes that really exist: 3 - rank .. 2 */
    int64_t in[3], out[3], k[3], stride[3], dilation[3], begin[3], end[3], group;
} window;

/* kernel: extents of the weight's spatial axes, or NULL when kernel_shape must say. ceil_mode is
   read for pools. d NULL = quiet. Sets everything, out by the rule of Conv and the pools. */
bool window_read(diag *d, const node *n, const shape *x, const int64_t *kernel, window *w);
/* The same for ConvTranspose: output_padding, output_shape, and the pads they imply. */
bool window_read_transposed(diag *d, const node *n, const shape *x, const int64_t *kernel,
                            window *w);
/* Gives n the attributes kernel_shape, strides, dilations and complete pads of w. */
void window_write(graph *g, node *n, const window *w);
/* The attribute x_shape of gradients that do not see X; rank 0 when it is missing. */
shape window_x_shape(const node *n);
/* Image, channel and spatial extents of an output. */
shape window_shape(const window *w, int64_t images, int64_t channels);
/* After infer: window_read() of what cannot fail any more. */
window window_again(const node *n, const shape *x, const int64_t *kernel);

/* ---- as C: the spatial axes are counted by k0 .. k2, o0 .. o2, i0 .. i2 (prefix k, o, i) ---- */
/* `for` lines over such extents, without brackets. */
void window_loops(text *t, const window *w, const char *prefix, const int64_t extent[3]);
/* Opens loops over the taps k of output o; i is the input's cell. Taps outside the input are
   skipped. window_end() closes them. */
void window_taps(text *t, const window *w);
void window_end(text *t, const window *w);
const char *window_index(struct emitter *e, const value *v, const window *w, const char *image,
                         const char *channel, const char *prefix);
#endif
