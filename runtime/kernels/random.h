/* Random numbers from a counter: a stream is seeded by what it is for (seed, epoch, index), never
   by what ran before, so that threads and resumed runs draw the same numbers
   (docs/internals/exact-resume.md). The generator is SplitMix64 (Steele, Lea, Flood 2014). */
#ifndef CAMEO_RANDOM_H
#define CAMEO_RANDOM_H
#include <math.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cameo_random {
    uint64_t state;
} cameo_random;

static inline uint64_t cameo_mix64(uint64_t z) {
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static inline cameo_random cameo_random_stream(uint64_t seed, uint64_t epoch, uint64_t index) {
    const uint64_t odd = 0x9E3779B97F4A7C15u;
    return (cameo_random){
        cameo_mix64(cameo_mix64(cameo_mix64(seed + odd) + epoch * odd + 1) + index * odd + 2)};
}

static inline uint64_t cameo_random_next(cameo_random *r) {
    return cameo_mix64(r->state += 0x9E3779B97F4A7C15u);
}

/* In [0, 1), 53 bits. */
static inline double cameo_random_unit(cameo_random *r) {
    return (double)(cameo_random_next(r) >> 11) * 0x1p-53;
}

static inline double cameo_random_between(cameo_random *r, double low, double high) {
    return low + (high - low) * cameo_random_unit(r);
}

/* 0 .. n-1; n in 1 .. 2^32, where the bias is below 2^-32. */
static inline size_t cameo_random_below(cameo_random *r, size_t n) {
    return (size_t)(((cameo_random_next(r) >> 32) * (uint64_t)n) >> 32);
}

/* Fisher and Yates. */
static inline void cameo_random_shuffle(cameo_random *r, size_t *list, size_t n) {
    for (size_t i = n; i > 1; i--) {
        const size_t k = cameo_random_below(r, i), swapped = list[i - 1];
        list[i - 1] = list[k];
        list[k] = swapped;
    }
}

/* Box and Muller. */
static inline double cameo_random_normal(cameo_random *r) {
    const double u = 1 - cameo_random_unit(r), v = cameo_random_unit(r);
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

/* Marsaglia and Tsang 2000; alpha below 1 by a power of a uniform. */
static inline double cameo_random_gamma(cameo_random *r, double alpha) {
    if (alpha < 1)
        return cameo_random_gamma(r, alpha + 1) * pow(1 - cameo_random_unit(r), 1 / alpha);
    const double d = alpha - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        const double x = cameo_random_normal(r), v = pow(1 + c * x, 3),
                     u = 1 - cameo_random_unit(r);
        if (v > 0 && log(u) < x * x / 2 + d * (1 - v + log(v))) return d * v;
    }
}

static inline double cameo_random_beta(cameo_random *r, double a, double b) {
    const double x = cameo_random_gamma(r, a), y = cameo_random_gamma(r, b);
    return x + y > 0 ? x / (x + y) : 0.5;
}
#endif
