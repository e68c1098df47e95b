/* Embeddings on disk, so that no picture goes through the network twice: not in a second scoring,
   and not after an interruption.

   One file holds the embeddings of one network with one preprocessing: its name is the hash of
   `identity`. Records have a fixed size and are only ever appended; a half-written one at the end
   (a killed run) is cut off. The file is mapped, so rows don't count as the program's memory.
   While a run has it open no other may: the second one gets a temporary file.

   The directory keeps at most `limit` bytes. Closing enforces that, so a run that needs more than
   the limit still has all its rows, and one that was killed finds them again: files of other
   networks go first, the one used longest ago before the others; then the oldest records of the
   run's own file, down to three quarters of the limit, so that not each run rewrites it. */
#ifndef CAMEO_EMBEDDING_CACHE_H
#define CAMEO_EMBEDDING_CACHE_H
#include "../cameo.h"

typedef struct cameo_cache cameo_cache;

enum { CAMEO_CACHE_KEY = 65 }; /* 64 hexadecimal digits and a NUL */

/* "$XDG_CACHE_HOME/cameo/embeddings", else below $HOME/.cache; NULL when neither is set. The
   caller frees. */
char *cameo_cache_directory(void);
/* directory NULL: a temporary file that vanishes with the program. `dimension` floats a record;
   limit 0: none. Damaged files are begun anew. NULL with *error when nothing can be written. */
cameo_cache *cameo_cache_open(const char *directory, const char *identity, size_t dimension,
                              uint64_t limit, cameo_error *error);
void cameo_cache_close(cameo_cache *c);
/* Where it is; NULL: temporary. */
const char *cameo_cache_path(const cameo_cache *c);
/* The record's key: of a file's content (its SHA-256), the view (0, 1 = mirrored) and where the
   face is ("" = all of it). */
void cameo_cache_key(const char *content, int view, const char *alignment,
                     char key[CAMEO_CACHE_KEY]);
bool cameo_cache_has(const cameo_cache *c, const char *key);
/* Written when it returns, so that a killed program loses nothing that was added. */
bool cameo_cache_add(cameo_cache *c, const char *key, const float *row, cameo_error *error);
/* Rows for reading; call it after the last addition and before cameo_cache_row. Rows stay until
   cameo_cache_close. */
bool cameo_cache_map(cameo_cache *c, cameo_error *error);
const float *cameo_cache_row(const cameo_cache *c, const char *key); /* NULL = not there */

/* embedding_limit.c: removes files of the directory other than `own`, those used longest ago
   first, until at most `room` bytes of them are left. Files that another run has open stay. */
#define CAMEO_CACHE_SUFFIX ".embeddings"
#define CAMEO_CACHE_NEW ".new" /* behind it: a shortened file before it gets its name */
void cameo_cache_evict(const char *directory, const char *own, uint64_t room);
#endif
