/* cuda/module/attention.cu: softmax(q k^T scale + bias) v, without the scores ever lying in memory (Dao 2023,
 * FlashAttention-2), in f32.
 *
 * A block has 64 queries of one head of one group and goes through their keys, 32 at a time from the group's first
 * one. What a query gets depends on its own scores in that order: keys that it does not see add nothing, and change
 * no bit. */
#include "cuda/module/keys.cuh"

enum { BQ = 64, BK = 32, THREADS = 256, SIDE = 16 };

/* Floats from a row to the next in shared memory: a multiple of 4, and rows begin in different banks. */
__host__ __device__ static inline int row_room(int hd)
{
    return (hd + 3) / 4 * 4 + 4;
}

static size_t room(int hd)
{
    return sizeof(float) * ((size_t)(BQ + 2 * BK) * (size_t)row_room(hd) + (size_t)BQ * (BK + 4));
}

/* rows x hd floats from `from` on, times factor; rows that are not there are 0, as what follows hd. */
__device__ static inline void keep_rows(float *to, const float *from, int ld, int rows, int most,
                                        int hd, float factor)
{
    int width = row_room(hd) - 4;
    for (int i = (int)threadIdx.x; i < most * width; i += THREADS) {
        int r = i / width, c = i % width;
        to[r * row_room(hd) + c] = r < rows && c < hd ? row_at(from, r, ld)[c] * factor : 0.0f;
    }
}

/* DIMS: numbers of a head's result that a thread has of each of its four queries. */
template <int DIMS, bool CAUSAL>
__global__ void __launch_bounds__(THREADS) attention_kernel(const AttentionCall p)
{
    extern __shared__ __align__(16) float memory[];
    const AttnSpan s = span_of(p, (int)blockIdx.z);
    const int hd = p.hd, ld = row_room(hd), head = (int)blockIdx.y, q0 = (int)blockIdx.x * BQ;
    const int tid = (int)threadIdx.x, tx = tid % SIDE, ty = tid / SIDE * 4, ahead = s.nk - s.nq;
    float *q = memory, *k = q + BQ * ld, *v = k + BK * ld, *score = v + BK * ld;
    if (q0 >= s.nq)
        return;
    const int rows = min(BQ, s.nq - q0), most = CAUSAL ? min(s.nk, q0 + rows + ahead) : s.nk;
    keep_rows(q, row_at(p.q, s.q + q0, p.ldq) + head * hd, p.ldq, rows, BQ, hd, p.scale);
    float out[4][DIMS] = {};
    float max = -INFINITY,
          sum = 0; /* of query tid / 4, of whose scores this thread has every fourth */
    for (int k0 = 0; k0 < most; k0 += BK) {
        const int keys = min(BK, s.nk - k0);
        __syncthreads();
        keep_rows(k, row_at(p.k, s.k + k0, p.ldk) + head * hd, p.ldk, keys, BK, hd, 1.0f);
        keep_rows(v, row_at(p.v, s.k + k0, p.ldv) + head * hd, p.ldv, keys, BK, hd, 1.0f);
        __syncthreads();
        float dot[4][2] = {};
        for (int c = 0; c < ld - 4; c += 4) {
            float4 x[4], y[2];
#pragma unroll
            for (int i = 0; i < 4; i++)
                x[i] = *(const float4 *)&q[(ty + i) * ld + c];
#pragma unroll
            for (int j = 0; j < 2; j++)
                y[j] = *(const float4 *)&k[(tx + j * SIDE) * ld + c];
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 2; j++)
                    dot[i][j] = fmaf(x[i].w, y[j].w,
                                     fmaf(x[i].z, y[j].z,
                                          fmaf(x[i].y, y[j].y, fmaf(x[i].x, y[j].x, dot[i][j]))));
        }
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 2; j++) {
                int key = tx + j * SIDE, at = q0 + ty + i + ahead;
                bool seen = key < keys && (!CAUSAL || k0 + key <= at);
                float b = p.bias && seen && ty + i < rows
                              ? row_at(p.bias, p.far + k0 + key - at, p.ldb)[head]
                              : 0.0f;
                score[(ty + i) * (BK + 4) + key] = seen ? dot[i][j] + b : -INFINITY;
            }
        __syncthreads();
        float *mine = score + tid / 4 * (BK + 4), top = max;
        for (int j = tid % 4; j < BK; j += 4)
            top = fmaxf(top, mine[j]);
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
        float less = top == -INFINITY ? 0.0f : top, keep = expf(max - less), part = 0;
        for (int j = tid % 4; j < BK; j += 4) {
            float e = expf(mine[j] - less);
            mine[j] = e;
            part += e;
        }
        part += __shfl_xor_sync(0xffffffffu, part, 1);
        part += __shfl_xor_sync(0xffffffffu, part, 2);
        sum = fmaf(sum, keep, part);
        max = top;
        if (tid % 4 == 0)
            mine[BK] = keep;
        __syncthreads();
        /* V of a key that a query does not see may be NaN: it must not come near. */
        const bool all = !CAUSAL || k0 + BK - 1 <= q0 + ahead;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float f = score[(ty + i) * (BK + 4) + BK];
