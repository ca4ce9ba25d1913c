/* ops/attention.c: scaled dot-product attention (Vaswani et al. 2017, 3.2), plain and over a
 * cache of token slots. */
#include <math.h>

#include "ops/tape.h"

static AttentionArgs plain_args(Tensor *q, Tensor *k, Tensor *v, Tensor *out, const Attn *a)
{
    return (AttentionArgs){.q = q,
                           .k = k,
                           .v = v,
                           .out = out,
                           .heads = a->heads,
                           .groups = a->groups,
                           .causal = a->causal,
                           .scale = 1.0f / sqrtf((float)(q->cols / a->heads))};
}

static void attention_back(Ctx *c, const Node *n)
{
    AttentionArgs a = plain_args(n->in[0], n->in[1], n->in[2], n->out, &n->u.attn);
    if (!c->on->k->attention_back(c->on, &a))
        error_memory(&c->err, "attention", 0);
}

/* Keys and values of the new rows go to their slots first; then every row reads its own list. */
static bool through_cache(Ctx *c, Tensor *q, Tensor *k, Tensor *v, Tensor *y, const Attn *a)
{
    const CacheRows *r = a->cache;
    c->on->k->store_slots(c->on, r->k, k, r->write);
    c->on->k->store_slots(c->on, r->v, v, r->write);
    SlotAttentionArgs s = {.q = q,
                           .out = y,
                           .k = r->k,
                           .v = r->v,
                           .slots = r->slots,
                           .first = r->first,
                           .n = r->n,
                           .heads = a->heads,
                           .scale = 1.0f / sqrtf((float)(q->cols / a->heads))};
    return c->on->k->attention_slots(c->on, &s);
}

static bool cache_ok(Ctx *c, const CacheRows *r)
{
    DType odd = r->k.dtype != F32 ? r->k.dtype : r->v.dtype;
    return odd == F32 || error_set(&c->err, ERR_USAGE,
                                   "key/value cache: type: expected F32, got %s", dtype_name(odd));
}

static bool shapes_ok(const Tensor *q, const Tensor *k, const Tensor *v, const Attn *a)
{
    int groups = a->cache ? 1 : a->groups;
    return a->heads > 0 && groups > 0 && q->cols % a->heads == 0 && k->cols == q->cols &&
           v->cols == q->cols && k->rows == v->rows && k->rows > 0 && q->rows % groups == 0 &&
           k->rows % groups == 0 && !(a->cache && k->rows != q->rows) &&
           !(a->causal && k->rows < q->rows);
}

Tensor *attention(Ctx *c, Tensor *q, Tensor *k, Tensor *v, Attn a)
{
    if (!q || !k || !v)
        return NULL;
    if (!shapes_ok(q, k, v, &a))
        return ctx_fail(c, ERR_BAD_MODEL,
                        "attention: q %dx%d, k %dx%d, v %dx%d do not fit %d heads, %d groups",
                        q->rows, q->cols, k->rows, k->cols, v->rows, v->cols, a.heads, a.groups);
    if (a.cache && !cache_ok(c, a.cache))
        return NULL;
    Tensor *y = tensor_new(c, q->rows, q->cols);
    if (!y)
        return NULL;
    AttentionArgs p = plain_args(q, k, v, y, &a);
    if (!(a.cache ? through_cache(c, q, k, v, y, &a) : c->on->k->attention(c->on, &p)))
        return ctx_fail(c, ERR_MEMORY, "attention: out of scratch memory");
    if (!c->record || !(wants(q) || wants(k) || wants(v)))
        return y;
    if (a.cache)
        BUG("a pass through a cache cannot be recorded");
    return record(c, (Node){.back = attention_back, .out = y, .in = {q, k, v}, .u.attn = a});
}
