/* models/t5.c: the names of Flan-T5's parameters, and its forward. */
#include "models/t5.h"

#include <math.h>

#include "nn/relative.h"

static bool init_stack(T5Stack *s, const T5Config *k, int layers, Arena *mem)
{
    s->layers = layers;
    s->ln.eps = k->eps;
    s->layer = arena_calloc(mem, sizeof *s->layer * (size_t)layers);
    for (int i = 0; s->layer && i < layers; i++) {
        T5Layer *l = &s->layer[i];
        l->heads = k->heads;
        l->feed.act = k->gelu_tanh ? ACT_GELU_TANH : ACT_GELU;
        l->self.ln.eps = l->cross.ln.eps = l->feed.ln.eps = k->eps;
    }
    return s->layer != NULL;
}

bool t5_init(T5 *m, const T5Config *config, Arena *mem)
{
    *m = (T5){.config = *config};
    return init_stack(&m->encoder, config, config->layers, mem) &&
           init_stack(&m->decoder, config, config->decoder_layers, mem);
}

static void visit_attend(Visitor *v, const char *name, T5Attend *a, const T5Config *k)
{
    int inner = k->heads * k->key_width;
    visit_rms(v, "layer_norm", &a->ln, k->width);
    size_t part = visit_enter(v, "%s.", name);
    visit_linear(v, "q", &a->q, k->width, inner, false);
    visit_linear(v, "k", &a->k, k->width, inner, false);
    visit_linear(v, "v", &a->v, k->width, inner, false);
    visit_linear(v, "o", &a->out, inner, k->width, false);
    visit_leave(v, part);
}

static void visit_feed(Visitor *v, T5Feed *f, const T5Config *k)
{
    visit_rms(v, "layer_norm", &f->ln, k->width);
    visit_linear(v, "DenseReluDense.wi_0", &f->gate, k->width, k->mlp, false);
    visit_linear(v, "DenseReluDense.wi_1", &f->up, k->width, k->mlp, false);
    visit_linear(v, "DenseReluDense.wo", &f->down, k->mlp, k->width, false);
}

static void visit_layer(Visitor *v, T5Layer *l, const T5Config *k, bool cross)
{
    size_t part = visit_enter(v, "layer.0.");
    visit_attend(v, "SelfAttention", &l->self, k);
    visit_leave(v, part);
    if (cross) {
        part = visit_enter(v, "layer.1.");
        visit_attend(v, "EncDecAttention", &l->cross, k);
        visit_leave(v, part);
    }
    part = visit_enter(v, "layer.%d.", 1 + cross);
    visit_feed(v, &l->feed, k);
    visit_leave(v, part);
}

static void visit_stack(Visitor *v, const char *name, T5Stack *s, const T5Config *k, bool cross)
{
    size_t part = visit_enter(v, "%s.", name);
    visit_table(v, "block.0.layer.0.SelfAttention.relative_attention_bias.weight", &s->bias, 2,
                k->buckets, k->heads);
    for (int i = 0; i < s->layers; i++) {
        size_t layer = visit_block(v, "block.%d.", i);
        visit_layer(v, &s->layer[i], k, cross);
        visit_leave_block(v, &s->layer[i].base, layer);
    }
    visit_rms(v, "final_layer_norm", &s->ln, k->width);
    visit_leave(v, part);
}

void t5_visit(Visitor *v, T5 *m)
{
    const T5Config *k = &m->config;
    size_t net = visit_enter(v, "language_model.");
    visit_table(v, "shared.weight", &m->tokens, 2, k->vocab, k->width);
    visit_stack(v, "encoder", &m->encoder, k, false);
    visit_stack(v, "decoder", &m->decoder, k, true);
    visit_head(v, "lm_head.weight", &m->head, k->vocab, k->width, k->tied);
    visit_leave(v, net);
}

const Param *t5_head(const T5 *m)
{
    return m->head.data ? &m->head : &m->tokens;
}

/* --- forward ------------------------------------------------------------------------------------- */

typedef struct T5In {
    Attn self, source; /* of one layer; no source: an encoder's */
} T5In;

