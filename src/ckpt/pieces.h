/* ckpt/pieces.h: a model out of LAVIS' files. For source.c. */
#ifndef CKPT_PIECES_H
#define CKPT_PIECES_H

#include "ckpt/source.h"

/* Adds to s->ckpt, which has the tensors of the file at `path`, what they are without: the vision tower, the
 * language model. own: the directory of the file's config.json, which then is the model's, and of its
 * tokenizer, if that has one; NULL: both are found or derived. */
bool pieces_find(ModelSource *s, const char *path, const Folder *own, const SourceHints *hints,
                 Error *e);

#endif
