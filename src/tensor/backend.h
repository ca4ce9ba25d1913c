/* tensor/backend.h: what stands between ops and a machine: memory and kernels.
 *
 * A Device is one opened machine. It owns the memory that weights lie in, and is opened once per
 * model; its functions may be called from several threads. A Stream is one line of work on a Device:
 * it owns scratch memory and, on the CPU, the number of threads and the kernel set. A Stream is used
 * by one thread at a time; several Streams may read the same Params at once.
 *
 * Memory that tensors and weights lie in is the Device's. Only kernels, upload and download touch
 * it: to everybody else its addresses are numbers, for a host may not be able to read them. ops/ is
 * the only caller of kernels.
 *
 * Rules that every implementation keeps:
 *  - All activations are F32 in memory. Sums, norms, softmax and losses are computed in f32.
 *  - Given one Stream's kernel set, the bits of an output row depend on that row's inputs only:
 *    not on how many rows come with it and not on the number of threads. So every sum has a fixed
 *    order for each Role, and work is split over outputs, never over a sum.
 *  - Tensors may be views (ld > cols). Params may lie unaligned.
 *  - Backward functions ADD to gradients, and skip those that are NULL.
 *  - Work is done in the order of the calls. A kernel may return before it is done, and fail then:
 *    `sync` (and `download`, which waits) tells. A kernel that returns false could not be started:
 *    Stream scratch could not grow (out of memory); nothing else allocates. */
#ifndef TENSOR_BACKEND_H
#define TENSOR_BACKEND_H

#include "base/error.h"
#include "tensor/tensor.h"

typedef enum Act { ACT_NONE, ACT_GELU, ACT_RELU, ACT_QUICK_GELU, ACT_GELU_TANH } Act;

/* What a product is for. It selects the kernel, so that the number of rows never does. */
typedef enum Role {
    ROLE_ENCODE, /* many rows: encoders, prompts, training. Built for speed from about 5 rows on. */
    ROLE_DECODE, /* few rows (1..16 typical, any number correct), weights read once */
} Role;

/* Which arithmetic `linear` may use for a 16-bit weight. */
typedef enum Precision {
    PREC_F32,  /* parity: weights widened, f32 products and sums */
    PREC_FAST, /* the fastest kernel of the weight's own type, e.g. bf16 products with f32 sums */
} Precision;

typedef struct LinearArgs {
    const Tensor *x; /* [M, in] */
    const Param *w; /* [out, in]: F32, F16, BF16, in rows I8 with one scale per row, in panels I4 */
    const Param *b; /* F32 vector [out] or NULL */
    const Tensor *residual; /* [M, out] or NULL; may be y itself */
    Tensor *y;              /* [M, out]; must not overlap x */
    Act act;                /* y = act(x W^T + b) + residual, rounded in this order */
    Role role;
} LinearArgs;

/* A group of any length: nq queries from row q on see the nk >= 1 keys from row k on. Groups may share keys, and
 * no queries. */
typedef struct AttnSpan {
    int q, nq, k, nk;
} AttnSpan;

typedef struct AttentionArgs {
    const Tensor *q, *k, *v; /* q [groups*nq, D], k and v [groups*nk, D], D = heads*head_dim */
    Tensor *out;             /* [groups*nq, D] */
    int heads, groups;       /* groups: independent sequences, one after another */
    const AttnSpan *span;    /* [groups] in device memory, of at most most_q queries and most_k
                                keys; NULL: all groups are equal. Rows in no span are not written */
    int most_q, most_k;
    float scale; /* multiplies q.k */
    const Tensor
        *bias;   /* [2*far + 1, heads] added to the scores, row far + j - i of key j and query i,
                    where the last query stands at the last key; far is less than neither nq - 1
                    nor nk - 1 of any group; NULL: none */
    bool causal; /* query i of a group sees the keys j <= i + nk - nq; nq <= nk then */
} AttentionArgs;

/* One layer of a cache of token slots (nn/kvcache.h), in device memory. */
typedef struct SlotBlock {
    DType dtype; /* F32 */
    void *data;  /* [capacity, D] */
} SlotBlock;

/* Attention over a cache. Row r sees the n[r] slots slots[first[r]], slots[first[r] + 1].., in this
 * order. The three lists lie in device memory. */
typedef struct SlotAttentionArgs {
    const Tensor *q; /* [M, D] */
    Tensor *out;     /* [M, D] */
    SlotBlock k, v;
    const int *slots, *first, *n;
    int heads;
    float scale;
    const Tensor
        *bias; /* [far + 1, heads]: row far - d is added at d slots before the row's last one; NULL:
                           none */
} SlotAttentionArgs;

