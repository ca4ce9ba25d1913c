/* emulate/cases.c: compiled twice, with CASES=cases_emulated behind avx512.h, and with CASES=cases_native for a CPU
 * that has the instructions. */
#include <immintrin.h>
#include <string.h>
#include "cases.h"

#define OP(name, type, expression)        \
    static void name(Case *c)             \
    {                                     \
        __m512i sum, a, b;                \
        memcpy(&sum, c->sum, sizeof sum); \
        memcpy(&a, c->a, sizeof a);       \
        memcpy(&b, c->b, sizeof b);       \
        type y = expression;              \
        memset(c->y, 0, sizeof c->y);     \
        memcpy(c->y, &y, sizeof y);       \
        (void)sum, (void)b;               \
    }

static __m256i half(__m512i x)
{
    __m256i h;
    memcpy(&h, &x, sizeof h);
    return h;
}

static __m128i quarter(__m512i x)
{
    return _mm256_castsi256_si128(half(x));
}

OP(dpbf16, __m512, _mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b))
OP(cvtne2, __m512bh, _mm512_cvtne2ps_pbh((__m512)a, (__m512)b))
OP(dpbusd, __m512i, _mm512_dpbusd_epi32(sum, a, b))
OP(dpwssd, __m512i, _mm512_dpwssd_epi32(sum, a, b))
OP(madd, __m512i, _mm512_madd_epi16(a, b))
OP(maddubs, __m512i, _mm512_maddubs_epi16(a, b))
OP(add16, __m512i, _mm512_add_epi16(a, b))
OP(fmadd, __m512, _mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)sum))
OP(max, __m512, _mm512_max_ps((__m512)a, (__m512)b))
OP(min, __m512, _mm512_min_ps((__m512)a, (__m512)b))
OP(u16, __m512i, _mm512_cvtepu16_epi32(half(a)))
OP(i8, __m512i, _mm512_cvtepi8_epi32(quarter(a)))
OP(i8_words, __m512i, _mm512_cvtepi8_epi16(half(a)))
OP(i32, __m512, _mm512_cvtepi32_ps(a))
OP(f16, __m512, _mm512_cvtph_ps(half(a)))
OP(set1, __m512i, _mm512_set1_epi32((int)c->a[0]))
OP(low, __m256, _mm512_castps512_ps256((__m512)a))
OP(high, __m256, _mm512_extractf32x8_ps((__m512)a, 1))
OP(load, __m512, _mm512_maskz_loadu_ps((__mmask16)c->b[0], c->a))

static void store(Case *c)
{
    __m512i a;
    memcpy(&a, c->a, sizeof a);
    memset(c->y, 0, sizeof c->y);
    _mm512_mask_storeu_ps(c->y, (__mmask16)c->b[0], (__m512)a);
}

static void store_all(Case *c)
{
    __m512i a;
    memcpy(&a, c->a, sizeof a);
    _mm512_storeu_si512(c->y, a);
}

#define ENTRY(name) {#name, name},

const CaseOp CASES[] = {ENTRY(dpbf16) ENTRY(cvtne2) ENTRY(dpbusd) ENTRY(dpwssd) ENTRY(madd) ENTRY(maddubs) ENTRY(add16)
                            ENTRY(fmadd) ENTRY(max) ENTRY(min) ENTRY(u16) ENTRY(i8) ENTRY(i8_words)
                                ENTRY(i32) ENTRY(f16) ENTRY(set1) ENTRY(low) ENTRY(high) ENTRY(load)
                                    ENTRY(store) ENTRY(store_all){NULL, NULL}};
