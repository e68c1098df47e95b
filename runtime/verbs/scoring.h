/* One scoring of a pair list, as the verbs score and calibrate make it: the list, the pictures,
   embeddings, scores, metrics. */
#ifndef CAMEO_SCORING_H
#define CAMEO_SCORING_H
#include "../base/lines.h"
#include "../verification/calibration.h"
#include "../verification/findings.h"
#include "verbs.h"

#define SCORING_OPTIONS                                                                            \
    {"root", "DIR", "what the list's names are relative to"},                                      \
        {"tta", "HOW",                                                                             \
         "test-time augmentation: none (default), flip-sum, flip-concat, score-mean"},             \
        {"score", "NAME",                                                                          \
         "what counts: cosine (default), l2-normalised, l2-raw, dot; all are reported"},           \
        {"skip-missing", NULL,                                                                     \
         "go on when pictures are missing or unreadable; their pairs get no score"},               \
        {"embeddings", "FILE",                                                                     \
         "score these embeddings (.npy, a row a picture): no picture is read"},                    \
        {"names", "FILE",                                                                          \
         "the pictures of --embeddings, one a line (default: the list's, in order of first use)"}, \
        {"train-dir", "DIR",                                                                       \
         "look for identities and pictures of the list in this training folder"},                  \
        OPTION_CACHE, OPTIONS_FACES, OPTION_JSON

typedef struct cameo_named_row { /* of --embeddings */
    const char *name;
    size_t row, line; /* of the array, from 0; of --names, from 1 */
} cameo_named_row;

typedef struct cameo_scoring {
    cameo_verification v;
    cameo_pairs pairs;
    cameo_pictures pictures; /* open when has_pictures */
    bool has_pictures;
    cameo_gallery gallery;
    cameo_array stored; /* --embeddings */
    cameo_lines names_text;
    cameo_named_row *name; /* [names] of --names, sorted by name; NULL without */
    size_t names;
    cameo_embeddings e;
    cameo_findings duplicates, overlaps;
    cameo_dataset train;
    cameo_calibration calibration;
    char *command, *title, list_hash[65];
    cameo_error error;
} cameo_scoring;

/* Exit code 0, or another after a message. Free it in either case. verb: for the command line to
   show. */
int cameo_scoring_run(cameo_scoring *s, const cameo_model *model, const cameo_args *a,
                      const char *verb);
void cameo_scoring_free(cameo_scoring *s);

/* score_files.c: what goes into -o, and metrics.json alone. */
bool cameo_score_files(const cameo_scoring *s, const char *directory, cameo_error *error);
void cameo_score_json(const cameo_verification *v, FILE *f);
#endif
