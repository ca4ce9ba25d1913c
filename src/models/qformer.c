/* models/qformer.c: the names of the Q-Former's parameters, and its forward. */
#include "models/qformer.h"

bool qformer_init(Qformer *q, const QformerConfig *config, Arena *mem)
{
    *q = (Qformer){.config = *config};
    float eps = q->ln.eps = config->eps;
    q->layer = arena_calloc(mem, sizeof *q->layer * (size_t)config->layers);
    for (int i = 0; q->layer && i < config->layers; i++) {
        QformerLayer *l = &q->layer[i];
        l->heads = config->heads;
        l->has_cross = i % config->cross_every == 0;
        l->self.ln.eps = l->cross.ln.eps = l->feed_query.ln.eps = l->feed_text.ln.eps = eps;
    }
    return q->layer != NULL;
}

static void visit_attend(Visitor *v, const char *name, AttendPart *a, int width, int source)
{
    size_t mark = visit_enter(v, "%s.", name);
    visit_linear(v, "attention.query", &a->q, width, width, true);
    visit_linear(v, "attention.key", &a->k, source, width, true);
    visit_linear(v, "attention.value", &a->v, source, width, true);
    visit_linear(v, "output.dense", &a->out, width, width, true);
    visit_norm(v, "output.LayerNorm", &a->ln, width);
    visit_leave(v, mark);
}

static void visit_feed(Visitor *v, const char *of, FeedPart *f, const QformerConfig *k)
{
    size_t part = visit_enter(v, "intermediate%s.", of);
    visit_linear(v, "dense", &f->up, k->width, k->mlp, true);
    visit_leave(v, part);
    part = visit_enter(v, "output%s.", of);
    visit_linear(v, "dense", &f->down, k->mlp, k->width, true);
    visit_norm(v, "LayerNorm", &f->ln, k->width);
    visit_leave(v, part);
}

static void visit_layer(Visitor *v, QformerLayer *l, const QformerConfig *k)
{
    visit_attend(v, "attention", &l->self, k->width, k->width);
    if (l->has_cross)
        visit_attend(v, "crossattention", &l->cross, k->width, k->image_width);
    visit_feed(v, "_query", &l->feed_query, k);
    if (k->text)
        visit_feed(v, "", &l->feed_text, k);
}

void qformer_visit(Visitor *v, Qformer *q)
{
    const QformerConfig *k = &q->config;
    visit_table(v, "query_tokens", &q->queries, 3, k->queries, k->width);
    size_t net = visit_enter(v, "qformer.");
    visit_norm(v, "layernorm", &q->ln, k->width);
    for (int i = 0; i < k->layers; i++) {
        size_t part = visit_block(v, "encoder.layer.%d.", i);
        visit_layer(v, &q->layer[i], k);
        visit_leave_block(v, &q->layer[i].base, part);
    }
    visit_leave(v, net);
}

void qformer_visit_words(Visitor *v, Qformer *q)
{
    const QformerConfig *k = &q->config;
    size_t part = visit_enter(v, "embeddings.");
    visit_table(v, "word_embeddings.weight", &q->words, 2, k->vocab, k->width);
    visit_table(v, "position_embeddings.weight", &q->positions, 2, k->positions, k->width);
    visit_leave(v, part);
}

/* --- one layer ---------------------------------------------------------------------------------- */

/* What a layer is to know of its rows. Where there are queries and words, lists say which row of each
 * kind comes from where, and of both behind one another back; else the lists are NULL. */
typedef struct QformerIn {
    Tensor *image;
    Attn self, cross;
    int queries, words;
    const int *query, *word, *join;
} QformerIn;

static Tensor *attend(Ctx *c, const AttendPart *a, Tensor *x, Tensor *source, Attn how)
{
    Tensor *q = linear(c, x, &a->q), *k = linear(c, source, &a->k), *v = linear(c, source, &a->v);
    return layernorm(c, linear_add(c, attention(c, q, k, v, how), &a->out, x), &a->ln);
}

static Tensor *feed(Ctx *c, const FeedPart *f, Tensor *x)
{
    return layernorm(c, linear_add(c, linear_act(c, x, &f->up, ACT_GELU), &f->down, x), &f->ln);
}

static Tensor *some(Ctx *c, Tensor *x, const int *list, int n)
{
    return list ? gather_rows(c, x, NULL, list, n) : x;
}

