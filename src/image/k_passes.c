/* image/k_passes.c: the inner loops of the resize in SIMD. Compiled once per instruction set, RESIZE_<name> defined. */
#include <stdbool.h>
#include "image/lanes.h"

#define CAT2(a, b) a##b
#define CAT(a, b)  CAT2(a, b)

enum { TOGETHER = 4 }; /* rows that share the loading of weights: their sums fill the registers */

/* Three bytes; four, of which the next target overwrites the last, where there is a next. */
LANES_INLINE void put(uint8_t *dst, uint32_t rgb, bool last)
{
    if (last)
        memcpy(dst, &rgb, 3);
    else
        memcpy(dst, &rgb, 4);
}

/* One target of one row; pixel is a constant. */
LANES_INLINE void target_of_one(uint8_t *dst, const uint8_t *row, int pixel, const Taps *t,
                                bool last)
{
    Sum sum = sum_zero();
    const int16_t *weights = t->weights;
    row += (ptrdiff_t)t->lo * pixel;
    for (int g = 0; g < t->groups; g++, weights += 2 * GROUP, row += GROUP * pixel) {
        Weights w = weights_load(weights);
        sum_add(&sum, row, pixel, &w);
    }
    put(dst, sum_rgb(&sum), last);
}

/* One target of four rows. No arrays: gcc 12 would keep the sums in memory. */
LANES_INLINE void target_of_four(uint8_t *dst, size_t stride, const uint8_t *const *row, int pixel,
                                 const Taps *t, bool last)
{
    Sum a = sum_zero(), b = sum_zero(), c = sum_zero(), d = sum_zero();
    const int16_t *weights = t->weights;
    ptrdiff_t at = (ptrdiff_t)t->lo * pixel;
    const uint8_t *pa = row[0] + at, *pb = row[1] + at, *pc = row[2] + at, *pd = row[3] + at;
    ptrdiff_t end = (ptrdiff_t)t->groups * GROUP * pixel;
    for (ptrdiff_t x = 0; x < end; x += GROUP * pixel, weights += 2 * GROUP) {
        Weights w = weights_load(weights);
        sum_add(&a, pa + x, pixel, &w);
        sum_add(&b, pb + x, pixel, &w);
        sum_add(&c, pc + x, pixel, &w);
        sum_add(&d, pd + x, pixel, &w);
    }
    put(dst, sum_rgb(&a), last);
    put(dst + stride, sum_rgb(&b), last);
    put(dst + 2 * stride, sum_rgb(&c), last);
    put(dst + 3 * stride, sum_rgb(&d), last);
}

LANES_INLINE void across_one(uint8_t *dst, const uint8_t *row, int pixel, const Taps *taps,
                             int targets)
{
    for (int i = 0; i < targets; i++)
        target_of_one(dst + 3 * (ptrdiff_t)i, row, pixel, &taps[i], i == targets - 1);
}

LANES_INLINE void across_four(uint8_t *dst, const uint8_t *const *row, int pixel, const Taps *taps,
                              int targets)
{
    size_t stride = (size_t)targets * 3;
    for (int i = 0; i < targets; i++)
        target_of_four(dst + 3 * (ptrdiff_t)i, stride, row, pixel, &taps[i], i == targets - 1);
}

LANES_INLINE void across_pixels(uint8_t *dst, const uint8_t *const *row, int n, int pixel,
                                const Taps *taps, int targets)
{
    ptrdiff_t stride = (ptrdiff_t)targets * 3;
    int r = 0;
    for (; r + TOGETHER <= n; r += TOGETHER)
        across_four(dst + r * stride, row + r, pixel, taps, targets);
    for (; r < n; r++)
        across_one(dst + r * stride, row[r], pixel, taps, targets);
}

static void across(uint8_t *dst, const uint8_t *const *row, int n, int pixel, const Taps *taps,
                   int targets)
{
    if (pixel == 3)
        across_pixels(dst, row, n, 3, taps, targets);
    else
        across_pixels(dst, row, n, 4, taps, targets);
}

/* Rows come in pairs; the last of an odd number goes with itself and weight 0. */
static void down(uint32_t *sums, const uint8_t *const *row, const int32_t *weight, int n,
                 size_t samples)
{
    Pair pair[STRIP / 2];
    const uint8_t *second[STRIP / 2];
    int pairs = (n + 1) / 2;
    size_t x = 0;
    for (int i = 0; i < pairs; i++) {
        bool both = 2 * i + 1 < n;
        pair[i] = pair_of(weight[2 * i], both ? weight[2 * i + 1] : 0);
        second[i] = row[both ? 2 * i + 1 : 2 * i];
    }
    for (; x + WIDE <= samples; x += WIDE) {
        Sums s = {0};
        for (int i = 0; i < pairs; i++)
            sums_add(&s, row[2 * i] + x, second[i] + x, &pair[i]);
        sums_flush(sums + x, &s);
    }
    for (; x < samples; x++)
        for (int i = 0; i < n; i++)
            sums[x] += row[i][x] * (uint32_t)weight[i];
}

static void take(uint8_t *dst, const uint32_t *sums, size_t samples)
{
    for (size_t x = 0; x < samples; x++)
        dst[x] = clip8(sums[x]);
}

/* Two channels at a time in the halves of a word: no step of theirs exceeds 16 bits. */
static inline uint32_t two_over_white(uint32_t c, uint32_t alpha)
{
    uint32_t t = (c & 0xff00ff) * alpha + (255 * (255 - alpha) + 128) * 0x10001;
    return (t + (t >> 8 & 0xff00ff)) >> 8 & 0xff00ff;
}

/* These machines have the first byte lowest. */
static void white(uint8_t *dst, const uint8_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t c, alpha;
        memcpy(&c, src + 4 * i, sizeof c);
        alpha = c >> 24;
        c = two_over_white(c, alpha) | two_over_white(c >> 8, alpha) << 8;
        memcpy(dst + 4 * i, &c, sizeof c);
    }
}

const ResizeKernel CAT(resize_kernel_, RESIZE) = {
#define NAME2(a) #a
#define NAME(a)  NAME2(a)
    NAME(RESIZE), across, down, take, white};
