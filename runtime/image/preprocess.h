/* From a picture to a network's input: what --preprocess and the model's metadata say. */
#ifndef CAMEO_PREPROCESS_H
#define CAMEO_PREPROCESS_H
#include "resize.h"

typedef enum cameo_color { CAMEO_RGB, CAMEO_BGR, CAMEO_GRAY } cameo_color;

typedef struct cameo_preprocess {
    int width, height, channels; /* what the network takes */
    bool channels_last;          /* [H][W][C] instead of [C][H][W] */
    bool bytes;                  /* the input is uint8: pixels go in as they are */
    cameo_color color;
    cameo_filter filter;
    int short_side; /* resize=S: the short side becomes S, then the centre is cropped; 0 = straight
                       to width x height */
    float value[3][256]; /* (pixel - mean) * scale of each channel; of float32 inputs */
} cameo_preprocess;

/* "size=112x112 color=rgb mean=127.5 scale=1/127.5 resize=bilinear"; keys in any order, separated
   by spaces or semicolons. The size defaults to the input's, whose shape also decides between
   [C][H][W] and [H][W][C]. False with *error (CAMEO_USAGE). */
bool cameo_preprocess_parse(const char *spec, const cameo_tensor_info *input, cameo_preprocess *p,
                            cameo_error *error);
/* Resizes, crops and converts *image (changed on the way) into width * height * channels numbers
   of the input's type. */
bool cameo_preprocess_apply(const cameo_preprocess *p, cameo_image *image, void *out,
                            cameo_error *error);
/* Its two halves: *image becomes width x height (grey when the network is), and 8-bit R G B pixels
   of that size become those numbers. */
bool cameo_preprocess_fit(const cameo_preprocess *p, cameo_image *image, cameo_error *error);
void cameo_preprocess_values(const cameo_preprocess *p, const unsigned char *pixels, void *out);
size_t cameo_preprocess_bytes(const cameo_preprocess *p); /* of one picture's numbers */
/* Grey first, so that a resize rounds as it would on a grey picture; nothing for a network that
   takes colours. */
void cameo_preprocess_gray(const cameo_preprocess *p, cameo_image *image);
/* The usual forms, for the message of a verb that has none. */
extern const char cameo_preprocess_forms[];
#endif
