/* cuda/module/linear_mma.cuh: products of 16-bit and int8 weights on tensor cores, sums in f32.
 *
 * x is rounded to the type that is multiplied (f16 for F16 weights, else bf16); int8 weights are whole numbers that
 * bf16 holds exactly, their scale is applied to the sum; int4 weights are multiplied with theirs. Two kernels, one per role:
 *   many rows  blocks of BM x BN, K in order: an element's bits do not depend on the tile;
 *   few rows   a block has 8 outputs, its eight warps share K, and every weight is read once for up to 64 rows.
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
__device__ static inline void mma(float d[4], const uint32_t a[4], const uint32_t b[2],
                                  __nv_bfloat16)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ static inline void mma(float d[4], const uint32_t a[4], const uint32_t b[2], __half)
{
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
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

/* What was loaded of them is made what is multiplied only when it is used: a conversion waits for its load, and while one is
 * waited for no other begins. */

struct RawX {
    float v[8], factor;
};

/* What lies beyond the n that are left is 0. whole: 16-byte loads may be used. */
__device__ static inline void load_x(RawX &to, const float *x, int left, bool whole)
{
    if (whole && left >= 8) {
        *(float4 *)to.v = *(const float4 *)x;
        *(float4 *)(to.v + 4) = *(const float4 *)(x + 4);
    } else
#pragma unroll
        for (int i = 0; i < 8; i++)
            to.v[i] = i < left ? x[i] : 0.0f;
}

template <class T> __device__ static inline void pairs_of(uint32_t to[4], const RawX &x)
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        to[i] = pair(x.v[2 * i] * x.factor, x.v[2 * i + 1] * x.factor, T());
}

/* Weights of 16 bits are multiplied as they are. */
template <class W> struct Raw {
    uint32_t v[4];
};
template <> struct Raw<int8_t> {
    uint32_t v[2];
};

template <class W>
__device__ static inline void load_w(Raw<W> &to, const W *w, int left, bool whole)
{
    if (whole && left >= 8) {
        *(uint4 *)to.v = *(const uint4 *)w;
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint32_t lo = 2 * i < left ? ((const uint16_t *)w)[2 * i] : 0u;
        uint32_t hi = 2 * i + 1 < left ? ((const uint16_t *)w)[2 * i + 1] : 0u;
        to.v[i] = lo | hi << 16;
    }
}

__device__ static inline void load_w(Raw<int8_t> &to, const int8_t *w, int left, bool whole)
{
    if (whole && left >= 8) {
        *(uint2 *)to.v = *(const uint2 *)w;
        return;
    }
    to.v[0] = to.v[1] = 0;
#pragma unroll
    for (int i = 0; i < 8; i++)
        to.v[i / 4] |= i < left ? (uint32_t)(uint8_t)w[i] << i % 4 * 8 : 0u;
}

template <class W> __device__ static inline void pairs_of(uint32_t to[4], const Raw<W> &w)
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        to[i] = w.v[i];
}

__device__ static inline void pairs_of(uint32_t to[4], const Raw<int8_t> &w)
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int32_t v =
            (int32_t)(w.v[i / 2] << (i % 2 ? 0 : 16)); /* the two numbers lie on top */
        to[i] = pair((float)(v << 8 >> 24), (float)(v >> 24), __nv_bfloat16());
    }
}

/* A block of I4 (tensor/panel.h): 32 inputs of 32 outputs. */
struct Nibbles {
    __half scale[PANEL];
    uint32_t eight[I4_BLOCK / 8][PANEL]; /* inputs 8 g .. 8 g + 7 of an output */
};

template <> struct Raw<Nibbles> {
    uint32_t v;
    __half scale;
};

/* A weight, its scale in it, is rounded to bf16, as x is. */
__device__ static inline void pairs_of(uint32_t to[4], const Raw<Nibbles> &w)
{
    const float scale = __half2float(w.scale);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int at =
            i % 2 * 16 + i / 2 * 4; /* the low nibbles of four bytes, then the high ones */
        to[i] = pair((float)((int)(w.v >> at & 15) - 8) * scale,
                     (float)((int)(w.v >> (at + 8) & 15) - 8) * scale, __nv_bfloat16());
    }
}

template <class W> struct MmaArgs {
    const float *x;
    const W *w;          /* [n, k]; Nibbles: panels of 32 outputs */
    const float *factor; /* every second: multiplies a row of x; NULL: 1 */
    int ldx, m, n, k;
    bool whole_x, whole_w; /* rows begin where 16 bytes (int8: 8) may be loaded at once */
    Finish to;
};

