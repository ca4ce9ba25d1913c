/* task/rank.h: how likely each answer of a closed list is. LAVIS ranks candidates by the sum of the losses of their
 * tokens, the end id included (models/blip2_models/blip2_t5_instruct.py, predict_class). */
#ifndef TASK_RANK_H
#define TASK_RANK_H

#include "task/engine.h"

typedef struct RankJob {
    EngineRequest request; /* of its options only the library counts; no callback */
    double
        *score; /* [choices] the caller's: log-probability of each choice and the end behind it */
    EngineTimes times;
    char notice[256];
    Error
        error; /* those of engine_check and of the picture; ERR_FAILED: a choice that does not fit */
} RankJob;

/* The ids of an answer behind a prompt, the end id included. ERR_USAGE (empty, not UTF-8), ERR_BAD_MODEL (no
 * tokenizer), ERR_MEMORY. */
bool rank_ids(const Engine *en, const char *text, Ids *out, Error *e);

/* Fills score or error of each job. choice: [choices], each with at least one id. */
void engine_rank(Engine *en, RankJob *job, int n, const Ids *choice, int choices);

#endif
