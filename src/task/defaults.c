/* task/defaults.c: the settings of LAVIS' generate and predict_answers, and of transformers. */
#include "task/defaults.h"

/* Blip2OPT.generate: num_beams 5, max_length 30, min_length 1, length_penalty 1; top_p 0.9 and
 * the library's top_k 50 count when sampling. */
static GenOptions lavis_generate(void)
{
    GenOptions o = GEN_NEUTRAL;
    o.library = LIB_LAVIS;
    o.num_beams = 5;
    o.max_length = 30;
    o.min_length = 1;
    o.top_p = 0.9;
    return o;
}

/* Blip2OPT.predict_answers: 5 beams, max_new_tokens 10, min_length 1, length_penalty 0; Blip2T5's: -1. */
static GenOptions lavis_answer(ModelKind kind)
{
    GenOptions o = lavis_generate();
    o.max_length = 0;
    o.max_new_tokens = 10;
    o.length_penalty = kind == MODEL_T5 ? -1 : 0;
    o.top_p = 1;
    return o;
}

/* Blip2Qformer.generate: num_beams 3, max_length 30, min_length 10. */
static GenOptions lavis_qformer(void)
{
    GenOptions o = lavis_generate();
    o.num_beams = 3;
    o.min_length = 10;
    return o;
}

GenOptions task_defaults(const ModelConfig *k, Task task, Library library)
{
    if (library == LIB_HF) {
        GenOptions o = k ? k->gen : GEN_NEUTRAL;
        o.num_captions = task == TASK_CHAT ? 1 : o.num_captions; /* a dialogue has one answer */
        return o;
    }
    if (k && k->kind == MODEL_MATCHING)
        return lavis_qformer();
    return task == TASK_ASK ? lavis_answer(k ? k->kind : MODEL_OPT) : lavis_generate();
}