/* Inputs t .. t + 7 of output c, those that there are; t is a multiple of 8. */
template <class W>
__device__ static inline void weights_at(Raw<W> &to, const MmaArgs<W> &p, int c, int t)
{
    const int left = c < p.n ? p.k - t : 0;
    load_w(to, p.w + (left > 0 ? (size_t)c * (size_t)p.k + (size_t)t : 0), left, p.whole_w);
}

__device__ static inline void weights_at(Raw<Nibbles> &to, const MmaArgs<Nibbles> &p, int c, int t)
{
    to.v = 0x88888888u; /* zeros */
    to.scale = __float2half(0.0f);
    if (c >= p.n || t >= p.k)
        return;
    const Nibbles *b =
        p.w + (size_t)(c / PANEL) * (size_t)((p.k + I4_BLOCK - 1) / I4_BLOCK) + t / I4_BLOCK;
    to.v = b->eight[t % I4_BLOCK / 8][c % PANEL];
    to.scale = b->scale[c % PANEL];
}

/* The same of row r of x. */
template <class W>
__device__ static inline void inputs_at(RawX &to, const MmaArgs<W> &p, int r, int t)
{
    const int left = r < p.m ? p.k - t : 0;
    load_x(to, p.x + (left > 0 ? (size_t)r * (size_t)p.ldx + (size_t)t : 0), left, p.whole_x);
    to.factor = p.factor && left > 0 ? p.factor[2 * r] : 1.0f;
}

/* --- many rows --------------------------------------------------------------------------------------- */

/* BM x BN, warps of WM x WN, BK inputs at a time in shared memory, whose rows are BK + 8 numbers apart: without conflicts of
 * banks. What is two steps ahead is on its way in registers. */
template <class W, int BM, int BN, int WM, int WN, int BK>
__global__ void __launch_bounds__(BM / WM * (BN / WN) * 32) mma_kernel(const MmaArgs<W> p)
{
    typedef typename Rounded<W>::type T;
    enum {
        THREADS = BM / WM * (BN / WN) * 32,
        LD = BK + 8,
        EIGHTS = BK / 8, /* of a row */
        MT = WM / 16,
        NT = WN / 8,
        A_LOADS = BM * EIGHTS / THREADS,
        B_LOADS = BN * EIGHTS / THREADS
    };
    struct Ahead {
        RawX a[A_LOADS];
        Raw<W> b[B_LOADS];
    };
    __shared__ __align__(16) uint16_t a[2][BM * LD], b[2][BN * LD];
    const int tid = (int)threadIdx.x, lane = tid % 32, warp = tid / 32;
    const int wm = warp / (BN / WN) * WM, wn = warp % (BN / WN) * WN;
    const int row = (int)blockIdx.y * BM, col = (int)blockIdx.x * BN;
    float sum[MT][NT][4] = {};
    auto fetch = [&](Ahead &to, int t0) {
#pragma unroll
        for (int i = 0; i < A_LOADS; i++) {
            int at = tid + i * THREADS;
            inputs_at(to.a[i], p, row + at / EIGHTS, t0 + at % EIGHTS * 8);
        }
#pragma unroll
        for (int i = 0; i < B_LOADS; i++) {
            int at = tid + i * THREADS;
            weights_at(to.b[i], p, col + at / EIGHTS, t0 + at % EIGHTS * 8);
        }
    };
    auto keep = [&](int to, const Ahead &from) {
        uint32_t v[4];
#pragma unroll
        for (int i = 0; i < A_LOADS; i++) {
            int at = tid + i * THREADS;
            pairs_of<T>(v, from.a[i]);
            *(uint4 *)&a[to][at / EIGHTS * LD + at % EIGHTS * 8] =
                make_uint4(v[0], v[1], v[2], v[3]);
        }
#pragma unroll
        for (int i = 0; i < B_LOADS; i++) {
            int at = tid + i * THREADS;
            pairs_of(v, from.b[i]);
            *(uint4 *)&b[to][at / EIGHTS * LD + at % EIGHTS * 8] =
                make_uint4(v[0], v[1], v[2], v[3]);
        }
    };
    auto multiply = [&](int now) {
#pragma unroll
        for (int t = 0; t < BK; t += 16) {
            uint32_t fa[MT][4], fb[NT / 2][4];
#pragma unroll
            for (int i = 0; i < MT; i++)
                load_matrices(fa[i], &a[now][(wm + i * 16 + lane % 16) * LD + t + lane / 16 * 8]);
#pragma unroll
            for (int j = 0; j < NT / 2; j++)
                load_matrices(
                    fb[j],
                    &b[now][(wn + j * 16 + lane / 16 * 8 + lane % 8) * LD + t + lane / 8 % 2 * 8]);
#pragma unroll
            for (int i = 0; i < MT; i++)
#pragma unroll
                for (int j = 0; j < NT; j++)
                    mma(sum[i][j], fa[i], fb[j / 2] + j % 2 * 2, T());
        }
    };
    /* Inputs from t0 on lie in shared memory, those of the next step are in `next`. */
    auto turn = [&](int t0, int now, const Ahead &next, Ahead &after) {
        fetch(after, t0 + 2 * BK);
        multiply(now);
        keep(now ^ 1, next);
        __syncthreads();
    };
    Ahead even, odd;
    fetch(even, 0);
    fetch(odd, BK);
    keep(0, even);
    __syncthreads();
    for (int t0 = 0; t0 < p.k; t0 += 2 * BK) {
        turn(t0, 0, odd, even);
        if (t0 + BK < p.k)
            turn(t0 + BK, 1, even, odd);
    }
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int j = 0; j < NT; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                int r = row + wm + i * 16 + lane / 4 + e / 2 * 8,
                    c = col + wn + j * 8 + lane % 4 * 2 + e % 2;
                if (r < p.m && c < p.n)
                    finish(p.to, r, c, sum[i][j][e]);
            }
}

