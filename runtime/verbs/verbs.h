/* The verbs of a compiled program, and what they share. */
#ifndef CAMEO_VERBS_H
#define CAMEO_VERBS_H
#include "../base/args.h"
#include "../base/files.h"
#include "../base/json.h"
#include "../base/memory.h"
#include "../base/npy.h"
#include "../base/outputs.h"
#include "../base/progress.h"
#include "../cameo_abi.h"
#include "../image/align.h"
#include "../image/detector.h"
#include "../image/preprocess.h"
#include "../verification/embedding_cache.h"
#include "../verification/verification.h"
#include <stdatomic.h>

/* A verb is a row in its own file; verbs.def names all. */
typedef struct cameo_verb {
    const char *name, *about, *usage; /* about: in the list of verbs */
    const cameo_option *options;
    int (*run)(const cameo_model *model, const cameo_args *a); /* returns the exit code */
    bool about_weights; /* what it tells depends on what the weights have learnt */
} cameo_verb;
#define VERB(name) extern const cameo_verb cameo_verb_##name;
#define TRAINER_VERB(name) VERB(name)
#include "verbs.def"
#undef VERB
#undef TRAINER_VERB

/* Runs argv's verb: one of `own` (ends with NULL; may be NULL), else an ordinary one of main.c.
   Returns the exit code. */
int cameo_dispatch(const cameo_model *model, const cameo_verb *const *own, int argc, char **argv);
/* The row that cameo_dispatch runs for a name, or NULL. */
const cameo_verb *cameo_find_verb(const cameo_verb *const *own, const char *name);
/* What bench and profile do with parsed arguments; with a context of the caller's: of a training
   step, say. */
int cameo_bench(const cameo_model *model, const cameo_args *a);
int cameo_profile(const cameo_model *model, const cameo_args *a);
int cameo_profile_context(cameo_context *c, const cameo_args *a);

#define OPTION_THREADS \
    { "threads", "T", "threads to use (default: the processors this process may use)" }
#define OPTION_JSON \
    { "json", NULL, "print JSON" }
/* A context with --threads; NULL and *code after a message. */
cameo_context *cameo_verb_context(const cameo_model *model, const cameo_args *a, int *threads,
                                  int *code);
const char *cameo_tensor_shape(const cameo_tensor_info *t, char buffer[200]);

#define OPTIONS_PATHS                                            \
    {"list", "FILE", "a file with one picture's path a line"}, { \
        "root", "DIR", "what the list's names are relative to"   \
    }
#define OPTION_PREPROCESS                                                                \
    {                                                                                    \
        "preprocess", "SPEC",                                                            \
            "\"size=WxH color=rgb|bgr|gray mean=M[,M,M] scale=S[,S,S] resize=bilinear\"" \
    }
#define OPTIONS_FACES                                                                      \
    {"landmarks", "FILE",                                                                  \
     "align the faces: a line a picture, its name and five points x y (eyes, nose, mouth " \
     "corners)"},                                                                          \
        {"aligned", NULL,                                                                  \
         "the pictures are aligned crops: the built-in face detector is not asked"},       \
        OPTION_PREPROCESS, OPTION_THREADS
#define OPTION_CACHE                                                                           \
    {"cache", "DIR",                                                                           \
     "where embeddings are kept (default: $XDG_CACHE_HOME/cameo/embeddings); none = nowhere"}, \
    {                                                                                          \
        "cache-mb", "MB",                                                                      \
            "how much is kept there when the run ends; the oldest goes first (default: 2048)"  \
    }

/* Workers of which each task borrows one; no more tasks than workers run at a time, so one is
   always free. The items are the caller's. lanes.c */
typedef struct cameo_lanes {
    size_t count;
    void **item;
    atomic_flag *taken;
} cameo_lanes;
cameo_lanes cameo_lanes_make(size_t count); /* items NULL */
void *cameo_lanes_borrow(cameo_lanes *l, size_t *lane);
void cameo_lanes_return(cameo_lanes *l, size_t lane);
void cameo_lanes_free(cameo_lanes *l, void (*destroy)(void *item)); /* destroy is not called for
                                                                       NULL */

/* Pictures through the network: pictures.c. */
typedef struct cameo_pictures {
    const cameo_model *model;
    cameo_context *context;
    cameo_preprocess preprocess;
    const char *spec; /* the preprocessing in force */
    int threads;
    cameo_landmark_table landmarks; /* --landmarks; count = 0: none */
    cameo_lanes contexts;  /* of one thread each, beside `context`; none: batches take turns and
                              share all threads */
    cameo_lanes detectors; /* one a thread; none: pictures are taken as they are, or aligned by the
                              landmarks given */
    char alignment[300];   /* "none", "landmarks FILE", "detector NAME, model HASH" */
} cameo_pictures;
/* Exit code 0, or another after a message; needs cameo_pictures_close after 0. */
int cameo_pictures_open(cameo_pictures *p, const cameo_model *model, const cameo_args *a);
void cameo_pictures_close(cameo_pictures *p);
/* Bytes of one picture as input, how many the network takes at once, and how many are worth
   decoding at once. */
