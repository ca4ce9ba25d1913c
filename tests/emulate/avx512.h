/* emulate/avx512.h: what the kernel files use of AVX-512 (F, BW, DQ, VNNI, BF16), computed with AVX2 and FMA.
 *
 * Included before everything else (-include) when the sets avx512 and avx512bf16 are built for a CPU that may lack
 * them: cmake/emulate.cmake. The texts of the kernels stay as they are; an intrinsic that is missing here does not
 * compile ("target specific option mismatch"): it is added below, with Intel's name and meaning (Software Developer's
 * Manual, volume 2). Results have the bits of the instructions where no NaN is made; a NaN comes out as a NaN, whatever
 * its bits. Arithmetic rounds and flushes as MXCSR says, as the instructions do, except that of bf16, see there.
 * tests/unit/test_emulate.c checks this file, against the CPU as well where it has the instructions. */
#ifndef EMULATE_AVX512_H
#define EMULATE_AVX512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define EMULATED_ISA 1 /* no inline assembly of these instructions: cpu/vec.h */

#define EMULATE static inline __attribute__((always_inline, unused))
#define EMULATE_APART \
    static __attribute__((noinline, unused)) /* long, and unrolled kernels name it often */

typedef int32_t EmI32 __attribute__((vector_size(64)));
typedef uint32_t EmU32 __attribute__((vector_size(64)));
typedef int16_t EmI16 __attribute__((vector_size(64)));
typedef float EmF32 __attribute__((vector_size(64)));

typedef union EmVec {
    EmF32 f;
    EmI32 i;
    EmU32 u;
    EmI16 w;
    __m256 ps[2];
    __m256i si[2];
    float lane[16];
} EmVec;

/* Both halves by an instruction of AVX2. */
#define EM_HALVES_PS(fn, a, b) \
    ((__m512)(EmVec){.ps = {fn((a).ps[0], (b).ps[0]), fn((a).ps[1], (b).ps[1])}}.f)

EMULATE EmVec em_f(__m512 x)
{
    return (EmVec){.f = (EmF32)x};
}

EMULATE EmVec em_i(__m512i x)
{
    return (EmVec){.i = (EmI32)x};
}

/* --- moving ------------------------------------------------------------------------------------ */

EMULATE __m512 em_maskz_loadu_ps(__mmask16 k, const void *p)
{
    EmVec t = {.i = {0}};
    for (int i = 0; i < 16; i++)
        if (k >> i & 1)
            memcpy(&t.lane[i], (const char *)p + 4 * i, 4);
    return (__m512)t.f;
}

EMULATE void em_mask_storeu_ps(void *p, __mmask16 k, __m512 x)
{
    EmVec t = em_f(x);
    for (int i = 0; i < 16; i++)
        if (k >> i & 1)
            memcpy((char *)p + 4 * i, &t.lane[i], 4);
}

EMULATE void em_storeu_si512(void *p, __m512i x)
{
    memcpy(p, &x, sizeof x);
}

EMULATE __m512i em_set1_epi32(int x)
{
    return (__m512i)(x + (EmI32){0});
}

EMULATE __m256 em_castps512_ps256(__m512 x)
{
    return em_f(x).ps[0];
}

EMULATE __m256 em_extractf32x8_ps(__m512 x, int half)
{
    return em_f(x).ps[half & 1];
}

/* --- numbers of other widths ------------------------------------------------------------------- */

EMULATE __m512i em_cvtepu16_epi32(__m256i x)
{
    return (__m512i)(EmVec){.si = {_mm256_cvtepu16_epi32(_mm256_castsi256_si128(x)),
                                   _mm256_cvtepu16_epi32(_mm256_extracti128_si256(x, 1))}}
        .i;
}

EMULATE __m512i em_cvtepi8_epi32(__m128i x)
{
    return (__m512i)(EmVec){
        .si = {_mm256_cvtepi8_epi32(x), _mm256_cvtepi8_epi32(_mm_srli_si128(x, 8))}}
        .i;
}

