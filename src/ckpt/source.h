/* ckpt/source.h: where the parts of one model lie: what says how it is made, its tokenizer, its weights.
 *
 * Mostly all of them lie in one directory, or in one packed file (ckpt/packed.h). LAVIS keeps them apart: a
 * file of the Q-Former with what was trained, a base file of the vision tower, the directory of the
 * language model (lavis/models/blip2_models). Whoever opens a model asks for a source and hands its parts to
 * those who read them: config to config_open, tokenizer to tokenizer_open, weights to source_open. */
#ifndef CKPT_SOURCE_H
#define CKPT_SOURCE_H

#include "base/folder.h"
#include "base/mem.h"
#include "ckpt/ckpt.h"

/* Starts as {0}, ends with source_free. */
typedef struct ModelSource {
    const char *path; /* what messages call the model */
    Folder config, tokenizer;
    Checkpoint
        *ckpt; /* the weights, where finding the rest has opened them; NULL: all are in path */
    Arena mem;
} ModelSource;

/* What the user says of parts that LAVIS keeps apart; each may be NULL. */
typedef struct SourceHints {
    const char *type; /* a published model whose parts they are: "blip2_opt/pretrain_opt2.7b" */
    const char *vit;  /* file of the base vision tower */
    const char
        *language; /* directory, or repository in Hugging Face's cache, of the language model; of
                             BERT's vocabulary for a matching model */
} SourceHints;

/* The model of that name: a directory, a file (packed, or weights with a config.json beside them, or LAVIS' own),
 * or what model_find takes. hints may be NULL. Of a model of LAVIS, parts that the file is without are looked
 * for beside it, where LAVIS keeps its downloads and in Hugging Face's cache. Errors: ERR_NO_MODEL (nothing
 * there, or a part is missing, which is named), ERR_BAD_MODEL, ERR_MEMORY. */
bool source_find(ModelSource *s, const char *name, const SourceHints *hints, Error *e);

/* All parts in one directory. false: out of memory. */
bool source_dir(ModelSource *s, const char *dir, Error *e);

/* Its weights, the caller's from now on. Errors: those of ckpt_open. */
Checkpoint *source_open(ModelSource *s, Error *e);

void source_free(ModelSource *s);

#endif