/* What top_k does to a row. First its ids are changed in place: the penalised ones (each value v becomes
 * v * penalty where v < 0, else v / penalty; no id twice), then the forbidden ones (-inf). Then it finds
 * the k largest of values[id] + add, the lower id first among equals, -inf never. k = 0: only the
 * change. */
typedef struct TopKRow {
    int k;
    float add, penalty;
    int first, penalised, forbidden; /* ids[first ..): the penalised, then the forbidden ones */
    bool logits;                     /* values are the logits; else the log-probabilities */
} TopKRow;

typedef struct TopEntry {
    float logprob; /* the id's log-probability; after the change where the values are those */
    int id;
} TopEntry;

typedef struct TopKArgs {
    Tensor *logits, *logprobs; /* [M, V]; logprobs by log_softmax */
    const TopKRow *row;        /* [M], device memory, like ids */
    const int *ids;
    int stride;    /* entries of `out` per row: the largest k */
    TopEntry *out; /* [M][stride], device memory, best first */
    int *found;    /* [M], device memory: entries of the row; -1: its log-probabilities are NaN */
} TopKArgs;

typedef struct Device Device;
typedef struct Stream Stream;
typedef struct Profile Profile;

typedef struct Backend {
    /* --- memory ------------------------------------------------------------------------------- */
    /* to: device memory, from: host memory. The host's may be changed at once afterwards. */
    bool (*upload)(Stream *, void *to, const void *from, size_t bytes);
    /* Waits for all work before it. false: some of that failed, or the copy did; sync says why. */
    bool (*download)(Stream *, void *to, const void *from, size_t bytes);
    /* Waits for all work. false: e says what failed. */
    bool (*sync)(Stream *, Error *e);
    void (*zero)(Stream *, void *p, size_t bytes);

    /* --- forward ------------------------------------------------------------------------------ */
    bool (*linear)(Stream *, const LinearArgs *);
    /* LayerNorm over cols, biased variance, two-pass; gamma, beta F32 [cols]. y may be x. */
    void (*layernorm)(Stream *, Tensor *y, const Tensor *x, const Param *gamma, const Param *beta,
                      float eps);
    /* x / sqrt(mean(x^2) + eps) * gamma over cols; gamma F32 [cols]. y may be x. */
    void (*rmsnorm)(Stream *, Tensor *y, const Tensor *x, const Param *gamma, float eps);
    /* x / max(sqrt(sum(x^2)), least) over cols. y may be x. */
    void (*l2norm)(Stream *, Tensor *y, const Tensor *x, float least);
    bool (*attention)(Stream *, const AttentionArgs *);
    bool (*attention_slots)(Stream *, const SlotAttentionArgs *);
    /* y[i] = table[ids[i]] widened to f32; ids, in device memory, are in range (the op checks). Any
     * float dtype, LAYOUT_ROWS. */
    void (*embed)(Stream *, Tensor *y, const Param *table, const int *ids);
    void (*activate)(Stream *, Tensor *y, const Tensor *x, Act act);    /* y may be x */
    void (*add)(Stream *, Tensor *y, const Tensor *a, const Tensor *b); /* y may be a or b */
    void (*multiply)(Stream *, Tensor *y, const Tensor *a,
                     const Tensor *b); /* by element; likewise */
    /* y[i] = the mean of x's rows i*group .. i*group + group - 1 */
    void (*mean_rows)(Stream *, Tensor *y, const Tensor *x, int group);
    void (*copy)(Stream *, Tensor *y, const Tensor *x); /* same shape, any ld */
    /* y[i] = the from[i]-th row of a and b put one after another (b may be NULL); from: device memory */
    void (*gather_rows)(Stream *, Tensor *y, const Tensor *a, const Tensor *b, const int *from);
    /* Unfold pictures: px [B, 3*H*W] -> y [B*gh*gw, 3*p*p], columns in (channel,row,column) order,
     * patches in raster order; pixels beyond the last whole patch are dropped. */
    void (*unfold)(Stream *, Tensor *y, const Tensor *px, int height, int width, int patch);
    /* Resizes a table of positions: row 0 is kept, the rows behind it are a square grid of
     * grid x grid that becomes gh x gw. Bicubic (Keys, a = -0.75), indices clamped to the border:
     * torch's upsample_bicubic2d with align_corners as `corners` says, no antialiasing. */
    void (*resize_grid)(Stream *, Tensor *y, const Tensor *x, int grid, int gh, int gw,
                        bool corners);
    /* dst[slots[r]] = x[r] for r < x->rows; slots: device memory */
    void (*store_slots)(Stream *, SlotBlock dst, const Tensor *x, const int *slots);
    /* y = x - max - log(sum(exp(x - max))) per row: all NaN where a row holds NaN, +inf or only -inf.
     * y must not be x. */
    void (*log_softmax)(Stream *, Tensor *y, const Tensor *x);
    bool (*top_k)(Stream *, const TopKArgs *);
    /* loss [1,1] = mean cross-entropy of the rows whose target >= 0 (targets: device memory); probs
     * [rows, cols] receives the softmax. */
    void (*softmax_loss)(Stream *, Tensor *loss, Tensor *probs, const Tensor *logits,
                         const int *targets);

    /* --- backward ----------------------------------------------------------------------------- */
    /* dx += dy W (when x->grad); dw += dy^T x, db += column sums of dy (when w->grad, b->grad).
     * dy is y->grad. act must be ACT_NONE and residual NULL: ops record those on their own. */
    bool (*linear_back)(Stream *, const LinearArgs *);
    void (*layernorm_back)(Stream *, const Tensor *y, const Tensor *x, const Param *gamma,
                           const Param *beta, float eps);
    void (*rmsnorm_back)(Stream *, const Tensor *y, const Tensor *x, const Param *gamma, float eps);
    void (*l2norm_back)(Stream *, const Tensor *y, const Tensor *x, float least);
    void (*multiply_back)(Stream *, const Tensor *y, const Tensor *a, const Tensor *b);
    void (*mean_rows_back)(Stream *, const Tensor *y, const Tensor *x, int group);
    bool (*attention_back)(Stream *, const AttentionArgs *);
    void (*embed_back)(Stream *, const Tensor *y, const Param *table, const int *ids);
    void (*activate_back)(Stream *, const Tensor *y, const Tensor *x, Act act);
    void (*gather_rows_back)(Stream *, const Tensor *y, const Tensor *a, const Tensor *b,
                             const int *from);
    void (*resize_grid_back)(Stream *, const Tensor *y, const Tensor *x, int grid, int gh, int gw,
                             bool corners);
    /* to[i] += from[i] * factor over a [rows, cols] block with leading dimensions. */
    void (*accumulate)(Stream *, float *to, int ldto, const float *from, int ldfrom, int rows,
                       int cols, float factor);
    /* logits->grad += (probs - onehot(target)) * loss->grad / n_valid */
    void (*softmax_loss_back)(Stream *, const Tensor *loss, const Tensor *logits,
                              const Tensor *probs, const int *targets);
} Backend;

