/* The text that says how a picture becomes a network's input: its parsing, and whether it fits the
   input. Apart from preprocess.c, since the compiler checks such texts as well and has no
   pictures. */
#include "../base/files.h"
#include "preprocess.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char cameo_preprocess_forms[] =
    "  --preprocess \"color=rgb mean=127.5 scale=1/127.5\"        faces at 112x112: (x - 127.5) / "
    "127.5\n"
    "  --preprocess \"color=rgb mean=127.5 scale=1/128\"          the same with / 128 (color=bgr "
    "for OpenCV pipelines)\n"
    "  --preprocess \"color=rgb mean=123.675,116.28,103.53 "
    "scale=0.0171247538,0.0175070028,0.0174291939\"   ImageNet mean and "
    "std\n"
    "  --preprocess \"resize=256 crop=224x224 color=rgb mean=123.675,116.28,103.53 scale=...\"     "
    "        the same, "
    "evaluation crop\n"
    "  --preprocess \"color=rgb mean=0 scale=1/255\"              x / 255\n";

enum { FLOAT32 = 1, UINT8 = 2 }; /* ONNX's numbers of element types */

typedef struct parsed {
    int size[2], crop[2];
    double mean[3], scale[3];
    bool color_given;
} parsed;

static bool parse_size(const char *text, int size[2]) {
    char *end;
    long width = strtol(text, &end, 10), height = width;
    if (*end == 'x') height = strtol(end + 1, &end, 10);
    if (end == text || *end || width < 1 || height < 1 || width > CAMEO_IMAGE_SIDE ||
        height > CAMEO_IMAGE_SIDE)
        return false;
    size[0] = (int)width;
    size[1] = (int)height;
    return true;
}

/* One number or three, each "a" or "a/b". */
static bool parse_numbers(const char *text, double out[3]) {
    int count = 0;
    for (const char *p = text; count < 3; p++) {
        char *end;
        double value = strtod(p, &end);
        if (end == p) return false;
        if (*end == '/') {
            p = end + 1;
            double divisor = strtod(p, &end);
            if (end == p || divisor == 0) return false;
            value /= divisor;
        }
        if (!isfinite(value)) return false;
        out[count++] = value;
        p = end;
        if (!*p) break;
        if (*p != ',') return false;
        if (count == 3) return false;
    }
    if (count == 1) out[1] = out[2] = out[0];
    return count == 1 || count == 3;
}

static bool parse_color(const char *text, cameo_color *color) {
    if (strcmp(text, "rgb") == 0) return *color = CAMEO_RGB, true;
    if (strcmp(text, "bgr") == 0) return *color = CAMEO_BGR, true;
    if (strcmp(text, "gray") == 0 || strcmp(text, "grey") == 0) return *color = CAMEO_GRAY, true;
    return false;
}

static bool parse_filter(const char *text, cameo_filter *filter) {
    static const char *const names[] = {"nearest", "box", "bilinear", "bicubic", "lanczos"};
    for (int i = 0; i < 5; i++)
        if (strcmp(text, names[i]) == 0) return *filter = (cameo_filter)i, true;
    return false;
}

static bool parse_resize(const char *text, cameo_preprocess *p) {
    int side[2];
    if (parse_filter(text, &p->filter)) return true;
    if (strchr(text, 'x') || !parse_size(text, side)) return false;
    p->short_side = side[0];
    return true;
}

static bool parse_key(const char *key, const char *text, cameo_preprocess *p, parsed *q) {
    if (strcmp(key, "size") == 0) return parse_size(text, q->size);
    if (strcmp(key, "crop") == 0) return parse_size(text, q->crop);
    if (strcmp(key, "mean") == 0) return parse_numbers(text, q->mean);
    if (strcmp(key, "scale") == 0) return parse_numbers(text, q->scale);
    if (strcmp(key, "color") == 0) return q->color_given = true, parse_color(text, &p->color);
    if (strcmp(key, "resize") == 0) return parse_resize(text, p);
    if (strcmp(key, "filter") == 0) return parse_filter(text, &p->filter);
    return false;
}

