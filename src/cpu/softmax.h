/* cpu/softmax.h: the softmax of one row, kept in tiles (tile.h) or in plain memory.
 *
 * Sums go over vectors of VL columns in ascending order, even and odd vectors apart, then over the
 * lanes: the bits depend on the row alone. A row with a NaN becomes all NaN. */
#ifndef CPU_SOFTMAX_H
#define CPU_SOFTMAX_H

#include "cpu/tile.h"

/* Where two rows begin decides nothing: `step` is the distance of two runs of W columns, TILE in
 * tiles and W in plain memory. Columns n.. up to the next multiple of W are overwritten by 0. */
typedef struct SoftmaxRow {
    float max, sum; /* of e^(x - max) */
} SoftmaxRow;

/* x[j] = e^(x[j] - max): the softmax without the division by the sum. n >= 1. */
VEC_INLINE SoftmaxRow softmax_exp(float *x, int n, size_t step)
{
    int runs = panels(n);
    float *last = x + (size_t)(runs - 1) * step;
    for (int j = n - (runs - 1) * W; j < W; j++)
        last[j] = -INFINITY;
    vf m0 = vf_set1(-INFINITY), m1 = m0;
    for (int r = 0; r < runs; r++) {
        const float *p = x + (size_t)r * step;
        m0 = vf_max(m0, vf_loadu(p));
        m1 = vf_max(m1, vf_loadu(p + VL));
    }
    SoftmaxRow s = {.max = vf_hmax(vf_max(m0, m1))};
    vf max = vf_set1(s.max), s0 = vf_zero(), s1 = vf_zero();
    for (int r = 0; r < runs; r++) {
        float *p = x + (size_t)r * step;
        vf e0 = vf_exp(vf_loadu(p) - max), e1 = vf_exp(vf_loadu(p + VL) - max);
        s0 += e0;
        s1 += e1;
        vf_storeu(p, e0);
        vf_storeu(p + VL, e1);
    }
    s.sum = vf_hsum(s0 + s1);
    return s;
}

#endif
