/* ops/ops.h: the operations that models are written in. Each computes at once; when the context
 * records and an input wants a gradient, it pushes a tape node. Shapes are checked; an error is
 * sticky in the context. Results live in the context's arena. */
#ifndef OPS_OPS_H
#define OPS_OPS_H

#include "ops/ctx.h"

typedef struct Linear {
    Param w, b; /* w [out,in]; b [out] or absent */
} Linear;

typedef struct Norm {
    Param w, b; /* gamma, beta [width] */
    float eps;
} Norm;

/* One layer's share of a key/value cache (nn/kvcache.h) and the rows that a pass reads and writes
 * there. Row r of the pass is stored in slot write[r] and sees the n[r] slots of read[r]. */
typedef struct CacheRows {
    float *k, *v; /* [capacity, D] of this layer */
    const int *write;
    const int *const *read;
    const int *n;
} CacheRows;

typedef struct Attn {
    int heads, groups; /* groups: independent sequences that lie one after another in the rows */
    bool causal;
    const CacheRows *cache; /* decoding: keys and values go through the cache; else NULL */
} Attn;

/* y = x W^T + b */
Tensor *linear(Ctx *c, Tensor *x, const Linear *l);
/* y = act(x W^T + b) */
Tensor *linear_act(Ctx *c, Tensor *x, const Linear *l, Act act);
/* y = x W^T + b + residual */
Tensor *linear_add(Ctx *c, Tensor *x, const Linear *l, Tensor *residual);
/* y = x w^T, the language model's logits: the weight may be a table that embed reads, too. */
Tensor *head(Ctx *c, Tensor *x, const Param *w);
Tensor *layernorm(Ctx *c, Tensor *x, const Norm *n);
/* softmax(q k^T / sqrt(head_dim)) v, per head and group */
Tensor *attention(Ctx *c, Tensor *q, Tensor *k, Tensor *v, Attn a);
Tensor *add(Ctx *c, Tensor *a, Tensor *b);
Tensor *activate(Ctx *c, Tensor *x, Act act);
/* Rows of a table: y[i] = table[ids[i]]; an id out of range is an error that names both. */
Tensor *embed(Ctx *c, const Param *table, const int *ids, int n);
/* Views: no copy. */
Tensor *columns(Ctx *c, Tensor *x, int from, int n);
Tensor *rows(Ctx *c, Tensor *x, int from, int n);
/* a's rows, then b's */
Tensor *concat(Ctx *c, Tensor *a, Tensor *b);
/* y[i] = the from[i]-th row of a and b put one after another */
Tensor *splice(Ctx *c, Tensor *a, Tensor *b, const int *from, int n);
/* A picture's patches as rows (no gradient): px [batch,3,h,w] -> [batch * h/p * w/p, 3*p*p] */
Tensor *unfold(Ctx *c, const float *px, int batch, int h, int w, int patch);
/* Mean cross-entropy over rows with target >= 0; a 1x1 tensor. */
Tensor *softmax_loss(Ctx *c, Tensor *logits, const int *targets);

/* --- tape --------------------------------------------------------------------------------------- */
typedef struct Block {
    bool trainable; /* first field of every layer struct: some parameter inside wants a gradient */
} Block;
typedef Tensor *BlockFn(Ctx *c, const Block *b, Tensor *x, void *aux);

/* Runs fn(layer, x): the unit of memory and of recomputation.
 *   inference, or frozen and no gradient wanted: fn runs in an arena scope; only its result stays
 *     (the same memory from layer to layer).
 *   training: a plain call, everything stays on the tape.
 *   training with c->recompute: only x stays; the backward replays fn.
 * aux must stay valid until the backward. The result has x's shape. */
Tensor *block(Ctx *c, BlockFn *fn, const Block *layer, Tensor *x, void *aux);

/* Runs the tape backwards from loss (1x1), d loss = 1. The tape is empty afterwards. */
bool backward(Ctx *c, Tensor *loss);

#endif
