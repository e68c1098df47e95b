/* SHA-256 (FIPS 180-4): names models, weights and pictures by their content. */
#ifndef CAMEO_SHA256_H
#define CAMEO_SHA256_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cameo_sha256_sum {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
} cameo_sha256_sum;

void cameo_sha256_begin(cameo_sha256_sum *s);
void cameo_sha256_add(cameo_sha256_sum *s, const void *data, size_t size);
/* 64 lower-case hexadecimal digits and a NUL; s must begin anew before another use. */
void cameo_sha256_end(cameo_sha256_sum *s, char out[65]);
/* All of it at once. */
void cameo_sha256(const void *data, size_t size, char out[65]);
/* For tests: true = without the processor's instructions for it. */
void cameo_sha256_plain(bool plain);
#endif
