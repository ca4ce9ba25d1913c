/* cuda/module/linear_mma.cuh: products of 16-bit and int8 weights on tensor cores, sums in f32.
 *
 * x is rounded to the type that is multiplied (f16 for F16 weights, else bf16); int8 weights are whole numbers that
 * bf16 holds exactly, their scale is applied to the sum; int4 weights are multiplied with theirs. Two kernels, one per role:
 *   many rows  blocks of BM x BN, K in order: an element's bits do not depend on the tile;
 *   few rows   a block has 16 outputs, its eight warps share K, and every weight is read once for up to 64 rows.
 * Layout of fragments: PTX ISA, mma.m16n8k16. */
#ifndef CUDA_LINEAR_MMA_CUH
#define CUDA_LINEAR_MMA_CUH

#include "cuda/module/linear_tile.cuh"

template <class W> struct Rounded {
    typedef __nv_bfloat16 type;
};
template <> struct Rounded<__half> {
    typedef __half type;
};

__device__ static inline uint32_t pair(float lo, float hi, __nv_bfloat16)
{
    __nv_bfloat162 p = __floats2bfloat162_rn(lo, hi);
    return *(uint32_t *)&p;
}

__device__ static inline uint32_t pair(float lo, float hi, __half)
{
    __half2 p = __floats2half2_rn(lo, hi);
    return *(uint32_t *)&p;
}

/* d += a b, 16x8 += 16x16 16x8 */
__device__ static inline void mma(float d[4], const uint32_t a[4], const uint32_t b[2], __nv_bfloat16)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ static inline void mma(float d[4], const uint32_t a[4], const uint32_t b[2], __half)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ static inline void load_matrices(uint32_t r[4], const void *at)
{
    uint32_t p = (uint32_t)__cvta_generic_to_shared(at);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(p));
}

/* --- eight neighbours of a row ----------------------------------------------------------------------- */

/* As four pairs of what is multiplied; what lies beyond the n that are left is 0. whole: 16-byte loads may be used. */
template <class T> __device__ static inline void eight_of_x(uint32_t to[4], const float *x, int left, bool whole, float f)
{
    float v[8];
    if (whole && left >= 8) {
        *(float4 *)v = *(const float4 *)x;
        *(float4 *)(v + 4) = *(const float4 *)(x + 4);
    } else
#pragma unroll
        for (int i = 0; i < 8; i++)
            v[i] = i < left ? x[i] : 0.0f;
#pragma unroll
    for (int i = 0; i < 4; i++)
        to[i] = pair(v[2 * i] * f, v[2 * i + 1] * f, T());
}

template <class W> __device__ static inline void eight_of_w(uint32_t to[4], const W *w, int left, bool whole)
{
    if (whole && left >= 8) {
        uint4 v = *(const uint4 *)w;
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint32_t lo = 2 * i < left ? ((const uint16_t *)w)[2 * i] : 0u;
        uint32_t hi = 2 * i + 1 < left ? ((const uint16_t *)w)[2 * i + 1] : 0u;
        to[i] = lo | hi << 16;
    }
}

__device__ static inline void eight_of_w(uint32_t to[4], const int8_t *w, int left, bool whole)
{
    int8_t v[8];
    if (whole && left >= 8)
        *(uint2 *)v = *(const uint2 *)w;
    else
#pragma unroll
        for (int i = 0; i < 8; i++)
            v[i] = i < left ? w[i] : (int8_t)0;
#pragma unroll
    for (int i = 0; i < 4; i++)
        to[i] = pair((float)v[2 * i], (float)v[2 * i + 1], __nv_bfloat16());
}

/* A block of I4 (tensor/panel.h): 32 inputs of 32 outputs. */
struct Nibbles {
    __half scale[PANEL];
    uint32_t eight[I4_BLOCK / 8][PANEL]; /* inputs 8 g .. 8 g + 7 of an output */
};

template <class W> struct MmaArgs {
    const float *x;
    const W *w; /* [n, k]; Nibbles: panels of 32 outputs */
    const float *factor; /* every second: multiplies a row of x; NULL: 1 */
    int ldx, m, n, k;
    bool whole_x, whole_w; /* rows begin where 16 bytes (int8: 8) may be loaded at once */
    Finish to;
};

/* Inputs t .. t + 7 of output c, as above; t is a multiple of 8. left: inputs from there on, 0 or fewer: there is nothing. */
template <class W>
__device__ static inline void weights_at(uint32_t to[4], const MmaArgs<W> &p, int c, int t, int left)
{
    eight_of_w(to, p.w + (size_t)(left > 0 ? c : 0) * (size_t)p.k + (left > 0 ? t : 0), left, p.whole_w);
}

