/* models/heads.c: the names of the heads' parameters, and their forward. */
#include "models/heads.h"

void heads_init(Heads *h, const ModelConfig *config)
{
    *h = (Heads){.ln.eps = config->qformer.eps};
}

void heads_visit(Visitor *v, Heads *h, const ModelConfig *k)
{
    int width = k->qformer.width;
    if (k->parts & PART_IMAGE_FEATURE)
        visit_linear(v, "vision_projection", &h->image, width, k->feature, true);
    if (k->parts & PART_TEXT_FEATURE)
        visit_linear(v, "text_projection", &h->text, width, k->feature, true);
    if (k->parts & PART_MATCH)
        visit_linear(v, "itm_head", &h->match, width, 2, true);
    if (k->parts & PART_WORD_HEAD) {
        size_t part = visit_enter(v, "cls.predictions.");
        visit_linear(v, "transform.dense", &h->dense, width, width, true);
        visit_norm(v, "transform.LayerNorm", &h->ln, width);
        visit_vector(v, "bias", &h->word_bias, k->qformer.vocab);
        visit_leave(v, part);
    }
    if (k->parts & PART_TEMPERATURE)
        visit_scalar(v, "temp", &h->temperature);
}

Tensor *heads_image(Ctx *c, const Heads *h, Tensor *queries)
{
    return l2norm(c, linear(c, queries, &h->image));
}

Tensor *heads_text(Ctx *c, const Heads *h, Tensor *words)
{
    return l2norm(c, linear(c, words, &h->text));
}

Tensor *heads_match(Ctx *c, const Heads *h, Tensor *queries, int per_picture)
{
    return mean_rows(c, linear(c, queries, &h->match), per_picture);
}

/* The same row n times. */
static Tensor *repeated(Ctx *c, const Param *row, int n)
{
    int *ids = arena_calloc(&c->mem, sizeof *ids * (size_t)n);
    return ids ? embed(c, row, ids, n) : ctx_fail(c, ERR_MEMORY, "bias: out of memory");
}

Tensor *heads_words(Ctx *c, const Heads *h, const Param *words, Tensor *x)
{
    x = layernorm(c, linear_act(c, x, &h->dense, ACT_GELU), &h->ln);
    return x ? add(c, head(c, x, words), repeated(c, &h->word_bias, x->rows)) : NULL;
}