size_t cameo_pictures_stride(const cameo_pictures *p);
size_t cameo_pictures_batch(const cameo_pictures *p);
size_t cameo_pictures_chunk(const cameo_pictures *p);
/* A file's content. */
typedef struct cameo_bytes {
    unsigned char *data;
    size_t size;
} cameo_bytes;
/* Decodes `count` pictures into input[count][views][stride] (the second view is mirrored) on all
   threads. errors[i].code says which could not be. names: what landmarks are looked up by; NULL =
   paths. files: what the paths hold, where somebody has read it; NULL: it is read here. */
void cameo_pictures_decode(cameo_pictures *p, char *const *paths, char *const *names,
                           const cameo_bytes *files, size_t count, size_t views,
                           unsigned char *input, cameo_error *errors);
/* A picture as the network sees it: aligned, resized, 8 bits (for thumbnails). */
bool cameo_pictures_view(cameo_pictures *p, const char *path, const char *name, cameo_image *image,
                         cameo_error *error);
/* Embeds input[count][stride] into out[count][dimension], batch by batch: one batch a thread where
   there are enough. */
bool cameo_pictures_run(cameo_pictures *p, const unsigned char *input, size_t count, float *out,
                        cameo_error *error);
/* Called with `count` decoded inputs of images [first, first + count); false stops. */
typedef bool cameo_picture_chunk(void *data, size_t first, size_t count, const unsigned char *input,
                                 cameo_error *error);
/* Decodes in chunks on all threads and hands them over. The first picture (in order) at fault is
   named. */
bool cameo_pictures_each(cameo_pictures *p, char *const *paths, size_t count, const char *what,
                         cameo_picture_chunk *each, void *data, cameo_error *error);
/* count embeddings, in order; NULL with *error. Zero-norm or non-finite ones are errors naming the
   picture. */
float *cameo_pictures_embed(cameo_pictures *p, char *const *paths, size_t count, size_t *dimension,
                            cameo_error *error);
/* The embedding's length; 0 with *error when the network has none of float32. */
size_t cameo_pictures_dimension(const cameo_pictures *p, cameo_error *error);

/* Lists of pictures: paths.c. */
typedef struct cameo_paths {
    char **path;
    size_t count, capacity;
} cameo_paths;
/* A file, or the pictures of a folder sorted by name. */
bool cameo_paths_add(cameo_paths *l, const char *path, cameo_error *error);
/* A file with one picture a line, relative to root (NULL: the working directory). */
bool cameo_paths_add_list(cameo_paths *l, const char *file, const char *root, cameo_error *error);
/* All that is named by the positional arguments and by --list (with --root); none at all is wrong
   usage. An exit code. */
int cameo_paths_given(cameo_paths *l, const cameo_args *a);
void cameo_paths_free(cameo_paths *l);

/* truth.c. Who each picture shows, by a table with headings, into label[pictures->count] (new
   strings, NULL before). Rows are matched by the column of ids, if there is one, whatever their
   order. */
bool cameo_truth_read(const char *file, const cameo_paths *pictures, char **label,
                      cameo_error *error);

/* Many pictures and their embeddings, through the cache: gallery.c. Equal content is embedded
   once. */
typedef struct cameo_gallery {
    size_t images, views;
    char *const *path; /* NULL: missing */
    char *const *name; /* for messages, and to look landmarks up by */
    const char *cache; /* --cache: a folder, "none", NULL = the usual one */
    uint64_t limit;    /* bytes kept in the cache; 0: no limit */
    bool skip;         /* pictures that are missing or unreadable are reported, and no error */
    /* the answer */
    cameo_embeddings e;
    char (*content)[65]; /* SHA-256 of each file; "" when it could not be read */
    size_t embedded, cached, failed;
    cameo_cache *store;
} cameo_gallery;
/* cache, limit and skip, from --cache, --cache-mb and --skip-missing; false after a message about
   a bad number. */
bool cameo_gallery_options(cameo_gallery *g, const cameo_args *a);
/* Names up to ten pictures at fault on stderr; they are an error unless `skip`. */
bool cameo_gallery_embed(cameo_gallery *g, cameo_pictures *p, cameo_error *error);
void cameo_gallery_free(cameo_gallery *g);
/* SHA-256 of files, on all threads; "" where one cannot be read (NULL paths too). */
void cameo_hash_files(cameo_context *c, char *const *paths, size_t count, char (*hash)[65]);

#endif
