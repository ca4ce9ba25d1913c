/* cuda/module/keys.cuh: one query and its keys: what attention over slots and over wide heads share, and how a group
 * of attention lies in memory. */
#ifndef CUDA_KEYS_CUH
#define CUDA_KEYS_CUH

#include "cuda/module/common.cuh"

typedef struct AttentionCall {
    const float *q, *k, *v, *bias;
    float *out;
    int ldq, ldk, ldv, ldo, ldb, far, nq, nk, hd, first; /* first: group of blockIdx.z == 0 */
    const AttnSpan *span;
    float scale;
    bool causal;
} AttentionCall;

/* nq, nk: of a group, the most where there are spans. */
static inline AttentionCall attention_call(const AttentionArgs *a)
{
    AttentionCall p = {};
    p.q = f32(a->q), p.k = f32(a->k), p.v = f32(a->v), p.out = f32(a->out);
    p.ldq = a->q->ld, p.ldk = a->k->ld, p.ldv = a->v->ld, p.ldo = a->out->ld;
    p.bias = a->bias ? f32(a->bias) : NULL;
    p.ldb = a->bias ? a->bias->ld : 0;
    p.far = a->bias ? a->bias->rows / 2 : 0;
    p.span = a->span;
    p.nq = a->span ? a->most_q : a->q->rows / a->groups;
    p.nk = a->span ? a->most_k : a->k->rows / a->groups;
    p.hd = a->q->cols / a->heads;
    p.scale = a->scale;
    p.causal = a->causal;
    return p;
}

__device__ static inline AttnSpan span_of(const AttentionCall &p, int z)
{
    int group = p.first + z;
    if (p.span)
        return p.span[group];
    return AttnSpan{group * p.nq, p.nq, group * p.nk, p.nk};
}

enum {
    KEYS_THREADS = 128,
    KEYS_WARPS = KEYS_THREADS / 32,
    KEYS_AT_ONCE = 4, /* keys of a warp */
    KEYS_WIDEST = 512 /* numbers of a head */
};

/* The n keys of a query: row i of k and v, or row list[i]; bias[i * ldb] is added to the score of key i. */
typedef struct Keys {
    const float *q, *k, *v, *bias;
    const int *list;
    int ldk, ldv, ldb, n, hd;
    float scale;
} Keys;

static inline size_t keys_room(int hd)
{
    return sizeof(float) * KEYS_WARPS * (size_t)(hd + 2);
}

/* A block's work. The warps take four keys each in turn and keep a softmax of their own; in the end the four are put
 * together, first warp first. DIMS * 32 >= hd. */
template <int DIMS> __device__ static void attend_keys(const Keys &p, float *to, float *memory)
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    float q[DIMS], out[DIMS] = {}, max = -INFINITY, sum = 0;
#pragma unroll
    for (int d = 0; d < DIMS; d++)
        q[d] = lane + d * 32 < p.hd ? p.q[lane + d * 32] * p.scale : 0.0f;
    for (int j0 = warp * KEYS_AT_ONCE; j0 < p.n; j0 += KEYS_WARPS * KEYS_AT_ONCE) {
        float score[KEYS_AT_ONCE], v[KEYS_AT_ONCE][DIMS], top = max;
#pragma unroll
        for (int j = 0; j < KEYS_AT_ONCE; j++) {
            int key = j0 + j < p.n ? j0 + j : p.n - 1, at = p.list ? p.list[key] : key;
            float dot = 0;
#pragma unroll
            for (int d = 0; d < DIMS; d++) {
                int c = lane + d * 32;
                v[j][d] = c < p.hd ? row_at(p.v, at, p.ldv)[c] : 0.0f;
                dot = fmaf(q[d], c < p.hd ? row_at(p.k, at, p.ldk)[c] : 0.0f, dot);
            }
            score[j] = dot;
        }
#pragma unroll
        for (int j = 0; j < KEYS_AT_ONCE; j++) {
            float x = warp_sum(score[j]);
            if (p.bias && j0 + j < p.n)
                x += p.bias[(size_t)(j0 + j) * (size_t)p.ldb];
            score[j] = j0 + j < p.n ? x : -INFINITY;
            top = fmaxf(top, score[j]);
        }
        float less = top == -INFINITY ? 0.0f : top, keep = expf(max - less);
        sum *= keep;
#pragma unroll
        for (int d = 0; d < DIMS; d++)
            out[d] *= keep;
#pragma unroll
        for (int j = 0; j < KEYS_AT_ONCE; j++) {
            if (j0 + j >= p.n)
                break;
            float e = expf(score[j] - less);
            sum += e;
#pragma unroll
            for (int d = 0; d < DIMS; d++)
                out[d] = fmaf(e, v[j][d], out[d]);
        }
        max = top;
    }
    float *mine = memory + warp * (p.hd + 2);
    for (int d = 0; d < DIMS; d++)
        if (lane + d * 32 < p.hd)
            mine[2 + lane + d * 32] = out[d];
    if (lane == 0)
        mine[0] = max, mine[1] = sum;
    __syncthreads();
    float top = memory[0], all = 0, part[KEYS_WARPS];
#pragma unroll
    for (int w = 1; w < KEYS_WARPS; w++)
        top = fmaxf(top, memory[w * (p.hd + 2)]);
    top = top == -INFINITY ? 0.0f : top;
#pragma unroll
    for (int w = 0; w < KEYS_WARPS; w++) {
        part[w] = expf(memory[w * (p.hd + 2)] - top);
        all = fmaf(memory[w * (p.hd + 2) + 1], part[w], all);
    }
    for (int c = (int)threadIdx.x; c < p.hd; c += KEYS_THREADS) {
        float x = 0;
#pragma unroll
        for (int w = 0; w < KEYS_WARPS; w++)
            x = fmaf(memory[w * (p.hd + 2) + 2 + c], part[w], x);
        to[c] = x / all;
    }
}

#endif
