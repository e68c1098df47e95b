/* Antialiased resizing of 8-bit RGB, equal to Pillow's Image.resize. */
#ifndef CAMEO_RESIZE_H
#define CAMEO_RESIZE_H
#include "image.h"

typedef enum cameo_filter {
    CAMEO_NEAREST,
    CAMEO_BOX,
    CAMEO_BILINEAR,
    CAMEO_BICUBIC,
    CAMEO_LANCZOS
} cameo_filter;

/* Replaces *image by its width x height version. The support of the filter grows with the
   reduction, so that nothing aliases. */
bool cameo_image_resize(cameo_image *image, int width, int height, cameo_filter filter,
                        cameo_error *error);
/* Keeps the rectangle; it must lie inside. */
bool cameo_image_crop(cameo_image *image, int left, int top, int width, int height,
                      cameo_error *error);
#endif
