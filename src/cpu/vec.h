/* cpu/vec.h: a small vocabulary of SIMD, the same for every instruction set.
 *
 * `vf` holds VL floats, `vi` VL 32-bit integers; + - * / and comparisons work lane by lane (GCC
 * vector extensions; a comparison gives -1 or 0 per lane), (vi)x and (vf)x reinterpret the bits.
 * Loads and stores need no alignment at all. What rounds once says so: vf_fma is one rounding
 * where the instruction set has it (all but portable on x86), else a product and a sum.
 * Included by k_*.c, so everything here is compiled once per instruction set, ISA_<name> defined. */
#ifndef CPU_VEC_H
#define CPU_VEC_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(ISA_avx512bf16)
#define VEC_VNNI 1
#endif
#if defined(ISA_avx512) || defined(ISA_avx512bf16)
#define VEC_AVX512 1
#define VEC_AVX2   1
#define VL         16
#elif defined(ISA_avx2)
#define VEC_AVX2 1
#define VL       8
#else
#define VL 4
#endif

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* An operand of an instruction that may lie in memory; clang would put it there. */
#ifdef __clang__
#define VEC_ANY "x"
#else
#define VEC_ANY "xm"
#endif

#define VEC_INLINE static inline __attribute__((always_inline, unused))

typedef float vf __attribute__((vector_size(4 * VL)));
typedef int32_t vi __attribute__((vector_size(4 * VL)));
typedef float vf_any __attribute__((vector_size(4 * VL), aligned(1), may_alias));

/* --- making, loading, storing ------------------------------------------------------------------ */

VEC_INLINE vf vf_set1(float x)
{
    return x - (vf){0};
}

VEC_INLINE vi vi_set1(int32_t x)
{
    return x + (vi){0};
}

VEC_INLINE vf vf_zero(void)
{
    return (vf){0};
}

VEC_INLINE vf vf_loadu(const float *p)
{
    return *(const vf_any *)p;
}

VEC_INLINE void vf_storeu(float *p, vf x)
{
    *(vf_any *)p = x;
}

/* The first n lanes (0 <= n <= VL); the others are zero and their memory is not touched. */
VEC_INLINE vf vf_load_n(const float *p, int n)
{
#ifdef VEC_AVX512
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    float t[VL] = {0};
    memcpy(t, p, (size_t)n * sizeof *t);
    return vf_loadu(t);
#endif
}

VEC_INLINE void vf_store_n(float *p, vf x, int n)
{
#ifdef VEC_AVX512
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)x);
#else
    float t[VL];
    vf_storeu(t, x);
    memcpy(p, t, (size_t)n * sizeof *t);
#endif
}

/* --- lane by lane ------------------------------------------------------------------------------ */

/* a * b + c */
VEC_INLINE vf vf_fma(vf a, vf b, vf c)
{
#if defined(VEC_AVX512)
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(VEC_AVX2)
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/* The same with the sum's register kept: in an unrolled loop with all registers in use gcc 12 exchanges some, and has one sum in
 * memory. */
VEC_INLINE vf vf_fma_sum(vf a, vf b, vf sum)
{
#if defined(VEC_AVX512) && !defined(EMULATED_ISA)
    __asm__("vfmadd231ps %1, %2, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
#elif defined(VEC_AVX2) && !defined(VEC_AVX512)
    __asm__("vfmadd231ps %1, %2, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
#else
    return vf_fma(a, b, sum);
#endif
}

/* mask lanes are -1 (take a) or 0 (take b) */
VEC_INLINE vf vf_select(vi mask, vf a, vf b)
{
#if defined(VEC_AVX2) && !defined(VEC_AVX512)
    return (vf)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)mask);
#else
    return (vf)((mask & (vi)a) | (~mask & (vi)b));
#endif
}

/* The larger one. If a or b is NaN the lane is b on x86, NaN on ARM: keep a running maximum with
 * m = vf_max(m, x), and let the sum that follows show the NaN. */
VEC_INLINE vf vf_max(vf a, vf b)
{
#if defined(VEC_AVX512)
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(VEC_AVX2)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__x86_64__)
    return (vf)_mm_max_ps((__m128)a, (__m128)b);
#elif defined(__aarch64__)
    return (vf)vmaxq_f32((float32x4_t)a, (float32x4_t)b);
#else
    return vf_select(a > b, a, b);
#endif
}

