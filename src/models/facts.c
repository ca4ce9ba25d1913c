/* models/facts.c: a walk that counts; the working memory of a caption; the sizes in words. */
#include "models/facts.h"

#include <stdio.h>
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

enum { WEIGHT_TYPES = I4 + 1 };

typedef struct Counter {
    Visitor base;
    PartFacts *part;
    uint64_t bytes[MODEL_PARTS_MAX][WEIGHT_TYPES];
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
    bool again =
        spec->kind == PARAM_HEAD && spec->optional && p->dtype == I8; /* a tied one (load.c) */
    part->parameters += again ? 0 : param_count(p);
    part->bytes += param_bytes(p);
    if (spec->kind != PARAM_VECTOR) /* which are always f32 */
        c->bytes[part - c->part][p->dtype] += param_bytes(p);
    return true;
}

/* The type with the most bytes, which then count no more; WEIGHT_TYPES: there is none. */
static int next_type(uint64_t bytes[WEIGHT_TYPES])
{
    int best = WEIGHT_TYPES;
    for (int t = 0; t < WEIGHT_TYPES; t++)
        if (bytes[t] && (best == WEIGHT_TYPES || bytes[t] > bytes[best]))
            best = t;
    if (best < WEIGHT_TYPES)
        bytes[best] = 0;
    return best;
}

static void list_types(char *out, size_t cap, uint64_t bytes[WEIGHT_TYPES])
{
    size_t n = 0;
    for (int t; (t = next_type(bytes)) < WEIGHT_TYPES && n < cap;)
        n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? ", " : "", dtype_name((DType)t));
}

int model_facts(Blip2 *m, PartFacts part[MODEL_PARTS_MAX])
{
    Counter c = {.base.param = count, .part = part};
    model_visit(&c.base, m);
    for (int i = 0; i < c.n; i++)
        list_types(part[i].dtype, sizeof part[i].dtype, c.bytes[i]);
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
