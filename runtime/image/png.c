/* PNG through libpng's plain interface: its simplified one would apply gamma, which Pillow and
   training pipelines do not. */
#include "../base/files.h"
#include "image.h"
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

typedef struct source {
    const unsigned char *data;
    size_t size, at;
    const char *name;
    bool ended;         /* more was asked for than there is */
    cameo_error *error; /* the decoder's own: a complaint about what follows the rows is none of the
                           caller's */
} source;

static void take(png_structp png, png_bytep to, size_t count) {
    source *s = png_get_io_ptr(png);
    if (count > s->size - s->at) {
        s->ended = true;
        png_error(png, "the file ends too early");
    }
    memcpy(to, s->data + s->at, count);
    s->at += count;
}

static void complain(png_structp png, png_const_charp message) {
    const source *s = png_get_error_ptr(png);
    cameo_reject(s->error, "%s: cannot decode PNG: %s", s->name, message);
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message) { (void)png, (void)message; }

/* Every kind of PNG becomes 8-bit RGB: palettes and 1-, 2-, 4-bit grey expanded, 16 bits cut to
   the high byte, alpha dropped. */
static void set_rgb(png_structp png) {
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ImageMagick kept EXIF in a text before PNG had eXIf: a line end, "exif", a length, then the
   bytes in hex, 36 a line. */
static int profile_orientation(const char *text) {
    for (int i = 0; i < 3 && text; i++) text = strchr(text + (i > 0), '\n');
    if (!text) return 1;
    unsigned char *exif = cameo_allocate(strlen(text) / 2 + 1, 1);
    size_t size = 0;
    for (; *text; text++) {
        const int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0) continue;
        exif[size++] = (unsigned char)(high << 4 | low);
        text++;
    }
    const size_t head = size > 6 && memcmp(exif, "Exif\0\0", 6) == 0 ? 6 : 0;
    const int orientation = cameo_exif_orientation(exif + head, size - head);
    free(exif);
    return orientation;
}

/* By the eXIf chunk, else by such a text; 1 without both. */
static int orientation_of(png_structp png, png_infop info) {
    png_uint_32 size;
    png_bytep exif;
    png_textp text;
    int texts;
    if (png_get_eXIf_1(png, info, &size, &exif)) return cameo_exif_orientation(exif, size);
    if (!png_get_text(png, info, &text, &texts)) return 1;
    for (int i = 0; i < texts; i++)
        if (strcmp(text[i].key, "Raw profile type exif") == 0 ||
            strcmp(text[i].key, "Raw profile type APP1") == 0)
            return profile_orientation(text[i].text);
    return 1;
}

/* A file that was cut behind the last row has all that is wanted of it. */
static bool has_all_rows(png_structp png, png_infop info) {
    const bool interlaced = png_get_interlace_type(png, info) != PNG_INTERLACE_NONE;
    return interlaced ? png_get_current_pass_number(png) >= PNG_INTERLACE_ADAM7_PASSES
                      : png_get_current_row_number(png) >= png_get_image_height(png, info);
}

static bool read_rows(png_structp png, png_infop info, cameo_image *image, png_bytep **rows,
                      const source *s) {
    if (setjmp(png_jmpbuf(png))) return s->ended && *rows && has_all_rows(png, info);
    png_read_info(png, info);
    if (!cameo_image_allocate(image, png_get_image_width(png, info),
                              png_get_image_height(png, info), s->name, s->error))
        return false;
    set_rgb(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != (size_t)image->width * 3)
        png_error(png, "unexpected row size");
    *rows = cameo_allocate((size_t)image->height, sizeof **rows);
    for (int y = 0; y < image->height; y++) (*rows)[y] = cameo_image_at(image, 0, y);
    png_read_image(png, *rows);
    png_read_end(png, info); /* eXIf may stand behind the rows */
    return true;
}

/* piece: bytes of the compressed rows that libpng asks for at once; 0: as many as it likes. */
static bool decode(source *s, size_t piece, cameo_image *image) {
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, s, complain, ignore);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return cameo_fail(s->error, CAMEO_ENVIRONMENT, "%s: out of memory", s->name);
    }
    png_set_read_fn(png, s, take);
    png_set_user_limits(png, CAMEO_IMAGE_SIDE, CAMEO_IMAGE_SIDE);
    png_set_chunk_malloc_max(png, 16 << 20);
    if (piece) png_set_compression_buffer_size(png, piece);
    png_bytep *rows = NULL;
    bool good = read_rows(png, info, image, &rows, s);
    const int orientation = good ? orientation_of(png, info) : 1;
    free(rows);
    png_destroy_read_struct(&png, &info, NULL);
    return good && cameo_image_turn(image, orientation, s->name, s->error);
}

/* A file that ends within its rows' last bytes, which are a checksum, has them all: libpng sees
   them byte by byte only. */
bool cameo_png_decode(const unsigned char *data, size_t size, const char *name, cameo_image *image,
                      cameo_error *error) {
    cameo_error why = {0};
    source s = {data, size, 0, name, false, &why};
    bool good = decode(&s, 0, image);
    if (!good && s.ended) {
        cameo_image_free(image);
        s.at = 0;
        s.ended = false;
        good = decode(&s, 1, image);
    }
    return good || cameo_fail(error, why.code, "%s", why.message);
}
