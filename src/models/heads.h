/* models/heads.h: what stage 1 puts on the Q-Former (BLIP-2 paper 3.1; LAVIS
 * models/blip2_models/blip2_qformer.py; HF Blip2ForImageTextRetrieval): features for the contrastive
 * similarity, the matching head, and BERT's head for next words. */
#ifndef MODELS_HEADS_H
#define MODELS_HEADS_H

#include "config/config.h"
#include "nn/visitor.h"

typedef struct Heads {
    Linear image, text; /* Q-Former width -> width of the features */
    Linear match;       /* -> [no, yes] */
    Linear dense; /* of next words: dense, norm, then the table of words with a bias of its own */
    Norm ln;
    Param word_bias;   /* [vocabulary] */
    Param temperature; /* [1] */
} Heads;

/* Those of config->parts. */
void heads_init(Heads *h, const ModelConfig *config);
void heads_visit(Visitor *v, Heads *h, const ModelConfig *config);

/* Features of unit length: rows of a Q-Former's output [n, D] -> [n, feature]. */
Tensor *heads_image(Ctx *c, const Heads *h, Tensor *queries);
Tensor *heads_text(Ctx *c, const Heads *h, Tensor *words);

/* [n * queries, D] of picture and text together -> logits [n, 2] of not matching and matching: the mean over the
 * queries of the head's. */
Tensor *heads_match(Ctx *c, const Heads *h, Tensor *queries, int per_picture);

/* Logits [n, V] of the next word, words [V, D] being the embeddings. */
Tensor *heads_words(Ctx *c, const Heads *h, const Param *words, Tensor *x);

#endif