VEC_INLINE vf vf_min(vf a, vf b)
{
#if defined(VEC_AVX512)
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(VEC_AVX2)
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__x86_64__)
    return (vf)_mm_min_ps((__m128)a, (__m128)b);
#elif defined(__aarch64__)
    return (vf)vminq_f32((float32x4_t)a, (float32x4_t)b);
#else
    return vf_select(a < b, a, b);
#endif
}

VEC_INLINE vf vf_abs(vf x)
{
    return (vf)((vi)x & vi_set1(0x7fffffff));
}

/* 1 / x, correctly rounded */
VEC_INLINE vf vf_recip(vf x)
{
    return vf_set1(1.0f) / x;
}

/* --- across lanes; the order is fixed: halves are added until one lane is left ------------------ */

VEC_INLINE float vec_sum4(const float t[4])
{
    return (t[0] + t[2]) + (t[1] + t[3]);
}

VEC_INLINE float vf_hsum(vf x)
{
#if defined(VEC_AVX512)
    __m256 h =
        _mm256_add_ps(_mm512_castps512_ps256((__m512)x), _mm512_extractf32x8_ps((__m512)x, 1));
#elif defined(VEC_AVX2)
    __m256 h = (__m256)x;
#endif
#ifdef VEC_AVX2
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
#else
    float t[4];
    vf_storeu(t, x);
    return vec_sum4(t);
#endif
}

VEC_INLINE float vf_hmax(vf x)
{
    float t[VL];
    vf_storeu(t, x);
    float m = t[0];
    for (int i = 1; i < VL; i++)
        m = t[i] > m ? t[i] : m;
    return m;
}

/* --- VL narrow numbers to float, exact --------------------------------------------------------- */

typedef uint16_t vec_u16 __attribute__((vector_size(2 * VL), aligned(1), may_alias));
typedef int8_t vec_s8 __attribute__((vector_size(VL), aligned(1), may_alias));

VEC_INLINE vi vi_from_u16(const uint16_t *p)
{
#if defined(VEC_AVX512)
    return (vi)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
#elif defined(VEC_AVX2)
    return (vi)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
#else
    return __builtin_convertvector(*(const vec_u16 *)p, vi);
#endif
}

VEC_INLINE vf vf_from_bf16(const uint16_t *p)
{
    return (vf)(vi_from_u16(p) << 16);
}

/* Subnormal halves are exact as well, whatever the flush-to-zero state. */
VEC_INLINE vf vf_from_f16(const uint16_t *p)
{
#if defined(VEC_AVX512)
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif defined(VEC_AVX2)
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#elif defined(__aarch64__)
    return (vf)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
#else
    vi h = vi_from_u16(p), sign = (h & vi_set1(0x8000)) << 16, mag = (h & vi_set1(0x7fff)) << 13;
    vi exponent = mag & vi_set1(0x0f800000);
    vi normal = mag + vi_set1(112 << 23);
    vi special = mag + vi_set1(224 << 23); /* infinity and NaN keep the highest exponent */
    vi tiny = (vi)((vf)(mag | vi_set1(0x38800000)) - vf_set1(0x1p-14f));
    vf a = vf_select(exponent == vi_set1(0x0f800000), (vf)special, (vf)normal);
    a = vf_select(exponent == vi_set1(0), (vf)tiny, a);
    return (vf)((vi)a | sign);
#endif
}

VEC_INLINE vf vf_from_i8(const int8_t *p)
{
#if defined(VEC_AVX512)
    return (vf)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
#elif defined(VEC_AVX2)
    return (vf)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
#else
    return __builtin_convertvector(*(const vec_s8 *)p, vf);
#endif
}

