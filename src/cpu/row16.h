/* cpu/row16.h: a row of activations as 16-bit integers with one scale, its largest number at 32767.
 *
 * Products with 8-bit weights are exact then, and 2 * ROW16_PAIRS of them fit a 32-bit sum: the bound by
 * which the kernels cut K. Against the row's largest number the rounding is 2^-16, so that outlier
 * columns of ViT, a hundred times the others, leave those nine bits. */
#ifndef CPU_ROW16_H
#define CPU_ROW16_H

#include <float.h>

#include "cpu/vec.h"

enum { ROW16_PAIRS = 256 }; /* 512 * 128 * 32767 < 2^31 */

/* What makes integers of n numbers, the largest of which becomes `most`: 0 where they are zero or too small to divide by,
 * NaN where one of them is no number. */
VEC_INLINE float integer_scale(const float *x, int n, int most)
{
    vf top = vf_zero();
    vi odd = vi_set1(0);
    for (int i = 0; i < n; i += VL) {
        vf v = vf_abs(n - i < VL ? vf_load_n(x + i, n - i) : vf_loadu(x + i));
        odd |= ~(v <= vf_set1(FLT_MAX));
        top = vf_max(v, top);
    }
    float scale = vf_hmax(top) / (float)most;
    if (vf_hmax(vf_from_vi(-odd)) > 0)
        return NAN;
    return isfinite(1 / scale) ? scale : 0;
}

VEC_INLINE float row16_scale(const float *x, int n)
{
    return integer_scale(x, n, INT16_MAX);
}

/* n numbers of a row of that scale, then zeros up to a multiple of VL. */
VEC_INLINE void row16_pack(int16_t *q, const float *x, int n, float scale)
{
    const vf up = vf_set1(scale > 0 ? 1 / scale : 0);
    for (int i = 0; i < n; i += VL) {
        vf v = n - i < VL ? vf_load_n(x + i, n - i) : vf_loadu(x + i);
        vf_store_s16(q + i, scale > 0 ? v * up : vf_zero());
    }
}

#endif
