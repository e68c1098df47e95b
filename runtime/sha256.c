/* SHA-256 (FIPS 180-4). */
#include "sha256.h"

#include <string.h>

/* Fractional parts of the cube roots of the first 64 primes, in 32 bits. */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

/* One round; the variables change places instead of moving. w holds the last 16 words of the schedule. */
#define ROUND(a, b, c, d, e, f, g, h, i)                                                                         \
    do {                                                                                                         \
        const uint32_t t =                                                                                       \
            h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((g) ^ ((e) & ((f) ^ (g)))) + K[i] + w[(i)&15]; \
        d += t;                                                                                                  \
        h = t + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) | (c & (a | b)));                      \
    } while (0)

static inline void schedule(uint32_t w[16]) {
    for (int i = 0; i < 16; i++) {
        const uint32_t x = w[(i + 1) & 15], y = w[(i + 14) & 15];
        w[i] += (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + w[(i + 9) & 15] + (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10);
    }
}

static void block(uint32_t s[8], const unsigned char *p) {
    uint32_t w[16], a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    for (int i = 0; i < 16; i++, p += 4) w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 0; i < 64; i += 8) {
        if (i && i % 16 == 0) schedule(w);
        ROUND(a, b, c, d, e, f, g, h, i);
        ROUND(h, a, b, c, d, e, f, g, i + 1);
        ROUND(g, h, a, b, c, d, e, f, i + 2);
        ROUND(f, g, h, a, b, c, d, e, i + 3);
        ROUND(e, f, g, h, a, b, c, d, i + 4);
        ROUND(d, e, f, g, h, a, b, c, i + 5);
        ROUND(c, d, e, f, g, h, a, b, i + 6);
        ROUND(b, c, d, e, f, g, h, a, i + 7);
    }
    s[0] += a, s[1] += b, s[2] += c, s[3] += d, s[4] += e, s[5] += f, s[6] += g, s[7] += h;
}

void cameo_sha256_begin(cameo_sha256_sum *s) {
    *s = (cameo_sha256_sum){
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void cameo_sha256_add(cameo_sha256_sum *s, const void *data, size_t size) {
    const unsigned char *p = data;
    const size_t held = (size_t)(s->bytes % 64);
    s->bytes += size;
    if (held) {
        const size_t n = size < 64 - held ? size : 64 - held;
        if (n) memcpy(s->block + held, p, n);
        if (held + n < 64) return;
        block(s->state, s->block);
        p += n, size -= n;
    }
    for (; size >= 64; p += 64, size -= 64) block(s->state, p);
    if (size) memcpy(s->block, p, size);
}

void cameo_sha256_end(cameo_sha256_sum *s, char out[65]) {
    unsigned char tail[72] = {0x80};
    const uint64_t bits = s->bytes * 8;
    const size_t held = (size_t)(s->bytes % 64), pad = held < 56 ? 56 - held : 120 - held;
    for (size_t i = 0; i < 8; i++) tail[pad + i] = (unsigned char)(bits >> (56 - 8 * i));
    cameo_sha256_add(s, tail, pad + 8);
    for (int i = 0; i < 64; i++) out[i] = "0123456789abcdef"[s->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
    out[64] = 0;
}

void cameo_sha256(const void *data, size_t size, char out[65]) {
    cameo_sha256_sum s;
    cameo_sha256_begin(&s);
    cameo_sha256_add(&s, data, size);
    cameo_sha256_end(&s, out);
}
