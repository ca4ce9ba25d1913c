/* cpu/softmax.h: the softmax of one row, kept in tiles (tile.h) or in plain memory.
 *
 * Sums go over vectors of VL columns in ascending order, even and odd vectors apart, then over the
 * lanes: the bits depend on the row alone, not on where it lies. A row with a NaN becomes all NaN. */
#ifndef CPU_SOFTMAX_H
#define CPU_SOFTMAX_H

#include "cpu/tile.h"

typedef struct SoftmaxRow {
    float max, sum; /* of e^(x - max) */
} SoftmaxRow;

/* x[j] = e^(x[j] - max): the softmax without the division by the sum. n >= 1. Columns n.. up to the
 * next multiple of W are overwritten by 0. `step`: floats from TILE_K columns to the next. */
VEC_INLINE SoftmaxRow softmax_exp_of(float *x, int n, const size_t step)
{
    float *last = x + (size_t)(n - 1) / TILE_K * step + (n - 1) % TILE_K / W * W;
    for (int j = (n - 1) % W + 1; j < W; j++)
        last[j] = -INFINITY;
    vf m0 = vf_set1(-INFINITY), m1 = m0;
    for (int j = 0; j < n; j += W) {
        const float *p = x + (size_t)j / TILE_K * step + j % TILE_K;
        m0 = vf_max(m0, vf_loadu(p));
        m1 = vf_max(m1, vf_loadu(p + VL));
    }
    SoftmaxRow s = {.max = vf_hmax(vf_max(m0, m1))};
    vf max = vf_set1(s.max), s0 = vf_zero(), s1 = vf_zero();
    for (int j = 0; j < n; j += W) {
        float *p = x + (size_t)j / TILE_K * step + j % TILE_K;
        vf e0 = vf_exp(vf_loadu(p) - max), e1 = vf_exp(vf_loadu(p + VL) - max);
        s0 += e0;
        s1 += e1;
        vf_storeu(p, e0);
        vf_storeu(p + VL, e1);
    }
    s.sum = vf_hsum(s0 + s1);
    return s;
}

VEC_INLINE SoftmaxRow softmax_exp_tiles(float *x, int n)
{
    return softmax_exp_of(x, n, TILE);
}

VEC_INLINE SoftmaxRow softmax_exp_plain(float *x, int n)
{
    return softmax_exp_of(x, n, TILE_K);
}

#endif
