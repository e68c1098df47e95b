/* A folder of class folders: which images there are and which class each is of. A dataset owns its
   names and is freed whole. */
#ifndef CAMEO_DATASET_H
#define CAMEO_DATASET_H
#include "../cameo.h"

typedef struct cameo_dataset {
    size_t images, classes;
    char **class_name; /* sub-folders, sorted as strings: their place is the label */
    char **path;       /* of image i: class by class, sorted by name within one */
    int64_t *label;
    size_t *first;  /* [classes + 1]: class k has images first[k] .. first[k + 1] - 1 */
    size_t ignored; /* files that don't look like pictures, folders within those of classes */
    char hash[65];  /* SHA-256 of the names and sizes of all images */
} cameo_dataset;

/* Files that end in jpg, jpeg, jpe, jfif, png, ppm, pgm or pnm (any case), or in formats we'd
   refuse by name (webp, bmp, gif, tif, heic, avif), or have no ending. False with *error: no
   folder, no classes, a class without pictures, fewer than `least` classes. */
bool cameo_dataset_scan(const char *directory, size_t least, cameo_dataset *d, cameo_error *error);
void cameo_dataset_free(cameo_dataset *d);
/* The pictures (by the same rule) right in a folder, sorted by name; the caller frees them and the
   array. */
bool cameo_list_pictures(const char *directory, char ***path, size_t *count, cameo_error *error);
/* The file of that name; a name without a picture's ending may also be one with it (.jpg, .png,
   .jpeg, in capitals, .ppm, .pgm, in this order), with any_ending one that has another. A new
   string, or NULL when there is none. */
char *cameo_find_picture(const char *path, bool any_ending);

/* The classes of d against the program's: their number (0 = any), and their names where the
   program knows them (else NULL). The message says how to compile for these classes. */
bool cameo_dataset_fits(const cameo_dataset *d, const char *directory, int64_t classes,
                        const char *const *names, int64_t batch, cameo_error *error);
/* Relabels d (a validation set) to the classes of `by`; a class that's not there is an error. */
bool cameo_dataset_relabel(cameo_dataset *d, const char *directory, const cameo_dataset *by,
                           cameo_error *error);
#endif