#pragma unroll
            for (int d = 0; d < DIMS; d++)
                out[i][d] *= f;
        }
        for (int j = 0; j < BK; j += 4) {
            float4 e[4];
#pragma unroll
            for (int i = 0; i < 4; i++)
                e[i] = *(const float4 *)&score[(ty + i) * (BK + 4) + j];
#pragma unroll
            for (int jj = 0; jj < 4; jj++)
#pragma unroll
                for (int d = 0; d < DIMS; d++) {
                    int c = tx + d * SIDE;
                    float y = c < hd ? v[(j + jj) * ld + c] : 0.0f;
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        float x = jj == 0 ? e[i].x : jj == 1 ? e[i].y : jj == 2 ? e[i].z : e[i].w;
                        float more = fmaf(x, y, out[i][d]);
                        out[i][d] = all || k0 + j + jj <= q0 + ty + i + ahead ? more : out[i][d];
                    }
                }
        }
    }
    __syncthreads();
    if (tid % 4 == 0)
        score[tid / 4 * (BK + 4)] = 1.0f / sum;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int d = 0; d < DIMS; d++)
            if (ty + i < rows && tx + d * SIDE < hd)
                row_at(p.out, s.q + q0 + ty + i, p.ldo)[head * hd + tx + d * SIDE] =
                    out[i][d] * score[(ty + i) * (BK + 4)];
}

/* --- wide heads: a block per query, as with slots -------------------------------------------------------- */

template <int DIMS> __global__ void wide_kernel(const AttentionCall p)
{
    extern __shared__ __align__(16) float memory[];
    const AttnSpan s = span_of(p, (int)blockIdx.z);
    const int i = (int)blockIdx.x, head = (int)blockIdx.y, at = i + s.nk - s.nq;
    if (i >= s.nq)
        return;
    Keys keys = {};
    keys.q = row_at(p.q, s.q + i, p.ldq) + head * p.hd;
    keys.k = row_at(p.k, s.k, p.ldk) + head * p.hd, keys.ldk = p.ldk;
    keys.v = row_at(p.v, s.k, p.ldv) + head * p.hd, keys.ldv = p.ldv;
    keys.bias = p.bias ? row_at(p.bias, p.far - at, p.ldb) + head : NULL, keys.ldb = p.ldb;
    keys.n = p.causal ? at + 1 : s.nk, keys.hd = p.hd, keys.scale = p.scale;
    attend_keys<DIMS>(keys, row_at(p.out, s.q + i, p.ldo) + head * p.hd, memory);
}

/* --- launching ---------------------------------------------------------------------------------------------- */

typedef void AttentionKernel(const AttentionCall);

