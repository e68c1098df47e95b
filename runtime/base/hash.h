/* A hash of texts for tables in memory: FNV-1a of 64 bits, its upper bits folded into the lower
   ones, of which tables use as many as they are long. Not for files: see sha256.h. */
#ifndef CAMEO_HASH_H
#define CAMEO_HASH_H
#include <stdint.h>

static inline uint64_t cameo_hash_text(const char *s) {
    uint64_t h = 14695981039346656037u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h ^ h >> 29;
}
#endif
