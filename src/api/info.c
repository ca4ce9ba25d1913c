/* api/info.c: facts about a loaded model, read off the walk over its parameters. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"

static const struct {
    const char *prefix, *name;
} PARTS[] = {
    {"vision_model.", "vision"},           {"qformer.", "Q-Former"},
    {"query_tokens", "Q-Former"},          {"language_projection", "projection"},
    {"language_model.", "language model"},
};

typedef struct Counter {
    Visitor base;
    blip2_info *info;
} Counter;

static blip2_part *part_of(blip2_info *info, const char *name)
{
    const char *part = "other";
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
        if (str_starts(name, PARTS[i].prefix))
            part = PARTS[i].name;
    for (size_t i = 0; i < info->part_count; i++)
        if (strcmp(info->parts[i].name, part) == 0)
            return &info->parts[i];
    blip2_part *p = &info->parts[info->part_count++];
    *p = (blip2_part){.name = part};
    return p;
}

static bool count(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Counter *c = (Counter *)v;
    if (!p->data)
        return true;
    blip2_part *part = part_of(c->info, name);
    part->parameters += param_count(p);
    part->bytes += param_bytes(p);
    if (spec->kind == PARAM_MATRIX) { /* vectors are always f32 and do not count as a mixture */
        const char *type = dtype_name(p->dtype);
        part->dtype = !part->dtype || strcmp(part->dtype, type) == 0 ? type : "mixed";
    }
    return true;
}

/* Beside the weights, for one caption: the widest ViT activations, the cache of 5 beams with 64
 * new ids, logits, scratch. */
static uint64_t working_bytes(const ModelConfig *k)
{
    uint64_t grid = (uint64_t)(k->pixels / k->vit.patch), tokens = grid * grid + 1;
    uint64_t vit = tokens * (uint64_t)(8 * k->vit.width + k->vit.mlp) * 4;
    uint64_t slots = (uint64_t)k->qformer.queries + 32 + 5 * 64;
    LanguageConfig lm = config_language(k);
    uint64_t cache = slots * (uint64_t)lm.layers * (uint64_t)lm.width * 8;
    uint64_t prefill = (uint64_t)(k->qformer.queries + 32) * (uint64_t)(8 * lm.width + lm.mlp) * 4;
    return vit + cache + prefill + 10 * (uint64_t)lm.vocab * 4 + (8u << 20);
}

static const char *architecture(Arena *mem, const ModelConfig *k)
{
    LanguageConfig lm = config_language(k);
    return arena_printf(mem, "ViT %dx%d, Q-Former %dx%d, %s %dx%d", k->vit.layers, k->vit.width,
                        k->qformer.layers, k->qformer.width, lm.title, lm.layers, lm.width);
}

bool api_describe(blip2_model *m, const char *path, Error *e)
{
    const ModelConfig *k = &m->net->config;
    const LanguageConfig lm = config_language(k);
    blip2_info *info = &m->info;
    Counter c = {.base.param = count, .info = info};
    model_visit(&c.base, m->net);
    for (size_t i = 0; i < info->part_count; i++) {
        info->parameters += info->parts[i].parameters;
        info->weight_bytes += info->parts[i].bytes;
    }
    info->path = arena_strdup(&m->mem, path);
    info->architecture = architecture(&m->mem, k);
    info->language_model = lm.name;
    if (m->tokenizer)
        info->tokenizer = arena_printf(&m->mem, "%s, %d tokens", tokenizer_kind(m->tokenizer),
                                       tokenizer_size(m->tokenizer));
    else
        info->missing = "tokenizer";
    info->licence = k->licence[0] ? k->licence : NULL;
    info->image_size = k->pixels;
    info->query_tokens = k->qformer.queries;
    info->vocabulary = lm.vocab;
    info->positions = lm.positions;
    info->working_bytes = working_bytes(k);
    return (info->path && info->architecture && (info->tokenizer || info->missing)) ||
           error_memory(e, path, 256);
}
