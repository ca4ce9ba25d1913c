/* ckpt/source.h: where the parts of one model lie: what says how it is made, its tokenizer, its weights.
 *
 * Mostly all of them lie in one directory. Whoever opens a model asks for a source and hands its parts to
 * those who read them: config to config_open, tokenizer to tokenizer_open, weights to source_open. */
#ifndef CKPT_SOURCE_H
#define CKPT_SOURCE_H

#include "base/folder.h"
#include "base/mem.h"
#include "ckpt/ckpt.h"

enum { SOURCE_PIECES = 8 };

/* Starts as {0}, ends with source_free. */
typedef struct ModelSource {
    const char *path; /* what messages call the model */
    Folder config, tokenizer;
    const char
        *weights[SOURCE_PIECES]; /* directories and files, in the order in which they count */
    int n;
    Checkpoint *ckpt; /* the weights, where finding the rest has opened them */
    Arena mem;
} ModelSource;

/* The model of that name (model_find). Errors: those of model_find. */
bool source_find(ModelSource *s, const char *name, Error *e);

/* All parts in one directory. false: out of memory. */
bool source_dir(ModelSource *s, const char *dir, Error *e);

/* Its weights, the caller's from now on. Errors: those of ckpt_open. */
Checkpoint *source_open(ModelSource *s, Error *e);

void source_free(ModelSource *s);

#endif
