/* Random changes of a picture on its way into a batch, and mixing of a batch's pictures. All draws
   come from the caller's stream, so what becomes of a picture depends on nothing but its stream. */
#ifndef CAMEO_AUGMENT_H
#define CAMEO_AUGMENT_H
#include "../image/preprocess.h"
#include "../kernels/random.h"

typedef struct cameo_augment {
    int crop; /* pixels: zeros this wide around the picture, after normalisation, then a random crop
                 of its size */
    bool flip;     /* left to right, one half of the time */
    double rotate; /* degrees: by up to this much either way, about the centre, bilinear, zeros
                      outside */
    double jitter; /* brightness, contrast, saturation: each by a factor in 1 - jitter .. 1 + jitter
                    */
    double erase;  /* probability that a rectangle (2 to 33 % of the area, 1:3 to 3:1) becomes zeros
                    */
    double resized; /* least part of the area that a random crop (3:4 to 4:3), resized, keeps; 0 =
                       none */
    double mixup, cutmix; /* alpha of Beta(alpha, alpha); 0 = none; with both, one of them by a coin
                           */
} cameo_augment;

/* "crop=8,flip,rotate=10,jitter=0.2,erase=0.25,resized-crop=0.5"; "" or "none" is nothing. False
   with *error (CAMEO_USAGE). */
bool cameo_augment_parse(const char *text, cameo_augment *a, cameo_error *error);

/* picture: of the network's size, or whole when a->resized. Writes width * height * channels
   floats. False with *error when memory runs out. */
bool cameo_augment_apply(const cameo_augment *a, const cameo_preprocess *p,
                         const cameo_image *picture, cameo_random *r, float *out,
                         cameo_error *error);

/* Mixes picture i with picture n - 1 - i in place (mixup: Zhang et al. 2018; cutmix: Yun et al.
   2019, one rectangle for the batch). labels_b and mix are filled in any case: without mixing they
   are labels and 1. */
void cameo_augment_mix(const cameo_augment *a, const cameo_preprocess *p, cameo_random *r, size_t n,
                       float *images, const int64_t *labels, int64_t *labels_b, float *mix);
#endif
