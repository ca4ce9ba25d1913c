/* text/kind_wordpiece.h: WordPiece as a kind of tokenizer; for the readers of files. */
#ifndef TEXT_KIND_WORDPIECE_H
#define TEXT_KIND_WORDPIECE_H

#include "text/kind.h"
#include "text/wordpiece.h"

extern const TokenizerKind KIND_WORDPIECE;

/* When the vocabulary is complete: what is unknown is that token. ERR_BAD_MODEL where there is none. */
bool wordpiece_ready(Tokenizer *t, const char *unknown, int longest_word, const char *where,
                     Error *e);

#endif
