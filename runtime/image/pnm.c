/* PPM and PGM: plain (P2, P3) and raw (P5, P6), maxval up to 65535, # comments. After Netpbm's
   manual pages ppm(5) and pgm(5). */
#include "../base/files.h"
#include "image.h"

typedef struct reader {
    const unsigned char *p, *end;
} reader;

static bool is_space(unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Next decimal number, spaces and comments skipped; -1 when there is none or it is beyond 65535 *
   16. */
static long next_number(reader *r) {
    while (r->p < r->end && (is_space(*r->p) || *r->p == '#')) {
        if (*r->p == '#')
            while (r->p < r->end && *r->p != '\n') r->p++;
        else
            r->p++;
    }
    if (r->p == r->end || *r->p < '0' || *r->p > '9') return -1;
    long value = 0;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9') {
        value = value * 10 + (*r->p++ - '0');
        if (value > 1048560) return -1;
    }
    return value;
}

static long next_sample(reader *r, bool plain, bool wide) {
    if (plain) return next_number(r);
    if (r->end - r->p < (wide ? 2 : 1)) return -1;
    long value = *r->p++;
    if (wide) value = value << 8 | *r->p++;
    return value;
}

static bool read_samples(reader *r, cameo_image *image, bool plain, bool colour, long maximum) {
    unsigned char *to = image->pixels;
    for (size_t left = cameo_image_size(image); left--; to += 3)
        for (int c = 0; c < (colour ? 3 : 1); c++) {
            long value = next_sample(r, plain, maximum > 255);
            if (value < 0 || value > maximum) return false;
            to[c] = (unsigned char)((value * 255 + maximum / 2) / maximum);
            if (!colour) to[1] = to[2] = to[0];
        }
    return true;
}

bool cameo_pnm_decode(const unsigned char *data, size_t size, const char *name, cameo_image *image,
                      cameo_error *error) {
    bool plain = data[1] == '2' || data[1] == '3', colour = data[1] == '3' || data[1] == '6';
    reader r = {data + 2, data + size};
    long width = next_number(&r), height = next_number(&r), maximum = next_number(&r);
    if (width < 1 || height < 1 || maximum < 1 || maximum > 65535)
        return cameo_reject(error, "%s: bad PPM/PGM header (width, height, maxval expected)", name);
    if (!plain && r.p < r.end) r.p++; /* exactly one space before the samples */
    /* a sample takes at least one byte: refuse before allocating what the file cannot hold */
    if (width <= CAMEO_IMAGE_SIDE && height <= CAMEO_IMAGE_SIDE &&
        width * height * (colour ? 3 : 1) > r.end - r.p)
        return cameo_reject(error, "%s: the file ends too early for %ld x %ld pixels", name, width,
                            height);
    if (!cameo_image_allocate(image, width, height, name, error)) return false;
    if (!read_samples(&r, image, plain, colour, maximum))
        return cameo_reject(error, "%s: samples missing or beyond maxval %ld", name, maximum);
    return true;
}
