/* text/wordpiece.h: BERT's tokenizer (Devlin et al. 2019, google-research/bert tokenization.py), uncased: characters
 * normalised one by one, words and punctuation apart, each word in the longest pieces from the left. What is left
 * open there follows huggingface/tokenizers, normalizers/bert and models/wordpiece. The algorithm alone: files and
 * tokenizers are kind_wordpiece.h's. */
#ifndef TEXT_WORDPIECE_H
#define TEXT_WORDPIECE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"
#include "text/ids.h"
#include "text/vocab.h"

typedef struct Wordpiece {
    int unknown;      /* id of what no pieces make */
    int longest_word; /* in characters; what is longer is unknown */
    int tokens;       /* ids from here on are added tokens, which are no pieces */
    size_t longest;   /* bytes of the longest token that can be needed */
} Wordpiece;

/* Appends s[0..n), valid UTF-8, each character as BERT's uncased normaliser has it. */
void wordpiece_normalise(const char *s, size_t n, StrBuf *out);

/* Appends the ids of a normalised piece. Time grows with the text times the longest token. False: out of memory. */
bool wordpiece_encode(const Wordpiece *w, const Vocab *v, const char *s, size_t n, Ids *out);

/* Appends the text of the ids: a space before each token that is no continuation ("##"), and each cleaned up
 * alone, as huggingface/tokenizers' decoders/wordpiece does. False: out of memory. */
bool wordpiece_decode(const Vocab *v, const int *ids, size_t n, StrBuf *out);

#endif
