/* models/qformer.h: the Q-Former (BLIP-2 paper 3.1; LAVIS models/blip2_models/Qformer.py): a BERT
 * whose input is a set of learned queries that look at the image in every other layer, a text, or
 * both. Post-norm. Queries and words meet in self attention and have feed-forward parts of their own. */
#ifndef MODELS_QFORMER_H
#define MODELS_QFORMER_H

#include "config/config.h"
#include "nn/visitor.h"

typedef struct AttendPart {
    Linear q, k, v, out;
    Norm ln;
} AttendPart;

typedef struct FeedPart {
    Linear up, down;
    Norm ln;
} FeedPart;

typedef struct QformerLayer {
    Block base;
    AttendPart self, cross;
    FeedPart feed_query, feed_text;
    bool has_cross;
    int heads;
} QformerLayer;

typedef struct Qformer {
    QformerConfig config;
    Param queries;          /* [N, D], learned */
    Param words, positions; /* [V, D], [P, D]; absent unless the model has PART_TEXT */
    Norm ln;                /* on the input */
    QformerLayer *layer;
} Qformer;

/* As vit_init and vit_visit; words: the embeddings of words, which are not under the net's name. */
bool qformer_init(Qformer *q, const QformerConfig *config, Arena *mem);
void qformer_visit(Visitor *visitor, Qformer *q);
void qformer_visit_words(Visitor *visitor, Qformer *q);

/* image [batch*tokens, E] -> [batch*N, D]: the queries' output, one picture after another. */
Tensor *qformer_forward(Ctx *c, const Qformer *q, Tensor *image, int batch);

/* The queries of a picture, a text, or both: one sequence. */
typedef struct QformerSeq {
    int image;      /* which picture its queries look at; -1: it has no queries */
    const int *ids; /* its words, from position 0 on; may be NULL where n is 0 */
    int n;
} QformerSeq;

/* n sequences, of which each sees itself and nothing else: rows one sequence after another, queries before
 * words. image [pictures*tokens, E]; NULL when no sequence has queries. */
Tensor *qformer_read(Ctx *c, const Qformer *q, Tensor *image, int tokens, const QformerSeq *seq,
                     int n);

/* The same by way of a cache, layer i's being cache[i]: the queries of `batch` pictures (ids NULL), or n rows of
 * words, word r at position[r] of its text. What a row sees is the cache's to say. */
Tensor *qformer_queries_into(Ctx *c, const Qformer *q, Tensor *image, int batch,
                             const CacheRows *cache);
Tensor *qformer_words_into(Ctx *c, const Qformer *q, const int *ids, const int *position, int n,
                           const CacheRows *cache);

#endif
