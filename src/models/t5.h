/* models/t5.h: Flan-T5 (Raffel et al. 2020; Chung et al. 2022; HF T5ForConditionalGeneration): encoder and
 * decoder with RMSNorm in front, gated GELU, no biases; positions are a bias of the scores by relative
 * distance, and scores are not divided by sqrt(head_dim). */
#ifndef MODELS_T5_H
#define MODELS_T5_H

#include "config/config.h"
#include "nn/kvcache.h"
#include "nn/visitor.h"

typedef struct T5Attend {
    Rms ln;
    Linear q, k, v, out;
} T5Attend;

typedef struct T5Feed {
    Rms ln;
    Linear gate, up, down;
    Act act;
} T5Feed;

typedef struct T5Layer {
    Block base;
    T5Attend self, cross; /* cross: of the decoder only */
    T5Feed feed;
    int heads;
} T5Layer;

typedef struct T5Stack {
    Param bias; /* [buckets, heads], of all layers */
    T5Layer *layer;
    Rms ln;
    int layers;
} T5Stack;

typedef struct T5 {
    T5Config config;
    Param tokens; /* [V, D], of both stacks */
    Param head;   /* [V, D]; absent when the token table is the head, see t5_head */
    T5Stack encoder, decoder;
} T5;

/* As vit_init and vit_visit. */
bool t5_init(T5 *m, const T5Config *config, Arena *mem);
void t5_visit(Visitor *visitor, T5 *m);

/* The output head: the model's own, or the token table. */
const Param *t5_head(const T5 *m);

/* x [rows, D]: image and token embeddings, sequence by sequence (spans). Returns the states after the last
 * norm. */
Tensor *t5_encode(Ctx *c, const T5 *m, Tensor *x, const Spans *spans);

/* The encoder's states as keys and values of every decoder layer, into the slots of a cache of heads *
 * key_width; slot[r] is row r's. Once for each picture and prompt. */
bool t5_keep(Ctx *c, const T5 *m, Tensor *states, const KvCache *cache, const int *slot);

/* x [rows, D]: token embeddings; row r is number position[r] of its sequence. `self` and `source` have one
 * entry per layer: the decoder's own cache, and what t5_keep kept, read only. Returns the states after the
 * last norm. */
Tensor *t5_decode(Ctx *c, const T5 *m, Tensor *x, const int *position, const CacheRows *self,
                  const CacheRows *source);

/* Next-token logits [rows, V] of states. */
Tensor *t5_logits(Ctx *c, const T5 *m, Tensor *x);

#endif
