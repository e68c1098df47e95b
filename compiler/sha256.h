/* SHA-256 (FIPS 180-4), for naming models by content. */
#ifndef CAMEO_SHA256_H
#define CAMEO_SHA256_H
#include <stddef.h>
#include <stdint.h>

typedef struct sha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
} sha256;

void sha256_init(sha256 *s);
void sha256_update(sha256 *s, const void *data, size_t size);
/* 64 lower-case hex digits and a NUL; s must be initialised anew before another use. */
void sha256_hex(sha256 *s, char out[65]);
#endif
