/* Augmentation, with torchvision's definitions where it has the same transform (RandomCrop,
   RandomHorizontalFlip, ColorJitter in the order brightness, contrast, saturation; RandomErasing;
   RandomResizedCrop). */
#include "augment.h"
#include "../base/files.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the text ---- */

static bool parse_number(const char *text, double low, double high, double *value) {
    char *end;
    *value = strtod(text, &end);
    return end != text && !*end && *value >= low && *value <= high;
}

static bool parse_word(const char *word, const char *value, cameo_augment *a) {
    double pixels;
    if (strcmp(word, "flip") == 0) return a->flip = true, !*value;
    if (strcmp(word, "crop") == 0) {
        if (!parse_number(value, 0, 4096, &pixels) || pixels != floor(pixels)) return false;
        return a->crop = (int)pixels, true;
    }
    if (strcmp(word, "rotate") == 0) return parse_number(value, 0, 180, &a->rotate);
    if (strcmp(word, "jitter") == 0) return parse_number(value, 0, 1, &a->jitter);
    if (strcmp(word, "erase") == 0) return parse_number(value, 0, 1, &a->erase);
    if (strcmp(word, "resized-crop") == 0) return parse_number(value, 0.01, 1, &a->resized);
    return strcmp(word, "none") == 0 && !*value;
}

bool cameo_augment_parse(const char *text, cameo_augment *a, cameo_error *error) {
    *a = (cameo_augment){0};
    char *copy = cameo_join(NULL, text), *rest = NULL;
    bool good = true;
    for (char *word = strtok_r(copy, ", ", &rest); word && good;
         word = strtok_r(NULL, ", ", &rest)) {
        char *equals = strchr(word, '=');
        if (equals) *equals = 0;
        good = parse_word(word, equals ? equals + 1 : "", a);
        if (!good)
            cameo_fail(error, CAMEO_USAGE,
                       "augment: cannot understand \"%s%s%s\"\n    hint: crop=PIXELS, "
                       "resized-crop=LEAST_AREA, flip, rotate=DEGREES, "
                       "jitter=0..1, erase=PROBABILITY",
                       word, equals ? "=" : "", equals ? equals + 1 : "");
    }
    free(copy);
    if (good && a->crop && a->resized > 0)
        good = cameo_fail(error, CAMEO_USAGE, "augment: crop and resized-crop exclude each other");
    return good;
}

/* ---- cutting a crop out of a whole picture ---- */

typedef struct rectangle {
    int x, y, w, h;
} rectangle;

/* Ten tries at a rectangle of a random share of the area and a random shape; the largest square in
   the middle after that. */
static rectangle random_crop(const cameo_image *picture, double least, cameo_random *r) {
    const int w = picture->width, h = picture->height;
    for (int i = 0; i < 10; i++) {
        const double area = (double)w * h * cameo_random_between(r, least, 1);
        const double ratio = exp(cameo_random_between(r, log(3.0 / 4), log(4.0 / 3)));
        const rectangle c = {.w = (int)lround(sqrt(area * ratio)),
                             .h = (int)lround(sqrt(area / ratio))};
        if (c.w < 1 || c.h < 1 || c.w > w || c.h > h) continue;
        const int x = (int)cameo_random_below(r, (size_t)(w - c.w) + 1),
                  y = (int)cameo_random_below(r, (size_t)(h - c.h) + 1);
        return (rectangle){x, y, c.w, c.h};
    }
    const int side = w < h ? w : h;
    return (rectangle){(w - side) / 2, (h - side) / 2, side, side};
}

static bool resized_crop(const cameo_augment *a, const cameo_preprocess *p,
                         const cameo_image *picture, cameo_random *r, cameo_image *out,
                         cameo_error *error) {
    const rectangle c = random_crop(picture, a->resized, r);
    if (!cameo_image_allocate(out, c.w, c.h, "crop", error)) return false;
    for (int y = 0; y < c.h; y++)
        memcpy(cameo_image_at(out, 0, y), cameo_image_at(picture, c.x, c.y + y), (size_t)c.w * 3);
    cameo_preprocess_gray(p, out);
    return cameo_image_resize(out, p->width, p->height, p->filter, error);
}

/* ---- colours ---- */

static unsigned char to_byte(double v) { return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v); }

static double luma(const unsigned char *rgb) {
    return 0.2989 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
}

static double mean_luma(const cameo_image *image) {
    double sum = 0;
    const size_t n = cameo_image_size(image);
    for (size_t i = 0; i < n; i++) sum += floor(luma(image->pixels + 3 * i));
    return sum / (double)n;
}

