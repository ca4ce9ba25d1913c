/* cuda/module/attention_back.cu: the gradient of attention, in f32.
 *
 * Three kernels, none of which lets two blocks add to one number: a block per query (dQ, and what the others need of its
 * softmax: max, 1 / sum, sum of P dP), a block per key (dK and dV, over its queries in the order of groups and rows),
 * a block per entry of the bias. With P the softmax and dP = dO V^T: dS = P (dP - sum P dP) (Dao 2023,
 * FlashAttention-2, section 3.1.2). Written for clarity, not for speed: training is not done here yet. */
#include "cuda/module/keys.cuh"

enum { THREADS = 128 };

typedef struct BackCall {
    AttentionCall f;
    const float *dout;            /* like out */
    float *dq, *dk, *dv, *dbias;  /* each may be NULL */
    float *max, *inverse, *delta; /* [rows of q][heads] */
    int heads, groups, keys, bias_rows;
} BackCall;

__device__ static inline float dot_of(const float *a, const float *b, int n, float factor)
{
    float sum = 0;
    for (int c = 0; c < n; c++)
        sum = fmaf(a[c] * factor, b[c], sum);
    return sum;
}

/* The score of query i of a group with its key j. */
__device__ static inline float score_of(const AttentionCall &f, const AttnSpan &s, int head, int i,
                                        int j)
{
    float x = dot_of(row_at(f.q, s.q + i, f.ldq) + head * f.hd,
                     row_at(f.k, s.k + j, f.ldk) + head * f.hd, f.hd, f.scale);
    return f.bias ? x + row_at(f.bias, f.far + j - (i + s.nk - s.nq), f.ldb)[head] : x;
}

__device__ static inline float dp_of(const BackCall &p, const AttnSpan &s, int head, int i, int j)
{
    return dot_of(row_at(p.dout, s.q + i, p.f.ldo) + head * p.f.hd,
                  row_at(p.f.v, s.k + j, p.f.ldv) + head * p.f.hd, p.f.hd, 1.0f);
}

__device__ static inline bool sees(const AttentionCall &f, const AttnSpan &s, int i, int j)
{
    return j >= 0 && j < s.nk && (!f.causal || j <= i + s.nk - s.nq);
}

/* P and dS of query i and key j, from what its block has kept. */
__device__ static inline float2 again(const BackCall &p, const AttnSpan &s, int head, int i, int j)
{
    size_t at = (size_t)(s.q + i) * (size_t)p.heads + (size_t)head;
    float e = expf(score_of(p.f, s, head, i, j) - p.max[at]) * p.inverse[at];
    return make_float2(e, e * (dp_of(p, s, head, i, j) - p.delta[at]));
}

__global__ static void query_kernel(const BackCall p)
{
    extern __shared__ float ds[];
    const AttentionCall &f = p.f;
    const AttnSpan s = span_of(f, (int)blockIdx.z);
    const int i = (int)blockIdx.x, head = (int)blockIdx.y, tid = (int)threadIdx.x;
    if (i >= s.nq)
        return;
    const int n = f.causal ? i + 1 + s.nk - s.nq : s.nk;
    float max = -INFINITY, sum = 0, delta = 0;
    for (int j = tid; j < n; j += THREADS) {
        ds[j] = score_of(f, s, head, i, j);
        max = fmaxf(max, ds[j]);
    }
    max = block_max(max);
    for (int j = tid; j < n; j += THREADS)
        sum += ds[j] = expf(ds[j] - max);
    float inverse = 1.0f / block_sum(sum);
    for (int j = tid; j < n; j += THREADS)
        delta = fmaf(ds[j] * inverse, dp_of(p, s, head, i, j), delta);
    delta = block_sum(delta);
    for (int j = tid; j < n; j += THREADS)
        ds[j] = ds[j] * inverse * (dp_of(p, s, head, i, j) - delta);
    __syncthreads();
    for (int c = tid; p.dq && c < f.hd; c += THREADS) {
        float all = 0;
        for (int j = 0; j < n; j++)
            all = fmaf(ds[j], row_at(f.k, s.k + j, f.ldk)[head * f.hd + c], all);
        float *to = row_at(p.dq, s.q + i, f.ldq) + head * f.hd + c;
        *to = fmaf(all, f.scale, *to);
    }
    if (tid == 0) {
        size_t at = (size_t)(s.q + i) * (size_t)p.heads + (size_t)head;
        p.max[at] = max, p.inverse[at] = inverse, p.delta[at] = delta;
    }
}

