/* image/k_passes.c: the inner loops of the resize in SIMD. Compiled once per instruction set, RESIZE_<name> defined. */
#include <stdbool.h>
#include "image/lanes.h"

#define CAT2(a, b) a##b
#define CAT(a, b)  CAT2(a, b)

enum { TOGETHER = 4 }; /* rows that share the loading of weights: their sums fill the registers */

/* One target of n rows, n and pixel constants. */
LANES_INLINE void across_target(uint8_t *dst, size_t stride, const uint8_t *const *row, int n,
                                int pixel, const Taps *t)
{
    Sum sum[TOGETHER] = {0};
    const int16_t *weights = t->weights;
    size_t at = (size_t)t->lo * (size_t)pixel;
    for (int g = 0; g < t->groups; g++) {
        Weights w = weights_load(weights);
        for (int r = 0; r < n; r++)
            sum_add(&sum[r], row[r] + at, pixel, &w);
        weights += 2 * GROUP;
        at += (size_t)(GROUP * pixel);
    }
    for (int r = 0; r < n; r++) {
        uint32_t rgb = sum_rgb(&sum[r]);
        memcpy(dst + (size_t)r * stride, &rgb, 3);
    }
}

LANES_INLINE void across_some(uint8_t *dst, size_t stride, const uint8_t *const *row, int n,
                              int pixel, const Taps *taps)
{
    size_t targets = stride / 3;
    for (size_t i = 0; i < targets; i++)
        across_target(dst + 3 * i, stride, row, n, pixel, &taps[i]);
}

static void across_together(uint8_t *dst, size_t stride, const uint8_t *const *row, int pixel,
                            const Taps *taps)
{
    if (pixel == 3)
        across_some(dst, stride, row, TOGETHER, 3, taps);
    else
        across_some(dst, stride, row, TOGETHER, 4, taps);
}

static void across_one(uint8_t *dst, size_t stride, const uint8_t *const *row, int pixel,
                       const Taps *taps)
{
    if (pixel == 3)
        across_some(dst, stride, row, 1, 3, taps);
    else
        across_some(dst, stride, row, 1, 4, taps);
}

static void across(uint8_t *dst, const uint8_t *const *row, int n, int pixel, const Taps *taps,
                   int targets)
{
    size_t stride = (size_t)targets * 3;
    int r = 0;
    for (; r + TOGETHER <= n; r += TOGETHER)
        across_together(dst + (size_t)r * stride, stride, row + r, pixel, taps);
    for (; r < n; r++)
        across_one(dst + (size_t)r * stride, stride, row + r, pixel, taps);
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
