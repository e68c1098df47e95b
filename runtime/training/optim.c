/* Optimisers. The body of each is written once over blocks of 64 floats, which compilers turn into
   vector code, and built a second time for AVX2 with FMA where the processor has it. Updates are
   bound by memory: every stream is read and written once. Sums over chunks are joined in the
   chunks' order: docs/internals/deterministic-sums.md. */
#include "optim.h"
#include "../base/files.h"
#include "parameters.h"
#include <math.h>
#include <stdlib.h>

enum {
    BLOCK = 64,
    CHUNK = 16384
}; /* CHUNK floats of five streams stay in a second-level cache, for the average's sake */

/* Everything an update needs, in float as PyTorch computes it; factors that PyTorch computes in
   double are rounded once. */
typedef struct factors {
    float rate, scale, decay; /* decay: of the gradient (SGD, Adam), or what AdamW multiplies
                                 weights with */
    float momentum, beta1, beta2, epsilon, step_size, root; /* root: sqrt(1 - beta2^t) */
    float one_minus_beta1, one_minus_beta2;
    float average, one_minus_average;
    bool nesterov;
} factors;

typedef struct streams {
    float *restrict p, *restrict m, *restrict v, *restrict average;
    const float *restrict g;
} streams;

#define INLINE static inline __attribute__((always_inline))
#define EACH for (int i = 0; i < BLOCK; i++)

/* ---- bodies: n is a multiple of BLOCK. Each returns the sum of squares of the gradients in
   double. ---- */

INLINE void add_squares(const float *restrict g, double lanes[16]) {
    for (int j = 0; j < BLOCK; j += 16)
        for (int i = 0; i < 16; i++) lanes[i] += (double)g[j + i] * (double)g[j + i];
}

INLINE double sum_lanes(const double lanes[16]) {
    double sum = 0;
    for (int i = 0; i < 16; i++) sum += lanes[i];
    return sum;
}

INLINE double squares_body(const float *restrict g, size_t n) {
    double lanes[16] = {0};
    for (size_t k = 0; k < n; k += BLOCK) add_squares(g + k, lanes);
    return sum_lanes(lanes);
}

INLINE double plain_sgd_body(const streams *s, size_t n, const factors *f) {
    float *restrict p = s->p;
    const float *restrict g = s->g;
    const float rate = f->rate, scale = f->scale, decay = f->decay;
    double lanes[16] = {0};
    for (size_t k = 0; k < n; k += BLOCK, p += BLOCK, g += BLOCK) {
        add_squares(g, lanes);
        EACH p[i] -= rate * (scale * g[i] + decay * p[i]);
    }
    return sum_lanes(lanes);
}

INLINE double sgd_body(const streams *s, size_t n, const factors *f) {
    float *restrict p = s->p, *restrict m = s->m;
    const float *restrict g = s->g;
    const float rate = f->rate, scale = f->scale, decay = f->decay, momentum = f->momentum;
    const float ahead = f->nesterov ? momentum : 1, now = f->nesterov ? 1 : 0; /* the step is now *
                                                                                  d + ahead * m */
    double lanes[16] = {0};
    for (size_t k = 0; k < n; k += BLOCK, p += BLOCK, g += BLOCK, m += BLOCK) {
        add_squares(g, lanes);
        EACH {
            const float d = scale * g[i] + decay * p[i];
            m[i] = momentum * m[i] + d;
            p[i] -= rate * (now * d + ahead * m[i]);
        }
    }
    return sum_lanes(lanes);
}

/* AdamW (decoupled): p is multiplied first and the gradient keeps free of decay. */
INLINE double adam_body(const streams *s, size_t n, const factors *f, bool decoupled) {
    float *restrict p = s->p, *restrict m = s->m, *restrict v = s->v;
    const float *restrict g = s->g;
    const float scale = f->scale, coupled = decoupled ? 0 : f->decay,
                shrink = decoupled ? f->decay : 1;
    const float beta1 = f->beta1, beta2 = f->beta2, rest1 = f->one_minus_beta1,
                rest2 = f->one_minus_beta2;
    const float root = f->root, epsilon = f->epsilon, step_size = f->step_size;
    double lanes[16] = {0};
    for (size_t k = 0; k < n; k += BLOCK, p += BLOCK, g += BLOCK, m += BLOCK, v += BLOCK) {
        add_squares(g, lanes);
        EACH {
            const float d = scale * g[i] + coupled * p[i];
            m[i] = beta1 * m[i] + rest1 * d;
            v[i] = beta2 * v[i] + rest2 * d * d;
            p[i] = shrink * p[i] - step_size * m[i] / (__builtin_sqrtf(v[i]) / root + epsilon);
        }
    }
    return sum_lanes(lanes);
}

