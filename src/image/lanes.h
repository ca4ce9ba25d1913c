/* image/lanes.h: what k_passes.c asks of an instruction set.
 *
 * Along a row: Weights are those of a group, Sum the sums of one target, its three channels beside each other.
 * Down the rows: Pair are the weights of two rows, Sums those of WIDE neighbouring samples. */
#ifndef IMAGE_LANES_H
#define IMAGE_LANES_H

#include <string.h>
#include "image/kernel.h"

#define LANES_INLINE static inline __attribute__((always_inline, unused))

enum { WIDE = 16 };

/* Two weights as pmaddwd wants them beside two samples. */
LANES_INLINE int32_t two_halves(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a & 0xffff) | (int32_t)((uint32_t)b << 16);
}

#if defined(RESIZE_avx2)
#include <immintrin.h>

typedef struct Weights {
    __m256i high, low;
} Weights;
typedef Weights Sum;
typedef Weights Pair;
typedef struct Sums {
    Sum half[2];
} Sums;

LANES_INLINE __m256i both_lanes(const void *p)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(p));
}

LANES_INLINE Sum sum_zero(void)
{
    return (Sum){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

/* The first two weights in every place of one lane, the other two in the other. */
LANES_INLINE Weights weights_load(const int16_t *w)
{
    const __m256i high = _mm256_setr_epi32(0x03020100, 0x03020100, 0x03020100, 0x03020100,
                                           0x07060504, 0x07060504, 0x07060504, 0x07060504);
    const __m256i low = _mm256_add_epi8(high, _mm256_set1_epi8(2 * GROUP));
    __m256i all = both_lanes(w);
    return (Weights){_mm256_shuffle_epi8(all, high), _mm256_shuffle_epi8(all, low)};
}

/* Four pixels: r0 r1 g0 g1 b0 b1 in 16 bits each, and behind them, in the other lane, those of 2 and 3. */
LANES_INLINE __m256i pixels_load(const uint8_t *p, int pixel)
{
    const __m256i three =
        _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9, -1, 7,
                         -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
    const __m256i four =
        _mm256_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, -1, -1, -1, -1, 8, -1, 12, -1, 9,
                         -1, 13, -1, 10, -1, 14, -1, -1, -1, -1, -1);
    return _mm256_shuffle_epi8(both_lanes(p), pixel == 3 ? three : four);
}

LANES_INLINE void madd(Sum *s, __m256i x, const Weights *w)
{
    s->high = _mm256_add_epi32(s->high, _mm256_madd_epi16(x, w->high));
    s->low = _mm256_add_epi32(s->low, _mm256_madd_epi16(x, w->low));
}

LANES_INLINE void sum_add(Sum *s, const uint8_t *p, int pixel, const Weights *w)
{
    madd(s, pixels_load(p, pixel), w);
}

LANES_INLINE __m256i joined(const Sum *s)
{
    return _mm256_add_epi32(_mm256_slli_epi32(s->high, LOW_BITS), s->low);
}

/* Bytes r, g, b of the low three quarters. */
LANES_INLINE uint32_t sum_rgb(const Sum *s)
{
    __m256i x = joined(s);
    __m128i v = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    v = _mm_srai_epi32(_mm_add_epi32(v, _mm_set1_epi32(HALF)), PRECISION);
    v = _mm_packs_epi32(v, v);
    return (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(v, v));
}

LANES_INLINE Pair pair_of(int32_t a, int32_t b)
{
    return (Pair){_mm256_set1_epi32(two_halves(weight_high(a), weight_high(b))),
                  _mm256_set1_epi32(two_halves(weight_low(a), weight_low(b)))};
}

LANES_INLINE void sums_add(Sums *s, const uint8_t *a, const uint8_t *b, const Pair *w)
{
    __m128i x = _mm_loadu_si128((const __m128i *)a), y = _mm_loadu_si128((const __m128i *)b);
    madd(&s->half[0], _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(x, y)), w);
    madd(&s->half[1], _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(x, y)), w);
}

LANES_INLINE void sums_flush(uint32_t *to, const Sums *s)
{
    for (int i = 0; i < 2; i++) {
        __m256i *at = (__m256i *)(to + 8 * i);
        _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), joined(&s->half[i])));
    }
}

#elif defined(RESIZE_sse2)
#include <emmintrin.h>

typedef struct Sum {
    __m128i high, low;
} Sum;
typedef Sum Pair;
typedef struct Weights {
    Sum half[2];
} Weights;
typedef struct Sums {
    Sum quarter[4];
} Sums;

LANES_INLINE Sum sum_zero(void)
{
    return (Sum){_mm_setzero_si128(), _mm_setzero_si128()};
}

LANES_INLINE Weights weights_load(const int16_t *w)
{
    __m128i all = _mm_loadu_si128((const __m128i *)w);
    return (Weights){{{_mm_shuffle_epi32(all, 0x00), _mm_shuffle_epi32(all, 0xaa)},
                      {_mm_shuffle_epi32(all, 0x55), _mm_shuffle_epi32(all, 0xff)}}};
}

/* Two pixels: r0 r1 g0 g1 b0 b1 in 16 bits each. */
LANES_INLINE __m128i pixels_load(const uint8_t *p, int pixel)
{
    __m128i x = _mm_loadl_epi64((const __m128i *)p);
    __m128i next = pixel == 3 ? _mm_srli_si128(x, 3) : _mm_srli_si128(x, 4);
    return _mm_unpacklo_epi8(_mm_unpacklo_epi8(x, next), _mm_setzero_si128());
}

LANES_INLINE void madd(Sum *s, __m128i x, const Sum *w)
{
    s->high = _mm_add_epi32(s->high, _mm_madd_epi16(x, w->high));
    s->low = _mm_add_epi32(s->low, _mm_madd_epi16(x, w->low));
}

