/* task/match.h: how well texts fit pictures. LAVIS models/blip2_models/blip2_image_text_matching.py; HF
 * Blip2ForImageTextRetrieval. */
#ifndef TASK_MATCH_H
#define TASK_MATCH_H

#include "task/features.h"

typedef struct MatchJob {
    EncodeJob image;
    const int *ids; /* the text's, its template's included */
    int n_ids;
    float itm[2]; /* logits of not matching and of matching */
    float itc;    /* the largest cosine of the text and a query */
    Error error;
} MatchJob;

/* Whether the model has both heads: ERR_USAGE. */
bool match_check(const ModelConfig *k, Error *e);

/* Fills the scores or the error of each job; pairs of the same picture (equal serials) share its passes. Errors
 * as in engine_features. */
void engine_match(Engine *en, MatchJob *job, int n);

/* The probability of matching: softmax of itm, second of two. */
double match_probability(const float itm[2]);

#endif