template <bool CAUSAL> static AttentionKernel *tiled_for(int hd)
{
    return hd <= 32   ? attention_kernel<2, CAUSAL>
           : hd <= 64 ? attention_kernel<4, CAUSAL>
           : hd <= 96 ? attention_kernel<6, CAUSAL>
                      : attention_kernel<8, CAUSAL>;
}

static bool attention(Stream *on, const AttentionArgs *a)
{
    AttentionCall p = attention_call(a);
    bool tiled = p.hd <= 128;
    if (a->q->rows == 0 || p.nq == 0)
        return true;
    if (p.hd > KEYS_WIDEST)
        BUG("attention: a head of more than 512");
    AttentionKernel *kernel = !tiled      ? wide_kernel<16>
                              : a->causal ? tiled_for<true>(p.hd)
                                          : tiled_for<false>(p.hd);
    size_t bytes = tiled ? room(p.hd) : keys_room(p.hd);
    if (!cuda_shared(on, (const void *)kernel, bytes))
        return true; /* the stream has the error */
    for (int from = 0; from < a->groups; from += 65535) {
        int groups = a->groups - from < 65535 ? a->groups - from : 65535;
        p.first = from;
        dim3 grid((unsigned)(tiled ? (p.nq + BQ - 1) / BQ : p.nq), (unsigned)a->heads,
                  (unsigned)groups);
        LAUNCH(on, kernel, grid, tiled ? (int)THREADS : (int)KEYS_THREADS, bytes, p);
    }
    return true;
}

/* --- slots --------------------------------------------------------------------------------------------------- */

typedef struct SlotCall {
    const float *q, *k, *v, *bias;
    float *out;
    const int *slots, *first, *n;
    int ldq, ldo, ldb, far, width, hd;
    float scale;
} SlotCall;

/* A block per row and head. */
template <int DIMS> __global__ void slots_kernel(const SlotCall p)
{
    extern __shared__ __align__(16) float memory[];
    const int r = (int)blockIdx.x, head = (int)blockIdx.y;
    Keys keys = {};
    keys.n = p.n[r], keys.hd = p.hd, keys.scale = p.scale;
    keys.q = row_at(p.q, r, p.ldq) + head * p.hd;
    keys.k = p.k + head * p.hd, keys.v = p.v + head * p.hd;
    keys.ldk = keys.ldv = p.width;
    keys.list = p.slots + p.first[r];
    keys.bias = p.bias ? row_at(p.bias, p.far - keys.n, p.ldb) + head : NULL, keys.ldb = p.ldb;
    attend_keys<DIMS>(keys, row_at(p.out, r, p.ldo) + head * p.hd, memory);
}

static bool attention_slots(Stream *on, const SlotAttentionArgs *a)
{
    SlotCall p = {};
    p.q = f32(a->q), p.out = f32(a->out), p.ldq = a->q->ld, p.ldo = a->out->ld;
    p.k = (const float *)a->k.data, p.v = (const float *)a->v.data;
    p.bias = a->bias ? f32(a->bias) : NULL;
    p.ldb = a->bias ? a->bias->ld : 0;
    p.far = a->bias ? a->bias->rows : 0;
    p.slots = a->slots, p.first = a->first, p.n = a->n;
    p.width = a->q->cols, p.hd = a->q->cols / a->heads;
    p.scale = a->scale;
    if (a->q->rows == 0)
        return true;
    if (p.hd > KEYS_WIDEST)
        BUG("attention: a head of more than 512");
    dim3 grid((unsigned)a->q->rows, (unsigned)a->heads);
    if (p.hd <= 128)
        LAUNCH(on, slots_kernel<4>, grid, KEYS_THREADS, keys_room(p.hd), p);
    else
        LAUNCH(on, slots_kernel<16>, grid, KEYS_THREADS, keys_room(p.hd), p);
    return true;
}

extern "C" void cuda_install_attention(Backend *b)
{
    b->attention = attention;
    b->attention_slots = attention_slots;
}