__global__ static void key_kernel(const BackCall p)
{
    __shared__ float2 seen[THREADS];
    const AttentionCall &f = p.f;
    const int row = (int)blockIdx.x, head = (int)blockIdx.y, tid = (int)threadIdx.x;
    float dk[KEYS_WIDEST / THREADS] = {}, dv[KEYS_WIDEST / THREADS] = {};
    for (int g = 0; g < p.groups; g++) {
        const AttnSpan s = span_of(f, g);
        const int j = row - s.k;
        if (j < 0 || j >= s.nk)
            continue;
        for (int i0 = 0; i0 < s.nq; i0 += THREADS) {
            int most = min(THREADS, s.nq - i0);
            __syncthreads();
            if (tid < most)
                seen[tid] =
                    sees(f, s, i0 + tid, j) ? again(p, s, head, i0 + tid, j) : make_float2(0, 0);
            __syncthreads();
            for (int part = 0, c = tid; c < f.hd; c += THREADS, part++)
                for (int i = 0; i < most; i++) {
                    if (!sees(f, s, i0 + i, j))
                        continue;
                    dv[part] = fmaf(seen[i].x, row_at(p.dout, s.q + i0 + i, f.ldo)[head * f.hd + c],
                                    dv[part]);
                    dk[part] = fmaf(seen[i].y, row_at(f.q, s.q + i0 + i, f.ldq)[head * f.hd + c],
                                    dk[part]);
                }
        }
    }
    for (int part = 0, c = tid; c < f.hd; c += THREADS, part++) {
        if (p.dv)
            row_at(p.dv, row, f.ldv)[head * f.hd + c] += dv[part];
        if (p.dk) {
            float *to = row_at(p.dk, row, f.ldk) + head * f.hd + c;
            *to = fmaf(dk[part], f.scale, *to);
        }
    }
}

__global__ static void bias_kernel(const BackCall p)
{
    const AttentionCall &f = p.f;
    const int row = (int)blockIdx.x, head = (int)blockIdx.y;
    double sum = 0;
    for (int g = 0; g < p.groups; g++) {
        const AttnSpan s = span_of(f, g);
        for (int i = (int)threadIdx.x; i < s.nq; i += THREADS) {
            int j = row - f.far + i + s.nk - s.nq;
            if (sees(f, s, i, j))
                sum += (double)again(p, s, head, i, j).y;
        }
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        row_at(p.dbias, row, f.ldb)[head] += (float)sum;
}

static BackCall back_call(const AttentionArgs *a)
{
    BackCall p = {};
    p.f = attention_call(a);
    p.dout = a->out->grad;
    p.dq = a->q->grad, p.dk = a->k->grad, p.dv = a->v->grad;
    p.dbias = a->bias ? a->bias->grad : NULL;
    p.heads = a->heads, p.groups = a->groups;
    p.keys = a->k->rows;
    p.bias_rows = a->bias ? a->bias->rows : 0;
    return p;
}

static bool attention_back(Stream *on, const AttentionArgs *a)
{
    BackCall p = back_call(a);
    size_t each = (size_t)a->q->rows * (size_t)a->heads, bytes = sizeof(float) * (size_t)p.f.nk;
    unsigned heads = (unsigned)a->heads;
    if (each == 0 || p.f.nq == 0)
        return true;
    if (p.f.hd > KEYS_WIDEST)
        BUG("attention: a head of more than 512");
    if (a->groups > 65535) {
        cuda_note(on, cudaErrorInvalidConfiguration, "attention: groups");
        return true;
    }
    p.max = (float *)cuda_scratch(on, SCRATCH_BACK, 3 * each * sizeof(float));
    if (!p.max)
        return false;
    p.inverse = p.max + each, p.delta = p.inverse + each;
    if (!cuda_shared(on, (const void *)query_kernel, bytes))
        return true; /* the stream has the error */
    LAUNCH(on, query_kernel, dim3((unsigned)p.f.nq, heads, (unsigned)a->groups), THREADS, bytes, p);
    if (p.dk || p.dv)
        LAUNCH(on, key_kernel, dim3((unsigned)p.keys, heads), THREADS, 0, p);
    if (p.dbias)
        LAUNCH(on, bias_kernel, dim3((unsigned)p.bias_rows, heads), THREADS, 0, p);
    return true;
}

extern "C" void cuda_install_attention_back(Backend *b)
{
    b->attention_back = attention_back;
}
