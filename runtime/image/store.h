/* Pictures by number, decoded when first asked for and kept in memory while they fit. Any thread
   may ask.

   A picture is held as the network's size (8-bit R G B after resizing), or as decoded when a
   random crop is to be cut out of it. One that can't be decoded is named once on stderr, counted,
   and refused from then on. What a caller sees doesn't depend on how much fits. */
#ifndef CAMEO_STORE_H
#define CAMEO_STORE_H
#include "preprocess.h"

typedef struct cameo_store cameo_store;

typedef struct cameo_store_options {
    const cameo_preprocess *preprocess; /* outlives the store */
    char *const *paths;                 /* outlive the store */
    size_t images;
    size_t limit; /* bytes of pictures kept */
    bool whole;   /* keep pictures as decoded */
    bool fast; /* --fast-decode: JPEGs much larger than needed are scaled while decoding, with the
                  fast transform */
} cameo_store_options;

cameo_store *cameo_store_create(const cameo_store_options *options);
void cameo_store_destroy(cameo_store *s);

/* Picture i in *image: either the store's own (*scratch stays empty) or decoded into *scratch,
   which the caller frees. False when it can't be decoded. *scratch must be empty. */
bool cameo_store_get(cameo_store *s, size_t i, const cameo_image **image, cameo_image *scratch);
size_t cameo_store_bad(const cameo_store *s);
/* More than 1 % of the pictures are bad: *error says so. */
bool cameo_store_spoilt(const cameo_store *s, cameo_error *error);
size_t cameo_store_bytes(const cameo_store *s); /* of pictures kept */
/* Whether all pictures will be kept, as far as that can be known: they have the network's size and
   are within the limit. */
bool cameo_store_fits(const cameo_store *s);
/* Reads each file's first bytes, or decodes it when the store fits, on the context's threads: bad
   ones are found before the first step. False when more than 1 % are. */
bool cameo_store_check(cameo_store *s, cameo_context *pool, const char *what, cameo_error *error);
#endif
