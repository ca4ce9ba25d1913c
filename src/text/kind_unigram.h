/* text/kind_unigram.h: unigram as a kind of tokenizer; for the readers of files. */
#ifndef TEXT_KIND_UNIGRAM_H
#define TEXT_KIND_UNIGRAM_H

#include "text/kind.h"
#include "text/unigram.h"

extern const TokenizerKind KIND_UNIGRAM;

static inline Unigram *unigram_of(const Tokenizer *t) /* of that kind */
{
    return t->data;
}

/* A piece more, whose id is the next one. ERR_BAD_MODEL, ERR_MEMORY. */
bool unigram_take(Tokenizer *t, const char *text, size_t n, double score, const char *where,
                  Error *e);

#endif
