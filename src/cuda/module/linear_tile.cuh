/* cuda/module/linear_tile.cuh: products in f32: C = A B, one chain of fmaf per element in the order of the sum.
 *
 * A block computes BM x BN elements of C, a thread TM x TN; BK terms at a time lie in shared memory. The tile changes
 * how much work is shared, never an element's bits: its terms are added one by one, 0 .. K-1 and then zeros up to
 * a multiple of BK, whatever the tile. So the tile may be chosen by the number of rows. */
#ifndef CUDA_LINEAR_TILE_CUH
#define CUDA_LINEAR_TILE_CUH

#include "cuda/module/common.cuh"

enum { TILE_BK = 16 };

/* What happens to a sum: y = act(sum * scale + bias) + residual, or y += sum. */
typedef struct Finish {
    const float *row_factor; /* every second: what takes back the factor of a row of x; NULL: 1 */
    const float *scale, *bias, *residual;
    float *y;
    int ldr, ldy, act;
    bool add;
} Finish;

__device__ static inline void finish(const Finish &f, int i, int j, float sum)
{
    float *y = row_at(f.y, i, f.ldy) + j;
    if (f.add) {
        *y += sum;
        return;
    }
    if (f.row_factor)
        sum *= f.row_factor[2 * i];
    if (f.scale)
        sum *= f.scale[j];
    if (f.bias)
        sum += f.bias[j];
    if (f.act != ACT_NONE)
        sum = act_apply(sum, f.act);
    if (f.residual)
        sum += row_at(f.residual, i, f.ldr)[j];
    *y = sum;
}

/* C[i, j] = sum over t of A[i, t] B[t, j]. A[i, t] lies at a[i * a_i + t * a_t], one of which is 1; B likewise. */
template <class W> struct Product {
    const float *a;
    const W *b;
    const float *
        b_scale; /* per t: a factor of B's row (I8 weights that are summed over outputs); NULL: 1 */
    size_t a_i, a_t, b_j, b_t;
    int m, n, k;
    Finish to;
};

/* Loads rows x BK of A, or of B, to [BK][rows + 1]; the threads run along what lies together. */
template <class T, int ROWS, int THREADS, bool ALONG>
__device__ static inline void tile_load(float (*to)[ROWS + 4], const T *from, size_t step_r,
                                        size_t step_t, int row, int rows, int t0, int k,
                                        const float *scale)
{
    for (int i = (int)threadIdx.x; i < ROWS * TILE_BK; i += THREADS) {
        int r = ALONG ? i / TILE_BK : i % ROWS, t = ALONG ? i % TILE_BK : i / ROWS;
        bool there = row + r < rows && t0 + t < k;
        float x = there ? wide(from[(size_t)(row + r) * step_r + (size_t)(t0 + t) * step_t]) : 0.0f;
        to[t][r] = there && scale ? x * scale[t0 + t] : x;
    }
}

template <class W, int BM, int BN, int TM, int TN, bool A_ALONG, bool B_ALONG>
__global__ void product_kernel(const Product<W> p)
{
    enum { COLS = BN / TN, THREADS = BM / TM * COLS };
    __shared__ float a[TILE_BK][BM + 4], b[TILE_BK][BN + 4];
    const int ti = (int)threadIdx.x / COLS * TM, tj = (int)threadIdx.x % COLS;
    const int row = (int)blockIdx.y * BM, col = (int)blockIdx.x * BN;
    float sum[TM][TN] = {};
    for (int t0 = 0; t0 < p.k; t0 += TILE_BK) {
        tile_load<float, BM, THREADS, A_ALONG>(a, p.a, p.a_i, p.a_t, row, p.m, t0, p.k, NULL);
        tile_load<W, BN, THREADS, B_ALONG>(b, p.b, p.b_j, p.b_t, col, p.n, t0, p.k, p.b_scale);
        __syncthreads();
#pragma unroll
        for (int t = 0; t < TILE_BK; t++) {
            float x[TM], w[TN];
#pragma unroll
            for (int i = 0; i < TM; i++)
                x[i] = a[t][ti + i];
#pragma unroll
            for (int j = 0; j < TN; j++)
                w[j] = b[t][tj + j * COLS];
#pragma unroll
            for (int i = 0; i < TM; i++)
#pragma unroll
                for (int j = 0; j < TN; j++)
                    sum[i][j] = fmaf(x[i], w[j], sum[i][j]);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++)
            if (row + ti + i < p.m && col + tj + j * COLS < p.n)
                finish(p.to, row + ti + i, col + tj + j * COLS, sum[i][j]);
}

static inline dim3 tile_grid(int m, int n, int bm, int bn)
{
    return dim3((unsigned)((n + bn - 1) / bn), (unsigned)((m + bm - 1) / bm));
}

/* Few rows get small tiles, so that all multiprocessors work. */
template <class W, bool A_ALONG, bool B_ALONG> static void product(Stream *on, const Product<W> &p)
{
    int large = (p.m + 127) / 128 * ((p.n + 127) / 128);
    if (p.m < 1 || p.n < 1)
        return;
    if (large >= ((CudaStream *)on)->processors)
        LAUNCH(on, (product_kernel<W, 128, 128, 8, 8, A_ALONG, B_ALONG>),
               tile_grid(p.m, p.n, 128, 128), 256, 0, p);
    else if (p.m > 16)
        LAUNCH(on, (product_kernel<W, 64, 64, 4, 4, A_ALONG, B_ALONG>), tile_grid(p.m, p.n, 64, 64),
               256, 0, p);
    else
        LAUNCH(on, (product_kernel<W, 16, 32, 2, 2, A_ALONG, B_ALONG>), tile_grid(p.m, p.n, 16, 32),
               128, 0, p);
}

#endif
