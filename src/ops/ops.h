/* ops/ops.h: the operations that models are written in. Each computes at once; when the context
 * records and an input wants a gradient, it pushes a tape node. Shapes are checked; an error is
 * sticky in the context. Results live in the context's arenas. A Param that the kernels cannot read
 * (packed panels, a type, a missing scale) is ERR_BAD_MODEL and named. */
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

typedef struct Rms {
    Param w; /* gamma [width] */
    float eps;
} Rms;

/* What a pass reads and writes in one layer of a key/value cache (nn/kvcache.h). Row r of the pass is
 * stored in slot write[r] and sees the n[r] slots of slots[first[r] ..). All lists lie in device
 * memory. write NULL: the pass only reads. */
typedef struct CacheRows {
    SlotBlock k, v; /* this layer's */
    const int *write, *slots, *first, *n;
} CacheRows;

/* Groups of different lengths, in device memory; see AttnSpan. there NULL: an error. */
typedef struct Spans {
    const AttnSpan *there;
    int n, most_q, most_k;
    int ahead; /* queries that some group has more than keys: such are not causal */
} Spans;

typedef struct Attn {
    int heads, groups;  /* groups: independent sequences that lie one after another in the rows */
    const Spans *spans; /* in place of groups; NULL: those. Every row of q lies in one. Valid until
                           the backward */
    float scale;        /* of the scores; 0: 1 / sqrt(head_dim) */
    Tensor
        *bias; /* added to the scores by distance (Backend: AttentionArgs, SlotAttentionArgs); NULL:
                  nothing. To block(), it is what a layer reads `with` x */
    bool causal;
    const CacheRows *cache; /* decoding: keys and values go through the cache; else NULL */
} Attn;

/* y = x W^T + b */
Tensor *linear(Ctx *c, Tensor *x, const Linear *l);
/* y = x W^T, W a bare table [out, in]: the output head. Outside of training always for ROLE_DECODE,
 * so that the logits of a row are the same in a prompt, in a step and in a dump. */
Tensor *head(Ctx *c, Tensor *x, const Param *w);
/* y = act(x W^T + b) */
Tensor *linear_act(Ctx *c, Tensor *x, const Linear *l, Act act);
/* y = x W^T + b + residual */
Tensor *linear_add(Ctx *c, Tensor *x, const Linear *l, Tensor *residual);
Tensor *layernorm(Ctx *c, Tensor *x, const Norm *n);
/* x / sqrt(mean(x^2) + eps) * gamma per row */
Tensor *rmsnorm(Ctx *c, Tensor *x, const Rms *n);
/* Rows of unit length (of a length of at least 1e-12, as torch.nn.functional.normalize). */
Tensor *l2norm(Ctx *c, Tensor *x);
Tensor *multiply(Ctx *c, Tensor *a, Tensor *b); /* by element */
Tensor *scale(Ctx *c, Tensor *x, float factor);
/* The mean of each `group` rows: [n * group, D] -> [n, D] */
Tensor *mean_rows(Ctx *c, Tensor *x, int group);
/* The spans of n groups, from host memory. */
Spans spans_upload(Ctx *c, const AttnSpan *span, int n);
/* softmax(scale q k^T + bias) v, per head and group. k and v NULL: those of the cache, which is only
 * read. A pass through a cache cannot be recorded. */
Tensor *attention(Ctx *c, Tensor *q, Tensor *k, Tensor *v, Attn a);
Tensor *add(Ctx *c, Tensor *a, Tensor *b);
Tensor *activate(Ctx *c, Tensor *x, Act act);
/* Rows of a table: y[i] = table[ids[i]], ids in host memory; an id out of range is an error that
 * names both. */
Tensor *embed(Ctx *c, const Param *table, const int *ids, int n);
/* Views: no copy. */
Tensor *columns(Ctx *c, Tensor *x, int from, int n);
Tensor *rows(Ctx *c, Tensor *x, int from, int n);
/* The rows of n >= 1 tensors of one width, one after another. */
Tensor *concat(Ctx *c, Tensor *const *part, int n);
/* y[i] = the from[i]-th row of a and b put one after another; from in host memory, b may be NULL */
Tensor *gather_rows(Ctx *c, Tensor *a, Tensor *b, const int *from, int n);
/* A table of positions for a grid of gh x gw patches; see Backend.resize_grid. */
Tensor *resize_grid(Ctx *c, Tensor *table, int grid, int gh, int gw, bool corners);
/* Pictures' patches as rows (no gradient): px [batch, 3*h*w] -> [batch * h/p * w/p, 3*p*p] */
Tensor *unfold(Ctx *c, const Tensor *px, int h, int w, int patch);
/* Mean cross-entropy over rows with target >= 0 (targets in host memory); a 1x1 tensor. */
Tensor *softmax_loss(Ctx *c, Tensor *logits, const int *targets);

/* Row r of x goes to slot[r] (host memory) of a cache's block. false: c->err. */
bool slots_store(Ctx *c, SlotBlock to, const Tensor *x, const int *slot);

/* Copies x into `to`, a tensor of the same shape over memory that outlives the pass (tensor_at). */
bool tensor_copy(Ctx *c, Tensor *to, const Tensor *x);

/* --- memory of a cache (no context) -------------------------------------------------------------- */
/* Moves a block of rows of `width` to memory for `capacity` of them; its first `kept` rows stay.
 * b->data may be NULL where kept is 0. false: ERR_MEMORY, or what the device says; b is as it was. */
bool slots_resize(Stream *on, SlotBlock *b, int width, int kept, int capacity, Error *e);
void slots_free(Stream *on, SlotBlock *b);

/* --- selection (no gradient) -------------------------------------------------------------------- */
/* log(softmax(x)) per row; see Backend.log_softmax */
Tensor *log_softmax(Ctx *c, Tensor *x);
/* The best ids of every row, brought to host memory: row [logits->rows] and ids [n_ids] as in
 * TopKArgs, found [rows], out [rows][stride]. Changes logits or logprobs where a row has lists.
 * false: c->err. */
bool top_k(Ctx *c, Tensor *logits, Tensor *logprobs, const TopKRow *row, const int *ids, int n_ids,
           int stride, TopEntry *out, int *found);

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
 * `with` is another tensor that the layer reads and that may want a gradient (cross attention's
 * source), or NULL. aux must stay valid until the backward. The result has x's shape. In inference it
 * may lie in x's memory when x itself came from block() and nobody took a view of it: x is then used
 * up. */
Tensor *block(Ctx *c, BlockFn *fn, const Block *layer, Tensor *x, Tensor *with, void *aux);

/* Runs the tape backwards from loss (1x1), d loss = 1. The tape is empty afterwards. */
bool backward(Ctx *c, Tensor *loss);

#endif
