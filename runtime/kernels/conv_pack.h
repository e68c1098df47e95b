/* Live weights of convolutions, put into the order direct_conv.h reads: from ONNX order, or
   flipped and transposed for the gradient of the input. Tasks are blocks of output channels. */
#ifndef CAMEO_KERNELS_CONV_PACK_H
#define CAMEO_KERNELS_CONV_PACK_H
#include "direct_conv.h"
#include "transpose.h"

typedef struct cameo_conv_pack {
    const float *from;
    float *to;
} cameo_conv_pack;

/* Block i of [group][co / block][kh][kw][ci][block] from [group][co][ci][kh][kw], zeros behind the
   last channel. */
CAMEO_INLINE void cameo_conv_pack_task(const cameo_conv *s, const cameo_conv_pack *a, size_t i) {
    const ptrdiff_t block = cameo_conv_block(s), taps = s->kh * s->kw,
                    floats = taps * s->ci * block, q = (ptrdiff_t)i;
    const ptrdiff_t per_group = cameo_conv_group_blocks(s), first = q % per_group * block;
    const float *from = a->from + (q / per_group * s->co + first) * s->ci * taps;
    float *to = a->to + q * floats;
    const ptrdiff_t channels = cameo_least(block, s->co - first);
    if (channels < block) memset(to, 0, (size_t)floats * sizeof *to);
    for (ptrdiff_t t = 0; t < taps; t++)
        for (ptrdiff_t c = 0; c < s->ci; c++)
            for (ptrdiff_t o = 0; o < channels; o++)
                to[(t * s->ci + c) * block + o] = from[(o * s->ci + c) * taps + t];
}

/* ---- for the gradient of the input ---- */

/* With strides the outputs of the gradient fall into sh * sw phases; each is a convolution of dy at
   stride 1 by its own taps, in reverse order. */
CAMEO_INLINE ptrdiff_t cameo_phase_taps(ptrdiff_t k, ptrdiff_t stride, ptrdiff_t phase) {
    return phase < k ? cameo_ceil(k - phase, stride) : 0;
}

/* Blocks of input channels, in all groups. */
CAMEO_INLINE ptrdiff_t cameo_flip_tasks(const cameo_conv_flip *s) {
    const ptrdiff_t block = s->vectors * CAMEO_VF;
    return cameo_ceil(s->ci, block) * s->groups;
}

/* Floats of the packed weights before phase ah, aw; those of all phases: ah = sh, aw = 0. */
CAMEO_INLINE ptrdiff_t cameo_flip_offset(const cameo_conv_flip *s, ptrdiff_t ah, ptrdiff_t aw) {
    ptrdiff_t taps = 0;
    for (ptrdiff_t p = 0; p < ah * s->sw + aw; p++)
        taps += cameo_phase_taps(s->kh, s->sh, p / s->sw) *
                cameo_phase_taps(s->kw, s->sw, p % s->sw);
    return taps * cameo_flip_tasks(s) * s->vectors * CAMEO_VF * s->co;
}

/* One tap of ci input channels (at most a vector of them) and all output channels; from: [co /
   block][tap][ci][block] at the tap and the first of the channels. */
CAMEO_INLINE void cameo_flip_blocked(const cameo_conv_flip *s, const float *from, float *to,
                                     ptrdiff_t ci) {
    const ptrdiff_t step = s->kh * s->kw * s->ci * s->block, out = s->vectors * CAMEO_VF;
    for (ptrdiff_t o = 0; o < s->co; o += CAMEO_VF) {
        const float *x = from + o / s->block * step + o % s->block;
        cameo_v v[CAMEO_VF];
        CAMEO_UNROLL
        for (ptrdiff_t i = 0; i < CAMEO_VF; i++)
            v[i] = i < ci ? cameo_load(x + i * s->block) : (cameo_v){0};
        cameo_transpose(v);
        CAMEO_UNROLL
        for (ptrdiff_t i = 0; i < CAMEO_VF; i++)
            if (o + i < s->co) cameo_store(to + (o + i) * out, v[i]);
    }
}

/* The same; from: [co][ci][tap]. */
CAMEO_INLINE void cameo_flip_onnx(const cameo_conv_flip *s, const float *from, float *to,
                                  ptrdiff_t ci) {
    const ptrdiff_t taps = s->kh * s->kw, out = s->vectors * CAMEO_VF;
    for (ptrdiff_t o = 0; o < s->co; o++)
        for (ptrdiff_t i = 0; i < CAMEO_VF; i++)
            to[o * out + i] = i < ci ? from[(o * s->ci + i) * taps] : 0;
}

/* Block i of [phase][group][ci / block][kh][kw][co][block], with the taps of each phase in
   reverse. */
CAMEO_INLINE void cameo_flip_task(const cameo_conv_flip *s, const cameo_conv_pack *a, size_t i) {
    const ptrdiff_t block = s->vectors * CAMEO_VF, per_group = cameo_ceil(s->ci, block),
                    q = (ptrdiff_t)i;
    const ptrdiff_t group = q / per_group, first = q % per_group * block, taps = s->kh * s->kw;
    const float *from = a->from + group * s->co * s->ci * taps;
    for (ptrdiff_t t = 0; t < taps; t++) {
        const ptrdiff_t kh = t / s->kw, kw = t % s->kw, ah = kh % s->sh, aw = kw % s->sw;
        const ptrdiff_t nh = cameo_phase_taps(s->kh, s->sh, ah),
                        nw = cameo_phase_taps(s->kw, s->sw, aw);
        const ptrdiff_t tap = (nh - 1 - kh / s->sh) * nw + nw - 1 - kw / s->sw;
        float *to = a->to + cameo_flip_offset(s, ah, aw) + (q * nh * nw + tap) * s->co * block;
        for (ptrdiff_t c = 0; c < block; c += CAMEO_VF) {
            const ptrdiff_t ci = first + c,
                            inside = cameo_most(0, cameo_least(CAMEO_VF, s->ci - ci));
            if (s->block)
                cameo_flip_blocked(s, from + (t * s->ci + ci) * s->block, to + c, inside);
            else
                cameo_flip_onnx(s, from + ci * taps + t, to + c, inside);
        }
    }
}
#endif
