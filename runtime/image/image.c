/* Pictures: finding the format, JPEG with its EXIF orientation. PNG is in png.c, PPM and PGM in
   pnm.c. */
#include "image.h"
#include "../base/files.h"
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

bool cameo_image_allocate(cameo_image *image, int64_t width, int64_t height, const char *name,
                          cameo_error *error) {
    if (width < 1 || height < 1 || width > CAMEO_IMAGE_SIDE || height > CAMEO_IMAGE_SIDE ||
        width * height > CAMEO_IMAGE_PIXELS)
        return cameo_reject(error,
                            "%s: a picture of %lld x %lld pixels is not supported (sides 1..%d)",
                            name, (long long)width, (long long)height, CAMEO_IMAGE_SIDE);
    image->pixels = malloc((size_t)(width * height) * 3);
    if (!image->pixels) return cameo_fail(error, CAMEO_ENVIRONMENT, "%s: out of memory", name);
    image->width = (int)width;
    image->height = (int)height;
    return true;
}

void cameo_image_free(cameo_image *image) {
    free(image->pixels);
    *image = (cameo_image){0};
}

static unsigned exif_read(const unsigned char *p, int bytes, bool little) {
    unsigned value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | p[little ? bytes - 1 - i : i];
    return value;
}

int cameo_exif_orientation(const unsigned char *tiff, size_t size) {
    if (size < 8) return 1;
    bool little = tiff[0] == 'I';
    size_t directory = exif_read(tiff + 4, 4, little);
    if (directory > size || size - directory < 2) return 1;
    size_t count = exif_read(tiff + directory, 2, little);
    for (size_t i = 0; i < count && directory + 2 + 12 * (i + 1) <= size; i++) {
        const unsigned char *entry = tiff + directory + 2 + 12 * i;
        if (exif_read(entry, 2, little) != 0x0112) continue;
        unsigned orientation = exif_read(entry + 8, 2, little);
        return orientation >= 1 && orientation <= 8 ? (int)orientation : 1;
    }
    return 1;
}

static int jpeg_orientation(const unsigned char *data, size_t size) {
    for (size_t at = 2; at + 4 <= size && data[at] == 0xFF;) {
        unsigned marker = data[at + 1];
        if (marker == 0xFF) { /* fill byte */
            at++;
            continue;
        }
        if (marker == 0xDA || marker == 0xD9) break; /* picture data begins */
        size_t length = (size_t)data[at + 2] << 8 | data[at + 3];
        if (length < 2 || at + 2 + length > size) break;
        if (marker == 0xE1 && length >= 16 && memcmp(data + at + 4, "Exif\0\0", 6) == 0)
            return cameo_exif_orientation(data + at + 10, length - 8);
        at += 2 + length;
    }
    return 1;
}

/* Pixel (x, y) of the upright picture in the stored one; the eight cases of the EXIF
   specification. */
static const unsigned char *oriented_source(const cameo_image *stored, int orientation, int x,
                                            int y) {
    const int w = stored->width, h = stored->height;
    int sx = x, sy = y;
    switch (orientation) {
    case 2: sx = w - 1 - x; break;
    case 3: sx = w - 1 - x, sy = h - 1 - y; break;
    case 4: sy = h - 1 - y; break;
    case 5: sx = y, sy = x; break;
    case 6: sx = y, sy = h - 1 - x; break;
    case 7: sx = w - 1 - y, sy = h - 1 - x; break;
    case 8: sx = w - 1 - y, sy = x; break;
    default: break;
    }
    return cameo_image_at(stored, sx, sy);
}

bool cameo_image_turn(cameo_image *image, int orientation, const char *name, cameo_error *error) {
    if (orientation <= 1) return true;
    int w = image->width, h = image->height;
    cameo_image upright = {0};
    if (!cameo_image_allocate(&upright, orientation >= 5 ? h : w, orientation >= 5 ? w : h, name,
                              error))
        return false;
    unsigned char *to = upright.pixels;
    for (int y = 0; y < upright.height; y++)
        for (int x = 0; x < upright.width; x++, to += 3)
            memcpy(to, oriented_source(image, orientation, x, y), 3);
    cameo_image_free(image);
    *image = upright;
    return true;
}

/* Four components, stored inverted as Adobe's programs do (Pillow assumes the same): r = k - (255
   - c) k / 255. */
static void from_cmyk(const unsigned char *cmyk, unsigned char *rgb, size_t pixels) {
    for (size_t i = 0; i < pixels; i++, cmyk += 4, rgb += 3)
        for (int c = 0; c < 3; c++) {
            int product = (255 - cmyk[c]) * cmyk[3] + 128;
            int value = cmyk[3] - (((product >> 8) + product) >> 8);
            rgb[c] = (unsigned char)(value < 0 ? 0 : value);
        }
}

