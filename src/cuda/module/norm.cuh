/* cuda/module/norm.cuh: mean, variance and length of a row, found by its block. */
#ifndef CUDA_NORM_CUH
#define CUDA_NORM_CUH

#include "cuda/module/common.cuh"

typedef struct Moments {
    float mean, off; /* the mean is mean + off: off is below the resolution of mean */
    float rstd;      /* 1 / sqrt(variance + eps), with the variance of n, not n - 1 */
} Moments;

/* Two passes. The second also finds how far the f32 mean is off, and corrects it. */
__device__ static inline Moments row_moments(const float *x, int n, float eps)
{
    float sum = 0, squares = 0, away = 0;
    for (int c = (int)threadIdx.x; c < n; c += (int)blockDim.x)
        sum += x[c];
    Moments m = {};
    m.mean = block_sum(sum) / (float)n;
    for (int c = (int)threadIdx.x; c < n; c += (int)blockDim.x) {
        float e = x[c] - m.mean;
        away += e;
        squares = fmaf(e, e, squares);
    }
    double off = (double)block_sum(away) / n;
    m.off = (float)off;
    m.rstd = (float)(1.0 / sqrt((double)block_sum(squares) / n - off * off + (double)eps));
    return m;
}

__device__ static inline float normed(float x, const Moments &m)
{
    return (x - m.mean - m.off) * m.rstd;
}

__device__ static inline float row_squares(const float *x, int n)
{
    float sum = 0;
    for (int c = (int)threadIdx.x; c < n; c += (int)blockDim.x)
        sum = fmaf(x[c], x[c], sum);
    return block_sum(sum);
}

/* 1 / sqrt(mean(x^2) + eps) */
__device__ static inline float row_rrms(const float *x, int n, float eps)
{
    return (float)(1.0 / sqrt((double)row_squares(x, n) / n + (double)eps));
}

/* The length of x, at least `least`. */
__device__ static inline float row_length(const float *x, int n, float least)
{
    float length = sqrtf(row_squares(x, n));
    return length < least ? least : length; /* a NaN stays one */
}

#endif