EMULATE __m512i em_cvtepi8_epi16(__m256i x)
{
    return (__m512i)(EmVec){.si = {_mm256_cvtepi8_epi16(_mm256_castsi256_si128(x)),
                                   _mm256_cvtepi8_epi16(_mm256_extracti128_si256(x, 1))}}
        .i;
}

EMULATE __m512 em_cvtepi32_ps(__m512i x)
{
    EmVec v = em_i(x);
    return (__m512)(EmVec){.ps = {_mm256_cvtepi32_ps(v.si[0]), _mm256_cvtepi32_ps(v.si[1])}}.f;
}

EMULATE __m512 em_cvtph_ps(__m256i x)
{
    return (__m512)(EmVec){.ps = {_mm256_cvtph_ps(_mm256_castsi256_si128(x)),
                                  _mm256_cvtph_ps(_mm256_extracti128_si256(x, 1))}}
        .f;
}

/* --- arithmetic -------------------------------------------------------------------------------- */

EMULATE __m512 em_fmadd_ps(__m512 a, __m512 b, __m512 c)
{
    EmVec x = em_f(a), y = em_f(b), z = em_f(c);
    return (__m512)(EmVec){.ps = {_mm256_fmadd_ps(x.ps[0], y.ps[0], z.ps[0]),
                                  _mm256_fmadd_ps(x.ps[1], y.ps[1], z.ps[1])}}
        .f;
}

EMULATE __m512 em_max_ps(__m512 a, __m512 b)
{
    EmVec x = em_f(a), y = em_f(b);
    return EM_HALVES_PS(_mm256_max_ps, x, y);
}

EMULATE __m512 em_min_ps(__m512 a, __m512 b)
{
    EmVec x = em_f(a), y = em_f(b);
    return EM_HALVES_PS(_mm256_min_ps, x, y);
}

EMULATE __m512i em_madd_epi16(__m512i a, __m512i b)
{
    EmVec x = em_i(a), y = em_i(b);
    return (__m512i)(EmVec){
        .si = {_mm256_madd_epi16(x.si[0], y.si[0]), _mm256_madd_epi16(x.si[1], y.si[1])}}
        .i;
}

EMULATE __m512i em_maddubs_epi16(__m512i a, __m512i b)
{
    EmVec x = em_i(a), y = em_i(b);
    return (__m512i)(EmVec){
        .si = {_mm256_maddubs_epi16(x.si[0], y.si[0]), _mm256_maddubs_epi16(x.si[1], y.si[1])}}
        .i;
}

EMULATE __m512i em_add_epi16(__m512i a, __m512i b)
{
    EmVec x = em_i(a), y = em_i(b);
    return (__m512i)(EmVec){
        .si = {_mm256_add_epi16(x.si[0], y.si[0]), _mm256_add_epi16(x.si[1], y.si[1])}}
        .i;
}

/* --- VNNI: in C without any instruction of its own, sums modulo 2^32 ---------------------------- */

/* VPDPBUSD: to each lane of sum, the products of four unsigned bytes of a and four signed ones of b. */
EMULATE_APART __m512i em_dpbusd_epi32(__m512i sum, __m512i a, __m512i b)
{
    EmU32 s = em_i(sum).u, x = em_i(a).u;
    EmI32 y = em_i(b).i;
    for (int i = 0; i < 32; i += 8)
        s += (x >> i & 0xff) * (EmU32)((EmI32)((EmU32)y << (24 - i)) >> 24);
    return (__m512i)s;
}

/* VPDPWSSD: the products of two signed words each. */
EMULATE_APART __m512i em_dpwssd_epi32(__m512i sum, __m512i a, __m512i b)
{
    EmU32 s = em_i(sum).u;
    EmI32 x = em_i(a).i, y = em_i(b).i;
    s += (EmU32)((EmI32)((EmU32)x << 16) >> 16) * (EmU32)((EmI32)((EmU32)y << 16) >> 16);
    s += (EmU32)(x >> 16) * (EmU32)(y >> 16);
    return (__m512i)s;
}

/* --- BF16 -------------------------------------------------------------------------------------- */

/* Subnormal lanes become zero, with their sign. */
EMULATE EmU32 em_flush(EmU32 bits)
{
    EmU32 tiny = (EmU32)((bits & 0x7f800000) == 0);
    return bits & ~(tiny & 0x7fffffff);
}