/* Stray bytes between markers do no harm and are common in the wild; any other complaint means
   that pixels are missing. */
static bool jpeg_harmless(tjhandle handle) {
    return tjGetErrorCode(handle) == TJERR_WARNING &&
           strstr(tjGetErrorStr2(handle), "extraneous bytes");
}

/* The largest reduction by a power of two that leaves both sides at `least`; full size when least
   = 0. */
static void jpeg_scale(int *width, int *height, int least) {
    int by = 1;
    while (least > 0 && by < 8 && *width / (2 * by) >= least && *height / (2 * by) >= least)
        by *= 2;
    const tjscalingfactor factor = {1, by};
    *width = TJSCALED(*width, factor);
    *height = TJSCALED(*height, factor);
}

static bool jpeg_pixels(tjhandle handle, const unsigned char *data, size_t size, const char *name,
                        int least, cameo_image *image, cameo_error *error) {
    int width, height, subsampling, space;
    if (tjDecompressHeader3(handle, data, size, &width, &height, &subsampling, &space) != 0 &&
        !jpeg_harmless(handle))
        return cameo_reject(error, "%s: cannot decode JPEG: %s", name, tjGetErrorStr2(handle));
    jpeg_scale(&width, &height, least);
    if (!cameo_image_allocate(image, width, height, name, error)) return false;
    bool four = space == TJCS_CMYK || space == TJCS_YCCK;
    size_t pixels = (size_t)width * (size_t)height;
    unsigned char *cmyk = four ? cameo_allocate(pixels, 4) : NULL;
    int result = tjDecompress2(handle, data, size, four ? cmyk : image->pixels, width, 0, height,
                               four ? TJPF_CMYK : TJPF_RGB,
                               (least ? TJFLAG_FASTDCT : TJFLAG_ACCURATEDCT) | TJFLAG_LIMITSCANS);
    if (four && result == 0) from_cmyk(cmyk, image->pixels, pixels);
    free(cmyk);
    if (result != 0 && !jpeg_harmless(handle))
        return cameo_reject(error, "%s: cannot decode JPEG: %s", name, tjGetErrorStr2(handle));
    return cameo_image_turn(image, jpeg_orientation(data, size), name, error);
}

static bool jpeg_decode(const unsigned char *data, size_t size, const char *name, int least,
                        cameo_image *image, cameo_error *error) {
    tjhandle handle = tjInitDecompress();
    if (!handle)
        return cameo_fail(error, CAMEO_ENVIRONMENT, "%s: cannot start the JPEG decoder", name);
    bool good = jpeg_pixels(handle, data, size, name, least, image, error);
    tjDestroy(handle);
    return good;
}

static bool decode(const unsigned char *data, size_t size, const char *name, int least,
                   cameo_image *image, cameo_error *error) {
    *image = (cameo_image){0};
    bool good;
    if (size == 0)
        good = cameo_reject(error, "%s: the file is empty", name);
    else if (size >= 2 && data[0] == 0xFF && data[1] == 0xD8)
        good = jpeg_decode(data, size, name, least, image, error);
    else if (size >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
        good = cameo_png_decode(data, size, name, image, error);
    else if (size >= 2 && data[0] == 'P' && strchr("2356", data[1]) && data[1])
        good = cameo_pnm_decode(data, size, name, image, error);
    else if (size > 20 && memcmp(data, "version https://git-lfs", 20) == 0)
        good = cameo_reject(error, "%s: is a Git LFS pointer, not the picture; run `git lfs pull`",
                            name);
    else
        good = cameo_reject(error, "%s: not a JPEG, PNG, PPM or PGM picture", name);
    if (!good) cameo_image_free(image);
    return good;
}

bool cameo_image_decode(const unsigned char *data, size_t size, const char *name,
                        cameo_image *image, cameo_error *error) {
    return decode(data, size, name, 0, image, error);
}

bool cameo_image_read_scaled(const char *path, int least, cameo_image *image, cameo_error *error) {
    *image = (cameo_image){0};
    size_t size;
    unsigned char *data = cameo_read_file(path, (size_t)512 << 20, &size, error);
    if (!data) return false;
    bool good = decode(data, size, path, least, image, error);
    free(data);
    return good;
}

bool cameo_image_read(const char *path, cameo_image *image, cameo_error *error) {
    return cameo_image_read_scaled(path, 0, image, error);
}
