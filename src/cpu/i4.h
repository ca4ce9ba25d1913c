/* cpu/i4.h: weights of 4 bits (tensor/panel.h) as floats. */
#ifndef CPU_I4_H
#define CPU_I4_H

#include "cpu/vec.h"
#include "tensor/panel.h"

/* The scales of VL outputs of a block, from the first-th on. */
VEC_INLINE vf i4_scales(const char *block, int first)
{
    return vf_from_f16((const uint16_t *)(const void *)(block + 2 * first));
}

/* VL words of a block: each has two weights of inputs 8 * g + 0..3 of one output in a byte. */
VEC_INLINE vi i4_words(const char *block, int first, int g)
{
    return vi_loadu(block + I4_SCALES + g * 4 * PANEL + 4 * first);
}

/* A block's weights of `outs` outputs from the first-th on, whole vectors of them: a row of them for each input, `ld` floats
 * from one to the next. Exact: 4 bits times the 11 of a scale. */
VEC_INLINE void i4_widen(float *to, const int ld, const char *block, int first, const int outs)
{
    for (int v = 0; v < outs; v += VL) {
        const vf scale = i4_scales(block, first + v), zero = scale * vf_set1(-8);
        for (int g = 0; g < I4_BLOCK / 8; g++) {
            vi words = i4_words(block, first + v, g);
            float *at = to + 8 * g * ld + v;
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++, words >>= 8) {
                vi low = words & vi_set1(15), high = (words >> 4) & vi_set1(15);
                vf_storeu(at + j * ld, vf_fma(vf_from_vi(low), scale, zero));
                vf_storeu(at + (4 + j) * ld, vf_fma(vf_from_vi(high), scale, zero));
            }
        }
    }
}

#endif
