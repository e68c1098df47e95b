/* Pictures: PNM by value, JPEG there and back, broken files, resizing against values made with
   Pillow 9.4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/class_names.h"
#include "runtime/image/preprocess.h"
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

static const unsigned char golden_bilinear_5[] = {
    106, 131, 143, 120, 135, 146, 126, 124, 134, 115, 130, 137, 119, 144, 118,
    123, 134, 130, 140, 141, 132, 141, 128, 126, 127, 129, 127, 135, 144, 144,
    115, 147, 122, 128, 130, 113, 144, 134, 127, 124, 132, 109, 138, 106, 128,
    131, 105, 146, 132, 117, 138, 122, 121, 128, 128, 124, 132, 129, 100, 153};
static const unsigned char golden_bicubic_5[] = {
    101, 130, 143, 122, 135, 147, 123, 125, 134, 112, 126, 139, 118, 147, 115,
    126, 133, 128, 144, 140, 134, 139, 130, 122, 128, 129, 129, 137, 145, 145,
    112, 154, 122, 128, 128, 110, 146, 137, 126, 125, 132, 105, 140, 104, 130,
    131, 102, 150, 133, 117, 140, 119, 122, 125, 127, 124, 134, 129, 97,  156};
static const unsigned char golden_bilinear_20[] = {
    34,  87,  140, 53,  106, 159, 79,  132, 173, 105, 158, 136, 131, 143, 141, 149, 113, 166, 112,
    139, 192, 112, 165, 158, 137, 187, 83,  163, 108, 109, 137, 82,  135, 58,  108, 161, 80,  133,
    126, 106, 133, 116, 132, 96,  142, 102, 114, 167, 87,  140, 158, 113, 166, 79,  139, 192, 85,
    158, 211, 104, 133, 186, 97,  157, 143, 121, 171, 100, 142, 111, 132, 119, 111, 128, 120, 137,
    109, 135, 113, 122, 168, 112, 147, 146, 126, 175, 89,  158, 115, 122, 144, 101, 145, 84,  133,
    158, 112, 148, 137, 136, 145, 136, 150, 122, 169, 131, 147, 119, 127, 148, 90,  159, 88,  123,
    116, 102, 140, 72,  125, 150, 66,  119, 143, 94,  134, 131, 129, 146, 125, 149, 130, 164, 146,
    150, 142, 135, 177, 99,  174, 123, 137, 159, 123, 134, 109, 159, 101, 148, 124, 140, 149, 126,
    133, 114, 164, 79,  150, 114, 114, 150, 100, 129, 96,  138, 112, 124, 128, 128, 143, 124, 155,
    127, 144, 194, 139, 179, 158, 155, 208, 118, 150, 203, 114, 117, 170, 107, 87,  130, 104, 133,
    120, 132, 131, 135, 111, 111, 153, 75,  157, 107, 120, 149, 113, 124, 106, 156, 99,  152, 128,
    144, 160, 137, 144, 132, 182, 97,  87,  140, 122, 79,  124, 133, 125, 152, 124, 154, 146, 81,
    169, 124, 66,  159, 77,  112, 119, 90,  143, 85,  110, 163, 83,  136, 160, 108, 120, 158, 134,
    113, 148, 131, 165, 108, 104, 157, 116, 74,  119, 145, 126, 97,  142, 137, 118, 118, 118, 167,
    81,  170, 127, 134, 176, 106, 149, 136, 102, 128, 114, 135, 88,  124, 137, 88,  176, 97,  140,
    146, 90,  126, 119, 100, 131, 116, 133, 183, 142, 108, 161, 168, 78,  131, 182, 75,  128, 149,
    72,  125, 112, 81,  134, 108, 139, 192, 146, 130, 183, 192, 90,  143, 147, 86,  139, 125, 118,
    111, 120, 173, 70,  75,  128, 129, 81,  103, 156, 141, 100, 153, 139, 156, 109, 118, 171, 108,
    73,  126, 167, 119, 117, 170, 157, 99,  152, 152, 53,  106, 115, 93,  146, 82,  135, 188};
static const unsigned char golden_bicubic_20[] = {
    27,  78,  142, 43,  101, 165, 73,  137, 180, 106, 168, 131, 139, 146, 133, 154, 108, 166, 107,
    135, 198, 102, 171, 162, 136, 187, 83,  173, 102, 105, 142, 71,  139, 57,  108, 164, 73,  142,
    122, 109, 137, 105, 136, 90,  138, 98,  105, 181, 76,  138, 170, 107, 171, 71,  143, 201, 78,
    166, 219, 106, 141, 204, 87,  172, 145, 120, 186, 87,  149, 99,  137, 112, 102, 131, 110, 142,
    100, 134, 107, 116, 176, 100, 150, 151, 123, 175, 90,  165, 110, 120, 148, 93,  152, 83,  135,
    166, 109, 158, 133, 142, 151, 133, 158, 116, 180, 127, 156, 113, 121, 159, 72,  171, 73,  121,
    113, 87,  146, 54,  117, 156, 51,  106, 151, 84,  131, 129, 132, 154, 118, 160, 122, 178, 148,
    151, 151, 131, 190, 95,  189, 120, 143, 170, 119, 137, 108, 161, 99,  152, 119, 146, 154, 121,
    134, 112, 165, 68,  162, 104, 114, 162, 86,  136, 84,  145, 105, 122, 126, 126, 152, 116, 167,
    119, 151, 211, 143, 196, 160, 168, 222, 106, 167, 213, 110, 116, 181, 99,  74,  130, 97,  141,
    111, 137, 136, 132, 107, 107, 156, 62,  163, 101, 124, 153, 110, 128, 106, 159, 96,  157, 122,
    149, 171, 135, 149, 131, 193, 97,  70,  141, 126, 62,  119, 143, 125, 159, 122, 163, 160, 66,
    180, 128, 47,  168, 63,  101, 113, 79,  146, 68,  109, 172, 68,  137, 166, 103, 113, 169, 143,
    105, 155, 135, 178, 94,  93,  171, 108, 62,  118, 155, 130, 86,  148, 141, 114, 114, 114, 167,
    82,  182, 130, 140, 193, 99,  160, 138, 94,  127, 104, 138, 73,  121, 143, 75,  190, 89,  146,
    151, 75,  126, 106, 96,  128, 107, 149, 199, 149, 111, 165, 183, 68,  121, 193, 74,  129, 155,
    65,  118, 108, 73,  127, 97,  144, 206, 148, 136, 197, 204, 87,  142, 149, 75,  140, 123, 116,
    108, 119, 173, 69,  58,  130, 132, 67,  96,  167, 144, 96,  153, 150, 163, 102, 116, 182, 102,
    61,  128, 173, 117, 120, 182, 168, 98,  153, 158, 41,  94,  110, 92,  145, 72,  147, 200};

static cameo_image pattern(void) {
    cameo_image image = {13, 9, malloc(13 * 9 * 3)};
    for (int y = 0, i = 0; y < 9; y++)
        for (int x = 0; x < 13; x++)
            for (int c = 0; c < 3; c++)
                image.pixels[i++] = (unsigned char)(x * 37 + y * 91 + c * 53 + x * y * 7);
    return image;
}

static void resize_equals_pillow(void **state) {
    (void)state;
    const struct {
        int width, height;
        cameo_filter filter;
        const unsigned char *golden;
    } cases[] = {{5, 4, CAMEO_BILINEAR, golden_bilinear_5},
                 {20, 6, CAMEO_BILINEAR, golden_bilinear_20},
                 {5, 4, CAMEO_BICUBIC, golden_bicubic_5},
                 {20, 6, CAMEO_BICUBIC, golden_bicubic_20}};
    for (size_t i = 0; i < 4; i++) {
        cameo_image image = pattern();
        assert_true(
            cameo_image_resize(&image, cases[i].width, cases[i].height, cases[i].filter, NULL));
        assert_memory_equal(image.pixels, cases[i].golden,
                            (size_t)(cases[i].width * cases[i].height * 3));
        cameo_image_free(&image);
    }
}

static void pnm_by_value(void **state) {
    (void)state;
    const struct {
        const char *text;
        unsigned char first[3];
    } cases[] = {{"P2 # grey\n1 1 15\n15", {255, 255, 255}},
                 {"P3\n1 1\n255\n1 2 3", {1, 2, 3}},
                 {"P5 1 1 255\nA", {65, 65, 65}},
                 {"P6 1 1 255\nABC", {65, 66, 67}}};
    for (size_t i = 0; i < 4; i++) {
        cameo_image image;
        assert_true(cameo_image_decode((const unsigned char *)cases[i].text, strlen(cases[i].text),
                                       "x", &image, NULL));
        assert_memory_equal(image.pixels, cases[i].first, 3);
        cameo_image_free(&image);
    }
}

static void jpeg_there_and_back(void **state) {
    (void)state;
    cameo_image image = {16, 16, malloc(768)}, back;
    memset(image.pixels, 120, 768);
    unsigned char *data = NULL;
    unsigned long size = 0;
    tjhandle handle = tjInitCompress();
    assert_int_equal(
        tjCompress2(handle, image.pixels, 16, 0, 16, TJPF_RGB, &data, &size, TJSAMP_420, 95, 0), 0);
    assert_true(cameo_image_decode(data, size, "x.jpg", &back, NULL));
    for (int i = 0; i < 768; i++) assert_in_range(back.pixels[i], 118, 122);
    cameo_image_free(&back);
    cameo_error error = {0};
    for (size_t cut = 1; cut + 2 < size; cut += 7)
        assert_false(cameo_image_decode(data, cut, "x.jpg", &back, &error));
    tjFree(data);
    tjDestroy(handle);
    cameo_image_free(&image);
}

static void png_there_and_back(void **state) {
    (void)state;
    cameo_image image = pattern(), back;
    png_image p = {
        .version = PNG_IMAGE_VERSION, .width = 13, .height = 9, .format = PNG_FORMAT_RGB};
    static unsigned char data[4096];
    size_t size = sizeof data;
    assert_true(png_image_write_to_memory(&p, data, &size, 0, image.pixels, 0, NULL));
    assert_true(cameo_image_decode(data, size, "x.png", &back, NULL));
    assert_memory_equal(back.pixels, image.pixels, 13 * 9 * 3);
    cameo_image_free(&back);
    for (size_t cut = 0; cut + 21 < size; cut += 11)
        assert_false(cameo_image_decode(data, cut, "x.png", &back, NULL));
    cameo_image_free(&image);
}

/* A chunk into a PNG of *size bytes, behind byte `at`. */
static void insert_chunk(unsigned char *png, size_t *size, size_t at, const char *type,
                         const unsigned char *data, size_t n) {
    unsigned char *to = png + at, number[4];
    uint32_t crc = ~0u;
    memmove(to + n + 12, to, *size - at);
    *size += n + 12;
    memset(to, 0, 4);
    to[3] = (unsigned char)n;
    memcpy(to + 4, type, 4);
    memcpy(to + 8, data, n);
    for (size_t i = 0; i < n + 4; i++) {
        crc ^= to[4 + i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    for (int i = 0; i < 4; i++) number[i] = (unsigned char)(~crc >> (24 - 8 * i));
    memcpy(to + 8 + n, number, 4);
}

/* eXIf before or behind the rows, of either byte order: the stored left bottom of orientation 6 is
   the upright left top. */
static void png_orientation(void **state) {
    (void)state;
    static const unsigned char big[] = "MM\0\x2a\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0",
                               little[] =
                                   "II\x2a\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0";
    cameo_image image = pattern();
    png_image p = {
        .version = PNG_IMAGE_VERSION, .width = 13, .height = 9, .format = PNG_FORMAT_RGB};
    for (int k = 0; k < 4; k++) {
        unsigned char data[4096];
        size_t size = sizeof data - 100;
        cameo_image back;
        assert_true(png_image_write_to_memory(&p, data, &size, 0, image.pixels, 0, NULL));
        insert_chunk(data, &size, k < 2 ? 33 : size - 12, "eXIf", k % 2 ? big : little, 26);
        assert_true(cameo_image_decode(data, size, "x.png", &back, NULL));
        assert_int_equal(back.width, 9);
        assert_int_equal(back.height, 13);
        for (int y = 0; y < 13; y++)
            for (int x = 0; x < 9; x++)
                assert_memory_equal(back.pixels + 3 * (y * 9 + x),
                                    image.pixels + 3 * ((8 - x) * 13 + y), 3);
        cameo_image_free(&back);
    }
    cameo_image_free(&image);
}

/* EXIF as a text, which ImageMagick wrote for years. */
static void png_profile(void **state) {
    (void)state;
    static const unsigned char text[] =
        "Raw profile type exif\0\nexif\n      32\n"
        "4578696600004d4d002a000000080001011200030000\n0001000600000000\n";
    cameo_image image = pattern(), back;
    png_image p = {
        .version = PNG_IMAGE_VERSION, .width = 13, .height = 9, .format = PNG_FORMAT_RGB};
    unsigned char data[4096];
    size_t size = sizeof data - 200;
    assert_true(png_image_write_to_memory(&p, data, &size, 0, image.pixels, 0, NULL));
    insert_chunk(data, &size, 33, "tEXt", text, sizeof text - 1);
    assert_true(cameo_image_decode(data, size, "x.png", &back, NULL));
    assert_int_equal(back.width, 9);
    assert_memory_equal(back.pixels, image.pixels + 3 * 8 * 13, 3);
    cameo_image_free(&back);
    cameo_image_free(&image);
}

/* What follows the rows may be missing: IEND (12 bytes), the last chunk's sum (4), that of the
   compressed rows (4). A sum that is there and wrong is a fault all the same. */
static void png_without_an_end(void **state) {
    (void)state;
    cameo_image image = pattern(), back;
    png_image p = {
        .version = PNG_IMAGE_VERSION, .width = 13, .height = 9, .format = PNG_FORMAT_RGB};
    unsigned char data[4096];
    size_t size = sizeof data;
    cameo_error error = {0};
    assert_true(png_image_write_to_memory(&p, data, &size, 0, image.pixels, 0, NULL));
    for (size_t missing = 0; missing <= 20; missing++) {
        assert_true(cameo_image_decode(data, size - missing, "x.png", &back, &error));
        assert_int_equal(error.code, CAMEO_OK);
        assert_memory_equal(back.pixels, image.pixels, 13 * 9 * 3);
        cameo_image_free(&back);
    }
    assert_false(cameo_image_decode(data, size - 40, "x.png", &back, &error));
    assert_non_null(strstr(error.message, "ends too early"));
    data[size - 13] ^= 1;
    assert_false(cameo_image_decode(data, size, "x.png", &back, &error));
    cameo_image_free(&image);
}

/* A JPEG of the pixels; format and subsampling make it colour, grey or CMYK. Freed with tjFree. */
static unsigned char *encode(const unsigned char *pixels, int side, int format, int sampling,
                             unsigned long *size) {
    unsigned char *data = NULL;
    tjhandle handle = tjInitCompress();
    assert_int_equal(
        tjCompress2(handle, pixels, side, 0, side, format, &data, size, sampling, 95, 0), 0);
    tjDestroy(handle);
    return data;
}

static void expect_corner(const unsigned char *data, size_t size, int x, int y, int r, int g,
                          int b) {
    cameo_image image;
    cameo_error error = {0};
    if (!cameo_image_decode(data, size, "odd", &image, &error)) fail_msg("%s", error.message);
    const unsigned char *p = image.pixels + 3 * (y * image.width + x);
    assert_true(abs(p[0] - r) < 6 && abs(p[1] - g) < 6 && abs(p[2] - b) < 6);
    cameo_image_free(&image);
}

/* Grey and CMYK JPEGs, an EXIF rotation (6: the stored left bottom is the upright left top), a PNG
   of 16 bits. */
static void odd_pictures(void **state) {
    (void)state;
    static unsigned char rgb[16 * 16 * 3], cmyk[16 * 16 * 4], png[8192];
    static const unsigned char exif[] = {0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0,  'M', 'M',
                                         0,    42,   0, 0,  0,   8,   0,   1,   1, 18, 0,   3,
                                         0,    0,    0, 1,  0,   6,   0,   0,   0, 0,  0,   0};
    static uint16_t deep[16 * 16 * 3];
    unsigned long size;
    for (int i = 0; i < 256; i++) {
        memset(rgb + 3 * i, i / 16 < 8 ? 40 : 200, 3);   /* dark above, light below */
        memset(cmyk + 4 * i, 255, 4), cmyk[4 * i] = 100; /* inverted, as Adobe stores it: some cyan
                                                          */
        for (int c = 0; c < 3; c++) deep[3 * i + c] = (uint16_t)(0x8000 + c * 0x1000);
    }
    unsigned char *data = encode(rgb, 16, TJPF_RGB, TJSAMP_GRAY, &size);
    expect_corner(data, size, 0, 0, 40, 40, 40);
    unsigned char *turned = malloc(size + sizeof exif);
    memcpy(turned, data, 2);
    memcpy(turned + 2, exif, sizeof exif);
    memcpy(turned + 2 + sizeof exif, data + 2, size - 2);
    expect_corner(turned, size + sizeof exif, 0, 0, 200, 200, 200);
    expect_corner(turned, size + sizeof exif, 15, 0, 40, 40, 40);
    free(turned);
    tjFree(data);
    data = encode(cmyk, 16, TJPF_CMYK, TJSAMP_444, &size);
    expect_corner(data, size, 3, 3, 100, 255, 255);
    tjFree(data);
    png_image p = {
        .version = PNG_IMAGE_VERSION, .width = 16, .height = 16, .format = PNG_FORMAT_LINEAR_RGB};
    size_t bytes = sizeof png;
    assert_true(png_image_write_to_memory(&p, png, &bytes, 0, deep, 0, NULL));
    assert_int_equal(png[24], 16); /* IHDR says 16 bits */
    expect_corner(png, bytes, 5, 5, 0x80, 0x90, 0xA0);
}

/* A header of 50,000 x 50,000 pixels is refused before anything of that size is allocated. */
static void huge_headers_are_refused(void **state) {
    (void)state;
    static unsigned char rgb[16 * 16 * 3], png[8192];
    unsigned long size;
    unsigned char *data = encode(rgb, 16, TJPF_RGB, TJSAMP_444, &size);
    for (unsigned long i = 0; i + 9 < size; i++)
        if (data[i] == 0xFF && data[i + 1] == 0xC0)
            data[i + 5] = data[i + 7] = 0xC3, data[i + 6] = data[i + 8] = 0x50;
    png_image p = {
        .version = PNG_IMAGE_VERSION, .width = 16, .height = 16, .format = PNG_FORMAT_RGB};
    size_t bytes = sizeof png;
    assert_true(png_image_write_to_memory(&p, png, &bytes, 0, rgb, 0, NULL));
    png[18] = png[22] = 0xC3, png[19] = png[23] = 0x50;
    png[29] ^= 1; /* its checksum is wrong too now, which is as good a reason */
    const struct {
        const unsigned char *data;
        size_t size;
    } cases[] = {{data, size}, {png, bytes}};
    for (int i = 0; i < 2; i++) {
        cameo_image image;
        cameo_error error = {0};
        assert_false(cameo_image_decode(cases[i].data, cases[i].size, "huge", &image, &error));
        assert_int_equal(error.code, CAMEO_BAD_INPUT);
        assert_null(image.pixels);
        if (i == 0) assert_non_null(strstr(error.message, "50000 x 50000"));
    }
    tjFree(data);
}

static void broken_files_are_named(void **state) {
    (void)state;
    const char *const texts[] = {"",
                                 "hello",
                                 "P6",
                                 "P6 0 1 255\n",
                                 "P6 9 9 255\nabc",
                                 "P3 1 1 9 a",
                                 "P2 1 1 5\n 6",
                                 "P5 1 1 70000\na",
                                 "P6 99999 99999 255\n",
                                 "\xff\xd8",
                                 "\xff\xd8\xff\xe1",
                                 "\x89PNG\r\n\x1a\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cameo_image image;
        cameo_error error = {0};
        assert_false(cameo_image_decode((const unsigned char *)texts[i], strlen(texts[i]), "bad",
                                        &image, &error));
        assert_int_equal(error.code, CAMEO_BAD_INPUT);
        assert_memory_equal(error.message, "bad: ", 5);
        assert_null(image.pixels);
    }
}

static void preprocessing(void **state) {
    (void)state;
    cameo_tensor_info input = {"x", 1, 4, {1, 3, 1, 1}, true};
    cameo_preprocess p;
    float out[3];
    cameo_image image = {1, 1, malloc(3)};
    memcpy(image.pixels, "\x00\x7f\xff", 3);
    assert_true(
        cameo_preprocess_parse("size=1x1 color=bgr mean=127.5 scale=1/127.5", &input, &p, NULL));
    assert_true(cameo_preprocess_apply(&p, &image, out, NULL));
    assert_true(out[0] == 1 && out[2] == -1 && out[1] < 0);
    cameo_image_free(&image);
    const char *const bad[] = {"colour=rgb", "size=2x2", "mean=1,2", "scale=1/0",
                               "color=gray", "mean=a",   "size"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(cameo_preprocess_parse(bad[i], &input, &p, NULL));
}

/* A network that takes uint8 gets the pixels, in its own order, and nothing else is accepted. */
static void pixels_as_they_are(void **state) {
    (void)state;
    const cameo_tensor_info last = {"x", 2, 4, {1, 2, 1, 3}, true},
                            first = {"x", 2, 4, {1, 3, 1, 2}, true};
    unsigned char out[7] = {[6] = 99};
    cameo_image image = {2, 1, malloc(6)};
    cameo_preprocess p;
    memcpy(image.pixels, "\x01\x02\x03\x04\x05\xff", 6);
    assert_true(cameo_preprocess_parse("color=rgb", &last, &p, NULL) &&
                cameo_preprocess_bytes(&p) == 6);
    cameo_preprocess_values(&p, image.pixels, out);
    assert_memory_equal(out, "\x01\x02\x03\x04\x05\xff\x63", 7);
    assert_true(cameo_preprocess_parse("color=bgr mean=0 scale=1", &first, &p, NULL));
    cameo_preprocess_values(&p, image.pixels, out);
    assert_memory_equal(out, "\x03\xff\x02\x05\x01\x04\x63", 7);
    cameo_image_free(&image);
    cameo_error error = {0};
    const char *const bad[] = {"mean=127.5", "scale=1/255", "mean=0,0,1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(cameo_preprocess_parse(bad[i], &last, &p, &error));
        assert_non_null(strstr(error.message, "mean=0 and scale=1 are all that fits"));
    }
}

/* A line ends as on Unix, Windows or old Macs; nothing between two names may be empty. */
static void names_of_classes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t count; /* 0: refused */
        const char *says;
    } cases[] = {{"a\nb\nc\n", 3, NULL},
                 {"a\nb\nc", 3, NULL},
                 {"a\r\nb\r\nc\r\n\r\n", 3, NULL},
                 {"a\rb\rc\r", 3, NULL},
                 {"\xEF\xBB\xBF"
                  "a\nb\nc\n\n \n",
                  3, NULL},
                 {"a\n\"b\nc", 3, NULL}, /* a quotation mark joins no lines */
                 {"a\n\n\"b\"\nc\n", 0, "names: line 2 is empty"},
                 {"a\n \t\nb\nc\n", 0, "names: line 2 is empty"},
                 {"\na\nb\nc\n", 0, "names: line 1 is empty"},
                 {"a\r\nb\r\n\r\nc", 0, "names: line 3 is empty"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cameo_class_names n;
        cameo_error error = {0};
        const bool good = cameo_class_names_parse(cases[i].text, strlen(cases[i].text), "names", &n,
                                                  &error);
        assert_int_equal(good, cases[i].count > 0);
        assert_int_equal(n.count, cases[i].count);
        if (good) assert_string_equal(n.name[0], "a");
        if (good) assert_string_equal(n.name[2], "c");
        if (!good) assert_non_null(strstr(error.message, cases[i].says));
        cameo_class_names_free(&n);
    }
    cameo_class_names n;
    assert_false(cameo_class_names_parse("a\0b", 3, "names", &n, NULL));
    assert_true(cameo_class_names_parse("", 0, "names", &n, NULL) && n.count == 0);
    cameo_class_names_free(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_equals_pillow), cmocka_unit_test(pnm_by_value),
        cmocka_unit_test(jpeg_there_and_back),  cmocka_unit_test(png_there_and_back),
        cmocka_unit_test(png_orientation),      cmocka_unit_test(png_profile),
        cmocka_unit_test(png_without_an_end),   cmocka_unit_test(broken_files_are_named),
        cmocka_unit_test(odd_pictures),         cmocka_unit_test(huge_headers_are_refused),
        cmocka_unit_test(preprocessing),        cmocka_unit_test(pixels_as_they_are),
        cmocka_unit_test(names_of_classes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