LANES_INLINE void sum_add(Sum *s, const uint8_t *p, int pixel, const Weights *w)
{
    madd(s, pixels_load(p, pixel), &w->half[0]);
    madd(s, pixels_load(p + 2 * pixel, pixel), &w->half[1]);
}

LANES_INLINE __m128i joined(const Sum *s)
{
    return _mm_add_epi32(_mm_slli_epi32(s->high, LOW_BITS), s->low);
}

LANES_INLINE uint32_t sum_rgb(const Sum *s)
{
    __m128i v = _mm_srai_epi32(_mm_add_epi32(joined(s), _mm_set1_epi32(HALF)), PRECISION);
    v = _mm_packs_epi32(v, v);
    return (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(v, v));
}

LANES_INLINE Pair pair_of(int32_t a, int32_t b)
{
    return (Pair){_mm_set1_epi32(two_halves(weight_high(a), weight_high(b))),
                  _mm_set1_epi32(two_halves(weight_low(a), weight_low(b)))};
}

LANES_INLINE void sums_add(Sums *s, const uint8_t *a, const uint8_t *b, const Pair *w)
{
    const __m128i zero = _mm_setzero_si128();
    __m128i x = _mm_loadu_si128((const __m128i *)a), y = _mm_loadu_si128((const __m128i *)b);
    __m128i front = _mm_unpacklo_epi8(x, y), back = _mm_unpackhi_epi8(x, y);
    madd(&s->quarter[0], _mm_unpacklo_epi8(front, zero), w);
    madd(&s->quarter[1], _mm_unpackhi_epi8(front, zero), w);
    madd(&s->quarter[2], _mm_unpacklo_epi8(back, zero), w);
    madd(&s->quarter[3], _mm_unpackhi_epi8(back, zero), w);
}

LANES_INLINE void sums_flush(uint32_t *to, const Sums *s)
{
    for (int i = 0; i < 4; i++) {
        __m128i *at = (__m128i *)(to + 4 * i);
        _mm_storeu_si128(at, _mm_add_epi32(_mm_loadu_si128(at), joined(&s->quarter[i])));
    }
}

#elif defined(RESIZE_neon)
#include <arm_neon.h>

typedef struct Weights {
    int16x4_t high, low;
} Weights;
typedef struct Sum {
    int32x4_t high, low;
} Sum;
typedef struct Pair {
    int16_t high[2], low[2];
} Pair;
typedef struct Sums {
    Sum quarter[4];
} Sums;

LANES_INLINE Sum sum_zero(void)
{
    return (Sum){vdupq_n_s32(0), vdupq_n_s32(0)};
}

LANES_INLINE Weights weights_load(const int16_t *w)
{
    return (Weights){vld1_s16(w), vld1_s16(w + GROUP)};
}

LANES_INLINE int16x4_t pixel_load(const uint8_t *p)
{
    uint32_t t;
    memcpy(&t, p, sizeof t);
    return vreinterpret_s16_u16(vget_low_u16(vmovl_u8(vcreate_u8(t))));
}

#define ADD_PIXEL(j)                                        \
    do {                                                    \
        int16x4_t x = pixel_load(p + (j)*pixel);            \
        s->high = vmlal_lane_s16(s->high, x, w->high, (j)); \
        s->low = vmlal_lane_s16(s->low, x, w->low, (j));    \
    } while (0)

LANES_INLINE void sum_add(Sum *s, const uint8_t *p, int pixel, const Weights *w)
{
    ADD_PIXEL(0);
    ADD_PIXEL(1);
    ADD_PIXEL(2);
    ADD_PIXEL(3);
}

LANES_INLINE int32x4_t joined(const Sum *s)
{
    return vaddq_s32(vshlq_n_s32(s->high, LOW_BITS), s->low);
}

LANES_INLINE uint32_t sum_rgb(const Sum *s)
{
    int16x4_t v = vmovn_s32(vshrq_n_s32(vaddq_s32(joined(s), vdupq_n_s32(HALF)), PRECISION));
    return vget_lane_u32(vreinterpret_u32_u8(vqmovun_s16(vcombine_s16(v, v))), 0);
}

LANES_INLINE Pair pair_of(int32_t a, int32_t b)
{
    return (Pair){{(int16_t)weight_high(a), (int16_t)weight_high(b)},
                  {(int16_t)weight_low(a), (int16_t)weight_low(b)}};
}

LANES_INLINE void row_add(Sums *s, const uint8_t *p, int16_t high, int16_t low)
{
    uint8x16_t x = vld1q_u8(p);
    int16x8_t front = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(x)));
    int16x8_t back = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(x)));
    int16x4_t part[4] = {vget_low_s16(front), vget_high_s16(front), vget_low_s16(back),
                         vget_high_s16(back)};
    for (int i = 0; i < 4; i++) {
        s->quarter[i].high = vmlal_n_s16(s->quarter[i].high, part[i], high);
        s->quarter[i].low = vmlal_n_s16(s->quarter[i].low, part[i], low);
    }
}

LANES_INLINE void sums_add(Sums *s, const uint8_t *a, const uint8_t *b, const Pair *w)
{
    row_add(s, a, w->high[0], w->low[0]);
    row_add(s, b, w->high[1], w->low[1]);
}

LANES_INLINE void sums_flush(uint32_t *to, const Sums *s)
{
    for (int i = 0; i < 4; i++) {
        uint32x4_t sum = vreinterpretq_u32_s32(joined(&s->quarter[i]));
        vst1q_u32(to + 4 * i, vaddq_u32(vld1q_u32(to + 4 * i), sum));
    }
}

#endif

#endif
