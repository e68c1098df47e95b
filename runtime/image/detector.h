/* Finding the face in a photograph: a YuNet network (Wu, Peng & Yu 2023) compiled into the same
   program. */
#ifndef CAMEO_DETECTOR_H
#define CAMEO_DETECTOR_H
#include "align.h"

typedef struct cameo_detector cameo_detector;

typedef struct cameo_face {
    double score;               /* 0..1 */
    double x, y, width, height; /* pixels of the photograph */
    cameo_landmarks at;
} cameo_face;

/* The network must have YuNet's twelve outputs (cls, obj, bbox, kps at strides 8, 16, 32). NULL
   with *error otherwise. */
cameo_detector *cameo_detector_open(const cameo_model *model, int threads, cameo_error *error);
void cameo_detector_close(cameo_detector *d);
/* Faces with a score of at least `least`, the best first, overlapping ones (IoU above 0.3) once,
   landmarks averaged by score over those that overlap most (IoU above 0.6); at most `capacity`. */
size_t cameo_detector_faces(cameo_detector *d, const cameo_image *image, double least,
                            cameo_face *faces, size_t capacity, cameo_error *error);
/* The face a photograph is about: the largest score x area, less for faces away from the middle.
   False when there is none. */
bool cameo_detector_find(cameo_detector *d, const cameo_image *image, cameo_landmarks *at,
                         cameo_error *error);
#endif
