/* text/kind_bpe.h: byte-level BPE as a kind of tokenizer; for the readers of files. */
#ifndef TEXT_KIND_BPE_H
#define TEXT_KIND_BPE_H

#include "text/bpe.h"
#include "text/kind.h"

extern const TokenizerKind KIND_BPE;

static inline Bpe *bpe_of(const Tokenizer *t) /* of that kind */
{
    return t->data;
}

#endif
