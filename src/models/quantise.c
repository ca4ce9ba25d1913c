/* models/quantise.c: one row, symmetric, its largest weight at 127. */
#include "models/quantise.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

void quantise_row(int8_t *q, float *scale, const float *w, int n)
{
    float top = 0;
    int odd = 0; /* infinities and NaN */
#pragma omp simd reduction(max : top) reduction(+ : odd)
    for (int i = 0; i < n; i++) {
        float size = fabsf(w[i]);
        top = size > top ? size : top;
        odd += !(size <= FLT_MAX);
    }
    float up = 127 / top;
    bool flat = odd || !isfinite(up);
    *scale = odd ? NAN : flat ? 0 : top / 127;
    up = flat ? 0 : up;
#pragma omp simd
    for (int i = 0; i < n; i++)
        q[i] = flat ? 0 : (int8_t)lrintf(w[i] * up);
}