INLINE void average_body(float *restrict a, const float *restrict p, size_t n, float keep,
                         float rest) {
    for (size_t k = 0; k < n; k += BLOCK, a += BLOCK, p += BLOCK)
        EACH a[i] = keep * a[i] + rest * p[i];
}

INLINE double update_body(const streams *s, size_t n, const factors *f, cameo_optim_kind kind) {
    double squares;
    if (kind == CAMEO_SGD)
        squares = f->momentum != 0 ? sgd_body(s, n, f) : plain_sgd_body(s, n, f);
    else
        squares = kind == CAMEO_ADAM ? adam_body(s, n, f, false) : adam_body(s, n, f, true);
    if (s->average) average_body(s->average, s->p, n, f->average, f->one_minus_average);
    return squares;
}

/* ---- one build for every processor, one for AVX2 ---- */

typedef struct bodies {
    double (*update)(const streams *, size_t n, const factors *, cameo_optim_kind);
    double (*squares)(const float *g, size_t n);
    void (*average)(float *a, const float *p, size_t n, float keep, float rest);
    void (*add)(float *sum, const float *g, size_t n);
} bodies;

#define BUILD(name, attribute)                                                           \
    attribute static double update_##name(const streams *s, size_t n, const factors *f,  \
                                          cameo_optim_kind kind) {                       \
        return update_body(s, n, f, kind);                                               \
    }                                                                                    \
    attribute static double squares_##name(const float *g, size_t n) {                   \
        return squares_body(g, n);                                                       \
    }                                                                                    \
    attribute static void average_##name(float *a, const float *p, size_t n, float keep, \
                                         float rest) {                                   \
        average_body(a, p, n, keep, rest);                                               \
    }                                                                                    \
    attribute static void add_##name(float *sum, const float *g, size_t n) {             \
        average_body(sum, g, n, 1, 1);                                                   \
    }                                                                                    \
    static const bodies bodies_##name = {update_##name, squares_##name, average_##name, add_##name};

BUILD(plain, )
#ifdef __x86_64__
BUILD(avx2, __attribute__((target("avx2,fma"))))
#endif

static const bodies *best_bodies(void) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &bodies_avx2;
#endif
    return &bodies_plain;
}

/* ---- chunks ---- */

static size_t chunks_of(const cameo_parameter *p) { return (p->floats + CHUNK - 1) / CHUNK; }

static void cut(cameo_optim *o) {
    const cameo_trainer *t = o->trainer;
    for (size_t i = 0; i < t->n_parameters; i++)
        if (t->parameters[i].learnt) o->n_chunks += chunks_of(&t->parameters[i]);
    o->chunks = cameo_allocate(o->n_chunks, sizeof *o->chunks);
    o->partial = cameo_allocate(o->n_chunks, sizeof *o->partial);
    size_t n = 0;
    for (size_t i = 0; i < t->n_parameters; i++) {
        const cameo_parameter *p = &t->parameters[i];
        for (size_t at = 0; p->learnt && at < p->floats; at += CHUNK)
            o->chunks[n++] = (cameo_optim_chunk){p->offset + at,
                                                 p->floats - at < CHUNK ? p->floats - at : CHUNK,
                                                 p->decay || o->options.decay_all};
    }
}

/* The table comes with the program: one that doesn't keep its promises is our defect. */
static bool table_is_sound(const cameo_trainer *t) {
    for (size_t i = 0; i < t->n_parameters; i++) {
        const cameo_parameter *p = &t->parameters[i];
        const size_t end = p->learnt ? t->learnt_floats : t->floats;
        if (p->offset % BLOCK || p->floats % BLOCK || p->offset > end ||
            p->floats > end - p->offset)
            return false;
    }
    return t->learnt_floats <= t->floats && t->floats % BLOCK == 0;
}

bool cameo_optim_create(cameo_optim *o, const cameo_trainer *t, const cameo_optim_options *options,
                        cameo_error *error) {
    static const char *const names[][CAMEO_OPTIM_STATES] = {{"momentum", NULL},
                                                            {"exp_avg", "exp_avg_sq"}};
    *o = (cameo_optim){.options = *options, .trainer = t};
    if (!table_is_sound(t))
        return cameo_fail(error, CAMEO_DEFECT, "the program's table of parameters is wrong");
    o->n_states = options->kind == CAMEO_SGD ? options->momentum != 0 : 2;
    for (size_t i = 0; i < o->n_states; i++) {
        o->state_name[i] = names[options->kind != CAMEO_SGD][i];
        if ((o->state[i] = cameo_block_create(t->learnt_floats, o->state_name[i], error))) continue;
        cameo_optim_destroy(o);
        return false;
    }
    cut(o);
    return true;
}

