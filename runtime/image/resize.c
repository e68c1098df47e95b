/* Resizing in two passes, rows then columns, with coefficients in 22-bit fixed point and an 8-bit
   picture between the passes: the arithmetic Pillow documents for its 8-bit modes, so that a
   network sees the pixels it was trained with. */
#include "resize.h"
#include "../base/files.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PRECISION = 22 };

/* One output pixel is a weighted sum of `count` input pixels from `first` on. */
typedef struct window {
    int first, count;
} window;
typedef struct taps {
    int size; /* weights stored for each output */
    window *windows;
    int32_t *weights; /* [outputs][size] */
} taps;

static double sinc(double x) { return x == 0 ? 1 : sin(M_PI * x) / (M_PI * x); }

static double kernel(cameo_filter filter, double x) {
    x = fabs(x);
    switch (filter) {
    case CAMEO_BOX: return x <= 0.5 ? 1 : 0;
    case CAMEO_BICUBIC: /* Keys, a = -1/2 */
        if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
        return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
    case CAMEO_LANCZOS: return x < 3 ? sinc(x) * sinc(x / 3) : 0;
    default: return x < 1 ? 1 - x : 0;
    }
}

static double radius(cameo_filter filter) {
    return filter == CAMEO_BOX       ? 0.5
           : filter == CAMEO_BICUBIC ? 2
           : filter == CAMEO_LANCZOS ? 3
                                     : 1;
}

static int32_t fixed_point(double weight) {
    return (int32_t)(weight * (1 << PRECISION) + (weight < 0 ? -0.5 : 0.5));
}

static void window_weights(cameo_filter filter, double centre, double stretch, window *w,
                           int inputs, int32_t *out, double *scratch) {
    double support = radius(filter) * stretch, sum = 0;
    int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
    w->first = first < 0 ? 0 : first;
    w->count = (end > inputs ? inputs : end) - w->first;
    for (int i = 0; i < w->count; i++) {
        scratch[i] = kernel(filter, (i + w->first - centre + 0.5) / stretch);
        sum += scratch[i];
    }
    for (int i = 0; i < w->count; i++)
        out[i] = fixed_point(sum != 0 ? scratch[i] / sum : scratch[i]);
}

static taps make_taps(int inputs, int outputs, cameo_filter filter) {
    double scale = (double)inputs / outputs, stretch = scale < 1 ? 1 : scale;
    taps t = {.size = (int)ceil(radius(filter) * stretch) * 2 + 1};
    t.windows = cameo_allocate((size_t)outputs, sizeof *t.windows);
    t.weights = cameo_allocate((size_t)outputs * (size_t)t.size, sizeof *t.weights);
    double *scratch = cameo_allocate((size_t)t.size, sizeof *scratch);
    for (int i = 0; i < outputs; i++)
        window_weights(filter, (i + 0.5) * scale, stretch, &t.windows[i], inputs,
                       t.weights + (size_t)i * (size_t)t.size, scratch);
    free(scratch);
    return t;
}

static void free_taps(taps *t) {
    free(t->windows);
    free(t->weights);
}

static unsigned char clip8(int32_t sum) {
    sum >>= PRECISION;
    return (unsigned char)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* One output pixel; step = bytes between the input pixels of the window. */
static void weigh(const unsigned char *x, size_t step, const int32_t *w, int count,
                  unsigned char *y) {
    int32_t sum[3] = {1 << (PRECISION - 1), 1 << (PRECISION - 1), 1 << (PRECISION - 1)};
    for (int i = 0; i < count; i++, x += step)
        for (int c = 0; c < 3; c++) sum[c] += x[c] * w[i];
    for (int c = 0; c < 3; c++) y[c] = clip8(sum[c]);
}

static void resize_rows(const cameo_image *x, cameo_image *y, const taps *t) {
    for (int row = 0; row < y->height; row++) {
        const unsigned char *from = cameo_image_at(x, 0, row);
        unsigned char *to = cameo_image_at(y, 0, row);
        for (int i = 0; i < y->width; i++)
            weigh(from + 3 * t->windows[i].first, 3, t->weights + (size_t)i * (size_t)t->size,
                  t->windows[i].count, to + 3 * i);
    }
}

static void resize_columns(const cameo_image *x, cameo_image *y, const taps *t) {
    size_t step = (size_t)x->width * 3;
    for (int row = 0; row < y->height; row++) {
        const unsigned char *from = cameo_image_at(x, 0, t->windows[row].first);
        unsigned char *to = cameo_image_at(y, 0, row);
        for (size_t i = 0; i < step; i += 3)
            weigh(from + i, step, t->weights + (size_t)row * (size_t)t->size, t->windows[row].count,
                  to + i);
    }
}

static void replace(cameo_image *image, cameo_image *by) {
    cameo_image_free(image);
    *image = *by;
}

static bool one_pass(cameo_image *image, int width, int height, cameo_filter filter,
                     cameo_error *error) {
    if (width == image->width && height == image->height) return true;
    cameo_image out = {0};
    if (!cameo_image_allocate(&out, width, height, "resize", error)) return false;
    bool rows = width != image->width;
    taps t = rows ? make_taps(image->width, width, filter)
                  : make_taps(image->height, height, filter);
    (rows ? resize_rows : resize_columns)(image, &out, &t);
    free_taps(&t);
    replace(image, &out);
    return true;
}

static bool nearest(cameo_image *image, int width, int height, cameo_error *error) {
    cameo_image out = {0};
    if (!cameo_image_allocate(&out, width, height, "resize", error)) return false;
    unsigned char *to = out.pixels;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, to += 3) {
            const int sx = (int)((x + 0.5) * image->width / width),
                      sy = (int)((y + 0.5) * image->height / height);
            memcpy(to, cameo_image_at(image, sx, sy), 3);
        }
    replace(image, &out);
    return true;
}

bool cameo_image_resize(cameo_image *image, int width, int height, cameo_filter filter,
                        cameo_error *error) {
    if (filter == CAMEO_NEAREST) return nearest(image, width, height, error);
    return one_pass(image, width, image->height, filter, error) &&
           one_pass(image, width, height, filter, error);
}

bool cameo_image_crop(cameo_image *image, int left, int top, int width, int height,
                      cameo_error *error) {
    if (left < 0 || top < 0 || width > image->width - left || height > image->height - top)
        return cameo_reject(error, "a crop of %d x %d does not fit a picture of %d x %d", width,
                            height, image->width, image->height);
    cameo_image out = {0};
    if (!cameo_image_allocate(&out, width, height, "crop", error)) return false;
    for (int y = 0; y < height; y++)
        memcpy(cameo_image_at(&out, 0, y), cameo_image_at(image, left, top + y), (size_t)width * 3);
    replace(image, &out);
    return true;
}
