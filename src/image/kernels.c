/* image/kernels.c: which of the resize's kernels run here, and the one in plain C. */
#include "image/kernel.h"

#include <pthread.h>

static void across(uint8_t *dst, const uint8_t *const *row, int n, int pixel, const Taps *taps,
                   int targets)
{
    for (int k = 0; k < n * targets; k++)
        for (int c = 0; c < 3; c++) {
            const Taps *t = &taps[k % targets];
            const uint8_t *p = row[k / targets] + (ptrdiff_t)t->lo * pixel + c;
            uint32_t sum = HALF;
            for (int j = 0; j < t->groups * GROUP; j++, p += pixel) {
                const int16_t *w = t->weights + j / GROUP * 2 * GROUP + j % GROUP;
                sum += (uint32_t)(*p * (w[0] * (1 << LOW_BITS) + w[GROUP]));
            }
            *dst++ = clip8(sum);
        }
}

static void down(uint32_t *sums, const uint8_t *const *row, const int32_t *weight, int n,
                 size_t samples)
{
    for (int i = 0; i < n; i++)
        for (size_t x = 0; x < samples; x++)
            sums[x] += row[i][x] * (uint32_t)weight[i];
}

static void take(uint8_t *dst, const uint32_t *sums, size_t samples)
{
    for (size_t x = 0; x < samples; x++)
        dst[x] = clip8(sums[x]);
}

static void white(uint8_t *dst, const uint8_t *src, size_t n)
{
    for (size_t i = 0; i < 4 * n; i += 4) {
        unsigned alpha = src[i + 3];
        for (size_t c = 0; c < 3; c++) {
            unsigned t = src[i + c] * alpha + 255 * (255 - alpha) + 128;
            dst[i + c] = (uint8_t)(((t >> 8) + t) >> 8);
        }
    }
}

const ResizeKernel resize_kernel_plain = {"plain", across, down, take, white};

static const ResizeKernel *usable[4];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void look(void)
{
    int n = 0;
    usable[n++] = &resize_kernel_plain;
#ifdef HAVE_RESIZE_sse2
    usable[n++] = &resize_kernel_sse2;
#endif
#ifdef HAVE_RESIZE_avx2
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2"))
        usable[n++] = &resize_kernel_avx2;
#endif
#ifdef HAVE_RESIZE_neon
    usable[n++] = &resize_kernel_neon;
#endif
}

const ResizeKernel *const *resize_kernels(void)
{
    pthread_once(&once, look);
    return usable;
}