static bool parse_words(char *words, cameo_preprocess *p, parsed *q, cameo_error *error) {
    char *rest = NULL;
    for (char *word = strtok_r(words, " ;\t\n", &rest); word;
         word = strtok_r(NULL, " ;\t\n", &rest)) {
        char *equals = strchr(word, '=');
        if (equals) *equals = 0;
        if (!equals || !parse_key(word, equals + 1, p, q))
            return cameo_fail(
                error, CAMEO_USAGE,
                "preprocess: cannot understand \"%s%s%s\"\n    hint: size=WxH color=rgb|bgr|gray "
                "mean=M[,M,M] "
                "scale=S[,S,S] resize=bilinear|nearest|box|bicubic|lanczos or resize=S crop=WxH",
                word, equals ? "=" : "", equals ? equals + 1 : "");
    }
    return true;
}

/* [N,C,H,W] or [N,H,W,C], C = 1 or 3. */
static bool input_shape(const cameo_tensor_info *input, cameo_preprocess *p, cameo_error *error) {
    if (input->rank != 4 || (input->dtype != FLOAT32 && input->dtype != UINT8))
        return cameo_reject(error,
                            "input \"%s\" takes no pictures: it is %s of rank %d, but [N,C,H,W] or "
                            "[N,H,W,C] of float32 or uint8 "
                            "is expected",
                            input->name, cameo_dtype_name(input->dtype), input->rank);
    const int64_t *d = input->dim;
    bool first = d[1] == 1 || d[1] == 3, last = d[3] == 1 || d[3] == 3;
    p->channels_last = !first && last;
    p->bytes = input->dtype == UINT8;
    if (!first && !last)
        return cameo_reject(
            error, "input \"%s\" has neither 1 nor 3 channels: [%lld,%lld,%lld,%lld]", input->name,
            (long long)d[0], (long long)d[1], (long long)d[2], (long long)d[3]);
    p->channels = (int)(p->channels_last ? d[3] : d[1]);
    p->height = (int)(p->channels_last ? d[1] : d[2]);
    p->width = (int)(p->channels_last ? d[2] : d[3]);
    return true;
}

static bool check(cameo_preprocess *p, const parsed *q, cameo_error *error) {
    if (!q->color_given) p->color = p->channels == 1 ? CAMEO_GRAY : CAMEO_RGB;
    if ((p->color == CAMEO_GRAY) != (p->channels == 1))
        return cameo_fail(error, CAMEO_USAGE,
                          "preprocess: color=%s does not fit a network with %d channels",
                          p->color == CAMEO_GRAY ? "gray" : "rgb/bgr", p->channels);
    for (int c = 0; c < 3; c++)
        if (p->bytes && (q->mean[c] != 0 || q->scale[c] != 1))
            return cameo_fail(error, CAMEO_USAGE,
                              "preprocess: the network takes 8-bit pixels as they are and has its "
                              "own mean and scale inside, so "
                              "mean=0 and scale=1 are all that fits");
    const int *size = q->crop[0] ? q->crop : q->size;
    if (size[0] && (size[0] != p->width || size[1] != p->height))
        return cameo_fail(error, CAMEO_USAGE, "preprocess: %s=%dx%d, but the network takes %dx%d",
                          q->crop[0] ? "crop" : "size", size[0], size[1], p->width, p->height);
    if (p->short_side && (p->short_side < p->width || p->short_side < p->height))
        return cameo_fail(error, CAMEO_USAGE,
                          "preprocess: resize=%d is smaller than the crop %dx%d", p->short_side,
                          p->width, p->height);
    return true;
}

bool cameo_preprocess_parse(const char *spec, const cameo_tensor_info *input, cameo_preprocess *p,
                            cameo_error *error) {
    *p = (cameo_preprocess){.filter = CAMEO_BILINEAR};
    parsed q = {.scale = {1, 1, 1}};
    if (!input_shape(input, p, error)) return false;
    char *words = cameo_join(NULL, spec);
    bool good = parse_words(words, p, &q, error) && check(p, &q, error);
    free(words);
    for (int c = 0; c < 3 && good; c++)
        for (int v = 0; v < 256; v++) p->value[c][v] = (float)((v - q.mean[c]) * q.scale[c]);
    return good;
}