/* A weight, its scale in it, is rounded to bf16, as x is. */
__device__ static inline void weights_at(uint32_t to[4], const MmaArgs<Nibbles> &p, int c, int t, int left)
{
    to[0] = to[1] = to[2] = to[3] = 0;
    if (left <= 0)
        return;
    const Nibbles *b = p.w + (size_t)(c / PANEL) * (size_t)((p.k + I4_BLOCK - 1) / I4_BLOCK) + t / I4_BLOCK;
    const float scale = __half2float(b->scale[c % PANEL]);
    const uint32_t v = b->eight[t % I4_BLOCK / 8][c % PANEL];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int at = i % 2 * 16 + i / 2 * 4; /* the low nibbles of four bytes, then the high ones */
        to[i] = pair((float)((int)(v >> at & 15) - 8) * scale, (float)((int)(v >> (at + 8) & 15) - 8) * scale,
                     __nv_bfloat16());
    }
}

/* --- many rows --------------------------------------------------------------------------------------- */

enum { MMA_BK = 32, MMA_LD = MMA_BK + 8 }; /* numbers of a row in shared memory: without conflicts of banks */

/* BM x BN, warps of WM x WN. */
template <class W, int BM, int BN, int WM, int WN>
__global__ void __launch_bounds__(BM / WM *(BN / WN) * 32) mma_kernel(const MmaArgs<W> p)
{
    typedef typename Rounded<W>::type T;
    enum {
        THREADS = BM / WM * (BN / WN) * 32,
        MT = WM / 16,
        NT = WN / 8,
        A_LOADS = BM * MMA_BK / 8 / THREADS,
        B_LOADS = BN * MMA_BK / 8 / THREADS
    };
    __shared__ __align__(16) uint16_t a[2][BM * MMA_LD], b[2][BN * MMA_LD];
    const int tid = (int)threadIdx.x, lane = tid % 32, warp = tid / 32;
    const int wm = warp / (BN / WN) * WM, wn = warp % (BN / WN) * WN;
    const int row = (int)blockIdx.y * BM, col = (int)blockIdx.x * BN;
    uint32_t ra[A_LOADS][4], rb[B_LOADS][4];
    float sum[MT][NT][4] = {};
    auto fetch = [&](int t0) {
#pragma unroll
        for (int i = 0; i < A_LOADS; i++) {
            int at = tid + i * THREADS, r = row + at / (MMA_BK / 8), t = t0 + at % (MMA_BK / 8) * 8;
            int left = r < p.m ? p.k - t : 0;
            eight_of_x<T>(ra[i], p.x + (size_t)(left > 0 ? r : 0) * (size_t)p.ldx + (left > 0 ? t : 0), left,
                          p.whole_x, p.factor && left > 0 ? p.factor[2 * r] : 1.0f);
        }
#pragma unroll
        for (int i = 0; i < B_LOADS; i++) {
            int at = tid + i * THREADS, r = col + at / (MMA_BK / 8), t = t0 + at % (MMA_BK / 8) * 8;
            int left = r < p.n ? p.k - t : 0;
            weights_at(rb[i], p, r, t, left);
        }
    };
    auto keep = [&](int to) {
#pragma unroll
        for (int i = 0; i < A_LOADS; i++) {
            int at = tid + i * THREADS;
            *(uint4 *)&a[to][at / (MMA_BK / 8) * MMA_LD + at % (MMA_BK / 8) * 8] =
                make_uint4(ra[i][0], ra[i][1], ra[i][2], ra[i][3]);
        }
#pragma unroll
        for (int i = 0; i < B_LOADS; i++) {
            int at = tid + i * THREADS;
            *(uint4 *)&b[to][at / (MMA_BK / 8) * MMA_LD + at % (MMA_BK / 8) * 8] =
                make_uint4(rb[i][0], rb[i][1], rb[i][2], rb[i][3]);
        }
    };
    fetch(0);
    keep(0);
    __syncthreads();
    for (int t0 = 0, now = 0; t0 < p.k; t0 += MMA_BK, now ^= 1) {
        bool more = t0 + MMA_BK < p.k;
        if (more)
            fetch(t0 + MMA_BK);
#pragma unroll
        for (int t = 0; t < MMA_BK; t += 16) {
            uint32_t fa[MT][4], fb[NT / 2][4];
#pragma unroll
            for (int i = 0; i < MT; i++)
                load_matrices(fa[i], &a[now][(wm + i * 16 + lane % 16) * MMA_LD + t + lane / 16 * 8]);
#pragma unroll
            for (int j = 0; j < NT / 2; j++)
                load_matrices(fb[j], &b[now][(wn + j * 16 + lane / 16 * 8 + lane % 8) * MMA_LD + t +
                                             lane / 8 % 2 * 8]);
#pragma unroll
            for (int i = 0; i < MT; i++)
#pragma unroll
                for (int j = 0; j < NT; j++)
                    mma(sum[i][j], fa[i], fb[j / 2] + j % 2 * 2, T());
        }
        if (more)
            keep(now ^ 1);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int j = 0; j < NT; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                int r = row + wm + i * 16 + lane / 4 + e / 2 * 8, c = col + wn + j * 8 + lane % 4 * 2 + e % 2;
                if (r < p.m && c < p.n)
                    finish(p.to, r, c, sum[i][j][e]);
            }
}

