/* text/unigram.h: the unigram model of sentencepiece (Kudo 2018, arXiv:1804.10959): the segmentation of a word
 * whose pieces' scores have the largest sum. What is left open there follows huggingface/tokenizers,
 * models/unigram. The algorithm alone: files and tokenizers are kind_unigram.h's. */
#ifndef TEXT_UNIGRAM_H
#define TEXT_UNIGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/str.h"
#include "text/charsmap.h"
#include "text/ids.h"
#include "text/vocab.h"

/* Immutable once ready, and then for many threads. */
typedef struct Unigram {
    Charsmap normal;
    double *score;  /* by id */
    int *sorted;    /* ids of the pieces in the order of their bytes */
    int n;          /* pieces; ids are 0 .. n - 1 */
    int first[257]; /* sorted[first[b]] is the first piece that begins with byte b or a later one */
    int unknown;    /* id */
    double unknown_score;
    size_t cap_score, cap_sorted;
} Unigram;

/* One piece more, id u->n, whose text is in v already. false: out of memory. */
bool unigram_add(Unigram *u, double score);
/* When all pieces are there: `unknown` is one of them. */
void unigram_ready(Unigram *u, const Vocab *v, int unknown);
void unigram_free(Unigram *u); /* also of a zeroed one */

/* Appends the ids of a normalised piece of valid UTF-8: split at white space, U+2581 before each word. Time grows
 * with the text times the longest piece. False: out of memory. */
bool unigram_encode(const Unigram *u, const Vocab *v, const char *s, size_t n, Ids *out);

/* Appends the text of the ids: U+2581 are spaces, and of the first token nothing. False: out of memory. */
bool unigram_decode(const Vocab *v, const int *ids, size_t n, StrBuf *out);

#endif