/* --- few rows ------------------------------------------------------------------------------------------ */

enum { FEW_WARPS = 8, FEW_OUTS = 8, FEW_STEP = 32, FEW_AHEAD = 8 };

/* MT * 16 rows. A warp has every eighth step of 32 inputs. Within a step lane l reads the eight inputs from
 * 8 * (l % 4) on, of weights and of x alike, as terms 2 l, 2 l + 1 and 2 l + 8, 2 l + 9 of two products: the order of
 * terms within a step is the same for both, so their sum is that of the step. */
template <class W, int MT>
__global__ void __launch_bounds__(FEW_WARPS * 32) few_kernel(const MmaArgs<W> p)
{
    typedef typename Rounded<W>::type T;
    enum { AHEAD = MT > 2 ? FEW_AHEAD / 2 : FEW_AHEAD };
    __shared__ float part[FEW_WARPS][FEW_OUTS][MT * 16 + 1];
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const int col = (int)blockIdx.x * FEW_OUTS, row = (int)blockIdx.y * MT * 16, in = lane % 4 * 8;
    const int steps = (p.k + FEW_STEP - 1) / FEW_STEP;
    float sum[MT][4] = {};
    for (int s0 = warp; s0 < steps; s0 += FEW_WARPS * AHEAD) {
        Raw<W> w[AHEAD];
#pragma unroll
        for (int u = 0; u < AHEAD; u++)
            weights_at(w[u], p, col + lane / 4, (s0 + u * FEW_WARPS) * FEW_STEP + in);
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            int t = (s0 + u * FEW_WARPS) * FEW_STEP + in;
            uint32_t wv[4];
            if (s0 + u * FEW_WARPS >= steps)
                break;
            pairs_of(wv, w[u]);
#pragma unroll
            for (int i = 0; i < MT; i++) {
                RawX raw[2];
                uint32_t x[2][4];
#pragma unroll
                for (int h = 0; h < 2; h++)
                    inputs_at(raw[h], p, row + i * 16 + h * 8 + lane / 4, t);
#pragma unroll
                for (int h = 0; h < 2; h++)
                    pairs_of<T>(x[h], raw[h]);
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    const uint32_t a[4] = {x[0][2 * h], x[1][2 * h], x[0][2 * h + 1],
                                           x[1][2 * h + 1]};
                    mma(sum[i], a, &wv[2 * h], T());
                }
            }
        }
    }
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int e = 0; e < 4; e++)
            part[warp][lane % 4 * 2 + e % 2][i * 16 + lane / 4 + e / 2 * 8] = sum[i][e];
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
        LAUNCH(on, (mma_kernel<W, 128, 128, 64, 32, 32>), tile_grid(p.m, p.n, 128, 128), 256, 0, p);
    else
        LAUNCH(on, (mma_kernel<W, 64, 64, 32, 32, 64>), tile_grid(p.m, p.n, 64, 64), 128, 0, p);
}

template <class W> static void mma_few(Stream *on, const MmaArgs<W> &p)
{
    unsigned cols = (unsigned)((p.n + FEW_OUTS - 1) / FEW_OUTS);
    if (p.m <= 16)
        LAUNCH(on, (few_kernel<W, 1>), dim3(cols, 1), FEW_WARPS * 32, 0, p);
    else if (p.m <= 32)
        LAUNCH(on, (few_kernel<W, 2>), dim3(cols, 1), FEW_WARPS * 32, 0, p);
    else
        LAUNCH(on, (few_kernel<W, 4>), dim3(cols, (unsigned)((p.m + 63) / 64)), FEW_WARPS * 32, 0,
               p);
}

#endif
