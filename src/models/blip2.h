/* models/blip2.h: the whole model: vision tower, Q-Former, then projection and language model, or the heads of
 * stage 1. LAVIS models/blip2_models/blip2_opt.py, blip2_t5.py, blip2_qformer.py; HF
 * Blip2ForConditionalGeneration, Blip2ForImageTextRetrieval and its parts. Pixels and ids in, tensors out;
 * text and pictures are task/'s.
 *
 * task/ runs it; api/ and debug/ open it for a session. Once made, a model is only read: any number of
 * contexts may use it at the same time, except during a walk (nn/visitor.h). */
#ifndef MODELS_BLIP2_H
#define MODELS_BLIP2_H

#include "ckpt/source.h"
#include "models/heads.h"
#include "models/opt.h"
#include "models/preset.h"
#include "models/qformer.h"
#include "models/t5.h"
#include "models/vit.h"

typedef struct Blip2 {
    Device *dev; /* where the weights lie; the caller's, closed after the model */
    ModelConfig config;
    Notes notes; /* what the files say that was not used or does not fit, config.notes included */
    Vit vit;
    Qformer qformer;
    Heads heads;
    Linear project; /* Q-Former width -> language model width */
    Opt opt;        /* this or the next, as config.kind says */
    T5 t5;
    Arena mem;        /* layer structs, names, scales, widened vectors */
    Checkpoint *ckpt; /* keeps the mapping alive; NULL for synthetic weights */
    void *owned;      /* list of blocks that are not in the mapping */
} Blip2;

/* Loads a directory. With a preset weights are quantised in memory, one after another, each by all processors;
 * those that the file has quantised already stay so, which a note tells if another type was asked for. Tensors that the
 * model has no use for stay where they are, and a note names them. Errors: ERR_NO_MODEL, ERR_BAD_MODEL
 * (names the tensor: missing, with the nearest name that is there; misshapen, wrong type), ERR_MEMORY.
 * Free with model_close. */
Blip2 *model_open(Device *dev, const char *dir, Preset preset, Error *e);
/* The same from a source, whose weights it takes. */
Blip2 *model_load(Device *dev, ModelSource *source, Preset preset, Error *e);

/* A model of that configuration with random weights of a type (F32, F16, BF16), or as a preset would make those, scaled
 * so that activations stay of order one. Memory is on small pages as a mapped file's is. */
Blip2 *model_random(Device *dev, const ModelConfig *config, DType type, Preset preset,
                    uint64_t seed, Error *e);
/* Bytes of the weights of such a model, none of which is made. false: ERR_MEMORY. */
bool model_random_bytes(const ModelConfig *config, DType type, Preset preset, uint64_t *bytes,
                        Error *e);

void model_close(Blip2 *m);

/* The walk over all parameters, in the order in which a picture passes them. Absent ones (an own
 * head where it is tied, opt_head) are named, too: their data is NULL. */
void model_visit(Visitor *v, Blip2 *m);

/* Queries' output -> image embeddings [batch*N, D_llm]. */
Tensor *model_project(Ctx *c, const Blip2 *m, Tensor *queries);

#endif