/* --- integers ---------------------------------------------------------------------------------- */

typedef uint32_t vec_u32 __attribute__((vector_size(4 * VL)));
typedef int16_t vec_s16 __attribute__((vector_size(4 * VL)));
typedef uint16_t vec_u16s __attribute__((vector_size(4 * VL)));

VEC_INLINE vf vf_from_vi(vi x)
{
    return __builtin_convertvector(x, vf);
}

VEC_INLINE vi vi_loadu(const void *p)
{
    return (vi)vf_loadu(p);
}

/* VL floats of at most 32767, rounded to nearest even. */
VEC_INLINE void vf_store_s16(int16_t *p, vf x)
{
    typedef int16_t narrow __attribute__((vector_size(2 * VL), aligned(1), may_alias));
    const vf shift = vf_set1(0x1.8p23f);
    vi whole = (vi)(x + shift) - (vi)shift;
    *(narrow *)p = __builtin_convertvector(whole, narrow);
}

/* VL floats of at most 127, rounded to nearest even; returns the integers. */
VEC_INLINE vi vf_store_s8(int8_t *p, vf x)
{
    const vf shift = vf_set1(0x1.8p23f);
    vi whole = (vi)(x + shift) - (vi)shift;
    *(vec_s8 *)p = __builtin_convertvector(whole, vec_s8);
    return whole;
}

/* 2 * VL bytes as VL pairs of 16-bit integers. */
VEC_INLINE vi vi_pairs_from_i8(const int8_t *p)
{
#if defined(VEC_AVX512)
    return (vi)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p));
#elif defined(VEC_AVX2)
    return (vi)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
#else
    typedef int8_t bytes __attribute__((vector_size(2 * VL), aligned(1), may_alias));
    return (vi) __builtin_convertvector(*(const bytes *)p, vec_s16);
#endif
}

/* Words of four bytes: the first two of each as a pair, the last two. */
VEC_INLINE vi vi_first_pairs(vi bytes)
{
    vi spread = (bytes & vi_set1(0xff)) << 8 | (bytes & vi_set1(0xff00)) << 16;
    return (vi)((vec_s16)spread >> 8);
}

VEC_INLINE vi vi_last_pairs(vi bytes)
{
    vi spread = ((bytes >> 8) & vi_set1(0xff00)) | (bytes & vi_set1((int32_t)0xff000000));
    return (vi)((vec_s16)spread >> 8);
}

/* --- integer dot products, added up; exact modulo 2^32, nothing saturates ------------------------- */

/* Of each lane two products of signed 16-bit integers, added up. */
VEC_INLINE vec_u32 vec_madd16(vec_s16 a, vec_s16 b)
{
#if defined(VEC_AVX512)
    return (vec_u32)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(VEC_AVX2)
    return (vec_u32)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
    return (vec_u32)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    vi x = (vi)a, y = (vi)b;
    return (vec_u32)((x << 16 >> 16) * (y << 16 >> 16)) + (vec_u32)((x >> 16) * (y >> 16));
#endif
}

/* sum + a0 b0 + a1 b1, signed 16-bit integers. The instruction by its name: gcc 12 keeps the sums of its intrinsic in
 * memory, and on AVX2 it multiplies first and adds later, in more registers than there are. Where it is emulated there
 * is only the intrinsic. */
VEC_INLINE vi vi_dpwssd(vi sum, vi a, vi b)
{
#if defined(VEC_VNNI) && defined(EMULATED_ISA)
    return (vi)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(VEC_VNNI)
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
#elif defined(VEC_AVX2) && !defined(EMULATED_ISA)
    vi both;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+v"(sum), "=&v"(both) : "v"(a), "v"(b));
    return sum;
#else
    return (vi)((vec_u32)sum + vec_madd16((vec_s16)a, (vec_s16)b));
#endif
}