void cameo_optim_destroy(cameo_optim *o) {
    for (size_t i = 0; i < o->n_states && o->trainer; i++)
        cameo_block_free(o->state[i], o->trainer->learnt_floats);
    free(o->chunks);
    free(o->partial);
    *o = (cameo_optim){0};
}

const char *cameo_optim_kind_name(cameo_optim_kind kind) {
    return kind == CAMEO_SGD ? "sgd" : kind == CAMEO_ADAM ? "adam" : "adamw";
}

/* ---- passes ---- */

typedef struct pass {
    cameo_optim *o;
    const cameo_optim_update *u;
    const bodies *bodies;
    factors with, without; /* weight decay */
    const float *gradients;
    float *sum;
} pass;

static factors make_factors(const cameo_optim_options *o, const cameo_optim_update *u, bool decay) {
    const double wd = decay ? o->weight_decay : 0, t = (double)u->step;
    const double correction1 = 1 - pow(o->beta1, t), correction2 = 1 - pow(o->beta2, t);
    return (factors){.rate = (float)u->rate,
                     .scale = (float)u->gradient_scale,
                     .decay = (float)(o->kind == CAMEO_ADAMW ? 1 - u->rate * wd : wd),
                     .momentum = (float)o->momentum,
                     .nesterov = o->nesterov,
                     .beta1 = (float)o->beta1,
                     .beta2 = (float)o->beta2,
                     .one_minus_beta1 = (float)(1 - o->beta1),
                     .one_minus_beta2 = (float)(1 - o->beta2),
                     .epsilon = (float)o->epsilon,
                     .step_size = (float)(u->rate / correction1),
                     .root = (float)sqrt(correction2),
                     .average = (float)u->average_decay,
                     .one_minus_average = (float)(1 - u->average_decay)};
}

static void update_task(void *argument, size_t i) {
    const pass *x = argument;
    cameo_optim *o = x->o;
    const cameo_optim_chunk *c = &o->chunks[i];
    const streams s = {.p = x->u->parameters + c->offset,
                       .g = x->u->gradients + c->offset,
                       .m = o->n_states > 0 ? o->state[0] + c->offset : NULL,
                       .v = o->n_states > 1 ? o->state[1] + c->offset : NULL,
                       .average = x->u->average ? x->u->average + c->offset : NULL};
    o->partial[i] = x->bodies->update(&s, c->floats, c->decay ? &x->with : &x->without,
                                      o->options.kind);
}

static void squares_task(void *argument, size_t i) {
    const pass *x = argument;
    const cameo_optim_chunk *c = &x->o->chunks[i];
    x->o->partial[i] = x->bodies->squares(x->gradients + c->offset, c->floats);
}

static void add_task(void *argument, size_t i) {
    const pass *x = argument;
    const cameo_optim_chunk *c = &x->o->chunks[i];
    x->bodies->add(x->sum + c->offset, x->gradients + c->offset, c->floats);
}

static double sum_partial(const cameo_optim *o) {
    double sum = 0;
    for (size_t i = 0; i < o->n_chunks; i++) sum += o->partial[i];
    return sum;
}

double cameo_optim_step(cameo_optim *o, cameo_context *pool, const cameo_optim_update *u) {
    pass x = {.o = o, .u = u, .bodies = best_bodies()};
    x.with = make_factors(&o->options, u, true);
    x.without = make_factors(&o->options, u, false);
    cameo_parallel(pool, o->n_chunks, update_task, &x);
    const size_t learnt = o->trainer->learnt_floats, rest = o->trainer->floats - learnt;
    if (u->average && rest)
        x.bodies->average(u->average + learnt, u->parameters + learnt, rest, x.with.average,
                          x.with.one_minus_average);
    return sum_partial(o);
}

double cameo_optim_norm2(cameo_optim *o, cameo_context *pool, const float *gradients) {
    pass x = {.o = o, .bodies = best_bodies(), .gradients = gradients};
    cameo_parallel(pool, o->n_chunks, squares_task, &x);
    return sum_partial(o);
}

double cameo_clip_factor(double norm2, double most) {
    const double factor = most > 0 ? most / (sqrt(norm2) + 1e-6) : 1;
    return factor < 1 ? factor : 1;
}

void cameo_optim_accumulate(cameo_optim *o, cameo_context *pool, float *sum,
                            const float *gradients) {
    pass x = {.o = o, .bodies = best_bodies(), .gradients = gradients, .sum = sum};
    cameo_parallel(pool, o->n_chunks, add_task, &x);
}

const cameo_parameter *cameo_find_not_finite(const cameo_trainer *t, const float *block) {
    for (size_t i = t->n_parameters; i-- > 0;) {
        const cameo_parameter *p = &t->parameters[i];
        for (size_t k = 0; p->learnt && k < p->floats; k++)
            if (!isfinite(block[p->offset + k])) return p;
    }
    return NULL;
}