static Tensor *qformer_layer(Ctx *c, const Block *base, Tensor *x, void *aux)
{
    const QformerLayer *l = (const QformerLayer *)base;
    const QformerIn *in = aux;

    x = attend(c, &l->self, x, x, in->self);
    Tensor *q = in->queries ? some(c, x, in->query, in->queries) : NULL;
    Tensor *t = in->words ? some(c, x, in->word, in->words) : NULL;
    if (q && l->has_cross)
        q = attend(c, &l->cross, q, in->image, in->cross);
    q = in->queries ? feed(c, &l->feed_query, q) : NULL;
    t = in->words ? feed(c, &l->feed_text, t) : NULL;
    return in->join ? gather_rows(c, q, t, in->join, in->queries + in->words) : q ? q : t;
}

/* The layers on rows of the input. in: one for all layers, or with a cache of each layer one for each. */
static Tensor *run(Ctx *c, const Qformer *q, Tensor *x, QformerIn *in, bool one_each,
                   const char *name)
{
    x = layernorm(c, x, &q->ln);
    for (int i = 0; i < q->config.layers; i++) {
        x = block(c, qformer_layer, &q->layer[i].base, x, in->image, one_each ? &in[i] : in);
        if (name)
            tap(c, x, "%s.layer%d", name, i);
    }
    return x;
}

/* --- the input ---------------------------------------------------------------------------------- */

static int *ints_new(Ctx *c, int n)
{
    int *v = arena_alloc(&c->mem, sizeof *v * (size_t)(n ? n : 1));
    if (!v)
        error_memory(&c->err, "ids", sizeof *v * (size_t)n);
    return v;
}

/* The queries, `batch` times. */
static Tensor *queries_of(Ctx *c, const Qformer *q, int batch)
{
    int n = q->config.queries, *ids = ints_new(c, batch * n);
    for (int i = 0; ids && i < batch * n; i++)
        ids[i] = i % n;
    return ids ? embed(c, &q->queries, ids, batch * n) : NULL;
}

static Tensor *words_of(Ctx *c, const Qformer *q, const int *ids, const int *position, int n)
{
    return add(c, embed(c, &q->words, ids, n), embed(c, &q->positions, position, n));
}

Tensor *qformer_forward(Ctx *c, const Qformer *q, Tensor *image, int batch)
{
    QformerIn *in = arena_alloc(&c->mem, sizeof *in);
    if (!image || !in)
        return image ? ctx_fail(c, ERR_MEMORY, "queries: out of memory") : NULL;
    Attn how = {.heads = q->config.heads, .groups = batch};
    *in = (QformerIn){
        .image = image, .self = how, .cross = how, .queries = batch * q->config.queries};
    return tap(c, run(c, q, queries_of(c, q, batch), in, false, "qformer"), "qformer.out");
}

/* --- sequences ---------------------------------------------------------------------------------- */

/* What a pass over sequences is made of: ids and positions of its words, lists as in QformerIn, spans of self
 * attention and, of the queries alone, of cross attention. */
typedef struct RowPlan {
    int *ids, *position, *query, *word, *join;
    AttnSpan *self, *cross;
    int queries, words, n_cross;
} RowPlan;

static bool plan_new(RowPlan *l, Ctx *c, const Qformer *q, const QformerSeq *seq, int n)
{
    int rows = 0;
    for (int i = 0; i < n; i++)
        rows += (seq[i].image < 0 ? 0 : q->config.queries) + seq[i].n;
    *l = (RowPlan){.ids = ints_new(c, rows),
                   .position = ints_new(c, rows),
                   .query = ints_new(c, rows),
                   .word = ints_new(c, rows),
                   .join = ints_new(c, rows),
                   .self = arena_alloc(&c->mem, sizeof *l->self * (size_t)n),
                   .cross = arena_alloc(&c->mem, sizeof *l->cross * (size_t)n)};
    bool ok = l->ids && l->position && l->query && l->word && l->join && l->self && l->cross;
    if (!ok)
        ctx_fail(c, ERR_MEMORY, "sequences: out of memory");
    return ok;
}