/* sum + u0 s0 + u1 s1 + u2 s2 + u3 s3, bytes: u unsigned, s signed. Without the instruction in 16-bit products: those
 * of vpmaddubsw saturate. */
VEC_INLINE vi vi_dpbusd(vi sum, vi u, vi s)
{
#if defined(VEC_VNNI) && defined(EMULATED_ISA)
    return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)u, (__m512i)s);
#elif defined(VEC_VNNI)
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(u), "v"(s));
    return sum;
#else
    vec_s16 even = (vec_s16)((vec_u16s)s << 8) >> 8, odd = (vec_s16)s >> 8;
    vec_u32 t = vec_madd16((vec_s16)(u & vi_set1(0x00ff00ff)), even);
    t += vec_madd16((vec_s16)((vec_u16s)u >> 8), odd);
    return (vi)((vec_u32)sum + t);
#endif
}

/* sum + u0 s0 + u1 s1 + u2 s2 + u3 s3, bytes: u within 0..15, s signed. At most NIBBLE_TERMS of them go into a sum that
 * began as zeros; vi_nibble_sums then makes integers of 32 bits of it. Without the instruction of VNNI a sum has 16 bits:
 * 8 * 2 * 15 * 128 < 2^15. */
enum { NIBBLE_TERMS = 8 };

VEC_INLINE vi vi_dp_nibbles(vi sum, vi u, vi s)
{
#if defined(VEC_VNNI) || !defined(VEC_AVX2)
    return vi_dpbusd(sum, u, s);
#elif defined(VEC_AVX512)
    return (vi)_mm512_add_epi16((__m512i)sum, _mm512_maddubs_epi16((__m512i)u, (__m512i)s));
#else
    vi both; /* by its name for the same reason as in vi_dpwssd */
    __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0"
            : "+x"(sum), "=&x"(both)
            : "x"(u), VEC_ANY(s));
    return sum;
#endif
}

VEC_INLINE vi vi_nibble_sums(vi sum)
{
#if defined(VEC_VNNI) || !defined(VEC_AVX2)
    return sum;
#else
    return (vi)vec_madd16((vec_s16)sum, (vec_s16)vi_set1(0x00010001));
#endif
}

/* --- functions --------------------------------------------------------------------------------- */

/* e^x, error below 1 ulp. exp(-inf) = 0, exp(inf) = inf, NaN stays NaN; results below 2^-126 are
 * zero. x = n ln 2 + r, |r| <= ln 2 / 2; e^r by a polynomial (own minimax fit), 2^n by the
 * exponent bits. */
VEC_INLINE vf vf_exp(vf x)
{
    const float lowest = -87.3365402f, highest = 88.7228317f;
    const vf shift = vf_set1(0x1.8p23f); /* adding it rounds to an integer in the low bits */
    vf c = vf_max(vf_set1(lowest), vf_min(vf_set1(highest), x));
    vf t = vf_fma(c, vf_set1(1.44269504f), shift);
    vf n = t - shift;
    vf r = vf_fma(n, vf_set1(-0x1.62e4p-1f), c);
    r = vf_fma(n, vf_set1(-0x1.7f7d1cp-20f), r);
    vf p = vf_set1(1.38144536e-3f);
    p = vf_fma(p, r, vf_set1(8.36878601e-3f));
    p = vf_fma(p, r, vf_set1(4.16683948e-2f));
    p = vf_fma(p, r, vf_set1(1.66665201e-1f));
    p = vf_fma(p, r, vf_set1(4.99999934e-1f));
    p = vf_fma(p, r * r, r) + vf_set1(1.0f);
    vf y = (vf)((vi)p + ((vi)t << 23));
    y = vf_select(x < vf_set1(lowest), vf_zero(), y);
    y = vf_select(x > vf_set1(highest), vf_set1(INFINITY), y);
    return vf_select(x == x, y, x);
}

/* 1 / (1 + e^-x) */
VEC_INLINE vf vf_sigmoid(vf x)
{
    return vf_recip(vf_set1(1.0f) + vf_exp(-x));
}

#endif
