/* Lists of image pairs. Everything belongs to the cameo_pairs and is freed with it. */
#ifndef CAMEO_PAIRS_H
#define CAMEO_PAIRS_H
#include "cameo.h"

typedef struct cameo_pair {
    uint32_t a, b; /* indices into images */
    uint32_t line; /* of the list, from 1 */
    int8_t label;  /* 1 same, 0 different, -1 unknown */
} cameo_pair;

typedef struct cameo_pairs {
    size_t count, images;
    cameo_pair *pair; /* in the list's order, none dropped */
    char **image;     /* distinct names as the list has them (LFW's expanded), in order of first use */
    char **path;      /* where each was found; set by cameo_pairs_locate */
    bool labelled;
    int folds;          /* what an LFW header says, else 0 */
    const char *format; /* "a b label", "a b", "csv", "lfw" */
} cameo_pairs;

/* Forms, found by looking: `a b 0|1`; `a b`; the same with commas, and one header row; LFW's pairs.txt ("10 300") and
   pairsDev*.txt ("N"). A bad line is named by number. */
bool cameo_pairs_parse(const char *text, size_t size, const char *name, cameo_pairs *p, cameo_error *error);
bool cameo_pairs_read(const char *path, cameo_pairs *p, cameo_error *error);
/* Finds every image under root (NULL: relative to the working directory), root/images for LFW lists too. When some are missing
 *error counts them and names the first; all missing up to ten are printed to stderr. */
bool cameo_pairs_locate(cameo_pairs *p, const char *root, cameo_error *error);
void cameo_pairs_free(cameo_pairs *p);
#endif
