/* models/qformer.h: the Q-Former (BLIP-2 paper 3.1; LAVIS models/blip2_models/Qformer.py): a BERT
 * whose input is a set of learned queries that look at the image in every other layer. Post-norm.
 * Here the query branch; the text branch of the matching models is a second FFN per layer and a
 * mask, see docs/ARCHITECTURE.md. */
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
    FeedPart feed_query;
    bool has_cross;
    int heads;
} QformerLayer;

typedef struct Qformer {
    QformerConfig config;
    Param queries; /* [N, D], learned */
    Norm ln;       /* on the input */
    QformerLayer *layer;
} Qformer;

/* As vit_init and vit_visit. */
bool qformer_init(Qformer *q, const QformerConfig *config, Arena *mem);
void qformer_visit(Visitor *visitor, Qformer *q);

/* image [batch*tokens, E] -> [batch*N, D]: the queries' output, one picture after another. */
Tensor *qformer_forward(Ctx *c, const Qformer *q, Tensor *image, int batch);

#endif