typedef struct StreamOptions {
    int threads; /* CPU: 0: as many as this process may use */
    const char
        *isa; /* CPU: the kernel set; NULL: $BLIP2_ISA, else the best that this machine has */
    Precision precision;
} StreamOptions;

/* What every backend's device has; a backend's own struct begins with it. */
struct Device {
    const char *name;  /* "cpu", "cuda:0" */
    const char *model; /* what the machine is: "NVIDIA H100 80GB HBM3"; NULL: nobody says */
    void *(*alloc)(Device *, size_t bytes); /* not zeroed, 64-byte aligned; NULL: out of memory */
    void (*free)(Device *, void *p);        /* waits for what streams do with it; NULL is fine */
    /* The weight that lies at `host`, where kernels can read it: `host` itself where they can, which
     * must then stay until the device is closed; else a copy that the device owns, and what lies at
     * `host` may go at once. NULL: out of memory. */
    const void *(*place)(Device *, const void *host, size_t bytes);
    /* Its kernels read matrices in rows, and in panels I4 alone; `place` copies. */
    bool rows_only;
    size_t (*available)(Device *); /* bytes that alloc may still give, as far as can be known */
    /* The system gives memory when it is first written: what has been allocated and not been written
     * still counts as available. */
    bool late;
    Stream *(*stream)(Device *, const StreamOptions *,
                      Error *e); /* before the device is closed, close */
    void (*close)(Device *);
};

/* The part of a Stream that every backend shares. */
struct Stream {
    const Backend *k;
    Profile *profile; /* tensor/profile.h; NULL: nobody asks where the time goes */
    Device *dev;
    Precision precision;
    int threads;
    char isa[32]; /* kernel set in use, e.g. "avx512bf16" */
    void (*close)(Stream *);
};

#endif
