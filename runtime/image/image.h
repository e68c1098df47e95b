/* Pictures as 8-bit RGB. pixels is owned by the image and freed by cameo_image_free. */
#ifndef CAMEO_IMAGE_H
#define CAMEO_IMAGE_H
#include "../cameo.h"

typedef struct cameo_image {
    int width, height;
    unsigned char *pixels; /* [height][width][3], R G B; grey pictures have three equal channels */
} cameo_image;

/* Its pixels, and one of them. */
static inline size_t cameo_image_size(const cameo_image *image) {
    return (size_t)image->width * (size_t)image->height;
}
static inline unsigned char *cameo_image_at(const cameo_image *image, int x, int y) {
    return image->pixels + 3 * ((size_t)y * (size_t)image->width + (size_t)x);
}

enum {
    CAMEO_IMAGE_SIDE = 16384,
    CAMEO_IMAGE_PIXELS = 1 << 27
}; /* beyond these a picture is refused: 128 M pixels = 384 MB */

/* By content, whatever the name says: JPEG (grey, YCbCr, RGB, CMYK, YCCK; accurate DCT, full
   size), PNG (alpha dropped, 16 bits to their high byte; what follows the last row may be
   missing), both turned by their EXIF orientation, PPM and PGM (P2 P3 P5 P6). `name` is for
   messages. False with *error (CAMEO_BAD_INPUT) and an empty image. */
bool cameo_image_decode(const unsigned char *data, size_t size, const char *name,
                        cameo_image *image, cameo_error *error);
bool cameo_image_read(const char *path, cameo_image *image, cameo_error *error);
/* For training (--fast-decode): a JPEG whose sides are at least twice `least` is scaled by 1/2,
   1/4 or 1/8 while it is decoded, none below `least`, with the fast transform. least = 0: as
   cameo_image_read. */
bool cameo_image_read_scaled(const char *path, int least, cameo_image *image, cameo_error *error);
void cameo_image_free(cameo_image *image);

/* One format each, in png.c and image.c; used through cameo_image_decode. */
bool cameo_image_allocate(cameo_image *image, int64_t width, int64_t height, const char *name,
                          cameo_error *error);
bool cameo_png_decode(const unsigned char *data, size_t size, const char *name, cameo_image *image,
                      cameo_error *error);
/* The orientation, 1..8, by the TIFF inside EXIF: its tag 0x0112 (SHORT) in the first directory; 1
   when there is none. */
int cameo_exif_orientation(const unsigned char *tiff, size_t size);
/* Makes a picture stored with that orientation upright; the image is freed when memory is short. */
bool cameo_image_turn(cameo_image *image, int orientation, const char *name, cameo_error *error);
bool cameo_pnm_decode(const unsigned char *data, size_t size, const char *name, cameo_image *image,
                      cameo_error *error);
#endif