/* A sequence of n_queries queries and its words, behind the others. */
static void plan_add(RowPlan *l, const QformerSeq *s, int n_queries, int tokens)
{
    int row = l->queries + l->words, n = n_queries + s->n;
    *l->self++ = (AttnSpan){.q = row, .nq = n, .k = row, .nk = n};
    if (n_queries)
        l->cross[l->n_cross++] =
            (AttnSpan){.q = l->queries, .nq = n_queries, .k = s->image * tokens, .nk = tokens};
    for (int i = 0; i < n_queries; i++)
        l->query[l->queries++] = row++;
    for (int i = 0; i < s->n; i++) {
        l->ids[l->words] = s->ids[i];
        l->position[l->words] = i;
        l->word[l->words++] = row++;
    }
}

/* Where each row lies when all queries come first and all words behind them. */
static void plan_join(RowPlan *l)
{
    for (int i = 0; i < l->queries; i++)
        l->join[l->query[i]] = i;
    for (int i = 0; i < l->words; i++)
        l->join[l->word[i]] = l->queries + i;
}

static Tensor *plan_embed(Ctx *c, const Qformer *q, const RowPlan *l)
{
    Tensor *words = l->words ? words_of(c, q, l->ids, l->position, l->words) : NULL;
    Tensor *queries = l->queries ? queries_of(c, q, l->queries / q->config.queries) : NULL;
    if (!l->words || !l->queries)
        return l->words ? words : queries;
    return gather_rows(c, queries, words, l->join, l->queries + l->words);
}

/* The layers' part of a layout; NULL: c->err. */
static QformerIn *plan_in(Ctx *c, const Qformer *q, Tensor *image, const RowPlan *l, AttnSpan *self,
                          int n)
{
    QformerIn *in = arena_alloc(&c->mem, sizeof *in);
    Spans *spans = arena_calloc(&c->mem, 2 * sizeof *spans);
    if (!in || !spans) {
        ctx_fail(c, ERR_MEMORY, "sequences: out of memory");
        return NULL;
    }
    bool both = l->queries && l->words;
    spans[0] = spans_upload(c, self, n);
    if (l->n_cross)
        spans[1] = spans_upload(c, l->cross, l->n_cross);
    Attn how = {.heads = q->config.heads};
    *in = (QformerIn){.image = image,
                      .self = how,
                      .cross = how,
                      .queries = l->queries,
                      .words = l->words,
                      .query = both ? l->query : NULL,
                      .word = both ? l->word : NULL,
                      .join = both ? l->join : NULL};
    in->self.spans = &spans[0];
    in->cross.spans = &spans[1];
    return in;
}

Tensor *qformer_read(Ctx *c, const Qformer *q, Tensor *image, int tokens, const QformerSeq *seq,
                     int n)
{
    RowPlan l;
    if (!plan_new(&l, c, q, seq, n))
        return NULL;
    AttnSpan *self = l.self;
    for (int i = 0; i < n; i++)
        plan_add(&l, &seq[i], seq[i].image < 0 ? 0 : q->config.queries, tokens);
    plan_join(&l);
    QformerIn *in = plan_in(c, q, image, &l, self, n);
    return in ? run(c, q, plan_embed(c, q, &l), in, false, NULL) : NULL;
}

/* --- with a cache ------------------------------------------------------------------------------- */

/* One QformerIn for each layer; NULL: c->err. */
static QformerIn *cached(Ctx *c, const Qformer *q, QformerIn all, const CacheRows *cache)
{
    QformerIn *in = arena_alloc(&c->mem, sizeof *in * (size_t)q->config.layers);
    for (int i = 0; in && i < q->config.layers; i++) {
        in[i] = all;
        in[i].self = (Attn){.heads = q->config.heads, .cache = &cache[i]};
    }
    if (!in)
        ctx_fail(c, ERR_MEMORY, "layers: out of memory");
    return in;
}

Tensor *qformer_queries_into(Ctx *c, const Qformer *q, Tensor *image, int batch,
                             const CacheRows *cache)
{
    QformerIn all = {.image = image,
                     .cross = {.heads = q->config.heads, .groups = batch},
                     .queries = batch * q->config.queries};
    QformerIn *in = image ? cached(c, q, all, cache) : NULL;
    return in ? run(c, q, queries_of(c, q, batch), in, true, NULL) : NULL;
}

Tensor *qformer_words_into(Ctx *c, const Qformer *q, const int *ids, const int *position, int n,
                           const CacheRows *cache)
{
    QformerIn *in = cached(c, q, (QformerIn){.words = n}, cache);
    return in ? run(c, q, words_of(c, q, ids, position, n), in, true, NULL) : NULL;
}
