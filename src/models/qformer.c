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
        l->self.ln.eps = l->cross.ln.eps = l->feed_query.ln.eps = eps;
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

static void visit_layer(Visitor *v, QformerLayer *l, const QformerConfig *k)
{
    visit_attend(v, "attention", &l->self, k->width, k->width);
    if (l->has_cross)
        visit_attend(v, "crossattention", &l->cross, k->width, k->image_width);
    visit_linear(v, "intermediate_query.dense", &l->feed_query.up, k->width, k->mlp, true);
    visit_linear(v, "output_query.dense", &l->feed_query.down, k->mlp, k->width, true);
    visit_norm(v, "output_query.LayerNorm", &l->feed_query.ln, k->width);
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

typedef struct QformerIn {
    Tensor *image;
    int batch;
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

static Tensor *qformer_layer(Ctx *c, const Block *base, Tensor *x, void *aux)
{
    const QformerLayer *l = (const QformerLayer *)base;
    const QformerIn *in = aux;
    Attn how = {.heads = l->heads, .groups = in->batch};

    x = attend(c, &l->self, x, x, how);
    if (l->has_cross)
        x = attend(c, &l->cross, x, in->image, how);
    return feed(c, &l->feed_query, x);
}

Tensor *qformer_forward(Ctx *c, const Qformer *q, Tensor *image, int batch)
{
    int n = q->config.queries;
    QformerIn *in = arena_alloc(&c->mem, sizeof *in);
    int *ids = arena_alloc(&c->mem, sizeof *ids * (size_t)(batch * n));
    if (!image || !in || !ids)
        return image ? ctx_fail(c, ERR_MEMORY, "queries: out of memory") : NULL;
    *in = (QformerIn){image, batch};
    for (int i = 0; i < batch * n; i++)
        ids[i] = i % n;
    Tensor *x = layernorm(c, embed(c, &q->queries, ids, batch * n), &q->ln);
    for (int i = 0; i < q->config.layers; i++) {
        x = block(c, qformer_layer, &q->layer[i].base, x, image, in);
        tap(c, x, "qformer.layer%d", i);
    }
    return tap(c, x, "qformer.out");
}