/* 16 floats to bf16 in the low half of each lane: nearest even, subnormals to zero, NaN to quiet NaN. */
EMULATE EmU32 em_bf16(EmU32 x)
{
    EmU32 nan = (EmU32)((x & 0x7fffffff) > 0x7f800000);
    EmU32 flushed = em_flush(x);
    EmU32 rounded = (flushed + 0x7fff + (flushed >> 16 & 1)) >> 16;
    return (nan & (x >> 16 | 0x40)) | (~nan & rounded);
}

/* VCVTNE2PS2BF16: b becomes the lower half, a the upper one. */
EMULATE_APART __m512bh em_cvtne2ps_pbh(__m512 a, __m512 b)
{
    EmVec hi = {.u = em_bf16(em_f(a).u)}, lo = {.u = em_bf16(em_f(b).u)};
    uint16_t to[32];
    for (int i = 0; i < 16; i++) {
        uint32_t l, h;
        memcpy(&l, &lo.lane[i], 4);
        memcpy(&h, &hi.lane[i], 4);
        to[i] = (uint16_t)l;
        to[16 + i] = (uint16_t)h;
    }
    __m512bh y;
    memcpy(&y, to, sizeof y);
    return y;
}

/* VDPBF16PS: two fused steps, the upper numbers of the pairs first, each rounded to nearest even, subnormals flushed
 * going in and coming out. The instruction does not ask MXCSR; here the bits are the same under the settings that
 * kernels run in (cpu/flush.h). Under others, rounding is theirs, and a result that rounds to 2^-126 only because
 * subnormals are coarser is not flushed. */
EMULATE_APART __m512 em_dpbf16_ps(__m512 sum, __m512bh a, __m512bh b)
{
    EmVec x = em_i((__m512i)a), y = em_i((__m512i)b), s = em_f(sum);
    EmVec x1 = {.u = em_flush(x.u & 0xffff0000)}, y1 = {.u = em_flush(y.u & 0xffff0000)};
    EmVec x0 = {.u = em_flush(x.u << 16)}, y0 = {.u = em_flush(y.u << 16)};
    s.u = em_flush(s.u);
    s = em_f(em_fmadd_ps((__m512)x1.f, (__m512)y1.f, (__m512)s.f));
    s.u = em_flush(s.u);
    s = em_f(em_fmadd_ps((__m512)x0.f, (__m512)y0.f, (__m512)s.f));
    s.u = em_flush(s.u);
    return (__m512)s.f;
}

/* --- under the names that the kernels use ------------------------------------------------------- */

#ifndef EMULATE_KEEP_NAMES
#undef _mm512_extractf32x8_ps
#define _mm512_maskz_loadu_ps  em_maskz_loadu_ps
#define _mm512_mask_storeu_ps  em_mask_storeu_ps
#define _mm512_storeu_si512    em_storeu_si512
#define _mm512_set1_epi32      em_set1_epi32
#define _mm512_castps512_ps256 em_castps512_ps256
#define _mm512_extractf32x8_ps em_extractf32x8_ps
#define _mm512_cvtepu16_epi32  em_cvtepu16_epi32
#define _mm512_cvtepi8_epi32   em_cvtepi8_epi32
#define _mm512_cvtepi8_epi16   em_cvtepi8_epi16
#define _mm512_cvtepi32_ps     em_cvtepi32_ps
#define _mm512_cvtph_ps        em_cvtph_ps
#define _mm512_fmadd_ps        em_fmadd_ps
#define _mm512_max_ps          em_max_ps
#define _mm512_min_ps          em_min_ps
#define _mm512_madd_epi16      em_madd_epi16
#define _mm512_maddubs_epi16   em_maddubs_epi16
#define _mm512_add_epi16       em_add_epi16
#define _mm512_dpbusd_epi32    em_dpbusd_epi32
#define _mm512_dpwssd_epi32    em_dpwssd_epi32
#define _mm512_cvtne2ps_pbh    em_cvtne2ps_pbh
#define _mm512_dpbf16_ps       em_dpbf16_ps
#endif

#endif
