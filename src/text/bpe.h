/* text/bpe.h: byte-level BPE (GPT-2, OPT). Sennrich et al. 2016, arXiv:1508.07909; the byte-level
 * alphabet and the splitter are those of openai/gpt-2 encoder.py; what the cases leave open follows
 * huggingface/tokenizers, models/bpe. The algorithm alone: files and tokenizers are kind_bpe.h's.
 * */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/str.h"
#include "text/ids.h"
#include "text/vocab.h"

/* A pair of adjacent tokens that becomes one; the lowest rank goes first. */
typedef struct BpeMerge {
    int left, right, id; /* id < 0: a free slot */
    uint32_t rank;
} BpeMerge;

/* Ready after bpe_init; the flags are the caller's to set then. Immutable once merges and flags are
 * complete, and then for many threads. */
typedef struct Bpe {
    BpeMerge *merge; /* hash table by (left, right) */
    size_t slot_n, merge_n;
    int byte_id[256];  /* the token of a byte alone, or -1 */
    int unknown;       /* the token for a byte without one, or -1: such bytes vanish */
    bool fuse_unknown; /* a run of them is one unknown token */
    bool prefix_space; /* each piece gets a space in front unless it has one */
    bool whole_piece;  /* no splitting in words */
} Bpe;

/* Starts from a complete vocabulary, with room for `merges`. False: out of memory. */
bool bpe_init(Bpe *b, const Vocab *v, size_t merges);

/* The next merge in rank order. `where` begins the message. ERR_BAD_MODEL when left, right or both
 * together are no token. */
bool bpe_add_merge(Bpe *b, const Vocab *v, const char *left, size_t left_n, const char *right,
                   size_t right_n, const char *where, Error *e);

/* Where the one space of a merge "a b" is. False: there is none, or more than one. */
bool bpe_merge_gap(const char *s, size_t n, size_t *gap);

void bpe_free(Bpe *b); /* also of a zeroed one */

/* Appends the ids of a piece of valid UTF-8. O(n log n). False: out of memory. */
bool bpe_encode(const Bpe *b, const char *s, size_t n, Ids *out);

/* Appends the text of the ids; invalid UTF-8 becomes U+FFFD. False: out of memory. */
bool bpe_decode(const Vocab *v, const int *ids, size_t n, StrBuf *out);

#endif