/* --- few rows ------------------------------------------------------------------------------------------ */

enum { FEW_WARPS = 8, FEW_OUTS = 16, FEW_STEP = 32, FEW_AHEAD = 4 };

/* MT * 16 rows. A warp has every eighth step of 32 inputs. Within a step lane l reads the eight inputs from
 * 8 * (l % 4) on, of weights and of x alike, as terms 2 l, 2 l + 1 and 2 l + 8, 2 l + 9 of two products: the order of
 * terms within a step is the same for both, so their sum is that of the step. */
template <class W, int MT> __global__ void __launch_bounds__(FEW_WARPS * 32) few_kernel(const MmaArgs<W> p)
{
    typedef typename Rounded<W>::type T;
    __shared__ float part[FEW_WARPS][FEW_OUTS][MT * 16 + 1];
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const int col = (int)blockIdx.x * FEW_OUTS, row = (int)blockIdx.y * MT * 16, in = lane % 4 * 8;
    const int steps = (p.k + FEW_STEP - 1) / FEW_STEP;
    float sum[MT][2][4] = {};
    for (int s0 = warp; s0 < steps; s0 += FEW_WARPS * FEW_AHEAD) {
        uint32_t w[FEW_AHEAD][2][4];
#pragma unroll
        for (int u = 0; u < FEW_AHEAD; u++)
#pragma unroll
            for (int j = 0; j < 2; j++) {
                int c = col + j * 8 + lane / 4, t = (s0 + u * FEW_WARPS) * FEW_STEP + in;
                int left = c < p.n ? p.k - t : 0;
                weights_at(w[u][j], p, c, t, left);
            }
#pragma unroll
        for (int u = 0; u < FEW_AHEAD; u++) {
            int t = (s0 + u * FEW_WARPS) * FEW_STEP + in;
            if (s0 + u * FEW_WARPS >= steps)
                break;
#pragma unroll
            for (int i = 0; i < MT; i++) {
                uint32_t x[2][4];
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    int r = row + i * 16 + h * 8 + lane / 4, left = r < p.m ? p.k - t : 0;
                    eight_of_x<T>(x[h], p.x + (size_t)(left > 0 ? r : 0) * (size_t)p.ldx + (left > 0 ? t : 0), left,
                                  p.whole_x, p.factor && left > 0 ? p.factor[2 * r] : 1.0f);
                }
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    const uint32_t a[4] = {x[0][2 * h], x[1][2 * h], x[0][2 * h + 1], x[1][2 * h + 1]};
#pragma unroll
                    for (int j = 0; j < 2; j++)
                        mma(sum[i][j], a, &w[u][j][2 * h], T());
                }
            }
        }
    }
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int j = 0; j < 2; j++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                part[warp][j * 8 + lane % 4 * 2 + e % 2][i * 16 + lane / 4 + e / 2 * 8] = sum[i][j][e];
    __syncthreads();
    for (int i = (int)threadIdx.x; i < FEW_OUTS * MT * 16; i += FEW_WARPS * 32) {
        int c = i % FEW_OUTS, r = i / FEW_OUTS;
        float all = part[0][c][r];
        for (int v = 1; v < FEW_WARPS; v++)
            all += part[v][c][r];
        if (row + r < p.m && col + c < p.n)
            finish(p.to, row + r, col + c, all);
    }
}

/* --- launching ----------------------------------------------------------------------------------------- */

template <class W> static void mma_many(Stream *on, const MmaArgs<W> &p)
{
    int large = (p.m + 127) / 128 * ((p.n + 127) / 128);
    if (large >= ((CudaStream *)on)->processors)
        LAUNCH(on, (mma_kernel<W, 128, 128, 64, 32>), tile_grid(p.m, p.n, 128, 128), 256, 0, p);
    else
        LAUNCH(on, (mma_kernel<W, 64, 64, 32, 32>), tile_grid(p.m, p.n, 64, 64), 128, 0, p);
}

template <class W> static void mma_few(Stream *on, const MmaArgs<W> &p)
{
    unsigned cols = (unsigned)((p.n + FEW_OUTS - 1) / FEW_OUTS);
    if (p.m <= 16)
        LAUNCH(on, (few_kernel<W, 1>), dim3(cols, 1), FEW_WARPS * 32, 0, p);
    else if (p.m <= 32)
        LAUNCH(on, (few_kernel<W, 2>), dim3(cols, 1), FEW_WARPS * 32, 0, p);
    else
        LAUNCH(on, (few_kernel<W, 4>), dim3(cols, (unsigned)((p.m + 63) / 64)), FEW_WARPS * 32, 0, p);
}

#endif
