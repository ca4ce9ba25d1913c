/* ops/attention.c: scaled dot-product attention (Vaswani et al. 2017, 3.2), plain and over a
 * cache of token slots. */
#include <math.h>

#include "ops/tape.h"

static float scale_of(const Tensor *q, const Attn *a)
{
    return a->scale > 0 ? a->scale : 1.0f / sqrtf((float)(q->cols / a->heads));
}

static AttentionArgs plain_args(Tensor *q, Tensor *k, Tensor *v, Tensor *out, const Attn *a)
{
    AttentionArgs args = {.q = q,
                          .k = k,
                          .v = v,
                          .out = out,
                          .heads = a->heads,
                          .groups = a->groups,
                          .bias = a->bias,
                          .causal = a->causal,
                          .scale = scale_of(q, a)};
    if (a->spans) {
        args.span = a->spans->there;
        args.groups = a->spans->n;
        args.most_q = a->spans->most_q;
        args.most_k = a->spans->most_k;
    }
    return args;
}

static void attention_back(Ctx *c, const Node *n)
{
    AttentionArgs a = plain_args(n->in[0], n->in[1], n->in[2], n->out, &n->u.attn);
    if (!c->on->k->attention_back(c->on, &a))
        error_memory(&c->err, "attention", 0);
}

/* Keys and values of the new rows, if there are any, go to their slots first; then every row reads its own
 * list. */
static bool through_cache(Ctx *c, Tensor *q, Tensor *k, Tensor *v, Tensor *y, const Attn *a)
{
    const CacheRows *r = a->cache;
    if (k) {
        c->on->k->store_slots(c->on, r->k, k, r->write);
        c->on->k->store_slots(c->on, r->v, v, r->write);
    }
    SlotAttentionArgs s = {.q = q,
                           .out = y,
                           .k = r->k,
                           .v = r->v,
                           .slots = r->slots,
                           .first = r->first,
                           .n = r->n,
                           .heads = a->heads,
                           .bias = a->bias,
                           .scale = scale_of(q, a)};
    return c->on->k->attention_slots(c->on, &s);
}

static bool cache_ok(Ctx *c, const CacheRows *r)
{
    DType odd = r->k.dtype != F32 ? r->k.dtype : r->v.dtype;
    return odd == F32 || error_set(&c->err, ERR_USAGE,
                                   "key/value cache: type: expected F32, got %s", dtype_name(odd));
}

/* The cache's own rows must be as wide as the queries; that is for its maker to see to. */
static bool sources_ok(const Tensor *q, const Tensor *k, const Tensor *v, const Attn *a)
{
    if (!k)
        return a->cache && !a->cache->write;
    return k->cols == q->cols && v->cols == q->cols && k->rows == v->rows && k->rows > 0 &&
           !(a->cache && (k->rows != q->rows || !a->cache->write));
}

static bool groups_ok(const Tensor *q, const Tensor *k, const Attn *a)
{
    if (a->cache)
        return true;
    if (a->spans)
        return a->spans->n > 0 && a->spans->most_q <= q->rows && a->spans->most_k <= k->rows &&
               !(a->causal && a->spans->ahead > 0);
    return a->groups > 0 && q->rows % a->groups == 0 && k->rows % a->groups == 0 &&
           !(a->causal && k->rows < q->rows);
}

/* A dense bias reaches from the first key or query to the last one, both ways. The rows of a cache may be of
 * any length: their bias is for its maker to see to, too. */
static bool bias_ok(const Tensor *q, const Tensor *k, const Attn *a)
{
    if (!a->bias)
        return true;
    if (a->bias->cols != a->heads || a->bias->rows < 1)
        return false;
    if (a->cache)
        return true;
    int nq = a->spans ? a->spans->most_q : q->rows / a->groups;
    int nk = a->spans ? a->spans->most_k : k->rows / a->groups;
    return a->bias->rows % 2 == 1 && a->bias->rows / 2 >= (nq > nk ? nq : nk) - 1;
}

static bool shapes_ok(const Tensor *q, const Tensor *k, const Tensor *v, const Attn *a)
{
    return a->heads > 0 && q->cols % a->heads == 0 && sources_ok(q, k, v, a) &&
           groups_ok(q, k, a) && bias_ok(q, k, a);
}

static Tensor *misfit(Ctx *c, const Tensor *q, const Tensor *k, const Tensor *v, const Attn *a)
{
    const Tensor none = {.rows = 0};
    k = k ? k : &none;
    v = v ? v : &none;
    return ctx_fail(c, ERR_BAD_MODEL,
                    "attention: q %dx%d, k %dx%d, v %dx%d do not fit %d heads, %d groups", q->rows,
                    q->cols, k->rows, k->cols, v->rows, v->cols, a->heads,
                    a->spans ? a->spans->n : a->groups);
}

Spans spans_upload(Ctx *c, const AttnSpan *span, int n)
{
    Spans s = {.n = n};
    for (int i = 0; i < n; i++) {
        s.most_q = span[i].nq > s.most_q ? span[i].nq : s.most_q;
        s.most_k = span[i].nk > s.most_k ? span[i].nk : s.most_k;
        s.ahead = span[i].nq - span[i].nk > s.ahead ? span[i].nq - span[i].nk : s.ahead;
    }
    s.there = (const AttnSpan *)(const void *)ints_upload(c, (const int *)(const void *)span,
                                                          n * (int)(sizeof *span / sizeof(int)));
    return s;
}

Tensor *attention(Ctx *c, Tensor *q, Tensor *k, Tensor *v, Attn a)
{
    if (!q || !k != !v || (!k && !(a.cache && !a.cache->write)) || (a.spans && !a.spans->there))
        return NULL;
    if (a.cache && !cache_ok(c, a.cache))
        return NULL;
    if (!shapes_ok(q, k, v, &a))
        return misfit(c, q, k, v, &a);
    Tensor *y = tensor_new(c, q->rows, q->cols);
    if (!y)
        return NULL;
    AttentionArgs p = plain_args(q, k, v, y, &a);
    if (!(a.cache ? through_cache(c, q, k, v, y, &a) : c->on->k->attention(c->on, &p)))
        return ctx_fail(c, ERR_MEMORY, "attention: out of scratch memory");
    if (!c->record || !(wants(q) || wants(k) || wants(v) || wants(a.bias)))
        return y;
    if (a.cache)
        BUG("a pass through a cache cannot be recorded");
    return record(c,
                  (Node){.back = attention_back, .out = y, .in = {q, k, v, a.bias}, .u.attn = a});
}