static Tensor *attend(Ctx *c, const T5Attend *a, Tensor *x, Attn how)
{
    Tensor *h = rmsnorm(c, x, &a->ln);
    h = attention(c, linear(c, h, &a->q), linear(c, h, &a->k), linear(c, h, &a->v), how);
    return linear_add(c, h, &a->out, x);
}

static Tensor *look_up(Ctx *c, const T5Attend *a, Tensor *x, Attn how)
{
    Tensor *q = linear(c, rmsnorm(c, x, &a->ln), &a->q);
    return linear_add(c, attention(c, q, NULL, NULL, how), &a->out, x);
}

static Tensor *feed(Ctx *c, const T5Feed *f, Tensor *x)
{
    Tensor *h = rmsnorm(c, x, &f->ln);
    h = multiply(c, linear_act(c, h, &f->gate, f->act), linear(c, h, &f->up));
    return linear_add(c, h, &f->down, x);
}

static Tensor *t5_layer(Ctx *c, const Block *base, Tensor *x, void *aux)
{
    const T5Layer *l = (const T5Layer *)base;
    const T5In *in = aux;

    x = attend(c, &l->self, x, in->self);
    if (in->source.cache)
        x = look_up(c, &l->cross, x, in->source);
    return feed(c, &l->feed, x);
}

/* `of` has one entry for each layer. */
static Tensor *stack(Ctx *c, const T5Stack *s, const char *name, Tensor *x, T5In *of)
{
    for (int i = 0; i < s->layers; i++) {
        x = block(c, t5_layer, &s->layer[i].base, x, NULL, &of[i]);
        tap(c, x, "%s.layer%d", name, i);
    }
    return rmsnorm(c, x, &s->ln);
}

Tensor *t5_encode(Ctx *c, const T5 *m, Tensor *x, const Spans *spans)
{
    const T5Stack *s = &m->encoder;
    T5In *in = arena_alloc(&c->mem, sizeof *in * (size_t)s->layers);
    Tensor *bias = relative_bias(c, &s->bias, m->config.distance, spans->most_q - 1, true);
    if (!in || !bias)
        return ctx_fail(c, ERR_MEMORY, "layers: out of memory");
    for (int i = 0; i < s->layers; i++)
        in[i] =
            (T5In){.self = {.heads = m->config.heads, .scale = 1, .bias = bias, .spans = spans}};
    return stack(c, s, "encoder", x, in);
}

bool t5_keep(Ctx *c, const T5 *m, Tensor *states, const KvCache *cache, const int *slot)
{
    for (int i = 0; i < m->config.decoder_layers; i++) {
        const T5Attend *a = &m->decoder.layer[i].cross;
        if (!slots_store(c, cache->k[i], linear(c, states, &a->k), slot) ||
            !slots_store(c, cache->v[i], linear(c, states, &a->v), slot))
            return false;
    }
    return true;
}

Tensor *t5_decode(Ctx *c, const T5 *m, Tensor *x, const int *position, const CacheRows *self,
                  const CacheRows *source)
{
    const T5Stack *s = &m->decoder;
    const int heads = m->config.heads, far = x ? relative_most(position, x->rows) : 0;
    T5In *in = arena_alloc(&c->mem, sizeof *in * (size_t)s->layers);
    Tensor *bias = relative_bias(c, &s->bias, m->config.distance, far, false);
    if (!in || !bias)
        return ctx_fail(c, ERR_MEMORY, "layers: out of memory");
    for (int i = 0; i < s->layers; i++) {
        in[i] = (T5In){.self = {.heads = heads, .scale = 1, .bias = bias, .cache = &self[i]},
                       .source = {.heads = heads, .scale = 1, .cache = &source[i]}};
    }
    return stack(c, s, "decoder", x, in);
}

Tensor *t5_logits(Ctx *c, const T5 *m, Tensor *x)
{
    if (m->config.scaled)
        x = scale(c, x, 1 / sqrtf((float)m->config.width));
    return head(c, x, t5_head(m));
}
