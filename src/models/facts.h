/* models/facts.h: a model in numbers, read off the walk over its parameters and its configuration. For
 * whoever describes a model; changes nothing. */
#ifndef MODELS_FACTS_H
#define MODELS_FACTS_H

#include "models/blip2.h"

typedef struct PartFacts {
    const char *name;           /* "vision", "Q-Former", "projection", "language model" */
    uint64_t parameters, bytes; /* bytes: as they lie in memory, scales included */
    char dtype[64];             /* of the weights, the most bytes first: "BF16", "I4, BF16, I8" */
} PartFacts;

enum { MODEL_PARTS_MAX = 8 };

/* Fills part; returns how many there are. A weight that two layers share counts once. */
int model_facts(Blip2 *m, PartFacts part[MODEL_PARTS_MAX]);

/* Bytes beside the weights for one caption: the widest ViT activations, the cache of 5 beams with 64 new
 * ids, logits, scratch. */
uint64_t model_working_bytes(const ModelConfig *k);

/* "ViT 39x1408, Q-Former 12x768, OPT 32x2560", in the arena; NULL: out of memory. */
const char *model_architecture(const ModelConfig *k, Arena *mem);

#endif
