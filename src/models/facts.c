/* models/facts.c: a walk that counts; the working memory of a caption; the sizes in words. */
#include "models/facts.h"

#include <string.h>

#include "base/str.h"

static const struct {
    const char *prefix, *name;
} PARTS[] = {
    {"vision_model.", "vision"},
    {"qformer.", "Q-Former"},
    {"query_tokens", "Q-Former"},
    {"embeddings.", "Q-Former"},
    {"vision_projection.", "heads"},
    {"text_projection.", "heads"},
    {"itm_head.", "heads"},
    {"cls.", "heads"},
    {"temp", "heads"},
    {"language_projection", "projection"},
    {"language_model.", "language model"},
};

typedef struct Counter {
    Visitor base;
    PartFacts *part;
    int n;
} Counter;

static PartFacts *part_of(Counter *c, const char *name)
{
    const char *part = "other";
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
        if (str_starts(name, PARTS[i].prefix))
            part = PARTS[i].name;
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->part[i].name, part) == 0)
            return &c->part[i];
    c->part[c->n] = (PartFacts){.name = part};
    return &c->part[c->n++];
}

static bool count(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Counter *c = (Counter *)v;
    if (!p->data)
        return true;
    PartFacts *part = part_of(c, name);
    part->parameters += param_count(p);
    part->bytes += param_bytes(p);
    if (spec->kind == PARAM_MATRIX) { /* vectors are always f32 and do not count as a mixture */
        const char *type = dtype_name(p->dtype);
        part->dtype = !part->dtype || strcmp(part->dtype, type) == 0 ? type : "mixed";
    }
    return true;
}

int model_facts(Blip2 *m, PartFacts part[MODEL_PARTS_MAX])
{
    Counter c = {.base.param = count, .part = part};
    model_visit(&c.base, m);
    return c.n;
}

uint64_t model_working_bytes(const ModelConfig *k)
{
    uint64_t grid = (uint64_t)(k->pixels / k->vit.patch), tokens = grid * grid + 1;
    uint64_t vit = tokens * (uint64_t)(8 * k->vit.width + k->vit.mlp) * 4;
    uint64_t slots = (uint64_t)k->qformer.queries + 32 + 5 * 64;
    LanguageConfig lm = config_language(k);
    uint64_t cache = slots * (uint64_t)lm.layers * (uint64_t)lm.width * 8;
    uint64_t prefill = (uint64_t)(k->qformer.queries + 32) * (uint64_t)(8 * lm.width + lm.mlp) * 4;
    return vit + cache + prefill + 10 * (uint64_t)lm.vocab * 4 + (8u << 20);
}

const char *model_architecture(const ModelConfig *k, Arena *mem)
{
    LanguageConfig lm = config_language(k);
    if (!lm.layers)
        return arena_printf(mem, "ViT %dx%d, Q-Former %dx%d, %s", k->vit.layers, k->vit.width,
                            k->qformer.layers, k->qformer.width, lm.title);
    return arena_printf(mem, "ViT %dx%d, Q-Former %dx%d, %s %dx%d", k->vit.layers, k->vit.width,
                        k->qformer.layers, k->qformer.width, lm.title, lm.layers, lm.width);
}
