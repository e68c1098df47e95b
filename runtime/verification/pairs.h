/* Lists of image pairs. Everything belongs to the cameo_pairs and is freed with it. */
#ifndef CAMEO_PAIRS_H
#define CAMEO_PAIRS_H
#include "../cameo.h"

typedef struct cameo_pair {
    uint32_t a, b; /* indices into images */
    uint32_t line; /* of the list, from 1 */
    uint32_t at;   /* where that line begins in the text */
    int8_t label;  /* 1 same, 0 different, -1 unknown */
} cameo_pair;

typedef enum cameo_label_place {
    CAMEO_LABEL_NOWHERE,
    CAMEO_LABEL_FIRST,
    CAMEO_LABEL_LAST
} cameo_label_place;

typedef struct cameo_pairs {
    size_t count, images;
    cameo_pair *pair; /* in the list's order, none dropped */
    char **image; /* distinct names as the list has them (LFW's expanded), in order of first use */
    char **path;  /* where each was found; set by cameo_pairs_find and _locate; NULL: missing */
    bool labelled;
    int folds;                     /* what an LFW header says, else 0 */
    const char *format;            /* "a b label", "a b", "csv", "lfw", "halves" */
    char separator;                /* of its fields: ' ' (blanks and tabs), '\t', ',', ';' or '|' */
    cameo_label_place label_place; /* in lines of a list without headings */
    char *description;             /* the form, for people: "CSV with headings p1,p2,gt; labels" */
    char *text, *list; /* the list itself, each line ended by NUL; its path (cameo_pairs_read), else
                          NULL */
    char *where;       /* how the names were resolved, for people; set with path */
    const char *family; /* of data sets: "s19", "f20", "s22", "f24", "lfw"; NULL = not recognised */
} cameo_pairs;

/* Whether a picture of that name is there, which decides where a list alone leaves several
   readings. */
typedef struct cameo_pairs_known {
    bool (*has)(const void *data, const char *name);
    const void *data;
} cameo_pairs_known;

/* Forms, found by looking (docs/verification.md has the rules): `a b 0|1`, `0|1 a b` and `a b`
   apart by blanks, tabs, commas, semicolons or bars, perhaps with a row of headings, which may
   name the columns in any order; LFW's pairs.txt ("10 300"), pairsDev*.txt ("N") and their CSV
   versions; CALFW's two lines a pair. Every line is a pair or named by number; only empty lines
   and `#` comments are none. known: NULL when nothing is known. */
bool cameo_pairs_parse(const char *text, size_t size, const char *name,
                       const cameo_pairs_known *known, cameo_pairs *p, cameo_error *error);
bool cameo_pairs_read_known(const char *path, const cameo_pairs_known *known, cameo_pairs *p,
                            cameo_error *error);
/* pairs_find.c. The same; known are the pictures below root, as cameo_pairs_find() looks for
   them. */
bool cameo_pairs_read(const char *path, const char *root, cameo_pairs *p, cameo_error *error);
/* The line of a pair as the list has it, without the blanks around it; of a labelled list without
   the label. Not terminated. */
const char *cameo_pairs_line(const cameo_pairs *p, size_t pair, size_t *length);

/* pairs_find.c. Looks for the images under root, or (root NULL) the working directory, or beside
   the list, with the folders that data set families have. One rule serves the whole list: the one
   that finds most. Returns how many are missing. */
size_t cameo_pairs_find(cameo_pairs *p, const char *root);
/* The same; when some are missing *error counts them and names the first; up to ten are printed to
   stderr. */
bool cameo_pairs_locate(cameo_pairs *p, const char *root, cameo_error *error);
void cameo_pairs_free(cameo_pairs *p);
#endif
