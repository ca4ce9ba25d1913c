/* models/opt.c: the names of the language model's parameters, and its forward. */
#include "models/opt.h"

enum { FIRST_POSITION = 2 }; /* OPTLearnedPositionalEmbedding.offset */

bool opt_init(Opt *m, const OptConfig *config, Arena *mem)
{
    const float eps = 1e-5f; /* torch's default; OPT's config has no key for it */
    *m = (Opt){.config = *config, .ln.eps = eps};
    m->layer = arena_calloc(mem, sizeof *m->layer * (size_t)config->layers);
    for (int i = 0; m->layer && i < config->layers; i++) {
        m->layer[i].heads = config->heads;
        m->layer[i].ln1.eps = m->layer[i].ln2.eps = eps;
    }
    return m->layer != NULL;
}

static void visit_layer(Visitor *v, OptLayer *l, const OptConfig *k)
{
    visit_norm(v, "self_attn_layer_norm", &l->ln1, k->width);
    visit_linear(v, "self_attn.q_proj", &l->q, k->width, k->width, true);
    visit_linear(v, "self_attn.k_proj", &l->k, k->width, k->width, true);
    visit_linear(v, "self_attn.v_proj", &l->v, k->width, k->width, true);
    visit_linear(v, "self_attn.out_proj", &l->out, k->width, k->width, true);
    visit_norm(v, "final_layer_norm", &l->ln2, k->width);
    visit_linear(v, "fc1", &l->fc1, k->width, k->mlp, true);
    visit_linear(v, "fc2", &l->fc2, k->mlp, k->width, true);
}

void opt_visit(Visitor *v, Opt *m)
{
    const OptConfig *k = &m->config;
    size_t net = visit_enter(v, "language_model.");
    size_t part = visit_enter(v, "model.decoder.");
    visit_table(v, "embed_tokens.weight", &m->tokens, 2, k->vocab, k->width);
    visit_table(v, "embed_positions.weight", &m->positions, 2, k->positions + FIRST_POSITION,
                k->width);
    for (int i = 0; i < k->layers; i++) {
        size_t layer = visit_block(v, "layers.%d.", i);
        visit_layer(v, &m->layer[i], k);
        visit_leave_block(v, &m->layer[i].base, layer);
    }
    visit_norm(v, "final_layer_norm", &m->ln, k->width);
    visit_leave(v, part);
    visit_head(v, "lm_head.weight", &m->head, k->vocab, k->width, true);
    visit_leave(v, net);
}

const Param *opt_head(const Opt *m)
{
    return m->head.data ? &m->head : &m->tokens;
}

typedef struct OptIn {
    const CacheRows *cache; /* of this layer */
    int groups;
} OptIn;

static Tensor *opt_layer(Ctx *c, const Block *base, Tensor *x, void *aux)
{
    const OptLayer *l = (const OptLayer *)base;
    const OptIn *in = aux;
    Attn how = {.heads = l->heads, .groups = in->groups, .causal = true, .cache = in->cache};

    Tensor *h = layernorm(c, x, &l->ln1);
    h = attention(c, linear(c, h, &l->q), linear(c, h, &l->k), linear(c, h, &l->v), how);
    x = linear_add(c, h, &l->out, x);

    h = linear_act(c, layernorm(c, x, &l->ln2), &l->fc1, ACT_RELU);
    return linear_add(c, h, &l->fc2, x);
}

/* Adds the rows of the position table; a position beyond it is the caller's error, named. */
static Tensor *with_positions(Ctx *c, const Opt *m, Tensor *x, const int *position)
{
    int *ids = arena_alloc(&c->mem, sizeof *ids * (size_t)x->rows);
    if (!ids)
        return ctx_fail(c, ERR_MEMORY, "positions: out of memory");
    for (int i = 0; i < x->rows; i++) {
        if (position[i] >= m->config.positions)
            return ctx_fail(c, ERR_FAILED,
                            "prompt: expected at most %d positions (image and text), got %d",
                            m->config.positions, position[i] + 1);
        ids[i] = position[i] + FIRST_POSITION;
    }
    return add(c, x, embed(c, &m->positions, ids, x->rows));
}

Tensor *opt_forward(Ctx *c, const Opt *m, Tensor *x, const int *position, const CacheRows *cache,
                    int groups)
{
    OptIn *in = arena_alloc(&c->mem, sizeof *in * (size_t)m->config.layers);
    if (!in)
        return ctx_fail(c, ERR_MEMORY, "layers: out of memory");
    x = x ? with_positions(c, m, x, position) : NULL;
    for (int i = 0; i < m->config.layers; i++) {
        in[i] = (OptIn){cache ? &cache[i] : NULL, groups};
        x = block(c, opt_layer, &m->layer[i].base, x, NULL, &in[i]);
        tap(c, x, "llm.layer%d", i);
    }
    return layernorm(c, x, &m->ln);
}

Tensor *opt_logits(Ctx *c, const Opt *m, Tensor *x)
{
    return head(c, x, opt_head(m));
}
