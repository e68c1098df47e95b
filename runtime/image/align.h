/* Faces into the position that networks are trained on: five landmarks, a similarity to the
   ArcFace template, a crop. */
#ifndef CAMEO_ALIGN_H
#define CAMEO_ALIGN_H
#include "image.h"

/* Pixel indices (the centre of the top left pixel is 0, 0): the eye on the left in the picture,
   the other eye, the tip of the nose, the corners of the mouth left and right in the picture. */
typedef struct cameo_landmarks {
    double x[5], y[5];
} cameo_landmarks;

extern const cameo_landmarks cameo_arcface_template; /* of a 112 x 112 crop */

/* x' = a x - b y + tx, y' = b x + a y + ty. */
typedef struct cameo_similarity {
    double a, b, tx, ty;
} cameo_similarity;

/* Least squares over the five points (Umeyama 1991; in the plane it has a closed form). False when
   `from` is one point. */
bool cameo_similarity_fit(const cameo_landmarks *from, const cameo_landmarks *to,
                          cameo_similarity *s);
/* *image becomes width x height: its pixel (u, v) is where the similarity's inverse says, bicubic
   (a = -1), black outside. `s` takes the picture to the crop. */
bool cameo_image_warp(cameo_image *image, const cameo_similarity *s, int width, int height,
                      cameo_error *error);
/* Both: the crop of a face, the template scaled to width x height. */
bool cameo_image_align(cameo_image *image, const cameo_landmarks *l, int width, int height,
                       cameo_error *error);

/* Landmarks of many pictures: a text file, one picture a line: its name and ten numbers x y ...,
   apart by tabs, blanks or commas; a row of headings is skipped. */
typedef struct cameo_landmark_table {
    size_t count;
    struct cameo_landmark_row {
        char *name;
        cameo_landmarks at;
    } * row;         /* sorted by name */
    size_t *by_last; /* rows sorted by the last part of the name */
} cameo_landmark_table;

bool cameo_landmarks_read(const char *path, cameo_landmark_table *t, cameo_error *error);
/* By the whole name, else by its last part where only one picture has it, else NULL. */
const cameo_landmarks *cameo_landmarks_find(const cameo_landmark_table *t, const char *name);
void cameo_landmarks_free(cameo_landmark_table *t);
#endif
