/* tensor/backend.h: the one table of functions between ops and a device.
 *
 * A Backend is a constant table; a Stream is one opened instance of it (threads, scratch memory,
 * the kernels chosen for this machine). A Stream is used by one thread at a time; several Devices
 * may work on the same Params at once.
 *
 * Rules that every implementation keeps:
 *  - All activations are F32 in memory. Sums, norms, softmax and losses are computed in f32.
 *  - Given one Stream's kernel set, the bits of an output row depend on that row's inputs only:
 *    not on how many rows come with it and not on the number of threads. So every sum has a fixed
 *    order for each Role, and work is split over outputs, never over a sum.
 *  - Tensors may be views (ld > cols). Params may lie unaligned.
 *  - Backward functions ADD to gradients, and skip those that are NULL.
 *  - Nothing allocates but Stream scratch; failure to grow it returns false (out of memory). */
#ifndef TENSOR_BACKEND_H
#define TENSOR_BACKEND_H

#include "base/error.h"
#include "tensor/tensor.h"

typedef enum Act { ACT_NONE, ACT_GELU, ACT_RELU, ACT_QUICK_GELU, ACT_GELU_TANH } Act;

/* What a product is for. It selects the kernel, so that the number of rows never does. */
typedef enum Role {
    ROLE_ENCODE, /* many rows: encoders, prompts, training. Built for speed from about 5 rows on. */
    ROLE_DECODE, /* decoding: few rows (1..16 typical, any number correct), weights read once */
} Role;

/* Which arithmetic `linear` may use for a 16-bit weight. */
typedef enum Precision {
    PREC_F32,  /* parity: weights widened, f32 products and sums */
    PREC_FAST, /* the fastest kernel of the weight's own type, e.g. bf16 products with f32 sums */
} Precision;

typedef struct LinearArgs {
    const Tensor *x;        /* [M, in] */
    const Param *w;         /* [out, in]: F32, F16, BF16, or I8 with scale */
    const Param *b;         /* F32 vector [out] or NULL */
    const Tensor *residual; /* [M, out] or NULL; may be y itself */
    Tensor *y;              /* [M, out]; must not overlap x */
    Act act;                /* y = act(x W^T + b) + residual, rounded in this order */
    Role role;
} LinearArgs;

typedef struct AttentionArgs {
    const Tensor *q, *k, *v; /* q [groups*nq, D], k and v [groups*nk, D], D = heads*head_dim */
    Tensor *out;             /* [groups*nq, D] */
    int heads, groups;       /* groups: independent sequences, one after another */
    float scale;             /* multiplies q.k */
    bool causal;             /* query i of a group sees the keys j <= i + nk - nq */
} AttentionArgs;

/* Attention over a cache of token slots. Row r sees the n[r] slots listed at slots[r], in order. */
typedef struct SlotAttentionArgs {
    const Tensor *q;    /* [M, D] */
    Tensor *out;        /* [M, D] */
    const float *k, *v; /* [capacity, D] of one layer */
    const int *const *slots;
    const int *n;
    int heads;
    float scale;
} SlotAttentionArgs;

typedef struct Stream Stream;

typedef struct Backend {
    const char *name;

    /* --- forward ------------------------------------------------------------------------------ */
    bool (*linear)(Stream *, const LinearArgs *);
    /* LayerNorm over cols, biased variance, two-pass; gamma, beta F32 [cols]. y may be x. */
    void (*layernorm)(Stream *, Tensor *y, const Tensor *x, const Param *gamma, const Param *beta,
                      float eps);
    bool (*attention)(Stream *, const AttentionArgs *);
    bool (*attention_slots)(Stream *, const SlotAttentionArgs *);
    /* y[i] = table[ids[i]] widened to f32; ids are in range (the op checks). Any float dtype. */
    void (*embed)(Stream *, Tensor *y, const Param *table, const int *ids);
    void (*activate)(Stream *, Tensor *y, const Tensor *x, Act act);    /* y may be x */
    void (*add)(Stream *, Tensor *y, const Tensor *a, const Tensor *b); /* y may be a or b */
    void (*copy)(Stream *, Tensor *y, const Tensor *x);                 /* same shape, any ld */
    /* Unfold pictures: px [B,3,H,W] -> y [B*gh*gw, 3*p*p], columns in (channel,row,column) order,
     * patches in raster order; pixels beyond the last whole patch are dropped. */
    void (*unfold)(Stream *, Tensor *y, const float *px, int batch, int height, int width,
                   int patch);
    /* dst[slots[r]] = x[r] for r < x->rows; dst is [capacity, x->cols]. */
    void (*store_slots)(Stream *, float *dst, const Tensor *x, const int *slots);
    /* Mean cross-entropy of the rows whose target >= 0; probs [rows, cols] receives the softmax. */
    float (*softmax_loss)(Stream *, Tensor *probs, const Tensor *logits, const int *targets);

    /* --- backward ----------------------------------------------------------------------------- */
    /* dx += dy W (when x->grad); dw += dy^T x, db += column sums of dy (when w->grad, b->grad).
     * dy is y->grad. act must be ACT_NONE and residual NULL: ops record those on their own. */
    bool (*linear_back)(Stream *, const LinearArgs *);
    void (*layernorm_back)(Stream *, const Tensor *y, const Tensor *x, const Param *gamma,
                           const Param *beta, float eps);
    bool (*attention_back)(Stream *, const AttentionArgs *);
    void (*embed_back)(Stream *, const Tensor *y, const Param *table, const int *ids);
    void (*activate_back)(Stream *, const Tensor *y, const Tensor *x, Act act);
    /* to[i] += from[i] * factor over a [rows, cols] block with leading dimensions. */
    void (*accumulate)(Stream *, float *to, int ldto, const float *from, int ldfrom, int rows,
                       int cols, float factor);
    /* logits->grad += (probs - onehot(target)) * loss_grad / n_valid */
    void (*softmax_loss_back)(Stream *, const Tensor *logits, const Tensor *probs,
                              const int *targets, float loss_grad);
} Backend;

/* The part of a Stream that every backend shares; a backend's own struct begins with it. */
struct Stream {
    const Backend *k;
    Precision precision;
    int threads;
    char isa[32]; /* kernel set in use, e.g. "avx512bf16" */
    void (*close)(Stream *);
};

#endif
