/* api/info.c: facts about a loaded model, as the caller sees them. */
#include "api/api.h"
#include "models/facts.h"

bool api_describe(blip2_model *m, const char *path, Error *e)
{
    const ModelConfig *k = &m->net->config;
    const LanguageConfig lm = config_language(k);
    blip2_info *info = &m->info;
    PartFacts part[MODEL_PARTS_MAX];
    info->part_count = (size_t)model_facts(m->net, part);
    for (size_t i = 0; i < info->part_count; i++) {
        info->parts[i] =
            (blip2_part){part[i].name, part[i].parameters, part[i].bytes, part[i].dtype};
        info->parameters += part[i].parameters;
        info->weight_bytes += part[i].bytes;
    }
    info->path = arena_strdup(&m->mem, path);
    info->architecture = model_architecture(k, &m->mem);
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
    info->working_bytes = model_working_bytes(k);
    return (info->path && info->architecture && (info->tokenizer || info->missing)) ||
           error_memory(e, path, 256);
}
