/* task/features.h: what pictures, texts, and both together are to the model, as numbers. LAVIS
 * models/blip2_models/blip2_qformer.py, extract_features; HF Blip2Model.get_image_features and
 * get_qformer_features, Blip2TextModelWithProjection, Blip2VisionModelWithProjection. */
#ifndef TASK_FEATURES_H
#define TASK_FEATURES_H

#include "task/engine.h"

typedef enum FeatureKind {
    FEATURE_VISION,   /* the vision tower's tokens, the class token first [1 + patches, E] */
    FEATURE_QUERIES,  /* LAVIS image_embeds: the Q-Former's output for the picture [queries, D] */
    FEATURE_LANGUAGE, /* what the language model reads of the picture [queries, D_llm] */
    FEATURE_IMAGE,    /* LAVIS image_embeds_proj: rows of unit length [queries, F] */
    FEATURE_WORDS,    /* LAVIS text_embeds: the text alone, [CLS] first [ids, D] */
    FEATURE_TEXT, /* LAVIS text_embeds_proj: rows of unit length, the first one is the text's [ids, F] */
    FEATURE_BOTH, /* LAVIS multimodal_embeds: the queries, which saw picture and text [queries, D] */
    FEATURE_KINDS
} FeatureKind;

typedef struct FeatureJob {
    FeatureKind kind;
    EncodeJob image; /* of the kinds that look at one */
    const int *ids;  /* of the kinds that read a text, its template's ids included */
    int n_ids;
    float *values; /* the result [rows, cols], mem_alloc'd, the caller's; NULL: error says why */
    int rows, cols;
    Error error;
} FeatureJob;

bool feature_has_image(FeatureKind kind);
bool feature_has_text(FeatureKind kind);

/* Whether the model has what that needs: ERR_USAGE, naming it. */
bool feature_check(const ModelConfig *k, FeatureKind kind, Error *e);

/* Fills values or error of each job; what cannot be done is that job's error alone: those of feature_check and
 * of encoder_encode, ERR_FAILED (a text longer than the positions, an id beyond the vocabulary),
 * ERR_MEMORY. */
void engine_features(Engine *en, FeatureJob *job, int n);

#endif
