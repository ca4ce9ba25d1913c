/* ckpt/derive.h: config.json for weights that come without one, as LAVIS publishes them: its sizes are those of
 * the tensors, the rest is what LAVIS' code has fixed (lavis/models/eva_vit.py, clip_vit.py,
 * blip2_models/blip2.py) and what the language model's own config.json says. */
#ifndef CKPT_DERIVE_H
#define CKPT_DERIVE_H

#include "base/folder.h"
#include "base/mem.h"
#include "ckpt/ckpt.h"

/* The text of a config.json in transformers' terms, in the arena; c: all weights of the model, unwrapped.
 * language: where the language model's config.json is; NULL: there is none. Errors: ERR_BAD_MODEL naming the
 * tensor that would say a size, or the size that nothing says; ERR_MEMORY. */
const char *derive_config(Checkpoint *c, const Folder *language, Arena *mem, Error *e);

/* The text of its preprocessor_config.json: what LAVIS does to pictures (blip_processors.py), at the size that
 * the tower's positions are for. c: one from which derive_config made something. NULL: out of memory. */
const char *derive_pictures(Checkpoint *c, Arena *mem);

/* Of one tensor: extent `dim`, counted from the last one, 1; 0: there is no such tensor, or it has fewer. */
int64_t derive_extent(Checkpoint *c, const char *name, int dim);

#endif
