/* SHA-256 (FIPS 180-4), for the sidecar weights. */
#ifndef CAMEO_SHA256_H
#define CAMEO_SHA256_H
#include <stddef.h>
/* 64 hexadecimal digits and a NUL. */
void cameo_sha256(const void *data, size_t size, char out[65]);
#endif
