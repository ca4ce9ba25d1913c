/* cuda/module/common.cuh: what the kernel files share: the stream, launches, weights of any type as floats, sums
 * over a block, activations.
 *
 * Kernels are compiled with -fmad=false, as the CPU's with -ffp-contract=off: a fused and a separate form of the
 * same operations have the same bits; products ask for fmaf by name. */
#ifndef CUDA_COMMON_CUH
#define CUDA_COMMON_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <math.h>
#include <stdint.h>

#include "cuda/module/stream.h"

/* Launches and remembers the first failure on the stream. */
#define LAUNCH(on, kernel, grid, block, smem, ...)                            \
    do {                                                                      \
        kernel<<<(grid), (block), (smem), cuda_stream_of(on)>>>(__VA_ARGS__); \
        cuda_note(on, cudaGetLastError(), #kernel);                           \
    } while (0)

/* --- numbers --------------------------------------------------------------------------------------- */

__device__ static inline float wide(float x)
{
    return x;
}

__device__ static inline float wide(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}

__device__ static inline float wide(__half x)
{
    return __half2float(x);
}

__device__ static inline float wide(int8_t x)
{
    return (float)x;
}

__device__ static inline float *row_at(float *p, int r, int ld)
{
    return p + (size_t)r * (size_t)ld;
}

__device__ static inline const float *row_at(const float *p, int r, int ld)
{
    return p + (size_t)r * (size_t)ld;
}

/* --- sums of a block -------------------------------------------------------------------------------- */

/* In kernels that have a block for a row. */
#define ROW                  ((int)blockIdx.x)
#define EACH_COLUMN(c, cols) for (int c = (int)threadIdx.x; c < (cols); c += (int)blockDim.x)

/* Threads for a row of so many columns; they decide the order of its sums, so nothing else may. */
static inline int row_threads(int cols)
{
    return cols > 512 ? 256 : cols > 128 ? 128 : 32;
}

/* The values of all threads put together by f, in every thread. */
template <class T, class F> __device__ static inline T warp_fold(T x, F f)
{
    for (int d = 16; d; d >>= 1)
        x = f(x, __shfl_xor_sync(0xffffffffu, x, d));
    return x;
}

/* The same over the block, first warp first. All threads call it. */
template <class T, class F> __device__ static inline T block_fold(T x, F f)
{
    __shared__ T part[32];
    int warps = (int)blockDim.x / 32;
    x = warp_fold(x, f);
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = x;
    __syncthreads();
    T all = part[0];
    for (int i = 1; i < warps; i++)
        all = f(all, part[i]);
    return all;
}

template <class T> __device__ static inline T warp_sum(T x)
{
    return warp_fold(x, [](T a, T b) { return a + b; });
}

template <class T> __device__ static inline T block_sum(T x)
{
    return block_fold(x, [](T a, T b) { return a + b; });
}

__device__ static inline float block_max(float x)
{
    return block_fold(x, [](float a, float b) { return fmaxf(a, b); });
}

/* --- activations: the formulas of cpu/activation.h --------------------------------------------------- */

__device__ static inline float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

/* Called, not inlined: products finish many elements, each of which would have all of them. */
__device__ static __noinline__ float act_apply(float x, int act)
{
    switch (act) {
    case ACT_GELU: return x * normcdff(x);
    case ACT_RELU: return x < 0 ? 0.0f : x; /* NaN stays NaN */
    case ACT_QUICK_GELU: return x * sigmoid(1.702f * x);
    case ACT_GELU_TANH: return x * sigmoid(1.59576912f * fmaf(0.044715f * x * x, x, x));
    default: return x;
    }
}

#endif
