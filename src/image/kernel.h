/* image/kernel.h: the inner loops of the resize: k_passes.c, compiled once per instruction set, and the same in
 * plain C. Internal to image/. All give the same bits: they add whole numbers modulo 2^32. */
#ifndef IMAGE_KERNEL_H
#define IMAGE_KERNEL_H

#include <stddef.h>
#include <stdint.h>

enum { PRECISION = 22, HALF = 1 << (PRECISION - 1) };

/* Weights have up to 24 bits with their sign, and what every SIMD unit multiplies and adds in pairs are numbers of
 * 16: a weight is high * 2^LOW_BITS + low. Bicubic weights add up to 1 and what is negative in them is small, so
 * that |weight| < 2 and high has 12 bits (tests/unit/test_image_passes.c). */
enum { LOW_BITS = 12 };

static inline int32_t weight_low(int32_t w)
{
    return ((w + (1 << (LOW_BITS - 1))) & ((1 << LOW_BITS) - 1)) - (1 << (LOW_BITS - 1));
}

static inline int32_t weight_high(int32_t w)
{
    return (w - weight_low(w)) / (1 << LOW_BITS);
}

static inline uint8_t clip8(uint32_t sum)
{
    int32_t v = (int32_t)sum >> PRECISION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

enum {
    STRIP = 16, /* rows that are worked on together, at most */
    GROUP = 4,  /* pixels that are read together along a row */
    SLACK = 16, /* bytes that may be read behind a row of whole groups */
};

/* The weights of one target of a horizontal pass: [groups][2][GROUP], the high and the low halves of GROUP
 * neighbours from pixel lo on. Those beyond the filter are 0, so a row must be readable, whatever it holds
 * there, up to GROUP - 1 pixels and SLACK bytes behind its end. */
typedef struct Taps {
    const int16_t *weights;
    int lo, groups;
} Taps;

typedef struct ResizeKernel {
    const char *name;

    /* n rows of pixels of 3 or 4 bytes, the fourth not looked at -> dst, row by row [targets, 3] */
    void (*across)(uint8_t *dst, const uint8_t *const *row, int n, int pixel, const Taps *taps,
                   int targets);

    /* sums[x] += row[i][x] * weight[i] for the n rows, 0 <= x < samples */
    void (*down)(uint32_t *sums, const uint8_t *const *row, const int32_t *weight, int n,
                 size_t samples);

    /* Sums that began as HALF -> bytes. */
    void (*take)(uint8_t *dst, const uint32_t *sums, size_t samples);

    /* n RGBA pixels over white, as PIL.Image.alpha_composite does (AlphaComposite.c with an opaque background);
     * the fourth byte of dst may be anything. dst may be src. */
    void (*white)(uint8_t *dst, const uint8_t *src, size_t n);
} ResizeKernel;

/* What this machine runs, the fastest last, and NULL behind it. The first is plain C. */
const ResizeKernel *const *resize_kernels(void);

extern const ResizeKernel resize_kernel_plain, resize_kernel_sse2, resize_kernel_avx2,
    resize_kernel_neon;

#endif
