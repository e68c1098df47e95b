/* SHA-256 (FIPS 180-4). The round constants are computed: fractional parts of the cube roots of the first 64 primes. */
#include "sha256.h"

#include <stdint.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

/* floor(frac(cbrt(p)) * 2^32), bit by bit; the cube is compared in 128-bit integers. */
static uint32_t root_fraction(unsigned prime) {
    uint64_t r = 0; /* floor(cbrt(p) * 2^32), below 2^35 */
    for (int bit = 34; bit >= 0; bit--) {
        const uint64_t t = r | (uint64_t)1 << bit;
        const wide square = (wide)t * t;
        const wide high = (square >> 32) * t, low = (square & 0xffffffffu) * t;
        if (high + (low >> 32) < (wide)prime << 64) r = t;
    }
    return (uint32_t)r;
}

static void constants(uint32_t k[64]) {
    int n = 0;
    for (unsigned p = 2; n < 64; p++) {
        unsigned d = 2;
        while (d * d <= p && p % d) d++;
        if (d * d > p) k[n++] = root_fraction(p);
    }
}

static void block(const uint32_t k[64], uint32_t h[8], const unsigned char *p) {
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++, p += 4) w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 64; i++) {
        const uint32_t a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        const uint32_t b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    memcpy(s, h, sizeof s);
    for (int i = 0; i < 64; i++) {
        const uint32_t e = rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25), ch = (s[4] & s[5]) ^ (~s[4] & s[6]);
        const uint32_t a = rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22), t = s[7] + e + ch + k[i] + w[i];
        const uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t, s[0] = t + a + majority;
    }
    for (int i = 0; i < 8; i++) h[i] += s[i];
}

void cameo_sha256(const void *data, size_t size, char out[65]) {
    uint32_t k[64], h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    constants(k);
    const unsigned char *p = data;
    unsigned char tail[128] = {0};
    size_t left = size;
    for (; left >= 64; left -= 64, p += 64) block(k, h, p);
    if (left) memcpy(tail, p, left);
    tail[left] = 0x80;
    const size_t end = left < 56 ? 64 : 128;
    for (size_t i = 0; i < 8; i++) tail[end - 1 - i] = (unsigned char)((uint64_t)size * 8 >> 8 * i);
    for (size_t i = 0; i < end; i += 64) block(k, h, tail + i);
    for (int i = 0; i < 64; i++) out[i] = "0123456789abcdef"[h[i / 8] >> (28 - 4 * (i % 8)) & 15];
    out[64] = 0;
}
