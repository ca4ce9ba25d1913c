/* models/opt.h: OPT (Zhang et al. 2022; HF OPTForCausalLM), the decoder-only language model:
 * pre-norm, ReLU, learned positions that start at row 2 of their table, tied head. */
#ifndef MODELS_OPT_H
#define MODELS_OPT_H

#include "config/config.h"
#include "nn/visitor.h"

typedef struct OptLayer {
    Block base;
    Norm ln1, ln2;
    Linear q, k, v, out, fc1, fc2;
    int heads;
} OptLayer;

typedef struct Opt {
    OptConfig config;
    Param tokens, positions; /* [V, D], [positions + 2, D] */
    Param head;              /* [V, D]; absent when the token table is the head, see opt_head */
    OptLayer *layer;
    Norm ln;
} Opt;

/* As vit_init and vit_visit. */
bool opt_init(Opt *m, const OptConfig *config, Arena *mem);
void opt_visit(Visitor *visitor, Opt *m);

/* The output head: the model's own, or the token table. Being one Param, a tied weight is counted
 * once and has one gradient, to which both of its uses add. */
const Param *opt_head(const Opt *m);

/* x [rows, D]: token or image embeddings; position[r] counts from 0 within its sequence.
 * Through a cache: `cache` has one entry per layer. Without (training): NULL, and the rows are
 * `groups` sequences of equal length. Returns the states after the last norm. */
Tensor *opt_forward(Ctx *c, const Opt *m, Tensor *x, const int *position, const CacheRows *cache,
                    int groups);

/* Next-token logits [rows, V] of states. */
Tensor *opt_logits(Ctx *c, const Opt *m, Tensor *x);

#endif
