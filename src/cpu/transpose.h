/* cpu/transpose.h: a block of VL x VL 32-bit words, transposed in registers. */
#ifndef CPU_TRANSPOSE_H
#define CPU_TRANSPOSE_H

#include "cpu/vec.h"

#if defined(VEC_AVX512)

/* Pairs of 32-bit, then of 64-bit words change places within 128-bit lanes, then the lanes do. */
VEC_INLINE void vi_transpose(vi r[VL])
{
    __m512i a[16], b[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        a[2 * i] = _mm512_unpacklo_epi32((__m512i)r[2 * i], (__m512i)r[2 * i + 1]);
        a[2 * i + 1] = _mm512_unpackhi_epi32((__m512i)r[2 * i], (__m512i)r[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        b[4 * i + 0] = _mm512_unpacklo_epi64(a[4 * i + 0], a[4 * i + 2]);
        b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i + 0], a[4 * i + 2]);
        b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m512i even0 = _mm512_shuffle_i32x4(b[i], b[4 + i], 0x88);
        __m512i odd0 = _mm512_shuffle_i32x4(b[i], b[4 + i], 0xdd);
        __m512i even1 = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0x88);
        __m512i odd1 = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0xdd);
        r[i] = (vi)_mm512_shuffle_i32x4(even0, even1, 0x88);
        r[4 + i] = (vi)_mm512_shuffle_i32x4(odd0, odd1, 0x88);
        r[8 + i] = (vi)_mm512_shuffle_i32x4(even0, even1, 0xdd);
        r[12 + i] = (vi)_mm512_shuffle_i32x4(odd0, odd1, 0xdd);
    }
}

#elif defined(VEC_AVX2)

VEC_INLINE void vi_transpose(vi r[VL])
{
    __m256i a[8], b[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi32((__m256i)r[2 * i], (__m256i)r[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi32((__m256i)r[2 * i], (__m256i)r[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        b[4 * i + 0] = _mm256_unpacklo_epi64(a[4 * i + 0], a[4 * i + 2]);
        b[4 * i + 1] = _mm256_unpackhi_epi64(a[4 * i + 0], a[4 * i + 2]);
        b[4 * i + 2] = _mm256_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm256_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[i] = (vi)_mm256_permute2x128_si256(b[i], b[4 + i], 0x20);
        r[4 + i] = (vi)_mm256_permute2x128_si256(b[i], b[4 + i], 0x31);
    }
}

#else

VEC_INLINE void vi_transpose(vi r[VL])
{
    vi a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
    vi b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    vi c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
    vi d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

#endif

#endif