static void jitter(cameo_image *image, double by, cameo_random *r) {
    const double brightness = cameo_random_between(r, 1 - by, 1 + by),
                 contrast = cameo_random_between(r, 1 - by, 1 + by),
                 saturation = cameo_random_between(r, 1 - by, 1 + by);
    const size_t n = cameo_image_size(image);
    for (size_t i = 0; i < 3 * n; i++) image->pixels[i] = to_byte(brightness * image->pixels[i]);
    const double mean = mean_luma(image);
    for (size_t i = 0; i < 3 * n; i++)
        image->pixels[i] = to_byte(contrast * image->pixels[i] + (1 - contrast) * mean);
    for (unsigned char *x = image->pixels, *end = x + 3 * n; x < end; x += 3) {
        const double grey = floor(luma(x));
        for (int c = 0; c < 3; c++) x[c] = to_byte(saturation * x[c] + (1 - saturation) * grey);
    }
}

/* ---- geometry ---- */

typedef struct placing { /* output pixel (x, y) shows source pixel (x' + dx, y + dy), x' = x or its
                            mirror */
    int dx, dy;
    bool flip;
    double sine, cosine; /* of the rotation */
} placing;

typedef struct target { /* where value (c, x, y) goes: to[c * channel + (y * width + x) * pixel] */
    float *to;
    size_t channel, pixel;
    int width, height, channels;
} target;

static target make_target(const cameo_preprocess *p, float *out) {
    const size_t n = (size_t)p->width * (size_t)p->height;
    return (target){out,
                    p->channels_last ? 1 : n,
                    p->channels_last ? (size_t)p->channels : 1,
                    p->width,
                    p->height,
                    p->channels};
}

static int clamp(int v, int least, int most) { return v < least ? least : v > most ? most : v; }

static void shift_row(const target *t, const float *value, const unsigned char *row,
                      const placing *g, float *to) {
    const int first = g->flip ? g->dx : -g->dx, begin = clamp(first, 0, t->width),
              end = clamp(first + t->width, begin, t->width);
    int x = 0, sx = 3 * ((g->flip ? t->width - 1 - begin : begin) + g->dx);
    const int step = g->flip ? -3 : 3;
    for (; x < begin; x++, to += t->pixel) *to = 0;
    for (; x < end; x++, to += t->pixel, sx += step) *to = value[row[sx]];
    for (; x < t->width; x++, to += t->pixel) *to = 0;
}

static void shift(const target *t, const cameo_preprocess *p, const unsigned char *pixels,
                  const placing *g) {
    for (int c = 0; c < t->channels; c++)
        for (int y = 0; y < t->height; y++) {
            float *to = t->to + (size_t)c * t->channel + (size_t)y * (size_t)t->width * t->pixel;
            const int sy = y + g->dy, sc = p->color == CAMEO_BGR ? 2 - c : c;
            if (sy >= 0 && sy < t->height)
                shift_row(t, p->value[c], pixels + 3 * (size_t)sy * (size_t)t->width + sc, g, to);
            else
                for (int x = 0; x < t->width; x++) to[(size_t)x * t->pixel] = 0;
        }
}

/* The value at a place between pixels; zero outside. */
static float bilinear(const target *t, const float *value, const unsigned char *plane, double x,
                      double y) {
    const double left = floor(x), top = floor(y);
    const float fx = (float)(x - left), fy = (float)(y - top);
    float sum = 0;
    for (int k = 0; k < 4; k++) {
        const int sx = (int)left + (k & 1), sy = (int)top + (k >> 1);
        if (sx < 0 || sy < 0 || sx >= t->width || sy >= t->height) continue;
        sum += (k & 1 ? fx : 1 - fx) * (k >> 1 ? fy : 1 - fy) *
               value[plane[3 * (sy * t->width + sx)]];
    }
    return sum;
}

static void turn(const target *t, const cameo_preprocess *p, const unsigned char *pixels,
                 const placing *g) {
    const double cx = (t->width - 1) / 2.0, cy = (t->height - 1) / 2.0;
    for (int c = 0; c < t->channels; c++) {
        const unsigned char *plane = pixels + (p->color == CAMEO_BGR ? 2 - c : c);
        float *to = t->to + (size_t)c * t->channel;
        for (int y = 0; y < t->height; y++)
            for (int x = 0; x < t->width; x++, to += t->pixel) {
                const double rx = x - cx, ry = y - cy, ux = g->cosine * rx + g->sine * ry + cx;
                const double sy = -g->sine * rx + g->cosine * ry + cy + g->dy;
                const double sx = (g->flip ? t->width - 1 - ux : ux) + g->dx;
                *to = bilinear(t, p->value[c], plane, sx, sy);
            }
    }
}

static void blank(const target *t, rectangle z) {
    for (int c = 0; c < t->channels; c++)
        for (int y = z.y; y < z.y + z.h; y++)
            for (int x = z.x; x < z.x + z.w; x++)
                t->to[(size_t)c * t->channel + (size_t)(y * t->width + x) * t->pixel] = 0;
}

static void erase(const target *t, cameo_random *r) {
    for (int i = 0; i < 10; i++) {
        const double area = (double)t->width * t->height * cameo_random_between(r, 0.02, 0.33);
        const double ratio = exp(cameo_random_between(r, log(0.3), log(3.3)));
        rectangle z = {.w = (int)lround(sqrt(area / ratio)), .h = (int)lround(sqrt(area * ratio))};
        if (z.w < 1 || z.h < 1 || z.w >= t->width || z.h >= t->height) continue;
        z.x = (int)cameo_random_below(r, (size_t)(t->width - z.w) + 1);
        z.y = (int)cameo_random_below(r, (size_t)(t->height - z.h) + 1);
        blank(t, z);
        return;
    }
}

