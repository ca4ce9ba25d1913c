/* api/options.c: the defaults of each verb in each library, and the way to the generator. */
#include "api/api.h"

/* Blip2OPT.generate: num_beams 5, max_length 30, min_length 1, length_penalty 1; top_p 0.9 and
 * the library's top_k 50 count when sampling. */
static blip2_options lavis_generate(void)
{
    return (blip2_options){.library = BLIP2_LAVIS,
                           .num_beams = 5,
                           .num_captions = 1,
                           .max_length = 30,
                           .min_length = 1,
                           .length_penalty = 1,
                           .repetition_penalty = 1,
                           .top_k = 50,
                           .top_p = 0.9,
                           .temperature = 1};
}

/* Blip2OPT.predict_answers: 5 beams, max_new_tokens 10, min_length 1, length_penalty 0. */
static blip2_options lavis_answer(void)
{
    blip2_options o = lavis_generate();
    o.max_length = 0;
    o.max_new_tokens = 10;
    o.length_penalty = 0;
    o.top_p = 1;
    return o;
}

/* transformers' defaults where generation_config.json says nothing else. */
static blip2_options hf(const GenConfig *g)
{
    return (blip2_options){.library = BLIP2_HF,
                           .num_beams = g->num_beams,
                           .num_captions = 1,
                           .max_length = g->max_length,
                           .min_length = g->min_length,
                           .max_new_tokens = g->max_new_tokens,
                           .min_new_tokens = g->min_new_tokens,
                           .length_penalty = g->length_penalty,
                           .repetition_penalty = g->repetition_penalty,
                           .no_repeat_ngram = g->no_repeat_ngram,
                           .early_stopping = (blip2_early)g->early,
                           .sample = g->sample,
                           .top_k = g->top_k,
                           .top_p = g->top_p,
                           .temperature = g->temperature};
}

blip2_options blip2_options_default(const blip2_model *model, blip2_task task,
                                    blip2_library library)
{
    if (library == BLIP2_HF)
        return hf(model ? &model->net->config.gen : &GEN_NEUTRAL);
    return task == BLIP2_ASK ? lavis_answer() : lavis_generate();
}

GenOptions api_gen_options(const blip2_model *m, const blip2_options *o)
{
    const GenConfig *g = &m->net->config.gen;
    GenOptions r = {.library = (Library)o->library,
                    .num_beams = o->num_beams,
                    .num_captions = o->num_captions,
                    .max_length = o->max_length,
                    .max_new_tokens = o->max_new_tokens,
                    .min_length = o->min_length,
                    .min_new_tokens = o->min_new_tokens,
                    .length_penalty = o->length_penalty,
                    .repetition_penalty = o->repetition_penalty,
                    .no_repeat_ngram = o->no_repeat_ngram,
                    .early_stopping = (EarlyStopping)o->early_stopping,
                    .sample = o->sample,
                    .top_k = o->top_k,
                    .top_p = o->top_p,
                    .temperature = o->temperature,
                    .seed = o->seed,
                    .banned = o->banned,
                    .n_banned = (int)o->banned_count,
                    .n_eos = g->n_eos,
                    .pad = g->pad};
    for (int i = 0; i < g->n_eos; i++)
        r.eos[i] = g->eos[i];
    return r;
}

bool api_history(const ModelConfig *k, Library library, const int *ids, size_t n, Ids *out)
{
    if (library == LIB_LAVIS || k->legacy_layout)
        return ids_push(out, k->gen.bos);
    for (int i = 0; i < k->qformer.queries; i++)
        if (!ids_push(out, k->image_token))
            return false;
    for (size_t i = 0; i < n; i++)
        if (!ids_push(out, ids[i]))
            return false;
    return true;
}
