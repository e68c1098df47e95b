/* Weight initialisation: rules and the random numbers behind them.

   The generator is xoshiro256** (Blackman and Vigna, 2018) seeded through splitmix64, integers
   only. A normal deviate comes from Box and Muller's transform (1958); because log and cos may
   differ in their last bit from one C library or processor to the next, a deviate is rounded to a
   multiple of 2^-16 before it is scaled, which hides any such difference. */
#include "models.h"

#include <math.h>
#include <string.h>

typedef struct generator {
    uint64_t s[4];
} generator;

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static uint64_t rotate(uint64_t x, int k) { return x << k | x >> (64 - k); }

static uint64_t next(generator *g) {
    uint64_t *s = g->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

static generator generator_create(uint64_t seed, uint64_t stream) {
    uint64_t state = seed, mixed = splitmix(&state) ^ stream;
    generator g;
    for (int i = 0; i < 4; i++) g.s[i] = splitmix(&mixed);
    return g;
}

/* In (0, 1], on a grid of 2^-53: never 0, so that its logarithm exists. */
static double unit(generator *g) { return (double)((next(g) >> 11) + 1) * 0x1p-53; }

/* In [-1, 1): an integer times a power of two, so that nothing is rounded before the bound is
   applied. */
static double symmetric(generator *g) {
    return (double)((int64_t)(next(g) >> 11) - (INT64_C(1) << 52)) * 0x1p-52;
}

static void normal_pair(generator *g, double pair[2]) {
    double radius = sqrt(-2.0 * log(unit(g))), angle = 6.283185307179586 * unit(g);
    pair[0] = nearbyint(radius * cos(angle) * 0x1p16) * 0x1p-16;
    pair[1] = nearbyint(radius * sin(angle) * 0x1p16) * 0x1p-16;
}

/* v is rounded to float before the offset is added, so that no compiler fuses the caller's product
   with the sum. */
static void store(unsigned char *out, size_t i, double v, double offset) {
    float rounded = (float)v, f = (float)((double)rounded + offset);
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    for (size_t k = 0; k < 4; k++) out[4 * i + k] = (unsigned char)(bits >> 8 * k);
}

static void fill_normal(generator *g, init_rule rule, size_t n, unsigned char *out) {
    double pair[2] = {0, 0};
    for (size_t i = 0; i < n; i++) {
        if (i % 2 == 0) normal_pair(g, pair);
        store(out, i, pair[i % 2] * rule.value, rule.offset);
    }
}

void init_fill(init_rule rule, uint64_t seed, uint64_t stream, size_t n, unsigned char *out) {
    generator g = generator_create(seed, stream);
    if (rule.kind == INIT_NORMAL)
        fill_normal(&g, rule, n, out);
    else if (rule.kind == INIT_UNIFORM)
        for (size_t i = 0; i < n; i++) store(out, i, symmetric(&g) * rule.value, rule.offset);
    else
        for (size_t i = 0; i < n; i++) store(out, i, rule.value, rule.offset);
}

init_rule init_constant(double value) { return (init_rule){INIT_CONSTANT, value, 0}; }
init_rule init_normal(double deviation) { return (init_rule){INIT_NORMAL, deviation, 0}; }
init_rule init_uniform(double bound) { return (init_rule){INIT_UNIFORM, bound, 0}; }