static void place(const cameo_augment *a, const cameo_preprocess *p, const unsigned char *pixels,
                  cameo_random *r, float *out) {
    const target t = make_target(p, out);
    placing g = {.cosine = 1};
    if (a->crop) {
        g.dx = (int)cameo_random_below(r, 2 * (size_t)a->crop + 1) - a->crop;
        g.dy = (int)cameo_random_below(r, 2 * (size_t)a->crop + 1) - a->crop;
    }
    if (a->flip) g.flip = cameo_random_unit(r) < 0.5;
    if (a->rotate > 0) {
        const double angle = cameo_random_between(r, -a->rotate, a->rotate) * M_PI / 180;
        g.sine = sin(angle), g.cosine = cos(angle);
    }
    (a->rotate > 0 ? turn : shift)(&t, p, pixels, &g);
    if (a->erase > 0 && cameo_random_unit(r) < a->erase) erase(&t, r);
}

bool cameo_augment_apply(const cameo_augment *a, const cameo_preprocess *p,
                         const cameo_image *picture, cameo_random *r, float *out,
                         cameo_error *error) {
    cameo_image own = {0};
    bool good = true;
    if (a->resized > 0) {
        good = resized_crop(a, p, picture, r, &own, error);
    } else if (a->jitter > 0) {
        good = cameo_image_allocate(&own, picture->width, picture->height, "jitter", error);
        if (good) memcpy(own.pixels, picture->pixels, 3 * cameo_image_size(&own));
    }
    if (good && a->jitter > 0) jitter(&own, a->jitter, r);
    if (good) place(a, p, own.pixels ? own.pixels : picture->pixels, r, out);
    cameo_image_free(&own);
    return good;
}

/* ---- mixing ---- */

static void blend(float *x, float *y, size_t n, float lambda) {
    for (size_t i = 0; i < n; i++) {
        const float a = x[i], b = y[i];
        x[i] = lambda * a + (1 - lambda) * b;
        y[i] = lambda * b + (1 - lambda) * a;
    }
}

static void swap_rectangle(const cameo_preprocess *p, float *x, float *y, rectangle z) {
    const target t = make_target(p, x);
    for (int c = 0; c < t.channels; c++)
        for (int row = z.y; row < z.y + z.h; row++)
            for (int column = z.x; column < z.x + z.w; column++) {
                const size_t at = (size_t)c * t.channel +
                                  (size_t)(row * t.width + column) * t.pixel;
                const float swapped = x[at];
                x[at] = y[at];
                y[at] = swapped;
            }
}

/* A rectangle of 1 - lambda of the area with its centre anywhere, cut at the edges; *lambda
   becomes what is left outside. */
static rectangle cut_out(const cameo_preprocess *p, double *lambda, cameo_random *r) {
    const double side = sqrt(1 - *lambda);
    const int w = (int)(p->width * side), h = (int)(p->height * side);
    const int cx = (int)cameo_random_below(r, (size_t)p->width),
              cy = (int)cameo_random_below(r, (size_t)p->height);
    const int x0 = cx - w / 2 < 0 ? 0 : cx - w / 2, y0 = cy - h / 2 < 0 ? 0 : cy - h / 2;
    const int x1 = cx - w / 2 + w > p->width ? p->width : cx - w / 2 + w,
              y1 = cy - h / 2 + h > p->height ? p->height : cy - h / 2 + h;
    *lambda = 1 - (double)(x1 - x0) * (y1 - y0) / ((double)p->width * p->height);
    return (rectangle){x0, y0, x1 - x0, y1 - y0};
}

void cameo_augment_mix(const cameo_augment *a, const cameo_preprocess *p, cameo_random *r, size_t n,
                       float *images, const int64_t *labels, int64_t *labels_b, float *mix) {
    const size_t elements = (size_t)p->width * (size_t)p->height * (size_t)p->channels;
    const bool any = a->mixup > 0 || a->cutmix > 0;
    const bool cut = a->cutmix > 0 && (a->mixup <= 0 || cameo_random_unit(r) < 0.5);
    const double alpha = cut ? a->cutmix : a->mixup;
    double lambda = any ? cameo_random_beta(r, alpha, alpha) : 1;
    const rectangle z = any && cut ? cut_out(p, &lambda, r) : (rectangle){0};
    for (size_t i = 0; any && i < n / 2; i++) {
        float *x = images + i * elements, *y = images + (n - 1 - i) * elements;
        if (cut)
            swap_rectangle(p, x, y, z);
        else
            blend(x, y, elements, (float)lambda);
    }
    for (size_t i = 0; i < n; i++) {
        labels_b[i] = any ? labels[n - 1 - i] : labels[i];
        mix[i] = (float)lambda;
    }
}
