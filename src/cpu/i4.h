/* cpu/i4.h: weights of 4 bits (tensor/panel.h) as floats, and as 16-bit integers beside their scales. */
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

/* The integers of a block as pairs of neighbouring inputs, I4_PAIRS rows of them, and a last row with the scales. */
enum { I4_PAIRS = I4_BLOCK / 2, I4_ROWS = I4_PAIRS + 1 };

/* Two bytes 0..15 of each word, from the given bit on, as a pair of 16-bit integers, less 8. */
VEC_INLINE vf i4_pair(vi nibbles, const int bit)
{
    vi second = bit ? nibbles >> 8 : nibbles << 8;
    vi pair = ((nibbles >> bit) & vi_set1(15)) | (second & vi_set1(15 << 16));
    return (vf)((vec_s16)pair - (vec_s16)vi_set1(0x00080008));
}

/* For `outs` outputs from the first-th on, rows `ld` floats apart. */
VEC_INLINE void i4_pairs(float *to, const int ld, const char *block, int first, const int outs)
{
    for (int v = 0; v < outs; v += VL) {
        for (int g = 0; g < I4_BLOCK / 8; g++) {
            const vi words = i4_words(block, first + v, g);
            const vi low = words & vi_set1(0x0f0f0f0f), high = (words >> 4) & vi_set1(0x0f0f0f0f);
            float *at = to + 4 * g * ld + v;
            vf_storeu(at, i4_pair(low, 0));
            vf_storeu(at + ld, i4_pair(low, 16));
            vf_storeu(at + 2 * ld, i4_pair(high, 0));
            vf_storeu(at + 3 * ld, i4_pair(high, 16));
        }
        vf_storeu(to + I4_PAIRS * ld + v, i4_scales(block, first + v));
    }
}

#endif
