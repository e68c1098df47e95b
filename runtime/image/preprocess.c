/* Pictures become inputs. The value of a channel takes one of 256 values: a table, made with the
   text (preprocess_spec.c). */
#include "preprocess.h"
#include "../base/files.h"
#include <stdlib.h>
#include <string.h>

/* Half to even, as the pipelines' Python rounds the corner of a centre crop. */
static int half_even(int n) { return n % 2 == 0 ? n / 2 : (n / 2) % 2 ? n / 2 + 1 : n / 2; }

static bool fit(const cameo_preprocess *p, cameo_image *image, cameo_error *error) {
    if (!p->short_side) return cameo_image_resize(image, p->width, p->height, p->filter, error);
    int64_t w = image->width, h = image->height, side = p->short_side;
    int64_t width = w <= h ? side : side * w / h, height = w <= h ? side * h / w : side;
    if (width > CAMEO_IMAGE_SIDE || height > CAMEO_IMAGE_SIDE)
        return cameo_reject(error, "a picture of %d x %d is too narrow for resize=%d", image->width,
                            image->height, p->short_side);
    return cameo_image_resize(image, (int)width, (int)height, p->filter, error) &&
           cameo_image_crop(image, half_even(image->width - p->width),
                            half_even(image->height - p->height), p->width, p->height, error);
}

/* ITU-R 601 luma in 16-bit fixed point, as Pillow's mode "L". */
static unsigned char luma(const unsigned char *rgb) {
    return (unsigned char)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

void cameo_preprocess_gray(const cameo_preprocess *p, cameo_image *image) {
    if (p->color != CAMEO_GRAY) return;
    for (size_t i = 0, n = cameo_image_size(image); i < n; i++)
        memset(image->pixels + 3 * i, luma(image->pixels + 3 * i), 3);
}

bool cameo_preprocess_fit(const cameo_preprocess *p, cameo_image *image, cameo_error *error) {
    cameo_preprocess_gray(p, image);
    return fit(p, image, error);
}

void cameo_preprocess_values(const cameo_preprocess *p, const unsigned char *pixels, void *out) {
    size_t n = (size_t)p->width * (size_t)p->height, channels = (size_t)p->channels;
    for (size_t c = 0; c < channels; c++) {
        const unsigned char *from = pixels + (p->color == CAMEO_BGR ? 2 - c : c);
        const size_t first = p->channels_last ? c : c * n, step = p->channels_last ? channels : 1;
        float *to = (float *)out + first;
        unsigned char *bytes = (unsigned char *)out + first;
        if (p->bytes)
            for (size_t i = 0; i < n; i++) bytes[i * step] = from[3 * i];
        else
            for (size_t i = 0; i < n; i++) to[i * step] = p->value[c][from[3 * i]];
    }
}

size_t cameo_preprocess_bytes(const cameo_preprocess *p) {
    return (size_t)p->width * (size_t)p->height * (size_t)p->channels *
           (p->bytes ? 1 : sizeof(float));
}

bool cameo_preprocess_apply(const cameo_preprocess *p, cameo_image *image, void *out,
                            cameo_error *error) {
    if (!cameo_preprocess_fit(p, image, error)) return false;
    cameo_preprocess_values(p, image->pixels, out);
    return true;
}
