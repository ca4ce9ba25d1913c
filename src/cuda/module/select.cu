/* cuda/module/select.cu: what selection needs of a row of logits: its log-probabilities, its best ids. A row is a
 * block. */
#include "cuda/module/common.cuh"

enum { THREADS = 512 };

/* --- log_softmax ------------------------------------------------------------------------------------------- */

__global__ static void __launch_bounds__(THREADS)
    log_softmax_kernel(float *y, int ldy, const float *x, int ldx, int cols)
{
    x = row_at(x, (int)blockIdx.x, ldx), y = row_at(y, (int)blockIdx.x, ldy);
    float max = -INFINITY;
    double sum = 0;
    for (int c = (int)threadIdx.x; c < cols; c += THREADS)
        max = fmaxf(max, x[c]);
    max = block_max(max);
    for (int c = (int)threadIdx.x; c < cols; c += THREADS)
        sum += (double)expf(x[c] - max);
    sum = block_sum(sum);
    float log_sum = isfinite(sum) && isfinite(max) ? (float)log(sum) : NAN;
    for (int c = (int)threadIdx.x; c < cols; c += THREADS)
        y[c] = x[c] - max - log_sum;
}

static void log_softmax(Stream *on, Tensor *y, const Tensor *x)
{
    if (x->rows)
        LAUNCH(on, log_softmax_kernel, (unsigned)x->rows, THREADS, 0, f32(y), y->ld, f32(x), x->ld,
               x->cols);
}

/* --- top_k -------------------------------------------------------------------------------------------------- */

typedef struct TopCall {
    float *logits, *logprobs;
    int ld_logits, ld_logprobs, cols, stride;
    const TopKRow *row;
    const int *ids;
    TopEntry *out;
    int *found;
} TopCall;

/* A candidate; id -1: none. Of equals the lower id is the better one. */
typedef struct Best {
    float total;
    int id;
} Best;

__device__ static inline bool better(const Best &a, const Best &b)
{
    return a.id >= 0 && (b.id < 0 || a.total > b.total || (a.total == b.total && a.id < b.id));
}

/* The best of this thread's columns that comes behind `last` (id -1: any). */
__device__ static Best best_behind(const float *v, int cols, float add, const Best &last)
{
    Best best = {-INFINITY, -1};
    for (int id = (int)threadIdx.x; id < cols; id += THREADS) {
        float total = v[id] + add;
        bool behind = last.id < 0 || total < last.total || (total == last.total && id > last.id);
        if (behind && total > best.total)
            best = Best{total, id};
    }
    return best;
}

__device__ static Best block_best(Best mine)
{
    __shared__ Best part[THREADS / 32];
    for (int d = 16; d; d >>= 1) {
        Best other = {__shfl_xor_sync(0xffffffffu, mine.total, d),
                      __shfl_xor_sync(0xffffffffu, mine.id, d)};
        if (better(other, mine))
            mine = other;
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = mine;
    __syncthreads();
    mine = part[0];
    for (int i = 1; i < THREADS / 32; i++)
        if (better(part[i], mine))
            mine = part[i];
    return mine;
}

__device__ static void change_ids(float *v, const TopKRow &want, const int *ids)
{
    for (int i = (int)threadIdx.x; i < want.penalised; i += THREADS) {
        float x = v[ids[i]];
        v[ids[i]] = x < 0 ? x * want.penalty : x / want.penalty;
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < want.forbidden; i += THREADS)
        v[ids[want.penalised + i]] = -INFINITY;
    __syncthreads();
}

/* One after another: only the thread whose candidate was taken looks for a new one. */
__global__ static void __launch_bounds__(THREADS) top_k_kernel(const TopCall p)
{
    const int r = (int)blockIdx.x;
    const TopKRow want = p.row[r];
    float *logprob = row_at(p.logprobs, r, p.ld_logprobs);
    float *v = want.logits ? row_at(p.logits, r, p.ld_logits) : logprob;
    if (isnan(logprob[0])) {
        if (threadIdx.x == 0)
            p.found[r] = -1;
        return;
    }
    __syncthreads();
    change_ids(v, want, p.ids + want.first);
    int n = 0;
    Best mine = {-INFINITY, -1}, best;
    if (want.k > 0)
        mine = best_behind(v, p.cols, want.add, mine);
    for (; n < want.k; n++) {
        best = block_best(mine);
        if (best.id < 0)
            break;
        if (mine.id == best.id) {
            p.out[(size_t)r * (size_t)p.stride + (size_t)n] = TopEntry{logprob[best.id], best.id};
            mine = best_behind(v, p.cols, want.add, best);
        }
    }
    if (threadIdx.x == 0)
        p.found[r] = n;
}

static bool top_k(Stream *on, const TopKArgs *a)
{
    TopCall p = {f32(a->logits), f32(a->logprobs), a->logits->ld, a->logprobs->ld, a->logits->cols,
                 a->stride,      a->row,           a->ids,        a->out,          a->found};
    if (a->logits->rows)
        LAUNCH(on, top_k_kernel, (unsigned)a->logits->rows, THREADS, 0, p);
    return true;
}

extern "C" void cuda_install_select(Backend *b)
{
    b->log_softmax = log_softmax;
    b->top_k = top_k;
}
